--- `make docs`: the reference has all that is public, each with a line in its index, and nothing
--- else; its links lead somewhere, and its examples run.

local annotations = require "spec.tools.annotations"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local program = require "spec.support.program"
local shell = require "spec.support.shell"

describe("make docs", function()
  local server = fixture.server{ jobs = 30 }
  local html, index

  lazy_setup(function()
    local path = shell.must("make -s docs"):match("%S+")
    html = shell.read(path)
    index = html:match("<nav>(.-)</nav>")
  end)

  -- Every function, value and enumeration in a table, by the name it has in a program.
  local function names_in(value, name, names)
    for key, member in pairs(value) do
      local path = name .. "." .. key
      local holds_functions = type(member) == "table" and type(select(2, next(member))) ~= "string"
      if holds_functions and path ~= "gradient.knowledge_bases.indexing_jobs" then
        names_in(member, path, names)
      elseif not holds_functions then
        names[#names + 1] = path
      end
    end
    return names
  end

  local function must_have(name, prefix)
    local id = (prefix or "") .. name:gsub("[^%w_]", "-")
    assert.truthy(html:find('<h3 id="' .. id .. '">', 1, true), name)
    assert.truthy(index:find('<a href="#' .. id .. '">', 1, true), name .. " in the index")
  end

  it("has everything that the module has, and what belongs to a client", function()
    for _, name in ipairs(names_in(gradient, "gradient", { "client:close" })) do must_have(name) end
  end)

  it("has every option, parameter, field and word that these mention", function()
    local found = annotations.read()
    for _, name in ipairs{ "options", "call_options", "iteration_options", "job", "page", "error",
      "event", "response" } do
      must_have("gradient." .. name, "type-")
      for field in pairs(found.classes["gradient." .. name].fields) do
        assert.truthy(html:find("<dt><b>" .. field .. "</b>", 1, true), field)
      end
    end
    for _, name in ipairs{ "job_phase", "error_kind", "outcome" } do
      must_have("gradient." .. name, "type-")
      for _, value in ipairs(found.aliases["gradient." .. name]) do
        assert.truthy(html:find("<td><code>" .. value .. "</code>", 1, true), value)
      end
    end
    for path in shell.must("ls lua/gradient/wait"):gmatch("(%w+)%.lua") do
      if shell.read("lua/gradient/wait/" .. path .. ".lua"):find("^%-%-%- `wait`") then
        must_have("gradient.wait." .. path)
      end
    end
  end)

  it("has a line about each of them", function()
    local count = 0
    for title, line in index:gmatch("<li><a [^>]*>(.-)</a><span>(.-)</span>") do
      assert.matches("^%S.*[.?]$", line:gsub("<.->", ""), title)
      count = count + 1
    end
    assert.is_true(count > 50)
  end)

  it("has nothing of the inside in it", function()
    for _, name in ipairs{ "call", "iteration", "cli", "driver", "pace", "transfer" } do
      assert.is_nil(html:find('id="type%-gradient%-' .. name .. '[-"]'), name)
    end
  end)

  it("links to what it has, once each", function()
    local ids = {}
    for id in html:gmatch(' id="([^"]+)"') do
      assert.is_nil(ids[id], id)
      ids[id] = true
    end
    for id in html:gmatch('href="#([^"]*)"') do assert.is_true(ids[id], id) end
  end)

  it("shows types whole: every bracket and quote is closed", function()
    for kind in html:gmatch("<code>(.-)</code>") do
      local plain = kind:gsub("<.->", ""):gsub("&quot;(.-)&quot;", "%1"):gsub("%b()", "")
        :gsub("%b{}", "")
      assert.is_nil(plain:find("[(){}]") or plain:find("&quot;", 1, true), kind)
    end
  end)

  it("has examples that run", function()
    local count = 0
    local prelude = [[
      local gradient = require "gradient"
      local job = gradient.indexing_jobs.list().jobs[5]
      local uuid, knowledge_base_uuid = job.uuid, job.knowledge_base_uuid
    ]]
    local plain = { ["&lt;"] = "<", ["&gt;"] = ">", ["&quot;"] = '"', ["&amp;"] = "&" }
    for code in html:gmatch("<pre>(.-)</pre>") do
      local text = prelude .. code:gsub("&%l+;", plain)
      local result = program.run(text, { DIGITALOCEAN_TOKEN = server.token,
        GRADIENT_BASE_URL = server.url })
      assert.same({ "", 0 }, { result.errors, result.status }, code)
      assert.not_equal("", result.output, code)
      count = count + 1
    end
    assert.is_true(count >= 8)
  end)
end)
