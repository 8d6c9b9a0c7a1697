-- A module for Prosody: while a visitor waits for the jobs, Prosody serves everybody else.
local gradient = require "gradient"

local client = gradient.client{ wait = require "gradient.wait.prosody", timeout = 30 }

local function list(event)
  event.response.headers.content_type = "text/plain"
  local page, err = client.indexing_jobs.list{ per_page = 5 }
  if not page then
    event.response.status_code = 502
    return tostring(err) .. "\n"
  end
  local lines = {}
  for position, job in ipairs(page.jobs) do
    lines[position] = ("%s %s\n"):format(job.uuid, job.phase)
  end
  return table.concat(lines)
end

module:depends "http"
module:provides("http", {
  default_path = "/",
  route = {
    ["GET /jobs"] = list,
    ["GET /ping"] = function() return "pong\n" end,
  },
})

function module.unload() client:close() end
