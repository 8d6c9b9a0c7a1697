--- gradient-jobs sources: the data sources of jobs.

local enums = require "gradient.enums"
local format = require "gradient.cli.format"
local printer = require "gradient.cli.printer"
local selection = require "gradient.cli.selection"
local values = require "gradient.cli.values"

local sources = {
  name = "sources", summary = "Show the data sources of jobs.",
  description = "Shows the data sources of jobs, and what went wrong with them.",
  examples = {
    "gradient-jobs sources 11d791ae-c159-4aef-bec4-c1af9a7e0b07",
    "gradient-jobs sources 11d791ae-c159-4aef-bec4-c1af9a7e0b07 --json",
  },
}

local style_of_status = {
  [enums.data_source_status.IN_PROGRESS] = "cyan", [enums.data_source_status.UPDATED] = "green",
  [enums.data_source_status.PARTIALLY_UPDATED] = "yellow",
  [enums.data_source_status.FAILED] = "red", [enums.data_source_status.CANCELLED] = "yellow",
}

local function count_column(name, field, rank)
  return {
    name = name, title = name:upper(), field = field, right = true, dispensable = rank,
    text = function(source) return format.count(source[field]) end,
  }
end

local function files(source)
  return format.fraction(source.indexed_file_count, source.total_file_count)
end

local function error_text(source)
  local message, details = format.text(source.error_msg), format.text(source.error_details)
  if details == "-" then return message == "-" and "" or message end
  return message == "-" and details or message .. ": " .. details
end

-- The fields in the order of the API's description.
local fields = {
  "data_source_uuid", "status", "started_at", "completed_at", "error_msg", "error_details",
  "failed_item_count", "indexed_file_count", "indexed_item_count", "removed_item_count",
  "skipped_item_count", "total_bytes", "total_bytes_indexed", "total_file_count",
}

-- The columns; `places` are where the data of the sources is.
local function parts_of(places)
  local function place(source)
    return format.text(places[source.data_source_uuid] or source.data_source_uuid)
  end
  return { fields = fields, columns = {
    { name = "source", title = "DATA SOURCE", field = "data_source_uuid", text = place,
      least = 20 },
    { name = "state", title = "STATE", field = "status", text = function(source)
      return format.short(source.status, "DATA_SOURCE_STATUS_")
    end, style = function(source) return style_of_status[source.status] end },
    { name = "files", title = "FILES", right = true, text = files },
    count_column("indexed", "indexed_item_count", 4),
    count_column("skipped", "skipped_item_count", 2),
    count_column("removed", "removed_item_count", 2),
    count_column("failed", "failed_item_count", 5),
    { name = "size", title = "SIZE", field = "total_bytes", right = true, dispensable = 3,
      text = function(source) return format.bytes(source.total_bytes) end },
    { name = "uuid", title = "UUID", field = "data_source_uuid", dispensable = 1,
      is_wide = next(places) == nil, text = function(source)
      return format.text(source.data_source_uuid)
    end },
    { name = "error", title = "ERROR", is_wide = true, text = error_text },
  } }
end

-- What went wrong with these, in full.
local function print_errors(list, places, output)
  local is_first = true
  for _, source in ipairs(list) do
    local text = error_text(source)
    if text ~= "" then
      if is_first then output:line("\n" .. output:paint("bold", "ERRORS")) end
      output:line(("%s  %s"):format(
        format.text(places[source.data_source_uuid] or source.data_source_uuid), text))
      is_first = false
    end
  end
end

--- The objects of a list that a server sent.
---@param list any
---@return gradient.data_source[]
function sources.of(list)
  local objects = {}
  for _, item in ipairs(type(list) == "table" and list or {}) do
    if type(item) == "table" then objects[#objects + 1] = item end
  end
  return objects
end

--- Prints the data sources as a table, with their errors below it.
---@param list gradient.data_source[]
---@param places table<string, string>  see names.lua
---@param output gradient.cli.output
function sources.print(list, places, output)
  local all = printer.new(output, parts_of(places), { format = "table" })
  for _, source in ipairs(list) do all.item(source) end
  all.finish()
  print_errors(list, places, output)
end

function sources.declare(command)
  command:argument "UUID":target "uuids":args "+":convert(values.uuid):description "The jobs."
  selection.declare_format(command)
end

-- Only the job knows of which knowledge base its data sources are.
local function places_of(uuid, session)
  if session.parsed.no_names then return {} end
  local answer = session.client.indexing_jobs.retrieve(uuid, { max_retries = 0 })
  return session.names:places_of(answer and answer.job.knowledge_base_uuid)
end

function sources.run(session)
  local parsed, output = session.parsed, session.output
  local format_asked = selection.format(parsed)
  local is_table = format_asked == "table" or format_asked == "wide"
  return session:each("job", parsed.uuids, function(uuid)
    local answer, problem = session.client.indexing_jobs.retrieve_data_sources(uuid)
    if not answer then return nil, problem end
    local list = sources.of(answer.indexed_data_sources)
    local places = is_table and #list > 0 and places_of(uuid, session) or {}
    if is_table and #parsed.uuids > 1 then
      output:line((uuid == parsed.uuids[1] and "" or "\n") .. output:paint("bold", uuid))
    end
    local chosen = selection.new(parsed, output, parts_of(places), "this job has no data sources")
    for _, source in ipairs(list) do chosen:take(source) end
    chosen:finish()
    if format_asked == "table" then print_errors(list, places, output) end
    if not is_table then parsed.no_header = true end -- of the next job's CSV
    return true
  end)
end

return sources
