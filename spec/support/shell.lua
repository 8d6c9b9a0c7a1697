--- Shell commands, for specs that build, install and pack.
--
--   shell.must(command, …)             formats and runs it; returns what it printed, or raises that
--   local output, ok = shell.run(…)    the same without raising
--   shell.quote(word)                  a word as the shell takes it
--   shell.read(path), shell.write(path, text)
--   shell.copy_checkout(directory)     puts this source tree there, without what was built in it

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Not for these: the options of the make that runs us, and the paths by which we find what was
-- built here.
local clean = "unset MAKEFLAGS MFLAGS MAKELEVEL LUA_PATH LUA_CPATH; "

local function run(command, ...)
  local pipe = assert(io.popen(clean .. "{ " .. command:format(...) .. "\n} 2>&1"))
  local output = pipe:read("a")
  return output, pipe:close() or false
end

local function must(command, ...)
  local output, ok = run(command, ...)
  if not ok then error(("%s\n%s"):format(command:format(...), output), 2) end
  return output
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

local function copy_checkout(directory)
  must("mkdir -p %s && tar --exclude=./.git --exclude=./build --exclude=./gradient"
    .. " --exclude='./src/*.o' -cf - . | tar -xf - -C %s", quote(directory), quote(directory))
end

return {
  quote = quote, run = run, must = must, read = read, write = write,
  copy_checkout = copy_checkout,
}
