std = "lua54"
max_line_length = 100
exclude_files = { "spec/hosts/prosody/prosody.cfg.lua" } -- Prosody's own dialect
files["spec/hosts"] = { -- what these hosts have, and look for, as globals
  read_globals = { "apache2", "core", "pandoc" },
  globals = { "Div", "handle", "lighty", "module" },
}
files["spec"] = {
  std = "+busted",
  ignore = { "512" }, -- a loop that breaks at once is what some specs are about
}
