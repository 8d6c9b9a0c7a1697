--- Faults that have a name: name → function(options), which gives an entry for the script.
--
-- Every option table may hold what every entry may (times, forever, skip, match, delay). A fault
-- that breaks an answer off takes `finish`: "close" (the default), "reset" or "hang". Further
-- options stand in the comment of each fault.

local gzip = require("spec.server.gzip")

local LIST = '{"jobs":[],"meta":{"page":1,"pages":1,"total":0}}'
local HTML = "<!DOCTYPE html>\n<html><head><title>%s</title></head>"
  .. "<body><h1>%s</h1><hr><center>cloudflare</center></body></html>\n"

--- The step that ends a broken answer.
local function finish(options)
  return { [options.finish or "close"] = true }
end

--- A head with these lines, and a body, and then the end that the options ask for.
local function raw(options, lines, body)
  return { steps = { { send = lines:gsub("\n", "\r\n") .. "\r\n" .. body }, finish(options) } }
end

local function json_answer(body)
  return function()
    return { status = 200, body = body }
  end
end

local faults = {}

-- Silence ----------------------------------------------------------------------------------------

--- Takes the request and says nothing.
function faults.silent()
  return { steps = { { hang = true } } }
end

--- Closes the connection instead of an answer.
function faults.close()
  return { steps = { { close = true } } }
end

--- Resets the connection instead of an answer.
function faults.reset()
  return { steps = { { reset = true } } }
end

--- A kept connection that the server gives up at the moment in which the next request is sent.
function faults.stale(options)
  return { match = { reused = true }, steps = { finish({ finish = options.finish or "reset" }) } }
end

--- Answers, promises to keep the connection, and closes it.
function faults.close_after(options)
  return { steps = { { answer = "all" }, finish(options) } }
end

-- Broken off -------------------------------------------------------------------------------------

function faults.half_status_line(options)
  return { steps = { { send = "HTTP/1.1 2" }, finish(options) } }
end

--- Half of the head.
function faults.half_headers(options)
  return { steps = { { answer = "head", share = 0.5 }, finish(options) } }
end

--- The whole head and `share` (0.5) of the body.
function faults.half_body(options)
  local share = options.share or 0.5
  return { steps = { { answer = "head" }, { answer = "body", share = share }, finish(options) } }
end

--- The whole answer, one byte every `every` seconds (1).
function faults.slow_headers(options)
  return { steps = { { answer = "all", chunk = options.chunk, every = options.every or 1 } } }
end

--- The head at once, the body one byte every `every` seconds (1).
function faults.slow_body(options)
  local body = { answer = "body", chunk = options.chunk, every = options.every or 1 }
  return { steps = { { answer = "head" }, body } }
end

-- Length and framing -----------------------------------------------------------------------------

--- The head promises `by` (100) bytes more than there are.
function faults.length_too_long(options)
  local length = #LIST + (options.by or 100)
  local head = "HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: %d\n"
  return raw(options, head:format(length), LIST)
end

--- The head promises `by` (10) bytes less than there are.
function faults.length_too_short(options)
  local length = #LIST - (options.by or 10)
  local head = "HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: %d\n"
  return raw(options, head:format(length), LIST)
end

function faults.negative_length(options)
  return raw(options, "HTTP/1.1 200 OK\ncontent-length: -1\n", LIST)
end

--- Two lengths that contradict each other.
function faults.two_lengths(options)
  return raw(options, "HTTP/1.1 200 OK\ncontent-length: 49\ncontent-length: 20\n", LIST)
end

--- Chunks, but not the one that ends them.
function faults.chunked_without_end(options)
  local chunk = ("%x\r\n%s\r\n"):format(#LIST, LIST)
  return raw(options, "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n", chunk)
end

--- A chunk whose size is no number.
function faults.bad_chunk(options)
  return raw(options, "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n", "zz\r\n" .. LIST .. "\r\n")
end

--- `bytes` (1 MiB) of headers before the end of the head; with `single`, one long one.
function faults.huge_headers(options)
  local line = "x-filler: " .. ("f"):rep(1012) .. "\r\n"
  local bytes = options.bytes or 1 << 20
  if options.single then
    line = "x-filler: " .. ("f"):rep(bytes - 12) .. "\r\n"
  end
  return {
    steps = {
      { send = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" },
      { send = line, times = bytes // #line },
      { send = ("content-length: %d\r\n\r\n%s"):format(#LIST, LIST) },
    },
  }
end

-- Compression ------------------------------------------------------------------------------------

--- The normal answer, as gzip.
function faults.gzip()
  return { gzip = true }
end

--- Says gzip, is not.
function faults.broken_gzip()
  return { status = 200, headers = { ["content-encoding"] = "gzip" }, body = LIST }
end

--- Gzip with one wrong byte in its middle.
function faults.damaged_gzip()
  local bytes = gzip.pack(LIST)
  local middle = #bytes // 2
  local wrong = string.char(bytes:byte(middle) ~ 0x55)
  bytes = bytes:sub(1, middle - 1) .. wrong .. bytes:sub(middle + 1)
  return { status = 200, headers = { ["content-encoding"] = "gzip" }, body = bytes }
end

--- Gzip that ends too early, although its length is right.
function faults.cut_gzip()
  local bytes = gzip.pack(LIST):sub(1, -30)
  return { status = 200, headers = { ["content-encoding"] = "gzip" }, body = bytes }
end

--- A correct answer of `size` bytes (1 GiB). One `layer` makes 1/1000 of it; two, less than 2 KB.
function faults.gzip_bomb(options)
  local layers = options.layers or 1
  local encoding = layers == 2 and "gzip, gzip" or "gzip"
  local bytes = gzip.bomb(options.size or 1 << 30, layers)
  return { status = 200, headers = { ["content-encoding"] = encoding }, body = bytes }
end

--- An encoding that nobody knows.
function faults.unknown_encoding()
  return { status = 200, headers = { ["content-encoding"] = "zip" }, body = LIST }
end

-- Other protocols --------------------------------------------------------------------------------

--- 100 and 103 before the normal answer.
function faults.interim()
  local hints = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
  return { steps = { { send = "HTTP/1.1 100 Continue\r\n\r\n" .. hints }, { answer = "all" } } }
end

--- A body without a head.
function faults.http09()
  return { steps = { { answer = "body" }, { close = true } } }
end

--- HTTP/1.0, the body ends with the connection.
function faults.http10(options)
  return raw(options, "HTTP/1.0 200 OK\ncontent-type: application/json\n", LIST)
end

--- Another protocol altogether.
function faults.not_http()
  return { steps = { { send = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n" }, { close = true } } }
end

-- Statuses ---------------------------------------------------------------------------------------

--- Status `status` (500) with a `body` of a kind: "json" (the default), "html" or "empty".
-- `headers` as in every entry.
function faults.error(options)
  local status, body = options.status or 500, nil
  local headers = {}
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  if options.body == "html" then
    body = HTML:format(status, status)
    headers["content-type"] = "text/html"
  elseif options.body == "empty" then
    body = ""
    headers["content-type"] = false
  end
  return { status = status, headers = headers, body = body }
end

--- 429 with `retry_after` (1: seconds, or a date as text), or none if it is false.
function faults.rate_limited(options)
  local after = options.retry_after == nil and 1 or options.retry_after
  return { status = 429, headers = { ["retry-after"] = after and tostring(after) } }
end

--- Status `status` (302) that leads to `location`.
function faults.redirect(options)
  local location = options.location or "https://elsewhere.example.com/v2/gen-ai/indexing_jobs"
  return { status = options.status or 302, headers = { location = location }, body = "" }
end

function faults.no_content()
  return { status = 204, body = "" }
end

function faults.not_modified()
  return { status = 304, body = "" }
end

-- 200 with a body that is not a list -------------------------------------------------------------

--- A body of your own: `text`.
function faults.body(options)
  return { status = 200, body = options.text }
end

--- The page of a captive portal.
function faults.html()
  local body = HTML:format("Please log in", "Please log in")
  return { status = 200, headers = { ["content-type"] = "text/html" }, body = body }
end

faults.empty = json_answer("")
faults.null = json_answer("null")
faults.array = json_answer("[]")
faults.string = json_answer('"x"')
faults.number = json_answer("17")
faults.empty_object = json_answer("{}")
faults.jobs_null = json_answer('{"jobs": null}')
faults.jobs_object = json_answer('{"jobs": {}}')
faults.jobs_string = json_answer('{"jobs": "none"}')
faults.jobs_of_scalars = json_answer('{"jobs": [1, "x", null, []]}')
faults.half_json = json_answer(LIST:sub(1, -8))
faults.deep = json_answer('{"jobs": ' .. ("["):rep(100000) .. ("]"):rep(100000) .. "}")

--- Makes the entry for the script of a named fault. Raises an error about an unknown name.
local function make(name, options)
  local fault = faults[name]
  if not fault then
    error(("unknown fault '%s'"):format(name), 0)
  end
  local entry = fault(options)
  entry.name = name
  for _, field in ipairs({ "times", "forever", "skip", "match", "delay" }) do
    if options[field] ~= nil then
      entry[field] = options[field]
    end
  end
  return entry
end

local names = {}
for name in pairs(faults) do
  names[#names + 1] = name
end
table.sort(names)

return {
  names = names,
  make = make,
}
