--- The command gradient-jobs: what it prints, on which stream, and its exit statuses.

local api = require "spec.support.api"
local command = require "spec.support.command"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"

local unknown_uuid = "123e4567-e89b-12d3-a456-426614174000"
local uuid_pattern = command.uuid_pattern

describe("gradient-jobs", function()
  local server, new_client = fixture.server{ jobs = 250 }
  local gj = command.against(server)
  local run, print_of, fails = gj.run, gj.print_of, gj.fails
  local lines_of, uuids_of = command.lines, command.uuids
  local jobs

  before_each(function() jobs = new_client().indexing_jobs end)

  -- The uuids of the jobs that `is_wanted`.
  local function uuids_where(is_wanted)
    local uuids = {}
    for job in jobs.each{ per_page = 200 } do
      if is_wanted(job) then uuids[#uuids + 1] = job.uuid end
    end
    return uuids
  end

  local function all() return true end

  -- The requests, except those for the names of knowledge bases.
  local function targets()
    local list = {}
    for _, request in ipairs(server:requests()) do
      if not request.target:find "/knowledge_bases%?" then list[#list + 1] = request.target end
    end
    return list
  end

  local function answer_with(text)
    server:script{ { status = 200, body = text } }
  end

  local wide = { columns = 200, rows = 50 }

  describe("list", function()
    it("prints one page as a table, and says that there is more", function()
      local result = run{ "list" }
      assert.equal(0, result.status)
      assert.equal("gradient-jobs: 20 of 250 jobs; --all lists them all\n", result.errors)
      assert.same({ "/v2/gen-ai/indexing_jobs" }, targets())
      local lines = lines_of(result.output)
      assert.equal(21, #lines)
      assert.matches("^JOB +KNOWLEDGE BASE +STATE +SOURCES +TOKENS +AGE$", lines[1])
      assert.matches("^" .. uuid_pattern .. "  %S.*  pending  +0/[%d?]  +0 +%d+ s$", lines[2])
      assert.matches("  failed +%d/%d +[%d,]+ +%d+ [dhm]$", lines[21])
      assert.same(table.move(uuids_where(all), 1, 20, 1, {}), uuids_of(result.output))
    end)

    it("says so without numbers when the server gives none", function()
      server:set{ meta = false }
      assert.equal("gradient-jobs: 7 jobs, and there are more; --all lists them all\n",
        run({ "list", "--per-page", "7" }).errors)
      assert.same({ "/v2/gen-ai/indexing_jobs?per_page=7" }, targets())
    end)

    it("is ls, too", function()
      local three = { "--limit", "3", "--columns", "job" }
      assert.equal(print_of{ "list", table.unpack(three) }, print_of{ "ls", table.unpack(three) })
    end)

    it("says nothing when that is all", function()
      server:set{ jobs = 30 }
      assert.equal(30, #uuids_of(print_of{ "list", "--per-page", "30" }))
    end)

    it("--all prints every job once, in as few requests as the server allows", function()
      assert.same(uuids_where(all), uuids_of(print_of{ "list", "--all" }))
      local sent = targets()
      assert.same({ "/v2/gen-ai/indexing_jobs?page=1&per_page=200",
        "/v2/gen-ai/indexing_jobs?page=2&per_page=200" }, table.move(sent, #sent - 1, #sent, 1, {}))
    end)

    it("--phase looks for jobs in the whole list", function()
      local function failed(job) return job.phase == gradient.phase.FAILED end
      assert.same(uuids_where(failed), uuids_of(print_of{ "list", "--phase", "failed" }))
      assert.same(uuids_where(function(job) return not gradient.is_finished(job) end),
        uuids_of(print_of{ "list", "--phase", "RUNNING", "--phase", "BATCH_JOB_PHASE_PENDING" }))
    end)

    it("--kb looks for jobs in the whole list", function()
      local base = server:knowledge_bases()[3]
      local function of_base(job) return job.knowledge_base_uuid == base end
      assert.same(uuids_where(of_base), uuids_of(print_of{ "list", "--kb", base }))
    end)

    it("prints nothing for no jobs, and says so", function()
      local none = "9999-01-01"
      fails(0, "there are no such jobs", { "list", "--since", none })
      assert.equal("", print_of{ "list", "--since", none, "--no-header" }) -- a cron job is silent
      assert.equal("[]\n", print_of{ "list", "--since", none, "--json" })
      assert.equal("", print_of{ "list", "--since", none, "-o", "jsonl" })
      assert.equal(1, #lines_of(print_of{ "list", "--since", none, "--csv" }))
    end)

    it("prints whatever a job is", function()
      answer_with('{"jobs":[{},{"uuid":7,"phase":[],"status":null,"completed_datasources":{},'
        .. '"total_tokens":"many","tokens":-12345,"created_at":"soon"},{"tokens":1.5}]}')
      local lines = lines_of(print_of{ "list" })
      assert.equal(4, #lines)
      assert.matches("^%- +%- +%- +0/%? +0 +%-$", lines[2])
      assert.matches("^7 .* many +%-$", lines[3])
      answer_with('{"jobs":[{"tokens":-12345},{"total_tokens":"18446744073709551615"}]}')
      local output = print_of{ "list" }
      assert.matches(" %-12,345 ", output)
      assert.matches(" 18,446,744,073,709,551,615 ", output)
    end)
  end)

  describe("list --json", function()
    it("is one array of jobs, a job a line", function()
      local output = print_of{ "list", "--all", "--json" }
      local listed = assert(core.decode(output))
      local uuids = {}
      for position, job in ipairs(listed) do uuids[position] = job.uuid end
      assert.same(uuids_where(all), uuids)
      assert.equal(252, #lines_of(output))
    end)

    it("has every value exactly as it came", function()
      local job = [=[{"uuid":"1","max":9223372036854775807,"min":-9223372036854775808,]=]
        .. [=["odd":9007199254740993,"tenth":0.1,"third":0.3333333333333333,"tiny":5e-324,]=]
        .. [=["big":1.5e300,"whole":100.0,"huge":1e999,"low":-1e999,"none":null,"yes":true,]=]
        .. [=["no":false,"digits":"18446744073709551615","list":[],"nested":{"a":[1,null,{"b":]=]
        .. [=[[[]]}]},"é/\"\\":"\/\u0000\u001b[31m\n\u007f\u009b\u00e9 \ud83d\ude00 \u2028"}]=]
      answer_with('{"jobs":[' .. job .. "]}")
      local output = print_of{ "list", "--json" }
      assert.same({ core.decode(job, true) }, core.decode(output, true))
      for _, text in ipairs{ '"max":9223372036854775807,', '"odd":9007199254740993,',
        '"tenth":0.1,', '"whole":100.0,', '"list":[],', '"none":null,', "/\\u0000\\u001b[31m\\n",
        "\\u007f\\u009bé" } do
        assert.matches(text, output, 1, true)
      end
    end)

    it("is not finished when a page cannot be had", function()
      server:script{ { match = { page = 2 }, status = 403 } }
      local result = run{ "list", "--all", "--json" }
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: permission_denied: [^\n]+\n$", result.errors)
      assert.equal(201, #lines_of(result.output .. "\n"))
      assert.is_nil(core.decode(result.output))
    end)

    it("needs no more memory for more jobs", function()
      local measure = [[
        local exit = os.exit
        os.exit = function(...)
          io.stderr:write(io.open("/proc/self/status"):read("a"):match("VmHWM:%s*(%d+)"))
          exit(...)
        end
      ]]
      local function peak(count)
        server:set{ jobs = count, fields = "reference" }
        local result = run({ "list", "--all", "--json" },
          { prelude = measure, redirection = ">/dev/null" })
        assert.equal(0, result.status)
        return tonumber(result.errors)
      end
      local few, many = peak(1000), peak(10000)
      assert.is_true(many < few + 4096, ("%d kB, then %d kB"):format(few, many))
    end)
  end)

  describe("list --csv", function()
    local header = "uuid,knowledge_base_uuid,data_source_uuids,phase,status,created_at,started_at,"
      .. "finished_at,updated_at,completed_datasources,total_datasources,tokens,"
      .. "total_items_failed,total_items_indexed,total_items_skipped,total_tokens,"
      .. "is_report_available\r\n"

    it("has the documented fields in their order", function()
      answer_with('{"jobs":[{"uuid":"1","knowledge_base_uuid":"2","data_source_uuids":["3","4"],'
        .. '"phase":"5","status":"6","created_at":"7","started_at":"8","finished_at":null,'
        .. '"completed_datasources":10,"total_datasources":9223372036854775807,"tokens":12,'
        .. '"total_items_failed":"13","total_items_indexed":"14","total_items_skipped":"15",'
        .. '"total_tokens":"18446744073709551615","is_report_available":false,"more":1},{}]}')
      assert.equal(header .. "1,2,3 4,5,6,7,8,,,10,9223372036854775807,12,13,14,15,"
        .. "18446744073709551615,false\r\n" .. (","):rep(16) .. "\r\n", print_of{ "list", "--csv" })
    end)

    it("quotes what needs quotes and changes nothing", function()
      answer_with([[{"jobs":[{"uuid":"a,b","phase":"say \"x\"","status":"two\r\nlines",]]
        .. [["created_at":"=1+1"}]}]])
      assert.equal(header .. '"a,b",,,"say ""x""","two\r\nlines",=1+1' .. (","):rep(11) .. "\r\n",
        print_of{ "list", "--csv" })
    end)
  end)

  describe("list", function()
    it("chooses by status, outcome and time", function()
      local function uuids_of_outcome(...)
        local wanted = { ... }
        return uuids_where(function(job)
          for _, outcome in ipairs(wanted) do
            if gradient.outcome(job) == outcome then return true end
          end
        end)
      end
      assert.same(uuids_of_outcome("failed", "partial"),
        uuids_of(print_of{ "list", "--outcome", "failed, partial" }))
      assert.same(uuids_of_outcome "no_changes",
        uuids_of(print_of{ "list", "--outcome", "no-changes" }))
      assert.same(uuids_where(function(job) return job.status == gradient.status.PARTIAL end),
        uuids_of(print_of{ "list", "--status", "partial" }))
      local times = {}
      for job in jobs.each() do times[#times + 1] = gradient.timestamp(job.created_at) end
      table.sort(times)
      local middle = times[#times // 2]
      local since = os.date("!%Y-%m-%dT%H:%M:%SZ", middle)
      assert.equal(#times - #times // 2 + 1, #uuids_of(print_of{ "list", "--since", since }))
      assert.equal(#times, #uuids_of(print_of{ "list", "--since", "999999999999999999d" }))
      local before = times[#times // 2 - 1]
      local seconds = ("%ds"):format(os.time() - (before + middle) // 2)
      assert.equal(#times - #times // 2 + 1, #uuids_of(print_of{ "list", "--since", seconds }))
    end)

    it("--since takes the clock of this machine where no zone is given", function()
      answer_with('{"jobs":[{"uuid":"a","created_at":"2024-03-01T10:59:59Z"},'
        .. '{"uuid":"b","created_at":"2024-03-01T11:00:00Z"}]}')
      assert.matches("\nb  [^\n]+\n$", print_of({ "list", "--since", "2024-03-01 06:00" },
        { environment = { TZ = "EST5" } }))
    end)

    it("--limit prints no more, and asks for no more", function()
      local first = uuids_where(all)
      assert.same(table.move(first, 1, 3, 1, {}), uuids_of(print_of{ "list", "--limit", "3" }))
      local sent = targets()
      assert.equal("/v2/gen-ai/indexing_jobs?page=1&per_page=3", sent[#sent])
      assert.equal(230, #uuids_of(print_of{ "list", "--limit", "230" }))
    end)

    it("--sort orders by what a column or field means", function()
      local function sorted(...)
        return print_of{ "list", "--sort", ..., "--no-header", "--no-names", "--columns",
          "job,tokens,created_at" }
      end
      local function numbers(text)
        local list = {}
        for _, line in ipairs(lines_of(text)) do
          list[#list + 1] = math.tointeger((line:match("^%S+ +(%S+)"):gsub(",", "")))
        end
        return list
      end
      local up, down = numbers(sorted "tokens"), numbers(sorted "-tokens")
      assert.equal(250, #up)
      for position = 2, #up do assert.is_true(up[position - 1] <= up[position]) end
      for position = 2, #down do assert.is_true(down[position - 1] >= down[position]) end
      assert.same(uuids_where(all), uuids_of(sorted "age"))
      assert.same(uuids_where(all), uuids_of(sorted "-created_at"))
      assert.equal(10, #uuids_of(print_of{ "list", "--sort", "tokens", "--limit", "10" }))
    end)

    it("--exit-status says whether one failed, or is partial", function()
      for outcome, status in pairs{ failed = 1, partial = 3, succeeded = 0 } do
        local result = run{ "list", "--outcome", outcome, "--limit", "2", "--exit-status" }
        assert.equal(status, result.status, outcome)
        assert.equal(2, #uuids_of(result.output))
      end
      assert.equal(1, run{ "list", "--all", "--exit-status" }.status)
      assert.equal(0, run{ "list", "--outcome", "failed", "--limit", "1" }.status)
    end)

    it("prints the columns that are asked for, in any format", function()
      answer_with('{"jobs":[{"uuid":"a","phase":"BATCH_JOB_PHASE_RUNNING","tokens":1234}]}')
      assert.equal("TOKENS  JOB\n 1,234  a\n", print_of{ "list", "--columns", "tokens,job" })
      answer_with('{"jobs":[{"uuid":"a","tokens":1234,"data_source_uuids":["x",null]}]}')
      assert.equal("a  x null\n",
        print_of{ "list", "--no-header", "--columns", "job", "--columns", "data_source_uuids" })
      answer_with('{"jobs":[{"uuid":"a","tokens":1234}]}')
      assert.equal("1234,a\r\n", print_of{ "list", "--csv", "--no-header", "--columns",
        "tokens,job" })
      answer_with('{"jobs":[{"uuid":"a","tokens":1234}]}')
      assert.equal('{"tokens":1234,"uuid":"a"}\n',
        print_of{ "list", "-o", "jsonl", "--columns", "tokens,job" })
    end)

    it("-o jsonl is a job a line, -o wide a table of everything that is never cut", function()
      local lines = lines_of(print_of{ "list", "--all", "--output", "jsonl" })
      assert.equal(250, #lines)
      assert.equal(uuids_where(all)[7], core.decode(lines[7]).uuid)
      local wide_table = run({ "list", "-o", "wide" }, { terminal = { columns = 40, rows = 24 } })
      local header, first = wide_table.output:gsub("\27%[%d*m", ""):match("^([^\n]*)\n([^\n]*)")
      assert.matches("^JOB +KNOWLEDGE BASE +STATE +PHASE +STATUS .* CREATED$", header)
      assert.matches("^" .. uuid_pattern, first)
    end)

    it("tells on a terminal how far it is, if it prints elsewhere, and leaves no trace", function()
      server:set{ jobs = 1200, latency = 0.3 }
      local result = run({ "list", "--all", "--json" },
        { terminal = { columns = 80, rows = 24, errors = true } })
      assert.equal(0, result.status)
      assert.matches("^\r[%d,]+ of 1,200 jobs, about %d+ [sm] left *\r", result.errors)
      assert.matches("\r +\r$", result.errors)
      assert.equal(1202, #lines_of(result.output))
      result = run({ "list", "--all", "--json" }, { redirection = "| cat >/dev/null" })
      assert.equal("", result.errors)
    end)
  end)

  it("get is a page for a person", function()
    answer_with('{"job":{"zebra":1.5,"tokens":1234567,"uuid":"one","knowledge_base_uuid":"kb",'
      .. '"phase":"BATCH_JOB_PHASE_FAILED","created_at":"2024-03-01T10:00:00Z",'
      .. '"started_at":"2024-03-01T10:00:05Z","finished_at":"2024-03-01T12:01:10Z",'
      .. '"updated_at":"0001-01-01T00:00:00Z","list":[1,null],"data_source_jobs":['
      .. '{"data_source_uuid":"s1","status":"DATA_SOURCE_STATUS_FAILED","total_file_count":"4",'
      .. '"indexed_file_count":"2","total_bytes":"12345678","error_msg":"crawl failed",'
      .. '"error_details":"' .. ("very "):rep(60) .. 'long"}]}}')
    local output = print_of{ "get", "one" }
    local expected = [[
Job             one
Knowledge base  kb
State           failed, 2 of 4 files (50 %)
Phase           BATCH_JOB_PHASE_FAILED
Created         2024-03-01 10:00:00 +0000 (AGO)
Started         2024-03-01 10:00:05 +0000 (AGO)
Finished        2024-03-01 12:01:10 +0000 (AGO)
Took            2:01:05
Tokens          1,234,567
list            [1,null]
zebra           1.5

DATA SOURCE  STATE   FILES  INDEXED  SKIPPED  REMOVED  FAILED   SIZE
s1           failed    2/4        0        0        0       0  12 MB

ERRORS
s1  crawl failed: ]] .. ("very "):rep(60) .. "long\n"
    assert.equal(expected, (output:gsub("%d+ d ago", "AGO")))
  end)

  -- A job that is over, and so has data sources.
  local function job_that_is_over(position)
    return jobs.list{ per_page = 20 }.jobs[10 + position]
  end

  it("get asks for the data sources that a job does not bring along", function()
    local job = job_that_is_over(1)
    server:script{ { status = 200, body = '{"job":{"uuid":"' .. job.uuid .. '"}}' } }
    local output = print_of{ "get", job.uuid }
    assert.is_true(#job.data_source_jobs > 0)
    for _, source in ipairs(job.data_source_jobs) do
      assert.matches(source.data_source_uuid, output, 1, true)
    end
  end)

  it("get, sources and cancel take several jobs, and name those that there are not", function()
    local first, second = job_that_is_over(1).uuid, job_that_is_over(2).uuid
    local result = run{ "get", first, unknown_uuid, second, "--json" }
    assert.equal(1, result.status)
    assert.matches("^gradient%-jobs: job " .. unknown_uuid:gsub("%-", "%%-")
      .. ": not_found: [^\n]+\n$", result.errors)
    local lines = lines_of(result.output)
    assert.same({ first, second }, { core.decode(lines[1]).uuid, core.decode(lines[2]).uuid })
    assert.equal(lines[1] .. "\n", print_of{ "get", first, "--output", "json" })
    result = run{ "sources", first, unknown_uuid, second }
    assert.equal(1, result.status)
    assert.matches("^" .. first:gsub("%-", "%%-") .. "\nDATA SOURCE .*\n\n"
      .. second:gsub("%-", "%%-") .. "\nDATA SOURCE ", result.output)
    local base = server:knowledge_bases()
    local one = jobs.create{ knowledge_base_uuid = base[20] }.job.uuid
    local two = jobs.create{ knowledge_base_uuid = base[21] }.job.uuid
    assert.equal(("%s cancelled\n%s cancelled\n"):format(one, two), print_of{ "cancel", one, two })
  end)

  it("asks for nothing more when it is not about the one job", function()
    local result = run({ "get", "a", "b" }, { environment = { DIGITALOCEAN_ACCESS_TOKEN = "no" } })
    assert.matches("^gradient%-jobs: authentication: [^\n]+\n$", result.errors)
    assert.equal(1, #server:requests())
  end)

  it("sources prints the data sources of a job, and their errors in full", function()
    local job, uuids = job_that_is_over(1), {}
    for position, source in ipairs(job.data_source_jobs) do
      uuids[position] = source.data_source_uuid
    end
    local lines = lines_of(print_of{ "sources", job.uuid, "--no-names" })
    assert.matches("^DATA SOURCE +STATE +FILES +INDEXED +SKIPPED +REMOVED +FAILED +SIZE$", lines[1])
    assert.same(uuids, { table.unpack(uuids_of(table.concat(lines, "\n") .. "\n"), 1, #uuids) })
    local listed = core.decode(print_of{ "sources", job.uuid, "--json" })
    assert.equal(#uuids, #listed)
    local details = ("a long story "):rep(20)
    answer_with('{"indexed_data_sources":[{"status":"DATA_SOURCE_STATUS_FAILED","total_bytes":'
      .. '"1234567890","data_source_uuid":"s","error_msg":"no","error_details":"' .. details
      .. '"},{"data_source_uuid":"t"}]}')
    local output = run({ "sources", "x" }, { terminal = { columns = 80, rows = 24 } }).output
    assert.matches("1.2 GB\n", output)
    assert.matches("\n\n\27%[1mERRORS\27%[0m\ns  no: " .. details .. "\n$", output)
    answer_with('{"indexed_data_sources":[]}')
    fails(0, "this job has no data sources", { "sources", job.uuid })
  end)

  it("cancel prints what has become of the job", function()
    local uuid = jobs.create{ knowledge_base_uuid = server:knowledge_bases()[30] }.job.uuid
    assert.equal(uuid .. " cancelled\n", print_of{ "cancel", uuid })
    server:script{ { status = 409, headers = { ["x-should-retry"] = "false" } } }
    local result = run{ "cancel", uuid }
    assert.equal(1, result.status)
    assert.matches("^gradient%-jobs: job " .. uuid:gsub("%-", "%%-")
      .. ": conflict: [^\n]+ %(HTTP 409, conflict, [^\n]+%)\n$", result.errors)
  end)

  describe("on a terminal", function()
    it("uses colours, and cuts the table to the width", function()
      local output = print_of({ "list", "--phase", "running", "--phase", "succeeded" },
        { terminal = { columns = 80, rows = 24 } })
      assert.matches("^\27%[1mJOB\27%[0m +\27%[1mKNOWLEDGE BASE\27%[0m +\27%[1mSTATE\27%[0m ",
        output)
      assert.matches("  \27%[36mrunning\27%[0m  ", output)
      assert.matches("  \27%[32msucceeded\27%[0m  ", output)
      local screen = command.screen(output, 80)
      assert.matches("^JOB +KNOWLEDGE BASE +STATE +AGE$", screen[1])
      assert.matches("^" .. uuid_pattern .. "  %S.*  running ", screen[2])
    end)

    it("gives up columns, and the uuid last", function()
      for columns, header in pairs{
        [130] = "^JOB +KNOWLEDGE BASE +STATE +SOURCES +TOKENS +AGE$",
        [90] = "^JOB +KNOWLEDGE BASE +STATE +SOURCES +AGE$",
        [80] = "^JOB +KNOWLEDGE BASE +STATE +AGE$", [60] = "^JOB +STATE +AGE$",
        [50] = "^JOB +STATE$", [40] = "^JOB +STATE$",
      } do
        local result = run({ "list" }, { terminal = { columns = columns, rows = 24 } })
        local screen = command.screen(result.output, columns)
        assert.matches(header, screen[1])
        assert.matches(columns < 50 and "^%x+%-[%x-]*…  " or "^" .. uuid_pattern .. "  ", screen[2])
      end
    end)

    it("uses no colours with NO_COLOR, nor on a terminal that has none", function()
      for _, environment in ipairs{ { NO_COLOR = "1" }, { TERM = "dumb" } } do
        local result = run({ "list" }, { terminal = wide, environment = environment })
        assert.is_nil(result.output:find("\27", 1, true))
      end
      assert.truthy(run({ "list" }, { terminal = wide, environment = { NO_COLOR = "" } }).output
        :find("\27", 1, true))
    end)

    local evil = [[\u001b]0;owned\u0007\u001b[2J\u009b31m\u0000\u007f\r\nx\u202e\u2066\u2028]]

    it("shows nothing of the server's that it would obey", function()
      local base = unknown_uuid
      local job = ([[{"uuid":"%s","phase":"%s","status":"%s","knowledge_base_uuid":"%s",]]
        .. [["created_at":"%s","completed_datasources":"%s","total_datasources":"%s",]]
        .. [["total_tokens":"%s","%s":["%s"],"total_items_indexed":"%s"}]]):gsub("%%s", evil)
      local source = ([[{"data_source_uuid":"%s","status":"%s","error_msg":"%s",]]
        .. [["total_bytes":"%s"}]]):gsub("%%s", evil)
      local function of(uuid, object)
        return (object:gsub('"uuid":"[^"]*"', '"uuid":"' .. uuid .. '"', 1))
      end
      local ended = of("over", job):gsub('"phase":"[^"]*"', '"phase":"BATCH_JOB_PHASE_FAILED"')
      local named = ([[{"uuid":"%s","name":"%s","region":"%s","last_indexing_job":]]
        .. job:gsub("%%", "%%%%") .. "}"):gsub("%%s", evil)
      local info = ([[{"uuid":"%s","time":"%s","days":["%s"],"next_run_at":"%s"}]])
        :gsub("%%s", evil)
      local function answer(path, body, method)
        return { match = { path = "/v2/gen-ai/" .. path, method = method }, forever = true,
          status = body:find "message" and 422 or 200, body = body }
      end
      local reported
      for candidate in jobs.each() do
        if candidate.is_report_available then reported = candidate.uuid end
      end
      server:script{ -- a request gets the first one that matches its path
        { match = { storage = true }, status = 200,
          body = "\27[2J\u{9b}31m,\u{202e}\u{2028}\nand more lines" },
        { match = { path = "details_signed_url" } },
        answer("scheduled-indexing/knowledge-base/" .. base, '{"indexing_info":' .. info .. "}"),
        answer("knowledge_bases/" .. base, '{"knowledge_base":' .. of(base, named)
          .. ',"database_status":"ONLINE"}'),
        answer("knowledge_bases", '{"knowledge_bases":[' .. named .. "]}"),
        answer("indexing_jobs/x/data_sources", '{"indexed_data_sources":[' .. source .. "]}"),
        answer("indexing_jobs/over", '{"job":' .. ended .. "}"),
        answer("indexing_jobs/bad", '{"id":"' .. evil .. '","message":"' .. evil .. '"}'),
        answer("indexing_jobs/x", '{"job":' .. of("x", job) .. "}"),
        answer("indexing_jobs", '{"job":' .. job .. "}", "POST"),
        answer("indexing_jobs", '{"jobs":[' .. job .. "]}", "GET"),
      }
      for _, arguments in ipairs{
        { "list" }, { "list", "--json" }, { "list", "--csv" }, { "list", "-o", "wide" },
        { "get", "x" }, { "get", "bad" }, { "sources", "x" }, { "start", base }, { "cancel", "x" },
        { "watch", "over" }, { "bases" }, { "schedule", base }, { "wait-db", base },
        { "report", reported },
      } do
        local what = table.concat(arguments, " ")
        local result = run(arguments, { terminal = wide })
        local shown = table.concat(command.screen(result.output:gsub("\r\n", "\n"), 2000), "\n")
        shown = shown .. result.errors
        assert.is_true(#shown > 10, what)
        assert.is_nil(shown:find("[%z\1-\9\11-\31\127]"), what)
        assert.is_nil(shown:find("\xC2[\x80-\x9F]"), what)
        if arguments[2] ~= "--json" then -- which changes nothing but control characters
          assert.is_nil(shown:find("\u{202e}", 1, true), what)
          assert.is_nil(shown:find("\u{2028}", 1, true), what)
        end
        assert.equal(what == "get bad" and 1 or what == "watch over" and 1 or 0, result.status,
          what .. result.errors)
      end
    end)

    it("says what is wrong in one line, whoever said it", function()
      local result = run{ "get", "a\27[31m", "\xff" }
      assert.equal(2, result.status)
      assert.matches("^[^\n%c]+\n$", result.errors)
    end)
  end)

  describe("ends", function()
    it("quietly when nobody reads on", function()
      for _, ignores_sigpipe in ipairs{ false, true } do
        local result = run({ "list", "--all", "--json" },
          { redirection = "| head -c 100 >/dev/null", ignores_sigpipe = ignores_sigpipe })
        assert.equal("", result.errors)
      end
    end)

    it("with status 1 when the output cannot be written", function()
      local result = run({ "list", "--all" }, { redirection = ">/dev/full" })
      assert.equal("gradient-jobs: cannot write: No space left on device\n", result.errors)
      assert.equal(1, result.status)
    end)

    it("with status 1 when the list breaks off and the output cannot be written either", function()
      server:script{ { match = { page = 3 }, status = 403 } }
      local result = run({ "list", "--all", "--per-page", "1" }, { redirection = ">/dev/full" })
      assert.matches("^gradient%-jobs: permission_denied: [^\n]+\n$", result.errors)
      assert.equal(1, result.status)
    end)
  end)

  describe("with status 2 refuses", function()
    local see = " (see gradient-jobs --help)"

    it("what is no command, option or value", function()
      local number = "--per-page must be a whole number from 1, not "
      local seconds = " must be a positive number of seconds, not "
      for _, case in ipairs{
        { "a command is required" },
        { "unknown command 'wacth'; did you mean 'watch'?", "wacth" },
        { "unknown option '--al'; did you mean '--all'?", "list", "--al" },
        { "too many arguments", "list", "x" },
        { "missing argument 'UUID'", "get" },
        { "too many arguments", "report", "x", "y" },
        { "'' is not a uuid", "get", "" },
        { "'..' is not a uuid", "cancel", ".." },
        { "missing argument 'KB'", "start" },
        { number .. "'0'", "list", "--per-page", "0" },
        { number .. "'1.5'", "list", "--per-page", "1.5" },
        { "--interval" .. seconds .. "'0'", "watch", "--interval", "0" },
        { "--interval" .. seconds .. "'0x10'", "watch", "--interval", "0x10" },
        { "--timeout" .. seconds .. "'soon'", "--timeout", "soon", "list" },
        { "option '--csv' can not be used together with option '--json'", "list", "--json",
          "--csv" },
        { "'done' is not a phase (expected cancelled, error, failed, pending, running, succeeded,"
          .. " unknown or BATCH_JOB_PHASE_...)", "list", "--phase", "running,done" },
        { "'well' is not an outcome (expected succeeded, partial, no_changes, failed, cancelled)",
          "list", "--outcome", "well" },
        { "--interval" .. seconds .. "'-5'", "watch", "--interval", "-5" },
        { "--limit must be a whole number from 1, not '-1'", "--limit", "-1", "list" },
        { "option '--kb' requires an argument", "list", "--kb", "--json" },
        { "--at must be a time of the day such as 18:00, not '24:00'", "schedule", "x", "--at",
          "24:00" },
        { "--on must be days such as mon,wed or mon-fri, not 'fri-mon'", "schedule", "x", "--at",
          "8:00", "--on", "mon,fri-mon" },
        { "--since must be a time such as 2h, 3d, 2026-08-01, '2026-08-01 18:00' or"
          .. " 2026-08-01T18:00:00Z, not '2026-02-30'", "list", "--since", "2026-02-30" },
      } do
        fails(2, case[1] .. see, table.move(case, 2, #case, 1, {}))
      end
      assert.equal(0, #server:requests())
    end)

    it("a token among the arguments, where everybody could see it", function()
      local result = run{ "list", "--token=secret-token" }
      assert.equal(2, result.status)
      assert.is_nil(result.errors:find("secret", 1, true))
    end)

    it("a base URL or a token that is none", function()
      fails(2, "--base-url must begin with https:// or http://",
        { "--base-url", "ftp://x", "list" })
      fails(2, "GRADIENT_BASE_URL must begin with https:// or http://", { "list" },
        { environment = { GRADIENT_BASE_URL = "ftp://x" } })
    end)
  end)

  describe("with status 1", function()
    it("says that there is no token, and sends nothing", function()
      fails(1, "authentication: there is no token: set DIGITALOCEAN_ACCESS_TOKEN", { "list" },
        { environment = { DIGITALOCEAN_ACCESS_TOKEN = false } })
      assert.equal(0, #server:requests())
    end)

    it("says what the API says", function()
      local result = run({ "list" }, { environment = { DIGITALOCEAN_ACCESS_TOKEN = "wrong" } })
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: authentication: Unable to authenticate you. "
        .. "%(HTTP 401, unauthorized, request %S+%)\n$", result.errors)
    end)

    it("says that nobody is there", function()
      local nowhere <close> = api.refused()
      local result = run{ "list", "--base-url", nowhere.url }
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: connection: [^\n]+ %(3 attempts%)\n$", result.errors)
    end)

    it("gives up an attempt after --timeout", function()
      server:set{ latency = 20 }
      local result = run{ "--timeout", "0.05", "start", unknown_uuid }
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: timeout: ", result.errors)
    end)

    it("says which module is missing; ours does without", function()
      for name, rock in pairs{ argparse = "argparse", cjson = "lua-cjson" } do
        fails(1, ("the Lua module %s is missing (Debian: lua-%s, LuaRocks: %s)"):format(name, name,
          rock), { "list" },
          { prelude = ("package.preload.%s = function() error 'none' end"):format(name) })
      end
      assert.equal("nil\n", command.run({}, { prelude = [[
        require "gradient"
        require "gradient.cli"
        print(package.loaded.argparse)
        os.exit(0)
      ]] }).output)
    end)
  end)

  it("explains itself, and each of its commands", function()
    local overview = print_of{ "--help" }
    assert.matches("DIGITALOCEAN_ACCESS_TOKEN", overview)
    for _, name in ipairs{ "list", "get", "sources", "start", "cancel", "watch" } do
      assert.matches("\n   " .. name .. "[%l, ]* +%u", overview)
      local help = print_of{ name, "--help" }
      assert.matches("^Usage: gradient%-jobs " .. name .. " ", help)
      for _, line in ipairs(lines_of(help)) do assert.is_true(#line <= 80, line) end
    end
    assert.equal("gradient-jobs " .. gradient._VERSION .. "\n", print_of{ "--version" })
  end)
end)
