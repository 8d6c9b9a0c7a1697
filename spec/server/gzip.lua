--- Gzip files for tests, made without a compressor.
--
-- gzip.pack stores its text as it is; gzip.bomb describes a long run of one byte by matches of 258
-- bytes that take two bits each, which is how a small answer becomes a gigabyte.
-- Formats: RFC 1951 (deflate), RFC 1952 (gzip).

local pack = string.pack

local POLYNOMIAL = 0xEDB88320
local HEADER = "\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\xFF"
local MATCH = 258 -- the longest match
local STORED = 65535 -- bytes in a stored block, at most

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    c = c & 1 == 1 and c >> 1 ~ POLYNOMIAL or c >> 1
  end
  crc_table[i] = c
end

local function crc32(text)
  local c = 0xFFFFFFFF
  for i = 1, #text do
    c = crc_table[(c ~ text:byte(i)) & 0xFF] ~ c >> 8
  end
  return c ~ 0xFFFFFFFF
end

--- Product of two polynomials modulo the one of the CRC; bit 31 is the coefficient of x^0.
local function multiply(a, b)
  local product = 0
  while a ~= 0 do
    if a & 0x80000000 ~= 0 then
      product = product ~ b
    end
    a = a << 1 & 0xFFFFFFFF
    b = b & 1 == 1 and b >> 1 ~ POLYNOMIAL or b >> 1
  end
  return product
end

--- CRC of two texts one after the other, from the CRC of each and the length of the second.
local function join(first, second, length)
  local power, base = 0x80000000, 0x00800000 -- x^0, x^8
  while length > 0 do
    if length & 1 == 1 then
      power = multiply(power, base)
    end
    base = multiply(base, base)
    length = length >> 1
  end
  return multiply(power, first) ~ second
end

--- CRC of a byte n times.
local function crc_of_run(byte, n)
  local crc, unit, length = 0, crc32(byte), 1
  while n > 0 do
    if n & 1 == 1 then
      crc = join(crc, unit, length)
    end
    unit = join(unit, unit, length)
    length, n = length * 2, n >> 1
  end
  return crc
end

--- Deflate blocks that hold a text as it is; `final` ends the stream.
local function stored(text, final)
  local out, at = {}, 1
  repeat
    local part = text:sub(at, at + STORED - 1)
    at = at + STORED
    local last = final and at > #text and 1 or 0
    out[#out + 1] = pack("<BI2I2", last, #part, ~#part & 0xFFFF) .. part
  until at > #text
  return table.concat(out)
end

--- A deflate block of n matches of 258 bytes at distance 1: the byte before it goes on and on.
-- Two codes of one bit each (0: end of block, 1: match) and one distance code (0).
local function matches(n)
  local bits, count = 0, 0
  local out = {}
  local function put(value, width) -- lowest bit first
    bits, count = bits | value << count, count + width
    while count >= 8 do
      out[#out + 1] = string.char(bits & 0xFF)
      bits, count = bits >> 8, count - 8
    end
  end
  put(4, 3) -- not the last block; dynamic codes
  put(286 - 257, 5) -- literal and length codes: 0..285
  put(0, 5) -- one distance code
  put(18 - 4, 4) -- lengths of 18 code length codes follow, in the order of RFC 1951, 3.2.7:
  for _, symbol in ipairs({ 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1 }) do
    put((symbol == 18 or symbol == 1) and 1 or 0, 3) -- code 0: a length of 1; code 1: zeros
  end
  local function zeros(width)
    put(1, 1)
    put(width - 11, 7)
  end
  zeros(138)
  zeros(118)
  put(0, 1) -- 256, end of block
  zeros(28)
  put(0, 1) -- 285, a match of 258
  put(0, 1) -- distance 1
  while n > 0 and count ~= 0 do -- up to a byte's edge
    put(1, 2)
    n = n - 1
  end
  out[#out + 1] = ("\x55"):rep(n // 4)
  for _ = 1, n % 4 do
    put(1, 2)
  end
  put(0, 1) -- end of block
  put(0, 3) -- an empty stored block takes us to a byte's edge
  put(0, -count % 8)
  return table.concat(out) .. "\x00\x00\xFF\xFF"
end

local function gzip_pack(text)
  return HEADER .. stored(text, true) .. pack("<I4I4", crc32(text), #text & 0xFFFFFFFF)
end

--- Gzip of `before`, n times the last byte of `before`, and `after`.
local function gzip_run(before, n, after)
  local byte = before:sub(-1)
  local rest = byte:rep(n % MATCH) .. after
  local crc = join(crc32(before), crc_of_run(byte, n), n)
  crc = join(crc, crc32(after), #after)
  return HEADER
    .. stored(before, false)
    .. matches(n // MATCH)
    .. stored(rest, true)
    .. pack("<I4I4", crc, (#before + n + #after) & 0xFFFFFFFF)
end

--- An answer without jobs that unpacks to `size` bytes, most of them blanks.
-- With two layers (for `content-encoding: gzip, gzip`) it is smaller by another factor of hundreds.
local function bomb(size, layers)
  local before, after = '{"jobs":[ ', "]}"
  if layers ~= 2 then
    return gzip_run(before, size - #before - #after, after)
  end
  local inner = gzip_run(before, size - #before - #after, after)
  local first, last = inner:find("\x55+", #HEADER + 64)
  return gzip_run(inner:sub(1, first), last - first, inner:sub(last + 1))
end

return {
  pack = gzip_pack,
  bomb = bomb,
}
