--- `wait` for hosts that only call a function now and then (for each frame, request or timer): run
--- the operation in a coroutine, and resume that on every such occasion.
---
---     local list = coroutine.wrap(function() page, err = client.indexing_jobs.list() end)
---     function love.update() if not (page or err) then list() end end

local core = require "gradient.core"

---@param fds { fd: integer, events: "r"|"w"|"rw" }[]
---@param seconds number
return function(fds, seconds)
  local due = core.now() + seconds
  repeat coroutine.yield() until #fds > 0 or core.now() >= due -- a pause is nothing to look after
end
