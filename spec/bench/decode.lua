--- What decoding costs, next to lua-cjson and next to the floor (decode_floor.c): CPU time, medians
--- of interleaved runs in this process, with the collector at work as in any program. lua-cjson is
--- the one that this Lua finds: Debian's, or another one on LUA_CPATH.

local cjson = require "cjson"
local core = require "gradient.core"
local floor = require "decode_floor"
local report = require "spec.bench.report"
local same = require "spec.support.same"
local shapes = require "spec.bench.shapes"

local LUA_CJSON = "lua-cjson " .. cjson._VERSION
local PAGES = 24 -- all different, so that no string of the next page is there already
local random, clock = math.random, os.clock

-- Pages of jobs

local function pick(list)
  return list[random(#list)]
end

local function uuid()
  return ("%08x-%04x-4%03x-a%03x-%012x"):format(random(0, 0xffffffff), random(0, 0xffff),
    random(0, 0xfff), random(0, 0xfff), random(0, 0xffffffffffff))
end

local function date()
  return ("2024-%02d-%02dT%02d:%02d:%02dZ"):format(random(12), random(28), random(0, 23),
    random(0, 59), random(0, 59))
end

-- Most jobs succeed, and fail with few items or none.
local PHASES = { "SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "FAILED",
  "RUNNING", "CANCELLED" }
local STATUSES = { "COMPLETED", "COMPLETED", "COMPLETED", "COMPLETED", "PARTIAL", "FAILED",
  "IN_PROGRESS", "NO_CHANGES" }

local function job(knowledge_base)
  local sources = {}
  for i = 1, random(3) do sources[i] = '"' .. uuid() .. '"' end
  return ('{"completed_datasources":%d,"created_at":"%s","data_source_uuids":[%s],' ..
    '"finished_at":"%s","knowledge_base_uuid":"%s","phase":"BATCH_JOB_PHASE_%s",' ..
    '"started_at":"%s","status":"INDEX_JOB_STATUS_%s","tokens":%d,"total_datasources":%d,' ..
    '"total_items_failed":"%d","total_items_indexed":"%d","total_items_skipped":"%d",' ..
    '"updated_at":"%s","uuid":"%s"}'):format(#sources, date(), table.concat(sources, ","), date(),
    knowledge_base, pick(PHASES), date(), pick(STATUSES), random(0, 1000000), #sources,
    pick{ 0, 0, 0, random(30) }, random(5000), pick{ 0, 0, 0, random(100) }, date(), uuid())
end

-- The details of a data source of a job.
local function data_source()
  local files, items, bytes = random(300), random(3000), random(20000000)
  return ('{"data_source_uuid":"%s","status":"DATA_SOURCE_STATUS_%s","started_at":"%s",' ..
    '"completed_at":"%s","failed_item_count":"%d","indexed_file_count":"%d",' ..
    '"indexed_item_count":"%d","removed_item_count":"%d","skipped_item_count":"%d",' ..
    '"total_bytes":"%d","total_bytes_indexed":"%d","total_file_count":"%d"}'):format(uuid(),
    pick{ "UPDATED", "UPDATED", "NOT_UPDATED", "FAILED" }, date(), date(), pick{ 0, 0, random(20) },
    files, items, random(0, 7), pick{ 0, random(50) }, bytes, bytes, files)
end

-- A job with what the reference page does not have; one in six has been retrieved in detail.
local function full_job(knowledge_base)
  local details = ""
  if random(6) == 1 then
    local sources = {}
    for i = 1, random(3) do sources[i] = data_source() end
    details = ',"data_source_jobs":[' .. table.concat(sources, ",") .. "]"
  end
  return ('%s,"total_tokens":"%d","is_report_available":%s%s}'):format(
    job(knowledge_base):sub(1, -2), random(0, 1000000), pick{ "true", "true", "false" }, details)
end

-- The bytes of an answer with so many jobs, which `make` makes; with `envelope`, with links and
-- meta as well.
local function page(size, make, envelope)
  local jobs, knowledge_bases = {}, { uuid(), uuid(), uuid() }
  for i = 1, size do jobs[i] = make(pick(knowledge_bases)) end
  local text = '{"jobs":[' .. table.concat(jobs, ",") .. "]"
  if envelope then
    local url = "https://api.digitalocean.com/v2/gen-ai/indexing_jobs?page=%d&per_page=200"
    text = text .. (',"links":{"pages":{"last":"%s","next":"%s"}},' ..
      '"meta":{"page":1,"pages":5,"total":1000}'):format(url:format(5), url:format(2))
  end
  return text .. "}"
end

-- Measuring

local function apply(f) return f() end

-- Seconds of CPU time that f takes for all of these arguments, garbage included.
local function cost(f, arguments)
  collectgarbage()
  local start = clock()
  for i = 1, #arguments do f(arguments[i]) end
  return clock() - start
end

-- Of each contestant, a list of its costs, in seconds times `scale`: so many rounds, in each of
-- which all contestants have their turn.
local function compare(rounds, scale, contestants)
  local costs = {}
  for i = 1, #contestants do costs[i] = {} end
  for round = 1, rounds do
    for i, contestant in ipairs(contestants) do
      costs[i][round] = cost(contestant[1], contestant[2]) * scale
    end
  end
  return table.unpack(costs)
end

-- For each of the texts a function that makes its value without parsing; `compile` is of the floor.
local function floors_of(texts, compile)
  local floors = {}
  for i, text in ipairs(texts) do
    local value = assert(core.decode(text))
    floors[i] = compile(value)
    if i == 1 then assert(same(floors[i](), value), "the floor makes something else") end
  end
  return floors
end

-- The rows

local function decode_jobs(text)
  return core.decode(text, false, "jobs", "[")
end

local function page_of_200()
  local texts = {}
  for i = 1, PAGES do texts[i] = page(200, job, true) end
  local ours, peer, least, straight = compare(41, 1e6 / PAGES, {
    { decode_jobs, texts }, { cjson.decode, texts },
    { apply, floors_of(texts, floor.compile) }, { apply, floors_of(texts, floor.compile_page) },
  })
  local what = ("decode 200 jobs, %d KB: "):format(#texts[1] // 1000)
  report.row(what .. LUA_CJSON, "us", ours, peer, 0.60)
  report.row(what .. "the floor", "us", ours, least, 1.25)
  report.row(what .. "a floor for just this", "us", ours, straight, 1.35)
end

local function all_fields()
  local texts = {}
  for i = 1, PAGES do texts[i] = page(200, full_job, true) end
  local ours, peer, least = compare(41, 1e6 / PAGES, {
    { decode_jobs, texts }, { cjson.decode, texts }, { apply, floors_of(texts, floor.compile) },
  })
  local what = ("decode all fields, %d KB: "):format(#texts[1] // 1000)
  report.row(what .. LUA_CJSON, "us", ours, peer, 0.60)
  report.row(what .. "the floor", "us", ours, least, 1.25)
end

-- Every shape next to lua-cjson: the one that is worst for us, and those in which we are slower. Of
-- each the fastest round counts: they are short, and whatever else the machine does is long.
local function all_shapes()
  local worst
  for _, shape in ipairs(shapes) do
    local texts, count, start = {}, 0, clock()
    repeat
      count = count + 1
      core.decode(shape.text)
    until clock() - start > 0.002
    for i = 1, count do texts[i] = shape.text end
    local ours, peer = compare(21, 1e6 / count, { { core.decode, texts }, { cjson.decode, texts } })
    local mine, other = math.min(table.unpack(ours)), math.min(table.unpack(peer))
    local ratio = mine / other
    local row = { shape.name .. ": " .. LUA_CJSON, "us", { mine }, { other }, 1, ratio = ratio }
    if not worst or ratio > worst.ratio then worst = row end
    if ratio > 1 then report.row(table.unpack(row)) end
  end
  report.figure("shapes that were compared", ("%d"):format(#shapes))
  if worst.ratio <= 1 then
    worst[1] = "the worst: " .. worst[1]
    report.row(table.unpack(worst))
  end
end

-- The cost of a job, next to that of making its tables in a body of the same size: what differs
-- between sizes (names that are new each time, fresh memory, the collector's work) is in both.
local function bodies_of(size)
  local texts = {}
  for i = 1, math.max(1, 4000 // size) do texts[i] = page(size, job) end
  local floors = floors_of(texts, floor.compile)
  local rounds = size < 100000 and 21 or 7
  local ours, least = compare(rounds, 1e6 / size / #texts,
    { { decode_jobs, texts }, { apply, floors } })
  report.row(("decode a job of %d: the floor"):format(size), "us", ours, least, 1.5)
end

-- The cost of a text, next to ten with a tenth of its units: the same, except for the machine's
-- caches; a quadratic cost would be ten times as much. Each runs so many times, for the clock.
local function growth(what, text_of, units, times)
  local large, small = {}, {}
  for i = 1, times do large[i] = text_of(units) end
  for i = 1, 10 * times do small[i] = text_of(units // 10) end
  local ours, peer = compare(5, 1e3 / times, { { core.decode, large }, { core.decode, small } })
  report.row(("decode %s: ten of a tenth"):format(what), "ms", ours, peer, 5)
end

local function names(count)
  local members = {}
  for i = 1, count do members[i] = ('"name_%d":1'):format(i) end
  return "{" .. table.concat(members, ",") .. "}"
end

math.randomseed(6)
page_of_200()
all_fields()
all_shapes()
for _, size in ipairs{ 1, 10, 100, 1000, 10000, 100000 } do bodies_of(size) end
growth("a string of 10 MB", function(n) return '"' .. ("x"):rep(n) .. '"' end, 10000000, 1)
growth("1,000,000 escapes", function(n) return '"' .. ("\\n"):rep(n) .. '"' end, 1000000, 1)
growth("1,000,000 digits", function(n) return ("1"):rep(n) end, 1000000, 1)
growth("1,000,000 elements", function(n) return "[" .. ("1,"):rep(n - 1) .. "1]" end, 1000000, 1)
growth("100,000 names", names, 100000, 1)
growth("1,000 levels", function(n) return ("["):rep(n) .. ("]"):rep(n) end, 1000, 100)
report.finish()
