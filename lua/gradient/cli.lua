--- The command gradient-jobs.

local arguments = require "gradient.cli.arguments"
local complaint = require "gradient.cli.complaint"
local help = require "gradient.cli.help"
local outputs = require "gradient.cli.output"
local selection = require "gradient.cli.selection"
local sessions = require "gradient.cli.session"
local start = require "gradient.cli.start"

local cli = {}

-- Exit statuses; the last is the one that a shell has for SIGPIPE.
local done, failed, misused, unread = 0, 1, 2, 141

cli.commands = {
  require "gradient.cli.list", require "gradient.cli.bases", require "gradient.cli.get",
  require "gradient.cli.sources", start.start, require "gradient.cli.watch", start.cancel,
  require "gradient.cli.report", require "gradient.cli.schedule", require "gradient.cli.database",
  help.help, help.completion,
}

local needs_no_client = { [help.help] = true, [help.completion] = true }

-- lua's own handler of SIGINT raises this.
local function is_interruption(problem)
  return type(problem) == "string" and problem:find("interrupted!", 1, true) ~= nil
end

-- A module that is not ours.
local function need(name, rock)
  local found, module = pcall(require, name)
  if found then return module end
  if is_interruption(module) then error(module, 0) end
  error({ about = ("the Lua module %s is missing (Debian: lua-%s, LuaRocks: %s)"):format(name, name,
    rock) }, 0)
end

-- The authorities to trust, in the order in which curl looks for them.
local function ca_file_of_environment()
  for _, name in ipairs{ "CURL_CA_BUNDLE", "SSL_CERT_FILE" } do
    local path = os.getenv(name)
    if path and path ~= "" then return path end
  end
end

-- The module is loaded here, after lua-cjson: it would look for that itself, and take a Ctrl-C
-- meanwhile for its absence.
local function new_client(session)
  local parsed = session.parsed
  local format = selection.format(parsed)
  local made, client = pcall(require("gradient").client, {
    base_url = parsed.base_url, timeout = parsed.timeout, max_retries = parsed.max_retries,
    ca_file = parsed.ca_file or ca_file_of_environment(), proxy = parsed.proxy,
    allow_http = parsed.allow_http, keep_nulls = format == "json" or format == "jsonl",
    on_event = session.output.shows_progress and function(event)
      if event.type == "response" and session.on_response then session.on_response(event) end
    end or nil,
    wait = parsed.interval and function(fds, seconds) session:wait(fds, seconds) end or nil,
  })
  if made then return client end
  if is_interruption(client) then error(client, 0) end
  error({ misused = complaint.text(client) }, 0)
end

local function run_command(command, session)
  if needs_no_client[command] then return command.run(session) end
  local client <close> = new_client(session)
  session:use(client)
  return command.run(session)
end

local function find_command(name)
  for _, command in ipairs(cli.commands) do
    if command.name == name then return command end
  end
end

local function run(words, output)
  need("cjson", "lua-cjson") -- for the bodies of requests
  local parser = arguments.declare(need("argparse", "argparse"), cli.commands)
  local parsed, mistake = arguments.parse(parser, words)
  if not parsed then
    output:complain(mistake)
    return misused
  end
  local status
  if parsed.shown then
    output:line(parsed.shown)
  else
    local session = sessions.new(parsed, output)
    session.parser = parser
    status = run_command(find_command(parsed.command), session)
  end
  output:flush()
  return status or done
end

-- The exit status for an error that was raised. An interruption is raised again, as is a mistake in
-- the program.
local function status_of(problem, output)
  if type(problem) == "table" and problem.is_broken_pipe then return unread end
  output:restore(is_interruption(problem))
  if type(problem) ~= "table" then error(problem, 0) end
  output:complain(problem.misused or complaint.text(problem))
  return problem.misused and misused or failed
end

--- Runs the command. Whatever the network, the API or the user did wrong becomes a message and an
--- exit status. Raises "interrupted!" on Ctrl-C, as lua does.
---@param words string[]  its arguments
---@return integer status  for os.exit
function cli.main(words)
  local output = outputs.new()
  local ok, result = pcall(run, words, output)
  if ok then return result end
  return status_of(result, output)
end

return cli
