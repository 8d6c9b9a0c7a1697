--- For event loops that take one watcher for each descriptor: whoever waits for the same one (over
--- HTTP/2, all who share a connection) shares its watcher.

---@class gradient.wait.watcher
---@field waiters table<fun(), true>  whom to wake
---@field readers integer
---@field writers integer
---@field handle any  the loop's own
---@field events string?  what the loop watches for now: "r", "w" or "rw"

-- Wakes all that there are now; those that are woken may come back at once.
local function wake_all(watcher)
  local waiters = {}
  for wake in pairs(watcher.waiters) do waiters[#waiters + 1] = wake end
  for _, wake in ipairs(waiters) do wake() end
end

--- `watch` for loop.lua.
---@param open fun(fd: integer, ready: fun()): any  a handle that does not watch yet
---@param set fun(handle: any, events: "r"|"w"|"rw", ready: fun(problem?: any))  watches for these
---from now on; a loop that gives `ready` a problem watches no more
---@param close fun(handle: any)
---@return fun(fd: integer, events: "r"|"w"|"rw", wake: fun()): fun()
return function(open, set, close)
  local watchers = {} -- by descriptor

  local function new_watcher(fd)
    local watcher = { waiters = {}, readers = 0, writers = 0 }
    function watcher.ready(problem)
      if problem then watcher.events = nil end
      wake_all(watcher)
    end
    watcher.handle = open(fd, watcher.ready)
    watchers[fd] = watcher
    return watcher
  end

  -- Counts a waiter in (1) or out (-1), and watches for what all of them want; no more if nobody.
  local function count(fd, watcher, events, step)
    if events:find("r", 1, true) then watcher.readers = watcher.readers + step end
    if events:find("w", 1, true) then watcher.writers = watcher.writers + step end
    local wanted = (watcher.readers > 0 and "r" or "") .. (watcher.writers > 0 and "w" or "")
    if wanted == "" then
      watchers[fd] = nil
      close(watcher.handle)
    elseif wanted ~= watcher.events then
      watcher.events = wanted
      set(watcher.handle, wanted, watcher.ready)
    end
  end

  return function(fd, events, wake)
    local watcher = watchers[fd] or new_watcher(fd)
    watcher.waiters[wake] = true
    count(fd, watcher, events, 1)
    return function()
      watcher.waiters[wake] = nil
      count(fd, watcher, events, -1)
    end
  end
end
