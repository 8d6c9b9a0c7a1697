--- Pages, and the items on them, of any list that is numbered in pages. Knows no endpoint.
---
--- `each` promises: an item that is in the list during the whole walk is yielded, once, whatever is
--- created and deleted meanwhile. This rests on three things: new items come first in the list; the
--- server tells its total (without one, nobody can notice deletions); and fewer items are created
--- during one flight of requests than a page holds.
---
--- One page after the other: `covered` is how many positions from the front have been read, in the
--- list as the latest answer had it; what is still to be yielded stands behind them. New items come
--- in front of that, so only deletions change how many items stand behind it: they get fewer. If
--- the total changes by d, all of it is therefore behind the first `covered` + d positions of the
--- new list. `covered` changes by d, and the walk goes on with a page that begins there or before:
--- further on after new items, further back after deletions. It ends when `covered` is the total.
---
--- Several pages at a time are not answered in their order: one may show the list as it was before
--- its predecessor was answered. That does harm only if an item behind it was deleted in between.
--- Either the total fell, or as many were created and have pushed the last items of the predecessor
--- onto a page that was answered later, where they are recognized by their uuid. So an answer that
--- shows another total, or an item again, is good itself, but all that are under way with it are
--- thrown away, and fewer travel at a time from then on (see pace.lua).

local errors = require "gradient.errors"
local met = require "gradient.met"
local pace = require "gradient.pace"

local paginator = {}

local patience = 5 -- answers in a row that bring nothing new and the walk no further

---@class gradient.iteration
local iteration_methods = {}
local iteration_metatable = { __name = "gradient.iteration", __index = iteration_methods }

function iteration_methods:cancel()
  local calls = self.calls
  self.calls = {}
  for _, call in ipairs(calls) do call:close() end
end

--- The end: nothing more is asked for.
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

-- Makes calls for the pages from `number` on, until they are so many.
function iteration_methods:request_pages(count)
  local next_call = self.calls[1]
  if next_call and next_call.number ~= self.number then self:cancel() end -- an error took a call
  while #self.calls < count and self.number + #self.calls <= self.last do
    local number = self.number + #self.calls
    local size = self.size < self.full and self.size or self.asked
    local call, problem = self.request(number, size, self.pace)
    if not call then self:fail(problem) end
    call.number, call.answered = number, self.pace.answered
    self.calls[#self.calls + 1] = call
  end
end

--- Gets one page further, or raises the error value. Several coroutines may do so at once: each
--- page is taken by one of them, and can be yielded before anything else may yield or raise.
---@return boolean  false at the end
function iteration_methods:advance()
  if self.problem then error(self.problem, 0) end
  if self.finished then return false end
  self.items, self.position = {}, 0 -- the page before is garbage while this one is decoded
  self:request_pages(1)
  local call = self.calls[1]
  self.client:drive(call, self.calls, self.pace)
  if self.calls[1] ~= call then return true end
  local page, response = call:outcome()
  if self.calls[1] ~= call then return true end
  if not page then self:fail(response) end
  table.remove(self.calls, 1)
  self:take(page, response, call.number)
  if not self.finished and self.prefetch > 0 then
    self:request_pages(self.prefetch)
    self.client:start(self.calls, self.pace)
  end
  return true
end

-- A field of what may be no table at all.
local function field(value, name)
  if type(value) == "table" then return value[name] end
end

-- What a page says: where it begins, the total, whether there are further ones, the last of them.
-- The size of pages is what the server uses, not what it was asked for. A total smaller than what
-- is seen is not believed from then on.
function iteration_methods:read(page, number, count)
  local total, pages = field(page.meta, "total"), field(page.meta, "pages")
  local link = field(field(page.links, "pages"), "next") -- never followed
  if math.type(total) ~= "integer" then total = nil end
  local last = math.type(pages) == "integer" and pages > number and pages
    or type(link) == "string" and link ~= "" and number + 1 or number
  local is_first, behind = not self.covered, (number - 1) * self.size + count
  local is_short = is_first and count > 0 and count < self.size
  if count > self.size or is_short and (last > number or (total or 0) > behind) then
    self.size, self.full = count, count
  end
  local offset = (number - 1) * self.size
  if is_first then self.start, self.covered = offset, offset end
  self.doubts_total = self.doubts_total or total and count > 0 and total < offset + count
  if self.doubts_total or not total then return offset, nil, last > number, last end
  return offset, total, last > number, math.ceil(total / self.size)
end

-- The next page is the one with the first position that is not covered. While the list shrinks, it
-- has to begin before that, by what will be gone until it is answered: with another size of pages,
-- one does so and still reaches far.
function iteration_methods:choose_page(shrinkage)
  local covered, furthest, smallest, largest = self.covered, 0, self.size, self.size
  if shrinkage > 0 and not self.is_rigid then smallest, largest = 1, self.full end
  for _, from in ipairs{ math.max(0, covered - shrinkage), covered } do
    for size = smallest, largest do
      local number = from // size + 1
      if number * size >= furthest then
        self.size, self.number, furthest = size, number, number * size
      end
    end
    if furthest > covered then break end
  end
end

function iteration_methods:count_failure(total)
  self.failures = self.failures + 1
  if self.failures < patience or not total or self.covered >= total then return end
  self:fail(errors.new{ kind = "timeout", attempts = self.pace.answered, message =
    ("the walk cannot end: the list grows as fast as it is read (nothing new on page %d, and %d"
      .. " items are still to come)"):format(self.number, total - self.covered) })
end

-- Puts what is new on a page into `items`, from which it is yielded; returns what met:sort does.
function iteration_methods:sort(page_items, offset, covered, is_still)
  if is_still and self.met:add_page(page_items) then
    self.items, self.position = page_items, 0
    return #page_items, false, 0
  end
  self.items, self.position = {}, 0
  -- what was in front of the first page is not asked for, also when it slips onto it
  local outside = math.min(covered, self.start) - offset
  return self.met:sort(page_items, self.items, outside, covered - offset)
end

-- Takes a page that has come: its items, and what it says of the list.
function iteration_methods:take(page, response, number)
  local page_items = page[self.member]
  local count, before = #page_items, self.total
  local offset, total, is_announced, last = self:read(page, number, count)
  local change = self.goes_back and total and before and total - before or 0
  local covered = self.goes_back and total and math.max(0, self.covered + change) or offset
  self.has_changed = self.has_changed or before and total ~= before
  local expected = math.min(self.size, math.max(0, (total or math.huge) - offset))
  if self.size < self.full and count ~= expected then -- the server keeps to a size of its own
    self.size, self.is_rigid, offset = self.full, true, math.huge
  end
  if offset > covered then -- no use taking it: items may have slipped in front of it
    if self.lowest and total and total >= self.lowest then self:count_failure(total) end
    self.covered, self.total, self.lowest, self.latest = covered, total, total, 0
    self:cancel()
    self.pace:slower()
    self:choose_page(math.max(0, -change))
    self.last = self.number
    return
  end

  -- without a total and uuids, a page that says the same as the one before is that one again
  local text = not total and not field(page_items[1], "uuid") and met.signature(page_items)
  local is_copy = text and text == self.text
  local is_still = total and not self.has_changed and number * self.size <= total
  local new, is_repeated, latest =
    self:sort(is_copy and {} or page_items, offset, covered, is_still)
  self.covered, self.total, self.text = math.max(covered, offset + self.size), total, text
  if not self.goes_back then self.page, self.response = page, response end
  local has_more = is_announced or self.covered < (total or 0) or not total and count >= self.size
  if count == 0 or new == 0 and before and offset >= before then has_more = false end
  if new > 0 then
    self.failures, self.lowest, latest = 0, nil, self.met.count
  elseif latest <= self.latest then
    self:count_failure(total)
    has_more = has_more and self.failures < patience
  end
  self.latest = latest
  if not has_more then return self:close() end
  if is_repeated or before and total ~= before then
    self:cancel()
    self.pace:slower()
  else
    self.pace:faster()
  end
  self:choose_page(math.max(0, -change))
  self.last = math.max(self.number, last)
end

local function new_iteration(client, request, settings, goes_back)
  return setmetatable({
    client = client, request = request, prefetch = settings.prefetch, member = settings.member,
    goes_back = goes_back, pace = pace.new(settings.prefetch), calls = {}, finished = false,
    number = settings.first, last = settings.first, -- the page to take next; the last there is
    asked = settings.size, full = settings.size, size = settings.size, -- items on a page
    items = {}, position = 0, -- new ones of the page taken last; how many of them were yielded
    met = met.new(), failures = 0, latest = 0,
  }, iteration_metatable)
end

iteration_metatable.__close = iteration_methods.close

--- Every page from the first on, as a generic-for iterator of page, response. As long as nothing is
--- deleted, what is in the list during the whole walk is on one of them at least.
---@param client gradient.client
---@param request fun(number: integer, size: integer, pace: gradient.pace): gradient.call?, table?
---@param settings table  first (page number), size (items a page), prefetch, member; each: filter,
---a function that says whether an item is wanted
function paginator.pages(client, request, settings)
  local iteration = new_iteration(client, request, settings, false)
  local function following()
    while not iteration.page do
      if not iteration:advance() then return nil end
    end
    local page
    page, iteration.page = iteration.page, nil
    return page, iteration.response
  end
  return following, nil, nil, iteration
end

--- Every item of every page from the first on, as a generic-for iterator. Arguments as for pages.
function paginator.each(client, request, settings)
  local iteration, filter = new_iteration(client, request, settings, true), settings.filter
  local function following()
    while true do
      local position = iteration.position + 1
      local item = iteration.items[position]
      if item ~= nil then
        iteration.position = position
        if not filter or filter(item) then return item end
      elseif not iteration:advance() then
        return nil
      end
    end
  end
  return following, nil, nil, iteration
end

return paginator
