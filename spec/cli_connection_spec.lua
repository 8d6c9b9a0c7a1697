--- gradient-jobs and its way to the server: authorities, proxies, plain http, retries; and what its
--- errors advise.

local api = require "spec.support.api"
local command = require "spec.support.command"
local fixture = require "spec.support.fixture"
local tls = require "spec.support.tls"

describe("the connection of gradient-jobs", function()
  local server = fixture.server{ jobs = 3 }
  local gj = command.against(server)
  local run, print_of = gj.run, gj.print_of

  local list = { "list", "--no-names" }

  local function listed(environment, ...)
    return #command.uuids(print_of({ "list", "--no-names", ... }, { environment = environment }))
  end

  describe("trusts the authorities", function()
    it("of --ca-file, or of the variables that curl reads, in its order", function()
      local front <close> = tls.start(server)
      local url, file = front.url, front.ca_file
      assert.equal(3, listed({ GRADIENT_BASE_URL = url }, "--ca-file", file))
      assert.equal(3, listed{ GRADIENT_BASE_URL = url, SSL_CERT_FILE = file })
      assert.equal(3, listed{ GRADIENT_BASE_URL = url, CURL_CA_BUNDLE = file })
      assert.equal(3, listed{ GRADIENT_BASE_URL = url, CURL_CA_BUNDLE = file,
        SSL_CERT_FILE = "/nowhere" })
      assert.equal(3, listed({ GRADIENT_BASE_URL = url, CURL_CA_BUNDLE = "/nowhere" },
        "--ca-file", file))
      assert.equal(3, listed{ GRADIENT_BASE_URL = url, CURL_CA_BUNDLE = "", SSL_CERT_FILE = file })
    end)

    it("and names --ca-file where one is unknown, and only there", function()
      for certificate, is_unknown in pairs{
        unknown_ca = true, self_signed = true, expired = false, wrong_host = false,
      } do
        local front <close> = tls.start(server, { certificate = certificate })
        local result = run(list, { environment = {
          GRADIENT_BASE_URL = front.url, SSL_CERT_FILE = front.ca_file,
        } })
        assert.equal(1, result.status)
        assert.matches("^gradient%-jobs: connection: [^\n]+\n$", result.errors)
        assert.equal(is_unknown, result.errors:find("--ca-file", 1, true) ~= nil, certificate)
        assert.is_nil(result.errors:find("ca_file", 1, true))
      end
    end)
  end)

  it("uses --proxy", function()
    local before = #server:requests()
    assert.equal(3, listed({ GRADIENT_BASE_URL = "http://api.example" }, "--allow-http", "--proxy",
      server.url))
    assert.equal(before + 1, #server:requests())
  end)

  it("sends the token over plain http to another machine only with --allow-http", function()
    local result = run(list, { environment = { GRADIENT_BASE_URL = "http://api.example" } })
    assert.equal(1, result.status)
    assert.matches("^gradient%-jobs: connection: [^\n]+ say %-%-allow%-http\n$", result.errors)
  end)

  it("tries again as often as --max-retries says", function()
    local nowhere <close> = api.refused()
    for retries, attempts in pairs{ ["0"] = "", ["1"] = "2 attempts" } do
      local result = run{ "list", "--base-url", nowhere.url, "--max-retries", retries }
      assert.equal(1, result.status)
      assert.equal(attempts, result.errors:match("%((%d attempts)%)\n$") or "")
    end
  end)
end)
