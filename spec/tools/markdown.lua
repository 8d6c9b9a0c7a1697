--- What the specs need of a Markdown file: its sections, with their blocks of code and tables.
--
--   local sections = markdown.parse(text)      a list of
--     title    of the heading
--     text     the section's prose, without blocks of code
--     blocks   list of {language ("" for none), text, line (of its first line)}
--     tables   list of tables: a list of rows, header first, each a list of cells
--   for code in markdown.code(text) do         every `span of code`

-- The cells of a table's row; nil for another line, false for the line below the header.
local function cells(line)
  local inner = line:match("^|(.*)|%s*$")
  if not inner then return nil end
  if inner:find("^[%s|:-]+$") and inner:find("-", 1, true) then return false end
  local row = {}
  for cell in (inner .. "|"):gmatch("([^|]*)|") do
    row[#row + 1] = cell:match("^%s*(.-)%s*$")
  end
  return row
end

local function new_section(title)
  return { title = title, text = "", blocks = {}, tables = {} }
end

local function add_row(section, row, is_first)
  if is_first then table.insert(section.tables, {}) end
  if row then table.insert(section.tables[#section.tables], row) end
end

local function parse(text)
  local sections, block, was_row = { new_section "" }, nil, false
  local number = 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local section, fence = sections[#sections], line:match("^```(.*)$")
    local row
    if not block then row = cells(line) end
    if block and fence then
      block = nil
    elseif block then
      block.text = block.text .. line .. "\n"
    elseif fence then
      block = { language = fence, text = "", line = number + 1 }
      table.insert(section.blocks, block)
    elseif line:find("^#+ ") then
      table.insert(sections, new_section(line:match("^#+ (.*)$")))
    elseif row ~= nil then
      add_row(section, row, not was_row)
    else
      section.text = section.text .. line .. "\n"
    end
    was_row = row ~= nil
  end
  return sections
end

local function code(text)
  return text:gmatch("`([^`]+)`")
end

return { parse = parse, code = code }
