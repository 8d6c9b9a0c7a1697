--- HTTP/1.x as bytes: reads the head of a request, writes answers.

local concat = table.concat
local lower = string.lower

local REASONS = {
  [100] = "Continue",
  [103] = "Early Hints",
  [200] = "OK",
  [201] = "Created",
  [202] = "Accepted",
  [204] = "No Content",
  [301] = "Moved Permanently",
  [302] = "Found",
  [304] = "Not Modified",
  [307] = "Temporary Redirect",
  [400] = "Bad Request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [407] = "Proxy Authentication Required",
  [408] = "Request Timeout",
  [409] = "Conflict",
  [411] = "Length Required",
  [422] = "Unprocessable Entity",
  [429] = "Too Many Requests",
  [500] = "Internal Server Error",
  [502] = "Bad Gateway",
  [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

--- Text with its %XX (and, in a query, its plus signs) decoded.
local function unescape(text, plus_is_space)
  if plus_is_space then
    text = text:gsub("+", " ")
  end
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- The parameters of a query string; of equal names, the last counts.
local function parse_query(text)
  local query = {}
  for name, value in text:gmatch("([^&=]+)=?([^&]*)") do
    query[unescape(name, true)] = unescape(value, true)
  end
  return query
end

--- The request that a head (up to and with its empty line) describes; nil if it is none.
local function parse_head(head)
  local method, target, minor = head:match("^(%u+) (%S+) HTTP/1%.(%d)\r\n")
  if not method then
    return nil
  end
  local request = {
    method = method,
    target = target,
    head = head,
    folded = lower(head),
    minor = minor,
  }
  local rest = target:match("^https?://[^/?]*(.*)") or target -- a client that takes us for a proxy
  local path, query = rest:match("^([^?]*)%??(.*)")
  request.path = path == "" and "/" or path
  request.query = query == "" and {} or parse_query(query)
  return request
end

--- The value of a request's header, by its lower-case name; nil if it is not there.
local function header(request, name)
  local _, colon = request.folded:find("\n" .. name .. ":", 1, true)
  return colon and request.head:match("^[ \t]*([^\r\n]-)[ \t]*\r?\n", colon + 1)
end

--- All headers of a request as they came: a list of {name, value}, names in lower case.
local function headers(request)
  local list = {}
  local fields = request.head:match("^[^\n]*\n(.*)$")
  for name, value in fields:gmatch("([^:\r\n]+):[ \t]*([^\r\n]-)[ \t]*\r?\n") do
    list[#list + 1] = { lower(name), value }
  end
  return list
end

--- The bytes of an answer. `fields` is a list of {name, value}; a body gets its content-length.
local function answer(status, fields, body)
  local out = { "HTTP/1.1 ", tostring(status), " ", REASONS[status] or "Status", "\r\n" }
  local n = #out
  for _, field in ipairs(fields) do
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = field[1], ": ", field[2], "\r\n"
    n = n + 4
  end
  if body and status >= 200 and status ~= 204 and status ~= 304 then
    out[n + 1], out[n + 2], out[n + 3] = "content-length: ", #body, "\r\n\r\n"
    return concat(out) .. body -- not through the buffer of concat, which would copy it again
  end
  out[n + 1] = "\r\n"
  return concat(out)
end

return {
  unescape = unescape,
  parse_head = parse_head,
  header = header,
  headers = headers,
  answer = answer,
}
