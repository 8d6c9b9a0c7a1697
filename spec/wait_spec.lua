--- Waiting: event loops are never held up, nothing is left behind, and a hand-made loop works, too.

local cqueues = require "cqueues"
local socket = require "socket"
local uv = require "luv"

local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local loops = require "spec.support.loops"
local nginx = require "spec.support.nginx"
local program = require "spec.support.program"
local shell = require "spec.support.shell"
local tls = require "spec.support.tls"
local waiting = require "spec.support.waiting"

-- The open handles of the uv loop: an adapter may have forgotten them.
local function open_handles()
  local count = 0
  uv.walk(function(handle)
    if not handle:is_closing() then count = count + 1 end
  end)
  return count
end

-- The same cases for every adapter. A busy machine, or a sanitizer, is no reason to fail: how late
-- a loop's other work is belongs to the benchmarks.
local function conforms(loop, api, new_client)
  -- A client, over HTTP/2 when there is a front end for it.
  local function client_of(front, options)
    local all = { wait = loop.wait }
    if front then all.base_url, all.ca_file = front.url, front.ca_file end
    for name, value in pairs(options or {}) do all[name] = value end
    return new_client(all)
  end

  -- `count` times the same function, each with its number, and another one beside them.
  local function run(count, f, beside)
    local functions = { beside }
    for number = 1, count do
      functions[#functions + 1] = function() f(number) end
    end
    loop.run(functions)
  end

  local function silence() api:fault("silent", { forever = true }) end

  for protocol, options in pairs{ ["HTTP/1"] = false, ["HTTP/2"] = { http2 = true } } do
    describe("over " .. protocol, function()
      local front

      before_each(function() front = options and tls.start(api, options) end)
      after_each(function() if front then front:stop() end end)

      it("a hundred coroutines list at the same time and leave the loop its turns", function()
        api:set{ latency = 0.2 }
        local client <close> = client_of(front)
        local done, longest, last, started = 0, 0, core.now(), core.now()
        run(100, function(number)
          local page = assert(client.indexing_jobs.list{ page = number % 5 + 1 })
          assert.equal(number % 5 + 1, page.meta.page)
          assert.equal(20, #page.jobs)
          done = done + 1
        end, function()
          while done < 100 do
            loop.sleep(0.005)
            longest, last = math.max(longest, core.now() - last - 0.005), core.now()
          end
        end)
        assert.equal(100, done)
        local seconds = core.now() - started -- one after the other they would take 20
        assert.is_true(seconds < 10, seconds)
        assert.is_true(longest < 5, longest)
        assert.equal(100, api:connections().requests)
      end)

      it("refused requests are made again", function()
        api:script{ { status = 503, headers = { ["retry-after-ms"] = "30" }, times = 20 } }
        local client <close> = client_of(front, { max_retries = 20 }) -- one may draw them all
        local attempts, started = 0, core.now()
        run(20, function()
          local _, response = assert(client.indexing_jobs.list())
          attempts = attempts + response.attempts
        end)
        assert.equal(40, attempts)
        assert.is_true(core.now() - started >= 0.03)
      end)

      it("a time-out ends what waits, and nothing else", function()
        api:script{ { match = { page = 2 }, steps = { { hang = true } }, forever = true } }
        local client <close> = client_of(front, { max_retries = 0 })
        run(10, function(number)
          if number % 2 == 0 then
            local _, err = client.indexing_jobs.list({ page = 2 }, { timeout = 0.1 })
            assert.equal("timeout", err.kind)
          else
            for _ = 1, 3 do assert(client.indexing_jobs.list()) end
          end
        end)
      end)

      it("closing the client ends what waits, and leaves nothing behind", function()
        silence()
        local handles, client = open_handles(), client_of(front)
        local kinds, closed_at = {}, nil
        run(10, function(number)
          kinds[number] = select(2, client.indexing_jobs.list()).kind
        end, function()
          loop.sleep(0.05)
          closed_at = core.now()
          client:close()
        end)
        assert.is_true(core.now() - closed_at < 0.9) -- they were told, rather than found out
        for number = 1, 10 do assert.equal("closed", kinds[number]) end
        assert.equal(handles, open_handles())
      end)

      it("a closed coroutine leaves nothing behind, and the others what they wait for", function()
        api:script{ { match = { page = 2 }, steps = { { hang = true } }, forever = true } }
        api:set{ latency = 0.1 }
        local client = client_of(front)
        -- what a loop and libcurl open once, and keep
        run(1, function() assert(client.indexing_jobs.list()) end)
        local handles, before = open_handles(), waiting.open_descriptors()
        run(3, function() assert(client.indexing_jobs.list()) end, function()
          local threads = {}
          for number = 1, 3 do
            threads[number] = coroutine.create(client.indexing_jobs.list)
            coroutine.resume(threads[number], { page = 2 })
          end
          for _, thread in ipairs(threads) do assert(coroutine.close(thread)) end
        end)
        client:close()
        assert.equal(handles, open_handles())
        assert.is_true(waiting.open_descriptors() <= before)
      end)

      it("an iteration with prefetch delivers every job", function()
        api:set{ latency = 0.01 }
        local client <close> = client_of(front)
        local count = 0
        run(1, function()
          for _ in client.indexing_jobs.each({ per_page = 5 }, { prefetch = 8 }) do
            count = count + 1
          end
        end)
        assert.equal(100, count)
      end)
    end)
  end

  it("all who wait for the same descriptor are woken", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local address, port = listener:getsockname()
    local peer = assert(socket.connect(address, port))
    local wanted = {
      { fd = listener:getfd(), events = "r" }, { fd = peer:getfd(), events = "w" },
      { fd = peer:getfd(), events = "rw" },
    }
    local started = core.now()
    run(9, function(number) loop.wait({ wanted[number % 3 + 1] }, 1) end)
    assert.is_true(core.now() - started < 0.9)
    peer:close()
    listener:close()
  end)

  it("connections that end under the loop do not confuse it", function()
    api:fault("close_after", { times = 1000 })
    local client <close> = client_of()
    local count = 0
    run(16, function()
      for _ = 1, 20 do
        assert(client.indexing_jobs.list{ per_page = 1 })
        count = count + 1
      end
    end)
    assert.equal(320, count)
  end)

  it("an HTTP/2 connection that ends under the loop does not confuse it", function()
    local front <close> = tls.start(api, { http2 = true })
    local client <close> = client_of(front, { max_retries = 0 })
    silence()
    local kinds = {}
    run(8, function(number)
      local _, err = client.indexing_jobs.list()
      kinds[number] = err and err.kind or "none"
      local page = client.indexing_jobs.list({}, { timeout = 0.2 })
      assert.is_nil(page)
    end, function()
      loop.sleep(0.05)
      front:stop()
    end)
    for number = 1, 8 do assert.equal("connection", kinds[number]) end
  end)

  it("closing the client ends the pause before another attempt", function()
    api:script{ { status = 503, headers = { ["retry-after"] = "50" }, forever = true } }
    local kinds, retries, closed_at = {}, 0, nil
    local client = client_of(nil, { on_event = function(event)
      if event.type == "retry" then retries = retries + 1 end
    end })
    run(3, function(number)
      kinds[number] = select(2, client.indexing_jobs.list()).kind
    end, function()
      while retries < 3 do loop.sleep(0.005) end
      closed_at = core.now()
      client:close()
    end)
    assert.same({ "closed", "closed", "closed" }, kinds)
    assert.is_true(core.now() - closed_at < 20)
    assert.equal(3, api:connections().requests)
  end)

  it("keeps the interval between two looks at a job", function()
    local client <close> = client_of()
    run(1, function()
      local job, looks = assert(client.indexing_jobs.list{ per_page = 1 }).jobs[1], 0
      local _, err = client.indexing_jobs.wait_for_completion(job.uuid, {
        poll_interval = 0.06,
        on_progress = function()
          looks = looks + 1
          if looks == 4 then client:close() end
        end,
      })
      assert.equal("closed", err.kind)
    end)
    local requests = api:requests()
    assert.equal(5, #requests)
    for number = 3, #requests do
      local pause = requests[number].received - requests[number - 1].received
      assert.is_true(pause >= 0.06, pause)
    end
  end)

  it("waits for ever where it is asked to", function()
    local client = client_of()
    local kind
    run(1, function()
      local job = assert(client.indexing_jobs.list{ per_page = 1 }).jobs[1]
      local thread = coroutine.create(client.indexing_jobs.wait_for_completion)
      local ok, problem = coroutine.resume(thread, job.uuid, { poll_interval = math.huge })
      for _ = 1, 30 do
        if coroutine.status(thread) == "dead" then break end
        assert(ok, problem)
        loop.sleep(0.001)
      end
      kind = coroutine.status(thread)
      coroutine.close(thread)
    end)
    assert.equal("suspended", kind)
  end)
end

describe("wait", function()
  local api, new_client = fixture.server{ jobs = 100 }

  for _, name in ipairs(loops.names) do
    local loop, missing = loops.get(name)
    describe("under " .. name, function()
      if loop then
        conforms(loop, api, new_client)
      else
        pending(("is skipped: %s"):format(missing))
      end
    end)
  end

  it("an adapter outside of its loop says so", function()
    api:set{ latency = 0.05 }
    local client <close> = new_client{ wait = require "gradient.wait.cqueues" }
    assert.has_error(function() client.indexing_jobs.list() end,
      "gradient.wait.cqueues: this is no coroutine of a cqueues loop")
  end)

  it("a loop made by hand of poll(2) is enough", function()
    local module = os.tmpname()
    assert(os.execute(("cc -shared -fPIC -O1 $(pkg-config --cflags lua5.4) -o %s %s")
      :format(module, "spec/support/poll.c")))
    local poll = assert(package.loadlib(module, "luaopen_poll"))()
    os.remove(module)
    api:script{ { status = 500, headers = { ["retry-after-ms"] = "20" } } }
    local calls = 0
    local client <close> = new_client{ wait = function(fds, seconds)
      calls = calls + 1
      poll(fds, seconds)
    end }
    local count = 0
    for _ in client.indexing_jobs.each({ per_page = 10 }, { prefetch = 4 }) do count = count + 1 end
    assert.equal(100, count)
    assert.is_true(calls > 0)
  end)

  it("has its turn while an answer comes that is faster than it is taken", function()
    local path = os.tmpname()
    local most = (1 + 3.2) * 1024 * 1024 -- bytes that a step takes, see client.c
    shell.write(path, '{"jobs": []}' .. (" "):rep(40 << 20))
    local site <close> = nginx.static(path)
    local turns = 0
    local client <close> = new_client{ base_url = site.url, wait = function(fds, seconds)
      turns = turns + 1
      waiting.poll(fds, seconds)
    end }
    assert(client.indexing_jobs.list())
    os.remove(path)
    assert.is_true(turns >= (40 << 20) // most, turns)
  end)

  it("gets descriptors and seconds as documented", function()
    api:set{ latency = 0.01 }
    local seen = {}
    local client <close> = new_client{ timeout = 5, wait = function(fds, seconds)
      seen[#seen + 1] = { fds = fds, seconds = seconds }
      cqueues.poll({ pollfd = fds[#fds].fd, events = fds[#fds].events }, seconds)
    end }
    assert(client.indexing_jobs.list())
    assert.is_true(#seen > 0)
    for _, call in ipairs(seen) do
      assert.is_true(call.seconds > 0 and call.seconds <= 1)
      for _, want in ipairs(call.fds) do
        assert.equal("integer", math.type(want.fd))
        assert.matches("^r?w?$", want.events)
        assert.not_equal("", want.events)
      end
    end
  end)

  it("a prefetched page that nobody asks for yet keeps nobody awake", function()
    local front <close> = tls.start(api, { http2 = true })
    api:script{
      { match = { page = 77 }, steps = { { hang = true } } },
      { match = { page = 2 }, delay = 0.02 },
    }
    local waits = 0
    local client <close> = new_client{
      base_url = front.url, ca_file = front.ca_file, max_retries = 0,
      wait = function(fds, seconds)
        waits = waits + 1
        waiting.poll(fds, seconds)
      end,
    }
    local following <const>, _, _, iteration <close> =
      client.indexing_jobs.each({ per_page = 10 }, { prefetch = 1 })
    assert.is_table(following()) -- page 2 is on the way, and comes during the next call
    waits = 0
    local _, err = client.indexing_jobs.list({ page = 77 }, { timeout = 0.2 })
    assert.equal("timeout", err.kind)
    assert.is_true(waits < 20, waits)
    assert.is_table(iteration)
  end)

  it("a wait that raises ends the call and leaves the client usable", function()
    local fail = true
    local client <close> = new_client{ wait = function(fds, seconds)
      if fail then error("the loop is gone", 0) end
      cqueues.poll({ pollfd = fds[#fds].fd, events = fds[#fds].events }, seconds)
    end }
    api:set{ latency = 0.01 }
    assert.has_error(function() client.indexing_jobs.list() end, "the loop is gone")
    fail = false
    assert(client.indexing_jobs.list())
    client:close()
    assert.equal("closed", select(2, client.indexing_jobs.list()).kind)
  end)

  it("luv is not loaded in a coroutine, where it would crash", function()
    local result = program.run[[
      print(coroutine.wrap(pcall)(require, "gradient.wait.luv"))
      print(package.loaded.luv)
      require "luv"
      print(coroutine.wrap(pcall)(require, "gradient.wait.luv"))
    ]]
    assert.matches("^false\t[^\n]*must not be one\nnil\ntrue\tfunction", result.output)
  end)
end)
