--- How fast the requests of one iteration may go: a server that says "too many requests" to one of
--- them means all of them.
---
--- The engine (call.lua and driver.lua) does four things for that: it sends no request before
--- `resume_at` (core.now), nor while `window` others are on their way; it counts the answers in 2xx
--- in `answered`; and it passes every 429 that would be tried again to `throttled`, which says as
--- how many attempts of the call it counts. A call has three fields for it: `sent_at`; `answered`,
--- the count when the call was made; and `throttled`, which belongs to the function of that name.

-- Seconds. A server whose own delay was too short is given more, and more again.
local shortest_pause = 0.1

---@class gradient.pace
---@field resume_at number  core.now() before which nothing may be sent
---@field window integer  requests that may be on their way at the same time
---@field answered integer  answers in 2xx so far
local pace_methods = {}

local pace_metatable = { __index = pace_methods }

--- A page came as it should: one request more at a time; beyond what was too much before, only one
--- more for every window of pages.
function pace_methods:faster()
  self.room = math.min(self.most, self.room + (self.room < self.limit and 1 or 1 / self.room))
  self.window = math.floor(self.room)
end

--- Half as many at a time.
function pace_methods:slower()
  self.window = math.max(1, self.window // 2)
  self.room = self.window
end

--- Takes note of a 429, after which a call would pause. What was sent before the window was halved
--- belongs to the burst that halved it. As long as other pages come through, we were only too fast,
--- and the call has not failed.
---@param call gradient.call
---@param now number  core.now()
---@param delay number  seconds
---@return integer  how often in a row this call was, while nothing else came through
function pace_methods:throttled(call, now, delay)
  if call.sent_at >= self.slowed_at then
    self:slower()
    self.slowed_at, self.limit = now, self.window
  end
  call.throttled = self.answered > call.answered and 0 or (call.throttled or 0) + 1
  call.answered = self.answered
  local pause = math.max(delay, shortest_pause * call.throttled)
  self.resume_at = math.max(self.resume_at, now + pause)
  return call.throttled
end

local pace = {}

---@param most integer  requests that may ever be on their way at the same time
---@return gradient.pace
function pace.new(most)
  most = math.max(most, 1)
  return setmetatable({
    most = most, limit = most, room = most, window = most, answered = 0,
    resume_at = -math.huge, slowed_at = -math.huge,
  }, pace_metatable)
end

return pace
