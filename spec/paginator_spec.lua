--- each and pages: every job once, whatever the server says of its pages, and nothing left over.

local api = require "spec.support.api"
local cjson = require "cjson"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local misuse = require "spec.support.misuse"
local socket = require "socket"
local waiting = require "spec.support.waiting"

describe("iteration", function()
  local server, new_client = fixture.server{ jobs = 60 }
  local client, jobs
  local requests = 0

  before_each(function()
    requests = 0
    client = new_client{ max_retries = 0, on_event = function(event)
      requests = requests + (event.type == "request" and 1 or 0)
      if requests > 5000 then error "no end" end
    end }
    jobs = client.indexing_jobs
  end)

  local function uuids_of(list)
    local uuids = {}
    for position, job in ipairs(list) do uuids[position] = job.uuid end
    return uuids
  end

  -- The uuids of all jobs, as they are listed now.
  local function all_uuids()
    return uuids_of(assert(jobs.list{ per_page = 200 }).jobs)
  end

  -- The uuids that `each` yields, in order.
  local function each_uuids(params, options)
    local uuids = {}
    for job in jobs.each(params, options) do uuids[#uuids + 1] = job.uuid end
    return uuids
  end

  local function assert_distinct(uuids)
    local seen = {}
    for _, uuid in ipairs(uuids) do
      assert.is_nil(seen[uuid], uuid)
      seen[uuid] = true
    end
    return seen
  end

  -- The pages that were asked for, in order.
  local function asked_pages()
    local pages = {}
    for position, request in ipairs(server:requests()) do pages[position] = request.page end
    return pages
  end

  -- Answers page after page with these bodies; {uuid…} stands for a list of such jobs.
  local function script_pages(bodies)
    local entries = {}
    for page, body in ipairs(bodies) do
      entries[page] = { match = { page = page }, status = 200, body = cjson.encode(body) }
    end
    server:script(entries)
  end

  local function jobs_named(...)
    local list = {}
    for position, uuid in ipairs{ ... } do list[position] = { uuid = uuid } end
    return list
  end

  describe("each", function()
    it("yields every job of every page in order", function()
      local expected = all_uuids()
      assert.equal(60, #expected)
      for _, per_page in ipairs{ 1, 7, 20, 59, 60, 61, 200 } do
        assert.same(expected, each_uuids{ per_page = per_page })
      end
    end)

    it("takes six requests on one connection for 1,003 jobs", function()
      server:set{ jobs = 1003 }
      local uuids = each_uuids{ per_page = 200 }
      assert.equal(1003, #uuids)
      assert_distinct(uuids)
      assert.same({ 1, 2, 3, 4, 5, 6 }, asked_pages())
      assert.equal(1, server:connections().accepted)
    end)

    it("yields jobs that are equal to those of list", function()
      server:set{ active = 0 } -- two answers about a job that runs may differ
      local expected = assert(jobs.list{ per_page = 5 }).jobs
      local position = 0
      for job in jobs.each{ per_page = 5 } do
        position = position + 1
        assert.same(expected[position], job)
        if position == 5 then break end
      end
      assert.equal(5, position)
    end)

    it("needs no arguments, and asks for as many a page as the API gives", function()
      server:set{ jobs = 450 }
      local count = 0
      for _ in jobs.each() do count = count + 1 end
      for _ in jobs.pages() do count = count + 1 end
      assert.equal(453, count)
      for position, request in ipairs(server:requests()) do
        assert.same({ page = tostring((position - 1) % 3 + 1), per_page = "200" }, request.query)
      end
      assert(jobs.list())
      assert.same({}, server:last_request().query)
    end)

    it("yields jobs without a uuid, all of them", function()
      script_pages{
        { jobs = { { tokens = 1 }, { tokens = 1 }, { uuid = 5 } }, meta = { pages = 2 } },
        { jobs = { { tokens = 1 } }, meta = { pages = 2 } },
      }
      local count = 0
      for _ in jobs.each() do count = count + 1 end
      assert.equal(4, count)
    end)

    it("works in a coroutine that yields in the loop", function()
      local expected, seen = all_uuids(), {}
      for job in coroutine.wrap(function()
        for job in jobs.each{ per_page = 7 } do coroutine.yield(job) end
      end) do seen[#seen + 1] = job.uuid end
      assert.same(expected, seen)
    end)

    it("works in many coroutines at the same time, with one client", function()
      server:set{ latency = 0.005 }
      local expected = all_uuids()
      local shared = new_client{ wait = coroutine.yield }
      local loops, results = {}, {}
      for number = 1, 5 do
        loops[number] = function()
          local uuids = {}
          for job in shared.indexing_jobs.each({ per_page = 5 + number }, { prefetch = 2 }) do
            uuids[#uuids + 1] = job.uuid
          end
          results[number] = uuids
        end
      end
      waiting.together(loops)
      for number = 1, 5 do assert.same(expected, results[number]) end
    end)

    it("works inside another iteration", function()
      local inner = 0
      for page in jobs.pages{ per_page = 30 } do
        assert.equal(30, #page.jobs)
        for _ in jobs.each{ per_page = 25 } do inner = inner + 1 end
      end
      assert.equal(120, inner)
    end)

    it("keeps the memory flat", function()
      server:set{ jobs = 12000, fields = "reference" }
      local count, early = 0, nil
      for _ in jobs.each{ per_page = 200 } do
        count = count + 1
        if count == 6000 then
          collectgarbage()
          collectgarbage()
          early = collectgarbage "count"
        end
      end
      collectgarbage()
      collectgarbage()
      assert.equal(12000, count)
      assert.is_true(collectgarbage "count" - early < 500, collectgarbage "count" - early)
    end)
  end)

  describe("pages", function()
    it("yields every page with its response", function()
      local numbers, total = {}, 0
      for page, response in jobs.pages{ per_page = 25 } do
        numbers[#numbers + 1] = page.meta.page
        total = total + #page.jobs
        assert.equal(200, response.status)
        assert.equal(1, response.attempts)
        assert.is_string(response.request_id)
      end
      assert.same({ 1, 2, 3 }, numbers)
      assert.equal(60, total)
    end)

    it("yields pages as they came, with the jobs that were on the page before", function()
      server:set{ growth = 5 }
      local count, seen, distinct = 0, {}, 0
      for page in jobs.pages{ per_page = 20 } do
        for _, job in ipairs(page.jobs) do
          count, distinct = count + 1, distinct + (seen[job.uuid] and 0 or 1)
          seen[job.uuid] = true
        end
      end
      assert.equal(75, count)
      assert.equal(60, distinct)
    end)

    it("yields one page where there is but one, and where there is nothing", function()
      for _, count in ipairs{ 0, 1, 20 } do
        server:set{ jobs = count }
        local sizes = {}
        for page in jobs.pages{ per_page = 20 } do sizes[#sizes + 1] = #page.jobs end
        assert.same({ count }, sizes)
      end
      assert.same({ 1, 1, 1 }, asked_pages())
    end)

    it("returns nothing more after its end", function()
      local following = jobs.pages{ per_page = 30 }
      assert.is_table(following())
      assert.is_table(following())
      assert.is_nil(following())
      assert.is_nil(following())
      assert.same({ 1, 2 }, asked_pages())
    end)
  end)

  describe("asks", function()
    it("from params.page on", function()
      local expected = all_uuids()
      server:reset()
      local uuids = each_uuids{ page = 3, per_page = 13 }
      assert.same({ 3, 4, 5 }, asked_pages())
      assert.same(table.move(expected, 27, 60, 1, {}), uuids)
    end)

    it("with the same parameters and options for every page", function()
      local params, options = { per_page = 30 }, {
        query = { tag = "a b" }, headers = { ["x-a"] = "1" }, prefetch = 2,
      }
      each_uuids(params, options)
      assert.same({ per_page = 30 }, params)
      for page, request in ipairs(server:requests()) do
        assert.same({ page = tostring(page), per_page = "30", tag = "a b" }, request.query)
        assert.equal("1", request.headers["x-a"])
      end
      assert.equal(2, server:connections().requests)
    end)

    it("for nothing before the loop begins", function()
      local following = jobs.each{ per_page = 30 }
      assert.equal(0, server:connections().requests)
      assert.is_table(following())
    end)

    it("for no page ahead with prefetch = 0", function()
      local expected = 0
      for _ in jobs.pages({ per_page = 20 }, { prefetch = 0 }) do
        expected = expected + 1
        assert.equal(expected, server:connections().requests)
      end
      assert.equal(3, expected)
    end)

    it("for one page ahead by default", function()
      local expected = 1
      for _ in jobs.pages{ per_page = 20 } do
        expected = math.min(expected + 1, 3)
        assert.equal(expected, server:await{ requests = expected }.requests)
      end
    end)

    it("for pages at the same time with prefetch, and not for more than that", function()
      server:set{ latency = 0.02 }
      local uuids = each_uuids({ per_page = 5 }, { prefetch = 4 })
      assert.equal(60, #uuids)
      assert.is_true(server:connections().busiest <= 4)
      assert.equal(12, server:connections().requests)
      assert.is_true(server:connections().accepted <= 4)
    end)

    it("for all pages that prefetch allows, whatever becomes of the others", function()
      server:script{ { skip = 1, forever = true, steps = { { hang = true } } } }
      local enough = {}
      jobs = new_client{ wait = function(fds, seconds)
        waiting.poll(fds, seconds)
        if server:connections().in_progress == 4 then error(enough) end
      end }.indexing_jobs
      assert.same({ false, enough }, { pcall(each_uuids, { per_page = 5 }, { prefetch = 4 }) })
      assert.equal(5, server:connections().requests)
    end)

    it("for no page behind the last, however many may be fetched ahead", function()
      each_uuids({ per_page = 20 }, { prefetch = 50 })
      local pages = asked_pages()
      table.sort(pages)
      assert.same({ 1, 2, 3 }, pages)
    end)
  end)

  describe("keeps the order", function()
    it("of pages that are answered out of order", function()
      local expected = all_uuids()
      server:script{
        { match = { page = 2 }, delay = 0.06 }, { match = { page = 3 }, delay = 0.03 },
      }
      assert.same(expected, each_uuids({ per_page = 10 }, { prefetch = 5 }))
    end)

    it("of the parameters that the pages are asked for", function()
      local numbers = {}
      for page in jobs.pages({ per_page = 5 }, { prefetch = 3 }) do
        numbers[#numbers + 1] = page.meta.page
      end
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, numbers)
    end)
  end)

  describe("ends", function()
    it("on meta alone", function()
      server:set{ links = false }
      assert.equal(60, #each_uuids{ per_page = 20 })
      assert.same({ 1, 2, 3 }, asked_pages())
    end)

    it("on links alone, but not after a full page", function()
      server:set{ meta = false }
      for _, prefetch in ipairs{ 0, 1, 3 } do
        assert.equal(60, #each_uuids({ per_page = 20 }, { prefetch = prefetch }))
        assert.equal(60, #each_uuids({ per_page = 25 }, { prefetch = prefetch }))
      end
      assert.equal(3 * (4 + 3), server:connections().requests)
    end)

    it("after a page that is not full, without meta and links", function()
      server:set{ meta = false, links = false, jobs = 450 }
      for _, prefetch in ipairs{ 0, 1, 3 } do
        server:set{ jobs = 450 }
        assert.equal(450, #each_uuids({}, { prefetch = prefetch }))
        server:set{ jobs = 60 }
        assert.equal(60, #each_uuids({ per_page = 20 }, { prefetch = prefetch }))
      end
      assert.equal(3 * (3 + 4), server:connections().requests)
    end)

    it("on an empty page, whatever that says", function()
      server:set{ endless = "empty" }
      assert.equal(60, #each_uuids{ per_page = 20 })
      assert.same({ 1, 2, 3, 4 }, asked_pages())
      assert.same({}, each_uuids{ page = 99 })
    end)

    it("when the server begins to repeat itself", function()
      server:set{ endless = "repeat" }
      for _, prefetch in ipairs{ 0, 1, 3 } do
        server:set{ jobs = 60 }
        assert.equal(60, #each_uuids({ per_page = 20 }, { prefetch = prefetch }))
      end
      assert.is_true(server:connections().requests <= 3 * 4, server:connections().requests)
      server:set{ meta = false, jobs = 60 }
      assert.equal(60, #each_uuids{ per_page = 20 })
    end)

    it("on a page again and again", function()
      server:script{ { forever = true, status = 200, body = cjson.encode{
        jobs = jobs_named("a", "b"), links = { pages = { next = "/?page=2" } },
      } } }
      assert.same({ "a", "b" }, each_uuids{ per_page = 2 })
      assert.is_true(server:connections().requests < 10, server:connections().requests)
    end)

    it("with an error on a page again and again that should be one of many", function()
      server:script{ { forever = true, status = 200, body = cjson.encode{
        jobs = jobs_named("a", "b"), meta = { page = 1, pages = 50, total = 100 },
      } } }
      local ok, err = pcall(each_uuids, { per_page = 2 })
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
      assert.matches("^the walk cannot end", err.message)
      assert.is_true(server:connections().requests < 10, server:connections().requests)
    end)

    it("when the server repeats a page without uuids", function()
      server:script{ { forever = true, status = 200, body = cjson.encode{
        jobs = { { tokens = 1 }, { tokens = 2 } }, links = { pages = { next = "/?cursor=x" } },
      } } }
      pcall(function()
        for _ in jobs.pages() do assert.is_true(requests > 0) end
      end)
      assert.is_true(requests < 5000, "no end")
    end)

    it("with an error in a list that grows as fast as it is read", function()
      server:set{ growth = 20 }
      local ok, err = pcall(each_uuids, { per_page = 20 })
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
      assert.matches("the list changes as fast as it is read", err.message, 1, true)
      assert.is_true(server:connections().requests < 10, server:connections().requests)
    end)

    it("when a total contradicts what is seen", function()
      for name, total in pairs{ smaller = 5, none = 0, negative = -1, larger = 5000 } do
        script_pages{
          { jobs = jobs_named("a", "b"), meta = { total = total },
            links = { pages = { next = "/?page=2" } } },
          { jobs = jobs_named("c", "d"), meta = { total = total } },
          { meta = { total = total } },
        }
        assert.same({ "a", "b", "c", "d" }, each_uuids{ per_page = 2 }, name)
        assert.equal(0, server:pending())
      end
    end)

    it("on pages that are smaller than asked for", function()
      for _, words in ipairs{
        { meta = { total = 5 } }, { meta = { pages = 3 } },
        { links = { pages = { next = "/?page=3" } } },
      } do
        script_pages{
          { jobs = jobs_named("a", "b"), meta = words.meta, links = words.links },
          { jobs = jobs_named("c", "d"), meta = words.meta, links = words.links },
          { jobs = jobs_named("e"), meta = words.meta },
        }
        assert.same({ "a", "b", "c", "d", "e" }, each_uuids{ per_page = 3 })
      end
    end)

    it("when pages vanish meanwhile", function()
      server:set{ decay = 2 }
      local uuids = each_uuids({ per_page = 10 }, { prefetch = 1 })
      local seen = assert_distinct(uuids)
      assert.is_true(#uuids < 60, #uuids)
      server:set{ decay = 0 }
      local left = all_uuids()
      assert.is_true(#left > 0)
      for _, uuid in ipairs(left) do assert.is_true(seen[uuid], uuid) end
      server:set{ jobs = 60 }
      for page in jobs.pages({ per_page = 10 }, { prefetch = 0 }) do
        if page.meta.page == 2 then server:decay(60) end
      end
    end)

    for name, links in pairs{
      ["null"] = cjson.null, ["a string"] = "next", ["a number"] = 5, ["an array"] = { {} },
      ["false"] = false, ["an empty object"] = {}, ["pages that are null"] = { pages = cjson.null },
      ["pages that are a string"] = { pages = "next" }, ["a next of null"] = {
        pages = { next = cjson.null } },
      ["a next of another type"] = { pages = { next = { 5 } } },
      ["an empty next"] = { pages = { next = "" } },
      ["only a last"] = { pages = { last = "https://example.com/?page=1" } },
    } do
      it("on links with " .. name, function()
        for _, keep_nulls in ipairs{ false, true } do
          script_pages{ { jobs = jobs_named("a", "b"), links = links } }
          local asked = new_client{ keep_nulls = keep_nulls }
          local count = 0
          for _ in asked.indexing_jobs.each() do count = count + 1 end
          assert.equal(2, count)
        end
        assert.equal(2, server:connections().requests)
      end)
    end

    for name, meta in pairs{
      ["null"] = cjson.null, ["a string"] = "meta", ["an array"] = { 1, 2 },
      ["pages of null"] = { pages = cjson.null }, ["pages of a string"] = { pages = "2" },
      ["pages of a fraction"] = { pages = 1.5 }, ["an empty object"] = {},
    } do
      it("on links where meta is no help, being " .. name, function()
        for _, keep_nulls in ipairs{ false, true } do
          script_pages{
            { jobs = jobs_named("a"), meta = meta, links = { pages = { next = "/?page=2" } } },
            { jobs = jobs_named("b"), meta = meta, links = { pages = { previous = "/?page=1" } } },
          }
          local asked = new_client{ keep_nulls = keep_nulls }
          local count = 0
          for _ in asked.indexing_jobs.each() do count = count + 1 end
          assert.equal(2, count)
        end
      end)
    end

    for name, next_link in pairs{
      ["without a number"] = "https://example.com/v2/gen-ai/indexing_jobs?cursor=abc",
      ["with a number beyond all bounds"] = "https://example.com/?page=99999999999999999999999",
      ["with an escaped query"] = "https://example.com/?per_page=1&page=2#fragment",
    } do
      it("not on a next link " .. name, function()
        script_pages{
          { jobs = jobs_named("a"), links = { pages = { next = next_link } } },
          { jobs = jobs_named("b") },
        }
        assert.same({ "a", "b" }, each_uuids())
      end)
    end

    it("not on a last link that contradicts the next one", function()
      script_pages{
        { jobs = jobs_named("a"), links = { pages = { next = "/?page=2", last = "/?page=1" } } },
        { jobs = jobs_named("b") },
      }
      assert.same({ "a", "b" }, each_uuids())
    end)
  end)

  describe("of a list that changes", function()
    for _, growth in ipairs{ 1, 4, 9 } do
      it(("by %d new jobs a request yields every job once"):format(growth), function()
        for _, prefetch in ipairs{ 0, 1, 4 } do
          server:set{ jobs = 60, growth = 0 }
          local expected = all_uuids()
          server:set{ growth = growth }
          local uuids = {}
          for job in jobs.each({ per_page = 20 }, { prefetch = prefetch }) do
            uuids[#uuids + 1] = job.uuid
          end
          local seen = assert_distinct(uuids)
          for _, uuid in ipairs(expected) do assert.is_true(seen[uuid], uuid) end
        end
      end)
    end

    it("by jobs that are removed from pages already read goes back for those that moved", function()
      script_pages{
        { jobs = jobs_named("a", "b"), meta = { pages = 3, total = 6 } },
        { jobs = jobs_named("d", "e"), meta = { pages = 3, total = 5 } }, -- "a" is gone
        { jobs = jobs_named("f"), meta = { pages = 3, total = 5 } },
      }
      server:script{
        { match = { page = 1 }, status = 200, body = cjson.encode{
          jobs = jobs_named("b", "c"), meta = { pages = 3, total = 5 } } },
        { match = { page = 2 }, status = 200, body = cjson.encode{
          jobs = jobs_named("d", "e"), meta = { pages = 3, total = 5 } } },
      }
      assert.same({ "a", "b", "c", "d", "e", "f" }, each_uuids{ per_page = 2 })
      assert.equal(5, server:connections().requests)
    end)

    it("by one job less with every request still ends", function()
      server:set{ jobs = 200, decay = 1 }
      assert_distinct(each_uuids{ per_page = 20 })
      assert.is_true(server:connections().requests <= 30, server:connections().requests)
    end)

    it("to no pages at all, as its meta says, goes by its links", function()
      script_pages{
        { jobs = jobs_named("a"), meta = { page = 0, pages = 0, total = 0 },
          links = { pages = { next = "/?page=2" } } },
        { jobs = jobs_named("b"), meta = { page = 0, pages = 0, total = 0 } },
      }
      assert.same({ "a", "b" }, each_uuids())
    end)

    it("between two pages that travel together asks again for what fell between them", function()
      local expected = all_uuids()
      server:set{ growth = 1 }
      -- page 2 is cut from the list after page 3, so both leave out one job
      server:script{ { match = { page = 2 }, delay = 0.05 } }
      local uuids = each_uuids({ per_page = 20 }, { prefetch = 2 })
      local seen = assert_distinct(uuids)
      for _, uuid in ipairs(expected) do assert.is_true(seen[uuid], uuid) end
    end)

    it("by as many jobs as fit on a page goes on", function()
      script_pages{
        { jobs = jobs_named("c", "d"), meta = { pages = 2, total = 4 } },
        { jobs = jobs_named("c", "d"), meta = { pages = 3, total = 6 } },
        { jobs = jobs_named("e", "f"), meta = { pages = 3, total = 6 } },
      }
      assert.same({ "c", "d", "e", "f" }, each_uuids{ per_page = 2 })
    end)

    it("without meta by as many jobs as fit on a page goes on", function()
      script_pages{
        { jobs = jobs_named("c", "d"), links = { pages = { next = "/?page=2" } } },
        { jobs = jobs_named("c", "d"), links = { pages = { next = "/?page=3" } } },
        { jobs = jobs_named("e", "f") },
        {},
      }
      assert.same({ "c", "d", "e", "f" }, each_uuids{ per_page = 2 })
    end)

    it("by a job that appears on two pages yields it once", function()
      script_pages{
        { jobs = jobs_named("a", "b", "a"), meta = { pages = 2 } },
        { jobs = jobs_named("b", "c"), meta = { pages = 2 } },
      }
      assert.same({ "a", "b", "c" }, each_uuids())
    end)
  end)

  describe("of a list that changes between two answers", function()
    -- Walks; returns what it yields, what is there all the time, and how many requests it takes.
    local function walk(settings, change, params, options)
      server:set{ jobs = settings.jobs or 250, active = 0, fields = "reference", change = false }
      for name, value in pairs(settings) do server:set{ [name] = value } end
      local lasting = {}
      for job in jobs.each() do lasting[job.uuid] = true end
      server:set{ change = change }
      local before = server:connections().requests
      local uuids = each_uuids(params, options)
      local used = server:connections().requests - before
      server:set{ change = false }
      local left = {}
      for job in jobs.each() do left[job.uuid] = lasting[job.uuid] end
      return uuids, left, used
    end

    local kinds = {
      ["one job is created at a time"] = { create = 1 },
      ["several jobs are created at a time"] = { create = 7, after = 2 },
      ["one job is deleted at a time"] = { remove = 1 },
      ["several jobs are deleted at a time"] = { remove = 5 },
      ["the oldest is deleted each time"] = { decay = 1 },
      ["a job is replaced each time"] = { create = 1, remove = 1 },
      ["the list is rotated by one each time"] = { create = 1, decay = 1 },
      ["the list is rotated by a page once"] = { create = 20, decay = 20, after = 3, times = 1 },
      ["many are created at once"] = { create = 200, after = 3, times = 1 },
      ["many are deleted at once"] = { remove = 100, after = 6, times = 1 },
      ["many of the oldest are deleted at once"] = { decay = 100, after = 6, times = 1 },
      ["everything happens"] = { create = 3, remove = 2, decay = 1 },
    }
    for name, change in pairs(kinds) do
      it("yields what is there all the time, once, when " .. name, function()
        for _, prefetch in ipairs{ 0, 1, 2, 8 } do
          local uuids, left, used = walk({}, change, { per_page = 20 }, { prefetch = prefetch })
          local seen = assert_distinct(uuids)
          for uuid in pairs(left) do assert.is_true(seen[uuid], uuid) end
          assert.is_true(used <= 4 * 13 + 4 * prefetch, used)
        end
      end)
    end

    it("takes one request more after a burst of deletions, none after one of new jobs", function()
      for _, change in ipairs{
        { create = 440, after = 30, times = 1 }, { decay = 440, after = 30, times = 1 },
      } do
        local uuids, left, used = walk({ jobs = 1200 }, change, { per_page = 20 })
        local seen = assert_distinct(uuids)
        for uuid in pairs(left) do assert.is_true(seen[uuid], uuid) end
        assert.is_true(used <= 64, used)
      end
    end)

    it("does not yield what was in front of its first page", function()
      server:set{ jobs = 100, active = 0 }
      local first_two = assert(jobs.list{ per_page = 40 }).jobs
      server:set{ change = { remove = 10, times = 1 } }
      local seen = assert_distinct(each_uuids({ page = 3, per_page = 20 }, { prefetch = 0 }))
      for _, job in ipairs(first_two) do assert.is_nil(seen[job.uuid]) end
    end)
  end)

  describe("slows down", function()
    it("at a rate limit that it has hit itself, and ends", function()
      server:set{ jobs = 200, rate = { limit = 5, window = 0.1, retry_after = "ms" } }
      local shared = new_client{ max_retries = 2 }
      local count = 0
      for _ in shared.indexing_jobs.each({ per_page = 5 }, { prefetch = 16 }) do
        count = count + 1
      end
      assert.equal(200, count)
    end)

    it("by half for one burst of refusals", function()
      server:set{ jobs = 400, latency = 0.2 } -- enough for all of a burst to arrive
      server:script{
        { skip = 1, times = 16, status = 429, headers = { ["retry-after-ms"] = "50" } },
      }
      local shared = new_client{ max_retries = 2 }
      local iterate = shared.indexing_jobs.each({ per_page = 5 }, { prefetch = 16 })
      for _ = 1, 10 do iterate() end
      local log, refused_at, most = server:requests(), 0, 0
      for _, request in ipairs(log) do
        if request.status == 429 then refused_at = request.answered end
      end
      for _, request in ipairs(log) do -- those on their way when this one came
        local under_way = 0
        for _, other in ipairs(log) do
          if other.received > refused_at and other.received <= request.received
            and (other.answered or math.huge) > request.received then
            under_way = under_way + 1
          end
        end
        most = math.max(most, under_way)
      end
      assert.is_true(8 <= most and most <= 9, most)
    end)

    it("but gives up when nothing comes through", function()
      server:script{ { skip = 3, forever = true, status = 429,
        headers = { ["retry-after-ms"] = "1" } } }
      local shared = new_client{ max_retries = 2 }
      local ok, err = pcall(function()
        for _ in shared.indexing_jobs.each({ per_page = 5 }, { prefetch = 0 }) do
          assert.is_true(true)
        end
      end)
      assert.is_false(ok)
      assert.equal("rate_limit", err.kind)
      assert.equal(3, err.attempts)
    end)
  end)

  describe("filters by", function()
    local function count_of(params, accepts)
      local count = 0
      for job in jobs.each(params) do
        assert.is_true(accepts(job))
        count = count + 1
      end
      for job in jobs.each() do count = count - (accepts(job) and 1 or 0) end
      assert.equal(0, count)
    end

    before_each(function() server:set{ jobs = 250 } end)

    it("phase, status and knowledge base", function()
      local phase, status = gradient.phase, gradient.status
      count_of({ phase = phase.SUCCEEDED }, function(job) return job.phase == phase.SUCCEEDED end)
      count_of({ phase = { phase.FAILED, phase.ERROR }, per_page = 30 }, function(job)
        return job.phase == phase.FAILED or job.phase == phase.ERROR
      end)
      count_of({ phase = phase.SUCCEEDED, status = { status.PARTIAL, "NEW" } }, function(job)
        return job.phase == phase.SUCCEEDED and job.status == status.PARTIAL
      end)
      count_of({ phase = "BATCH_JOB_PHASE_NEW" }, function() return false end)
      count_of({ phase = {} }, function() return false end)
    end)

    it("the time of creation, without relying on the order", function()
      script_pages{ { jobs = {
        { uuid = "a", created_at = "2026-01-01T00:00:00Z" },
        { uuid = "b", created_at = "2026-03-01T00:00:00.5Z" },
        { uuid = "c" }, { uuid = "d", created_at = "0001-01-01T00:00:00Z" },
        { uuid = "e", created_at = "2026-03-01T02:00:00+02:00" },
      } } }
      assert.same({ "b", "e" }, each_uuids{ since = "2026-03-01T00:00:00Z" })
      local latest = assert(jobs.list{ per_page = 3 }).jobs
      local since = gradient.timestamp(latest[3].created_at)
      assert.same(uuids_of(latest), each_uuids{ since = since })
      assert.same({}, each_uuids{ since = os.time() + 1000.5 })
    end)

    it("nothing that is no string, or no time", function()
      local raises = misuse.raises
      raises(function() jobs.each{ phase = 5 } end,
        "parameter 'phase' must be a non-empty string or a sequence of them, not 5")
      raises(function() jobs.each{ status = { "a", 5 } } end,
        "parameter 'status' must be a sequence of non-empty strings, but element 2 is 5")
      raises(function() jobs.each{ since = "yesterday" } end, "parameter 'since' is"
        .. " not an RFC 3339 date-time such as 2023-01-01T00:00:00Z: \"yesterday\"")
      raises(function() jobs.each{ since = true } end, "parameter 'since' must be"
        .. " an RFC 3339 date-time or a number of seconds since the epoch, not a boolean")
      raises(function() jobs.each{ since = 0 / 0 } end, "parameter 'since' must be an RFC 3339"
        .. " date-time or a number of seconds since the epoch, not " .. tostring(0 / 0))
      raises(function() jobs.pages{ phase = "a" } end,
        "unknown parameter 'phase' (expected page, per_page)")
    end)
  end)

  describe("never follows", function()
    it("a link, and sends the token nowhere else", function()
      local other <close> = api.start{ jobs = 60 }
      for _, links_alone in ipairs{ false, true } do
        server:set{ public_url = other.url, meta = not links_alone }
        assert.equal(60, #each_uuids{ per_page = 25 })
      end
      assert.equal(6, server:connections().requests)
      assert.equal(0, other:connections().requests)
    end)
  end)

  describe("leaves nothing behind", function()
    local each, descriptors

    before_each(function()
      client:close()
      descriptors = waiting.open_descriptors()
      client = new_client{ max_retries = 0 }
      jobs = client.indexing_jobs
      server:script{ { forever = true, match = { page = 2 }, steps = { { hang = true } } } }
      each = function() return jobs.each({ per_page = 5 }, { prefetch = 4 }) end
    end)

    local function await_second_page()
      server:await{ requests = 2, in_progress = 1 }
    end

    after_each(function()
      server:await{ in_progress = 0 }
      client:close()
      local received = server:await{ open = 0 }.requests
      assert.is_true(received <= 5, received)
      assert.equal(descriptors, waiting.open_descriptors())
    end)

    it("on break", function()
      for _ in each() do
        await_second_page()
        break
      end
    end)

    it("on return", function()
      local function first()
        for job in each() do
          await_second_page()
          return job
        end
      end
      assert.is_table(first())
    end)

    it("on goto", function()
      for _ in each() do
        await_second_page()
        goto out
      end
      ::out::
    end)

    it("on an error in the loop, which comes through as it is", function()
      local mine = {}
      local ok, err = pcall(function()
        for _ in each() do
          await_second_page()
          error(mine)
        end
      end)
      assert.is_false(ok)
      assert.equal(mine, err)
    end)

    it("when it is dropped", function()
      assert.is_table(each()())
      await_second_page()
      collectgarbage()
      collectgarbage()
    end)

    it("when its coroutine is dropped", function()
      assert.is_table(coroutine.wrap(function()
        for job in each() do coroutine.yield(job) end
      end)())
      await_second_page()
      collectgarbage()
      collectgarbage()
    end)

    it("when its coroutine is closed", function()
      local thread = coroutine.create(function()
        for job in each() do coroutine.yield(job) end
      end)
      assert(coroutine.resume(thread))
      await_second_page()
      assert(coroutine.close(thread))
    end)

    it("when a page fails", function()
      local ok, err = pcall(function()
        for _ in jobs.each({ per_page = 5 }, { prefetch = 4, timeout = 0.3 }) do
          await_second_page()
        end
      end)
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
    end)
  end)

  describe("shared by coroutines", function()
    it("gives each item to one of them", function()
      for _, prefetch in ipairs{ 0, 1, 4 } do
        local shared = new_client{ wait = coroutine.yield }
        server:set{ latency = 0.005 }
        local uuids, workers, idle = {}, {}, 0
        local following = shared.indexing_jobs.each({ per_page = 5 }, { prefetch = prefetch })
        for worker = 1, 4 do
          workers[worker] = function()
            local before = #uuids
            for job in following do
              uuids[#uuids + 1] = job.uuid
              coroutine.yield({}, 0.001) -- does something with it
            end
            if #uuids == before then idle = idle + 1 end
          end
        end
        waiting.together(workers)
        assert_distinct(uuids)
        assert.equal(60, #uuids)
        assert.equal(0, idle)
      end
    end)

    it("gives each page to one of them", function()
      local shared = new_client{ wait = coroutine.yield }
      local numbers, workers = {}, {}
      local following = shared.indexing_jobs.pages{ per_page = 5 }
      for worker = 1, 3 do
        workers[worker] = function()
          for page in following do numbers[#numbers + 1] = page.meta.page end
        end
      end
      waiting.together(workers)
      table.sort(numbers)
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, numbers)
    end)

    it("whose on_event lets the others go on, gives each item to one of them", function()
      for _, prefetch in ipairs{ 0, 1, 4 } do
        local uuids, workers = {}, {}
        local shared = new_client{ wait = coroutine.yield, on_event = function()
          coroutine.yield({}, 0)
        end }
        local following = shared.indexing_jobs.each({ per_page = 5 }, { prefetch = prefetch })
        for worker = 1, 4 do
          workers[worker] = function()
            for job in following do uuids[#uuids + 1] = job.uuid end
          end
        end
        waiting.together(workers)
        assert_distinct(uuids)
        assert.equal(60, #uuids)
      end
    end)

    it("ends for all of them when one ends it", function()
      server:set{ latency = 0.02 }
      local shared = new_client{ wait = coroutine.yield }
      local following, _, _, iteration = shared.indexing_jobs.pages{ per_page = 5 }
      local counts = {}
      waiting.together{
        function() for _ in following do counts[#counts + 1] = 1 end end,
        function() iteration:close() end,
      }
      assert.same({}, counts)
    end)
  end)

  describe("failure", function()
    it("raises the error value, and again when it is asked for more", function()
      server:script{ { match = { page = 2 }, status = 404 } }
      local following = jobs.each({ per_page = 20 }, { prefetch = 0 })
      for _ = 1, 20 do assert.is_table(following()) end
      local ok, err = pcall(following)
      assert.is_false(ok)
      assert.equal("not_found", err.kind)
      assert.equal("gradient.error", getmetatable(err).__name)
      assert.equal(err, select(2, pcall(following))) -- an end would pass for the whole list
      assert.equal(2, server:connections().requests)
    end)

    it("in on_event loses nothing", function()
      for _, prefetch in ipairs{ 0, 1, 4 } do
        for nth = 1, 9 do
          local events = 0
          local tripping = new_client{ on_event = function()
            events = events + 1
            if events % 10 == nth then error("mine", 0) end
          end }
          local following = tripping.indexing_jobs.each({ per_page = 5 }, { prefetch = prefetch })
          local uuids, raised = {}, 0
          while true do
            local ok, job = pcall(following)
            if ok and not job then break end
            if ok then
              uuids[#uuids + 1] = job.uuid
            else
              assert.equal("mine", job)
              raised = raised + 1
            end
          end
          assert_distinct(uuids)
          assert.equal(60, #uuids)
          assert.is_true(raised > 0)
        end
      end
    end)

    it("of a later page waits for the pages before", function()
      server:script{
        { match = { page = 4 }, status = 403 }, { match = { page = 2 }, delay = 0.05 },
      }
      local pages = 0
      local ok, err = pcall(function()
        for _ in jobs.pages({ per_page = 10 }, { prefetch = 5 }) do pages = pages + 1 end
      end)
      assert.is_false(ok)
      assert.equal("permission_denied", err.kind)
      assert.equal(3, pages)
    end)

    it("by time-out is not that of a program that was busy itself", function()
      server:set{ latency = 0.05 }
      local count = 0
      for _ in jobs.pages({ per_page = 20 }, { timeout = 0.4 }) do
        count = count + 1
        socket.sleep(0.5)
      end
      assert.equal(3, count)
    end)
  end)

  describe("with requests of its own under way", function()
    local function processor_time_of_slow_list()
      -- page 2 of the outer iteration is answered while the inner call still waits
      server:script{
        { match = { page = 2 }, delay = 0.05 }, { match = { page = 1 }, skip = 1, delay = 0.4 },
      }
      for _ in jobs.pages({ per_page = 5 }, { prefetch = 3 }) do
        local before = os.clock()
        assert(jobs.list{ per_page = 1 })
        return os.clock() - before
      end
    end

    it("does not keep another call busy", function()
      local seconds = processor_time_of_slow_list()
      assert.is_true(seconds < 0.2, seconds)
    end)

    it("does not keep another call's pause busy", function()
      server:script{
        { match = { page = 2 }, delay = 0.05 },
        { match = { page = 1 }, skip = 1, status = 503, headers = { ["retry-after-ms"] = "400" } },
      }
      for _ in jobs.pages{ per_page = 5 } do
        local before = os.clock()
        local _, response = assert(jobs.list({ per_page = 1 }, { max_retries = 1 }))
        assert.equal(2, response.attempts)
        assert.is_true(os.clock() - before < 0.2, os.clock() - before)
        break
      end
    end)

    it("does not let another call's wait return over and over", function()
      local waits = 0
      jobs = new_client{ wait = function(fds, seconds)
        waits = waits + 1
        waiting.poll(fds, seconds)
      end }.indexing_jobs
      processor_time_of_slow_list()
      assert.is_true(waits < 50, waits)
    end)
  end)

  it("raises a mistake in its arguments at the caller's line", function()
    local raises = misuse.raises
    for _, name in ipairs{ "each", "pages" } do
      local iterate = jobs[name]
      raises(function() iterate({}, { prefetch = -1 }) end,
        "option 'prefetch' must be a whole number from 0, not -1")
      raises(function() for _ in iterate({}, { prefetch = "2" }) do error() end end,
        "option 'prefetch' must be a whole number from 0, not a string")
      raises(function() iterate({}, { token = "x" }) end, "unknown option 'token' (expected"
        .. " connect_timeout, headers, max_retries, prefetch, query, timeout,"
        .. " total_timeout)")
      raises(function() iterate{ page = 0 } end,
        "parameter 'page' must be a whole number from 1, not 0")
      raises(function() iterate({}, { query = { page = "1" } }) end,
        "'page' is a parameter; it cannot be in options.query")
    end
    raises(function() jobs.pages{ perpage = 5 } end,
      "unknown parameter 'perpage' (expected page, per_page)")
    assert.equal(0, server:connections().requests)
  end)
end)
