--- What the server knows: its settings, its data, the script of faults, the logs, the counters.

local cqueues = require("cqueues")
local condition = require("cqueues.condition")
local socket = require("socket")
local logs = require("spec.server.log")
local stores = require("spec.server.store")

-- Settings and their defaults; false stands for "none".
local DEFAULTS = {
  jobs = 250,
  active = false,
  knowledge_bases = false,
  fields = "platform",
  duration = 10,
  outcome = "completed",
  outcomes = {},
  busy = 409,
  database_time = 10,
  tokens = { "test-token" },
  base_path = "",
  public_url = false,
  latency = 0,
  growth = 0,
  decay = 0,
  change = false,
  meta = true,
  links = true,
  endless = false,
  rate = false,
  log = 1000,
}

local SHAPES_DATA = { jobs = true, active = true, knowledge_bases = true, fields = true }
local TOLD_TO_STORE = { "duration", "outcome", "outcomes" }
local FIELDS_OF = {
  rate = { limit = true, window = true, retry_after = true },
  change = { create = true, remove = true, decay = true, after = true, times = true },
}

-- From CLOCK_MONOTONIC to Unix time.
local offset = socket.gettime() - cqueues.monotime()

local state_methods = {}

local function check_setting(name, value)
  if DEFAULTS[name] == nil then
    error(("unknown setting '%s'"):format(name), 0)
  end
  local wanted = type(DEFAULTS[name] or value)
  if value ~= false and type(value) ~= wanted then
    error(("setting '%s': %s expected, got %s"):format(name, wanted, type(value)), 0)
  elseif name == "fields" and value ~= "platform" and value ~= "reference" then
    error(("unknown fields '%s'"):format(tostring(value)), 0)
  elseif name == "outcome" and not stores.is_outcome(value) then
    error(("unknown outcome '%s'"):format(value), 0)
  elseif FIELDS_OF[name] and value then
    for field in pairs(value) do
      if not FIELDS_OF[name][field] then
        error(("unknown field '%s' in %s"):format(field, name), 0)
      end
    end
  end
end

--- Unix time with its fraction, as far ahead as it was put.
function state_methods:clock()
  return cqueues.monotime() + offset + self.ahead
end

function state_methods:new_store()
  local settings = self.settings
  self.store = stores.new({
    jobs = settings.jobs,
    active = settings.active or nil,
    knowledge_bases = settings.knowledge_bases or nil,
    fields = settings.fields,
    duration = settings.duration,
    outcome = settings.outcome,
    outcomes = settings.outcomes,
    clock = function()
      return self:clock()
    end,
  })
end

--- Changes settings. Those that shape the jobs make new ones, as at the start.
function state_methods:set(values)
  for name, value in pairs(values) do
    check_setting(name, value)
  end
  local reshaped = false
  for name, value in pairs(values) do
    self.settings[name] = value
    reshaped = reshaped or SHAPES_DATA[name] or false
  end
  if values.rate ~= nil then
    self.window = nil
  end
  if values.change ~= nil then
    self.listed = 0
  end
  if reshaped or not self.store then
    self:new_store()
  end
  for _, name in ipairs(TOLD_TO_STORE) do
    self.store[name] = self.settings[name]
  end
end

--- What happens to the list of jobs after each answer with a page of it.
function state_methods:change_list()
  local store, settings, change = self.store, self.settings, self.settings.change
  store:grow(settings.growth)
  store:decay(settings.decay)
  if change then
    self.listed = self.listed + 1
    local late = self.listed - (change.after or 1)
    if late >= 0 and late < (change.times or math.huge) then
      store:grow(change.create or 0)
      store:decay(change.decay or 0)
      store:thin(change.remove or 0)
    end
  end
end

--- Everything as it was at the start, except for the connections, which stay open.
function state_methods:reset()
  self.settings, self.store = {}, nil
  for name, value in pairs(DEFAULTS) do
    self.settings[name] = value
  end
  self.queue = {}
  self.log, self.storage_log = logs.new(), logs.new()
  self.requests, self.answered = 0, 0
  self.accepted, self.busiest = 0, self.in_progress
  self.window = nil
  self.ahead = 0
  self.last_schedule = 0
  self:set(self.initial)
end

--- Puts the clock of the jobs and of the rate limit forward.
function state_methods:advance(seconds)
  self.ahead = self.ahead + seconds
end

--- Counts a request against the rate limit. Returns limit, remaining, the Unix time of the reset,
-- and, if there were too many, the seconds that are left until then.
function state_methods:charge()
  local rate, now = self.settings.rate, self:clock()
  local limit, length = 5000, 3600
  if rate then
    limit, length = rate.limit or 250, rate.window or 60
  end
  local window = self.window
  if not window or now >= window.start + length then
    window = { start = now, count = 0 }
    self.window = window
  end
  window.count = window.count + 1
  local left = window.start + length - now
  local remaining = math.max(0, limit - window.count)
  local over = rate and window.count > limit
  return limit, remaining, math.ceil(now + left), over and left or nil
end

--- Wakes those who wait for the counters to reach something.
function state_methods:notify()
  if self.waiting > 0 then
    self.changed:signal()
  end
end

--- Waits until every counter is what `goal` wants, or `timeout` is over. Returns whether it is.
function state_methods:await(goal, timeout)
  local deadline = cqueues.monotime() + timeout
  local function is_reached()
    return self.requests >= (goal.requests or 0)
      and self.answered >= (goal.answered or 0)
      and self.accepted >= (goal.accepted or 0)
      and self.open == (goal.open or self.open)
      and self.in_progress == (goal.in_progress or self.in_progress)
  end
  self.waiting = self.waiting + 1
  while not is_reached() and cqueues.monotime() < deadline do
    self.changed:wait(deadline - cqueues.monotime())
  end
  self.waiting = self.waiting - 1
  return is_reached()
end

--- Notes a request in the log and the counters.
function state_methods:begin(request)
  request.received = cqueues.monotime()
  self.requests = self.requests + 1
  self.in_progress = self.in_progress + 1
  self.busiest = math.max(self.busiest, self.in_progress)
  request.number = self.requests
  self.log:add(request, self.settings.log)
  self:notify()
end

function state_methods:finish(request, aborted)
  request.answered = cqueues.monotime()
  request.aborted = aborted or nil
  request.folded = nil -- only needed to find headers; the log outlives it
  self.in_progress = self.in_progress - 1
  self.answered = self.answered + 1
  self:notify()
end

function state_methods:counters()
  return {
    accepted = self.accepted,
    open = self.open,
    requests = self.requests,
    answered = self.answered,
    in_progress = self.in_progress,
    busiest = self.busiest,
  }
end

local state_metatable = { __index = state_methods }

--- `initial`: the settings of this server, taken up again by every reset.
local function new(initial)
  local state = setmetatable({
    initial = initial,
    changed = condition.new(),
    connections = {}, -- connection → true, those of API clients
    last_connection = 0,
    open = 0,
    in_progress = 0,
    waiting = 0,
  }, state_metatable)
  state:reset()
  return state
end

return { new = new }
