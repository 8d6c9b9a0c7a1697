--- The API's enumerations. The server may send other values; they are passed on as they are.

--- How far a job has got: its field `phase`.
---@alias gradient.job_phase
---| "BATCH_JOB_PHASE_UNKNOWN"
---| "BATCH_JOB_PHASE_PENDING"
---| "BATCH_JOB_PHASE_RUNNING"
---| "BATCH_JOB_PHASE_SUCCEEDED"
---| "BATCH_JOB_PHASE_FAILED"
---| "BATCH_JOB_PHASE_ERROR"
---| "BATCH_JOB_PHASE_CANCELLED"

--- What a job has done: its field `status`.
---@alias gradient.job_status
---| "INDEX_JOB_STATUS_UNKNOWN"
---| "INDEX_JOB_STATUS_PARTIAL"
---| "INDEX_JOB_STATUS_IN_PROGRESS"
---| "INDEX_JOB_STATUS_COMPLETED"
---| "INDEX_JOB_STATUS_FAILED"
---| "INDEX_JOB_STATUS_NO_CHANGES"
---| "INDEX_JOB_STATUS_PENDING"
---| "INDEX_JOB_STATUS_CANCELLED"

--- The state of a data source within a job.
---@alias gradient.data_source_status
---| "DATA_SOURCE_STATUS_UNKNOWN"
---| "DATA_SOURCE_STATUS_IN_PROGRESS"
---| "DATA_SOURCE_STATUS_UPDATED"
---| "DATA_SOURCE_STATUS_PARTIALLY_UPDATED"
---| "DATA_SOURCE_STATUS_NOT_UPDATED"
---| "DATA_SOURCE_STATUS_FAILED"
---| "DATA_SOURCE_STATUS_CANCELLED"

--- The state of a knowledge base's database.
---@alias gradient.database_status
---| "CREATING"
---| "ONLINE"
---| "POWEROFF"
---| "REBUILDING"
---| "REBALANCING"
---| "DECOMMISSIONED"
---| "FORKING"
---| "MIGRATING"
---| "RESIZING"
---| "RESTORING"
---| "POWERING_ON"
---| "UNHEALTHY"
---| "UPGRADING"

local enums = {}

-- A misspelt name would be nil, and a comparison with it false forever: it raises instead.
local function raise_for_unknown_names(enum, values)
  setmetatable(values, {
    __index = function(_, name)
      local names = {}
      for known in pairs(values) do names[#names + 1] = known end
      table.sort(names)
      error(("unknown name '%s' in gradient.%s (expected %s)"):format(tostring(name), enum,
        table.concat(names, ", ")), 2)
    end,
  })
end

-- Written out, so that an editor finds the names and reports all others.

--- The phases of a job, by short names: `job.phase == gradient.phase.FAILED`. Any other name
--- raises. The server may send other phases; they are passed on as they are.
---@class gradient.phase_names
enums.phase = {
  UNKNOWN = "BATCH_JOB_PHASE_UNKNOWN",
  PENDING = "BATCH_JOB_PHASE_PENDING",
  RUNNING = "BATCH_JOB_PHASE_RUNNING",
  SUCCEEDED = "BATCH_JOB_PHASE_SUCCEEDED",
  FAILED = "BATCH_JOB_PHASE_FAILED",
  ERROR = "BATCH_JOB_PHASE_ERROR",
  CANCELLED = "BATCH_JOB_PHASE_CANCELLED",
}

--- The statuses of a job, by short names.
---@class gradient.status_names
enums.status = {
  UNKNOWN = "INDEX_JOB_STATUS_UNKNOWN",
  PARTIAL = "INDEX_JOB_STATUS_PARTIAL",
  IN_PROGRESS = "INDEX_JOB_STATUS_IN_PROGRESS",
  COMPLETED = "INDEX_JOB_STATUS_COMPLETED",
  FAILED = "INDEX_JOB_STATUS_FAILED",
  NO_CHANGES = "INDEX_JOB_STATUS_NO_CHANGES",
  PENDING = "INDEX_JOB_STATUS_PENDING",
  CANCELLED = "INDEX_JOB_STATUS_CANCELLED",
}

--- The statuses of a job's data sources, by short names.
---@class gradient.data_source_status_names
enums.data_source_status = {
  UNKNOWN = "DATA_SOURCE_STATUS_UNKNOWN",
  IN_PROGRESS = "DATA_SOURCE_STATUS_IN_PROGRESS",
  UPDATED = "DATA_SOURCE_STATUS_UPDATED",
  PARTIALLY_UPDATED = "DATA_SOURCE_STATUS_PARTIALLY_UPDATED",
  NOT_UPDATED = "DATA_SOURCE_STATUS_NOT_UPDATED",
  FAILED = "DATA_SOURCE_STATUS_FAILED",
  CANCELLED = "DATA_SOURCE_STATUS_CANCELLED",
}

--- The statuses of a knowledge base's database.
---@class gradient.database_status_names
enums.database_status = {
  CREATING = "CREATING",
  ONLINE = "ONLINE",
  POWEROFF = "POWEROFF",
  REBUILDING = "REBUILDING",
  REBALANCING = "REBALANCING",
  DECOMMISSIONED = "DECOMMISSIONED",
  FORKING = "FORKING",
  MIGRATING = "MIGRATING",
  RESIZING = "RESIZING",
  RESTORING = "RESTORING",
  POWERING_ON = "POWERING_ON",
  UNHEALTHY = "UNHEALTHY",
  UPGRADING = "UPGRADING",
}

for enum, values in pairs(enums) do raise_for_unknown_names(enum, values) end

return enums
