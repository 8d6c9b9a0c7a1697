--- What a command works with.

local complaint = require "gradient.cli.complaint"
local core = require "gradient.core"
local names = require "gradient.cli.names"

---@class gradient.cli.session
---@field parsed table  what the command line says
---@field output gradient.cli.output
---@field client gradient.client
---@field names gradient.cli.names
---@field on_response? fun(event: gradient.event)
---@field on_tick? fun()  while it waits, at least every second
local session_methods = {}

local session_metatable = { __index = session_methods }

local failed = 1 -- exit status
local tick = 1 -- second

-- Errors that are about one item only. After any other, the next item would fail, too.
local is_about_one = {
  bad_request = true, not_found = true, conflict = true, unprocessable_entity = true,
}

local function new(parsed, output)
  return setmetatable({ parsed = parsed, output = output }, session_metatable)
end

--- Takes the client, once it is there.
---@param client gradient.client
function session_methods:use(client)
  self.client = client
  self.names = names.new(not self.parsed.no_names and client or nil)
end

--- Waits as the client does by itself, but calls on_tick at least once a tick.
function session_methods:wait(fds, seconds)
  local deadline = core.now() + seconds
  repeat
    self.client.core:wait(math.max(0, math.min(tick, deadline - core.now())))
    if self.on_tick then self.on_tick() end
  until #fds > 0 or core.now() >= deadline
end

--- Acts on each item. If one fails, says which and why, and goes on with the next.
---@param kind string  what they are: "job"
---@param items string[]
---@param act fun(item: string): any, gradient.error?  nil and the error when it fails
---@return integer? status
function session_methods:each(kind, items, act)
  local status
  for _, item in ipairs(items) do
    local result, problem = act(item)
    if result == nil then
      if not is_about_one[problem.kind] then error(problem, 0) end
      local text = complaint.text(problem)
      if not text:find(item, 1, true) then text = ("%s %s: %s"):format(kind, item, text) end
      self.output:note(text)
      status = failed
    end
  end
  return status
end

return { new = new }
