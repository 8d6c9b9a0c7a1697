--- Which items a walk has met before, for a few thousand of the latest ones.
---
--- As long as a list stands still, none comes twice. All that is kept of a page then is a text of
--- its uuids, and two markers: its first and its last. When the list moves by less than a page, a
--- page begins with what was on the one before; when it moves further, there are markers on it. So
--- that is looked for; with the first sign of a change the texts become tables.

-- So many items are remembered at least; at most twice as many and a page, so that memory stays
-- flat. With a total, it is only after d deletions that some are met again: at most d.
local remembered = 6000

local uuid_length = 36

---@class gradient.met
local met_methods = {}

local met_metatable = { __index = met_methods }

local odd = 0x9E3779B97F4A7C15

-- A uuid as an integer: strings that outlive the items around them leave holes in the memory, which
-- costs more than the rest of a walk. It equals one of 12,000 others once in 10^15 times.
local function key_of(uuid)
  if #uuid ~= uuid_length then return uuid end
  local a, b, c, d = string.unpack("jjjj", uuid, 5)
  return ((a * odd ~ b) * odd ~ c) * odd ~ d
end

-- When as many have been added as are remembered, those before them are forgotten.
function met_methods:turn()
  if self.count - self.turned < remembered then return end
  self.older, self.recent, self.turned = self.recent, {}, self.count
  self.markers, self.recent_markers = self.recent_markers, {} -- needed only with texts
end

--- Adds a full page of a list that stands still; false when it does not look like one.
---@param items any[]
---@return boolean
function met_methods:add_page(items)
  local uuids, markers = self.uuids, self.markers
  if not uuids then return false end
  for index, item in ipairs(items) do
    local uuid = type(item) == "table" and item.uuid
    if type(uuid) ~= "string" or #uuid ~= uuid_length or markers[uuid] then return false end
    uuids[index] = uuid
  end
  if #items == 0 or self.latest:find(uuids[1], 1, true) then return false end
  self:turn()
  for _, uuid in ipairs{ uuids[1], uuids[#items] } do
    self.markers[uuid], self.recent_markers[uuid] = true, true
  end
  self.latest = table.concat(uuids, "", 1, #items)
  self.recent[#self.recent + 1] = self.latest
  self.count = self.count + #items
  return true
end

-- Texts to tables: key → its number in the order in which they were met.
local function expand(texts, count)
  local keys = {}
  for _, text in ipairs(texts) do
    for first = 1, #text, uuid_length do
      count = count + 1
      keys[key_of(text:sub(first, first + uuid_length - 1))] = count
    end
  end
  return keys
end

--- Sorts a page: what is new is put into `fresh`, and is marked as met after that, so that an error
--- in between loses nothing.
---@param items any[]
---@param fresh table
---@param outside integer  so many at the front of the page are not wanted
---@param covered integer  so many have been read before; what has no uuid is new behind them
---@return integer new  how many are
---@return boolean repeated  are there others behind those that have been read?
---@return integer latest  the number of the last of these
function met_methods:sort(items, fresh, outside, covered)
  if self.uuids then
    self.older, self.recent = expand(self.older, 0), expand(self.recent, self.turned)
    self.uuids, self.markers, self.recent_markers = nil, nil, nil
  end
  self:turn()
  local recent, older, count = self.recent, self.older, self.count
  local new, repeated, latest = 0, false, 0
  for index, item in ipairs(items) do
    local uuid = type(item) == "table" and item.uuid
    local key = type(uuid) == "string" and key_of(uuid)
    local when = recent[key] or older[key]
    if when then
      latest, repeated = when, repeated or index > covered
    elseif index > (key and outside or covered) then
      new, count = new + 1, count + 1
      fresh[new] = item
      if key then recent[key] = count end
    end
  end
  self.count = count
  return new, repeated, latest
end

local met = {}

---@return gradient.met
function met.new()
  return setmetatable({
    uuids = {}, latest = "", -- of the latest page, as long as the list stands still
    markers = {}, recent_markers = {},
    recent = {}, older = {}, -- texts of uuids, then tables
    count = 0, turned = 0, -- of all that were met; when `recent` was begun
  }, met_metatable)
end

--- A text that two pages have in common when they say the same.
---@param value any  the page's items
---@return string
function met.signature(value)
  if type(value) ~= "table" then return tostring(value) end
  local members = {}
  for name, member in pairs(value) do
    members[#members + 1] = name .. "=" .. met.signature(member)
  end
  table.sort(members)
  return "{" .. table.concat(members, ",") .. "}"
end

return met
