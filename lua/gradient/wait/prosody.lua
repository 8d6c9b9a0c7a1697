--- `wait` for modules of Prosody, 0.12 or later: inside util.async (an HTTP request's handler, a
--- timer's task that starts a runner), only that one waits.
--- https://prosody.im/doc/developers/util/async and /net/server

local async = require "util.async"
local loop = require "gradient.wait.loop"
local server = require "net.server"
local shared = require "gradient.wait.shared"
local timer = require "util.timer"

-- Only the default of the option "network_backend" can change what it watches a descriptor for.
if server.get_backend() ~= "epoll" then
  return require "gradient.wait.polling"(async.sleep)
end

local function open(fd, ready)
  local function on_event() ready() end -- without the watcher that it gets
  return server.watchfd(fd, on_event, on_event)
end

local function set(watcher, events)
  watcher:setflags(events:find("r", 1, true) ~= nil, events:find("w", 1, true) ~= nil)
end

local function close(watcher) watcher:close() end

local function after(seconds, wake)
  local task = timer.add_task(seconds, function() wake() end) -- what it returns is the next time
  return function() timer.stop(task) end
end

return loop.adapter{
  name = "gradient.wait.prosody", watch = shared(open, set, close), after = after,
  sleeper = function() return async.waiter(1, true) end,
}
