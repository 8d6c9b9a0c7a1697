--- Indexing jobs: what fills a knowledge base.
--- https://docs.digitalocean.com/reference/api/reference/agent-platform-api/
--- types.lua says what each operation takes and returns.

local check = require "gradient.check"
local jobs = require "gradient.job"
local poll = require "gradient.poll"
local report = require "gradient.report"
local resource = require "gradient.resource"
local timestamp = require "gradient.timestamp"

local indexing_jobs = {}

-- Filters of `each`: kinds (see check.lua) that make a value a test of jobs.

-- The field is this string, or one of these.
local function among(field, kind)
  return { kind[1], function(value, what)
    local wanted, complaint = kind[2](value, what)
    if not wanted then return nil, complaint end
    local is_wanted = {}
    for _, text in ipairs(type(wanted) == "table" and wanted or { wanted }) do
      is_wanted[text] = true
    end
    return function(job) return is_wanted[job[field]] == true end
  end }
end

local created_since = {
  "an RFC 3339 date-time or a number of seconds since the epoch",
  function(value, what)
    local earliest, complaint = value, nil
    if type(value) == "string" then earliest, complaint = timestamp(value) end
    if complaint then return nil, ("%s is %s"):format(what, complaint) end
    if not math.type(earliest) or earliest ~= earliest then return nil end
    return function(job)
      local created = timestamp(job.created_at)
      return created ~= nil and created >= earliest
    end
  end,
}

indexing_jobs.list = {
  method = "GET", path = "v2/gen-ai/indexing_jobs", member = "jobs", opener = "[",
  query = { page = check.integer, per_page = check.integer },
  filter = {
    knowledge_base_uuid = among("knowledge_base_uuid", check.id),
    phase = among("phase", check.strings), status = among("status", check.strings),
    since = created_since,
  },
}

indexing_jobs.list_by_knowledge_base = {
  method = "GET", path = "v2/gen-ai/knowledge_bases/{uuid}/indexing_jobs",
  member = "jobs", opener = "[",
}

indexing_jobs.retrieve = {
  method = "GET", path = "v2/gen-ai/indexing_jobs/{uuid}", member = "job", opener = "{",
  identity = "uuid",
}

indexing_jobs.create = {
  method = "POST", path = "v2/gen-ai/indexing_jobs", member = "job", opener = "{",
  body = { knowledge_base_uuid = check.id, data_source_uuids = check.ids },
  required = { "knowledge_base_uuid" }, caution = "the job may have been started",
}

indexing_jobs.update_cancel = {
  method = "PUT", path = "v2/gen-ai/indexing_jobs/{uuid}/cancel", member = "job", opener = "{",
  body = { uuid = check.id }, identity = "uuid",
}

indexing_jobs.retrieve_data_sources = {
  method = "GET", path = "v2/gen-ai/indexing_jobs/{uuid}/data_sources",
  member = "indexed_data_sources", opener = "[",
}

indexing_jobs.retrieve_signed_url = {
  method = "GET", path = "v2/gen-ai/indexing_jobs/{uuid}/details_signed_url",
  member = "signed_url", opener = '"', redact = report.redact,
  absent = { kind = "not_found", message = "the indexing job has no report" },
}

indexing_jobs.retrieve_report = { ids = { "uuid" }, run = report.fetch }

indexing_jobs.wait_for_completion = poll{
  subject = "indexing job %s", unready = "is not over", kind = "job_failed",
  judge = function(answer)
    local job = answer.job
    local outcome = jobs.outcome(job)
    if not outcome or jobs.is_success(outcome) then return outcome ~= nil end
    return false, "ended with " .. jobs.ending(job)
  end,
  progress = function(answer) return answer.job end,
  seen = function(answer) return { job = answer.job } end,
}

-- Any of these statuses may mean "there is a job under way already": the API does not document it.
local may_be_busy = { [400] = true, [409] = true, [422] = true }

indexing_jobs.start = {
  body = indexing_jobs.create.body, required = indexing_jobs.create.required,
  run = function(operations, client, _, params, options)
    local deadline = resource.deadline(client, options)
    local answer, response = operations.create(params, options)
    if answer then
      response.attached = false
      return answer, response
    end
    local err = response
    if not may_be_busy[err.status] then return nil, err end
    local page
    page, response = operations.list_by_knowledge_base(params.knowledge_base_uuid,
      resource.options_until(client, options, deadline))
    for _, job in ipairs(page and page.jobs or {}) do
      if type(job) == "table" and not jobs.is_finished(job) then
        response.attached = true
        return { job = job }, response
      end
    end
    return nil, err
  end,
}

return indexing_jobs
