--- The layers of lua/gradient, each of which knows only those below it, and itself.

local lfs = require "lfs"
local shell = require "spec.support.shell"

-- From the bottom up. What is named here is in that layer; a folder's name stands for all in it.
local layers = {
  { name = "the core", "core" },
  { name = "the engine", "call", "check", "client", "driver", "errors", "met",
    "options", "pace", "paginator", "retry" },
  { name = "the API", "enums", "indexing_jobs", "job", "knowledge_bases", "names", "poll", "report",
    "resource", "scheduled_indexing", "timestamp" },
  { name = "the face", "init" },
  { name = "the edges", "cli", "wait" },
}

local layer_of = {}
for number, layer in ipairs(layers) do
  for _, name in ipairs(layer) do layer_of[name] = number end
end

-- "gradient.wait.luv" → "wait"; "gradient" → "init"
local function name_of(module)
  return module == "gradient" and "init" or module:match("^gradient%.([%w_]+)")
end

-- Calls `visit` with the first part of its name and the path of every file.
local function each_file(visit)
  local function enter(folder, name)
    for entry in lfs.dir(folder) do
      local path = folder .. "/" .. entry
      if entry:find("%.lua$") then
        visit(name or entry:gsub("%.lua$", ""), path)
      elseif not entry:find("^%.") and lfs.attributes(path, "mode") == "directory" then
        enter(path, name or entry)
      end
    end
  end
  enter("lua/gradient")
end

describe("the layers", function()
  it("know only those below them", function()
    local wrong = {}
    each_file(function(name, path)
      if name == "types" then return end -- never loaded
      local own = layer_of[name]
      assert.is_truthy(own, path .. " is in no layer")
      for module in shell.read(path):gmatch('require[ (]*"(gradient[%w_.]*)"') do
        local other = layer_of[name_of(module)]
        if not other or other > own then wrong[#wrong + 1] = path .. " requires " .. module end
      end
    end)
    assert.same({}, wrong)
  end)

  it("load everything with the module, so that a host may take require away", function()
    each_file(function(_, path)
      local depth = 0
      if path:find("/cli") or path:find("/wait/") or path:find("types.lua") then return end
      for line in shell.read(path):gmatch("[^\n]+") do
        if line:find("^local function") or line:find("^function") then depth = 1 end
        if line:find("^end") then depth = 0 end
        if depth > 0 then
          assert.is_nil(line:match('require[ (]*"(gradient[%w_.]*)"'), path .. ": " .. line)
        end
      end
    end)
  end)
end)
