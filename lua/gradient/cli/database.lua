--- gradient-jobs wait-db

local format = require "gradient.cli.format"
local names = require "gradient.cli.names"
local values = require "gradient.cli.values"

local database = {
  name = "wait-db", summary = "Wait for the database of a knowledge base.",
  description = "Waits until the database of a knowledge base is online. A new one takes minutes,"
    .. " and no job can start before.",
  examples = { "gradient-jobs wait-db handbook && gradient-jobs start handbook --wait" },
}

function database.declare(command)
  command:argument "KB":target "kb":convert(values.base)
    :description "The knowledge base (name or uuid)."
  command:option "--interval":argname "SECONDS":convert(values.seconds "--interval"):default "5"
    :show_default(false):description "Time between two looks at it. Default: 5."
  command:option "--give-up":argname "SECONDS":convert(values.seconds "--give-up")
    :description "Give up after this time. Default: never."
end

function database.run(session)
  local parsed, output, client = session.parsed, session.output, session.client
  local base = assert(names.find(client, parsed.kb))
  local name = format.text(base.name or base.uuid)
  local latest
  local function tell(answer)
    local status = format.short(answer.database_status, "")
    if status ~= latest then output:line(("%s: %s"):format(name, status)) end
    output:flush()
    latest = status
  end
  tell(assert(client.knowledge_bases.wait_for_database(base.uuid, {
    poll_interval = parsed.interval, timeout = parsed.give_up, on_progress = tell,
  })))
end

return database
