--- What there is to see of a job and of its data sources: the columns of tables, and the fields.

local enums = require "gradient.enums"
local format = require "gradient.cli.format"
local timestamp = require "gradient.timestamp"

local jobs = {}

local uuid_width = 36

local phase_style = {
  [enums.phase.PENDING] = "dim", [enums.phase.RUNNING] = "cyan",
  [enums.phase.SUCCEEDED] = "green", [enums.phase.FAILED] = "red", [enums.phase.ERROR] = "red",
  [enums.phase.CANCELLED] = "yellow",
}

local source_style = {
  [enums.data_source_status.IN_PROGRESS] = "cyan", [enums.data_source_status.UPDATED] = "green",
  [enums.data_source_status.PARTIALLY_UPDATED] = "yellow",
  [enums.data_source_status.FAILED] = "red", [enums.data_source_status.CANCELLED] = "yellow",
}

local function style(job)
  return phase_style[job.phase]
end

--- The phase in a word: "running".
function jobs.phase(job)
  return format.short(job.phase, "BATCH_JOB_PHASE_")
end

-- Seconds from one moment to another (default: now), as clocks that differ may have it.
local function seconds_between(from, to)
  from = timestamp(from)
  return from and math.max(0, (timestamp(to) or os.time()) - from)
end

local function done_of_total(done, total)
  return ("%s/%s"):format(format.text(done or 0), format.text(total))
end

local uuid = { title = "JOB", width = uuid_width, text = function(job)
  return format.text(job.uuid)
end }

local phase = { title = "PHASE", width = 9, text = jobs.phase, style = style }

jobs.columns = {
  uuid,
  { title = "KNOWLEDGE BASE", width = uuid_width, least = 14, dispensable = 2, text = function(job)
    return format.text(job.knowledge_base_uuid)
  end },
  phase,
  { title = "STATUS", width = 11, dispensable = 1, text = function(job)
    return format.short(job.status, "INDEX_JOB_STATUS_")
  end },
  { title = "SOURCES", width = 7, right = true, text = function(job)
    return done_of_total(job.completed_datasources, job.total_datasources)
  end },
  { title = "TOKENS", width = 13, right = true, dispensable = 3, text = function(job)
    return format.thousands(job.total_tokens or job.tokens or 0)
  end },
  { title = "AGE", width = 5, right = true, dispensable = 4, text = function(job)
    return format.age(seconds_between(job.created_at))
  end },
}

-- Done of the data sources, 0 to 1.
local function share(job)
  local done, total = job.completed_datasources, job.total_datasources
  if not (math.type(done) and math.type(total)) or total <= 0 then
    return job.phase == enums.phase.SUCCEEDED and 1 or 0
  end
  return math.max(0, math.min(done / total, 1))
end

-- Items a second, on average; by the server's clock as far as it is told.
local function rate(job)
  local items = tonumber(job.total_items_indexed)
  local seconds = seconds_between(job.started_at, job.finished_at or job.updated_at)
  if not items or not seconds or seconds == 0 then return "-" end
  return format.thousands(("%.0f"):format(items / seconds))
end

-- In the narrowest of these a terminal of 80 characters has room for.
jobs.progress_columns = {
  uuid, phase,
  { title = "PROGRESS", width = 24, least = 8, style = style, text = function(job, width)
    return format.bar(share(job), width)
  end },
  { title = "DONE", width = 5, right = true, text = function(job)
    return done_of_total(job.completed_datasources, job.total_datasources)
  end },
  { title = "ITEMS/S", width = 7, right = true, dispensable = 1, text = rate },
  { title = "TIME", width = 5, right = true, dispensable = 2, text = function(job)
    return format.clock(seconds_between(job.created_at, job.finished_at))
  end },
}

local function error_text(source)
  local message, details = format.text(source.error_msg), format.text(source.error_details)
  if details == "-" then return message == "-" and "" or message end
  return message == "-" and details or message .. ": " .. details
end

local function count_column(title, name, rank)
  return { title = title, width = 9, right = true, dispensable = rank, text = function(source)
    return format.thousands(source[name])
  end }
end

jobs.source_columns = {
  { title = "DATA SOURCE", width = uuid_width, text = function(source)
    return format.text(source.data_source_uuid)
  end },
  { title = "STATUS", width = 17, text = function(source)
    return format.short(source.status, "DATA_SOURCE_STATUS_")
  end, style = function(source) return source_style[source.status] end },
  count_column("INDEXED", "indexed_item_count"),
  count_column("SKIPPED", "skipped_item_count", 1),
  count_column("REMOVED", "removed_item_count", 1),
  count_column("FAILED", "failed_item_count", 3),
  { title = "SIZE", width = 6, right = true, dispensable = 2, text = function(source)
    return format.bytes(source.total_bytes)
  end },
  { title = "ERROR", width = 80, least = 5, dispensable = 4, text = error_text },
}

--- The fields of a job in the order of the API's description, the details of its data sources left
--- out.
jobs.fields = {
  "uuid", "knowledge_base_uuid", "data_source_uuids", "phase", "status", "created_at",
  "started_at", "finished_at", "updated_at", "completed_datasources", "total_datasources",
  "tokens", "total_items_failed", "total_items_indexed", "total_items_skipped", "total_tokens",
  "is_report_available",
}

return jobs
