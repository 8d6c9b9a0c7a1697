--- Comma-separated values: RFC 4180, https://www.rfc-editor.org/rfc/rfc4180

local core = require "gradient.core"

local csv = {}

--- A value without quotes; of an array, the items with spaces between them.
function csv.plain(value)
  if value == nil or value == core.null then return "" end
  if type(value) ~= "table" then return tostring(value) end
  local items = {}
  for position, item in ipairs(value) do
    items[position] = item == core.null and "null" or csv.plain(item)
  end
  return table.concat(items, " ")
end

local function field(value)
  local text = csv.plain(value)
  if not text:find('[,"\r\n]') then return text end
  return '"' .. text:gsub('"', '""') .. '"'
end

--- A line without its end, which is "\r\n".
---@param values any[]  a sequence as long as `count`, with holes
---@param count integer
---@return string
function csv.record(values, count)
  local fields = {}
  for position = 1, count do fields[position] = field(values[position]) end
  return table.concat(fields, ",")
end

return csv
