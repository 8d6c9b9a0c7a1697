--- A view of jobs: drawn in place on a terminal, elsewhere a line for each change.

local core = require "gradient.core"
local format = require "gradient.cli.format"
local jobs = require "gradient.cli.jobs"
local rows = require "gradient.cli.rows"
local rules = require "gradient.job"
local width = require "gradient.cli.width"

local tenths = 10
local tick = 1 -- seconds after which a terminal shows the passing of time
local patience = 3 -- seconds after which it shows that an answer is late

-- "3 jobs: 1 running, 2 succeeded"
local function summary(entries)
  local counts, states, parts = {}, {}, {}
  for _, entry in ipairs(entries) do
    local state = entry.job and jobs.state(entry.job) or "not seen yet"
    if not counts[state] then states[#states + 1] = state end
    counts[state] = (counts[state] or 0) + 1
  end
  table.sort(states)
  for position, state in ipairs(states) do parts[position] = counts[state] .. " " .. state end
  return ("%d %s: %s"):format(#entries, #entries == 1 and "job" or "jobs",
    table.concat(parts, ", "))
end

local outage_names = { connection = "no connection", timeout = "no answer" }

local function outage_text(outage)
  return ("%s for %s, trying again (%s)"):format(outage_names[outage.kind] or "no good answer",
    format.clock(core.now() - outage.began), format.clean(outage.reason))
end

local function lateness_text(seconds)
  return seconds >= patience and ("no answer for %s"):format(format.clock(seconds)) or nil
end

local function is_finished(entry)
  return entry.job ~= nil and rules.is_finished(entry.job)
end

-- The entries that `room` lines can show, those that are not over first, and how many are left out.
local function choose(entries, room)
  if #entries <= room then return entries, 0 end
  local shown = {}
  for _, is_over in ipairs{ false, true } do
    for _, entry in ipairs(entries) do
      if is_finished(entry) == is_over and #shown < room - 1 then
        shown[#shown + 1] = entry
      end
    end
  end
  return shown, #entries - #shown
end

-- The jobs that were seen already.
local function jobs_of(entries)
  local known = {}
  for _, entry in ipairs(entries) do known[#known + 1] = entry.job end
  return known
end

---@class gradient.cli.view
---@field show fun(self: gradient.cli.view, is_last: boolean)  the jobs as they are
---@field tick fun(self: gradient.cli.view)  time passes
---@field asked_at number?  when (core.now) a question was put that is not answered yet
---@field set_outage fun(self: gradient.cli.view, outage: table?)  see watch.lua

local live_methods = {}

function live_methods:lines(is_last)
  local columns, terminal_rows = self.output.size()
  local trouble = self.outage and outage_text(self.outage)
    or self.asked_at and lateness_text(core.now() - self.asked_at)
  local room = terminal_rows - (trouble and 4 or 3) -- heading, summary, trouble, cursor
  local shown, missing = choose(self.entries, is_last and math.huge or math.max(1, room))
  local known, lines = jobs_of(shown), {}
  if #known > 0 then
    local layout = rows.layout(self.columns, self.output, known, true)
    lines[1] = layout:header()
    for position, job in ipairs(known) do lines[position + 1] = layout:row(job) end
    if missing > 0 then lines[#lines + 1] = ("… and %d more"):format(missing) end
  end
  lines[#lines + 1] = format.cut(summary(self.entries), columns)
  if trouble then
    lines[#lines + 1] = self.output:paint("yellow", format.cut(trouble, columns))
  end
  return lines
end

-- How many rows the lines that were drawn take. A terminal that became narrower has broken them.
function live_methods:height()
  local columns, height = self.output.size(), 0
  for _, line in ipairs(self.drawn or {}) do
    local taken = width.of((line:gsub("\27%[%d*m", "")))
    height = height + math.max(1, (taken + columns - 1) // columns)
  end
  return height
end

-- Draws over what was drawn before. Nothing else about the terminal is changed, and the cursor
-- stays below the view, so that all is well whenever the program ends.
function live_methods:show(is_last)
  local height = self:height()
  local lines = self:lines(is_last)
  local up = height > 0 and ("\27[%dA"):format(height) or ""
  self.output:write(up, "\r\27[2K", table.concat(lines, "\n\27[2K"), "\n\27[J")
  self.output:flush()
  self.drawn, self.drawn_at = lines, core.now()
end

function live_methods:tick()
  if self.drawn and core.now() >= self.drawn_at + tick then self:show(false) end
end

function live_methods:set_outage(outage)
  self.outage = outage
  if outage then self:show(false) end
end

local plain_methods = {}

-- A line for each job about which something is new: its state, or a tenth of its work.
function plain_methods:show(is_last)
  if not self.layout then
    self.layout = rows.layout(self.columns, self.output, jobs_of(self.entries), true)
    self.seen = {}
    self.output:line(self.layout:header())
  end
  for _, entry in ipairs(self.entries) do
    local share = jobs.share(entry.job) or 0
    local state = ("%s %d"):format(jobs.state(entry.job), share * tenths // 1)
    if self.seen[entry] ~= state then self.output:line(self.layout:row(entry.job)) end
    self.seen[entry] = state
  end
  if is_last then self.output:line(summary(self.entries)) end
  self.output:flush()
end

function plain_methods.tick() end -- only a terminal shows the passing of time

-- An outage is shown when it begins and when it ends.
function plain_methods:set_outage(outage)
  if outage and not self.outage then
    self.output:note("trying again: " .. outage.reason)
  elseif self.outage and not outage then
    self.output:note(("connected again after %s"):format(
      format.clock(core.now() - self.outage.began)))
  end
  self.outage = outage
end

local view = {}

---@param output gradient.cli.output
---@param columns table[]  see rows.lua
---@param entries gradient.cli.watched[]  at least one
---@return gradient.cli.view
function view.new(output, columns, entries)
  return setmetatable({
    output = output, columns = columns, entries = entries,
  }, { __index = output.redraws and live_methods or plain_methods })
end

return view
