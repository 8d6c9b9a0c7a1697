--- A relay of TCP connections to a server on this machine, which does what networks do.
--
--   local relay <close> = relay.start(port)   relay.port, relay.url ("http://127.0.0.1:PORT")
--   relay:lose()      the connections that there are pass nothing any more, in either direction,
--                     and stay open; new ones work: what a NAT gateway does that forgets, or a VPN
--   relay:hold()      new connections are made, and wait: nobody answers on them
--   relay:release()   goes on with these, and with all to come
--   relay:say(text)   these bytes come to all clients, from nobody
--   relay:drop()      closes the connections that there are
--   relay:accepted()  how many connections there have been
--   relay:stop()

local socket = require("socket")
local process = require("spec.support.process")

-- Commands come over a connection to a port of their own: a line, its name and the number of bytes
-- that follow. The answer is a line with the number of connections so far; what was asked for is
-- done by then.
local PROGRAM = [[
  local upstream_port = %d
  local socket = require("socket")
  local listener = assert(socket.bind("127.0.0.1", 0))
  local control = assert(socket.bind("127.0.0.1", 0))
  print(select(2, listener:getsockname()) .. " " .. select(2, control:getsockname()))
  io.stdout:flush()
  local commander = control:accept()
  commander:setoption("tcp-nodelay", true)
  local peer, is_client, accepted = {}, {}, 0
  local is_holding, held = false, {}

  local function serve(client)
    local upstream = assert(socket.connect("127.0.0.1", upstream_port))
    client:setoption("tcp-nodelay", true)
    upstream:setoption("tcp-nodelay", true)
    peer[client], peer[upstream], is_client[client] = upstream, client, true
  end

  local function accept()
    local client = listener:accept()
    accepted = accepted + 1
    if is_holding then held[#held + 1] = client else serve(client) end
  end

  local function close(one)
    for _, ending in ipairs{ one, peer[one] } do
      peer[ending], is_client[ending] = nil, nil
      ending:close()
    end
  end

  local function pass(one)
    local other = peer[one]
    if not other then return end
    one:settimeout(0)
    local bytes, why, partial = one:receive(65536)
    one:settimeout(nil)
    bytes = bytes or partial
    if bytes ~= "" and not other:send(bytes) or why == "closed" then close(one) end
  end

  local lost = {}
  local commands = {
    lose = function()
      for one in pairs(peer) do lost[#lost + 1] = one end
      peer, is_client = {}, {}
    end,
    hold = function() is_holding = true end,
    release = function()
      is_holding = false
      for _, client in ipairs(held) do serve(client) end
      held = {}
    end,
    say = function(text)
      for client in pairs(is_client) do client:send(text) end
    end,
    drop = function()
      while next(is_client) do close((next(is_client))) end
    end,
    accepted = function() end,
  }

  while true do
    local watched = { listener, commander }
    for one in pairs(peer) do watched[#watched + 1] = one end
    for _, ready in ipairs((socket.select(watched))) do
      if ready == listener then
        accept()
      elseif ready == commander then
        local line = commander:receive("*l")
        if not line then os.exit() end
        local name, length = line:match("^(%%a+) (%%d+)$")
        commands[name](length == "0" and "" or assert(commander:receive(tonumber(length))))
        commander:send(accepted .. "\n")
      else
        pass(ready)
      end
    end
  end
]]

local methods = {}

local function command(name)
  return function(self, text)
    text = text or ""
    assert(self.commander:send(("%s %d\n%s"):format(name, #text, text)))
    return tonumber((assert(self.commander:receive("*l"))))
  end
end

for _, name in ipairs{ "lose", "hold", "release", "say", "drop", "accepted" } do
  methods[name] = command(name)
end

function methods:stop()
  self.commander:close()
  self.process:stop()
end

local metatable = { __name = "spec.support.relay", __index = methods, __close = methods.stop }

--- Starts a relay to a port of this machine.
local function start(port)
  local running, ports = process.start{ "lua5.4", "-e", PROGRAM:format(port) }
  assert(running, ports)
  local listening, controlling = ports:match("^(%d+) (%d+)$")
  local commander = assert(socket.connect("127.0.0.1", tonumber(controlling)))
  commander:setoption("tcp-nodelay", true)
  commander:settimeout(10)
  return setmetatable({
    process = running, commander = commander, port = tonumber(listening),
    url = "http://127.0.0.1:" .. listening,
  }, metatable)
end

return { start = start }
