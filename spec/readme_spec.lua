--- README.md: each example runs, and each table says what the code does.

local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local errors = require "gradient.errors"
local markdown = require "spec.tools.markdown"
local new_directory = require("spec.support.process").new_directory
local program = require "spec.support.program"
local shell = require "spec.support.shell"

local sections = markdown.parse(shell.read("README.md"))

local function section(title)
  for _, candidate in ipairs(sections) do
    if candidate.title == title then return candidate end
  end
  error("README.md has no section " .. title)
end

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

-- The spans of code in a text that are names.
local function names_in(text)
  local names = {}
  for code in markdown.code(text) do
    if code:find("^[%w_]+$") then names[code] = true end
  end
  return names
end

local job_line = "^%x+%-%x+%-%x+%-%x+%-%x+\tBATCH_JOB_PHASE_%u+\t%d+/[%d?]+\t[%a ]+$"

describe("README.md", function()
  local server = fixture.server{ jobs = 250 }

  -- Puts something that works in the place of what a reader has to fill in.
  local function fill(text, blank, value)
    local first, last = text:find(blank, 1, true)
    assert.truthy(first, ("%s is gone from the example"):format(blank))
    return text:sub(1, first - 1) .. value .. text:sub(last + 1)
  end

  local function run(text, token)
    return program.run('local gradient = require "gradient"\n' .. text,
      { DIGITALOCEAN_ACCESS_TOKEN = token or server.token, GRADIENT_BASE_URL = server.url })
  end

  -- What an example prints, line by line.
  local function printed(text)
    local result = run(text)
    assert.same({ "", 0 }, { result.errors, result.status })
    local lines = {}
    for line in result.output:gmatch("(.-)\n") do lines[#lines + 1] = line end
    return lines
  end

  local function must_print_jobs(block)
    assert.equal(250, #printed(block.text))
  end

  -- What the shell prints in which gradient-jobs is a command.
  local function run_command(text)
    local bin = new_directory()
    shell.write(bin .. "/gradient-jobs", ("#!/bin/sh\nexec env LUA_PATH=%s LUA_CPATH=%s lua5.4"
      .. " lua/gradient-jobs \"$@\"\n"):format(shell.quote(package.path),
      shell.quote(package.cpath)))
    local output = shell.must("chmod +x %s/gradient-jobs && export PATH=%s:$PATH"
      .. " DIGITALOCEAN_ACCESS_TOKEN=%s GRADIENT_BASE_URL=%s && bash -o pipefail -c %s", bin, bin,
      server.token, server.url, shell.quote(text))
    shell.must("rm -rf %s", bin)
    return output
  end

  -- The lines of an output as a set, without what differs from one run to the next: uuids, numbers,
  -- bars and their phases. "…" is a line that stands for others.
  local function shapes(output)
    local set = {}
    for line in output:gmatch("[^\n]+") do
      line = line:gsub("%x+%-%x+%-[%x-]+", "UUID"):gsub("UUID…", "UUID"):gsub("░", "█")
        :gsub("█", "B"):gsub("BB+", "BAR"):gsub("[%d,]*%d", "N"):gsub("%s+", " "):gsub(" $", "")
        :gsub("UUID %a+ BAR", "UUID PHASE BAR")
      if line ~= "…" then set[line] = true end
    end
    return set
  end

  -- Every line is a target of the Makefile, with a comment behind it.
  local function must_be_targets(block)
    for line in block.text:gmatch("[^\n]+") do
      shell.must("make -n %s", assert(line:match("^make (%w+) +#"), line))
    end
  end

  -- The blocks of each section, in order: what must come of them.
  local outcomes = {
    ["gradient"] = {
      must_be_targets,
      function(block)
        local output = shell.must("make -s demo 2>&1 | head -8")
        for line in block.text:match("^(.-)…"):gmatch("[^\n]+") do
          local shape = line:gsub("%p", "%%%0"):gsub("[%d,]+%%? [smhd]$", "[%%d]+ [smhd]")
            :gsub("%d+%%,%d+", "[%%d,]+"):gsub(" +", " +")
          assert.matches(shape, output)
        end
        assert.matches("250  jobs in 2 requests", block.text)
      end,
    },

    ["A first program"] = {
      function(block)
        local lines = printed(block.text)
        assert.equal(250, #lines)
        for _, line in ipairs(lines) do assert.matches(job_line, line) end
      end,
      function(block)
        local shown = 0
        for line in block.text:gmatch("[^\n]+") do
          if not line:find("^%$ ") and line ~= "…" then
            assert.matches(job_line, line)
            shown = shown + 1
          end
        end
        assert.is_true(shown > 0)
      end,
      function(block)
        local work, free = new_directory(), assert(require("socket").bind("127.0.0.1", 0))
        local _, port = free:getsockname()
        free:close()
        shell.write(work .. "/first.lua", section("A first program").blocks[1].text)
        local text = block.text:gsub("8080", port):gsub("first%.lua", work .. "/%0")
        local output = shell.must("LUA_PATH=%s LUA_CPATH=%s bash -c %s", shell.quote(package.path),
          shell.quote(package.cpath), shell.quote("trap 'kill %1' EXIT\n" .. text))
        assert.matches(job_line:sub(2, -2), output)
        shell.must("rm -rf %s", work)
      end,
    },

    ["Embedding in a C program"] = {
      function(block)
        local work = new_directory()
        shell.must("make -s static")
        shell.must("%s -o %s/host",
          fill(block.text:gsub("\n$", ""), "host.c", "spec/hosts/host_static.c"), work)
        assert.equal(gradient._VERSION .. "\n",
          shell.must("cd / && %s/host 'print(require(\"gradient\")._VERSION)'", work))
        shell.must("rm -rf %s", work)
      end,
    },

    ["Installing"] = {
      function(block)
        local work = new_directory()
        shell.copy_checkout(work .. "/checkout")
        local provided = assert(section("Installing").text:match("`(rocks_provided = .-)`"))
        shell.write(work .. "/luarocks.lua", provided .. ([[
          rocks_servers = {}
          rocks_trees = { "%s/installed/tree" }
          variables = { CFLAGS = "-O0 -fPIC" }
        ]]):format(work))
        shell.must("cd %s/checkout && export DESTDIR=%s/installed LUAROCKS_CONFIG=%s/luarocks.lua"
          .. " CFLAGS=-O0 && bash -e -c %s", work, work, work, shell.quote(block.text))
        for _, prefix in ipairs{ "tree", "usr/local" } do
          shell.must("ls %s/installed/%s/lib/lua/5.4/gradient/core.so", work, prefix)
        end
        shell.must("rm -rf %s", work)
      end,
      function(block)
        assert.matches(gradient._VERSION .. "\n$", shell.must("bash -e -c %s",
          shell.quote(block.text)))
      end,
    },

    ["Listing"] = {
      function(block)
        local lines = printed(block.text)
        assert.equal(51, #lines)
        assert.matches("^250\t%d+$", lines[51])
        local result = run(block.text, "wrong-token")
        assert.equal(1, result.status)
        assert.matches("^authentication: ", result.errors)
      end,
    },

    ["How pagination ends"] = {
      function(block)
        must_print_jobs(block)
        assert.matches("^authentication\tauthentication: ", run(block.text, "wrong-token").output)
      end,
    },

    ["Prefetch"] = { must_print_jobs },

    ["The life of a job"] = {
      function(block)
        local text = fill(block.text, "b24c21e8-…", server:knowledge_bases()[1])
        local finished = "^BATCH_JOB_PHASE_%s\t%%d+$"
        server:set{ duration = 1e-4 }
        local lines = printed(text)
        assert.equal(1, #lines)
        assert.matches(finished:format("SUCCEEDED"), lines[1])
        server:set{ outcome = "failed" }
        lines = printed(text)
        assert.matches(finished:format("FAILED"), lines[1])
        assert.same({ "job_failed\tBATCH_JOB_PHASE_FAILED" }, { table.unpack(lines, 2) })
      end,
    },

    ["The command"] = {
      function(block)
        server:set{ duration = 1.5 } -- long enough to run for a whole second
        for command, shown in (block.text .. "$"):gmatch("%$ ([^\n]+)\n(.-)%f[$]") do
          local sooner = command:gsub("gradient%-jobs watch", "%0 --interval 0.4")
          local output = run_command(sooner)
          local actual = shapes(output)
          for shape in pairs(shapes(shown)) do
            assert.is_true(actual[shape], ("%s\nis not what comes of\n%s\n%s"):format(shape,
              command, output))
          end
        end
      end,
    },

    ["Clients and options"] = {
      function(block)
        assert.same({}, printed(fill(block.text, "…", server.token)))
        assert.equal(200, server:requests()[1].status)
      end,
    },

    ["Waiting, event loops, threads"] = {
      function(block)
        local call = "\nprint(#assert(client.indexing_jobs.list{}).jobs)\n"
        local loops = {
          cqueues = "require('cqueues').new():wrap(function() %s end):loop()",
          luv = "local uv = require 'luv' coroutine.wrap(function() %s end)() uv.run()",
        }
        for line in block.text:gmatch("[^\n]+") do
          local name = assert(line:match("gradient%.wait%.(%w+)"))
          assert.same({ "20" }, printed(loops[name]:format(line .. call)))
          loops[name] = nil
        end
        assert.is_nil(next(loops))
      end,
    },
  }

  -- An excerpt of a C program that other specs compile and run; its indentation may differ.
  local function must_be_excerpt(block)
    local excerpt = block.text:gsub("\n +", "\n"):gsub("^ +", "")
    for path in shell.must("ls spec/hosts/host_*.c"):gmatch("%S+") do
      if shell.read(path):gsub("\n +", "\n"):find(excerpt, 1, true) then return end
    end
    error("no program in spec/hosts has these lines:\n" .. block.text)
  end

  for _, candidate in ipairs(sections) do
    local expected, position = outcomes[candidate.title] or {}, 0
    for _, block in ipairs(candidate.blocks) do
      local outcome = block.language == "c" and must_be_excerpt
      if not outcome then
        position = position + 1
        outcome = expected[position] or error(("README.md:%d: what must come of this example?")
          :format(block.line))
      end
      it(("keeps its promise at line %d, %q"):format(block.line, candidate.title), function()
        outcome(block)
      end)
    end
    assert(position == #expected, candidate.title .. " has fewer examples than before")
    outcomes[candidate.title] = nil
  end
  assert(next(outcomes) == nil, "README.md has no section " .. tostring(next(outcomes)))

  -- The names that are allowed, as the module itself tells them.
  local function allowed(f, ...)
    local _, message = pcall(f, ...)
    local names = {}
    for name in message:match("%(expected (.*)%)"):gmatch("[%w_]+") do names[#names + 1] = name end
    return set_of(names)
  end

  it("lists the options of a client, each with its default", function()
    local client = gradient.client{ token = "some-token" }
    local documented = {}
    for position, row in ipairs(section("Clients and options").tables[1]) do
      if position > 1 then
        local names, defaults = {}, {}
        for name in markdown.code(row[1]) do names[#names + 1] = name end
        for number, unit in row[2]:gmatch("(%d+)( ?%a*)") do
          defaults[#defaults + 1] = tonumber(number) * (unit == " MiB" and 1024 * 1024 or 1)
        end
        for index, name in ipairs(names) do
          documented[#documented + 1] = name
          if #defaults == #names then assert.equal(client[name], defaults[index]) end
          if row[2] == "false" then assert.is_false(client[name] or false) end
        end
      end
    end
    assert.same(allowed(gradient.client, { nonsense = true }), set_of(documented))
  end)

  it("lists the options of a call", function()
    local text = section("Clients and options").text:match("A call's own.-prefetch`")
    local documented = names_in(text)
    for name in pairs(gradient.indexing_jobs) do documented[name] = nil end
    documented.options = nil
    local list, each = gradient.indexing_jobs.list, gradient.indexing_jobs.each
    assert.same(allowed(each, {}, { nonsense = true }), documented)
    documented.prefetch = nil
    assert.same(allowed(list, {}, { nonsense = true }), documented)
  end)

  it("lists the kinds of errors, each with its statuses", function()
    local expected = {}
    local annotation = shell.read("lua/gradient/errors.lua"):match("gradient%.error_kind\n(.-)\n\n")
    for kind in annotation:gmatch('| "([%w_]+)"') do expected[#expected + 1] = kind end
    local documented = {}
    for position, row in ipairs(section("Errors").tables[1]) do
      local statuses = row[2]:gmatch("%d%d%d")
      for kind in markdown.code(position > 1 and row[1] or "") do
        documented[#documented + 1] = kind
        local status = row[2]:find("^%d%d%d") and tonumber(statuses())
        if status then assert.equal(kind, errors.kind(status)) end
      end
    end
    assert.same(set_of(expected), set_of(documented))
  end)

  it("lists the operations", function()
    local documented = {}
    for _, row in ipairs(section("The life of a job").tables[1]) do
      documented[#documented + 1] = row[1]:match("^`([%w_]+)%(")
    end
    for name in section("Listing").text:gmatch("\n%- `([%w_]+)%(params, options%)`") do
      documented[#documented + 1] = name
    end
    local names = {}
    for name in pairs(gradient.indexing_jobs) do names[#names + 1] = name end
    assert.same(set_of(names), set_of(documented))
  end)

  it("mentions only what there is", function()
    for _, candidate in ipairs(sections) do
      local text = candidate.text
      for _, rows in ipairs(candidate.tables) do
        for _, row in ipairs(rows) do text = text .. table.concat(row, "\n") .. "\n" end
      end
      for code in markdown.code(text) do
        local path = code:match("^[%w_]+/[%w_/.-]+$")
        if path and not path:find("^build/") then shell.must("ls -d %s", path) end
        local value = code:find("^gradient%.") and not pcall(require, code) and gradient
        for name in code:gmatch("%.([%a_]+)") do
          if value then value = assert(value[name], code .. " does not exist") end
          if type(value) ~= "table" then break end
        end
      end
    end
  end)

  it("names every variable of the environment that the code reads", function()
    local text = shell.read("README.md")
    for name in shell.read("lua/gradient/client.lua"):gmatch('"([%u_]+)"') do
      assert.truthy(text:find("`" .. name .. "[`=]"), name)
    end
  end)
end)
