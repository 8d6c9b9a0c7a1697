--- gradient-jobs get: everything about a job, as a page for a person.

local format = require "gradient.cli.format"
local jobs = require "gradient.cli.jobs"
local json = require "gradient.cli.json"
local rules = require "gradient.job"
local selection = require "gradient.cli.selection"
local sources = require "gradient.cli.sources"
local values = require "gradient.cli.values"
local width = require "gradient.cli.width"

local get = {
  name = "get", summary = "Show everything about jobs.",
  description = "Shows everything about jobs: their fields, how they ended or how far they have"
    .. " got, and their data sources.",
  notes = "--json prints a job a line.",
  examples = {
    "gradient-jobs get 11d791ae-c159-4aef-bec4-c1af9a7e0b07",
    "gradient-jobs get 11d791ae-c159-4aef-bec4-c1af9a7e0b07 --json | jq .phase",
  },
}

function get.declare(command)
  command:argument "UUID":target "uuids":args "+":convert(values.uuid):description "The jobs."
  command:mutex(selection.declare_json(command, "Print JSON."))
end

-- A page is a list of lines: label, text, style. Lines without a text are left out.
local function add(page, label, text, style)
  if text then page[#page + 1] = { label = label, text = text, style = style } end
end

local function count(job, name)
  return job[name] ~= nil and format.count(job[name]) or nil
end

local function base(job, names)
  local uuid = job.knowledge_base_uuid
  if uuid == nil then return nil end
  local name = names:of(uuid)
  return name and ("%s (%s)"):format(format.clean(name), format.text(uuid)) or format.text(uuid)
end

-- "running, 12 of 40 files (30 %)"
local function state(job)
  local text, progress = jobs.state(job), rules.progress(job)
  if not progress.total and (progress.done == 0 or rules.outcome(job)) then return text end
  local number = progress.unit == "bytes" and format.bytes or format.count
  if not progress.total then
    return ("%s, %s %s so far"):format(text, number(progress.done), progress.unit)
  end
  return ("%s, %s of %s %s (%d %%)"):format(text, number(progress.done), number(progress.total),
    progress.unit, math.min(100, progress.done * 100.0 // progress.total))
end

-- Fields that have a line of their own, or are in the table of data sources.
local is_shown = {
  uuid = true, knowledge_base_uuid = true, phase = true, status = true, created_at = true,
  started_at = true, finished_at = true, updated_at = true, completed_datasources = true,
  total_datasources = true, tokens = true, total_tokens = true, total_items_indexed = true,
  total_items_skipped = true, total_items_failed = true, is_report_available = true,
  data_source_jobs = true, data_source_uuids = true,
}

-- Fields that are newer than this program are shown as they are.
local function add_others(page, job)
  local names = {}
  for name in pairs(job) do
    if not is_shown[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = job[name]
    add(page, format.clean(name), type(value) == "table" and format.clean(json.encode(value))
      or format.text(value))
  end
end

local function page_of(job, names)
  local page = {}
  add(page, "Job", format.text(job.uuid))
  add(page, "Knowledge base", base(job, names))
  add(page, "State", state(job), jobs.style(job))
  add(page, "Phase", job.phase and format.text(job.phase))
  add(page, "Status", job.status and format.text(job.status))
  add(page, "Created", format.moment(job.created_at))
  add(page, "Started", format.moment(job.started_at))
  add(page, "Finished", format.moment(job.finished_at))
  add(page, "Updated", format.moment(job.updated_at))
  local took = jobs.seconds_between(job.started_at, job.finished_at)
  add(page, rules.outcome(job) and "Took" or "Running for", took and format.clock(took))
  add(page, "Tokens", count(job, "total_tokens") or count(job, "tokens"))
  add(page, "Items indexed", count(job, "total_items_indexed"))
  add(page, "Items skipped", count(job, "total_items_skipped"))
  add(page, "Items failed", count(job, "total_items_failed"))
  if job.is_report_available == true then
    add(page, "Report", "gradient-jobs report " .. format.text(job.uuid))
  end
  add_others(page, job)
  return page
end

local function print_page(page, output)
  local widest = 0
  for _, line in ipairs(page) do widest = math.max(widest, width.of(line.label)) end
  for _, line in ipairs(page) do
    local padding = (" "):rep(widest - width.of(line.label) + 2)
    output:line(output:paint("bold", line.label) .. padding .. output:paint(line.style, line.text))
  end
end

-- A job may come without its data sources.
local function add_sources(job, uuid, client)
  if #sources.of(job.data_source_jobs) > 0 then return true end
  local answer, problem = client.indexing_jobs.retrieve_data_sources(uuid)
  if not answer then return nil, problem end
  job.data_source_jobs = answer.indexed_data_sources
  return true
end

local function print_job(job, session)
  local output, list = session.output, sources.of(job.data_source_jobs)
  print_page(page_of(job, session.names), output)
  if #list == 0 then return end
  output:line ""
  sources.print(list, session.names:places_of(job.knowledge_base_uuid), output)
end

function get.run(session)
  local parsed, output = session.parsed, session.output
  return session:each("job", parsed.uuids, function(uuid)
    local answer, problem = session.client.indexing_jobs.retrieve(uuid)
    if not answer then return nil, problem end
    local job = answer.job
    if parsed.json then
      output:line(json.encode(job))
      return true
    end
    local complete
    complete, problem = add_sources(job, uuid, session.client)
    if not complete then return nil, problem end
    if uuid ~= parsed.uuids[1] then output:line "" end
    print_job(job, session)
    return true
  end)
end

return get
