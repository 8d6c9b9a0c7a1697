--- gradient-jobs watch: shows jobs until all of them are over.

local complaint = require "gradient.cli.complaint"
local core = require "gradient.core"
local jobs = require "gradient.cli.jobs"
local names = require "gradient.cli.names"
local rules = require "gradient.job"
local values = require "gradient.cli.values"
local view = require "gradient.cli.view"

local watch = {
  name = "watch", summary = "Show jobs until they are over.",
  description = "Shows jobs until they are over; without uuids, all jobs that are under way.",
  notes = "Outages are shown, and survived. Exit status: 0 if all jobs succeeded, 1 if one failed"
    .. " or was cancelled, else 3 if one was indexed only partially.",
  examples = {
    "gradient-jobs watch",
    "gradient-jobs watch 43475f5f-6044-46cc-b40d-1e26ffd77d12 && make deploy",
    "gradient-jobs watch --interval 30 --give-up 600",
  },
}

local per_page = 200 -- the most that one request can bring
local failed, partial = 1, 3 -- exit statuses

--- Declares the options that `start --wait` has, too.
function watch.declare_settings(command)
  command:option "--interval":argname "SECONDS":convert(values.seconds "--interval"):default "5"
    :show_default(false):description "Time between two looks at the jobs. Default: 5."
  command:option "--give-up":argname "SECONDS":convert(values.seconds "--give-up")
    :description "Give up when an outage lasts this long. Default: never."
end

function watch.declare(command)
  command:argument "UUID":target "uuids":args "*":convert(values.uuid):description "The jobs."
  watch.declare_settings(command)
end

---@class gradient.cli.watched
---@field uuid string
---@field job? gradient.job  as it was seen last

-- The jobs of these uuids, each of them once.
local function chosen(uuids)
  local entries, taken = {}, {}
  for _, uuid in ipairs(uuids) do
    if not taken[uuid] then entries[#entries + 1] = { uuid = uuid } end
    taken[uuid] = true
  end
  return entries
end

-- All jobs that are not over.
local function all_unfinished(client)
  local entries = {}
  for job in client.indexing_jobs.each{ per_page = per_page } do
    if names.is_id(job.uuid) and not rules.is_finished(job) then
      entries[#entries + 1] = { uuid = job.uuid, job = job }
    end
  end
  return entries
end

local function unfinished(entries)
  local open = {}
  for _, entry in ipairs(entries) do
    if not (entry.job and rules.is_finished(entry.job)) then open[#open + 1] = entry end
  end
  return open
end

-- An error that says of which job it is.
local function named(problem, uuid)
  if problem.kind ~= "not_found" then return problem end
  return { kind = problem.kind, about = ("job %s: %s"):format(uuid, complaint.text(problem)) }
end

-- Asks about the jobs that are not over: all at once where the list's first page has them. Returns
-- nil and an error when that fails.
local function look(client, entries, options)
  local open, newest = unfinished(entries), {}
  if #open > 1 then
    local page, problem = client.indexing_jobs.list({ per_page = per_page }, options)
    if not page then return nil, problem end
    for _, job in ipairs(page.jobs) do
      if job.uuid then newest[job.uuid] = job end
    end
  end
  for _, entry in ipairs(open) do
    local job = newest[entry.uuid]
    if not job then
      local answer, problem = client.indexing_jobs.retrieve(entry.uuid, options)
      if not answer then return nil, named(problem, entry.uuid) end
      job = answer.job
    end
    entry.job = job
  end
  return true
end

-- Failures that pass: of the network, of a server, or of a proxy in between.
local passes = {
  connection = true, timeout = true, server = true, rate_limit = true, decode = true,
}

-- Looks until it succeeds. The failures in a row are an outage: a table with when it began, its
-- kind and its reason.
local function look_through_outages(session, entries, shown)
  local outage
  while true do
    shown.asked_at = core.now()
    local ok, problem = look(session.client, entries, { max_retries = 0 })
    shown.asked_at = nil
    if ok then return shown:set_outage(nil) end
    if not passes[problem.kind] then error(problem, 0) end
    outage = outage or { began = core.now() }
    outage.kind, outage.reason = problem.kind, complaint.text(problem)
    local left = outage.began + (session.parsed.give_up or math.huge) - core.now()
    if left <= 0 then error(problem, 0) end
    shown:set_outage(outage)
    local pause = math.max(session.parsed.interval, problem.retry_after or 0)
    session.client:sleep(math.min(pause, left))
  end
end

local function status_of(entries)
  local status = 0
  for _, entry in ipairs(entries) do
    local outcome = rules.outcome(entry.job)
    if not rules.is_success(outcome) then return failed end
    if outcome == "partial" then status = partial end
  end
  return status
end

local function show(session, entries)
  local shown = view.new(session.output, jobs.progress_columns(session.names), entries)
  session.on_tick = function() shown:tick() end
  if not entries[1].job then look_through_outages(session, entries, shown) end
  while #unfinished(entries) > 0 do
    shown:show(false)
    session.client:sleep(session.parsed.interval)
    look_through_outages(session, entries, shown)
  end
  shown:show(true)
  return status_of(entries)
end

--- Shows these jobs until all are over.
---@param session gradient.cli.session  of which `parsed` has interval and give_up
---@param uuids string[]
---@return integer status  for the process
function watch.show(session, uuids)
  return show(session, chosen(uuids))
end

-- What fails at the first look is no outage: most often, it is a mistake.
function watch.run(session)
  local uuids, client = session.parsed.uuids, session.client
  local entries = #uuids > 0 and chosen(uuids) or all_unfinished(client)
  if #entries == 0 then return session.output:note "no job is under way" end
  if #uuids > 0 then assert(look(client, entries)) end
  return show(session, entries)
end

return watch
