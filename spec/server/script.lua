--- The faults that wait for the next API requests, and how the bytes of one are sent.
--
-- An entry of the queue says which requests it is for:
--   times    how many (1), or forever = true
--   skip     how many that match get their normal answer first (0)
--   match    {method =, path = (a part of it), page =, reused = (not the first of its connection),
--            storage = (true: of the host that has the reports, which no other entry is for)}
-- and what becomes of them, either an answer:
--   status, headers ({name = value}, false removes one; or {{name, value}, …}), body (text),
--   gzip (true: the body is sent as gzip), chunked (true), delay (seconds);
--   what is left out is taken from the normal answer, or from the error of that status
-- or bytes: steps, a list of
--   {send = text}               these bytes, `times` times (1)
--   {answer = "all"}            the normal answer; or its "head", or its "body"
--     to = n                    only its first n bytes
--     share = 0.5               only this share of it
--   both: chunk = n, every = s  n bytes (1) every s seconds
--   {pause = s}                 s seconds of silence
--   {hang = true}               silence, until the client closes the connection
--   {close = true}              closes the connection
--   {reset = true}              the same with a TCP reset

local luasocket = require("socket")
local cqueues = require("cqueues")

local ENTRY_FIELDS = {
  times = "number",
  forever = "boolean",
  skip = "number",
  match = "table",
  status = "number",
  headers = "table",
  body = "string",
  gzip = "boolean",
  chunked = "boolean",
  delay = "number",
  steps = "table",
  name = "string",
}

local MATCH_FIELDS = {
  method = "string",
  path = "string",
  page = "number",
  reused = "boolean",
  storage = "boolean",
}

local STEP_FIELDS = {
  send = "string",
  answer = "string",
  to = "number",
  share = "number",
  times = "number",
  chunk = "number",
  every = "number",
  pause = "number",
  hang = "boolean",
  close = "boolean",
  reset = "boolean",
}

local function check_fields(what, value, fields)
  for name, field in pairs(value) do
    if fields[name] == nil then
      error(("unknown field '%s' in %s"):format(name, what), 0)
    elseif type(field) ~= fields[name] then
      error(("field '%s' in %s: %s expected"):format(name, what, fields[name]), 0)
    end
  end
end

--- Raises an error about an entry that makes no sense; returns the entry.
local function check(entry)
  check_fields("a fault", entry, ENTRY_FIELDS)
  check_fields("match", entry.match or {}, MATCH_FIELDS)
  for _, step in ipairs(entry.steps or {}) do
    check_fields("a step", step, STEP_FIELDS)
  end
  return entry
end

local function matches(match, request)
  return (match.storage or false) == (request.storage or false)
    and (not match.method or match.method == request.method)
    and (not match.path or request.path:find(match.path, 1, true) ~= nil)
    and (not match.page or match.page == request.page)
    and (match.reused == nil or match.reused == request.reused)
end

--- Takes the entry that is meant for a request from a queue, or nil.
local function take(queue, request)
  for i, entry in ipairs(queue) do
    if matches(entry.match or {}, request) then
      if (entry.skip or 0) > 0 then
        entry.skip = entry.skip - 1
      else
        if not entry.forever then
          entry.times = (entry.times or 1) - 1
          if entry.times <= 0 then
            table.remove(queue, i)
          end
        end
        return entry
      end
    end
  end
end

--- Closes a connection so that its peer sees a reset: SO_LINGER at 0, which cqueues cannot set.
local borrowed = luasocket.tcp4()
borrowed:close()
local function reset(connection)
  borrowed:setfd(connection.socket:pollfd())
  borrowed:setoption("linger", { on = true, timeout = 0 })
  borrowed:setfd(-1)
  connection.socket:close()
end

--- Waits; returns false as soon as the client has gone. What it sends meanwhile is kept.
local function pause(connection, seconds)
  local socket = connection.socket
  local deadline = cqueues.monotime() + seconds
  while true do
    local left = deadline - cqueues.monotime()
    if left <= 0 then
      return true
    end
    cqueues.poll(connection.readable, left)
    local data, why = socket:recv(-4096)
    if data then
      connection.buffer = connection.buffer .. data
    elseif why ~= connection.again then
      return false
    end
  end
end

local function part_of(step, answer)
  local text = step.send
  if step.answer then
    local head, body = answer:match("^(.-\r\n\r\n)(.*)$")
    text = step.answer == "head" and head or step.answer == "body" and body or answer
  end
  if step.share then
    text = text:sub(1, math.floor(#text * step.share))
  end
  return (step.to and text:sub(1, step.to) or text):rep(step.times or 1)
end

--- Sends text, all at once or in pieces. Returns false when the client has gone.
local function send(connection, text, chunk, every)
  local socket = connection.socket
  if not chunk and not every then
    return (socket:xwrite(text))
  end
  chunk = chunk or 1
  for at = 1, #text, chunk do
    if at > 1 and not pause(connection, every or 0.001) then
      return false
    end
    if not socket:xwrite(text:sub(at, at + chunk - 1)) then
      return false
    end
  end
  return true
end

--- Carries steps out; `answer` is the normal answer's bytes.
-- Returns whether the connection goes on, and whether the client had gone before the end.
local function perform(connection, steps, answer)
  for _, step in ipairs(steps) do
    local there = true
    if step.send or step.answer then
      there = send(connection, part_of(step, answer), step.chunk, step.every)
    elseif step.pause then
      there = pause(connection, step.pause)
    elseif step.hang then
      there = pause(connection, math.huge)
    elseif step.reset then
      reset(connection)
      return false
    elseif step.close then
      return false
    end
    if not there then
      return false, true
    end
  end
  return true
end

return {
  check = check,
  take = take,
  pause = pause,
  perform = perform,
}
