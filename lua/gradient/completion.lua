--- Waits until an indexing job is over.

local check = require "gradient.check"
local core = require "gradient.core"
local errors = require "gradient.errors"
local jobs = require "gradient.job"
local resource = require "gradient.resource"

local default_poll_interval = 5

---@class gradient.completion_settings
---@field poll_interval? number  seconds between two looks, default 5
---@field timeout? number  seconds in all; default: none
---@field on_progress? fun(job: gradient.job)  called after each look

local setting_kinds = {
  poll_interval = check.seconds, timeout = check.seconds, on_progress = check.callable,
}

local function failed(uuid, job, response)
  return nil, errors.new{
    kind = "job_failed", job = job, attempts = response.attempts,
    message = ("indexing job %s ended with %s"):format(uuid, job.phase or job.status or "failure"),
  }
end

local function timed_out(uuid, seconds, job, attempts)
  return nil, errors.new{
    kind = "timeout", job = job, attempts = attempts,
    message = ("indexing job %s is not over after %g seconds"):format(uuid, seconds),
  }
end

--- wait_for_completion for a resource with `retrieve`.
return function(operations, get_client)
  return function(uuid, settings, options)
    uuid = check.value("the uuid", uuid, check.id, 2)
    settings = check.fields("setting", settings, setting_kinds, 2)
    options = check.fields("option", options, resource.option_kinds, 2)
    local client = get_client(2)
    local deadline = settings.timeout and core.now() + settings.timeout
    local job
    while true do
      local answer, response = operations.retrieve(uuid, options, deadline)
      local is_late = deadline and core.now() >= deadline
      if not answer and not is_late then
        response.job = job
        return nil, response
      end
      if answer then
        job = answer.job
        if settings.on_progress then settings.on_progress(job) end
        local outcome = jobs.outcome(job)
        if jobs.is_success(outcome) then return answer, response end
        if outcome then return failed(uuid, job, response) end
      end
      if not is_late then
        local interval = settings.poll_interval or default_poll_interval
        local left = deadline and deadline - core.now() or math.huge
        client:sleep(math.min(interval, left))
        is_late = deadline and core.now() >= deadline
      end
      if is_late then return timed_out(uuid, settings.timeout, job, response.attempts) end
    end
  end
end
