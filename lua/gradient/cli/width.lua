--- How many columns of a terminal a text takes. East Asian wide characters and emoji take two,
--- combining ones none: https://www.unicode.org/reports/tr11/ (Unicode 14; gaps between ranges that
--- nothing is assigned to are closed).

local wide = [[
  1100-115F 231A-231B 2329-232A 23E9-23EC 23F0 23F3 25FD-25FE 2614-2615 2648-2653 267F 2693 26A1
  26AA-26AB 26BD-26BE 26C4-26C5 26CE 26D4 26EA 26F2-26F3 26F5 26FA 26FD 2705 270A-270B 2728 274C
  274E 2753-2755 2757 2795-2797 27B0 27BF 2B1B-2B1C 2B50 2B55 2E80-303E 3041-4DBF 4E00-A4CF
  A960-A97F AC00-D7A3 F900-FAFF FE10-FE19 FE30-FE6F FF01-FF60 FFE0-FFE6 16FE0-18D08 1AFF0-1B2FF
  1F004 1F0CF 1F18E 1F191-1F19A 1F200-1F320 1F32D-1F335 1F337-1F37C 1F37E-1F393 1F3A0-1F3CA
  1F3CF-1F3D3 1F3E0-1F3F0 1F3F4 1F3F8-1F43E 1F440 1F442-1F4FC 1F4FF-1F53D 1F54B-1F54E 1F550-1F567
  1F57A 1F595-1F596 1F5A4 1F5FB-1F64F 1F680-1F6C5 1F6CC 1F6D0-1F6D2 1F6D5-1F6DF 1F6EB-1F6EC
  1F6F4-1F6FC 1F7E0-1F7F0 1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA70-1FAFF 20000-3FFFD
]]

local combining = [[
  300-36F 483-489 591-5BD 5BF 5C1-5C2 5C4-5C5 5C7 610-61A 64B-65F 670 6D6-6DC 6DF-6E4 6E7-6E8
  6EA-6ED 711 730-74A 7A6-7B0 7EB-7F3 7FD 816-819 81B-823 825-827 829-82D 859-85B 898-89F 8CA-8E1
  8E3-902 93A 93C 941-948 94D 951-957 962-963 981 9BC 9C1-9C4 9CD 9E2-9E3 9FE-A02 A3C A41-A51
  A70-A71 A75 A81-A82 ABC AC1-AC8 ACD AE2-AE3 AFA-B01 B3C B3F B41-B44 B4D-B56 B62-B63 B82 BC0 BCD
  C00 C04 C3C C3E-C40 C46-C56 C62-C63 C81 CBC CBF CC6 CCC-CCD CE2-CE3 D00-D01 D3B-D3C D41-D44 D4D
  D62-D63 D81 DCA DD2-DD6 E31 E34-E3A E47-E4E EB1 EB4-EBC EC8-ECD F18-F19 F35 F37 F39 F71-F7E
  F80-F84 F86-F87 F8D-FBC FC6 102D-1030 1032-1037 1039-103A 103D-103E 1058-1059 105E-1060
  1071-1074 1082 1085-1086 108D 109D 1160-11FF 135D-135F 1712-1714 1732-1733 1752-1753 1772-1773
  17B4-17B5 17B7-17BD 17C6 17C9-17D3 17DD 180B-180D 180F 1885-1886 18A9 1920-1922 1927-1928 1932
  1939-193B 1A17-1A18 1A1B 1A56 1A58-1A60 1A62 1A65-1A6C 1A73-1A7F 1AB0-1B03 1B34 1B36-1B3A 1B3C
  1B42 1B6B-1B73 1B80-1B81 1BA2-1BA5 1BA8-1BA9 1BAB-1BAD 1BE6 1BE8-1BE9 1BED 1BEF-1BF1 1C2C-1C33
  1C36-1C37 1CD0-1CD2 1CD4-1CE0 1CE2-1CE8 1CED 1CF4 1CF8-1CF9 1DC0-1DFF 200B-200F 202A-202E
  2060-206F 20D0-20F0 2CEF-2CF1 2D7F 2DE0-2DFF 302A-302D 3099-309A A66F-A672 A674-A67D A69E-A69F
  A6F0-A6F1 A802 A806 A80B A825-A826 A82C A8C4-A8C5 A8E0-A8F1 A8FF A926-A92D A947-A951 A980-A982
  A9B3 A9B6-A9B9 A9BC-A9BD A9E5 AA29-AA2E AA31-AA32 AA35-AA36 AA43 AA4C AA7C AAB0 AAB2-AAB4
  AAB7-AAB8 AABE-AABF AAC1 AAEC-AAED AAF6 ABE5 ABE8 ABED FB1E FE00-FE0F FE20-FE2F FEFF 1D167-1D169
  1D17B-1D182 1D185-1D18B 1D1AA-1D1AD E0001-E01EF
]]

-- "1100-115F 23F0" → { 0x1100, 0x115F, 0x23F0, 0x23F0 }
local function parse(text)
  local bounds = {}
  for first, last in text:gmatch("(%x+)%-?(%x*)") do
    bounds[#bounds + 1] = tonumber(first, 16)
    bounds[#bounds + 1] = tonumber(last, 16) or tonumber(first, 16)
  end
  return bounds
end

local function is_within(bounds, code)
  local low, high = 0, #bounds // 2 -- so many ranges begin at the code or before it
  while low < high do
    local middle = (low + high + 1) // 2
    if bounds[2 * middle - 1] <= code then low = middle else high = middle - 1 end
  end
  return low > 0 and code <= bounds[2 * low]
end

local parsed = {} -- when they are needed: most texts are ASCII

local function width_of(code)
  if code < 0x300 then return 1 end
  parsed.wide = parsed.wide or parse(wide)
  parsed.combining = parsed.combining or parse(combining)
  return is_within(parsed.combining, code) and 0 or is_within(parsed.wide, code) and 2 or 1
end

local width = {}

--- Columns that a text without control characters takes; a byte each if it is not UTF-8.
---@param text string
---@return integer
function width.of(text)
  if not text:find("[\x80-\xFF]") or not utf8.len(text) then return #text end
  local columns = 0
  for _, code in utf8.codes(text) do columns = columns + width_of(code) end
  return columns
end

--- As much of the beginning of a text as has room in so many columns.
---@param text string
---@param columns integer
---@return string
function width.beginning(text, columns)
  if not utf8.len(text) then return text:sub(1, columns) end
  local taken = 0
  for position, code in utf8.codes(text) do
    taken = taken + width_of(code)
    if taken > columns then return text:sub(1, position - 1) end
  end
  return text
end

return width
