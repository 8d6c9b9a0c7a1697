--- gradient-jobs schedule

local format = require "gradient.cli.format"
local json = require "gradient.cli.json"
local names = require "gradient.cli.names"
local rules = require "gradient.job"
local selection = require "gradient.cli.selection"
local values = require "gradient.cli.values"

local schedule = {
  name = "schedule", summary = "Show, set or delete when a knowledge base is indexed.",
  description = "Shows when the platform starts the jobs of a knowledge base by itself; --at sets"
    .. " the time, --delete ends that.",
  notes = "Times are UTC. A schedule cannot be changed: --at deletes the old one first.",
  examples = {
    "gradient-jobs schedule handbook",
    "gradient-jobs schedule handbook --at 18:00 --on mon,wed,fri",
    "gradient-jobs schedule handbook --at 02:30 --on mon-fri",
    "gradient-jobs schedule handbook --delete",
  },
}

local every_day = { 1, 2, 3, 4, 5, 6, 7 }

function schedule.declare(command)
  command:argument "KB":target "kb":convert(values.base)
    :description "The knowledge base (name or uuid)."
  command:mutex(
    command:option "--at":argname "HH:MM":convert(values.time_of_day)
      :description "Start a job at this time of the day (UTC).",
    command:flag "--delete":description "Delete the schedule: no job starts by itself any more."
  )
  command:option "--on":argname "DAYS":convert(values.days)
    :description "On these days, such as mon,wed or mon-fri. Default: every day."
  command:mutex(selection.declare_json(command, "Print JSON."))
end

-- { 1, 3 } → "mon, wed"; anything else is shown as it came.
local function days_text(days)
  if type(days) ~= "table" then return format.text(days) end
  local texts = {}
  for position, day in ipairs(days) do
    texts[position] = values.day_names[day] or format.text(day)
  end
  return #texts == 7 and "every day" or table.concat(texts, ", ")
end

local function print_schedule(session, name, info)
  local output = session.output
  if session.parsed.json then return output:line(json.encode(info)) end
  local time = format.text(info.time):gsub("^(%d%d:%d%d):00$", "%1")
  output:line(("%s: %s at %s UTC%s"):format(name, days_text(info.days), time,
    info.is_active == false and " (not active)" or ""))
  for _, entry in ipairs{ { "next run", info.next_run_at }, { "last run", info.last_ran_at } } do
    local moment = format.moment(entry[2])
    if moment then output:line(("  %s  %s"):format(entry[1], moment)) end
  end
end

-- The schedule of a knowledge base; nil if it has none.
local function current(session, base)
  local answer, problem = session.client.scheduled_indexing.retrieve(base.uuid)
  if not answer and problem.kind ~= "not_found" then error(problem, 0) end
  local info = answer and answer.indexing_info
  return info and names.is_id(info.uuid) and not rules.time(info.deleted_at) and info or nil
end

local function set(session, base, days)
  local old = current(session, base)
  if old then assert(session.client.scheduled_indexing.delete(old.uuid)) end
  local answer, problem = session.client.scheduled_indexing.create{
    knowledge_base_uuid = base.uuid, time = session.parsed.at, days = days,
  }
  if answer then return answer.indexing_info end
  if old then session.output:note "the old schedule was deleted, but not replaced" end
  error(problem, 0)
end

function schedule.run(session)
  local parsed, output = session.parsed, session.output
  if parsed.on and not parsed.at then error({ misused = "--on needs --at" }, 0) end
  local base = assert(names.find(session.client, parsed.kb))
  local name = format.text(base.name or base.uuid)
  if parsed.at then
    return print_schedule(session, name, set(session, base, parsed.on or every_day))
  end
  local info = current(session, base)
  if not info then
    if parsed.json then output:line "null" end
    return output:note(name .. " has no schedule")
  end
  if not parsed.delete then return print_schedule(session, name, info) end
  assert(session.client.scheduled_indexing.delete(info.uuid))
  output:note(("%s: no job starts by itself any more"):format(name))
end

return schedule
