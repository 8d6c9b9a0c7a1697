--- Whole lists over HTTP, measured against peers in the same run: luasocket + lua-cjson, the
--- TypeScript SDK, and the curl command. CPU time where the network does not matter, else seconds.
---
--- PEERS names the folder that has the SDK's node_modules.

local cjson = require "cjson"
local cqueues = require "cqueues"
local http = require "socket.http"

local core = require "gradient.core"
local decode_floor = require "decode_floor"
local gradient = require "gradient"
local loops = require "spec.support.loops"
local nginx = require "spec.support.nginx"
local process = require "spec.support.process"
local report = require "spec.bench.report"
local start = require("spec.support.api").start
local tls = require "spec.support.tls"
local transfer_floor = require "transfer_floor"

local token = "test-token"

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  assert(pipe:close(), command)
  return text
end

local function sdk(...)
  return output("node spec/bench/sdk.mjs " .. table.concat({ ... }, " "))
end

local function seconds_of(run)
  local started = core.now()
  run()
  return core.now() - started
end

local function cpu_of(count, run)
  local started = os.clock()
  for _ = 1, count do run() end
  return (os.clock() - started) / count * 1e6
end

-- The page of 200 jobs that all clients fetch.
local function write_page(api, path, number)
  local body = assert(http.request{
    url = ("%s/v2/gen-ai/indexing_jobs?per_page=200&page=%d"):format(api.url, number or 1),
    headers = { authorization = "Bearer " .. token },
    sink = require("ltn12").sink.file(assert(io.open(path, "w"))),
  })
  assert(body == 1)
  return path
end

-- One list of 200 jobs from nginx: CPU of the client's process.
local function list_cpu(site)
  local client <close> = gradient.client{ token = token, base_url = site.url }
  local function ours()
    assert(#client.indexing_jobs.list{ per_page = 200 }.jobs == 200)
  end
  local headers = { authorization = "Bearer " .. token }
  local function luasocket()
    local parts = {}
    assert(http.request{
      url = site.url .. "/v2/gen-ai/indexing_jobs?per_page=200", headers = headers,
      sink = require("ltn12").sink.table(parts),
    })
    assert(#cjson.decode(table.concat(parts)).jobs == 200)
  end
  local fetch = transfer_floor.open(site.url .. "/v2/gen-ai/indexing_jobs?per_page=200",
    "authorization: Bearer " .. token, "accept: application/json")
  local make_page = decode_floor.compile(client.indexing_jobs.list{ per_page = 200 })
  local function least()
    fetch()
    make_page()
  end
  local mine, theirs, floor, node = {}, {}, {}, {}
  for _, run in ipairs{ ours, luasocket, least } do cpu_of(50, run) end
  for round = 1, 9 do
    for figures, run in pairs{ [mine] = ours, [theirs] = luasocket, [floor] = least } do
      collectgarbage()
      figures[round] = cpu_of(100, run)
    end
    if round <= 3 then node[round] = tonumber(sdk("cpu", site.url, 300)) end
  end
  report.row("list 200 jobs, CPU: libcurl into nothing + tables", "us", mine, floor, 1.35)
  report.row("list 200 jobs, CPU: luasocket + lua-cjson", "us", mine, theirs, 0.6)
  report.row("list 200 jobs, CPU: TypeScript SDK", "us", mine, node, 0.35)
end

-- 500 pages of 200 jobs from nginx: CPU of `each` against that of `list` in a loop.
local function walk_cpu(api)
  api:set{ jobs = 100000, fields = "reference" }
  local directory = process.new_directory()
  for number = 1, 500 do write_page(api, directory .. "/" .. number, number) end
  local site <close> = nginx.start([[
    server {
      listen %ADDRESS%;
      location = /v2/gen-ai/indexing_jobs { root "%PAGES%"; try_files /$arg_page =404; }
    }
  ]], { PAGES = directory })
  local client <close> = gradient.client{ token = token, base_url = site.url }
  local function loop()
    for page = 1, 500 do
      for _ in ipairs(client.indexing_jobs.list{ page = page, per_page = 200 }.jobs) do end
    end
  end
  local function walk(prefetch)
    return function()
      local count = 0
      for _ in client.indexing_jobs.each({}, { prefetch = prefetch }) do count = count + 1 end
      assert(count == 100000)
    end
  end
  local figures, runs = { {}, {}, {} }, { loop, walk(0), walk(1) }
  loop()
  for round = 1, 5 do
    for position, run in ipairs(runs) do
      collectgarbage()
      figures[position][round] = cpu_of(1, run) / 1e6
    end
  end
  os.execute(("rm -r '%s'"):format(directory))
  report.row("500 pages, each, prefetch 0, CPU: list", "s", figures[2], figures[1], 1.15)
  report.row("500 pages, each, prefetch 1, CPU: list", "s", figures[3], figures[1], 1.15)
end

-- 100 pages from a server with 50 ms latency.
local function hundred_pages(api)
  api:set{ jobs = 1000, latency = 0.05 }
  local client <close> = gradient.client{ token = token, base_url = api.url }
  local function walk(prefetch)
    return function()
      local count = 0
      for _ in client.indexing_jobs.each({ per_page = 10 }, { prefetch = prefetch }) do
        count = count + 1
      end
      assert(count == 1000)
    end
  end
  local together, ideal = {}, {}
  for round = 1, 3 do
    together[round] = seconds_of(walk(16))
    ideal[round] = 0.05 * (1 + math.ceil(99 / 16))
  end
  local one_by_one = { seconds_of(walk(0)) }
  report.row("100 pages x 50 ms, prefetch 16: the ideal", "s", together, ideal, 1.25)
  report.row("100 pages x 50 ms, prefetch 16: one by one", "s", together, one_by_one, 0.1)
  report.row("100 pages x 50 ms, prefetch 16: SDK's loop", "s", together,
    { tonumber(sdk("walk", api.url, 100)) })
  api:set{ latency = 0 }
end

-- From the start of a process to the first job. A shell sets the same variables and becomes each of
-- them, so that it costs all of them the same.
local function fresh_process(site)
  local function start_of(program, ...)
    local command = ("DIGITALOCEAN_ACCESS_TOKEN=%s GRADIENT_BASE_URL=%s exec "):format(token,
      site.url) .. program:format(...)
    return function() output(command) end
  end
  local ours = start_of([[lua5.4 -e '
    print(require"gradient".indexing_jobs.list{ per_page = 200 }.jobs[1].uuid)']])
  local curl = start_of(
    "curl -s -o /dev/null -H 'authorization: Bearer %s' '%s/v2/gen-ai/indexing_jobs?per_page=200'",
    token, site.url)
  local typescript = start_of("node spec/bench/sdk.mjs first %s", site.url)
  local mine, bare, node = {}, {}, {}
  for round = 1, 101 do
    mine[round] = seconds_of(ours) * 1e3
    bare[round] = seconds_of(curl) * 1e3
    if round <= 7 then node[round] = seconds_of(typescript) * 1e3 end
  end
  report.row("process start to first job: curl into nothing", "ms", mine, bare, 1.3)
  report.row("process start to first job: TypeScript SDK", "ms", mine, node)
end

-- Runs 100 lists at the same time, and a ticker that asks for a turn every 5 ms, in one loop;
-- returns the seconds for all of it and the longest delay of a turn. The ticker comes last: a
-- program that starts 100 lists in a row holds up its loop by itself.
local function run_with_ticker(loop, list)
  local left, longest = 100, 0
  local function ticker()
    local last = core.now()
    while left > 0 do
      loop.sleep(0.005)
      longest, last = math.max(longest, core.now() - last - 0.005), core.now()
    end
  end
  local functions = {}
  for number = 1, 100 do
    functions[number] = function()
      list()
      left = left - 1
    end
  end
  functions[101] = ticker
  return seconds_of(function() loop.run(functions) end), longest
end

-- `front` is the API server, or one for HTTP/2 in front of it.
local function under_loops(protocol, front)
  for _, name in ipairs(loops.names) do
    local loop, missing = loops.get(name)
    local seconds, delays = {}, {}
    for round = 1, loop and 7 or 0 do
      local client <close> = gradient.client{
        token = token, base_url = front.url, ca_file = front.ca_file, wait = loop.wait,
      }
      local delay
      seconds[round], delay = run_with_ticker(loop, function()
        assert(client.indexing_jobs.list())
      end)
      delays[round] = delay * 1000
    end
    name = ("%s, %s"):format(name, protocol)
    if loop then
      report.row("100 coroutines x 100 ms, " .. name .. ": the bound", "s", seconds, { 0.5 }, 1)
      report.row("5 ms ticker's longest delay, " .. name, "ms", delays, { 25 }, 1)
    else
      report.figure("100 coroutines, " .. name, "skipped: " .. missing)
    end
  end
end

-- Small pages as fast as they come, from one thread.
local function throughput(site)
  local client <close> = gradient.client{
    token = token, base_url = site.url, wait = require "gradient.wait.cqueues",
  }
  for _, coroutines in ipairs{ 1, 8, 64 } do
    local loop, left = cqueues.new(), 4000
    local seconds = seconds_of(function()
      for _ = 1, coroutines do
        loop:wrap(function()
          while left > 0 do
            left = left - 1
            assert(client.indexing_jobs.list())
          end
        end)
      end
      assert(loop:loop())
    end)
    report.figure(("small pages, %d coroutines"):format(coroutines),
      ("%d /s"):format(4000 // seconds))
  end
end

-- What one transfer of many costs: CPU for each, with so many coroutines on one client.
local function many_coroutines(site)
  local function cpu_with(coroutines)
    local client <close> = gradient.client{
      token = token, base_url = site.url, wait = require "gradient.wait.cqueues",
      connect_timeout = 60,
    }
    local loop, left = cqueues.new(), math.max(3000, 2 * coroutines)
    local count = left
    for _ = 1, coroutines do
      loop:wrap(function()
        while left > 0 do
          left = left - 1
          assert(client.indexing_jobs.list())
        end
      end)
    end
    return cpu_of(1, function() assert(loop:loop()) end) / count
  end
  local figures = {}
  for _, coroutines in ipairs{ 100, 1000, 5000 } do figures[coroutines] = {} end
  for round = 1, 3 do
    for coroutines, all in pairs(figures) do
      collectgarbage()
      all[round] = cpu_with(coroutines)
    end
  end
  for _, coroutines in ipairs{ 1000, 5000 } do
    report.row(("%d coroutines, CPU a transfer: 100"):format(coroutines), "us",
      figures[coroutines], figures[100], 2)
  end
end

-- In MiB; a page of memory has 4 KiB.
local function resident_memory()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  return pages * 4 / 1024
end

-- A million jobs through each: memory after the last page against after the tenth.
local function million_jobs(api)
  api:set{ jobs = 1000000, fields = "reference" }
  local client <close> = gradient.client{ token = token, base_url = api.url }
  local tenth, count = nil, 0
  local seconds = seconds_of(function()
    for _ in client.indexing_jobs.each{ per_page = 200 } do
      count = count + 1
      if count == 10 * 200 then tenth = resident_memory() end
    end
  end)
  assert(count == 1000000)
  local all = resident_memory()
  report.row("1,000,000 jobs, memory: after ten pages", "MiB", { all }, { tenth }, 1.5)
  report.figure("1,000,000 jobs", ("%.1f s"):format(seconds))
end

local function small_page()
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write('{"jobs":[{"uuid":"', ("u"):rep(36), '"}],"meta":{"page":1,"pages":1,"total":1}}')
  return path
end

local api <close> = start{ jobs = 200, fields = "reference" }
local page, little = write_page(api, os.tmpname()), small_page()
do
  local site <close> = nginx.static(page)
  list_cpu(site)
  fresh_process(site)
end
do
  local site <close> = nginx.static(little)
  throughput(site)
  many_coroutines(site)
end
walk_cpu(api)
hundred_pages(api)
do
  api:set{ jobs = 100, latency = 0.1 }
  local front <close> = tls.start(api, { http2 = true })
  under_loops("HTTP/1", api)
  under_loops("HTTP/2", front)
  api:set{ latency = 0 }
end
million_jobs(api)
os.remove(page)
os.remove(little)
report.finish()
