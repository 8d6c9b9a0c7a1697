--- `wait` for modules of Prosody, 0.12 or later: inside util.async (an HTTP request's handler, a
--- runner that a timer's task starts), only the calling coroutine waits.
--- https://prosody.im/doc/developers/util/async and /net/server

local async = require "util.async"
local loop = require "gradient.wait.loop"
local server = require "net.server"
local timer = require "util.timer"

-- Only the default of the option "network_backend" watches for the events that it should.
if server.get_backend() ~= "epoll" then
  return require "gradient.wait.polling"(async.sleep)
end

local function watch(fd, events, wake)
  local watcher = server.watchfd(fd, wake, wake)
  watcher:setflags(events:find("r", 1, true) ~= nil, events:find("w", 1, true) ~= nil)
  return function() watcher:close() end
end

local function after(seconds, wake)
  local task = timer.add_task(seconds, function() wake() end) -- what it returns is the next time
  return function() timer.stop(task) end
end

return loop.adapter{
  name = "gradient.wait.prosody", watch = watch, after = after,
  sleeper = function() return async.waiter(1, true) end,
}
