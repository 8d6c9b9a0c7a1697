--- `wait` for hosts that can put a coroutine to sleep, but cannot watch descriptors. While an
--- answer is on its way, it looks for it every few milliseconds: that costs a little CPU, and up to
--- `interval` for each round trip to the server.
---
---     local polling = require "gradient.wait.polling"
---     polling(copas.pause)                                                               copas
---     polling(stdnse.sleep)                                                              nmap
---     polling(function(seconds) core.msleep(math.ceil(seconds * 1000)) end)              HAProxy
---     polling(function(seconds) dt.control.sleep(math.ceil(seconds * 1000)) end)         darktable

local check = require "gradient.check"

---@param sleep fun(seconds: number)  lets the calling coroutine sleep, and others run
---@param interval? number  seconds between two looks while an answer is on its way, default 0.005
---@return fun(fds: { fd: integer, events: "r"|"w"|"rw" }[], seconds: number)
return function(sleep, interval)
  check.value("sleep", sleep, check.callable, 2)
  interval = interval and check.value("interval", interval, check.seconds, 2) or 0.005
  return function(fds, seconds)
    sleep(#fds > 0 and math.min(seconds, interval) or seconds)
  end
end
