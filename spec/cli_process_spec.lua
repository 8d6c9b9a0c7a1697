--- gradient-jobs as a process: its descriptors, its end, where it is installed, and its manual.

local argparse = require "argparse"
local command = require "spec.support.command"
local core = require "gradient.core"
local fixture = require "spec.support.fixture"
local gradient = require "gradient"
local new_directory = require("spec.support.process").new_directory
local shell = require "spec.support.shell"

describe("the process of gradient-jobs", function()
  local server, new_client = fixture.server{ jobs = 250 }
  local gj = command.against(server)
  local run, print_of = gj.run, gj.print_of

  describe("on Ctrl-C", function()
    -- Ctrl-C as soon as the command has made so many requests.
    local function interrupted(arguments, settings, requests)
      local pressed
      local before = #server:requests()
      settings.meanwhile = function(press)
        server:await{ requests = before + (requests or 1) }
        press "\3"
        pressed = core.now()
      end
      local result = run(arguments, settings)
      assert.is_true(core.now() - pressed < 10) -- half of what the server takes
      assert.equal("", result.errors)
      return result
    end

    local terminal = { columns = 80, rows = 24 }

    it("dies by SIGINT while it waits for the server", function()
      server:set{ latency = 20 }
      assert.equal("", interrupted({ "list" }, {}).output)
      server:reset()
      server:set{ latency = 20 }
      assert.equal(130, interrupted({ "list" }, { terminal = terminal }).status)
    end)

    it("dies by SIGINT while its modules are still loaded", function()
      for _, module in ipairs{ "gradient.core", "gradient.cli.list", "argparse", "cjson" } do
        local result = run({ "list" }, { terminal = terminal, prelude = ([[
          package.preload["%s"] = function()
            package.preload["%s"] = nil
            io.popen("kill -INT $PPID"):close()
          end]]):format(module, module) })
        assert.same({ 130, "" }, { result.status, result.errors })
      end
    end)

    it("ends the shell's loop around it, too", function()
      server:set{ latency = 20 }
      interrupted({ "list", "--no-names" }, { terminal = terminal, times = 3 })
      assert.equal(1, #server:requests())
    end)

    it("leaves a view as it is, and a line of its own to the prompt", function()
      new_client().indexing_jobs.create{ knowledge_base_uuid = server:knowledge_bases()[1] }
      local output = interrupted({ "watch", "--no-names", "--interval", "0.2" },
        { terminal = terminal }, 3).output -- the jobs and a first look, which is shown by the third
      assert.matches("\n\27%[J.*\r\27%[J\27%[0m$", output)
      assert.is_nil(output:find("\27[?", 1, true))
    end)

    it("leaves no half line", function()
      server:script{ { match = { page = 3 }, delay = 20 } }
      local output = interrupted({ "list", "--all", "--json", "--per-page", "50" },
        { terminal = terminal }, 3).output -- the third is made when the first page is printed
      assert.matches("}[^{}]*\n\r\27%[J\27%[0m$", output)
    end)
  end)

  describe("with a descriptor that is closed", function()
    local cannot_write = "gradient-jobs: cannot write: Bad file descriptor\n"

    it("says that it cannot write to standard output", function()
      for _, arguments in ipairs{ { "list" }, { "list", "--json" }, { "--version" }, { "--help" },
        { "completion", "bash" } } do
        local result = run(arguments, { redirection = ">&-" })
        assert.equal(cannot_write, result.errors)
        assert.equal(1, result.status)
      end
    end)

    it("says so after it has said that it started a job", function()
      local result = run({ "start", server:knowledge_bases()[1] }, { redirection = ">&-" })
      local started, rest = result.errors:match("^([^\n]+\n)(.*)$")
      assert.matches("^gradient%-jobs: started a job for ", started)
      assert.equal(cannot_write, rest)
      assert.equal(1, result.status)
    end)

    it("never writes its log into a connection", function()
      local expected = print_of{ "list", "--limit", "9", "--columns", "job" }
      for _, closed in ipairs{ "2>&-", "2>&- <&-" } do
        local directory = new_directory()
        local result = run({ "list", "--limit", "9", "--columns", "job" }, {
          environment = { GRADIENT_LOG = "debug" },
          redirection = (">%s/printed "):format(directory) .. closed,
        })
        assert.equal(0, result.status)
        assert.equal(expected, shell.read(directory .. "/printed"))
        shell.must("rm -r %s", directory)
      end
      for _, request in ipairs(server:requests()) do
        assert.equal("GET", request.method)
        assert.equal(200, request.status)
      end
    end)

    it("opens nothing below 3", function()
      local prelude = [[
        local real = os.exit
        os.exit = function(...)
          local kinds = {}
          for fd = 0, 2 do
            local link = io.popen("readlink /proc/$PPID/fd/" .. fd):read("a")
            kinds[#kinds + 1] = link:find("socket") and "socket" or "other"
          end
          local file = io.open(os.getenv "REPORT", "w")
          file:write(table.concat(kinds, " "))
          file:close()
          real(...)
        end
      ]]
      local directory = new_directory()
      run({ "list" }, { prelude = prelude, redirection = ">&- 2>&- <&-",
        environment = { REPORT = directory .. "/report" } })
      assert.equal("other other other", shell.read(directory .. "/report"))
      shell.must("rm -r %s", directory)
    end)
  end)

  it("says with status 1 that help and version do not fit on the disk", function()
    for _, arguments in ipairs{ { "--help" }, { "--version" }, { "help", "list" },
      { "list", "--help" }, { "completion", "zsh" } } do
      local result = run(arguments, { redirection = ">/dev/full" })
      assert.equal("gradient-jobs: cannot write: No space left on device\n", result.errors)
      assert.equal(1, result.status)
    end
  end)

  it("says in one line which Lua it needs, as the module does", function()
    local tried = 0
    for _, lua in ipairs{ "lua5.1", "luajit", "lua5.3" } do
      if os.execute("command -v " .. lua .. " >/dev/null") then
        tried = tried + 1
        local version = shell.must("%s -e 'io.write(_VERSION)'", lua)
        local output, ok = shell.run("%s lua/gradient-jobs list", lua)
        assert.is_false(ok)
        assert.equal("gradient-jobs: Lua 5.4 or later is needed, this is " .. version .. "\n",
          output)
        output = shell.run("LUA_PATH='lua/?/init.lua' %s -e 'print(select(2, pcall(require,"
          .. " \"gradient\")))'", lua)
        assert.equal("gradient needs Lua 5.4 or later, this is " .. version .. "\n", output)
      end
    end
    assert.is_true(tried > 0, "one of these must be installed")
  end)

  it("finds its module wherever make install has put it", function()
    local directory = new_directory()
    local prefix = directory .. "/a b/c"
    shell.must("make -s install PREFIX=%s", shell.quote(prefix))
    assert.equal("gradient-jobs " .. gradient._VERSION .. "\n",
      shell.must("cd / && %s --version", shell.quote(prefix .. "/bin/gradient-jobs")))
    assert.matches("^%.TH GRADIENT", shell.read(prefix .. "/share/man/man1/gradient-jobs.1"))
    shell.must("make -s uninstall PREFIX=%s", shell.quote(prefix))
    assert.equal("", shell.must("find %s -type f", shell.quote(directory)))
    shell.must("rm -r %s", shell.quote(directory))
  end)

  it("has a manual of all commands and options", function()
    local text = require("gradient.cli.manual").text(argparse)
    local parser = require("gradient.cli.arguments").declare(argparse,
      require("gradient.cli").commands)
    local plain = text:gsub("\\%-", "-")
    for _, owner in ipairs{ parser, table.unpack(parser._commands) } do
      for _, option in ipairs(owner._options) do
        local name = option._aliases[#option._aliases]
        assert.truthy(name == "--help" or plain:find("\n.B " .. name, 1, true)
          or plain:find("\n.B " .. option._aliases[1], 1, true), name)
      end
    end
    for _, declared in ipairs(parser._commands) do
      assert.matches("\n.SS gradient-jobs " .. declared._name .. " ", plain, 1, true)
    end
    local known = { TH = true, SH = true, SS = true, TP = true, PP = true, B = true, EX = true,
      EE = true }
    for macro in text:gmatch "\n[.'](%S*)" do assert.is_true(known[macro], macro) end
  end)

  it("completes commands, options and their values", function()
    local function completions(...)
      local words = { ... }
      local script = [[
        source <(%s lua/gradient-jobs completion bash)
        COMP_WORDS=(gradient-jobs %s)
        COMP_CWORD=%d
        _gradient-jobs
        echo "${COMPREPLY[@]}"
      ]]
      return shell.must("LUA_PATH=%s LUA_CPATH=%s bash -c %s", shell.quote(package.path),
        shell.quote(package.cpath),
        shell.quote(script:format(shell.quote(arg[-1]), table.concat(words, " "), #words)))
    end
    assert.equal("list\n", completions "li")
    assert.equal("--since\n", completions("list", "--si"))
    assert.equal("json jsonl\n", completions("list", "--output", "j"))
    assert.equal("failed\n", completions("list", "--outcome", "f"))
    assert.equal("in_progress\n", completions("list", "--status", "i"))
    assert.equal("pending\n", completions("list", "--phase", "p"))
    assert.equal("watch wait-db\n", completions("help", "wa"))
    for _, name in ipairs{ "zsh", "fish" } do
      assert.matches("exit%-status", print_of{ "completion", name })
    end
  end)

  it("prints completions that their shells can read", function()
    local tried = 0
    for name, check in pairs{ bash = "bash -n", zsh = "zsh -n", fish = "fish --no-execute" } do
      if os.execute("command -v " .. name .. " >/dev/null") then
        tried = tried + 1
        local directory = new_directory()
        shell.write(directory .. "/completion", print_of{ "completion", name })
        assert.equal("", shell.must("%s %s/completion", check, directory))
        shell.must("rm -r %s", directory)
      end
    end
    assert.is_true(tried > 0)
  end)

  it("understands the examples of its help", function()
    local cli, arguments = require "gradient.cli", require "gradient.cli.arguments"
    for _, declared in ipairs(cli.commands) do
      assert.is_true(#declared.examples > 0, declared.name)
      for _, example in ipairs(declared.examples) do
        local found
        for call in example:gmatch "gradient%-jobs ([^|>&)#]+)" do
          local words = {}
          for word in call:gmatch "%S+" do words[#words + 1] = word end
          assert(arguments.parse(arguments.declare(argparse, cli.commands), words))
          found = true
        end
        assert.is_true(found, example)
      end
    end
  end)

  it("takes options before and after the command", function()
    local expected = print_of{ "list", "--limit", "2", "--columns", "job", "--timeout", "5" }
    assert.equal(expected, print_of{ "--columns", "job", "--limit", "2", "--timeout", "5", "list" })
    assert.equal(expected, print_of{ "--timeout=5", "--limit", "2", "list", "--columns=job" })
    assert.equal(print_of{ "help", "list" }, print_of{ "--help", "list" })
  end)
end)
