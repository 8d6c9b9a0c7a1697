--- `wait` for hosts that only call a function now and then (for each frame, request or timer): run
--- the operation in a coroutine, and resume it whenever your function is called.
---
---     local list = coroutine.wrap(function() page, err = client.indexing_jobs.list() end)
---     function love.update() if not (page or err) then list() end end

return function() coroutine.yield() end
