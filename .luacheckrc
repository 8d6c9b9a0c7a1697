std = "lua54"
max_line_length = 100
files["spec"] = {
  std = "+busted",
  ignore = { "512" }, -- a loop that breaks at once is what some specs are about
}
