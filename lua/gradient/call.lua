--- One call of the API: its attempts, the pauses between them, its answer. A call never waits: the
--- driver (driver.lua) does.

local core = require "gradient.core"
local errors = require "gradient.errors"
local retry = require "gradient.retry"

---@class gradient.call
---@field transfer userdata?  the attempt under way, or the one that has the answer
---@field resume_at number?  when (core.now) the next attempt may start; nil while one is under way
---@field over boolean  an answer or an error is there
---@field attempts integer  requests that were made
---@field failures integer  of these, the ones that count against max_retries
---@field sent_at number?  when (core.now) the latest attempt was made
---@field ended_at number?  when the whole answer was there
---@field left number  seconds that the attempt under way may still take
---@field connect_left number  seconds that its connection may still take to be made
---@field total_left number  seconds that the call may still take
---@field counted_until number?  up to when (core.now) time was counted
local call_methods = {}

local call_metatable = { __name = "gradient.call", __index = call_methods }

local max_error_body = 4096

-- libcurl counts the time for a connection itself, also while nobody lets it work. If that takes
-- more than these seconds away, the call gets them back.
local tolerance = 0.02

local call = {}

--- A new call, due at once.
---@param client table
---@param request table  for core's client:send, and `timeout`, `total_timeout` (seconds),
---`max_retries`, `member` and `opener` (without: the answer is text), `identity`, `absent` and
---`caution` (see resource.lua); `shown_url`, `place`, `redact` for what is secret
---@param pace gradient.pace?
---@return gradient.call
function call.new(client, request, pace)
  local redact = client.redact
  if request.redact then
    redact = function(value) return client.redact(request.redact(value)) end
  end
  return setmetatable({
    client = client, request = request, pace = pace, redact = redact,
    connect_timeout = request.connect_timeout,
    attempts = 0, failures = 0, over = false, events = {},
    started_at = core.now(), resume_at = 0, left = request.timeout,
    total_left = request.total_timeout,
  }, call_metatable)
end

-- Ends the attempt under way, or frees its answer.
function call_methods:release()
  if self.transfer then self.transfer:close() end
  self.transfer = nil
end

--- Ends the call: those who still drive it get an error. There is no event.
function call_methods:close()
  self:release()
  self.events = {}
  if self.over then return end
  self.over, self.resume_at = true, nil
  self.error = errors.new{
    kind = "closed", message = "the call was cancelled", attempts = self.attempts,
  }
end

call_metatable.__close = call_methods.close

-- Notes an event, for on_event to be called with.
function call_methods:event(kind, fields)
  if not self.client.on_event then return end
  fields.type, fields.attempt = kind, self.attempts
  fields.method, fields.url = self.request.method, self.request.shown_url or self.request.url
  table.insert(self.events, fields)
end

--- Calls on_event, which may do anything, for each event. Returns whether there was one.
---@return boolean
function call_methods:tell()
  local any = false
  while self.events[1] do
    any = true
    self.client.on_event(table.remove(self.events, 1))
  end
  return any
end

function call_methods:fail(fields)
  fields.attempts = self.attempts
  self:release()
  self.over, self.resume_at = true, nil
  self.error = errors.new(fields)
  self:event("error", { error = self.error })
end

-- The beginning of the body without the token and other secrets, also without a part of one that
-- the limit cuts off.
function call_methods:body_excerpt()
  local body = self.transfer:body(2 * max_error_body)
  local is_cut = #body == 2 * max_error_body
  body = self.redact(body)
  return (is_cut and body:sub(1, -max_error_body - 1) or body):sub(1, max_error_body)
end

-- The message for an answer outside 2xx whose body is not the API's: most often a proxy's page, or
-- XML of the host that has the reports.
local function default_message(status, headers, body)
  if status >= 300 and status < 400 and headers.location then
    return "the server redirects to " .. headers.location .. ", which is not followed"
  end
  if body == "" then return "the server gave no reason" end
  local content_type = headers["content-type"] or ""
  local words = body:match("<[Tt][Ii][Tt][Ll][Ee]>%s*([^<]-)%s*<")
    or body:match("<Message>%s*([^<]-)%s*</Message>")
    or content_type:find("^text/plain") and body:match("^%s*([^\r\n]+)")
  if words and words:find("%a") then return words:sub(1, 200) end
  return "the server gave no reason that can be read"
end

-- What a body says of an error, in the words of the API or of a gateway: grpc's `message`, the
-- `detail` and `title` of RFC 9457, `error` as a string or as an object with a message.
local function reason_of(said)
  local nested = type(said.error) == "table" and said.error.message
  for _, reason in ipairs{ said.message or false, said.detail or false, said.title or false,
    said.error or false, nested or false } do
    if type(reason) == "string" and reason ~= "" then return reason end
  end
end

-- The error for an answer outside 2xx.
function call_methods:answer_error(status, headers)
  local redact, body = self.redact, self:body_excerpt()
  local said = self.transfer:decode()
  if type(said) ~= "table" then said = {} end
  local function text(value)
    return type(value) == "string" and value ~= "" and redact(value) or nil
  end
  return {
    kind = errors.kind(status), status = status,
    message = redact(reason_of(said) or default_message(status, headers, body)),
    id = text(said.id), request_id = text(said.request_id) or text(headers["x-request-id"]),
    headers = redact(headers), body = body,
    retry_after = retry.server_delay(status, headers),
  }
end

-- The error for a request without an answer.
function call_methods:transfer_error(code, message, sent)
  local kind = (code == "timeout" or code == "closed") and code or "connection"
  if code == "timeout" then
    message = ("%s did not answer in time: %s"):format(self.request.place or self.client.base_url,
      message)
  elseif code == "authority" then
    message = message .. " (option 'ca_file' names the authorities to trust)"
  end
  if sent and self.request.caution then message = message .. "; " .. self.request.caution end
  return { kind = kind, message = self.redact(message) }
end

-- Plans another attempt after a pause, or ends the call. A 429 in an iteration may not count (see
-- pace.lua).
function call_methods:retry_or_fail(fields, failure)
  local request = self.request
  local delay = retry.delay(self.attempts, fields.retry_after)
  if delay > retry.longest_delay or delay > self.total_left
    or not retry.is_worthwhile(request.method, failure) then
    return self:fail(fields)
  end
  local now, throttled = core.now(), 0
  if self.pace and fields.status == 429 then
    throttled = self.pace:throttled(self, now, delay)
  else
    self.failures = self.failures + 1
  end
  if self.failures + throttled > request.max_retries then return self:fail(fields) end
  self:release()
  self.resume_at = now + delay
  self:event("retry", {
    delay = delay, status = fields.status, reason = fields.kind .. ": " .. fields.message,
  })
end

-- Hands the request to libcurl, with so many seconds for the connection.
function call_methods:open(seconds)
  self.request.connect_timeout, self.connect_left = seconds, seconds
  local transfer, code, message = self.client.core:send(self.request)
  self.transfer = transfer
  if not transfer then self:fail{ kind = code, message = message } end
  return transfer
end

--- Makes the next attempt.
function call_methods:send()
  if not self:open(self.connect_timeout) then return end
  self.resume_at, self.attempts = nil, self.attempts + 1
  self.sent_at, self.left = core.now(), self.request.timeout
  self.counted_until = self.sent_at
  self:event("request", {})
end

--- Seconds that the call may go on as it is: the attempt under way, or the pause.
---@return number
function call_methods:time_left()
  if not self.transfer then return self.total_left end
  local connect_left = self.transfer:is_connecting() and self.connect_left or math.huge
  return math.min(self.left, self.total_left, connect_left)
end

-- The message about the time that is over.
function call_methods:lateness()
  local request = self.request
  if self.total_left <= 0 then
    return ("no complete answer within %g seconds"):format(request.total_timeout)
  elseif self.left <= 0 then
    return ("no complete answer within %g seconds"):format(request.timeout)
  end
  return ("no connection within %g seconds"):format(self.connect_timeout)
end

--- Counts the time from `since` to `counted`; what else there was up to `now` is not the server's
--- fault.
---@param since number  core.now()
---@param counted number
---@param now number
function call_methods:count(since, counted, now)
  if self.over then return end
  local before = self.counted_until or since
  local passed = math.max(0, counted - math.max(since, before))
  self.counted_until = now
  self.total_left = self.total_left - passed
  if self.transfer then
    self.left, self.connect_left = self.left - passed, self.connect_left - passed
  end
end

-- The transfer has ended one way or another.
function call_methods:conclude(status, headers_or_code, message_or_head, sent)
  if not status then
    if headers_or_code == "timeout" and not sent and self.connect_left > tolerance
      and self:time_left() > 0 then -- it goes on, on the time that is left
      self:release()
      return self:open(self.connect_left)
    end
    return self:retry_or_fail(self:transfer_error(headers_or_code, message_or_head, sent),
      { code = headers_or_code, sent = sent })
  end
  local now = core.now()
  self:event("response", {
    status = status, elapsed = now - self.sent_at,
    request_id = self.redact(headers_or_code["x-request-id"]),
  })
  if status >= 200 and status < 300 then
    self.over, self.status, self.ended_at = true, status, now
    self.headers = self.redact(headers_or_code, message_or_head)
    if self.pace then self.pace.answered = self.pace.answered + 1 end
    return
  end
  self:retry_or_fail(self:answer_error(status, headers_or_code),
    { status = status, headers = headers_or_code })
end

--- Takes note of what has come and, if nothing has, of the time that is over. Does not wait.
function call_methods:look()
  if self.over then return end
  if self.client.closed then
    return self:fail{ kind = "closed", message = "the client was closed" }
  end
  local is_late = self:time_left() <= 0
  local late = is_late and self:lateness()
  if not self.transfer then
    if is_late then self:fail(self:transfer_error("timeout", late)) end
    return
  end
  local result = self.transfer.result
  local status, headers_or_code, message_or_head, sent = result(self.transfer)
  if is_late and not (status or headers_or_code) then
    self.transfer:expire(late)
    status, headers_or_code, message_or_head, sent = result(self.transfer)
  end
  if status or headers_or_code then
    self:conclude(status, headers_or_code, message_or_head, sent)
  end
end

local function ratelimit(headers)
  local function integer(name)
    local text = headers["ratelimit-" .. name]
    return text and text:find("^%d+$") and math.tointeger(tonumber(text)) or nil
  end
  return { limit = integer "limit", remaining = integer "remaining", reset = integer "reset" }
end

-- The error for a body that is not what the API documents.
function call_methods:decode_error(message)
  local headers = self.headers
  local content_type = headers["content-type"]
  if content_type and not content_type:find("json", 1, true) then
    message = ("the answer is %s, not JSON: %s"):format(content_type, message)
  end
  if self.request.caution then message = message .. "; " .. self.request.caution end
  return {
    kind = "decode", message = self.redact(message), status = self.status,
    request_id = headers["x-request-id"], headers = headers,
    body = self:body_excerpt(),
  }
end

-- Why this is not the answer that was asked for; nil when it is.
function call_methods:mismatch(promised)
  local request = self.request
  if promised == nil or promised == core.null then
    return ("the answer has no '%s'"):format(request.member)
  end
  for name, asked in pairs(request.identity or {}) do
    local found = promised[name]
    if type(found) == "string" and found:lower() ~= asked:lower() then
      return ("the answer has %s '%s' instead of '%s'"):format(name, found, asked)
    end
  end
end

-- The answer as a Lua value; nil when it is not what the API documents.
function call_methods:decoded()
  local request = self.request
  if not request.member then return self.transfer:body() end
  local answer, message = self.transfer:decode(self.client.keep_nulls, request.member,
    request.opener)
  local promised = answer and answer[request.member]
  if request.opener == "[" and answer then
    -- an empty list may come as null, or not at all
    if type(promised) ~= "table" then answer[request.member] = {} end
    return answer
  end
  if request.absent and answer
    and (promised == nil or promised == core.null or promised == "") then
    self:fail{ kind = request.absent.kind, message = request.absent.message,
      status = self.status, request_id = self.headers["x-request-id"], headers = self.headers }
    return nil
  end
  message = message or self:mismatch(promised)
  if not message then return answer end
  self:fail(self:decode_error(message))
end

--- The outcome of a call that is over; once.
---@return table|string? answer, gradient.response|gradient.error response
function call_methods:outcome()
  if self.error then return nil, self.error end
  local headers = self.headers
  local answer = self:decoded()
  if not answer then
    self:tell()
    return nil, self.error
  end
  self:release()
  return answer, {
    status = self.status, headers = headers, request_id = headers["x-request-id"],
    ratelimit = ratelimit(headers), attempts = self.attempts,
    elapsed = self.ended_at - self.started_at,
  }
end

return call
