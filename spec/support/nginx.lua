--- A real nginx on loopback, in a temporary directory, without root, that ends when we do.
--
--   local site <close> = nginx.static("page.json")   site.url: a plain HTTP server that answers
--                                                     every list request with this file
--   local server <close> = nginx.start(configuration) for tls.lua
--   nginx.version()                                   "1.22.1"
--
-- The listening socket is made here and handed over, as in an upgrade of a running nginx (variable
-- NGINX). So the port is ours from the start, and the first request waits in the socket's queue
-- until nginx takes it: nobody has to guess when it is ready.

local socket = require("socket")
local process = require("spec.support.process")
local shell = require("spec.support.shell")

local START_TIMEOUT = 10
local BACKLOG = 1024

local FRAME = [[
daemon off;
worker_processes 1;
error_log stderr crit;
pid %DIRECTORY%/pid;
events { worker_connections 4096; }
%BODY%
]]

local HTTP = [[
http {
  access_log off;
  client_body_temp_path %DIRECTORY%/client_body;
  proxy_temp_path %DIRECTORY%/proxy;
  fastcgi_temp_path %DIRECTORY%/fastcgi;
  uwsgi_temp_path %DIRECTORY%/uwsgi;
  scgi_temp_path %DIRECTORY%/scgi;
  default_type application/json;
  server_tokens off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
%BODY%
}
]]

-- Arguments: the descriptor of the listening socket, the directory. The end of standard input ends
-- nginx, and so does SIGTERM; what runs in the background needs another descriptor for it. Started
-- by root, the worker would be another user, who cannot read our temporary files.
local SCRIPT = [[
directory=$2
export NGINX="$1;" PATH="$PATH:/usr/sbin"
set -- nginx -e /dev/null -c "$directory/nginx.conf"
test "$(id -u)" != 0 || set -- "$@" -g "user root;"
case $NGINX in
  "9;") input=8; exec 8<&0 ;;
  *) input=9; exec 9<&0 ;;
esac
"$@" &
nginx=$!
trap 'kill $nginx 2>/dev/null' TERM
(eval "cat <&$input"; kill $nginx) >/dev/null 2>&1 &
echo started
wait $nginx || wait $nginx
rm -rf "$directory"
]]

local STATIC = [[
  sendfile on;
  open_file_cache max=16;
  server {
    listen %ADDRESS%;
    location = /v2/gen-ai/indexing_jobs { alias "%FILE%"; }
  }
]]

local server_methods = {}

function server_methods:stop()
  if self.process then
    self.process:stop()
    self.process = nil
  end
end

local server_metatable = {
  __name = "spec.support.nginx",
  __index = server_methods,
  __close = server_methods.stop,
  __gc = server_methods.stop,
}

--- Waits for the first answer, whatever it says: a TLS server answers this with an error, or closes
-- the connection. Looks up now and then, because an nginx that failed leaves its socket open in the
-- shell in the background.
local function has_answered(port, running)
  local client = socket.connect("127.0.0.1", port)
  local deadline = socket.gettime() + START_TIMEOUT
  local line, why
  if client then
    client:settimeout(0.05)
    client:send("GET / HTTP/1.0\r\n\r\n")
    repeat
      line, why = client:receive("*l")
    until line or why ~= "timeout" or running:errors() ~= "" or socket.gettime() > deadline
    client:close()
  end
  return line ~= nil or why == "closed" and running:errors() == ""
end

--- Starts nginx. `body` stands inside http { }, or is a whole stream { }; %NAME% in it is replaced
-- by values.NAME, and %ADDRESS% by the address to listen on. Returns an object with port, url and
-- stop().
local function start(body, values)
  local listener = assert(socket.bind("127.0.0.1", 0, BACKLOG))
  local _, port = listener:getsockname()
  local directory = process.new_directory()
  local all = { DIRECTORY = directory, ADDRESS = "127.0.0.1:" .. port }
  for name, value in pairs(values) do
    all[name] = value
  end
  do
    local file <close> = assert(io.open(directory .. "/nginx.conf", "w"))
    if body:find("^stream") then
      file:write("load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n")
    else
      local inner = body
      body = HTTP:gsub("%%BODY%%", function()
        return inner
      end)
    end
    local text = FRAME:gsub("%%BODY%%", function()
      return body
    end)
    file:write((text:gsub("%%(%u+)%%", all)))
  end
  local descriptor = tostring(math.tointeger(listener:getfd()))
  local running, why = process.start({ "sh", "-c", SCRIPT, "sh", descriptor, directory })
  listener:close()
  if not running then
    error("nginx did not start:\n" .. why, 3)
  elseif not has_answered(port, running) then
    why = running:errors()
    running:stop(true)
    error("nginx did not start:\n" .. why, 3)
  end
  return setmetatable({
    process = running,
    port = port,
    url = "http://127.0.0.1:" .. port,
  }, server_metatable)
end

--- Serves the file at `path` as the answer to every list request.
local function static(path)
  local file = assert(io.open(path, "r"))
  file:close()
  if path:sub(1, 1) ~= "/" then
    path = assert(os.getenv("PWD"), "PWD is not set") .. "/" .. path
  end
  return start(STATIC, { FILE = path })
end

local known_version

--- The version of nginx, such as "1.22.1".
local function version()
  known_version = known_version
    or shell.must("PATH=$PATH:/usr/sbin nginx -v"):match("nginx/([%d.]+)")
  return known_version
end

return {
  version = version,
  start = start,
  static = static,
}
