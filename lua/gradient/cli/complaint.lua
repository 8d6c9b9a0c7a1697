--- What the command says of an error.

local complaint = {}

-- The library's advice to programs, in the words of the command.
local advice = {
  { ", or the option 'token' of gradient%.client", "" },
  { "set allow_http", "say --allow-http" },
}

local function option(name)
  return "--" .. name:gsub("_", "-")
end

--- The text of what was raised or returned.
---@param problem any  a gradient.error, a string, or of output.lua
---@return string
function complaint.text(problem)
  if type(problem) == "table" and problem.output then return "cannot write: " .. problem.output end
  if type(problem) == "table" and problem.about then return problem.about end
  local text = tostring(problem)
  for _, translation in ipairs(advice) do text = text:gsub(translation[1], translation[2]) end
  return (text:gsub("option '([%w_]+)'", option))
end

return complaint
