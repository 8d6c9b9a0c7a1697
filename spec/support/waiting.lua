--- What specs need to stand in a client's `wait`, and to look at descriptors.
--
--   waiting.poll(fds, seconds)     waits as `wait` has to; may be used from anywhere
--   waiting.open_descriptors()     how many descriptors this process has open
--   waiting.sockets()              those of them that are sockets: number → true
--   waiting.together{f, g, …}      runs functions as coroutines; their clients need
--                                  wait = coroutine.yield

local cqueues = require "cqueues"
local lfs = require "lfs"

--- Waits until one of the descriptors is ready, or the seconds are over; returns whether one is.
local function poll(fds, seconds)
  local wanted = {}
  for i, entry in ipairs(fds) do
    wanted[i] = { pollfd = entry.fd, events = entry.events }
  end
  wanted[#wanted + 1] = seconds
  return type(cqueues.poll(table.unpack(wanted))) == "table"
end

local function open_descriptors()
  local count = 0
  for _ in lfs.dir("/proc/self/fd") do
    count = count + 1
  end
  return count
end

local function sockets()
  local found = {}
  for name in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if target and target:find("^socket:") then
      found[math.tointeger(name)] = true
    end
  end
  return found
end

--- Resumes a coroutine and returns what it waits for; nil when it has ended.
local function resume(thread, now)
  local ok, fds, seconds = coroutine.resume(thread)
  if not ok then
    error(debug.traceback(thread, tostring(fds)), 0)
  end
  return coroutine.status(thread) ~= "dead" and { fds = fds, deadline = now + seconds } or nil
end

--- Waits until one of the threads can go on.
local function await_any(waits)
  local all, deadline = {}, math.huge
  for _, wait in pairs(waits) do
    table.move(wait.fds, 1, #wait.fds, #all + 1, all)
    deadline = math.min(deadline, wait.deadline)
  end
  poll(all, math.max(0, deadline - cqueues.monotime()))
end

local function together(functions)
  local waits = {}
  for _, f in ipairs(functions) do
    local thread = coroutine.create(f)
    waits[thread] = resume(thread, cqueues.monotime())
  end
  while next(waits) do
    await_any(waits)
    for thread, wait in pairs(waits) do
      local now = cqueues.monotime()
      if now >= wait.deadline or poll(wait.fds, 0) then
        waits[thread] = resume(thread, now)
      end
    end
  end
end

return {
  poll = poll,
  open_descriptors = open_descriptors,
  sockets = sockets,
  together = together,
}
