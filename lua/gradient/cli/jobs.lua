--- What there is to see of a job: its state, the columns of tables, and its fields.

local format = require "gradient.cli.format"
local rules = require "gradient.job"

local jobs = {}

local style_of_state = {
  pending = "dim", running = "cyan", succeeded = "green", ["no changes"] = "green",
  partial = "yellow", failed = "red", cancelled = "yellow",
}

--- How the job ended, or else its phase, in a word or two: "running", "no changes".
---@param job gradient.job
---@return string
function jobs.state(job)
  local outcome = rules.outcome(job)
  return outcome and format.short(outcome, "") or format.short(job.phase, "BATCH_JOB_PHASE_")
end

function jobs.style(job)
  return style_of_state[jobs.state(job)]
end

--- Seconds from one moment to another (default: now); never negative, though clocks differ.
function jobs.seconds_between(from, to)
  from = rules.time(from)
  return from and math.max(0, (rules.time(to) or os.time()) - from)
end

local function sources(job)
  return format.fraction(job.completed_datasources, job.total_datasources)
end

local function done_of(done, total, unit)
  local fraction = format.fraction(done, total, unit == "bytes" and format.bytes or nil)
  return ("%s %s"):format(fraction, unit)
end

-- What is done of a job's files, or else of its bytes or data sources; "-" before anything is.
local function done(job)
  local progress = rules.progress(job)
  if progress.done == 0 and not progress.total then return "-" end
  return done_of(progress.done, progress.total, progress.unit)
end

-- The widest text that `done` may come to return.
local function all_done(job)
  local progress = rules.progress(job)
  local most = math.max(progress.done, progress.total or 0)
  return done_of(most, most, progress.unit)
end

--- What is done of a job's files, see gradient.progress; nil where nothing is known of files.
function jobs.files(job)
  local progress = rules.progress(job)
  return progress.unit == "files" and progress or nil
end

--- The part that is done, 0 to 1; nil while the whole is not known. A job that has succeeded is
--- done, though it may have skipped files.
function jobs.share(job)
  local outcome, progress = rules.outcome(job), rules.progress(job)
  if outcome == "succeeded" or outcome == "no_changes" then return 1 end
  return progress.total and math.min(progress.done / progress.total, 1)
end

local function text_of(name)
  return function(job) return format.text(job[name]) end
end

jobs.uuid = { name = "job", title = "JOB", field = "uuid", text = text_of "uuid" }

jobs.state_column = {
  name = "state", title = "STATE", text = jobs.state, style = jobs.style,
  widest = function() return "no changes" end,
}

--- The knowledge base's name where it is known, else its uuid.
---@param names gradient.cli.names
function jobs.base(names)
  local function text(job)
    return format.text(names:of(job.knowledge_base_uuid) or job.knowledge_base_uuid)
  end
  return {
    name = "base", title = "KNOWLEDGE BASE", field = "knowledge_base_uuid", least = 20,
    dispensable = 3, text = text, key = text,
  }
end

local function phase(job)
  return format.short(job.phase, "BATCH_JOB_PHASE_")
end

local function status(job)
  return format.short(job.status, "INDEX_JOB_STATUS_")
end

local function age(job)
  return jobs.seconds_between(job.created_at)
end

local function took(job)
  return jobs.seconds_between(job.started_at, job.finished_at)
end

--- The columns of a list of jobs.
---@param names gradient.cli.names
function jobs.columns(names)
  return {
    jobs.uuid, jobs.base(names), jobs.state_column,
    { name = "phase", title = "PHASE", field = "phase", text = phase, is_wide = true },
    { name = "status", title = "STATUS", field = "status", text = status, is_wide = true },
    { name = "sources", title = "SOURCES", right = true, dispensable = 2, text = sources,
      key = function(job) return rules.count(job.completed_datasources) end },
    { name = "tokens", title = "TOKENS", field = "tokens", right = true, dispensable = 1,
      text = function(job) return format.count(job.total_tokens or job.tokens) end,
      key = function(job) return rules.count(job.total_tokens or job.tokens) end },
    { name = "age", title = "AGE", right = true, dispensable = 4, key = age,
      text = function(job) return format.age(age(job)) end,
      widest = function() return "999 d" end },
    { name = "took", title = "TOOK", right = true, is_wide = true, key = took,
      text = function(job) return format.clock(took(job)) end },
    { name = "created", title = "CREATED", field = "created_at", is_wide = true,
      text = text_of "created_at" },
  }
end

--- The columns of a view of jobs under way.
---@param names gradient.cli.names
function jobs.progress_columns(names)
  return {
    jobs.base(names),
    { name = "job", title = "JOB", least = 9, text = text_of "uuid" },
    jobs.state_column,
    { title = "PROGRESS", width = 24, least = 8, style = jobs.style, text = function(job, room)
      return format.bar(jobs.share(job) or 0, room)
    end },
    { title = "DONE", right = true, dispensable = 2, text = done, widest = all_done },
    { title = "TIME", right = true, dispensable = 1, text = function(job)
      return format.clock(jobs.seconds_between(job.created_at, job.finished_at))
    end },
  }
end

--- The fields of a job in the order of the API's description, the details of its data sources left
--- out.
jobs.fields = {
  "uuid", "knowledge_base_uuid", "data_source_uuids", "phase", "status", "created_at",
  "started_at", "finished_at", "updated_at", "completed_datasources", "total_datasources",
  "tokens", "total_items_failed", "total_items_indexed", "total_items_skipped", "total_tokens",
  "is_report_available",
}

return jobs
