--- The static library: a program that links it needs nothing of the module on disk.

local api = require "spec.support.api"
local new_directory = require("spec.support.process").new_directory
local shell = require "spec.support.shell"

local must = shell.must

describe("the static library", function()
  local work, host

  lazy_setup(function()
    work = new_directory()
    host = work .. "/host"
    must("make static")
    must("gcc -std=c99 -Wall -Wextra -Werror $(pkg-config --cflags lua5.4) -o %s"
      .. " spec/hosts/host_static.c build/static/libgradient.a"
      .. " $(pkg-config --libs lua5.4 libcurl) -lpthread -ldl", host)
  end)

  lazy_teardown(function() must("rm -rf %s", work) end)

  local function run(program, variables)
    return shell.run("cd / && env -i %s %s %s", variables or "", host, shell.quote(program))
  end

  it("lists jobs in a program that finds no file", function()
    local running <close> = api.start{ jobs = 30 }
    local output = run([[
      local gradient = require "gradient"
      local count = 0
      for job in gradient.indexing_jobs.each{ per_page = 7 } do count = count + #job.uuid // 36 end
      print(count, gradient._VERSION, debug.getinfo(gradient.client, "S").source)
    ]], ("DIGITALOCEAN_TOKEN=%s GRADIENT_BASE_URL=%s"):format(running.token, running.url))
    assert.matches("^30\t%d+%.%d+%.%d+\t@gradient/init%.lua\n$", output)
  end)

  it("has every Lua file in it", function()
    local output = run[[
      for module in pairs(package.preload) do print((module:gsub("%.", "/"))) end
    ]]
    local modules = { ["gradient/core"] = true }
    for path in must("cd lua && find gradient -name '*.lua'"):gmatch("%S+") do
      modules[path:gsub("%.lua$", ""):gsub("/init$", "")] = true
    end
    local preloaded = {}
    for module in output:gmatch("%S+") do preloaded[module] = true end
    assert.same(modules, preloaded)
  end)

  it("reports an error with the module's own file and line", function()
    local output, ok = run([[require("gradient.retry").server_delay()]])
    assert.is_false(ok)
    assert.matches("^gradient/retry%.lua:%d+: ", output)
  end)

  it("takes no names away from the program but its two entry points", function()
    assert.equal("the program's own\n", (run("print(own)")))
    assert.equal("luaopen_gradient\nluaopen_gradient_core\n", must(
      "nm --defined-only --extern-only build/static/libgradient.a"
        .. " | awk 'NF == 3 { print $3 }' | sort"))
  end)
end)
