--- What must stay secret: the token and a proxy's password, from other hosts and in all texts.

local api = require "spec.support.api"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local program = require "spec.support.program"

describe("options", function()
  local server, new_client = fixture.server{ jobs = 30 }

  -- Everything of a value as text: fields, error messages, headers.
  local function text_of(value)
    if type(value) ~= "table" then return tostring(value) end
    local parts = { tostring(value) }
    for name, field in pairs(value) do
      parts[#parts + 1] = text_of(name)
      parts[#parts + 1] = text_of(field)
    end
    return table.concat(parts, "\n")
  end

  describe("with the password of a proxy", function()
    local malformed = {
      "http://user:hush#hush@127.0.0.1:3128", "http://user:hush/hush@127.0.0.1:3128",
      "http://user:hush?hush@127.0.0.1:3128", "http://user:hush hush@127.0.0.1:3128",
      "http://user:hush@127.0.0.1:3128/path", "http://user:hush@127.0.0.1:port",
      "user:hush#hush@127.0.0.1:3128", "http://user:hush@", "http//user:hush@127.0.0.1:3128",
      "http://user:hush@127.0.0.1:99999", "ftp://user:hush@127.0.0.1:3128",
    }

    for _, proxy in ipairs(malformed) do
      it("raise for " .. proxy .. ", and do not tell it", function()
        local ok, message = pcall(new_client, { proxy = proxy })
        assert.is_false(ok)
        assert.matches("option 'proxy' must be a URL such as", message, 1, true)
        assert.not_matches("hush", message, 1, true)
      end)

      it("in the environment are an error for " .. proxy .. ", and nothing is sent", function()
        for variable, base_url in pairs{
          https_proxy = "https://api.example.com", ALL_PROXY = "http://api.example.com",
        } do
          local result = program.run([[
            local gradient = require "gradient"
            local client = gradient.client{ allow_http = true, on_event = function(event)
              print(event.type, event.url, event.error)
            end }
            local page, err = client.indexing_jobs.list()
            print(page, err, err.kind, err.attempts)
          ]], { [variable] = proxy, GRADIENT_BASE_URL = base_url, DIGITALOCEAN_TOKEN = "a-token",
            GRADIENT_LOG = "debug" })
          assert.equal(0, result.status)
          assert.matches("\tconnection\t0\n$", result.output)
          assert.matches("variable " .. variable, result.output, 1, true)
          assert.not_matches("hush", result.output .. result.errors, 1, true)
        end
      end)
    end

    it("never tell it, wherever the connection fails", function()
      local nowhere <close> = api.refused()
      local silent <close> = api.silent()
      local texts = {}
      for _, base_url in ipairs{ "https://localhost:1", "http://localhost:1" } do
        for _, place in ipairs{ nowhere.url, server.url, silent.url } do
          for credentials, told in pairs{
            ["hush"] = "hush", ["user:hush"] = "user:hush and dXNlcjpodXNo",
            ["user:hu%23sh"] = "user:hu#sh", ["hush:"] = "hush:",
          } do
            local client = new_client{
              base_url = base_url, max_retries = 0, timeout = 0.2,
              proxy = place:gsub("//", function(slashes) return slashes .. credentials .. "@" end),
              on_event = function(event) texts[#texts + 1] = text_of(event) end,
            }
            server:script{ { status = 502, body = "no way to " .. told .. ": " .. place } }
            local _, err = client.indexing_jobs.list()
            texts[#texts + 1] = text_of(err)
            texts[#texts + 1] = tostring(client)
          end
        end
      end
      for _, text in ipairs(texts) do
        for _, secret in ipairs{ "hush", "hu%23sh", "hu#sh", "dXNlcjpodXNo" } do
          assert.not_matches(secret, text, 1, true)
        end
      end
    end)

    it("send it to the proxy, percent-decoded", function()
      local client = new_client{ base_url = "http://localhost:1",
        proxy = server.url:gsub("//", "//us%%65r:hu%%23sh@") }
      assert(client.indexing_jobs.list())
      assert.equal("Basic dXNlcjpodSNzaA==",
        server:last_request().headers["proxy-authorization"])
    end)
  end)

  describe("with a proxy on this machine", function()
    for _, proxy in ipairs{
      "http://user:hush@127.0.0.1:1", "user:hush@localhost:1", "socks5h://127.0.0.1:1",
      "socks5://user:hush@[::1]:1", "http://LOCALHOST:1", "127.0.0.1:1", "localhost",
      "socks4a://127.255.255.255:1",
    } do
      it("send the token over plain http to it: " .. proxy, function()
        local _, err = new_client{ base_url = "http://127.0.0.1:9", proxy = proxy,
          max_retries = 0, timeout = 0.2 }.indexing_jobs.list()
        assert.equal(1, err.attempts)
        assert.not_matches("plain http", err.message, 1, true)
      end)
    end
  end)

  for _, host in ipairs{
    "127.0.0.999", "127.0.0.256", "127.0.0", "127.1", "127.0.0.1.", "127.0.0.1.nip.io",
    "1270.0.0.1", "localhost.", "[::2]", "127.0.0.01x", "0177.0.0.1.example",
  } do
    it("do not send the token over plain http to " .. host .. ", nor by a proxy there", function()
      local made, client = pcall(new_client, { base_url = "http://" .. host .. ":9",
        max_retries = 0, timeout = 0.2 })
      if made and not client.url:find "//127%.0%.0%.%d:" then -- which libcurl makes of a short one
        local _, err = client.indexing_jobs.list()
        assert.equal(0, err.attempts)
        assert.matches("not sent over plain http to " .. host, err.message, 1, true)
        client = new_client{ proxy = "http://" .. host .. ":9", max_retries = 0, timeout = 0.2 }
        _, err = client.indexing_jobs.list()
        assert.equal(0, err.attempts)
        assert.matches("plain http to a proxy", err.message, 1, true)
      end
    end)
  end

  describe("with a token", function()
    local function percent_encoded(text)
      return (text:gsub("%W", function(c) return ("%%%02x"):format(c:byte()) end))
    end

    local function base64(text)
      local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
      local bits = text:gsub(".", function(c)
        local out, byte = "", c:byte()
        for shift = 7, 0, -1 do out = out .. (byte >> shift & 1) end
        return out
      end)
      bits = bits .. ("0"):rep(-#bits % 6)
      local encoded = bits:gsub("......", function(six)
        local position = tonumber(six, 2) + 1
        return digits:sub(position, position)
      end)
      return encoded .. ("="):rep(-#encoded % 4)
    end

    local forms = {
      ["as it is"] = function(token) return token end,
      ["in capitals"] = string.upper,
      ["in small letters"] = string.lower,
      ["percent-encoded"] = percent_encoded,
      ["percent-encoded in capitals"] = function(token) return percent_encoded(token):upper() end,
      ["JSON-escaped"] = function(token) return (token:gsub('["\\/]', "\\%0")) end,
      ["in base64"] = base64,
      ["in base64 behind a name"] = function(token) return base64("user:" .. token) end,
      ["in base64 behind a short name"] = function(token) return base64("u:" .. token) end,
      ["in base64 in the middle"] = function(token) return base64("abc" .. token .. "xyz") end,
    }

    for _, token in ipairs{
      'dop_v1_"a/b\\c+d=Ef', "abc-Def_123~x", "a.b*c%d?e^f$g", "(x)[y]-[z]",
    } do
      for name, form in pairs(forms) do
        it(("%s that a server repeats %s never tell it"):format(token, name), function()
          server:set{ tokens = { token } }
          local told = form(token)
          local texts = {}
          local client = new_client{ token = token, max_retries = 1, on_event = function(event)
            texts[#texts + 1] = text_of(event)
          end }
          local headers = { ["x-told"] = told, ["x-request-id"] = told, ["retry-after-ms"] = "1" }
          for _, status in ipairs{ 500, 401, 200 } do
            server:script{ { status = status, headers = headers, body = "<p>" .. told .. "</p>" } }
          end
          for _ = 1, 2 do
            local _, err = client.indexing_jobs.list()
            texts[#texts + 1] = text_of(err)
            assert.is_string(err.body)
          end
          -- what base64 shares with its neighbours may stay
          local secret = name:find "base64" and base64(token):gsub("=", ""):sub(5, -5) or told
          for _, text in ipairs(texts) do assert.not_matches(secret, text, 1, true) end
          assert.equal("[token]", texts[#texts]:match "%[token%]")
        end)
      end
    end

    it("of a few characters do not tell it either", function()
      for _, token in ipairs{ "q", "zq", "q~x" } do
        server:set{ tokens = { token } }
        local made, client = pcall(new_client, { token = token, max_retries = 0 })
        if made then
          server:script{ { status = 401, body = "bad " .. token,
            headers = { ["x-told"] = token } } }
          local _, err = client.indexing_jobs.list()
          assert.not_matches(token, err.body, 1, true)
          assert.not_matches(token, err.headers["x-told"], 1, true)
        else
          assert.not_matches("'" .. token .. "'", client, 1, true)
        end
      end
    end)
  end)

  describe("with an IPv6 address", function()
    it("keep its zone", function()
      local client = gradient.client{ token = "a-token", base_url = "http://[fe80::1%25lo]:9/x/",
        allow_http = true, max_retries = 0, timeout = 1, on_event = function(event)
          assert.matches("http://[fe80::1%25lo]:9/x/v2", event.url, 1, true)
        end,
      }
      local _, err = client.indexing_jobs.list()
      assert.equal(1, err.attempts)
      assert.matches("fe80::1", err.message, 1, true)
      client:close()
    end)
  end)
end)
