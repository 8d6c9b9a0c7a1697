--- gradient-jobs list

local core = require "gradient.core"
local format = require "gradient.cli.format"
local jobs = require "gradient.cli.jobs"
local names = require "gradient.cli.names"
local rules = require "gradient.job"
local selection = require "gradient.cli.selection"
local values = require "gradient.cli.values"

local list = {
  name = "list", alias = "ls", summary = "List jobs, the newest first.",
  description = "Lists jobs, the newest first: one page, or all of them.",
  notes = "With --all, --limit, --sort or an option that selects jobs, all pages are read. JSON is"
    .. " one array, a job a line; CSV has a job's documented fields, but not the details of its"
    .. " data sources.",
  examples = {
    "gradient-jobs list --phase running,pending",
    "gradient-jobs list --kb handbook --output wide",
    "gradient-jobs list --since 1d --outcome failed,partial --exit-status",
    "gradient-jobs list --sort -tokens --limit 10",
    "gradient-jobs list --all --output jsonl > jobs.jsonl",
  },
}

local largest_page = 200

function list.declare(command)
  command:option "--per-page":argname "N":convert(values.count("--per-page", 1))
    :description "Jobs on a page, at most 200. Default: 20, by the server."
  command:flag "--all":description "Every job of every page."
  command:option "--phase":argname "PHASE":convert(values.phases):count "*":action "concat"
    :description("Only jobs in this phase: " .. table.concat(values.phase_names, ", ") .. ".")
  command:option "--status":argname "STATUS":convert(values.statuses):count "*":action "concat"
    :description("Only jobs with this status: " .. table.concat(values.status_names, ", ") .. ".")
  command:option "--outcome":argname "OUTCOME":convert(values.outcomes):count "*":action "concat"
    :description("Only jobs that ended like this: " .. table.concat(values.outcome_names, ", ")
      .. ".")
  command:option "--since":argname "TIME":convert(values.since)
    :description "Only jobs created since then: 2h, 3d, 2026-08-01, or a date-time."
  command:option "--kb":argname "KB":convert(values.base)
    :description "Only jobs of this knowledge base (name or uuid)."
  selection.declare_order(command)
  selection.declare_format(command)
end

-- Other clients clip the list without a word, and their users take a page for all jobs.
local function note_more(page, output)
  local shown = #page.jobs
  local total = type(page.meta) == "table" and math.tointeger(page.meta.total)
  local links = type(page.links) == "table" and page.links.pages
  if total and total > shown then
    output:note(("%d of %d jobs; --all lists them all"):format(shown, total))
  elseif not total and type(links) == "table" and type(links.next) == "string" then
    output:note(("%d jobs, and there are more; --all lists them all"):format(shown))
  end
end

local function list_page(session, chosen)
  local page = assert(session.client.indexing_jobs.list{ per_page = session.parsed.per_page })
  for _, job in ipairs(page.jobs) do chosen:take(job) end
  local status = chosen:finish()
  note_more(page, session.output)
  return status
end

-- Shows the progress, after the first second. To know the total takes a request of its own.
local function new_progress(session, per_page)
  local started, total = core.now(), nil
  return function(event)
    local page = event.url:match "/indexing_jobs%?.-%f[%w_]page=(%d+)"
    local elapsed = core.now() - started
    if not page or elapsed < 1 then return end
    if not total then
      local first = session.client.indexing_jobs.list({ per_page = 1 }, { max_retries = 0 })
      total = first and type(first.meta) == "table" and math.tointeger(first.meta.total) or 0
    end
    local seen = page * per_page
    local text = format.count(seen) .. " jobs"
    if total > seen then
      text = ("%s of %s jobs, about %s left"):format(format.count(seen), format.count(total),
        format.age(math.max(1, (total - seen) * elapsed / seen)))
    end
    session.output:show_progress(text)
  end
end

local function is_among(value, wanted)
  for _, item in ipairs(wanted) do
    if value == item then return true end
  end
  return #wanted == 0
end

local function nil_if_empty(items)
  return #items > 0 and items or nil
end

local function list_all(session, chosen, filter)
  local parsed = session.parsed
  local is_filtered = next(filter) or parsed.sort or #parsed.outcome > 0
  local needed = not is_filtered and parsed.limit or math.huge
  filter.per_page = parsed.per_page or math.min(largest_page, needed)
  session.on_response = new_progress(session, filter.per_page)
  for job in session.client.indexing_jobs.each(filter, {
    prefetch = needed <= filter.per_page and 0 or nil,
  }) do
    if is_among(rules.outcome(job), parsed.outcome) then chosen:take(job) end
    if chosen:is_full() then break end
  end
  session.output:show_progress(nil)
  return chosen:finish()
end

function list.run(session)
  local parsed = session.parsed
  local chosen = selection.new(parsed, session.output, {
    columns = jobs.columns(session.names), fields = jobs.fields,
    job_of = function(job) return job end,
  }, "there are no such jobs")
  local filter = {
    since = parsed.since, phase = nil_if_empty(parsed.phase), status = nil_if_empty(parsed.status),
    knowledge_base_uuid = parsed.kb and assert(names.find(session.client, parsed.kb)).uuid,
  }
  if parsed.all or parsed.limit or parsed.sort or #parsed.outcome > 0 or next(filter) then
    return list_all(session, chosen, filter)
  end
  return list_page(session, chosen)
end

return list
