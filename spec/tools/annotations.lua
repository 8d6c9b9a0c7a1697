--- What the LuaCATS annotations in lua/ say (https://luals.github.io/wiki/annotations/).
--
--   local found = annotations.read()
--     classes     name → {parent (or nil), fields = name → {type, optional, description}}
--     aliases     name → list of its values
--     functions   list of {name, path, parameters (of the definition), described (of the
--                 annotation), results (their types)}
--   annotations.fields(found, name)      fields of a class, its parent's too

local shell = require "spec.support.shell"

-- A type, up to the space that ends it: spaces inside of brackets belong to it, as does what
-- follows a comma or a colon.
local function split_type(text)
  local position, depth = 1, 0
  while position <= #text do
    local character = text:sub(position, position)
    if character:find("[({<]") then depth = depth + 1 end
    if character:find("[)}>]") then depth = depth - 1 end
    if character == " " and depth == 0 and not text:sub(1, position - 1):find(":$") then break end
    position = position + 1
  end
  return text:sub(1, position - 1), text:sub(position):match("^%s*(.*)$")
end

local readers = {}

function readers.class(found, rest, context)
  local name, parent = rest:match("^([%w_.]+):?%s*([%w_.]*)")
  context.class = found.classes[name] or { fields = {} }
  context.class.parent = parent ~= "" and parent or nil
  found.classes[name] = context.class
end

function readers.field(_, rest, context)
  local name, mark, described = rest:match("^([%w_]+)(%??)%s+(.*)$")
  local kind, description = split_type(described)
  context.class.fields[name] = {
    type = kind, optional = mark == "?" or kind:find("%?$") ~= nil, description = description,
  }
end

function readers.alias(found, rest, context)
  context.alias = {}
  found.aliases[rest:match("^[%w_.]+")] = context.alias
end

function readers.param(_, rest, context)
  table.insert(context.described, rest:match("^[%w_.]+"))
end

readers["return"] = function(_, rest, context)
  table.insert(context.results, (split_type(rest)))
end

local function new_context()
  return { described = {}, results = {} }
end

local function add_function(found, path, context, name, parameters)
  local names = {}
  for parameter in parameters:gmatch("[%w_.]+") do names[#names + 1] = parameter end
  table.insert(found.functions, {
    name = name, path = path, parameters = names, described = context.described,
    results = context.results,
  })
end

local function read_file(found, path)
  local context = new_context()
  for line in io.lines(path) do
    local tag, rest = line:match("^%s*%-%-%-@(%w+)%s*(.*)$")
    local value = line:match('^%s*%-%-%-|%s*"(.-)"')
    if tag then
      if readers[tag] then readers[tag](found, rest, context) end
    elseif value then
      table.insert(context.alias, value)
    elseif not line:find("^%s*%-%-") then
      local name, parameters = line:match("^%s*l?o?c?a?l?%s*function%s+([%w_.:]+)%((.-)%)")
      if not name then parameters = line:match("^return function%((.-)%)") end
      if parameters then add_function(found, path, context, name or path, parameters) end
      context = new_context()
    end
  end
end

local function read()
  local found = { classes = {}, aliases = {}, functions = {} }
  for path in shell.must("find lua -name '*.lua'"):gmatch("%S+") do read_file(found, path) end
  return found
end

local function fields(found, name)
  local class, all = assert(found.classes[name], name), {}
  for field, annotation in pairs(class.parent and fields(found, class.parent) or {}) do
    all[field] = annotation
  end
  for field, annotation in pairs(class.fields) do all[field] = annotation end
  return all
end

return { read = read, fields = fields }
