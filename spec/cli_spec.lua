--- The command gradient-jobs: what it prints, on which stream, and its exit statuses.

local api = require "spec.support.api"
local command = require "spec.support.command"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"

local unknown_uuid = "123e4567-e89b-12d3-a456-426614174000"
local uuid_pattern = ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12)

describe("gradient-jobs", function()
  local server, new_client = fixture.server{ jobs = 250 }
  local jobs

  before_each(function() jobs = new_client().indexing_jobs end)

  local function run(arguments, settings)
    settings = settings or {}
    local environment = {
      DIGITALOCEAN_ACCESS_TOKEN = server.token, GRADIENT_BASE_URL = server.url,
    }
    for name, value in pairs(settings.environment or {}) do environment[name] = value or nil end
    settings.environment = environment
    return command.run(arguments, settings)
  end

  -- What it prints when nothing is wrong.
  local function print_of(arguments, settings)
    local result = run(arguments, settings)
    assert.same({ status = 0, errors = "" }, { status = result.status, errors = result.errors })
    return result.output
  end

  local function fails(status, message, arguments, settings)
    local result = run(arguments, settings)
    assert.equal("gradient-jobs: " .. message .. "\n", result.errors)
    assert.equal("", result.output)
    assert.equal(status, result.status)
  end

  local function lines_of(text)
    local lines = {}
    for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
    return lines
  end

  local function uuids_of(text)
    local uuids = {}
    for _, line in ipairs(lines_of(text)) do
      uuids[#uuids + 1] = line:match("^(" .. uuid_pattern .. ")")
    end
    return uuids
  end

  -- The uuids of the jobs that `is_wanted`.
  local function uuids_where(is_wanted)
    local uuids = {}
    for job in jobs.each{ per_page = 200 } do
      if is_wanted(job) then uuids[#uuids + 1] = job.uuid end
    end
    return uuids
  end

  local function all() return true end

  local function targets()
    local list = {}
    for position, request in ipairs(server:requests()) do list[position] = request.target end
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
      assert.matches("^JOB +KNOWLEDGE BASE +PHASE +STATUS +SOURCES +TOKENS +AGE$", lines[1])
      assert.matches("^" .. uuid_pattern .. "  " .. uuid_pattern .. "  pending    pending  +0/%-  +"
        .. "0 +%d+ s$", lines[2])
      assert.matches("  failed     failed +%d/%d +[%d,]+ +%d+ [dhm]$", lines[21])
      assert.same(table.move(uuids_where(all), 1, 20, 1, {}), uuids_of(result.output))
    end)

    it("says so without numbers when the server gives none", function()
      server:set{ meta = false }
      assert.equal("gradient-jobs: 7 jobs, and there are more; --all lists them all\n",
        run({ "list", "--per-page", "7" }).errors)
      assert.same({ "/v2/gen-ai/indexing_jobs?per_page=7" }, targets())
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
      fails(0, "there are no such jobs", { "list", "--kb", unknown_uuid })
      assert.equal("[]\n", print_of{ "list", "--kb", unknown_uuid, "--json" })
      assert.equal(1, #lines_of(print_of{ "list", "--kb", unknown_uuid, "--csv" }))
    end)

    it("prints whatever a job is", function()
      answer_with('{"jobs":[{},{"uuid":7,"phase":[],"status":null,"completed_datasources":{},'
        .. '"total_tokens":"many","tokens":-12345,"created_at":"soon"},{"tokens":1.5}]}')
      local lines = lines_of(print_of{ "list" })
      assert.equal(4, #lines)
      assert.matches("^%- +%- +%- +%- +0/%- +0 +%-$", lines[2])
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
      local measure = [[setmetatable({}, { __gc = function()
        io.stderr:write(io.open("/proc/self/status"):read("a"):match("VmHWM:%s*(%d+)"))
      end })]]
      local function peak(count)
        server:set{ jobs = count, fields = "reference" }
        local result = run({ "list", "--all", "--json" },
          { prelude = "kept = " .. measure, redirection = ">/dev/null" })
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

  it("get prints every field of a job", function()
    answer_with('{"job":{"zebra":1.5,"tokens":12,"uuid":"one","data_source_uuids":["a","b"],'
      .. '"data_source_jobs":[{"n":1}],"empty":[],"object":{"x":1},"finished_at":null}}')
    assert.equal([[
uuid               one
data_source_uuids  a
                   b
tokens             12
data_source_jobs   {"n":1}
empty              -
object             {"x":1}
zebra              1.5
]], print_of{ "get", "one" })
    local job = jobs.each()()
    assert.equal(job.uuid, core.decode(print_of{ "get", job.uuid, "--json" }).uuid)
  end)

  it("sources prints the data sources of a job", function()
    local job = jobs.list{ page = 2 }.jobs[1]
    local uuids = {}
    for position, source in ipairs(job.data_source_jobs) do
      uuids[position] = source.data_source_uuid
    end
    local lines = lines_of(print_of{ "sources", job.uuid })
    assert.matches("^DATA SOURCE +STATUS +INDEXED +SKIPPED +REMOVED +FAILED +SIZE +ERROR$",
      lines[1])
    assert.same(uuids, uuids_of(table.concat(lines, "\n") .. "\n"))
    local listed = core.decode(print_of{ "sources", job.uuid, "--json" })
    assert.equal(#uuids, #listed)
    answer_with('{"indexed_data_sources":[{"status":"DATA_SOURCE_STATUS_FAILED",'
      .. '"total_bytes":"1234567890","error_msg":"no","error_details":"not at all"}]}')
    assert.matches("\n%-  +failed .* 1.2 GB  no: not at all\n$", print_of{ "sources", job.uuid })
    answer_with('{"indexed_data_sources":[]}')
    fails(0, "this job has no data sources", { "sources", job.uuid })
  end)

  it("start prints the uuid of the job that it starts", function()
    local base = server:knowledge_bases()[1]
    local uuid = print_of{ "start", base }:match("^(" .. uuid_pattern .. ")\n$")
    assert.equal(base, jobs.retrieve(uuid).job.knowledge_base_uuid)
    local other = server:knowledge_bases()[2]
    local job = core.decode(print_of{ "start", other, "--source", "a", "--source", "b", "--json" })
    assert.equal(other, job.knowledge_base_uuid)
    assert.same({ knowledge_base_uuid = other, data_source_uuids = { "a", "b" } },
      core.decode(server:requests()[3].body))
  end)

  it("cancel prints what has become of the job", function()
    local uuid = jobs.create{ knowledge_base_uuid = server:knowledge_bases()[2] }.job.uuid
    assert.equal(uuid .. " cancelled\n", print_of{ "cancel", uuid })
    server:script{ { status = 409, headers = { ["x-should-retry"] = "false" } } }
    local result = run{ "cancel", uuid }
    assert.equal(1, result.status)
    assert.matches("^gradient%-jobs: conflict: [^\n]+ %(HTTP 409, conflict, [^\n]+%)\n$",
      result.errors)
  end)

  describe("watch", function()
    local function start(settings, number)
      server:set(settings)
      return jobs.create{ knowledge_base_uuid = server:knowledge_bases()[number or 2] }.job.uuid
    end

    local function phase(uuid, name, more)
      return { status = 200, body = ('{"job":{"uuid":"%s","phase":"BATCH_JOB_PHASE_%s"%s}}')
        :format(uuid, name, more or "") }
    end

    it("prints a line whenever a job has changed, until it is over", function()
      local uuid = start{ duration = 1.2 }
      local lines = lines_of(print_of{ "watch", uuid, "--interval", "0.1" })
      assert.matches("^JOB +PHASE +PROGRESS +DONE +ITEMS/S +TIME$", lines[1])
      assert.matches("^" .. uuid_pattern .. "  pending    " .. ("░"):rep(24) .. "    0/", lines[2])
      assert.matches("^" .. uuid_pattern .. "  succeeded  " .. ("█"):rep(24), lines[#lines - 1])
      assert.equal("1 job: 1 succeeded", lines[#lines])
      local function state(line) return line:match("^%S+ +%S+ +%S+ +%S+") end
      for position = 3, #lines do
        assert.are_not.equal(state(lines[position - 1]), state(lines[position]))
      end
    end)

    it("says with its exit status whether all of them succeeded", function()
      server:script{ phase("a", "SUCCEEDED"), phase("b", "FAILED"),
        phase("a", "SUCCEEDED"), phase("c", "ERROR"), phase("c", "CANCELLED") }
      answer_with '{"jobs":[]}'
      local function status(...)
        local result = run{ "watch", ... }
        assert.equal("", result.errors)
        return result.status, lines_of(result.output)[3]
      end
      assert.equal(0, (status "a"))
      assert.equal(1, (status "b"))
      assert.equal(0, (status("a", "a", "a")))
      assert.equal(1, (status "c"))
      assert.equal(1, (status "c"))
    end)

    it("takes a phase that nobody knows for an end where there is a date of it", function()
      local ended = ',"finished_at":"2023-01-01T00:00:00Z","status":"INDEX_JOB_STATUS_%s"'
      server:script{
        phase("a", "COMPLETED"), phase("a", "COMPLETED", ended:format("COMPLETED")),
        phase("a", "EXPLODED", ended:format("FAILED")),
        phase("a", "RUNNING", ended:format("COMPLETED")), phase("a", "SUCCEEDED"),
      }
      assert.equal(0, run({ "watch", "a", "--interval", "0.01" }).status)
      assert.equal(1, run({ "watch", "a", "--interval", "0.01" }).status)
      assert.equal(0, run({ "watch", "a", "--interval", "0.01" }).status)
      assert.equal(0, server:pending())
    end)

    it("without uuids, shows all that are not over, with a request for each look", function()
      server:set{ jobs = 300, active = 0, duration = 0.8 }
      server:grow(3)
      local output = print_of{ "watch", "--interval", "0.1" }
      assert.matches("\n3 jobs: 3 succeeded\n$", output)
      local sent = targets()
      assert.same({ "/v2/gen-ai/indexing_jobs?page=1&per_page=200",
        "/v2/gen-ai/indexing_jobs?page=2&per_page=200", "/v2/gen-ai/indexing_jobs?per_page=200" },
        table.move(sent, 1, 3, 1, {}))
      for position = 3, #sent do
        assert.equal("/v2/gen-ai/indexing_jobs?per_page=200", sent[position])
      end
      server:reset()
      server:set{ jobs = 5, active = 0 }
      fails(0, "no job is under way", { "watch" })
    end)

    it("asks for the ones that the newest jobs do not include", function()
      server:set{ jobs = 300, active = 0, duration = 0.3 }
      local old, new = uuids_where(all)[300], start{}
      assert.matches("2 jobs: .*\n$", run({ "watch", old, new, "--interval", "0.1" }).output)
      local asked = 0
      for _, target in ipairs(targets()) do
        asked = asked + (target == "/v2/gen-ai/indexing_jobs/" .. old and 1 or 0)
      end
      assert.equal(1, asked)
    end)

    it("draws in place on a terminal", function()
      local uuids = {}
      for number = 1, 3 do uuids[number] = start({ duration = 0.3 * number }, number) end
      local output = print_of({ "watch", uuids[1], uuids[2], uuids[3], "--interval", "0.1" },
        { terminal = { columns = 80, rows = 24 } })
      local screen = command.screen(output, 80)
      assert.equal(5, #screen)
      assert.matches("^JOB +PHASE +PROGRESS +DONE +ITEMS/S +TIME$", screen[1])
      for number = 1, 3 do
        assert.equal(uuids[number], screen[number + 1]:sub(1, 36))
        assert.matches("  succeeded  ████████    ./.  +%S+   0:0%d$", screen[number + 1])
      end
      assert.equal("3 jobs: 3 succeeded", screen[5])
      local _, redraws = output:gsub("\27%[5A", "")
      assert.is_true(redraws >= 6, redraws)
      assert.is_nil(output:find("\27[?", 1, true)) -- no mode to leave the terminal in
    end)

    it("never draws more than the terminal has room for, but in the end", function()
      server:set{ jobs = 0, duration = 0.6 }
      server:grow(10)
      server:set{ duration = 1.2 }
      server:grow(2)
      local output = print_of({ "watch", "--interval", "0.2" },
        { terminal = { columns = 40, rows = 8 } })
      local drawn = output:match("^(.-)\27%[%d+A")
      assert.equal(7, #command.screen(drawn, 40))
      assert.matches("\n\27%[2K… and 8 more\n\27%[2K12 jobs: ", drawn)
      assert.equal(14, #command.screen(output, 40))
      assert.matches("… and 8 more\n\27%[2K12 jobs: 2 running, 10 succeeded\n", output)
    end)

    it("draws no lines over others where the terminal cannot", function()
      local uuid = start{ duration = 0.2 }
      local output = print_of({ "watch", uuid, "--interval", "0.1" },
        { terminal = wide, environment = { TERM = "dumb" } })
      assert.is_nil(output:find("\27", 1, true))
      assert.matches("\n1 job: 1 succeeded\n$", output)
    end)

    it("goes on after what passes, and ends with what does not", function()
      server:script{ phase("a", "RUNNING"), { status = 503, headers = { ["retry-after"] = "0" },
        times = 5 }, phase("a", "RUNNING"), { status = 404 } }
      local result = run{ "watch", "a", "--interval", "0.01" }
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: not_found: [^\n]+\n$", result.errors)
      assert.equal(0, server:pending())
    end)
  end)

  describe("on a terminal", function()
    it("uses colours, and cuts the table to the width", function()
      local output = print_of({ "list", "--phase", "running", "--phase", "succeeded" },
        { terminal = { columns = 80, rows = 24 } })
      assert.matches("^\27%[1mJOB\27%[0m +\27%[1mPHASE\27%[0m ", output)
      assert.matches("  \27%[36mrunning\27%[0m  ", output)
      assert.matches("  \27%[32msucceeded\27%[0m  ", output)
      local screen = command.screen(output, 80)
      assert.matches("^JOB +PHASE +SOURCES +TOKENS +AGE$", screen[1])
      assert.matches("^" .. uuid_pattern .. "  running ", screen[2])
    end)

    it("gives up columns, and the uuid last", function()
      for columns, header in pairs{
        [130] = "^JOB +KNOWLEDGE BASE +PHASE +STATUS +SOURCES +TOKENS +AGE$",
        [100] = "^JOB +KNOWLEDGE BASE +PHASE +SOURCES +TOKENS +AGE$",
        [75] = "^JOB +PHASE +SOURCES +AGE$", [60] = "^JOB +PHASE +SOURCES$",
        [40] = "^JOB +PHASE +SOURCES$",
      } do
        local result = run({ "list" }, { terminal = { columns = columns, rows = 24 } })
        local screen = command.screen(result.output, columns)
        assert.matches(header, screen[1])
        assert.matches(columns < 60 and "^%x+%-[%x-]*…  " or "^" .. uuid_pattern .. "  ", screen[2])
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
      local job = ([[{"uuid":"%s","phase":"%s","status":"%s","knowledge_base_uuid":"%s",]]
        .. [["created_at":"%s","completed_datasources":"%s","total_datasources":"%s",]]
        .. [["total_tokens":"%s","%s":["%s"],"total_items_indexed":"%s"}]]):gsub("%%s", evil)
      local source = ([[{"data_source_uuid":"%s","status":"%s","error_msg":"%s",]]
        .. [["total_bytes":"%s"}]]):gsub("%%s", evil)
      local ended = job:gsub('"phase":"[^"]*"', '"phase":"BATCH_JOB_PHASE_FAILED"')
      server:script{
        { status = 200, body = '{"jobs":[' .. job .. "]}", times = 3 },
        { status = 200, body = '{"job":' .. job .. "}", times = 3 },
        { status = 200, body = '{"indexed_data_sources":[' .. source .. "]}" },
        { status = 200, body = '{"job":' .. ended .. "}", times = 1 },
        { status = 422, body = '{"id":"' .. evil .. '","message":"' .. evil .. '"}' },
      }
      for _, arguments in ipairs{
        { "list" }, { "list", "--json" }, { "list", "--csv" }, { "get", "x" }, { "start", "x" },
        { "cancel", "x" }, { "sources", "x" }, { "watch", "x" }, { "get", "x" },
      } do
        local what = table.concat(arguments, " ")
        local result = run(arguments, { terminal = wide })
        local shown = table.concat(command.screen(result.output:gsub("\r\n", "\n"), 2000), "\n")
        shown = shown .. result.errors
        assert.is_true(#shown > 10, what)
        assert.is_nil(shown:find("[%z\1-\9\11-\31\127]"), what)
        assert.is_nil(shown:find("\xC2[\x80-\x9F]"), what)
        if arguments[2] ~= "--json" then -- text that is no control character is not changed there
          assert.is_nil(shown:find("\u{202e}", 1, true), what)
          assert.is_nil(shown:find("\u{2028}", 1, true), what)
        end
      end
      assert.equal(0, server:pending())
    end)

    it("says what is wrong in one line, whoever said it", function()
      local result = run{ "get", "a\27[31m", "\xff" }
      assert.equal(2, result.status)
      assert.matches("^[^\n%c]+\n$", result.errors)
    end)
  end)

  describe("ends", function()
    local function interrupted(arguments, terminal)
      local pressed
      local before = #server:requests()
      local result = run(arguments, { terminal = terminal, meanwhile = function(press)
        server:await{ requests = before + 1 }
        press "\3"
        pressed = core.now()
      end })
      assert.is_true(core.now() - pressed < 0.5)
      assert.equal(130, result.status)
      assert.equal("", result.errors)
      return result.output
    end

    it("with status 130 on Ctrl-C while it waits for the server", function()
      server:set{ latency = 20 }
      assert.equal("", interrupted{ "list" })
      server:reset()
      server:set{ latency = 20 }
      interrupted({ "list" }, wide)
    end)

    it("with status 130 on Ctrl-C while it watches", function()
      jobs.create{ knowledge_base_uuid = server:knowledge_bases()[2] }
      local output = interrupted({ "watch", "--interval", "20" }, { columns = 80, rows = 24 })
      assert.matches("\27%[0m$", output)
      assert.is_nil(output:find("\27[?", 1, true))
    end)

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
        { "unknown command 'lst' Did you mean 'list'?", "lst" },
        { "unknown option '--al' Did you mean '--all'?", "list", "--al" },
        { "too many arguments", "list", "x" },
        { "missing argument 'uuid'", "get" },
        { "too many arguments", "get", "x", "y" },
        { "'' is no uuid", "get", "" },
        { "'..' is no uuid", "cancel", ".." },
        { "missing argument 'kb'", "start" },
        { number .. "'0'", "list", "--per-page", "0" },
        { number .. "'1.5'", "list", "--per-page", "1.5" },
        { "--interval" .. seconds .. "'0'", "watch", "--interval", "0" },
        { "--interval" .. seconds .. "'0x10'", "watch", "--interval", "0x10" },
        { "--timeout" .. seconds .. "'soon'", "--timeout", "soon", "list" },
        { "option '--csv' can not be used together with option '--json'", "list", "--json",
          "--csv" },
        { "'done' is no phase (expected pending, running, succeeded, failed, error, cancelled,"
          .. " unknown or BATCH_JOB_PHASE_...)", "list", "--phase", "done" },
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

    it("says that argparse is missing; the module does without", function()
      fails(1, "the Lua module argparse is missing (Debian: lua-argparse, LuaRocks: argparse)",
        { "list" }, { prelude = "package.preload.argparse = function() error 'none' end" })
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
      assert.matches("\n   " .. name .. " +%u", overview)
      local help = print_of{ name, "--help" }
      assert.matches("^Usage: gradient%-jobs " .. name .. " ", help)
      for _, line in ipairs(lines_of(help)) do assert.is_true(#line <= 80, line) end
    end
    assert.equal("gradient-jobs " .. gradient._VERSION .. "\n", print_of{ "--version" })
  end)
end)
