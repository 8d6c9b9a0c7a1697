--- Standard output: what it is, and whether it still takes what is written.

local core = require "gradient.core"

local descriptor, broken_pipe = 1, 32 -- standard output, EPIPE

local styles = {
  bold = "1", dim = "2", red = "31", green = "32", yellow = "33", cyan = "36",
}

---@class gradient.cli.output
---@field is_terminal boolean
---@field has_colour boolean
---@field redraws boolean  whether lines that were written can be written anew
local output_methods = {}

local output_metatable = { __index = output_methods }

local function is_set(variable)
  local value = os.getenv(variable)
  return value ~= nil and value ~= ""
end

--- NO_COLOR: https://no-color.org
local function new()
  local is_terminal = core.terminal_size(descriptor) ~= nil
  local obeys = is_terminal and os.getenv("TERM") ~= "dumb"
  return setmetatable({
    stream = io.stdout,
    is_terminal = is_terminal, redraws = obeys, has_colour = obeys and not is_set "NO_COLOR",
  }, output_metatable)
end

-- A size that the terminal does not tell may be in the environment.
local function size_of(told, variable, default)
  return told > 0 and told or math.tointeger(tonumber(os.getenv(variable))) or default
end

--- Columns and rows, which may change at any time; nil where lines may have any length.
---@return integer? columns, integer? rows
function output_methods.size()
  local columns, rows = core.terminal_size(descriptor)
  if not columns then return nil end
  return size_of(columns, "COLUMNS", 80), size_of(rows, "LINES", 24)
end

local function check(ok, message, code)
  if not ok then error({ is_broken_pipe = code == broken_pipe, output = message }, 0) end
end

--- Writes, or raises a table: `output`, a message, and `is_broken_pipe`.
function output_methods:write(...)
  check(self.stream:write(...))
end

function output_methods:line(text)
  check(self.stream:write(text, "\n"))
end

function output_methods:flush()
  check(self.stream:flush())
end

--- The text in a style, where there are colours.
---@param style string?  see styles
function output_methods:paint(style, text)
  if not (style and self.has_colour) then return text end
  return ("\27[%sm%s\27[0m"):format(styles[style], text)
end

--- Whatever was cut short: what was written is out, and colours are as they were. Never raises.
function output_methods:restore()
  if self.has_colour then self.stream:write("\27[0m") end
  self.stream:flush()
end

return { new = new }
