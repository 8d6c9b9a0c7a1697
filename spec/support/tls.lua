--- TLS and HTTP/2 in front of the local API server: a real nginx that forwards to it.
--
--   local front <close> = tls.start(api, { certificate = "good", http2 = true })
--   front.url       "https://localhost:PORT" (and the base path of the server)
--   front.ca_file   the CA that signed the good, the wrong_host and the expired certificate
--   front:stop()
--
-- Options:
--   certificate  "good" (the default), "wrong_host", "expired", "self_signed", "unknown_ca"
--   http2        false: HTTP/1.1 only (true)
--   protocols    as nginx's ssl_protocols ("TLSv1.2 TLSv1.3"); "TLSv1.1" is a server from the past
--   gzip         true: compresses answers for clients that accept it (false)
--   raw          true: takes TLS off and passes the bytes on as they are, unasked ones too (false)

local certificates = require("spec.support.certificates")
local nginx = require("spec.support.nginx")

local OPTIONS = { certificate = true, http2 = true, protocols = true, gzip = true, raw = true }

-- SECLEVEL 0: without it OpenSSL 3 refuses everything before TLS 1.2.
local CONFIGURATION = [[
  upstream api {
    server 127.0.0.1:%UPSTREAM%;
    keepalive 64;
    keepalive_requests 1000000000;
  }
  server {
    listen %ADDRESS% ssl%PARAMETER%;
    %DIRECTIVE%
    ssl_certificate %CERTIFICATE%;
    ssl_certificate_key %KEY%;
    ssl_protocols %PROTOCOLS%;
    ssl_ciphers DEFAULT@SECLEVEL=0;
    http2_max_concurrent_streams 256;
    gzip %GZIP%;
    gzip_types application/json;
    gzip_proxied any;
    location / {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_buffering off;
      proxy_next_upstream off;
      proxy_read_timeout 1h;
    }
  }
]]

local RAW_CONFIGURATION = [[stream {
  server {
    listen %ADDRESS% ssl;
    ssl_certificate %CERTIFICATE%;
    ssl_certificate_key %KEY%;
    ssl_protocols %PROTOCOLS%;
    tcp_nodelay on;
    proxy_pass 127.0.0.1:%UPSTREAM%;
    proxy_timeout 1h;
  }
}]]

-- nginx has a directive of its own for HTTP/2 since 1.25.1, and complains about the old way.
local function has_http2_directive()
  local major, minor, patch = nginx.version():match("(%d+)%.(%d+)%.(%d+)")
  return major * 1000000 + minor * 1000 + patch >= 1025001
end

--- Starts a front end for a server that api.lua started.
local function start(api, options)
  options = options or {}
  for name in pairs(options) do
    assert(OPTIONS[name], "unknown option '" .. tostring(name) .. "'")
  end
  local files = certificates.get(options.certificate or "good")
  local front = nginx.start(options.raw and RAW_CONFIGURATION or CONFIGURATION, {
    UPSTREAM = tostring(api.port),
    PARAMETER = options.http2 ~= false and not has_http2_directive() and " http2" or "",
    DIRECTIVE = options.http2 ~= false and has_http2_directive() and "http2 on;" or "",
    CERTIFICATE = files.certificate,
    KEY = files.key,
    PROTOCOLS = options.protocols or "TLSv1.2 TLSv1.3",
    GZIP = options.gzip and "on" or "off",
  })
  front.url = ("https://localhost:%d%s"):format(front.port, api.path)
  front.ca_file = files.ca
  return front
end

return { start = start }
