--- From a table of operations to functions that a program calls.
---
--- An operation declares: `method`; `path`, with {uuid} where an id goes; `query` or `body`, the
--- parameters by name with what each must be (see check.lua), `required` the ones that must be
--- there; `member` and `opener`, what the answer promises under that name: an object ("{"), a
--- string ('"'), or an array of objects ("[").

local check = require "gradient.check"

local resource = {}

--- The options of a call.
resource.option_kinds = {
  timeout = check.seconds, connect_timeout = check.seconds, max_retries = check.count,
  headers = check.headers, query = check.query,
}

local option_kinds = resource.option_kinds

local iteration_option_kinds = { prefetch = check.count }
for name, kind in pairs(option_kinds) do iteration_option_kinds[name] = kind end

-- The path's segments, with the id in its place.
local function segments(operation, id)
  local parts = {}
  for part in operation.path:gmatch("[^/]+") do
    parts[#parts + 1] = part == "{uuid}" and id or part
  end
  return parts
end

local function append(query, name, value)
  for _, item in ipairs(type(value) == "table" and value or { value }) do
    query[#query + 1] = name
    query[#query + 1] = tostring(item)
  end
end

local function sorted_pairs(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  local position = 0
  return function()
    position = position + 1
    return names[position], fields[names[position]]
  end
end

-- name, value, name, value, …: the operation's parameters, then the caller's further ones.
local function query_of(params, options)
  local query = {}
  for name, value in sorted_pairs(params) do append(query, name, value) end
  for name, value in sorted_pairs(options.query or {}) do append(query, name, value) end
  return query
end

-- A JSON object. Member by member, because lua-cjson makes {} of an empty sequence.
local function encode(fields)
  local found, cjson = pcall(require, "cjson") -- here, because most programs only list
  if not found then error("gradient needs lua-cjson to build request bodies: " .. cjson, 0) end
  local members = {}
  for name, value in sorted_pairs(fields) do
    local is_empty = type(value) == "table" and next(value) == nil
    members[#members + 1] = cjson.encode(name) .. ":" .. (is_empty and "[]" or cjson.encode(value))
  end
  return "{" .. table.concat(members, ",") .. "}"
end

local function check_options(operation, options, kinds, level)
  local checked = check.fields("option", options, kinds, level + 1)
  for name in pairs(checked.query or {}) do
    if operation.query and operation.query[name] then
      error(("'%s' is a parameter, not one for options.query"):format(name), level + 1)
    end
  end
  return checked
end

local function check_params(operation, params, kinds, level)
  local checked = check.fields("parameter", params, kinds, level + 1)
  for _, name in ipairs(operation.required or {}) do
    if checked[name] == nil then
      error(("parameter '%s' is required"):format(name), level + 1)
    end
  end
  return checked
end

-- One call of the operation, from start to end.
local function run(client, operation, parts, query, body, options)
  local call <close>, problem = client:call(operation, parts, query, body, options)
  if not call then return nil, problem end
  client:drive(call, { call })
  return call:outcome()
end

local bind = {}

-- operation(uuid, options); the deadline is for wait_for_completion
function bind.id(operation, get_client)
  return function(uuid, options, deadline)
    uuid = check.value("the uuid", uuid, check.id, 2)
    options = check_options(operation, options, option_kinds, 2)
    options.deadline = deadline
    local body = operation.body and encode{ uuid = uuid }
    local answer, response = run(get_client(2), operation, segments(operation, uuid),
      query_of({}, options), body, options)
    return answer, response
  end
end

-- operation(params, options); the parameters are the body, or else they go into the query
function bind.params(operation, get_client)
  return function(params, options)
    params = check_params(operation, params, operation.body or operation.query, 2)
    options = check_options(operation, options, option_kinds, 2)
    local client, query, body = get_client(2), params, nil
    if operation.body then query, body = {}, encode(params) end
    local answer, response = run(client, operation, segments(operation),
      query_of(query, options), body, options)
    return answer, response
  end
end

-- `each` or `pages`: an iterator over all pages of the operation. The paginator is loaded when it
-- is needed: a program that lists one page and ends should have begun soon.
function bind.iterator(operation, get_client, iterator, kinds)
  return function(params, options)
    params = check_params(operation, params, kinds, 2)
    options = check_options(operation, options, iteration_option_kinds, 2)
    local client = get_client(2)
    local first = params.page or 1
    local filter = {}
    for name in pairs(operation.filter or {}) do
      filter[name], params[name] = params[name], nil
    end
    local function request(number, pace)
      params.page = number
      return client:call(operation, segments(operation), query_of(params, options), nil, options,
        pace)
    end
    return require("gradient.paginator")[iterator](client, request, {
      first = first, prefetch = options.prefetch or 1, member = operation.member, filter = filter,
    })
  end
end

--- A resource: the operations, bound to a client. What no operation can express is a function that
--- gets the bound resource and get_client, and returns what a program calls.
---@param operations table<string, table|function>
---@param get_client fun(level: integer): table
---@return table<string, function>
function resource.new(operations, get_client)
  local bound = setmetatable({}, { __name = "gradient.resource" })
  for name, operation in pairs(operations) do
    if type(operation) == "function" then
      bound[name] = operation(bound, get_client)
    else
      local kind = operation.path:find("{uuid}", 1, true) and "id" or "params"
      bound[name] = bind[kind](operation, get_client)
    end
  end
  local list = operations.list
  local each_kinds = {}
  for _, kinds in ipairs{ list.query, list.filter or {} } do
    for name, kind in pairs(kinds) do each_kinds[name] = kind end
  end
  bound.each = bind.iterator(list, get_client, "each", each_kinds)
  bound.pages = bind.iterator(list, get_client, "pages", list.query)
  return bound
end

return resource
