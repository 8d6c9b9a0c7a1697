--- The manual page gradient-jobs(1), from the declarations of the command line:
---   lua5.4 -e 'require("gradient.cli.manual").write()' > gradient-jobs.1
--- https://man7.org/linux/man-pages/man7/man.7.html

local arguments = require "gradient.cli.arguments"
local cli = require "gradient.cli"
local core = require "gradient.core"

local manual = {}

-- Text in which roff finds no commands.
local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("\n([.'])", "\n\\&%1")
    :gsub("^([.'])", "\\&%1"))
end

local function entry(lines, label, text)
  lines[#lines + 1] = ".TP"
  lines[#lines + 1] = (".B %s"):format(escape(label))
  lines[#lines + 1] = escape(text)
end

-- "--phase PHASE" and its meaning, for each option and argument except --help.
local function add_elements(lines, parser)
  for _, elements in ipairs{ parser._arguments, parser._options } do
    for _, element in ipairs(elements) do
      local label = table.concat(element:_get_label_lines(), " ")
      if not label:find "%-%-help" then entry(lines, label, element._description) end
    end
  end
end

local function add_command(lines, declaration, parser)
  lines[#lines + 1] = (".SS %s"):format(escape(parser:get_usage():gsub("^Usage: ", "")
    :gsub("%s+", " "):gsub("%[%-h%] ", "")))
  local also = declaration.alias and (" (Also: %s.)"):format(declaration.alias) or ""
  lines[#lines + 1] = escape((declaration.description or declaration.summary) .. also)
  if declaration.notes then
    lines[#lines + 1] = ".PP"
    lines[#lines + 1] = escape(declaration.notes)
  end
  add_elements(lines, parser)
  lines[#lines + 1] = ".PP\n.EX"
  for _, example in ipairs(declaration.examples) do lines[#lines + 1] = escape(example) end
  lines[#lines + 1] = ".EE"
end

--- The page as roff.
---@param argparse table  the module of that name
---@return string
function manual.text(argparse)
  local parser = arguments.declare(argparse, cli.commands)
  local lines = {
    (".TH GRADIENT\\-JOBS 1 \"\" \"gradient %s\""):format(core.version),
    ".SH NAME", "gradient\\-jobs \\- indexing jobs of DigitalOcean's Gradient AI platform",
    ".SH SYNOPSIS", ".B gradient\\-jobs", escape "[option]... command [argument]...",
    ".SH OPTIONS", "Every command takes these, before or after its name.",
  }
  add_elements(lines, parser)
  lines[#lines + 1] = ".SH COMMANDS"
  for position, declaration in ipairs(cli.commands) do
    add_command(lines, declaration, parser._commands[position])
  end
  lines[#lines + 1] = ".SH ENVIRONMENT"
  for _, variable in ipairs(arguments.environment) do entry(lines, variable[1], variable[2]) end
  lines[#lines + 1] = ".SH EXIT STATUS"
  for _, status in ipairs(arguments.statuses) do entry(lines, tostring(status[1]), status[2]) end
  return table.concat(lines, "\n") .. "\n"
end

--- Writes the page to standard output.
function manual.write()
  assert(io.write(manual.text(require "argparse")))
  assert(io.stdout:flush())
end

return manual
