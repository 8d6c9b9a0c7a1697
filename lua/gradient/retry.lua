--- Which failures are tried again, and after how long.

local core = require "gradient.core"

local retry = {}

--- If a server asks for a longer pause (seconds), the error comes back at once.
retry.longest_delay = 60

local first_backoff, longest_backoff, jitter = 0.5, 8, 0.25

local retried_status = { [408] = true, [409] = true, [429] = true }

-- Failures that another attempt would not change.
local final_code = { certificate = true, authority = true, too_large = true, closed = true }

-- A number as HTTP writes it. Lua would read more as numbers: "0x10", "1e9", " 1 ".
local function number(text)
  return text and text:find("^%d+%.?%d*$") and tonumber(text) or nil
end

-- Seconds from now to a moment (seconds since the epoch) that the server names, by the server's own
-- clock: it may be minutes off.
local function seconds_until(moment, headers)
  local now = headers.date and core.date(headers.date) or core.date()
  return moment and moment - now
end

--- The pause that the server asked for.
---@param status integer
---@param headers table<string, string>
---@return number? seconds  more than 0; nil when it named none, or a moment in the past
function retry.server_delay(status, headers)
  local after, seconds = headers["retry-after"], nil
  local milliseconds = number(headers["retry-after-ms"])
  if milliseconds then
    seconds = milliseconds / 1000
  elseif after then
    seconds = number(after) or seconds_until(core.date(after), headers)
  end
  if not seconds and status == 429 then
    seconds = seconds_until(number(headers["ratelimit-reset"]), headers)
  end
  return seconds and seconds > 0 and seconds or nil
end

-- A number between 0 and 1 that differs from process to process. math.random is the program's own.
local function fraction()
  return core.now() * 1e6 * 0.6180339887 % 1
end

--- How long to wait before the next attempt: 0.5 s, doubling up to 8 s, minus a random part of up
--- to a quarter, so that many clients do not come back at the same moment. If the server asked for
--- a pause, that counts instead, but never less than a tenth of the usual one.
---@param attempt integer  the one that failed, from 1
---@param wish number?  see server_delay
---@return number seconds
function retry.delay(attempt, wish)
  local seconds = math.min(first_backoff * 2 ^ (attempt - 1), longest_backoff)
  seconds = seconds * (1 - jitter * fraction())
  return wish and math.max(wish, seconds / 10) or seconds
end

-- A POST may have been carried out although no answer came.
local function repeats_safely(method, failure)
  return method ~= "POST" or failure.status == 429 or failure.code and not failure.sent
end

--- Whether this failure is worth another attempt.
---@param method string
---@param failure table  status and headers, or code (see transfer:result) and sent
---@return boolean
function retry.is_worthwhile(method, failure)
  if not repeats_safely(method, failure) then return false end
  if failure.code then return not final_code[failure.code] end
  local advice = failure.headers["x-should-retry"]
  if advice == "true" then return true end
  if advice == "false" then return false end
  return retried_status[failure.status] or failure.status >= 500
end

return retry
