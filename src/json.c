/*
** json.c: JSON text to Lua values. What RFC 8259 calls JSON is accepted, to the letter, and all
** else is refused, with the offset of the first byte that cannot be right. One pass over the bytes,
** without recursion and without a heap: whatever is alive is on the Lua stack, so a Lua error may
** be raised anywhere.
**
** What the RFC leaves open is decided like this:
** - The text is UTF-8; bad UTF-8 is an error. A byte order mark before it is skipped.
** - A surrogate escape without its partner is read as U+FFFD: one odd string hides no page.
** - A number without fraction and exponent is an integer if one can hold it ("-0" is 0). Any other
**   is the nearest float, in every C locale ("-0.0" is -0.0, "1e999" infinity, "1e-999" 0.0).
** - Of members with the same name the last one counts; if that one is null, there is none.
** - A null member is absent unless nulls are kept; any other null is light userdata NULL.
** - Strings may hold U+0000. Nesting ends at JSON_MAX_DEPTH; nothing else is limited.
*/

#include "json.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#define NAME_BITS   6    /* 2 to the power of this is how many names are remembered; 7 at most */
#define MAX_WAITING 16   /* elements that wait on the stack, until their table's size is known */
#define MAX_GUESS   1000 /* members that an object gets room for on a guess, which may be wrong */
#define NEAR_LEVELS 24   /* what is on the C stack, of which some threads have little: levels, */
#define NEAR_BYTES  512  /* and bytes of strings that have escapes; more is in a userdata */
#define STEP        27   /* so many powers of five fit into 64 bits */

/* the name of a member as it was met in the text; its string is on the Lua stack meanwhile */
struct name {
  const char *text;   /* the bytes after the opening quote */
  ptrdiff_t size;     /* of these, with the closing quote */
  uint64_t head;      /* the first eight of them, or as many as there are, */
  uint64_t mask;      /* and which part of a word they are */
  unsigned char next; /* the name that came after this one last time */
};

/* an array or object that is open */
struct level {
  lua_Integer count;      /* of elements, or of members that are not absent */
  unsigned short members; /* of the last object at this depth; for an int as well as an unsigned */
  unsigned char last;     /* the name that was met last; 0: none yet */
  unsigned char guess;    /* the name that should come next */
  char closer;            /* the bracket that ends it */
  int holds_objects;      /* whether all elements must be objects */
};

struct decoder {
  lua_State *L;
  const char *text; /* what is decoded: from here */
  const char *end;  /* to here */
  const struct json_options *options;
  const char *list;     /* the '[' of the array that must hold objects, when it has been met */
  const char *at;       /* after a failure: the offending byte, */
  const char *expected; /* and what should have been there */
  struct level *level;  /* the innermost one that is open */
  int depth;            /* how many are open */
  int first_slot;       /* the stack index of what is kept: two userdata, and names' strings */
  char *scratch;        /* where strings that have escapes are put together: from here */
  char *scratch_end;    /* to here */
  int name_bits;        /* so many are used; few in a short text, which is not worth more room */
  struct name names[1 + (1 << NAME_BITS)]; /* 0 is none, and stands before an object's first one */
  struct level near[NEAR_LEVELS];          /* from 1; the outermost value is at depth 0 */
  char near_bytes[NEAR_BYTES];
};

/* A function that reads something takes the position where it begins and returns the one after it;
** or NULL, when this function has written down why. */
static const char *fail(struct decoder *d, const char *p, const char *expected) {
  d->at = p;
  d->expected = expected;
  return NULL;
}

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* ---- eight bytes at a time: a page takes a tenth less than byte by byte ---- */

/* a word with the same byte eight times */
#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes as a number, the first one lowest, on every machine; compilers make it one load. */
static inline uint64_t word_at(const char *p) {
  const unsigned char *b = (const unsigned char *)p;
  return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 |
         (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 | (uint64_t)b[7] << 56;
}

/* The word at p; where less of the text is left, it ends with zeros. */
static inline uint64_t next_word(const struct decoder *d, const char *p) {
  char bytes[8] = {0};
  if (d->end - p >= 8)
    return word_at(p);
  memcpy(bytes, p, (size_t)(d->end - p));
  return word_at(bytes);
}

/* How many bytes are before the first one that has a bit set. */
static inline int count_before(uint64_t bits) {
  return __builtin_ctzll(bits) / 8;
}

/* Marks, by their top bits, the bytes that do not stand for themselves in a string. The lowest mark
** is right; others may be wrong. A byte borrows from its top bit where it is smaller than what is
** subtracted: x ^ '\\' than 1 where x is a backslash, x ^ 2 than 0x21 where x is a quote or a
** control character. What is not ASCII has that bit anyway. */
static inline uint64_t mark_special(uint64_t word) {
  uint64_t marks = ((word ^ EIGHT('\\')) - EIGHT(1)) | ((word ^ EIGHT(2)) - EIGHT(0x21)) | word;
  return marks & EIGHT(0x80);
}

/* Whether eight bytes are digits: 3 is their upper half, also when 6 is added to the lower one. */
static inline int are_digits(uint64_t word) {
  return (word & (word + EIGHT(6)) & EIGHT(0xf0)) == EIGHT(0x30);
}

static const char *skip_run(const struct decoder *d, const char *p) {
  while (p < d->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
    uint64_t run = EIGHT((unsigned char)*p);
    for (p++; d->end - p >= 8 && word_at(p) == run;)
      p += 8;
  }
  return p;
}

static inline const char *skip_space(const struct decoder *d, const char *p) {
  return p < d->end && (unsigned char)*p <= ' ' ? skip_run(d, p) : p;
}

/* ---- strings ---- */

/* Skips bytes that stand for themselves, except for the last few of the text. */
static inline const char *skip_plain(const struct decoder *d, const char *p) {
  for (; d->end - p >= 8; p += 8) {
    uint64_t marks = mark_special(word_at(p));
    if (marks != 0)
      return p + count_before(marks);
  }
  return p;
}

/* Checks the UTF-8 sequence that begins with the byte at p, which is not ASCII (the table of
** well-formed sequences: The Unicode Standard, 3.9). Only the second byte has a narrower range
** after some first bytes: to keep out overlong forms, surrogates and what is beyond U+10FFFF. */
static inline const char *check_utf8(struct decoder *d, const char *p) {
  uint64_t word = next_word(d, p);
  unsigned lead = word & 0xff, second = word >> 8 & 0xff;
  int size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  uint64_t wrong = (word ^ 0x80808000) & 0xc0c0c000 & ((UINT64_C(1) << 8 * size) - 1);
  if (lead < 0xc2 || lead > 0xf4)
    return fail(d, p, "UTF-8");
  if (lead >= 0xe0 && ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                       (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)))
    wrong |= 0x8000;
  return wrong == 0 ? p + size : fail(d, p + count_before(wrong), "the rest of a UTF-8 sequence");
}

/* The same as find_quote, from a byte on that is not plain, or near the end of the text. */
static const char *find_quote_slowly(struct decoder *d, const char *p) {
  for (;;) {
    if (d->end - p < 8)
      p += count_before(mark_special(next_word(d, p)));
    if (p == d->end)
      return fail(d, p, "a closing quote");
    if (*p == '"' || *p == '\\')
      return p;
    if ((unsigned char)*p < ' ')
      return fail(d, p, "an escaped control character");
    while (p != NULL && p < d->end && (unsigned char)*p >= 0x80)
      p = check_utf8(d, p);
    if (p == NULL)
      return NULL;
    p = skip_plain(d, p);
  }
}

/* Finds the quote that ends a string, or a backslash before it, from p on. */
static inline const char *find_quote(struct decoder *d, const char *p) {
  p = skip_plain(d, p);
  return p < d->end && (*p == '"' || *p == '\\') ? p : find_quote_slowly(d, p);
}

/* Reads the four hexadecimal digits of a \u escape. */
static inline const char *read_hex(struct decoder *d, const char *p, unsigned *code) {
  const char *end = p + 4;
  for (*code = 0; p < end; p++) {
    if (p == d->end || !isxdigit((unsigned char)*p))
      return fail(d, p, "a hexadecimal digit");
    *code = *code << 4 | (unsigned)((*p & 15) + (*p >> 6) * 9); /* letters have bit 6 set */
  }
  return p;
}

/* Reads a \u escape, from its 'u' on, and writes its character as UTF-8. Two are one character
** where they are a surrogate pair; otherwise the second is read again, for itself. */
static const char *read_unicode(struct decoder *d, const char *p, char **out) {
  static const unsigned char leads[4] = {0, 0xc0, 0xe0, 0xf0};
  unsigned code, low;
  int i, more; /* bytes after the first */
  if (p == d->end || *p != 'u')
    return fail(d, p, "an escape sequence");
  p = read_hex(d, p + 1, &code);
  if (p == NULL)
    return NULL;
  if (code >= 0xd800 && code < 0xe000) {
    int is_pair = code < 0xdc00 && d->end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
                  read_hex(d, p + 2, &low) != NULL && low >= 0xdc00 && low < 0xe000;
    code = is_pair ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
    p += is_pair ? 6 : 0;
  }
  more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000);
  for (i = more; i > 0; i--, code >>= 6)
    (*out)[i] = (char)(0x80 | (code & 0x3f));
  **out = (char)(leads[more] | code);
  *out += more + 1;
  return p;
}

/* Makes room for so many bytes at `out`, where what is in the scratch ends; returns that place. */
static inline char *make_room(struct decoder *d, char *out, size_t more) {
  if ((size_t)(d->scratch_end - out) < more) {
    size_t length = (size_t)(out - d->scratch), size = 2 * (length + more);
    char *larger = lua_newuserdatauv(d->L, size, 0);
    lua_replace(d->L, d->first_slot + 1);
    memcpy(larger, d->scratch, length);
    d->scratch = larger;
    d->scratch_end = larger + size;
    out = larger + length;
  }
  return out;
}

/* Reads a string whose first backslash is at p: checks the rest and replaces escapes in one go. */
static const char *read_escaped(struct decoder *d, const char *start, const char *p) {
  static const unsigned char characters[256] = {
      ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
      ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
  char *out = d->scratch;
  for (;;) {
    size_t length = (size_t)(p - start);
    out = make_room(d, out, length + 8); /* with room for a character */
    if (length < 8 && d->end - start >= 8)
      memcpy(out, start, 8); /* without a call */
    else
      memcpy(out, start, length);
    out += length;
    if (*p == '"')
      break;
    do {
      unsigned character = ++p < d->end ? characters[(unsigned char)*p] : 0;
      out = make_room(d, out, 4);
      if (character != 0) {
        *out++ = (char)character;
        p++;
      } else {
        p = read_unicode(d, p, &out);
        if (p == NULL)
          return NULL;
      }
    } while (p < d->end && *p == '\\');
    start = p;
    p = find_quote(d, p);
    if (p == NULL)
      return NULL;
  }
  lua_pushlstring(d->L, d->scratch, (size_t)(out - d->scratch));
  return p + 1;
}

/* Reads a string value, from after its opening quote. */
static inline const char *read_string(struct decoder *d, const char *p) {
  const char *quote = find_quote(d, p);
  if (quote == NULL || *quote == '\\')
    return quote == NULL ? NULL : read_escaped(d, p, quote);
  lua_pushlstring(d->L, p, (size_t)(quote - p));
  return quote + 1;
}

/* ---- numbers ---- */

/* a decimal number: its digits as a whole number, times 10^exponent */
struct decimal {
  uint64_t digits; /* the first ones, without leading zeros: as many as fit, whichever they are */
  int64_t others;  /* how many there are besides, */
  int is_cut;      /* and whether these are not all zero */
  int64_t exponent;
};

/* Reads digits, at least one, into the number. */
static inline const char *read_digits(struct decoder *d, const char *p, struct decimal *n) {
  uint64_t digits = n->digits;
  const char *others;
  if (p == d->end || !is_digit(*p))
    return fail(d, p, "a digit");
  for (; p < d->end && is_digit(*p) && digits < UINT64_C(1000000000000000000); p++)
    digits = digits * 10 + (unsigned)(*p - '0');
  for (others = p; d->end - p >= 8 && are_digits(word_at(p)); p += 8)
    n->is_cut |= word_at(p) != EIGHT('0');
  for (; p < d->end && is_digit(*p); p++)
    n->is_cut |= *p != '0';
  n->digits = digits;
  n->others += p - others;
  return p;
}

/* The upper half of a product. */
static uint64_t multiply(uint64_t a, uint64_t b) {
  uint64_t middle = (a >> 32) * (b & UINT32_MAX) + ((a & UINT32_MAX) * (b & UINT32_MAX) >> 32);
  uint64_t other = (a & UINT32_MAX) * (b >> 32) + (middle & UINT32_MAX);
  return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
}

/* Where the top bit of 5^n is: the logarithm, rounded down; checked for all n that are used. */
static int top_bit(int n) {
  return (n * 152170 + 0x4000000) / 0x10000 - 0x400;
}

/* Pushes the nearest float, if 64 bits are enough to tell which one that is; returns whether they
** were, as for all but one in a hundred or more. The number is its digits times a power of five
** times a power of two, which is only counted; the power of five is a product of two. All factors
** are shifted until their top bit is set. A power that does not fit 64 bits, and each product, is
** too small by less than 1, the result by less than 3, and by what 1 would add to the digits where
** others were cut off. Unless that reaches from the middle between two floats, or below, to above
** it, the float is right. */
static int push_nearest(lua_State *L, const struct decimal *n, int negative) {
  static const uint64_t powers[STEP] = {
      0x8000000000000000, 0xa000000000000000, 0xc800000000000000, 0xfa00000000000000,
      0x9c40000000000000, 0xc350000000000000, 0xf424000000000000, 0x9896800000000000,
      0xbebc200000000000, 0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000,
      0xe8d4a51000000000, 0x9184e72a00000000, 0xb5e620f480000000, 0xe35fa931a0000000,
      0x8e1bc9bf04000000, 0xb1a2bc2ec5000000, 0xde0b6b3a76400000, 0x8ac7230489e80000,
      0xad78ebc5ac620000, 0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400,
      0xd3c21bcecceda100, 0x84595161401484a0, 0xa56fa5b99019a5c8};
  static const uint64_t steps[] = {
      /* 5^-351, and each time 5^STEP times as much */
      0x8049a4ac0c5811ae, 0xcf42894a5dce35ea, 0xa76c582338ed2621, 0x873e4f75e2224e68,
      0xda7f5bf590966848, 0xb080392cc4349dec, 0x8e938662882af53e, 0xe65829b3046b0afa,
      0xba121a4650e4ddeb, 0x964e858c91ba2655, 0xf2d56790ab41c2a2, 0xc428d05aa4751e4c,
      0x9e74d1b791e07e48, 0x8000000000000000, 0xcecb8f27f4200f3a, 0xa70c3c40a64e6c51,
      0x86f0ac99b4e8dafd, 0xda01ee641a708de9, 0xb01ae745b101e9e4, 0x8e41ade9fbebc27d,
      0xe5d3ef282a242e81, 0xb9a74a0637ce2ee1, 0x95f83d0a1fb69cd9, 0xf24a01a73cf2dccf,
      0xc3b8358109e84f07};
  int power, rest, exponent, drop, shift = __builtin_clzll(n->digits);
  uint64_t number, half, dropped;
  lua_Number result;
  if (n->exponent + n->others < -351 || n->exponent + n->others > 323)
    return 0; /* not in the tables, as it is beyond all floats */
  power = (int)(n->exponent + n->others);
  rest = (power + 351) % STEP;
  number = multiply(n->digits << shift, powers[rest]);
  number = multiply(number, steps[(power + 351) / STEP]);
  exponent = power + top_bit(power - rest) + top_bit(rest) + 2 - shift;
  drop = 64 - __builtin_clzll(number) - l_floatatt(MANT_DIG);
  if (drop < 6 || exponent + drop < l_floatatt(MIN_EXP) - l_floatatt(MANT_DIG))
    return 0; /* too many bits, or so small that a float has fewer of them */
  half = UINT64_C(1) << (drop - 1);
  dropped = number & (2 * half - 1);
  if (dropped <= half && dropped + 3 + ((uint64_t)n->is_cut << shift) > half) {
    uint64_t middle = 2 * (number >> drop) + 1;
    int up = exponent + drop - 1 - power;
    if (n->is_cut || power > 0 || power <= -STEP || up < 0 || up > 63 ||
        middle * (powers[-power] >> (63 - top_bit(-power))) << up != n->digits)
      return 0;
    dropped = half + (middle >> 1 & 1); /* exactly in the middle: to the even one */
  }
  number = (number >> drop) + (dropped > half);
  result = l_mathop(ldexp)((lua_Number)number, exponent + drop);
  lua_pushnumber(L, negative ? -result : result);
  return 1;
}

/* Pushes the nearest float in any case: the C library converts a numeral without a decimal point,
** so that the locale does not matter. */
static void push_exact(struct decoder *d, const struct decimal *n, const char *p, const char *end) {
  char *out = make_room(d, d->scratch, (size_t)(end - p) + 32);
  for (; p < end && *p != 'e' && *p != 'E'; p++)
    if (*p != '.')
      *out++ = *p;
  (void)sprintf(out, "e%lld", (long long)n->exponent);
  lua_pushnumber(d->L, lua_str2number(d->scratch, NULL));
}

/* Reads a number: without fraction and exponent, and not too large, it is an integer. */
static const char *read_number(struct decoder *d, const char *start) {
  struct decimal n = {0};
  int negative = *start == '-';
  const char *whole, *p = read_digits(d, start + negative, &n);
  if (p != NULL && start[negative] == '0')
    p = start + negative + 1; /* another digit would be one too many */
  whole = p;
  if (p != NULL && p < d->end && *p == '.') {
    p = read_digits(d, p + 1, &n);
    n.exponent = p == NULL ? 0 : whole + 1 - p;
  }
  if (p != NULL && p < d->end && (*p == 'e' || *p == 'E')) {
    int sign = p + 1 < d->end && (p[1] == '-' || p[1] == '+') ? p[1] : 0;
    struct decimal e = {0};
    p = read_digits(d, p + 1 + (sign != 0), &e);
    if (e.others > 0 || e.digits > INT64_MAX / 100)
      e.digits = INT64_MAX / 100; /* no text is long enough to make up for that */
    n.exponent += sign == '-' ? -(int64_t)e.digits : (int64_t)e.digits;
  }
  if (p == NULL)
    return NULL;
  if (p == whole && n.others == 0 && n.digits <= (uint64_t)LUA_MAXINTEGER + (unsigned)negative)
    lua_pushinteger(d->L, (lua_Integer)(negative ? 0 - n.digits : n.digits));
  else if (n.digits == 0)
    lua_pushnumber(d->L, negative ? -l_mathop(0.0) : l_mathop(0.0)); /* whatever its exponent */
  else if (!push_nearest(d->L, &n, negative))
    push_exact(d, &n, start, p);
  return p;
}

/* ---- names of members ---- */

/* Whether this name, up to its closing quote, stands at p; near the end of the text always no. */
static inline int is_name(const struct decoder *d, const struct name *name, const char *p) {
  ptrdiff_t at;
  if (d->end - p - 8 < name->size || (word_at(p) & name->mask) != name->head)
    return 0;
  for (at = name->size - 8; at > 0; at -= 8)
    if (word_at(p + at) != word_at(name->text + at))
      return 0;
  return 1;
}

/* Remembers the name at p, in one of four places, and returns which one that is. */
static unsigned char learn_name(struct decoder *d, const char *p, ptrdiff_t size) {
  uint64_t mask = size < 8 ? (UINT64_C(1) << 8 * size) - 1 : UINT64_MAX;
  uint64_t head = next_word(d, p) & mask;
  uint64_t hash = size < 8 ? head : head ^ word_at(p + size - 8) << 1 ^ (uint64_t)size;
  /* multiplicative hashing: the top bits of this product depend on all others (2^64 / phi) */
  unsigned place = (unsigned)(hash * UINT64_C(0x9e3779b97f4a7c15) >> (64 - d->name_bits));
  struct name *name = &d->names[1 + place];
  int i;
  for (i = 0; i < 3 && name->size != PTRDIFF_MAX && !is_name(d, name, p); i++) {
    place = (place + 1) % (1U << d->name_bits);
    name = &d->names[1 + place];
  }
  if (!is_name(d, name, p)) {
    lua_pushlstring(d->L, p, (size_t)size - 1);
    lua_replace(d->L, d->first_slot + 2 + (int)place);
    *name = (struct name){p, size, head, mask, 0};
  }
  return (unsigned char)(1 + place);
}

/* Reads a name, from after its opening quote. The objects of an array mostly have the same names
** in the same order. So the guess is the name that came next last time; if it is right, comparing
** the bytes is all there is to do. That saves a tenth of a page's time. (For values there is no
** gain.) */
static inline const char *read_name(struct decoder *d, const char *p) {
  struct level *level = d->level;
  struct name *name = &d->names[level->guess];
  if (is_name(d, name, p)) {
    p += name->size;
  } else {
    const char *quote = find_quote(d, p);
    if (quote == NULL || *quote == '\\')
      return quote == NULL ? NULL : read_escaped(d, p, quote);
    level->guess = learn_name(d, p, quote - p + 1);
    d->names[level->last].next = level->guess;
    name = &d->names[level->guess];
    p = quote + 1;
  }
  lua_pushvalue(d->L, d->first_slot + 1 + level->guess);
  level->last = level->guess;
  level->guess = name->next;
  return p;
}

/* ---- arrays and objects ---- */

/* Checks, at the value of an outermost member, the shape that the options ask for. */
static const char *check_shape(struct decoder *d, const char *p) {
  const struct json_options *options = d->options;
  size_t length;
  const char *name = lua_tolstring(d->L, -1, &length);
  if (length != options->member_length || memcmp(name, options->member, length) != 0)
    return p;
  if (p == d->end || (*p != options->opener && *p != 'n'))
    return fail(d, p,
                options->opener == '{'   ? "an object or null"
                : options->opener == '[' ? "an array or null"
                                         : "a string or null");
  if (*p == '[')
    d->list = p;
  return p;
}

/* Reads what is before a value in its container: a member's name and the colon; nothing in an
** array, but there may have to be an object. */
static inline const char *begin_item(struct decoder *d, const char *p) {
  if (d->level->closer == ']')
    return d->level->holds_objects && (p == d->end || *p != '{') ? fail(d, p, "an object") : p;
  if (p == d->end || *p != '"')
    return fail(d, p, "a member's name");
  p = read_name(d, p + 1);
  if (p == NULL)
    return NULL;
  p = skip_space(d, p);
  if (p == d->end || *p != ':')
    return fail(d, p, "':'");
  p = skip_space(d, p + 1);
  return d->depth == 1 && d->options->member != NULL ? check_shape(d, p) : p;
}

/* Makes the table of an array of which so many elements, all up to here, are on the stack. */
static void make_array(lua_State *L, int count, int size) {
  lua_createtable(L, size, 0);
  lua_insert(L, -1 - count);
  for (; count > 0; count--)
    lua_rawseti(L, -1 - count, count);
}

/* Puts the value on the top of the stack into its container, and closes the containers that end
** after it. Returns where the next value begins, or the end of the last one if no container is
** open. */
static inline const char *end_value(struct decoder *d, const char *p) {
  while (d->depth > 0) {
    struct level *level = d->level;
    int is_object = level->closer == '}';
    level->count++;
    if (is_object)
      lua_rawset(d->L, -3);
    else if (level->count > MAX_WAITING)
      lua_rawseti(d->L, -2, level->count);
    else if (level->count == MAX_WAITING)
      make_array(d->L, MAX_WAITING, 2 * MAX_WAITING);
    p = skip_space(d, p);
    if (p < d->end && *p == ',')
      return begin_item(d, skip_space(d, p + 1));
    if (p == d->end || *p != level->closer)
      return fail(d, p, is_object ? "',' or '}'" : "',' or ']'");
    if (is_object)
      level->members = (unsigned short)(level->count < MAX_GUESS ? level->count : MAX_GUESS);
    else if (level->count < MAX_WAITING)
      make_array(d->L, (int)level->count, (int)level->count);
    d->level--;
    d->depth--;
    p++;
  }
  return p;
}

/* Opens one level more. It takes from the Lua stack a table and a name, or the elements that wait
** for their table, with LUA_MINSTACK left for whatever is done on top of them. */
static struct level *open_level(struct decoder *d) {
  if (d->depth > 0 && !lua_checkstack(d->L, MAX_WAITING + LUA_MINSTACK))
    luaL_error(d->L, "not enough memory");
  if (d->level == &d->near[NEAR_LEVELS - 1]) {
    struct level *levels = lua_newuserdatauv(d->L, (JSON_MAX_DEPTH + 1) * sizeof(*levels), 0);
    lua_replace(d->L, d->first_slot);
    memset(levels, 0, (JSON_MAX_DEPTH + 1) * sizeof(*levels));
    memcpy(levels, d->near, sizeof(d->near));
    d->level = &levels[NEAR_LEVELS - 1];
  }
  d->depth++;
  return ++d->level;
}

/* Begins the array or object at p; an object gets the room that the last one at its depth took. */
static const char *begin_container(struct decoder *d, const char *p) {
  int is_object = *p == '{';
  struct level *level;
  if (d->depth == JSON_MAX_DEPTH)
    return fail(d, p, "no deeper nesting");
  level = open_level(d);
  level->count = 0;
  level->last = 0;
  level->guess = d->names[0].next;
  level->closer = is_object ? '}' : ']';
  level->holds_objects = p == d->list;
  p = skip_space(d, p + 1);
  if (p < d->end && *p == level->closer) {
    lua_createtable(d->L, 0, 0);
    d->level--;
    d->depth--;
    return end_value(d, p + 1);
  }
  if (is_object && (p == d->end || *p != '"'))
    return fail(d, p, "a member's name or '}'");
  if (is_object)
    lua_createtable(d->L, 0, level->members);
  return begin_item(d, p);
}

/* ---- values ---- */

/* Reads true, false or null, which is given in quotes. */
static const char *read_literal(struct decoder *d, const char *p, const char *literal) {
  const char *c;
  for (c = literal + 1; *c != '\''; p++, c++)
    if (p == d->end || *p != *c)
      return fail(d, p, literal);
  return p;
}

/* Reads a value that is neither array nor object, and what follows it. */
static const char *read_scalar(struct decoder *d, const char *p) {
  if (*p == '"')
    p = read_string(d, p + 1);
  else if (*p == '-' || is_digit(*p))
    p = read_number(d, p);
  else if (*p == 'n') {
    if (d->depth > 0 && d->level->closer == '}' && !d->options->keep_nulls) {
      lua_pushnil(d->L); /* it takes an earlier member away, too, and takes no room */
      d->level->count--;
    } else
      lua_pushlightuserdata(d->L, NULL);
    p = read_literal(d, p, "'null'");
  } else if (*p == 't' || *p == 'f') {
    lua_pushboolean(d->L, *p == 't');
    p = read_literal(d, p, *p == 't' ? "'true'" : "'false'");
  } else
    return fail(d, p, "a value");
  return p == NULL ? NULL : end_value(d, p);
}

/* Reads the whole text, which is one value with space around it. */
static const char *read_text(struct decoder *d) {
  int has_mark = d->end - d->text >= 3 && memcmp(d->text, "\xef\xbb\xbf", 3) == 0;
  const char *p = skip_space(d, d->text + (has_mark ? 3 : 0));
  if (d->options->member != NULL && (p == d->end || *p != '{'))
    return fail(d, p, "an object");
  do {
    if (p == d->end)
      return fail(d, p, "a value");
    p = *p == '{' || *p == '[' ? begin_container(d, p) : read_scalar(d, p);
    if (p == NULL)
      return NULL;
  } while (d->depth > 0);
  p = skip_space(d, p);
  return p == d->end ? p : fail(d, p, "the end of the text");
}

/* Leaves nil, what is wrong, and where; only a byte that can be seen is shown as it is. */
static int push_failure(const struct decoder *d) {
  lua_State *L = d->L;
  lua_Integer offset = (lua_Integer)(d->at - d->text) + 1;
  unsigned char byte = d->at < d->end ? (unsigned char)*d->at : 0;
  char found[20] = "the end of the text";
  if (d->at < d->end)
    (void)snprintf(found, sizeof(found), byte > ' ' && byte < 0x7f ? "'%c'" : "byte 0x%02X", byte);
  lua_settop(L, d->first_slot - 1);
  luaL_pushfail(L);
  lua_pushfstring(L, "expected %s but found %s at byte %I", d->expected, found,
                  (LUAI_UACINT)offset);
  lua_pushinteger(L, offset);
  return 3;
}

int json_decode(lua_State *L, const char *text, size_t length, const struct json_options *options) {
  static const struct json_options defaults = {0, NULL, 0, '{'};
  struct decoder d;
  int i;
  if (!lua_checkstack(L, 2 + (1 << NAME_BITS) + MAX_WAITING + LUA_MINSTACK))
    luaL_error(L, "not enough memory");
  d.L = L;
  d.text = length > 0 ? text : "";
  d.end = d.text + length;
  d.options = options != NULL ? options : &defaults;
  d.list = NULL;
  d.level = d.near;
  d.scratch = d.near_bytes;
  d.scratch_end = d.near_bytes + NEAR_BYTES;
  d.name_bits = length < 500 ? 2 : NAME_BITS;
  d.first_slot = lua_gettop(L) + 1;
  d.depth = 0;
  d.names[0].next = 0;
  for (i = 0; i <= 1 << d.name_bits; i++)
    d.names[i].size = PTRDIFF_MAX; /* no text is so long: none is known */
  for (i = 0; i < NEAR_LEVELS; i++)
    d.near[i].members = 0;
  lua_settop(L, d.first_slot + 1 + (1 << d.name_bits));
  if (read_text(&d) == NULL)
    return push_failure(&d);
  lua_replace(L, d.first_slot);
  lua_settop(L, d.first_slot);
  return 1;
}
