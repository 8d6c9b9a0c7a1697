--- Connections that go bad while nobody looks: none is used again, and no answer goes to a request
--- that it is not for.

local cjson = require "cjson"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local relay = require "spec.support.relay"
local tls = require "spec.support.tls"
local waiting = require "spec.support.waiting"

describe("a connection", function()
  local server, new_client = fixture.server{ jobs = 30 }

  -- The answer to `retrieve` as bytes: for a job with this uuid.
  local function answer_about(uuid)
    local body = cjson.encode{ job = { uuid = uuid } }
    return ("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s")
      :format(#body, body)
  end

  local timed_out = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

  describe("over HTTP/2 that is lost", function()
    local front, path, client

    before_each(function()
      front = tls.start(server)
      path = relay.start(front.port)
      client = new_client{
        base_url = "https://localhost:" .. path.port, ca_file = front.ca_file, proxy = "",
        timeout = 0.8, max_retries = 1,
      }
    end)

    after_each(function()
      client:close()
      path:stop()
      front:stop()
    end)

    it("is given up with the attempt that it lets time out", function()
      assert(client.indexing_jobs.list())
      path:lose()
      local _, response = assert(client.indexing_jobs.list())
      assert.equal(2, response.attempts)
      for _ = 1, 3 do
        _, response = assert(client.indexing_jobs.list())
        assert.equal(1, response.attempts)
      end
      assert.equal(2, path:accepted())
    end)

    it("takes every call that shares it to a new one", function()
      client = new_client{
        base_url = "https://localhost:" .. path.port, ca_file = front.ca_file, proxy = "",
        timeout = 0.8, max_retries = 1, wait = coroutine.yield,
      }
      local calls, count = {}, 0
      for page = 1, 5 do
        calls[page] = function()
          local answer, response = assert(client.indexing_jobs.list{ page = page, per_page = 5 })
          assert.equal(page, answer.meta.page)
          assert.equal(2, response.attempts)
          count = count + 1
        end
      end
      waiting.together{ function() assert(client.indexing_jobs.list()) end }
      path:lose()
      waiting.together(calls)
      assert.equal(5, count)
      assert.equal(2, path:accepted())
    end)

    it("holds up an iteration for one attempt", function()
      local count, most = 0, 0
      for page, response in client.indexing_jobs.pages({ per_page = 3 }, { prefetch = 4 }) do
        count, most = count + #page.jobs, math.max(most, response.attempts)
        if count == 6 then path:lose() end
      end
      assert.equal(30, count)
      assert.equal(2, most)
    end)

    it("does no harm to calls that it still has an answer for", function()
      client = new_client{
        base_url = "https://localhost:" .. path.port, ca_file = front.ca_file, proxy = "",
        max_retries = 0, wait = coroutine.yield,
      }
      server:script{
        { match = { page = 2 }, steps = { { hang = true } } },
        { match = { page = 3 }, delay = 0.6 },
      }
      local kind, late
      waiting.together{
        function()
          kind = select(2, client.indexing_jobs.list({ page = 2 }, { timeout = 0.2 })).kind
        end,
        function() late = assert(client.indexing_jobs.list{ page = 3 }) end,
      }
      assert.equal("timeout", kind)
      assert.equal(3, late.meta.page)
      assert.equal(1, path:accepted())
      assert.equal(2, server:connections().requests)
    end)
  end)

  for name, is_tls in pairs{ HTTP = false, TLS = true } do
    describe("over " .. name .. " that is kept", function()
      local path, front, client, before

      before_each(function()
        path, front = relay.start(server.port), nil
        if is_tls then front = tls.start({ port = path.port, path = "" }, { raw = true }) end
        before = waiting.sockets()
        client = new_client{
          base_url = front and front.url or path.url, ca_file = front and front.ca_file,
          proxy = "", max_retries = 0,
        }
      end)

      after_each(function()
        client:close()
        if front then front:stop() end
        path:stop()
      end)

      -- Waits until there is something to read for the client.
      local function arrive()
        local fds = {}
        for fd in pairs(waiting.sockets()) do
          if not before[fd] then fds[#fds + 1] = { fd = fd, events = "r" } end
        end
        local started = core.now()
        waiting.poll(fds, 5)
        assert.is_true(core.now() - started < 5, "nothing has arrived")
      end

      for what, text in pairs{
        ["an answer that nobody asked for"] = answer_about "a",
        ["the farewell of a proxy"] = timed_out,
        ["stray bytes"] = "\r\n",
        ["half a head"] = "HTTP/1.1 200 O",
      } do
        it("is not used again after " .. what, function()
          assert(client.indexing_jobs.list())
          path:say(text)
          arrive()
          for _, uuid in ipairs{ "b", "c" } do
            server:script{ { steps = { { send = answer_about(uuid) } } } }
            local answer, response = assert(client.indexing_jobs.retrieve(uuid))
            assert.equal(uuid, answer.job.uuid)
            assert.equal(1, response.attempts)
          end
          assert.equal(2, path:accepted())
        end)

        it("has a POST carried out once after " .. what, function()
          assert(client.indexing_jobs.list())
          path:say(text)
          arrive()
          server:script{ { steps = { { send = answer_about "b" } } } }
          assert.equal("b", assert(client.indexing_jobs.create{
            knowledge_base_uuid = "k" }).job.uuid)
          assert.equal(2, server:connections().requests)
        end)
      end

      it("is not used again after its end", function()
        assert(client.indexing_jobs.list())
        path:drop()
        arrive()
        local _, response = assert(client.indexing_jobs.list())
        assert.equal(1, response.attempts)
        assert.equal(2, path:accepted())
        assert.equal(2, server:connections().requests)
      end)

      it("is used again when there is nothing wrong with it", function()
        for _ = 1, 5 do assert(client.indexing_jobs.list()) end
        assert.equal(1, path:accepted())
      end)

      it("is not used again after two answers at once", function()
        server:script{
          { steps = { { send = answer_about "a" .. answer_about "x" } } },
          { steps = { { send = answer_about "b" } } },
        }
        assert.equal("a", assert(client.indexing_jobs.retrieve "a").job.uuid)
        assert.equal("b", assert(client.indexing_jobs.retrieve "b").job.uuid)
        assert.equal(2, path:accepted())
      end)

      it("whose answers are about something else is an error, not another's job", function()
        server:script{ { steps = { { send = answer_about "a" } } } }
        local answer, err = client.indexing_jobs.retrieve "b"
        assert.is_nil(answer)
        assert.equal("decode", err.kind)
        server:script{ { steps = { { send = answer_about "B" } } } }
        assert.equal("B", assert(client.indexing_jobs.retrieve "b").job.uuid)
      end)
    end)
  end

  it("that is unsound while idle does not end the calls that are under way", function()
    local path <close> = relay.start(server.port)
    local client <close> = new_client{
      base_url = path.url, max_retries = 0, wait = coroutine.yield,
    }
    server:script{ { match = { page = 2 }, delay = 0.3 } }
    local pages = {}
    waiting.together{
      function() pages[2] = client.indexing_jobs.list{ page = 2 } end,
      function()
        pages[1] = client.indexing_jobs.list{ page = 1 }
        server:await{ requests = 2 }
        path:say "HTTP/1.1 100 Continue\r\n\r\n" -- which one of the two may do
        pages[3] = client.indexing_jobs.list{ page = 3 }
      end,
    }
    for page = 1, 3 do assert.equal(page, pages[page] and pages[page].meta.page) end
  end)

  describe("over which calls go one after the other", function()
    local path, client

    before_each(function()
      path = relay.start(server.port)
      client = new_client{ base_url = path.url, max_retries = 0, wait = coroutine.yield }
      server:script{ { match = { page = 2 }, delay = 0.5, forever = true } }
    end)

    after_each(function()
      client:close()
      path:stop()
    end)

    local function list(page) return assert(client.indexing_jobs.list{ page = page }) end

    it("is kept while one is under way that is older than the last unsound one", function()
      waiting.together{
        function() list(2) end,
        function()
          list(1)
          server:await{ requests = 2 }
          path:say "HTTP/1.1 100 Continue\r\n\r\n" -- which one of the two may do
          for _ = 1, 5 do list(1) end
        end,
      }
      assert.equal(3, path:accepted())
    end)

    it("is kept while a hundred others are under way", function()
      local calls = {}
      for position = 1, 100 do calls[position] = function() list(2) end end
      calls[101] = function()
        for _ = 1, 5 do list(1) end
      end
      waiting.together(calls)
      assert.equal(101, path:accepted())
    end)
  end)

  describe("through a proxy", function()
    local jobs

    before_each(function()
      jobs = new_client{
        base_url = "https://localhost:1", proxy = server.url, max_retries = 1,
      }.indexing_jobs
    end)

    local function create() return jobs.create{ knowledge_base_uuid = "k" } end

    for name, entry in pairs{
      ["refused"] = { status = 503, body = "", headers = { ["retry-after-ms"] = "1" } },
      ["forbidden"] = { status = 403, body = "" },
      ["cut off"] = { steps = { { close = true } } },
      ["cut off in the middle"] = { steps = { { send = "HTTP/1.1 200 O" }, { close = true } } },
      ["of no use"] = { steps = { { send = "HTTP/1.1 200 OK\r\n\r\n" }, { close = true } } },
    } do
      it("whose tunnel was " .. name .. " has carried no POST out", function()
        entry.forever = true
        server:script{ entry }
        local answer, err = create()
        assert.is_nil(answer)
        assert.equal("connection", err.kind)
        assert.equal(2, err.attempts)
        local requests = server:requests()
        assert.equal(2, #requests)
        for _, request in ipairs(requests) do assert.equal("CONNECT", request.method) end
      end)
    end

    it("that never makes the tunnel has carried no POST out", function()
      server:script{ { steps = { { hang = true } }, forever = true } }
      local answer, err = jobs.create({ knowledge_base_uuid = "k" }, { timeout = 0.1 })
      assert.is_nil(answer)
      assert.equal("timeout", err.kind)
      assert.equal(2, err.attempts)
    end)
  end)
end)
