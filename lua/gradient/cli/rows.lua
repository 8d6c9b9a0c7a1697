--- Tables: columns that are fitted to what is in them, and to a terminal.
---
--- A column has a `name`, by which --columns asks for it; a `title`; `text`, function(item, width)
--- → its cell; and maybe
---   right        true: its cells are aligned to the right
---   width        as wide as this, whatever is in it
---   widest       function(item) → the widest text that it may come to have
---   least        the width that is enough, if there is no room for all of it
---   dispensable  a rank: what does not fit is left out, the lowest rank first
---   style        function(item) → see output.lua
---   is_wide      true: only wide tables have it, and --columns

local format = require "gradient.cli.format"
local width = require "gradient.cli.width"

local rows = {}

local gap = 2

-- The width that the items need in this column, and its title if there is one.
local function need(column, items, has_header)
  if column.width then return column.width end
  local needed = has_header and width.of(column.title) or 1
  for _, item in ipairs(items) do
    needed = math.max(needed, width.of((column.widest or column.text)(item)))
  end
  return needed
end

-- The position of the column to leave out first; nil if none can be.
local function most_dispensable(columns)
  local found
  for position, column in ipairs(columns) do
    local rank = column.dispensable
    if rank and not (found and columns[found].dispensable <= rank) then found = position end
  end
  return found
end

-- The columns that fit, the width of each, and the room that is left beside them.
local function fit(columns, items, available, has_header)
  local kept, needs, leasts, sum = {}, {}, {}, -gap
  for position, column in ipairs(columns) do
    kept[position], needs[position] = column, need(column, items, has_header)
    leasts[position] = math.min(column.least or needs[position], needs[position])
    sum = sum + leasts[position] + gap
  end
  while sum > available and most_dispensable(kept) do
    local position = most_dispensable(kept)
    table.remove(kept, position)
    table.remove(needs, position)
    sum = sum - table.remove(leasts, position) - gap
  end
  local spare, widths = available - sum, {}
  for position in ipairs(kept) do
    local more = math.max(0, math.min(spare, needs[position] - leasts[position]))
    widths[position], spare = leasts[position] + more, spare - more
  end
  widths[1] = math.max(1, widths[1] + math.min(0, spare)) -- what still does not fit is cut there
  return kept, widths, math.max(0, spare)
end

---@class gradient.cli.layout
local layout_methods = {}

local layout_metatable = { __index = layout_methods }

--- The columns in the width of a terminal; without one, all of them, and nothing is ever cut.
---@param columns table[]
---@param output gradient.cli.output
---@param items table[]  those that are known by now
---@param has_header boolean
---@return gradient.cli.layout
function rows.layout(columns, output, items, has_header)
  local kept, widths, spare = fit(columns, items, output.size() or math.huge, has_header)
  return setmetatable({
    columns = kept, widths = widths, spare = spare, output = output,
  }, layout_metatable)
end

-- `cell(column, width)` returns the text and its style. A text that is longer than those that were
-- known takes what is left beside the table, before it is cut.
function layout_methods:compose(cell)
  local cells, spare = {}, self.spare
  for position, column in ipairs(self.columns) do
    local room = self.widths[position]
    local text, style = cell(column, room)
    local more = math.max(0, math.min(width.of(text) - room, spare))
    text, spare = format.cut(text, room + more), spare - more
    local padding = (" "):rep(room - width.of(text))
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
  return self:compose(function(column, room)
    return column.text(item, room), column.style and column.style(item)
  end)
end

return rows
