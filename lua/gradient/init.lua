--- gradient: DigitalOcean's Gradient AI indexing jobs, from Lua. See README.md.

local client = require "gradient.client"
local core = require "gradient.core"
local enums = require "gradient.enums"
local indexing_jobs = require "gradient.indexing_jobs"
local job = require "gradient.job"
local resource = require "gradient.resource"
local timestamp = require "gradient.timestamp"

---@class gradient
---@field indexing_jobs gradient.indexing_jobs  of the default client
---@field knowledge_bases { indexing_jobs: gradient.indexing_jobs }
---@field _VERSION string
---@field null lightuserdata  stands for a JSON null; the same value as cjson.null
local gradient = {
  _VERSION = core.version,
  null = core.null,
  phase = enums.phase,
  status = enums.status,
  data_source_status = enums.data_source_status,
  is_finished = job.is_finished,
  outcome = job.outcome,
  progress = job.progress,
  timestamp = timestamp,
}

--- A client of its own, with options of its own.
---@param options? gradient.options
---@return gradient.client
function gradient.client(options)
  local made = client.new(options, 2)
  return made
end

local default_client

-- The default client, made on first use from the environment.
local function get_default_client(level)
  default_client = default_client or client.new(nil, level + 1)
  return default_client
end

gradient.indexing_jobs = resource.new(indexing_jobs, get_default_client)
gradient.knowledge_bases = { indexing_jobs = gradient.indexing_jobs }

return setmetatable(gradient, { __name = "gradient" })
