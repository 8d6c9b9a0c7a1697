--- Scheduled indexing: the platform starts a knowledge base's jobs by itself.
--- https://docs.digitalocean.com/reference/api/reference/agent-platform-api/
--- types.lua says what each operation takes and returns.

local check = require "gradient.check"

local scheduled_indexing = {}

local time_of_day = { '"HH:MM" from "00:00" to "23:59" (UTC)', function(value)
  local hour, minute = tostring(value):match("^(%d%d):(%d%d)$")
  if type(value) ~= "string" or not hour or hour > "23" or minute > "59" then return nil end
  return value
end }

local days_of_week = "a non-empty sequence of whole numbers from 1 (Monday) to 7 (Sunday)"

local days = check.sequence(days_of_week, function(item)
  local day = math.type(item) and math.tointeger(item)
  return day and day >= 1 and day <= 7 and day or nil
end, 1)

scheduled_indexing.create = {
  method = "POST", path = "v2/gen-ai/scheduled-indexing", member = "indexing_info", opener = "{",
  body = { knowledge_base_uuid = check.id, time = time_of_day, days = days },
  required = { "knowledge_base_uuid", "time", "days" },
  caution = "the schedule may have been created",
}

scheduled_indexing.retrieve = {
  method = "GET", path = "v2/gen-ai/scheduled-indexing/knowledge-base/{knowledge_base_uuid}",
  member = "indexing_info", opener = "{", identity = "knowledge_base_uuid",
  absent = { kind = "not_found", message = "the knowledge base has no schedule" },
}

scheduled_indexing.delete = {
  method = "DELETE", path = "v2/gen-ai/scheduled-indexing/{uuid}",
  member = "indexing_info", opener = "{", identity = "uuid",
}

return scheduled_indexing
