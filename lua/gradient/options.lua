--- The options of a client: what they may be, their defaults and the environment, and what must not
--- be sent where.

local check = require "gradient.check"
local core = require "gradient.core"

local options = {}

--- Options of a client.
---@class gradient.options
---@field token? string  default: DIGITALOCEAN_ACCESS_TOKEN, then DIGITALOCEAN_TOKEN
---@field base_url? string  default: GRADIENT_BASE_URL, then https://api.digitalocean.com
---@field timeout? number  seconds for one attempt, default 60
---@field connect_timeout? number  seconds, default 5
---@field total_timeout? number  seconds for all attempts and pauses of a call together; default:
---none
---@field max_retries? integer  further attempts after the first, default 2
---@field headers? table<string, string>  added to every request
---@field user_agent? string  default: gradient-lua, with the versions of what it consists of
---@field proxy? string  URL of a proxy; "" for none; default: libcurl's (environment)
---@field ca_file? string  PEM file of the authorities to trust; default: libcurl's
---@field allow_http? boolean  send the token over plain http to a host that is not loopback
---@field max_body? integer  bytes of one answer, decompressed; default 64 MiB
---@field keep_nulls? boolean  keep null members as gradient.null
---@field on_event? fun(event: gradient.event)  called for requests, responses, retries and errors
---@field wait? fun(fds: { fd: integer, events: "r"|"w"|"rw" }[], seconds: number)  waits for the
---network; default: blocks

--- Options of one call; default: the client's.
---@class gradient.call_options
---@field timeout? number  seconds for one attempt
---@field connect_timeout? number  seconds
---@field total_timeout? number  seconds for all attempts and pauses together
---@field max_retries? integer  further attempts after the first
---@field headers? table<string, string>  added to the client's
---@field query? table<string, string|number|boolean>  further query parameters

-- A sandbox may have taken these away: then the environment is empty, and there is no log.
local getenv = os and os.getenv or function() end
local stderr = io and io.stderr

local default_base_url = "https://api.digitalocean.com"

local proxy_schemes = {
  http = true, https = true, socks4 = true, socks4a = true, socks5 = true, socks5h = true,
}

-- The host of a proxy's URL; nil when libcurl cannot use it.
local function proxy_host(text)
  local _, scheme, host, path, query, fragment = core.url(text, true)
  if proxy_schemes[scheme] and path == "/" and not query and not fragment then return host end
end

local proxy_form = "a URL such as http://user:password@host:8080, with special characters in the"
  .. " password percent-encoded"

local proxy_kind = { "a string", function(value, what)
  if type(value) ~= "string" then return nil end
  if value ~= "" and (value:find("%c") or not proxy_host(value)) then
    return nil, ("%s must be %s"):format(what, proxy_form)
  end
  return value
end }

local kinds = {
  token = check.token, base_url = check.string, timeout = check.seconds,
  connect_timeout = check.seconds, total_timeout = check.seconds, max_retries = check.count,
  headers = check.headers, user_agent = check.string, proxy = proxy_kind, ca_file = check.string,
  allow_http = check.boolean, max_body = check.integer, keep_nulls = check.boolean,
  on_event = check.callable, wait = check.callable,
}

-- The first of these variables that is there, and its name; an empty one counts as missing.
local function environment(...)
  for _, name in ipairs{ ... } do
    local value = getenv(name)
    if value and value ~= "" then return value, name end
  end
end

-- The proxy that libcurl takes from the environment.
-- https://curl.se/libcurl/c/CURLOPT_PROXY.html
local function environment_proxy(scheme)
  if scheme == "https" then
    return environment("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
  end
  return environment("http_proxy", "all_proxy", "ALL_PROXY")
end

local function is_loopback(host)
  if host == "localhost" or host == "[::1]" then return true end
  local octets = { host:match("^(127)%.(%d+)%.(%d+)%.(%d+)$") }
  for _, octet in ipairs(octets) do
    if tonumber(octet) > 255 then return false end
  end
  return #octets == 4
end

-- The option `proxy` of a request to a host. A proxy of the environment is for the network, not for
-- this machine.
local function proxy_for(proxy)
  return function(host) return not proxy and is_loopback(host:lower()) and "" or nil end
end

-- A base URL without a final slash, its scheme and host.
local function parse_base_url(what, text, level)
  local url, scheme, host, _, query, fragment = core.url(text)
  if not url then
    error(("%s must be an absolute http or https URL: %s"):format(what, scheme), level + 1)
  end
  if scheme ~= "https" and scheme ~= "http" or not host then
    error(("%s must begin with https:// or http://"):format(what), level + 1)
  end
  if query or fragment then
    error(("%s must have no query and no fragment"):format(what), level + 1)
  end
  return url:gsub("/+$", ""), scheme, host:lower()
end

--- The host of a URL that the API names, which is fetched over https, or from this machine.
---@param text string
---@return string? host
---@return string? problem  when it cannot be used, or must not
function options.parse_report_url(text)
  local url, scheme, host = core.url(text)
  if not url then return nil, "cannot be used: " .. scheme end
  if scheme == "https" or scheme == "http" and is_loopback(host:lower()) then return host end
  return nil, "is not fetched, because it is not https"
end

-- Why nothing must be sent to this place; nil when it may.
local function find_problem(token, scheme, host, settings, proxy)
  if not token then
    return "authentication", "there is no token: set DIGITALOCEAN_ACCESS_TOKEN, or the option"
      .. " 'token' of gradient.client"
  end
  if scheme == "https" or settings.allow_http then return nil end
  local place = not is_loopback(host) and host
  if not place and proxy and not is_loopback(proxy_host(proxy):lower()) then place = "a proxy" end
  if place then
    return "connection", ("the token is not sent over plain http to %s; use https, or set"
      .. " allow_http"):format(place)
  end
end

-- Secrets -----------------------------------------------------------------------------------------

local base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- What is always the same of `text` in base64, when so many bytes (0 to 2) stand before it.
local function base64(text, before)
  local bytes, out = ("\0"):rep(before) .. text, {}
  for position = 1, #bytes - 2, 3 do
    local a, b, c = bytes:byte(position, position + 2)
    local word = a << 16 | b << 8 | c
    for shift = 18, 0, -6 do
      local digit = (word >> shift & 63) + 1
      out[#out + 1] = base64_digits:sub(digit, digit)
    end
  end
  return table.concat(out):sub(before == 0 and 1 or before + 2)
end

local function literally(text)
  return (text:gsub("%W", "%%%0"))
end

--- A pattern of this text in any case.
---@param text string
---@return string
function options.in_any_case(text)
  return (text:gsub("%W", "%%%0"):gsub("%a", function(letter)
    return ("[%s%s]"):format(letter:lower(), letter:upper())
  end))
end

-- `text` with all characters of this class percent-encoded.
local function percent_encoded(text, class)
  return (text:gsub(class, function(c) return ("%%%02X"):format(c:byte()) end))
end

---@param text string
---@return string
function options.percent_decoded(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Two functions about one form of a token: is it in a text that is in lower case; and the text
-- without it. The form is an upvalue, so that it is in no table that a program can reach.
local function form_of_token(form, pattern)
  local folded_form = form:lower()
  return {
    is_in = function(folded) return folded:find(folded_form, 1, true) end,
    remove = function(text) return (text:gsub(pattern(form), "[token]")) end,
  }
end

-- All forms in which a server may repeat a token: as it is, or encoded, in any case.
local function forms_of_token(token)
  local forms, seen = {}, {}
  local function add(form, pattern)
    if not seen[form] then forms[#forms + 1] = form_of_token(form, pattern) end
    seen[form] = true
  end
  add(token, options.in_any_case)
  add(percent_encoded(token, "[^%w%-._~]"), options.in_any_case)
  add(percent_encoded(token, "%W"), options.in_any_case)
  add((token:gsub('["\\/]', "\\%0")), options.in_any_case)
  for before = 0, 2 do
    local encoded = base64(token, before)
    if #encoded >= 8 then add(encoded, literally) end
  end
  return forms
end

-- The credentials in a proxy's URL: as they are there, as the proxy gets them, and for HTTP.
local function forms_of_credentials(proxy)
  local text = proxy and (proxy:match("^%a[%w+.-]*://(.+)@") or proxy:match("^(.+)@"))
  if not text then return {} end
  local forms, decoded = {}, options.percent_decoded(text)
  for _, form in ipairs{ text, decoded, base64(decoded, 0) } do
    if #form >= 3 then forms[#forms + 1] = form end -- shorter ones are in every other word
  end
  return forms
end

-- A function that takes secrets out of what a server or libcurl said (a string, a table of them, or
-- nil): the token, and credentials in URLs. Nearly always there are none, which is checked first:
-- for a table in the text that it was made of, if that is given.
local function redactor(token, proxy)
  local forms = token and forms_of_token(token) or {}
  local credentials = forms_of_credentials(proxy)
  local function is_clean(text)
    if text:find("@", 1, true) then return false end
    for _, form in ipairs(credentials) do
      if text:find(form, 1, true) then return false end
    end
    local folded = text:lower()
    for _, form in ipairs(forms) do
      if form.is_in(folded) then return false end
    end
    return true
  end
  local function redact_string(text)
    if is_clean(text) then return text end
    for _, form in ipairs(forms) do text = form.remove(text) end
    for _, form in ipairs(credentials) do text = text:gsub(literally(form), "***") end
    return (text:gsub("(%a://)[^/?#%s@]+@", "%1***@"))
  end
  local function redact_table(value)
    local safe = {}
    for name, item in pairs(value) do
      safe[redact_string(name)] = type(item) == "table" and redact_table(item)
        or type(item) == "string" and redact_string(item) or item
    end
    return safe
  end
  return function(value, source)
    if type(value) == "string" then return redact_string(value) end
    if type(value) ~= "table" or source and is_clean(source) then return value end
    return redact_table(value)
  end
end

-- Events ------------------------------------------------------------------------------------------

--- What on_event is called with.
---@class gradient.event
---@field type "request"|"response"|"retry"|"error"
---@field method string
---@field url string
---@field attempt integer
---@field status? integer  of a response or retry
---@field request_id? string  of a response
---@field elapsed? number  of a response: seconds
---@field delay? number  of a retry: seconds until then
---@field reason? string  of a retry
---@field error? gradient.error  of an error

local log_line = {
  request = "%s %s (attempt %d)", response = "%s %s: HTTP %d in %.3f s (attempt %d)",
  retry = "%s %s: again in %.2f s, %s (attempt %d)", error = "%s %s: %s",
}

-- An on_event that prints to stderr what GRADIENT_LOG asks for.
local function logger()
  local wish = environment "GRADIENT_LOG"
  if not wish or not stderr then return nil end
  if wish ~= "info" and wish ~= "debug" then
    stderr:write("gradient: GRADIENT_LOG must be info or debug; nothing is logged\n")
    return nil
  end
  return function(event)
    if event.type == "request" and wish ~= "debug" then return end
    local details = ({
      request = { event.attempt }, response = { event.status, event.elapsed, event.attempt },
      retry = { event.delay, event.reason, event.attempt }, error = { tostring(event.error) },
    })[event.type]
    local line = log_line[event.type]:format(event.method, event.url, table.unpack(details))
    stderr:write("gradient: ", (line:gsub("%c", " ")), "\n")
  end
end

local function both(first, second)
  if not (first and second) then return first or second end
  return function(event)
    first(event)
    second(event)
  end
end

-- All of it --------------------------------------------------------------------------------------

local function user_agent()
  return ("gradient-lua/%s (%s; libcurl %s)"):format(core.version, _VERSION, core.libcurl)
end

--- Checks a client's options and completes them from the environment.
---@param given? gradient.options
---@param level integer  where to raise a mistake in them
---@return table settings  the fields of a client
---@return table transport  what the core's client is made of; it holds the token
function options.read(given, level)
  local checked = check.fields("option", given, kinds, level + 1)
  local token, token_problem = checked.token, nil
  if not token then
    local found, name = environment("DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN")
    if found then token, token_problem = check.token[2](found, name) end
  end
  local base_url, what = checked.base_url, "option 'base_url'"
  if not base_url then base_url, what = environment "GRADIENT_BASE_URL" end
  local url, scheme, host = parse_base_url(what, base_url or default_base_url, level + 1)

  local proxy, variable = checked.proxy, nil
  if not proxy and is_loopback(host) then proxy = "" end -- the environment's is for the network
  if not proxy then proxy, variable = environment_proxy(scheme) end
  local kind, problem
  if variable and not proxy_host(proxy) then
    kind, problem = "connection", ("the proxy in the variable %s cannot be used: it must be %s")
      :format(variable, proxy_form)
  else
    kind, problem = find_problem(token, scheme, host, checked, proxy ~= "" and proxy)
  end
  local settings = {
    base_url = base_url or default_base_url, url = url,
    problem_kind = kind, problem = not token and token_problem or problem,
    redact = redactor(token, proxy),
    timeout = checked.timeout or 60, connect_timeout = checked.connect_timeout or 5,
    total_timeout = checked.total_timeout or math.huge,
    max_retries = checked.max_retries or 2, max_body = checked.max_body or 64 * 1024 * 1024,
    headers = checked.headers or {}, keep_nulls = checked.keep_nulls or false,
    on_event = both(checked.on_event, logger()), wait = checked.wait,
    proxy = proxy == "" and "" or nil, proxy_for = proxy_for(checked.proxy),
  }
  return settings, {
    user_agent = checked.user_agent or user_agent(), ca_file = checked.ca_file,
    proxy = not variable and proxy or nil,
    secret = token and { "authorization: Bearer " .. token } or {},
  }
end

return options
