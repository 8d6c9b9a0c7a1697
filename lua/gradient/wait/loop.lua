--- What the adapters for event loops with callbacks share: a coroutine sleeps until one of its
--- descriptors, or a timer, wakes it. However it goes on (woken, resumed by somebody else, closed),
--- the loop no longer watches anything for it.

local shared = require "gradient.wait.shared"

local loop = {}

-- An error in the coroutine goes to the loop, which has resumed it.
local function must_resume(thread)
  local ok, problem = coroutine.resume(thread)
  if not ok then error(debug.traceback(thread, tostring(problem)), 0) end
end

-- How to put the running coroutine to sleep, and how to wake it.
local function plain_coroutine(name)
  local thread, is_main = coroutine.running()
  if is_main then error(name .. ": this is no coroutine", 0) end
  return coroutine.yield, function() must_resume(thread) end
end

local function forget(watched)
  watched.is_asleep = false
  for _, stop in ipairs(watched) do stop() end
end

local watched_metatable = { __close = forget }

---@class gradient.wait.loop
---@field name string  of the adapter, for messages
---@field watch fun(fd: integer, events: "r"|"w"|"rw", wake: fun()): fun()  calls `wake` each time
---that the descriptor is ready, until the function is called that it returns; only one at a time is
---asked for each descriptor
---@field after fun(seconds: number, wake: fun()): fun()  the same when the time is over
---@field sleeper? fun(): (fun(), fun())  how the running coroutine is put to sleep, and how woken

--- The `wait` for a loop.
---@param host gradient.wait.loop
---@return fun(fds: { fd: integer, events: "r"|"w"|"rw" }[], seconds: number)
function loop.adapter(host)
  local sleeper, watch = host.sleeper or plain_coroutine, shared(host.watch)
  return function(fds, seconds)
    local sleep, resume = sleeper(host.name)
    local watched <close> = setmetatable({ is_asleep = false }, watched_metatable)
    local function wake()
      if not watched.is_asleep then return end
      watched.is_asleep = false
      resume()
    end
    for _, want in ipairs(fds) do
      watched[#watched + 1] = watch(want.fd, want.events, wake)
    end
    watched[#watched + 1] = host.after(seconds, wake)
    watched.is_asleep = true
    sleep()
  end
end

return loop
