--- The API's enumerations. The server may send others, and these arrive as they are.

---@alias gradient.job_phase
---| "BATCH_JOB_PHASE_UNKNOWN"
---| "BATCH_JOB_PHASE_PENDING"
---| "BATCH_JOB_PHASE_RUNNING"
---| "BATCH_JOB_PHASE_SUCCEEDED"
---| "BATCH_JOB_PHASE_FAILED"
---| "BATCH_JOB_PHASE_ERROR"
---| "BATCH_JOB_PHASE_CANCELLED"

---@alias gradient.job_status
---| "INDEX_JOB_STATUS_UNKNOWN"
---| "INDEX_JOB_STATUS_PARTIAL"
---| "INDEX_JOB_STATUS_IN_PROGRESS"
---| "INDEX_JOB_STATUS_COMPLETED"
---| "INDEX_JOB_STATUS_FAILED"
---| "INDEX_JOB_STATUS_NO_CHANGES"
---| "INDEX_JOB_STATUS_PENDING"
---| "INDEX_JOB_STATUS_CANCELLED"

---@alias gradient.data_source_status
---| "DATA_SOURCE_STATUS_UNKNOWN"
---| "DATA_SOURCE_STATUS_IN_PROGRESS"
---| "DATA_SOURCE_STATUS_UPDATED"
---| "DATA_SOURCE_STATUS_PARTIALLY_UPDATED"
---| "DATA_SOURCE_STATUS_NOT_UPDATED"
---| "DATA_SOURCE_STATUS_FAILED"
---| "DATA_SOURCE_STATUS_CANCELLED"

local check = require "gradient.check"

local enums = {}

-- The names behind a prefix, written out so that an editor finds them.
enums.phase = {
  UNKNOWN = "BATCH_JOB_PHASE_UNKNOWN",
  PENDING = "BATCH_JOB_PHASE_PENDING",
  RUNNING = "BATCH_JOB_PHASE_RUNNING",
  SUCCEEDED = "BATCH_JOB_PHASE_SUCCEEDED",
  FAILED = "BATCH_JOB_PHASE_FAILED",
  ERROR = "BATCH_JOB_PHASE_ERROR",
  CANCELLED = "BATCH_JOB_PHASE_CANCELLED",
}

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

enums.data_source_status = {
  UNKNOWN = "DATA_SOURCE_STATUS_UNKNOWN",
  IN_PROGRESS = "DATA_SOURCE_STATUS_IN_PROGRESS",
  UPDATED = "DATA_SOURCE_STATUS_UPDATED",
  PARTIALLY_UPDATED = "DATA_SOURCE_STATUS_PARTIALLY_UPDATED",
  NOT_UPDATED = "DATA_SOURCE_STATUS_NOT_UPDATED",
  FAILED = "DATA_SOURCE_STATUS_FAILED",
  CANCELLED = "DATA_SOURCE_STATUS_CANCELLED",
}

local final = {
  [enums.phase.SUCCEEDED] = true, [enums.phase.FAILED] = true,
  [enums.phase.ERROR] = true, [enums.phase.CANCELLED] = true,
}

--- Is this job over, one way or another? A phase that is not known counts as not over.
---@param job gradient.job
---@return boolean
function enums.is_finished(job)
  check.value("the job", job, check.table, 2)
  return final[job.phase] == true
end

return enums
