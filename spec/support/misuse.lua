--- Calls that a program gets wrong, and where the complaint about them has to point.
--
--   misuse.raises(function() client.indexing_jobs.list{ perpage = 5 } end, "unknown parameter …")
--
-- asserts that the function raises exactly this message, and at its own line: it must be written on
-- the one line on which it makes its mistake.

local assert = require("luassert")

local function raises(mistake, message)
  local place = debug.getinfo(mistake, "S")
  local ok, err = pcall(mistake)
  assert(not ok, "nothing was raised")
  assert.equal(("%s:%d: %s"):format(place.short_src, place.linedefined, message), err)
end

return { raises = raises }
