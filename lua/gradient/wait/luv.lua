--- `wait` for programs on libuv: inside any coroutine, under uv.run, only that coroutine waits.
--- https://docs.libuv.org/en/v1.x/poll.html

-- luv runs callbacks in the coroutine that has loaded it (until 2024, luvit/luv#503), and crashes
-- when that one waits.
if not package.loaded.luv and not select(2, coroutine.running()) then
  error("gradient.wait.luv: this is a coroutine, and the first to load luv must not be one", 0)
end

local loop = require "gradient.wait.loop"
local uv = require "luv"

local function watch(fd, events, wake)
  local handle = assert(uv.new_poll(fd))
  local function ready(problem)
    wake()
    -- after a problem, such as a reset connection, libuv has stopped the handle
    if problem and not handle:is_closing() then assert(handle:start(events, ready)) end
  end
  assert(handle:start(events, ready))
  return function() handle:close() end
end

local function after(seconds, wake)
  local timer = uv.new_timer()
  uv.update_time() -- or the time counts from when the loop was woken last
  timer:start(math.ceil(seconds * 1000), 0, wake)
  return function() timer:close() end
end

return loop.adapter{ name = "gradient.wait.luv", watch = watch, after = after }
