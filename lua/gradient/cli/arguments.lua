--- What the command line says.

local check = require "gradient.check"
local core = require "gradient.core"
local enums = require "gradient.enums"

-- What an option's text stands for: functions for argparse, which names no option by itself.
local function seconds(option)
  return function(text)
    local number = text:find("^%d+%.?%d*$") and tonumber(text)
    if number and number > 0 then return number end
    return nil, ("%s must be a positive number of seconds, not '%s'"):format(option, text)
  end
end

local function count(option)
  return function(text)
    local number = text:find("^%d+$") and check.integer[2](tonumber(text))
    if number then return number end
    return nil, ("%s must be a whole number from 1, not '%s'"):format(option, text)
  end
end

local function uuid(text)
  if check.id[2](text) then return text end
  return nil, ("'%s' is no uuid"):format(text)
end

-- "running", or the API's own name, which may be one that came after this program.
local function phase(text)
  local name = text:upper()
  local known = rawget(enums.phase, name)
  if known then return known end
  if text:find("^BATCH_JOB_PHASE_[%w_]+$") then return text end
  return nil, ("'%s' is no phase (expected pending, running, succeeded, failed, error, cancelled,"
    .. " unknown or BATCH_JOB_PHASE_...)"):format(text)
end

local function add_list(parser)
  local command = parser:command "list"
    :summary "List jobs, the newest first."
    :description "Lists jobs, the newest first: one page, or all of them."
    :epilog("With --phase or --kb, the whole list is searched. JSON is one array, a job a line; CSV"
      .. " has a job's documented fields, but not the details of its data sources.")
  command:option "--per-page":argname "N":convert(count "--per-page")
    :description "Jobs a page: 20 if the server decides, 200 at the most."
  command:flag "--all":description "Every job of every page."
  command:option "--phase":argname "PHASE":convert(phase):count "*"
    :description "Only jobs in this phase, such as running; may be repeated."
  command:option "--kb":argname "UUID":convert(uuid):description "Only jobs of this knowledge base."
  command:mutex(
    command:flag "--json":description "Print JSON.",
    command:flag "--csv":description "Print comma-separated values."
  )
end

local function add_job_command(parser, name, summary, description)
  local command = parser:command(name):summary(summary):description(description or summary)
  command:argument "uuid":convert(uuid):description "The job."
  command:flag "--json":description "Print JSON."
end

local function add_start(parser)
  local command = parser:command "start"
    :summary "Start a job for a knowledge base."
    :description "Starts a job for a knowledge base and prints the job's uuid."
  command:argument "kb":convert(uuid):description "The uuid of the knowledge base."
  command:option "--source":argname "UUID":convert(uuid):count "*"
    :description "Index this data source; may be repeated. Default: all data sources."
  command:flag "--json":description "Print the job as JSON."
end

local function add_watch(parser)
  local command = parser:command "watch"
    :summary "Show jobs until they are over."
    :description "Shows jobs until they are over; without uuids, all that are not over now."
    :epilog "Exit status: 0 if all of them succeeded, 1 if not."
  command:argument "uuids":argname "UUID":args "*":convert(uuid):description "The jobs."
  command:option "--interval":argname "SECONDS":convert(seconds "--interval"):default "5"
    :description "Time between two looks."
end

local function new_parser(argparse)
  local parser = argparse "gradient-jobs"
    :description "Indexing jobs of DigitalOcean's Gradient AI platform."
    :epilog("The token is taken from the environment: DIGITALOCEAN_ACCESS_TOKEN. Exit status: 0"
      .. " done, 1 the API or the network failed (or a watched job), 2 wrong usage.")
    :command_target "command"
    :help_max_width(80)
  parser:option "--base-url":argname "URL"
    :description "Default: GRADIENT_BASE_URL, then https://api.digitalocean.com."
  parser:option "--timeout":argname "SECONDS":convert(seconds "--timeout")
    :description "Time for one attempt of a request. Default: 60."
  parser:flag "--version":description "Print the version.":action(function()
    print("gradient-jobs " .. core.version)
    os.exit(0)
  end)
  add_list(parser)
  add_job_command(parser, "get", "Show everything about a job.")
  add_job_command(parser, "sources", "Show the data sources of a job.")
  add_start(parser)
  add_job_command(parser, "cancel", "Cancel a job.")
  add_watch(parser)
  return parser
end

local arguments = {}

--- Prints help or version and ends the program where it is asked to.
---@param argparse table  the module of that name
---@param words string[]
---@return table? parsed  by name
---@return string? complaint
function arguments.parse(argparse, words)
  local ok, result = new_parser(argparse):pparse(words)
  if ok then return result end
  return nil, ("%s (see gradient-jobs --help)"):format(result)
end

return arguments
