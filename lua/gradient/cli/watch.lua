--- A live view of jobs: one line for each, until all are over.

local core = require "gradient.core"
local format = require "gradient.cli.format"
local job_rules = require "gradient.job"
local jobs = require "gradient.cli.jobs"
local rows = require "gradient.cli.rows"

local watch = {}

local per_page = 200 -- the most that one request can bring
local tick = 1 -- seconds after which a terminal shows the passing of time

-- How a job ended: well (true) or not (false); nil while it is not over.
local function outcome(job)
  local ended = job_rules.outcome(job)
  return ended and job_rules.is_success(ended)
end

---@class gradient.cli.watched
---@field uuid string
---@field job? gradient.job  as it was seen last
---@field outcome? boolean  see above

local function see(entry, job)
  entry.job, entry.outcome = job, outcome(job)
end

--- The jobs of these uuids, each of them once.
---@param uuids string[]
---@return gradient.cli.watched[]
function watch.chosen(uuids)
  local entries, taken = {}, {}
  for _, uuid in ipairs(uuids) do
    if not taken[uuid] then entries[#entries + 1] = { uuid = uuid } end
    taken[uuid] = true
  end
  return entries
end

--- All jobs that are not over.
---@param client gradient.client
---@return gradient.cli.watched[]
function watch.unfinished(client)
  local entries = {}
  for job in client.indexing_jobs.each{ per_page = per_page } do
    if type(job.uuid) == "string" and outcome(job) == nil then
      entries[#entries + 1] = { uuid = job.uuid, job = job }
    end
  end
  return entries
end

local function unfinished(entries)
  local open = {}
  for _, entry in ipairs(entries) do
    if entry.outcome == nil then open[#open + 1] = entry end
  end
  return open
end

-- Asks how those are that are not over: all at once where the list's first page has them.
local function refresh(client, entries)
  local open, newest = unfinished(entries), {}
  if #open > 1 then
    for _, job in ipairs(assert(client.indexing_jobs.list{ per_page = per_page }).jobs) do
      if job.uuid then newest[job.uuid] = job end
    end
  end
  for _, entry in ipairs(open) do
    see(entry, newest[entry.uuid] or assert(client.indexing_jobs.retrieve(entry.uuid)).job)
  end
end

-- "3 jobs: 1 running, 2 succeeded"
local function summary(entries)
  local counts, names, parts = {}, {}, {}
  for _, entry in ipairs(entries) do
    local name = jobs.phase(entry.job)
    if not counts[name] then names[#names + 1] = name end
    counts[name] = (counts[name] or 0) + 1
  end
  table.sort(names)
  for position, name in ipairs(names) do parts[position] = ("%d %s"):format(counts[name], name) end
  return ("%d %s: %s"):format(#entries, #entries == 1 and "job" or "jobs",
    table.concat(parts, ", "))
end

-- What `room` lines can show: of too many, those first that are not over, and how many are missing.
local function choose(entries, room)
  if #entries <= room then return entries, 0 end
  local shown = {}
  for _, is_over in ipairs{ false, true } do
    for _, entry in ipairs(entries) do
      if (entry.outcome ~= nil) == is_over and #shown < room - 1 then shown[#shown + 1] = entry end
    end
  end
  return shown, #entries - #shown
end

---@class gradient.cli.view  what shows the entries
---@field show fun(self: gradient.cli.view, is_last: boolean)

local live_methods = {}

-- Draws over what was drawn before. Nothing else about the terminal is changed, and the cursor
-- stays below the view, so that all is well whenever the program ends.
function live_methods:show(is_last)
  local columns, terminal_rows = self.output.size()
  local layout = rows.layout(jobs.progress_columns, self.output)
  local room = is_last and math.huge or terminal_rows - 3 -- heading, summary, cursor
  local shown, missing = choose(self.entries, math.max(1, room))
  local lines = { layout:header() }
  for _, entry in ipairs(shown) do lines[#lines + 1] = layout:row(entry.job) end
  if missing > 0 then lines[#lines + 1] = ("… and %d more"):format(missing) end
  lines[#lines + 1] = format.cut(summary(self.entries), columns)
  local up = self.height > 0 and ("\27[%dA"):format(self.height) or ""
  self.output:write(up, "\r\27[2K", table.concat(lines, "\n\27[2K"), "\n\27[J")
  self.output:flush()
  self.height = #lines
end

function live_methods:pause(seconds)
  local deadline = core.now() + seconds
  repeat
    self.client:sleep(math.min(tick, deadline - core.now()))
    if core.now() < deadline then self:show(false) end
  until core.now() >= deadline
end

local plain_methods = {}

-- A line for each job about which something is new.
function plain_methods:show(is_last)
  if not self.layout then
    self.layout, self.seen = rows.layout(jobs.progress_columns, self.output), {}
    self.output:line(self.layout:header())
  end
  for _, entry in ipairs(self.entries) do
    local job = entry.job
    local state = ("%s %s %s %s"):format(job.phase, job.status, job.completed_datasources,
      job.total_datasources)
    if self.seen[entry] ~= state then self.output:line(self.layout:row(job)) end
    self.seen[entry] = state
  end
  if is_last then self.output:line(summary(self.entries)) end
  self.output:flush()
end

function plain_methods:pause(seconds)
  self.client:sleep(seconds)
end

--- Shows the jobs until all are over.
---@param client gradient.client
---@param entries gradient.cli.watched[]  at least one
---@param output gradient.cli.output
---@param interval number  seconds between two looks
---@return boolean succeeded  all of them
function watch.run(client, entries, output, interval)
  local methods = output.redraws and live_methods or plain_methods
  local view = setmetatable({ client = client, entries = entries, output = output, height = 0 },
    { __index = methods })
  if not entries[1].job then refresh(client, entries) end
  while #unfinished(entries) > 0 do
    view:show(false)
    view:pause(interval)
    refresh(client, entries)
  end
  view:show(true)
  for _, entry in ipairs(entries) do
    if not entry.outcome then return false end
  end
  return true
end

return watch
