--- A child process that says one line when it is ready, and ends when its standard input does.
--
-- Its standard input is a pipe that only we hold, so that it cannot outlive us, however we end. Its
-- standard output is a FIFO that the shell opens before the program starts: a program that fails
-- closes it again, and we read its end instead of waiting for ever.

local quote = require("spec.support.shell").quote

local process_methods = {}

--- What the process has written to its standard error.
function process_methods:errors()
  self.log:seek("set")
  return self.log:read("a")
end

--- Ends the process and waits for it. What it complained about goes to our standard error, unless
-- `quietly`.
function process_methods:stop(quietly)
  if self.pipe then
    os.execute(("kill %d 2>/dev/null"):format(self.pid))
    self.pipe:close()
    self.pipe = nil
    if not quietly then
      io.stderr:write(self:errors())
    end
    self.log:close()
  end
end

local function stop(self)
  self:stop()
end

local process_metatable = {
  __name = "spec.support.process",
  __index = process_methods,
  __close = stop,
  __gc = stop,
}

--- A new temporary directory, with a FIFO of that name in it, if one is given.
local function new_directory(fifo)
  local script = fifo and 'd=$(mktemp -d) && mkfifo "$d/' .. fifo .. '" && echo "$d"' or "mktemp -d"
  local pipe = assert(io.popen(script, "r"))
  local directory = pipe:read("l")
  pipe:close()
  return directory
end

--- Starts a program: a list of its name and arguments. Returns the process and the line that it
-- said, or nil and what it wrote to its standard error.
local function start(words)
  local directory = new_directory("ready")
  local fifo, log = directory .. "/ready", directory .. "/errors"
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = quote(word)
  end
  -- A sanitizer that is preloaded into us has no business in there.
  local command = "unset LD_PRELOAD; { echo $$; exec %s; } >%s 2>%s"
  command = command:format(table.concat(quoted, " "), quote(fifo), quote(log))
  local self = setmetatable({}, process_metatable)
  self.pipe = assert(io.popen(command, "w"))
  local ready = assert(io.open(fifo, "r"))
  self.pid = ready:read("n", "l")
  local line = ready:read("l")
  ready:close()
  self.log = assert(io.open(log, "r"))
  os.remove(fifo)
  os.remove(log)
  os.remove(directory)
  if line then
    return self, line
  end
  self.pipe:close()
  self.pipe = nil
  return nil, self:errors()
end

return {
  start = start,
  new_directory = new_directory,
}
