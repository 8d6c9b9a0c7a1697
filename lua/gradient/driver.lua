--- Drives calls: lets their attempts go on, and time pass. This is the one place that waits, and
--- the one that counts time.
---
--- Time is counted while somebody drives a call, and only as much as the wait was to last: an hour
--- in which a program does something else, is stopped, or keeps its event loop busy is nobody's
--- time-out. And before any time-out is declared, what has arrived is taken.
---
--- The state is changed first, completely; the events are told afterwards. So on_event may do
--- anything: whatever was known before is looked at again.

local core = require "gradient.core"

local driver = {}

-- No wait is for longer (seconds): a host's own `wait` may miss an event, and the program must not
-- hang; and a client may be closed during a pause.
local longest_wait = 1

-- An answer that comes faster than it is taken must not hold an event loop: after each step, others
-- get a turn of at most so many seconds.
local shortest_wait = 0.001

-- A wait may return so many seconds late before the delay counts as the program's own.
local tolerance = 0.05

-- Calls that are no iteration's need no pace (see pace.lua).
local no_pace = { resume_at = -math.huge, window = math.huge }

-- Lets every call go as far as it can without waiting. Returns the transfers under way, and the
-- seconds until something is due.
local function advance(calls, pace)
  local now = core.now()
  local transfers, seconds = {}, math.huge
  for _, call in ipairs(calls) do
    call:look()
    if call.transfer and not call.over then
      transfers[#transfers + 1] = call.transfer
      seconds = math.min(seconds, call:time_left())
    end
  end
  for _, call in ipairs(calls) do
    local due = call.resume_at and math.max(call.resume_at, pace.resume_at) - now
    if due and due > 0 then
      seconds = math.min(seconds, due, call:time_left())
    elseif due and #transfers < pace.window then
      call:send()
      transfers[#transfers + 1] = call.transfer
      seconds = math.min(seconds, call:time_left())
    end
  end
  return transfers, seconds
end

-- Lets libcurl work: on these transfers if there is an event loop, in which every coroutine looks
-- after its own; else on all.
local function progress(client, transfers)
  if not client.wait then
    client.core:step()
  elseif #transfers > 0 then
    client.core:step(transfers)
  end
end

-- Waits until something arrives for one of these transfers, or the seconds are over.
local function wait(client, transfers, seconds)
  if not client.wait then
    client.core:wait(seconds)
  elseif #transfers == 0 then
    client.wait({}, seconds)
  else
    local loan <close> = client.core:lend(transfers)
    -- a finalizer may have closed the client meanwhile
    if not client.closed then client.wait(loan:fds(), seconds) end
  end
end

local function tell(calls)
  local any = false
  for _, call in ipairs(calls) do any = call:tell() or any end
  return any
end

--- Sends what is due, without waiting for anything.
---@package
---@param client table
---@param calls gradient.call[]
---@param pace gradient.pace?
function driver.start(client, calls, pace)
  progress(client, (advance(calls, pace or no_pace)))
end

--- Lets time pass, and whatever else this client has under way go on.
---@package
---@param client table
---@param seconds number
function driver.sleep(client, seconds)
  local deadline = core.now() + seconds
  while not client.closed do
    local left = deadline - core.now()
    if left <= 0 then return end
    wait(client, {}, math.min(left, longest_wait))
    progress(client, {})
  end
end

-- Waits once, if only for others' sake, and counts the time for the calls.
local function pass_time(client, calls, transfers, seconds, since, is_first)
  local due = #transfers > 0 and client.core:timeout(client.wait and transfers)
  seconds = math.min(seconds, due or longest_wait, longest_wait)
  if client.wait and not is_first then seconds = math.max(seconds, shortest_wait) end
  if seconds > 0 then wait(client, transfers, seconds) end
  local now = core.now()
  local counted = math.min(now, since + math.max(seconds, 0) + tolerance)
  for _, call in ipairs(calls) do call:count(since, counted, now) end
  progress(client, transfers)
  return now
end

--- Drives `calls` until `wanted`, one of them, is over.
---@package
---@param client table
---@param wanted gradient.call
---@param calls gradient.call[]
---@param pace gradient.pace?
function driver.drive(client, wanted, calls, pace)
  local since, is_first = core.now(), true -- from then on time counts
  while true do
    local transfers, seconds = advance(calls, pace or no_pace)
    if tell(calls) then
      since = core.now()
    elseif wanted.over then
      return
    elseif #transfers == 0 and seconds == math.huge then
      error("gradient: a call can neither go on nor end")
    else
      since = pass_time(client, calls, transfers, seconds, since, is_first)
      is_first = false
    end
  end
end

return driver
