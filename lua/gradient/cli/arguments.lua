--- The command line. Each command declares its arguments and options in a file of its own.

local core = require "gradient.core"
local values = require "gradient.cli.values"

local arguments = {}

local help_width = 80

arguments.statuses = {
  { 0, "Done; jobs that were watched have succeeded." },
  { 1, "The API or the network failed, the output could not be written, a watched job failed or was"
    .. " cancelled, or --exit-status found one that failed." },
  { 2, "Wrong usage." },
  { 3, "No job failed, but one was indexed only partially (watch, start --wait, --exit-status)." },
  { 130, "Ctrl-C: the command dies by SIGINT, which shells report as 130." },
  { 141, "The program that reads the output has ended." },
}

arguments.environment = {
  { "DIGITALOCEAN_ACCESS_TOKEN", "The token; without it, DIGITALOCEAN_TOKEN. There is no option for"
    .. " it, because everybody on a machine can see arguments." },
  { "GRADIENT_BASE_URL", "The address of the API; --base-url overrides it." },
  { "CURL_CA_BUNDLE, SSL_CERT_FILE", "The authorities to trust, as for curl; --ca-file overrides"
    .. " them." },
  { "https_proxy, http_proxy, no_proxy", "The proxy, as for curl; --proxy overrides it." },
  { "GRADIENT_LOG", "info or debug: logs requests on standard error." },
  { "NO_COLOR", "If it is set and not empty, there are no colours." },
}

-- Entries as lines of text: a label, and what it means from a column on.
local function entries(list, column)
  local lines = {}
  for _, entry in ipairs(list) do
    local line = ("  %s"):format(entry[1])
    if #line > column - 2 then
      lines[#lines + 1], line = line, ""
    end
    line = line .. (" "):rep(column - #line)
    local is_first = true
    for word in entry[2]:gmatch "%S+" do
      if #line + #word + 1 > help_width then
        lines[#lines + 1], line, is_first = line, (" "):rep(column), true
      end
      line, is_first = line .. (is_first and "" or " ") .. word, false
    end
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n")
end

-- --help and --version end the parsing: their text is the result.
local function show(text_of)
  return function(result) error({ shown = text_of(result) }, 0) end
end

local function examples_text(examples)
  local lines = { "Examples:" }
  for _, example in ipairs(examples) do lines[#lines + 1] = "  " .. example end
  return table.concat(lines, "\n")
end

local function add_command(parser, declaration)
  local names = declaration.name .. (declaration.alias and " " .. declaration.alias or "")
  local command = parser:command(names)
  local notes = declaration.notes and declaration.notes .. "\n\n" or ""
  command:summary(declaration.summary)
    :description(declaration.description or declaration.summary)
    :epilog(notes .. examples_text(declaration.examples)
      .. "\n\nOptions for all commands: gradient-jobs --help")
    :add_help{
      description = "Show this help.", action = show(function() return command:get_help() end),
    }
  declaration.declare(command)
end

local function add_global_options(parser)
  parser:option "--base-url":argname "URL"
    :description "The API's address. Default: GRADIENT_BASE_URL, then https://api.digitalocean.com."
  parser:option "--timeout":argname "SECONDS":convert(values.seconds "--timeout")
    :description "Time for one attempt of a request. Default: 60."
  parser:option "--max-retries":argname "N":convert(values.count("--max-retries", 0))
    :description "Further attempts after the first. Default: 2."
  parser:option "--ca-file":argname "FILE"
    :description "PEM file of the authorities to trust. Default: CURL_CA_BUNDLE, SSL_CERT_FILE."
  parser:option "--proxy":argname "URL":description "Proxy; '' for none."
  parser:flag "--allow-http"
    :description "Send the token over plain http to another machine."
  parser:flag "--no-names"
    :description "Show uuids instead of names; saves requests."
  parser:flag "--version":description "Print the version."
    :action(show(function() return "gradient-jobs " .. core.version end))
end

--- Declares all commands and options.
---@param argparse table  the module of that name
---@param commands table[]  name, alias, summary, description, notes, examples, declare
---@return table parser
function arguments.declare(argparse, commands)
  local parser = argparse "gradient-jobs"
    :description "Indexing jobs of DigitalOcean's Gradient AI platform."
    :command_target "command"
    :help_max_width(help_width)
  parser:epilog("Environment:\n" .. entries(arguments.environment, 6)
    .. "\n\nExit status:\n" .. entries(arguments.statuses, 7)
    .. "\n\nSee 'gradient-jobs help COMMAND' for the options of a command, and examples.")
  parser:add_help{
    description = "Show this help.", action = show(function() return parser:get_help() end),
  }
  add_global_options(parser)
  for _, declaration in ipairs(commands) do add_command(parser, declaration) end
  return parser
end

-- All options of the program and its commands: name → whether it takes a value.
local function options_of(parser, found)
  found = found or {}
  for _, option in ipairs(parser._options) do
    for _, name in ipairs(option._aliases) do found[name] = option._maxargs > 0 end
  end
  for _, command in ipairs(parser._commands) do options_of(command, found) end
  return found
end

-- A word that only begins like an option: "-5" or "-tokens".
local function is_value(word, takes_value)
  return not (word:find "^%-%-" or takes_value[word:sub(1, 2)] ~= nil and word:find "^%-")
end

-- The words as argparse takes them: the command first, so that its options may be before it, too;
-- and values that begin with "-" joined to their options.
local function normalize(words, takes_value)
  local ordered, command, position = {}, nil, 1
  while position <= #words do
    local word, following = words[position], words[position + 1]
    if word == "--" then break end
    if takes_value[word] and following and is_value(following, takes_value) then
      word = word .. (word:find "^%-%-" and "=" or "") .. following
      position = position + 1
    elseif not command and not word:find "^%-." then
      command, word = word, nil
    end
    ordered[#ordered + 1] = word
    position = position + 1
  end
  table.move(words, position, #words, #ordered + 1, ordered)
  if command then table.insert(ordered, 1, command) end
  return ordered
end

--- The words as a table of options and arguments by name, with `command`; or with `shown`, the text
--- of --help or --version.
---@param parser table
---@param words string[]
---@return table? parsed
---@return string? complaint
function arguments.parse(parser, words)
  function parser.error(_, complaint) error({ complaint = complaint }, 0) end
  local ok, result = pcall(parser.parse, parser, normalize(words, options_of(parser)))
  if ok or type(result) == "table" and result.shown then return result end
  if type(result) ~= "table" then error(result, 0) end
  local complaint = result.complaint:gsub("\nDid you mean", "; did you mean")
  return nil, ("%s (see gradient-jobs --help)"):format(complaint)
end

return arguments
