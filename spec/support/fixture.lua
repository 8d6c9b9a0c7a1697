--- What stands around the specs of a `describe` that is about the API: a server, and clients of it.
--
--   local server, new_client = fixture.server{ jobs = 30 }   at the top of a describe
--   local client = new_client{ max_retries = 0 }             within a spec, or before each
--
-- The server (see api.lua, which has the settings) is as at its start before each spec, and ends
-- after the last. A client knows the server's address and token, and is closed after its spec.

local api = require "spec.support.api"
local busted = require "busted" -- whose functions only specs have without asking
local gradient = require "gradient"

local fixture = {}

--- `make` makes a client from options: gradient.client unless it is given.
function fixture.server(settings, make)
  local server, clients = api.start(settings), {}

  busted.before_each(function() server:reset() end)

  busted.after_each(function()
    for _, client in ipairs(clients) do client:close() end
    clients = {}
    server:await{ open = 0 } -- what is still on its way would count for the next spec
  end)

  busted.teardown(function() server:stop() end)

  local function new_client(options)
    local all = { base_url = server.url, token = server.token }
    for name, value in pairs(options or {}) do all[name] = value end
    clients[#clients + 1] = (make or gradient.client)(all)
    return clients[#clients]
  end

  return server, new_client
end

return fixture
