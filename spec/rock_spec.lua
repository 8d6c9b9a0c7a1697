--- The release: archive and rockspec from `make dist`, and what LuaRocks makes of them.

local api = require "spec.support.api"
local configured = require "spec.support.luarocks"
local new_directory = require("spec.support.process").new_directory
local shell = require "spec.support.shell"

local must = shell.must

-- Lists, and creates a job: that needs lua-cjson.
local program = [[
  local gradient = require "gradient"
  local jobs = gradient.indexing_jobs
  local page = assert(jobs.list{ per_page = 3 })
  local answer = assert(jobs.create{ knowledge_base_uuid = page.jobs[1].knowledge_base_uuid })
  print(gradient._VERSION, #page.jobs, page.meta.total, answer.job.phase,
    package.searchpath("cjson", package.cpath))
]]

describe("the rock", function()
  local work, source, archive, rockspec, luarocks, version

  lazy_setup(function()
    work = new_directory()
    source = work .. "/source"
    shell.copy_checkout(source)
    must("cd %s && git init --quiet && git add --all && git -c user.name=spec -c user.email=spec@"
      .. " commit --quiet --message=all", source)
    version = shell.read("src/core.c"):match('#define GRADIENT_VERSION "([^"]+)"')
    archive = ("%s/build/dist/gradient-%s.tar.gz"):format(source, version)
    rockspec = ("%s/build/dist/gradient-%s-1.rockspec"):format(source, version)
    must("make -C %s dist SOURCE_URL=file://%s HOMEPAGE=https://example.com/gradient", source,
      archive)
    luarocks = configured.command(work, "rocks_servers = {}")
  end)

  lazy_teardown(function() must("rm -rf %s", work) end)

  -- An environment with nothing but a tree in it.
  local function environment(tree, variables)
    return ("env -i LUA_PATH='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua'"
      .. " LUA_CPATH='%s/lib/lua/5.4/?.so' %s"):format(tree, tree, tree, variables)
  end

  it("has rockspecs without a mistake", function()
    must("%s lint %s", luarocks, rockspec)
    for path in must("ls rockspec/*.rockspec"):gmatch("%S+") do
      must("%s lint %s", luarocks, path)
    end
  end)

  it("holds every Lua file, and every C file but that of the static library", function()
    local declared = { core = {} }
    assert(loadfile("rockspec/gradient-scm-1.rockspec", "t", declared))()
    local core = declared.build.modules["gradient.core"]
    local expected = { ["gradient.core"] = core, gradient = "lua/gradient/init.lua" }
    for path in must("find lua/gradient -name '*.lua' ! -name init.lua"):gmatch("%S+") do
      expected[path:match("^lua/(.*)%.lua$"):gsub("/", ".")] = path
    end
    assert.same(expected, declared.build.modules)
    local sources = table.concat(core.sources, " ")
    local written = sources .. " src/embedded.c"
    for path in must("ls src/*.c"):gmatch("%S+") do
      assert.truthy(written:find(path, 1, true), path)
    end
    assert.matches("SOURCES := " .. sources:gsub("%p", "%%%0") .. "\n", shell.read("Makefile"))
  end)

  describe("from a rocks server", function()
    local server, tree

    lazy_setup(function()
      server, tree = work .. "/server", work .. "/tree"
      configured.serve(luarocks, server, { rockspec })
      luarocks = ("%s --only-server=%s"):format(luarocks, server)
      must("%s install --tree=%s gradient", luarocks, tree)
    end)

    it("is installed into an empty tree with what it depends on, and works from there", function()
      local running <close> = api.start{ jobs = 7 }
      local output = must("cd / && %s lua5.4 -e %s", environment(tree,
        ("DIGITALOCEAN_TOKEN=%s GRADIENT_BASE_URL=%s"):format(running.token, running.url)),
        shell.quote(program))
      assert.equal(("%s\t3\t7\tBATCH_JOB_PHASE_PENDING\t%s/lib/lua/5.4/cjson.so\n"):format(version,
        tree), output)
    end)

    it("brings the command gradient-jobs", function()
      local running <close> = api.start{ jobs = 3 }
      local output = must("cd / && env -i DIGITALOCEAN_TOKEN=%s GRADIENT_BASE_URL=%s"
        .. " %s/bin/gradient-jobs list --json", running.token, running.url, tree)
      assert.equal(3, select(2, output:gsub('"uuid":', "")))
    end)

    it("brings its README and license, which luarocks doc finds", function()
      local output = must("%s doc --tree=%s gradient --list", luarocks, tree)
      assert.matches("README%.md", output)
      assert.matches("LICENSE", output)
    end)

    it("can be packed as it is installed, installed from that, and removed", function()
      local packed, third = work .. "/packed", work .. "/third"
      must("mkdir %s && cd %s && %s --tree=%s pack gradient", packed, packed, luarocks, tree)
      must("%s install --tree=%s %s/gradient-*.rock", luarocks, third, packed)
      local ask = ("cd / && %s lua5.4 -e %s"):format(environment(third, ""),
        shell.quote('print(require("gradient")._VERSION)'))
      assert.equal(version .. "\n", must("%s", ask))
      must("%s remove --tree=%s gradient", luarocks, third)
      assert.is_false(select(2, shell.run("%s", ask)))
      assert.equal("", must("find %s -path '*gradient*' -type f", third))
    end)

    it("is built from the release's rockspec, but only of the archive it was made for", function()
      local other = work .. "/other"
      must("%s build --tree=%s %s CFLAGS='-O0 -fPIC'", luarocks, other, rockspec)
      assert.equal(version .. "\n", must("cd / && %s lua5.4 -e %s", environment(other, ""),
        "'print(require(\"gradient\")._VERSION)'"))

      local genuine = shell.read(archive)
      shell.write(archive, genuine .. " ")
      local output, ok = shell.run("%s build --tree=%s/third %s", luarocks, work, rockspec)
      shell.write(archive, genuine)
      assert.is_false(ok)
      assert.matches("MD5 check", output)
    end)
  end)

  describe("make dist", function()
    it("makes the same archive to the byte for everybody, of what is committed", function()
      must("cd %s && git clone --quiet source clone && cd clone && echo more >> README.md"
        .. " && echo more > other && umask 077 && TZ=Asia/Tokyo make dist SOURCE_URL=x"
        .. " HOMEPAGE=y", work)
      must("cmp %s %s/clone/build/dist/gradient-%s.tar.gz", archive, work, version)
    end)

    it("writes a rockspec that differs only in version, addresses and checksum", function()
      local scm, release = {}, {}
      assert(loadfile("rockspec/gradient-scm-1.rockspec", "t", scm))()
      assert(loadfile(rockspec, "t", release))()
      assert.same({
        url = "file://" .. archive, md5 = must("md5sum %s", archive):match("^%x+"),
        dir = "gradient-" .. version,
      }, release.source)
      assert.equal(version .. "-1", release.version)
      assert.equal("https://example.com/gradient", release.description.homepage)
      assert.equal("https://example.com/gradient/issues", release.description.issues_url)
      release.description.homepage, release.description.issues_url = nil, nil
      release.source, release.version = scm.source, scm.version
      assert.same(scm, release)
    end)

    it("asks for the addresses", function()
      for given, missing in pairs{ ["HOMEPAGE=y"] = "SOURCE_URL", ["SOURCE_URL=x"] = "HOMEPAGE" } do
        local output, ok = shell.run("make -C %s dist %s", source, given)
        assert.is_false(ok)
        assert.matches(missing, output)
      end
    end)
  end)

  it("has its specs run by luarocks test, with the busted of the PATH", function()
    must("mkdir -p %s/build && if [ -d build/gradient ]; then cp -a build/gradient %s/build; fi",
      source, source)
    -- a wrapper, as LuaRocks makes it
    local bin = work .. "/bin"
    must("mkdir %s", bin)
    shell.write(bin .. "/busted", ("#!/bin/sh\ntouch %s/was_used\nexec lua5.4 %s \"$@\"\n")
      :format(bin, must("command -v busted"):match("%S+")))
    must("chmod +x %s/busted", bin)
    local provided = configured.command(work .. "/provided", configured.provided)
    local command = ("cd %s && %s"):format(source, provided:gsub("PATH='", "%0" .. bin .. ":"))
    local output = must("%s test -- SPECS=spec/errors_spec.lua", command)
    assert.matches("[1-9]%d* successes / 0 failures / 0 errors", output)
    must("ls %s/was_used", bin)
    local _, ok = shell.run("%s test -- SPECS=spec/missing_spec.lua", command)
    assert.is_false(ok)
  end)
end)
