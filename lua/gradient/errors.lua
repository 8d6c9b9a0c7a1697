--- Error values: what the network or the server did, as tables that print as one sentence.

--- What went wrong, by an error's field `kind`.
---@alias gradient.error_kind
---| "bad_request"           # HTTP 400
---| "authentication"        # HTTP 401, or no token
---| "permission_denied"     # HTTP 403
---| "not_found"             # HTTP 404
---| "conflict"              # HTTP 409
---| "unprocessable_entity"  # HTTP 422
---| "rate_limit"            # HTTP 429
---| "server"                # HTTP 500 and above
---| "status"                # any other status outside 2xx
---| "timeout"               # no complete answer in time
---| "connection"            # DNS, refused, reset, TLS, cut short, over max_body
---| "decode"                # 2xx, but not the JSON that the API documents
---| "closed"                # the client was closed
---| "job_failed"            # wait_for_completion: the job did not succeed
---| "database_failed"       # wait_for_database: it will not come online

--- An error. It prints as one sentence.
---@class gradient.error
---@field kind gradient.error_kind
---@field message string
---@field attempts integer  requests that were made
---@field status? integer  HTTP status
---@field id? string  the API's own name for the error
---@field request_id? string
---@field headers? table<string, string>  of the answer, names in lower case
---@field body? string  at most 4 KiB of it
---@field retry_after? number  seconds that the server asked to wait
---@field job? gradient.job  of wait_for_completion: as last seen
---@field database_status? gradient.database_status|string  of wait_for_database: as last seen
---@field names? string[]  of find, not_found: similar names
---@field uuids? string[]  of find, conflict: of all that bear the name

local errors = {}

local kind_of_status = {
  [400] = "bad_request", [401] = "authentication", [403] = "permission_denied",
  [404] = "not_found", [409] = "conflict", [422] = "unprocessable_entity", [429] = "rate_limit",
}

--- The kind of error for an answer with this status.
---@param status integer  outside 2xx
---@return gradient.error_kind
function errors.kind(status)
  return kind_of_status[status] or status >= 500 and "server" or "status"
end

local error_metatable = { __name = "gradient.error" }

function error_metatable:__tostring()
  local details = {}
  if self.status then details[#details + 1] = ("HTTP %d"):format(self.status) end
  details[#details + 1] = self.id
  if self.request_id then details[#details + 1] = "request " .. self.request_id end
  if self.attempts > 1 then details[#details + 1] = ("%d attempts"):format(self.attempts) end
  local text = self.kind .. ": " .. self.message
  if #details > 0 then text = ("%s (%s)"):format(text, table.concat(details, ", ")) end
  return (text:gsub("%c", " ")) -- a server must not control a terminal
end

function error_metatable.__concat(left, right)
  return tostring(left) .. tostring(right)
end

--- Makes an error of its fields.
---@param fields table  see gradient.error
---@return gradient.error
function errors.new(fields)
  return setmetatable(fields, error_metatable)
end

--- Is this one of these errors, and not something that the program raised?
---@param value any
---@return boolean
function errors.is_error(value)
  return getmetatable(value) == error_metatable
end

return errors
