--- Serves connections: reads requests, has them answered, and counts them. A request under
-- /_control/ is for control.lua, and is not counted. All others are API requests: counted, logged,
-- matched against the script of faults, and then answered by endpoints.lua. Requests at the other
-- port are for storage.lua, and have a log of their own.

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local control = require("spec.server.control")
local endpoints = require("spec.server.endpoints")
local gzip = require("spec.server.gzip")
local script = require("spec.server.script")
local storage = require("spec.server.storage")
local wire = require("spec.server.wire")

local CHUNK = -65536 -- "at most so many bytes"
local MAX_HEAD = 1 << 20
local MAX_BODY = 16 << 20
local JSON_TYPE = "application/json; charset=utf-8"
-- Message and id of the errors that a script may ask for by their status alone.
local ERRORS = {
  [400] = { "bad_request", "The request could not be understood." },
  [401] = { "unauthorized", "Unable to authenticate you." },
  [403] = { "forbidden", "You are not authorized to perform this operation." },
  [404] = { "not_found", "The resource you were accessing could not be found." },
  [409] = { "conflict", "The resource is in use." },
  [422] = { "unprocessable_entity", "The request is not valid." },
  [429] = { "too_many_requests", "API Rate limit exceeded." },
}
local SERVER_ERROR = { "server_error", "Unexpected server-side error." }

-- Reading ----------------------------------------------------------------------------------------

--- Reads until the buffer has n bytes; false if the client goes first.
local function fill(connection, n)
  while #connection.buffer < n do
    local data = connection.socket:xread(CHUNK)
    if not data then
      return false
    end
    connection.buffer = connection.buffer .. data
  end
  return true
end

--- Reads the next request's head from the connection; nil at its end, or if it is none.
local function read_head(connection)
  local buffer, from = connection.buffer, 1
  while true do
    local _, stop = buffer:find("\r\n\r\n", from, true)
    if stop then
      connection.buffer = buffer:sub(stop + 1)
      return wire.parse_head(buffer:sub(1, stop))
    end
    from = math.max(1, #buffer - 2)
    local data = #buffer < MAX_HEAD and connection.socket:xread(CHUNK)
    if not data then
      return nil
    end
    buffer = buffer .. data
    connection.buffer = buffer
  end
end

--- Reads the next request, body and all; nil at the end of the connection.
local function read_request(connection)
  local request = read_head(connection)
  if not request then
    return nil
  end
  request.body = ""
  local length = tonumber(wire.header(request, "content-length") or 0)
  if length and length > 0 and length <= MAX_BODY then
    if wire.header(request, "expect") then
      connection.socket:xwrite("HTTP/1.1 100 Continue\r\n\r\n")
    end
    if not fill(connection, length) then
      return nil
    end
    request.body = connection.buffer:sub(1, length)
    connection.buffer = connection.buffer:sub(length + 1)
  end
  local keep = wire.header(request, "connection")
  keep = keep and keep:lower()
  request.keep = keep ~= "close" and (request.minor ~= "0" or keep == "keep-alive")
  return request
end

-- Answering --------------------------------------------------------------------------------------

local random = math.random

local function request_id()
  return ("%08x-%04x-4%03x-%04x-%012x"):format(
    random(0, 0xFFFFFFFF),
    random(0, 0xFFFF),
    random(0, 0xFFF),
    random(0x8000, 0xBFFF),
    random(0, 0xFFFFFFFFFFFF)
  )
end

local function is_authorized(state, request)
  local token = (wire.header(request, "authorization") or ""):match("^[Bb]earer (.+)$")
  for _, accepted in ipairs(state.settings.tokens) do
    if token == accepted then
      return true
    end
  end
  return false
end

--- The header that tells a client how long to wait, in the style that `rate.retry_after` asks for.
local function retry_after(style, left)
  if style == "none" then
    return nil
  elseif style == "ms" then
    return { "retry-after-ms", ("%d"):format(math.ceil(left * 1000)) }
  elseif style == "date" then
    local time = os.time() + math.ceil(left)
    return { "retry-after", os.date("!%a, %d %b %Y %H:%M:%S GMT", time) }
  end
  return { "retry-after", ("%d"):format(math.ceil(left)) }
end

local function error_body(request, status)
  local texts = ERRORS[status] or SERVER_ERROR
  return endpoints.problem(request, texts[1], texts[2])
end

--- Status, headers and body of the answer that the API gives. `is_replaced`: a fault has an answer
-- of its own, so the request is not carried out.
local function normal_answer(state, request, is_replaced)
  local limit, remaining, reset, left = state:charge()
  local fields = {
    { "content-type", JSON_TYPE },
    { "x-request-id", request.id },
    { "ratelimit-limit", limit },
    { "ratelimit-remaining", remaining },
    { "ratelimit-reset", reset },
  }
  if request.method == "CONNECT" then
    fields[1][2] = "text/html"
    return 403, fields, "<html><body><h1>This proxy connects to nothing</h1></body></html>\n"
  elseif left then
    fields[#fields + 1] = retry_after(state.settings.rate.retry_after, left)
    return 429, fields, error_body(request, 429)
  elseif not is_authorized(state, request) then
    return 401, fields, error_body(request, 401)
  end
  if is_replaced then
    return 200, fields, ""
  end
  local status, body = endpoints.answer(state, request)
  return status, fields, body
end

--- Puts the headers of a fault over the normal ones.
local function override(fields, headers)
  local extra, replaced = {}, {}
  if headers[1] then
    extra = headers
  else
    for name, value in pairs(headers) do
      extra[#extra + 1] = { name, value }
    end
    table.sort(extra, function(a, b)
      return a[1] < b[1]
    end)
  end
  for _, field in ipairs(extra) do
    replaced[field[1]:lower()] = true
  end
  local out = {}
  for _, field in ipairs(fields) do
    if not replaced[field[1]] then
      out[#out + 1] = field
    end
  end
  for _, field in ipairs(extra) do
    if field[2] then
      out[#out + 1] = field
    end
  end
  return out
end

local function in_chunks(text)
  local out = {}
  for at = 1, #text, 4096 do
    local part = text:sub(at, at + 4095)
    out[#out + 1] = ("%x\r\n%s\r\n"):format(#part, part)
  end
  return table.concat(out) .. "0\r\n\r\n"
end

--- The bytes of the answer to a request, as changed by a fault, if there is one.
local function answer_bytes(state, request, fault)
  local answer = request.storage and storage.answer or normal_answer
  local is_replaced = fault and fault.status and (fault.body ~= nil or fault.status >= 400)
  local status, fields, body = answer(state, request, is_replaced)
  if fault then
    if fault.status then
      status = fault.status
      body = fault.body or status < 400 and body or error_body(request, status)
    end
    body = fault.body or body
    if fault.gzip then
      body = gzip.pack(body)
      fields[#fields + 1] = { "content-encoding", "gzip" }
    end
    if fault.headers then
      fields = override(fields, fault.headers)
    end
  end
  if not request.keep then
    fields[#fields + 1] = { "connection", "close" }
  end
  request.status = status
  if fault and fault.chunked then
    fields[#fields + 1] = { "transfer-encoding", "chunked" }
    return wire.answer(status, fields) .. in_chunks(body)
  end
  return wire.answer(status, fields, body)
end

--- Answers a request. Returns whether the connection goes on, and whether the client had gone.
local function serve_request(state, connection, request)
  local fault = script.take(state.queue, request)
  local delay = state.settings.latency + (fault and fault.delay or 0)
  request.fault = fault and (fault.name or "script")
  if delay > 0 and not script.pause(connection, delay) then
    return false, true
  end
  local bytes = answer_bytes(state, request, fault)
  if fault and fault.steps then
    request.status = nil
    local goes_on, gone = script.perform(connection, fault.steps, bytes)
    return goes_on and request.keep, gone
  end
  if not connection.socket:xwrite(bytes) then
    return false, true
  end
  return request.keep
end

--- Answers a request under xpcall: an error of ours ends the connection.
local function serve_safely(state, connection, request)
  local ok, goes_on, gone = xpcall(serve_request, debug.traceback, state, connection, request)
  if not ok then
    io.stderr:write("spec/server/server.lua: ", tostring(goes_on), "\n")
    return false, gone
  end
  return goes_on, gone
end

--- Identifies an API request, and logs and counts it while it is answered.
local function handle(state, connection, request)
  connection.requests = connection.requests + 1
  if not connection.number then
    state.last_connection = state.last_connection + 1
    connection.number = state.last_connection
  end
  request.connection = connection.number
  request.reused = connection.requests > 1
  request.id = request_id()
  request.page = endpoints.page_number(state, request)
  state:begin(request)
  local goes_on, gone = serve_safely(state, connection, request)
  state:finish(request, gone)
  return goes_on
end

--- The same for a request at the other host.
local function handle_storage(state, connection, request)
  connection.requests = connection.requests + 1
  request.storage = true
  request.reused = connection.requests > 1
  request.id = request_id()
  request.received = cqueues.monotime()
  state.storage_log:add(request, state.settings.log)
  local goes_on, gone = serve_safely(state, connection, request)
  request.answered, request.aborted = cqueues.monotime(), gone or nil
  return goes_on
end

local function handle_control(state, connection, request)
  local status, body = control.answer(state, request)
  connection.socket:xwrite(wire.answer(status, { { "content-type", JSON_TYPE } }, body))
  return request.keep
end

-- Connections ------------------------------------------------------------------------------------

--- A connection counts as a client's until its first request turns out to be for the control.
local function count_out(state, connection)
  if state.connections[connection] then
    state.connections[connection] = nil
    state.open = state.open - 1
    state:notify()
  end
end

local function serve_connection(state, connection)
  while true do
    local request = read_request(connection)
    if not request then
      break
    end
    local goes_on
    if connection.storage then
      goes_on = handle_storage(state, connection, request)
    elseif request.path:find("^/_control/") then
      if connection.requests == 0 and state.connections[connection] then
        state.accepted = math.max(0, state.accepted - 1)
        count_out(state, connection)
      end
      goes_on = handle_control(state, connection, request)
    else
      goes_on = handle(state, connection, request)
    end
    if not goes_on then
      break
    end
  end
  count_out(state, connection)
  connection.socket:close()
end

local function count_in(state, connection)
  state.connections[connection] = true
  state.open = state.open + 1
  state.accepted = state.accepted + 1
  state:notify()
end

--- Accepts connections for ever, and serves each in a coroutine of its own. `is_storage`: they are
-- for the other host, and not counted.
local function accept(state, loop, listener, is_storage)
  while true do
    local client = listener:accept({ nodelay = true })
    if client then
      client:setmode("bn", "bn")
      local connection = {
        socket = client,
        storage = is_storage,
        requests = 0,
        buffer = "",
        readable = { pollfd = client:pollfd(), events = "r" },
        again = errno.EAGAIN,
      }
      if not is_storage then
        count_in(state, connection)
      end
      loop:wrap(serve_connection, state, connection)
    else
      cqueues.sleep(0.01) -- out of descriptors: leave the others time to give some back
    end
  end
end

return { accept = accept }
