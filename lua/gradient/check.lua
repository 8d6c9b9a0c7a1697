--- Checks of what a program passes in. A mistake raises at the program's own line: `level` is
--- always the one that `error` would need in the function that calls the check.

local check = {}

local function sorted_names(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

-- How a message describes a value. It never shows a string: that might be the token.
local function describe(value)
  local kind = type(value)
  if kind == "number" then return tostring(value) end
  if kind == "nil" then return "nil" end
  if value == "" then return "an empty string" end
  return "a " .. kind
end

-- A number as text, in every locale.
local function decimal(number)
  return (tostring(number):gsub("[^%w.+-]", "."))
end

-- Called with a colon instead of a dot, a function gets the table itself as its first argument.
local function check_dot(value, level)
  local metatable = getmetatable(value)
  local name = type(metatable) == "table" and metatable.__name
  if type(name) == "string" and name:find("^gradient") then
    error("call this with a dot, not with a colon", level + 1)
  end
end

--- The kinds of values: each is {what it must be, function(value, what) → the value to use, or nil
--- and maybe a better message}.

check.integer = { "a whole number from 1", function(value)
  local integer = math.type(value) and math.tointeger(value)
  return integer and integer >= 1 and integer or nil
end }

check.count = { "a whole number from 0", function(value)
  local integer = math.type(value) and math.tointeger(value)
  return integer and integer >= 0 and integer or nil
end }

check.seconds = { "a positive number of seconds", function(value)
  return math.type(value) and value > 0 and value or nil
end }

check.boolean = { "true or false", function(value)
  if type(value) == "boolean" then return value end
end }

check.string = { "a string", function(value, what)
  if type(value) ~= "string" then return nil end
  if value:find("%c") then return nil, what .. " must not contain control characters" end
  return value
end }

check.token = { "a non-empty string", function(value, what)
  if type(value) ~= "string" or value == "" then return nil end
  if not value:find("^[\x21-\x7e]+$") then
    return nil, what .. " must not contain spaces, line ends or other characters that no token has"
  end
  return value
end }

local longest_id = 1024 -- bytes

--- A part of a path. "." and ".." would lead to another path.
check.id = { "a non-empty string", function(value, what)
  if type(value) ~= "string" or value == "" then return nil end
  if #value > longest_id then
    return nil, ("%s must be at most %d bytes long, not %d"):format(what, longest_id, #value)
  end
  if value == "." or value == ".." or value:find("%c") then
    return nil, ("%s must be an id, not '%s'"):format(what, value:gsub("%c", "?"))
  end
  return value
end }

--- The kind of a sequence.
---@param must string  what the value must be
---@param accept fun(item: any): any  the item to use; nil when it is none
---@param least integer  how many items there must be
function check.sequence(must, accept, least)
  return { must, function(value, what)
    if type(value) ~= "table" then return nil end
    local items, count = {}, 0
    for _ in pairs(value) do count = count + 1 end
    if count < least then return nil, ("%s must be %s, not an empty table"):format(what, must) end
    for position = 1, count do
      items[position] = accept(value[position])
      if items[position] == nil then
        return nil, ("%s must be %s, but element %d is %s"):format(what, must, position,
          describe(value[position]))
      end
    end
    return items
  end }
end

check.ids = check.sequence("a sequence of non-empty strings", function(item)
  return type(item) == "string" and item ~= "" and item or nil
end, 0)

check.strings = { "a non-empty string or a sequence of them", function(value, what)
  if type(value) == "string" then return value ~= "" and value or nil end
  return check.ids[2](value, what)
end }

check.callable = { "a function", function(value)
  local metatable = getmetatable(value)
  local callable = type(value) == "function" or type(metatable) == "table" and metatable.__call
  return callable and value or nil
end }

check.table = { "a table", function(value)
  return type(value) == "table" and value or nil
end }

-- The client sets these itself. Others would break the request, or send the token elsewhere.
local reserved = {
  authorization = "use the option 'token'", host = "use the option 'base_url'",
  ["content-length"] = "libcurl sets it", ["transfer-encoding"] = "libcurl sets it",
  connection = "libcurl sets it", expect = "libcurl sets it",
}

--- Header fields: a table of name → value (string or number).
check.headers = { "a table of header names and values", function(value)
  if type(value) ~= "table" then return nil end
  local headers = {}
  for name, content in pairs(value) do
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      return nil, "a header's name must be a string of letters, digits and -"
    end
    if reserved[name:lower()] then
      return nil, ("header '%s' cannot be set: %s"):format(name, reserved[name:lower()])
    end
    if math.type(content) then content = decimal(content) end
    if type(content) ~= "string" or content:find("[%z\1-\8\10-\31\127]") then
      return nil, ("header '%s' must be a string without control characters"):format(name)
    end
    headers[name:lower()] = content
  end
  return headers
end }

local function is_query_value(value)
  return type(value) == "string" or math.type(value) or type(value) == "boolean"
end

--- Query parameters: a table of name → string, number, boolean, or a sequence of these.
check.query = { "a table of query parameters", function(value)
  if type(value) ~= "table" then return nil end
  local query = {}
  for name, content in pairs(value) do
    if type(name) ~= "string" or name == "" then
      return nil, "a query parameter's name must be a non-empty string"
    end
    local items = {}
    for position, item in ipairs(type(content) == "table" and content or { content }) do
      if not is_query_value(item) then
        return nil, ("query parameter '%s' must be a string, number or boolean, or a sequence of"
          .. " these"):format(name)
      end
      items[position] = math.type(item) and decimal(item) or tostring(item)
    end
    query[name] = items
  end
  return query
end }

--- One value.
---@param what string  what it is called: "parameter 'page'"
---@param value any
---@param kind table  one of the kinds above
---@param level integer
function check.value(what, value, kind, level)
  local good, complaint = kind[2](value, what)
  if good == nil then
    check_dot(value, level + 1)
    complaint = complaint or ("%s must be %s, not %s"):format(what, kind[1], describe(value))
    error(complaint, level + 1)
  end
  return good
end

--- A table of named values; returns a checked copy.
---@param what string  what one is called: "parameter"
---@param fields table?  nil counts as empty
---@param kinds table<string, table>  the names that are allowed
---@param level integer
---@return table<string, any>
function check.fields(what, fields, kinds, level)
  local checked = {}
  if fields == nil then return checked end
  check_dot(fields, level + 1)
  if type(fields) ~= "table" then
    error(("the %ss must be in a table, not in %s"):format(what, describe(fields)), level + 1)
  end
  for name, value in pairs(fields) do
    local kind = kinds[name]
    if not kind then
      error(("unknown %s '%s' (expected %s)"):format(what, tostring(name), sorted_names(kinds)),
        level + 1)
    end
    checked[name] = check.value(("%s '%s'"):format(what, name), value, kind, level + 1)
  end
  return checked
end

return check
