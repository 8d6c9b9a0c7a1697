--- Standard output: what it is, and whether it still takes what is written. Standard error: what
--- goes wrong, and how far long work is.

local core = require "gradient.core"
local format = require "gradient.cli.format"
local width = require "gradient.cli.width"

local standard_output, standard_error, broken_pipe = 1, 2, 32 -- descriptors, EPIPE

local styles = {
  bold = "1", dim = "2", red = "31", green = "32", yellow = "33", cyan = "36",
}

---@class gradient.cli.output
---@field is_terminal boolean
---@field has_colour boolean
---@field redraws boolean  whether lines that were written can be written anew
---@field shows_progress boolean  whether somebody sees on standard error how far it is
local output_methods = {}

local output_metatable = { __index = output_methods }

local function is_set(variable)
  local value = os.getenv(variable)
  return value ~= nil and value ~= ""
end

--- NO_COLOR: https://no-color.org
local function new()
  local is_terminal = core.terminal_size(standard_output) ~= nil
  local is_smart = os.getenv("TERM") ~= "dumb"
  return setmetatable({
    stream = io.stdout, ends_line = true,
    is_terminal = is_terminal, redraws = is_terminal and is_smart,
    has_colour = is_terminal and is_smart and not is_set "NO_COLOR",
    shows_progress = not is_terminal and is_smart and not is_set "GRADIENT_LOG"
      and core.terminal_size(standard_error) ~= nil,
  }, output_metatable)
end

-- A size that the terminal does not tell may be in the environment.
local function size_of(size, variable, default)
  return size > 0 and size or math.tointeger(tonumber(os.getenv(variable))) or default
end

--- Columns and rows, which may change at any time; nil where lines may have any length.
---@return integer? columns, integer? rows
function output_methods.size()
  local columns, rows = core.terminal_size(standard_output)
  if not columns then return nil end
  return size_of(columns, "COLUMNS", 80), size_of(rows, "LINES", 24)
end

local function check(ok, message, code)
  if not ok then error({ is_broken_pipe = code == broken_pipe, output = message }, 0) end
end

--- Writes, or raises a table: `output`, a message, and `is_broken_pipe`.
function output_methods:write(...)
  check(self.stream:write(...))
  self.ends_line = select(-1, ...):sub(-1) == "\n"
end

function output_methods:line(text)
  self:write(text, "\n")
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

--- Shows on standard error how far the work is; without a text, takes that away again.
---@param text string?
function output_methods:show_progress(text)
  if not self.shows_progress or not (text or self.has_progress) then return end
  self.has_progress = text ~= nil
  local columns = size_of(core.terminal_size(standard_error) or 0, "COLUMNS", 80)
  text = format.cut(text or "", columns - 1)
  io.stderr:write("\r", text, (" "):rep((self.progress_width or 0) - width.of(text)), "\r")
  self.progress_width = width.of(text)
end

--- Says what is wrong.
---@param text string
function output_methods:complain(text)
  self:show_progress(nil)
  io.stderr:write("gradient-jobs: ", format.clean(text), "\n")
end

--- Says something about what was printed, and after it.
---@param text string
function output_methods:note(text)
  self:flush()
  self:complain(text)
end

--- Cleans up after an interruption: writes out what is buffered, ends the line, and resets colours.
--- Never raises.
---@param is_interrupted boolean  the terminal may have shown ^C
function output_methods:restore(is_interrupted)
  self:show_progress(nil)
  if self.is_terminal and not self.ends_line then self.stream:write("\n") end
  if is_interrupted and self.redraws then self.stream:write("\r\27[J") end
  if self.has_colour then self.stream:write("\27[0m") end
  self.stream:flush()
end

return { new = new }
