--- Programs of Debian's with Lua in them, unpacked by spec/hosts/unpack.sh, on loopback and in a
--- temporary directory.
--
--   local program, missing = hosts.find("usr/sbin/lighttpd", "usr/lib/lighttpd/mod_magnet.so")
--       the path of a program; nil and why if it is not there, or has another Lua than 5.4. The
--       second is the file that has Lua in it, the program itself by default.
--   local host <close> = hosts.start("lighttpd", { program, … }, variables)
--       starts it with the files in spec/hosts/lighttpd, and waits until it listens
--   host:get("/path") → status, body      host:send("/path") → function that waits for the same
--   local path, cpath = hosts.lua_paths()    for LUA_PATH and LUA_CPATH
--   local output, ok = hosts.run("nmap", { program, … }, variables)      runs it to its end
--
-- In the environment of all of them, and so in their configurations: FOLDER, the host's in
-- spec/hosts; WORK, the temporary directory; PORT; LUA_DIR and LUA_LIBDIR, where the module is; and
-- variables.

local socket = require "socket"
local process = require "spec.support.process"
local shell = require "spec.support.shell"

local quote = shell.quote

local checkout = shell.must("pwd"):match("[^\n]+")
local root = checkout .. "/build/hosts/debian"

local hosts = { root = root }

hosts.libraries = ("%s/usr/lib/%s"):format(root, shell.must("gcc -print-multiarch"):match("%S+"))

--- Where Lua looks for packages of Debian's that are unpacked. What is only there for an older Lua,
-- as lua-http, is fine if it is written in Lua.
function hosts.lua_paths()
  local path, cpath = {}, { hosts.libraries .. "/lua/5.4/?.so", checkout .. "/build/?.so" }
  for _, version in ipairs{ "5.4", "5.3", "5.2" } do
    path[#path + 1] = ("%s/usr/share/lua/%s/?.lua"):format(root, version)
    path[#path + 1] = ("%s/usr/share/lua/%s/?/init.lua"):format(root, version)
  end
  path[#path + 1] = checkout .. "/lua/?.lua"
  path[#path + 1] = checkout .. "/lua/?/init.lua"
  return table.concat(path, ";") .. ";;", table.concat(cpath, ";") .. ";;"
end

--- The absolute path of a host's folder.
function hosts.folder(name) return ("%s/spec/hosts/%s"):format(checkout, name) end

local function environment(folder, work, variables)
  local path, cpath = hosts.lua_paths()
  local all = {
    FOLDER = hosts.folder(folder), WORK = work,
    LUA_DIR = checkout .. "/lua", LUA_LIBDIR = checkout .. "/build",
    LUA_PATH = path, LUA_CPATH = cpath,
    LD_LIBRARY_PATH = hosts.libraries .. ":" .. hosts.libraries .. "/blas", -- one of several BLAS
    PATH = os.getenv "PATH", HOME = work, LANG = "C.UTF-8",
  }
  for name, value in pairs(variables) do all[name] = value end
  local words = { "env", "-i" }
  for name, value in pairs(all) do words[#words + 1] = name .. "=" .. value end
  return words
end

function hosts.find(program, file)
  for _, path in ipairs{ program, file } do
    local found = io.open(root .. "/" .. path)
    if not found then return nil, program .. " is not here (make hosts gets it)" end
    found:close()
  end
  local lua = shell.run("LD_LIBRARY_PATH=%s ldd %s | grep -o 'liblua[0-9]*[.][0-9]*'",
    quote(hosts.libraries), quote(root .. "/" .. (file or program))):match("liblua(%S+)")
  if lua and lua ~= "5.4" then return nil, ("Debian's has Lua %s here"):format(lua) end
  return root .. "/" .. program
end

-- Arguments: a program. It ends when our standard input does, or at SIGTERM.
local SCRIPT = [[
exec 9<&0
"$@" </dev/null >&2 &
program=$!
trap 'kill $program' TERM
(cat <&9; kill $program) >/dev/null 2>&1 &
echo started
wait $program || wait $program
]]

local host_methods = {}

function host_methods:stop()
  if self.process then
    self.process:stop(true)
    self.process = nil
    shell.must("rm -rf %s", quote(self.work))
  end
end

local host_metatable = {
  __index = host_methods, __close = host_methods.stop, __gc = host_methods.stop,
}

--- Asks for a page; the answer is read by the function that it returns.
function host_methods:send(path)
  local connection = assert(socket.connect("127.0.0.1", self.port))
  connection:settimeout(10)
  connection:send(("GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n"):format(path))
  return function()
    local answer, problem = connection:receive("*a")
    connection:close()
    assert(answer, problem)
    return tonumber(answer:match("^HTTP/%S+ (%d+)")), answer:match("\r\n\r\n(.*)$")
  end
end

function host_methods:get(path) return self:send(path)() end

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end

function hosts.start(folder, words, variables)
  local host = setmetatable({ port = free_port(), work = process.new_directory() }, host_metatable)
  variables.PORT = host.port
  local all = { "sh", "-c", SCRIPT, "sh" }
  for _, part in ipairs{ environment(folder, host.work, variables), words } do
    table.move(part, 1, #part, #all + 1, all)
  end
  host.process = assert(process.start(all))
  local deadline = socket.gettime() + 10
  repeat
    local connection = socket.connect("127.0.0.1", host.port)
    if connection then
      connection:close()
      return host
    end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  local complaint = host.process:errors()
  host:stop()
  error(("%s does not listen:\n%s"):format(folder, complaint), 2)
end

function hosts.run(folder, words, variables)
  local work = process.new_directory()
  local quoted = {}
  for _, part in ipairs{ environment(folder, work, variables), words } do
    for _, word in ipairs(part) do quoted[#quoted + 1] = quote(word) end
  end
  local output, ok = shell.run("%s </dev/null", table.concat(quoted, " "))
  shell.must("rm -rf %s", quote(work))
  return output, ok
end

return hosts
