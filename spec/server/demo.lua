--- `make demo`: lists every indexing job, as a table with a summary, then starts one and watches
--- it. The jobs are those of a local API server; LIVE=1 lists the real API's, and starts none.

local core = require "gradient.core"
local gradient = require "gradient"
local jobs = require "gradient.cli.jobs"
local knowledge_bases = require "gradient.cli.names"
local outputs = require "gradient.cli.output"
local printers = require "gradient.cli.printer"
local sessions = require "gradient.cli.session"
local watch = require "gradient.cli.watch"

local live = os.getenv("LIVE") == "1"
local output = outputs.new()

local job_duration, watch_interval = 3, 0.2 -- seconds

local function print_summary(counts, total, requests, seconds)
  local names = {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    return counts[a] > counts[b] or counts[a] == counts[b] and a < b
  end)
  output:line("")
  for _, name in ipairs(names) do output:line(("%7d  %s"):format(counts[name], name)) end
  output:line(("%7d  jobs in %d requests and %.3f seconds"):format(total, requests, seconds))
end

-- Prints all jobs; returns how many there are, and the newest of those that are over.
local function list(options)
  local requests, total, counts, ended = 0, 0, {}, nil
  options.on_event = function(event)
    local is_for_jobs = event.url:find("/indexing_jobs", 1, true)
    if event.type == "request" and is_for_jobs then requests = requests + 1 end
  end
  local client <close> = gradient.client(options)
  local printer = printers.new(output, { columns = jobs.columns(knowledge_bases.new(client)) },
    { format = "table" })
  local started = core.now()
  for job in client.indexing_jobs.each{ per_page = 200 } do
    printer.item(job)
    total, ended = total + 1, ended or gradient.is_finished(job) and job or nil
    local state = jobs.state(job)
    counts[state] = (counts[state] or 0) + 1
  end
  printer.finish()
  print_summary(counts, total, requests, core.now() - started)
  return total, ended
end

-- Starts another job for the knowledge base of this one and shows it until it is over; returns
-- whether it succeeded.
local function start_and_watch(options, job)
  local client <close> = gradient.client(options)
  local created = assert(client.indexing_jobs.create{
    knowledge_base_uuid = job.knowledge_base_uuid,
  })
  output:line("\nA new job for the knowledge base " .. job.knowledge_base_uuid)
  local session = sessions.new({ interval = watch_interval }, output)
  session:use(client)
  return watch.show(session, { created.job.uuid }) == 0
end

local function show_real_jobs()
  if not (os.getenv("DIGITALOCEAN_ACCESS_TOKEN") or os.getenv("DIGITALOCEAN_TOKEN")) then
    error("LIVE=1 lists the jobs of the real API: set DIGITALOCEAN_ACCESS_TOKEN to your token", 0)
  end
  local base_url = os.getenv("GRADIENT_BASE_URL") or "https://api.digitalocean.com"
  output:line("Indexing jobs of " .. base_url)
  output:line(("\ndemo succeeded: %d jobs listed"):format((list{})))
end

local function show_local_jobs()
  local api <close> = require("spec.support.api").start{ jobs = 250, duration = job_duration }
  output:line("Indexing jobs of the local API server at " .. api.url)
  local total, ended = list{ token = api.token, base_url = api.url }
  if not start_and_watch({ token = api.token, base_url = api.url }, ended) then
    error("the job did not succeed", 0)
  end
  output:line(("\ndemo succeeded: %d jobs listed, 1 started and watched to its end"):format(total))
  output:line('Next: as root, "make install" installs the module and the command gradient-jobs;'
    .. '\nREADME.md goes on with "Token" and a first program.')
end

local ok, problem = pcall(live and show_real_jobs or show_local_jobs)
if not ok then
  output:restore(false)
  io.stderr:write("demo failed: ", tostring(problem), "\n")
  os.exit(1, true)
end
