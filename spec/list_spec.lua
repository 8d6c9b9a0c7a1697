--- list: what is sent, and what comes of the answer.

local cjson = require "cjson"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local misuse = require "spec.support.misuse"
local waiting = require "spec.support.waiting"

-- The answer on the page of the reference that describes this operation.
local example = [[{
  "jobs": [
    {
      "completed_datasources": 123,
      "created_at": "2023-01-01T00:00:00Z",
      "data_source_uuids": [
        "example string"
      ],
      "finished_at": "2023-01-01T00:00:00Z",
      "knowledge_base_uuid": "123e4567-e89b-12d3-a456-426614174000",
      "phase": "BATCH_JOB_PHASE_UNKNOWN",
      "started_at": "2023-01-01T00:00:00Z",
      "status": "INDEX_JOB_STATUS_UNKNOWN",
      "tokens": 123,
      "total_datasources": 123,
      "total_items_failed": "12345",
      "total_items_indexed": "12345",
      "total_items_skipped": "12345",
      "updated_at": "2023-01-01T00:00:00Z",
      "uuid": "123e4567-e89b-12d3-a456-426614174000"
    }
  ],
  "links": {
    "pages": {
      "first": "example string",
      "last": "example string",
      "next": "example string",
      "previous": "example string"
    }
  },
  "meta": {
    "page": 123,
    "pages": 123,
    "total": 123
  }
}]]

describe("list", function()
  local server, new_client = fixture.server{ jobs = 250 }
  local client, jobs

  before_each(function()
    client = new_client()
    jobs = client.indexing_jobs
  end)

  -- The page that comes of `body`.
  local function answer_to(body, options)
    server:script{ { status = 200, body = body } }
    local page, err = new_client(options).indexing_jobs.list()
    return assert(page, tostring(err))
  end

  -- The only job of an answer.
  local function job_of(text, options)
    return answer_to('{"jobs":[' .. text .. "]}", options).jobs[1]
  end

  describe("sends", function()
    it("one GET with the token, and no query of its own", function()
      assert(jobs.list())
      local requests = server:requests()
      assert.equal(1, #requests)
      assert.equal("GET", requests[1].method)
      assert.equal("/v2/gen-ai/indexing_jobs", requests[1].target)
      assert.equal("Bearer test-token", requests[1].headers.authorization)
      assert.equal("application/json", requests[1].headers.accept)
      assert.matches("^gradient%-lua/" .. gradient._VERSION:gsub("%p", "%%%0"),
        requests[1].headers["user-agent"])
      assert.equal("", requests[1].body)
    end)

    it("page and per_page", function()
      assert(jobs.list{ page = 3, per_page = 7 })
      assert.equal("/v2/gen-ai/indexing_jobs?page=3&per_page=7", server:last_request().target)
    end)

    it("floats that are whole numbers as whole numbers", function()
      assert(jobs.list{ page = 2.0, per_page = 1e1 })
      assert.equal("/v2/gen-ai/indexing_jobs?page=2&per_page=10", server:last_request().target)
    end)

    it("only the parameters that it was given", function()
      assert(jobs.list({ per_page = 7 }, {}))
      assert.equal("/v2/gen-ai/indexing_jobs?per_page=7", server:last_request().target)
    end)

    it("further query parameters, sorted, sequences one by one", function()
      assert(jobs.list({ page = 1 }, { query = {
        tag = { "a", 2, true }, nothing = {}, exact = 9007199254740993, off = false, half = 0.5,
      } }))
      assert.equal("/v2/gen-ai/indexing_jobs?page=1&exact=9007199254740993&half=0.5&off=false"
        .. "&tag=a&tag=2&tag=true", server:last_request().target)
    end)

    it("query parameters in which nothing is special", function()
      local name, value = "a b&c", "x=1&page=9#?/\r\nEvil: yes\0é"
      assert(jobs.list(nil, { query = { [name] = value } }))
      local sent = server:last_request()
      assert.same({ [name] = value }, sent.query)
      assert.matches("^/v2/gen%-ai/indexing_jobs%?[%w%%]+=[%w%%]+$", sent.target)
      assert.is_nil(sent.headers.evil)
    end)

    it("a call's headers over the client's", function()
      local decorated = new_client{ headers = { ["X-One"] = "1", ["x-two"] = "2" } }
      assert(decorated.indexing_jobs.list(nil, { headers = { ["X-TWO"] = "zwei", ["x-3"] = 3 } }))
      local headers = server:last_request().headers
      assert.equal("1", headers["x-one"])
      assert.equal("zwei", headers["x-two"])
      assert.equal("3", headers["x-3"])
      assert(decorated.indexing_jobs.list())
      assert.equal("2", server:last_request().headers["x-two"])
      assert.is_nil(server:last_request().headers["x-3"])
    end)

    it("a header without a value", function()
      assert(jobs.list(nil, { headers = { ["x-empty"] = "" } }))
      assert.equal("", server:last_request().headers["x-empty"])
    end)

    it("each header once", function()
      assert(jobs.list(nil, { headers = { Accept = "application/vnd.api+json" } }))
      local seen = {}
      for _, field in ipairs(server:last_request().header_list) do
        assert.is_nil(seen[field[1]], field[1])
        seen[field[1]] = field[2]
      end
      assert.equal("application/vnd.api+json", seen.accept)
    end)

    it("all requests over one connection", function()
      for page = 1, 6 do assert(jobs.list{ page = page }) end
      assert.equal(1, server:connections().accepted)
      assert.equal(6, server:connections().requests)
    end)

    it("requests to a base URL with a path, whatever it ends with", function()
      server:set{ base_path = "/proxy/do" }
      for _, ending in ipairs{ "", "/", "//" } do
        local behind = new_client{ base_url = server.url .. "/proxy/do" .. ending }
        assert(behind.indexing_jobs.list{ page = 2 })
        assert.equal("/proxy/do/v2/gen-ai/indexing_jobs?page=2", server:last_request().target)
      end
    end)

    it("leaves the tables that it was given as they were", function()
      local params, options = { page = 2 }, { headers = { ["X-A"] = 1 }, query = { b = { "c" } } }
      assert(jobs.list(params, options))
      assert.same({ page = 2 }, params)
      assert.same({ headers = { ["X-A"] = 1 }, query = { b = { "c" } } }, options)
    end)
  end)

  describe("answers", function()
    it("the reference's example field by field", function()
      local expected = cjson.decode(example)
      for _, count in ipairs{ "completed_datasources", "tokens", "total_datasources" } do
        expected.jobs[1][count] = 123
      end
      expected.meta = { page = 123, pages = 123, total = 123 }
      local page = answer_to(example)
      assert.same(expected, page)
      assert.equal("integer", math.type(page.jobs[1].tokens))
      assert.equal("integer", math.type(page.meta.total))
      assert.equal("123", tostring(page.jobs[1].tokens))
    end)

    it("the jobs that are on the page, in their order", function()
      local all = assert(jobs.list{ per_page = 200 }).jobs
      local page = assert(jobs.list{ page = 3, per_page = 7 })
      assert.equal(7, #page.jobs)
      for position, job in ipairs(page.jobs) do assert.same(all[14 + position], job) end
      assert.same({ page = 3, pages = 36, total = 250 }, page.meta)
      assert.equal(server.url .. "/v2/gen-ai/indexing_jobs?page=4&per_page=7",
        page.links.pages.next)
    end)

    it("integers exactly over all of int64", function()
      local job = job_of('{"tokens":9223372036854775807,"a":-9223372036854775808,'
        .. '"b":9007199254740993}')
      assert.equal(math.maxinteger, job.tokens)
      assert.equal("9223372036854775807", tostring(job.tokens))
      assert.equal(math.mininteger, job.a)
      assert.equal("integer", math.type(job.a))
      assert.equal(9007199254740993, job.b)
    end)

    it("all other numbers as floats", function()
      local job = job_of('{"a":1.0,"b":1e2,"c":9223372036854775808}')
      for name, value in pairs{ a = 1.0, b = 100.0, c = 2.0 ^ 63 } do
        assert.equal(value, job[name])
        assert.equal("float", math.type(job[name]))
      end
    end)

    it("strings as they came, numbers in them or not", function()
      local job = job_of('{"total_tokens":"18446744073709551615",'
        .. '"phase":"BATCH_JOB_PHASE_COMPLETED","x":"\\u00e9\\ud83d\\ude00\\u0000 "}')
      assert.equal("18446744073709551615", job.total_tokens)
      assert.equal("BATCH_JOB_PHASE_COMPLETED", job.phase)
      assert.equal("é😀\0 ", job.x)
    end)

    it("fields that nobody heard of, at every depth", function()
      local page = answer_to('{"jobs":[{"x":{"y":[1,{"z":[]}]}}],"meta":{"new":true},"t":"u"}')
      local job = { x = { y = { 1, { z = {} } } } }
      assert.same({ jobs = { job }, meta = { new = true }, t = "u" }, page)
    end)

    it("null members as absent ones, and null in an array as gradient.null", function()
      local job = job_of('{"started_at":null,"data_source_uuids":["a",null,"b"]}')
      assert.same({ data_source_uuids = { "a", gradient.null, "b" } }, job)
      assert.equal(3, #job.data_source_uuids)
    end)

    it("null members as gradient.null with keep_nulls", function()
      local page = answer_to('{"jobs":[{"started_at":null}],"links":null}', { keep_nulls = true })
      assert.same({ jobs = { { started_at = gradient.null } }, links = gradient.null }, page)
      assert.equal(cjson.null, page.links)
    end)

    for _, keep_nulls in ipairs{ false, true } do
      for _, body in ipairs{ "{}", '{"jobs":null}', '{"jobs":[]}' } do
        it(("an empty table of jobs to %s, keep_nulls = %s"):format(body, keep_nulls), function()
          assert.same({ jobs = {} }, answer_to(body, { keep_nulls = keep_nulls }))
        end)
      end
    end

    it("a page without links and meta as it is", function()
      server:set{ jobs = 2, links = false, meta = false }
      local page = assert(jobs.list())
      assert.equal(2, #page.jobs)
      assert.is_nil(page.links)
      assert.is_nil(page.meta)
    end)

    it("compressed bodies and chunked ones like any other", function()
      local plain = assert(jobs.list{ page = 2 })
      server:script{ { gzip = true }, { chunked = true }, { gzip = true, chunked = true } }
      for _ = 1, 3 do assert.same(plain, (jobs.list{ page = 2 })) end
    end)

    it("the same to the name that the other SDKs have for it", function()
      assert.equal(client.indexing_jobs, client.knowledge_bases.indexing_jobs)
      assert.equal(gradient.indexing_jobs, gradient.knowledge_bases.indexing_jobs)
      assert(client.knowledge_bases.indexing_jobs.list())
    end)

    it("gradient.null, which is cjson.null", function()
      assert.equal(cjson.null, gradient.null)
    end)

    it("1,000 calls without keeping memory, descriptors or connections", function()
      local function call_often(times)
        for _ = 1, times do assert(jobs.list{ per_page = 1 }) end
        collectgarbage()
        collectgarbage()
        return collectgarbage "count", waiting.open_descriptors()
      end
      local kilobytes, descriptors = call_often(20)
      local kilobytes_after, descriptors_after = call_often(1000)
      assert.equal(descriptors, descriptors_after)
      assert.is_true(kilobytes_after - kilobytes < 20, kilobytes_after - kilobytes)
      assert.equal(1, server:connections().accepted)
    end)
  end)

  describe("response", function()
    it("has status, headers, request_id, rate limit, attempts and time", function()
      local started = os.time()
      local _, response = assert(jobs.list())
      assert.equal(200, response.status)
      assert.equal("application/json; charset=utf-8", response.headers["content-type"])
      assert.matches("^%x+%-%x+%-%x+%-%x+%-%x+$", response.request_id)
      assert.equal(response.headers["x-request-id"], response.request_id)
      assert.equal(5000, response.ratelimit.limit)
      assert.equal(4999, response.ratelimit.remaining)
      assert.equal("integer", math.type(response.ratelimit.reset))
      assert.is_true(response.ratelimit.reset > started)
      assert.equal(1, response.attempts)
      assert.equal("float", math.type(response.elapsed))
      assert.is_true(response.elapsed > 0 and response.elapsed < 10)
    end)

    it("has header names in lower case, values trimmed and joined", function()
      server:script{ { headers = {
        { "X-Mixed-Case", "  Yes \t" }, { "X-Twice", "a" }, { "x-twice", "b" }, { "X-Empty", "" },
        { "X-Colons", "a:b: c" },
      } } }
      local _, response = assert(jobs.list())
      assert.equal("Yes", response.headers["x-mixed-case"])
      assert.equal("a, b", response.headers["x-twice"])
      assert.equal("", response.headers["x-empty"])
      assert.equal("a:b: c", response.headers["x-colons"])
    end)

    it("leaves out of the rate limit what is missing or no whole number", function()
      server:script{ { headers = {
        ["ratelimit-limit"] = false, ["ratelimit-remaining"] = "many",
        ["ratelimit-reset"] = "99999999999999999999", ["x-request-id"] = false,
      } } }
      local _, response = assert(jobs.list())
      assert.same({}, response.ratelimit)
      assert.is_nil(response.request_id)
    end)
  end)

  describe("raises at the caller's line", function()
    it("for what is no parameter", function()
      local raises = misuse.raises
      raises(function() jobs.list{ perpage = 5 } end,
        "unknown parameter 'perpage' (expected page, per_page)")
      raises(function() jobs.list{ 5 } end, "unknown parameter '1' (expected page, per_page)")
      raises(function() jobs.list("x") end, "the parameters must be in a table, not in a string")
      raises(function() gradient.indexing_jobs.list{ perpage = 5 } end,
        "unknown parameter 'perpage' (expected page, per_page)")
    end)

    it("for parameters of the wrong type", function()
      local raises = misuse.raises
      raises(function() jobs.list{ page = 0 } end,
        "parameter 'page' must be a whole number from 1, not 0")
      raises(function() jobs.list{ page = -3 } end,
        "parameter 'page' must be a whole number from 1, not -3")
      raises(function() jobs.list{ page = 1.5 } end,
        "parameter 'page' must be a whole number from 1, not 1.5")
      raises(function() jobs.list{ page = 1e300 } end,
        "parameter 'page' must be a whole number from 1, not 1e+300")
      raises(function() jobs.list{ per_page = "20" } end,
        "parameter 'per_page' must be a whole number from 1, not a string")
      raises(function() jobs.list{ per_page = true } end,
        "parameter 'per_page' must be a whole number from 1, not a boolean")
      raises(function() jobs.list{ per_page = gradient.null } end,
        "parameter 'per_page' must be a whole number from 1, not a userdata")
    end)

    it("for what is no option of a call", function()
      local raises = misuse.raises
      local allowed = "(expected connect_timeout, headers, max_retries, query, timeout,"
        .. " total_timeout)"
      raises(function() jobs.list({}, { token = "x" }) end, "unknown option 'token' " .. allowed)
      raises(function() jobs.list({}, { prefetch = 1 }) end,
        "unknown option 'prefetch' " .. allowed)
      raises(function() jobs.list({}, 5) end, "the options must be in a table, not in 5")
    end)

    it("for options of the wrong type", function()
      local raises = misuse.raises
      raises(function() jobs.list({}, { timeout = 0 }) end,
        "option 'timeout' must be a positive number of seconds, not 0")
      raises(function() jobs.list({}, { timeout = "1" }) end,
        "option 'timeout' must be a positive number of seconds, not a string")
      raises(function() jobs.list({}, { connect_timeout = 0 / 0 }) end,
        "option 'connect_timeout' must be a positive number of seconds, not "
          .. tostring(0 / 0))
      raises(function() jobs.list({}, { max_retries = -1 }) end,
        "option 'max_retries' must be a whole number from 0, not -1")
      raises(function() jobs.list({}, { headers = "x: y" }) end,
        "option 'headers' must be a table of header names and values, not a string")
      raises(function() jobs.list({}, { query = { page = 2 } }) end,
        "'page' is a parameter; it cannot be in options.query")
      raises(function() jobs.list({}, { query = { [1] = 2 } }) end,
        "a query parameter's name must be a non-empty string")
      raises(function() jobs.list({}, { query = { a = print } }) end, "query parameter 'a' must be"
        .. " a string, number or boolean, or a sequence of these")
      raises(function() jobs.list({}, { query = { a = { {} } } }) end, "query parameter 'a' must be"
        .. " a string, number or boolean, or a sequence of these")
    end)

    it("for headers that would break the request or the promise about the token", function()
      local raises = misuse.raises
      raises(function() jobs.list({}, { headers = { ["x"] = "a\r\nEvil: yes" } }) end,
        "header 'x' must be a string without control characters")
      raises(function() jobs.list({}, { headers = { ["x"] = "a\0b" } }) end,
        "header 'x' must be a string without control characters")
      raises(function() jobs.list({}, { headers = { ["x"] = {} } }) end,
        "header 'x' must be a string without control characters")
      for _, name in ipairs{ "", "a b", "a:b", "a\r\nb", "a\0", "é", "x " } do
        raises(function() jobs.list({}, { headers = { [name] = "y" } }) end,
          "a header's name must be a string of letters, digits and -")
      end
      raises(function() jobs.list({}, { headers = { "y" } }) end,
        "a header's name must be a string of letters, digits and -")
      raises(function() jobs.list({}, { headers = { Authorization = "Basic x" } }) end,
        "header 'Authorization' cannot be set: use the option 'token'")
      raises(function() jobs.list({}, { headers = { HOST = "x" } }) end,
        "header 'HOST' cannot be set: use the option 'base_url'")
      raises(function() jobs.list({}, { headers = { ["Content-Length"] = 5 } }) end,
        "header 'Content-Length' cannot be set: libcurl sets it")
      raises(function() jobs.list({}, { headers = { ["transfer-encoding"] = "chunked" } }) end,
        "header 'transfer-encoding' cannot be set: libcurl sets it")
    end)

    it("before anything is sent", function()
      pcall(jobs.list, { perpage = 5 })
      pcall(jobs.list, {}, { timeout = 0 })
      assert.equal(0, server:connections().requests)
    end)
  end)
  it("called with a colon says so at the caller's line", function()
    local complaint = "call this with a dot, not with a colon"
    misuse.raises(function() jobs:list() end, complaint)
    misuse.raises(function() jobs:each{ per_page = 5 } end, complaint)
    misuse.raises(function() jobs:retrieve("a") end, complaint)
    misuse.raises(function() jobs:create{} end, complaint)
    misuse.raises(function() gradient:client{} end, complaint)
    misuse.raises(function() client.close() end, "call close with a colon: client:close()")
  end)

  it("does not take a wait that comes back too late for a server that is too slow", function()
    server:set{ latency = 0.02 }
    local waits = 0
    local late = new_client{ timeout = 0.5, max_retries = 0, wait = function(fds, seconds)
      waits = waits + 1
      waiting.poll(waits == 1 and {} or fds, waits == 1 and 0.8 or seconds)
    end }
    local page, response = late.indexing_jobs.list()
    assert.is_table(page, tostring(response))
    assert.equal(1, response.attempts)
  end)

  it("gives up when every wait comes back too late", function()
    server:fault("silent", { forever = true })
    local late = new_client{ timeout = 0.02, max_retries = 0, wait = function()
      waiting.poll({}, 0.05)
    end }
    local page, err = late.indexing_jobs.list()
    assert.is_nil(page)
    assert.equal("timeout", err.kind)
  end)

  it("takes the token out of headers that repeat it", function()
    server:script{ { status = 200, body = '{"jobs":[]}', headers = {
      ["x-echo"] = "Bearer " .. server.token } } }
    local _, response = client.indexing_jobs.list()
    assert.equal("Bearer [token]", response.headers["x-echo"])
  end)

  it("reads an answer in chunks, and no trailer as a header", function()
    local head = "HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\ntrailer: x-b\r\n\r\n"
    local body = 'b\r\n{"jobs":[]}\r\n0\r\nx-b: 2\r\nx-a: 3\r\n\r\n'
    server:script{ { steps = { { send = head .. body } } } }
    local page, response = client.indexing_jobs.list()
    assert.same({ jobs = {} }, page)
    assert.equal("1", response.headers["x-a"])
    assert.is_nil(response.headers["x-b"])
  end)

  it("reads a folded header as one line", function()
    server:script{ { steps = { { send = "HTTP/1.1 200 OK\r\nx-fold: a\r\n  b\r\nx-next: c\r\n"
      .. "content-length: 11\r\n\r\n{\"jobs\":[]}" } } } }
    local _, response = client.indexing_jobs.list()
    assert.matches("^a%s+b$", response.headers["x-fold"])
    assert.equal("c", response.headers["x-next"])
  end)
end)
