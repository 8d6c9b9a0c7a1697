--- gradient-jobs bases: what is fresh, what failed.

local format = require "gradient.cli.format"
local jobs = require "gradient.cli.jobs"
local selection = require "gradient.cli.selection"

local bases = {
  name = "bases", alias = "kb", summary = "List knowledge bases with their latest jobs.",
  description = "Lists the knowledge bases, each with its latest job: how it ended or how far it"
    .. " is, and how long ago that was.",
  examples = {
    "gradient-jobs bases",
    "gradient-jobs bases --sort -age",
    "gradient-jobs bases --exit-status > /dev/null || echo 'not all is well'",
    "gradient-jobs bases --output csv --columns name,state,age",
  },
}

local per_page = 200 -- the most that one request can bring

local function job_of(base)
  local job = base.last_indexing_job
  return type(job) == "table" and job or nil
end

-- What `say` makes of the latest job; nil where there was none.
local function of_job(say)
  return function(base)
    local job = job_of(base)
    return job and say(job)
  end
end

local state, share, files = of_job(jobs.state), of_job(jobs.share), of_job(jobs.files)

-- Seconds since the latest job ended, or else began.
local age = of_job(function(job)
  return jobs.seconds_between(job.finished_at) or jobs.seconds_between(job.created_at)
end)

local function field(name, title, rank, least)
  return {
    name = title:lower(), title = title, field = name, dispensable = rank, least = least,
    text = function(base) return format.text(base[name]) end,
  }
end

local parts = {
  columns = {
    field("name", "NAME", nil, 30), field("region", "REGION", 2),
    { name = "state", title = "LAST JOB", style = of_job(jobs.style), text = function(base)
      return state(base) or "-"
    end },
    { name = "progress", title = "PROGRESS", right = true, dispensable = 4, key = share,
      text = function(base)
        local part = share(base)
        return part and ("%d %%"):format(part * 100 // 1) or "-"
      end },
    { name = "files", title = "FILES", right = true, dispensable = 3,
      key = function(base)
        local part = files(base)
        return part and part.done
      end,
      text = function(base)
        local part = files(base)
        return part and format.fraction(part.done, part.total) or "-"
      end },
    { name = "age", title = "AGE", right = true, key = age, text = function(base)
      return format.age(age(base))
    end },
    field("uuid", "UUID", 1),
  },
  fields = {
    "uuid", "name", "region", "created_at", "updated_at", "added_to_agent_at", "database_id",
    "embedding_model_uuid", "is_public", "project_id", "tags", "user_id",
  },
  job_of = job_of,
}

function bases.declare(command)
  selection.declare_order(command)
  selection.declare_format(command)
end

function bases.run(session)
  local chosen = selection.new(session.parsed, session.output, parts,
    "there are no knowledge bases")
  for base in session.client.knowledge_bases.each{ per_page = per_page } do
    chosen:take(base)
    if chosen:is_full() then break end
  end
  return chosen:finish()
end

return bases
