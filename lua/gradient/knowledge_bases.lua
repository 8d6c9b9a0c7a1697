--- Knowledge bases: what indexing jobs fill.
--- https://docs.digitalocean.com/reference/api/reference/agent-platform-api/
--- types.lua says what each operation takes and returns.

local check = require "gradient.check"
local enums = require "gradient.enums"
local errors = require "gradient.errors"
local names = require "gradient.names"
local poll = require "gradient.poll"

local most_per_page = 200
local most_near_names = 5

local knowledge_bases = { data_sources = {} }

knowledge_bases.list = {
  method = "GET", path = "v2/gen-ai/knowledge_bases", member = "knowledge_bases", opener = "[",
  query = { page = check.integer, per_page = check.integer },
}

knowledge_bases.retrieve = {
  method = "GET", path = "v2/gen-ai/knowledge_bases/{uuid}",
  member = "knowledge_base", opener = "{", identity = "uuid",
}

knowledge_bases.data_sources.list = {
  method = "GET", path = "v2/gen-ai/knowledge_bases/{knowledge_base_uuid}/data_sources",
  member = "knowledge_base_data_sources", opener = "[",
  query = { page = check.integer, per_page = check.integer },
}

-- Databases in these states will not come online.
local is_lost = {
  [enums.database_status.DECOMMISSIONED] = true, [enums.database_status.UNHEALTHY] = true,
}

knowledge_bases.wait_for_database = poll{
  subject = "the database of knowledge base %s", unready = "is not online",
  kind = "database_failed",
  judge = function(answer)
    local status = answer.database_status
    if is_lost[status] then return false, "is " .. status end
    return status == enums.database_status.ONLINE
  end,
  progress = function(answer) return answer end,
  seen = function(answer) return { database_status = answer.database_status } end,
}

local function is_uuid(text)
  return text:find("^%x+%-%x+%-%x+%-%x+%-%x+$") and #text == 36
end

local function quoted(list)
  return "'" .. table.concat(list, "', '") .. "'"
end

local function not_found(wanted, all, attempts)
  local near = names.near(all, wanted, most_near_names)
  local advice = #near > 0 and "; did you mean " .. quoted(near) .. "?" or ""
  return nil, errors.new{
    kind = "not_found", attempts = attempts, names = near,
    message = ("there is no knowledge base '%s'%s"):format(wanted, advice),
  }
end

local function ambiguous(name, uuids, attempts)
  return nil, errors.new{
    kind = "conflict", attempts = attempts, uuids = uuids,
    message = ("%d knowledge bases have the name '%s': %s"):format(#uuids, name,
      table.concat(uuids, ", ")),
  }
end

-- All knowledge bases, the number of attempts and the last response; or nil and the error.
local function all_of(operations, options)
  local all, attempts, latest = {}, 0, nil
  local ok, problem = pcall(function()
    for page, response in operations.pages({ per_page = most_per_page }, options) do
      for _, base in ipairs(page.knowledge_bases) do all[#all + 1] = base end
      latest, attempts = response, attempts + response.attempts
    end
  end)
  if ok then return all, attempts, latest end
  if errors.is_error(problem) then return nil, problem end
  error(problem, 0) -- the program's own, from on_event or wait
end

local function find_by_name(operations, name, options)
  local all, attempts, response = all_of(operations, options)
  if not all then return nil, attempts end
  local found, uuids, others, seen = nil, {}, {}, {}
  for _, base in ipairs(all) do
    local identity = base.uuid or base -- one without a uuid is no other one
    if base.name == name and not seen[identity] then
      found, uuids[#uuids + 1], seen[identity] = base, tostring(base.uuid), true
    elseif type(base.name) == "string" then
      others[#others + 1] = base.name
    end
  end
  if #uuids > 1 then return ambiguous(name, uuids, attempts) end
  if not found then return not_found(name, others, attempts) end
  return { knowledge_base = found }, response
end

-- A name may have any characters in it.
local any_name = { "a non-empty string", function(value)
  return type(value) == "string" and value ~= "" and value or nil
end }

knowledge_bases.find = {
  ids = { "name" }, id_kind = any_name,
  run = function(operations, _, ids, _, options)
    if is_uuid(ids.name) then
      local answer, response = operations.retrieve(ids.name, options)
      if answer or response.kind ~= "not_found" then return answer, response end
    end
    return find_by_name(operations, ids.name, options)
  end,
}

return knowledge_bases
