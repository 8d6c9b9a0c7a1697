--- What the fields of a job mean. The server leaves out what is zero, so a missing count is 0, a
--- missing total is not known yet, and a time in year 1 was never set. types.lua says what a
--- program sees of this.

local check = require "gradient.check"
local enums = require "gradient.enums"
local timestamp = require "gradient.timestamp"

local phase, status = enums.phase, enums.status

local job = {}

local outcome_of_phase = {
  [phase.SUCCEEDED] = "succeeded", [phase.FAILED] = "failed", [phase.ERROR] = "failed",
  [phase.CANCELLED] = "cancelled",
}

local is_under_way = { [phase.PENDING] = true, [phase.RUNNING] = true }

local outcome_of_status = {
  [status.COMPLETED] = "succeeded", [status.PARTIAL] = "partial",
  [status.NO_CHANGES] = "no_changes", [status.FAILED] = "failed",
  [status.CANCELLED] = "cancelled",
}

-- Statuses that say more about a job that succeeded.
local refines_success = { partial = true, no_changes = true }

local first_real_time = timestamp "0002-01-01T00:00:00Z"

--- When something happened.
---@param text any  a field of a job
---@return number? seconds  since the epoch; nil when it was never set
function job.time(text)
  local seconds = timestamp(text)
  return seconds and seconds >= first_real_time and seconds or nil
end

--- How many there are.
---@param value any  a field: an integer, or a uint64 in decimal
---@return number count  a float where an integer cannot hold it; 0 when it is missing
function job.count(value)
  if type(value) == "string" then value = value:find("^%d+$") and tonumber(value) end
  return math.type(value) and value > 0 and (math.tointeger(value) or value) or 0
end

-- How the job ended; nil while it is not over. The end of a job in an unknown phase is known by
-- its status, or by its time; without a status that says better, it counts as a failure.
local function outcome(item)
  local ended, by_status = outcome_of_phase[item.phase], outcome_of_status[item.status]
  if ended == "succeeded" and refines_success[by_status] then return by_status end
  if ended or is_under_way[item.phase] then return ended end
  return by_status or job.time(item.finished_at) and "failed" or nil
end

-- gradient.outcome, see types.lua
function job.outcome(item)
  return outcome(check.value("the job", item, check.table, 2))
end

-- gradient.is_finished, see types.lua
function job.is_finished(item)
  return outcome(check.value("the job", item, check.table, 2)) ~= nil
end

-- Is this the outcome of a job that succeeded, wholly, partially or without changes?
function job.is_success(ended)
  return ended == "succeeded" or refines_success[ended] or false
end

--- How a job has ended, in the API's words: its phase, or a status that says more than that.
---@param item gradient.job  that is over
---@return string
function job.ending(item)
  local is_unknown = not outcome_of_phase[item.phase]
  local name = is_unknown and outcome_of_status[item.status] and item.status or item.phase
  return type(name) == "string" and name or "an unknown phase"
end

-- The sum of a count over data sources. As a float on the way: integers would wrap around.
local function sum(sources, name)
  local total = 0.0
  for _, source in ipairs(sources) do total = total + job.count(source[name]) end
  return math.tointeger(total) or total
end

-- Do these data sources cover the whole job? One that is under way may not have counted its files
-- yet, and those whose turn has not come may be missing.
local function is_complete(item, sources, name)
  if outcome(item) then return true end
  for _, source in ipairs(sources) do
    if job.count(source[name]) == 0 and not job.time(source.completed_at) then return false end
  end
  return #sources >= job.count(item.total_datasources)
end

local units = {
  { name = "files", done = "indexed_file_count", total = "total_file_count" },
  { name = "bytes", done = "total_bytes_indexed", total = "total_bytes" },
}

-- gradient.progress, see types.lua
function job.progress(item)
  check.value("the job", item, check.table, 2)
  local sources = {}
  for _, source in ipairs(type(item.data_source_jobs) == "table" and item.data_source_jobs or {}) do
    if type(source) == "table" then sources[#sources + 1] = source end
  end
  for _, unit in ipairs(units) do
    local done, total = sum(sources, unit.done), sum(sources, unit.total)
    if done > 0 or total > 0 then
      local is_known = total > 0 and is_complete(item, sources, unit.total)
      return { done = done, total = is_known and total or nil, unit = unit.name }
    end
  end
  local total = job.count(item.total_datasources)
  return {
    done = job.count(item.completed_datasources), total = total > 0 and total or nil,
    unit = "data sources",
  }
end

return job
