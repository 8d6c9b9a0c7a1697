--- Pages, and the items on them, of any list that is numbered in pages. Knows no endpoint.

local errors = require "gradient.errors"

local paginator = {}

-- An item that moves to a later page, because others are created meanwhile, is recognized by its
-- uuid. At least this many uuids are remembered, and at most twice as many: the memory of a walk
-- through a million items stays flat.
local remembered = 4096

---@class gradient.iteration
local iteration_methods = {}

local iteration_metatable = { __name = "gradient.iteration", __index = iteration_methods }

-- How fast the requests of one iteration may go: not before `resume_at` (core.now), and not more
-- than `window` at once. A server that says "too many requests" means all of them.
local function new_pace(prefetch)
  local pace = { resume_at = -math.huge, window = math.max(prefetch, 1) }
  function pace.slow_down(resume_at)
    if resume_at > pace.resume_at then
      pace.window = math.max(1, pace.window // 2)
      pace.resume_at = resume_at
    end
  end
  return pace
end

-- Makes the call for a page, at `position` of those under way.
function iteration_methods:request_page(number, position)
  local call, problem = self.request(number, self.pace)
  if not call then self:fail(problem) end
  call.number = number
  table.insert(self.calls, position, call)
end

-- Sends requests for further pages, as many as are wished and known to exist.
function iteration_methods:request_further()
  local following = self.number + #self.calls + 1
  while #self.calls < self.prefetch and following <= self.last_page do
    self:request_page(following, #self.calls + 1)
    following = following + 1
  end
  if #self.calls > 0 then self.client:start(self.calls, self.pace) end
end

function iteration_methods:cancel()
  for _, call in ipairs(self.calls) do call:close() end
  self.calls = {}
end

--- Ends what is under way.
function iteration_methods:close()
  self.finished = true
  self:cancel()
end

-- There is no going on after this: whoever asks again gets the same error, not an end.
function iteration_methods:fail(problem)
  self.problem = problem
  self:close()
  error(problem, 0)
end

-- Waits for the answer to the first call under way and takes it. Several coroutines may share an
-- iteration; each page goes to one of them, and false to the others that have waited for it.
function iteration_methods:take_page()
  if #self.calls == 0 then self:request_page(self.number + 1, 1) end
  local call = self.calls[1]
  self.client:drive(call, self.calls, self.pace)
  if self.calls[1] ~= call then return false end
  local page, response = call:outcome()
  if not page then self:fail(response) end
  table.remove(self.calls, 1)
  if self:is_outdated(page, call) then
    self:request_page(call.number, 1)
    return false
  end
  if self:step_back(page, call.number) then return false end
  return page, response, call
end

--- The next page; nil after the last; false when another coroutine has got it. Raises the error
--- value when it cannot be had.
---@return table|nil|false page, gradient.response? response
function iteration_methods:next_page()
  if self.problem then error(self.problem, 0) end
  if self.finished then return nil end
  local page, response, call = self:take_page()
  if not page then return false end
  self.number, self.ended_at = call.number, call.ended_at
  self.pace.window = math.min(self.pace.window + 1, math.max(self.prefetch, 1))
  if self:is_last(page) then
    self:close()
  else
    self:request_further()
  end
  return page, response
end

-- A field of what may be no table at all.
local function field(value, name)
  if type(value) == "table" then return value[name] end
end

local function total_of(page)
  local total = field(page.meta, "total")
  return math.type(total) == "integer" and total or nil
end

-- Pages that travel at the same time are not answered in their order. One that was answered before
-- its predecessor, from a list that was shorter then, leaves out what has moved across the border
-- between the two in the meantime; it has to be asked for again.
function iteration_methods:is_outdated(page, call)
  local total = total_of(page)
  return total and self.total and total < self.total and call.sent_at < self.ended_at
end

-- When items are taken out of the list, as many of the others move to earlier pages, which have
-- been read by then: `each` goes back for them, once for each page.
function iteration_methods:step_back(page, number)
  local total = total_of(page)
  if not (self.goes_back and total and self.total and total < self.total)
    or number <= self.furthest then
    return false
  end
  local pages = math.ceil((self.total - total) / self.size)
  self:cancel()
  self.furthest, self.total = number, total
  self.number = math.max(self.first, number - pages) - 1
  return true
end

-- The page number in a link; the link itself is never followed.
local function page_number(link)
  return type(link) == "string" and math.tointeger(tonumber(link:match("[?&]page=(%d+)"))) or nil
end

-- What the page says about those behind it: the number of the last one, or at least of one more.
local function announced_page(page, number)
  local pages = field(page.meta, "pages")
  if math.type(pages) == "integer" and pages >= number then return pages end
  local links = field(page.links, "pages")
  local following = field(links, "next")
  if type(following) ~= "string" or following == "" then return number end
  local last = page_number(field(links, "last")) or page_number(following) or 0
  return math.max(last, number + 1)
end

function iteration_methods:is_last(page)
  local items = page[self.member]
  self.items = self:unseen(items)
  if #items == 0 then return true end
  self.last_page, self.size = announced_page(page, self.number), #items
  if self.last_page <= self.number then return true end
  return self:is_repetition(page, #items)
end

-- Does this page bring only what was there before? New items push old ones to later pages, but not
-- more of them than the list has grown by; beyond that, the server goes round in circles. A list
-- that grows as fast as it is read has no end that could be reached.
function iteration_methods:is_repetition(page, count)
  local total = total_of(page)
  -- Without a total, one page of old items is put down to growth.
  local growth = total and total - (self.total or total) or self.idle == 0 and count or 0
  self.shifted = self.shifted + math.max(0, growth)
  self.total = total
  local repeated = count - #self.items
  local explained = repeated <= self.shifted
  self.shifted = math.max(0, self.shifted - repeated)
  self.idle = #self.items == 0 and self.idle + repeated or 0
  if self.idle >= remembered then
    self:fail(errors.new{ kind = "timeout", attempts = self.number, message =
      ("the list grows as fast as it is read: nothing new up to page %d"):format(self.number) })
  end
  return #self.items == 0 and not explained and self.number > self.furthest
end

local function is_equal(one, other)
  if type(one) ~= "table" or type(other) ~= "table" then return one == other end
  for name, value in pairs(one) do
    if not is_equal(value, other[name]) then return false end
  end
  for name in pairs(other) do
    if one[name] == nil then return false end
  end
  return true
end

-- The items that have not been seen on an earlier page. Without uuids only a page that is the same
-- as the one before is recognized.
function iteration_methods:unseen(items)
  local fresh = {}
  if not field(items[1], "uuid") then
    local repeated = is_equal(items, self.anonymous)
    self.anonymous = items
    if repeated then return fresh end
  end
  for _, item in ipairs(items) do
    local uuid = field(item, "uuid")
    if type(uuid) ~= "string" then
      fresh[#fresh + 1] = item
    elseif not (self.recent[uuid] or self.older[uuid]) then
      fresh[#fresh + 1] = item
      self.recent[uuid] = true
      self.recent_count = self.recent_count + 1
      if self.recent_count == remembered then
        self.older, self.recent, self.recent_count = self.recent, {}, 0
      end
    end
  end
  return fresh
end

local function new_iteration(client, request, settings, goes_back)
  return setmetatable({
    client = client, request = request, prefetch = settings.prefetch, member = settings.member,
    pace = new_pace(settings.prefetch), calls = {}, finished = false,
    number = settings.first - 1, -- of the page that was delivered last
    first = settings.first, goes_back = goes_back,
    furthest = 0, -- of the pages from which it went back
    recent = {}, older = {}, recent_count = 0, shifted = 0, idle = 0,
  }, iteration_metatable)
end

iteration_metatable.__close = iteration_methods.close

--- Every page, as a generic-for iterator of page, response.
---@param client table
---@param request fun(number: integer, pace: table): table?, table?  makes the call for a page
---@param settings table  first (page number), prefetch, member, filter
function paginator.pages(client, request, settings)
  local iteration = new_iteration(client, request, settings)
  local function following()
    local page, response
    repeat page, response = iteration:next_page() until page ~= false
    return page, response
  end
  return following, nil, nil, iteration
end

local function passes(item, filter)
  for name, value in pairs(filter) do
    if field(item, name) ~= value then return false end
  end
  return true
end

--- Every item of every page once, as a generic-for iterator. Arguments as for pages.
function paginator.each(client, request, settings)
  local iteration = new_iteration(client, request, settings, true)
  local items, position = {}, 0
  local function following()
    while true do
      local item = items[position + 1]
      if item ~= nil then
        position = position + 1
        if passes(item, settings.filter) then return item end
      else
        local page = iteration:next_page()
        if page == nil then return nil end
        if page then items, position = iteration.items, 0 end
      end
    end
  end
  return following, nil, nil, iteration
end

return paginator
