--- `wait` for programs on libuv: inside any coroutine, under uv.run, only that coroutine waits.
--- https://docs.libuv.org/en/v1.x/poll.html: one poll handle for each descriptor, so coroutines
--- that wait for the same one share its handle.

-- luv runs callbacks in the coroutine that has loaded it (until 2024, luvit/luv#503), and crashes
-- when that one waits.
if not package.loaded.luv and not select(2, coroutine.running()) then
  error("gradient.wait.luv: this is a coroutine, and the first to load luv must not be one", 0)
end
local uv = require "luv"

local watchers = {} -- by descriptor

local function new_watcher(fd)
  local watcher = { handle = assert(uv.new_poll(fd)), readers = 0, writers = 0, waiters = {} }
  function watcher.on_ready(problem)
    if problem then watcher.events = nil end -- libuv has stopped the handle
    local waiters = {}
    for wake in pairs(watcher.waiters) do waiters[#waiters + 1] = wake end
    for _, wake in ipairs(waiters) do wake() end
  end
  return watcher
end

-- Counts a waiter in (1) or out (-1), and polls for what all of them want; without any, no more.
local function count(fd, watcher, events, step)
  if events:find("r", 1, true) then watcher.readers = watcher.readers + step end
  if events:find("w", 1, true) then watcher.writers = watcher.writers + step end
  local wanted = (watcher.readers > 0 and "r" or "") .. (watcher.writers > 0 and "w" or "")
  if wanted == "" then
    watchers[fd] = nil
    watcher.handle:close()
  elseif wanted ~= watcher.events then
    watcher.events = wanted
    watcher.handle:start(wanted, watcher.on_ready)
  end
end

local function watch(want, wake)
  local watcher = watchers[want.fd] or new_watcher(want.fd)
  watchers[want.fd] = watcher
  watcher.waiters[wake] = want.events
  count(want.fd, watcher, want.events, 1)
end

local function unwatch(want, wake)
  local watcher = watchers[want.fd]
  if watcher and watcher.waiters[wake] then
    watcher.waiters[wake] = nil
    count(want.fd, watcher, want.events, -1)
  end
end

---@param fds { fd: integer, events: "r"|"w"|"rw" }[]
---@param seconds number
return function(fds, seconds)
  local waiting, is_main = coroutine.running()
  if is_main then error("gradient.wait.luv: this is no coroutine", 0) end
  local timer = uv.new_timer()
  local woken = false
  local function wake()
    if woken then return end
    woken = true
    local ok, problem = coroutine.resume(waiting)
    if not ok then error(debug.traceback(waiting, tostring(problem)), 0) end
  end
  local _ <close> = setmetatable({}, { __close = function()
    woken = true
    timer:close()
    for _, want in ipairs(fds) do unwatch(want, wake) end
  end })
  for _, want in ipairs(fds) do watch(want, wake) end
  timer:start(math.ceil(seconds * 1000), 0, wake)
  coroutine.yield()
end
