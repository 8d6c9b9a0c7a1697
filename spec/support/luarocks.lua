--- LuaRocks without anything of this machine's own configuration.
--
--   luarocks.command(directory, configuration)   the command, up to its options; it keeps what it
--                                                has of its own in the directory, where
--                                                etc/config-5.4.lua is its configuration
--   luarocks.serve(command, server, rockspecs)   makes a folder a rocks server: with the rocks of
--                                                these, and what they depend on, from Debian
--   luarocks.provided                            a configuration: what Debian's packages provide

local shell = require "spec.support.shell"

local must = shell.must

local luarocks = {}

luarocks.provided = [[
rocks_provided = {
  ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1",
  busted = "2.1.1-1", luasocket = "3.1.0-1", cqueues = "20200726.54-0", luv = "1.44.2-0",
}
]]

function luarocks.command(directory, configuration)
  shell.must("mkdir -p %s/etc", directory)
  shell.write(directory .. "/etc/config-5.4.lua", configuration)
  return ("env -i PATH=%s HOME=%s LUAROCKS_SYSCONFDIR=%s/etc luarocks --lua-version=5.4"):format(
    shell.quote(os.getenv("PATH")), directory, directory)
end

-- Packs what a Debian package has for Lua 5.4 as a binary rock. `modules`: name → a file's path,
-- as it ends there.
local function pack_debian_rock(command, server, package, rock, modules)
  local work = server .. "/parts"
  local files = must("mkdir -p %s && dpkg -L %s", work, package)
  local install = { lua = {}, lib = {} }
  for module, path in pairs(modules) do
    local found = assert(files:match("(%S*" .. path:gsub("%p", "%%%0") .. ")\n"))
    must("cp -L %s %s", found, work)
    install[path:find("%.so$") and "lib" or "lua"][module] = path:match("[^/]+$")
  end
  local function fields(list)
    local entries = {}
    for name, file in pairs(list) do entries[#entries + 1] = ("[%q] = %q"):format(name, file) end
    return table.concat(entries, ", ")
  end
  local rockspec = ("%s/%s.rockspec"):format(work, rock)
  shell.write(rockspec, ([[
    rockspec_format = "3.0"
    package = %q
    version = %q
    source = { url = "git+file://." }
    build = { type = "builtin", modules = {}, install = { lua = { %s }, lib = { %s } } }
  ]]):format(rock:match("^(.-)%-(%d.*)$"), rock:match("%-(%d.*)$"), fields(install.lua),
    fields(install.lib)))
  must("cd %s && %s make --pack-binary-rock %s && mv *.rock %s", work, command, rockspec, server)
end

function luarocks.serve(command, server, rockspecs)
  must("mkdir -p %s", server)
  for _, rockspec in ipairs(rockspecs) do must("cd %s && %s pack %s", server, command, rockspec) end
  pack_debian_rock(command, server, "lua-cjson", "lua-cjson-2.1.0-1",
    { cjson = "/lua/5.4/cjson.so", ["cjson.util"] = "/lua/5.4/cjson/util.lua" })
  pack_debian_rock(command, server, "lua-argparse", "argparse-0.7.1-1",
    { argparse = "/lua/5.4/argparse.lua" })
  must("%s make_manifest %s", command:gsub("luarocks ", "luarocks-admin "), server)
end

return luarocks
