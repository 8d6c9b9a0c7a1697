--- Decoded values back to JSON. lua-cjson writes the strings that need escapes; its numbers have 14
--- digits at the most, and its empty arrays are objects.

local cjson = require "cjson"
local core = require "gradient.core"

-- lua-cjson leaves the C1 controls as they are, and some terminals obey them.
local function escape_control(character)
  return ("\\u00%02x"):format(character:byte())
end

local function string(value)
  if not value:find('[%c"\\\127\xC2]') then return '"' .. value .. '"' end
  return (cjson.encode(value):gsub("\\/", "/"):gsub("\xC2([\x80-\x9F])", escape_control))
end

-- The shortest text that reads back as the same number. A number that was too large for a float has
-- become infinity: 1e999 reads back as that.
local function number(value)
  if math.type(value) == "integer" then return ("%d"):format(value) end
  if value == math.huge then return "1e999" end
  if value == -math.huge then return "-1e999" end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(value)
    if tonumber(text) == value then return text:find("[.e]") and text or text .. ".0" end
  end
end

local encode

local function array(value)
  local items = {}
  for position, item in ipairs(value) do items[position] = encode(item) end
  return "[" .. table.concat(items, ",") .. "]"
end

local function object(value)
  local names, members = {}, {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for position, name in ipairs(names) do
    members[position] = string(name) .. ":" .. encode(value[name])
  end
  return "{" .. table.concat(members, ",") .. "}"
end

--- JSON of a value that the core has decoded, without line breaks, members sorted by name. An empty
--- table may have been an object or an array; it becomes an array, as all of the API's are.
---@return string
function encode(value)
  local kind = type(value)
  if kind == "string" then return string(value) end
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  if value == core.null then return "null" end
  return (#value > 0 or next(value) == nil) and array(value) or object(value)
end

return { encode = encode }
