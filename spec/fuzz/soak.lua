--- `make soak`: lists again and again from a server with a mixture of faults, and tells whether
--- memory and descriptors stay flat after the first thousand requests.
--
--   lua5.4 spec/fuzz/soak.lua [REQUESTS [KILOBYTES]]
--
-- 100,000 requests by default, and 1,024 KiB that may come on top of what there was after the first
-- thousand. `make soak` has malloc give back at once what is freed, so that only what is held
-- counts. Exit status 0 if they stay flat.

local apis = require("spec.support.api")
local core = require("gradient.core")
local gradient = require("gradient")
local uv = require("luv")

local requests = tonumber(arg[1]) or 100000
local first = math.min(1000, requests // 2)

local spare_kilobytes, spare_descriptors = tonumber(arg[2]) or 1024, 8

-- A fault each, spread over that many requests; the rest is answered as usual.
local round = 200
local faults = {
  { "error", { status = 500 } }, { "error", { status = 503, body = "html" } },
  { "error", { status = 401 } }, { "error", { status = 404, body = "empty" } },
  { "rate_limited", { retry_after = 0 } }, { "rate_limited", { retry_after = 3600 } },
  { "close" }, { "reset" }, { "stale" }, { "stale", { finish = "close" } }, { "close_after" },
  { "half_status_line" }, { "half_headers", { finish = "reset" } }, { "half_body" },
  { "half_body", { finish = "reset" } }, { "length_too_long" }, { "length_too_short" },
  { "negative_length" }, { "two_lengths" }, { "chunked_without_end" }, { "bad_chunk" },
  { "huge_headers" }, { "gzip" }, { "broken_gzip" }, { "damaged_gzip" }, { "cut_gzip" },
  { "gzip_bomb", { size = 1 << 22 } }, { "unknown_encoding" }, { "interim" }, { "http09" },
  { "http10" }, { "not_http" }, { "redirect" }, { "no_content" }, { "not_modified" }, { "html" },
  { "empty" }, { "null" }, { "array" }, { "jobs_null" }, { "jobs_object" }, { "jobs_of_scalars" },
  { "half_json" }, { "deep" }, { "silent" },
}

local function script(api)
  local entries = {}
  for i, fault in ipairs(faults) do
    local options = { skip = i * round // #faults - 1 }
    for name, value in pairs(fault[2] or {}) do options[name] = value end
    entries[i] = { fault = fault[1], options = options }
  end
  api:script(entries)
end

local page_size = tonumber(io.popen("getconf PAGESIZE"):read("a"))

-- Resident memory in KiB, and the number of open descriptors.
local function measure()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  local directory, descriptors = uv.fs_scandir("/proc/self/fd"), 0
  while uv.fs_scandir_next(directory) do descriptors = descriptors + 1 end
  return pages * page_size // 1024, descriptors
end

local outcomes = {}

local function note(outcome)
  outcomes[outcome] = (outcomes[outcome] or 0) + 1
end

-- Every way to use a client: by turns, one of these.
local function uses(url)
  local options = { -- without retries, whose pauses would take nearly all of the time
    base_url = url, token = "test-token", timeout = 0.1, max_body = 1 << 20, max_retries = 0,
  }
  local plain, own = gradient.client(options), nil
  options.wait = function(_, seconds)
    if coroutine.isyieldable() then
      coroutine.yield()
    else
      own.core:wait(seconds)
    end
  end
  own = gradient.client(options)

  local function list(client, call_options)
    local page, err = client.indexing_jobs.list({ per_page = 5 }, call_options)
    note(page and "list" or err.kind)
  end

  local function walk(client, stop)
    local seen = 0
    local ok, err = pcall(function()
      for _ in client.indexing_jobs.each({ per_page = 5 }, { prefetch = 3 }) do
        seen = seen + 1
        if seen == stop then break end
      end
    end)
    note(ok and "each" or err.kind)
  end

  return {
    function() list(plain) end,
    function() list(own) end,
    function() list(plain, { headers = { ["x-soak"] = "yes" } }) end,
    function() walk(own) end,
    function() walk(own, 7) end,
    -- left to the collector: a coroutine that is dropped, a client that is not closed
    function()
      coroutine.wrap(list)(own)
      note("dropped")
    end,
    function() list(gradient.client{ base_url = url, token = "test-token", max_retries = 0 }) end,
  }, function()
    plain:close()
    own:close()
  end
end

local function report(done, kilobytes, descriptors, seconds)
  print(("%7d requests  %6d KiB  %3d descriptors  %6.1f s"):format(done, kilobytes, descriptors,
    seconds))
end

local api <close> = apis.start{ jobs = 20, log = 10 }
script(api)
local started_at = core.now()
local _, descriptors_at_start = measure()
local turns, close = uses(api.url)
local done, turn, next_report = 0, 0, first
local kilobytes, descriptors, flat = nil, nil, true
while done < requests do
  if api:pending() == 0 then script(api) end
  for _ = 1, round // 4 do
    turn = turn % #turns + 1
    turns[turn]()
  end
  done = api:connections().requests
  if done >= next_report then
    local kilobytes_now, descriptors_now = measure()
    kilobytes, descriptors = kilobytes or kilobytes_now, descriptors or descriptors_now
    flat = flat and kilobytes_now <= kilobytes + spare_kilobytes
      and descriptors_now <= descriptors + spare_descriptors
    report(done, kilobytes_now, descriptors_now, core.now() - started_at)
    next_report = (done * 10 // requests + 1) * requests // 10
  end
end
close()
local _, descriptors_at_end = measure()
local names = {}
for name in pairs(outcomes) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do print(("%7d %s"):format(outcomes[name], name)) end
if descriptors_at_end ~= descriptors_at_start then
  print(("%d descriptors at the end, %d at the start"):format(descriptors_at_end,
    descriptors_at_start))
end
if not flat then print("memory or descriptors grow") end
os.exit(flat and descriptors_at_end == descriptors_at_start, true)
