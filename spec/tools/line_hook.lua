--- Notes which lines of lua/ a Lua process runs (make coverage): loaded by LUA_INIT_5_4, it adds
--- them at the process's end to a file of its own in the folder that LINE_HOOK names. Coroutines
--- that C creates are not watched; neither is the API server, whose answers would come too late.

-- luacheck: globals coroutine.create coroutine.wrap os.exit

local lines_of = {} -- by source: line → true; false for what is none of ours

local function hook(_, line)
  local source = debug.getinfo(2, "S").source
  local lines = lines_of[source]
  if lines then
    lines[line] = true
  elseif lines == nil then
    lines_of[source] = source:find("^@lua/gradient") and { [line] = true } or false
  end
end

local function watched(f)
  return function(...)
    debug.sethook(hook, "l")
    return f(...)
  end
end

local function save()
  debug.sethook()
  local name = os.tmpname()
  local file <close> = assert(io.open(os.getenv("LINE_HOOK") .. "/" .. name:match("[^/]+$"), "w"))
  os.remove(name)
  for source, lines in pairs(lines_of) do
    for line in pairs(lines or {}) do file:write(source:sub(2), " ", line, "\n") end
  end
end

if not (arg and arg[0] and arg[0]:find("server%.lua$")) then
  local create, wrap, exit = coroutine.create, coroutine.wrap, os.exit
  coroutine.create = function(f) return create(watched(f)) end
  coroutine.wrap = function(f) return wrap(watched(f)) end
  os.exit = function(...)
    save()
    exit(...)
  end
  debug.getregistry()[save] = setmetatable({}, { __gc = save })
  debug.sethook(hook, "l")
end
