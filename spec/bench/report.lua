--- Prints a benchmark's table: our figure, the peer's, the ratio, the bound, met or not.

local report = {}

--- The middle one of a list of numbers.
function report.median(figures)
  local sorted = table.move(figures, 1, #figures, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

function report.heading()
  print(("%-52s %12s %12s %7s %7s"):format("", "ours", "peer's", "ratio", "bound"))
end

--- Ours against a peer's, medians of their rounds; without a bound it is for information.
function report.row(name, ours, theirs, bound)
  local mine, other = report.median(ours), report.median(theirs)
  local ratio = mine / other
  local verdict = not bound and "" or ratio <= bound and "met" or "NOT MET"
  print(("%-52s %12.6g %12.6g %7.2f %7s %s"):format(name, mine, other, ratio, bound or "",
    verdict))
end

--- A figure that has no peer.
function report.figure(name, text)
  print(("%-52s %s"):format(name, text))
end

return report
