--- Programs that embed the module, and what they do to it: C hosts (spec/hosts/host_*.c) under
--- the sanitizers and valgrind, scripts that are interrupted, and a thousand lists in a row.

local apis = require "spec.support.api"
local core = require "gradient.core"
local gradient = require "gradient"
local new_directory = require("spec.support.process").new_directory
local shell = require "spec.support.shell"
local tls = require "spec.support.tls"
local waiting = require "spec.support.waiting"

-- The hosts have sanitizers of their own, and the scripts an interpreter: once is enough.
local once = package.cpath:find("build/sanitized", 1, true) and pending or it

local environment = "env LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='build/?.so;;'"
  .. " DIGITALOCEAN_ACCESS_TOKEN=test-token "

local function build(what)
  shell.must("make -s -j4 -f spec/hosts/hosts.mk %s", what)
end

-- A host to its end; returns what it printed. On a busy machine one takes more than a minute.
local function run(command, ...)
  return shell.must(environment .. "timeout 300 build/hosts/" .. command, ...)
end

-- A page that never comes, and one that is always tried again.
local endless = {
  { match = { page = 404 }, steps = { { hang = true } }, forever = true },
  { match = { page = 503 }, status = 503, headers = { ["retry-after"] = "30" }, forever = true },
}

-- What the server saw, in groups: {[key] = {set of values}}.
local function grouped(api, key, value)
  local groups = {}
  for _, request in ipairs(api:requests()) do
    local group = key(request)
    groups[group] = groups[group] or {}
    groups[group][value(request)] = true
  end
  return groups
end

local function who(request) return request.query.who end

describe("a host in C", function()
  local api

  lazy_setup(function()
    shell.must("make -s static")
    build ""
  end)
  before_each(function() api = apis.start() end)
  after_each(function() api:stop() end)

  once("drives coroutines with an event loop of its own", function()
    api:set{ latency = 0.3 } -- enough for all of them to arrive
    local output = shell.must(environment .. "GRADIENT_BASE_URL=%s build/hosts/plain/host_embed",
      api.url)
    local _, lines = output:gsub("%d\t[%x-]+\tINDEX_JOB_STATUS_[%u_]+\n", "")
    assert.equal(15, lines, output)
    assert.equal(3, api:connections().busiest)
  end)

  once("may have threads, and clients with different tokens", function()
    api:set{ tokens = { "token-1", "token-2", "token-3" } }
    run("tsan/host_threads %s 60", api.url)
    local front <close> = tls.start(api)
    run("tsan/host_threads %s 10 %s", front.url, front.ca_file)
    assert.equal(8 * 60 + 8 * 10, #api:requests())
    local tokens = grouped(api, who, function(request) return request.headers.authorization end)
    assert.same({
      ["1"] = { ["Bearer token-1"] = true }, ["2"] = { ["Bearer token-2"] = true },
      ["3"] = { ["Bearer token-3"] = true },
    }, tokens)
  end)

  once("may have threads with small stacks", function()
    local front <close> = tls.start(api)
    api:script{ { match = { page = 404 }, status = 404, forever = true } }
    assert.equal("20\tnot_found\n",
      run("plain/host_small_stack %s %s", front.url, front.ca_file))
  end)

  once("may give its programs next to nothing", function()
    api:script{ { match = { page = 404 }, status = 404, forever = true } }
    assert.equal("250 jobs\n", run("plain/host_sandbox %s", api.url))
    assert.equal("250 jobs\n",
      shell.must("env -i build/hosts/plain/host_sandbox_static %s", api.url))
  end)

  once("may confine itself after it has made a client", function()
    local front <close> = tls.start(api)
    local directory = new_directory()
    shell.must("cp %s %s/ca.pem", front.ca_file, directory)
    -- by its address: names are looked up with files that are out of reach
    assert.equal("20 jobs\n", run("plain/host_confined %s %s/ca.pem %s",
      front.url:gsub("localhost", "127.0.0.1"), directory, directory))
    shell.must("rm -rf %s", directory)
  end)

  -- With the 15 fields of the reference page; JOBS=1000000 takes a minute.
  once("may give Lua 2.2 MB for all jobs that there are", function()
    api:set{ jobs = tonumber(os.getenv "JOBS") or 20000, fields = "reference" }
    run("plain/host_bounded %s 2200000", api.url)
  end)

  once("may keep Lua to itself", function()
    local checkout = new_directory()
    shell.copy_checkout(checkout)
    shell.must("make -s -C %s LINK_LUA=1", checkout)
    local output = shell.must("LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='%s/build/?.so;;'"
      .. " build/hosts/host_private liblua5.4.so.0 %s", checkout, shell.quote(([[
        local gradient = require "gradient"
        local client = gradient.client{ base_url = "%s", token = "test-token" }
        return tostring(#assert(client.indexing_jobs.list()).jobs)
      ]]):format(api.url)))
    assert.equal("20\n", output)
    shell.must("rm -rf %s", checkout)
  end)

  once("may run out of memory at any moment", function()
    api:set{ jobs = 9 }
    api:script{ { match = { page = 404 }, status = 404, forever = true } }
    local output = run("asan/host_torture %d", api.port)
    assert.truthy(output:find("each of %d%d%d requests refused"), output)
  end)

  once("may fork before and during a request", function()
    local slow = { match = { page = 2 }, delay = 0.3, forever = true }
    api:script{ slow }
    run("asan/host_fork %s", api.url)
    for _, users in pairs(grouped(api, function(request) return request.connection end, who)) do
      assert.is_nil(next(users, next(users)))
    end
    for _, http2 in ipairs{ true, false } do
      local front <close> = tls.start(api, { http2 = http2 })
      run("asan/host_fork %s %s", front.url, front.ca_file)
    end
  end)

  once("may close a client or a state with all that is under way", function()
    api:set{ jobs = 500 }
    api:script(endless)
    local front <close> = tls.start(api)
    local pipe = assert(io.popen(environment .. "valgrind -q --error-exitcode=9 --leak-check=full"
      .. " build/hosts/plain/host_close " .. api.url .. " 2>&1"))
    run("asan/host_close %s", api.url)
    run("asan/host_close %s %s", front.url, front.ca_file)
    local output = pipe:read("a")
    assert(pipe:close(), output)
  end)
end)

describe("a script that is interrupted", function()
  local api

  lazy_setup(function() build "build/hosts/slow_names.so" end)
  before_each(function()
    api = apis.start()
    api:script(endless)
  end)
  after_each(function() api:stop() end)

  -- Starts a list in another process, lets it get as far as `await` says, and interrupts it.
  local function interrupt(url, page, await, preload)
    local program = ("require 'gradient'.client{ base_url = '%s', allow_http = true, proxy = '' }"
      .. ".indexing_jobs.list{ page = %d }"):format(url, page)
    local pipe = assert(io.popen(("{ echo $$; exec %s LD_PRELOAD=%s lua5.4 -e %s; } 2>&1")
      :format(environment, preload or "", shell.quote(program))))
    local process = pipe:read("n", "l")
    await(pipe)
    local interrupted_at = core.now()
    os.execute("kill -INT " .. process)
    local output = pipe:read("a")
    local elapsed = core.now() - interrupted_at
    assert.falsy(pipe:close())
    assert.truthy(output:find("interrupted!", 1, true), output)
    assert.is_true(elapsed < 5, elapsed)
  end

  once("ends while a request hangs", function()
    interrupt(api.url, 404, function() api:await{ requests = 1 } end)
  end)

  once("ends in the pause before another attempt", function()
    interrupt(api.url, 503, function() api:await{ answered = 1 } end)
  end)

  once("ends while a name is looked up", function()
    interrupt("http://some.test", 1, function(pipe)
      assert.equal("asked for some.test", pipe:read("l"))
    end, "build/hosts/slow_names.so")
  end)
end)

describe("a thousand lists", function()
  it("leave memory and descriptors where they were", function()
    local api <close> = apis.start{ jobs = 5 }
    local client <close> = gradient.client{ base_url = api.url, token = "test-token" }
    local function lists(count)
      for _ = 1, count do assert(client.indexing_jobs.list{}) end
      collectgarbage()
      collectgarbage()
      return collectgarbage("count"), waiting.open_descriptors()
    end
    local kilobytes, descriptors = lists(100)
    local kilobytes_after, descriptors_after = lists(1000)
    assert.is_true(kilobytes_after - kilobytes < 1, kilobytes_after - kilobytes)
    assert.is_true(descriptors_after <= descriptors, descriptors_after - descriptors)
  end)
end)
