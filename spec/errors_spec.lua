--- The error value: kinds, fields and text, for every status and every body.

local fixture = require "spec.support.fixture"

describe("error", function()
  local server, new_client = fixture.server{ jobs = 5 }
  local client

  before_each(function() client = new_client{ max_retries = 0 } end)

  -- The error that `list` returns when the server answers like this.
  local function error_of(answer)
    server:script{ answer }
    local page, err = client.indexing_jobs.list()
    assert.is_nil(page)
    assert.is_table(err)
    return err
  end

  local kinds = {
    [400] = "bad_request", [401] = "authentication", [403] = "permission_denied",
    [404] = "not_found", [409] = "conflict", [422] = "unprocessable_entity", [429] = "rate_limit",
    [500] = "server", [501] = "server", [502] = "server", [503] = "server", [504] = "server",
    [529] = "server", [599] = "server",
    [300] = "status", [304] = "status", [402] = "status", [405] = "status", [408] = "status",
    [410] = "status", [418] = "status", [451] = "status", [499] = "status",
  }

  for status, kind in pairs(kinds) do
    describe(("of HTTP %d"):format(status), function()
      it("is " .. kind .. " and has what a JSON body says", function()
        local err = error_of{
          status = status, headers = { ["x-request-id"] = "of-the-header" },
          body = '{"id":"the_id","message":"The reason.","request_id":"of-the-body"}',
        }
        assert.equal(kind, err.kind)
        assert.equal(status, err.status)
        assert.equal(1, err.attempts)
        assert.equal("of-the-header", err.headers["x-request-id"])
        if status ~= 304 then -- which has no body
          assert.equal("the_id", err.id)
          assert.equal("The reason.", err.message)
          assert.equal("of-the-body", err.request_id)
          assert.matches('"The reason."', err.body, 1, true)
          assert.equal(("%s: The reason. (HTTP %d, the_id, request of-the-body)")
            :format(kind, status), tostring(err))
        end
      end)

      it("is " .. kind .. " with an HTML body", function()
        local html = ("<html><title>%d</title></html>"):format(status)
        local err = error_of{
          status = status, headers = { ["content-type"] = "text/html" }, body = html,
        }
        assert.equal(kind, err.kind)
        assert.equal(status, err.status)
        assert.is_nil(err.id)
        assert.equal(err.headers["x-request-id"], err.request_id)
        if status ~= 304 then
          assert.equal("the server gave no reason that can be read", err.message)
          assert.equal(html, err.body)
        end
      end)

      it("is " .. kind .. " and tells what a proxy's page says", function()
        if status == 304 then return end
        for body, content_type in pairs{
          ["<html><head><TITLE> 502 Bad Gateway</TITLE></head>"] = "text/html; charset=utf-8",
          ["502 Bad Gateway\r\nof this and that"] = "text/plain",
        } do
          local err = error_of{
            status = status, headers = { ["content-type"] = content_type }, body = body,
          }
          assert.equal(kind, err.kind)
          assert.equal("502 Bad Gateway", err.message)
        end
      end)

      it("is " .. kind .. " with an empty body", function()
        local err = error_of{
          status = status, body = "", headers = { ["x-request-id"] = false },
        }
        assert.equal(kind, err.kind)
        assert.equal(status, err.status)
        assert.is_nil(err.id)
        assert.is_nil(err.request_id)
        assert.equal("", err.body)
        assert.equal(("%s: the server gave no reason (HTTP %d)"):format(kind, status),
          tostring(err))
      end)
    end)
  end

  it("carries no more than it knows", function()
    local allowed = {}
    for name in ("kind message attempts status id request_id headers body retry_after")
      :gmatch("%S+") do allowed[name] = true end
    for _, answer in ipairs{ { status = 404 }, { status = 200, body = "x" },
      { steps = { { close = true } }, times = 2 } } do
      for name in pairs(error_of(answer)) do assert.is_true(allowed[name], name) end
    end
  end)

  it("without an answer has neither status nor headers nor body", function()
    server:script{ { steps = { { close = true } }, times = 2 } }
    local _, err = client.indexing_jobs.list()
    assert.equal("connection", err.kind)
    assert.equal(1, err.attempts)
    for _, name in ipairs{ "status", "id", "request_id", "headers", "body", "retry_after" } do
      assert.is_nil(err[name], name)
    end
    assert.equal("connection: " .. err.message, tostring(err))
  end)

  it("keeps at most 4 KiB of the body", function()
    assert.equal(("x"):rep(4096), error_of{ status = 400, body = ("x"):rep(4096) }.body)
    assert.equal(("x"):rep(4096), error_of{ status = 400, body = ("x"):rep(4097) }.body)
    assert.equal(("x"):rep(4096), error_of{ status = 400, body = ("x"):rep(100000) }.body)
    assert.equal(("x"):rep(4096), error_of{ status = 200, body = ("x"):rep(100000) }.body)
  end)

  it("reads the whole of a JSON body that it keeps 4 KiB of", function()
    local err = error_of{
      status = 400, body = ('{"x":"%s","message":"The reason."}'):format(("x"):rep(5000)),
    }
    assert.equal("The reason.", err.message)
    assert.equal(4096, #err.body)
  end)

  for body, why in pairs{
    ['{"id":5,"message":{"a":1},"request_id":[]}'] = "of other types",
    ['{"id":null,"message":null,"request_id":null}'] = "that are null",
    ['{"id":"","message":"","request_id":""}'] = "that are empty",
    ['["message"]'] = "of an array", ['"message"'] = "of a string", ["null"] = "of null",
    ["17"] = "of a number", ['{"message":"cut off'] = "cut off",
    [("["):rep(5000)] = "too deep",
  } do
    it("does without members " .. why, function()
      local err = error_of{ status = 403, body = body, headers = { ["x-request-id"] = "r-1" } }
      assert.equal("permission_denied", err.kind)
      assert.equal("the server gave no reason that can be read", err.message)
      assert.is_nil(err.id)
      assert.equal("r-1", err.request_id)
      assert.equal(body:sub(1, 4096), err.body)
    end)
  end

  it("has the delay that the server asked for as retry_after", function()
    assert.equal(7, error_of{ status = 503, headers = { ["retry-after"] = "7" } }.retry_after)
    assert.equal(0.25, error_of{
      status = 503, headers = { ["retry-after-ms"] = "250" } }.retry_after)
    assert.is_nil(error_of{ status = 503 }.retry_after)
  end)

  it("about a redirect says where it led to", function()
    local err = error_of{ status = 302, body = "", headers = { location = "/login" } }
    assert.equal("status", err.kind)
    assert.equal("the server redirects to /login, which is not followed", err.message)
    assert.equal("/login", err.headers.location)
  end)

  it("about a body that is not JSON has the byte offset, and what came instead", function()
    local err = error_of{ status = 200, body = '{"jobs":[{"uuid":}]}' }
    assert.equal("decode", err.kind)
    assert.equal(200, err.status)
    assert.matches("at byte 18$", err.message)
    assert.equal('{"jobs":[{"uuid":}]}', err.body)
    assert.equal(err.headers["x-request-id"], err.request_id)
    assert.is_nil(err.id)
    assert.equal(("decode: %s (HTTP 200, request %s)"):format(err.message, err.request_id),
      tostring(err))
    err = error_of{ status = 201, headers = { ["content-type"] = "text/html" }, body = "<html>" }
    assert.equal("decode", err.kind)
    assert.equal(201, err.status)
    assert.matches("the answer is text/html, not JSON: .* at byte 1$", err.message)
  end)

  it("counts the attempts in its text when there were several", function()
    server:script{ { status = 500, times = 2, headers = { ["retry-after-ms"] = "0" },
      body = '{"message":"Oh."}' } }
    local _, err = client.indexing_jobs.list({}, { max_retries = 1 })
    assert.equal(2, err.attempts)
    assert.equal(("server: Oh. (HTTP 500, request %s, 2 attempts)"):format(err.request_id),
      tostring(err))
  end)

  it("is the same value whether it is returned or raised by an iterator", function()
    local body = '{"id":"the_id","message":"The reason."}'
    local returned = error_of{ status = 404, body = body, headers = { ["x-request-id"] = "r" } }
    server:script{ { status = 404, body = body, headers = { ["x-request-id"] = "r" } } }
    local ok, raised = pcall(function()
      for _ in client.indexing_jobs.each() do error "not reached" end
    end)
    assert.is_false(ok)
    assert.equal(getmetatable(returned), getmetatable(raised))
    returned.headers, raised.headers = nil, nil
    assert.same(returned, raised)
    assert.equal(tostring(returned), tostring(raised))
  end)
  it("can be concatenated, and is one line whatever the server says", function()
    local err = error_of{ status = 404, body = '{"message":"a\\nb\\u001b[31m"}' }
    assert.equal("a\nb\27[31m", err.message)
    assert.matches("^failed: not_found: a b %[31m %(HTTP 404", "failed: " .. err)
    assert.matches("request .-%)!$", err .. "!")
  end)

end)
