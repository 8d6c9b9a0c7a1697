--- Writes lua_files.h for embedded.c: the Lua files named on the command line, below lua/, as data.

local files = {}

-- "gradient/wait/luv.lua" → "gradient.wait.luv"; "gradient/init.lua" → "gradient"
local function module_name(path)
  return (path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

local function write_bytes(identifier, text)
  io.write("static const unsigned char ", identifier, "[] = {")
  for position = 1, #text do
    io.write(position % 16 == 1 and "\n  " or "", text:byte(position), ",")
  end
  io.write("\n};\n")
end

for position, path in ipairs(arg) do
  local file <close> = assert(io.open("lua/" .. path, "rb"))
  local identifier = "file_" .. position
  write_bytes(identifier, file:read("a"))
  local entry = ('{"%s", "@%s", %s, sizeof %s},'):format(module_name(path), path, identifier,
    identifier)
  table.insert(files, module_name(path) == "gradient" and 1 or #files + 1, "  " .. entry)
end

print("static const struct lua_file lua_files[] = {")
print(table.concat(files, "\n"))
print("};")
