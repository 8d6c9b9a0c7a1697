--- What lists have in common: how they are printed, in which order, and how much of them.

local printer = require "gradient.cli.printer"
local rules = require "gradient.job"
local timestamp = require "gradient.timestamp"
local values = require "gradient.cli.values"

local selection = {}

local failed, partial = 1, 3 -- exit statuses

--- Declares how a list is printed.
function selection.declare_format(command)
  command:mutex(
    command:option "--output":hidden_name "-o":argname "FORMAT"
      :choices{ "table", "wide", "json", "jsonl", "csv" }
      :description "table, wide, json, jsonl or csv; -o for short.",
    command:flag "--json":description "The same as --output json.",
    command:flag "--csv":description "The same as --output csv."
  )
  command:option "--columns":argname "A,B":convert(values.names):count "*":action "concat"
    :description "Print these columns; fields of the API are columns, too."
  command:flag "--no-header":description "Leave out the line with the names of the columns."
end

--- Declares --json, and the same in the words of a list.
---@return table flag, table option
function selection.declare_json(command, description)
  return command:flag "--json":description(description),
    command:option "--output":hidden_name "-o":argname "json":choices{ "json" }:target "json"
      :description "The same as --json; -o for short."
end

--- Declares the order of a list, and how much of it is printed.
function selection.declare_order(command)
  command:option "--sort":argname "FIELD"
    :description "Sort by this column or field; -FIELD reverses the order."
  command:option "--limit":argname "N":convert(values.count("--limit", 1))
    :description "Print at most N."
  command:flag "--exit-status"
    :description "Exit with 1 if a failed job is in the list, else with 3 if a partial one is."
end

--- The format that was asked for.
function selection.format(parsed)
  return parsed.json and "json" or parsed.csv and "csv" or parsed.output or "table"
end

-- What is compared: numbers as numbers, times as times, and other texts as they are.
local function key_of(column)
  if column.key then return column.key end
  return function(item)
    local value = item[column.field or column.name]
    if value == nil and not column.field then value = column.text(item) end
    if type(value) ~= "string" then return value end
    return value:find "^%d+$" and rules.count(value) or timestamp(value) or value
  end
end

-- Is one before the other? What has no value comes last, and numbers come before texts.
local function is_before(one, other, is_reverse)
  if type(one) ~= type(other) then
    if one == nil or other == nil then return other == nil end
    return type(one) == "number"
  end
  if is_reverse then one, other = other, one end
  return (type(one) == "number" or type(one) == "string") and one < other
end

local function sort(items, key, is_reverse)
  local keys, place = {}, {}
  for position, item in ipairs(items) do keys[item], place[item] = key(item), position end
  table.sort(items, function(one, other)
    if is_before(keys[one], keys[other], is_reverse) then return true end
    if is_before(keys[other], keys[one], is_reverse) then return false end
    return place[one] < place[other]
  end)
end

local function columns_named(parts, names)
  local columns, complaint = printer.choose(parts, names)
  if not columns then error({ misused = complaint }, 0) end
  return columns
end

---@class gradient.cli.selection
local selection_methods = {}

local selection_metatable = { __index = selection_methods }

--- Takes the items of a list, and prints them as the command line asks for it.
---@param parsed table  what the command line says
---@param output gradient.cli.output
---@param parts table  columns and fields, see printer.lua; job_of, function(item) → the job in it
---@param nothing string  what is said about an empty table
---@return gradient.cli.selection
function selection.new(parsed, output, parts, nothing)
  local by = parsed.sort and columns_named(parts, { (parsed.sort:gsub("^%-", "")) })[1]
  local chosen = parsed.columns and #parsed.columns > 0 and columns_named(parts, parsed.columns)
  return setmetatable({
    printer = printer.new(output, parts, {
      format = selection.format(parsed), chosen = chosen or nil, no_header = parsed.no_header,
      nothing = nothing,
    }),
    limit = parsed.limit or math.huge, count = 0,
    key = by and key_of(by), is_reverse = by and parsed.sort:find "^%-", held = {},
    job_of = parsed.exit_status and parts.job_of,
    status = 0,
  }, selection_metatable)
end

function selection_methods:print(item)
  self.count = self.count + 1
  self.printer.item(item)
  local job = self.job_of and self.job_of(item)
  local outcome = type(job) == "table" and rules.outcome(job)
  if outcome == "failed" then self.status = failed end
  if outcome == "partial" and self.status == 0 then self.status = partial end
end

--- Takes an item of the list.
function selection_methods:take(item)
  if self.key then self.held[#self.held + 1] = item else self:print(item) end
end

--- Are there enough?
function selection_methods:is_full()
  return not self.key and self.count >= self.limit
end

--- Prints what is left; returns the exit status.
---@return integer status
function selection_methods:finish()
  if self.key then
    sort(self.held, self.key, self.is_reverse)
    for position = 1, math.min(#self.held, self.limit) do self:print(self.held[position]) end
  end
  self.printer.finish()
  return self.status
end

return selection
