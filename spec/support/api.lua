--- Starts the local API server and scripts it: for specs, demo and benchmarks.
--
--   local api <close> = require("spec.support.api").start({ jobs = 250 })
--   api.url, api.token                "http://127.0.0.1:PORT" (and the base path), "test-token"
--   api:stop()                        ends the server; so do <close>, collection, and our own end
--
-- Settings, for start{…}, and later for api:set{…}; false means "none" where that is possible:
--   jobs       number of jobs (250)
--   active     how many of these, the newest, are not over yet (3; of less than 30 jobs, a tenth)
--   knowledge_bases  how many these are of (36; more if needed: each has 15 jobs at the most)
--   fields     "platform": without what is zero or not set; or "reference": the 15 fields of the
--              reference page, whatever their values, 575 bytes a job
--   duration   seconds that a created job lives: a sixth of it pending, the rest running (10)
--   outcome    how created jobs end: "completed", "no_changes", "partial", "failed", "error"
--   outcomes   the same for the jobs of single knowledge bases: {[uuid] = outcome}
--   busy       status that refuses a job for a knowledge base that has one under way (409); false:
--              it is created all the same
--   database_time  seconds that the database of a new knowledge base takes until it is there (10)
--   tokens     list of tokens that are accepted ({"test-token"})
--   base_path  prefix of all paths, such as "/proxy/do" ("")
--   public_url scheme and host of the links; otherwise taken from the request
--   latency    seconds before each answer (0)
--   growth     jobs that are created after each answer to a list request (0): shifts the list
--   decay      oldest jobs that disappear after each answer to a list request (0)
--   change     {create =, remove =, decay =, after =, times =}: after the answers to list requests,
--              from number `after` (1) on and so many `times` (always), as many jobs are created,
--              disappear from all over the list, and of the oldest (false)
--   meta, links   false leaves them out of lists (true)
--   endless    "empty" or "repeat": each page claims that another one follows; beyond the end there
--              are no jobs, or the same ones again (false)
--   rate       {limit =, window = seconds, retry_after = "seconds" | "ms" | "date" | "none"}:
--              that many requests a window, then 429 (false)
--   log        how many requests the log keeps (1000); many of them make the server pause for some
--              milliseconds now and then to collect garbage, so benchmarks say 0
-- jobs, active, knowledge_bases and fields make new data, as at the start.
--
-- Control:
--   api:reset()                       settings, jobs, script, log, counters: all as at the start
--   api:set{ latency = 0.05 }
--   api:grow(n)                       creates n jobs now, each of a knowledge base of its own
--   api:decay(n)                      takes the n oldest away
--   api:advance(seconds)              puts the server's clock forward: jobs and rate limit go on
--   api:drop()                        closes the connections of all clients
--   api:knowledge_bases()             uuids of the knowledge bases that the jobs are of
--   api:create_knowledge_base{ name = "faq" }   adds one and returns its uuid. Its database is
--                                     CREATING for `database_time`, and then `database_status`
--                                     ("ONLINE")
--
-- Faults, consumed by the requests that come next, in order (see script.lua for all fields):
--   api:script{ {status = 500}, {status = 503, body = "", times = 2} }
--   api:script{ {match = {page = 2}, steps = {{answer = "all", to = 100}, {reset = true}}} }
--   api:fault("half_body", {finish = "reset", match = {page = 3}})     one with a name, faults.lua
--   api:pending()                     number of entries that are left in the script
--
-- What the server saw; times in seconds of CLOCK_MONOTONIC:
--   api:requests()     list of {number, connection, reused, method, target, path, query, page,
--                      headers (the last of each name), header_list ({{name, value}, …}, names in
--                      lower case), body, status (nil if the bytes were a script's), fault,
--                      received, answered (nil: not yet), aborted (true: the client went first)}
--   api:last_request() the last of these
--   api:storage_requests()  the same for the host that has the reports of jobs: another port
--   api:connections()  {accepted, open, requests, answered, in_progress, busiest}: connections
--                      accepted and open now; requests seen, answered, in progress, and the most in
--                      progress at once
--   api:await{ requests = 3, open = 0, timeout = 5 }
--                      waits until requests, answered, accepted are at least, and open and
--                      in_progress are exactly, what is asked for; returns the counters, or raises
--                      after timeout (5) seconds
--
-- Addresses that no server answers; they are held until closed:
--   local nowhere <close> = M.refused()       nowhere.url refuses connections
--   local nowhere <close> = M.unreachable()   connections to nowhere.url are never established
--   local peer <close> = M.silent()   takes connections and says nothing

local socket = require("socket")
local faults = require("spec.server.faults")
local json = require("spec.server.json")
local process = require("spec.support.process")

local CONTROL_TIMEOUT = 10
local TOKEN = "test-token"

local server = debug.getinfo(1, "S").source:match("^@(.*)support/api%.lua$") .. "server/server.lua"

local api_methods = {}

--- Reads one answer of the control: status and body.
local function read_answer(connection)
  local line, why = connection:receive("*l")
  if not line then
    return nil, why
  end
  local length = 0
  repeat
    local field = connection:receive("*l") or ""
    length = tonumber(field:match("^content%-length: (%d+)")) or length
  until field == ""
  return tonumber(line:match(" (%d+)")), connection:receive(length)
end

--- Sends a request to the server's control, over a connection that is kept. Raises its errors.
function api_methods:control(name, values)
  assert(self.process, "the server was stopped")
  if not self.connection then
    self.connection = assert(socket.connect("127.0.0.1", self.port))
    self.connection:setoption("tcp-nodelay", true)
  end
  self.connection:settimeout((values and values.timeout or 0) + CONTROL_TIMEOUT)
  local body = values and json.encode(values) or ""
  local head = "POST /_control/%s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n"
  assert(self.connection:send(head:format(name, #body) .. body))
  local status, answer = read_answer(self.connection)
  if not status then
    error(("the local API server does not answer: %s\n%s"):format(answer, self.process:errors()), 0)
  end
  local result = json.decode(answer)
  if status ~= 200 then
    error(result.message, 3)
  end
  return result
end

function api_methods:reset()
  self:control("reset")
end

function api_methods:set(settings)
  self:control("set", settings)
end

function api_methods:grow(count)
  self:control("grow", { count = count })
end

function api_methods:decay(count)
  self:control("decay", { count = count })
end

function api_methods:advance(seconds)
  self:control("advance", { seconds = seconds })
end

function api_methods:drop()
  self:control("drop")
end

function api_methods:script(entries)
  self:control("script", entries)
end

function api_methods:fault(name, options)
  self:control("script", { { fault = name, options = options } })
end

function api_methods:pending()
  return self:control("pending").entries
end

function api_methods:knowledge_bases()
  return self:control("knowledge_bases")
end

function api_methods:create_knowledge_base(values)
  return self:control("create_knowledge_base", values).uuid
end

function api_methods:storage_requests()
  return self:control("storage_requests")
end

function api_methods:requests()
  return self:control("requests")
end

function api_methods:last_request()
  local requests = self:requests()
  return requests[#requests]
end

function api_methods:connections()
  return self:control("connections")
end

function api_methods:await(goal)
  local counters = self:control("await", goal)
  if not counters.reached then
    error("the server did not get there in time: " .. json.encode(counters), 2)
  end
  return counters
end

function api_methods:stop()
  if self.connection then
    self.connection:close()
    self.connection = nil
  end
  if self.process then
    self.process:stop()
    self.process = nil
  end
end

local api_metatable = {
  __name = "spec.support.api",
  __index = api_methods,
  __close = api_methods.stop,
  __gc = api_methods.stop,
}

--- Starts a server. `settings` as above, and `port` (a free one).
local function start(settings)
  local initial = {}
  for name, value in pairs(settings or {}) do
    initial[name] = value
  end
  local port = initial.port or 0
  initial.port = nil
  local words = { "lua5.4", server, "--port", tostring(port) }
  if next(initial) then
    table.move({ "--settings", json.encode(initial) }, 1, 2, #words + 1, words)
  end
  local running, url = process.start(words)
  if not running then
    error("the local API server did not start: " .. url, 2)
  end
  return setmetatable({
    process = running,
    port = tonumber(url:match(":(%d+)$")),
    path = initial.base_path or "",
    url = url .. (initial.base_path or ""),
    token = (initial.tokens or { TOKEN })[1],
  }, api_metatable)
end

local address_metatable = {
  __close = function(self)
    for _, held in ipairs(self) do
      held:close()
    end
  end,
}

local function address(listener, held)
  local _, port = listener:getsockname()
  held[#held + 1] = listener
  held.url = "http://127.0.0.1:" .. port
  return setmetatable(held, address_metatable)
end

--- An address that refuses connections: bound, so that nobody else gets it, but not listening.
local function refused()
  local bound = assert(socket.tcp4())
  assert(bound:bind("127.0.0.1", 0))
  return address(bound, {})
end

--- An address at which connections are never established: its queue is full, nobody accepts.
local function unreachable()
  local listener = assert(socket.bind("127.0.0.1", 0, 0))
  local _, port = listener:getsockname()
  local held = {}
  for i = 1, 2 do
    held[i] = assert(socket.tcp4())
    held[i]:settimeout(0)
    held[i]:connect("127.0.0.1", port)
  end
  return address(listener, held)
end

--- An address at which connections are made, by the kernel, and nobody says anything.
local function silent()
  return address(assert(socket.bind("127.0.0.1", 0, 64)), {})
end

return {
  start = start,
  refused = refused,
  unreachable = unreachable,
  silent = silent,
  faults = faults.names,
}
