--- The table that `make bench` prints: what we need, what the peer needs, the ratio of the two, and
--- the bound of the ratio, if it has one.

local report = {}

local all_met = true

local function print_line(...)
  print((("%-48s %12s %12s %8s %6s  %s"):format(...):gsub(" +$", "")))
end

--- The median of a list of numbers.
---@param figures number[]
function report.median(figures)
  local sorted = table.move(figures, 1, #figures, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

function report.heading()
  print_line("", "ours", "peer's", "ratio", "bound", "")
end

--- Ours against a peer's, medians of their rounds; without a bound it is for information.
---@param name string
---@param unit string  of all figures
---@param ours number[]
---@param theirs number[]
---@param bound number?  what ours / theirs may be at the most
function report.row(name, unit, ours, theirs, bound)
  local mine, other = report.median(ours), report.median(theirs)
  local is_met = not bound or mine / other <= bound
  all_met = all_met and is_met
  print_line(name, ("%.4g %s"):format(mine, unit), ("%.4g %s"):format(other, unit),
    ("%.3f"):format(mine / other), bound and ("%.2f"):format(bound) or "",
    not bound and "" or is_met and "met" or "NOT MET")
end

--- A figure that has no peer.
---@param name string
---@param text string  with its unit
function report.figure(name, text)
  print_line(name, text, "", "", "", "")
end

--- Ends the program: with success if all bounds were met.
function report.finish()
  os.exit(all_met, true)
end

return report
