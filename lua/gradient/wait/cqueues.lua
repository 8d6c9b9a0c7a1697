--- `wait` for programs on cqueues: only the calling coroutine waits, and the loop goes on.
--- http://www.25thandclement.com/~william/projects/cqueues.pdf (cqueues.poll, cqueue:cancel)

local cqueues = require "cqueues"

-- By loop: descriptor → number of coroutines that wait for it.
local waiting = setmetatable({}, { __mode = "k" })

local function join(counts, fds)
  for _, want in ipairs(fds) do counts[want.fd] = (counts[want.fd] or 0) + 1 end
end

-- libcurl may close a descriptor as soon as it works again; by then the loop must have forgotten
-- it, or it would confuse it with the next one of that number. Cancelling a descriptor wakes
-- everybody who waits for it, so the last one does it.
local function leave(loop, counts, fds)
  for _, want in ipairs(fds) do
    counts[want.fd] = counts[want.fd] > 1 and counts[want.fd] - 1 or nil
    if not counts[want.fd] then loop:cancel(want.fd) end
  end
end

---@param fds { fd: integer, events: "r"|"w"|"rw" }[]
---@param seconds number
return function(fds, seconds)
  local loop = cqueues.running()
  if not loop then error("gradient.wait.cqueues: this is no coroutine of a cqueues loop", 0) end
  local counts = waiting[loop] or {}
  waiting[loop] = counts
  local objects = {}
  for position, want in ipairs(fds) do
    objects[position] = { pollfd = want.fd, events = want.events }
  end
  objects[#objects + 1] = seconds
  join(counts, fds)
  local _ <close> = setmetatable({}, { __close = function() leave(loop, counts, fds) end })
  cqueues.poll(table.unpack(objects))
end
