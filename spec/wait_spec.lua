--- Waiting: event loops are never held up, nothing is left behind, and a loop made by hand does.

local cqueues = require "cqueues"
local uv = require "luv"

local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local program = require "spec.support.program"
local tls = require "spec.support.tls"
local waiting = require "spec.support.waiting"

-- Starts functions as coroutines of a loop, and runs it until all are done.
local loops = {}

function loops.cqueues(functions)
  local loop = cqueues.new()
  for _, f in ipairs(functions) do loop:wrap(f) end
  assert(loop:loop())
end

function loops.luv(functions)
  for _, f in ipairs(functions) do coroutine.wrap(f)() end
  uv.run()
end

local sleep = {
  cqueues = cqueues.sleep,
  luv = function(seconds)
    local thread, timer = coroutine.running(), uv.new_timer()
    timer:start(math.ceil(seconds * 1000), 0, function()
      timer:close()
      coroutine.resume(thread)
    end)
    coroutine.yield()
  end,
}

-- Handles of the uv loop that are not closed.
local function open_handles()
  local count = 0
  uv.walk(function(handle)
    if not handle:is_closing() then count = count + 1 end
  end)
  return count
end

describe("wait", function()
  local api, new_client = fixture.server{ jobs = 100 }

  for _, name in ipairs{ "cqueues", "luv" } do
    describe("under " .. name, function()
      local adapter = require("gradient.wait." .. name)
      local run = loops[name]

      -- Lists with many coroutines at once; returns the seconds that it took, and the longest that
      -- a coroutine which asks for a turn every 5 ms had to wait for it.
      local function list_together(client, count)
        local functions, done, longest = {}, 0, 0
        for position = 1, count do
          functions[position] = function()
            local page = assert(client.indexing_jobs.list{ page = position % 5 + 1 })
            assert.equal(position % 5 + 1, page.meta.page)
            assert.equal(20, #page.jobs)
            done = done + 1
          end
        end
        functions[#functions + 1] = function()
          local last = core.now()
          while done < count do
            sleep[name](0.005)
            longest, last = math.max(longest, core.now() - last - 0.005), core.now()
          end
        end
        local started = core.now()
        run(functions)
        assert.equal(count, done)
        return core.now() - started, longest
      end

      it("100 coroutines list at the same time and leave the loop its turns", function()
        api:set{ latency = 0.1 }
        local client <close> = new_client{ wait = adapter }
        local seconds, longest = list_together(client, 100)
        -- One after the other they would take 10 s. The figures proper are in the benchmarks: a
        -- busy machine, or a sanitizer, is no reason to fail.
        assert.is_true(seconds < 2, seconds)
        assert.is_true(longest < 1, longest)
        assert.equal(100, api:connections().requests)
      end)

      it("coroutines that share an HTTP/2 connection all get their answers", function()
        local front <close> = tls.start(api, { http2 = true })
        api:set{ latency = 0.02 }
        local client <close> = new_client{
          wait = adapter, base_url = front.url, ca_file = front.ca_file,
        }
        local seconds = list_together(client, 60)
        assert.is_true(seconds < 0.9, seconds) -- a lost wake-up costs a second
      end)

      it("connections that end under the loop do not confuse it", function()
        api:fault("close_after", { times = 1000 })
        local client <close> = new_client{ wait = adapter }
        local functions, count = {}, 0
        for position = 1, 16 do
          functions[position] = function()
            for _ = 1, 20 do
              assert(client.indexing_jobs.list{ per_page = 1 })
              count = count + 1
            end
          end
        end
        run(functions)
        assert.equal(320, count)
      end)

      it("an HTTP/2 connection that ends under the loop does not confuse it", function()
        local front <close> = tls.start(api, { http2 = true })
        local client <close> = new_client{
          wait = adapter, base_url = front.url, ca_file = front.ca_file, max_retries = 0,
        }
        api:fault("silent", { times = 8 })
        local functions, kinds = {}, {}
        for position = 1, 8 do
          functions[position] = function()
            local _, err = client.indexing_jobs.list()
            kinds[position] = err and err.kind or "none"
            local page = client.indexing_jobs.list({}, { timeout = 0.2 })
            assert.is_nil(page)
          end
        end
        functions[#functions + 1] = function()
          sleep[name](0.05)
          front:stop()
        end
        run(functions)
        for position = 1, 8 do assert.equal("connection", kinds[position]) end
      end)

      it("pauses between attempts go through the loop", function()
        api:script{ { status = 503, headers = { ["retry-after-ms"] = "30" }, times = 20 } }
        local client <close> = new_client{ wait = adapter }
        local functions, attempts = {}, 0
        for position = 1, 20 do
          functions[position] = function()
            local _, response = assert(client.indexing_jobs.list())
            attempts = attempts + response.attempts
          end
        end
        run(functions)
        assert.equal(40, attempts)
      end)

      it("an iteration with prefetch delivers every job", function()
        api:set{ latency = 0.01 }
        local client <close> = new_client{ wait = adapter }
        local count = 0
        run{ function()
          for _ in client.indexing_jobs.each({ per_page = 5 }, { prefetch = 8 }) do
            count = count + 1
          end
        end }
        assert.equal(100, count)
      end)

      it("a cancelled coroutine leaves nothing behind", function()
        api:fault("silent", { times = 3 })
        local before, handles = waiting.open_descriptors(), open_handles()
        local client <close> = new_client{ wait = adapter }
        local threads = {}
        run{ function()
          for position = 1, 3 do
            local thread = coroutine.create(client.indexing_jobs.list)
            threads[position] = thread
            coroutine.resume(thread)
          end
          for _, thread in ipairs(threads) do assert(coroutine.close(thread)) end
        end }
        client:close()
        assert.equal(handles, open_handles())
        collectgarbage()
        assert.is_true(waiting.open_descriptors() <= before + 1) -- the loop's own, at its first use
      end)

      it("closing the client ends what waits, and leaves nothing behind", function()
        api:fault("silent", { times = 10 })
        local handles = open_handles()
        local client = new_client{ wait = adapter }
        local kinds, functions = {}, {}
        for position = 1, 10 do
          functions[position] = function()
            local _, err = client.indexing_jobs.list()
            kinds[position] = err.kind
          end
        end
        functions[#functions + 1] = function()
          sleep[name](0.02)
          client:close()
        end
        local started = core.now()
        run(functions)
        assert.is_true(core.now() - started < 0.9) -- they were told, rather than found out
        for position = 1, 10 do assert.equal("closed", kinds[position]) end
        assert.equal(handles, open_handles())
      end)
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
      assert.is_true(call.seconds > 0 and call.seconds <= 5)
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

  it("a time-out ends a call under a loop, too", function()
    api:fault("silent")
    local client <close> = new_client{
      wait = require "gradient.wait.cqueues", timeout = 0.1, max_retries = 0,
    }
    loops.cqueues{ function()
      local _, err = client.indexing_jobs.list()
      assert.equal("timeout", err.kind)
    end }
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
