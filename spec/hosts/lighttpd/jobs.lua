-- The simple page. lighttpd runs it in its one thread: until the answer is there nobody else is
-- served. Good for a tool with few visitors; give it a short timeout.
local gradient = require "gradient"

local lines = {}
local page, err = gradient.indexing_jobs.list({ per_page = 5 }, { timeout = 5, max_retries = 0 })
for _, job in ipairs(page and page.jobs or {}) do
  lines[#lines + 1] = ("%s %s\n"):format(job.uuid, job.phase)
end

lighty.header["Content-Type"] = "text/plain"
lighty.content = { page and table.concat(lines) or tostring(err) .. "\n" }
return page and 200 or 502
