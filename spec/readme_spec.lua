--- README.md: each example runs, and each table says what the code does.

local errors = require "gradient.errors"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local hosts = require "spec.support.hosts"
local luarocks = require "spec.support.luarocks"
local loops = require "spec.support.loops"
local markdown = require "spec.tools.markdown"
local new_directory = require("spec.support.process").new_directory
local program = require "spec.support.program"
local shell = require "spec.support.shell"
local tls = require "spec.support.tls"
local tunnel = require "spec.support.tunnel"

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

local first_line = "^%x+%-%x+%-%x+%-%x+%-%x+\tBATCH_JOB_PHASE_%u+\t[%l_ ]+$"

describe("README.md", function()
  local server, new_client = fixture.server{ jobs = 250 }

  -- Puts something that works in the place of what a reader has to fill in.
  local function fill(text, blank, value)
    local first, last = text:find(blank, 1, true)
    assert.truthy(first, ("%s is gone from the example"):format(blank))
    return text:sub(1, first - 1) .. value .. text:sub(last + 1)
  end

  local function run(text, token, arguments)
    return program.run('local gradient = require "gradient"\n' .. text,
      { DIGITALOCEAN_ACCESS_TOKEN = token or server.token, GRADIENT_BASE_URL = server.url },
      arguments)
  end

  -- What an example prints, line by line.
  local function printed(text, ...)
    local result = run(text, server.token, { ... })
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

  -- Examples wait for minutes.
  local function sooner(text)
    return (text:gsub("timeout = 3600", "%0, poll_interval = 0.05")
      :gsub("wait_for_completion%(job%.uuid%)",
        "wait_for_completion(job.uuid, { poll_interval = 0.05 })"))
  end

  -- Where the commands of "Install" may do what they like: a copy of this checkout, a home, a
  -- server with the release's rock; what would go to / goes to stage/, and to LuaRocks' trees.
  local site = {}

  local function new_site()
    local folder = new_directory()
    local checkout = folder .. "/checkout"
    shell.copy_checkout(checkout)
    shell.must("cd %s && git init --quiet && git add --all && git -c user.name=spec"
      .. " -c user.email=spec@ commit --quiet --message=all", checkout)
    local archive = ("%s/build/dist/gradient-%s.tar.gz"):format(checkout, gradient._VERSION)
    shell.must("make -C %s dist SOURCE_URL=file://%s HOMEPAGE=x", checkout, archive)
    local command = luarocks.command(folder, ([[
      rocks_servers = { "%s/server" }
      rocks_trees = { { name = "user", root = "%s/home/.luarocks" },
        { name = "system", root = "%s/tree" } }
      variables = { CFLAGS = "-O0 -fPIC" }
    ]]):format(folder, folder, folder))
    luarocks.serve(command, folder .. "/server",
      { archive:gsub("%.tar%.gz$", "-1.rockspec") .. "" })
    shell.must("mkdir -p %s/home %s/bin", folder, folder)
    shell.write(folder .. "/bin/apt-get",
      '#!/bin/sh\nPATH=${PATH#*:} exec apt-get --simulate "$@"\n')
    shell.must("chmod +x %s/bin/apt-get", folder)
    return folder
  end

  lazy_teardown(function() if site.folder then shell.must("rm -rf %s", site.folder) end end)

  local is_root = shell.run("id -u") == "0\n"

  -- Runs a block there. Then the module and the command are below `prefix`, which is gone again
  -- afterwards; or `ask`, another command behind the block's own, prints the version.
  local function install(result)
    return function(block)
      site.folder = site.folder or new_site()
      local folder = site.folder
      local text = block.text:gsub("/etc/luarocks", folder .. "/etc")
      local owner = result.without_root and is_root and 65534 or 0 -- nobody
      local as_owner = owner == 0 and "" or "setpriv --reuid=65534 --regid=65534 --clear-groups"
      if is_root then shell.must("chown -R %d %s/home && chmod 755 %s", owner, folder, folder) end
      local output = shell.must("cd %s/checkout && env -i PATH=%s/bin:$PATH HOME=%s/home"
        .. " LUAROCKS_SYSCONFDIR=%s/etc DESTDIR=%s/stage CFLAGS=-O0 %s bash -e -c %s", folder,
        folder, folder, folder, folder, as_owner, shell.quote(text .. (result.ask or "")))
      if result.ask then assert.matches(gradient._VERSION, output:match("[^\n]+\n$"), 1, true) end
      if result.prefix then
        local prefix = folder .. "/" .. result.prefix
        assert.matches(gradient._VERSION, shell.must("env -i PATH=$PATH"
          .. " LUA_PATH='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua;;'"
          .. " LUA_CPATH='%s/lib/lua/5.4/?.so;;' %s/bin/gradient-jobs --version", prefix, prefix,
          prefix, prefix), 1, true)
        shell.must("rm -rf %s", prefix)
      end
    end
  end

  -- Every line is a target of the Makefile, and a comment.
  local function must_be_targets(block)
    for line in block.text:gmatch("[^\n]+") do
      shell.must("grep -q '^%s:' Makefile", assert(line:match("^make ([%w-]+) +#"), line))
    end
  end

  local lighttpd_configuration

  -- For the blocks of each section, in order: what must come of them.
  local outcomes = {
    ["gradient"] = {
      function(block)
        local output = shell.must("make -s demo 2>&1")
        for line in block.text:match("^(.-)…"):gmatch("[^\n]+") do
          local shape = line:gsub("%p", "%%%0"):gsub("[%d,]+%%? [smhd]$", "[%%d]+ [smhd]")
            :gsub("%d+%%,%d+", "[%%d,]+"):gsub(" +", " +")
          assert.matches(shape, output)
        end
        assert.matches("250  jobs in 2 requests", block.text)
        assert.matches("\nNext: .-\"Token\"", output)
      end,
    },

    ["Install"] = { install{} },

    ["With LuaRocks"] = {
      install{ prefix = "tree" },
      install{ prefix = "home/.luarocks", without_root = true, ask = "gradient-jobs --version" },
      function(block)
        install{}(block)
        assert.matches('lua%-cjson"%] = "2', shell.read(site.folder .. "/etc/config-5.4.lua"))
      end,
    },

    ["From a checkout"] = {
      must_be_targets,
      install{ prefix = "tree" },
      install{ prefix = "tree" },
    },

    ["Without LuaRocks"] = {
      install{ prefix = "stage/usr/local" },
      function(block)
        shell.must("make -s -C %s/checkout install DESTDIR=%s/stage", site.folder, site.folder)
        install{}(block)
        assert.equal("", shell.must("find %s/stage -name '*gradient*'", site.folder))
      end,
    },

    ["Without installing it"] = {
      install{ ask = "lua5.4 -e 'print(require(\"gradient\")._VERSION)'" },
    },

    ["Token"] = {
      function(block)
        local bin = new_directory()
        shell.write(bin .. "/doctl", '#!/bin/sh\n[ "$*" = "auth token" ] && echo sesame\n')
        assert.equal("sesame", shell.must("chmod +x %s/doctl; PATH=%s:$PATH; %s"
          .. "\nprintf %%s $DIGITALOCEAN_ACCESS_TOKEN", bin, bin, block.text))
        shell.must("rm -rf %s", bin)
      end,
      function(block)
        local work, free = new_directory(), assert(require("socket").bind("127.0.0.1", 0))
        local _, port = free:getsockname()
        free:close()
        local first = section("First program").blocks
        shell.write(work .. "/first.lua", first[1].text)
        local text = block.text:gsub("8080", port)
          .. first[2].text:gsub("first%.lua", work .. "/%0")
        local output = shell.must("LUA_PATH=%s LUA_CPATH=%s bash -c %s", shell.quote(package.path),
          shell.quote(package.cpath), shell.quote("trap 'kill %1' EXIT\n" .. text))
        assert.matches(first_line:sub(2, -2), output)
        shell.must("rm -rf %s", work)
      end,
    },

    ["First program"] = {
      function(block)
        local lines = printed(block.text)
        assert.equal(250, #lines)
        for _, line in ipairs(lines) do assert.matches(first_line, line) end
      end,
      function(block) assert.equal("lua5.4 first.lua\n", block.text) end, -- runs under "Token"
      function(block)
        local shown = 0
        for line in block.text:gmatch("[^\n]+") do
          if line ~= "…" then
            assert.matches(first_line, line)
            shown = shown + 1
          end
        end
        assert.is_true(shown > 0)
      end,
    },

    ["Jobs that failed since yesterday, and why"] = {
      function(block)
        local lines, failed, reasons = printed(block.text), 0, 0
        for _, line in ipairs(lines) do
          local uuid = line:match("^(%x+%-%S+)\t")
          if uuid then
            failed = failed + 1
            local job = new_client().indexing_jobs.retrieve(uuid).job
            assert.equal("failed", gradient.outcome(job))
            assert.is_true(gradient.timestamp(job.created_at) >= os.time() - 24 * 3600)
          else
            assert.matches("^\t%S+", line)
            reasons = reasons + 1
          end
        end
        assert.is_true(failed > 0 and reasons >= failed)
      end,
    },

    ["Index again after an upload, and wait"] = {
      function(block)
        server:set{ duration = 0.3 }
        local base = new_client().knowledge_bases.list().knowledge_bases[1]
        local lines = printed(sooner(block.text), base.name)
        assert.equal("succeeded", lines[#lines])
        for position = 1, #lines - 1 do assert.matches("^%d+\t[%d?]+\t%l", lines[position]) end
        assert.matches("not_found", run(block.text, server.token, { "nobody's" }).errors)
      end,
    },

    ["Several at once in an event loop"] = {
      function(block)
        server:set{ duration = 0.3, latency = 0.2 }
        local names = {}
        for position, base in ipairs(new_client().knowledge_bases.list().knowledge_bases) do
          if position <= 3 then names[position] = base.name end
        end
        local lines = printed(sooner(block.text), table.unpack(names))
        table.sort(lines)
        table.sort(names)
        for position, name in ipairs(names) do names[position] = name .. "\tsucceeded" end
        assert.same(names, lines)
        assert.is_true(server:connections().busiest > 1)
      end,
    },

    ["Everything as CSV"] = {
      function(block)
        local work = new_directory()
        run_command(block.text:gsub("jobs%.csv", work .. "/%0"))
        assert.equal(251, select(2, shell.read(work .. "/jobs.csv"):gsub("\r\n", "")))
        shell.must("rm -rf %s", work)
      end,
    },

    ["An alert from cron"] = {
      function(block)
        local command = assert(block.text:match("\n[%d* ]+ (%S.*)"))
        local output = run_command(command)
        assert.truthy(select(2, output:gsub("\n", "")) > 1)
        for line in output:gmatch("[^\n]+") do
          assert.truthy(line:find("failed", 1, true) or line:find("partial", 1, true), line)
        end
        server:set{ jobs = 3 }
        assert.equal("", run_command(command))
      end,
    },

    ["A page in lighttpd"] = {
      function(block) lighttpd_configuration = block.text end, -- for the page below
      function(block)
        local lighttpd = hosts.find("usr/sbin/lighttpd", "usr/lib/lighttpd/mod_magnet.so")
        if not lighttpd then return pending "lighttpd is not here" end
        local work = new_directory()
        shell.write(work .. "/jobs.lua", block.text)
        shell.write(work .. "/lighttpd.conf", ([[
          server.document-root = "%s"
          server.bind = "127.0.0.1"
          server.port = env.PORT
        ]]):format(work) .. lighttpd_configuration:gsub("/etc/lighttpd", work))
        local words = { lighttpd, "-D", "-m", hosts.root .. "/usr/lib/lighttpd", "-f",
          work .. "/lighttpd.conf" }
        for _, token in ipairs{ server.token, "wrong-token" } do
          local host <close> = hosts.start("lighttpd", words,
            { GRADIENT_BASE_URL = server.url, DIGITALOCEAN_ACCESS_TOKEN = token })
          local status, page = host:get("/jobs")
          assert.equal(token == server.token and 200 or 502, status)
          assert.equal(status == 200 and 50 or 0, select(2, page:gsub("<tr><td>%x+%-", "")))
        end
        shell.must("rm -rf %s", work)
      end,
    },

    ["Tokens by knowledge base"] = {
      function(block)
        local expected = 0
        for job in new_client().indexing_jobs.each() do
          expected = expected + tonumber(job.total_tokens or 0)
        end
        local lines = printed(block.text)
        assert.equal(#server:knowledge_bases(), #lines)
        for _, line in ipairs(lines) do
          expected = expected - math.tointeger(line:match("^.+\t(%d+)$"))
        end
        assert.equal(0, expected)
      end,
    },

    ["Figures for Prometheus"] = {
      function(block)
        local work = new_directory()
        assert.same({}, printed(block.text, work .. "/jobs.prom"))
        assert.equal("jobs.prom\n", shell.must("ls %s", work))
        local text = shell.read(work .. "/jobs.prom")
        assert.matches("^# TYPE gradient_indexing_jobs gauge\n", text)
        assert.truthy(text:find('gradient_indexing_jobs{outcome="cancelled"} 12\n', 1, true), text)
        shell.must("rm -rf %s", work)
      end,
    },

    ["The report of a job"] = {
      function(block)
        local job = new_client().indexing_jobs.list().jobs[9]
        server:script{
          { status = 200, body = ('{"signed_url":"%s/report.csv?sign=123"}'):format(server.url) },
          { status = 200, body = "file,status\n" },
        }
        assert.same({ "file,status" }, printed(block.text, job.uuid))
        assert.is_nil(server:last_request().headers.authorization)
      end,
    },

    ["Behind a proxy, with an authority of your own"] = {
      function(block)
        local front <close> = tls.start(server)
        local proxy <close> = tunnel.start()
        local text = fill(fill(block.text, "http://proxy.example.com:3128", proxy.url),
          "/etc/ssl/example-authority.pem", front.ca_file)
        local result = program.run(text, { DIGITALOCEAN_ACCESS_TOKEN = server.token,
          GRADIENT_BASE_URL = front.url })
        assert.same({ "", 0 }, { result.errors, result.status })
        assert.equal(250, select(2, result.output:gsub("\n", "")))
        assert.equal("CONNECT " .. front.url:match("//(.*)"), proxy:stop():match("^%S+ %S+"))
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

    ["A list that changes while it is read"] = {
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

    ["Editors"] = {
      function(block)
        -- LuaLS looks for the module below this folder, not in it
        local library = block.text:match('"(/[^"]+)"%]')
        assert.truthy(shell.must("make -n uninstall"):find(library .. "/gradient", 1, true))
        require("cjson").decode(block.text)
      end,
    },

    ["The command"] = {
      function(block)
        server:set{ duration = 1.5 } -- long enough to run for a whole second
        for command, shown in (block.text .. "$"):gmatch("%$ ([^\n]+)\n(.-)%f[$]") do
          local output = run_command((command:gsub("%-%-wait", "%0 --interval 0.4")))
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

    ["In your host"] = {
      function(block)
        local left = {}
        for _, name in ipairs(loops.names) do left[name] = true end
        for line in block.text:gmatch("[^\n]+") do
          local name = assert(line:match("gradient%.wait%.(%w+)"))
          left[name] = nil
          local loop = loops.get(name)
          if loop then
            local make = assert(load(line .. "\nreturn client", "=README.md", "t", {
              base = loop.base, gradient = { client = new_client }, require = require,
              sleep = loop.sleep,
            }))
            loop.run{ function() assert.equal(20, #assert(make().indexing_jobs.list()).jobs) end }
          end
        end
        assert.is_nil(next(left))
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

  it("has a list of its sections, in order", function()
    local listed, headings = {}, {}
    local contents = shell.read("README.md"):match("%*%*Contents%*%*: (.-)\n\n"):gsub("%s+", " ")
    for title, anchor in contents:gmatch("%[(.-)%]%(#(.-)%)") do
      listed[#listed + 1] = title
      assert.equal(title:lower():gsub("[^%w -]", ""):gsub(" ", "-") .. "", anchor)
    end
    for title in shell.read("README.md"):gmatch("\n## ([^\n]+)") do
      headings[#headings + 1] = title
    end
    assert.same(headings, listed)
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
        local is_module = package.searchpath(code, package.path)
        local value = code:find("^gradient%.") and not is_module and gradient
        for name in code:gmatch("%.([%a_]+)") do
          if value then value = assert(value[name], code .. " does not exist") end
          if type(value) ~= "table" then break end
        end
      end
    end
  end)

  it("names every variable of the environment that the code reads", function()
    local text, count = shell.read("README.md"), 0
    for name in shell.read("lua/gradient/options.lua"):gmatch('"(%u[%u_]+)"') do
      if not name:find("_PROXY$") then
        assert.truthy(text:find("`" .. name .. "[`=]"), name)
        count = count + 1
      end
    end
    assert.is_true(count >= 4)
  end)
end)
