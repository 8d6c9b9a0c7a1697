--- Operations that poll: they ask again until what they wait for has happened.

local check = require "gradient.check"
local core = require "gradient.core"
local errors = require "gradient.errors"
local resource = require "gradient.resource"

local default_poll_interval = 5

--- How wait_for_completion and wait_for_database wait: how often they look, and for how long.
---@class gradient.poll_settings
---@field poll_interval? number  seconds between two looks, default 5
---@field timeout? number  seconds in all; default: none
---@field on_progress? fun(seen: table)  called after each look: wait_for_completion passes the
--- job, wait_for_database the answer

local setting_kinds = {
  poll_interval = check.seconds, timeout = check.seconds, on_progress = check.callable,
}

-- An error, with what was seen last.
local function failure(plan, answer, fields)
  for name, value in pairs(answer and plan.seen(answer) or {}) do fields[name] = value end
  return nil, errors.new(fields)
end

local function wait(plan, operations, client, uuid, settings, options)
  local deadline = core.now() + (settings.timeout or math.huge)
  local subject, latest = plan.subject:format(uuid), nil
  while true do
    local answer, response = operations.retrieve(uuid,
      resource.options_until(client, options, deadline))
    local is_late = core.now() >= deadline
    if not (answer or is_late and latest) then return failure(plan, latest, response) end
    if answer then
      latest = answer
      if settings.on_progress then settings.on_progress(plan.progress(answer)) end
      local reached, complaint = plan.judge(answer)
      if reached then return answer, response end
      if complaint then
        return failure(plan, answer, {
          kind = plan.kind, message = subject .. " " .. complaint, attempts = response.attempts,
        })
      end
    end
    if not is_late then
      local interval = settings.poll_interval or default_poll_interval
      client:sleep(math.min(interval, deadline - core.now()))
      is_late = core.now() >= deadline
    end
    if is_late then
      return failure(plan, latest, {
        kind = "timeout", attempts = response.attempts,
        message = ("%s %s after %g seconds"):format(subject, plan.unready, settings.timeout),
      })
    end
  end
end

--- Declares an operation (see resource.lua) that calls the resource's `retrieve` until `judge`
--- decides. The plan:
---   subject    what it is about, with %s for the uuid
---   judge      function(answer) → true when it has happened; false and why when it never will
---   kind       of the error in that case
---   unready    what a time-out says of the subject
---   progress   function(answer) → what on_progress is called with
---   seen       function(answer) → fields for an error
---@param plan table
return function(plan)
  return {
    ids = { "uuid" }, settings = setting_kinds,
    run = function(operations, client, ids, settings, options)
      return wait(plan, operations, client, ids.uuid, settings, options)
    end,
  }
end
