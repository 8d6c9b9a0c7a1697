--- A client: its options and where they come from, its core, and the one place that waits.

local check = require "gradient.check"
local call = require "gradient.call"
local core = require "gradient.core"
local errors = require "gradient.errors"

local default_base_url = "https://api.digitalocean.com"

-- Seconds after which a waiting call looks again, whatever it waits for: a host's own `wait` may
-- miss an event, and must not hang a program by it.
local longest_wait = 1

---@class gradient.options
---@field token? string  default: DIGITALOCEAN_ACCESS_TOKEN, then DIGITALOCEAN_TOKEN
---@field base_url? string  default: GRADIENT_BASE_URL, then https://api.digitalocean.com
---@field timeout? number  seconds for one attempt, default 60
---@field connect_timeout? number  seconds, default 5
---@field max_retries? integer  further attempts after the first, default 2
---@field headers? table<string, string>  added to every request
---@field user_agent? string
---@field proxy? string  URL of a proxy; "" for none; default: libcurl's (environment)
---@field ca_file? string  PEM file of the authorities to trust; default: libcurl's
---@field allow_http? boolean  send the token over plain http to a host that is not loopback
---@field max_body? integer  bytes of one answer, decompressed; default 64 MiB
---@field keep_nulls? boolean  keep null members as gradient.null
---@field on_event? fun(event: gradient.event)
---@field wait? fun(fds: { fd: integer, events: "r"|"w"|"rw" }[], seconds: number)

---@class gradient.event
---@field type "request"|"response"|"retry"|"error"
---@field method string
---@field url string
---@field attempt integer
---@field status? integer  response, retry
---@field request_id? string  response
---@field elapsed? number  seconds, response
---@field delay? number  seconds, retry
---@field reason? string  retry
---@field error? gradient.error  error

local option_kinds = {
  token = check.token, base_url = check.string, timeout = check.seconds,
  connect_timeout = check.seconds, max_retries = check.count, headers = check.headers,
  user_agent = check.string, proxy = check.string, ca_file = check.string,
  allow_http = check.boolean, max_body = check.integer, keep_nulls = check.boolean,
  on_event = check.callable, wait = check.callable,
}

--- What a single call may set differently.
---@class gradient.call_options
---@field timeout? number
---@field connect_timeout? number
---@field total_timeout? number  seconds for all attempts and pauses together
---@field max_retries? integer
---@field headers? table<string, string>
---@field query? table<string, string|number|boolean>  further query parameters

---@class gradient.client
---@field indexing_jobs gradient.indexing_jobs
---@field knowledge_bases gradient.knowledge_bases
---@field scheduled_indexing gradient.scheduled_indexing
local client_methods = {}

local client_metatable = { __name = "gradient.client", __index = client_methods }

function client_metatable:__tostring()
  return ("gradient.client: %s%s"):format(self.base_url, self.closed and " (closed)" or "")
end

-- A variable of the environment; an empty one counts as missing.
local function environment(...)
  for _, name in ipairs{ ... } do
    local value = os.getenv(name)
    if value and value ~= "" then return value, name end
  end
end

-- A function that takes the token out of what a server or libcurl said (a string, a table of
-- them, or nil). The token is its upvalue, so that it is in no table.
local function redactor(token)
  local pattern = token and #token >= 4 and token:gsub("%W", "%%%0")
  local function redact(told)
    if not pattern or told == nil then return told end
    if type(told) == "string" then return (told:gsub(pattern, "[token]")) end
    local safe = {}
    for name, value in pairs(told) do safe[name] = redact(value) end
    return safe
  end
  return redact
end

local function is_loopback(host)
  host = host:lower()
  return host == "localhost" or host == "[::1]" or host:find("^127%.%d+%.%d+%.%d+$")
end

local function parse_url(what, text, level)
  local url, complaint = core.url(text)
  if not url then
    error(("%s must be an absolute http or https URL: %s"):format(what, complaint), level + 1)
  end
  local scheme, host, query, fragment = url:parts()
  if scheme ~= "https" and scheme ~= "http" or not host then
    error(("%s must begin with https:// or http://"):format(what), level + 1)
  end
  if query or fragment then
    error(("%s must have no query and no fragment"):format(what), level + 1)
  end
  return url, scheme, host
end

-- Can what is said to this proxy be read outside of this machine?
local function is_remote_proxy(proxy)
  if not proxy or proxy == "" then return false end
  local url = core.url(proxy:find("://", 1, true) and proxy or "http://" .. proxy)
  if not url then return true end
  local _, host = url:parts()
  return not is_loopback(host)
end

-- Why the token must not be sent to this place; nil when it may.
local function refusal(scheme, host, options)
  if scheme == "https" or options.allow_http then return nil end
  local place = not is_loopback(host) and host or is_remote_proxy(options.proxy) and "a proxy"
  return place and ("the token is not sent over plain http to %s; use https, or set allow_http")
    :format(place)
end

local log_line = {
  request = "%s %s (attempt %d)", response = "%s %s: HTTP %d in %.3f s (attempt %d)",
  retry = "%s %s: again in %.2f s, %s (attempt %d)", error = "%s %s: %s",
}

-- An on_event that prints to stderr what GRADIENT_LOG asks for.
local function logger()
  local wish = environment "GRADIENT_LOG"
  if not wish then return nil end
  if wish ~= "info" and wish ~= "debug" then
    io.stderr:write("gradient: GRADIENT_LOG must be info or debug; nothing is logged\n")
    return nil
  end
  return function(event)
    if event.type == "request" and wish ~= "debug" then return end
    local details = ({
      request = { event.attempt }, response = { event.status, event.elapsed, event.attempt },
      retry = { event.delay, event.reason, event.attempt }, error = { tostring(event.error) },
    })[event.type]
    local line = log_line[event.type]:format(event.method, event.url, table.unpack(details))
    io.stderr:write("gradient: ", (line:gsub("%c", " ")), "\n")
  end
end

local function both(first, second)
  if not (first and second) then return first or second end
  return function(event)
    first(event)
    second(event)
  end
end

local function user_agent()
  return ("gradient-lua/%s (%s; libcurl %s)"):format(core.version, _VERSION, core.libcurl)
end

-- Header lines as libcurl takes them; an empty value has a notation of its own there.
local function header_lines(...)
  local merged, lines = {}, {}
  for _, headers in ipairs{ ... } do
    for name, value in pairs(headers) do merged[name] = value end
  end
  for name, value in pairs(merged) do
    lines[#lines + 1] = value == "" and name .. ";" or name .. ": " .. value
  end
  return lines
end

--- gradient.client
---@param options? gradient.options
---@param level integer  where to raise a mistake in the options
---@return gradient.client
local function new(options, level)
  local checked = check.fields("option", options, option_kinds, level + 1)
  local token, token_problem = checked.token, nil
  if not token then
    local found, name = environment("DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN")
    if found then token, token_problem = check.token[2](found, name) end
  end
  local base_url, where = checked.base_url, "option 'base_url'"
  if not base_url then base_url, where = environment "GRADIENT_BASE_URL" end
  local url, scheme, host = parse_url(where, base_url or default_base_url, level + 1)

  local self = setmetatable({
    base_url = base_url or default_base_url, url = url,
    has_token = token and true or false, token_problem = token_problem,
    refusal = refusal(scheme, host, checked),
    redact = redactor(token), token_length = token and #token or 0,
    has_proxy = checked.proxy ~= nil,
    timeout = checked.timeout or 60, connect_timeout = checked.connect_timeout or 5,
    max_retries = checked.max_retries or 2, max_body = checked.max_body or 64 * 1024 * 1024,
    headers = checked.headers or {}, keep_nulls = checked.keep_nulls or false,
    on_event = both(checked.on_event, logger()), wait = checked.wait, waiting = 0, closed = false,
  }, client_metatable)
  self.proxy = self:proxy_for(host)
  self.core = core.client{
    user_agent = checked.user_agent or user_agent(),
    proxy = checked.proxy, ca_file = checked.ca_file,
    headers = token and { "authorization: Bearer " .. token },
  }
  return self
end

--- Ends what is under way (with an error of kind "closed" there) and all connections. Optional: a
--- client that nobody holds is collected. Any number of times.
function client_methods:close()
  if getmetatable(self) ~= client_metatable then
    error("close is called with a colon: client:close()", 2)
  end
  self.closed = true
  if self.waiting > 0 then
    self.core:wake()
  else
    self.core:close()
  end
end

client_metatable.__close = client_methods.close

-- The error that keeps a request from being sent at all; nil when there is none.
function client_methods:obstacle()
  if self.closed then return "closed", "the client was closed" end
  if not self.has_token then
    return "authentication", self.token_problem
      or "there is no token: set DIGITALOCEAN_ACCESS_TOKEN, or the option 'token' of"
        .. " gradient.client"
  end
  if self.refusal then return "connection", self.refusal end
end

-- A proxy of the environment is for the network, not for this machine.
function client_methods:proxy_for(host)
  return not self.has_proxy and is_loopback(host) and "" or nil
end

local json_headers = { accept = "application/json" }
local json_body_headers = { accept = "application/json", ["content-type"] = "application/json" }

-- A request that is not sent at all.
function client_methods:refuse(method, url, kind, message)
  local err = errors.new{ kind = kind, message = message, attempts = 0 }
  if self.on_event then
    self.on_event{ type = "error", method = method, url = url, attempt = 0, error = err }
  end
  return nil, err
end

--- A call of the API, not started yet.
---@package
---@param operation table  see indexing_jobs.lua
---@param segments string[]  of the path
---@param query string[]  name, value, name, value, …
---@param body string?  JSON
---@param options gradient.call_options  checked
---@param pace table?  see paginator.lua
---@return gradient.call?, gradient.error?
function client_methods:call(operation, segments, query, body, options, pace)
  local kind, message = self:obstacle()
  local url = self.url:with(segments, query)
  if kind then return self:refuse(operation.method, url, kind, message) end
  return call.new(self, {
    method = operation.method, url = url, body = body,
    headers = header_lines(body and json_body_headers or json_headers, self.headers,
      options.headers or {}),
    timeout = options.timeout or self.timeout,
    connect_timeout = options.connect_timeout or self.connect_timeout,
    max_retries = options.max_retries or self.max_retries, deadline = options.deadline,
    max_body = self.max_body, proxy = self.proxy, fresh = operation.method == "POST",
    member = operation.member, opener = operation.opener, identity = options.identity,
    absent = operation.absent, caution = operation.caution, redact = operation.redact,
  }, pace)
end

--- A call for a text at another place, which gets neither the token nor any header of the
--- program's; over https, or from this machine.
---@package
---@param place table  url; shown_url and redact for what events and errors may tell of it
---@param options gradient.call_options  checked
---@return gradient.call?, gradient.error?
function client_methods:call_elsewhere(place, options)
  local shown = place.shown_url
  if self.closed then return self:refuse("GET", shown, "closed", "the client was closed") end
  local url, complaint = core.url(place.url)
  local scheme, host
  if url then scheme, host = url:parts() end
  if not host then
    return self:refuse("GET", shown, "connection", ("%s cannot be used: %s"):format(shown,
      complaint or "it has no host"))
  elseif scheme ~= "https" and not (scheme == "http" and is_loopback(host)) then
    return self:refuse("GET", shown, "connection",
      ("%s is not fetched, because it is not https"):format(shown))
  end
  return call.new(self, {
    method = "GET", url = place.url, anonymous = true, headers = { "accept: */*", "user-agent:" },
    shown_url = shown, place = host, redact = place.redact,
    timeout = options.timeout or self.timeout,
    connect_timeout = options.connect_timeout or self.connect_timeout,
    max_retries = options.max_retries or self.max_retries, deadline = options.deadline,
    max_body = self.max_body, proxy = self:proxy_for(host),
  })
end

-- Counts a waiting call out, also when its coroutine is closed, or collected, meanwhile. The last
-- one out of a closed client ends the connections, which nobody watches any more.
local function leave(waiter)
  local client = waiter.client
  if not client then return end
  waiter.client = nil
  client.core:give_back(waiter.fds)
  client.waiting = client.waiting - 1
  if client.closed and client.waiting == 0 then client.core:close() end
end

local waiter_metatable = { __close = leave, __gc = leave }

-- Waits for the network or the time to be over; returns whether it was only for the time, and all
-- of that is over. Only a host's own `wait` can be trusted to sleep as long as it was asked to; the
-- default one also returns on a signal.
function client_methods:pause(transfers, seconds)
  if not self.wait then
    self.core:wait(seconds)
    return false
  end
  local waiter <close> = setmetatable({ client = false, fds = {} }, waiter_metatable)
  waiter.client, self.waiting = self, self.waiting + 1
  if #transfers > 0 then waiter.fds = self.core:fds(table.unpack(transfers)) end
  if not self.closed then self.wait(waiter.fds, seconds) end -- a finalizer may have closed it
  return #transfers == 0
end

-- Lets libcurl work: with an event loop, where every coroutine looks after its own, on these
-- transfers; else on all.
function client_methods:progress(transfers)
  if not self.wait then
    self.core:step()
  elseif #transfers > 0 then
    self.core:step(table.unpack(transfers))
  end
end

-- For the calls of one iteration this is how fast they may go (see paginator.lua).
local no_pace = { resume_at = -math.huge, window = math.huge }

-- Lets every call go as far as it can without waiting; returns the transfers under way, and when
-- the first pause between two attempts ends.
local function advance(calls, now, pace)
  local transfers, resume_at = {}, math.huge
  for _, item in ipairs(calls) do
    item:look(now)
    if item.transfer and not item.over then transfers[#transfers + 1] = item.transfer end
  end
  for _, item in ipairs(calls) do
    local due = item.resume_at and math.max(item.resume_at, pace.resume_at)
    if due and due > now then
      resume_at = math.min(resume_at, due)
    elseif due and #transfers < pace.window then
      item:send()
      transfers[#transfers + 1] = item.transfer
    end
  end
  return transfers, resume_at
end

-- Marks what was left alone for so much longer than the `asked` seconds that a time-out is not the
-- server's fault: the program did something else meanwhile, or its event loop was busy.
local function mark_neglected(calls, now, asked)
  for _, item in ipairs(calls) do
    if item.transfer and not item.over
      and now - item.driven_at - asked > item.request.timeout / 2 then
      item.neglected = true
    end
  end
end

--- Sends what is due, without waiting for anything.
---@package
---@param calls gradient.call[]
---@param pace table?
function client_methods:start(calls, pace)
  self:progress(advance(calls, core.now(), pace or no_pace))
end

--- Lets time pass, and whatever else this client has under way go on.
---@package
---@param seconds number
function client_methods:sleep(seconds)
  local deadline, left, slept = core.now() + seconds, seconds, false
  while left > 0 and not slept and not self.closed do
    slept = self:pause({}, left)
    self:progress{}
    left = deadline - core.now()
  end
end

--- Drives `calls` until `wanted`, one of them, is over. The one place that waits.
---@package
---@param wanted gradient.call
---@param calls gradient.call[]
---@param pace table?
function client_methods:drive(wanted, calls, pace)
  local now = core.now()
  pace = pace or no_pace
  mark_neglected(calls, now, 0)
  while true do
    local transfers, resume_at = advance(calls, now, pace)
    for _, item in ipairs(calls) do item.driven_at = now end
    if wanted.over then return end
    local seconds, slept = self.closed and 0 or resume_at - now, false
    if #transfers > 0 then
      seconds = math.min(seconds, self.core:timeout() or longest_wait, longest_wait)
    end
    if seconds > 0 then slept = self:pause(transfers, seconds) end
    mark_neglected(calls, core.now(), math.max(seconds, 0))
    self:progress(transfers)
    now = core.now()
    if slept then -- whatever the clock says: the host's may be another
      now = math.max(now, resume_at)
      if pace.resume_at <= now then pace.resume_at = -math.huge end
    end
  end
end

return { new = new }
