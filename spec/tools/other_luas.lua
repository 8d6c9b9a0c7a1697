--- The core and the specs with every Lua from 5.4 on of which Debian has the sources, in any of its
--- suites (make other-luas); the latest of each once more with Lua's own assertions on. They are
--- compiled here, and nothing is installed. What cannot be had is skipped, with a message.

local shell = require "spec.support.shell"

local must, quote = shell.must, shell.quote

local folder = must("mkdir -p build/luas && cd build/luas && pwd"):match("[^\n]+")

-- Those that are fast, and look at what this process has loaded.
local specs = { "annotations", "client", "core", "errors", "fault", "json", "list", "operations",
  "paginator", "retry", "wait" }

local function skip(reason)
  print("other Luas: skipped, " .. reason)
  os.exit(true)
end

-- apt with a state of its own: the sources of all suites, from where this machine's packages are.
local function new_apt()
  local site = shell.run("apt-get indextargets --format '$(SITE)' 'Created-By: Packages'"
    .. " 'Origin: Debian' 'Component: main'"):match("^%S+")
  if not site then skip "this machine has no Debian packages" end
  must("mkdir -p %s/apt/lists/partial %s/apt/archives/partial", folder, folder)
  local lines = {}
  for suite in ("oldoldstable oldstable stable testing unstable"):gmatch("%S+") do
    lines[#lines + 1] = ("deb-src %s %s main\n"):format(site, suite)
  end
  shell.write(folder .. "/apt/sources.list", table.concat(lines))
  local options = (" -o Dir::State=%s/apt -o Dir::Cache=%s/apt -o Dir::State::status=/dev/null"
    .. " -o Dir::Etc::sourcelist=%s/apt/sources.list -o Dir::Etc::sourceparts=/dev/null"
    .. " -o Acquire::Languages=none"):format(folder, folder, folder)
  shell.run("apt-get %s update", options)
  return options
end

-- The versions of a source package, oldest first: Debian's, and that of the program.
local function versions_of(apt, package)
  local versions, seen = {}, {}
  local listing = shell.run("apt-cache %s showsrc --only-source %s | grep ^Version: | sort -V", apt,
    package)
  for debian, upstream in listing:gmatch("Version: (([^\n-]+)[^\n]*)") do
    if not seen[upstream] then
      seen[upstream] = true
      versions[#versions + 1] = { debian = debian, upstream = upstream }
    end
  end
  return versions
end

-- Unpacks the sources of a package; returns the folder, or nil when they cannot be had.
local function unpacked(apt, package, version, suffix)
  local target = ("%s/%s-%s%s"):format(folder, package, version.upstream, suffix or "")
  -- what else belongs to a source package may be missing
  shell.run("cd %s && apt-get %s source --download-only %s=%s", folder, apt, package,
    version.debian)
  local _, ok = shell.run("mkdir -p %s && tar -xf %s/%s_%s.orig.tar.* -C %s --strip-components=1",
    target, folder, package, version.upstream, target)
  return ok and target or nil
end

-- Lua checks itself, each use of its C functions, and that nobody keeps a pointer into a stack: it
-- moves at every occasion.
local assertions = "-DLUAI_ASSERT -DLUA_USE_APICHECK -DHARDSTACKTESTS"

-- The interpreter; and in front of the PATH, so that it is the one that specs start. The API server
-- stays with the machine's own Lua, which has the modules that it needs.
local function build_lua(sources, flags)
  must("cd %s/src && cc -O1 -DLUA_USE_LINUX %s -o ../lua"
    .. " $(ls *.c | grep -v -e '^luac.c' -e '^onelua.c' -e '^ltests.c') -Wl,-E -lm -ldl", sources,
    flags)
  must("mkdir -p %s/bin", sources)
  shell.write(sources .. "/bin/lua5.4", ([[#!/bin/sh
    case "$1" in
      *server.lua) exec env -u LUA_PATH -u LUA_CPATH %s "$@";;
      *) exec %s/lua "$@";;
    esac
  ]]):format(must("command -v lua5.4"):match("%S+"), sources))
  must("chmod +x %s/bin/lua5.4", sources)
end

-- Copies this checkout and builds the core in it; every warning is an error.
local function build_core(sources, version)
  local checkout = sources .. "/checkout"
  shell.copy_checkout(checkout)
  must("make -s -C %s all LUA_VERSION=%s LUA_CFLAGS=-I%s/src", checkout, version, sources)
  return checkout
end

-- Builds a C module for a Lua from the latest sources that can be had.
local function build_module(apt, sources, package, target, files)
  local versions = versions_of(apt, package)
  for position = #versions, 1, -1 do
    local from = unpacked(apt, package, versions[position])
    local _, ok = shell.run("mkdir -p $(dirname %s/modules/%s) && cd %s && cc -O1 -fPIC -shared"
      .. " -I%s/src -o %s/modules/%s %s", sources, target, from, sources, sources, target, files)
    if ok then return end
  end
end

local function run_specs(sources, checkout, runner, cpath)
  local words = {}
  for position, name in ipairs(specs) do words[position] = ("spec/%s_spec.lua"):format(name) end
  local path = "lua/?.lua;lua/?/init.lua;./?.lua;"
    .. must("env -i lua5.4 -e 'print(package.path)'"):match("[^\n]+")
  -- LUA: what specs build in C is for the machine's own Lua, which has headers where make looks
  return shell.run("cd %s && LUA=$(command -v lua5.4) PATH=%s/bin:$PATH LUA_PATH=%s LUA_CPATH=%s"
    .. " lua5.4 %s %s", checkout, sources, quote(path), quote("build/?.so;" .. cpath), runner,
    table.concat(words, " "))
end

local function try(apt, package, version, with_assertions)
  local sources = unpacked(apt, package, version, with_assertions and "-assertions")
  local name = version.upstream .. (with_assertions and " with assertions" or "")
  if not sources then
    print(("Lua %s: skipped, its sources cannot be had"):format(name))
    return true
  end
  build_lua(sources, with_assertions and assertions or "")
  local number = package:match("%d+%.%d+")
  local checkout = build_core(sources, number)
  local runner, cpath = "/usr/bin/busted", must("env -i lua5.4 -e 'print(package.cpath)'")
  if number ~= "5.4" then -- C modules of 5.4 are of no use to it
    runner, cpath = "spec/tools/plain_busted.lua", sources .. "/modules/?.so"
    build_module(apt, sources, "lua-cjson", "cjson.so", "lua_cjson.c strbuf.c fpconv.c")
    build_module(apt, sources, "luasocket", "socket/core.so", "$(ls src/*.c"
      .. " | grep -v -e mime -e serial -e unix -e wsocket)")
  end
  local output, ok = run_specs(sources, checkout, runner, cpath:match("[^\n]+"))
  print(("Lua %s: %s"):format(name, output:match("%d+ successes / [^\n]*") or ""))
  if not ok then print(output) end
  for line in output:gmatch("[^\n]+: skipped[^\n]+") do print("  " .. line) end
  return ok
end

local apt, tried, good = new_apt(), 0, true
for package in ("lua5.4 lua5.5"):gmatch("%S+") do
  local versions = versions_of(apt, package)
  for position, version in ipairs(versions) do
    tried = tried + 1
    good = try(apt, package, version) and good
    if position == #versions then good = try(apt, package, version, true) and good end
  end
end
if tried == 0 then skip "no suite of Debian can be reached" end
os.exit(good, true)
