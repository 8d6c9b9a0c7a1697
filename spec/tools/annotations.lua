--- What the LuaCATS annotations in lua/ say (https://luals.github.io/wiki/annotations/).
--
--   local found = annotations.read()
--     classes     name → {text, parent (or nil), fields = name → {name, type, optional,
--                 description}, order (names of the fields), functions (those of the table that
--                 the class describes), path}
--     aliases     name → {text, comments = value → text} and the list of its values
--     functions   list of {name, path, text, examples (list of code), parameters (names, of the
--                 definition), described (names, of the annotation), arguments and results (lists
--                 of {name, type, optional, description}), is_private}
--     modules     path → {text, sketch (list of lines of code)} of the comment at its top
--   annotations.fields(found, name)      fields of a class, its parent's too

local shell = require "spec.support.shell"

-- A type, up to the space that ends it: spaces inside of brackets and quotes belong to it, as does
-- what follows a comma or a colon.
local function split_type(text)
  local position, depth, quote = 1, 0, 1
  while position <= #text do
    local character = text:sub(position, position)
    if character == '"' then
      depth, quote = depth + quote, -quote
    end
    if character:find("[({<]") then depth = depth + 1 end
    if character:find("[)}>]") then depth = depth - 1 end
    if character == " " and depth == 0 and not text:sub(1, position - 1):find("[:,]$") then
      break
    end
    position = position + 1
  end
  return text:sub(1, position - 1), text:sub(position):match("^%s*(.*)$")
end

-- "name? type  description", as fields and parameters have it.
local function new_entry(rest)
  local name, mark, described = rest:match("^([%w_.]+)(%??)%s+(.*)$")
  local kind, description = split_type(described)
  return {
    name = name, type = kind, optional = mark == "?" or kind:find("%?$") ~= nil,
    description = description,
  }
end

local function new_context()
  return { text = "", examples = {}, sketch = {}, described = {}, arguments = {}, results = {} }
end

local readers = {}

function readers.class(found, rest, context, path)
  local name, parent = rest:match("^([%w_.]+):?%s*([%w_.]*)")
  local class = found.classes[name] or { fields = {}, order = {}, functions = {}, text = "" }
  class.parent = parent ~= "" and parent or class.parent
  class.path = class.path or path
  if context.text ~= "" then class.text = context.text end
  found.classes[name], context.class, context.last = class, class, nil
end

function readers.field(_, rest, context)
  local entry = new_entry(rest)
  if not context.class.fields[entry.name] then table.insert(context.class.order, entry.name) end
  context.class.fields[entry.name], context.last = entry, entry
end

function readers.alias(found, rest, context)
  context.alias = { text = context.text, comments = {} }
  found.aliases[rest:match("^[%w_.]+")] = context.alias
end

function readers.param(_, rest, context)
  table.insert(context.described, rest:match("^[%w_.]+"))
  context.last = new_entry(rest)
  table.insert(context.arguments, context.last)
end

readers["return"] = function(_, rest, context)
  local kind, text = split_type(rest)
  local name, description = text:match("^([%w_]+)%f[%s\0]%s*(.*)$")
  context.last = { name = name, type = kind, description = description or text }
  table.insert(context.results, context.last)
end

function readers.package(_, _, context) context.is_private = true end
readers.private = readers.package

-- A line of a comment that is no tag: the text, an example in it, or the rest of a tag's line.
local function read_text(context, line)
  local fence = line:match("^```(.*)$")
  if fence and context.example then
    table.insert(context.examples, table.concat(context.example, "\n"))
    context.example = nil
  elseif fence then
    context.example = {}
  elseif context.example then
    table.insert(context.example, line)
  elseif line:find("^    ") then
    table.insert(context.sketch, line:sub(5))
  elseif context.last then
    context.last.description = context.last.description .. " " .. line
  else
    local gap = context.text == "" and "" or " "
    context.text = line == "" and context.text .. "\n\n" or context.text .. gap .. line
  end
end

local function add_function(found, path, context, name, parameters)
  local names = {}
  for parameter in parameters:gmatch("[%w_.]+") do names[#names + 1] = parameter end
  local definition = {
    name = name, path = path, text = context.text, examples = context.examples,
    parameters = names, described = context.described, arguments = context.arguments,
    results = context.results, is_private = context.is_private,
  }
  table.insert(found.functions, definition)
  return definition
end

-- Names the class of a table that is made here, and reads its fields if it is an enumeration.
local function read_table(lines, position, class, owners)
  local name = lines[position]:match("^l?o?c?a?l?%s*([%w_.]+) = {")
  if not name then return end
  owners[name] = class
  for index = position + 1, #lines do
    local field, value = lines[index]:match("^  ([%u_]+) = (\".-\"),$")
    if not field then break end
    table.insert(class.order, field)
    class.fields[field] = { name = field, type = value, description = "" }
  end
end

local function read_file(found, path)
  local lines, owners, context = {}, {}, new_context()
  for line in io.lines(path) do lines[#lines + 1] = line end
  for position, line in ipairs(lines) do
    local tag, rest = line:match("^%s*%-%-%-@(%w+)%s*(.*)$")
    local value, comment = line:match('^%s*%-%-%-|%s*"(.-)"%s*#?%s*(.*)$')
    local text = line:match("^%s*%-%-%- ?(.*)$")
    if tag then
      if tag == "meta" then context = new_context() end
      if readers[tag] then readers[tag](found, rest, context, path) end
    elseif value then
      table.insert(context.alias, value)
      context.alias.comments[value] = comment
    elseif text then
      read_text(context, text)
    elseif not line:find("^%s*%-%-") then
      if position > 1 and not found.modules[path] then
        found.modules[path] = { text = context.text, sketch = context.sketch }
      end
      local name, parameters = line:match("^%s*l?o?c?a?l?%s*function%s+([%w_.:]+)%((.-)%)")
      if not name then parameters = line:match("^return function%((.-)%)") end
      if parameters then
        local definition = add_function(found, path, context, name or path, parameters)
        local owner = owners[definition.name:match("^(.*)[.:]")]
        if owner then table.insert(owner.functions, definition) end
      elseif context.class then
        read_table(lines, position, context.class, owners)
      end
      context = new_context()
    end
  end
end

local function read()
  local found = { classes = {}, aliases = {}, functions = {}, modules = {} }
  for path in shell.must("find lua -name '*.lua' | sort"):gmatch("%S+") do
    read_file(found, path)
  end
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
