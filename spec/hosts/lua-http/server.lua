-- A server on lua-http: while a visitor waits for the jobs, it serves everybody else.
local gradient = require "gradient"
local headers = require "http.headers"
local server = require "http.server"

local client = gradient.client{ wait = require "gradient.wait.cqueues", timeout = 30 }

local pages = {}

pages["/ping"] = function() return "200", "pong\n" end

pages["/jobs"] = function()
  local page, err = client.indexing_jobs.list{ per_page = 5 }
  if not page then return "502", tostring(err) .. "\n" end
  local lines = {}
  for position, job in ipairs(page.jobs) do
    lines[position] = ("%s %s\n"):format(job.uuid, job.phase)
  end
  return "200", table.concat(lines)
end

local function answer(_, stream)
  local page = pages[stream:get_headers():get ":path"]
  local status, text = "404", "not found\n"
  if page then status, text = page() end
  local head = headers.new()
  head:append(":status", status)
  head:append("content-type", "text/plain")
  stream:write_headers(head, false)
  stream:write_chunk(text, true)
end

assert(server.listen{
  host = "127.0.0.1", port = tonumber(os.getenv "PORT"), tls = false, onstream = answer,
}:loop())
