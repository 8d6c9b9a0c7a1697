--- Runs a Lua program in a process and an environment of its own.
--
--   local result = program.run([[print(os.getenv("HOME"))]], { HOME = "/nowhere" })
--   local result = program.run([[print(arg[1])]], {}, { "an argument" })
--   result.status, result.output, result.errors     exit status, standard output, standard error
--
-- The environment is ours, but without the variables that gradient and libcurl read; the module is
-- found where we find it, and the interpreter is the one that runs us.

local process = require("spec.support.process")
local shell = require("spec.support.shell")

local quote = shell.quote

local READ_BY_GRADIENT = {
  "DIGITALOCEAN_ACCESS_TOKEN",
  "DIGITALOCEAN_TOKEN",
  "GRADIENT_BASE_URL",
  "GRADIENT_LOG",
  "http_proxy",
  "https_proxy",
  "HTTPS_PROXY",
  "all_proxy",
  "ALL_PROXY",
  "no_proxy",
  "NO_PROXY",
}

--- `environment`: name → value, besides ours. `arguments`: a list.
local function run(text, environment, arguments)
  local directory = process.new_directory()
  shell.write(directory .. "/program.lua", text)
  local words = { "env" }
  for _, name in ipairs(READ_BY_GRADIENT) do
    table.move({ "-u", name }, 1, 2, #words + 1, words)
  end
  words[#words + 1] = quote("LUA_PATH=" .. package.path)
  words[#words + 1] = quote("LUA_CPATH=" .. package.cpath)
  for name, value in pairs(environment or {}) do
    words[#words + 1] = quote(name .. "=" .. value)
  end
  words[#words + 1] = quote(arg[-1]) .. " " .. quote(directory .. "/program.lua")
  for _, argument in ipairs(arguments or {}) do words[#words + 1] = quote(argument) end
  local redirections = (" >%s/output 2>%s/errors"):format(directory, directory)
  local _, _, status = os.execute(table.concat(words, " ") .. redirections)
  local result = {
    status = status,
    output = shell.read(directory .. "/output"),
    errors = shell.read(directory .. "/errors"),
  }
  os.execute("rm -rf " .. quote(directory))
  return result
end

return { run = run }
