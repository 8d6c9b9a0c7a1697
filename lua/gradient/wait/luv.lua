--- `wait` for programs on libuv: inside any coroutine, under uv.run, only that coroutine waits.
--- https://docs.libuv.org/en/v1.x/poll.html: one poll handle for each descriptor.

-- luv runs callbacks in the coroutine that has loaded it (until 2024, luvit/luv#503), and crashes
-- when that one waits.
if not package.loaded.luv and not select(2, coroutine.running()) then
  error("gradient.wait.luv: this is a coroutine, and the first to load luv must not be one", 0)
end

local loop = require "gradient.wait.loop"
local shared = require "gradient.wait.shared"
local uv = require "luv"

local function open(fd) return assert(uv.new_poll(fd)) end

local function set(handle, events, ready)
  assert(handle:start(events, ready)) -- ready(problem): with one, libuv has stopped the handle
end

local function close(handle) handle:close() end

local function after(seconds, wake)
  local timer = uv.new_timer()
  uv.update_time() -- or the time counts from when the loop was woken last
  timer:start(math.ceil(seconds * 1000), 0, wake)
  return function() timer:close() end
end

return loop.adapter{ name = "gradient.wait.luv", watch = shared(open, set, close), after = after }
