--- One watcher for each descriptor: many may wait for the same one (over HTTP/2, all who share a
--- connection). Each time that it is ready wakes one of them, in turn: what that one does is done
--- for all, and the loop gets to its other work in between. While there is more to do, the
--- descriptor stays ready.

---@class gradient.wait.watcher
---@field queue table<integer, fun()>  whom to wake, from `first` to `last`, with gaps
---@field first integer
---@field last integer
---@field readers integer
---@field writers integer
---@field events string  what the loop watches for now: "r", "w" or "rw"; "" at first
---@field stop fun()?  ends that

local function wake_next(watcher)
  for place = watcher.first, watcher.last do
    local wake = watcher.queue[place]
    if wake then
      watcher.first = place
      return wake()
    end
  end
end

--- The same as `watch` with one watcher for each descriptor at a time.
---@param watch fun(fd: integer, events: "r"|"w"|"rw", wake: fun()): fun()  as in loop.lua
---@return fun(fd: integer, events: "r"|"w"|"rw", wake: fun()): fun()
return function(watch)
  local watchers = {} -- by descriptor

  -- Counts a waiter in (1) or out (-1), and watches for what they want; not at all without any.
  local function count(fd, watcher, events, step)
    if events:find("r", 1, true) then watcher.readers = watcher.readers + step end
    if events:find("w", 1, true) then watcher.writers = watcher.writers + step end
    local wanted = (watcher.readers > 0 and "r" or "") .. (watcher.writers > 0 and "w" or "")
    if wanted == watcher.events then return end
    if watcher.stop then watcher.stop() end
    watchers[fd], watcher.events, watcher.stop = nil, "", nil
    if wanted ~= "" then
      watcher.stop = watch(fd, wanted, function() wake_next(watcher) end)
      watchers[fd], watcher.events = watcher, wanted
    end
  end

  return function(fd, events, wake)
    local watcher = watchers[fd]
      or { queue = {}, first = 1, last = 0, readers = 0, writers = 0, events = "" }
    local place = watcher.last + 1
    watcher.queue[place], watcher.last = wake, place
    count(fd, watcher, events, 1)
    return function()
      watcher.queue[place] = nil
      count(fd, watcher, events, -1)
    end
  end
end
