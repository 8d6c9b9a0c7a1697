--- `make demo`: lists every indexing job, as a table with a summary. Without LIVE=1 the jobs come
--- from the local API server.

local gradient = require "gradient"

local live = os.getenv("LIVE") == "1"

local function cut(text, width)
  text = tostring(text or "-")
  if utf8.len(text) and utf8.len(text) > width then
    text = text:sub(1, utf8.offset(text, width) - 1) .. "…"
  end
  return text
end

-- "BATCH_JOB_PHASE_RUNNING" → "running"
local function short(value, prefix)
  if type(value) ~= "string" then return "-" end
  return (value:gsub("^" .. prefix, ""):gsub("_", " "):lower())
end

local function thousands(number)
  local text = tostring(number or "-")
  local head, tail = text:match("^(%d%d?%d?)(%d*)$")
  return head and #tail % 3 == 0 and head .. tail:gsub("(%d%d%d)", ",%1")
    or (text:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local units = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } }

local function age(text)
  local created = gradient.timestamp(text)
  if not created then return "-" end
  local seconds = math.max(0, os.time() - created) // 1
  for _, unit in ipairs(units) do
    if seconds >= unit[1] then return ("%d %s"):format(seconds // unit[1], unit[2]) end
  end
  return "now"
end

local columns = {
  { "JOB", 8, function(job) return job.uuid end },
  { "KNOWLEDGE BASE", 14, function(job) return job.knowledge_base_uuid end },
  { "PHASE", 9, function(job) return short(job.phase, "BATCH_JOB_PHASE_") end },
  { "STATUS", 11, function(job) return short(job.status, "INDEX_JOB_STATUS_") end },
  { "SOURCES", -7, function(job)
    return ("%s/%s"):format(job.completed_datasources or "-", job.total_datasources or "-")
  end },
  { "TOKENS", -11, function(job) return thousands(job.total_tokens or job.tokens) end },
  { "AGE", -5, function(job) return age(job.created_at) end },
}

local function print_row(cell)
  local cells = {}
  for position, column in ipairs(columns) do
    local width = math.abs(column[2])
    local text = cut(cell(column), width)
    local padding = (" "):rep(width - (utf8.len(text) or #text))
    cells[position] = column[2] < 0 and padding .. text or text .. padding
  end
  print((table.concat(cells, "  "):gsub("%s+$", "")))
end

local function print_summary(phases, total, seconds, requests)
  local names = {}
  for name in pairs(phases) do names[#names + 1] = name end
  table.sort(names, function(a, b) return phases[a] > phases[b] end)
  print()
  for _, name in ipairs(names) do print(("%7d  %s"):format(phases[name], name)) end
  print(("%7d  jobs in %d requests and %.3f seconds"):format(total, requests, seconds))
end

local function list(options)
  local requests, total, phases = 0, 0, {}
  options.on_event = function(event)
    if event.type == "request" then requests = requests + 1 end
  end
  local client <close> = gradient.client(options)
  local now = require("gradient.core").now
  local started = now()
  for job in client.indexing_jobs.each{ per_page = 200 } do
    if total == 0 then print_row(function(column) return column[1] end) end
    total = total + 1
    local phase = short(job.phase, "BATCH_JOB_PHASE_")
    phases[phase] = (phases[phase] or 0) + 1
    print_row(function(column) return column[3](job) end)
  end
  print_summary(phases, total, now() - started, requests)
end

local function main()
  if live then
    print("Indexing jobs of " .. (os.getenv("GRADIENT_BASE_URL") or "https://api.digitalocean.com"))
    return list{}
  end
  local api <close> = require("spec.support.api").start{ jobs = 250 }
  print("Indexing jobs of the local API server at " .. api.url)
  list{ token = api.token, base_url = api.url }
end

local ok, problem = pcall(main)
if not ok then
  io.stderr:write("demo failed: ", tostring(problem), "\n")
  os.exit(1, true)
end
