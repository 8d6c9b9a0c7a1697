-- Loaded before HAProxy confines itself: what is on disk is read here.
local gradient = require "gradient"
local polling = require "gradient.wait.polling"

local client = gradient.client{
  ca_file = os.getenv "CA_FILE" or "/etc/ssl/certs/ca-certificates.crt", timeout = 30,
  wait = polling(function(seconds) core.msleep(math.ceil(seconds * 1000)) end),
}

core.register_service("jobs", "http", function(applet)
  local page, err = client.indexing_jobs.list{ per_page = 5 }
  local lines = {}
  for position, job in ipairs(page and page.jobs or {}) do
    lines[position] = ("%s %s\n"):format(job.uuid, job.phase)
  end
  local text = page and table.concat(lines) or tostring(err) .. "\n"
  applet:set_status(page and 200 or 502)
  applet:add_header("content-type", "text/plain")
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
end)
