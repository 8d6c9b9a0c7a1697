--- on_event may do anything, at every kind of event: yield, raise, close the client, call
--- operations. No page is lost, none comes twice, nothing hangs.

local cqueues = require "cqueues"

local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local waiting = require "spec.support.waiting"

describe("on_event", function()
  local server, new_client = fixture.server{ jobs = 60 }
  local expected

  before_each(function()
    expected = {}
    local client <close> = new_client()
    for job in client.indexing_jobs.each{ per_page = 5 } do expected[job.uuid] = 1 end
    server:reset()
  end)

  local kinds = { "request", "response", "retry", "error" }

  -- On the way through 12 pages, something of every kind happens.
  local function script()
    server:script{
      { match = { page = 1 }, status = 503, headers = { ["retry-after-ms"] = "1" } },
      { match = { page = 3 }, status = 503, headers = { ["retry-after-ms"] = "1" } },
      { match = { page = 4 }, status = 429, headers = { ["retry-after-ms"] = "1" } },
      { match = { page = 6 }, status = 500, headers = { ["retry-after-ms"] = "1" }, times = 2 },
      { match = { page = 8 }, delay = 0.03 },
    }
  end

  -- Each uuid with the number of times that it came.
  local function count(jobs)
    local counts = {}
    for _, job in ipairs(jobs) do counts[job.uuid] = (counts[job.uuid] or 0) + 1 end
    return counts
  end

  -- Reads a list to its end: an iterator goes on after errors that are not its own.
  local function walk(client, options, mine)
    local jobs, errors = {}, 0
    local following, _, _, closing = client.indexing_jobs.each({ per_page = 5 }, options)
    local _ <close> = closing
    while true do
      local ok, job = pcall(following)
      if ok then
        if job == nil then return jobs, errors end
        jobs[#jobs + 1] = job
      elseif job == mine then
        errors = errors + 1
        assert.is_true(errors < 1000, "it raises for ever")
      else
        error(job, 0)
      end
    end
  end

  -- Runs coroutines that yield in on_event, too; each of them ends.
  local function run(functions)
    local ended = 0
    for position, f in ipairs(functions) do
      functions[position] = function()
        f()
        ended = ended + 1
      end
    end
    waiting.together(functions)
    assert.equal(#functions, ended)
  end

  for _, kind in ipairs{ "request", "response", "retry" } do
    for _, prefetch in ipairs{ 0, 1, 5 } do
      local where = (" at every %s, with prefetch = %d"):format(kind, prefetch)

      it("may raise" .. where, function()
        script()
        local mine = {}
        local client = new_client{ on_event = function(event)
          if event.type == kind then error(mine) end
        end }
        local jobs, errors = walk(client, { prefetch = prefetch }, mine)
        assert.same(expected, count(jobs))
        assert.is_true(errors > 0)
      end)

      it("may yield" .. where, function()
        script()
        local yields = 0
        local client = new_client{ wait = coroutine.yield, on_event = function(event)
          if event.type ~= kind then return end
          yields = yields + 1
          coroutine.yield({}, 0.001)
        end }
        run{ function()
          assert.same(expected, count((walk(client, { prefetch = prefetch }))))
        end }
        assert.is_true(yields > 0)
      end)

      it("may yield for longer than a time-out" .. where, function()
        local client = new_client{ wait = coroutine.yield, timeout = 0.3, connect_timeout = 0.3,
          max_retries = 0, on_event = function(event)
            if event.type == kind and event.url:find "page=[24]&" then
              coroutine.yield({}, 0.35)
            end
          end }
        run{ function()
          assert.same(expected, count((walk(client, { prefetch = prefetch }))))
        end }
        assert.equal(12, server:connections().requests)
      end)

      it("may call operations" .. where, function()
        script()
        local calls, is_within = 0, false
        local client
        client = new_client{ on_event = function(event)
          if event.type ~= kind or is_within then return end
          is_within = true
          assert(client.indexing_jobs.list{ page = 12, per_page = 5 })
          local inner = 0
          for _ in client.indexing_jobs.each{ page = 10, per_page = 5 } do inner = inner + 1 end
          assert.equal(15, inner)
          calls, is_within = calls + 1, false
        end }
        assert.same(expected, count((walk(client, { prefetch = prefetch }))))
        assert.is_true(calls > 0)
      end)

      it("may close the client" .. where, function()
        script()
        local client, closed
        client = new_client{ on_event = function(event)
          if event.type == kind and event.url:find "page=[1346]&" then
            client:close()
            closed = true
          end
        end }
        local jobs = {}
        local ok, err = pcall(function()
          for job in client.indexing_jobs.each({ per_page = 5 }, { prefetch = prefetch }) do
            jobs[#jobs + 1] = job
          end
        end)
        assert.is_true(closed)
        assert.is_false(ok)
        assert.equal("closed", err.kind)
        for _, times in pairs(count(jobs)) do assert.equal(1, times) end
        server:await{ open = 0 }
      end)

      it("may do so for coroutines that share an iterator" .. where, function()
        for _, does in ipairs{ "yield", "raise", "call", "nothing" } do
          server:reset()
          script()
          local mine, is_within, client = {}, {}, nil
          client = new_client{ wait = coroutine.yield, on_event = function(event)
            local thread = coroutine.running()
            if event.type ~= kind or is_within[thread] then return end
            is_within[thread] = true
            if does == "yield" then coroutine.yield({}, 0.001) end
            if does == "call" then assert(client.indexing_jobs.list{ page = 12 }) end
            is_within[thread] = nil
            if does == "raise" then error(mine) end
          end }
          local jobs = {}
          local following, _, _, closing = client.indexing_jobs.each({ per_page = 5 },
            { prefetch = prefetch })
          local function share()
            while true do
              local ok, job = pcall(following)
              if not ok then
                assert.equal(mine, job)
              elseif job == nil then
                return
              else
                jobs[#jobs + 1] = job
              end
            end
          end
          run{ share, share, share, share }
          assert.same(expected, count(jobs))
          assert.is_nil(following())
          getmetatable(closing).__close(closing)
          client:close()
        end
      end)
    end
  end

  for _, kind in ipairs(kinds) do
    it("may do anything at a single call's " .. kind, function()
      for _, does in ipairs{ "yield", "raise", "call", "close" } do
        server:reset()
        server:script{ { status = 503, headers = { ["retry-after-ms"] = "1" } }, { status = 404 } }
        local mine, is_within, client = {}, false, nil
        client = new_client{ wait = coroutine.yield, on_event = function(event)
          if event.type ~= kind or is_within then return end
          is_within = true
          if does == "yield" then coroutine.yield({}, 0.001) end
          if does == "call" then client.indexing_jobs.list{ page = 2 } end
          if does == "close" then client:close() end
          is_within = false
          if does == "raise" then error(mine) end
        end }
        run{ function()
          local ok, page, err = pcall(client.indexing_jobs.list)
          assert.equal(does ~= "raise", ok)
          if does == "raise" then
            assert.equal(mine, page)
          elseif does == "close" and kind ~= "error" then
            assert.equal("closed", err.kind)
          elseif does == "yield" or does == "close" then
            assert.equal("not_found", err.kind)
          end
        end }
      end
    end)
  end

  it("may raise at an error of an iteration, which stays what it is", function()
    server:script{ { match = { page = 3 }, status = 404, forever = true } }
    local mine = {}
    local client = new_client{ on_event = function(event)
      if event.type == "error" then error(mine) end
    end }
    for _, prefetch in ipairs{ 0, 1, 5 } do
      local jobs, following = {}, client.indexing_jobs.each({ per_page = 5 },
        { prefetch = prefetch })
      local errors = {}
      for _ = 1, 20 do
        local ok, job = pcall(following)
        if ok then jobs[#jobs + 1] = job else errors[#errors + 1] = job end
      end
      assert.equal(10, #jobs)
      assert.equal(mine, errors[1])
      assert.equal("not_found", errors[#errors].kind)
    end
  end)

  it("may close the client while others wait for answers and pauses", function()
    server:script{
      { match = { page = 1 }, steps = { { hang = true } }, forever = true },
      { match = { page = 2 }, status = 503, headers = { ["retry-after"] = "20" }, forever = true },
    }
    local client, is_pausing, started = nil, false, core.now()
    client = new_client{ wait = require "gradient.wait.cqueues", on_event = function(event)
      is_pausing = is_pausing or event.type == "retry"
      if event.url:find "page=3" and event.type == "response" then client:close() end
    end }
    local loop, outcomes = cqueues.new(), {}
    for page = 1, 3 do
      loop:wrap(function()
        while page == 3 and not is_pausing do cqueues.sleep(0.001) end
        local answer, err = client.indexing_jobs.list{ page = page }
        outcomes[page] = answer and "answer" or err.kind
      end)
    end
    assert(loop:loop())
    assert.same({ "closed", "closed" }, { outcomes[1], outcomes[2] })
    assert.is_true(core.now() - started < 5)
  end)

  it("may end an iteration by closing it", function()
    local closing, client
    client = new_client{ on_event = function(event)
      if event.type == "response" and event.url:find "page=3&" then
        getmetatable(closing).__close(closing)
      end
    end }
    for _, prefetch in ipairs{ 0, 1, 5 } do
      local following
      following, _, _, closing = client.indexing_jobs.each({ per_page = 5 },
        { prefetch = prefetch })
      local jobs = {}
      for job in following do jobs[#jobs + 1] = job end
      assert.is_true(#jobs == 10 or prefetch > 0 and #jobs == 5, #jobs)
      assert.is_nil(following())
    end
  end)

  it("may be told of requests that are given up", function()
    local client = new_client{ on_event = function(event)
      if event.type == "response" then error "enough" end
    end }
    local before = waiting.open_descriptors()
    for _ = 1, 20 do
      assert.is_false(pcall(function()
        for _ in client.indexing_jobs.each({ per_page = 5 }, { prefetch = 8 }) do
          error "not reached"
        end
      end))
    end
    client:close()
    server:await{ in_progress = 0 }
    assert.is_true(waiting.open_descriptors() <= before)
  end)
end)
