--- Knowledge bases, their data sources, their database, and their schedule.

local answers = require "spec.support.answers"
local cjson = require "cjson"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local misuse = require "spec.support.misuse"

local uuid = answers.uuid "knowledge_base"

describe("knowledge bases", function()
  local server, new_client = fixture.server{ jobs = 1 }
  local client, bases

  before_each(function()
    client = new_client()
    bases = client.knowledge_bases
  end)

  -- The server's next answer: knowledge bases of these names, on page `page` of `pages`.
  local function serve_names(names, page, pages)
    local list = {}
    for position, name in ipairs(names) do
      list[position] = { uuid = ("base-%d-%d"):format(page or 1, position), name = name }
    end
    server:script{ { status = 200, body = cjson.encode{
      knowledge_bases = list, meta = { page = page or 1, pages = pages or 1 },
    } } }
  end

  local function serve_database(...)
    local entries = {}
    for position, status in ipairs{ ... } do
      entries[position] = { status = 200, body = cjson.encode{
        knowledge_base = { uuid = uuid }, database_status = status ~= "" and status or nil,
      } }
    end
    server:script(entries)
  end

  it("are listed as they come", function()
    answers.serve(server, "knowledge_bases")
    local page, response = bases.list{ page = 1, per_page = 50 }
    assert.equal("/v2/gen-ai/knowledge_bases?page=1&per_page=50", server:last_request().target)
    assert.equal(200, response.status)
    assert.same(cjson.decode(answers.text "knowledge_bases").knowledge_bases,
      page.knowledge_bases)
    assert.equal("succeeded", gradient.outcome(page.knowledge_bases[1].last_indexing_job))
  end)

  it("are an empty list when there are none", function()
    server:script{ { status = 200, body = "{}" } }
    assert.same({ knowledge_bases = {} }, bases.list())
  end)

  it("come one by one, and page by page", function()
    serve_names({ "a", "b" }, 1, 2)
    serve_names({ "c" }, 2, 2)
    local names = {}
    for base in bases.each{ per_page = 2 } do names[#names + 1] = base.name end
    assert.same({ "a", "b", "c" }, names)
    serve_names({ "a", "b" }, 1, 2)
    serve_names({ "c" }, 2, 2)
    local sizes = {}
    for page, response in bases.pages{ per_page = 2 } do
      assert.equal(200, response.status)
      sizes[#sizes + 1] = #page.knowledge_bases
    end
    assert.same({ 2, 1 }, sizes)
  end)

  it("are retrieved with the state of their database", function()
    answers.serve(server, "knowledge_base")
    local answer = assert(bases.retrieve(uuid))
    assert.equal("/v2/gen-ai/knowledge_bases/" .. uuid, server:last_request().target)
    assert.equal("product-manuals", answer.knowledge_base.name)
    assert.equal(gradient.database_status.ONLINE, answer.database_status)
  end)

  it("know the operations on jobs", function()
    assert.equal(client.indexing_jobs, bases.indexing_jobs)
    assert.equal(gradient.indexing_jobs, gradient.knowledge_bases.indexing_jobs)
  end)

  it("raise at the caller's line for what is none", function()
    misuse.raises(function() bases.retrieve() end, "the uuid must be a non-empty string, not nil")
    misuse.raises(function() bases.list{ perpage = 1 } end,
      "unknown parameter 'perpage' (expected page, per_page)")
    misuse.raises(function() bases.each{ knowledge_base_uuid = "x" } end,
      "unknown parameter 'knowledge_base_uuid' (expected page, per_page)")
    misuse.raises(function() bases:list() end, "call this with a dot, not with a colon")
    misuse.raises(function() bases.find("") end,
      "the name must be a non-empty string, not an empty string")
    misuse.raises(function() bases.data_sources.list() end,
      "the knowledge_base_uuid must be a non-empty string, not nil")
    misuse.raises(function() bases.data_sources.list("x", { size = 1 }) end,
      "unknown parameter 'size' (expected page, per_page)")
    misuse.raises(function() bases.data_sources.each("x", {}, { size = 1 }) end,
      "unknown option 'size' (expected connect_timeout, headers, max_retries, prefetch, query,"
      .. " timeout, total_timeout)")
    assert.equal(0, #server:requests())
  end)

  describe("found by name", function()
    it("are those with exactly this name, on whichever page", function()
      serve_names({ "Manuals", "manual", "manuals " }, 1, 2)
      serve_names({ "manuals" }, 2, 2)
      local answer, response = bases.find "manuals"
      assert.same({ knowledge_base = { uuid = "base-2-1", name = "manuals" } }, answer)
      assert.equal(200, response.status)
      assert.equal("/v2/gen-ai/knowledge_bases?page=1&per_page=200",
        server:requests()[1].target)
    end)

    it("are those with this uuid, in one request", function()
      answers.serve(server, "knowledge_base")
      assert.equal(uuid, assert(bases.find(uuid)).knowledge_base.uuid)
      assert.equal(1, #server:requests())
    end)

    it("may have a name that looks like a uuid", function()
      server:script{ { status = 404 } }
      serve_names{ uuid }
      assert.equal("base-1-1", assert(bases.find(uuid)).knowledge_base.uuid)
    end)

    it("may be missing: the error says which names come near", function()
      for wanted, near in pairs{
        manuls = { "manuals" }, MANUALS = { "manuals", "manuals 2" },
        man = { "manuals", "manuals 2" }, ["manuals 3"] = { "manuals 2", "manuals" },
        ["tickets of the support"] = {}, ticket = { "tickets" }, x = {},
      } do
        serve_names{ "tickets", "manuals 2", "", "manuals", "faq" }
        local answer, err = bases.find(wanted)
        assert.is_nil(answer)
        assert.equal("not_found", err.kind)
        assert.same(near, err.names, wanted)
        assert.equal(1, err.attempts)
        local advice = #near > 0 and "; did you mean '" .. table.concat(near, "', '") .. "'?" or ""
        assert.equal(("not_found: there is no knowledge base '%s'%s"):format(wanted, advice),
          tostring(err))
      end
    end)

    it("may be several: the error says which", function()
      serve_names{ "twice", "once", "twice" }
      local answer, err = bases.find "twice"
      assert.is_nil(answer)
      assert.equal("conflict", err.kind)
      assert.same({ "base-1-1", "base-1-3" }, err.uuids)
      assert.equal("conflict: 2 knowledge bases have the name 'twice': base-1-1, base-1-3",
        tostring(err))
    end)

    it("may have no uuid, which is the same for no two", function()
      local function serve(count)
        local body = '{"knowledge_bases":[' .. ('{"name":"x"}'):rep(count, ",") .. "]}"
        server:script{ { status = 200, body = body } }
      end
      serve(1)
      assert.same({ knowledge_base = { name = "x" } }, bases.find "x")
      serve(2)
      local _, err = bases.find "x"
      assert.equal("conflict: 2 knowledge bases have the name 'x': nil, nil", tostring(err))
    end)

    it("may not be seen: the error is the server's", function()
      server:script{ { status = 403 } }
      local _, err = bases.find "manuals"
      assert.equal("permission_denied", err.kind)
      server:script{ { status = 403 } }
      _, err = bases.find(uuid)
      assert.equal("permission_denied", err.kind)
      assert.equal(2, #server:requests())
    end)

    it("let errors of the program's own through", function()
      local strange = new_client{ on_event = function() error("enough", 0) end }
      assert.same({ false, "enough" }, { pcall(strange.knowledge_bases.find, "manuals") })
    end)
  end)

  describe("have data sources", function()
    it("that are listed", function()
      answers.serve(server, "knowledge_base_data_sources")
      local page = assert(bases.data_sources.list(uuid, { per_page = 10 }, { timeout = 5 }))
      assert.equal("/v2/gen-ai/knowledge_bases/" .. uuid .. "/data_sources?per_page=10",
        server:last_request().target)
      assert.equal("manuals", page.knowledge_base_data_sources[1].spaces_data_source.bucket_name)
    end)

    it("that come one by one, and page by page", function()
      answers.serve(server, "knowledge_base_data_sources", "knowledge_base_data_sources")
      local found = {}
      for source in bases.data_sources.each(uuid) do found[#found + 1] = source.uuid end
      for page in bases.data_sources.pages(uuid) do
        found[#found + 1] = page.knowledge_base_data_sources[1].uuid
      end
      assert.same({ "7c71ad90-b5f1-11f0-9c41-4e013e2d1a01",
        "7c71ad90-b5f1-11f0-9c41-4e013e2d1a01" }, found)
    end)

    it("of a base whose uuid is percent-encoded", function()
      bases.data_sources.list "a/b"
      assert.equal("/v2/gen-ai/knowledge_bases/a%2fb/data_sources",
        server:last_request().target:lower())
    end)
  end)

  describe("have a database that", function()
    it("is waited for until it is online", function()
      serve_database("CREATING", "", "BRAND_NEW", "CREATING", "ONLINE")
      local seen = {}
      local answer, response = bases.wait_for_database(uuid, {
        poll_interval = 0.01,
        on_progress = function(now) seen[#seen + 1] = now.database_status or "none" end,
      })
      assert.same({ knowledge_base = { uuid = uuid }, database_status = "ONLINE" }, answer)
      assert.equal(200, response.status)
      assert.same({ "CREATING", "none", "BRAND_NEW", "CREATING", "ONLINE" }, seen)
    end)

    it("may be online already", function()
      answers.serve(server, "knowledge_base")
      assert(bases.wait_for_database(uuid))
      assert.equal(1, #server:requests())
    end)

    it("may never come", function()
      for _, status in ipairs{ "UNHEALTHY", "DECOMMISSIONED" } do
        serve_database("CREATING", status)
        local answer, err = bases.wait_for_database(uuid, { poll_interval = 0.01 })
        assert.is_nil(answer)
        assert.equal("database_failed", err.kind)
        assert.equal(status, err.database_status)
        assert.equal(("database_failed: the database of knowledge base %s is %s"):format(uuid,
          status), tostring(err))
      end
    end)

    it("may come too late", function()
      server:script{ { status = 200, forever = true,
        body = '{"knowledge_base":{},"database_status":"CREATING"}' } }
      local answer, err = bases.wait_for_database(uuid, { poll_interval = 0.04, timeout = 0.1 })
      assert.is_nil(answer)
      assert.equal("timeout", err.kind)
      assert.equal("CREATING", err.database_status)
      assert.matches("is not online after 0.1 seconds", tostring(err), 1, true)
    end)

    it("may be gone while it is waited for", function()
      serve_database "CREATING"
      server:script{ { status = 404 } }
      local _, err = bases.wait_for_database(uuid, { poll_interval = 0.01 })
      assert.equal("not_found", err.kind)
      assert.equal("CREATING", err.database_status)
    end)

    it("is waited for with settings that are checked", function()
      misuse.raises(function() bases.wait_for_database(uuid, { every = 1 }) end,
        "unknown setting 'every' (expected on_progress, poll_interval, timeout)")
      misuse.raises(function() bases.wait_for_database() end,
        "the uuid must be a non-empty string, not nil")
    end)
  end)

  describe("are indexed on a schedule that", function()
    local schedules

    before_each(function() schedules = client.scheduled_indexing end)

    it("is created", function()
      answers.serve(server, "schedule")
      local answer = assert(schedules.create{
        knowledge_base_uuid = uuid, time = "18:00", days = { 1, 2.0, 3 },
      })
      assert.equal("18:00:00", answer.indexing_info.time)
      local sent = server:last_request()
      assert.equal("POST", sent.method)
      assert.equal("/v2/gen-ai/scheduled-indexing", sent.target)
      assert.equal('{"days":[1,2,3],"knowledge_base_uuid":"' .. uuid .. '","time":"18:00"}',
        sent.body)
    end)

    it("is retrieved by the knowledge base, and deleted by its own uuid", function()
      answers.serve(server, "schedule", "schedule")
      local info = assert(schedules.retrieve(uuid)).indexing_info
      assert.equal("/v2/gen-ai/scheduled-indexing/knowledge-base/" .. uuid,
        server:last_request().target)
      assert.same({ 1, 2, 3 }, info.days)
      assert.same(info, assert(schedules.delete(info.uuid)).indexing_info)
      local sent = server:last_request()
      assert.equal("DELETE", sent.method)
      assert.equal("/v2/gen-ai/scheduled-indexing/" .. info.uuid, sent.target)
      assert.equal("", sent.body)
    end)

    it("may not be there, which an answer may say by leaving it out", function()
      for _, answer in ipairs{ { status = 404 }, { status = 200, body = "{}" },
        { status = 200, body = '{"indexing_info":null}' } } do
        server:script{ answer }
        local info, err = schedules.retrieve(uuid)
        assert.is_nil(info)
        assert.equal("not_found", err.kind)
        assert.equal(answer.status, err.status)
      end
    end)

    local function create(fields)
      local params = { knowledge_base_uuid = uuid, time = "18:00", days = { 1 } }
      for name, value in pairs(fields) do params[name] = value end
      return schedules.create, params
    end

    it("is at a time that exists", function()
      local must = 'parameter \'time\' must be "HH:MM" from "00:00" to "23:59" (UTC), not '
      for _, time in ipairs{ "24:00", "18:60", "6:00", "18:00:00", "18.00", "", " 18:00" } do
        local f, params = create{ time = time }
        misuse.raises(function() f(params) end,
          must .. (time == "" and "an empty string" or "a string"))
      end
      local f, params = create{ time = 18 }
      misuse.raises(function() f(params) end, must .. "18")
      for _, time in ipairs{ "00:00", "23:59" } do
        f, params = create{ time = time }
        answers.serve(server, "schedule")
        assert(f(params))
      end
    end)

    it("is on days that exist", function()
      local must = "parameter 'days' must be a non-empty sequence of whole numbers from 1 (Monday)"
        .. " to 7 (Sunday)"
      for complaint, days in pairs{
        [", not a string"] = "monday", [", not an empty table"] = {},
        [", but element 1 is 0"] = { 0 }, [", but element 2 is 8"] = { 7, 8 },
        [", but element 1 is 1.5"] = { 1.5 }, [", but element 1 is a string"] = { "1" },
        [", but element 1 is nil"] = { monday = true }, [", but element 2 is nil"] = { 1, nil, 3 },
      } do
        local f, params = create{ days = days }
        misuse.raises(function() f(params) end, must .. complaint)
      end
    end)

    it("needs all three", function()
      for _, name in ipairs{ "knowledge_base_uuid", "time", "days" } do
        local f, params = create{}
        params[name] = nil
        misuse.raises(function() f(params) end, "parameter '" .. name .. "' is required")
      end
      assert.equal(0, #server:requests())
    end)
  end)

  -- The same with what the local API server has, instead of answers that were written for a spec.
  describe("of the local API server", function()
    it("are found by name, whether it occurs once, twice or not at all", function()
      local only = server:create_knowledge_base{ name = "the only one" }
      local twins = { server:create_knowledge_base{ name = "twin" },
        server:create_knowledge_base{ name = "twin" } }
      assert.equal(only, assert(bases.find "the only one").knowledge_base.uuid)
      assert.equal(only, assert(bases.find(only)).knowledge_base.uuid)
      local _, err = bases.find "twin"
      table.sort(twins)
      table.sort(err.uuids)
      assert.same({ "conflict", twins }, { err.kind, err.uuids })
      _, err = bases.find "The only one!"
      assert.same({ "not_found", { "the only one" } }, { err.kind, err.names })
    end)

    it("take jobs once their database is there", function()
      local base = server:create_knowledge_base{ database_time = 30 }
      local params, seen = { knowledge_base_uuid = base }, {}
      local _, err = client.indexing_jobs.start(params)
      assert.equal("failed to get db creds", err.message)
      assert(bases.wait_for_database(base, { poll_interval = 0.01, on_progress = function(answer)
        seen[#seen + 1] = answer.database_status
        server:advance(16)
      end }))
      assert.same({ "CREATING", "CREATING", "ONLINE" }, seen)
      assert(client.indexing_jobs.start(params))
    end)

    it("are given up when their database is ill", function()
      local base = server:create_knowledge_base{
        database_time = 30, database_status = "UNHEALTHY",
      }
      local _, err = bases.wait_for_database(base, { poll_interval = 0.01, on_progress = function()
        server:advance(31)
      end })
      assert.same({ "database_failed", "UNHEALTHY" }, { err.kind, err.database_status })
    end)

    it("are indexed on a schedule", function()
      local base, schedules = server:knowledge_bases()[1], client.scheduled_indexing
      local _, err = schedules.retrieve(base)
      assert.equal("not_found", err.kind)
      local info = assert(schedules.create{
        knowledge_base_uuid = base, time = "06:30", days = { 7 },
      }).indexing_info
      assert.equal(info.uuid, assert(schedules.retrieve(base)).indexing_info.uuid)
      assert(schedules.delete(info.uuid))
      _, err = schedules.retrieve(base)
      assert.equal("not_found", err.kind)
    end)
  end)
end)
