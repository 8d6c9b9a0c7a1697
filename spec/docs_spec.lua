--- `make docs`: the reference is made without a warning, and has all that is public in it.

local annotations = require "spec.tools.annotations"
local gradient = require "gradient"
local shell = require "spec.support.shell"

describe("make docs", function()
  local pages

  lazy_setup(function()
    assert.equal("reading configuration from .ldoc\n", (shell.must("make docs"):gsub("/.*\n", "")))
    pages = ""
    for path in shell.must("ls build/docs/modules/*.html"):gmatch("%S+") do
      pages = pages .. shell.read(path)
    end
  end)

  it("documents every function of the module, its operations and a client", function()
    local names = { "client:close" }
    for name in pairs(gradient.indexing_jobs) do names[#names + 1] = "indexing_jobs." .. name end
    for name, value in pairs(gradient) do
      if type(value) == "function" then names[#names + 1] = name end
    end
    for _, name in ipairs(names) do
      assert.matches('<dt>.-<strong>[%a.]-' .. name:gsub("%p", "%%%0") .. "%(", pages)
    end
  end)

  it("documents every class with its fields, every enumeration with its values", function()
    local found = annotations.read()
    local is_internal = { ["gradient.call"] = true, ["gradient.iteration"] = true }
    for name, class in pairs(found.classes) do
      local internal = is_internal[name] or name:find("^gradient%.cli")
      for field in pairs(internal and {} or class.fields) do
        assert.truthy(pages:find('<span class="parameter">' .. field .. "</span>", 1, true), field)
      end
    end
    for _, values in pairs(found.aliases) do
      for _, value in ipairs(values) do
        assert.truthy(pages:find('<span class="parameter">' .. value .. "</span>", 1, true), value)
      end
    end
  end)

  it("links types to where they are", function()
    local count = 0
    for page, name in pages:gmatch('<a href="([%w.]+)%.html#([%w_]+)">%2</a>') do
      local target = shell.read(("build/docs/modules/%s.html"):format(page))
      assert.truthy(target:find(('<a name = "%s">'):format(name), 1, true), page .. "#" .. name)
      count = count + 1
    end
    assert.is_true(count > 20)
  end)
end)
