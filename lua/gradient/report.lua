--- The report of an indexing job, which another host has, at a URL that is a secret by itself:
--- whoever knows it may read the report.

local core = require "gradient.core"
local resource = require "gradient.resource"

local report = {}

-- Shorter values of a query are no secrets, and would be found where they are not meant.
local shortest_secret = 8

-- Takes queries and passwords of URLs out of a text. Everything secret of a signed URL is in its
-- query. JSON may write the rest of a URL in several ways.
local function mask_urls(text)
  return (text:gsub("%?[^%s\"'<>]+", "?***"):gsub("//[^/%s@]+@", "//***@"))
end

local function percent_decoded(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Patterns of the values of a URL's query, as they are there and as the other host may repeat them.
local function secrets_of(url)
  local secrets = {}
  for value in (url:match("%?(.*)") or ""):gmatch("=([^&#]+)") do
    for _, form in ipairs{ value, percent_decoded(value) } do
      if #form >= shortest_secret then secrets[#secrets + 1] = form:gsub("%W", "%%%0") end
    end
  end
  return secrets
end

-- A function that takes the secrets out of what is told: a string, a table of them, or nil.
local function redactor(secrets)
  local function redact(told)
    if type(told) == "table" then
      local safe = {}
      for name, value in pairs(told) do safe[name] = redact(value) end
      return safe
    elseif told == nil then
      return nil
    end
    told = mask_urls(told)
    for _, pattern in ipairs(secrets) do told = told:gsub(pattern, "***") end
    return told
  end
  return redact
end

--- Takes the queries of URLs out of what an error tells.
report.redact = redactor{}

--- `run` of an operation (see resource.lua): the signed URL, then what is there.
function report.fetch(operations, client, ids, _, options)
  local deadline = options.total_timeout and core.now() + options.total_timeout
  local answer, response = operations.retrieve_signed_url(ids.uuid, options)
  if not answer then return nil, response end
  local url = answer.signed_url
  options.deadline = deadline
  return resource.fetch(client, {
    url = url, shown_url = mask_urls(url), redact = redactor(secrets_of(url)),
  }, options)
end

return report
