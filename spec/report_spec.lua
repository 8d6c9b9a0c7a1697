--- The report of a job: its signed URL is a secret, and its host gets no token.

local api = require "spec.support.api"
local fixture = require "spec.support.fixture"
local misuse = require "spec.support.misuse"
local program = require "spec.support.program"

local uuid = "123e4567-e89b-12d3-a456-426614174000"
local signature = "0123456789abcdef%2Bsosecret"
local query = "?X-Amz-Expires=900&X-Amz-Signature=" .. signature
local report = "file,status\nindex.pdf,indexed\n"

describe("retrieve_report", function()
  local server, new_client = fixture.server{ jobs = 1 }
  local storage = api.start{ jobs = 0, tokens = {} }
  local place = storage.url .. "/reports/" .. uuid .. ".csv"

  before_each(function() storage:reset() end)
  teardown(function() storage:stop() end)

  -- The server's next answer: the report is there.
  local function announce(url)
    server:script{ { status = 200, body = ('{"signed_url":"%s"}'):format(url) } }
  end

  -- Announces the report and scripts what its host answers.
  local function serve(...)
    announce(place .. query)
    storage:script{ ... }
  end

  local csv = { status = 200, body = report, headers = { ["content-type"] = "text/csv" } }

  it("returns the text", function()
    serve(csv)
    local text, response = new_client().indexing_jobs.retrieve_report(uuid)
    assert.equal(report, text)
    assert.equal(200, response.status)
    assert.equal("text/csv", response.headers["content-type"])
    assert.equal("/v2/gen-ai/indexing_jobs/" .. uuid .. "/details_signed_url",
      server:last_request().target)
    assert.equal("/reports/" .. uuid .. ".csv" .. query, storage:last_request().target)
  end)

  it("returns an empty text, and bytes that are no JSON and no UTF-8", function()
    local client = new_client()
    for _, bytes in ipairs{ "", "\0\xFF{", ("x"):rep(100000) } do
      announce(place)
      storage:script{ { steps = {
        { send = ("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"):format(#bytes) },
        { send = bytes == "\0\xFF{" and "\0" or bytes },
        { send = bytes == "\0\xFF{" and "\xFF{" or "" },
      } } }
      assert.equal(#bytes, #assert(client.indexing_jobs.retrieve_report(uuid)))
    end
    serve{ status = 200, body = report, gzip = true }
    assert.equal(report, client.indexing_jobs.retrieve_report(uuid))
  end)

  it("shows the other host neither the token nor any header of the program's", function()
    serve(csv)
    assert(new_client{
      headers = { ["x-secret"] = "one" }, user_agent = "agent with a secret",
    }.indexing_jobs.retrieve_report(uuid, {
      headers = { ["x-other"] = "two" }, query = { three = "four" },
    }))
    local asked = server:last_request()
    assert.equal("one", asked.headers["x-secret"])
    assert.equal("two", asked.headers["x-other"])
    assert.equal("four", asked.query.three)
    local fetched = storage:last_request()
    local names = {}
    for _, header in ipairs(fetched.header_list) do names[#names + 1] = header[1] end
    table.sort(names)
    assert.same({ "accept", "accept-encoding", "host" }, names)
    assert.equal("GET", fetched.method)
    assert.equal("", fetched.body)
  end)

  it("asks over https only, but on this machine", function()
    for _, url in ipairs{ "http://reports.example.com/x.csv", "http://127.0.0.1.example.com/x",
      "http://user@127.0.0.1@example.com/x", "ftp://127.0.0.1/x.csv", "file:///etc/passwd", "x.csv",
      "http://", "https://", "//127.0.0.1/x.csv" } do
      announce(url .. query)
      local text, err = new_client{ allow_http = true }.indexing_jobs.retrieve_report(uuid)
      assert.is_nil(text)
      assert.equal("connection", err.kind, url)
      assert.equal(0, err.attempts)
      assert.is_nil(err.message:find("sosecret", 1, true))
    end
    assert.equal(0, #storage:requests())
  end)

  it("says why the other host refuses it", function()
    serve{ status = 403, headers = { ["content-type"] = "application/xml" }, body = "<?xml?><Error>"
      .. "<Code>AccessDenied</Code><Message>Request has expired</Message></Error>" }
    local _, err = new_client().indexing_jobs.retrieve_report(uuid)
    assert.equal("permission_denied: Request has expired (HTTP 403, request " .. err.request_id
      .. ")", tostring(err))
  end)

  it("does not follow redirects", function()
    serve{ status = 302, body = "", headers = { location = place .. "?Signature=sosecret2" } }
    local text, err = new_client().indexing_jobs.retrieve_report(uuid)
    assert.is_nil(text)
    assert.equal("status", err.kind)
    assert.equal(302, err.status)
    assert.equal(1, #storage:requests())
    assert.is_nil(err.message:find("sosecret2", 1, true))
    assert.is_nil(err.headers.location:find("sosecret2", 1, true))
  end)

  it("is bounded in time", function()
    announce(place)
    storage:fault("silent", { forever = true })
    local _, err = new_client{ max_retries = 0 }.indexing_jobs.retrieve_report(uuid,
      { timeout = 0.1 })
    assert.equal("timeout", err.kind)
    assert.matches("within 0.1 seconds", err.message, 1, true)
    announce(place)
    _, err = new_client{ max_retries = 5 }.indexing_jobs.retrieve_report(uuid,
      { total_timeout = 0.15 })
    assert.equal("timeout", err.kind)
  end)

  it("has the time that asking for the URL has left of total_timeout", function()
    for _, options in ipairs{ { total_timeout = 60 }, {} } do
      local client = new_client{ total_timeout = options.total_timeout and 5 or 60 }
      local call_elsewhere, left = client.call_elsewhere, nil
      function client.call_elsewhere(self, at, call_options)
        left = call_options.total_timeout
        return call_elsewhere(self, at, call_options)
      end
      server:script{ { status = 200, body = ('{"signed_url":"%s"}'):format(place), delay = 0.05 } }
      storage:script{ csv }
      assert(client.indexing_jobs.retrieve_report(uuid, options))
      assert.is_true(left > 5 and left <= 59.95, left)
    end
  end)

  it("is bounded in size", function()
    serve{ status = 200, body = ("x"):rep(10001) }
    local _, err = new_client{ max_body = 10000 }.indexing_jobs.retrieve_report(uuid)
    assert.equal("connection", err.kind)
    assert.matches("over max_body", err.message, 1, true)
    assert.equal(1, #storage:requests())
  end)

  it("tries again what fails for passing reasons", function()
    serve({ status = 503, headers = { ["retry-after-ms"] = "1" } }, csv)
    local text, response = new_client().indexing_jobs.retrieve_report(uuid)
    assert.equal(report, text)
    assert.equal(2, response.attempts)
    assert.equal(1, #server:requests())
  end)

  it("returns not_found when there is none", function()
    for _, answer in ipairs{ { status = 404 }, { status = 200, body = "{}" } } do
      server:script{ answer }
      local text, err = new_client().indexing_jobs.retrieve_report(uuid)
      assert.is_nil(text)
      assert.equal("not_found", err.kind)
    end
    assert.equal(0, #storage:requests())
  end)

  -- Every text in a value.
  local function texts_in(value, texts, seen)
    texts, seen = texts or {}, seen or {}
    if type(value) ~= "table" or seen[value] then
      texts[#texts + 1] = tostring(value)
      return texts
    end
    seen[value] = true
    texts[#texts + 1] = tostring(value)
    for name, member in pairs(value) do
      texts_in(name, texts, seen)
      texts_in(member, texts, seen)
    end
    return texts
  end

  local function must_keep_secret(value)
    for _, text in ipairs(texts_in(value)) do
      assert.is_nil(text:lower():find("sosecret", 1, true), text)
      assert.is_nil(text:lower():find("0123456789abcdef", 1, true), text)
    end
  end

  it("tells nobody what is behind the path of a URL that cannot be used", function()
    for _, rest in ipairs{ "?X-Signature=with space sosecret", "?a=1\\nsosecret", "#sosecret" } do
      local told = {}
      announce(place .. rest)
      local _, err = new_client{ max_retries = 0, on_event = function(event)
        told[#told + 1] = event
      end }.indexing_jobs.retrieve_report(uuid)
      told[#told + 1] = err
      must_keep_secret(told)
    end
  end)

  it("tells nobody the URL's query", function()
    local told, seen = {}, false
    local client = new_client{ max_retries = 1, on_event = function(event)
      seen = seen or event.url == place .. "?***"
      told[#told + 1] = event
    end }
    local plain = signature:gsub("%%2B", "+")
    for _, steps in ipairs{
      { { status = 403, body = "<Error><Signature>" .. plain .. "</Signature>" .. signature,
        headers = { ["x-request-id"] = signature, location = place .. query,
          ["0123456789abcdef+sosecret"] = "1" } } },
      { { status = 403, body = "SIGNATURE " .. plain:upper() .. " " .. signature:lower() } },
      { { status = 403, body = ("x"):rep(4080) .. plain } },
      { { status = 503, headers = { ["retry-after-ms"] = "1" },
        body = '{"message":"' .. plain .. '"}' }, { steps = { { close = true } } } },
      { { steps = { { close = true } } }, { steps = { { send = "HTTP/1.1 200 OK\r\n" },
        { send = "content-length: 5\r\n\r\nx" }, { close = true } } } },
      { csv },
    } do
      serve(table.unpack(steps))
      local text, response = client.indexing_jobs.retrieve_report(uuid)
      told[#told + 1] = response
      told[#told + 1] = { text and "" or tostring(response) }
    end
    assert.is_true(seen)
    must_keep_secret(told)
  end)

  it("keeps a query without names secret, too, and headers that the URL asks for", function()
    announce(place .. "?0123456789abcdefsosecret&response-content-type=text%2Fcsv")
    storage:script{ { status = 403, body = "0123456789abcdefsosecret", headers = {
      ["content-type"] = "text/csv" } } }
    local _, err = new_client().indexing_jobs.retrieve_report(uuid)
    must_keep_secret(err)
    assert.equal("text/csv", err.headers["content-type"])
  end)

  it("prints it in no log", function()
    serve({ status = 503, headers = { ["retry-after-ms"] = "1" } }, csv)
    local result = program.run([[
      local client = require("gradient").client{}
      io.write(assert(client.indexing_jobs.retrieve_report(os.getenv "JOB")))
    ]], { GRADIENT_LOG = "debug", GRADIENT_BASE_URL = server.url, JOB = uuid,
      DIGITALOCEAN_ACCESS_TOKEN = server.token })
    assert.equal(report, result.output)
    assert.matches("GET " .. place .. "?*** (attempt 2)", result.errors, 1, true)
    must_keep_secret(result.errors)
  end)

  it("says that the client was closed", function()
    local client
    client = new_client{ on_event = function(event)
      if event.type == "response" then client:close() end
    end }
    announce(place)
    local _, err = client.indexing_jobs.retrieve_report(uuid)
    assert.equal("closed", err.kind)
    assert.equal(0, #storage:requests())
  end)

  it("raises at the caller's line for what is no uuid", function()
    local f = new_client().indexing_jobs.retrieve_report
    misuse.raises(function() f() end, "the uuid must be a non-empty string, not nil")
    misuse.raises(function() f(uuid, { colour = 1 }) end, "unknown option 'colour' (expected"
      .. " connect_timeout, headers, max_retries, query, timeout, total_timeout)")
  end)

  it("has the local API server's report of a job, whose host sees no token", function()
    server:set{ duration = 1 }
    local jobs = new_client{ headers = { ["x-secret"] = "one" } }.indexing_jobs
    local base = server:knowledge_bases()[1]
    local job = assert(jobs.create{ knowledge_base_uuid = base }).job
    local text, err = jobs.retrieve_report(job.uuid)
    assert.is_nil(text)
    assert.equal("not_found", err.kind)
    server:advance(2)
    text = assert(jobs.retrieve_report(job.uuid))
    assert.matches("^data_source_uuid,file,status,error\r\n%x+%-", text)
    local log = server:storage_requests()
    assert.equal(1, #log)
    for name, value in pairs(log[1].headers) do
      assert.is_nil(value:find(server.token, 1, true), name)
    end
    assert.is_nil(log[1].headers["x-secret"])
    assert.is_nil(log[1].headers.authorization)
  end)
end)
