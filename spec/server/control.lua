--- The server's remote control: POST /_control/NAME with a JSON object, answered with JSON.

local faults = require("spec.server.faults")
local json = require("spec.server.json")
local script = require("spec.server.script")

local MAX_LISTED = 1000

local operations = {}

--- Everything as at the start.
function operations.reset(state)
  state:reset()
end

--- Changes settings.
function operations.set(state, values)
  state:set(values)
end

--- Puts entries at the end of the script; those with `fault` are the named ones.
function operations.script(state, entries)
  local checked = {}
  for i, entry in ipairs(entries) do
    if entry.fault then
      entry = faults.make(entry.fault, entry.options or {})
    end
    checked[i] = script.check(entry)
  end
  table.move(checked, 1, #checked, #state.queue + 1, state.queue)
end

--- How many entries of the script are left.
function operations.pending(state)
  return { entries = #state.queue }
end

--- Creates `count` jobs at once.
function operations.grow(state, values)
  state.store:grow(values.count or 1)
end

--- Takes the `count` oldest jobs away.
function operations.decay(state, values)
  state.store:decay(values.count or 1)
end

--- Puts the clock forward by `seconds`.
function operations.advance(state, values)
  state:advance(values.seconds)
end

function operations.requests(state)
  return state.log:entries()
end

--- What the host that has the reports was asked.
function operations.storage_requests(state)
  return state.storage_log:entries()
end

function operations.connections(state)
  return state:counters()
end

--- Waits for counters: see state:await.
function operations.await(state, goal)
  local reached = state:await(goal, goal.timeout or 5)
  local counters = state:counters()
  counters.reached = reached
  return counters
end

--- Closes the connections of all API clients.
function operations.drop(state)
  for connection in pairs(state.connections) do
    connection.socket:shutdown("rw")
  end
end

--- The uuids of the first knowledge bases.
function operations.knowledge_bases(state)
  local bases, uuids = state.store.bases, {}
  for index = 1, math.min(bases.count, MAX_LISTED) do
    uuids[index] = bases:get(index).uuid
  end
  return uuids
end

--- Adds a knowledge base, whose database takes its time.
function operations.create_knowledge_base(state, values)
  local base = state.store.bases:add(values.name, state:clock(),
    values.database_time or state.settings.database_time, values.database_status)
  return { uuid = base.uuid }
end

--- Carries out what a control request asks for. Returns status and body.
local function answer(state, request)
  local operation = operations[request.path:match("^/_control/([%w_]+)$") or ""]
  if not operation then
    return 404, '{"message":"no such control operation"}'
  end
  local ok, result = pcall(function()
    local values = request.body ~= "" and json.decode(request.body) or {}
    return operation(state, values)
  end)
  if not ok then
    return 400, json.encode({ message = tostring(result) })
  end
  if result == nil then
    return 200, "{}"
  end
  return 200, next(result) == nil and "[]" or json.encode(result)
end

return { answer = answer }
