--- The other operations on jobs, enumerations, timestamps, and waiting for the end of a job.

local answers = require "spec.support.answers"
local cjson = require "cjson"
local core = require "gradient.core"
local cqueues = require "cqueues"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local misuse = require "spec.support.misuse"
local program = require "spec.support.program"
local waiting = require "spec.support.waiting"

local unknown_uuid = "123e4567-e89b-12d3-a456-426614174000"

describe("operations on jobs", function()
  local server, new_client = fixture.server{ jobs = 250 }
  local client, jobs, base

  before_each(function()
    client = new_client()
    jobs = client.indexing_jobs
    base = server:knowledge_bases()[1]
  end)

  local function answer_with(text)
    server:script{ { status = 200, body = text } }
  end

  -- A job that is over, and one that is not.
  local function find(is_finished)
    for job in jobs.each({}, { prefetch = 0 }) do
      if gradient.is_finished(job) == is_finished then return job end
    end
  end

  describe("retrieve", function()
    it("returns the job as the list has it", function()
      local listed = find(true)
      local answer, response = jobs.retrieve(listed.uuid)
      assert.same({ job = listed }, answer)
      assert.equal(200, response.status)
      local sent = server:last_request()
      assert.equal("GET", sent.method)
      assert.equal("/v2/gen-ai/indexing_jobs/" .. listed.uuid, sent.target)
      assert.equal("", sent.body)
      assert.is_nil(sent.headers["content-type"])
    end)

    it("returns nil and an error for a job that is not there", function()
      local answer, err = jobs.retrieve(unknown_uuid)
      assert.is_nil(answer)
      assert.equal("not_found", err.kind)
      assert.equal("indexing job not found", err.message)
    end)

    it("keeps integers, strings, nulls and unknown fields as they came", function()
      answer_with('{"job":{"tokens":9223372036854775807,"total_tokens":"18446744073709551615",'
        .. '"phase":"NEW","finished_at":null,"extra":{"deep":[null]}},"more":1}')
      assert.same({
        job = { tokens = math.maxinteger, total_tokens = "18446744073709551615", phase = "NEW",
          extra = { deep = { gradient.null } } },
        more = 1,
      }, jobs.retrieve(unknown_uuid))
    end)

    it("calls an answer without a job what it is", function()
      for _, text in ipairs{ "{}", '{"job":null}', '{"job":[]}', '{"job":"x"}', "[]", "null" } do
        answer_with(text)
        local answer, err = jobs.retrieve(unknown_uuid)
        assert.is_nil(answer, text)
        assert.equal("decode", err.kind, text)
      end
    end)

    it("does not take another job for the one that was asked for", function()
      answer_with('{"job":{"uuid":"' .. unknown_uuid:upper() .. '"}}')
      assert(jobs.retrieve(unknown_uuid))
      answer_with('{"job":{"uuid":"' .. unknown_uuid .. '"}}')
      assert(jobs.retrieve(unknown_uuid:upper()))
      for _, name in ipairs{ "retrieve", "update_cancel", "wait_for_completion" } do
        answer_with('{"job":{"uuid":"another"}}')
        local answer, err = jobs[name](unknown_uuid)
        assert.is_nil(answer)
        assert.equal("decode", err.kind)
        assert.equal("the answer has uuid 'another' instead of '" .. unknown_uuid .. "'",
          err.message)
      end
    end)

    it("takes nothing but a uuid and options", function()
      assert(jobs.retrieve(find(true).uuid, {}, 0))
    end)

    it("takes the options of a call", function()
      local job = find(true)
      assert(jobs.retrieve(job.uuid, { headers = { ["x-one"] = "1" }, query = { detail = true } }))
      local sent = server:last_request()
      assert.equal("1", sent.headers["x-one"])
      assert.equal("/v2/gen-ai/indexing_jobs/" .. job.uuid .. "?detail=true", sent.target)
    end)
  end)

  describe("an id", function()
    local operations = { "retrieve", "update_cancel", "retrieve_data_sources",
      "retrieve_signed_url", "list_by_knowledge_base", "wait_for_completion", "retrieve_report" }

    it("is percent-encoded, whatever is in it", function()
      for _, name in ipairs(operations) do
        jobs[name]("../a/b?c=1#d e%2Fé\\;:@&=+$,")
        local target = server:last_request().target:upper()
        assert.matches("/..%2FA%2FB%3FC%3D1%23D%20E%252F%C3%A9%5C%3B%3A%40%26%3D%2B%24%2C", target,
          1, true)
        assert.is_nil(target:find("[?#]"), target)
      end
    end)

    it("that is none raises at the caller's line, and nothing is sent", function()
      local must = "the uuid must be a non-empty string, not "
      for _, name in ipairs(operations) do
        local f = jobs[name]
        misuse.raises(function() f() end, must .. "nil")
        misuse.raises(function() f("") end, must .. "an empty string")
        misuse.raises(function() f(42) end, must .. "42")
        misuse.raises(function() f{} end, must .. "a table")
        misuse.raises(function() f(".") end, "the uuid must be an id, not '.'")
        misuse.raises(function() f("..") end, "the uuid must be an id, not '..'")
        misuse.raises(function() f("a\nb") end, "the uuid must be an id, not 'a?b'")
        misuse.raises(function() f("a\0") end, "the uuid must be an id, not 'a?'")
        misuse.raises(function() f(("x"):rep(1025)) end,
          "the uuid must be at most 1024 bytes long, not 1025")
      end
      assert.equal(0, #server:requests())
    end)

    it("goes with options that are checked", function()
      for _, name in ipairs(operations) do
        if name ~= "wait_for_completion" then
          local f = jobs[name]
          misuse.raises(function() f("x", { retries = 1 }) end, "unknown option 'retries'"
            .. " (expected connect_timeout, headers, max_retries, query, timeout, total_timeout)")
        end
      end
      assert.equal(0, #server:requests())
    end)
  end)

  describe("create", function()
    it("posts the knowledge base and returns the job", function()
      local answer, response = jobs.create{ knowledge_base_uuid = base }
      assert.equal(base, answer.job.knowledge_base_uuid)
      assert.equal(gradient.phase.PENDING, answer.job.phase)
      assert.equal(200, response.status)
      local sent = server:last_request()
      assert.equal("POST", sent.method)
      assert.equal("/v2/gen-ai/indexing_jobs", sent.target)
      assert.equal("application/json", sent.headers["content-type"])
      assert.equal('{"knowledge_base_uuid":"' .. base .. '"}', sent.body)
      assert.equal(answer.job.uuid, assert(jobs.retrieve(answer.job.uuid)).job.uuid)
    end)

    it("posts the data sources as an array, an empty one too", function()
      server:set{ busy = false }
      local function posted(sources)
        assert(jobs.create{ knowledge_base_uuid = base, data_source_uuids = sources })
        return server:last_request().body
      end
      local head = '{"data_source_uuids":%s,"knowledge_base_uuid":"' .. base .. '"}'
      assert.equal(head:format('["one","two"]'), posted{ "one", "two" })
      assert.equal(head:format("[]"), posted{})
    end)

    it("leaves the tables that it was given as they were", function()
      local params, options = { knowledge_base_uuid = base, data_source_uuids = {} }, {}
      assert(jobs.create(params, options))
      assert.same({ knowledge_base_uuid = base, data_source_uuids = {} }, params)
      assert.same({}, options)
    end)

    it("escapes what the body has to escape", function()
      jobs.create{ knowledge_base_uuid = 'a"b\\c/é', data_source_uuids = { "\"]}\1" } }
      assert.same({ knowledge_base_uuid = 'a"b\\c/é', data_source_uuids = { "\"]}\1" } },
        cjson.decode(server:last_request().body))
    end)

    it("raises at the caller's line for what the API would not understand", function()
      local known = " (expected data_source_uuids, knowledge_base_uuid)"
      local sequence = "parameter 'data_source_uuids' must be a sequence of non-empty strings"
      misuse.raises(function() jobs.create() end, "parameter 'knowledge_base_uuid' is required")
      misuse.raises(function() jobs.create{} end, "parameter 'knowledge_base_uuid' is required")
      misuse.raises(function() jobs.create{ kb = base } end, "unknown parameter 'kb'" .. known)
      misuse.raises(function() jobs.create{ knowledge_base_uuid = 1 } end, "parameter"
        .. " 'knowledge_base_uuid' must be a non-empty string, not 1")
      misuse.raises(function() jobs.create(base) end,
        "the parameters must be in a table, not in a string")
      for complaint, sources in pairs{
        [", not a string"] = "one", [", but element 1 is 1"] = { 1 },
        [", but element 1 is an empty string"] = { "" }, [", but element 1 is nil"] = { a = "b" },
        [", but element 2 is nil"] = { "a", nil, "c" },
      } do
        local params = { knowledge_base_uuid = base, data_source_uuids = sources }
        misuse.raises(function() jobs.create(params) end, sequence .. complaint)
      end
      assert.equal(0, #server:requests())
    end)

    it("says at the caller's line that lua-cjson is missing, and finds it when it comes", function()
      local result = program.run([[
        package.preload.cjson = function() error("it is not here\n(nor there)", 0) end
        local jobs = require("gradient").indexing_jobs
        local params = { knowledge_base_uuid = arg[1] }
        print(select(2, pcall(function() jobs.create(params) end)))
        print(select(2, pcall(function() jobs.start(params) end)))
        assert(jobs.list())
        package.preload.cjson = nil
        print(assert(jobs.create(params)).job.knowledge_base_uuid)
      ]], { DIGITALOCEAN_TOKEN = server.token, GRADIENT_BASE_URL = server.url }, { base })
      assert.equal("", result.errors)
      local lines = {}
      for line in result.output:gmatch("[^\n]+") do lines[#lines + 1] = line end
      for position, line in ipairs{ 4, 5 } do
        assert.matches(":" .. line .. ": gradient needs lua%-cjson to build request bodies: it is"
          .. " not here$", lines[position])
      end
      assert.equal(base, lines[3])
    end)

    it("returns what the server refuses as an error", function()
      local answer, err = jobs.create{ knowledge_base_uuid = "no-uuid" }
      assert.is_nil(answer)
      assert.equal("not_found", err.kind)
    end)

    it("says that the job may have been started when the answer does not tell", function()
      for _, text in ipairs{ "", "{}", '{"job":null}', '{"job":{"uuid":"x"', "<html>", "[]" } do
        answer_with(text)
        local answer, err = jobs.create{ knowledge_base_uuid = base }
        assert.is_nil(answer)
        assert.equal("decode", err.kind)
        assert.matches("; the job may have been started$", err.message)
      end
      assert.equal(6, #server:requests())
    end)

    it("is not sent again when it may have been carried out", function()
      server:script{ { status = 503 } }
      local _, err = jobs.create{ knowledge_base_uuid = base }
      assert.equal("server", err.kind)
      assert.equal(1, #server:requests())
    end)
  end)

  describe("start", function()
    local busy = { message = "the knowledge base already has an indexing job running" }

    it("starts a job as create does", function()
      local answer, response = jobs.start({
        knowledge_base_uuid = base, data_source_uuids = { "one" },
      }, { headers = { ["x-one"] = "1" } })
      assert.equal(base, answer.job.knowledge_base_uuid)
      assert.is_false(response.attached)
      local sent = server:requests()
      assert.equal(1, #sent)
      assert.equal("POST", sent[1].method)
      assert.equal("1", sent[1].headers["x-one"])
      assert.same({ knowledge_base_uuid = base, data_source_uuids = { "one" } },
        cjson.decode(sent[1].body))
    end)

    for _, status in ipairs{ 400, 409, 422 } do
      it("joins the job under way when it is refused with " .. status, function()
        server:script{ { status = status, body = cjson.encode(busy) } }
        answers.serve(server, "list")
        local answer, response = jobs.start({ knowledge_base_uuid = base },
          { headers = { ["x-one"] = "1" } })
        assert.equal(cjson.decode(answers.text "list").jobs[1].uuid, answer.job.uuid)
        assert.is_false(gradient.is_finished(answer.job))
        assert.is_true(response.attached)
        assert.equal(200, response.status)
        local sent = server:last_request()
        assert.equal("GET", sent.method)
        assert.equal("/v2/gen-ai/knowledge_bases/" .. base .. "/indexing_jobs", sent.target)
        assert.equal("1", sent.headers["x-one"])
      end)

      it("returns the refusal with " .. status .. " when no job is under way", function()
        for _, list in ipairs{ "{}", '{"jobs":[{"phase":"BATCH_JOB_PHASE_FAILED"}]}',
          '{"jobs":[' .. answers.text("unknown_phase"):match('^{"job":(.*)}%s*$') .. "]}" } do
          server:script{ { status = status, body = '{"message":"quota exceeded"}' },
            { status = 200, body = list } }
          local answer, err = jobs.start{ knowledge_base_uuid = base }
          assert.is_nil(answer)
          assert.equal(status, err.status)
          assert.equal("quota exceeded", err.message)
        end
      end)
    end

    it("joins the job that it has started before, whatever the refusal's status", function()
      for _, status in ipairs{ 400, 409, 422 } do
        server:reset()
        server:set{ busy = status, duration = 60 }
        local params = { knowledge_base_uuid = base }
        local started = assert(jobs.start(params)).job.uuid
        local answer, response = jobs.start(params)
        assert.same({ started, true }, { answer.job.uuid, response.attached })
        server:advance(61)
        answer, response = jobs.start(params)
        assert.is_false(response.attached)
        assert.are_not.equal(started, answer.job.uuid)
      end
    end)

    it("returns the refusal when nobody can tell whether there is one", function()
      server:script{ { status = 422, body = cjson.encode(busy) }, { status = 403 } }
      local answer, err = jobs.start{ knowledge_base_uuid = base }
      assert.is_nil(answer)
      assert.equal("unprocessable_entity", err.kind)
    end)

    it("looks no longer than total_timeout has left", function()
      local call, allowed = client.call, {}
      function client.call(...)
        allowed[#allowed + 1] = (select(6, ...)).total_timeout
        return call(...)
      end
      server:script{ { status = 409, delay = 0.05 } }
      jobs.start({ knowledge_base_uuid = base }, { total_timeout = 60 })
      assert.equal(60, allowed[1])
      assert.is_true(allowed[2] > 0 and allowed[2] <= 59.95)
    end)

    it("does not look further for any other error", function()
      for _, status in ipairs{ 401, 403, 404, 500, 503 } do
        server:script{ { status = status } }
        local answer, err = jobs.start{ knowledge_base_uuid = base }
        assert.is_nil(answer)
        assert.equal(status, err.status)
      end
      assert.equal(5, #server:requests())
    end)

    it("raises at the caller's line for what create does not take", function()
      misuse.raises(function() jobs.start{} end, "parameter 'knowledge_base_uuid' is required")
      misuse.raises(function() jobs.start{ kb = base } end, "unknown parameter 'kb'"
        .. " (expected data_source_uuids, knowledge_base_uuid)")
      misuse.raises(function() jobs.start({ knowledge_base_uuid = base }, { retries = 1 }) end,
        "unknown option 'retries' (expected connect_timeout, headers, max_retries, query, timeout,"
        .. " total_timeout)")
    end)
  end)

  describe("update_cancel", function()
    it("puts the uuid and returns the job", function()
      local job = find(false)
      local answer = assert(jobs.update_cancel(job.uuid))
      assert.equal(gradient.phase.CANCELLED, answer.job.phase)
      local sent = server:last_request()
      assert.equal("PUT", sent.method)
      assert.equal("/v2/gen-ai/indexing_jobs/" .. job.uuid .. "/cancel", sent.target)
      assert.equal('{"uuid":"' .. job.uuid .. '"}', sent.body)
      assert.equal("application/json", sent.headers["content-type"])
    end)

    it("returns a conflict for a job that is over", function()
      local answer, err = jobs.update_cancel(find(true).uuid, { max_retries = 0 })
      assert.is_nil(answer)
      assert.equal("conflict", err.kind)
    end)
  end)

  describe("retrieve_data_sources", function()
    it("returns a data source for each that the job has", function()
      local job = find(true)
      local answer = assert(jobs.retrieve_data_sources(job.uuid))
      assert.same(job.data_source_jobs, answer.indexed_data_sources)
      assert.equal("/v2/gen-ai/indexing_jobs/" .. job.uuid .. "/data_sources",
        server:last_request().target)
    end)

    it("returns an empty table for none at all", function()
      for _, text in ipairs{ "{}", '{"indexed_data_sources":null}',
        '{"indexed_data_sources":[]}' } do
        answer_with(text)
        assert.same({ indexed_data_sources = {} }, jobs.retrieve_data_sources("x"))
      end
    end)
  end)

  it("retrieve_signed_url promises a string", function()
    for _, body in ipairs{ '{"signed_url":5}', "[]", "5", '{"signed_url":"https' } do
      answer_with(body)
      local answer, err = jobs.retrieve_signed_url(unknown_uuid)
      assert.is_nil(answer)
      assert.equal("decode", err.kind)
    end
  end)

  it("retrieve_signed_url takes none for a job that has no report", function()
    for _, body in ipairs{ "{}", '{"signed_url":null}', '{"signed_url":""}' } do
      answer_with(body)
      local answer, err = jobs.retrieve_signed_url(unknown_uuid)
      assert.is_nil(answer)
      assert.equal("not_found", err.kind)
      assert.matches("has no report", err.message, 1, true)
    end
  end)

  it("retrieve_signed_url keeps the URL's secret out of errors", function()
    for _, scheme in ipairs{ "https://", "https:\\/\\/" } do
      answer_with('{"signed_url":"' .. scheme .. 'host/report.csv?X-Signature=sosecret')
      local _, err = jobs.retrieve_signed_url(unknown_uuid)
      assert.equal("decode", err.kind)
      assert.matches("report.csv?***", err.body, 1, true)
    end
  end)

  it("retrieve_signed_url returns the report of a job that has one", function()
    for job in jobs.each() do
      local answer, err = jobs.retrieve_signed_url(job.uuid)
      assert.equal("/v2/gen-ai/indexing_jobs/" .. job.uuid .. "/details_signed_url",
        server:last_request().target)
      if job.is_report_available then
        assert.matches("^https?://", answer.signed_url)
        break
      end
      assert.equal("not_found", err.kind)
    end
  end)

  describe("the jobs of a knowledge base", function()
    local function expected(uuid)
      local uuids = {}
      for job in jobs.each{ per_page = 200 } do
        if job.knowledge_base_uuid == uuid then uuids[#uuids + 1] = job.uuid end
      end
      return uuids
    end

    local function uuids_of(list)
      local uuids = {}
      for position, job in ipairs(list) do uuids[position] = job.uuid end
      return uuids
    end

    it("are the latest 15, which is all that the server keeps", function()
      server:set{ jobs = 540, active = 0 }
      base = server:knowledge_bases()[5]
      local page = assert(jobs.list_by_knowledge_base(base))
      assert.equal("/v2/gen-ai/knowledge_bases/" .. base .. "/indexing_jobs",
        server:last_request().target)
      assert.equal(15, #page.jobs)
      assert.same(expected(base), uuids_of(page.jobs))
    end)

    it("are found by each in the full list, too", function()
      server:set{ jobs = 540, active = 0 }
      base = server:knowledge_bases()[5]
      local wanted, found = expected(base), {}
      local before = #server:requests()
      for job in jobs.each{ knowledge_base_uuid = base, per_page = 100 } do
        found[#found + 1] = job
      end
      assert.same(wanted, uuids_of(found))
      assert.equal(before + 6, #server:requests())
      assert.equal("/v2/gen-ai/indexing_jobs?page=6&per_page=100", server:last_request().target)
    end)

    it("are none for one that nobody knows", function()
      for job in jobs.each{ knowledge_base_uuid = unknown_uuid } do error(job.uuid) end
      misuse.raises(function() jobs.each{ knowledge_base_uuid = "" } end, "parameter"
        .. " 'knowledge_base_uuid' must be a non-empty string, not an empty"
        .. " string")
    end)
  end)

  it("are the same in the place where the other SDKs have them", function()
    assert.equal(gradient.indexing_jobs, gradient.knowledge_bases.indexing_jobs)
    assert.equal(jobs, client.knowledge_bases.indexing_jobs)
    for name in pairs(jobs) do assert.is_function(gradient.indexing_jobs[name], name) end
  end)

  describe("wait_for_completion", function()
    local function start(outcome)
      server:set{ duration = 0.3, outcome = outcome }
      return assert(jobs.create{ knowledge_base_uuid = base }).job.uuid
    end

    -- The answer that has a job in this phase.
    local function phase(name, more)
      return { status = 200, body = ('{"job":{"uuid":"%s","phase":"%s"%s}}')
        :format(unknown_uuid, name, more or "") }
    end

    it("returns the answer of a job that succeeds", function()
      local uuid = start "completed"
      local answer, response = jobs.wait_for_completion(uuid, { poll_interval = 0.05 })
      assert.equal(uuid, answer.job.uuid)
      assert.equal(gradient.phase.SUCCEEDED, answer.job.phase)
      assert.equal(200, response.status)
    end)

    it("returns at once when the job is over", function()
      local job = find(true)
      local before = #server:requests()
      jobs.wait_for_completion(job.uuid)
      assert.equal(before + 1, #server:requests())
    end)

    it("returns an error with the job for all other ends", function()
      for _, end_phase in ipairs{ "FAILED", "ERROR", "CANCELLED" } do
        server:script{ phase("BATCH_JOB_PHASE_" .. end_phase) }
        local answer, err = jobs.wait_for_completion(unknown_uuid)
        assert.is_nil(answer)
        assert.equal("job_failed", err.kind)
        assert.equal(gradient.phase[end_phase], err.job.phase)
        assert.equal(("job_failed: indexing job %s ended with %s"):format(unknown_uuid,
          err.job.phase), tostring(err))
      end
      for fields, told in pairs{
        ['"phase":"NEW","status":"INDEX_JOB_STATUS_FAILED"'] = "INDEX_JOB_STATUS_FAILED",
        ['"phase":"NEW","finished_at":"2025-10-31T01:14:12Z"'] = "NEW",
        ['"phase":"NEW","finished_at":"2025-10-31T01:14:12Z","status":"OLD"'] = "NEW",
        ['"finished_at":"2025-10-31T01:14:12Z"'] = "an unknown phase",
      } do
        answer_with('{"job":{' .. fields .. "}}")
        local _, err = jobs.wait_for_completion(unknown_uuid)
        assert.equal(("indexing job %s ended with %s"):format(unknown_uuid, told), err.message)
      end
      server:reset()
      local _, err = jobs.wait_for_completion(start "failed", { poll_interval = 0.05 })
      assert.equal(gradient.phase.FAILED, err.job.phase)
    end)

    it("goes on through phases that nobody knows", function()
      server:script{ phase "BATCH_JOB_PHASE_UNKNOWN", phase "BATCH_JOB_PHASE_COMPLETED", phase "",
        { status = 200, body = '{"job":{}}' }, { status = 200, body = '{"job":{"phase":null}}' },
        phase "BATCH_JOB_PHASE_SUCCEEDED" }
      assert(jobs.wait_for_completion(unknown_uuid, { poll_interval = 0.001 }))
      assert.equal(6, #server:requests())
    end)

    it("looks again after poll_interval, 5 seconds by default", function()
      for _, interval in ipairs{ false, 60, 0.25 } do
        server:script{ phase "BATCH_JOB_PHASE_PENDING" }
        local patient, enough, pause = new_client(), {}, nil
        function patient.sleep(_, seconds)
          pause = seconds
          error(enough)
        end
        local ok, err = pcall(patient.indexing_jobs.wait_for_completion, unknown_uuid,
          interval and { poll_interval = interval } or nil)
        assert.is_false(ok)
        assert.equal(enough, err)
        assert.equal(interval or 5, pause)
      end
    end)

    it("waits that long between two looks, also when the host's wait returns early", function()
      server:script{ phase "BATCH_JOB_PHASE_PENDING", phase "BATCH_JOB_PHASE_RUNNING",
        phase "BATCH_JOB_PHASE_SUCCEEDED" }
      local hasty = new_client{ wait = function(fds) waiting.poll(fds, 0.001) end }
      assert(hasty.indexing_jobs.wait_for_completion(unknown_uuid, { poll_interval = 0.1 }))
      local requests = server:requests()
      assert.equal(3, #requests)
      for look = 2, 3 do
        assert.is_true(requests[look].received - requests[look - 1].received >= 0.1)
      end
    end)

    it("tells on_progress each look, the last one too", function()
      server:script{ phase("BATCH_JOB_PHASE_RUNNING", ',"completed_datasources":1'),
        phase("BATCH_JOB_PHASE_SUCCEEDED", ',"completed_datasources":2') }
      local seen = {}
      assert(jobs.wait_for_completion(unknown_uuid, { poll_interval = 0.001,
        on_progress = function(job) seen[#seen + 1] = job.completed_datasources end }))
      assert.same({ 1, 2 }, seen)
    end)

    it("lets an error of on_progress through", function()
      local uuid = find(true).uuid
      local ok, err = pcall(jobs.wait_for_completion, uuid, { on_progress = function()
        error("enough", 0)
      end })
      assert.same({ false, "enough" }, { ok, err })
    end)

    it("gives up after timeout, with the job as it was last seen", function()
      server:script{ { status = 200, body = phase("BATCH_JOB_PHASE_RUNNING").body,
        forever = true } }
      local started = core.now()
      local answer, err = jobs.wait_for_completion(unknown_uuid, { poll_interval = 60,
        timeout = 0.1 })
      assert.is_nil(answer)
      local elapsed = core.now() - started
      assert.is_true(elapsed >= 0.1 and elapsed < 30, elapsed)
      assert.equal("timeout", err.kind)
      assert.equal(gradient.phase.RUNNING, err.job.phase)
      assert.matches("is not over after 0.1 seconds", tostring(err), 1, true)
    end)

    it("says after timeout that the server did not answer, if it never did", function()
      server:script{ { steps = { { hang = true } }, forever = true } }
      local _, err = jobs.wait_for_completion(unknown_uuid, { timeout = 0.1 })
      assert.equal("timeout", err.kind)
      assert.matches("did not answer in time", err.message, 1, true)
      assert.is_nil(err.job)
    end)

    it("tries again what fails for passing reasons", function()
      local soon = { ["retry-after-ms"] = "1" }
      server:script{ phase "BATCH_JOB_PHASE_RUNNING", { status = 503, headers = soon },
        { status = 500, headers = soon }, phase "BATCH_JOB_PHASE_SUCCEEDED" }
      local answer, response = new_client().indexing_jobs.wait_for_completion(unknown_uuid,
        { poll_interval = 0.001 })
      assert.truthy(answer)
      assert.equal(3, response.attempts)
    end)

    it("returns what does not pass, with the job if it was seen", function()
      local _, err = jobs.wait_for_completion(unknown_uuid)
      assert.equal("not_found", err.kind)
      assert.is_nil(err.job)
      server:script{ phase "BATCH_JOB_PHASE_RUNNING", { status = 403 } }
      _, err = jobs.wait_for_completion(unknown_uuid, { poll_interval = 0.001 })
      assert.equal("permission_denied", err.kind)
      assert.equal(gradient.phase.RUNNING, err.job.phase)
    end)

    it("keeps to total_timeout in every look", function()
      for _, place in ipairs{ "client", "call" } do
        server:script{ phase "BATCH_JOB_PHASE_RUNNING", { steps = { { hang = true } } } }
        local waiter = new_client{ total_timeout = place == "client" and 0.5 or nil }
        local _, err = waiter.indexing_jobs.wait_for_completion(unknown_uuid,
          { poll_interval = 0.001, timeout = 40 },
          { total_timeout = place == "call" and 0.5 or nil })
        assert.equal("timeout", err.kind)
        assert.matches("within 0.5 seconds", err.message, 1, true)
        assert.equal(gradient.phase.RUNNING, err.job.phase)
      end
    end)

    it("takes the options of a call for every look", function()
      server:script{ phase "BATCH_JOB_PHASE_RUNNING", phase "BATCH_JOB_PHASE_SUCCEEDED" }
      assert(jobs.wait_for_completion(unknown_uuid, { poll_interval = 0.001 },
        { headers = { ["x-one"] = "1" } }))
      for _, request in ipairs(server:requests()) do
        assert.equal("1", request.headers["x-one"])
      end
    end)

    it("raises at the caller's line for settings that are none", function()
      local f = jobs.wait_for_completion
      misuse.raises(function() f("x", { interval = 1 }) end,
        "unknown setting 'interval' (expected on_progress, poll_interval, timeout)")
      misuse.raises(function() f("x", { timeout = 0 }) end,
        "setting 'timeout' must be a positive number of seconds, not 0")
      misuse.raises(function() f("x", { on_progress = "x" }) end,
        "setting 'on_progress' must be a function, not a string")
      misuse.raises(function() f("x", nil, { retries = 1 }) end, "unknown option 'retries'"
        .. " (expected connect_timeout, headers, max_retries, query, timeout, total_timeout)")
      assert.equal(0, #server:requests())
    end)

    it("in 200 coroutines takes the time of the longest", function()
      local loop, ends, outcomes = cqueues.new(), {}, {}
      server:set{ jobs = 0, knowledge_bases = 200, duration = 1 }
      local bases = server:knowledge_bases()
      for number = 2, 200, 2 do outcomes[bases[number]] = "failed" end
      server:set{ outcomes = outcomes }
      local shared = new_client{ wait = require "gradient.wait.cqueues" }
      for number = 1, 200 do
        loop:wrap(function()
          local answer = assert(shared.indexing_jobs.create{
            knowledge_base_uuid = bases[number],
          })
          local over, err = shared.indexing_jobs.wait_for_completion(answer.job.uuid,
            { poll_interval = 0.5, timeout = 100 })
          ends[number] = over and over.job.phase or err.job.phase
        end)
      end
      local started = core.now()
      assert(loop:loop())
      assert.is_true(core.now() - started < 100) -- one by one would take 200 seconds
      for number = 1, 200 do
        assert.equal(number % 2 == 0 and gradient.phase.FAILED or gradient.phase.SUCCEEDED,
          ends[number])
      end
    end)

    it("leaves the loop to others while it waits", function()
      local loop, answer = cqueues.new(), nil
      server:set{ duration = 3600 }
      local uuid = assert(jobs.create{ knowledge_base_uuid = base }).job.uuid
      local shared = new_client{ wait = require "gradient.wait.cqueues" }
      loop:wrap(function()
        answer = assert(shared.indexing_jobs.wait_for_completion(uuid,
          { poll_interval = 0.02, timeout = 60 }))
      end)
      loop:wrap(function() -- if this did not go on, the job would not end
        for _ = 1, 10 do cqueues.sleep(0.01) end
        server:advance(3601)
      end)
      assert(loop:loop())
      assert.equal(gradient.phase.SUCCEEDED, answer.job.phase)
    end)
  end)
end)

describe("timestamp", function()
  local accepted = {
    ["1970-01-01T00:00:00Z"] = 0,
    ["2023-01-01T00:00:00Z"] = 1672531200,
    ["2023-01-01t00:00:00z"] = 1672531200,
    ["2023-01-01 00:00:00Z"] = 1672531200,
    ["2023-01-01T00:00:00+00:00"] = 1672531200,
    ["2023-01-01T00:00:00-00:00"] = 1672531200,
    ["2023-01-01T02:30:00+02:30"] = 1672531200,
    ["2022-12-31T16:00:00-08:00"] = 1672531200,
    ["2023-01-01T23:59:00+23:59"] = 1672531200,
    ["2024-02-29T12:00:00Z"] = 1709208000,
    ["2000-02-29T00:00:00Z"] = 951782400,
    ["1969-12-31T23:59:59Z"] = -1,
    ["0001-01-01T00:00:00Z"] = -62135596800,
    ["9999-12-31T23:59:59Z"] = 253402300799,
    ["2038-01-19T03:14:08Z"] = 2147483648,
    ["2016-12-31T23:59:60Z"] = 1483228800,
    ["2023-01-01T00:00:00.000Z"] = 1672531200,
    ["2023-01-01T00:00:00.5Z"] = 1672531200.5,
    ["2023-01-01T00:00:00.123456789Z"] = 1672531200.123456789,
    ["2023-01-01T00:00:00." .. ("25"):rep(500) .. "Z"] = 1672531200.2525252525,
    ["1969-12-31T23:59:59.25+00:00"] = -0.75,
  }

  it("returns seconds, an integer where they are whole, else a float", function()
    for text, seconds in pairs(accepted) do
      local found = gradient.timestamp(text)
      assert.equal(seconds, found, text)
      assert.equal(math.type(seconds), math.type(found), text)
    end
  end)

  it("agrees with date(1) on days all over the calendar", function()
    local days = {}
    for year = 1, 9999, 37 do
      days[#days + 1] = ("%04d-%02d-%02dT12:34:56Z"):format(year, 1 + year % 12, 1 + year % 28)
    end
    local input = os.tmpname()
    local file = assert(io.open(input, "w"))
    file:write(table.concat(days, "\n"), "\n")
    file:close()
    local pipe = assert(io.popen("date -u -f " .. input .. " +%s"))
    for _, day in ipairs(days) do
      assert.equal(pipe:read("n"), gradient.timestamp(day), day)
    end
    pipe:close()
    os.remove(input)
  end)

  it("returns nil and a message for anything else", function()
    for _, text in ipairs{
      "", "now", "2023-01-01", "2023-01-01T00:00:00", "2023-01-01T00:00Z", "20230101T000000Z",
      "2023-1-1T00:00:00Z", "2023-01-01T00:00:00.Z", "2023-01-01T00:00:00,5Z",
      "2023-01-01T00:00:005Z", "2023-01-01T24:00:00Z",
      "2023-06-15T10:10:60Z", "2023-01-01T00:60:00Z",
      "2023-01-01T00:00:61Z", "2023-00-01T00:00:00Z", "2023-13-01T00:00:00Z",
      "2023-01-00T00:00:00Z", "2023-01-32T00:00:00Z", "2023-02-29T00:00:00Z",
      "1900-02-29T00:00:00Z", "2023-04-31T00:00:00Z", "2023-01-01T00:00:00+24:00",
      "2023-01-01T00:00:00+01:60", "2023-01-01T00:00:00+0100", "2023-01-01T00:00:00+01",
      "2023-01-01T00:00:00 +01:00", "2023-01-01T00:00:00ZZ", "2023-01-01T00:00:00Z ",
      " 2023-01-01T00:00:00Z", "2023-01-01T00:00:00Z\n", "2023-01-01T00:00:00Z\0",
      "-023-01-01T00:00:00Z", "12023-01-01T00:00:00Z", "2023-01-01T00:00:00.1.2Z",
      "２０２３-01-01T00:00:00Z", ("2023-01-01T00:00:00Z"):rep(1000),
    } do
      local seconds, message = gradient.timestamp(text)
      assert.is_nil(seconds, text)
      assert.matches("^not an RFC 3339 date%-time", message)
      assert.is_true(#message < 200)
    end
    for _, value in ipairs{ 42, {}, true, gradient.null, print } do
      assert.is_nil((gradient.timestamp(value)))
    end
    assert.matches("Z: nil$", select(2, gradient.timestamp()))
  end)
end)

describe("enumerations", function()
  local prefixes = { phase = "BATCH_JOB_PHASE_", status = "INDEX_JOB_STATUS_",
    data_source_status = "DATA_SOURCE_STATUS_", database_status = "" }
  local names = {
    phase = "UNKNOWN PENDING RUNNING SUCCEEDED FAILED ERROR CANCELLED",
    status = "UNKNOWN PARTIAL IN_PROGRESS COMPLETED FAILED NO_CHANGES PENDING CANCELLED",
    data_source_status = "UNKNOWN IN_PROGRESS UPDATED PARTIALLY_UPDATED NOT_UPDATED FAILED"
      .. " CANCELLED",
    database_status = "CREATING ONLINE POWEROFF REBUILDING REBALANCING DECOMMISSIONED FORKING"
      .. " MIGRATING RESIZING RESTORING POWERING_ON UNHEALTHY UPGRADING",
  }

  it("have every name of the API, and no other", function()
    for enum, prefix in pairs(prefixes) do
      local expected = {}
      for name in names[enum]:gmatch("%S+") do expected[name] = prefix .. name end
      assert.same(expected, gradient[enum])
    end
  end)

  it("raise for a name that they do not have, and say which they have", function()
    for enum in pairs(prefixes) do
      local ok, message = pcall(function() return gradient[enum].SUCEEDED end)
      assert.is_false(ok)
      local place, expected = message:match("^(.-:%d+:) unknown name 'SUCEEDED' in gradient%."
        .. enum .. " %(expected (.*)%)$")
      assert.matches("operations_spec%.lua:", place)
      assert.equal(select(2, names[enum]:gsub("%S+", "")), select(2, expected:gsub("%S+", "")))
    end
  end)
end)
