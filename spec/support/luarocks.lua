--- LuaRocks without anything of this machine's own configuration.
--
--   luarocks.command(directory, configuration)   the command, up to its options; it keeps what it
--                                                has of its own in the directory, where
--                                                etc/config-5.4.lua is its configuration
--   luarocks.provided                            a configuration: what Debian's packages provide

local shell = require "spec.support.shell"

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

return luarocks
