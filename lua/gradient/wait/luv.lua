--- `wait` for programs on libuv: inside any coroutine, under uv.run, only that coroutine waits.
--- https://docs.libuv.org/en/v1.x/poll.html: one poll handle for each descriptor, so coroutines
--- that wait for the same one share its handle.

-- luv runs callbacks in the coroutine that has loaded it (until 2024, luvit/luv#503), and crashes
-- when that one waits.
if not package.loaded.luv and not select(2, coroutine.running()) then
  error("gradient.wait.luv: this is a coroutine, and the first to load luv must not be one", 0)
end
local uv = require "luv"

local watchers = {} -- by descriptor: { handle, waiters = { [wake] = events } }

local function wanted_events(watcher)
  local readable, writable
  for _, events in pairs(watcher.waiters) do
    readable = readable or events:find("r", 1, true)
    writable = writable or events:find("w", 1, true)
  end
  return (readable and "r" or "") .. (writable and "w" or "")
end

-- (Re)starts the watcher for all that wait; without any, takes it down.
local function update(fd, watcher)
  local events = wanted_events(watcher)
  if events == "" then
    watchers[fd] = nil
    watcher.handle:close()
    return
  end
  watcher.handle:start(events, function()
    local waiters = {}
    for wake in pairs(watcher.waiters) do waiters[#waiters + 1] = wake end
    for _, wake in ipairs(waiters) do wake() end
  end)
end

local function watch(want, wake)
  local watcher = watchers[want.fd]
  if not watcher then
    watcher = { handle = assert(uv.new_poll(want.fd)), waiters = {} }
    watchers[want.fd] = watcher
  end
  watcher.waiters[wake] = want.events
  update(want.fd, watcher)
end

local function unwatch(want, wake)
  local watcher = watchers[want.fd]
  if watcher and watcher.waiters[wake] then
    watcher.waiters[wake] = nil
    update(want.fd, watcher)
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
