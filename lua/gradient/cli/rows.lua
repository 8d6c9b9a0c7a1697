--- Tables: columns of fixed widths that are fitted to a terminal.
---
--- A column has a `title`; `text`, function(item, width) → its cell; `width`, and whether it is
--- `right`-aligned; `least`, the width that it can do with (`width` if nil); `dispensable`, a rank:
--- what does not fit is left out, the lowest rank first; `style`, function(item) → see output.lua.

local format = require "gradient.cli.format"

local rows = {}

local gap = 2

local function least(column)
  return column.least or column.width
end

local function sum_of_least(columns)
  local sum = -gap
  for _, column in ipairs(columns) do sum = sum + least(column) + gap end
  return sum
end

-- Where the column is that can be left out first; nil if none can.
local function most_dispensable(columns)
  local found
  for position, column in ipairs(columns) do
    local rank = column.dispensable
    if rank and not (found and columns[found].dispensable <= rank) then found = position end
  end
  return found
end

-- The columns that fit into so many characters, and their widths.
local function fit(columns, available)
  local kept = table.move(columns, 1, #columns, 1, {})
  while sum_of_least(kept) > available and most_dispensable(kept) do
    table.remove(kept, most_dispensable(kept))
  end
  local spare, widths = available - sum_of_least(kept), {}
  for position, column in ipairs(kept) do
    local more = math.max(0, math.min(spare, column.width - least(column)))
    widths[position], spare = least(column) + more, spare - more
  end
  widths[1] = math.max(1, widths[1] + math.min(0, spare))
  return kept, widths
end

local layout_methods = {}

local layout_metatable = { __index = layout_methods }

--- The columns in the width of a terminal; without one, all of them, and nothing is ever cut.
---@param columns table[]
---@param output gradient.cli.output
function rows.layout(columns, output)
  local available = output.size()
  local kept, widths = fit(columns, available or math.huge)
  return setmetatable({
    columns = kept, widths = widths, output = output, is_cut = available ~= nil,
  }, layout_metatable)
end

-- `cell(column, width)` returns the text and its style.
function layout_methods:compose(cell)
  local cells = {}
  for position, column in ipairs(self.columns) do
    local width = self.widths[position]
    local text, style = cell(column, width)
    if self.is_cut then text = format.cut(text, width) end
    local padding = (" "):rep(width - format.width(text))
    local painted = self.output:paint(style, text)
    cells[position] = column.right and padding .. painted or painted .. padding
  end
  return (table.concat(cells, (" "):rep(gap)):gsub(" +$", ""))
end

function layout_methods:header()
  return self:compose(function(column) return column.title, "bold" end)
end

---@param item table
function layout_methods:row(item)
  return self:compose(function(column, width)
    return column.text(item, width), column.style and column.style(item)
  end)
end

return rows
