--- RFC 3339 date-times, as the API writes them, to seconds since the epoch.

local pattern = "^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt ](%d%d):(%d%d):(%d%d)(%.?%d*)([Zz+-])(.*)$"

local days_in_month = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

-- Days from 1970-01-01; the proleptic Gregorian calendar, year by year in closed form.
local function days(year, month, day)
  local before = year - 1
  local count = 365 * before + before // 4 - before // 100 + before // 400
  for earlier = 1, month - 1 do count = count + days_in_month[earlier] end
  if month > 2 and is_leap(year) then count = count + 1 end
  return count + day - 719163
end

-- "Z", or the hours and minutes that local time is ahead, in seconds; nil when it is neither.
local function offset(sign, rest)
  if sign == "Z" or sign == "z" then return rest == "" and 0 or nil end
  local hours, minutes = rest:match("^(%d%d):(%d%d)$")
  hours, minutes = math.tointeger(tonumber(hours)), math.tointeger(tonumber(minutes))
  if not hours or hours > 23 or minutes > 59 then return nil end
  local seconds = hours * 3600 + minutes * 60
  return sign == "-" and -seconds or seconds
end

local function failure(text)
  local shown = type(text) == "string" and #text <= 64 and ("%q"):format(text)
    or text == nil and "nil" or "a " .. type(text)
  return nil, ("not an RFC 3339 date-time such as 2023-01-01T00:00:00Z: %s"):format(shown)
end

-- gradient.timestamp, see types.lua
---@param text string
---@return (integer|number)? seconds
---@return string? message
local function timestamp(text)
  if type(text) ~= "string" then return failure(text) end
  local year, month, day, hour, minute, second, fraction, sign, rest = text:match(pattern)
  if not year or fraction == "." or fraction ~= "" and fraction:sub(1, 1) ~= "." then
    return failure(text)
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  local ahead = offset(sign, rest)
  if not ahead or month < 1 or month > 12 or hour > 23 or minute > 59 or second > 60 then
    return failure(text)
  end
  local last = month == 2 and is_leap(year) and 29 or days_in_month[month]
  if day < 1 or day > last then return failure(text) end
  local whole = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - ahead
  if second == 60 and whole % 86400 ~= 0 then return failure(text) end
  -- The first digits say it all, and with a decimal comma Lua reads no long number.
  if fraction:find("[1-9]") then return whole + tonumber("0" .. fraction:sub(1, 20)) end
  return whole
end

return timestamp
