--- A log of requests, of which it keeps the latest.

local wire = require("spec.server.wire")

local log_methods = {}

--- Adds a request; at most `limit` are kept.
function log_methods:add(request, limit)
  if limit == 0 then
    return
  end
  self.last = self.last + 1
  self.requests[self.last] = request
  while self.last - self.first >= limit do
    self.requests[self.first] = nil
    self.first = self.first + 1
  end
end

--- The log as plain tables, see spec/support/api.lua.
function log_methods:entries()
  local list = {}
  for i = self.first, self.last do
    local request = self.requests[i]
    local values, fields = {}, wire.headers(request)
    for _, field in ipairs(fields) do
      values[field[1]] = field[2]
    end
    list[#list + 1] = {
      number = request.number,
      connection = request.connection,
      reused = request.reused,
      method = request.method,
      target = request.target,
      path = request.path,
      query = request.query,
      page = request.page,
      headers = values,
      header_list = fields,
      body = request.body,
      status = request.status,
      fault = request.fault,
      received = request.received,
      answered = request.answered,
      aborted = request.aborted,
    }
  end
  return list
end

local log_metatable = { __index = log_methods }

local function new()
  return setmetatable({ first = 1, last = 0, requests = {} }, log_metatable)
end

return { new = new }
