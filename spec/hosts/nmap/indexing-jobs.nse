local gradient = require "gradient"
local polling = require "gradient.wait.polling"
local stdnse = require "stdnse"

description = [[
Lists the latest indexing jobs of an account. nmap goes on scanning meanwhile.
]]
categories = { "safe", "discovery" }

prerule = function() return true end

action = function()
  local client = gradient.client{ wait = polling(stdnse.sleep), timeout = 30 }
  local page, err = client.indexing_jobs.list{ per_page = 5 }
  if not page then return tostring(err) end
  local lines = {}
  for position, job in ipairs(page.jobs) do
    lines[position] = ("%s %s"):format(job.uuid, job.phase)
  end
  return stdnse.format_output(true, lines)
end
