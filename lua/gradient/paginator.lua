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
--- The difference of the two is what is left to read. Changes leave it as it is; a page makes it
--- smaller that begins in time and reaches far enough. A walk in which none does cannot end.
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

local patience = 8 -- answers in a row after which no less is left to read

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

-- The walk cannot go on after this: asked again, it raises the same error, and does not just end.
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
-- has to begin before that, by `leeway`: with another size of pages, one does so and still reaches
-- far. Where none does, it either begins in time or reaches far: one, then the other.
function iteration_methods:choose_page()
  local covered, furthest, smallest, largest = self.covered, 0, self.size, self.size
  if self.leeway > 0 and not self.is_rigid then smallest, largest = 1, self.full end
  local in_time = math.max(0, covered - self.leeway)
  for _, from in ipairs{ in_time, self.failures % 2 == 0 and covered or nil } do
    for size = smallest, largest do
      local number = from // size + 1
      if number * size >= furthest then
        self.size, self.number, furthest = size, number, number * size
      end
    end
    if furthest > covered then break end
  end
end

-- Whether the walk is stuck: so many answers in a row have brought nothing, or have left no less to
-- read. What was met already counts where it was met later than what came before; without a total,
-- that may only be a server that repeats itself. A list that shrinks has an end.
function iteration_methods:is_stuck(total, new, latest)
  local left, is_later = total and total - self.covered, latest > self.latest
  if (left or 0) < self.left and (new > 0 or is_later and total) then
    self.failures, self.lowest = 0, math.huge
  elseif total and total >= self.lowest or not total and not is_later then
    self.failures = self.failures + 1
  end
  self.latest = new > 0 and self.met.count or latest
  self.left, self.lowest = left or math.huge, math.min(self.lowest, total or math.huge)
  if self.failures < patience then return false end
  if not left or left <= 0 then return true end
  self:fail(errors.new{ kind = "timeout", attempts = self.pace.answered, message =
    ("the walk cannot end: the list changes as fast as it is read (nothing new on page %d, and %d"
      .. " items are still to come)"):format(self.number, left) })
end

-- Decides what is asked for next, after an answer in which the total had changed by `change`.
function iteration_methods:go_on(change, has_changed)
  if change < 0 then
    self.leeway = math.min(self.full, math.max(self.leeway, -change))
  elseif self.failures == 0 then
    self.leeway = 0
  end
  if has_changed then
    self:cancel()
    self.pace:slower()
  else
    self.pace:faster()
  end
  self:choose_page()
  self.last = math.max(self.number, self.last)
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
    self.covered, self.total, self.last = covered, total, 0
    self:is_stuck(total, 0, 0)
    return self:go_on(change, true)
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
  if not has_more or self:is_stuck(total, new, latest) then return self:close() end
  self.last = last
  self:go_on(change, is_repeated or before and total ~= before)
end

local function new_iteration(client, request, settings, goes_back)
  return setmetatable({
    client = client, request = request, prefetch = settings.prefetch, member = settings.member,
    goes_back = goes_back, pace = pace.new(settings.prefetch), calls = {}, finished = false,
    number = settings.first, last = settings.first, -- the page to take next; the last there is
    asked = settings.size, full = settings.size, size = settings.size, -- items on a page
    items = {}, position = 0, -- new ones of the page taken last; how many of them were yielded
    met = met.new(), latest = 0, leeway = 0,
    left = math.huge, lowest = math.huge, failures = 0, -- see is_stuck
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
