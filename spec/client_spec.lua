--- Clients: options, environment, the token's secrecy, closing, and use by many coroutines.

local api = require "spec.support.api"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local mime = require "mime"
local misuse = require "spec.support.misuse"
local program = require "spec.support.program"
local waiting = require "spec.support.waiting"

-- As hard to guess as a real one, and nowhere else in this process.
local token = "dop_v1_" .. ("0123456789abcdef"):rep(4)

describe("client", function()
  local server, new_client = fixture.server{ jobs = 30, tokens = { token } }

  local function new(options)
    options = options or {}
    options.max_retries = options.max_retries or 0
    return new_client(options)
  end

  -- What a program prints that begins with a client from the environment.
  local function printed(text, environment)
    local result = program.run([[local gradient = require "gradient"
      local list = gradient.indexing_jobs.list ]] .. text, environment)
    assert.equal("", result.errors)
    assert.equal(0, result.status)
    return result.output
  end

  describe("options", function()
    it("that are unknown raise at the caller's line", function()
      misuse.raises(function() gradient.client{ tokn = "x" } end,
        "unknown option 'tokn' (expected allow_http, base_url, ca_file, connect_timeout,"
          .. " headers, keep_nulls, max_body, max_retries, on_event, proxy, timeout, token,"
          .. " total_timeout, user_agent, wait)")
      misuse.raises(function() gradient.client("x") end,
        "the options must be in a table, not in a string")
    end)

    it("of the wrong type raise at the caller's line", function()
      for name, case in pairs{
        token = { 5, "a non-empty string, not 5" },
        base_url = { {}, "a string, not a table" },
        timeout = { 0, "a positive number of seconds, not 0" },
        connect_timeout = { "5", "a positive number of seconds, not a string" },
        max_retries = { 1.5, "a whole number from 0, not 1.5" },
        headers = { "x", "a table of header names and values, not a string" },
        user_agent = { false, "a string, not a boolean" },
        proxy = { 5, "a string, not 5" },
        ca_file = { {}, "a string, not a table" },
        allow_http = { 1, "true or false, not 1" },
        max_body = { 0, "a whole number from 1, not 0" },
        keep_nulls = { "no", "true or false, not a string" },
        on_event = { "print", "a function, not a string" },
        wait = { {}, "a function, not a table" },
      } do
        misuse.raises(function() gradient.client{ [name] = case[1] } end,
          ("option '%s' must be %s"):format(name, case[2]))
      end
    end)

    it("that would break a header raise, and do not tell the token", function()
      for _, bad in ipairs{ "", "a b", "secret\r\nEvil: yes", "secret\0", "sécret", "secret\t" } do
        misuse.raises(function() gradient.client{ token = bad } end, "option 'token' must "
          .. (bad == "" and "be a non-empty string, not an empty string"
            or "not contain spaces, line ends or other characters that no token has"))
      end
      misuse.raises(function() gradient.client{ user_agent = "a\r\nEvil: yes" } end,
        "option 'user_agent' must not contain control characters")
      misuse.raises(function() gradient.client{ headers = { x = "a\nEvil: yes" } } end,
        "header 'x' must be a string without control characters")
      misuse.raises(function() gradient.client{ headers = { authorization = "x" } } end,
        "header 'authorization' cannot be set: use the option 'token'")
    end)

    it("base_url must be an http or https URL without credentials, query and fragment", function()
      for url, complaint in pairs{
        ["ftp://example.com"] = "must begin with https:// or http://",
        ["file:///etc/passwd"] = "must begin with https:// or http://",
        ["https://example.com/?a=b"] = "must have no query and no fragment",
        ["https://example.com/#a"] = "must have no query and no fragment",
      } do
        misuse.raises(function() gradient.client{ base_url = url } end,
          "option 'base_url' " .. complaint)
      end
      for _, url in ipairs{ "", "example.com", "//example.com", "https://", "https://a b/",
        "https://user:secret@example.com" } do
        local ok, message = pcall(gradient.client, { base_url = url })
        assert.is_false(ok)
        assert.matches("option 'base_url' must be an absolute http or https URL", message, 1, true)
        assert.not_matches("secret", message, 1, true)
      end
    end)

    it("user_agent and headers are sent", function()
      local client <close> = new{ user_agent = "mine/1.0", headers = { ["X-Team"] = "a team" } }
      assert(client.indexing_jobs.list())
      assert.equal("mine/1.0", server:last_request().headers["user-agent"])
      assert.equal("a team", server:last_request().headers["x-team"])
    end)

    it("proxy is asked for a plain http URL", function()
      local client <close> = new{ base_url = "http://127.0.0.1:1", proxy = server.url }
      assert(client.indexing_jobs.list())
      assert.equal("http://127.0.0.1:1/v2/gen-ai/indexing_jobs", server:last_request().target)
    end)

    it("max_body bounds an answer to the byte", function()
      local body = '{"jobs":[]}'
      for max_body, fits in pairs{ [#body] = true, [#body - 1] = false } do
        server:script{ { status = 200, body = body } }
        local client <close> = new{ max_body = max_body }
        local page, err = client.indexing_jobs.list()
        assert.equal(fits, page ~= nil)
        if not fits then
          assert.equal("connection", err.kind)
          assert.equal("the answer is over max_body (10 bytes)", err.message)
        end
      end
    end)

    it("timeout is for one attempt, and a call's own goes before the client's", function()
      local client <close> = new{ timeout = 30 }
      server:fault "silent"
      local page, err = client.indexing_jobs.list({}, { timeout = 0.05 })
      assert.is_nil(page)
      assert.equal("timeout", err.kind)
      assert.equal(1, err.attempts)
    end)

    it("may be callable tables", function()
      local events = {}
      local client <close> = new{
        wait = setmetatable({}, { __call = function(_, ...) return waiting.poll(...) end }),
        on_event = setmetatable({}, { __call = function(_, event)
          events[#events + 1] = event
        end }),
      }
      assert(client.indexing_jobs.list())
      assert.equal(2, #events)
    end)

    it("are read once", function()
      local headers = { ["x-a"] = "1" }
      local options = { base_url = server.url, token = token, headers = headers }
      local client <close> = gradient.client(options)
      headers["x-a"], options.token = "2", "other"
      assert(client.indexing_jobs.list())
      assert.equal("1", server:last_request().headers["x-a"])
    end)
  end)

  describe("environment", function()
    local answer = [[ local page, err = list() print(page and #page.jobs or err) ]]

    it("gives the default client token and base URL", function()
      assert.equal("20\n", printed(answer, {
        DIGITALOCEAN_ACCESS_TOKEN = token, GRADIENT_BASE_URL = server.url .. "/",
      }))
      assert.equal("20\n", printed(answer, {
        DIGITALOCEAN_TOKEN = token, GRADIENT_BASE_URL = server.url,
      }))
    end)

    it("prefers DIGITALOCEAN_ACCESS_TOKEN, and takes an empty variable for none", function()
      assert.equal("20\n", printed(answer, {
        DIGITALOCEAN_ACCESS_TOKEN = token, DIGITALOCEAN_TOKEN = "x", GRADIENT_BASE_URL = server.url,
      }))
      assert.equal("20\n", printed(answer, {
        DIGITALOCEAN_ACCESS_TOKEN = "", DIGITALOCEAN_TOKEN = token, GRADIENT_BASE_URL = server.url,
      }))
      assert.equal("https://api.digitalocean.com\n", printed(
        [[ print((tostring(gradient.client()):match("https.*"))) ]], { GRADIENT_BASE_URL = "" }))
    end)

    it("is overruled by options", function()
      assert.equal("20\n", printed(([[
        local client = gradient.client{ token = %q, base_url = %q }
        print(#assert(client.indexing_jobs.list()).jobs)
      ]]):format(token, server.url), {
        DIGITALOCEAN_ACCESS_TOKEN = "x", GRADIENT_BASE_URL = "http://127.0.0.1:1",
      }))
    end)

    it("without a token gives an authentication error, and sends nothing", function()
      assert.equal("authentication: there is no token: set DIGITALOCEAN_ACCESS_TOKEN, or the option"
        .. " 'token' of gradient.client\n", printed(answer, { GRADIENT_BASE_URL = server.url }))
      assert.equal("authentication\t0\n", printed(
        [[ local ok, err = pcall(function() for _ in gradient.indexing_jobs.each() do end end)
           print(err.kind, err.attempts) ]], { GRADIENT_BASE_URL = server.url }))
      assert.equal(0, server:connections().requests)
    end)

    it("with a token that cannot be one is an authentication error, and nothing is sent", function()
      local output = printed([[ local _, err = list() print(err.kind, err.message) ]],
        { DIGITALOCEAN_ACCESS_TOKEN = "secret\n", GRADIENT_BASE_URL = server.url })
      assert.equal("authentication\tDIGITALOCEAN_ACCESS_TOKEN must not contain spaces, line ends or"
        .. " other characters that no token has\n", output)
      assert.equal(0, server:connections().requests)
    end)

    it("with a base URL that is none raises where the client is first used", function()
      for variable, complaint in pairs{
        GRADIENT_BASE_URL = "GRADIENT_BASE_URL must begin with https:// or http://",
      } do
        local text = [[ print(select(2, pcall(function()
          local _ = list() end))) ]]
        local output = printed(text, { [variable] = "gopher://bad secret" })
        assert.matches("program%.lua:3: ", output)
        assert.matches(complaint:match("^%w+_%w+"), output, 1, true)
        assert.not_matches("secret", output, 1, true)
        output = printed(text, { [variable] = "gopher://secret/" .. "\1" })
        assert.not_matches("secret", output, 1, true)
      end
    end)

    it("is not read before a client is made", function()
      assert.equal("function\n", printed([[ print(type(list)) ]],
        { DIGITALOCEAN_TOKEN = "b a d", GRADIENT_BASE_URL = "nonsense" }))
    end)

    it("has no say in a proxy for this machine itself", function()
      assert.equal("20\n", printed(answer, {
        DIGITALOCEAN_TOKEN = token, GRADIENT_BASE_URL = server.url,
        http_proxy = "http://127.0.0.1:1", all_proxy = "http://127.0.0.1:1",
      }))
    end)
  end)

  describe("close", function()
    it("answers every later call with an error of kind closed", function()
      local client = new()
      assert(client.indexing_jobs.list())
      client:close()
      client:close()
      local page, err = client.indexing_jobs.list()
      assert.is_nil(page)
      assert.equal("closed", err.kind)
      assert.equal("closed: the client was closed", tostring(err))
      assert.equal(0, err.attempts)
      local ok, raised = pcall(function() for _ in client.indexing_jobs.each() do end end)
      assert.is_false(ok)
      assert.equal("closed", raised.kind)
      assert.equal(1, server:connections().requests)
    end)

    it("ends the connections at once", function()
      local client = new()
      assert(client.indexing_jobs.list())
      assert.equal(1, server:connections().open)
      client:close()
      server:await{ open = 0 }
    end)

    it("is what the end of a scope does", function()
      local outer
      do
        local client <close> = new()
        outer = client
        assert(client.indexing_jobs.list())
      end
      server:await{ open = 0 }
      assert.equal("closed", select(2, outer.indexing_jobs.list()).kind)
    end)

    it("is what collection does", function()
      local client = gradient.client{ base_url = server.url, token = token }
      assert(client.indexing_jobs.list())
      client = nil
      collectgarbage()
      collectgarbage()
      server:await{ open = 0 }
      assert.is_nil(client)
    end)

    it("keeps still checking arguments", function()
      local client = new()
      client:close()
      misuse.raises(function() client.indexing_jobs.list{ perpage = 1 } end,
        "unknown parameter 'perpage' (expected page, per_page)")
    end)

    it("in the middle of an iteration ends it with an error of kind closed", function()
      local client = new()
      local ok, err = pcall(function()
        for _ in client.indexing_jobs.pages{ per_page = 10 } do client:close() end
      end)
      assert.is_false(ok)
      assert.equal("closed", err.kind)
      server:await{ open = 0, in_progress = 0 }
    end)

    for _, type in ipairs{ "request", "response", "retry", "error" } do
      it("from within on_event, at a " .. type .. ", ends the call without a wait", function()
        local started, client, closed_at = os.time(), nil, nil
        client = new{ max_retries = 1, on_event = function(event)
          if event.type == type then
            closed_at = closed_at or event.attempt
            client:close()
          end
        end, wait = function(fds, seconds)
          assert.is_nil(closed_at)
          waiting.poll(fds, seconds)
        end }
        server:script{ {
          status = type == "error" and 404 or 500, headers = { ["retry-after"] = "50" },
        } }
        local page, err = client.indexing_jobs.list()
        assert.is_nil(page)
        assert.equal(type == "error" and "not_found" or "closed", err.kind)
        assert.equal(1, closed_at)
        assert.equal(1, err.attempts)
        assert.is_true(os.time() - started < 20)
        server:await{ open = 0 }
      end)
    end

    it("from within wait ends the call that waits", function()
      local client
      client = new{ wait = function() client:close() end }
      server:fault "silent"
      local page, err = client.indexing_jobs.list()
      assert.is_nil(page)
      assert.equal("closed", err.kind)
      assert.equal(1, err.attempts)
      server:await{ open = 0 }
    end)

    it("from a finalizer, just before there would be a wait, ends the call", function()
      local client = new{ wait = function() error "there is nothing to wait for any more" end }
      local inner = client.core
      client.core = setmetatable({
        lend = function(_, ...)
          client:close() -- the collector may run when there are tables to make
          return inner:lend(...)
        end,
      }, { __index = function(_, name)
        return function(_, ...) return inner[name](inner, ...) end
      end })
      server:fault "silent"
      assert.equal("closed", select(2, client.indexing_jobs.list()).kind)
      server:await{ open = 0 }
    end)

    it("ends the calls of other coroutines", function()
      local client = new{ wait = coroutine.yield }
      local kinds = {}
      local function call()
        local _, err = client.indexing_jobs.list()
        kinds[#kinds + 1] = err.kind
      end
      server:script{ { steps = { { hang = true } }, times = 2 } }
      waiting.together{ call, call, function()
        while server:connections().requests < 2 do coroutine.yield({}, 0.001) end
        client:close()
      end }
      assert.same({ "closed", "closed" }, kinds)
      server:await{ open = 0 }
    end)
  end)

  it("is usable again after an error", function()
    local client <close> = new()
    -- twice: a connection that was used before is given a second chance at once
    server:script{ { status = 500 }, { steps = { { reset = true } }, times = 2 }, { body = "x" } }
    for _, kind in ipairs{ "server", "connection", "decode" } do
      assert.equal(kind, select(2, client.indexing_jobs.list()).kind)
    end
    assert(client.indexing_jobs.list())
  end)

  it("serves many coroutines at the same time", function()
    server:set{ latency = 0.3 } -- enough for all of them to arrive
    local client <close> = new{ wait = coroutine.yield }
    local calls, answers = {}, 0
    for page = 1, 20 do
      calls[page] = function()
        assert.equal(page, assert(client.indexing_jobs.list{ page = page }).meta.page)
        answers = answers + 1
      end
    end
    waiting.together(calls)
    assert.equal(20, answers)
    assert.is_true(server:connections().busiest > 10, server:connections().busiest)
  end)

  describe("in a host", function()
    -- Everything that a client does, with one request that fails in passing and one that does not.
    local work = [[
      local events = {}
      local client = gradient.client{ token = TOKEN, base_url = URL, on_event = function(event)
        events[event.type] = true
      end }
      local count = 0
      for _ in client.indexing_jobs.each({ per_page = 4 }, { prefetch = 3 }) do
        count = count + 1
      end
      print(count)
      local _, err = client.indexing_jobs.list({}, { headers = { ["x-one"] = "1" } })
      print(err.kind, err.message, err.status)
      print(events.request, events.response, events.retry, events.error)
      client:close()
      print((select(2, client.indexing_jobs.list())))
    ]]

    local function assert_works(before, after)
      server:script{ { match = { page = 2 }, status = 503, headers = { ["retry-after-ms"] = "1" } },
        { skip = 8, status = 401 } }
      assert.equal("30\nauthentication\tUnable to authenticate you.\t401\n"
        .. "true\ttrue\ttrue\ttrue\nclosed: the client was closed\n",
        (program.run(("TOKEN, URL = %q, %q "):format(token, server.url) .. before
          .. ' local gradient = require "gradient" ' .. after .. work).output))
    end

    it("works without os, io and debug", function()
      assert_works("os, io, debug, coroutine, utf8 = nil", "")
    end)

    it("works when there is no way to load anything any more", function()
      assert_works("", "require, package, load, loadfile, dofile, os, io = nil")
    end)

    it("leaves math.random to the program", function()
      server:script{ { status = 503, headers = { ["retry-after-ms"] = "1" }, times = 2 } }
      local client <close> = new{ max_retries = 2 }
      local expected, found = {}, {}
      for _, numbers in ipairs{ expected, found } do
        math.randomseed(7)
        for position = 1, 3 do
          if numbers == found then assert(client.indexing_jobs.list()) end
          numbers[position] = math.random(1 << 30)
        end
      end
      assert.same(expected, found)
    end)

    it("leaves no connection to a program that was started meanwhile", function()
      server:set{ latency = 0.1 } -- so that there is something to wait for
      local other
      local client = new{ wait = function(fds, seconds)
        other = other or io.popen("cat", "w") -- which lives on
        waiting.poll(fds, seconds)
      end }
      assert(client.indexing_jobs.list())
      client:close()
      server:await{ open = 0 }
      other:close()
    end)
  end)

  describe("with a coroutine that is given up in the middle of a call", function()
    local client, thread

    before_each(function()
      client = new{ wait = coroutine.yield }
      server:fault "silent"
      thread = coroutine.create(client.indexing_jobs.list)
      repeat
        local _, fds = assert(coroutine.resume(thread))
        waiting.poll(fds, 0.001)
      until server:connections().requests == 1
    end)

    after_each(function()
      thread = nil
      collectgarbage()
      collectgarbage()
    end)

    it("ends the request when the coroutine is closed", function()
      assert(coroutine.close(thread))
      server:await{ in_progress = 0 }
      client:close()
      server:await{ open = 0 }
    end)

    it("ends the request when the coroutine is collected", function()
      thread = nil
      collectgarbage()
      collectgarbage()
      server:await{ in_progress = 0 }
      waiting.together{ function() assert(client.indexing_jobs.list()) end }
      client:close()
      server:await{ open = 0, timeout = 1 }
    end)

    it("can be closed", function()
      client:close()
      assert.equal("closed", select(2, client.indexing_jobs.list()).kind)
    end)
  end)

  describe("token", function()
    it("is not in tostring", function()
      local client <close> = new()
      assert.equal("gradient.client: " .. server.url, tostring(client))
      client:close()
      assert.equal("gradient.client: " .. server.url .. " (closed)", tostring(client))
    end)

    -- Everything of an error, headers and all, as text.
    local function text_of(value)
      if type(value) ~= "table" then return tostring(value) end
      local parts = { tostring(value) }
      for name, field in pairs(value) do
        parts[#parts + 1] = text_of(name)
        parts[#parts + 1] = text_of(field)
      end
      return table.concat(parts, "\n")
    end

    it("is in no error, and in no event, although the server tells it", function()
      local told = ('{"id":"%s","message":"bad token %s!","request_id":"%s"}'):gsub("%%s", token)
      local headers = { ["x-told"] = "Bearer " .. token, ["x-request-id"] = token }
      local texts = {}
      local client <close> = new{ max_retries = 1, on_event = function(event)
        texts[#texts + 1] = text_of(event)
      end }
      headers["retry-after-ms"] = "0"
      server:script{
        { status = 401, headers = headers, body = told },
        { status = 500, headers = headers, body = told },
        { status = 500, headers = headers, body = "<p>" .. token },
        { status = 200, headers = headers, body = "not JSON: " .. token },
        { status = 200, headers = { ["content-type"] = token }, body = "not JSON" },
      }
      for _, kind in ipairs{ "authentication", "server", "decode", "decode" } do
        local _, err = client.indexing_jobs.list()
        assert.equal(kind, err.kind)
        texts[#texts + 1] = text_of(err)
      end
      assert.equal("bad token [token]!", select(2, (function()
        server:script{ { status = 401, body = told } }
        return client.indexing_jobs.list()
      end)()).message)
      for _, text in ipairs(texts) do assert.not_matches(token, text, 1, true) end
    end)

    for name, form in pairs{
      [""] = token, [" in base64"] = (mime.b64(token)),
      [" percent-encoded"] = (token:gsub("_", "%%5F")),
    } do
      it("is not in the part of a body that an error keeps, wherever it is cut" .. name, function()
        local client <close> = new()
        for _, before in ipairs{ 0, 4090, 4096 - #form, 4096 - #form + 1, 4095 } do
          local body = ("x"):rep(before) .. form .. ("y"):rep(5000)
          server:script{ { status = 400, body = body }, { status = 200, body = body } }
          for _ = 1, 2 do
            local _, err = client.indexing_jobs.list()
            assert.is_true(#err.body <= 4096, #err.body)
            assert.is_true(#err.body >= 4000, #err.body)
            assert.is_nil(err.body:find(form:sub(1, 4), 1, true))
          end
        end
      end)
    end

    it("is not in the log", function()
      for _, level in ipairs{ "info", "debug" } do
        server:script{
          { status = 500, headers = { ["retry-after-ms"] = "0", ["x-request-id"] = token } },
          { status = 404, body = ('{"message":"%s"}'):format(token) },
        }
        local result = program.run([[require "gradient".indexing_jobs.list()]],
          { DIGITALOCEAN_TOKEN = token, GRADIENT_BASE_URL = server.url, GRADIENT_LOG = level })
        assert.matches("not_found: [token] (HTTP 404", result.errors, 1, true)
        assert.not_matches(token, result.errors, 1, true)
      end
    end)

    it("is in no table that Lua can reach, at any moment", function()
      server:script{ { status = 500, headers = { ["retry-after-ms"] = "1" } } }
      local result = program.run([[
        local gradient = require "gradient"
        local token = os.getenv "DIGITALOCEAN_TOKEN"
        local seen, found, count
        local function walk(value, path)
          if type(value) == "string" then
            if value:find(token, 1, true) then found[#found + 1] = path end
            return
          end
          if type(value) ~= "table" and type(value) ~= "function" and type(value) ~= "userdata"
            and type(value) ~= "thread" or seen[value] then return end
          seen[value], count = true, count + 1
          walk(debug.getmetatable(value), path .. "<metatable>")
          if type(value) == "table" then
            for key, field in next, value do
              walk(key, path .. "<key>")
              walk(field, path .. "." .. tostring(key))
            end
          elseif type(value) == "function" then
            -- an upvalue is in no table, but it may hold one
            for position = 1, 255 do
              local name, upvalue = debug.getupvalue(value, position)
              if not name then break end
              if type(upvalue) ~= "string" then walk(upvalue, path .. "^" .. name) end
            end
          elseif type(value) == "userdata" then
            for position = 1, 8 do
              walk(debug.getuservalue(value, position), path .. "<user value>")
            end
          end
        end
        local function search(moment, ...)
          seen, found, count = {}, {}, 0
          walk(debug.getregistry(), "registry")
          walk({ ... }, "arguments")
          for _, path in ipairs(found) do print(moment, path) end
          return count > 100
        end
        local moments = {}
        local client
        client = gradient.client{ on_event = function(event)
          moments[event.type] = search(event.type, event, client)
        end }
        for page, response in client.indexing_jobs.pages{ per_page = 10 } do
          moments.loop = search("loop", page, response, client)
        end
        assert(gradient.indexing_jobs.list())
        moments.default = search("default", client)
        for _, moment in ipairs{ "request", "response", "retry", "loop", "default" } do
          assert(moments[moment], moment)
        end
        print("searched")
      ]], { DIGITALOCEAN_TOKEN = token, GRADIENT_BASE_URL = server.url })
      assert.equal("", result.errors)
      assert.equal("searched\n", result.output)
    end)

    it("goes over plain http to this machine only", function()
      for _, host in ipairs{ "192.0.2.1", "example.com", "localhost.example.com",
        "127.0.0.1.example.com", "notlocalhost", "[2001:db8::1]", "0.0.0.0" } do
        local client <close> = new{ base_url = "http://" .. host .. ":9" }
        local page, err = client.indexing_jobs.list()
        assert.is_nil(page)
        assert.equal("connection", err.kind)
        assert.equal(("the token is not sent over plain http to %s; use https, or set allow_http")
          :format(host), err.message)
        assert.equal(0, err.attempts)
      end
      local nowhere <close> = api.refused()
      local port = nowhere.url:match("%d+$")
      for _, host in ipairs{ "localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]" } do
        local client <close> = new{ base_url = ("http://%s:%s"):format(host, port) }
        local _, err = client.indexing_jobs.list()
        assert.not_matches("plain http", err.message, 1, true)
        assert.equal(1, err.attempts)
      end
    end)

    it("goes over plain http anywhere with allow_http", function()
      local client <close> = new{ base_url = "http://example.com", proxy = server.url,
        allow_http = true }
      assert(client.indexing_jobs.list())
      assert.equal("Bearer " .. token, server:last_request().headers.authorization)
    end)

    it("does not go over plain http through a proxy on another machine", function()
      local client <close> = new{ proxy = "192.0.2.1:3128" }
      local _, err = client.indexing_jobs.list()
      assert.equal("connection", err.kind)
      assert.matches("plain http to a proxy", err.message, 1, true)
      assert.equal(0, server:connections().requests)
    end)

    it("is not told to a proxy that is asked for a tunnel", function()
      local client <close> = new{ base_url = "https://localhost:1", proxy = server.url }
      assert.is_nil(client.indexing_jobs.list())
      assert.equal("CONNECT", server:last_request().method)
      assert.is_nil(server:last_request().headers.authorization)
    end)
  end)
end)
