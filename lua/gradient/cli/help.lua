--- gradient-jobs help, and completion

local values = require "gradient.cli.values"

local help = {
  name = "help", summary = "Show how a command is used.",
  examples = { "gradient-jobs help list", "gradient-jobs list --help" },
}

function help.declare(command)
  command:argument "COMMAND":target "topic":args "?":description "The command."
  command._is_help_command = true -- completed by the commands' names
end

-- The parser of the command of this name.
local function find(parser, name)
  for _, command in ipairs(parser._commands) do
    for _, alias in ipairs(command._aliases) do
      if alias == name then return command end
    end
  end
end

function help.run(session)
  local topic = session.parsed.topic
  local parser = topic and find(session.parser, topic) or not topic and session.parser
  if not parser then error({ misused = ("unknown command '%s'"):format(topic) }, 0) end
  session.output:line(parser:get_help())
end

local completion = {
  name = "completion", summary = "Print a completion script for bash, zsh or fish.",
  examples = {
    "source <(gradient-jobs completion bash)",
    "gradient-jobs completion zsh > ~/.zfunc/_gradient-jobs",
    "gradient-jobs completion fish > ~/.config/fish/completions/gradient-jobs.fish",
  },
}

function completion.declare(command)
  command:argument "SHELL":target "shell":choices{ "bash", "zsh", "fish" }
    :description "bash, zsh or fish."
end

-- Values of options that take lists, which argparse could not check: it only completes them.
local choices = {
  PHASE = values.phase_names, STATUS = values.status_names, OUTCOME = values.outcome_names,
}

function completion.run(session)
  local parser = session.parser
  for _, command in ipairs(parser._commands) do
    for _, option in ipairs(command._options) do
      option._choices = option._choices or choices[option._argname]
    end
  end
  session.output:write(parser[("get_%s_complete"):format(session.parsed.shell)](parser))
end

return { help = help, completion = completion }
