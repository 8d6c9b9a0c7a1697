--- The operations of the API on indexing jobs: a request in, status and JSON out.

local json = require("spec.server.json")
local wire = require("spec.server.wire")

local format = string.format

local JOBS = "indexing_jobs"
local DEFAULT_PER_PAGE, MAX_PER_PAGE = 20, 200
local LATEST = 15 -- jobs in the list of a knowledge base
local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

--- The body of an error answer.
local function problem(request, id, message)
  local text = json.encode(message)
  return format('{"id":"%s","message":%s,"request_id":"%s"}', id, text, request.id)
end

local function not_found(request, message)
  return 404, problem(request, "not_found", message)
end

local function unprocessable(request, message)
  return 422, problem(request, "unprocessable_entity", message)
end

--- A parameter that counts from 1. Returns nil if it is none.
local function count(text, default, limit)
  if not text then
    return default
  end
  local n = text:match("^%d+$") and math.tointeger(tonumber(text))
  return n and n >= 1 and (not limit or n <= limit) and n or nil
end

--- `,"links":{…}` of a page, with the links that make sense on it; empty if there are none.
local function links(state, request, page, pages, per_page)
  if pages <= 1 then
    return ""
  end
  local origin = state.settings.public_url
  if not origin then
    local scheme = wire.header(request, "x-forwarded-proto") or "http"
    origin = scheme .. "://" .. (wire.header(request, "host") or state.authority)
  end
  local url = format("%s%s?page=%%d&per_page=%d", origin, request.path, per_page)
  local out = {}
  local function add(name, number)
    out[#out + 1] = format('"%s":"%s"', name, format(url, number))
  end
  if page > 1 then
    add("first", 1)
    add("previous", math.min(page - 1, pages))
  end
  if page < pages then
    add("next", page + 1)
  end
  if page ~= pages then
    add("last", pages)
  end
  return ',"links":{"pages":{' .. table.concat(out, ",") .. "}}"
end

local function meta(page, pages, total)
  return format(',"meta":{"page":%d,"pages":%d,"total":%d}', page, pages, total)
end

local function list(state, request)
  local settings, store = state.settings, state.store
  local page = count(request.query.page, 1)
  local per_page = count(request.query.per_page, DEFAULT_PER_PAGE, MAX_PER_PAGE)
  if not page then
    return unprocessable(request, "page must be a whole number from 1")
  elseif not per_page then
    return unprocessable(request, "per_page must be a whole number from 1 to 200")
  end
  local total = store:total()
  local pages = math.max(1, (total + per_page - 1) // per_page)
  local shown = page
  if settings.endless then
    shown = settings.endless == "repeat" and (page - 1) % pages + 1 or page
    pages = page + 1
  end
  local body = '{"jobs":' -- concatenated, since string.format copies a long page twice
    .. store:list((shown - 1) * per_page, per_page)
    .. (settings.links and links(state, request, page, pages, per_page) or "")
    .. (settings.meta and meta(page, pages, total) or "")
    .. "}"
  if settings.growth > 0 then
    store:grow(settings.growth)
  end
  if settings.decay > 0 then
    store:decay(settings.decay)
  end
  return 200, body
end

--- The JSON object in a request's body, or nil.
local function decode_object(request)
  local ok, value = pcall(json.decode, request.body)
  return ok and type(value) == "table" and request.body:find("^%s*{") and value or nil
end

local function create(state, request)
  local body = decode_object(request)
  if not body then
    return 400, problem(request, "bad_request", "the body is not a JSON object")
  end
  local base, sources = body.knowledge_base_uuid, body.data_source_uuids
  if type(base) ~= "string" or base == "" then
    return unprocessable(request, "knowledge_base_uuid is required")
  end
  if sources ~= nil then
    -- cjson makes the same empty table of {} and []
    local is_array = request.body:find('"data_source_uuids"%s*:%s*%[')
    for _, source in ipairs(is_array and sources or {}) do
      is_array = is_array and type(source) == "string"
    end
    if not is_array then
      return unprocessable(request, "data_source_uuids must be an array of strings")
    end
  end
  if not base:find(UUID) then
    return not_found(request, "knowledge base not found")
  end
  local number = state.store:create(base, sources)
  return 200, '{"job":' .. state.store:job(number) .. "}"
end

local function retrieve(state, _, number)
  return 200, '{"job":' .. state.store:job(number) .. "}"
end

local function cancel(state, request, number)
  local body = decode_object(request)
  if not body or body.uuid ~= request.uuid then
    return unprocessable(request, "uuid must be that of the path")
  elseif not state.store:cancel(number) then
    return 409, problem(request, "conflict", "indexing job has already finished")
  end
  return retrieve(state, request, number)
end

local function data_sources(state, _, number)
  return 200, '{"indexed_data_sources":' .. state.store:data_sources(number) .. "}"
end

local function signed_url(state, request, number)
  local url = state.store:signed_url(number)
  if not url then
    return not_found(request, "no report is available for this indexing job")
  end
  return 200, format('{"signed_url":"%s"}', url)
end

local function of_knowledge_base(state, request, uuid)
  local jobs, total = state.store:of_knowledge_base(uuid, LATEST)
  if not jobs then
    return not_found(request, "knowledge base not found")
  end
  return 200, format('{"jobs":%s%s}', jobs, meta(1, 1, total))
end

-- What can be done with a single job, by what follows its uuid in the path.
local JOB_OPERATIONS = {
  [""] = { GET = retrieve },
  ["/cancel"] = { PUT = cancel },
  ["/data_sources"] = { GET = data_sources },
  ["/details_signed_url"] = { GET = signed_url },
}

local LIST_OPERATIONS = { GET = list, POST = create }
local KNOWLEDGE_BASE_OPERATIONS = { GET = of_knowledge_base }

--- The operations on a path (method → function) and the id in it; nil if there are none.
local function route(state, path)
  local prefix = state.settings.base_path .. "/v2/gen-ai/"
  if path:sub(1, #prefix) ~= prefix then
    return nil
  end
  local rest = path:sub(#prefix + 1)
  if rest == JOBS then
    return LIST_OPERATIONS
  end
  local base = rest:match("^knowledge_bases/([^/]+)/indexing_jobs$")
  if base then
    return KNOWLEDGE_BASE_OPERATIONS, wire.unescape(base)
  end
  local uuid, action = rest:match("^indexing_jobs/([^/]+)(.*)$")
  if uuid then
    return JOB_OPERATIONS[action], wire.unescape(uuid)
  end
end

--- Whether a path is that of the list, the only one with pages.
local function is_list(state, path)
  return route(state, path) == LIST_OPERATIONS
end

--- Carries a request out. Returns status and body.
local function answer(state, request)
  local operations, id = route(state, request.path)
  if not operations then
    return not_found(request, "the resource you were accessing could not be found")
  end
  local operation = operations[request.method]
  if not operation then
    return 405, problem(request, "method_not_allowed", "method not allowed")
  end
  if operations == LIST_OPERATIONS or operations == KNOWLEDGE_BASE_OPERATIONS then
    return operation(state, request, id)
  end
  local number = state.store:find(id)
  if not number then
    return not_found(request, "indexing job not found")
  end
  request.uuid = id
  return operation(state, request, number)
end

return {
  answer = answer,
  is_list = is_list,
  problem = problem,
}
