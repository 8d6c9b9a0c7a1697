-- The page that never blocks: it shows what was known last, and each visit lets the list that is
-- under way go on as far as it can without waiting.
local gradient = require "gradient"

-- What stays from one visit to the next: globals do not, loaded modules do.
local board = package.loaded.board or {
  client = gradient.client{ wait = require "gradient.wait.tick", timeout = 30 },
}
package.loaded.board = board

local function list()
  local lines = {}
  local page, err = board.client.indexing_jobs.list{ per_page = 5 }
  for _, job in ipairs(page and page.jobs or {}) do
    lines[#lines + 1] = ("%s %s\n"):format(job.uuid, job.phase)
  end
  board.text = page and table.concat(lines) or tostring(err) .. "\n"
end

if not board.listing or coroutine.status(board.listing) == "dead" then
  board.listing = coroutine.create(list)
end
assert(coroutine.resume(board.listing))

lighty.header["Content-Type"] = "text/plain"
lighty.header["Refresh"] = "1"
lighty.content = { board.text or "not known yet\n" }
return board.text and 200 or 503
