--- A local stand-in for the API, for specs, demo and benchmarks: a process of its own on loopback.
--
--   lua5.4 spec/server/server.lua [options]
--
--   --port N             port to listen on; 0, the default, takes a free one
--   --ready FILE         writes the base URL to this file or FIFO, instead of to standard output
--   --no-stdin           goes on when standard input ends; otherwise the end of it is the end
--   --jobs N             number of jobs (250)
--   --token TOKEN        the token that is accepted ("test-token"); may be repeated
--   --latency SECONDS    wait before every answer
--   --duration SECONDS   life of a created job (10)
--   --base-path PATH     prefix of all paths, such as /proxy/do
--   --public-url URL     scheme and host of the links; otherwise those of the request
--   --settings JSON      any settings of spec/support/api.lua
--
-- One coroutine serves one connection. Requests under /_control/ are for control.lua and count
-- nowhere; all others are API requests: counted, logged, matched against the script of faults, and
-- then answered by endpoints.lua.

local directory = arg[0]:match("^(.*)spec/server/[^/]*$") or "./"
package.path = directory .. "?.lua;" .. package.path

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local signal = require("cqueues.signal")
local socket = require("cqueues.socket")
local luasocket = require("socket")
local control = require("spec.server.control")
local endpoints = require("spec.server.endpoints")
local gzip = require("spec.server.gzip")
local json = require("spec.server.json")
local script = require("spec.server.script")
local states = require("spec.server.state")
local wire = require("spec.server.wire")

local CHUNK = -65536 -- "at most so many bytes"
local MAX_HEAD = 1 << 20
local MAX_BODY = 16 << 20
local JSON_TYPE = "application/json; charset=utf-8"
local LAST_INHERITED = 255
local LAST_LOOP_ERROR = 10 -- give up after so many errors outside of any connection

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

--- Status, headers and body of the answer that the API gives.
local function normal_answer(state, request)
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
  local status, fields, body = normal_answer(state, request)
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

--- Answers an API request. Returns whether the connection goes on, and whether the client had gone.
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

--- Identifies an API request and keeps the books while it is answered.
local function handle(state, connection, request)
  connection.requests = connection.requests + 1
  if not connection.number then
    state.last_connection = state.last_connection + 1
    connection.number = state.last_connection
  end
  request.connection = connection.number
  request.reused = connection.requests > 1
  request.id = request_id()
  if endpoints.is_list(state, request.path) and request.method == "GET" then
    request.page = math.tointeger(tonumber(request.query.page or 1))
  end
  state:begin(request)
  local ok, goes_on, gone = xpcall(serve_request, debug.traceback, state, connection, request)
  state:finish(request, gone)
  if not ok then
    io.stderr:write("spec/server/server.lua: ", tostring(goes_on), "\n")
    return false
  end
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
    if request.path:find("^/_control/") then
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

local function accept_connections(state, loop, listener)
  while true do
    local client = listener:accept({ nodelay = true })
    if client then
      client:setmode("bn", "bn")
      local connection = {
        socket = client,
        requests = 0,
        buffer = "",
        readable = { pollfd = client:pollfd(), events = "r" },
        again = errno.EAGAIN,
      }
      state.connections[connection] = true
      state.open = state.open + 1
      state.accepted = state.accepted + 1
      state:notify()
      loop:wrap(serve_connection, state, connection)
    else
      cqueues.sleep(0.01) -- out of descriptors: leave the others time to give some back
    end
  end
end

-- The process ------------------------------------------------------------------------------------

local FLAGS = { ["no-stdin"] = true }
local NUMBERS = { port = true, jobs = true, latency = true, duration = true }
local SETTINGS = { "jobs", "latency", "duration", "base-path", "public-url" }
local OTHERS = { port = true, ready = true, token = true, settings = true }

local function fail(message)
  io.stderr:write("spec/server/server.lua: ", message, "\n")
  os.exit(1)
end

-- Prints the comment at the top of this file, and ends.
local function help()
  for line in io.lines(arg[0]) do
    local text = line:match("^%-%-%-? ?(.*)$")
    if not text then break end
    print(text)
  end
  os.exit(0)
end

--- Options of the command line, and the settings among them.
local function parse_arguments(words)
  local options, settings, tokens = { port = 0 }, {}, {}
  local known = {}
  for _, name in ipairs(SETTINGS) do
    known[name] = true
  end
  local i = 1
  while i <= #words do
    local name = words[i]:match("^%-%-(.+)$")
    if name == "help" then help() end
    if FLAGS[name] then
      options[name] = true
      i = i + 1
    else
      local value = words[i + 1]
      if not (name and (known[name] or OTHERS[name]) and value) then
        fail("unknown option or missing value: " .. words[i])
      end
      if NUMBERS[name] then
        value = tonumber(value) or fail("--" .. name .. ": a number expected")
        value = math.tointeger(value) or value
      end
      if name == "token" then
        tokens[#tokens + 1] = value
        settings.tokens = tokens
      elseif name == "settings" then
        for key, setting in pairs(json.decode(value)) do
          settings[key] = setting
        end
      elseif known[name] then
        settings[name:gsub("-", "_")] = value
      else
        options[name] = value
      end
      i = i + 2
    end
  end
  return options, settings
end

--- Closes what we inherited: a connection of the program that started us would stay open in here
-- when that program closes it.
local function close_inherited()
  local descriptor = luasocket.tcp4()
  descriptor:close()
  for number = 3, LAST_INHERITED do
    descriptor:setfd(number)
    descriptor:close()
  end
end

--- Whether the end of standard input can be waited for: not if it is a file, or /dev/null.
local function can_wait_for_stdin()
  local probe = cqueues.new()
  probe:wrap(cqueues.poll, { pollfd = 0, events = "r" }, 0)
  return (probe:step(0))
end

--- Ends the process when standard input ends: whoever started it has gone.
local function follow_stdin()
  while true do
    cqueues.poll({ pollfd = 0, events = "r" })
    if not io.read(0) then
      os.exit(0)
    end
    io.read(1)
  end
end

--- Runs until an error too many; those outside of any connection are no client's fault.
local function run(loop)
  local errors = 0
  for message in loop:errors() do
    io.stderr:write("spec/server/server.lua: ", tostring(message), "\n")
    errors = errors + 1
    if errors > LAST_LOOP_ERROR then
      os.exit(1)
    end
  end
end

local function main()
  close_inherited()
  local options, settings = parse_arguments(arg)
  local made, state = pcall(states.new, settings)
  if not made then
    fail(tostring(state))
  end
  signal.ignore(signal.SIGPIPE)
  socket.onerror(function(_, _, code)
    return code
  end)
  local listener = socket.listen({
    host = "127.0.0.1",
    port = options.port,
    reuseaddr = true,
    nodelay = true,
  })
  local listening, why = listener:listen()
  if not listening then
    fail(("cannot listen on port %d: %s"):format(options.port, errno.strerror(why)))
  end
  local _, host, port = listener:localname()
  state.authority = ("%s:%d"):format(host, port)

  local loop = cqueues.new()
  loop:wrap(accept_connections, state, loop, listener)
  if not options["no-stdin"] then
    if not can_wait_for_stdin() then
      fail("standard input is no pipe or terminal to wait for: use --no-stdin")
    end
    loop:wrap(follow_stdin)
  end

  local ready = options.ready and assert(io.open(options.ready, "w")) or io.stdout
  ready:write("http://", state.authority, "\n")
  ready:flush()
  if options.ready then
    ready:close()
  end
  run(loop)
end

main()
