-- The page blocks its thread, and no other; give it a timeout that its visitors would wait for.
local gradient = require "gradient"

function handle(request) -- mod_lua looks for this name
  request.content_type = "text/plain"
  local page, err = gradient.indexing_jobs.list({ per_page = 5 }, { timeout = 10 })
  if not page then
    request.status = 502
    request:puts(tostring(err), "\n")
    return apache2.OK
  end
  for _, job in ipairs(page.jobs) do
    request:puts(job.uuid, " ", job.phase, "\n")
  end
  return apache2.OK
end
