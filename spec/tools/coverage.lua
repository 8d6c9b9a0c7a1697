--- Prints how many lines of src/ and lua/ the specs have run, and which ones they have not
--- (make coverage). First it runs what only host programs do: run out of memory, and fork.

local apis = require "spec.support.api"
local shell = require "spec.support.shell"

local function run_host(settings, fault, command, address)
  local api <close> = apis.start(settings)
  api:script{ fault }
  shell.must("LUA_PATH='lua/?.lua;lua/?/init.lua' build/hosts/gcov/%s %s", command, api[address])
end

local function run_hosts()
  run_host({ jobs = 9 }, { match = { page = 404 }, status = 404, forever = true },
    "host_torture", "port")
  run_host({}, { match = { page = 2 }, delay = 0.3, forever = true }, "host_fork", "url")
end

-- Adds what gcov says of the sources whose objects are in a folder: line → has it run?
local function add_gcov(files, folder)
  for line in shell.must("gcov --stdout %s/*.gcda", folder):gmatch("[^\n]+") do
    local count, number, text = line:match("^%s*([%d*#=-]+):%s*(%d+):(.*)$")
    if number == "0" then
      local path = text:match("^Source:(.*)$")
      if path then
        files.current = path:find("^src/") and path or nil
        files[files.current or 0] = files[files.current or 0] or {}
      end
    elseif count and count ~= "-" and files.current then
      local lines = files[files.current]
      lines[tonumber(number)] = lines[tonumber(number)] or count:find("^%d") ~= nil
    end
  end
end

local function c_files()
  local files = {}
  for folder in ("build/coverage build/hosts/gcov"):gmatch("%S+") do add_gcov(files, folder) end
  files.current, files[0] = nil, nil
  return files
end

-- Lines with instructions. Not the one that prepares a file to be run, for which no hook is called;
-- nor those that only end a block, of which the end of a function is not reached by `return`.
local function lua_lines(path)
  local lines, number, texts = {}, 0, {}
  for text in io.lines(path) do
    number = number + 1
    texts[number] = text
  end
  local listing = shell.must("luac5.4 -l -p %s", path)
  for digits, instruction in listing:gmatch("\n\t%d+\t%[(%d+)%]\t(%u+)") do
    local line = tonumber(digits)
    local is_end = texts[line]:find("^%s*end[%s,)}]*$")
    if instruction ~= "VARARGPREP" and not is_end then lines[line] = false end
  end
  return lines
end

local function lua_files()
  local files = {}
  for path in shell.must("find lua -type f ! -name types.lua | sort"):gmatch("%S+") do
    files[path] = lua_lines(path)
  end
  for path, line in shell.must("sort -u build/coverage/lines/*"):gmatch("(%S+) (%d+)\n") do
    local lines = files[path]
    if lines and lines[tonumber(line)] == false then lines[tonumber(line)] = true end
  end
  return files
end

-- "3 7-9": the lines that have not run; those that cannot run do not interrupt a range.
local function missing(lines)
  local numbers, ranges = {}, {}
  for number in pairs(lines) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  local first, last
  local function close()
    if first then ranges[#ranges + 1] = first == last and first or first .. "-" .. last end
    first = nil
  end
  for _, number in ipairs(numbers) do
    if lines[number] then
      close()
    else
      first, last = first or number, number
    end
  end
  close()
  return table.concat(ranges, " ")
end

local function print_row(name, run, all, comment)
  local share = 100 * run / math.max(1, all)
  print(("%-34s %5d %5d %6.1f %%  %s"):format(name, run, all, share, comment))
end

local function report(title, files)
  local names, all_run, all = {}, 0, 0
  for name in pairs(files) do names[#names + 1] = name end
  table.sort(names)
  print(("%-34s %5s %5s %8s  %s"):format(title, "run", "of", "", "not run"))
  for _, name in ipairs(names) do
    local run, count = 0, 0
    for _, has_run in pairs(files[name]) do
      run, count = has_run and run + 1 or run, count + 1
    end
    print_row(name, run, count, missing(files[name]))
    all_run, all = all_run + run, all + count
  end
  print_row("all", all_run, all, "")
end

run_hosts()
report("C", c_files())
print()
report("Lua", lua_files())
