--- A proxy that opens tunnels (CONNECT) to this machine, for one connection.
--
--   local proxy <close> = tunnel.start()    proxy.url
--   local head = proxy:stop()               ends it; what it was asked

local process = require("spec.support.process")

-- Relays in both directions until one side closes.
local PROGRAM = [[
  local socket = require("socket")
  local listener = assert(socket.bind("127.0.0.1", 0))
  print(("http://127.0.0.1:%d"):format(select(2, listener:getsockname())))
  io.stdout:flush()
  local client = listener:accept()
  local head = ""
  repeat
    local line = assert(client:receive("*l"))
    head = head .. line .. "\n"
  until line == ""
  io.stderr:write(head)
  local upstream = assert(socket.connect("localhost", tonumber(head:match("^CONNECT [^:]+:(%d+)"))))
  client:send("HTTP/1.1 200 OK\r\n\r\n")
  local peer = { [client] = upstream, [upstream] = client }
  client:settimeout(0)
  upstream:settimeout(0)
  while true do
    for _, ready in ipairs((socket.select({ client, upstream }))) do
      local bytes, why, partial = ready:receive(65536)
      local text = bytes or partial
      peer[ready]:settimeout(10)
      if text ~= "" then assert(peer[ready]:send(text)) end
      peer[ready]:settimeout(0)
      if why == "closed" then os.exit() end
    end
  end
]]

local tunnel = {}

local methods = {}

function methods:stop()
  local head = self.process:errors()
  self.process:stop(true)
  return head
end

function tunnel.start()
  local running, url = process.start({ "lua5.4", "-e", PROGRAM })
  return setmetatable({ process = assert(running, url), url = url },
    { __index = methods, __close = function(self) self.process:stop(true) end })
end

return tunnel
