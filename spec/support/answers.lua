--- Recorded answers of the API, byte for byte (only the ids were changed).
--
--   answers.text "done"                          the body
--   answers.uuid "done"                          of the job, or whatever it is about
--   answers.serve(server, "running", "done")     the server's next answers, in this order

local shell = require "spec.support.shell"

local answers = {}

function answers.text(name)
  return shell.read("spec/support/answers/" .. name .. ".json")
end

function answers.uuid(name)
  return (answers.text(name):match('^{"[%w_]+":{"uuid":"([^"]+)"'))
end

function answers.serve(server, ...)
  local entries = {}
  for position, name in ipairs{ ... } do
    entries[position] = { status = 200, body = answers.text(name) }
  end
  server:script(entries)
end

return answers
