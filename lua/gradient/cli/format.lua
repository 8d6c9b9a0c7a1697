--- Texts for people: short names, numbers, times.

local core = require "gradient.core"
local jobs = require "gradient.job"
local timestamp = require "gradient.timestamp"
local width = require "gradient.cli.width"

local format = {}

-- What a terminal may take as a command, or what turns the direction of a line: DEL and the C1
-- controls (in UTF-8), line and paragraph separators, bidirectional controls.
local invisible = { "[%c\127]", "\xC2[\x80-\x9F]", "\xD8\x9C", "\xE2\x80[\x8E\x8F\xA8-\xAE]",
  "\xE2\x81[\xA6-\xA9]" }

--- Text that is safe on a terminal, in one line: what comes from a server is not trusted.
---@param text string
---@return string
function format.clean(text)
  if not text:find("[%c\127-\xFF]") then return text end
  text = text:gsub("%s", " ")
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", "?") end
  for _, pattern in ipairs(invisible) do text = text:gsub(pattern, "?") end
  return text
end

--- Any value of a JSON object as safe text; "-" where there is none.
function format.text(value)
  if value == nil or value == "" then return "-" end
  if value == core.null then return "null" end
  return format.clean(tostring(value))
end

--- At most `columns` of the text; that it was cut can be seen.
function format.cut(text, columns)
  if width.of(text) <= columns then return text end
  return width.beginning(text, math.max(columns, 1) - 1) .. "…"
end

--- "BATCH_JOB_PHASE_RUNNING", "BATCH_JOB_PHASE_" → "running"
function format.short(value, prefix)
  if type(value) ~= "string" then return "-" end
  return format.text((value:gsub("^" .. prefix, ""):gsub("_", " "):lower()))
end

--- 1234567 or "1234567" → "1,234,567"; nothing is 0, anything else as it is.
function format.count(number)
  if number == nil then return "0" end
  if math.type(number) == "float" then number = ("%.0f"):format(number) end
  local sign, digits = tostring(number):match("^(%-?)(%d+)$")
  if not digits then return format.text(number) end
  return sign .. (digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

--- "12/40"; a total that is not known yet is "?".
---@param number? function  how the numbers are written; default: format.count
function format.fraction(done, total, number)
  number = number or format.count
  return ("%s/%s"):format(number(done), total == nil and "?" or number(total))
end

local byte_units = { "B", "kB", "MB", "GB", "TB", "PB" }

--- 1234567 or "1234567" → "1.2 MB"; nothing is 0, anything else as it is.
function format.bytes(number)
  local count = tonumber(number or 0)
  if not count then return format.text(number) end
  local unit = 1
  while count >= 999.5 and unit < #byte_units do
    count, unit = count / 1000, unit + 1
  end
  return (unit > 1 and count < 9.95 and "%.1f %s" or "%.0f %s"):format(count, byte_units[unit])
end

local time_units = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } }

--- Seconds → "12 d"; the largest unit only.
function format.age(seconds)
  if not seconds then return "-" end
  for _, unit in ipairs(time_units) do
    if seconds >= unit[1] then return ("%d %s"):format(seconds // unit[1], unit[2]) end
  end
  return "now"
end

--- Seconds → "12:34" or "1:23:45", from 100 hours on as an age.
function format.clock(seconds)
  if not seconds then return "-" end
  if seconds >= 360000 then return format.age(seconds) end
  local minutes, rest = seconds // 60, seconds // 1 % 60
  if minutes < 60 then return ("%d:%02d"):format(minutes, rest) end
  return ("%d:%02d:%02d"):format(minutes // 60, minutes % 60, rest)
end

--- A date-time of the API's → "2026-08-01 14:00:03 +0200 (3 h ago)", in the zone of this machine;
--- nil if it was never set, anything else as it is.
function format.moment(value)
  local seconds = jobs.time(value)
  if not seconds then
    local is_unset = value == nil or value == "" or timestamp(value)
    return not is_unset and format.text(value) or nil
  end
  local distance = os.time() - seconds
  local how_far = distance < 0 and "in " .. format.age(-distance)
    or distance < 1 and "now" or format.age(distance) .. " ago"
  return ("%s (%s)"):format(os.date("%Y-%m-%d %H:%M:%S %z", seconds // 1), how_far)
end

--- What is done of a whole (0 to 1) as a bar.
function format.bar(share, columns)
  local full = math.floor(share * columns + 0.5)
  return ("█"):rep(full) .. ("░"):rep(columns - full)
end

return format
