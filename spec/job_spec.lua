--- What the fields of a job mean: over or not, how it ended, how far it is. Recorded answers go
--- through the whole module, as they are.

local answers = require "spec.support.answers"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local job_rules = require "gradient.job"
local misuse = require "spec.support.misuse"

local zero_time, real_time = "0001-01-01T00:00:00Z", "2025-10-31T01:14:12Z"

-- A job in this phase and status, by their short names.
local function job_in(phase, status, finished_at)
  return {
    phase = phase and "BATCH_JOB_PHASE_" .. phase,
    status = status and "INDEX_JOB_STATUS_" .. status, finished_at = finished_at,
  }
end

describe("a recorded answer", function()
  local server, new_client = fixture.server{ jobs = 1 }
  local jobs

  before_each(function() jobs = new_client().indexing_jobs end)

  -- The same answer about the job with this uuid.
  local function of(uuid, text)
    return (text:gsub('"uuid":"[^"]*"', '"uuid":"' .. uuid .. '"', 1))
  end

  -- The job of a recorded answer.
  local function recorded(name)
    answers.serve(server, name)
    return assert(jobs.retrieve(answers.uuid(name))).job
  end

  for name, expected in pairs{
    create = { progress = { done = 0, unit = "data sources" } },
    running = { progress = { done = 2, total = 4, unit = "files" } },
    done = { outcome = "succeeded", progress = { done = 1, total = 3, unit = "files" } },
    unknown_phase = {
      outcome = "succeeded", progress = { done = 1, total = 1, unit = "data sources" },
    },
    zero_times = { progress = { done = 0, unit = "data sources" } },
  } do
    it(name .. " is understood", function()
      local job = recorded(name)
      assert.equal(expected.outcome ~= nil, gradient.is_finished(job))
      assert.equal(expected.outcome, gradient.outcome(job))
      assert.same(expected.progress, gradient.progress(job))
    end)

    it(name .. " is understood with keep_nulls, too", function()
      jobs = new_client{ keep_nulls = true }.indexing_jobs
      assert.equal(expected.outcome, gradient.outcome(recorded(name)))
    end)
  end

  it("list has one job of each kind", function()
    answers.serve(server, "list")
    local outcomes = {}
    for position, job in ipairs(assert(jobs.list()).jobs) do
      outcomes[position] = gradient.outcome(job) or "under way"
    end
    assert.same({ "under way", "under way", "succeeded" }, outcomes)
  end)

  it("data_sources is passed on as it is", function()
    answers.serve(server, "data_sources")
    local source = assert(jobs.retrieve_data_sources "x").indexed_data_sources[1]
    assert.equal("6454487", source.total_bytes)
    assert.is_nil(source.failed_item_count)
  end)

  it("running, and then done, is waited for", function()
    answers.serve(server, "create", "running")
    local uuid, seen = answers.uuid "create", {}
    server:script{ { status = 200, body = of(uuid, answers.text "done") } }
    assert(jobs.wait_for_completion(uuid, { poll_interval = 0.001, on_progress = function(job)
      seen[#seen + 1] = gradient.progress(job).done
    end }))
    assert.same({ 0, 2, 1 }, seen)
  end)

  it("unknown_phase ends wait_for_completion", function()
    answers.serve(server, "unknown_phase")
    local looks = 0
    local answer = assert(jobs.wait_for_completion(answers.uuid "unknown_phase", {
      poll_interval = 0.001, on_progress = function() looks = looks + 1 end,
    }))
    assert.equal("BATCH_JOB_PHASE_COMPLETED", answer.job.phase)
    assert.equal(1, looks)
  end)

  it("zero_times does not end it", function()
    answers.serve(server, "zero_times", "zero_times")
    local uuid = answers.uuid "zero_times"
    server:script{ { status = 404 } }
    local _, err = jobs.wait_for_completion(uuid, { poll_interval = 0.001 })
    assert.equal("not_found", err.kind)
    assert.equal(uuid, err.job.uuid)
    assert.equal(3, #server:requests())
  end)
end)

describe("the outcome of a job", function()
  it("is its phase's, where that is known", function()
    for phase, expected in pairs{
      SUCCEEDED = "succeeded", FAILED = "failed", ERROR = "failed", CANCELLED = "cancelled",
    } do
      assert.equal(expected, gradient.outcome(job_in(phase)), phase)
      assert.equal(expected, gradient.outcome(job_in(phase, "IN_PROGRESS")), phase)
      assert.is_true(gradient.is_finished(job_in(phase, "PENDING", zero_time)), phase)
    end
    for _, phase in ipairs{ "PENDING", "RUNNING" } do
      assert.is_nil(gradient.outcome(job_in(phase, "COMPLETED", real_time)), phase)
      assert.is_false(gradient.is_finished(job_in(phase, "COMPLETED", real_time)), phase)
    end
  end)

  it("is not all when only a part succeeded", function()
    assert.equal("partial", gradient.outcome(job_in("SUCCEEDED", "PARTIAL")))
    assert.equal("no_changes", gradient.outcome(job_in("SUCCEEDED", "NO_CHANGES")))
    assert.equal("succeeded", gradient.outcome(job_in("SUCCEEDED", "COMPLETED")))
    assert.equal("succeeded", gradient.outcome(job_in("SUCCEEDED", "FAILED")))
    assert.equal("failed", gradient.outcome(job_in("FAILED", "PARTIAL")))
  end)

  it("is its status's, where nobody knows the phase", function()
    for _, phase in ipairs{ false, "UNKNOWN", "COMPLETED", "" } do
      for status, expected in pairs{
        COMPLETED = "succeeded", PARTIAL = "partial", NO_CHANGES = "no_changes",
        FAILED = "failed", CANCELLED = "cancelled",
      } do
        assert.equal(expected, gradient.outcome(job_in(phase, status)), status)
      end
      for _, status in ipairs{ false, "UNKNOWN", "PENDING", "IN_PROGRESS", "BRAND_NEW" } do
        assert.is_nil(gradient.outcome(job_in(phase, status)))
        assert.is_nil(gradient.outcome(job_in(phase, status, zero_time)))
        assert.equal("failed", gradient.outcome(job_in(phase, status, real_time)))
      end
    end
  end)

  it("does without any field, and with fields of any type", function()
    assert.is_false(gradient.is_finished{})
    for _, value in ipairs{ gradient.null, 5, true, {} } do
      local job = { phase = value, status = value, finished_at = value }
      assert.is_nil(gradient.outcome(job))
      assert.is_false(gradient.is_finished(job))
    end
  end)

  it("takes no year 1 for a time, whatever the zone", function()
    for _, text in ipairs{ zero_time, "0001-01-01T00:00:00.000Z", "0000-12-31T19:03:58-04:56", "",
      "soon" } do
      assert.is_nil(gradient.outcome{ finished_at = text }, text)
    end
    assert.equal("failed", gradient.outcome{ finished_at = "1970-01-01T00:00:00+00:00" })
  end)
end)

describe("the progress of a job", function()
  local progress = gradient.progress

  it("is counted in files, else in bytes, else in data sources", function()
    local files = { indexed_file_count = "1", total_file_count = "4" }
    local bytes = { total_bytes_indexed = "10", total_bytes = "40" }
    assert.same({ done = 1, total = 4, unit = "files" },
      progress{ data_source_jobs = { files }, total_datasources = 1 })
    assert.same({ done = 10, total = 40, unit = "bytes" },
      progress{ data_source_jobs = { bytes }, completed_datasources = 1 })
    assert.same({ done = 2, total = 5, unit = "data sources" },
      progress{ completed_datasources = 2, total_datasources = 5, data_source_jobs = { {} } })
    assert.same({ done = 0, unit = "data sources" }, progress{})
  end)

  it("is the sum over the data sources", function()
    assert.same({ done = 3, total = 10, unit = "files" }, progress{ data_source_jobs = {
      { total_file_count = "6" }, { total_file_count = "4", indexed_file_count = "3" },
    } })
  end)

  it("has no total as long as a data source has not been counted", function()
    local first = { indexed_file_count = "4", total_file_count = "4", completed_at = real_time }
    local empty = { completed_at = real_time }
    local unknown = { done = 4, unit = "files" }
    local known = { done = 4, total = 4, unit = "files" }
    assert.same(unknown, progress{ data_source_jobs = { first }, total_datasources = 2 })
    assert.same(unknown, progress{ data_source_jobs = { first, {} }, total_datasources = 2 })
    assert.same(unknown, progress{ data_source_jobs = { { indexed_file_count = "4" } } })
    assert.same(known, progress{ data_source_jobs = { first, empty }, total_datasources = 2 })
    assert.same(known, progress{ data_source_jobs = { first }, total_datasources = 2,
      phase = gradient.phase.CANCELLED })
  end)

  it("takes counts of any size, and of any type", function()
    local huge = progress{ data_source_jobs = {
      { total_bytes = "18446744073709551615", total_bytes_indexed = "9223372036854775807" },
      { total_bytes = "18446744073709551615", total_bytes_indexed = "9223372036854775807" },
    } }
    assert.equal(2 ^ 65, huge.total)
    assert.equal(2 ^ 64, huge.done)
    for _, small in ipairs{
      progress{ data_source_jobs = { { total_file_count = 3.0 }, gradient.null, "x" } },
      progress{ total_datasources = 3.0, completed_datasources = 1.0 },
    } do
      assert.same({ "integer", "integer" }, { math.type(small.done), math.type(small.total) })
    end
    for _, value in ipairs{ gradient.null, "many", "0x10", "-1", true, {} } do
      assert.same({ done = 0, unit = "data sources" }, progress{
        completed_datasources = value, total_datasources = value,
        data_source_jobs = { { total_file_count = value, total_bytes = value } },
      })
      assert.same({ done = 0, unit = "data sources" }, progress{ data_source_jobs = value })
    end
  end)
end)

describe("a count and a time", function()
  it("that are missing are 0 and never", function()
    assert.equal(0, job_rules.count(nil))
    assert.equal(12, job_rules.count "12")
    assert.equal(12, job_rules.count(12))
    assert.is_nil(job_rules.time(nil))
    assert.is_nil(job_rules.time(zero_time))
    assert.equal(gradient.timestamp(real_time), job_rules.time(real_time))
  end)
end)

describe("what is no job", function()
  it("raises at the caller's line", function()
    local complaint = "the job must be a table, not nil"
    misuse.raises(function() gradient.is_finished(nil) end, complaint)
    misuse.raises(function() gradient.outcome(nil) end, complaint)
    misuse.raises(function() gradient.progress(nil) end, complaint)
  end)
end)
