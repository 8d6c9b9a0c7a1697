--- The names of knowledge bases.

local names = {}

local per_page = 200 -- the most that one request can bring

---@class gradient.cli.names
local names_methods = {}

local names_metatable = { __index = names_methods }

--- Names that are asked for once, when the first is needed. A `client` of nil knows none.
---@param client gradient.client?
---@return gradient.cli.names
function names.new(client)
  return setmetatable({ client = client }, names_metatable)
end

-- A name is for convenience: without an answer, tables show uuids.
function names_methods:fetch()
  self.known = {}
  if not self.client then return end
  local ok, problem = pcall(function()
    for base in self.client.knowledge_bases.each({ per_page = per_page }, { max_retries = 0 }) do
      if base.uuid and base.name ~= "" then self.known[base.uuid] = base.name end
    end
  end)
  if not ok and type(problem) ~= "table" then error(problem, 0) end
end

--- The name of the knowledge base, where it is known.
---@param uuid string?
---@return string?
function names_methods:of(uuid)
  if not self.known then self:fetch() end
  return uuid and self.known[uuid]
end

--- The uuid of the knowledge base of this name or uuid; raises an error that names near ones.
---@param client gradient.client
---@param name_or_uuid string
---@return string uuid, string name
function names.find(client, name_or_uuid)
  local base = assert(client.knowledge_bases.find(name_or_uuid)).knowledge_base
  return base.uuid, base.name or base.uuid
end

return names
