--- same(a, b): whether two decoded values are the same all the way down. 1 and 1.0 are not, nor are
--- 0.0 and -0.0.

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return math.type(a) == math.type(b) and (a == b and (a ~= 0 or 1 / a == 1 / b))
  end
  for key, value in next, a do
    if not same(value, b[key]) then return false end
  end
  for key in next, b do
    if a[key] == nil then return false end
  end
  return true
end

return same
