--- `wait` for programs on luaevent (libevent): inside any coroutine, under base:loop(), only that
--- coroutine waits. https://github.com/harningt/luaevent
---
---     local base = require("luaevent.core").new()
---     local client = gradient.client{ wait = require "gradient.wait.luaevent"(base) }

local event = require "luaevent.core"
local loop = require "gradient.wait.loop"

local kinds = { r = event.EV_READ, w = event.EV_WRITE, rw = event.EV_READ | event.EV_WRITE }

---@param base userdata  of luaevent, whose loop runs the coroutines
---@return fun(fds: { fd: integer, events: "r"|"w"|"rw" }[], seconds: number)
return function(base)
  local function add(fd, kind, wake, seconds)
    local added
    added = assert(base:addevent(fd, kind, function()
      if added then wake() end -- kept by this: luaevent uses it afterwards, even a closed one
    end, seconds))
    return function() added:close() end
  end

  return loop.adapter{
    name = "gradient.wait.luaevent",
    watch = function(fd, events, wake) return add(fd, kinds[events], wake) end,
    after = function(seconds, wake) return add(nil, event.EV_TIMEOUT, wake, seconds) end,
  }
end
