--- How long a call may take: what has arrived is an answer, whatever the clock says; time counts
--- while somebody drives the call; a wait lasts as long as it should.

local cqueues = require "cqueues"

local api = require "spec.support.api"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local process = require "spec.support.process"
local relay = require "spec.support.relay"
local shell = require "spec.support.shell"
local tls = require "spec.support.tls"
local waiting = require "spec.support.waiting"

-- A busy machine is late; nothing that should take less than a second takes longer than this.
local late = 5

describe("time", function()
  local server, new_client = fixture.server{ jobs = 60 }

  local function work(seconds) core.client{}:wait(seconds) end

  -- Runs `f` and returns its results, after checking that it took at least so long.
  local function taking(seconds, f, ...)
    local started = core.now()
    local results = table.pack(f(...))
    local elapsed = core.now() - started
    assert.is_true(elapsed >= seconds, ("too early: after %g s"):format(elapsed))
    assert.is_true(elapsed < seconds + late, ("too late: after %g s"):format(elapsed))
    return table.unpack(results, 1, results.n)
  end

  local waits = {
    ["the default wait"] = { run = function(f) f() end },
    ["a wait that returns at every tick"] = {
      wait = function(fds) waiting.poll(fds, 0.002) end, run = function(f) f() end,
    },
    ["cqueues"] = {
      wait = require "gradient.wait.cqueues",
      run = function(f)
        local loop = cqueues.new()
        loop:wrap(f)
        assert(loop:loop())
      end,
    },
  }

  for name, host in pairs(waits) do
    describe("with " .. name, function()
      local function assert_timeout(options, entry)
        if entry then server:script{ entry } end
        options.wait, options.max_retries = host.wait, 0
        local client <close> = new_client(options)
        host.run(function()
          local page, err = taking(options.longest or options.timeout, client.indexing_jobs.list)
          assert.is_nil(page)
          assert.equal("timeout", err.kind)
          assert.equal(1, err.attempts)
        end)
      end

      it("is over for a server that is silent", function()
        assert_timeout({ timeout = 0.2 }, { steps = { { hang = true } } })
      end)

      it("is over for a body that drips", function()
        assert_timeout({ timeout = 0.2 },
          { steps = { { answer = "head" }, { answer = "body", every = 0.02 } } })
      end)

      it("is over for a head that drips", function()
        assert_timeout({ timeout = 0.2 }, { steps = { { answer = "all", every = 0.02 } } })
      end)

      it("is over for a peer that accepts and never answers in TLS", function()
        local peer <close> = api.silent()
        local url = peer.url:gsub("^http", "https")
        assert_timeout{ base_url = url, timeout = 0.2 }
      end)

      it("for a connection is over for a peer that never answers in TLS", function()
        local peer <close> = api.silent()
        local client <close> = new_client{ base_url = peer.url:gsub("^http", "https"),
          connect_timeout = 0.2, max_retries = 0, wait = host.wait }
        host.run(function()
          assert.equal("timeout", select(2, taking(0.2, client.indexing_jobs.list)).kind)
        end)
      end)

      it("for a connection is over where none is made", function()
        local nowhere <close> = api.unreachable()
        local client <close> = new_client{ base_url = nowhere.url, connect_timeout = 0.2,
          max_retries = 0, wait = host.wait }
        host.run(function()
          assert.equal("timeout", select(2, taking(0.2, client.indexing_jobs.list)).kind)
        end)
      end)

      it("in all, of a client or of a call, is over in the middle of an attempt", function()
        server:script{ { steps = { { hang = true } }, forever = true } }
        for _, place in ipairs{ "client", "call" } do
          local client <close> = new_client{ wait = host.wait, timeout = 30,
            total_timeout = place == "client" and 0.2 or nil }
          host.run(function()
            local _, err = taking(0.2, client.indexing_jobs.list, {},
              { total_timeout = place == "call" and 0.2 or nil })
            assert.equal("timeout", err.kind)
            assert.equal(1, err.attempts)
          end)
        end
      end)

      it("in all is not spent on a pause that goes beyond it", function()
        server:script{ { status = 503, headers = { ["retry-after"] = "30" } } }
        local client <close> = new_client{ wait = host.wait, total_timeout = 10 }
        host.run(function()
          local _, err = taking(0, client.indexing_jobs.list)
          assert.equal("server", err.kind)
          assert.equal(30, err.retry_after)
        end)
      end)

      it("of a pause is what the server asked for", function()
        server:script{ { status = 503, headers = { ["retry-after"] = "0.3" } } }
        local client <close> = new_client{ wait = host.wait }
        host.run(function()
          local _, response = taking(0.3, client.indexing_jobs.list)
          assert.equal(2, response.attempts)
        end)
        assert.equal(2, server:connections().requests)
      end)
    end)
  end

  it("in all counts attempts and pauses together", function()
    server:script{ { steps = { { hang = true } } }, { status = 503, forever = true,
      headers = { ["retry-after"] = "0.15" } } }
    local client <close> = new_client{ timeout = 0.2, max_retries = 100, total_timeout = 1 }
    local _, err = taking(0.75, client.indexing_jobs.list)
    assert.is_true(err.attempts >= 3 and err.attempts <= 5, err.attempts)
  end)

  describe("in which the program was stopped", function()
    -- Runs a program that tells its outcome, and stops it for longer than its time-out as soon as
    -- the server has the request; the answer comes meanwhile.
    local function stopped(call)
      server:set{ latency = 0.2 }
      local program = os.tmpname()
      shell.write(program, ([[
          local client = require "gradient".client{
            base_url = %q, token = %q, timeout = 0.5, max_retries = 0,
          }
          print "ready"
          io.stdout:flush()
          local answer, response = client.indexing_jobs.%s
          io.stderr:write(answer and "answer" or tostring(response), " ", response.attempts, "\n")
          io.stderr:flush()
          io.read "a" -- ends with us
        ]]):format(server.url, server.token, call))
      local running <close> = assert(process.start{ "env", "LUA_PATH=" .. package.path,
        "LUA_CPATH=" .. package.cpath, arg[-1], program })
      server:await{ requests = 1 }
      os.execute("kill -STOP " .. running.pid)
      server:await{ answered = 1 }
      work(0.7)
      os.execute("kill -CONT " .. running.pid)
      local said, deadline = "", core.now() + 10
      while not said:find "\n" and core.now() < deadline do
        work(0.01)
        said = running:errors()
      end
      running:stop(true)
      os.remove(program)
      assert.equal("answer 1\n", said)
      assert.equal(1, server:connections().requests)
    end

    it("makes no POST be carried out twice", function()
      stopped(("create{ knowledge_base_uuid = %q }"):format(server:knowledge_bases()[1]))
    end)

    it("makes no answer late", function() stopped "list{}" end)
  end)

  describe("in which the program does something else", function()
    -- Goes through the pages; `busy` does something else after the first and the third. Each page
    -- is asked for once.
    local function walk(options, prefetch, busy)
      options.timeout, options.connect_timeout, options.max_retries = 0.5, 0.4, 0
      local client <close> = new_client(options)
      local count = 0
      for page, response in client.indexing_jobs.pages({ per_page = 3 }, { prefetch = prefetch }) do
        assert.equal(1, response.attempts)
        count = count + #page.jobs
        if count == 3 or count == 9 then busy(client) end
      end
      assert.equal(60, count)
    end

    for _, prefetch in ipairs{ 1, 16 } do
      it(("between two of its pages is nobody's time-out, with prefetch = %d"):format(prefetch),
        function()
          walk({}, prefetch, function() work(0.6) end)
          assert.equal(20, server:connections().requests)
        end)
    end

    -- The same with TLS connections that are being made meanwhile: all but the first one, on which
    -- the first page comes.
    local function walk_over_tls(busy)
      local front <close> = tls.start(server, { http2 = false })
      local path <close> = relay.start(front.port)
      walk({
        base_url = "https://localhost:" .. path.port, ca_file = front.ca_file, proxy = "",
        on_event = function(event)
          if event.type == "response" and path:accepted() == 1 then path:hold() end
        end,
      }, 16, function(client)
        path:release()
        busy(client)
      end)
    end

    it("is not for a connection that is made meanwhile", function()
      walk_over_tls(function() work(0.6) end)
      assert.equal(20, server:connections().requests)
    end)

    it("and then makes another call, is not for a connection that is made meanwhile", function()
      walk_over_tls(function(client)
        work(0.6)
        assert(client.indexing_jobs.list())
      end)
      assert.equal(22, server:connections().requests)
    end)

    it("in one coroutine is no time-out of another", function()
      local front <close> = tls.start(server, { http2 = false })
      local client <close> = new_client{ base_url = front.url, ca_file = front.ca_file, proxy = "",
        timeout = 1.2, connect_timeout = 1, max_retries = 0, wait = coroutine.yield }
      local calls, count = {}, 0
      for page = 1, 12 do
        calls[page] = function()
          assert(client.indexing_jobs.list{ page = page })
          work(0.15)
          count = count + 1
        end
      end
      waiting.together(calls)
      assert.equal(12, count)
      assert.equal(12, server:connections().requests)
    end)

    it("while an answer comes is none's time-out either", function()
      local client <close> = new_client{
        timeout = 0.5, max_retries = 0, wait = function(fds, seconds)
          work(0.6)
          waiting.poll(fds, seconds)
        end,
      }
      server:set{ latency = 0.05 }
      for _ = 1, 2 do assert(client.indexing_jobs.list()) end
      assert.equal(2, server:connections().requests)
    end)
  end)

  it("that a wait takes too long does not make it wait once more", function()
    server:script{ { status = 503, headers = { ["retry-after-ms"] = "100" } } }
    local pauses = 0
    local client <close> = new_client{ wait = function(fds, seconds)
      if #fds == 0 then
        pauses = pauses + 1
        work(seconds + 0.2)
      else
        waiting.poll(fds, seconds)
      end
    end }
    assert(client.indexing_jobs.list())
    assert.equal(1, pauses)
  end)

  it("may be without end", function()
    local client <close> = new_client{ timeout = math.huge, connect_timeout = math.huge,
      total_timeout = math.huge }
    assert(client.indexing_jobs.list())
  end)
end)
