--- Which failures are tried again, and after how long.

local core = require "gradient.core"

local retry = {}

--- A server that asks for more patience (seconds) gets none: the error comes back at once.
retry.longest_delay = 60

local first_backoff, longest_backoff, jitter = 0.5, 8, 0.25

local retried_status = { [408] = true, [409] = true, [429] = true }

-- These do not change by trying again.
local final_code = { certificate = true, too_large = true, closed = true }

--- A number as HTTP writes them, so nothing of what Lua would read besides ("0x10", "1e9", " 1 ").
local function number(text)
  return text and text:find("^%d+%.?%d*$") and tonumber(text) or nil
end

--- For how long the server asked to be left alone.
---@param status integer
---@param headers table<string, string>
---@param now integer  seconds since the epoch
---@return number? seconds  nil when it did not say
function retry.server_delay(status, headers, now)
  local milliseconds = number(headers["retry-after-ms"])
  if milliseconds then return milliseconds / 1000 end
  local after = headers["retry-after"]
  if number(after) then return number(after) end
  local date = after and core.date(after)
  if date then return math.max(0, date - now) end
  local reset = status == 429 and number(headers["ratelimit-reset"])
  if reset and reset > now then return reset - now end
  return nil
end

--- How long to wait when the server did not say: 0.5 s, doubling up to 8 s, less up to a quarter at
--- random so that many clients do not come back at the same moment.
---@param attempt integer  the one that failed, from 1
---@return number seconds
function retry.backoff(attempt)
  local seconds = math.min(first_backoff * 2 ^ (attempt - 1), longest_backoff)
  return seconds * (1 - jitter * math.random())
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
