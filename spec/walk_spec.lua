--- A model check of the paginator: thousands of walks through lists that change at random, with a
--- client and a clock that are not real. WALKS is how many, SEED the first one (a failure names
--- its seed: SEED=… WALKS=1 repeats it).

local paginator = require "gradient.paginator"

local first_seed = tonumber(os.getenv "SEED") or 1
local walks = tonumber(os.getenv "WALKS") or 4000

local random = math.random

local function one_of(list)
  return list[random(#list)]
end

-- The list, newest first --------------------------------------------------------------------------

local list_methods = {}

function list_methods:create(count)
  table.move(self.items, 1, #self.items, count + 1)
  for position = count, 1, -1 do
    self.created = self.created + 1
    self.items[position] = self.name:format(self.created)
  end
end

-- `where` chooses a position among so many.
function list_methods:delete(count, where)
  for _ = 1, math.min(count, #self.items) do
    local gone = table.remove(self.items, where(#self.items))
    self.lasting[gone] = nil
    self.deleted = self.deleted + 1
  end
end

local function anywhere(count) return random(count) end
local function oldest(count) return count end

local function new_list(count, name)
  local list = setmetatable({ name = name, items = {}, lasting = {}, created = 0, deleted = 0 },
    { __index = list_methods })
  list:create(count)
  for _, item in ipairs(list.items) do list.lasting[item] = true end
  return list
end

-- What may happen to a list while it is read, with `some` items at a time or, for bursts, once.
-- `shrinks` where the total can fall: nobody can tell without one.
local changes = {
  { name = "nothing", apply = function() end },
  { name = "created", apply = function(list, some) list:create(some) end },
  { name = "deleted", shrinks = true, apply = function(list, some)
    list:delete(some, anywhere)
  end },
  { name = "oldest deleted", shrinks = true, apply = function(list, some)
    list:delete(some, oldest)
  end },
  { name = "replaced", apply = function(list, some)
    list:create(some)
    list:delete(some, anywhere)
  end },
  { name = "rotated", apply = function(list, some)
    list:create(some)
    list:delete(some, oldest)
  end },
  { name = "created in two steps", shrinks = true, apply = function(list, some)
    if list.is_full then list:delete(list.is_full, anywhere) else list:create(some) end
    list.is_full = not list.is_full and some or nil
  end },
  { name = "burst of new ones", once = true, apply = function(list)
    list:create(random(2 * #list.items + 1))
  end },
  { name = "burst of deletions", once = true, shrinks = true, apply = function(list)
    list:delete(random(#list.items + 1), anywhere)
  end },
  { name = "many of the oldest deleted", once = true, shrinks = true, apply = function(list)
    list:delete(random(#list.items + 1), oldest)
  end },
}
changes[#changes + 1] = { name = "all of them", shrinks = true, apply = function(list, some)
  changes[random(#changes - 1)].apply(list, some)
end }

-- The client: calls that take a random time each way, in a time of its own ------------------------

-- Whenever the engine is called, the memory may be used up, or a program's on_event may raise.
local function trip(world)
  if world.trips and random() < 0.05 then error("tripped", 0) end
end

-- And on_event may let another reader of the same iterator go on.
local function interrupt(world)
  trip(world)
  if world.readers > 1 and random() < 0.5 then coroutine.yield() end
end

local call_methods = {}

function call_methods:close()
  self.is_closed = true
  self.over = true
end

function call_methods:outcome()
  trip(self.client.world)
  if self.error then return nil, self.error end
  self.client:note(self)
  return self.page, { status = 200 }
end

local client_methods = {}

-- The answer of the server at this moment.
function client_methods:answer(number, size)
  local list, world = self.list, self.world
  if world.clamp then size = math.min(size, world.clamp) end
  local items, total = {}, #list.items
  for position = (number - 1) * size + 1, math.min(number * size, total) do
    items[#items + 1] = { uuid = list.items[position] }
  end
  local pages = math.max(1, math.ceil(total / size))
  return {
    items = items,
    meta = world.total and { page = number, pages = pages, total = total } or nil,
    links = world.links and number < pages
      and { pages = { next = "/?page=" .. number + 1, last = "/?page=" .. pages } } or nil,
  }
end

function client_methods:is_refused()
  local limit = self.world.limit
  if not limit then return false end
  if self.now >= self.window_start + limit.seconds then
    self.window_start, self.in_window = self.now, 0
  end
  self.in_window = self.in_window + 1
  return self.in_window > limit.count
end

function client_methods:send(call)
  self.requests = self.requests + 1
  if self.requests > 20000 then error "no end" end
  call.resume_at, call.sent_at = nil, self.now
  call.read_at = self.now + random() * self.world.latency
  self.under_way[#self.under_way + 1] = call
end

-- The engine's part in what pace.lua says.
function client_methods:arrive(call)
  if not call.refused_for then
    call.over = true
    call.pace.answered = call.pace.answered + 1
    return
  end
  local delay = call.refused_for
  call.refused_for = nil
  self.refusals = self.refusals + 1
  if call.pace:throttled(call, self.now, delay) > 2 then
    call.over, call.error = true, { kind = "rate_limit" }
  else
    call.resume_at = self.now + delay
  end
end

function client_methods:change()
  self.world.change.apply(self.list, random(self.world.some))
  self.changes = self.changes + 1
end

-- Lets the next thing happen that is due before `limit`; returns whether there was one.
function client_methods:happen(limit)
  local at, what = limit, nil
  if self.change_at < at then at = self.change_at end
  for _, call in ipairs(self.under_way) do
    local due = call.read_at or call.arrive_at
    if due < at then at, what = due, call end
  end
  if at == limit then
    self.now = limit
    return false
  end
  self.now = at
  if not what then
    self:change()
    self.change_at = self.changes < self.world.changes and at + random() * 2 * self.world.pause
      or math.huge
  elseif what.read_at then
    what.read_at, what.arrive_at = nil, at + random() * self.world.latency
    if self:is_refused() then
      what.refused_for = math.max(0, self.window_start + self.world.limit.seconds - at)
    else
      what.page = self:answer(what.number, what.size)
      what.created, what.deleted = self.list.created, self.list.deleted
      self.answers = self.answers + 1
      if self.world.in_step and self.answers % self.world.in_step == 0 then self:change() end
    end
  else
    for position, call in ipairs(self.under_way) do
      if call == what then table.remove(self.under_way, position) break end
    end
    what.arrive_at = nil
    if not what.is_closed then self:arrive(what) end
  end
  return true
end

-- Sends what may be sent; returns when the next pause ends.
function client_methods:advance(calls, pace)
  local sent, resume_at = 0, math.huge
  for _, call in ipairs(calls) do
    if not call.over and not call.resume_at then sent = sent + 1 end
  end
  for _, call in ipairs(calls) do
    local due = call.resume_at and math.max(call.resume_at, pace.resume_at)
    if due and due > self.now then
      resume_at = math.min(resume_at, due)
    elseif due and sent < pace.window then
      self:send(call)
      sent = sent + 1
    end
  end
  return resume_at
end

function client_methods:start(calls, pace)
  interrupt(self.world)
  self:advance(calls, pace)
  interrupt(self.world)
end

function client_methods:drive(wanted, calls, pace)
  while true do
    interrupt(self.world)
    local resume_at = self:advance(calls, pace)
    if wanted.over then return end
    assert(#self.under_way > 0 or resume_at < math.huge, "it waits for nothing")
    self:happen(resume_at)
  end
end

-- The program works: time passes, answers come.
function client_methods:pass(seconds)
  local till = self.now + seconds
  while self:happen(till) do end
end

-- Has more been created, or deleted, between the answers to two pages that follow each other than
-- fits on one?
function client_methods:note(call)
  local size, before = math.min(call.size, self.world.clamp or call.size), self.noted or call
  if math.abs(call.created - before.created) >= size
    or math.abs(call.deleted - before.deleted) >= size then
    self.is_too_fast = true
  end
  self.noted = call
end

-- A walk ------------------------------------------------------------------------------------------

local function new_world(seed)
  math.randomseed(seed)
  local size = one_of{ 1, 2, 3, 5, 10, 20 }
  return {
    size = size, count = random(0, 12 * size), change = one_of(changes),
    some = one_of{ 1, 1, 2, size, 2 * size },
    prefetch = one_of{ 0, 1, 2, 8, 32 }, latency = one_of{ 0.01, 0.1 },
    pause = one_of{ 0.01, 0.05, 0.2, 1 }, work = one_of{ 0, 0, 0.05 },
    total = random() < 0.8, links = random() < 0.7,
    clamp = size > 1 and random() < 0.2 and random(size - 1) or nil,
    limit = random() < 0.2 and { count = random(3, 8), seconds = 0.2 } or nil,
    name = one_of{ "item %d", "b24c21e8-4dc9-46cb-8644-%012d" },
    readers = random() < 0.2 and 3 or 1, trips = random() < 0.1,
  }
end

-- Runs a function in so many coroutines at the same time, in any order.
local function together(count, run)
  local threads = {}
  for number = 1, count do threads[number] = coroutine.create(run) end
  while #threads > 0 do
    local number = random(#threads)
    local ok, problem = coroutine.resume(threads[number])
    if not ok then error(problem, 0) end
    if coroutine.status(threads[number]) == "dead" then table.remove(threads, number) end
  end
end

local function walk(seed)
  local world = new_world(seed)
  if not world.total and not world.links then world.clamp = nil end -- who could know of more?
  world.changes = world.change.once and 1 or random(200)
  local client = setmetatable({
    world = world, list = new_list(world.count, world.name), now = 0, under_way = {}, requests = 0,
    changes = 0, answers = 0, refusals = 0, window_start = 0, in_window = 0,
  }, { __index = client_methods })
  local page_size = world.clamp or world.size
  if world.total and not world.change.once and page_size >= 5 and random() < 0.3 then
    world.in_step, world.some = random(3), random(page_size // 4) -- after so many answers
  end
  client.change_at = world.in_step and math.huge
    or random() * (world.change.once and 4 or 1) * world.pause
  local function request(number, size, pace)
    trip(world)
    return setmetatable({
      client = client, number = number, size = size, pace = pace, resume_at = 0,
    }, { __index = call_methods })
  end
  local following = paginator.each(client, request, {
    first = 1, size = world.size, prefetch = world.prefetch, member = "items",
  })
  local seen = {}
  local function read()
    while true do
      local ok, item = pcall(following)
      if ok then
        if not item then return end
        assert(not seen[item.uuid] or client.is_too_fast, item.uuid .. " is yielded twice")
        seen[item.uuid] = true
        if world.work > 0 then client:pass(random() * world.work) end
      elseif item ~= "tripped" then
        error(item, 0)
      end
    end
  end
  local ok, problem = pcall(together, world.readers, read)
  if not ok and problem.kind == "timeout" and client.is_too_fast then return false end
  if not ok then error(problem, 0) end
  local is_promised = (world.total or not world.change.shrinks)
    and (world.total and world.prefetch < 2 or not client.is_too_fast)
  if is_promised then
    for item in pairs(client.list.lasting) do assert(seen[item], item .. " is lost") end
  end
  -- A list that stands still takes one request a page; one that shrinks all the time nine at the
  -- most, or twelve if it does so with each answer.
  if world.total and not client.is_too_fast and not world.trips and client.refusals == 0 then
    local pages = math.max(1, math.ceil(client.list.created / page_size))
    local most = client.changes == 0 and pages + 1
      or (world.in_step and 12 or 9) * pages + 2 * world.prefetch
    assert(client.requests <= most, ("%d requests for %d pages"):format(client.requests, pages))
  end
  return is_promised
end

describe("a walk through a list that changes", function()
  it(("yields what is there all the time, once, and ends (%d seeds)"):format(walks), function()
    local promised, failures = 0, {}
    for seed = first_seed, first_seed + walks - 1 do
      local ok, outcome = pcall(walk, seed)
      if not ok then
        local message = type(outcome) == "table" and outcome.message or outcome
        failures[#failures + 1] = ("seed %d: %s"):format(seed, message)
      elseif outcome then
        promised = promised + 1
      end
    end
    assert(#failures == 0, ("%d of %d walks failed:\n%s"):format(#failures, walks,
      table.concat(failures, "\n", 1, math.min(#failures, 10))))
    assert.is_true(2 * promised >= walks or walks < 100, promised)
  end)
end)
