--- The other host, on a port of its own: it has the reports, for those who know the signed URL.

local ids = require("spec.server.ids")
local wire = require("spec.server.wire")

local PATH = "/indexing_jobs/%s/details.csv"
local EXPIRES = 900 -- seconds

local XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>%s</Message>'
  .. "</Error>\n"

--- The signature of a job's record and a time, which only this host and the API can compute.
local function signature(record, date)
  local seed = record.hash ~ date
  return ("%016x%016x"):format(ids.mix(seed + 1), ids.mix(seed + 2))
end

--- The URL of a job's report, as of now.
local function signed_url(state, record)
  local date = math.floor(state:clock())
  return ("http://%s%s?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=%s&X-Amz-Expires=%d"):format(
    state.storage_authority,
    PATH:format(record.uuid),
    os.date("!%Y%m%dT%H%M%SZ", date),
    EXPIRES
  ) .. ("&X-Amz-Time=%d&X-Amz-SignedHeaders=host&X-Amz-Signature=%s"):format(
    date,
    signature(record, date)
  )
end

local function refuse(status, code, message)
  return status, { { "content-type", "application/xml" } }, XML:format(code, message)
end

--- Status, headers and body of the answer to a request.
local function answer(state, request)
  local uuid = request.path:match("^" .. PATH:format("([^/]+)"):gsub("%.csv", "%%.csv") .. "$")
  local record = uuid and state.store:find(uuid)
  if wire.header(request, "authorization") then
    return refuse(400, "InvalidArgument", "Only one auth mechanism allowed")
  elseif request.method ~= "GET" then
    return refuse(405, "MethodNotAllowed", "The method is not allowed")
  elseif not record or not state.store:has_report(record) then
    return refuse(404, "NoSuchKey", "The specified key does not exist")
  end
  local date = math.tointeger(tonumber(request.query["X-Amz-Time"])) or 0
  if request.query["X-Amz-Signature"] ~= signature(record, date) then
    return refuse(403, "SignatureDoesNotMatch", "The signature does not match")
  elseif state:clock() > date + EXPIRES then
    return refuse(403, "AccessDenied", "Request has expired")
  end
  return 200, { { "content-type", "text/csv; charset=utf-8" } }, state.store:report(record)
end

return { answer = answer, signed_url = signed_url }
