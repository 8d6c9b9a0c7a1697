--- The data of one server: knowledge bases, jobs and schedules; any number of jobs, without storing
--- any of the finished ones.
--
-- Jobs are numbered from 1 (the oldest). Everything about a job of the past follows from its number
-- by hashing; only jobs that are still alive, or were created through the API, have a record. Of
-- all jobs, the numbers of those that are there are kept in order.
--
-- The platform keeps 15 jobs for each knowledge base, and runs one at a time for each. The jobs of
-- the past go round all knowledge bases, so that these rules hold for any number of them.

local bases = require("spec.server.bases")
local ids = require("spec.server.ids")
local jobs = require("spec.server.jobs")

local max, min, floor = math.max, math.min, math.floor
local mix, uuid_of = ids.mix, ids.uuid_of

local DAY = 86400
local MAX_GAP = 2400 -- seconds between the creation of two jobs of the past, at most
local HISTORY = 3 * 365 * DAY -- all of the past fits into this
local CACHED_JOBS = 10000 -- rendered jobs that are kept, about 15 MB
local KEPT = 15 -- jobs for each knowledge base
local FEW_BASES = 36

local store_methods = {}

-- Which jobs there are ----------------------------------------------------------------------------

--- The record of a job of the past.
function store_methods:past(number)
  local hash = mix(number * 0x9E3779B97F4A7C15 + 1)
  local base = self.bases:get(1 + number % self.bases.count)
  local place = self.settled - number + (hash >> 45 & 0xFF) / 256
  local count = base.source_count
  if hash >> 55 & 3 == 0 then
    count = 1 -- somebody indexed a single data source
  elseif self.fields == "reference" then
    count = min(2, count)
  end
  return jobs.settle({
    uuid = uuid_of("job", number),
    hash = hash,
    base = base,
    count = count,
    created = floor(self.epoch - 3600 - place * self.gap),
    pending = 2 + (hash >> 8) % 30,
    running = 45 + (hash >> 16) % 1500,
  }, jobs.past_outcome(hash))
end

function store_methods:record(number)
  return self.records[number] or self:past(number)
end

--- The place of a job in the order, the oldest first; or nil, if it is not there (any more).
function store_methods:place_of(number)
  local low, high = 1, #self.order
  while low <= high do
    local middle = (low + high) // 2
    local found = self.order[middle]
    if found == number then
      return middle
    elseif found < number then
      low = middle + 1
    else
      high = middle - 1
    end
  end
end

--- The record of the job with this uuid, or nil.
function store_methods:find(uuid)
  local number = ids.number_of("job", uuid)
  return number and self:place_of(number) and self:record(number) or nil
end

function store_methods:total()
  return #self.order
end

--- Takes the job at a place of the order away.
function store_methods:remove(place)
  self.records[table.remove(self.order, place)] = nil
end

--- The numbers of the jobs of a knowledge base, the newest first.
function store_methods:numbers_of(base)
  local numbers = {}
  local function add(number)
    if self:place_of(number) then
      numbers[#numbers + 1] = number
    end
  end
  local created = self.created_of[base.index] or {}
  for i = #created, 1, -1 do
    add(created[i])
  end
  local count = self.bases.count
  local newest = self.initial - (self.initial - base.index + 1) % count
  for number = base.index <= count and newest or 0, 1, -count do
    add(number)
  end
  return numbers
end

--- Adds a job; one too many for its knowledge base takes the oldest of that out.
function store_methods:add(base, created, duration, outcome, sources)
  local number = self.newest + 1
  local record = jobs.settle({
    uuid = uuid_of("job", number),
    hash = mix(number * 0x9E3779B97F4A7C15 + 1),
    base = base,
    sources = sources,
    count = sources and #sources or base.source_count,
    created = created,
    pending = duration / 6,
    running = duration * 5 / 6,
  }, outcome)
  self.newest = number
  self.order[#self.order + 1] = number
  self.records[number] = record
  if number > self.initial then
    local created_of = self.created_of
    created_of[base.index] = created_of[base.index] or {}
    table.insert(created_of[base.index], number)
    local numbers = self:numbers_of(base)
    if #numbers > KEPT then
      self:remove(self:place_of(numbers[#numbers]))
    end
  end
  return record
end

-- What the API does with them ---------------------------------------------------------------------

--- JSON object of a job.
function store_methods:render(record)
  local render = self.fields == "reference" and jobs.render_reference or jobs.render
  return render(record, self.clock())
end

--- The same for the job of this number. What will never change is kept.
function store_methods:text(number)
  local text = self.texts[number]
  if not text then
    text = self:render(self:record(number))
    if number <= self.settled then
      self.text_count = self.text_count + 1
      if self.text_count > CACHED_JOBS then
        self.texts, self.text_count = {}, 1
      end
      self.texts[number] = text
    end
  end
  return text
end

--- A list of the JSON objects of `count` jobs, newest first, after the `offset` newest ones.
function store_methods:list(offset, count)
  local first, page = #self.order - offset, {}
  for place = first, max(1, first - count + 1), -1 do
    page[#page + 1] = self:text(self.order[place])
  end
  return page
end

--- A list of the JSON objects of the jobs of a knowledge base.
function store_methods:list_of(base)
  local page = {}
  for i, number in ipairs(self:numbers_of(base)) do
    page[i] = self:text(number)
  end
  return page
end

--- The latest job of a knowledge base, or nil.
function store_methods:latest_of(base)
  local number = self:numbers_of(base)[1]
  return number and self:record(number)
end

--- Whether a job of this knowledge base is not over.
function store_methods:is_busy(base)
  local latest = self:latest_of(base)
  return latest and not jobs.is_over(latest, self.clock())
end

--- Creates a job that lives for `duration` seconds: a sixth of it pending, the rest running.
-- `sources` is a list of data source uuids, or nil for all of the knowledge base.
function store_methods:create(base, sources)
  local outcome = self.outcomes[base.uuid] or self.outcome
  return self:add(base, self.clock(), self.duration, outcome,
    sources and #sources > 0 and sources or nil)
end

--- Cancels a job. Returns whether it was still alive.
function store_methods:cancel(record)
  local now = self.clock()
  if jobs.is_over(record, now) then
    return false
  end
  jobs.cancel(record, now)
  return true
end

function store_methods:sources(record)
  return jobs.sources(record, self.clock())
end

function store_methods:has_report(record)
  return jobs.has_report(record, self.clock())
end

function store_methods:report(record)
  return jobs.report(record, self.clock())
end

--- JSON object of a knowledge base.
function store_methods:base(base)
  local latest = self:latest_of(base)
  return bases.json(base, self.bases:created(base), latest and self:render(latest),
    latest and latest.created)
end

--- JSON object of a data source of a knowledge base, with what its latest job says of it.
function store_methods:base_source(base, i)
  local latest = self:latest_of(base)
  return bases.source_json(base, self.bases:created(base), i,
    latest and not latest.sources and self:sources(latest)[i])
end

function store_methods:database_status(base)
  return bases.database_status(base, self.clock())
end

-- What specs do with them -------------------------------------------------------------------------

--- Creates n jobs, each of a knowledge base of its own.
function store_methods:grow(n)
  for _ = 1, n do
    local base = self.bases:add(nil, self.clock())
    self:add(base, self.clock(), self.duration, self.outcome)
  end
end

--- Takes n jobs away, from all over the list.
function store_methods:thin(n)
  for i = 1, min(n, #self.order) do
    self:remove(1 + (mix(self.newest + #self.order * i) >> 1) % #self.order)
  end
end

--- Takes the n oldest jobs away.
function store_methods:decay(n)
  if n == 0 then
    return
  end
  local order = self.order
  local kept = #order - min(n, #order)
  table.move(order, n + 1, n + kept, 1)
  for place = #order, kept + 1, -1 do
    order[place] = nil
  end
end

local store_metatable = { __index = store_methods }

--- The data of one server; options as in spec/support/api.lua, and `clock`, a function that returns
-- the Unix time, with fraction.
local function new(options)
  local total = options.jobs or 250
  local active = options.active or min(3, total // 10)
  local epoch = options.clock()
  local base_count = max(options.knowledge_bases or FEW_BASES, (total + KEPT - 1) // KEPT, active)
  local self = setmetatable({
    initial = total, -- the jobs that were there from the start
    settled = total - active, -- up to this number, nothing changes any more
    newest = total - active,
    epoch = epoch,
    gap = min(MAX_GAP, HISTORY / max(1, total)),
    fields = options.fields or "platform",
    duration = options.duration or 10,
    outcome = options.outcome or "completed",
    outcomes = options.outcomes or {},
    clock = options.clock,
    bases = bases.new(base_count, epoch),
    order = {},
    records = {}, -- number → record, of those that do not follow from their number
    created_of = {}, -- number of a knowledge base → numbers of the jobs that were created later
    schedules = {}, -- uuid of a knowledge base → its schedule
    texts = {}, -- number → JSON object, of some of those that never change
    text_count = 0,
  }, store_metatable)
  for number = 1, total - active do
    self.order[number] = number
  end
  -- The youngest is still waiting; the others are at some point of a run of a few minutes.
  for i = active, 1, -1 do
    local base = self.bases:get(1 + (self.newest + 1) % base_count)
    self:add(base, epoch - 6 - (i - 1) * 30, 60 + 45 * i, "completed")
  end
  return self
end

return {
  new = new,
  is_outcome = function(name)
    return jobs.OUTCOMES[name] ~= nil
  end,
}
