--- The report of an indexing job. Another host serves it, and its URL is a secret: whoever has the
--- URL can read the report.

local options = require "gradient.options"
local resource = require "gradient.resource"

local report = {}

-- Shorter values are no secrets, and the same characters may stand elsewhere by chance.
local shortest_secret = 8

-- Masks the queries and passwords of URLs in a text. All that is secret in a signed URL is in its
-- query. JSON has several ways to write the rest of a URL.
local function mask_urls(text)
  return (text:gsub("%?[^%s\"'<>]+", "?***"):gsub("//[^/%s@]+@", "//***@"))
end

-- Patterns of the values of a URL's query, as they are there and as the other host may repeat them.
-- Parameters such as response-content-type only ask for headers of the answer.
local function secrets_of(url)
  local secrets = {}
  for parameter in (url:match("%?(.*)") or ""):gmatch("[^&#]+") do
    local value = parameter:match("=(.*)") or parameter
    for _, form in ipairs{ value, options.percent_decoded(value) } do
      if #form >= shortest_secret and not parameter:find("^response%-") then
        secrets[#secrets + 1] = options.in_any_case(form)
      end
    end
  end
  return secrets
end

-- A function that masks the secrets in a string or in a table of strings; nil stays nil.
local function redactor(secrets)
  local function redact(value)
    if type(value) == "table" then
      local safe = {}
      for name, member in pairs(value) do safe[redact(name)] = redact(member) end
      return safe
    elseif value == nil then
      return nil
    end
    local text = mask_urls(value)
    for _, pattern in ipairs(secrets) do text = text:gsub(pattern, "***") end
    return text
  end
  return redact
end

--- Masks the queries of URLs in an error.
report.redact = redactor{}

--- `run` of an operation (see resource.lua): the signed URL, then what is there.
function report.fetch(operations, client, ids, _, call_options)
  local deadline = resource.deadline(client, call_options)
  local answer, response = operations.retrieve_signed_url(ids.uuid, call_options)
  if not answer then return nil, response end
  local url = answer.signed_url
  return resource.fetch(client, {
    url = url, shown_url = mask_urls((url:gsub("[?#].*", "?***"))),
    redact = redactor(secrets_of(url)),
  }, resource.options_until(client, call_options, deadline))
end

return report
