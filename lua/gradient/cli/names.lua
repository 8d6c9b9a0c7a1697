--- The names of knowledge bases, and where the data of their data sources is.

local check = require "gradient.check"
local errors = require "gradient.errors"

local names = {}

local per_page = 200 -- the most that one request can bring

---@class gradient.cli.names
local names_methods = {}

local names_metatable = { __index = names_methods }

--- Names that are requested once, when the first is needed. Without a client there are none.
---@param client gradient.client?
---@return gradient.cli.names
function names.new(client)
  return setmetatable({ client = client, places = {} }, names_metatable)
end

-- A table from uuid to name, for all items of an iterator. Names are a convenience: without an
-- answer, tables show uuids.
local function collect(iterate, name_of)
  local found = {}
  local ok, problem = pcall(function()
    for item in iterate() do
      local name = name_of(item)
      if item.uuid and type(name) == "string" and name ~= "" then found[item.uuid] = name end
    end
  end)
  if not ok and type(problem) ~= "table" then error(problem, 0) end
  return found
end

--- The name of the knowledge base, where it is known.
---@param uuid string?
---@return string?
function names_methods:of(uuid)
  if not self.client or not uuid then return nil end
  self.known = self.known or collect(function()
    return self.client.knowledge_bases.each({ per_page = per_page }, { max_retries = 0 })
  end, function(base) return base.name end)
  return self.known[uuid]
end

-- "bucket/path", a URL, the name of a file or of a folder.
local function place(source)
  local function field(kind, name)
    local value = type(source[kind]) == "table" and source[kind][name]
    return type(value) == "string" and value or nil
  end
  local bucket = field("spaces_data_source", "bucket_name")
  if bucket then return bucket .. "/" .. (field("spaces_data_source", "item_path") or "") end
  return field("web_crawler_data_source", "base_url")
    or field("file_upload_data_source", "original_file_name")
    or field("aws_data_source", "bucket_name") or field("dropbox_data_source", "folder")
    or field("google_drive_data_source", "folder_id") or source.bucket_name
end

--- Where the data of the data sources of a knowledge base is: uuid → place, as far as it is known.
---@param uuid string?  of the knowledge base
---@return table<string, string>
function names_methods:places_of(uuid)
  if not self.client or not names.is_id(uuid) then return {} end
  self.places[uuid] = self.places[uuid] or collect(function()
    return self.client.knowledge_bases.data_sources.each(uuid, { per_page = per_page },
      { max_retries = 0 })
  end, place)
  return self.places[uuid]
end

--- Can this be part of a request? What a server sends as an id may be anything.
---@param uuid any
---@return boolean
function names.is_id(uuid)
  return check.id[2](uuid, "") ~= nil
end

--- The knowledge base of this name or uuid.
---@param client gradient.client
---@param name_or_uuid string
---@return gradient.knowledge_base? base
---@return gradient.error? problem  one of kind not_found names near ones
function names.find(client, name_or_uuid)
  local answer, problem = client.knowledge_bases.find(name_or_uuid)
  if not answer then return nil, problem end
  local base = answer.knowledge_base
  if names.is_id(base.uuid) then return base end
  return nil, errors.new{
    kind = "decode", attempts = 1,
    message = ("the knowledge base '%s' has no uuid"):format(name_or_uuid),
  }
end

return names
