--- What an answer says once status and headers are complete, whatever becomes of the rest; and what
--- is in its headers.

local fixture = require "spec.support.fixture"
local gzip = require "spec.server.gzip"

describe("an answer", function()
  local server, new_client = fixture.server{ jobs = 30 }

  -- The bytes of an answer whose headers are these lines.
  local function bytes(status, lines, body)
    return ("HTTP/1.1 %d Reason\r\n%s\r\n\r\n%s"):format(status, table.concat(lines, "\r\n"), body)
  end

  local reason = '{"id":"the_id","message":"The reason."}'

  -- Ways to damage a body: name → header lines and bytes.
  local damages = {
    ["that is said to be gzip, and is not"] = { { "content-encoding: gzip",
      "content-length: " .. #reason }, reason },
    ["of damaged gzip"] = (function()
      local packed = gzip.pack(reason)
      packed = packed:sub(1, #packed - 9) .. "\0" .. packed:sub(#packed - 7)
      return { { "content-encoding: gzip", "content-length: " .. #packed }, packed }
    end)(),
    ["that is cut short"] = { { "content-length: 1000" }, reason },
    ["of which nothing came"] = { { "content-length: 1000" }, "" },
    ["whose chunks do not end"] = { { "transfer-encoding: chunked" },
      ("%x\r\n%s\r\n"):format(#reason, reason) },
    ["whose chunks have no size"] = { { "transfer-encoding: chunked" }, "zz\r\n" .. reason },
    ["of an encoding that nobody knows"] = { { "content-encoding: zip",
      "content-length: " .. #reason }, reason },
  }

  for damage, case in pairs(damages) do
    local function damaged(status, ...)
      local lines = table.move(case[1], 1, #case[1], 1, {})
      table.move({ ... }, 1, select("#", ...), #lines + 1, lines)
      return { steps = { { send = bytes(status, lines, case[2]) }, { close = true } } }
    end

    describe("with a body " .. damage, function()
      it("is no 401 that is tried again", function()
        server:script{ damaged(401, "x-request-id: r-1") }
        local page, err = new_client().indexing_jobs.list()
        assert.is_nil(page)
        assert.same({ "authentication", 401, "r-1", 1 },
          { err.kind, err.status, err.request_id, err.attempts })
        assert.equal(1, server:connections().requests)
      end)

      it("is a 429 that says when to come back", function()
        server:script{ damaged(429, "retry-after: 3") }
        local delays, enough = {}, {}
        local client = new_client{ on_event = function(event)
          if event.type ~= "retry" then return end
          delays[#delays + 1] = event.delay
          error(enough)
        end }
        assert.same({ false, enough }, { pcall(client.indexing_jobs.list) })
        assert.same({ 3 }, delays)
      end)

      it("is a 422 of a POST", function()
        server:script{ damaged(422) }
        local answer, err = new_client().indexing_jobs.create{ knowledge_base_uuid = "k" }
        assert.is_nil(answer)
        assert.same({ "unprocessable_entity", 422, 1 }, { err.kind, err.status, err.attempts })
        assert.equal(1, server:connections().requests)
      end)

      it("is no 200", function()
        server:script{ damaged(200) }
        local page, err = new_client{ max_retries = 0 }.indexing_jobs.list()
        assert.is_nil(page)
        assert.equal("connection", err.kind)
        assert.is_nil(err.status)
      end)
    end)
  end

  it("in the 4xx is as far as it came when its time is over", function()
    server:script{ { steps = { { send = bytes(403, { "content-length: 1000" }, "<p>No") },
      { hang = true } } } }
    local page, err = new_client{ timeout = 0.1 }.indexing_jobs.list()
    assert.is_nil(page)
    assert.same({ "permission_denied", 403, "<p>No", 1 },
      { err.kind, err.status, err.body, err.attempts })
  end)

  it("tells its reason as far as it came, when that is whole", function()
    server:script{ { steps = { { send = bytes(403, { "content-length: 1000" }, reason) },
      { close = true } } } }
    local _, err = new_client().indexing_jobs.list()
    assert.same({ "The reason.", "the_id", reason }, { err.message, err.id, err.body })
  end)

  it("may begin with a byte order mark", function()
    server:script{ { status = 200, body = '\239\187\191{"jobs":[{"uuid":"a"}]}' },
      { status = 403, body = "\239\187\191" .. reason } }
    local jobs = new_client().indexing_jobs
    assert.same({ jobs = { { uuid = "a" } } }, (jobs.list()))
    assert.equal("The reason.", select(2, jobs.list()).message)
  end)

  describe("of a gateway tells its reason", function()
    for body, expected in pairs{
      ['{"code":5,"message":"Not found","details":[]}'] = "Not found",
      ['{"type":"about:blank","title":"Bad gateway","status":502}'] = "Bad gateway",
      ['{"title":"Bad gateway","detail":"No upstream."}'] = "No upstream.",
      ['{"error":"no healthy upstream"}'] = "no healthy upstream",
      ['{"error":{"code":403,"message":"Denied by policy."}}'] = "Denied by policy.",
      ['{"detail":"Method not allowed."}'] = "Method not allowed.",
      ['{"message":"The API\'s own.","error":"other","detail":"other"}'] = "The API's own.",
      ['{"message":"","error":"other"}'] = "other",
      ['{"error":{"message":{}},"title":[]}'] = "the server gave no reason that can be read",
    } do
      it("as " .. body, function()
        server:script{ { status = 404, body = body } }
        local _, err = new_client().indexing_jobs.list()
        assert.equal(expected, err.message)
        assert.is_nil(err.id)
      end)
    end
  end)

  describe("has the headers", function()
    local function headers_of(steps)
      steps[#steps + 1] = { close = true }
      server:script{ { steps = steps } }
      return select(2, assert(new_client{ max_retries = 0 }.indexing_jobs.list()))
    end

    local empty = '{"jobs":[]}'

    it("without the trailer, whatever that begins with", function()
      local response = headers_of{ { send = bytes(200, { "x: 1", "transfer-encoding: chunked" },
        "b\r\n" .. empty .. "\r\n0\r\nHTTP/1.1: 500\r\nx: 2\r\n\r\n") } }
      assert.equal(200, response.status)
      assert.equal("1", response.headers.x)
      assert.is_nil(response.headers["http/1.1"])
    end)

    it("that begin with HTTP/ as any other", function()
      local response = headers_of{ { send = bytes(200, { "x: 1", "HTTP/2: yes", "y: 2",
        "content-length: 11" }, empty) } }
      assert.equal("1", response.headers.x)
      assert.equal("2", response.headers.y)
      assert.equal("yes", response.headers["http/2"])
    end)

    it("of the head after 1xx ones, and of no other", function()
      local response = headers_of{
        { send = "HTTP/1.1 100 Continue\r\nx: 100\r\n\r\n" },
        { send = "HTTP/1.1 103 Early Hints\r\nx: 103\r\nlink: </a>\r\n\r\n" },
        { send = bytes(200, { "y: 2", "content-length: 11" }, empty) },
      }
      assert.same({ nil, nil, "2" },
        { response.headers.x, response.headers.link, response.headers.y })
    end)

    it("of its own, not those of a proxy's answer to CONNECT", function()
      local _, err = new_client{ base_url = "https://localhost:1", proxy = server.url,
        max_retries = 0 }.indexing_jobs.list()
      assert.equal("connection", err.kind)
      assert.is_nil(err.status)
      assert.is_nil(err.headers)
    end)
  end)
end)
