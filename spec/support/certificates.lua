--- Certificates for the TLS front ends: made with the openssl command when first asked for, kept in
-- a temporary directory until this Lua state ends.
--
--   certificates.get(name) → {certificate = path, key = path, ca = path of the CA to trust}
--
--   good         for localhost and 127.0.0.1, signed by the CA
--   wrong_host   the same for elsewhere.example.com
--   expired      the same as good, until a month ago
--   self_signed  for localhost, signed by itself
--   unknown_ca   for localhost, signed by a CA that `ca` does not hold

-- issuer, host names, validity in days from now
local KINDS = {
  good = { issuer = "ca", names = "DNS:localhost,IP:127.0.0.1", from = -1, to = 30 },
  wrong_host = { issuer = "ca", names = "DNS:elsewhere.example.com", from = -1, to = 30 },
  expired = { issuer = "ca", names = "DNS:localhost,IP:127.0.0.1", from = -60, to = -30 },
  self_signed = { names = "DNS:localhost,IP:127.0.0.1" },
  unknown_ca = { issuer = "other", names = "DNS:localhost,IP:127.0.0.1", from = -1, to = 30 },
}

-- `openssl ca` is the one command that takes the dates of a certificate, and it wants this file.
local CONFIGURATION = [[
[ca]
default_ca = it
[it]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
]]

local NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch"

local CA_SCRIPT = "openssl req -x509 %s -keyout %s.key -out %s.pem -subj '/CN=%s' -days 30"

local SELF_SIGNED_SCRIPT = "openssl req -x509 %s -keyout self_signed.key -out self_signed.pem "
  .. "-subj /CN=localhost -addext 'subjectAltName=%s' -days 30"

local SIGNED_SCRIPT = [[
openssl req %s -keyout %s.key -out %s.csr -subj /CN=localhost
echo 'subjectAltName=%s' >%s.extensions
openssl ca -config ca.conf -batch -notext -cert %s.pem -keyfile %s.key -in %s.csr -out %s.pem \
  -startdate %s -enddate %s -extfile %s.extensions
]]

local directory -- of all files; its __gc removes it

local made = {}

local function run(script)
  local command = "cd '%s' && { set -e; %s\n} >log 2>&1"
  if not os.execute(command:format(directory.path, script)) then
    local file <close> = assert(io.open(directory.path .. "/log"))
    error("openssl failed:\n" .. file:read("a"), 0)
  end
end

local function open_directory()
  local pipe = assert(io.popen("mktemp -d", "r"))
  local path = pipe:read("l")
  pipe:close()
  directory = setmetatable({ path = path }, {
    __gc = function()
      os.execute("rm -rf '" .. path .. "'")
    end,
  })
  local file <close> = assert(io.open(path .. "/ca.conf", "w"))
  file:write(CONFIGURATION)
  run(": >index.txt")
end

local function make_ca(name)
  if not made[name] then
    run(CA_SCRIPT:format(NEW_KEY, name, name, "Gradient spec " .. name))
    made[name] = true
  end
end

local function date(days)
  return os.date("!%Y%m%d%H%M%SZ", os.time() + days * 86400)
end

local function make(name)
  local kind = KINDS[name] or error("unknown certificate '" .. tostring(name) .. "'", 3)
  if not directory then
    open_directory()
  end
  make_ca("ca")
  if not kind.issuer then
    run(SELF_SIGNED_SCRIPT:format(NEW_KEY, kind.names))
  else
    local issuer = kind.issuer
    make_ca(issuer)
    local from, to = date(kind.from), date(kind.to)
    run(
      SIGNED_SCRIPT:format(
        NEW_KEY,
        name,
        name,
        kind.names,
        name,
        issuer,
        issuer,
        name,
        name,
        from,
        to,
        name
      )
    )
  end
  local base = directory.path .. "/" .. name
  return { certificate = base .. ".pem", key = base .. ".key", ca = directory.path .. "/ca.pem" }
end

--- The files of a certificate.
local function get(name)
  made[name] = made[name] or make(name)
  return made[name]
end

return { get = get }
