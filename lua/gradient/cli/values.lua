--- What the text of an argument stands for: converters for argparse. They name their option in a
--- complaint, since argparse does not.

local check = require "gradient.check"
local enums = require "gradient.enums"
local timestamp = require "gradient.timestamp"

local values = {}

--- A positive number of seconds.
function values.seconds(option)
  return function(text)
    local number = text:find("^%d+%.?%d*$") and tonumber(text)
    if number and number > 0 then return number end
    return nil, ("%s must be a positive number of seconds, not '%s'"):format(option, text)
  end
end

--- A whole number, from `least` on.
function values.count(option, least)
  return function(text)
    local number = text:find("^%d+$") and math.tointeger(tonumber(text))
    if number and number >= least then return number end
    return nil, ("%s must be a whole number from %d, not '%s'"):format(option, least, text)
  end
end

function values.uuid(text)
  if check.id[2](text) then return text end
  return nil, ("'%s' is not a uuid"):format(text)
end

function values.base(text)
  if check.id[2](text) then return text end
  return nil, ("'%s' is not the name or uuid of a knowledge base"):format(text)
end

-- Items with commas between them.
local function split(text)
  local items = {}
  for item in (text .. ","):gmatch "%s*([^,]-)%s*," do items[#items + 1] = item end
  return items
end

--- A list with commas, of names that are taken as they are.
function values.names(text)
  return split(text)
end

-- A list with commas; each item as `one` takes it, or a complaint about it.
local function list_of(one)
  return function(text)
    local converted = {}
    for position, item in ipairs(split(text)) do
      local value, complaint = one(item)
      if value == nil then return nil, complaint end
      converted[position] = value
    end
    return converted
  end
end

local function enumeration(names, what, prefix)
  local known = {}
  for name in pairs(names) do known[#known + 1] = name:lower() end
  table.sort(known)
  values[what .. "_names"] = known
  -- "running", or the API's own name, which may be newer than this program.
  return list_of(function(text)
    local name = text:upper():gsub("[- ]", "_")
    if rawget(names, name) then return names[name] end
    if name:find("^" .. prefix .. "[%w_]+$") then return name end
    return nil, ("'%s' is not a %s (expected %s or %s...)"):format(text, what,
      table.concat(known, ", "), prefix)
  end)
end

values.phases = enumeration(enums.phase, "phase", "BATCH_JOB_PHASE_")
values.statuses = enumeration(enums.status, "status", "INDEX_JOB_STATUS_")

values.outcome_names = { "succeeded", "partial", "no_changes", "failed", "cancelled" }

values.outcomes = list_of(function(text)
  local name = text:lower():gsub("[- ]", "_")
  for _, outcome in ipairs(values.outcome_names) do
    if name == outcome then return outcome end
  end
  return nil, ("'%s' is not an outcome (expected %s)"):format(text,
    table.concat(values.outcome_names, ", "))
end)

local units = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

-- A date, maybe with a time, by the clock of this machine; nil if the calendar has none such.
local function local_time(text)
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  local hour, minute, second = (rest or ""):match("^[T ](%d%d):(%d%d):?(%d*)$")
  if not year or rest ~= "" and not hour then return nil end
  local seconds = os.time{
    year = year, month = month, day = day,
    hour = hour or 0, min = minute or 0, sec = tonumber(second) or 0,
  }
  return os.date("%Y-%m-%d", seconds) == text:sub(1, 10) and seconds or nil
end

--- A moment of the past, as seconds since the epoch: "2h" ago, a date, a date-time.
function values.since(text)
  local amount, unit = text:match("^(%d+)([smhdw])$")
  if amount then return os.time() - tonumber(amount .. ".0") * units[unit] end
  local seconds = local_time(text) or timestamp(text)
  if seconds then return seconds end
  return nil, ("--since must be a time such as 2h, 3d, 2026-08-01, '2026-08-01 18:00' or"
    .. " 2026-08-01T18:00:00Z, not '%s'"):format(text)
end

--- A time of the day: HH:MM.
function values.time_of_day(text)
  local hour, minute = text:match("^(%d%d?):(%d%d)$")
  if hour and tonumber(hour) < 24 and tonumber(minute) < 60 then
    return ("%02d:%s"):format(tonumber(hour), minute)
  end
  return nil, ("--at must be a time of the day such as 18:00, not '%s'"):format(text)
end

values.day_names = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" }

local function day_number(text)
  for number, name in ipairs(values.day_names) do
    if text:lower() == name then return number end
  end
end

--- Days of the week, "mon,wed" or "mon-fri" → 1 (Monday) to 7, each once and in order.
function values.days(text)
  local is_chosen, days = {}, {}
  for _, item in ipairs(split(text)) do
    local from, to = item:match("^(%a+)%-?(%a*)$")
    local first = day_number(from or "")
    local last = to == "" and first or day_number(to or "")
    if not (first and last) or first > last then
      return nil, ("--on must be days such as mon,wed or mon-fri, not '%s'"):format(item)
    end
    for day = first, last do is_chosen[day] = true end
  end
  for day = 1, 7 do
    if is_chosen[day] then days[#days + 1] = day end
  end
  return days
end

return values
