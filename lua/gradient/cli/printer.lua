--- Lists as a table, JSON, JSON lines or CSV, as the command line asks for it.
---
--- A printer has `item`, for each item of a list, and `finish`. It prints nothing before these: a
--- list that cannot be fetched leaves no header behind.

local core = require "gradient.core"
local csv = require "gradient.cli.csv"
local format = require "gradient.cli.format"
local json = require "gradient.cli.json"
local rows = require "gradient.cli.rows"

local printer = {}

-- The first rows of a table, which its columns are fitted to, are held back: at most so many, and
-- not for longer than these seconds.
local held_rows, held_seconds = 50, 0.5

-- What --columns names: a column, or a field as it came.
local function named(parts, name)
  for _, column in ipairs(parts.columns) do
    if column.name == name then return column end
  end
  for _, field in ipairs(parts.fields) do
    if field == name then
      return { name = name, field = name, title = name:upper():gsub("_", " "),
        text = function(item)
          local value = item[name]
          return type(value) == "table" and format.clean(csv.plain(value)) or format.text(value)
        end }
    end
  end
end

--- The columns of this name, or what names there are.
---@param parts table  columns, fields
---@param names string[]
---@return table[]? columns, string? complaint
function printer.choose(parts, names)
  local chosen = {}
  for position, name in ipairs(names) do
    chosen[position] = named(parts, name)
    if not chosen[position] then
      local known, is_known = {}, {}
      for _, column in ipairs(parts.columns) do
        known[#known + 1], is_known[column.name] = column.name, true
      end
      for _, field in ipairs(parts.fields) do
        if not is_known[field] then known[#known + 1] = field end
      end
      return nil, ("there is no column '%s' (expected %s)"):format(name, table.concat(known, ", "))
    end
  end
  return chosen
end

-- A column's value where programs read: as it came, if there is such a field.
local function value_of(column, item)
  if column.field then return item[column.field] end
  return column.text(item)
end

-- The item, or the members that were asked for.
local function json_text(item, chosen)
  if not chosen then return json.encode(item) end
  local members = {}
  for _, column in ipairs(chosen) do
    local value = value_of(column, item)
    members[column.field or column.name] = value == nil and core.null or value
  end
  return json.encode(members)
end

local new = {}

function new.json(output, _, settings)
  local separator = "[\n"
  return {
    item = function(item)
      output:write(separator, json_text(item, settings.chosen))
      separator = ",\n"
    end,
    finish = function() output:write(separator == "[\n" and "[]\n" or "\n]\n") end,
  }
end

function new.jsonl(output, _, settings)
  return {
    item = function(item) output:line(json_text(item, settings.chosen)) end,
    finish = function() end,
  }
end

function new.csv(output, parts, settings)
  local columns = settings.chosen or printer.choose(parts, parts.fields)
  local is_begun = settings.no_header
  local function print_record(value)
    local values = {}
    for position, column in ipairs(columns) do values[position] = value(column) end
    local record = csv.record(values, #columns)
    output:write(output.is_terminal and format.clean(record) or record, "\r\n")
  end
  local function begin()
    if not is_begun then
      print_record(function(column) return column.field or column.name end)
    end
    is_begun = true
  end
  return {
    item = function(item)
      begin()
      print_record(function(column) return value_of(column, item) end)
    end,
    finish = begin,
  }
end

local function table_printer(output, columns, settings)
  local layout, held, since = nil, {}, nil
  local function release()
    if layout then return end
    layout = rows.layout(columns, output, held, not settings.no_header)
    if not settings.no_header then output:line(layout:header()) end
    for _, item in ipairs(held) do output:line(layout:row(item)) end
    held = nil
  end
  return {
    item = function(item)
      if layout then return output:line(layout:row(item)) end
      held[#held + 1], since = item, since or core.now()
      if #held == held_rows or core.now() > since + held_seconds then release() end
    end,
    finish = function()
      if layout or #held > 0 then return release() end
      if not settings.no_header then output:note(settings.nothing) end
    end,
  }
end

function new.table(output, parts, settings)
  local columns = {}
  for _, column in ipairs(parts.columns) do
    if not column.is_wide then columns[#columns + 1] = column end
  end
  return table_printer(output, settings.chosen or columns, settings)
end

function new.wide(output, parts, settings)
  local unlimited = setmetatable({ size = function() end }, { __index = output })
  return table_printer(unlimited, settings.chosen or parts.columns, settings)
end

--- A printer of what the command line asks for.
---@param output gradient.cli.output
---@param parts table  columns (see rows.lua), and fields: the names of an item's members
---@param settings table  format; chosen, columns instead of the usual ones; no_header; nothing,
---what is said about an empty table
function printer.new(output, parts, settings)
  return new[settings.format](output, parts, settings)
end

return printer
