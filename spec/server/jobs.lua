--- What the API says of a job at a time, computed from its record and the clock. A record says when
--- the job was created, how long it waits and runs, and how it ends:
--
--   uuid, hash (where its figures come from), base, sources (uuids, nil for those of the base),
--   count (of these), created, pending, running (seconds), outcome, stop (the share of its work
--   that is done at its end), cancelled_at
--
-- As on the platform, what is zero or not known yet is left out.

local bases = require("spec.server.bases")
local ids = require("spec.server.ids")
local json = require("spec.server.json")

local format, floor, max, min = string.format, math.floor, math.max, math.min
local mix, object, count, time = ids.mix, json.object, json.count, json.time

-- Outcome of a job: phase and status at its end, how much of its work is done by then (nil: a share
-- that depends on the job), the states of data sources that are done and of the one that is not.
local OUTCOMES = {
  completed = { phase = "SUCCEEDED", status = "COMPLETED", stop = 1, done = "UPDATED" },
  no_changes = { phase = "SUCCEEDED", status = "NO_CHANGES", stop = 1, done = "NOT_UPDATED" },
  partial = {
    phase = "SUCCEEDED",
    status = "PARTIAL",
    stop = 1,
    done = "UPDATED",
    last = "PARTIALLY_UPDATED",
  },
  failed = { phase = "FAILED", status = "FAILED", done = "UPDATED", broken = "FAILED" },
  error = { phase = "ERROR", status = "FAILED", stop = 0, broken = "FAILED" },
  cancelled = {
    phase = "CANCELLED",
    status = "CANCELLED",
    done = "UPDATED",
    broken = "CANCELLED",
    rest = "CANCELLED",
  },
}

-- The past: out of 1,000 jobs, so many end like this.
local PAST = {
  { 700, "completed" },
  { 800, "no_changes" },
  { 860, "partial" },
  { 940, "failed" },
  { 955, "error" },
  { 1000, "cancelled" },
}

local PROBLEMS = {
  { "crawl failed", "https://docs.example.com/guide: 503 Service Unavailable, 3 attempts" },
  { "bucket not readable", "GET object 'manuals/2024/index.pdf': 403 Forbidden" },
  { "file too large", "'exports/catalogue.csv' has 1.2 GB, the limit is 1 GB" },
  { "embedding failed", "model 'gte-large-en-v1.5': context window exceeded in chunk 311" },
}

--- Says how a job ends, and how much of its work is done by then.
local function settle(record, name)
  local outcome = OUTCOMES[name]
  record.outcome = outcome
  record.stop = outcome.stop or (0.1 + 0.8 * (record.hash >> 40 & 0xFFFF) / 0xFFFF)
  return record
end

--- How a job of the past with this hash has ended.
local function past_outcome(hash)
  local dice = (hash >> 33) % 1000
  for _, entry in ipairs(PAST) do
    if dice < entry[1] then
      return entry[2]
    end
  end
end

--- Where a job stands at a time: whether it has started, whether it is over, the share of its work
-- that is done (0..1) and the time at which it ended or will end.
local function standing(record, now)
  local started = record.created + record.pending
  local finish = started + record.running
  if record.cancelled_at then
    finish = record.cancelled_at
    now = min(now, finish)
  end
  local progress = (now - started) / (record.running + 1e-9)
  progress = max(0, min(1, progress)) * record.stop
  if record.cancelled_at then
    return started < finish, true, progress, finish
  end
  return now >= started, now >= finish, progress, finish
end

--- Whether a job is over.
local function is_over(record, now)
  local _, over = standing(record, now)
  return over
end

--- Cancels a job, if it is not over.
local function cancel(record, now)
  record.outcome = OUTCOMES.cancelled
  record.cancelled_at = now
end

-- Data sources ------------------------------------------------------------------------------------

--- Figures of one data source of a job: items that it has, and those that were indexed, failed and
-- skipped so far; `share` is how much of the source is done.
local function items_of(record, i, share)
  local items = 20 + mix(record.hash + i) % 3000
  local seen = floor(items * share)
  if record.outcome == OUTCOMES.no_changes then
    return items, 0, 0, seen
  elseif record.outcome == OUTCOMES.partial and i == record.count then
    local failed = (seen + 15) // 16
    return items, seen - failed, failed, 0
  end
  local skipped = seen * (record.hash >> 20 & 3) // 64
  return items, seen - skipped, 0, skipped
end

local function share_of(record, i, progress)
  return max(0, min(1, progress * record.count - (i - 1)))
end

local function source_uuid(record, i)
  return record.sources and record.sources[i] or bases.source_uuid(record.base, i)
end

--- The same as a JSON string; a program may have sent any text.
local function source_text(record, i)
  return record.sources and json.encode(record.sources[i]) or '"' .. source_uuid(record, i) .. '"'
end

local function source_status(record, i, share, over, is_first_open)
  local outcome = record.outcome
  if share >= 1 then
    if i == record.count and outcome.last then
      local odd = record.hash >> 24 & 1 == 1 -- seen in the wild, in no documentation
      return odd and "COMPLETED_WITH_ERRORS" or outcome.last
    end
    return outcome.done
  elseif over then
    return is_first_open and outcome.broken or outcome.rest or "NOT_UPDATED"
  end
  return "IN_PROGRESS"
end

--- JSON object of data source i. Items are counted when it is done, files and bytes before.
local function source_json(record, i, share, status, begin, ended)
  local items, indexed, failed, skipped = items_of(record, i, share)
  local message, details
  if status == "FAILED" then
    message, details = table.unpack(PROBLEMS[1 + (record.hash >> 12) % #PROBLEMS])
    failed = max(failed, 1)
  end
  local bytes = items * (1800 + record.hash % 4096)
  return object(
    "data_source_uuid", source_text(record, i),
    "started_at", time(begin), "completed_at", time(ended),
    "status", '"DATA_SOURCE_STATUS_' .. status .. '"',
    "error_msg", message and json.encode(message),
    "error_details", details and json.encode(details),
    "total_file_count", count(items // 9 + 1),
    "indexed_file_count", count(share >= 1 and failed + skipped == 0 and items // 9 + 1
      or indexed // 9),
    "indexed_item_count", ended and count(indexed),
    "failed_item_count", ended and count(failed),
    "skipped_item_count", ended and count(skipped),
    "removed_item_count", ended and count(floor(share * (record.hash >> 30 & 7))),
    "total_bytes", count(bytes),
    "total_bytes_indexed", count(floor(bytes / items * indexed))
  )
end

--- A list of the JSON objects of data sources: of those whose turn has come.
local function sources(record, now)
  local started, over, progress, finish = standing(record, now)
  local first = record.created + record.pending
  local last = over and finish or first + record.running
  local length = (last - first) / record.count -- seconds for each
  local out, is_first_open = {}, true
  for i = 1, started and record.count or 0 do
    local share = share_of(record, i, progress)
    if not over and share == 0 and not is_first_open then
      break
    end
    local begin = first + length * (i - 1)
    local ended = (over or share >= 1) and min(last, begin + length) or nil
    out[i] = source_json(record, i, share, source_status(record, i, share, over, is_first_open),
      begin, ended)
    is_first_open = is_first_open and share >= 1
  end
  return out
end

-- Jobs --------------------------------------------------------------------------------------------

--- Figures of a whole job: data sources that are done; items indexed, failed and skipped.
local function sums(record, progress)
  local done, indexed, failed, skipped = 0, 0, 0, 0
  for i = 1, record.count do
    local share = share_of(record, i, progress)
    local _, i_indexed, i_failed, i_skipped = items_of(record, i, share)
    done = share >= 1 and done + 1 or done
    indexed, failed, skipped = indexed + i_indexed, failed + i_failed, skipped + i_skipped
  end
  return done, indexed, failed, skipped
end

local function tokens(record, indexed)
  return indexed * (180 + record.hash % 400)
end

--- Phase, status, and the time of the latest change.
local function state_of(record, now)
  local started, over, _, finish = standing(record, now)
  local outcome = record.outcome
  if over then
    return outcome.phase, outcome.status, min(finish + (record.hash & 3), max(now, finish))
  elseif started then
    return "RUNNING", "IN_PROGRESS", now
  end
  return "PENDING", "PENDING", record.created
end

local function has_report(record, now)
  return is_over(record, now) and record.outcome.stop == 1
end

--- JSON object of a job, as the platform writes it.
local function render(record, now)
  local started, over, progress, finish = standing(record, now)
  local phase, status, updated = state_of(record, now)
  local done, indexed = sums(record, progress)
  return object(
    "uuid", json.plain(record.uuid), "knowledge_base_uuid", json.plain(record.base.uuid),
    "created_at", time(record.created), "updated_at", time(updated),
    "started_at", time(started and record.created + record.pending or nil),
    "finished_at", time(over and finish or nil),
    "phase", '"BATCH_JOB_PHASE_' .. phase .. '"', "status", '"INDEX_JOB_STATUS_' .. status .. '"',
    "total_datasources", started and json.integer(record.count),
    "completed_datasources", json.integer(done),
    "total_tokens", over and count(tokens(record, indexed)),
    "data_source_jobs", json.array(sources(record, now)),
    "is_report_available", json.flag(has_report(record, now))
  )
end

--- JSON object of a job with the 15 fields of the reference page, whatever their values.
local function render_reference(record, now)
  local started, over, progress, finish = standing(record, now)
  local phase, status, updated = state_of(record, now)
  local done, indexed, failed, skipped = sums(record, progress)
  if over and record.outcome.broken == "FAILED" then
    failed = failed + 1
  end
  local uuids = {}
  for i = 1, record.count do
    uuids[i] = source_text(record, i)
  end
  return format(
    '{"completed_datasources":%d,"created_at":%s,"data_source_uuids":[%s],"finished_at":%s,'
      .. '"knowledge_base_uuid":"%s","phase":"BATCH_JOB_PHASE_%s","started_at":%s,'
      .. '"status":"INDEX_JOB_STATUS_%s","tokens":%d,"total_datasources":%d,'
      .. '"total_items_failed":"%d","total_items_indexed":"%d","total_items_skipped":"%d",'
      .. '"updated_at":%s,"uuid":"%s"}',
    done,
    time(record.created),
    table.concat(uuids, ","),
    over and time(finish) or "null",
    record.base.uuid,
    phase,
    started and time(record.created + record.pending) or "null",
    status,
    tokens(record, indexed),
    record.count,
    failed,
    indexed,
    skipped,
    time(updated),
    record.uuid
  )
end

--- The report of a job: CSV, a line a file.
local function report(record, now)
  local _, _, progress = standing(record, now)
  local lines = { "data_source_uuid,file,status,error" }
  for i = 1, record.count do
    local _, _, failed, skipped = items_of(record, i, share_of(record, i, progress))
    local items = items_of(record, i, 1)
    for file = 1, items // 9 + 1 do
      local status = file * 9 <= failed and "failed,embedding failed"
        or file * 9 <= failed + skipped and "skipped," or "indexed,"
      lines[#lines + 1] = ("%s,document-%04d.pdf,%s"):format(source_uuid(record, i), file, status)
    end
  end
  return table.concat(lines, "\r\n") .. "\r\n"
end

return {
  OUTCOMES = OUTCOMES,
  settle = settle,
  past_outcome = past_outcome,
  is_over = is_over,
  cancel = cancel,
  sources = sources,
  render = render,
  render_reference = render_reference,
  has_report = has_report,
  report = report,
}
