--- `wait` for programs on lua-ev (libev): inside any coroutine, under ev.Loop.default, only that
--- coroutine waits. https://github.com/brimworks/lua-ev

local ev = require "ev"
local loop = require "gradient.wait.loop"

local events_of = { r = ev.READ, w = ev.WRITE, rw = ev.READ | ev.WRITE }

local function start(watcher)
  watcher:start(ev.Loop.default)
  return function() watcher:stop(ev.Loop.default) end
end

local function watch(fd, events, wake) return start(ev.IO.new(wake, fd, events_of[events])) end

local function after(seconds, wake)
  ev.Loop.default:update_now() -- or the time counts from when the loop was woken last
  return start(ev.Timer.new(wake, seconds))
end

return loop.adapter{ name = "gradient.wait.ev", watch = watch, after = after }
