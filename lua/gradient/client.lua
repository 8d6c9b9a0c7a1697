--- A client: its settings, its core, and its end. init.lua adds the operations of the API.

local call = require "gradient.call"
local core = require "gradient.core"
local driver = require "gradient.driver"
local errors = require "gradient.errors"
local options = require "gradient.options"

--- A client: a token, an address, and the connections to it.
---@class gradient.client
---@field indexing_jobs gradient.indexing_jobs
---@field knowledge_bases gradient.knowledge_bases
---@field scheduled_indexing gradient.scheduled_indexing
local client_methods = {
  drive = driver.drive, start = driver.start, sleep = driver.sleep,
}

local client_metatable = { __name = "gradient.client", __index = client_methods }

local client = {}

function client_metatable:__tostring()
  return ("gradient.client: %s%s"):format(self.base_url, self.closed and " (closed)" or "")
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

local json_headers = { accept = "application/json" }
local body_headers = { ["content-type"] = "application/json" }

--- Makes a client.
---@param given? gradient.options
---@param level integer  where to raise a mistake in the options
---@return gradient.client
function client.new(given, level)
  local self, transport = options.read(given, level + 1)
  transport.headers = header_lines(json_headers, self.headers)
  local made, result = pcall(core.client, transport)
  if not made then error(result, level + 1) end
  self.core, self.closed = result, false
  return setmetatable(self, client_metatable)
end

--- Ends the client's calls, which return an error of kind "closed", and its connections. This is
--- optional: a client that is no longer used is garbage, and collected. It may be called again.
function client_methods:close()
  if getmetatable(self) ~= client_metatable then
    error("call close with a colon: client:close()", 2)
  end
  self.closed = true
  self.core:close()
end

client_metatable.__close = client_methods.close

local function escape(text)
  return (text:gsub("[^A-Za-z0-9%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- The base URL with segments of a path, and name, value, name, value, … as a query behind it.
local function url_with(base, segments, query)
  local parts = { base }
  for _, segment in ipairs(segments) do
    parts[#parts + 1] = "/"
    parts[#parts + 1] = escape(segment)
  end
  for position, text in ipairs(query) do
    parts[#parts + 1] = position == 1 and "?" or position % 2 == 1 and "&" or "="
    parts[#parts + 1] = escape(text)
  end
  return table.concat(parts)
end

-- The outcome of a request that must not be made.
local function refuse(self, method, url, kind, message)
  local err = errors.new{ kind = kind, message = message, attempts = 0 }
  if self.on_event then
    self.on_event{ type = "error", method = method, url = url, attempt = 0, error = err }
  end
  return nil, err
end

-- A request with the call's options, and the client's settings for the rest.
local function new_request(self, method, url, call_options)
  return {
    method = method, url = url, max_body = self.max_body,
    timeout = call_options.timeout or self.timeout,
    connect_timeout = call_options.connect_timeout or self.connect_timeout,
    total_timeout = call_options.total_timeout or self.total_timeout,
    max_retries = call_options.max_retries or self.max_retries,
  }
end

--- A call of the API, not started yet.
---@package
---@param operation table  see resource.lua
---@param segments string[]  of the path
---@param query string[]  name, value, name, value, …
---@param body string?  JSON
---@param call_options gradient.call_options  checked
---@param pace gradient.pace?
---@return gradient.call?, gradient.error?
function client_methods:call(operation, segments, query, body, call_options, pace)
  local method, url = operation.method, url_with(self.url, segments, query)
  if self.closed then return refuse(self, method, url, "closed", "the client was closed") end
  if self.problem then return refuse(self, method, url, self.problem_kind, self.problem) end
  local request = new_request(self, method, url, call_options)
  if body or call_options.headers then
    request.body = body
    request.headers = header_lines(json_headers, body and body_headers or {}, self.headers,
      call_options.headers or {})
  end
  request.proxy, request.fresh = self.proxy, method == "POST"
  request.member, request.opener = operation.member, operation.opener
  request.identity, request.absent = call_options.identity, operation.absent
  request.caution, request.redact = operation.caution, operation.redact
  return call.new(self, request, pace)
end

--- A call for a text at another place, which gets neither the token nor any header of the
--- program's; over https, or from this machine.
---@package
---@param place table  url; shown_url and redact for what events and errors may tell of it
---@param call_options gradient.call_options  checked
---@return gradient.call?, gradient.error?
function client_methods:call_elsewhere(place, call_options)
  local shown = place.shown_url
  if self.closed then return refuse(self, "GET", shown, "closed", "the client was closed") end
  local host, problem = options.parse_report_url(place.url)
  if not host then
    return refuse(self, "GET", shown, "connection", ("%s %s"):format(shown, problem))
  end
  local request = new_request(self, "GET", place.url, call_options)
  request.anonymous, request.headers = true, { "accept: */*", "user-agent:" }
  request.proxy, request.place = self.proxy_for(host), host
  request.shown_url, request.redact = shown, place.redact
  return call.new(self, request)
end

return client
