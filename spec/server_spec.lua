--- Pins down the local API server, as seen by clients that have nothing to do with this module:
-- plain sockets and the curl command.

local cjson = require("cjson").new()
local socket = require("socket")
local apis = require("spec.support.api")
local gzip = require("spec.server.gzip")
local json = require("spec.server.json")
local nginx = require("spec.support.nginx")
local stores = require("spec.server.store")
local tls = require("spec.support.tls")

local LIST = "/v2/gen-ai/indexing_jobs"

--- A connection to the server that sends requests and reads answers.
local client_methods = {}

function client_methods:send(method, path, options)
  options = options or {}
  local lines = { ("%s %s HTTP/%s"):format(method, path, options.version or "1.1") }
  local token = options.token == nil and "test-token" or options.token
  lines[#lines + 1] = "Host: " .. (options.host or "127.0.0.1:" .. self.port)
  lines[#lines + 1] = token and "Authorization: Bearer " .. token or nil
  if options.body then
    lines[#lines + 1] = "Content-Length: " .. #options.body
  end
  table.move(options.headers or {}, 1, #(options.headers or {}), #lines + 1, lines)
  assert(self.socket:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")))
end

--- Reads one answer; nil and why not, if there is none.
function client_methods:receive()
  local line, why = self.socket:receive("*l")
  if not line then
    return nil, why
  end
  local answer = { status = tonumber(line:match("^HTTP/1%.%d (%d+)")), headers = {} }
  for field in
    function()
      local text = self.socket:receive("*l")
      return text ~= "" and text or nil
    end
  do
    local name, value = field:match("^([^:]+): (.*)$")
    answer.headers[name] = value
  end
  local length = tonumber(answer.headers["content-length"])
  answer.body = length and (length == 0 and "" or assert(self.socket:receive(length)))
  if answer.body and (answer.headers["content-type"] or ""):find("json") then
    local ok, value = pcall(cjson.decode, answer.body)
    answer.json = ok and value or nil
  end
  return answer
end

function client_methods:request(...)
  self:send(...)
  return self:receive()
end

--- Everything that comes until the connection ends, and how it ends.
function client_methods:drain()
  local text, why, rest = self.socket:receive("*a")
  return text or rest, why
end

function client_methods:close()
  self.socket:close()
end

local client_metatable = { __index = client_methods, __close = client_methods.close }

local function connect(api)
  local connection = assert(socket.connect("127.0.0.1", api.port))
  connection:settimeout(5)
  return setmetatable({ socket = connection, port = api.port }, client_metatable)
end

--- Output of the curl command and its exit status.
local function curl(arguments)
  local pipe = assert(io.popen("curl -sS -m 5 " .. arguments .. " 2>&1", "r"))
  local text = pipe:read("a")
  local _, _, code = pipe:close()
  return text, code
end

describe("the local API server", function()
  local api, client

  setup(function()
    api = apis.start({ jobs = 250 })
  end)

  teardown(function()
    api:stop()
  end)

  before_each(function()
    api:reset()
    client = connect(api)
  end)

  after_each(function()
    client:close()
  end)

  local function get(path, options)
    return assert(client:request("GET", path, options))
  end

  describe("pages", function()
    it("are of 20 jobs unless asked for otherwise", function()
      local page = get(LIST).json
      assert.equal(20, #page.jobs)
      assert.same({ page = 1, pages = 13, total = 250 }, page.meta)
    end)

    it("are of 200 jobs at the most", function()
      assert.equal(200, #get(LIST .. "?per_page=200").json.jobs)
      local answer = get(LIST .. "?per_page=201")
      assert.equal(422, answer.status)
      assert.equal("unprocessable_entity", answer.json.id)
    end)

    for _, bad in ipairs({ "page=0", "page=abc", "page=-1", "page=1.5", "page=", "per_page=0" }) do
      it("refuse " .. bad, function()
        assert.equal(422, get(LIST .. "?" .. bad).status)
      end)
    end

    it("have links that make sense, absolute, for the host that was asked", function()
      local base = "http://api.test:81" .. LIST
      local function pages_of(page)
        local answer = get(LIST .. "?per_page=100&page=" .. page, { host = "api.test:81" })
        return answer.json.links.pages
      end
      local first, last = base .. "?page=1&per_page=100", base .. "?page=3&per_page=100"
      local second = base .. "?page=2&per_page=100"
      assert.same({ next = second, last = last }, pages_of(1))
      assert.same({ first = first, previous = first, next = last, last = last }, pages_of(2))
      assert.same({ first = first, previous = second }, pages_of(3))
      assert.same({ first = first, previous = last, last = last }, pages_of(9))
    end)

    it("have no links when one page suffices", function()
      api:set({ jobs = 200 })
      local page = get(LIST .. "?per_page=200").json
      assert.is_nil(page.links)
      assert.same({ page = 1, pages = 1, total = 200 }, page.meta)
    end)

    it("are empty beyond the end, and when there are no jobs", function()
      assert.same({ page = 14, pages = 13, total = 250 }, get(LIST .. "?page=14").json.meta)
      assert.is_nil(get(LIST .. "?page=14").json.jobs)
      assert.is_nil(get(LIST .. "?per_page=200&page=9223372036854775807").json.jobs)
      api:set({ jobs = 0 })
      assert.same({ meta = { page = 1, pages = 1 } }, get(LIST).json)
    end)

    it("hold every job once, the newest first", function()
      api:set({ jobs = 1003 })
      local seen, count, previous = {}, 0, "9"
      for page = 1, 6 do
        for _, job in ipairs(get(LIST .. "?per_page=200&page=" .. page).json.jobs) do
          assert.is_nil(seen[job.uuid])
          assert.is_true(job.created_at <= previous)
          seen[job.uuid], previous, count = true, job.created_at, count + 1
        end
      end
      assert.equal(1003, count)
      assert.equal(1, api:connections().accepted)
    end)

    it("shift when jobs are created meanwhile", function()
      api:set({ growth = 1 })
      local first = get(LIST).json
      local second = get(LIST .. "?page=2").json
      assert.equal(251, second.meta.total)
      assert.equal(first.jobs[20].uuid, second.jobs[1].uuid)
    end)

    it("end earlier when jobs disappear", function()
      api:set({ decay = 60 })
      get(LIST)
      assert.equal(190, get(LIST .. "?page=11").json.meta.total)
      assert.is_nil(get(LIST .. "?page=13").json.jobs)
    end)

    it("can do without meta and links, and claim that there is always more", function()
      api:set({ meta = false, links = false })
      local page = get(LIST).json
      assert.is_nil(page.meta or page.links)
      api:set({ meta = true, links = true, endless = "repeat" })
      page = get(LIST .. "?page=14").json
      assert.equal(20, #page.jobs)
      assert.equal(15, page.meta.pages)
      assert.truthy(page.links.pages.next)
      api:set({ endless = "empty" })
      assert.is_nil(get(LIST .. "?page=14").json.jobs)
    end)

    it("are found under a base path and linked to a public URL", function()
      local other <close> = apis.start({ base_path = "/proxy/do", public_url = "https://do.test" })
      assert.matches("/proxy/do$", other.url)
      local its_client <close> = connect(other)
      assert.equal(404, its_client:request("GET", LIST).status)
      local page = its_client:request("GET", "/proxy/do" .. LIST).json
      assert.matches("^https://do%.test/proxy/do/v2/gen%-ai/", page.links.pages.next)
    end)
  end)

  describe("data", function()
    local ZEROS = { [cjson.null] = true, [""] = true, [0] = true, ["0"] = true, [false] = true }

    -- What is zero, false, empty or not set is left out.
    local function assert_no_zeros(value)
      assert(next(value) ~= nil, "an empty object")
      for name, member in pairs(value) do
        assert(not ZEROS[member], name)
        if type(member) == "table" then
          assert_no_zeros(member)
        end
      end
    end

    it("is consistent, believable, and the same for all who ask", function()
      api:set({ jobs = 2000 })
      local phases = {}
      for page = 1, 10 do
        local text = get(LIST .. "?per_page=200&page=" .. page).body
        local now = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() + 1)
        for _, job in ipairs(cjson.decode(text).jobs) do
          phases[job.phase] = (phases[job.phase] or 0) + 1
          local times = { job.created_at }
          times[#times + 1] = job.started_at
          times[#times + 1] = job.finished_at
          times[#times + 1] = job.updated_at
          times[#times + 1] = now
          for i = 2, #times do
            assert.is_true(times[i - 1] <= times[i])
          end
          assert.is_true((job.completed_datasources or 0) <= (job.total_datasources or 0))
          assert.is_true(#(job.data_source_jobs or {}) <= (job.total_datasources or 0))
          assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", job.uuid)
          assert_no_zeros(job)
        end
        if page > 1 then
          assert.equal(text, get(LIST .. "?per_page=200&page=" .. page).body)
        end
      end
      assert.equal(1, phases.BATCH_JOB_PHASE_PENDING)
      assert.equal(2, phases.BATCH_JOB_PHASE_RUNNING)
      assert.is_true(phases.BATCH_JOB_PHASE_SUCCEEDED > 1600)
      assert.is_true(phases.BATCH_JOB_PHASE_FAILED > 100)
      assert.is_true(phases.BATCH_JOB_PHASE_CANCELLED > 50)
    end)

    it("can have exactly the fields of the reference page", function()
      api:set({ fields = "reference", active = 0 })
      local answer = get(LIST .. "?per_page=200")
      local count = 0
      for _ in pairs(answer.json.jobs[1]) do
        count = count + 1
      end
      assert.equal(15, count)
      assert.is_true(math.abs(#answer.body / 200 - 575) < 25)
    end)

    it("has at most 15 jobs of each knowledge base, and one under way", function()
      for _, settings in ipairs({ { jobs = 2000 }, { jobs = 250, knowledge_bases = 17 } }) do
        api:set(settings)
        local counts, busy = {}, {}
        for page = 1, 10 do
          for _, job in ipairs(get(LIST .. "?per_page=200&page=" .. page).json.jobs or {}) do
            local base = job.knowledge_base_uuid
            counts[base] = (counts[base] or 0) + 1
            assert.is_true(counts[base] <= 15)
            assert.is_false(not job.finished_at and busy[base] or false)
            busy[base] = busy[base] or not job.finished_at
          end
        end
      end
    end)

    it("goes back three years at the most, even if it is a million jobs", function()
      local store = stores.new({ jobs = 1000000, clock = os.time })
      assert.equal(1000000, store:total())
      local last = cjson.decode(json.array(store:list(999800, 200)))
      assert.equal(200, #last)
      assert.is_true(tonumber(last[200].created_at:sub(1, 4)) >= os.date("*t").year - 4)
    end)

    it("is not kept once it was sent", function()
      local store = stores.new({ jobs = 1000000, clock = os.time, fields = "reference" })
      local function walk(from)
        for page = from, from + 74 do
          store:list(page * 200, 200)
        end
        collectgarbage()
        return collectgarbage("count")
      end
      local before = walk(0)
      assert.is_true(walk(75) < before + 6 * 1024)
    end)
  end)

  describe("a job", function()
    local NOBODY = "123e4567-e89b-12d3-a456-426614174000"
    local bases

    before_each(function() bases = api:knowledge_bases() end)

    local function create(body)
      return assert(client:request("POST", LIST, { body = body }))
    end

    local function body_for(base)
      return ('{"knowledge_base_uuid":"%s"}'):format(base)
    end

    local function created(base)
      return create(body_for(base)).json.job
    end

    local function retrieve(uuid)
      return get(LIST .. "/" .. uuid).json.job
    end

    local function names_of(value)
      local names = {}
      for name in pairs(value) do
        names[#names + 1] = name
      end
      table.sort(names)
      return names
    end

    it("is created, runs and succeeds as time passes", function()
      api:set({ duration = 60 })
      local job = created(bases[1])
      assert.same({ "created_at", "knowledge_base_uuid", "phase", "status", "updated_at", "uuid" },
        names_of(job))
      assert.equal("BATCH_JOB_PHASE_PENDING", job.phase)
      assert.equal(bases[1], job.knowledge_base_uuid)
      assert.equal(job.uuid, get(LIST).json.jobs[1].uuid)
      api:advance(30)
      local earlier = retrieve(job.uuid)
      api:advance(20)
      local later = retrieve(job.uuid)
      assert.equal("BATCH_JOB_PHASE_RUNNING", later.phase)
      assert.equal("INDEX_JOB_STATUS_IN_PROGRESS", later.status)
      assert.is_nil(later.finished_at)
      assert.is_true(#later.data_source_jobs > #earlier.data_source_jobs)
      local current = later.data_source_jobs[#later.data_source_jobs]
      assert.equal("DATA_SOURCE_STATUS_IN_PROGRESS", current.status)
      assert.is_true(tonumber(current.indexed_file_count or 0) < tonumber(current.total_file_count))
      assert.is_nil(current.completed_at)
      assert.equal(404, get(LIST .. "/" .. job.uuid .. "/details_signed_url").status)
      api:advance(11)
      local last = retrieve(job.uuid)
      assert.equal("BATCH_JOB_PHASE_SUCCEEDED", last.phase)
      assert.equal("INDEX_JOB_STATUS_COMPLETED", last.status)
      assert.equal(last.total_datasources, last.completed_datasources)
      assert.equal(last.total_datasources, #last.data_source_jobs)
      assert.is_true(last.is_report_available)
    end)

    it("fails when it was told to", function()
      api:set({ outcomes = { [bases[1]] = "failed" } })
      local job, other = created(bases[1]), created(bases[2])
      api:advance(11)
      assert.equal("BATCH_JOB_PHASE_FAILED", retrieve(job.uuid).phase)
      assert.equal("BATCH_JOB_PHASE_SUCCEEDED", retrieve(other.uuid).phase)
      local sources = get(LIST .. "/" .. job.uuid .. "/data_sources").json.indexed_data_sources
      local failed = 0
      for _, source in ipairs(sources) do
        failed = source.status == "DATA_SOURCE_STATUS_FAILED" and failed + 1 or failed
        assert.equal(source.error_msg ~= nil, source.status == "DATA_SOURCE_STATUS_FAILED")
      end
      assert.equal(1, failed)
      assert.equal(404, get(LIST .. "/" .. job.uuid .. "/details_signed_url").status)
    end)

    it("is cancelled, once", function()
      api:set({ duration = 60 })
      local job = created(bases[1])
      local path, body = LIST .. "/" .. job.uuid .. "/cancel", ('{"uuid":"%s"}'):format(job.uuid)
      api:advance(30)
      local answer = assert(client:request("PUT", path, { body = body }))
      assert.equal("BATCH_JOB_PHASE_CANCELLED", answer.json.job.phase)
      assert.equal("INDEX_JOB_STATUS_CANCELLED", retrieve(job.uuid).status)
      answer = assert(client:request("PUT", path, { body = body }))
      assert.equal(409, answer.status)
      assert.equal("conflict", answer.json.id)
      assert.equal(422, client:request("PUT", path, { body = "{}" }).status)
    end)

    it("takes the data sources that it is given", function()
      api:set({ duration = 60 })
      local body = ('{"knowledge_base_uuid":"%s","data_source_uuids":["a","b"]}'):format(bases[1])
      local path = LIST .. "/" .. create(body).json.job.uuid .. "/data_sources"
      assert.same({}, get(path).json)
      api:advance(61)
      local sources = get(path).json.indexed_data_sources
      assert.equal(2, #sources)
      assert.equal("b", sources[2].data_source_uuid)
    end)

    it("is not created from nonsense", function()
      local with_sources = ('{"knowledge_base_uuid":"%s","data_source_uuids":%%s}'):format(bases[1])
      assert.equal(422, create("{}").status)
      assert.equal(422, create('{"knowledge_base_uuid":1}').status)
      assert.equal(422, create(with_sources:format("{}")).status)
      assert.equal(422, create(with_sources:format("[1]")).status)
      assert.equal(422, create(with_sources:format('"a"')).status)
      assert.equal(200, create(with_sources:format("[]")).status)
      assert.equal(400, create("knowledge").status)
      assert.equal(404, create(body_for("nowhere")).status)
      assert.equal(404, create(body_for(NOBODY)).status)
    end)

    it("is refused while its knowledge base has one under way", function()
      created(bases[1])
      for _, status in ipairs({ 409, 400, 422 }) do
        api:set({ busy = status })
        local answer = create(body_for(bases[1]))
        assert.equal(status, answer.status)
        assert.matches("already has an indexing job running", answer.json.message)
      end
      api:set({ busy = false })
      assert.equal(200, create(body_for(bases[1])).status)
      api:advance(11)
      api:set({ busy = 409 })
      assert.equal(200, create(body_for(bases[1])).status)
    end)

    it("takes the oldest of its knowledge base out when that has 15", function()
      api:set({ jobs = 30, active = 0, knowledge_bases = 2 })
      bases = api:knowledge_bases()
      local path = "/v2/gen-ai/knowledge_bases/" .. bases[1] .. "/indexing_jobs"
      local before = get(path).json
      assert.equal(15, #before.jobs)
      assert.same({ page = 1, pages = 1, total = 15 }, before.meta)
      local job = created(bases[1])
      local after = get(path).json.jobs
      assert.equal(15, #after)
      assert.equal(job.uuid, after[1].uuid)
      for i = 2, 15 do
        assert.equal(before.jobs[i - 1].uuid, after[i].uuid)
      end
      assert.equal(404, get(LIST .. "/" .. before.jobs[15].uuid).status)
      local all = get(LIST .. "?per_page=200").json
      assert.equal(30, all.meta.total)
      assert.equal(30, #all.jobs)
      assert.equal(404, get("/v2/gen-ai/knowledge_bases/" .. NOBODY .. "/indexing_jobs").status)
    end)

    it("that nobody knows is not found", function()
      for _, path in ipairs({ "", "/data_sources", "/details_signed_url" }) do
        local answer = get(LIST .. "/" .. NOBODY .. path)
        assert.equal(404, answer.status)
        assert.equal("not_found", answer.json.id)
        assert.equal(answer.headers["x-request-id"], answer.json.request_id)
      end
      assert.equal(404, get(LIST .. "/a%20b").status)
      assert.equal(404, get(LIST .. "/a/b/c").status)
      assert.equal(405, client:request("DELETE", LIST).status)
    end)

    describe("has a report", function()
      local url

      before_each(function()
        local uuid = created(bases[1]).uuid
        api:advance(11)
        url = get(LIST .. "/" .. uuid .. "/details_signed_url").json.signed_url
      end)

      local function fetch(at, arguments)
        return curl(("%s -w '%%{http_code}' '%s'"):format(arguments or "", at or url))
      end

      it("at another port, for those who know the URL", function()
        assert.not_equal(api.port, tonumber(url:match(":(%d+)/")))
        local text = fetch()
        assert.matches("^data_source_uuid,file,status,error\r\n", text)
        assert.matches("200$", text)
        local log = api:storage_requests()
        assert.equal(1, #log)
        assert.is_nil(log[1].headers.authorization)
        assert.equal(200, log[1].status)
        assert.equal(url:match("^http://[^/]+(.*)$"), log[1].target)
      end)

      it("for no others", function()
        assert.matches("403$", (fetch((url:gsub("Signature=%x", "Signature=z")))))
        assert.matches("400$", (fetch(url, "-H 'authorization: Bearer test-token'")))
        assert.matches("404$", (fetch((url:gsub("/[^/]+/details", "/" .. NOBODY .. "/details")))))
        api:advance(901)
        assert.matches("403$", (fetch()))
      end)

      it("that a script can spoil without touching the API", function()
        api:script({ { status = 503, match = { storage = true } }, { status = 500 } })
        assert.matches("503$", (fetch()))
        assert.equal(500, get(LIST).status)
        assert.matches("200$", (fetch()))
      end)
    end)
  end)

  describe("a knowledge base", function()
    local BASES = "/v2/gen-ai/knowledge_bases"

    it("is listed with its latest job, the newest first", function()
      local page = get(BASES).json
      assert.same({ page = 1, pages = 2, total = 36 }, page.meta)
      local names = {}
      for _, base in ipairs(page.knowledge_bases) do
        names[base.name] = true
        assert.equal(base.uuid, base.last_indexing_job.knowledge_base_uuid)
      end
      assert.is_true(names["product-manuals"])
      local uuid = api:create_knowledge_base({ name = "brand new" })
      local newest = get(BASES).json.knowledge_bases[1]
      assert.same({ uuid, "brand new" }, { newest.uuid, newest.name })
      assert.is_nil(newest.last_indexing_job)
      api:create_knowledge_base({ name = "brand new" })
      assert.equal("brand new", get(BASES).json.knowledge_bases[2].name)
      assert.equal(16, #get(BASES .. "?per_page=22&page=2").json.knowledge_bases)
      api:set({ jobs = 0, knowledge_bases = 1 })
      page = get(BASES).json
      assert.equal(1, #page.knowledge_bases)
      assert.same({}, page.links)
    end)

    it("has a database that takes its time, and refuses jobs until then", function()
      local uuid = api:create_knowledge_base({ database_time = 30 })
      local body = ('{"knowledge_base_uuid":"%s"}'):format(uuid)
      assert.equal("CREATING", get(BASES .. "/" .. uuid).json.database_status)
      local answer = client:request("POST", LIST, { body = body })
      assert.same({ 400, "failed to get db creds" }, { answer.status, answer.json.message })
      api:advance(31)
      assert.equal("ONLINE", get(BASES .. "/" .. uuid).json.database_status)
      assert.equal(200, client:request("POST", LIST, { body = body }).status)
      local ill = api:create_knowledge_base({ database_status = "UNHEALTHY" })
      assert.equal("CREATING", get(BASES .. "/" .. ill).json.database_status)
      api:advance(11)
      assert.equal("UNHEALTHY", get(BASES .. "/" .. ill).json.database_status)
      assert.equal("ONLINE", get(BASES .. "/" .. api:knowledge_bases()[1]).json.database_status)
      assert.equal(404, get(BASES .. "/nowhere").status)
    end)

    it("has data sources", function()
      local uuid = api:knowledge_bases()[1]
      local path = BASES .. "/" .. uuid .. "/data_sources"
      local page = get(path).json
      assert.equal(page.meta.total, #page.knowledge_base_data_sources)
      assert.is_true(page.meta.total > 1)
      assert.same({}, page.links)
      assert.equal(1, #get(path .. "?per_page=1&page=2").json.knowledge_base_data_sources)
      assert.equal(404, get(BASES .. "/nowhere/data_sources").status)
    end)

    it("can be indexed on a schedule", function()
      local path = "/v2/gen-ai/scheduled-indexing"
      local uuid = api:knowledge_bases()[1]
      local function create(fields)
        return client:request("POST", path, {
          body = ('{"knowledge_base_uuid":"%s",%s}'):format(uuid, fields),
        })
      end
      assert.equal(404, get(path .. "/knowledge-base/" .. uuid).status)
      local info = create('"time":"18:00","days":[1,7]').json.indexing_info
      assert.same({ uuid, "18:00:00", { 1, 7 }, true },
        { info.knowledge_base_uuid, info.time, info.days, info.is_active })
      assert.matches("T18:00:00Z$", info.next_run_at)
      assert.equal(info.uuid, get(path .. "/knowledge-base/" .. uuid).json.indexing_info.uuid)
      assert.equal(409, create('"time":"18:00","days":[1,7]').status)
      local deleted = client:request("DELETE", path .. "/" .. info.uuid).json.indexing_info
      assert.is_nil(deleted.is_active)
      assert.is_string(deleted.deleted_at)
      assert.equal(404, get(path .. "/knowledge-base/" .. uuid).status)
      assert.equal(404, client:request("DELETE", path .. "/" .. info.uuid).status)
      for _, fields in ipairs({
        '"time":"24:00","days":[1]',
        '"time":"18:00"',
        '"time":"18:00","days":[]',
        '"time":"18:00","days":[8]',
      }) do
        assert.equal(422, create(fields).status)
      end
    end)
  end)

  describe("requests", function()
    it("need the token", function()
      for _, token in ipairs({ false, "wrong", "test-token2" }) do
        local answer = get(LIST, { token = token })
        assert.equal(401, answer.status)
        assert.equal("unauthorized", answer.json.id)
        assert.equal("Unable to authenticate you.", answer.json.message)
        assert.matches("^%x+%-", answer.json.request_id)
      end
      api:set({ tokens = { "one", "two" } })
      assert.equal(200, get(LIST, { token = "two" }).status)
      assert.equal(401, get(LIST).status)
    end)

    it("are logged as they came", function()
      get("/v2/gen-ai/indexing_jobs?page=2&x=a%20b", { headers = { "X-One: 1", "X-One: 2" } })
      client:request("POST", LIST, { body = "hello" })
      local log = api:requests()
      assert.equal(2, #log)
      assert.equal("/v2/gen-ai/indexing_jobs?page=2&x=a%20b", log[1].target)
      assert.same({ page = "2", x = "a b" }, log[1].query)
      assert.equal(2, log[1].page)
      assert.equal("Bearer test-token", log[1].headers.authorization)
      assert.same({ "x-one", "1" }, log[1].header_list[3])
      assert.same({ "x-one", "2" }, log[1].header_list[4])
      assert.equal(200, log[1].status)
      assert.is_true(log[1].received <= log[1].answered)
      assert.equal("POST", log[2].method)
      assert.equal("hello", log[2].body)
      assert.equal(log[1].connection, log[2].connection)
      assert.is_true(log[2].reused)
      assert.equal("integer", math.type(log[1].status))
    end)

    it("are logged up to a number", function()
      api:set({ log = 3 })
      for page = 1, 5 do
        get(LIST .. "?page=" .. page)
      end
      local log = api:requests()
      assert.equal(3, #log)
      assert.equal(5, log[3].page)
      assert.equal(5, log[3].number)
    end)

    it("of HTTP/1.0 are answered, and their connection is closed", function()
      client:send("GET", LIST, { version = "1.0" })
      assert.equal(200, client:receive().status)
      assert.equal("", (client:drain()))
    end)

    it("may be pipelined, and announced with 100-continue", function()
      client:send("GET", LIST .. "?page=2")
      client:send("GET", LIST .. "?page=3")
      assert.equal(2, client:receive().json.meta.page)
      assert.equal(3, client:receive().json.meta.page)
      client:send("POST", LIST, { body = "{}", headers = { "Expect: 100-continue" } })
      assert.equal(100, client:receive().status)
      assert.equal(422, client:receive().status)
    end)

    it("may take the server for a proxy, which refuses to connect", function()
      assert.equal(200, get("http://elsewhere.test" .. LIST).status)
      assert.equal(403, client:request("CONNECT", "elsewhere.test:443").status)
    end)

    it("wait as long as the latency, at the same time", function()
      api:set({ latency = 0.05 })
      local started = socket.gettime()
      assert.equal(200, get(LIST).status)
      assert.is_true(socket.gettime() - started >= 0.05)
      api:set({ latency = 60 })
      local others = {}
      for i = 1, 20 do
        others[i] = connect(api)
        others[i]:send("GET", LIST)
      end
      assert.equal(20, api:await({ in_progress = 20 }).busiest)
      for _, other in ipairs(others) do
        other:close()
      end
      assert.equal(0, api:await({ open = 1 }).in_progress)
    end)

    it("whose client goes away are noticed at once", function()
      api:set({ latency = 60 })
      client:send("GET", LIST)
      api:await({ requests = 1 })
      client:close()
      api:await({ open = 0, in_progress = 0 })
      assert.is_true(api:requests()[1].aborted)
    end)

    it("are limited in number, if so desired", function()
      assert.equal("5000", get(LIST).headers["ratelimit-limit"])
      api:set({ rate = { limit = 2, window = 3000 } })
      local before = os.time()
      assert.equal("1", get(LIST).headers["ratelimit-remaining"])
      local after = os.time()
      assert.equal("0", get(LIST).headers["ratelimit-remaining"])
      local answer = get(LIST)
      assert.equal(429, answer.status)
      assert.equal("too_many_requests", answer.json.id)
      local left = tonumber(answer.headers["retry-after"])
      assert.is_true(left > 2900 and left <= 3000, left)
      local reset = tonumber(answer.headers["ratelimit-reset"])
      assert.is_true(reset >= before + 2999 and reset <= after + 3002, reset - before)
      api:advance(3001)
      assert.equal(200, get(LIST).status)
      api:set({ rate = { limit = 0, window = 30, retry_after = "ms" } })
      assert.equal(5, #get(LIST).headers["retry-after-ms"])
      api:set({ rate = { limit = 0, window = 30, retry_after = "date" } })
      assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d .* GMT$", get(LIST).headers["retry-after"])
      api:set({ rate = { limit = 0, window = 30, retry_after = "none" } })
      assert.is_nil(get(LIST).headers["retry-after"])
    end)
  end)

  describe("a script", function()
    it("answers in its order, then as usual", function()
      api:script({ { status = 500 }, { status = 503, body = "<html>", times = 2 } })
      assert.equal("server_error", get(LIST).json.id)
      assert.equal("<html>", get(LIST).body)
      assert.equal(503, get(LIST).status)
      assert.equal(0, api:pending())
      assert.equal(200, get(LIST).status)
    end)

    it("picks requests by page, path, method, connection, and number", function()
      api:script({
        { status = 500, match = { page = 2 } },
        { status = 501, match = { path = "/knowledge_bases/" } },
        { status = 502, match = { method = "POST" } },
        { status = 503, skip = 1, match = { page = 3 }, forever = true },
      })
      assert.equal(200, get(LIST).status)
      assert.equal(200, get(LIST .. "?page=3").status)
      assert.equal(503, get(LIST .. "?page=3").status)
      assert.equal(503, get(LIST .. "?page=3").status)
      assert.equal(500, get(LIST .. "?page=2").status)
      assert.equal(200, get(LIST .. "?page=2").status)
      assert.equal(502, client:request("POST", LIST, { body = "" }).status)
      assert.equal(501, get("/v2/gen-ai/knowledge_bases/x/indexing_jobs").status)
    end)

    it("changes headers, length and framing", function()
      api:script({
        { headers = { ["X-Extra"] = "1", ["x-request-id"] = false, ["content-type"] = "a/b" } },
        { headers = { { "set-cookie", "a" }, { "set-cookie", "b" } } },
        { chunked = true },
      })
      local answer = get(LIST)
      assert.equal("1", answer.headers["X-Extra"])
      assert.is_nil(answer.headers["x-request-id"])
      assert.equal("a/b", answer.headers["content-type"])
      assert.equal("b", get(LIST).headers["set-cookie"])
      assert.is_nil(get(LIST).body)
    end)

    it("is refused when it makes no sense", function()
      assert.error_matches(function()
        api:script({ { state = 500 } })
      end, "unknown field 'state'")
      assert.error_matches(function()
        api:script({ { steps = { { sned = "x" } } } })
      end, "unknown field 'sned'")
      assert.error_matches(function()
        api:fault("sabotage")
      end, "unknown fault 'sabotage'")
      assert.error_matches(function()
        api:set({ jobz = 1 })
      end, "unknown setting 'jobz'")
    end)
  end)

  describe("the fault", function()
    --- What a client sees of a fault: all bytes, and how the connection ended.
    local function provoke(name, options)
      api:fault(name, options)
      client:send("GET", LIST)
      return client:drain()
    end

    it("silent says nothing until the client goes", function()
      api:fault("silent")
      client:send("GET", LIST)
      api:await({ requests = 1 })
      client.socket:settimeout(0.02)
      assert.same({ nil, "timeout" }, { client:receive() })
      client:close()
      api:await({ open = 0 })
    end)

    it("close and reset end the connection in their way", function()
      assert.equal("", (provoke("close")))
      api:fault("reset")
      assert.equal(56, select(2, curl("-o /dev/null " .. api.url .. LIST)))
    end)

    it("stale gives up a connection that was kept", function()
      api:fault("stale", { finish = "close" })
      assert.equal(200, get(LIST).status)
      client:send("GET", LIST)
      assert.same({ nil, "closed" }, { client:receive() })
      assert.equal("stale", api:requests()[2].fault)
    end)

    it("close_after closes after a whole answer", function()
      api:fault("close_after")
      local answer = get(LIST)
      assert.equal(200, answer.status)
      assert.is_nil(answer.headers.connection)
      assert.equal("", (client:drain()))
    end)

    it("half_status_line, half_headers, half_body break off", function()
      assert.equal("HTTP/1.1 2", (provoke("half_status_line")))
      client = connect(api)
      local text = provoke("half_headers")
      assert.matches("^HTTP/1.1 200 OK\r\n", text)
      assert.is_nil(text:find("\r\n\r\n", 1, true))
      client = connect(api)
      text = provoke("half_body", { share = 0.25 })
      local length = tonumber(text:match("content%-length: (%d+)"))
      local body = text:match("\r\n\r\n(.*)$")
      assert.equal(length // 4, #body)
    end)

    it("slow_headers and slow_body drip", function()
      api:fault("slow_headers", { every = 0.005, match = { page = 1 } })
      api:fault("slow_body", { every = 0.005, chunk = 2, match = { page = 2 } })
      local started = socket.gettime()
      client:send("GET", LIST .. "?page=1")
      assert.equal("HTTP/1.1 200 OK", client.socket:receive("*l"))
      assert.is_true(socket.gettime() - started > 0.07)
      client:close()
      client = connect(api)
      client:send("GET", LIST .. "?page=2")
      repeat
        local line = client.socket:receive("*l")
      until line == ""
      started = socket.gettime()
      assert.equal('{"jobs":[{', client.socket:receive(10))
      assert.is_true(socket.gettime() - started > 0.018)
    end)

    it("length_* and chunk faults lie about the body", function()
      local text = provoke("length_too_long")
      assert.equal(#text:match("\r\n\r\n(.*)$") + 100, tonumber(text:match("length: (%d+)")))
      client = connect(api)
      text = provoke("length_too_short")
      assert.equal(#text:match("\r\n\r\n(.*)$") - 10, tonumber(text:match("length: (%d+)")))
      client = connect(api)
      assert.matches("chunked\r\n\r\n%x+\r\n{.*}\r\n$", (provoke("chunked_without_end")))
      client = connect(api)
      assert.matches("\r\n\r\nzz\r\n", (provoke("bad_chunk")))
      client = connect(api)
      assert.equal(2, select(2, provoke("two_lengths"):gsub("content%-length", "")))
    end)

    it("huge_headers are huge", function()
      api:fault("huge_headers", { bytes = 1 << 20 })
      api:fault("huge_headers", { bytes = 1 << 17, single = true })
      client:send("GET", LIST)
      local bytes = 0
      repeat
        local line = client.socket:receive("*l")
        bytes = bytes + #line + 2
      until line == ""
      assert.is_true(bytes > 1 << 20)
      assert.equal("}", client.socket:receive(49):sub(-1))
      local length = 0
      client:send("GET", LIST)
      repeat
        local line = client.socket:receive("*l")
        length = math.max(length, #line + 2)
      until line == ""
      assert.equal(1 << 17, length)
    end)

    it("interim answers come before the real one", function()
      api:fault("interim")
      client:send("GET", LIST)
      assert.equal(100, client:receive().status)
      assert.equal(103, client:receive().status)
      assert.equal(200, client:receive().status)
      assert.equal(200, get(LIST).status)
    end)

    it("http09, http10 and not_http speak otherwise", function()
      assert.matches('^{"jobs":', (provoke("http09")))
      client = connect(api)
      assert.matches("^HTTP/1.0 200 OK\r\n", (provoke("http10")))
      client = connect(api)
      assert.matches("^SSH", (provoke("not_http")))
    end)

    it("error, rate_limited, redirect, no_content, not_modified are statuses", function()
      api:fault("error", { status = 502, body = "html" })
      api:fault("error", { status = 500, body = "empty" })
      api:fault("error", { status = 403, headers = { ["x-should-retry"] = "true" } })
      api:fault("rate_limited", { retry_after = 7 })
      api:fault("redirect", { status = 307, location = "http://other.test/" })
      api:fault("no_content")
      api:fault("not_modified")
      local answer = get(LIST)
      assert.same({ 502, "text/html" }, { answer.status, answer.headers["content-type"] })
      assert.matches("^<!DOCTYPE html>", answer.body)
      answer = get(LIST)
      assert.same({ 500, "", nil }, { answer.status, answer.body, answer.headers["content-type"] })
      answer = get(LIST)
      assert.same({ "forbidden", "true" }, { answer.json.id, answer.headers["x-should-retry"] })
      answer = get(LIST)
      assert.same({ 429, "7" }, { answer.status, answer.headers["retry-after"] })
      answer = get(LIST)
      assert.same({ 307, "http://other.test/" }, { answer.status, answer.headers.location })
      assert.equal(204, get(LIST).status)
      assert.equal(304, get(LIST).status)
      assert.equal(200, get(LIST).status)
    end)

    it("with a name for each wrong body gives it with status 200", function()
      for name, body in pairs({
        null = "null",
        array = "[]",
        string = '"x"',
        number = "17",
        empty = "",
        empty_object = "{}",
        jobs_null = '{"jobs": null}',
        jobs_object = '{"jobs": {}}',
      }) do
        api:fault(name)
        local answer = get(LIST)
        assert.same({ 200, body }, { answer.status, answer.body })
      end
      api:fault("body", { text = "\0\xFF" })
      assert.equal("\0\xFF", get(LIST).body)
      api:fault("html")
      assert.matches("^<!DOCTYPE", get(LIST).body)
    end)

    it("gzip and its broken relatives reach curl as such", function()
      local function fetch(name, options)
        api:fault(name, options)
        return curl("--compressed -H 'authorization: Bearer test-token' " .. api.url .. LIST)
      end
      local text, code = fetch("gzip")
      assert.equal(0, code, text)
      assert.equal(20, #cjson.decode(text).jobs)
      for _, name in ipairs({ "broken_gzip", "damaged_gzip", "unknown_encoding" }) do
        assert.not_equal(0, select(2, fetch(name)))
      end
      fetch("cut_gzip")
      text, code = fetch("gzip_bomb", { size = 3000000, layers = 2 })
      assert.equal(0, code)
      assert.equal(3000000, #text)
      assert.matches("^{\"jobs\":%[ +%]}$", text)
    end)

    it("exists under every name that is promised", function()
      assert.is_true(#apis.faults > 30)
      for _, name in ipairs(apis.faults) do
        api:fault(name, { match = { path = "never" } })
      end
      assert.equal(#apis.faults, api:pending())
    end)
  end)

  describe("gzip without a compressor", function()
    it("makes a small file of a large one", function()
      assert.is_true(#gzip.bomb(1 << 30, 2) < 2000)
      local small = #gzip.bomb(100000000)
      assert.is_true(small > 90000 and small < 110000)
    end)
  end)

  describe("the process", function()
    it("can be dropped by, and drop, its clients", function()
      assert.equal(200, get(LIST).status)
      assert.equal(1, api:connections().open)
      api:drop()
      api:await({ open = 0 })
      assert.equal("", (client:drain()))
    end)

    it("runs several times at once, and ends when told to", function()
      local one, two = apis.start({ jobs = 1 }), apis.start({ jobs = 2 })
      assert.not_equal(one.url, two.url)
      local its_client <close> = connect(two)
      one:stop()
      one:stop()
      assert.is_nil(socket.connect("127.0.0.1", one.port))
      assert.equal(2, its_client:request("GET", LIST).json.meta.total)
      two:stop()
      assert.same({ nil, "closed" }, { its_client:receive() })
    end)

    it("ends with the program that started it, however that ends", function()
      local program = "local api = require('spec.support.api').start() "
        .. "print(api.port) io.stdout:flush() require('socket').sleep(60)"
      local parent = assert(io.popen('echo $$; exec lua5.4 -e "' .. program .. '"', "r"))
      local pid, port = parent:read("n", "n")
      local witness <close> = connect({ port = port })
      assert.equal(200, witness:request("GET", LIST).status)
      os.execute("kill -9 " .. pid)
      parent:close()
      assert.same({ nil, "closed" }, { witness:receive() })
    end)

    it("does not wait for the end of a file", function()
      local pipe = io.popen("lua5.4 spec/server/server.lua </dev/null 2>&1", "r")
      assert.matches("use %-%-no%-stdin", pipe:read("a"))
      pipe:close()
    end)

    it("says why it does not start", function()
      assert.error_matches(function()
        apis.start({ port = api.port })
      end, "did not start: .*cannot listen on port %d+: Address already in use")
      assert.error_matches(function()
        apis.start({ colour = "red" })
      end, "unknown setting 'colour'")
    end)
  end)

  describe("addresses without a server", function()
    it("refuse, or never answer", function()
      local refused <close> = apis.refused()
      assert.equal(7, select(2, curl(refused.url)))
      local unreachable <close> = apis.unreachable()
      assert.equal(28, select(2, curl("--connect-timeout 0.05 " .. unreachable.url)))
    end)
  end)

  describe("nginx in front", function()
    local function fetch(front, arguments)
      return curl(
        ("%s -w '%%{http_version}' -o /dev/null -H 'authorization: Bearer test-token' %s%s"):format(
          arguments,
          front.url,
          LIST
        )
      )
    end

    it("speaks TLS and HTTP/2, and keeps its connections to the server", function()
      local front <close> = tls.start(api)
      assert.same({ "2", 0 }, { fetch(front, "--cacert " .. front.ca_file) })
      assert.same({ "1.1", 0 }, { fetch(front, "--http1.1 --cacert " .. front.ca_file) })
      assert.equal(60, select(2, fetch(front, "")))
      local log = api:requests()
      assert.equal(2, #log)
      assert.equal(log[1].connection, log[2].connection)
      assert.equal("localhost:" .. front.port, log[1].headers.host)
      assert.equal("https", log[1].headers["x-forwarded-proto"])
    end)

    for _, name in ipairs({ "wrong_host", "expired", "self_signed", "unknown_ca" }) do
      it("has a certificate that is " .. name, function()
        local front <close> = tls.start(api, { certificate = name, http2 = false })
        assert.equal(60, select(2, fetch(front, "--cacert " .. front.ca_file)))
      end)
    end

    it("can be from the past", function()
      local front <close> = tls.start(api, { protocols = "TLSv1.1" })
      assert.equal(35, select(2, fetch(front, "--cacert " .. front.ca_file)))
      local old = "--tlsv1.1 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 --cacert " .. front.ca_file
      assert.equal(0, select(2, fetch(front, old)))
    end)

    it("serves a file as the list", function()
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write('{"jobs":[]}')
      file:close()
      local site <close> = nginx.static(path)
      assert.same({ '{"jobs":[]}', 0 }, { curl("'" .. site.url .. LIST .. "?page=3'") })
      os.remove(path)
    end)

    it("says why it does not start", function()
      assert.error_matches(function()
        nginx.start("nonsense;", {})
      end, "nginx did not start:.*unknown directive")
    end)
  end)
end)
