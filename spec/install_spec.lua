--- What is installed: by make, and by LuaRocks from a checkout.

local luarocks = require "spec.support.luarocks"
local new_directory = require("spec.support.process").new_directory
local shell = require "spec.support.shell"

local must = shell.must

-- A program in another directory and an environment that holds nothing but the tree.
local function run_from(tree, program)
  local share, lib = tree .. "/share/lua/5.4/", tree .. "/lib/lua/5.4/"
  local command = "cd / && env -i LUA_PATH='%s?.lua;%s?/init.lua;;' LUA_CPATH='%s?.so;;'"
    .. " lua5.4 -e '%s'"
  return must(command:format(share, share, lib, program))
end

-- Every module there is, so that none is forgotten in the rockspec.
local function modules()
  local names = {}
  for path in must("cd lua && find gradient -name '*.lua' ! -name init.lua"):gmatch("%S+") do
    names[#names + 1] = ('"%s"'):format(path:gsub("%.lua$", ""):gsub("/", "."))
  end
  return table.concat(names, ", ")
end

-- The C files that the rockspec has.
local function core_sources()
  local declared = {}
  assert(loadfile("rockspec/gradient-scm-1.rockspec", "t", declared))()
  return table.concat(declared.build.modules["gradient.core"].sources, " ")
end

local program = [[
  local gradient = require "gradient"
  for _, name in ipairs{ %s } do
    assert(package.searchpath(name, package.path))
    if not name:find(".wait.", 1, true) then require(name) end -- adapters need their loops
  end
  local page, err = gradient.client{ token = "some-token", base_url = "http://127.0.0.1:1",
    max_retries = 0 }.indexing_jobs.list{}
  print(gradient._VERSION, err.kind, page)
]]

local works = "^%d+%.%d+%.%d+\tconnection"

describe("installation", function()
  local directory

  lazy_setup(function()
    directory = new_directory()
    must("cp -r Makefile README.md LICENSE rockspec src lua %s", directory)
  end)

  lazy_teardown(function()
    must("rm -rf %s", directory)
  end)

  it("make install puts a working module below DESTDIR and PREFIX", function()
    must("make -C %s install DESTDIR=%s/stage PREFIX=/usr", directory, directory)
    assert.matches(works, run_from(directory .. "/stage/usr", program:format(modules())))
  end)

  it("make uninstall leaves nothing of it, and nothing else out", function()
    local stage = directory .. "/other"
    must("mkdir -p %s/usr/share/lua/5.4 && touch %s/usr/share/lua/5.4/other.lua", stage, stage)
    local before = must("find %s -type f", stage)
    for _, target in ipairs{ "install", "uninstall" } do
      must("make -C %s %s DESTDIR=%s PREFIX=/usr", directory, target, stage)
    end
    assert.equal(before, must("find %s -type f -o -name gradient", stage))
  end)

  it("luarocks make installs a working rock, with what it depends on from the system", function()
    local command = luarocks.command(directory, luarocks.provided .. "rocks_servers = {}")
    must("cd %s && %s make --tree=%s/tree", directory, command, directory)
    assert.matches(works, run_from(directory .. "/tree", program:format(modules())))
  end)

  it("exports luaopen_gradient_core and nothing else, however it is built", function()
    local only = "^luaopen_gradient_core%s*$"
    must("make -C %s", directory)
    local symbols = "nm -D --defined-only %s | awk '{ print $3 }'"
    assert.matches(only, must(symbols, directory .. "/build/gradient/core.so"))
    must("cd %s && gcc -shared -fPIC -O0 -std=gnu99 -D_GNU_SOURCE"
      .. " $(pkg-config --cflags lua5.4 libcurl) -o plain.so %s -lcurl", directory, core_sources())
    assert.matches(only, must(symbols, directory .. "/plain.so"))
  end)

  it("is hardened: relocations, stack and library calls", function()
    must("make -C %s", directory)
    local headers = must("readelf -lWd %s/build/gradient/core.so", directory)
    assert.matches("GNU_RELRO", headers)
    assert.matches("BIND_NOW", headers)
    assert.matches("GNU_STACK%s+%S+%s+%S+%s+%S+%s+%S+%s+%S+%s+RW%s", headers)
    local symbols = must("nm -D %s/build/gradient/core.so", directory)
    assert.matches("__stack_chk_fail", symbols)
    assert.matches("_chk@", symbols)
  end)
end)
