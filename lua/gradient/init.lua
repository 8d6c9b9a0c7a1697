--- gradient: DigitalOcean's Gradient AI indexing jobs, from Lua. See README.md.

if _VERSION < "Lua 5.4" then -- which could not even read the files below
  error("gradient needs Lua 5.4 or later, this is " .. _VERSION, 0)
end

local client = require "gradient.client"
local core = require "gradient.core"
local enums = require "gradient.enums"
local indexing_jobs = require "gradient.indexing_jobs"
local job = require "gradient.job"
local knowledge_bases = require "gradient.knowledge_bases"
local resource = require "gradient.resource"
local scheduled_indexing = require "gradient.scheduled_indexing"
local timestamp = require "gradient.timestamp"

---@class gradient
---@field indexing_jobs gradient.indexing_jobs  of the default client, as all that follow
---@field knowledge_bases gradient.knowledge_bases
---@field scheduled_indexing gradient.scheduled_indexing
---@field _VERSION string  The version of this module, such as "0.2.0".
---@field phase gradient.phase_names
---@field status gradient.status_names
---@field data_source_status gradient.data_source_status_names
---@field database_status gradient.database_status_names
---@field null lightuserdata  Stands for a JSON null; the same value as cjson.null.
local gradient = {
  _VERSION = core.version,
  null = core.null,
  phase = enums.phase,
  status = enums.status,
  data_source_status = enums.data_source_status,
  database_status = enums.database_status,
  is_finished = job.is_finished,
  outcome = job.outcome,
  progress = job.progress,
  timestamp = timestamp,
}

-- Puts the API's resources into a table: a client, or this module.
local function add_resources(owner, get_client)
  owner.indexing_jobs = resource.new(indexing_jobs, get_client)
  owner.knowledge_bases = resource.new(knowledge_bases, get_client)
  owner.knowledge_bases.indexing_jobs = owner.indexing_jobs -- as in the other SDKs
  owner.scheduled_indexing = resource.new(scheduled_indexing, get_client)
end

--- Makes a client with options of its own.
---@param options? gradient.options
---@return gradient.client
function gradient.client(options)
  local made = client.new(options, 2)
  add_resources(made, function() return made end)
  return made
end

local default_client

-- The default client, made on first use from the environment.
local function get_default_client(level)
  default_client = default_client or client.new(nil, level + 1)
  return default_client
end

add_resources(gradient, get_default_client)

setmetatable(gradient, { __name = "gradient" })

return gradient
