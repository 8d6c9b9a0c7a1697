--- The C core by itself, as the Lua side uses it: clients, transfers, URLs, dates.

local api = require "spec.support.api"
local core = require "gradient.core"
local cqueues = require "cqueues"
local fixture = require "spec.support.fixture"
local shell = require "spec.support.shell"
local waiting = require "spec.support.waiting"

local path = "/v2/gen-ai/indexing_jobs"

describe("core", function()
  local server, new_client = fixture.server({ jobs = 30 }, core.client)
  local secret = { "authorization: Bearer " .. server.token }
  local client

  before_each(function() client = new_client{ secret = secret } end)

  local function send(request)
    local all = { url = server.url .. path }
    for name, value in pairs(request or {}) do all[name] = value end
    return client:send(all)
  end

  -- Steps until the transfer has ended; returns its result.
  local function finish(transfer)
    client:step()
    while select("#", transfer:result()) == 1 do
      client:wait(client:timeout() or 1)
      client:step()
    end
    return transfer:result()
  end

  local function raises(message, f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    assert.matches(message, err)
  end

  describe("client", function()
    it("sends, and is stepped until there is a result", function()
      local transfer = send()
      assert.same({ n = 1 }, table.pack(transfer:result()))
      assert.equal("gradient.transfer (running)", tostring(transfer))
      assert.equal("gradient.client (1 running)", tostring(client))
      local status, headers, head = finish(transfer)
      assert.equal(200, status)
      assert.equal("application/json; charset=utf-8", headers["content-type"])
      assert.matches("^HTTP/1.1 200 ", head)
      assert.equal("gradient.transfer (ended)", tostring(transfer))
      assert.equal(0, client:step())
      assert.equal(20, #transfer:decode().jobs)
    end)

    it("sends method, headers and body", function()
      local transfer = send{
        method = "POST", headers = { "X-One: 1", "x-empty;", "content-type: text/x" },
        body = "a\0b",
      }
      assert.equal(400, (finish(transfer)))
      local request = server:requests()[1]
      assert.equal("POST", request.method)
      assert.equal("1", request.headers["x-one"])
      assert.equal("", request.headers["x-empty"])
      assert.equal("a\0b", request.body)
    end)

    it("counts the transfers that run", function()
      assert.equal(0, client:step())
      server:script{ { steps = { { hang = true } }, forever = true } }
      local first, second = send(), send()
      assert.equal(2, client:step())
      first:close()
      assert.equal(1, client:step())
      second:close()
      assert.equal(0, client:step())
    end)

    it("steps without waiting, whatever there is to wait for", function()
      server:fault "silent"
      local transfer <close> = send()
      local started = core.now()
      for _ = 1, 100 do client:step() end
      assert.is_true(core.now() - started < 5)
      assert.is_nil((transfer:result()))
    end)

    it("waits no longer than it is told to, and not at all for nothing or less", function()
      local started = core.now()
      client:wait(0.05)
      assert.is_true(core.now() - started >= 0.05)
      started = core.now()
      for _, seconds in ipairs{ 0, -1, -math.huge, 0 / 0 } do client:wait(seconds) end
      assert.is_true(core.now() - started < 5)
    end)

    it("says what to wait for, and for how long at the most", function()
      assert.is_nil(client:timeout())
      server:script{ { delay = 0.02 } }
      local transfer = send()
      assert.equal(0, client:timeout())
      client:step()
      while transfer:result() == nil and client:step() > 0 do
        local loan <close> = client:lend{ transfer }
        local fds, seconds = loan:fds(), client:timeout()
        assert.is_true(#fds >= 2)
        for _, entry in ipairs(fds) do
          assert.equal("integer", math.type(entry.fd))
          assert.is_true(entry.events == "r" or entry.events == "w" or entry.events == "rw")
        end
        assert.is_true(seconds >= 0 and seconds <= 10)
        waiting.poll(fds, seconds)
      end
      assert.equal(200, (transfer:result()))
      assert.is_nil(client:timeout())
      assert.is_true(#client:lend():fds() <= 1)
    end)

    it("tells by a descriptor when a transfer ended while one waits for it", function()
      server:script{ { steps = { { hang = true } }, times = 2 } }
      local mine, other = send(), send()
      client:step()
      local loan = client:lend{ mine }
      local fds = loan:fds()
      local function is_readable()
        local polled = { pollfd = fds[#fds].fd, events = "r" }
        return cqueues.poll(polled, 0) == polled
      end
      assert.is_false(is_readable())
      other:close()
      assert.is_false(is_readable())
      mine:expire("enough")
      assert.is_true(is_readable())
      local again <close> = client:lend{ mine } -- somebody else waits for it, too
      loan:close()
      assert.is_true(is_readable())
      again:close()
      assert.is_false(is_readable())
      local _, code, message = mine:result()
      assert.equal("timeout", code)
      assert.equal("enough", message)
    end)

    it("wakes nobody for a transfer that nobody waits for any more", function()
      server:fault("silent", { times = 2 })
      local mine, other = send(), send()
      client:step()
      client:lend{ mine }:close()
      mine:expire("enough")
      local loan <close> = client:lend{ other }
      local started = core.now()
      waiting.poll(loan:fds(), 0.03)
      assert.is_true(core.now() - started >= 0.03)
    end)

    it("takes options and requests of the right type only", function()
      raises("bad argument #1", core.client)
      raises("bad argument #1", core.client, "x")
      for _, name in ipairs{ "user_agent", "proxy", "ca_file" } do
        raises("string expected", core.client, { [name] = {} })
      end
      raises("bad argument", client.send, client)
      raises("bad argument", client.send, {}, {})
      raises("needs a url", client.send, client, {})
      raises("needs a url", send, { url = {} })
      for _, seconds in ipairs{ 0, -1, 0 / 0, "x", {} } do
        raises("connect_timeout must be a positive number of seconds", send,
          { connect_timeout = seconds })
      end
      for _, bytes in ipairs{ 0, -1, 1.5, "x" } do
        raises("max_body must be a positive number of bytes", send, { max_body = bytes })
      end
      raises("header must be a string", send, { headers = { {} } })
      for _, line in ipairs{ "x: a\r\nevil: yes", "x: a\nb", "x: \0", "x: \27" } do
        raises("control character", send, { headers = { line } })
      end
      raises("number expected", client.wait, client)
      raises("table expected", client.lend, client, client)
      raises("gradient.transfer expected", client.lend, client, { client })
      raises("bad argument", client.close, 5)
      local transfer = send()
      raises("table expected", client.step, client, 5)
      raises("gradient.transfer expected", client.step, client, { transfer, 5 })
      assert.equal(200, (finish(transfer)))
      assert.equal(200, (finish(send())))
      assert.equal(2, server:connections().requests)
    end)

    it("takes a client's header lines with the same care", function()
      raises("control character", core.client, { headers = { "x: a\r\nevil: yes" } })
      raises("control character", core.client, { secret = { "x: a\r\nevil: yes" } })
    end)

    it("sends its headers or those of a request, and what is secret unless anonymous", function()
      client = new_client{ headers = { "x: client" }, secret = secret }
      finish(send())
      finish(send{ headers = { "x: request" } })
      finish(send{ headers = { "x: request" }, anonymous = true })
      local seen = {}
      for position, request in ipairs(server:requests()) do
        seen[position] = { request.headers.x, request.headers.authorization ~= nil }
      end
      assert.same({ { "client", true }, { "request", true }, { "request", false } }, seen)
    end)

    it("does not know another protocol than http and https", function()
      for _, url in ipairs{ "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
        "nonsense://x" } do
        local status, code, message = finish(send{ url = url })
        assert.is_nil(status)
        assert.equal("connection", code)
        assert.matches("[Pp]rotocol", message)
      end
    end)

    it("takes times beyond all bounds", function()
      for _, seconds in ipairs{ math.huge, 1e18, 2 ^ 31 } do
        assert.equal(200, (finish(send{ connect_timeout = seconds })))
      end
    end)

    it("takes times of less than a millisecond", function()
      local nowhere <close> = api.unreachable()
      local status, code = finish(send{ url = nowhere.url, connect_timeout = 1e-9 })
      assert.is_nil(status)
      assert.equal("timeout", code)
    end)

    it("takes transfers that are named twice, and none of another client's", function()
      local transfer = send()
      local often = {}
      for position = 1, 200 do often[position] = transfer end
      client:step(often)
      client:lend(often):close()
      local other <close> = core.client{}
      raises("another client", other.step, other, often)
      raises("another client", other.lend, other, often)
      assert.equal(200, (finish(transfer)))
    end)

    it("asks the proxy that it was made with, whatever an earlier request said", function()
      local nowhere <close> = api.refused()
      client = new_client{ secret = secret, proxy = nowhere.url }
      assert.equal(200, (finish(send{ proxy = "" })))
      assert.equal("connection", select(2, finish(send())))
      assert.equal(200, (finish(send{ proxy = "" })))
    end)

    it("replaces any number of stale connections in its life", function()
      for _ = 1, 12 do
        assert.equal(200, (finish(send())))
        server:script{ { match = { reused = true }, steps = { { close = true } } } }
        assert.equal(200, (finish(send())))
      end
    end)

    it("lives on when the module is loaded once more", function()
      local open = package.searchers[3]
      local loader, place = open "gradient.core"
      local again = loader("gradient.core", place)
      assert.equal(200, (finish(send())))
      local other <close> = again.client{}
      assert.equal(0, other:step())
    end)

    it("neither sends nor crashes when it is closed while a request is read", function()
      for _, field in ipairs{ "url", "headers", "method" } do
        client = new_client{ secret = secret }
        local request = setmetatable({}, { __index = function(_, name)
          if name == field then client:close() end
          return name == "url" and server.url .. path or nil
        end })
        assert.same({ n = 3, nil, "closed", "the client was closed" },
          table.pack(client:send(request)))
      end
      assert.equal(0, #server:requests())
    end)

    it("answers when it is closed", function()
      client:close()
      client:close()
      assert.same({ n = 3, nil, "closed", "the client was closed" }, table.pack(send()))
      assert.equal(0, client:step())
      assert.same({}, client:lend():fds())
      assert.is_nil(client:timeout())
      client:wait(0)
      assert.equal("gradient.client (closed)", tostring(client))
    end)

    it("ends its transfers when it is closed, but keeps their answers", function()
      server:script{ { match = { page = 2 }, steps = { { hang = true } } } }
      local ended, running = send(), send{ url = server.url .. path .. "?page=2" }
      finish(ended)
      client:close()
      assert.equal(200, (ended:result()))
      assert.equal(20, #ended:decode().jobs)
      local status, code, message = running:result()
      assert.is_nil(status)
      assert.equal("closed", code)
      assert.equal("the client was closed", message)
      raises("no answer to decode", running.decode, running)
      running:close()
      ended:close()
    end)

    it("outlives its transfers, and they outlive it", function()
      server:script{ { steps = { { hang = true } }, times = 2 } }
      local other = core.client{ secret = secret }
      local transfer = other:send{ url = server.url .. path }
      other:step()
      other = nil
      collectgarbage()
      collectgarbage()
      assert.equal("gradient.transfer (running)", tostring(transfer))
      transfer = nil
      send()
      client:step()
      collectgarbage()
      collectgarbage()
      assert.equal(0, client:step())
      server:await{ in_progress = 0 }
      assert.is_nil(transfer or other)
    end)

    it("leaves no descriptor behind", function()
      client:close()
      local before = waiting.open_descriptors()
      for _ = 1, 20 do
        client = core.client{ secret = secret }
        local transfers = {}
        for number = 1, 3 do transfers[number] = send() end
        client:step()
        client:lend(transfers):close()
        finish(transfers[1])
        client:close()
      end
      assert.equal(before, waiting.open_descriptors())
    end)

    it("leaves no descriptor behind when it is closed while they are lent", function()
      client:close()
      local before = waiting.open_descriptors()
      client = core.client{ secret = secret }
      local transfer = send()
      client:step()
      local loan = client:lend{ transfer }
      local fds = loan:fds()
      client:close()
      local started = core.now()
      waiting.poll(fds, 10) -- those who wait are woken
      assert.is_true(core.now() - started < 5)
      loan:close()
      loan:close()
      assert.same({}, loan:fds())
      assert.equal(before, waiting.open_descriptors())
    end)

    it("lends a descriptor that stays open until it is given back", function()
      server:fault "silent"
      local transfer = send()
      client:step()
      local loan = client:lend{ transfer }
      local fds = loan:fds()
      local lent = #fds - 1 -- without the client's pipe
      fds[1], fds[5] = nil, fds[2] -- the table is the caller's
      local before = waiting.open_descriptors()
      transfer:close()
      assert.equal(before, waiting.open_descriptors())
      loan:close()
      assert.equal(before - lent, waiting.open_descriptors())
    end)

    describe("that is short of descriptors", function()
      local held, limit

      before_each(function()
        held, limit = {}, shell.must("prlimit --pid $PPID --nofile --output SOFT --noheadings")
      end)

      local function free_descriptors(count)
        for _ = 1, count do
          if held[1] then table.remove(held):close() end
        end
      end

      local function set_limit(soft)
        assert(os.execute(("prlimit --pid $PPID --nofile=%s:"):format(soft)))
      end

      after_each(function()
        free_descriptors(#held)
        set_limit(tonumber(limit) or "unlimited")
      end)

      -- Takes all descriptors that there are.
      local function take_descriptors()
        set_limit(waiting.open_descriptors() + 20)
        repeat
          local file = io.open "/dev/null"
          held[#held + 1] = file
        until not file
      end

      it("harms no other transfer when a look-up finds none", function()
        for free = 1, 8 do
          server:script{ { delay = 0.1 } }
          local transfer = send{ fresh = true }
          repeat
            client:wait(0.01)
            local running = client:step()
          until running == 0 or server:connections().requests == free
          take_descriptors()
          free_descriptors(free)
          local other = client:send{ url = "http://name.invalid/" }
          client:step()
          client:lend{ other }:close()
          assert.equal(200, (finish(transfer)))
          assert.equal("connection", select(2, finish(other)))
          free_descriptors(#held)
        end
      end)

      it("closes a stale connection before it makes a new one", function()
        assert.equal(200, (finish(send())))
        server:drop()
        server:await{ open = 0 }
        take_descriptors()
        assert.equal(200, (finish(send())))
      end)
    end)

    it("takes back what was lent when the borrower is collected", function()
      server:fault "silent"
      local transfer = send()
      client:step()
      client:lend():close() -- which opens the pipe
      local before = waiting.open_descriptors()
      local loan = client:lend{ transfer }
      transfer:close()
      assert.equal(before, waiting.open_descriptors())
      local lent = #loan:fds() - 1 -- without the client's pipe
      assert.is_true(lent >= 1)
      loan = nil
      collectgarbage()
      collectgarbage()
      assert.equal(before - lent, waiting.open_descriptors())
      assert.is_nil(loan)
    end)
  end)

  describe("transfer", function()
    it("answers when it is closed, running or not", function()
      local running, ended = send(), send()
      finish(ended)
      for _, transfer in ipairs{ running, ended } do
        transfer:close()
        transfer:close()
        local status, code, message = transfer:result()
        assert.is_nil(status)
        assert.equal("closed", code)
        assert.is_string(message)
        assert.equal("", transfer:body())
        raises("no answer to decode", transfer.decode, transfer)
        assert.equal("gradient.transfer (closed)", tostring(transfer))
      end
    end)

    it("has no answer to decode while it runs or when it failed", function()
      server:fault "reset"
      local transfer = send()
      raises("no answer to decode", transfer.decode, transfer)
      local status, code, message, sent = finish(transfer)
      assert.is_nil(status)
      assert.equal("connection", code)
      assert.is_string(message)
      assert.is_true(sent)
      raises("no answer to decode", transfer.decode, transfer)
    end)

    it("tells whether the server may have seen the request", function()
      local nowhere <close> = api.refused()
      local _, code, _, sent = finish(send{ url = nowhere.url })
      assert.equal("connection", code)
      assert.is_false(sent)
      local silent <close> = api.unreachable()
      _, code, _, sent = finish(send{ url = silent.url, connect_timeout = 0.05 })
      assert.equal("timeout", code)
      assert.is_false(sent)
      server:fault "silent"
      local transfer = send()
      client:step()
      server:await{ in_progress = 1 }
      transfer:expire("enough")
      _, code, _, sent = transfer:result()
      assert.equal("timeout", code)
      assert.is_true(sent)
    end)

    it("tells when an answer is too large", function()
      local _, code, message = finish(send{ max_body = 100 })
      assert.equal("too_large", code)
      assert.equal("the answer is over max_body (100 bytes)", message)
      server:fault "huge_headers"
      _, code = finish(send())
      assert.equal("too_large", code)
    end)

    it("gives its body, or the beginning of it", function()
      server:script{ { status = 200, body = "a\0bc" } }
      local transfer = send()
      assert.equal("", transfer:body())
      finish(transfer)
      assert.equal("a\0bc", transfer:body())
      assert.equal("a\0", transfer:body(2))
      assert.equal("", transfer:body(0))
      assert.equal("a\0bc", transfer:body(5))
      raises("must not be negative", transfer.body, transfer, -1)
      raises("number expected", transfer.body, transfer, "x")
    end)

    it("has the headers, of which the status line is none", function()
      local head = "HTTP/1.1 200 OK: fine\r\nx: y\r\n\r\n"
      server:script{ { steps = { { send = head }, { close = true } } } }
      assert.same({ 200, { x = "y" }, head }, { finish(send()) })
    end)

    it("can be asked again and again", function()
      local transfer = send()
      finish(transfer)
      assert.same({ transfer:result() }, { transfer:result() })
      assert.same(transfer:decode(), transfer:decode())
    end)

    it("decodes in the shape that it is asked for", function()
      server:script{ { status = 200, body = '{"jobs":[{}],"x":null}' } }
      local transfer = send()
      finish(transfer)
      assert.same({ jobs = { {} } }, transfer:decode())
      assert.same({ jobs = { {} }, x = core.null }, transfer:decode(true, "jobs", "["))
      local value, message, offset = transfer:decode(false, "jobs", "{")
      assert.is_nil(value)
      assert.matches("expected an object", message)
      assert.equal(9, offset)
      raises("must be '{', '%[' or '\"'", transfer.decode, transfer, false, "jobs", "(")
    end)

    it("is no transfer when it is something else", function()
      local transfer <close> = send()
      for _, method in ipairs{ "result", "decode", "body", "close" } do
        raises("bad argument", transfer[method])
        raises("bad argument", transfer[method], client)
        raises("bad argument", transfer[method], io.stdout)
      end
    end)
  end)

  -- Wherever Lua values are made, the collector may run a program's finalizer.
  describe("with a finalizer that runs meanwhile", function()
    -- Calls `action` again and again, until the collector has called the finalizer within it.
    local function interrupt(action, finalizer)
      local is_within, was_called = false, false
      local function watch()
        setmetatable({}, { __gc = function()
          if not is_within then return watch() end
          was_called = true
          finalizer()
        end })
      end
      watch()
      local hook, mask = debug.gethook() -- one that counts lines makes work for the collector, too
      debug.sethook()
      repeat
        is_within = true
        action()
        is_within = false
      until was_called
      debug.sethook(hook, mask)
    end

    it("and closes the client, neither sends nor crashes", function()
      server:fault("silent", { forever = true })
      interrupt(send, function() client:close() end)
      assert.equal("closed", select(2, send()))
    end)

    it("and closes the client, tells what to wait for", function()
      server:fault("silent", { forever = true })
      for _ = 1, 20 do
        client = new_client{ secret = secret }
        local transfers = {}
        for position = 1, 5 do transfers[position] = send() end
        client:step()
        interrupt(function() client:lend(transfers):close() end, function() client:close() end)
        assert.same({}, client:lend():fds())
      end
    end)

    it("and closes the transfer, gives its result and its value", function()
      for _ = 1, 20 do
        for _, method in ipairs{ "result", "decode" } do
          local transfer, value = send()
          finish(transfer)
          local expected = table.pack(transfer[method](transfer))
          interrupt(function() value = table.pack(transfer[method](transfer)) end,
            function() transfer:close() end)
          assert.same(expected, value)
          assert.equal("gradient.transfer (closed)", tostring(transfer))
        end
      end
    end)
  end)

  describe("url", function()
    it("tells its parts", function()
      assert.same({ "https://example.com:1/x", "https", "example.com", "/x", n = 6 },
        table.pack(core.url "HTTPS://example.com:1/x"))
      assert.same({ "http://[::1]/?a=b#c", "http", "[::1]", "/", "a=b", "c", n = 6 },
        table.pack(core.url "http://[::1]/?a=b#c"))
    end)

    it("keeps the zone of an IPv6 address", function()
      assert.equal("http://[fe80::1%25lo]:80/", (core.url "http://[fe80::1%25lo]:80/"))
    end)

    it("may be a proxy's, with credentials and without a scheme", function()
      assert.equal("example.com", (select(3, core.url("socks5h://a:b@example.com:1080", true))))
      assert.equal("http", (select(2, core.url("example.com:3128", true))))
      assert.is_nil((core.url("http://user:pass/word@example.com", true)))
    end)

    it("says what is wrong with a text that is none", function()
      for _, text in ipairs{ "", "example.com", "/x", "https://", "https://a b", "http://a:99999",
        "https://user@example.com", "https://user:password@example.com", "ftp2://example.com" } do
        local url, message = core.url(text)
        assert.is_nil(url)
        assert.is_string(message)
        assert.not_matches("password", message, 1, true)
      end
    end)

    it("is not cut off at a zero byte", function()
      assert.is_nil((core.url "https://example.com\0.evil.example"))
    end)

    it("is a string", function()
      raises("bad argument", core.url)
      raises("bad argument", core.url, {})
    end)
  end)

  describe("date", function()
    it("reads the three forms that HTTP has", function()
      for _, text in ipairs{ "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994" } do
        assert.equal(784111777, core.date(text))
      end
    end)

    it("is now without one", function()
      local before = os.time()
      assert.is_true(core.date() >= before and core.date() <= os.time())
    end)

    it("is nil for anything else", function()
      for _, text in ipairs{ "", "soon", "-5", "120", "1e3", "5, 5" } do
        assert.is_nil(core.date(text))
      end
      raises("string expected", core.date, {})
    end)
  end)

  it("takes nothing for its own that another copy of it has made", function()
    local name = os.tmpname()
    local here = assert(package.searchpath("gradient.core", package.cpath))
    assert(os.execute(("cp '%s' '%s'"):format(here, name)))
    local other = assert(package.loadlib(name, "luaopen_gradient_core"))()
    os.remove(name)
    local others = other.client{}
    local transfer = send()
    for _, method in ipairs{ "step", "lend", "timeout", "send", "close" } do
      raises("gradient.client expected", client[method], others, {})
      raises("gradient.client expected", others[method], client, {})
    end
    raises("gradient.transfer expected", others.step, others, { transfer })
    others:close()
    assert.equal(200, (finish(transfer)))
  end)

  it("has a clock that only goes forward", function()
    local before = core.now()
    client:wait(0.002)
    assert.is_true(core.now() > before)
    assert.equal("float", math.type(before))
  end)

  it("has nothing in it that is not meant for the Lua side", function()
    local names = {}
    for name in pairs(core) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "client", "date", "decode", "interrupt", "libcurl", "now", "null",
      "terminal_size", "url", "version" }, names)
  end)
end)
