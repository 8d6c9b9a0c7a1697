--- Real programs with Lua in them, from Debian: each runs what is in its folder of spec/hosts, and
--- goes on with its other work while it waits for the API.

local apis = require "spec.support.api"
local hosts = require "spec.support.hosts"
local new_directory = require("spec.support.process").new_directory
local shell = require "spec.support.shell"
local tls = require "spec.support.tls"

-- Five jobs, one a line.
local five_jobs = "^" .. ("%x+%-%x+%-%x+%-%x+%-%x+ BATCH_JOB_PHASE_%u+\n"):rep(5) .. "$"

describe("in a real host,", function()
  local api

  before_each(function() api = apis.start{ jobs = 30, latency = 0.5 } end)
  after_each(function() api:stop() end)

  local function environment(more)
    local variables = { GRADIENT_BASE_URL = api.url, DIGITALOCEAN_ACCESS_TOKEN = api.token }
    for name, value in pairs(more or {}) do variables[name] = value end
    return variables
  end

  -- A spec for a program, if it is there and has the right Lua.
  local function if_found(name, test, ...)
    local program, missing = hosts.find(...)
    if program then
      it(name, function() test(program) end)
    else
      pending(("%s: skipped, %s"):format(name, missing))
    end
  end

  -- While somebody waits for the page with the jobs, others get `quick`, and do not wait. When no
  -- jobs can be had, the page says so by its status.
  local function serves(host, quick, expected)
    assert.equal(200, (host:get(quick))) -- a host may have things to do at first
    local answer = host:send("/jobs")
    api:await{ in_progress = 1 }
    for _ = 1, 5 do
      local status, body = host:get(quick)
      assert.equal(200, status)
      assert.matches(expected, body)
    end
    assert.equal(1, api:connections().in_progress)
    local status, body = answer()
    assert.equal(200, status, body)
    assert.matches(five_jobs, body)
    api:script{ { status = 404 } }
    assert.equal(502, (host:get("/jobs")))
  end

  local function lighttpd(program)
    return hosts.start("lighttpd", {
      program, "-D", "-m", hosts.root .. "/usr/lib/lighttpd", "-f",
      "spec/hosts/lighttpd/lighttpd.conf",
    }, environment())
  end
  local lighttpd_files = { "usr/sbin/lighttpd", "usr/lib/lighttpd/mod_magnet.so" }

  if_found("lighttpd's mod_magnet lists, and serves nobody else meanwhile", function(program)
    local host <close> = lighttpd(program)
    local answer = host:send("/jobs")
    api:await{ in_progress = 1 }
    assert.equal(200, (host:get("/")))
    assert.equal(0, api:connections().in_progress) -- it was over before the other page came
    local status, body = answer()
    assert.equal(200, status)
    assert.matches(five_jobs, body)
  end, table.unpack(lighttpd_files))

  if_found("lighttpd's mod_magnet has a page for which nobody waits", function(program)
    local host <close> = lighttpd(program)
    assert.equal(503, (host:get("/dashboard")))
    api:await{ in_progress = 1 }
    for _ = 1, 3 do
      assert.equal(200, (host:get("/")))
      assert.equal(503, (host:get("/dashboard")))
    end
    assert.equal(1, api:connections().in_progress)
    api:await{ answered = 1 }
    for _ = 1, 1000 do
      local status, body = host:get("/dashboard")
      if status ~= 503 then
        assert.equal(200, status)
        assert.matches(five_jobs, body)
        return
      end
    end
    error "a thousand visits, and no jobs"
  end, table.unpack(lighttpd_files))

  if_found("Apache's mod_lua occupies one thread", function(program)
    local host <close> = hosts.start("apache2",
      { program, "-D", "FOREGROUND", "-f", hosts.folder("apache2") .. "/apache2.conf" },
      environment{ MODULES = hosts.root .. "/usr/lib/apache2/modules" })
    serves(host, "/index.html", "Static")
  end, "usr/sbin/apache2", "usr/lib/apache2/modules/mod_lua.so")

  if_found("a module of Prosody's lets it serve others", function(program)
    -- it looks for its files where they are when it is installed
    shell.must("sed 's|/usr/lib/prosody|%s&|' %s >%s.lua", hosts.root, program, program)
    local host <close> = hosts.start("prosody",
      { "lua5.4", program .. ".lua", "--config", "spec/hosts/prosody/prosody.cfg.lua" },
      environment())
    serves(host, "/ping", "pong")
  end, "usr/bin/prosody", "usr/lib/prosody/util/poll.so")

  if_found("a server on lua-http lets it serve others", function()
    local host <close> = hosts.start("lua-http",
      { "lua5.4", "spec/hosts/lua-http/server.lua" }, environment())
    serves(host, "/ping", "pong")
  end, "usr/share/lua/5.3/http/server.lua")

  if_found("a script of nmap's lets the others go on", function(program)
    local directory = new_directory()
    shell.write(directory .. "/other.nse", ([[
      local http, stdnse = require "http", require "stdnse"
      description, categories = "Tells whether it has turns during the list.", { "safe" }
      prerule = function() return true end
      action = function()
        for _ = 1, 100 do
          local answer = http.post("127.0.0.1", %d, "/_control/connections", {}, nil, "")
          if answer.body and answer.body:find '"in_progress":1' then return "turns meanwhile" end
          stdnse.sleep(0.01)
        end
      end
    ]]):format(api.port))
    local output, ok = hosts.run("nmap", {
      program, "-sn", "-Pn", "--script",
      "spec/hosts/nmap/indexing-jobs.nse," .. directory .. "/other.nse", "127.0.0.1",
    }, environment{ NMAPDIR = hosts.root .. "/usr/share/nmap" })
    shell.must("rm -rf %s", directory)
    assert.is_true(ok, output)
    local _, jobs = output:gsub("%x+%-%x+%-%x+%-%x+%-%x+ BATCH_JOB_PHASE_%u+\n", "")
    assert.equal(5, jobs, output)
    assert.truthy(output:find("turns meanwhile", 1, true), output)
  end, "usr/bin/nmap")

  if_found("a filter of pandoc's puts the jobs into a document", function(program)
    local document = os.tmpname()
    shell.write(document, "Before.\n\n::: indexing-jobs\n:::\n\nAfter.\n")
    local output, ok = hosts.run("pandoc", {
      program, "--lua-filter", "spec/hosts/pandoc/jobs.lua", "--from", "markdown", "--to", "plain",
      document,
    }, environment{ pandoc_datadir = hosts.root .. "/usr/share/pandoc" })
    os.remove(document)
    assert.is_true(ok, output)
    local _, jobs = output:gsub("%x+%-%x+%-%x+%-%x+%-%x+ +BATCH_JOB_PHASE_%u+\n", "")
    assert.equal(5, jobs, output)
    assert.matches("^Before%..*After%.\n$", output)
  end, "usr/bin/pandoc")

  local is_root = shell.must("id -u") == "0\n"
  local haproxy = is_root and if_found or function(name)
    pending(name .. ": skipped, chroot needs root")
  end

  haproxy("HAProxy in its chroot lists over TLS, and serves others", function(program)
    local front <close> = tls.start(api)
    local host <close> = hosts.start("haproxy",
      { program, "-db", "-f", "spec/hosts/haproxy/haproxy.cfg" },
      environment{ GRADIENT_BASE_URL = front.url, CA_FILE = front.ca_file })
    serves(host, "/ping", "pong")
  end, "usr/sbin/haproxy")
end)
