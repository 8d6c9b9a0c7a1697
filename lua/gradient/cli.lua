--- The command gradient-jobs.

local arguments = require "gradient.cli.arguments"
local csv = require "gradient.cli.csv"
local format = require "gradient.cli.format"
local gradient = require "gradient"
local jobs = require "gradient.cli.jobs"
local json = require "gradient.cli.json"
local outputs = require "gradient.cli.output"
local rows = require "gradient.cli.rows"
local watch = require "gradient.cli.watch"

local cli = {}

-- Exit statuses; the last two are those that a shell has for SIGINT and SIGPIPE.
local done, failed, misused, interrupted, unread = 0, 1, 2, 130, 141

local largest_page = 200

-- A passing failure must not end a view that runs for hours: these are 15 seconds of attempts.
local watch_retries = 5

local function complain(text)
  io.stderr:write("gradient-jobs: ", format.clean(tostring(text)), "\n")
end

-- Says something about what was printed, and after it.
local function note(output, text)
  output:flush()
  complain(text)
end

-- A printer has `item`, for each item of a list, and `finish`. It prints nothing before these, so
-- that of a list that cannot be had nothing is seen.

local function json_printer(output)
  local separator = "[\n"
  return {
    item = function(item)
      output:write(separator, json.encode(item))
      separator = ",\n"
    end,
    finish = function() output:write(separator == "[\n" and "[]\n" or "\n]\n") end,
  }
end

local function csv_printer(output)
  local is_begun = false
  local function print_record(values)
    local record = csv.record(values, #jobs.fields)
    output:write(output.is_terminal and format.clean(record) or record, "\r\n")
  end
  local function begin()
    if not is_begun then print_record(jobs.fields) end
    is_begun = true
  end
  return {
    item = function(job)
      begin()
      local values = {}
      for position, name in ipairs(jobs.fields) do values[position] = job[name] end
      print_record(values)
    end,
    finish = begin,
  }
end

local function table_printer(output, columns, nothing)
  local layout
  return {
    item = function(item)
      if not layout then
        layout = rows.layout(columns, output)
        output:line(layout:header())
      end
      output:line(layout:row(item))
    end,
    finish = function()
      if not layout then note(output, nothing) end
    end,
  }
end

local function new_printer(parsed, output, columns, nothing)
  if parsed.json then return json_printer(output) end
  if parsed.csv then return csv_printer(output) end
  return table_printer(output, columns, nothing)
end

-- The commands. Their `assert` raises the error value of an operation as it is.
local commands = {}

-- A list that is clipped without a word is the mistake of every other client.
local function note_more(page, output)
  local shown = #page.jobs
  local total = type(page.meta) == "table" and math.tointeger(page.meta.total)
  local links = type(page.links) == "table" and page.links.pages
  if total and total > shown then
    note(output, ("%d of %d jobs; --all lists them all"):format(shown, total))
  elseif not total and type(links) == "table" and type(links.next) == "string" then
    note(output, ("%d jobs, and there are more; --all lists them all"):format(shown))
  end
end

local function list_page(client, parsed, printer, output)
  local page = assert(client.indexing_jobs.list{ per_page = parsed.per_page })
  for _, job in ipairs(page.jobs) do printer.item(job) end
  printer.finish()
  note_more(page, output)
end

local function list_all(client, parsed, printer)
  local is_wanted = {}
  for _, phase in ipairs(parsed.phase) do is_wanted[phase] = true end
  for job in client.indexing_jobs.each{
    per_page = parsed.per_page or largest_page, knowledge_base_uuid = parsed.kb,
  } do
    if #parsed.phase == 0 or is_wanted[job.phase] then printer.item(job) end
  end
  printer.finish()
end

function commands.list(client, parsed, output)
  local printer = new_printer(parsed, output, jobs.columns, "there are no such jobs")
  if parsed.all or parsed.kb or #parsed.phase > 0 then
    list_all(client, parsed, printer)
  else
    list_page(client, parsed, printer, output)
  end
end

-- The names of a job's fields: the known ones in their order, then all others.
local function names_of(job)
  local names, others, is_known = {}, {}, {}
  for _, name in ipairs(jobs.fields) do
    if job[name] ~= nil then names[#names + 1] = name end
    is_known[name] = true
  end
  for name in pairs(job) do
    if not is_known[name] then others[#others + 1] = name end
  end
  table.sort(others)
  return table.move(others, 1, #others, #names + 1, names)
end

-- A field a line; of an array, an item a line.
local function print_fields(job, output)
  local names, width = names_of(job), 0
  for _, name in ipairs(names) do width = math.max(width, format.width(format.clean(name))) end
  for _, name in ipairs(names) do
    local value, label = job[name], format.clean(name)
    local items = type(value) == "table" and (#value > 0 or next(value) == nil) and value
      or { value }
    for position = 1, math.max(1, #items) do
      local item = items[position]
      local text = type(item) == "table" and json.encode(item) or format.text(item)
      local padding = (" "):rep(width - format.width(label) + 2)
      output:line(output:paint("bold", label) .. padding .. text)
      label = ""
    end
  end
end

function commands.get(client, parsed, output)
  local job = assert(client.indexing_jobs.retrieve(parsed.uuid)).job
  if parsed.json then
    output:line(json.encode(job))
  else
    print_fields(job, output)
  end
end

function commands.sources(client, parsed, output)
  local answer = assert(client.indexing_jobs.retrieve_data_sources(parsed.uuid))
  local printer = new_printer(parsed, output, jobs.source_columns, "this job has no data sources")
  for _, source in ipairs(answer.indexed_data_sources) do printer.item(source) end
  printer.finish()
end

function commands.start(client, parsed, output)
  local job = assert(client.indexing_jobs.create{
    knowledge_base_uuid = parsed.kb,
    data_source_uuids = #parsed.source > 0 and parsed.source or nil,
  }).job
  output:line(parsed.json and json.encode(job) or format.text(job.uuid))
end

function commands.cancel(client, parsed, output)
  local job = assert(client.indexing_jobs.update_cancel(parsed.uuid)).job
  output:line(parsed.json and json.encode(job)
    or ("%s %s"):format(format.text(job.uuid), jobs.phase(job)))
end

function commands.watch(client, parsed, output)
  local entries = #parsed.uuids > 0 and watch.chosen(parsed.uuids) or watch.unfinished(client)
  if #entries == 0 then return note(output, "no job is under way") end
  return watch.run(client, entries, output, parsed.interval)
end

-- lua's own handler of SIGINT raises this.
local function is_interruption(problem)
  return type(problem) == "string" and problem:find("interrupted!", 1, true) ~= nil
end

local function new_client(parsed)
  local made, client = pcall(gradient.client, {
    base_url = parsed.base_url, timeout = parsed.timeout, keep_nulls = parsed.json,
    max_retries = parsed.command == "watch" and watch_retries or nil,
  })
  if made then return client end
  if is_interruption(client) then error(client, 0) end
  return nil, client
end

local function run(words, output)
  local found, argparse = pcall(require, "argparse")
  if not found then
    complain "the Lua module argparse is missing (Debian: lua-argparse, LuaRocks: argparse)"
    return failed
  end
  local parsed, complaint = arguments.parse(argparse, words)
  if not parsed then
    complain(complaint)
    return misused
  end
  local client <close>, mistake = new_client(parsed)
  if not client then
    complain((mistake:gsub("option '([%w_]+)'", function(name)
      return "--" .. name:gsub("_", "-")
    end)))
    return misused
  end
  local succeeded = commands[parsed.command](client, parsed, output)
  output:flush()
  return succeeded == false and failed or done
end

-- The exit status for what was raised; what is none of the outside world's doing is raised again.
local function status_of(problem, output)
  if is_interruption(problem) then
    output:restore()
    return interrupted
  elseif type(problem) ~= "table" then
    error(problem, 0)
  elseif problem.is_broken_pipe then
    return unread
  end
  output:restore()
  local text = problem.output and "cannot write: " .. problem.output or tostring(problem)
  complain((text:gsub(", or the option 'token' of gradient%.client", "")))
  return failed
end

--- Runs the command; never raises for what the outside world does.
---@param words string[]  its arguments
---@return integer status  for os.exit
function cli.main(words)
  local output = outputs.new()
  local ok, result = pcall(run, words, output)
  if ok then return result end
  return status_of(result, output)
end

return cli
