rockspec_format = "3.0"
package = "gradient"
version = "scm-1"
source = {
  -- The project has no public address yet: `luarocks make` builds the checkout at hand.
  url = "git+file://.",
}
description = {
  summary = "DigitalOcean Gradient AI indexing jobs, from Lua",
  detailed = [[
    A client for the indexing jobs of DigitalOcean's Gradient AI platform: a C core over libcurl
    that decodes the answers, iterators over all pages, retries, and no blocking of event loops.
  ]],
  license = "MIT",
  maintainer = "the gradient authors",
  labels = { "digitalocean", "gradient", "api", "http", "async", "curl" },
  -- `make dist` adds homepage and issues_url.
}
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.4, < 5.6",
  "lua-cjson >= 2.1",
  "argparse >= 0.7", -- for the command gradient-jobs
}
test_dependencies = {
  "busted >= 2.0",
  "luasocket >= 3.0",
  "cqueues",
  "luv",
}
external_dependencies = {
  -- Not by its header: on Debian that is where compilers look, but LuaRocks does not.
  CURL = { library = "curl" },
}
build = {
  type = "builtin",
  modules = {
    ["gradient.core"] = {
      sources = { "src/core.c", "src/client.c", "src/transfer.c", "src/json.c" },
      defines = { "_GNU_SOURCE" },
      libdirs = { "$(CURL_LIBDIR)" },
      libraries = { "curl", "pthread", "dl" },
    },
    ["gradient"] = "lua/gradient/init.lua",
    ["gradient.call"] = "lua/gradient/call.lua",
    ["gradient.check"] = "lua/gradient/check.lua",
    ["gradient.cli"] = "lua/gradient/cli.lua",
    ["gradient.cli.arguments"] = "lua/gradient/cli/arguments.lua",
    ["gradient.cli.bases"] = "lua/gradient/cli/bases.lua",
    ["gradient.cli.complaint"] = "lua/gradient/cli/complaint.lua",
    ["gradient.cli.csv"] = "lua/gradient/cli/csv.lua",
    ["gradient.cli.database"] = "lua/gradient/cli/database.lua",
    ["gradient.cli.format"] = "lua/gradient/cli/format.lua",
    ["gradient.cli.get"] = "lua/gradient/cli/get.lua",
    ["gradient.cli.help"] = "lua/gradient/cli/help.lua",
    ["gradient.cli.jobs"] = "lua/gradient/cli/jobs.lua",
    ["gradient.cli.json"] = "lua/gradient/cli/json.lua",
    ["gradient.cli.list"] = "lua/gradient/cli/list.lua",
    ["gradient.cli.manual"] = "lua/gradient/cli/manual.lua",
    ["gradient.cli.names"] = "lua/gradient/cli/names.lua",
    ["gradient.cli.output"] = "lua/gradient/cli/output.lua",
    ["gradient.cli.printer"] = "lua/gradient/cli/printer.lua",
    ["gradient.cli.report"] = "lua/gradient/cli/report.lua",
    ["gradient.cli.rows"] = "lua/gradient/cli/rows.lua",
    ["gradient.cli.schedule"] = "lua/gradient/cli/schedule.lua",
    ["gradient.cli.selection"] = "lua/gradient/cli/selection.lua",
    ["gradient.cli.session"] = "lua/gradient/cli/session.lua",
    ["gradient.cli.sources"] = "lua/gradient/cli/sources.lua",
    ["gradient.cli.start"] = "lua/gradient/cli/start.lua",
    ["gradient.cli.values"] = "lua/gradient/cli/values.lua",
    ["gradient.cli.view"] = "lua/gradient/cli/view.lua",
    ["gradient.cli.watch"] = "lua/gradient/cli/watch.lua",
    ["gradient.cli.width"] = "lua/gradient/cli/width.lua",
    ["gradient.client"] = "lua/gradient/client.lua",
    ["gradient.driver"] = "lua/gradient/driver.lua",
    ["gradient.enums"] = "lua/gradient/enums.lua",
    ["gradient.errors"] = "lua/gradient/errors.lua",
    ["gradient.indexing_jobs"] = "lua/gradient/indexing_jobs.lua",
    ["gradient.job"] = "lua/gradient/job.lua",
    ["gradient.knowledge_bases"] = "lua/gradient/knowledge_bases.lua",
    ["gradient.met"] = "lua/gradient/met.lua",
    ["gradient.names"] = "lua/gradient/names.lua",
    ["gradient.options"] = "lua/gradient/options.lua",
    ["gradient.pace"] = "lua/gradient/pace.lua",
    ["gradient.paginator"] = "lua/gradient/paginator.lua",
    ["gradient.poll"] = "lua/gradient/poll.lua",
    ["gradient.report"] = "lua/gradient/report.lua",
    ["gradient.resource"] = "lua/gradient/resource.lua",
    ["gradient.retry"] = "lua/gradient/retry.lua",
    ["gradient.scheduled_indexing"] = "lua/gradient/scheduled_indexing.lua",
    ["gradient.timestamp"] = "lua/gradient/timestamp.lua",
    ["gradient.types"] = "lua/gradient/types.lua",
    ["gradient.wait.cqueues"] = "lua/gradient/wait/cqueues.lua",
    ["gradient.wait.ev"] = "lua/gradient/wait/ev.lua",
    ["gradient.wait.glib"] = "lua/gradient/wait/glib.lua",
    ["gradient.wait.loop"] = "lua/gradient/wait/loop.lua",
    ["gradient.wait.luaevent"] = "lua/gradient/wait/luaevent.lua",
    ["gradient.wait.luv"] = "lua/gradient/wait/luv.lua",
    ["gradient.wait.polling"] = "lua/gradient/wait/polling.lua",
    ["gradient.wait.prosody"] = "lua/gradient/wait/prosody.lua",
    ["gradient.wait.shared"] = "lua/gradient/wait/shared.lua",
    ["gradient.wait.tick"] = "lua/gradient/wait/tick.lua",
  },
  install = {
    bin = { "lua/gradient-jobs" },
  },
}
test = {
  type = "command",
  command = "make specs",
}
