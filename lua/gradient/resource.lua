--- From a table of operations to functions that a program calls.
---
--- An operation declares:
---   method, path    with {name} where an id goes
---   query, body     parameters by name, with what each must be (see check.lua); a parameter of
---                   the body with the name of an id gets that id
---   required        names of parameters that must be there
---   filter          further parameters of `each`; their kinds make them functions that say whether
---                   an item is wanted
---   member, opener  what the answer promises under that name: an object ("{"), a string ('"'), or
---                   an array of objects ("[")
---   identity        the name of an id that the promised object must have, too
---   absent          kind and message of the error when the promised value is missing
---   caution         what to add to an error when a request was sent, and no answer came or none
---                   that can be read
---   redact          masks secrets in errors
---
--- A program calls it with the ids in their order, then a table of parameters if it has any, then
--- options. An operation named `list` that has pages also becomes `each` and `pages`.
---
--- What takes several requests declares `run` (see resource.new) instead of `method` and `path`;
--- `ids`, the names of its ids (`id_kind`: what each must be), and `body` or `settings`. A table
--- without `run` and `path` is a resource inside of this one.

local check = require "gradient.check"
local core = require "gradient.core"
local paginator = require "gradient.paginator"

-- Only request bodies need it. It is loaded with the module, because a host may close its file
-- system later; and tried once more when it is needed, because a host may have it only later.
local has_cjson, cjson = pcall(require, "cjson")

local resource = {}

local option_kinds = {
  timeout = check.seconds, connect_timeout = check.seconds, total_timeout = check.seconds,
  max_retries = check.count, headers = check.headers, query = check.query,
}

local most_per_page = 200

local iteration_option_kinds = { prefetch = check.count }
for name, kind in pairs(option_kinds) do iteration_option_kinds[name] = kind end

-- The path's segments, with the ids in their places.
local function segments(operation, ids)
  local parts = {}
  for part in operation.path:gmatch("[^/]+") do
    local name = part:match("^{(.*)}$")
    parts[#parts + 1] = name and ids[name] or part
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

-- Those of the values that have a kind here.
local function chosen(kinds, ...)
  local found = {}
  for _, values in ipairs{ ... } do
    for name in pairs(kinds) do
      if values[name] ~= nil then found[name] = values[name] end
    end
  end
  return found
end

-- name, value, name, value, …: the operation's parameters, then the caller's further ones.
local function query_of(operation, params, options)
  local query = {}
  for name, value in sorted_pairs(chosen(operation.query or {}, params)) do
    append(query, name, value)
  end
  for name, value in sorted_pairs(options.query or {}) do append(query, name, value) end
  return query
end

-- A JSON object. Member by member, because lua-cjson makes {} of an empty sequence.
local function encode(fields)
  local members = {}
  for name, value in sorted_pairs(fields) do
    local is_empty = type(value) == "table" and next(value) == nil
    members[#members + 1] = cjson.encode(name) .. ":" .. (is_empty and "[]" or cjson.encode(value))
  end
  return "{" .. table.concat(members, ",") .. "}"
end

-- What a program passes to an operation: names of ids, kinds of parameters (nil: it has none).
local function signature_of(operation, more_kinds)
  local ids, is_id, kinds = operation.ids or {}, {}, {}
  for name in (operation.path or ""):gmatch("{(.-)}") do ids[#ids + 1] = name end
  for _, name in ipairs(ids) do is_id[name] = true end
  for _, group in ipairs{
    operation.query or {}, operation.body or {}, operation.settings or {}, more_kinds or {},
  } do
    for name, kind in pairs(group) do
      if not is_id[name] then kinds[name] = kind end
    end
  end
  return {
    ids = ids, id_kind = operation.id_kind or check.id, kinds = next(kinds) and kinds,
    what = operation.settings and "setting" or "parameter", required = operation.required or {},
    query = operation.query or {}, needs_cjson = operation.body ~= nil,
  }
end

local function check_options(signature, options, kinds, level)
  local checked = check.fields("option", options, kinds, level + 1)
  for name in pairs(checked.query or {}) do
    if signature.query[name] then
      error(("'%s' is a parameter; it cannot be in options.query"):format(name), level + 1)
    end
  end
  return checked
end

local function check_params(signature, params, level)
  local checked = check.fields(signature.what, params, signature.kinds, level + 1)
  for _, name in ipairs(signature.required) do
    if checked[name] == nil then
      error(("%s '%s' is required"):format(signature.what, name), level + 1)
    end
  end
  return checked
end

local function need_cjson(level)
  if not has_cjson then has_cjson, cjson = pcall(require, "cjson") end
  if has_cjson then return end
  local reason = tostring(cjson):match("^[^\n]*")
  error("gradient needs lua-cjson to build request bodies: " .. reason, level + 1)
end

-- Checks what a program passed; returns the ids by name, the parameters, the options.
local function arguments(signature, kinds, level, ...)
  local ids = {}
  for position, name in ipairs(signature.ids) do
    ids[name] = check.value("the " .. name, (select(position, ...)), signature.id_kind, level + 1)
  end
  local params, options = select(#signature.ids + 1, ...)
  if signature.kinds then
    params = check_params(signature, params, level + 1)
  else
    params, options = {}, params
  end
  options = check_options(signature, options, kinds, level + 1)
  if signature.needs_cjson then need_cjson(level + 1) end
  return ids, params, options
end

-- Makes the call, which still has to be driven; nil and an error when it must not be made.
local function new_call(client, operation, ids, params, options, pace)
  local body = operation.body and encode(chosen(operation.body, params, ids))
  local identity = operation.identity
  options.identity = identity and { [identity] = ids[identity] }
  return client:call(operation, segments(operation, ids), query_of(operation, params, options),
    body, options, pace)
end

-- Drives a call from start to end.
local function outcome(client, new_one, problem)
  if not new_one then return nil, problem end
  local call <close> = new_one
  client:drive(call, { call })
  return call:outcome()
end

-- operation(id…, params, options), without params where there are none
local function bind_function(operation, get_client, perform)
  local signature = signature_of(operation)
  return function(...)
    local ids, params, options = arguments(signature, option_kinds, 2, ...)
    local answer, response = perform(get_client(2), ids, params, options)
    return answer, response
  end
end

-- `each` or `pages`: an iterator over all pages of the operation.
local function bind_iterator(operation, get_client, iterator, filter_kinds)
  local signature = signature_of(operation, filter_kinds)
  return function(...)
    local ids, params, options = arguments(signature, iteration_option_kinds, 2, ...)
    local client = get_client(2)
    local filters = chosen(filter_kinds or {}, params)
    local settings = {
      first = params.page or 1, size = params.per_page or most_per_page,
      prefetch = options.prefetch or 1, member = operation.member,
      filter = next(filters) and function(item)
        for _, passes in pairs(filters) do
          if type(item) ~= "table" or not passes(item) then return false end
        end
        return true
      end,
    }
    local function request_page(number, size, pace)
      params.page, params.per_page = number, size
      return new_call(client, operation, ids, params, options, pace)
    end
    return paginator[iterator](client, request_page, settings)
  end
end

--- A resource: the operations, bound to a client. `run` of those that have it is called with the
--- bound resource, the client, the ids by name, the parameters or settings, and the options, all
--- of them checked.
---@param operations table<string, table>
---@param get_client fun(level: integer): table
---@return table<string, function|table>
function resource.new(operations, get_client)
  local bound = setmetatable({}, { __name = "gradient.resource" })
  for name, operation in pairs(operations) do
    if operation.run then
      bound[name] = bind_function(operation, get_client, function(...)
        return operation.run(bound, ...)
      end)
    elseif operation.path then
      bound[name] = bind_function(operation, get_client, function(client, ...)
        return outcome(client, new_call(client, operation, ...))
      end)
    else
      bound[name] = resource.new(operation, get_client)
    end
  end
  local list = operations.list
  if list and list.query.page then
    bound.each = bind_iterator(list, get_client, "each", list.filter)
    bound.pages = bind_iterator(list, get_client, "pages")
  end
  return bound
end

--- When (core.now) the time of an operation that takes several requests is over.
---@param client gradient.client
---@param options gradient.call_options  checked
---@return number deadline
function resource.deadline(client, options)
  return core.now() + (options.total_timeout or client.total_timeout)
end

--- The options of one request, which must not last longer than that.
---@param client gradient.client
---@param options gradient.call_options  checked
---@param deadline number
---@return gradient.call_options
function resource.options_until(client, options, deadline)
  local copy = {}
  for name, value in pairs(options) do copy[name] = value end
  local left = math.max(0.001, deadline - core.now())
  copy.total_timeout = math.min(left, options.total_timeout or client.total_timeout)
  return copy
end

--- Fetches a text from another place, see client:call_elsewhere.
---@param client gradient.client
---@param place table
---@param options gradient.call_options  checked
---@return string? text
---@return gradient.response|gradient.error response
function resource.fetch(client, place, options)
  return outcome(client, client:call_elsewhere(place, options))
end

return resource
