--- JSON for the server and those who script it: cjson, but whole numbers are Lua integers; and
--- objects as the platform writes them, without what is zero, false or empty.

local cjson = require("cjson").new()

local format, concat = string.format, table.concat
local floor = math.floor

local DAY = 86400

local function with_integers(value)
  if type(value) == "number" then
    return math.tointeger(value) or value
  elseif type(value) == "table" then
    for key, member in pairs(value) do
      value[key] = with_integers(member)
    end
  end
  return value
end

--- The value of a JSON text; raises an error if it is none.
local function decode(text)
  return with_integers(cjson.decode(text))
end

--- The JSON object of name, text of a value, name, text, …; what has no text is left out.
local function object(...)
  local pairs_of, members, n = { ... }, {}, 0
  for i = 1, select("#", ...), 2 do
    local text = pairs_of[i + 1]
    if text then
      n = n + 1
      members[n] = '"' .. pairs_of[i] .. '":' .. text
    end
  end
  return "{" .. concat(members, ",", 1, n) .. "}"
end

--- Texts of values, nil for what is zero. A string that needs no escaping:
local function plain(text)
  return text and text ~= "" and '"' .. text .. '"' or nil
end

local function integer(n)
  return n ~= 0 and format("%d", n) or nil
end

--- A uint64, which is a string.
local function count(n)
  return n ~= 0 and format('"%d"', n) or nil
end

local function flag(value)
  return value and "true" or nil
end

local function array(texts)
  return #texts > 0 and "[" .. concat(texts, ",") .. "]" or nil
end

local days = {} -- day number → its date, so that strftime runs once a day and not once a job

--- A Unix time as RFC 3339 has it; nil for nil.
local function time(seconds)
  if not seconds then
    return nil
  end
  local whole = floor(seconds)
  local day = whole // DAY
  local date = days[day]
  if not date then
    date = os.date("!%Y-%m-%d", day * DAY)
    days[day] = date
  end
  local rest = whole % DAY
  return format('"%sT%02d:%02d:%02dZ"', date, rest // 3600, rest % 3600 // 60, rest % 60)
end

return {
  decode = decode,
  encode = cjson.encode,
  object = object,
  plain = plain,
  integer = integer,
  count = count,
  flag = flag,
  array = array,
  time = time,
}
