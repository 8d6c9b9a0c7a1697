--- Runs the command gradient-jobs as a process.
--
--   local result = command.run({ "list", "--all" }, settings)
--   result.status, result.output, result.errors
--
-- settings, all optional:
--   environment   name → value, besides PATH and what finds the module
--   terminal      {columns =, rows =}: standard output is a pseudo-terminal of this size; lines in
--                 `output` end with "\n" as in a pipe. With errors = true in it, standard error is
--                 the terminal instead, and `errors` is what was written to it
--   redirection   for the shell, instead of a file that `output` is read from: ">/dev/full"
--   prelude       Lua code that is run before the command, in its process
--   ignores_sigpipe  as a parent may have it
--   times         a shell runs the command so many times, one after the other
--   meanwhile     function(press, resize): is called while the command runs; press(keys) types them
--                 on its terminal, without one sends it SIGINT; resize(columns) makes it narrower
--
--   command.screen(output, columns)    the lines that such a terminal shows in the end
--
--   local gj = command.against(server)  the same with the server's address and token, and
--     gj.run(arguments, settings)        as above; in `environment`, false takes away
--     gj.print_of(arguments, settings)   what it prints when nothing is wrong
--     gj.fails(status, message, arguments, settings)
--   command.lines(text)                the lines of a text
--   command.uuids(text)                the uuids at the beginnings of its lines

local assert = require("luassert")
local process = require("spec.support.process")
local shell = require("spec.support.shell")

local quote = shell.quote

-- Always the ordinary interpreter and build: a sanitizer that is preloaded into us stays out. So do
-- signals that we ignore, as everything does that a script runs in the background: Ctrl-C would not
-- end a shell that has inherited that.
local function environment_words(more)
  local words = {
    "env -i --default-signal", "PATH=" .. quote(os.getenv("PATH")), "TERM=xterm",
    "LUA_PATH=" .. quote(package.path), "LUA_CPATH=" .. quote("build/?.so;" .. package.cpath),
  }
  for _, name in ipairs({ "LINE_HOOK", "LUA_INIT_5_4" }) do -- of make coverage
    local value = os.getenv(name)
    if value then words[#words + 1] = name .. "=" .. quote(value) end
  end
  for name, value in pairs(more or {}) do words[#words + 1] = name .. "=" .. quote(value) end
  return table.concat(words, " ")
end

local function command_line(arguments, settings)
  local words = { "lua5.4", "lua/gradient-jobs" }
  if settings.prelude then table.insert(words, 2, "-e " .. quote(settings.prelude)) end
  for _, argument in ipairs(arguments) do words[#words + 1] = quote(argument) end
  return table.concat(words, " ")
end

-- The shell command for all of it. Its standard input is ours to write: keys for the terminal.
local function compose(arguments, settings, directory)
  local errors = (" 2>%s/errors"):format(directory)
  local output = settings.redirection or (" >%s/output"):format(directory)
  local line = (settings.ignores_sigpipe and "trap '' PIPE; exec " or "exec ")
    .. command_line(arguments, settings)
  if settings.times then
    line = "exec bash -c " .. quote(("for i in $(seq %d); do %s; done"):format(settings.times,
      command_line(arguments, settings)))
  end
  if settings.terminal then
    local size = settings.terminal
    local stty = ("stty cols %d rows %d -onlcr; mkfifo %s/resize %s/resized;"
      .. " { read columns; stty cols $columns </dev/tty; } <%s/resize >%s/resized & ")
      :format(size.columns, size.rows, directory, directory, directory, directory)
    local inner, outer = errors, output
    if size.errors then inner, outer = output, (" >%s/errors"):format(directory) end
    line = "script -qec " .. quote(stty .. line .. inner) .. " /dev/null" .. outer
  else
    line = "sh -c " .. quote(("echo $$ >%s/pid; "):format(directory) .. line) .. " </dev/null"
      .. errors .. output
  end
  return ("%s %s"):format(environment_words(settings.environment), line)
end

local function run(arguments, settings)
  settings = settings or {}
  local directory = process.new_directory()
  local pipe = assert(io.popen(compose(arguments, settings, directory), "w"))
  if settings.meanwhile then
    settings.meanwhile(function(keys)
      if settings.terminal then
        pipe:write(keys)
        pipe:flush()
      else
        os.execute("kill -INT " .. shell.read(directory .. "/pid"))
      end
    end, function(columns)
      shell.write(directory .. "/resize", columns .. "\n")
      shell.read(directory .. "/resized") -- whose end is that of stty
    end)
  end
  local _, _, status = pipe:close()
  local result = {
    status = status, errors = shell.read(directory .. "/errors"),
    output = not settings.redirection and shell.read(directory .. "/output") or nil,
  }
  os.execute("rm -rf " .. quote(directory))
  return result
end

-- What the command may write to a terminal; anything else raises.
local sequences = {
  { "^\27%[[%d;]*m", function() end },
  { "^\27%[(%d+)A", function(screen, count)
    screen.row = screen.row - math.tointeger(count)
    assert(screen.row >= 1, "the cursor leaves the screen")
  end },
  { "^\27%[2K", function(screen) screen[screen.row] = "" end },
  { "^\27%[J", function(screen)
    for row = #screen, screen.row, -1 do screen[row] = "" end
  end },
  { "^\r", function(screen) screen.column = 1 end },
  { "^\n", function(screen)
    screen.row, screen.column = screen.row + 1, 1
    screen[screen.row] = screen[screen.row] or ""
  end },
  { "^[^%c\127]+", function(screen, text)
    screen[screen.row] = screen[screen.row] .. text
    screen.column = utf8.len(screen[screen.row]) + 1
  end },
}

local function screen(output, columns)
  local shown, position = { "", row = 1, column = 1 }, 1
  while position <= #output do
    local first, last, found, act
    for _, sequence in ipairs(sequences) do
      first, last, found = output:find(sequence[1], position)
      act = sequence[2]
      if first then break end
    end
    assert(first, ("unexpected %q"):format(output:sub(position, position + 10)))
    act(shown, found or output:sub(first, last))
    assert(shown.column <= columns + 1, "a line is wider than the screen")
    position = last + 1
  end
  while shown[#shown] == "" do shown[#shown] = nil end
  return table.move(shown, 1, #shown, 1, {})
end

local function lines(text)
  local list = {}
  for line in text:gmatch("([^\n]*)\n") do list[#list + 1] = line end
  return list
end

local uuid_pattern = ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12)

local function uuids(text)
  local list = {}
  for _, line in ipairs(lines(text)) do
    list[#list + 1] = line:match("^(" .. uuid_pattern .. ")")
  end
  return list
end

local function against(server)
  local gj = {}

  function gj.run(arguments, settings)
    local all = {}
    for name, value in pairs(settings or {}) do all[name] = value end
    all.environment = {
      DIGITALOCEAN_ACCESS_TOKEN = server.token, GRADIENT_BASE_URL = server.url,
    }
    for name, value in pairs(settings and settings.environment or {}) do
      all.environment[name] = value or nil
    end
    return run(arguments, all)
  end

  function gj.print_of(arguments, settings)
    local result = gj.run(arguments, settings)
    assert.same({ status = 0, errors = "" }, { status = result.status, errors = result.errors })
    return result.output
  end

  function gj.fails(status, message, arguments, settings)
    local result = gj.run(arguments, settings)
    assert.equal("gradient-jobs: " .. message .. "\n", result.errors)
    assert.equal("", result.output)
    assert.equal(status, result.status)
  end

  return gj
end

return {
  run = run, screen = screen, against = against, lines = lines, uuids = uuids,
  uuid_pattern = uuid_pattern,
}
