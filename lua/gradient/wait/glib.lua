--- `wait` for programs on GLib's main loop, by way of lgi (GTK, awesome, …): inside any coroutine,
--- under the loop of the default context, only that coroutine waits.
--- https://docs.gtk.org/glib/main-loop.html

local loop = require "gradient.wait.loop"
local GLib = require("lgi").GLib

local conditions = {
  r = { "IN", "HUP", "ERR" }, w = { "OUT", "HUP", "ERR" }, rw = { "IN", "OUT", "HUP", "ERR" },
}

-- A source lasts until it is removed, whether it was dispatched or not.
local function lasting(wake)
  return function()
    wake()
    return true
  end
end

local function remover(source)
  return function() GLib.source_remove(source) end
end

local function watch(fd, events, wake)
  return remover(GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, fd, conditions[events],
    lasting(wake)))
end

local function after(seconds, wake)
  return remover(GLib.timeout_add(GLib.PRIORITY_DEFAULT, math.ceil(seconds * 1000),
    lasting(wake)))
end

return loop.adapter{ name = "gradient.wait.glib", watch = watch, after = after }
