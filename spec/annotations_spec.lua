--- The LuaCATS annotations: they tell an editor what the code takes and the API sends.

local annotations = require "spec.tools.annotations"
local errors = require "gradient.errors"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local shell = require "spec.support.shell"

local found = annotations.read()

local function names_of(values)
  local names = {}
  for name in pairs(values) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function annotated(class)
  return names_of(annotations.fields(found, class))
end

-- The names that are allowed, as the module itself tells them.
local function allowed(f, ...)
  local _, message = pcall(f, ...)
  local names = {}
  for name in message:match("%(expected (.*)%)"):gmatch("[%w_]+") do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Is this a value of the annotated type, as far as that is a plain one?
local function fits(value, annotation)
  local alternative = annotation.type:gsub("%?$", "")
  if alternative:find("%[%]$") or alternative:find("^table") or alternative:find("^{") then
    return type(value) == "table"
  elseif alternative == "integer" then
    return math.type(value) == "integer"
  elseif alternative:find("|string$") or found.aliases[alternative] or alternative:find('^"') then
    return type(value) == "string"
  elseif found.classes[alternative] then
    return type(value) == "table"
  end
  return type(value) == alternative
end

-- Checks the fields of one value after the other against the annotation, and notes them.
local function new_observer(class)
  local fields, seen = annotations.fields(found, class), {}
  return function(value)
    for name, content in pairs(value) do
      local annotation = fields[name]
      assert(annotation, ("%s.%s is not annotated"):format(class, name))
      assert(fits(content, annotation), ("%s.%s is a %s, not %s"):format(class, name,
        math.type(content) or type(content), annotation.type))
      seen[name] = true
    end
    for name, annotation in pairs(fields) do
      assert(annotation.optional or value[name] ~= nil,
        ("%s.%s is missing, but not optional"):format(class, name))
    end
  end, seen
end

describe("the annotations", function()
  local server, new_client = fixture.server{ jobs = 400 }
  local client, events

  before_each(function()
    events = {}
    client = new_client{ on_event = function(event) events[#events + 1] = event end }
  end)

  it("have every field of jobs, data sources and pages", function()
    local see_page, page_fields = new_observer "gradient.page"
    local see_job, job_fields = new_observer "gradient.job"
    local see_source, source_fields = new_observer "gradient.data_source"
    local see_links, link_fields = new_observer "gradient.links"
    local see_meta, meta_fields = new_observer "gradient.meta"
    for _, fields in ipairs{ "platform", "reference" } do
      server:set{ fields = fields }
      for page in client.indexing_jobs.pages{ per_page = 150 } do
        see_page(page)
        see_links(page.links.pages)
        see_meta(page.meta)
        for _, job in ipairs(page.jobs) do
          see_job(job)
          for _, source in ipairs(job.data_source_jobs or {}) do see_source(source) end
        end
      end
    end
    link_fields.prev = true -- for "previous", elsewhere in the same API
    assert.same({
      annotated "gradient.page", annotated "gradient.job", annotated "gradient.data_source",
      annotated "gradient.links", annotated "gradient.meta",
    }, {
      names_of(page_fields), names_of(job_fields), names_of(source_fields),
      names_of(link_fields), names_of(meta_fields),
    })
  end)

  it("have every field of knowledge bases, their data sources and schedules", function()
    local see_page, page_fields = new_observer "gradient.knowledge_base_page"
    local see_base, base_fields = new_observer "gradient.knowledge_base"
    local see_answer, answer_fields = new_observer "gradient.knowledge_base_answer"
    local see_sources, sources_fields = new_observer "gradient.knowledge_base_data_source_page"
    local see_source, source_fields = new_observer "gradient.knowledge_base_data_source"
    local see_crawler, crawler_fields = new_observer "gradient.web_crawler_data_source"
    local see_upload, upload_fields = new_observer "gradient.file_upload_data_source"
    local bases = client.knowledge_bases
    for page in bases.pages() do
      see_page(page)
      for _, base in ipairs(page.knowledge_bases) do
        see_base(base)
        see_answer(bases.retrieve(base.uuid))
        for sources in bases.data_sources.pages(base.uuid) do
          see_sources(sources)
          for _, source in ipairs(sources.knowledge_base_data_sources) do
            see_source(source)
            see_crawler(source.web_crawler_data_source or {})
            see_upload(source.file_upload_data_source or {})
          end
        end
      end
    end
    local see_info, info_fields = new_observer "gradient.indexing_info"
    local uuid, schedules = server:knowledge_bases()[1], client.scheduled_indexing
    local info = assert(schedules.create{
      knowledge_base_uuid = uuid, time = "18:00", days = { 1, 7 },
    }).indexing_info
    see_info(info)
    see_info(assert(schedules.delete(info.uuid)).indexing_info)
    info_fields.updated_at, info_fields.last_ran_at = true, true -- of a schedule that has run
    assert.same({
      annotated "gradient.knowledge_base_page", annotated "gradient.knowledge_base",
      annotated "gradient.knowledge_base_answer",
      annotated "gradient.knowledge_base_data_source_page",
      annotated "gradient.knowledge_base_data_source", annotated "gradient.web_crawler_data_source",
      annotated "gradient.file_upload_data_source", annotated "gradient.indexing_info",
    }, {
      names_of(page_fields), names_of(base_fields), names_of(answer_fields),
      names_of(sources_fields), names_of(source_fields), names_of(crawler_fields),
      names_of(upload_fields), names_of(info_fields),
    })
  end)

  it("have every option, parameter and setting", function()
    local jobs, bases = gradient.indexing_jobs, gradient.knowledge_bases
    local wrong = { nonsense = true }
    assert.same(allowed(gradient.client, wrong), annotated "gradient.options")
    assert.same(allowed(jobs.list, {}, wrong), annotated "gradient.call_options")
    assert.same(allowed(jobs.each, {}, wrong), annotated "gradient.iteration_options")
    assert.same(allowed(jobs.list, wrong), annotated "gradient.list_params")
    assert.same(allowed(jobs.each, wrong), annotated "gradient.each_params")
    assert.same(allowed(jobs.create, wrong), annotated "gradient.create_params")
    assert.same(allowed(jobs.start, wrong), annotated "gradient.create_params")
    assert.same(allowed(jobs.wait_for_completion, "uuid", wrong),
      annotated "gradient.poll_settings")
    assert.same(allowed(bases.wait_for_database, "uuid", wrong),
      annotated "gradient.poll_settings")
    assert.same(allowed(bases.list, wrong), annotated "gradient.list_params")
    assert.same(allowed(bases.data_sources.each, "uuid", wrong), annotated "gradient.list_params")
    assert.same(allowed(gradient.scheduled_indexing.create, wrong),
      annotated "gradient.schedule_params")
  end)

  it("have every value of the enumerations, by its name", function()
    for _, case in ipairs{
      { "gradient.job_phase", gradient.phase, "^BATCH_JOB_PHASE_" },
      { "gradient.job_status", gradient.status, "^INDEX_JOB_STATUS_" },
      { "gradient.data_source_status", gradient.data_source_status, "^DATA_SOURCE_STATUS_" },
      { "gradient.database_status", gradient.database_status, "^" },
    } do
      local alias, enum, prefix = table.unpack(case)
      local values = {}
      for _, value in ipairs(found.aliases[alias]) do values[value:gsub(prefix, "")] = value end
      assert.same(enum, values)
    end
  end)

  it("have every kind of error, and none that cannot come", function()
    local kinds = {}
    for _, kind in ipairs(found.aliases["gradient.error_kind"]) do kinds[kind] = true end
    for status = 300, 599 do assert.is_true(kinds[errors.kind(status)]) end
    local code = ""
    for path in shell.must("find lua/gradient -name '*.lua'"):gmatch("%S+") do
      code = code .. shell.read(path)
    end
    code = code:gsub("%-%-[^\n]*", "")
    for kind in code:gmatch('kind = "([%w_]+)"') do assert.is_true(kinds[kind], kind) end
    for kind in pairs(kinds) do assert.truthy(code:find('"' .. kind .. '"', 1, true), kind) end
  end)

  it("have every field of errors, responses and events", function()
    local see_error, error_fields = new_observer "gradient.error"
    local see_response, response_fields = new_observer "gradient.response"
    local see_event, event_fields = new_observer "gradient.event"
    local list = client.indexing_jobs.list

    server:script{ { status = 503 } }
    see_response(select(2, assert(list())))
    server:script{ { status = 429, headers = { ["retry-after"] = "7" } } }
    see_error(select(2, list({}, { max_retries = 0 })))
    server:set{ outcome = "failed", duration = 1e-4 }
    local job = assert(client.indexing_jobs.create{
      knowledge_base_uuid = server:knowledge_bases()[1],
    }).job
    see_error(select(2, client.indexing_jobs.wait_for_completion(job.uuid)))
    see_response(select(2, assert(client.indexing_jobs.start{
      knowledge_base_uuid = server:knowledge_bases()[2],
    })))

    local bases, twin = client.knowledge_bases, '{"uuid":"%s","name":"twin"}'
    local twins = ('{"knowledge_bases":[%s,%s]}'):format(twin:format "1", twin:format "2")
    server:script{ { status = 200, body = twins }, { status = 200, body = twins }, { status = 200,
      body = '{"knowledge_base":{"uuid":"x"},"database_status":"UNHEALTHY"}' } }
    see_error(select(2, bases.find "twins"))
    see_error(select(2, bases.find "twin"))
    see_error(select(2, bases.wait_for_database "x"))

    local types = {}
    for _, event in ipairs(events) do
      see_event(event)
      types[('"%s"'):format(event.type)] = true
    end
    assert.same({
      annotated "gradient.error", annotated "gradient.response", annotated "gradient.event",
    }, { names_of(error_fields), names_of(response_fields), names_of(event_fields) })
    local annotated_types = {}
    for text in found.classes["gradient.event"].fields.type.type:gmatch("[^|]+") do
      annotated_types[text] = true
    end
    assert.same(annotated_types, types)
  end)

  it("have every operation, with the parameters in their order", function()
    local operations = {}
    for _, definition in ipairs(found.functions) do
      local owner, operation = definition.name:match("^([%w_]+)%.(.*)$")
      if definition.path:find("types%.lua$") and owner ~= "gradient" then
        operations[owner] = operations[owner] or {}
        operations[owner][operation] = true
        assert.same(definition.parameters, definition.described)
        assert.truthy(definition.results[1])
      end
    end
    for owner, bound in pairs{
      indexing_jobs = gradient.indexing_jobs, knowledge_bases = gradient.knowledge_bases,
      data_sources = gradient.knowledge_bases.data_sources,
      scheduled_indexing = gradient.scheduled_indexing,
    } do
      local functions = {}
      for name, value in pairs(bound) do
        if type(value) == "function" then functions[name] = true end
      end
      assert.same(names_of(functions), names_of(operations[owner]))
    end
  end)

  it("name only parameters and types that there are", function()
    for _, definition in ipairs(found.functions) do
      local parameters = " " .. table.concat(definition.parameters, " ") .. " "
      for _, name in ipairs(definition.described) do
        assert.truthy(parameters:find(" " .. name .. " ", 1, true),
          ("%s: %s has no parameter %s"):format(definition.path, definition.name, name))
      end
    end

    local known = {}
    for name in pairs(found.classes) do known[name] = true end
    for name in pairs(found.aliases) do known[name] = true end
    for path in shell.must("find lua/gradient -name '*.lua'"):gmatch("%S+") do
      for line in shell.read(path):gmatch("%-%-%-@[^\n]*") do
        local kinds = line:gsub("@meta.*", ""):gsub("  .*$", "")
        for name in kinds:gmatch("gradient[%w_.]+") do assert.is_true(known[name], name) end
      end
    end
  end)
end)
