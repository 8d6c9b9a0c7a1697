--- Names that were probably meant.

local names = {}

-- How many letters have to be changed, added or left out to get from one to the other.
local function distance(one, other)
  local previous = {}
  for column = 0, #other do previous[column] = column end
  for row = 1, #one do
    local current = { [0] = row }
    for column = 1, #other do
      local changed = one:byte(row) == other:byte(column) and 0 or 1
      current[column] = math.min(previous[column - 1] + changed, previous[column] + 1,
        current[column - 1] + 1)
    end
    previous = current
  end
  return previous[#other]
end

local function begins_with(text, beginning)
  return text:sub(1, #beginning) == beginning
end

-- How much a name differs from the one that was asked for; nil when they have nothing in common.
local function remoteness(name, wanted)
  local longer = #name - #wanted
  if begins_with(name, wanted) then return longer / #name end
  if begins_with(wanted, name) and 2 * #name >= #wanted then return -longer end
  local most = math.max(1, #wanted // 3)
  local changes = math.abs(longer) <= most and distance(name, wanted)
  return changes and changes <= most and changes or nil
end

--- Those of the names that come near the one that was asked for, the nearest first.
---@param all string[]
---@param wanted string
---@param most integer  how many at the most
---@return string[]
function names.near(all, wanted, most)
  local found, remote = {}, {}
  for _, name in ipairs(all) do
    local far = name ~= "" and not remote[name] and remoteness(name:lower(), wanted:lower())
    if far then
      remote[name] = far
      found[#found + 1] = name
    end
  end
  table.sort(found, function(one, other)
    if remote[one] ~= remote[other] then return remote[one] < remote[other] end
    return one < other
  end)
  return table.move(found, 1, most, 1, {})
end

return names
