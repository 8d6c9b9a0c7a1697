--- Which failures are tried again, after how long, and when it is enough.

local api = require "spec.support.api"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local program = require "spec.support.program"
local retry = require "gradient.retry"

local knowledge_base = "8314774f-24cb-4061-a996-f7cb119d0216" -- the local server's first one

describe("retry", function()
  local server, new_client = fixture.server{ jobs = 60 }

  -- Header fields that ask for the shortest pause there is, so that nobody has to wait for long.
  local soon = { ["retry-after-ms"] = "1" }

  -- A client, and the delays that it announces.
  local function new(options)
    local delays, all = {}, { timeout = 5 }
    for name, value in pairs(options or {}) do all[name] = value end
    function all.on_event(event)
      if event.type == "retry" then delays[#delays + 1] = event.delay end
      if options and options.on_event then options.on_event(event) end
    end
    return new_client(all), delays
  end

  -- What `list` returns when the server's first answer is this one, and the delays before that.
  local function list_after(answer, options)
    server:script{ answer }
    local client, delays = new(options)
    local page, response = client.indexing_jobs.list()
    return page, response, delays
  end

  -- The pause that follows this answer, which is not waited for.
  local function delay_after(answer)
    server:script{ answer }
    local enough = {}
    local client, delays = new{ on_event = function(event)
      if event.type == "retry" then error(enough) end
    end }
    local ok, err = pcall(client.indexing_jobs.list)
    assert.is_false(ok)
    assert.equal(enough, err)
    return delays[1]
  end

  local function assert_backoff(expected, delays, share)
    share = share or 1
    assert.equal(#expected, #delays)
    for position, longest in ipairs(expected) do
      assert.is_true(delays[position] <= share * longest
        and delays[position] >= 0.75 * share * longest,
        ("pause %d: %g s"):format(position, delays[position]))
    end
  end

  describe("happens", function()
    for _, status in ipairs{ 408, 409, 429, 500, 501, 502, 503, 504, 529, 599 } do
      it("after HTTP " .. status, function()
        local page, response, delays = list_after{ status = status, headers = soon }
        assert.equal(20, #page.jobs)
        assert.equal(2, response.attempts)
        assert_backoff({ 0.5 }, delays, 0.1)
      end)
    end

    for name, steps in pairs{
      ["a reset"] = { { reset = true } },
      ["an answer that is cut short"] = { { answer = "all", share = 0.5 }, { close = true } },
      ["an answer that does not begin"] = { { close = true } },
    } do
      it("after " .. name, function()
        local page, response, delays = list_after{ steps = steps }
        assert.equal(20, #page.jobs)
        assert.equal(2, response.attempts)
        assert_backoff({ 0.5 }, delays)
      end)
    end

    it("after a time-out", function()
      local page, response, delays = list_after({ steps = { { hang = true } } }, { timeout = 0.1 })
      assert.equal(20, #page.jobs)
      assert.equal(2, response.attempts)
      assert_backoff({ 0.5 }, delays)
    end)

    it("after a refused connection", function()
      local nowhere <close> = api.refused()
      local client, delays = new{ base_url = nowhere.url, max_retries = 1 }
      local page, err = client.indexing_jobs.list()
      assert.is_nil(page)
      assert.equal("connection", err.kind)
      assert.equal(2, err.attempts)
      assert_backoff({ 0.5 }, delays)
    end)

    it("when the server says so, whatever the status", function()
      for _, status in ipairs{ 400, 404, 302 } do
        local page, response = list_after{ status = status,
          headers = { ["x-should-retry"] = "true", ["retry-after-ms"] = "1" } }
        assert.equal(20, #page.jobs)
        assert.equal(2, response.attempts)
      end
    end)
  end)

  describe("does not happen", function()
    for _, status in ipairs{ 302, 304, 400, 401, 403, 404, 405, 410, 422, 499 } do
      it("after HTTP " .. status, function()
        local page, err, delays = list_after{ status = status, headers = { ["retry-after"] = "1" } }
        assert.is_nil(page)
        assert.equal(status, err.status)
        assert.equal(1, err.attempts)
        assert.same({}, delays)
        assert.equal(1, server:connections().requests)
      end)
    end

    it("when the server forbids it, whatever the status", function()
      for _, status in ipairs{ 408, 409, 429, 500, 503 } do
        local page, err, delays = list_after{ status = status,
          headers = { ["x-should-retry"] = "false", ["retry-after"] = "1" } }
        assert.is_nil(page)
        assert.equal(status, err.status)
        assert.equal(1, err.attempts)
        assert.same({}, delays)
      end
    end)

    it("after an answer that is not JSON", function()
      local page, err = list_after{ body = "not JSON" }
      assert.is_nil(page)
      assert.equal("decode", err.kind)
      assert.equal(1, err.attempts)
    end)

    it("after an answer that is over max_body", function()
      local page, err = list_after({}, { max_body = 100 })
      assert.is_nil(page)
      assert.equal("connection", err.kind)
      assert.equal(1, err.attempts)
    end)
  end)

  describe("number", function()
    it("is 2 by default", function()
      local page, err, delays = list_after{ status = 500, times = 5, headers = soon }
      assert.is_nil(page)
      assert.equal("server", err.kind)
      assert.equal(3, err.attempts)
      assert_backoff({ 0.5, 1 }, delays, 0.1)
      assert.equal(3, server:connections().requests)
    end)

    it("is what max_retries says, and a call's own goes before the client's", function()
      local client = new{ max_retries = 1 }
      server:script{ { status = 500, forever = true, headers = soon } }
      assert.equal(2, select(2, client.indexing_jobs.list()).attempts)
      assert.equal(1, select(2, client.indexing_jobs.list({}, { max_retries = 0 })).attempts)
      assert.equal(4, select(2, client.indexing_jobs.list({}, { max_retries = 3 })).attempts)
    end)

    it("counts for every page on its own", function()
      local client = new()
      server:script{ { status = 500, times = 2, match = { page = 1 }, headers = soon },
        { status = 500, times = 2, match = { page = 2 }, headers = soon } }
      local attempts = {}
      for _, response in client.indexing_jobs.pages{ per_page = 20 } do
        attempts[#attempts + 1] = response.attempts
      end
      assert.same({ 3, 3, 1 }, attempts)
    end)
  end)

  describe("delay", function()
    it("doubles from 0.5 s to 8 s, less up to a quarter", function()
      local expected, delays = { 0.5, 1, 2, 4, 8, 8, 8 }, {}
      local least, most = math.huge, 0
      for _ = 1, 1000 do
        for attempt, longest in ipairs(expected) do
          delays[attempt] = retry.delay(attempt)
          least = math.min(least, delays[attempt] / longest)
          most = math.max(most, delays[attempt] / longest)
        end
        assert_backoff(expected, delays)
      end
      assert.is_true(least < 0.8 and most > 0.95, "it hardly differs")
    end)

    it("grows over the attempts of a call", function()
      local _, err, delays = list_after({ status = 500, forever = true, headers = soon },
        { max_retries = 3 })
      assert.equal(4, err.attempts)
      assert_backoff({ 0.5, 1, 2 }, delays, 0.1)
    end)

    it("is never less than a tenth of the usual one, whatever the server says", function()
      for attempt, longest in ipairs{ 0.5, 1, 2, 4, 8, 8 } do
        assert_backoff({ longest }, { retry.delay(attempt, 1e-9) }, 0.1)
        assert.equal(longest, retry.delay(attempt, longest))
      end
    end)

    for name, case in pairs{
      ["retry-after in seconds"] = { { ["retry-after"] = "7" }, 7 },
      ["retry-after in fractions of a second"] = { { ["retry-after"] = "0.125" }, 0.125 },
      ["retry-after-ms"] = { { ["retry-after-ms"] = "250" }, 0.25 },
      ["retry-after-ms rather than retry-after"] =
        { { ["retry-after-ms"] = "250", ["retry-after"] = "7" }, 0.25 },
      ["60 s, the longest"] = { { ["retry-after"] = "60" }, 60 },
    } do
      it("is that of " .. name, function()
        for _, status in ipairs{ 429, 503 } do
          local headers = { ["ratelimit-reset"] = tostring(os.time() + 30) }
          for field, value in pairs(case[1]) do headers[field] = value end
          assert.equal(case[2], delay_after{ status = status, headers = headers })
        end
      end)
    end

    it("is the usual one when the server says 0, or a date that is over", function()
      for _, after in ipairs{ "0", "Wed, 21 Oct 2015 07:28:00 GMT" } do
        assert_backoff({ 0.5 }, { delay_after{
          status = 503, headers = { ["retry-after"] = after } } })
      end
    end)

    local function http_date(seconds, now)
      return os.date("!%a, %d %b %Y %H:%M:%S GMT", (now or os.time()) + seconds)
    end

    -- A server may have the wrong time: the times that it names count by its own clock.
    for name, offset in pairs{
      right = 0, ["five minutes fast"] = 300, ["five minutes slow"] = -300,
    } do
      it("is the time until the date of retry-after, by a clock that is " .. name, function()
        local now = os.time()
        assert.equal(20, delay_after{ status = 503, headers = {
          date = http_date(offset, now), ["retry-after"] = http_date(offset + 20, now) } })
        assert_backoff({ 0.5 }, { delay_after{ status = 503, headers = {
          date = http_date(offset), ["retry-after"] = http_date(offset - 1) } } })
      end)

      it("is the time until ratelimit-reset for a 429 that says nothing else, by a clock that is "
        .. name, function()
        local now = os.time()
        local headers = { date = http_date(offset, now),
          ["ratelimit-reset"] = tostring(now + offset + 20) }
        assert.equal(20, delay_after{ status = 429, headers = headers })
        assert_backoff({ 0.5 }, { delay_after{ status = 503, headers = headers } })
      end)
    end

    it("is reckoned by our own clock when the server does not tell its own", function()
      local delay = delay_after{ status = 503,
        headers = { date = false, ["retry-after"] = http_date(20) } }
      assert.is_true(delay > 10 and delay <= 20, delay)
    end)

    it("is the usual one when what the server says makes no sense", function()
      for _, after in ipairs{ "soon", "-5", "1e3", "0x10", "5, 5", "", "inf", "nan" } do
        for _, name in ipairs{ "retry-after", "retry-after-ms" } do
          assert_backoff({ 0.5 }, { delay_after{ status = 503, headers = { [name] = after } } })
        end
      end
      assert_backoff({ 0.5 }, { delay_after{
        status = 429, headers = { ["ratelimit-reset"] = "1" } } })
    end)

    it("over 60 s is not waited for", function()
      for _, case in ipairs{
        { 429, { ["retry-after"] = "61" }, 61 },
        { 503, { ["retry-after-ms"] = "120000" }, 120 },
        { 503, { ["retry-after"] = "99999999999999999999" }, 1e20 },
        { 503, { ["retry-after"] = "1000", ["x-should-retry"] = "true" }, 1000 },
      } do
        local page, err, delays = list_after{ status = case[1], headers = case[2] }
        assert.is_nil(page)
        assert.equal(case[1], err.status)
        assert.equal(1, err.attempts)
        assert.equal(case[3], err.retry_after)
        assert.same({}, delays)
      end
      local date = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 3600)
      local _, err = list_after{ status = 503, headers = { ["retry-after"] = date } }
      assert.is_true(err.retry_after > 3500 and err.retry_after <= 3600, err.retry_after)
      _, err = list_after{
        status = 429, headers = { ["ratelimit-reset"] = tostring(os.time() + 3600) } }
      assert.is_true(err.retry_after > 3500 and err.retry_after <= 3600, err.retry_after)
    end)

    it("is slept by the default wait, too", function()
      local client = new_client()
      server:script{ { status = 503, headers = { ["retry-after-ms"] = "60" } } }
      local _, response = assert(client.indexing_jobs.list())
      assert.equal(2, response.attempts)
      assert.is_true(response.elapsed >= 0.06, response.elapsed)
      local requests = server:requests()
      assert.is_true(requests[2].received - requests[1].received >= 0.06)
    end)
  end)

  describe("of a stale connection", function()
    for _, ending in ipairs{ "close", "reset" } do
      it("is immediate and no attempt, after a " .. ending, function()
        local events = {}
        local client, delays = new{ max_retries = 0, on_event = function(event)
          events[#events + 1] = event.type
        end }
        assert(client.indexing_jobs.list())
        server:fault("stale", { finish = ending })
        local page, response = client.indexing_jobs.list()
        assert.equal(20, #page.jobs)
        assert.equal(1, response.attempts)
        assert.same({}, delays)
        assert.equal(0, server:pending())
        assert.same({ "request", "response", "request", "response" }, events)
      end)
    end

    it("is not even needed when the connection was closed in the meantime", function()
      local client, delays = new{ max_retries = 0 }
      assert(client.indexing_jobs.list())
      server:drop()
      server:await{ open = 0 }
      local _, response = assert(client.indexing_jobs.list())
      assert.equal(1, response.attempts)
      assert.same({}, delays)
      assert.equal(2, server:connections().requests)
    end)

    it("happens once", function()
      local client = new{ max_retries = 0 }
      assert(client.indexing_jobs.list())
      server:script{ { steps = { { reset = true } }, forever = true } }
      local page, err = client.indexing_jobs.list()
      assert.is_nil(page)
      assert.equal("connection", err.kind)
      assert.equal(1, err.attempts)
      assert.equal(3, server:connections().requests)
    end)
  end)

  describe("by method", function()
    local uuid = "00000000-0000-4000-8000-000000000000"

    it("repeats a PUT", function()
      local client = new()
      -- the reset connection was used before, so it gets a second chance at once
      server:script{ { status = 500, headers = soon }, { steps = { { reset = true } }, times = 2 } }
      local answer, err = client.indexing_jobs.update_cancel(uuid)
      assert.is_nil(answer)
      assert.equal("not_found", err.kind)
      assert.equal(3, err.attempts)
      local requests = server:requests()
      for _, request in ipairs(requests) do
        assert.equal("PUT", request.method)
        assert.equal(requests[1].body, request.body)
      end
    end)

    it("repeats a POST that was rejected by the rate limit", function()
      local client, delays = new()
      server:script{ { status = 429, headers = { ["retry-after"] = "0.125" } } }
      local answer, response = client.indexing_jobs.create{ knowledge_base_uuid = knowledge_base }
      assert.is_table(answer and answer.job)
      assert.equal(2, response.attempts)
      assert.same({ 0.125 }, delays)
    end)

    it("says of no POST that was not sent that it may have been carried out", function()
      local nowhere <close> = api.refused()
      local client = new{ base_url = nowhere.url, max_retries = 0 }
      local _, err = client.indexing_jobs.create{ knowledge_base_uuid = knowledge_base }
      assert.equal("connection", err.kind)
      assert.not_matches("may have been", err.message)
    end)

    it("repeats a POST for which there was no connection", function()
      local nowhere <close> = api.refused()
      local client = new{ base_url = nowhere.url, max_retries = 1 }
      local _, err = client.indexing_jobs.create{ knowledge_base_uuid = knowledge_base }
      assert.equal("connection", err.kind)
      assert.equal(2, err.attempts)
    end)

    it("repeats a POST whose connection was not made in time", function()
      local nowhere <close> = api.unreachable()
      local client = new{ base_url = nowhere.url, connect_timeout = 0.05, max_retries = 1 }
      local _, err = client.indexing_jobs.create{ knowledge_base_uuid = knowledge_base }
      assert.equal("timeout", err.kind)
      assert.equal(2, err.attempts)
    end)

    for name, entry in pairs{
      ["HTTP 500"] = { status = 500 }, ["HTTP 503"] = { status = 503 },
      ["HTTP 408"] = { status = 408 }, ["HTTP 409"] = { status = 409 },
      ["a reset"] = { steps = { { reset = true } } },
      ["a close"] = { steps = { { close = true } } },
      ["half an answer"] = { steps = { { answer = "all", share = 0.5 }, { close = true } } },
      ["a time-out"] = { steps = { { hang = true } } },
    } do
      it("does not repeat a POST after " .. name .. ", it may have been carried out", function()
        local client, delays = new{ timeout = 0.3 }
        assert(client.indexing_jobs.list()) -- leaves a connection that could be used again
        server:script{ entry }
        local answer, err = client.indexing_jobs.create{ knowledge_base_uuid = knowledge_base }
        assert.is_nil(answer)
        assert.equal(1, err.attempts)
        assert.same({}, delays)
        assert.equal(2, server:connections().requests)
        local cautions = err.message:find("; the job may have been started", 1, true) ~= nil
        assert.equal(not err.status, cautions, err.message)
      end)
    end

    it("sends a POST over a connection that cannot be stale", function()
      local client = new{ max_retries = 0 }
      assert(client.indexing_jobs.list())
      server:fault "stale"
      assert(client.indexing_jobs.create{ knowledge_base_uuid = knowledge_base })
      assert.is_false(server:requests()[2].reused)
      assert.equal(1, server:pending())
    end)
  end)

  describe("in an iteration", function()
    it("loses no job and repeats none", function()
      local expected, seen = {}, {}
      local client, delays = new{ timeout = 0.5, max_retries = 3 }
      for job in client.indexing_jobs.each{ per_page = 7 } do expected[#expected + 1] = job.uuid end
      assert.equal(60, #expected)
      server:script{
        { match = { page = 1 }, status = 503, headers = soon },
        { match = { page = 2 }, steps = { { reset = true } }, times = 2 },
        { match = { page = 4 }, steps = { { answer = "all", share = 0.7 }, { close = true } } },
        { match = { page = 6 }, status = 429, headers = { ["retry-after"] = "0.2" } },
        { match = { page = 9 }, steps = { { answer = "all", to = 300 }, { hang = true } } },
      }
      for job in client.indexing_jobs.each({ per_page = 7 }, { prefetch = 3 }) do
        seen[#seen + 1] = job.uuid
      end
      assert.same(expected, seen)
      assert.equal(0, server:pending())
      assert.is_true(#delays >= 1)
    end)

    it("raises when it is of no use, after the jobs of the pages before", function()
      local client = new{ max_retries = 1 }
      server:script{ { match = { page = 3 }, status = 500, forever = true, headers = soon } }
      local count = 0
      local ok, err = pcall(function()
        for _ in client.indexing_jobs.each{ per_page = 10 } do count = count + 1 end
      end)
      assert.is_false(ok)
      assert.equal(20, count)
      assert.equal("server", err.kind)
      assert.equal(2, err.attempts)
    end)

    it("respects a rate limit with many pages under way", function()
      server:set{ rate = { limit = 4, window = 0.15, retry_after = "ms" } }
      local client = new_client()
      local count = 0
      for _ in client.indexing_jobs.each({ per_page = 5 }, { prefetch = 6 }) do
        count = count + 1
      end
      assert.equal(60, count)
    end)
  end)

  describe("on_event", function()
    local function recorder()
      local events = {}
      return events, function(event) events[#events + 1] = event end
    end

    it("reports an error even if nothing was sent", function()
      local events, on_event = recorder()
      local client = new{ on_event = on_event }
      client:close()
      local _, err = client.indexing_jobs.list{ page = 2 }
      assert.equal("closed", err.kind)
      assert.same({ { type = "error", method = "GET", attempt = 0, error = err,
        url = server.url .. "/v2/gen-ai/indexing_jobs?page=2" } }, events)
    end)

    it("reports request, answer, retry with delay and reason, and error", function()
      local events, on_event = recorder()
      local client = new{ max_retries = 1, on_event = on_event }
      server:script{
        { status = 503, headers = { ["retry-after"] = "0.125", ["x-request-id"] = "r-1" },
          body = '{"message":"Busy."}' },
        { status = 404, headers = { ["x-request-id"] = "r-2" } },
      }
      local _, err = client.indexing_jobs.list{ page = 2 }
      local url = server.url .. "/v2/gen-ai/indexing_jobs?page=2"
      for _, event in ipairs(events) do
        if event.type == "response" then
          assert.is_true(event.elapsed > 0 and event.elapsed < 10)
          event.elapsed = nil
        end
      end
      assert.same({
        { type = "request", method = "GET", url = url, attempt = 1 },
        { type = "response", method = "GET", url = url, attempt = 1, status = 503,
          request_id = "r-1" },
        { type = "retry", method = "GET", url = url, attempt = 1, status = 503, delay = 0.125,
          reason = "server: Busy." },
        { type = "request", method = "GET", url = url, attempt = 2 },
        { type = "response", method = "GET", url = url, attempt = 2, status = 404,
          request_id = "r-2" },
        { type = "error", method = "GET", url = url, attempt = 2, error = err },
      }, events)
      assert.equal(err, events[6].error)
    end)

    it("reports a failed connection without an answer", function()
      local events, on_event = recorder()
      local nowhere <close> = api.refused()
      local client = new{ base_url = nowhere.url, max_retries = 1, on_event = on_event }
      local _, err = client.indexing_jobs.list()
      local types = {}
      for position, event in ipairs(events) do types[position] = event.type end
      assert.same({ "request", "retry", "request", "error" }, types)
      assert.equal("connection: " .. err.message, events[2].reason)
      assert.is_nil(events[2].status)
    end)

    it("reports an answer that is not JSON as an error", function()
      local events, on_event = recorder()
      local client = new{ on_event = on_event }
      server:script{ { body = "x" } }
      local _, err = client.indexing_jobs.list()
      assert.equal(3, #events)
      assert.equal(err, events[3].error)
    end)

    it("reports every page of an iteration", function()
      local events, on_event = recorder()
      local client = new{ on_event = on_event }
      for _ in client.indexing_jobs.each{ per_page = 30 } do assert.is_true(#events > 0) end
      local urls = {}
      for _, event in ipairs(events) do
        if event.type == "request" then urls[#urls + 1] = event.url:match("page=%d+") end
      end
      assert.same({ "page=1", "page=2" }, urls)
    end)

    for _, type in ipairs{ "request", "response", "retry", "error" } do
      it(("may raise at a %s, which comes through as it is"):format(type), function()
        local mine = {}
        local client = new{ max_retries = 1, on_event = function(event)
          if event.type == type then error(mine) end
        end }
        server:script{ { status = 500, times = 2, headers = soon } }
        local ok, err = pcall(client.indexing_jobs.list)
        assert.is_false(ok)
        assert.equal(mine, err)
        server:await{ in_progress = 0 }
      end)
    end

    it("may yield", function()
      local client = new{ on_event = function(event) coroutine.yield(event.type) end }
      local types = {}
      for type in coroutine.wrap(function()
        assert(client.indexing_jobs.list())
      end) do types[#types + 1] = type end
      assert.same({ "request", "response" }, types)
    end)

    it("may make calls of its own", function()
      local client, inner
      client = new{ on_event = function(event)
        if event.type == "response" and not inner then
          inner = true
          inner = assert(client.indexing_jobs.list{ page = 2 })
        end
      end }
      assert.equal(1, assert(client.indexing_jobs.list{ page = 1 }).meta.page)
      assert.equal(2, inner.meta.page)
    end)
  end)

  describe("GRADIENT_LOG", function()
    local text = [[
      local list = require "gradient".indexing_jobs.list
      list({ page = 2 }, { max_retries = 1 })
    ]]

    -- What is printed to stderr for a call that is answered with 503 and then 404.
    local function logged(level, after)
      server:script{
        { status = 503, headers = { ["retry-after-ms"] = "60" }, body = '{"message":"Busy."}' },
        { status = 404, headers = { ["x-request-id"] = "r-2" },
          body = '{"message":"Not\\nhere.\\u001b[31m"}' },
      }
      local result = program.run(text .. (after or ""), {
        DIGITALOCEAN_TOKEN = server.token, GRADIENT_BASE_URL = server.url, GRADIENT_LOG = level,
      })
      assert.equal(0, result.status)
      assert.equal("", result.output)
      local url = server.url .. "/v2/gen-ai/indexing_jobs?page=2"
      return (result.errors:gsub("%d%.%d%d%d s", "N s"):gsub("GET " .. url:gsub("%p", "%%%0"),
        "GET URL"))
    end

    it("=info prints answers, retries and errors, each in one line", function()
      assert.equal([[
gradient: GET URL: HTTP 503 in N s (attempt 1)
gradient: GET URL: again in 0.06 s, server: Busy. (attempt 1)
gradient: GET URL: HTTP 404 in N s (attempt 2)
gradient: GET URL: not_found: Not here. [31m (HTTP 404, request r-2, 2 attempts)
]], logged "info")
    end)

    it("=debug prints requests, too", function()
      assert.equal([[
gradient: GET URL (attempt 1)
gradient: GET URL: HTTP 503 in N s (attempt 1)
gradient: GET URL: again in 0.06 s, server: Busy. (attempt 1)
gradient: GET URL (attempt 2)
gradient: GET URL: HTTP 404 in N s (attempt 2)
gradient: GET URL: not_found: Not here. [31m (HTTP 404, request r-2, 2 attempts)
]], logged "debug")
    end)

    it("prints nothing when it is empty or missing, one line when it is misspelt", function()
      assert.equal("", logged "")
      assert.equal("", logged())
      assert.equal("gradient: GRADIENT_LOG must be info or debug; nothing is logged\n",
        logged "loud")
    end)

    it("does not take the place of on_event", function()
      local errors = logged("info", [[
        local events = 0
        local client = require "gradient".client{ on_event = function() events = events + 1 end }
        assert(client.indexing_jobs.list{ page = 2 })
        assert(events == 2)
      ]])
      assert.matches("GET URL: HTTP 200 in N s %(attempt 1%)\n$", errors)
    end)
  end)

  it("of a page in a row of them makes one pause, of as long as it was meant to be", function()
    for _, prefetch in ipairs{ 0, 1, 4 } do
      server:script{ { match = { page = 2 }, status = 429, headers = { ["retry-after"] = "0.3" } } }
      local client, delays = new()
      local count, started = 0, core.now()
      for _ in client.indexing_jobs.each({ per_page = 10 }, { prefetch = prefetch }) do
        count = count + 1
      end
      assert.equal(60, count)
      assert.same({ 0.3 }, delays)
      assert.is_true(core.now() - started >= 0.3)
    end
  end)
end)
