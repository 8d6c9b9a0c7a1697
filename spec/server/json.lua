--- JSON for the server and those who script it: cjson, but whole numbers are Lua integers.

local cjson = require("cjson").new()

local function with_integers(value)
  if type(value) == "number" then
    return math.tointeger(value) or value
  elseif type(value) == "table" then
    for key, member in pairs(value) do
      value[key] = with_integers(member)
    end
  end
  return value
end

--- The value of a JSON text; raises an error if it is none.
local function decode(text)
  return with_integers(cjson.decode(text))
end

return {
  decode = decode,
  encode = cjson.encode,
}
