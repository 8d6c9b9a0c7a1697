--- gradient-jobs report

local format = require "gradient.cli.format"
local values = require "gradient.cli.values"

local report = {
  name = "report", summary = "Print the report of a job.",
  description = "Prints the report of a job: CSV, a line for each file.",
  examples = {
    "gradient-jobs report 11d791ae-c159-4aef-bec4-c1af9a7e0b07 --output report.csv",
    "gradient-jobs report 11d791ae-c159-4aef-bec4-c1af9a7e0b07 | grep -i failed",
  },
}

function report.declare(command)
  command:argument "UUID":target "uuid":convert(values.uuid):description "The job."
  command:option "--output":hidden_name "-o":argname "FILE":target "file"
    :description "Write it to this file; '-', the default, is standard output. -o for short."
end

local function save(text, path)
  local file <close>, message = io.open(path, "wb")
  local ok = file
  if file then ok, message = file:write(text) end
  if ok then ok, message = file:close() end
  if not ok then error({ output = message }, 0) end
end

-- As it came, except for what a terminal would obey.
local function print_text(text, output)
  if not output.is_terminal then return output:write(text) end
  for line in text:gmatch "[^\r\n]+" do output:line(format.clean(line)) end
end

function report.run(session)
  local parsed = session.parsed
  return session:each("job", { parsed.uuid }, function(uuid)
    local text, problem = session.client.indexing_jobs.retrieve_report(uuid)
    if not text then return nil, problem end
    local is_printed = not parsed.file or parsed.file == "-"
    if is_printed then print_text(text, session.output) else save(text, parsed.file) end
    return true
  end)
end

return report
