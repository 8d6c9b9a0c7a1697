--- Ids and chance, both computed from numbers, so that nothing is stored and all runs are the same.

local format = string.format

--- What the numbers of things are mixed with, so that no two kinds have the same uuids.
local KINDS = { job = 0, knowledge_base = 0x51ED27, other = 0x2545F4, schedule = 0x7F4A7C }

--- Spreads the bits of an integer (the finalizer of splitmix64).
local function mix(x)
  x = (x ~ (x >> 30)) * 0xBF58476D1CE4E5B9
  x = (x ~ (x >> 27)) * 0x94D049BB133111EB
  return x ~ (x >> 31)
end

--- A permutation of the 32-bit integers, and its inverse: a thing's number is found in its uuid.
local function scramble(x)
  x = ((x ~ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
  x = ((x ~ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
  return x ~ (x >> 16)
end

local function unscramble(x)
  x = ((x ~ (x >> 16)) * 0x43021123) & 0xFFFFFFFF
  x = ((x ~ (x >> 15) ~ (x >> 30)) * 0x1D69E2A5) & 0xFFFFFFFF
  return x ~ (x >> 16)
end

--- The version 4 uuid of thing number n of a kind; distinct for distinct n below 2^32.
local function uuid_of(kind, n)
  local salt = KINDS[kind]
  local a = mix(n * 0x9E3779B97F4A7C15 + salt)
  local b = mix(a + salt)
  return format(
    "%08x-%04x-4%03x-%x%03x-%012x",
    scramble(n ~ salt),
    a & 0xFFFF,
    a >> 16 & 0xFFF,
    8 | a >> 28 & 3,
    a >> 30 & 0xFFF,
    b & 0xFFFFFFFFFFFF
  )
end

--- The number of the thing with this uuid; nil if no thing of this kind has it.
local function number_of(kind, uuid)
  local head = uuid:match("^(%x%x%x%x%x%x%x%x)%-")
  local n = head and unscramble(tonumber(head, 16)) ~ KINDS[kind]
  return n and uuid_of(kind, n) == uuid and n or nil
end

return { mix = mix, uuid_of = uuid_of, number_of = number_of }
