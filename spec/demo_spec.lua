--- `make demo` with LIVE=1.

local api = require "spec.support.api"
local program = require "spec.support.program"

-- `make demo LIVE=1`, with the local server in the place of the real API.
local function run_live(environment)
  environment.LIVE = "1"
  return program.run([[dofile "spec/server/demo.lua"]], environment)
end

describe("the demo with LIVE=1", function()
  it("lists all jobs and starts none", function()
    local server <close> = api.start{ jobs = 250 }
    local result = run_live{
      DIGITALOCEAN_ACCESS_TOKEN = server.token, GRADIENT_BASE_URL = server.url,
    }
    assert.same({ status = 0, errors = "" }, { status = result.status, errors = result.errors })
    assert.matches("\n    182  succeeded\n", result.output)
    assert.matches("\n    250  jobs in 2 requests and %d%.%d+ seconds\n", result.output)
    assert.matches("\ndemo succeeded: 250 jobs listed\n$", result.output)
    for _, request in ipairs(server:requests()) do assert.equal("GET", request.method) end
  end)

  it("says what to set when there is no token", function()
    local result = run_live{}
    assert.equal(1, result.status)
    assert.equal("", result.output)
    assert.equal("demo failed: LIVE=1 lists the jobs of the real API: set"
      .. " DIGITALOCEAN_ACCESS_TOKEN to your token\n", result.errors)
  end)

  it("fails when the API does", function()
    local server <close> = api.start()
    local result = run_live{ DIGITALOCEAN_ACCESS_TOKEN = "x", GRADIENT_BASE_URL = server.url }
    assert.equal(1, result.status)
    assert.matches("^demo failed: authentication: ", result.errors)
  end)
end)
