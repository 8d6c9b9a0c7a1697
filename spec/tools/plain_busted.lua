--- Runs specs where busted itself does not run (its C modules know no Lua 5.5): describe, it, what
--- may be around them, and luassert. A spec is skipped if a module that it needs is missing.

local files = arg
_G.assert = require "luassert"

local path, depth, counts = {}, 0, { successes = 0, failures = 0 }
local before, after, finally = {}, {}, {}

local function run(list)
  for _, f in ipairs(list) do f() end
end

local function describe(name, f)
  path[#path + 1] = name
  depth = depth + 1
  local outer = finally
  finally, before[depth], after[depth] = {}, {}, {}
  f()
  run(finally)
  finally, before[depth], after[depth] = outer, nil, nil
  depth = depth - 1
  path[#path] = nil
end

local function it(name, f)
  local function whole()
    for level = 1, depth do run(before[level]) end
    f()
  end
  local ok, problem = xpcall(whole, function(problem)
    return debug.traceback(type(problem) == "table" and problem.message or tostring(problem))
  end)
  for level = depth, 1, -1 do run(after[level]) end
  local outcome = ok and "successes" or "failures"
  counts[outcome] = counts[outcome] + 1
  if not ok then print(table.concat(path, " ") .. " " .. name .. "\n" .. problem) end
end

local function add_to(lists)
  return function(f) table.insert(lists()[depth], f) end
end

local interface = {
  describe = describe, it = it, pending = function() end,
  before_each = add_to(function() return before end),
  after_each = add_to(function() return after end),
  setup = function(f) f() end, lazy_setup = function(f) f() end,
  teardown = function(f) table.insert(finally, f) end,
}
interface.lazy_teardown = interface.teardown

for name, f in pairs(interface) do _G[name] = f end
package.loaded.busted = interface

for _, file in ipairs(files) do
  local ok, problem = pcall(dofile, file)
  if not ok then
    local missing = tostring(problem):match("module '([^']+)' not found")
    if not missing then error(problem, 0) end
    print(("%s: skipped, there is no module %s here"):format(file, missing))
  end
end

print(("%d successes / %d failures"):format(counts.successes, counts.failures))
os.exit(counts.failures == 0 and counts.successes > 0)
