--- What becomes of every fault of network, protocol and body; no call outlasts its time-out.

local api = require "spec.support.api"
local fixture = require "spec.support.fixture"
local gzip = require "spec.server.gzip"
local nginx = require "spec.support.nginx"
local tls = require "spec.support.tls"

-- No fault may take longer than this, whatever the time-out of the client is. Generous: the machine
-- may be busy, and the core slow under a sanitizer.
local longest = 10

local any_words = "%w"

describe("fault", function()
  local server, new_client = fixture.server{ jobs = 30 }
  local started

  before_each(function() started = os.time() end)
  after_each(function() assert.is_true(os.time() - started <= longest) end)

  -- What a client without retries gets. Its time-out is long, unless a fault is about that.
  local function list(options)
    local all = { timeout = 60, max_retries = 0 }
    for name, value in pairs(options or {}) do all[name] = value end
    local client <close> = new_client(all)
    local page, response = client.indexing_jobs.list()
    return page, response
  end

  -- `message` is a pattern for our own words. Those of libcurl change from one version to the next:
  -- for them, it is any_words.
  local function assert_error(kind, message, page, err)
    assert.is_nil(page)
    assert.equal("gradient.error", getmetatable(err).__name)
    assert.equal(kind, err.kind)
    assert.matches(message, err.message)
    return err
  end

  -- The error of one request that the server answers like this, alone and within an iteration:
  -- whatever page it happens on, no part of that page is delivered.
  local function assert_fault(kind, message, name, fault, options)
    fault = fault or {}
    options = options or {}
    server:fault(name, fault)
    local err = assert_error(kind, message, list(options))
    assert.equal(0, server:pending())
    assert.equal(1, err.attempts)

    fault.match, fault.times = { page = 2 }, 2 -- a connection that was used has a second chance
    server:fault(name, fault)
    local client <close> = new_client{
      timeout = options.timeout or 60, max_retries = 0, max_body = options.max_body,
    }
    local count = 0
    local ok, raised = pcall(function()
      for _ in client.indexing_jobs.each{ per_page = 10 } do count = count + 1 end
    end)
    assert.is_false(ok)
    assert_error(kind, message, nil, raised)
    assert.equal(10, count)
    return err
  end

  describe("of the network:", function()
    it("a refused connection", function()
      local nowhere <close> = api.refused()
      local err = assert_error("connection", any_words, list{ base_url = nowhere.url })
      assert.matches(nowhere.url:match("%d+$"), err.message, 1, true)
    end)

    it("a connection that is never made", function()
      local nowhere <close> = api.unreachable()
      assert_error("timeout", any_words, list{ base_url = nowhere.url, connect_timeout = 0.1 })
      assert_error("timeout", any_words, list{ base_url = nowhere.url, timeout = 0.1 })
    end)

    it("a host that has no address", function()
      -- no name server is asked: a label has 63 characters at the most
      local host = ("a"):rep(64) .. ".invalid"
      assert_error("connection", host, list{ base_url = "https://" .. host })
    end)

    it("a server that accepts and says nothing", function()
      assert_fault("timeout", any_words, "silent", {}, { timeout = 0.1 })
    end)

    it("a connection that is closed instead of an answer", function()
      assert_fault("connection", any_words, "close")
    end)

    it("a connection that is reset instead of an answer", function()
      assert_fault("connection", any_words, "reset")
    end)
  end)

  describe("of an answer that breaks off:", function()
    for _, finish in ipairs{ "close", "reset" } do
      it("in the status line, with a " .. finish, function()
        assert_fault("connection", any_words, "half_status_line", { finish = finish })
      end)

      it("in the headers, with a " .. finish, function()
        assert_fault("connection", any_words, "half_headers", { finish = finish })
      end)

      it("in the body, with a " .. finish, function()
        assert_fault("connection", any_words, "half_body", { finish = finish })
      end)

      it("in the body of which one byte is missing, with a " .. finish, function()
        assert_fault("connection", any_words, "length_too_long", { finish = finish, by = 1 })
      end)
    end

    for _, name in ipairs{ "half_status_line", "half_headers", "half_body" } do
      it("into silence: " .. name, function()
        assert_fault("timeout", any_words, name, { finish = "hang" },
          { timeout = 0.1 })
      end)
    end

    it("headers that come one byte after the other", function()
      assert_fault("timeout", any_words, "slow_headers",
        { every = 0.01 }, { timeout = 0.1 })
    end)

    it("a body that comes one byte after the other", function()
      local err = assert_fault("timeout", any_words, "slow_body",
        { every = 0.01 }, { timeout = 0.1 })
      assert.is_nil(err.status)
      assert.is_nil(err.body)
    end)
  end)

  describe("of length and framing:", function()
    it("Content-Length too long", function()
      assert_fault("connection", any_words, "length_too_long")
    end)

    it("Content-Length too short", function()
      assert_fault("decode", "end of the text at byte %d+", "length_too_short")
    end)

    it("Content-Length negative", function()
      assert_fault("connection", any_words, "negative_length")
    end)

    it("two different Content-Lengths", function()
      server:fault "two_lengths"
      local page, err = list()
      assert.is_nil(page)
      assert.is_true(err.kind == "connection" or err.kind == "decode")
    end)

    it("chunks without their end", function()
      assert_fault("connection", any_words, "chunked_without_end")
    end)

    it("a chunk whose size is no number", function()
      assert_fault("connection", any_words, "bad_chunk")
    end)

    it("1 MB of headers", function()
      assert_fault("connection", "headers are over 262144 bytes", "huge_headers")
    end)

    it("one header of 1 MB", function()
      local err = assert_fault("connection", "a header line of the answer is over 100 KiB",
        "huge_headers", { single = true })
      assert.equal(1, err.attempts)
    end)
  end)

  describe("of compression:", function()
    it("gzip that is none", function()
      assert_fault("connection", any_words, "broken_gzip")
    end)

    it("gzip with a wrong byte", function()
      assert_fault("connection", any_words, "damaged_gzip")
    end)

    it("gzip that ends too early", function()
      assert_fault("decode", "end of the text at byte %d+", "cut_gzip")
    end)

    it("gzip with something behind it", function()
      local zipped = gzip.pack('{"jobs":[]}') .. "trash"
      local head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
      server:script{ { times = 3, steps = { { send = head:format(#zipped) .. zipped } } } }
      local err = assert_error("connection", "compression", list())
      assert.equal(1, err.attempts)
    end)

    it("an encoding that nobody knows", function()
      assert_fault("connection", any_words, "unknown_encoding")
    end)

    for _, layers in ipairs{ 1, 2 } do
      it(("a bomb of 1 GiB in %d layers, stopped at max_body"):format(layers), function()
        assert_fault("connection", "over max_body %(1000000 bytes%)", "gzip_bomb",
          { layers = layers }, { max_body = 1000000 })
      end)
    end

    it("a bomb, stopped at the 64 MiB that max_body is by default", function()
      server:fault("gzip_bomb", { layers = 2 })
      assert_error("connection", "over max_body %(67108864 bytes%)", list())
    end)
  end)

  describe("of the protocol:", function()
    it("HTTP/0.9, a body without a head", function()
      assert_fault("connection", any_words, "http09")
    end)

    it("something else than HTTP", function()
      assert_fault("connection", any_words, "not_http")
    end)

    it("HTTP/1.0 is none", function()
      server:fault "http10"
      local page, response = list()
      assert.same({ jobs = {}, meta = { page = 1, pages = 1, total = 0 } }, page)
      assert.equal(200, response.status)
    end)

    it("1xx before the answer is none, and leaves no trace", function()
      server:fault "interim"
      local page, response = list()
      assert.equal(20, #page.jobs)
      assert.equal(200, response.status)
      assert.is_nil(response.headers.link)
    end)

    it("1xx without an answer", function()
      server:script{ { steps = { { send = "HTTP/1.1 103 Early Hints\r\n\r\n" },
        { close = true } } } }
      assert_error("connection", any_words, list())
    end)

    it("204", function()
      assert_fault("decode", "end of the text at byte 1", "no_content")
    end)

    it("304", function()
      local err = assert_fault("status", "gave no reason", "not_modified")
      assert.equal(304, err.status)
    end)
  end)

  describe("of a redirect:", function()
    for _, status in ipairs{ 301, 302, 303, 307, 308 } do
      it(status .. " to another host, which never sees us", function()
        local other <close> = api.start{ jobs = 30 }
        local location = other.url .. "/v2/gen-ai/indexing_jobs"
        local err = assert_fault("status", "redirects to " .. location:gsub("%p", "%%%0"),
          "redirect", { status = status, location = location })
        assert.equal(status, err.status)
        assert.equal(location, err.headers.location)
        assert.equal(0, other:connections().accepted)
      end)
    end

    it("302 to the same host is not followed either", function()
      server:fault("redirect", { location = server.url .. "/v2/gen-ai/indexing_jobs" })
      assert_error("status", "redirects to", list())
      assert.equal(1, server:connections().requests)
    end)
  end)

  describe("of a body that is no list:", function()
    for name, message in pairs{
      html = "the answer is text/html, not JSON: .* at byte 1$",
      empty = "end of the text at byte 1$",
      null = "expected an object.*at byte 1$",
      array = "expected an object.*at byte 1$",
      string = "expected an object.*at byte 1$",
      number = "expected an object.*at byte 1$",
      jobs_object = "expected an array.*at byte 10$",
      jobs_string = "expected an array.*at byte 10$",
      jobs_of_scalars = "expected an object.*at byte 11$",
      half_json = "end of the text at byte 43$",
      deep = "at byte %d+$",
    } do
      it(name, function()
        local err = assert_fault("decode", message, name)
        assert.equal(200, err.status)
        assert.is_string(err.body)
      end)
    end

    for _, name in ipairs{ "empty_object", "jobs_null" } do
      it(name .. " is one: an empty list", function()
        server:fault(name)
        assert.same({ jobs = {} }, (list()))
      end)
    end

    for body, offset in pairs{
      ['{"jobs":[{}],"jobs":5}'] = 21, ['{"jobs":[{}]} x'] = 15, ['{"jobs":[{}],}'] = 14,
      ['{"jobs":[{},null]}'] = 13,
    } do
      it(body .. " is none", function()
        local err = assert_fault("decode", "at byte " .. offset .. "$", "body", { text = body })
        assert.equal(body, err.body)
      end)
    end
  end)

  describe("of TLS:", function()
    -- What comes of a request to a front end like this, with the right CA unless told otherwise.
    local function list_over(front_options, options)
      local front <close> = tls.start(server, front_options)
      local all = { base_url = front.url, ca_file = front.ca_file, proxy = "" }
      for name, value in pairs(options or {}) do all[name] = value or nil end
      if options and options.ca_file == false then all.ca_file = nil end
      return list(all)
    end

    it("none with the right ca_file", function()
      local page, response = list_over()
      assert.equal(20, #page.jobs)
      assert.equal(200, response.status)
    end)

    it("none without HTTP/2", function()
      assert.equal(20, #list_over{ http2 = false }.jobs)
    end)

    for name, certificate in pairs{
      ["a wrong host"] = "wrong_host",
      ["an expired certificate"] = "expired",
      ["a certificate that is signed by itself"] = "self_signed",
      ["an unknown CA"] = "unknown_ca",
    } do
      it(name .. ", which nobody tries again", function()
        local err = assert_error("connection", any_words,
          list_over({ certificate = certificate }, { max_retries = 2 }))
        assert.equal(1, err.attempts)
        assert.equal(0, server:connections().requests)
      end)
    end

    it("a CA that is known only with ca_file", function()
      assert_error("connection", any_words, list_over({}, { ca_file = false }))
      assert.equal(0, server:connections().requests)
    end)

    it("a ca_file that is not there", function()
      local err = assert_error("connection", "/nowhere/ca.pem",
        list_over({}, { ca_file = "/nowhere/ca.pem", max_retries = 2 }))
      assert.equal(1, err.attempts)
    end)

    it("a protocol from the past", function()
      assert_error("connection", any_words, list_over{ protocols = "TLSv1.1" })
      assert.equal(0, server:connections().requests)
    end)

    it("a server that does not understand it", function()
      local site <close> = nginx.static("README.md")
      assert_error("connection", any_words, list{ base_url = site.url:gsub("^http:", "https:") })
    end)

    it("a server that speaks nothing else", function()
      local front <close> = tls.start(server)
      local err = assert_error("bad_request", any_words,
        list{ base_url = front.url:gsub("^https:", "http:"), proxy = "" })
      assert.equal(400, err.status)
    end)
  end)

  describe("of a proxy:", function()
    it("one that refuses connections", function()
      local nowhere <close> = api.refused()
      for _, scheme in ipairs{ "http", "https" } do
        assert_error("connection", any_words,
          list{ base_url = scheme .. "://localhost:1", proxy = nowhere.url })
      end
    end)

    it("one that refuses the tunnel", function()
      assert_error("connection", any_words, list{ base_url = "https://localhost:1",
        proxy = server.url })
      local requests = server:requests()
      assert.equal(1, #requests)
      assert.equal("CONNECT", requests[1].method)
      assert.is_nil(requests[1].headers.authorization)
    end)

    it("one that wants to know who we are", function()
      server:script{ { status = 407, body = "" } }
      local err = assert_error("status", any_words, list{ base_url = "http://127.0.0.1:1",
        proxy = server.url })
      assert.equal(407, err.status)
    end)

    it("one that does not exist", function()
      local host = ("a"):rep(64) .. ".invalid"
      assert_error("connection", host,
        list{ base_url = "https://localhost:1", proxy = "http://" .. host })
    end)
  end)
end)
