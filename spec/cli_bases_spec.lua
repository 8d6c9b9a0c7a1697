--- gradient-jobs and knowledge bases: bases, names for uuids, start, schedule, wait-db, report.

local command = require "spec.support.command"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local new_directory = require("spec.support.process").new_directory
local shell = require "spec.support.shell"

local unknown_uuid = "123e4567-e89b-12d3-a456-426614174000"

describe("gradient-jobs", function()
  local server, new_client = fixture.server{ jobs = 250 }
  local gj = command.against(server)
  local run, print_of, fails, lines_of = gj.run, gj.print_of, gj.fails, command.lines
  local client, bases

  before_each(function()
    client, bases = new_client(), {}
    for base in client.knowledge_bases.each{ per_page = 200 } do bases[#bases + 1] = base end
  end)

  local function named(name)
    for _, base in ipairs(bases) do
      if base.name == name then return base end
    end
  end

  local function newest_request()
    return server:last_request().target
  end

  describe("bases", function()
    it("prints a line for each, in one request", function()
      local before = #server:requests()
      local lines = lines_of(print_of{ "bases" })
      assert.equal(before + 1, #server:requests())
      assert.matches("^NAME +REGION +LAST JOB +PROGRESS +FILES +AGE +UUID$", lines[1])
      assert.equal(#bases + 1, #lines)
      for position, base in ipairs(bases) do
        local line = lines[position + 1]
        local job = base.last_indexing_job
        local state = gradient.outcome(job) or job.phase:match("PHASE_(%u+)$"):lower()
        assert.equal(base.name, line:sub(1, #base.name))
        assert.matches(" " .. base.region .. " ", line, 1, true)
        assert.matches("  " .. state:gsub("_", " ") .. " ", line, 1, true)
        assert.equal(base.uuid, line:sub(-36))
      end
      assert.equal(print_of{ "bases", "--columns", "name" }, print_of{ "kb", "--columns", "name" })
    end)

    it("shows what is known of a base and of its latest job", function()
      server:script{ { status = 200, body = [[{"knowledge_bases":[
        {"uuid":"u1","name":"new","region":"tor1"},
        {"uuid":"u2","last_indexing_job":{"phase":"BATCH_JOB_PHASE_RUNNING",
          "total_datasources":1,"data_source_jobs":[{"total_file_count":"1000",
          "indexed_file_count":"250"}]}},
        {"uuid":"u3","name":"part","last_indexing_job":{"phase":"BATCH_JOB_PHASE_SUCCEEDED",
          "status":"INDEX_JOB_STATUS_PARTIAL","finished_at":"2001-01-01T00:00:00Z"}},
        {}]}]] } }
      local output = print_of{ "bases" }
      assert.matches("\nnew +tor1 +%- +%- +%- +%- +u1\n", output)
      assert.matches("\n%- +%- +running +25 %% +250/1,000 +%- +u2\n", output)
      assert.matches("\npart +%- +partial +%- +%- +%d+ d +u3\n", output)
      assert.matches("\n%- +%- +%- +%- +%- +%- +%-\n$", output)
    end)

    it("is sorted, limited, and printed in every format, as lists of jobs are", function()
      local oldest = lines_of(print_of{ "bases", "--sort", "-age", "--columns", "age,name" })
      assert.matches("^ *%d+ [hd]  ", oldest[2])
      local names = {}
      for position, base in ipairs(bases) do names[position] = base.name end
      table.sort(names)
      assert.equal(table.concat(names, "\n", 1, 5) .. "\n",
        print_of{ "bases", "--sort", "name", "--limit", "5", "--columns", "name", "--no-header" })
      local counts = {}
      for count in print_of{ "bases", "--sort", "-files", "--columns", "files" }
        :gmatch "([%d,]+)/" do
        counts[#counts + 1] = math.tointeger((count:gsub(",", "")))
      end
      assert.is_true(#counts > 20)
      for position = 2, #counts do assert.is_true(counts[position - 1] >= counts[position]) end
      local listed = core.decode(print_of{ "bases", "--json" })
      assert.equal(bases[3].last_indexing_job.uuid, listed[3].last_indexing_job.uuid)
      assert.matches("^uuid,name,region,[%l_,]+\r\n" .. bases[1].uuid:gsub("%-", "%%-") .. ",",
        print_of{ "bases", "--csv" })
      assert.equal(1, run({ "bases", "--exit-status" }).status)
    end)

    it("colours states", function()
      local output = run({ "bases" }, { terminal = { columns = 120, rows = 50 } }).output
      assert.matches("\27%[31mfailed", output)
      assert.matches("\27%[33mpartial", output)
      assert.matches("\27%[32msucceeded", output)
    end)
  end)

  describe("names for uuids", function()
    it("are shown in tables, at the cost of one request", function()
      local job = client.indexing_jobs.list{ per_page = 1 }.jobs[1]
      local before = #server:requests()
      local output = print_of{ "list", "--limit", "1" }
      assert.equal(before + 2, #server:requests())
      local name = client.knowledge_bases.retrieve(job.knowledge_base_uuid).knowledge_base.name
      assert.matches("  " .. name .. "  ", output, 1, true)
      assert.matches(name .. " (" .. job.knowledge_base_uuid .. ")", print_of{ "get", job.uuid },
        1, true)
    end)

    it("are not asked for with --no-names, nor for programs", function()
      local uuid = client.indexing_jobs.list{ per_page = 1 }.jobs[1].knowledge_base_uuid
      for _, arguments in ipairs{ { "--no-names" }, { "--json" }, { "--csv" } } do
        local before = #server:requests()
        assert.matches(uuid, print_of{ "list", "--limit", "1", table.unpack(arguments) }, 1, true)
        assert.equal(before + 1, #server:requests())
      end
    end)

    it("are left out where they cannot be had", function()
      local job = client.indexing_jobs.list{ per_page = 1 }.jobs[1]
      server:script{ { skip = 1, status = 403 } }
      assert.matches(job.knowledge_base_uuid, print_of{ "list", "--limit", "1" }, 1, true)
    end)

    it("are shown for data sources: where their data is", function()
      local base = named "handbook"
      local sources, source_jobs = {}, {}
      for position, kind in ipairs{
        '"spaces_data_source":{"bucket_name":"manuals","item_path":"pdf/"}',
        '"web_crawler_data_source":{"base_url":"https://docs.example.com/"}',
        '"file_upload_data_source":{"original_file_name":"catalogue.csv"}',
        '"aws_data_source":{"bucket_name":"exports"}', '"dropbox_data_source":{"folder":"/x"}',
        '"google_drive_data_source":{"folder_id":"0B7x"}', '"bucket_name":"old"', '"other":{}',
      } do
        sources[position] = ('{"uuid":"s%d",%s}'):format(position, kind)
        source_jobs[position] = ('{"data_source_uuid":"s%d","error_msg":"e%d"}'):format(position,
          position)
      end
      local job = ('{"job":{"uuid":"j","knowledge_base_uuid":"%s","data_source_jobs":[%s]}}')
        :format(base.uuid, table.concat(source_jobs, ","))
      server:script{
        { match = { path = "/v2/gen-ai/indexing_jobs/j" }, status = 200, body = job },
        { match = { path = "/v2/gen-ai/knowledge_bases/" .. base.uuid .. "/data_sources" },
          status = 200,
          body = '{"knowledge_base_data_sources":[' .. table.concat(sources, ",") .. "]}" },
      }
      local output = print_of{ "get", "j" }
      for position, place in ipairs{ "manuals/pdf/", "https://docs.example.com/", "catalogue.csv",
        "exports", "/x", "0B7x", "old", "s8" } do
        assert.matches(("\n%s +.* s%d\n"):format(place:gsub("%p", "%%%0"), position), output)
        assert.matches(("\n%s  e%d\n"):format(place:gsub("%p", "%%%0"), position), output)
      end
    end)

    it("are taken for knowledge bases", function()
      local base = named "handbook"
      local by_name = print_of{ "list", "--kb", "handbook", "--columns", "job" }
      assert.is_true(#command.uuids(by_name) > 0)
      assert.equal(by_name, print_of{ "list", "--kb", base.uuid, "--columns", "job" })
    end)

    it("that do not exist are errors that name near ones", function()
      local message = "not_found: there is no knowledge base 'handbok'; did you mean 'handbook'?"
      for _, arguments in ipairs{ { "list", "--kb", "handbok" }, { "start", "handbok" },
        { "schedule", "handbok" }, { "wait-db", "handbok" } } do
        fails(1, message, arguments)
      end
      local result = run{ "list", "--kb", unknown_uuid }
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: not_found: [^\n]*" .. unknown_uuid:gsub("%-", "%%-"),
        result.errors)
    end)
  end)

  describe("start", function()
    it("starts a job or joins the one under way, and says which", function()
      local result = run{ "start", "handbook" }
      assert.equal(0, result.status)
      assert.equal("gradient-jobs: started a job for handbook\n", result.errors)
      local uuid = result.output:match("^(" .. command.uuid_pattern .. ")\n$")
      assert.equal(named("handbook").uuid,
        client.indexing_jobs.retrieve(uuid).job.knowledge_base_uuid)
      result = run{ "start", named("handbook").uuid }
      assert.equal("gradient-jobs: joined the job that is under way for handbook\n", result.errors)
      assert.equal(uuid .. "\n", result.output)
    end)

    it("takes several knowledge bases, and goes on after one that does not exist", function()
      local result = run{ "start", "handbook", "nothing like it", "faq" }
      assert.equal(1, result.status)
      assert.equal(2, #lines_of(result.output))
      assert.matches("there is no knowledge base 'nothing like it'", result.errors, 1, true)
    end)

    it("passes data sources on, and prints JSON", function()
      local result = run{ "start", "handbook", "--source", "a", "--source", "b", "--json" }
      assert.equal(named("handbook").uuid, core.decode(result.output).knowledge_base_uuid)
      for _, request in ipairs(server:requests()) do
        if request.method == "POST" then
          assert.same({ "a", "b" }, core.decode(request.body).data_source_uuids)
        end
      end
    end)
  end)

  describe("schedule", function()
    it("sets, shows, replaces and deletes", function()
      fails(0, "handbook has no schedule", { "schedule", "handbook" })
      assert.matches("^handbook: mon, wed, thu, fri at 18:00 UTC\n  next run  %d%d%d%d%-[^\n]+%(in "
        .. "%d+ %l%)\n", print_of{ "schedule", "handbook", "--at", "18:00", "--on", "wed-fri,mon" })
      assert.matches("^handbook: mon, wed, thu, fri at 18:00 UTC\n",
        print_of{ "schedule", named("handbook").uuid })
      assert.matches("^handbook: every day at 08:05 UTC\n",
        print_of{ "schedule", "handbook", "--at", "8:05" })
      local info = core.decode(print_of{ "schedule", "handbook", "--json" })
      assert.same({ 1, 2, 3, 4, 5, 6, 7 }, info.days)
      fails(0, "handbook: no job starts by itself any more", { "schedule", "handbook", "--delete" })
      assert.equal("gradient-jobs: handbook has no schedule\n",
        run({ "schedule", "handbook" }).errors)
    end)

    it("says that a schedule is gone that could not be replaced", function()
      print_of{ "schedule", "handbook", "--at", "18:00" }
      server:script{ { match = { method = "POST" }, status = 403 } }
      local result = run{ "schedule", "handbook", "--at", "19:00" }
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: the old schedule was deleted, but not replaced\n"
        .. "gradient%-jobs: permission_denied: [^\n]+\n$", result.errors)
    end)

    it("leaves out times that were never set", function()
      server:script{ { match = { path = "scheduled-indexing" }, status = 200,
        body = '{"indexing_info":{"uuid":"s","time":"18:00:00","days":[1],'
          .. '"last_ran_at":"0001-01-01T00:00:00Z","next_run_at":""}}' } }
      assert.equal("handbook: mon at 18:00 UTC\n", print_of{ "schedule", "handbook" })
    end)

    it("needs a time with days", function()
      fails(2, "--on needs --at", { "schedule", "handbook", "--on", "mon" })
    end)
  end)

  it("wait-db waits for the database, and tells how it comes", function()
    local uuid, body = bases[1].uuid, '{"knowledge_base":{"uuid":"%s"},"database_status":"%s"}'
    local base = { status = 200, body = body:format(uuid, "CREATING") }
    server:script{ base, base, base, { status = 200, body = body:format(uuid, "ONLINE") } }
    assert.equal(uuid .. ": creating\n" .. uuid .. ": online\n",
      print_of{ "wait-db", uuid, "--interval", "0.01" })
    server:script{ base, { status = 200, body = body:format(uuid, "UNHEALTHY") } }
    local result = run{ "wait-db", uuid, "--interval", "0.01" }
    assert.equal(1, result.status)
    assert.matches("^gradient%-jobs: database_failed: ", result.errors)
    server:script{ base, base, { status = 200, body = body:format(uuid, "CREATING"), times = 99 } }
    result = run{ "wait-db", uuid, "--interval", "0.01", "--give-up", "0.1" }
    assert.equal(1, result.status)
    assert.matches("^gradient%-jobs: timeout: ", result.errors)
  end)

  it("report prints or saves the report of a job", function()
    local job
    for candidate in client.indexing_jobs.each{ per_page = 200 } do
      if candidate.is_report_available then
        job = candidate
        break
      end
    end
    local expected = client.indexing_jobs.retrieve_report(job.uuid)
    assert.equal(expected, print_of{ "report", job.uuid })
    assert.equal(expected, print_of{ "report", job.uuid, "--output", "-" })
    local directory = new_directory()
    assert.equal("", print_of{ "report", job.uuid, "--output", directory .. "/report.csv" })
    assert.equal(expected, shell.read(directory .. "/report.csv"))
    assert.equal("", print_of{ "report", job.uuid, "-o", directory .. "/report.csv" })
    local nowhere = directory .. "/none/report.csv"
    fails(1, ("cannot write: %s: No such file or directory"):format(nowhere),
      { "report", job.uuid, "--output", nowhere })
    fails(1, "cannot write: No space left on device",
      { "report", job.uuid, "--output", "/dev/full" })
    shell.must("rm -r %s", directory)
    local result = run{ "report", unknown_uuid }
    assert.equal(1, result.status)
    assert.matches("^gradient%-jobs: job " .. unknown_uuid:gsub("%-", "%%-") .. ": not_found: ",
      result.errors)
    assert.is_nil(newest_request():find("token", 1, true))
  end)
end)
