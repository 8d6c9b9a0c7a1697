--- Writes the reference as one HTML page (make docs), from the annotations in lua/.
--
--   lua spec/tools/reference.lua FILE
--
-- What is public follows from the module: its functions and fields, and every type that these
-- mention. The page begins with an index that has a line for each.

local annotations = require "spec.tools.annotations"
local shell = require "spec.support.shell"

local found = annotations.read()

-- The parts of the page: {title, text, entries = {id, title, line, body}}.
local parts = {}

-- By class or alias that is used: its id on the page. In the order of their first use.
local used, used_in_order = {}, {}

local escapes = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text)
  return (text:gsub('[&<>"]', escapes))
end

local function id_of(name)
  return (name:gsub("[^%w_]", "-"))
end

local function link(id, text)
  return ('<a href="#%s">%s</a>'):format(id, text)
end

local function use(name)
  if not used[name] then
    used[name] = "type-" .. id_of(name)
    used_in_order[#used_in_order + 1] = name
  end
  return used[name]
end

-- Where every entry is, by the name it has in prose.
local entry_ids = {}

-- Prose: paragraphs, `code`, addresses; the names of entries are links.
local function prose(text)
  local html = escape(text):gsub("`(.-)`", "<code>%1</code>")
    :gsub("https?://[^%s)]*[^%s).,;:]", '<a href="%0">%0</a>')
  html = html:gsub("gradient%.[%w_.]*[%w_]", function(name)
    return entry_ids[name] and link(entry_ids[name], name)
  end)
  return (html:gsub("\n\n", "<p>"))
end

local function first_sentence(text)
  return text:match("^(.-[.?])%s") or text
end

-- The top-level parts of a union; what is inside of brackets stays together.
local function alternatives(kind)
  local list, depth, start = {}, 0, 1
  for position = 1, #kind do
    local character = kind:sub(position, position)
    if character:find("[({<]") then depth = depth + 1 end
    if character:find("[)}>]") then depth = depth - 1 end
    if character == "|" and depth == 0 then
      list[#list + 1] = kind:sub(start, position - 1)
      start = position + 1
    end
  end
  list[#list + 1] = kind:sub(start)
  return list
end

-- A type as a reader reads it: "page or nil", each name a link to what it is.
local function type_html(kind, hides_nil)
  local list = {}
  for _, alternative in ipairs(alternatives(kind)) do
    local plain = alternative:gsub("%?$", "")
    list[#list + 1] = escape(plain):gsub("gradient%.([%w_.]+)", function(name)
      local full = "gradient." .. name
      if not (found.classes[full] or found.aliases[full]) then return nil end
      return link(use(full), name)
    end)
    if plain ~= alternative and not hides_nil then list[#list + 1] = "nil" end
  end
  return "<code>" .. table.concat(list, "</code> or <code>") .. "</code>"
end

local function rows(entries, prefix)
  local lines = {}
  for _, entry in ipairs(entries) do
    local mark = entry.optional and ' <span class="optional">optional</span>' or ""
    lines[#lines + 1] = ("<dt><b>%s</b> %s%s<dd>%s"):format(prefix .. (entry.name or ""),
      type_html(entry.type, entry.optional), mark, prose(entry.description))
  end
  return #lines > 0 and "<dl>" .. table.concat(lines, "\n") .. "</dl>" or ""
end

local function examples(list)
  local blocks = {}
  for _, code in ipairs(list) do blocks[#blocks + 1] = "<pre>" .. escape(code) .. "</pre>" end
  return table.concat(blocks)
end

local function results(list)
  local lines = {}
  for position, result in ipairs(list) do
    local gap = result.description == "" and "" or ": "
    local name = result.name and ("<b>%s</b> "):format(result.name) or ""
    lines[position] = name .. type_html(result.type) .. gap .. prose(result.description)
  end
  return lines[2] and "<p>Returns<ol><li>" .. table.concat(lines, "<li>") .. "</ol>"
    or lines[1] and "<p>Returns " .. lines[1] or ""
end

-- In the index, what the heading says already is left out of the title.
local function add_entry(part, name, title, text, body)
  local id, prefix = used[name] or id_of(name), part.title .. "."
  entry_ids[name] = entry_ids[name] or id
  table.insert(part.entries, {
    id = id, title = title, text = text, body = body, line = first_sentence(text),
    label = title:sub(1, #prefix) == prefix and title:sub(#prefix + 1) or title,
  })
end

local function add_part(title, text)
  local part = { title = title, text = text or "", entries = {} }
  parts[#parts + 1] = part
  return part
end

local function add_function(part, name, definition)
  local words = {}
  for position, argument in ipairs(definition.arguments) do
    words[position] = argument.optional and "[" .. argument.name .. "]" or argument.name
  end
  add_entry(part, name, ("%s(%s)"):format(name, table.concat(words, ", ")), definition.text,
    function()
      return rows(definition.arguments, "") .. results(definition.results)
        .. examples(definition.examples)
    end)
end

-- The functions of a class under the name by which a program has them; a part of its own.
local function add_functions(class, name, separator, part)
  part = part or add_part(name, class.text)
  for _, definition in ipairs(class.functions) do
    if definition.text ~= "" and not definition.is_private then
      add_function(part, name .. separator .. definition.name:match("[%w_]+$"), definition)
    end
  end
  return part
end

local function values(class)
  local lines = {}
  for _, field in ipairs(class.order) do
    lines[#lines + 1] = ("<tr><td><code>%s</code><td><code>%s</code>"):format(field,
      escape(class.fields[field].type))
  end
  return "<table>" .. table.concat(lines, "\n") .. "</table>"
end

-- A field of the module: an enumeration, a table with functions, or a plain value.
local function add_field(part, owner, field)
  local name = owner .. "." .. field.name
  local class = found.classes[field.type]
  local is_enumeration = class and next(class.fields) and field.type:find("_names$")
  if is_enumeration then
    add_entry(part, name, name, class.text, function() return values(class) end)
  elseif not (class and class.functions[1]) then
    add_entry(part, name, name, field.description, function()
      return "<p>A " .. type_html(field.type)
    end)
  end
end

-- The tables of functions inside of a class, and what is inside of these; each once.
local function add_resources(class, name, seen)
  for _, field_name in ipairs(class.order) do
    local field = class.fields[field_name]
    local inner = found.classes[field.type]
    if inner and inner.functions[1] and not seen[inner] then
      seen[inner] = true
      entry_ids[name .. "." .. field_name] = id_of(name .. "." .. field_name)
      used[field.type] = id_of(name .. "." .. field_name) -- a link to it goes to the part
      add_functions(inner, name .. "." .. field_name, ".")
      add_resources(inner, name .. "." .. field_name, seen)
    end
  end
end

local function add_module()
  local class = found.classes.gradient
  local part = add_functions(class, "gradient", ".", add_part("gradient"))
  for _, name in ipairs(class.order) do add_field(part, "gradient", class.fields[name]) end
  add_resources(class, "gradient", {})
end

local function add_client()
  used["gradient.client"] = "a-client"
  local class = found.classes["gradient.client"]
  local part = add_functions(class, "client", ":", add_part("a client", class.text))
  for _, name in ipairs(class.order) do
    add_entry(part, "client." .. name, "client." .. name, "As gradient." .. name
      .. ", with this client's options.", function() return "" end)
  end
end

local function add_adapters()
  local part = add_part("gradient.wait", "Ways to wait for the network inside an event loop: the"
    .. " option `wait` of a client.")
  for path in shell.must("ls lua/gradient/wait/*.lua"):gmatch("%S+") do
    local module = found.modules[path]
    local name = path:match("lua/(.*)%.lua"):gsub("/", ".")
    if module.text:find("^`wait`") then
      local sketch = escape(table.concat(module.sketch, "\n"))
      add_entry(part, name, name, module.text, function()
        return sketch ~= "" and '<pre class="sketch">' .. sketch .. "</pre>" or ""
      end)
    end
  end
end

-- The types that were used so far, and those that these use.
local function add_types()
  local tables, strings = add_part("Tables"), add_part("Strings")
  local position = 1
  while used_in_order[position] do
    local name = used_in_order[position]
    local short, class, alias = name:match("^gradient%.(.*)"), found.classes[name],
      found.aliases[name]
    if class then
      local fields = {}
      for _, field in ipairs(class.order) do fields[#fields + 1] = class.fields[field] end
      local body = rows(fields, "")
      if class.parent then
        body = "<p>Also everything in " .. type_html(class.parent) .. "." .. body
      end
      add_entry(tables, name, short, class.text, function() return body end)
    else
      add_entry(strings, name, short, alias.text, function()
        local list = {}
        for _, value in ipairs(alias) do
          list[#list + 1] = ("<tr><td><code>%s</code><td>%s"):format(escape(value),
            prose(alias.comments[value]))
        end
        return "<table>" .. table.concat(list, "\n") .. "</table>"
      end)
    end
    position = position + 1
  end
end

local head = [[
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>gradient %s: reference</title>
<style>
:root { color-scheme: light dark; --line: #8884; --dim: #888; --shade: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
  overflow-wrap: anywhere; }
a { text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre { font: 0.9em/1.5 ui-monospace, monospace; }
pre { background: var(--shade); padding: 0.7rem; overflow-x: auto; overflow-wrap: normal; }
h1, h2 { line-height: 1.2; }
h2 { margin: 3rem 0 1rem; border-bottom: 1px solid var(--line); }
h3 { font: 600 1em/1.5 ui-monospace, monospace; margin: 2rem 0 0.5rem; padding: 0.2rem 0.5rem;
  background: var(--shade); }
nav ul { list-style: none; padding: 0; margin: 0 0 1.5rem; }
nav li { display: grid; grid-template-columns: 24rem 1fr; gap: 0 1rem; padding: 0.15rem 0;
  border-top: 1px solid var(--line); }
nav li a { font: 0.9em/1.7 ui-monospace, monospace; }
dl { margin: 0.5rem 0; }
dd { margin: 0 0 0.4rem 1.5rem; }
td { padding: 0 1.5rem 0 0; vertical-align: top; }
ol { margin: 0; }
.optional { color: var(--dim); font-size: 0.85em; }
@media (max-width: 42rem) { nav li { grid-template-columns: 1fr; } dd { margin-left: 0.7rem; }
  h2 { font-size: 1.15rem; } }
</style>
<h1>gradient %s</h1>
<p>DigitalOcean's Gradient AI indexing jobs, from Lua: a line for everything that
<code>require "gradient"</code> returns, and the details below.
README.md has the introduction and the recipes. Arguments in [brackets] may be left out.
]]

local function page(version)
  local lines = { head:format(version, version), "<nav>" }
  for _, part in ipairs(parts) do
    lines[#lines + 1] = ("<h2>%s</h2><ul>"):format(link(id_of(part.title), part.title))
    for _, entry in ipairs(part.entries) do
      lines[#lines + 1] = ("<li>%s<span>%s</span>"):format(link(entry.id, escape(entry.label)),
        prose(entry.line))
    end
    lines[#lines + 1] = "</ul>"
  end
  lines[#lines + 1] = "</nav>"
  for _, part in ipairs(parts) do
    lines[#lines + 1] = ('<h2 id="%s">%s</h2><p>%s'):format(id_of(part.title), part.title,
      prose(part.text))
    for _, entry in ipairs(part.entries) do
      lines[#lines + 1] = ('<h3 id="%s">%s</h3><p>%s%s'):format(entry.id, escape(entry.title),
        prose(entry.text), entry.html)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Makes the bodies of all entries: that finds the types that are used.
local function make_bodies(first)
  for position = first, #parts do
    for _, entry in ipairs(parts[position].entries) do entry.html = entry.body() end
  end
end

add_module()
add_client()
add_adapters()
make_bodies(1)
local count = #parts
add_types()
make_bodies(count + 1)
make_bodies(1) -- once more: now every name in prose is known

local version = shell.read("src/core.c"):match('#define GRADIENT_VERSION "([^"]+)"')
shell.write(arg[1], page(version))
