--- gradient-jobs watch, and start --wait.

local command = require "spec.support.command"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"

local uuid_pattern = command.uuid_pattern
local interval = { "--interval", "0.05" }

describe("gradient-jobs watch", function()
  local server, new_client = fixture.server{ jobs = 0 }
  local gj = command.against(server)
  local run, print_of, lines_of = gj.run, gj.print_of, command.lines
  local small = { columns = 80, rows = 24 }
  local client, bases

  before_each(function()
    client, bases = new_client(), server:knowledge_bases()
  end)

  -- Starts a job of a knowledge base of its own.
  local function start(settings, position)
    server:set(settings)
    return client.indexing_jobs.create{ knowledge_base_uuid = bases[position or 1] }.job.uuid
  end

  local function watch(uuids, settings)
    return run({ "watch", table.unpack(table.move(interval, 1, 2, #uuids + 1, uuids)) }, settings)
  end

  -- A function that lets time pass for the jobs, so many seconds whenever the command has made
  -- `requests` further ones.
  local function passing(requests, ...)
    local steps = { ... }
    return function()
      local made = 0
      for _, seconds in ipairs(steps) do
        made = made + requests
        server:await{ requests = made, timeout = 60 }
        server:advance(seconds)
      end
    end
  end

  local function phase(uuid, name, more)
    return { status = 200, body = ('{"job":{"uuid":"%s","phase":"BATCH_JOB_PHASE_%s"%s}}')
      :format(uuid, name, more or "") }
  end

  local function targets()
    local list = {}
    for _, request in ipairs(server:requests()) do
      if not request.target:find "/knowledge_bases%?" then list[#list + 1] = request.target end
    end
    return list
  end

  it("prints a line for each news of a job, until it is over", function()
    local uuid = start{ duration = 0.6 }
    local result = watch{ uuid }
    assert.same({ 0, "" }, { result.status, result.errors })
    local lines = lines_of(result.output)
    assert.matches("^KNOWLEDGE BASE +JOB +STATE +PROGRESS +DONE +TIME$", lines[1])
    assert.matches("  " .. uuid_pattern .. "  %a+ +[░█]+  ", lines[2])
    assert.matches("  " .. uuid_pattern .. "  succeeded   " .. ("█"):rep(24), lines[#lines - 1])
    assert.equal("1 job: 1 succeeded", lines[#lines])
    assert.is_true(#lines <= 15, #lines)
  end)

  it("says with its exit status how they ended", function()
    local partial = ',"status":"INDEX_JOB_STATUS_PARTIAL"'
    server:script{
      phase("a", "SUCCEEDED"), phase("b", "FAILED"), phase("c", "CANCELLED"),
      phase("d", "SUCCEEDED", partial),
      { status = 200, body = '{"jobs":[]}' }, phase("a", "SUCCEEDED"), phase("d", "SUCCEEDED",
        partial),
      { status = 200, body = '{"jobs":[]}' }, phase("d", "SUCCEEDED", partial),
        phase("b", "FAILED"),
    }
    local function status(...)
      local result = run{ "watch", "--no-names", ... }
      assert.equal("", result.errors)
      return result.status
    end
    assert.equal(0, status "a")
    assert.equal(1, status "b")
    assert.equal(1, status "c")
    assert.equal(3, status "d")
    assert.equal(3, status("a", "d", "a"))
    assert.equal(1, status("d", "b"))
    assert.equal(0, server:pending())
  end)

  it("without uuids, shows all that are not over, with a request for each look", function()
    server:set{ jobs = 300, active = 0, duration = 3600 }
    server:grow(3)
    local output = print_of({ "watch", table.unpack(interval) }, { meanwhile = passing(6, 3601) })
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
    gj.fails(0, "no job is under way", { "watch" })
  end)

  it("asks for the ones that the newest jobs do not include", function()
    server:set{ jobs = 300, active = 0, duration = 0.3 }
    local page = client.indexing_jobs.list{ per_page = 100, page = 3 }
    local old, new = page.jobs[100].uuid, start{}
    assert.matches("2 jobs: .*\n$", watch{ old, new }.output)
    local asked = 0
    for _, target in ipairs(targets()) do
      asked = asked + (target == "/v2/gen-ai/indexing_jobs/" .. old and 1 or 0)
    end
    assert.equal(1, asked)
  end)

  it("shows the names of the knowledge bases, or not", function()
    local uuid = start{ duration = 0.01 }
    local name = client.knowledge_bases.retrieve(bases[1]).knowledge_base.name
    assert.matches("\n" .. name:gsub("%p", "%%%0") .. " +" .. uuid_pattern, watch{ uuid }.output)
    assert.matches("\n" .. bases[1]:gsub("%-", "%%-") .. " +" .. uuid_pattern,
      watch{ uuid, "--no-names" }.output)
  end)

  describe("on a terminal", function()
    it("draws in place", function()
      local uuids = {}
      for number = 1, 3 do uuids[number] = start({ duration = 60 * number }, number) end
      local output = watch(uuids, { terminal = small, meanwhile = passing(7, 61, 60, 60) }).output
      local screen = command.screen(output, 80)
      assert.equal(5, #screen)
      assert.matches("^KNOWLEDGE BASE +JOB +STATE +PROGRESS +DONE +TIME$", screen[1])
      for number = 1, 3 do
        assert.matches("  " .. uuids[number]:sub(1, 8), screen[number + 1], 1, true)
        assert.matches(("  succeeded +[█]+  +[%%d,]+/[%%d,]+ files  %d:0%%d$")
          :format(number), screen[number + 1])
      end
      assert.equal("3 jobs: 3 succeeded", screen[5])
      local _, redraws = output:gsub("\27%[5A", "")
      assert.is_true(redraws >= 6, redraws)
      assert.is_nil(output:find("\27[?", 1, true)) -- the terminal's modes stay as they are
    end)

    it("never draws more than there is room for, but in the end", function()
      server:set{ duration = 60 }
      server:grow(10)
      server:set{ duration = 120 }
      server:grow(2)
      local output = print_of({ "watch", table.unpack(interval) },
        { terminal = { columns = 60, rows = 8 }, meanwhile = passing(6, 61, 60) })
      local drawn = output:match("^(.-)\27%[%d+A")
      assert.equal(7, #command.screen(drawn, 60))
      assert.matches("\n\27%[2K… and 8 more\n\27%[2K12 jobs: ", drawn)
      assert.equal(14, #command.screen(output, 60))
      assert.matches("… and 8 more\n\27%[2K12 jobs: 2 running, 10 succeeded\n", output)
    end)

    it("draws no lines over others where the terminal cannot", function()
      local uuid = start{ duration = 0.2 }
      local output = watch({ uuid }, { terminal = small, environment = { TERM = "dumb" } }).output
      assert.is_nil(output:find("\27", 1, true))
      assert.matches("\n1 job: 1 succeeded\n$", output)
    end)

    it("leaves nothing behind that a narrower terminal has broken into several lines", function()
      local uuid = start{ duration = 3600 }
      local output = run({ "watch", uuid, table.unpack(interval) }, {
        terminal = { columns = 120, rows = 24 },
        meanwhile = function(_, resize)
          server:await{ requests = 5, timeout = 60 }
          resize(40)
          server:advance(3601)
        end,
      }).output
      local before, up
      for position, count in output:gmatch "()\27%[(%d+)A" do
        if count ~= "3" then
          before, up = output:sub(1, position - 1), math.tointeger(count)
          break
        end
      end
      local rows = 0
      for _, line in ipairs(command.screen(before, 120)) do
        rows = rows + (utf8.len(line) + 39) // 40
      end
      assert.equal(rows, up)
      assert.matches("1 job: 1 succeeded\n\27%[J$", output)
    end)
  end)

  describe("survives an outage", function()
    local failures = {
      { status = 503, headers = { ["retry-after"] = "0" }, times = 5 },
      { status = 429, headers = { ["retry-after"] = "0" } },
      { status = 200, body = "<html>" }, { fault = "reset", options = { times = 3 } },
    }

    local function script(uuid)
      local entries = { phase(uuid, "RUNNING") }
      table.move(failures, 1, #failures, 2, entries)
      entries[#entries + 1] = phase(uuid, "RUNNING")
      entries[#entries + 1] = phase(uuid, "SUCCEEDED")
      server:script(entries)
    end

    it("and says on standard error when it begins and ends", function()
      script "a"
      local result = run{ "watch", "a", "--no-names", table.unpack(interval) }
      assert.equal(0, result.status)
      assert.matches("^gradient%-jobs: trying again: server: [^\n]*503[^\n]*\n"
        .. "gradient%-jobs: connected again after 0:0%d\n$", result.errors)
      assert.equal(0, server:pending())
    end)

    it("and shows it in the view", function()
      script "a"
      local result = run({ "watch", "a", "--no-names", table.unpack(interval) },
        { terminal = { columns = 120, rows = 24 } })
      assert.equal(0, result.status)
      assert.equal("", result.errors)
      assert.matches("\27%[33mno good answer for 0:0%d, trying again %(server: ", result.output)
      assert.matches("\27%[33mno connection for 0:0%d, trying again %(connection: ", result.output)
      assert.equal(3, #command.screen(result.output, 120))
    end)

    it("and shows that an answer is late, while time passes", function()
      local late = phase("a", "SUCCEEDED")
      late.delay = 6
      server:script{ phase("a", "RUNNING", ',"created_at":"2999-01-01T00:00:00Z"'), late }
      local result = run({ "watch", "a", "--no-names", table.unpack(interval) },
        { terminal = { columns = 120, rows = 24 } })
      assert.equal(0, result.status)
      assert.matches("\27%[33mno answer for 0:0%d\27%[0m\n\27%[J", result.output)
      assert.equal(3, #command.screen(result.output, 120))
    end)

    it("but not for longer than --give-up", function()
      server:script{ phase("a", "RUNNING"), { status = 503, times = 1000 } }
      local began = core.now()
      local result = run{ "watch", "a", "--no-names", "--interval", "0.1", "--give-up", "0.3" }
      assert.equal(1, result.status)
      assert.is_true(core.now() - began >= 0.3)
      assert.matches("\ngradient%-jobs: server: [^\n]*503[^\n]*\n$", result.errors)
    end)

    it("but ends with what does not pass", function()
      for status, kind in pairs{ [401] = "authentication", [403] = "permission_denied" } do
        server:script{ phase("a", "RUNNING"), { status = status } }
        local result = run{ "watch", "a", "--no-names", table.unpack(interval) }
        assert.equal(1, result.status)
        assert.matches("^gradient%-jobs: " .. kind .. ": [^\n]+\n$", result.errors)
      end
      server:script{ phase("a", "RUNNING"), { status = 404 } }
      local result = run{ "watch", "a", "--no-names", table.unpack(interval) }
      assert.equal(1, result.status)
      assert.matches("^gradient%-jobs: job a: not_found: [^\n]+\n$", result.errors)
      assert.equal(0, server:pending())
    end)
  end)

  it("shows wide characters as wide as they are", function()
    local name = "知識ベース e\u{301}"
    server:script{ phase("a", "SUCCEEDED", ',"knowledge_base_uuid":"k"'),
      { status = 200, body = '{"knowledge_bases":[{"uuid":"k","name":"' .. name .. '"}]}' } }
    local lines = lines_of(print_of{ "watch", "a" })
    assert.equal("KNOWLEDGE BASE  JOB  STATE       PROGRESS",
      lines[1]:match("^(.-) +DONE"))
    assert.equal(name .. "    a    succeeded   ", lines[2]:match("^(.-)█")) -- 12 columns
  end)

  it("start --wait goes on as watch", function()
    server:set{ duration = 0.3, outcome = "partial" }
    local result = run{ "start", bases[1], "--wait", table.unpack(interval) }
    assert.equal(3, result.status)
    assert.matches("^gradient%-jobs: started a job for [^\n]+\n$", result.errors)
    assert.matches("\n1 job: 1 partial\n$", result.output)
  end)
end)
