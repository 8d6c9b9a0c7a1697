--- Decoded values back to JSON. lua-cjson would not do: its numbers have 14 digits at the most, its
--- empty arrays are objects, and it leaves control characters that some terminals obey.

local core = require "gradient.core"

local escapes = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t",
}

local function escape(character)
  return escapes[character] or ("\\u%04x"):format(utf8.codepoint(character))
end

-- Also DEL and the C1 controls (in UTF-8), though JSON allows them as they are.
local function string(value)
  return '"' .. value:gsub('[%c"\\\127]', escape):gsub("\xC2[\x80-\x9F]", escape) .. '"'
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
