--- A local stand-in for the API, for specs, demo and benchmarks: a process of its own on loopback.
--
--   lua5.4 spec/server/server.lua [options]
--
--   --port N             port to listen on; 0, the default, takes a free one
--   --ready FILE         writes the base URL to this file or FIFO, instead of to standard output
--   --no-stdin           goes on when standard input ends; otherwise that ends the server
--   --jobs N             number of jobs (250)
--   --token TOKEN        the token that is accepted ("test-token"); may be repeated
--   --latency SECONDS    wait before every answer
--   --duration SECONDS   life of a created job (10)
--   --base-path PATH     prefix of all paths, such as /proxy/do
--   --public-url URL     scheme and host of the links; otherwise those of the request
--   --settings JSON      any settings of spec/support/api.lua
--
-- Its parts, from the outside in; each knows only those below it:
--
--   connections.lua  one coroutine a connection: reads requests, has them answered, counts them
--   control.lua      what specs ask of the server, under /_control/ (see spec/support/api.lua)
--   endpoints.lua    the endpoints of the API
--   storage.lua      the other host, on a port of its own, which has the reports of jobs
--   script.lua       how answers are spoilt; faults.lua, the ways that have names
--   state.lua        settings, counters; log.lua, what was asked
--   store.lua        which knowledge bases, jobs and schedules there are
--   jobs.lua         what is said of a job at a time; bases.lua, of a knowledge base
--   ids.lua, json.lua, wire.lua, gzip.lua   uuids; JSON; HTTP; compression

local directory = arg[0]:match("^(.*)spec/server/[^/]*$") or "./"
package.path = directory .. "?.lua;" .. package.path

local cqueues = require("cqueues")
local errno = require("cqueues.errno")
local signal = require("cqueues.signal")
local socket = require("cqueues.socket")
local luasocket = require("socket")
local connections = require("spec.server.connections")
local json = require("spec.server.json")
local states = require("spec.server.state")

local LAST_INHERITED = 255
local LAST_LOOP_ERROR = 10 -- give up after so many errors outside of any connection

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

--- Ends the process when standard input ends: the program that started it has gone.
local function follow_stdin()
  while true do
    cqueues.poll({ pollfd = 0, events = "r" })
    if not io.read(0) then
      os.exit(0)
    end
    io.read(1)
  end
end

--- Runs until there were too many errors outside of connections, which are no client's fault.
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

local function listen(port)
  local listener = socket.listen({
    host = "127.0.0.1",
    port = port,
    reuseaddr = true,
    nodelay = true,
  })
  local listening, why = listener:listen()
  if not listening then
    fail(("cannot listen on port %d: %s"):format(port, errno.strerror(why)))
  end
  return listener
end

local function authority(listener)
  local _, host, port = listener:localname()
  return ("%s:%d"):format(host, port)
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
  local listener, storage_listener = listen(options.port), listen(0)
  state.authority, state.storage_authority = authority(listener), authority(storage_listener)

  local loop = cqueues.new()
  loop:wrap(connections.accept, state, loop, listener)
  loop:wrap(connections.accept, state, loop, storage_listener, true)
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
