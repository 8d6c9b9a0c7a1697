--- The shapes of JSON that decoders differ in: a sequence of { name, text }. A text is either large
--- enough for what a call costs not to matter, or so small that little else does.

local random, rep, format = math.random, string.rep, string.format

local SIZE = 40000 -- bytes of a text that is large enough, about

local shapes = {}

local function add(name, text)
  shapes[#shapes + 1] = { name = name, text = text }
end

-- An array of as many elements as fit; each is what the function makes.
local function array(name, element)
  local elements, size = {}, 0
  while size < SIZE do
    elements[#elements + 1] = element(#elements + 1)
    size = size + #elements[#elements] + 1
  end
  add(name, "[" .. table.concat(elements, ",") .. "]")
end

local function digits(count)
  local parts = { random(9) }
  for i = 2, count do parts[i] = random(0, 9) end
  return table.concat(parts)
end

local function letters(count)
  local parts = {}
  for i = 1, count do parts[i] = string.char(random(97, 122)) end
  return table.concat(parts)
end

local function quoted(text) return '"' .. text .. '"' end

-- An object of so many members, whose names are what the function makes.
local function object(count, name)
  local members = {}
  for i = 1, count do members[i] = format('"%s":%d', name(i), i) end
  return "{" .. table.concat(members, ",") .. "}"
end

math.randomseed(7)

-- Numbers
array("integers of 1 digit", function() return digits(1) end)
array("integers of 6 digits", function() return digits(6) end)
array("integers of 19 digits", function() return digits(18) .. random(0, 9) end)
array("negative integers", function() return "-" .. digits(8) end)
array("integers beyond 64 bits", function() return digits(25) end)
array("floats of 3 digits", function() return digits(1) .. "." .. digits(2) end)
array("floats of 8 digits", function() return format("%.5f", random() * 360 - 180) end)
array("floats of 15 digits", function() return format("%.15g", random()) end)
array("floats of 17 digits", function() return format("%.17g", random()) end)
array("floats of 17 digits, any exponent", function()
  return format("%.16e", (random() + 0.1) * 10.0 ^ random(-290, 290))
end)
array("floats of 20 digits", function() return digits(2) .. "." .. digits(18) end)
array("floats of 700 digits", function() return "0." .. digits(700) end)
array("floats in the middle of two", function() return (1 << 52) + random(1 << 51) .. ".5" end)
array("exponents", function() return digits(1) .. "e" .. random(-300, 300) end)

-- Strings
array("empty strings", function() return '""' end)
array("strings of 4 bytes", function() return quoted(letters(4)) end)
array("strings of 36 bytes", function() return quoted(letters(36)) end)
array("strings of 300 bytes", function() return quoted(letters(300)) end)
add("a string of a megabyte", quoted(rep("0123456789", 100000)))
array("the same string", function() return '"BATCH_JOB_PHASE_SUCCEEDED"' end)
array("strings in German", function() return quoted(letters(9) .. "ä" .. letters(12) .. "ß") end)
array("strings in Greek", function() return quoted(rep("αβγδε ", 6)) end)
array("strings in Chinese", function() return quoted(rep("索引作业", 6)) end)
array("emoji", function() return quoted(rep("😀", 8)) end)
array("strings with one escape", function() return quoted(letters(20) .. "\\n" .. letters(9)) end)
array("short strings with one escape", function() return quoted(letters(3) .. "\\n") end)
add("a string of \\n", quoted(rep("\\n", SIZE // 2)))
array("strings of \\n", function() return quoted(rep("\\n", 10)) end)
array("strings of \\u0041", function() return quoted(rep("\\u0041", 10)) end)
array("strings of \\u20ac", function() return quoted(rep("\\u20ac", 10)) end)
array("surrogate pairs", function() return quoted(rep("\\ud83d\\ude00", 5)) end)
array("paths with escapes", function()
  return quoted(letters(6) .. "\\/" .. letters(5) .. "\\/" .. letters(8) .. "\\\"")
end)

-- Literals, arrays, objects
array("true and false", function() return random(2) == 1 and "true" or "false" end)
array("null", function() return "null" end)
array("empty arrays", function() return "[]" end)
array("arrays of three", function() return "[1,2,3]" end)
array("empty objects", function() return "{}" end)
array("objects of one member", function(i) return format('{"a":%d}', i) end)
array("objects of 15 members", function()
  return object(15, function(i) return "member_" .. i end)
end)
array("members in any order", function()
  local first = random(0, 9)
  return object(10, function(i) return "member_" .. (i * 7 + first) % 10 end)
end)
array("members that are null", function() return '{"created_at":null,"finished_at":null}' end)
add("an object of 3,000 names", object(3000, function(i) return "name_" .. i end))
add("1,000 levels of arrays", rep("[", 1000) .. rep("]", 1000))
add("500 levels of objects", rep('{"a":', 500) .. "1" .. rep("}", 500))

-- Spaces
local function indented(depth)
  return "\n" .. rep("  ", depth)
end
array("objects over many lines", function(i)
  return format('%s{%s"uuid": "%s",%s"tokens": %d%s}', indented(2), indented(3), letters(36),
    indented(3), i, indented(2))
end)
array("a space after comma and colon", function(i) return format(' {"a": %d, "b": true}', i) end)
add("a megabyte of spaces", rep(" ", 500000) .. "1" .. rep(" ", 500000))
array("lines with tabs", function(i) return "\r\n\t\t\t" .. i end)

-- Texts so small that the call itself counts
add("an empty page", '{"jobs":[],"links":{},"meta":{"page":1,"pages":1,"total":0}}')
add("an object of two members", '{"id":"unauthorized","message":"Unable to authenticate you."}')

return shapes
