--- The event loops that there are adapters for, as far as they are installed: specs run all of them
--- through the same cases, and benchmarks measure them.
--
--   for _, name in ipairs(loops.names) do … end
--   local loop, missing = loops.get(name)     missing: why there is none
--   loop.wait                                 the adapter
--   loop.run{ f, g, … }     runs functions as coroutines until all have ended; raises their errors
--   loop.sleep(seconds)     lets one of them sleep

local core = require "gradient.core"
local hosts = require "spec.support.hosts"
local shell = require "spec.support.shell"
local waiting = require "spec.support.waiting"

-- Starts functions by `start`, one after the other, and lets the loop `turn` until all have ended.
local function run_with(functions, start, turn)
  local left, problem = #functions, nil
  for _, f in ipairs(functions) do
    start(function()
      local ok, trouble = xpcall(f, function(raised)
        return type(raised) == "string" and debug.traceback(raised) or raised
      end)
      left = left - 1
      problem = problem or not ok and trouble
    end)
  end
  while left > 0 do turn(function() return left == 0 end) end
  if problem then error(problem, 0) end
end

local function start_coroutine(f) coroutine.wrap(f)() end

-- Lets the running coroutine sleep until the function that it hands out is called.
local function sleep_by(call_later)
  local thread = coroutine.running()
  call_later(function() assert(coroutine.resume(thread)) end)
  coroutine.yield()
end

local makers = {}

function makers.cqueues()
  local cqueues = require "cqueues"
  local function run(functions)
    local loop = cqueues.new()
    run_with(functions, function(f) loop:wrap(f) end, function() assert(loop:loop()) end)
  end
  return { wait = require "gradient.wait.cqueues", run = run, sleep = cqueues.sleep }
end

function makers.luv()
  local wait, uv = require "gradient.wait.luv", require "luv"
  return {
    wait = wait,
    run = function(functions) run_with(functions, start_coroutine, function() uv.run() end) end,
    sleep = function(seconds)
      local timer = uv.new_timer()
      sleep_by(function(wake) timer:start(math.ceil(seconds * 1000), 0, wake) end)
      timer:close()
    end,
  }
end

function makers.glib()
  local wait, GLib = require "gradient.wait.glib", require("lgi").GLib
  local context = GLib.MainContext.default()
  return {
    wait = wait,
    run = function(functions)
      run_with(functions, start_coroutine, function() context:iteration(true) end)
    end,
    sleep = function(seconds)
      sleep_by(function(wake)
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, math.ceil(seconds * 1000), wake)
      end)
    end,
  }
end

function makers.ev()
  local wait, ev = require "gradient.wait.ev", require "ev"
  return {
    wait = wait,
    run = function(functions)
      run_with(functions, start_coroutine, function() ev.Loop.default:loop() end)
    end,
    sleep = function(seconds)
      ev.Loop.default:update_now()
      sleep_by(function(wake) ev.Timer.new(wake, seconds):start(ev.Loop.default) end)
    end,
  }
end

function makers.luaevent()
  local event = require "luaevent.core"
  local base = event.new()
  return {
    base = base,
    wait = require "gradient.wait.luaevent"(base),
    run = function(functions)
      run_with(functions, start_coroutine, function() base:loop() end)
    end,
    sleep = function(seconds)
      local timer
      sleep_by(function(wake)
        timer = base:addevent(nil, event.EV_TIMEOUT, wake, seconds)
      end)
      timer:close()
    end,
  }
end

-- Libraries that modules of Prosody's are linked with, if they are unpacked beside it, where nobody
-- would look for them.
local function load_icu()
  for name in ("data uc i18n"):gmatch("%w+") do
    local path = shell.run("ls %s/libicu%s.so.??", hosts.libraries, name):match("^/[^\n]+")
    if path then package.loadlib(path, "*") end
  end
end

-- Prosody's own libraries, without the rest of it.
function makers.prosody()
  load_icu()
  local path, cpath, folder = package.path, package.cpath, hosts.root .. "/usr/lib/prosody/"
  local more, more_c = hosts.lua_paths()
  package.path = table.concat({ path, folder .. "?.lua", more }, ";")
  package.cpath = table.concat({ cpath, folder .. "?.so", more_c }, ";")
  local ok, loop = pcall(function()
    pcall(require, "loader") -- since Prosody 13, for the names that its modules call one another
    local async, server = require "util.async", require "net.server_epoll"
    package.loaded["net.server"] = server -- which only Prosody itself may load
    local timer = require "util.timer"
    async.set_schedule_function(timer.add_task)
    local function turn(is_done)
      timer.add_task(0, function()
        if not is_done() then return 0.005 end
        server.setquitting(true)
        timer.add_task(0, function() end) -- or the loop only finds out at the next event
      end)
      server.loop()
      server.setquitting(false)
    end
    return {
      wait = require "gradient.wait.prosody",
      run = function(functions)
        run_with(functions, function(f) async.runner():run(f) end, turn)
      end,
      sleep = async.sleep,
    }
  end)
  package.path, package.cpath = path, cpath
  return assert(ok and loop, loop)
end

-- A host that can only put its coroutines to sleep; cqueues plays it.
function makers.polling()
  local loop = makers.cqueues()
  loop.wait = require "gradient.wait.polling"(loop.sleep)
  return loop
end

-- A host that resumes its coroutines a hundred times a second.
function makers.tick()
  local threads
  return {
    wait = require "gradient.wait.tick",
    run = function(functions)
      threads = {}
      run_with(functions, function(f) threads[#threads + 1] = coroutine.create(f) end, function()
        for position = #threads, 1, -1 do
          assert(coroutine.resume(threads[position]))
          if coroutine.status(threads[position]) == "dead" then table.remove(threads, position) end
        end
        waiting.poll({}, 0.005)
      end)
    end,
    sleep = function(seconds)
      local due = core.now() + seconds
      repeat coroutine.yield() until core.now() >= due
    end,
  }
end

local loops = {
  names = { "cqueues", "luv", "glib", "ev", "luaevent", "prosody", "polling", "tick" },
}

-- What these libraries leave behind when a process ends would be reported as ours.
local leaks = package.cpath:find("build/sanitized", 1, true) and { luaevent = true, prosody = true }
  or {}

local made = {}

--- The loop with this name; or nil and why it cannot be had.
function loops.get(name)
  if made[name] then return made[name] end
  if leaks[name] then return nil, "not with sanitizers" end
  local ok, loop = pcall(makers[name])
  if not ok then
    return nil, tostring(loop):match("module '[^']+' not found") or tostring(loop):match("[^\n]+")
  end
  made[name] = loop
  return loop
end

return loops
