--- gradient-jobs start, and cancel

local format = require "gradient.cli.format"
local jobs = require "gradient.cli.jobs"
local json = require "gradient.cli.json"
local names = require "gradient.cli.names"
local selection = require "gradient.cli.selection"
local values = require "gradient.cli.values"
local watch = require "gradient.cli.watch"

local start = {
  name = "start", summary = "Start jobs for knowledge bases.",
  description = "Starts a job for each knowledge base, or joins the one that is under way, and"
    .. " prints its uuid. Standard error says which of the two it was.",
  examples = {
    "gradient-jobs start handbook",
    "gradient-jobs start handbook faq --wait",
    "gradient-jobs start b24c21e8-4dc9-46cb-8644-99ee9c1c29a8 --json",
  },
}

local json_description = "Print the jobs as JSON, a job a line."

function start.declare(command)
  command:argument "KB":target "kbs":args "+":convert(values.base)
    :description "The knowledge bases (names or uuids)."
  command:option "--source":argname "UUID":convert(values.uuid):count "*"
    :description "Index this data source; may be repeated. Default: all data sources."
  command:mutex(
    command:flag "--wait":description "Then show the jobs until they are over, as 'watch' does.",
    selection.declare_json(command, json_description)
  )
  watch.declare_settings(command)
end

function start.run(session)
  local parsed, output, client = session.parsed, session.output, session.client
  local started = {}
  local status = session:each("knowledge base", parsed.kbs, function(wanted)
    local base, problem = names.find(client, wanted)
    if not base then return nil, problem end
    local answer, response = client.indexing_jobs.start{
      knowledge_base_uuid = base.uuid,
      data_source_uuids = #parsed.source > 0 and parsed.source or nil,
    }
    if not answer then return nil, response end
    local job = answer.job
    started[#started + 1] = names.is_id(job.uuid) and job.uuid or nil
    output:complain(("%s for %s"):format(
      response.attached and "joined the job that is under way" or "started a job",
      format.text(base.name or base.uuid)))
    if not parsed.wait then
      output:line(parsed.json and json.encode(job) or format.text(job.uuid))
      output:flush()
    end
    return true
  end)
  if not parsed.wait or #started == 0 then return status end
  local seen = watch.show(session, started)
  return status or seen
end

local cancel = {
  name = "cancel", summary = "Cancel jobs.",
  description = "Cancels jobs and prints the state of each.",
  examples = { "gradient-jobs cancel 43475f5f-6044-46cc-b40d-1e26ffd77d12" },
}

function cancel.declare(command)
  command:argument "UUID":target "uuids":args "+":convert(values.uuid):description "The jobs."
  command:mutex(selection.declare_json(command, json_description))
end

function cancel.run(session)
  return session:each("job", session.parsed.uuids, function(uuid)
    local answer, problem = session.client.indexing_jobs.update_cancel(uuid)
    if not answer then return nil, problem end
    local job = answer.job
    session.output:line(session.parsed.json and json.encode(job)
      or ("%s %s"):format(format.text(job.uuid), jobs.state(job)))
    return true
  end)
end

return { start = start, cancel = cancel }
