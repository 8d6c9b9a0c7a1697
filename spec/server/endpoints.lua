--- The endpoints of the API: a request in, status and JSON out.

local ids = require("spec.server.ids")
local json = require("spec.server.json")
local storage = require("spec.server.storage")
local wire = require("spec.server.wire")

local format = string.format
local object, array = json.object, json.array

local DEFAULT_PER_PAGE, MAX_PER_PAGE = 20, 200
local DAY = 86400

-- Errors ------------------------------------------------------------------------------------------

local IDS = {
  [400] = "bad_request",
  [404] = "not_found",
  [405] = "method_not_allowed",
  [409] = "conflict",
  [422] = "unprocessable_entity",
}

--- The body of an error answer.
local function problem(request, id, message)
  local text = json.encode(message)
  return format('{"id":"%s","message":%s,"request_id":"%s"}', id, text, request.id)
end

local function refuse(request, status, message)
  return status, problem(request, IDS[status], message)
end

-- Pages -------------------------------------------------------------------------------------------

--- A parameter that counts from 1. Returns nil if it is none.
local function count(text, default, limit)
  if not text then
    return default
  end
  local n = text:match("^%d+$") and math.tointeger(tonumber(text))
  return n and n >= 1 and (not limit or n <= limit) and n or nil
end

--- The links that make sense on a page; nil if there are none.
local function links(state, request, page, pages, per_page)
  if pages <= 1 then
    return nil
  end
  local origin = state.settings.public_url
  if not origin then
    local scheme = wire.header(request, "x-forwarded-proto") or "http"
    origin = scheme .. "://" .. (wire.header(request, "host") or state.authority)
  end
  local url = format("%s%s?page=%%d&per_page=%d", origin, request.path, per_page)
  local function link(is_there, number)
    return is_there and format('"' .. url .. '"', number)
  end
  return object("pages", object(
    "first", link(page > 1, 1), "previous", link(page > 1, math.min(page - 1, pages)),
    "next", link(page < pages, page + 1), "last", link(page ~= pages, pages)
  ))
end

local function meta(page, pages, total)
  return object("page", json.integer(page), "pages", json.integer(pages),
    "total", json.integer(total))
end

--- Answers with the page that was asked for, of `total` items. `items(offset, count)` returns a
-- list of their texts; `no_links` is what there is in the place of links when one page suffices.
local function page_of(state, request, member, total, items, no_links)
  local settings = state.settings
  local page = count(request.query.page, 1)
  local per_page = count(request.query.per_page, DEFAULT_PER_PAGE, MAX_PER_PAGE)
  if not page then
    return refuse(request, 422, "page must be a whole number from 1")
  elseif not per_page then
    return refuse(request, 422, "per_page must be a whole number from 1 to 200")
  end
  local pages = math.max(1, (total + per_page - 1) // per_page)
  local shown = page
  if settings.endless then
    shown = settings.endless == "repeat" and (page - 1) % pages + 1 or page
    pages = page + 1
  end
  return 200, object(
    member, array(items(math.min(shown - 1, total) * per_page, per_page)),
    "links", settings.links and (links(state, request, page, pages, per_page) or no_links),
    "meta", settings.meta and meta(page, pages, total)
  )
end

-- Requests ----------------------------------------------------------------------------------------

--- The JSON object in a request's body, or nil.
local function decode_object(request)
  local ok, value = pcall(json.decode, request.body)
  return ok and type(value) == "table" and request.body:find("^%s*{") and value or nil
end

--- The array under a name of the body's, if `is_item` holds for all in it; else nil.
local function array_in(request, body, name, is_item)
  -- cjson makes the same empty table of {} and []
  local items = request.body:find('"' .. name .. '"%s*:%s*%[') and body[name]
  for _, item in ipairs(items or {}) do
    if not is_item(item) then
      return nil
    end
  end
  return items or nil
end

--- Makes an operation on the thing that the path's uuid names: `find(state, uuid)` looks it up.
local function on(what, find)
  return function(operation)
    return function(state, request, uuid)
      local found = find(state, uuid)
      if not found then
        return refuse(request, 404, what .. " not found")
      end
      return operation(state, request, found)
    end
  end
end

local on_job = on("indexing job", function(state, uuid)
  return state.store:find(uuid)
end)

local on_base = on("knowledge base", function(state, uuid)
  return state.store.bases:find(uuid)
end)

-- Indexing jobs -----------------------------------------------------------------------------------

local function job(state, record)
  return 200, object("job", state.store:render(record))
end

local function list_jobs(state, request)
  local store = state.store
  local status, body = page_of(state, request, "jobs", store:total(), function(...)
    return store:list(...)
  end)
  if status == 200 then
    state:change_list()
  end
  return status, body
end

local function create_job(state, request)
  local body = decode_object(request)
  if not body then
    return refuse(request, 400, "the body is not a JSON object")
  end
  local uuid, sources = body.knowledge_base_uuid, nil
  if type(uuid) ~= "string" or uuid == "" then
    return refuse(request, 422, "knowledge_base_uuid is required")
  end
  if body.data_source_uuids ~= nil then
    sources = array_in(request, body, "data_source_uuids", function(item)
      return type(item) == "string"
    end)
    if not sources then
      return refuse(request, 422, "data_source_uuids must be an array of strings")
    end
  end
  local base = state.store.bases:find(uuid)
  if not base then
    return refuse(request, 404, "knowledge base not found")
  elseif state.store:database_status(base) ~= "ONLINE" then
    return refuse(request, 400, "failed to get db creds")
  elseif state.settings.busy and state.store:is_busy(base) then
    return refuse(request, state.settings.busy,
      "the knowledge base already has an indexing job running")
  end
  return job(state, state.store:create(base, sources))
end

local retrieve_job = on_job(function(state, _, record)
  return job(state, record)
end)

local cancel_job = on_job(function(state, request, record)
  local body = decode_object(request)
  if not body or body.uuid ~= record.uuid then
    return refuse(request, 422, "uuid must be that of the path")
  elseif not state.store:cancel(record) then
    return refuse(request, 409, "indexing job has already finished")
  end
  return job(state, record)
end)

local sources_of_job = on_job(function(state, _, record)
  return 200, object("indexed_data_sources", array(state.store:sources(record)))
end)

local signed_url = on_job(function(state, request, record)
  if not state.store:has_report(record) then
    return refuse(request, 404, "no report is available for this indexing job")
  end
  return 200, object("signed_url", json.plain(storage.signed_url(state, record)))
end)

-- Knowledge bases ---------------------------------------------------------------------------------

local function list_bases(state, request)
  local store = state.store
  local total = store.bases:total()
  return page_of(state, request, "knowledge_bases", total, function(offset, limit)
    local page = {}
    for place = offset + 1, math.min(offset + limit, total) do
      page[#page + 1] = store:base(store.bases:at(place))
    end
    return page
  end, "{}")
end

local retrieve_base = on_base(function(state, _, base)
  local status = state.store:database_status(base)
  return 200, object("knowledge_base", state.store:base(base), "database_status",
    json.plain(status))
end)

local jobs_of_base = on_base(function(state, _, base)
  local jobs = state.store:list_of(base)
  return 200, object("jobs", array(jobs), "meta", meta(1, 1, #jobs))
end)

local sources_of_base = on_base(function(state, request, base)
  local total = base.source_count
  return page_of(state, request, "knowledge_base_data_sources", total, function(offset, limit)
    local page = {}
    for i = offset + 1, math.min(offset + limit, total) do
      page[#page + 1] = state.store:base_source(base, i)
    end
    return page
  end, "{}")
end)

-- Scheduled indexing ------------------------------------------------------------------------------

--- The next time at which this schedule starts a job, from `now` on.
local function next_run(schedule, now)
  local midnight = now // DAY * DAY
  local hour, minute = schedule.time:match("^(%d%d):(%d%d)")
  for ahead = 0, 7 do
    local day = midnight + ahead * DAY
    local at = day + hour * 3600 + minute * 60
    local weekday = (day // DAY + 3) % 7 + 1 -- 1970 began on a Thursday
    for _, wanted in ipairs(schedule.days) do
      if wanted == weekday and at > now then
        return at
      end
    end
  end
end

local function schedule_json(state, schedule)
  local is_active = not schedule.deleted
  return 200, object("indexing_info", object(
    "uuid", json.plain(schedule.uuid), "knowledge_base_uuid", json.plain(schedule.base),
    "time", json.plain(schedule.time .. ":00"), "days", array(schedule.days),
    "is_active", json.flag(is_active),
    "created_at", json.time(schedule.created), "deleted_at", json.time(schedule.deleted),
    "next_run_at", json.time(is_active and next_run(schedule, state:clock()) or nil)
  ))
end

local function create_schedule(state, request)
  local body = decode_object(request)
  local time = body and body.time
  if not body or type(body.knowledge_base_uuid) ~= "string" then
    return refuse(request, 422, "knowledge_base_uuid is required")
  elseif type(time) ~= "string" or not time:find("^%d%d:%d%d$") or time > "23:59" then
    return refuse(request, 422, "time must be HH:MM")
  end
  local days = array_in(request, body, "days", function(item)
    return math.type(item) == "integer" and item >= 1 and item <= 7
  end)
  if not days or #days == 0 then
    return refuse(request, 422, "days must be an array of numbers from 1 to 7")
  end
  local store = state.store
  local base = store.bases:find(body.knowledge_base_uuid)
  if not base then
    return refuse(request, 404, "knowledge base not found")
  elseif store.schedules[base.uuid] then
    return refuse(request, 409, "the knowledge base already has a schedule")
  end
  state.last_schedule = state.last_schedule + 1
  local schedule = {
    uuid = ids.uuid_of("schedule", state.last_schedule),
    base = base.uuid,
    time = time,
    days = days,
    created = state:clock(),
  }
  store.schedules[base.uuid] = schedule
  return schedule_json(state, schedule)
end

local retrieve_schedule = on("schedule", function(state, uuid)
  return state.store.schedules[uuid]
end)(function(state, _, schedule)
  return schedule_json(state, schedule)
end)

local delete_schedule = on("schedule", function(state, uuid)
  for _, schedule in pairs(state.store.schedules) do
    if schedule.uuid == uuid then
      return schedule
    end
  end
end)(function(state, _, schedule)
  state.store.schedules[schedule.base] = nil
  schedule.deleted = state:clock()
  return schedule_json(state, schedule)
end)

-- All of them -------------------------------------------------------------------------------------

--- Path, with {} where an id is → method → operation(state, request, id).
local ENDPOINTS = {
  ["indexing_jobs"] = { GET = list_jobs, POST = create_job },
  ["indexing_jobs/{}"] = { GET = retrieve_job },
  ["indexing_jobs/{}/cancel"] = { PUT = cancel_job },
  ["indexing_jobs/{}/data_sources"] = { GET = sources_of_job },
  ["indexing_jobs/{}/details_signed_url"] = { GET = signed_url },
  ["knowledge_bases"] = { GET = list_bases },
  ["knowledge_bases/{}"] = { GET = retrieve_base },
  ["knowledge_bases/{}/indexing_jobs"] = { GET = jobs_of_base },
  ["knowledge_bases/{}/data_sources"] = { GET = sources_of_base },
  ["scheduled-indexing"] = { POST = create_schedule },
  ["scheduled-indexing/knowledge-base/{}"] = { GET = retrieve_schedule },
  ["scheduled-indexing/{}"] = { DELETE = delete_schedule },
}

local HAS_PAGES = { [list_jobs] = true, [list_bases] = true, [sources_of_base] = true }

-- Words of a path that are no ids.
local WORDS = {}
for path in pairs(ENDPOINTS) do
  for word in path:gmatch("[^/]+") do
    WORDS[word] = word ~= "{}"
  end
end

--- The methods of a path and the id in it; nil if there are none.
local function route(state, path)
  local prefix = state.settings.base_path .. "/v2/gen-ai/"
  if path:sub(1, #prefix) ~= prefix then
    return nil
  end
  local rest, id = path:sub(#prefix + 1), nil
  local shape = rest:gsub("[^/]+", function(word)
    if not WORDS[word] then
      id = wire.unescape(word)
      return "{}"
    end
  end)
  return ENDPOINTS[shape], id
end

--- The number of the page that a request is for; nil if it is for none.
local function page_number(state, request)
  local methods = route(state, request.path)
  if methods and HAS_PAGES[methods[request.method]] then
    return math.tointeger(tonumber(request.query.page or 1))
  end
end

--- Carries a request out. Returns status and body.
local function answer(state, request)
  local methods, id = route(state, request.path)
  if not methods then
    return refuse(request, 404, "the resource you were accessing could not be found")
  end
  local operation = methods[request.method]
  if not operation then
    return refuse(request, 405, "method not allowed")
  end
  return operation(state, request, id)
end

return {
  answer = answer,
  page_number = page_number,
  problem = problem,
}
