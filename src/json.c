/*
** json.c: JSON text to Lua values. What RFC 8259 calls JSON is accepted, to the letter, and all
** else is refused, with the offset of the first byte that cannot be right. One pass over the bytes,
** without recursion and without a heap: whatever is alive is on the Lua stack, so a Lua error may
** be raised anywhere.
**
** What the RFC leaves open is decided like this:
** - The text is UTF-8, without a byte order mark; bad UTF-8 is an error.
** - A surrogate escape without its partner is read as U+FFFD: one odd string hides no page.
** - A number without fraction and exponent is an integer if one can hold it ("-0" is 0). Any other
**   is the nearest float, in every C locale ("-0.0" is -0.0, "1e999" infinity, "1e-999" 0.0).
** - Of members with the same name the last one counts; if that one is null, there is none.
** - A null member is absent unless nulls are kept; any other null is light userdata NULL.
** - Strings may hold U+0000. Nesting ends at JSON_MAX_DEPTH; nothing else is limited.
*/

#include "json.h"

#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

/* how many names of members are remembered: 2 to the power of NAME_BITS, which is 8 at most */
#define NAME_BITS 6
#define NAMES     (1 << NAME_BITS)

/* the largest table that is made on a guess: a wrong one must not cost much */
#define MAX_GUESS 1000

/* the digits of a number that are kept: 767 tell where a double is rounded to, whatever follows */
#define MAX_DIGITS 800

/* the size of a table: fits both int and unsigned, of which lua_createtable takes one or the other,
** depending on Lua's version */
typedef unsigned short table_size;

/* the name of a member as it was met in the text; its string is on the Lua stack meanwhile */
struct name {
  const char *text;   /* the bytes after the opening quote; NULL: no name here yet */
  size_t size;        /* of these, with the closing quote */
  unsigned char next; /* the name that came after this one last time */
};

/* an array or object that is open; and what the last one at this depth was like */
struct level {
  lua_Integer count;   /* of elements, or of members that are not absent */
  unsigned char *next; /* where the guess for an object's next name stands */
  table_size elements; /* of the last array at this depth */
  table_size members;  /* of the last object */
  unsigned char first; /* the first name of the last object */
  char closer;         /* the bracket that ends the one that is open */
  _Bool holds_objects; /* whether all elements must be objects */
};

struct decoder {
  lua_State *L;
  const char *text; /* what is decoded: from here */
  const char *end;  /* to here */
  const struct json_options *options;
  const char *list;     /* the '[' of the array that must hold objects, when it has been met */
  const char *at;       /* after a failure: the offending byte, */
  const char *expected; /* and what should have been there */
  int first_slot;       /* the stack index of the first name's string */
  int depth;            /* how many levels are open */
  int deepest;          /* how many were ever open: up to here they have guesses */
  struct name names[NAMES];
  struct level levels[JSON_MAX_DEPTH + 1]; /* from 1; the outermost value is at depth 0 */
};

/*
** A function that reads something takes the position where it begins and returns the one after it;
** or NULL, when this function has written down why.
*/
static const char *fail(struct decoder *d, const char *p, const char *expected) {
  d->at = p;
  d->expected = expected;
  return NULL;
}

static const char *skip_space(const struct decoder *d, const char *p) {
  while (p < d->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
    p++;
  return p;
}

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* ---- strings ---- */

/* a word with the same byte eight times */
#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
** Whether a byte of this word is not plain: a quote, a backslash, a control character or outside
** ASCII. (x - 1) & ~x has its top bit set where a byte x is 0, and (x - 0x20) & ~x where it is
** below 0x20; a borrow only ever comes from a lower byte that is not plain itself.
*/
static int has_special(uint64_t word) {
  uint64_t quote = word ^ EIGHT('"');
  uint64_t backslash = word ^ EIGHT('\\');
  uint64_t special = ((quote - EIGHT(1)) & ~quote) | ((backslash - EIGHT(1)) & ~backslash) |
                     ((word - EIGHT(0x20)) & ~word) | word;
  return (special & EIGHT(0x80)) != 0;
}

/* skips the bytes of a string that stand for themselves */
static const char *skip_plain(const struct decoder *d, const char *p) {
  while (d->end - p >= 8) {
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    if (has_special(word))
      break;
    p += 8;
  }
  while (p < d->end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
    p++;
  return p;
}

/* what may follow a backslash, but 'u'; and the characters that this stands for */
static const char escapes[8] = {'"', '\\', '/', 'b', 'f', 'n', 'r', 't'};
static const char escaped_characters[8] = {'"', '\\', '/', '\b', '\f', '\n', '\r', '\t'};

/* the value of a hexadecimal digit, or -1 */
static int hex_value(int c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20; /* lower case */
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* checks an escape sequence, from after the backslash */
static const char *check_escape(struct decoder *d, const char *p) {
  if (p < d->end && memchr(escapes, *p, sizeof(escapes)) != NULL)
    return p + 1;
  if (p == d->end || *p != 'u')
    return fail(d, p, "an escape sequence");
  p++;
  for (int i = 0; i < 4; i++, p++) {
    if (p == d->end || hex_value(*p) < 0)
      return fail(d, p, "a hexadecimal digit");
  }
  return p;
}

/*
** Checks the UTF-8 sequence that begins with the byte at p, which is not ASCII (the table of
** well-formed sequences: The Unicode Standard, 3.9). Only the second byte has a narrower range
** after some first bytes: to keep out overlong forms, surrogates and what is beyond U+10FFFF.
*/
static const char *check_utf8(struct decoder *d, const char *p) {
  unsigned char lead = (unsigned char)*p;
  unsigned char low = 0x80, high = 0xbf;
  int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  if (lead < 0xc2 || lead > 0xf4)
    return fail(d, p, "UTF-8");
  if (lead == 0xe0)
    low = 0xa0;
  else if (lead == 0xed)
    high = 0x9f;
  else if (lead == 0xf0)
    low = 0x90;
  else if (lead == 0xf4)
    high = 0x8f;
  for (p++; more > 0; more--, p++) {
    if (p == d->end || (unsigned char)*p < low || (unsigned char)*p > high)
      return fail(d, p, "the rest of a UTF-8 sequence");
    low = 0x80;
    high = 0xbf;
  }
  return p;
}

/* finds the closing quote of the string whose first byte is at p, and whether there are escapes */
static const char *find_quote(struct decoder *d, const char *p, int *escaped) {
  *escaped = 0;
  for (;;) {
    p = skip_plain(d, p);
    if (p == d->end)
      return fail(d, p, "a closing quote");
    if (*p == '"')
      return p;
    if (*p == '\\') {
      *escaped = 1;
      p = check_escape(d, p + 1);
    } else if ((unsigned char)*p < 0x20)
      return fail(d, p, "an escaped control character");
    else if ((unsigned char)*p < 0x80)
      p++; /* DEL */
    else
      p = check_utf8(d, p);
    if (p == NULL)
      return NULL;
  }
}

/* the number that four hexadecimal digits stand for */
static unsigned read_hex(const char *p) {
  unsigned code = 0;
  for (int i = 0; i < 4; i++)
    code = code << 4 | (unsigned)hex_value(p[i]);
  return code;
}

/*
** Reads the \u escape whose digits begin at *p, together with the one after it if they are a
** surrogate pair, and moves *p past it. The partner's bytes have been checked like all others.
*/
static unsigned read_code_point(const char **p, const char *end) {
  unsigned code = read_hex(*p);
  *p += 4;
  if (code < 0xd800 || code > 0xdfff)
    return code;
  if (code < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
    unsigned low = read_hex(*p + 2);
    if (low >= 0xdc00 && low <= 0xdfff) {
      *p += 6;
      return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
  }
  return 0xfffd; /* a surrogate without its partner */
}

/* writes a character as UTF-8, and returns where its bytes end */
static char *put_utf8(char *out, unsigned code) {
  int shift = code < 0x80 ? 0 : code < 0x800 ? 6 : code < 0x10000 ? 12 : 18;
  unsigned lead = shift == 0 ? 0 : shift == 6 ? 0xc0 : shift == 12 ? 0xe0 : 0xf0;
  *out++ = (char)(lead | code >> shift);
  for (shift -= 6; shift >= 0; shift -= 6)
    *out++ = (char)(0x80 | (code >> shift & 0x3f));
  return out;
}

/*
** Pushes a string that has escapes, which were checked. No escape is shorter than what it stands
** for, so the text's own length is room enough.
*/
static void push_escaped(lua_State *L, const char *p, const char *end) {
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, (size_t)(end - p));
  const char *start = out;
  while (p < end) {
    if (*p != '\\') {
      *out++ = *p++;
    } else if (p[1] == 'u') {
      p += 2;
      out = put_utf8(out, read_code_point(&p, end));
    } else {
      const char *escape = memchr(escapes, p[1], sizeof(escapes));
      *out++ = escaped_characters[escape - escapes];
      p += 2;
    }
  }
  luaL_pushresultsize(&buffer, (size_t)(out - start));
}

/* reads a string value, from after its opening quote */
static const char *read_string(struct decoder *d, const char *p) {
  int escaped;
  const char *quote = find_quote(d, p, &escaped);
  if (quote == NULL)
    return NULL;
  if (escaped)
    push_escaped(d->L, p, quote);
  else
    lua_pushlstring(d->L, p, (size_t)(quote - p));
  return quote + 1;
}

/* ---- numbers ---- */

/* a decimal number: its digits as a whole number, times 10^exponent */
struct decimal {
  char digits[MAX_DIGITS]; /* without leading zeros */
  int count;
  int negative;
  int64_t exponent;
};

/*
** Reads digits, at least one, into the number. Those beyond MAX_DIGITS only matter by not all
** being zero: then the last digit that is kept must not be, lest a number just above the middle
** between two doubles looks like the middle.
*/
static const char *read_digits(struct decoder *d, const char *p, struct decimal *n, int fraction) {
  if (p == d->end || !is_digit(*p))
    return fail(d, p, "a digit");
  for (; p < d->end && is_digit(*p); p++) {
    if (n->count == MAX_DIGITS) {
      if (*p != '0')
        n->digits[MAX_DIGITS - 1] |= 1;
      if (!fraction)
        n->exponent++;
      continue;
    }
    if (n->count > 0 || *p != '0')
      n->digits[n->count++] = *p;
    if (fraction)
      n->exponent--;
  }
  return p;
}

/* reads an exponent, from after the 'e'. One that no text is long enough to make up for is cut. */
static const char *read_exponent(struct decoder *d, const char *p, struct decimal *n) {
  int64_t exponent = 0;
  int negative = p < d->end && *p == '-';
  if (negative || (p < d->end && *p == '+'))
    p++;
  if (p == d->end || !is_digit(*p))
    return fail(d, p, "a digit");
  for (; p < d->end && is_digit(*p); p++) {
    if (exponent < INT64_MAX / 100)
      exponent = exponent * 10 + (*p - '0');
  }
  n->exponent += negative ? -exponent : exponent;
  return p;
}

/*
** Pushes the float nearest to a decimal number. Where digits and power of ten are exact as doubles,
** one operation, rounded once, gives it. Otherwise Lua converts a numeral without a decimal point,
** which the C locale cannot touch; cutting the exponent leaves an infinity or a zero what it is.
*/
static void push_float(lua_State *L, const struct decimal *n) {
  static const double powers_of_10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                        1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (FLT_EVAL_METHOD == 0 && n->count <= DBL_DIG && n->exponent >= -22 && n->exponent <= 22) {
    double number = 0;
    for (int i = 0; i < n->count; i++)
      number = number * 10 + (n->digits[i] - '0');
    if (n->exponent < 0)
      number /= powers_of_10[-n->exponent];
    else
      number *= powers_of_10[n->exponent];
    lua_pushnumber(L, n->negative ? -number : number);
  } else {
    long exponent = n->exponent < -99999 ? -99999 : n->exponent > 99999 ? 99999 : (long)n->exponent;
    char numeral[MAX_DIGITS + 16];
    (void)snprintf(numeral, sizeof(numeral), "%s%.*se%ld", n->negative ? "-" : "", n->count,
                   n->digits, exponent);
    lua_stringtonumber(L, numeral);
  }
}

/* reads a number that is not an integer, or too large for one */
static const char *read_float(struct decoder *d, const char *p) {
  struct decimal n;
  n.count = 0;
  n.exponent = 0;
  n.negative = *p == '-';
  p = read_digits(d, p + n.negative, &n, 0);
  if (p != NULL && p < d->end && *p == '.')
    p = read_digits(d, p + 1, &n, 1);
  if (p != NULL && p < d->end && (*p == 'e' || *p == 'E'))
    p = read_exponent(d, p + 1, &n);
  if (p == NULL)
    return NULL;
  if (n.count == 0)
    n.exponent = 0; /* zero, whatever its exponent */
  push_float(d->L, &n);
  return p;
}

/* reads a number: an integer here and now if it is one, which 19 digits in 64 bits tell */
static const char *read_number(struct decoder *d, const char *start) {
  const char *p = start;
  uint64_t number = 0;
  int negative = *p == '-';
  const char *digits = p += negative;
  if (p == d->end || !is_digit(*p))
    return fail(d, p, "a digit");
  if (*p == '0')
    p++;
  else {
    for (; p < d->end && is_digit(*p); p++)
      number = number * 10 + (unsigned)(*p - '0');
  }
  if ((p < d->end && (*p == '.' || *p == 'e' || *p == 'E')) || p - digits > 19 ||
      number > (uint64_t)LUA_MAXINTEGER + (unsigned)negative)
    return read_float(d, start);
  lua_pushinteger(d->L, (lua_Integer)(negative ? 0 - number : number));
  return p;
}

/* ---- names of members ---- */

/* where a name is remembered; its bytes are counted with the closing quote */
static unsigned char place_of(const char *p, size_t size) {
  uint64_t first = 0, last = 0;
  if (size >= 8) {
    memcpy(&first, p, 8);
    memcpy(&last, p + size - 8, 8);
  } else {
    for (size_t i = 0; i < size; i++)
      first = first << 8 | (unsigned char)p[i];
  }
  /* multiplicative hashing: the top bits of this product depend on all others (2^64 / phi) */
  return (unsigned char)((first ^ (last << 1) ^ size) * UINT64_C(0x9e3779b97f4a7c15) >>
                         (64 - NAME_BITS));
}

/* whether this name, up to its closing quote, is what stands at p */
static int is_name(const struct decoder *d, const struct name *name, const char *p) {
  return name->text != NULL && name->size <= (size_t)(d->end - p) &&
         memcmp(name->text, p, name->size) == 0;
}

/* remembers the name at p, in the place of another one if need be, and returns that place */
static unsigned char learn_name(struct decoder *d, const char *p, size_t size) {
  unsigned char place = place_of(p, size);
  struct name *name = &d->names[place];
  if (!is_name(d, name, p)) {
    lua_pushlstring(d->L, p, size - 1);
    lua_replace(d->L, d->first_slot + place);
    name->text = p;
    name->size = size;
  }
  return place;
}

/*
** Reads a name, from after its opening quote. The objects of an array mostly have the same names
** in the same order: so the guess is the name that came next last time, and if it holds, comparing
** the bytes is all there is to do. (The same for string values was measured: it gains nothing.)
*/
static const char *read_name(struct decoder *d, const char *p) {
  struct level *level = &d->levels[d->depth];
  unsigned char place = *level->next;
  if (!is_name(d, &d->names[place], p)) {
    int escaped;
    const char *quote = find_quote(d, p, &escaped);
    if (quote == NULL)
      return NULL;
    if (escaped) {
      push_escaped(d->L, p, quote);
      return quote + 1;
    }
    *level->next = place = learn_name(d, p, (size_t)(quote - p) + 1);
  }
  level->next = &d->names[place].next;
  lua_pushvalue(d->L, d->first_slot + place);
  return p + d->names[place].size;
}

/* ---- arrays and objects ---- */

/* checks, at the value of an outermost member, the shape that the options ask for */
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

/* reads the name of a member, and what is between it and the value */
static const char *begin_member(struct decoder *d, const char *p) {
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

/* an element has nothing before it; but it may have to be an object */
static const char *begin_element(struct decoder *d, const char *p) {
  if (d->levels[d->depth].holds_objects && (p == d->end || *p != '{'))
    return fail(d, p, "an object");
  return p;
}

/*
** Puts the value on the top of the stack into its container, and closes the containers that end
** after it. Returns where the next value begins; or, when no container is open, what it was given.
*/
static const char *end_value(struct decoder *d, const char *p) {
  while (d->depth > 0) {
    struct level *level = &d->levels[d->depth];
    int is_object = level->closer == '}';
    level->count++;
    if (is_object)
      lua_rawset(d->L, -3);
    else
      lua_rawseti(d->L, -2, level->count);
    p = skip_space(d, p);
    if (p < d->end && *p == ',') {
      p = skip_space(d, p + 1);
      return is_object ? begin_member(d, p) : begin_element(d, p);
    }
    if (p == d->end || *p != level->closer)
      return fail(d, p, is_object ? "',' or '}'" : "',' or ']'");
    *(is_object ? &level->members : &level->elements) =
        (table_size)(level->count < MAX_GUESS ? level->count : MAX_GUESS);
    d->depth--;
    p++;
  }
  return p;
}

/*
** Opens one level more. The Lua stack grows when a depth is reached for the first time: by a table
** and a name for the level, with LUA_MINSTACK left for whatever is done on top of them.
*/
static struct level *open_level(struct decoder *d) {
  struct level *level = &d->levels[++d->depth];
  if (d->depth > d->deepest) {
    if (!lua_checkstack(d->L, 2 + LUA_MINSTACK))
      luaL_error(d->L, "not enough memory");
    d->deepest = d->depth;
    level->elements = level->members = 1; /* what is not empty has one at least */
    level->first = 0;
  }
  level->count = 0;
  level->next = &level->first;
  return level;
}

/* begins the array or object at p; its table is as large as the last one at this depth became */
static const char *begin_container(struct decoder *d, const char *p) {
  int is_object = *p == '{';
  struct level *level;
  if (d->depth == JSON_MAX_DEPTH)
    return fail(d, p, "no deeper nesting");
  level = open_level(d);
  level->closer = is_object ? '}' : ']';
  level->holds_objects = p == d->list;
  p = skip_space(d, p + 1);
  if (p < d->end && *p == level->closer) {
    lua_createtable(d->L, 0, 0);
    d->depth--;
    return end_value(d, p + 1);
  }
  if (is_object) {
    if (p == d->end || *p != '"')
      return fail(d, p, "a member's name or '}'");
    lua_createtable(d->L, 0, level->members);
    return begin_member(d, p);
  }
  lua_createtable(d->L, level->elements, 0);
  return begin_element(d, p);
}

/* ---- values ---- */

/* reads the rest of true, false or null */
static const char *read_literal(struct decoder *d, const char *p, const char *literal,
                                const char *expected) {
  for (; *literal != '\0'; p++, literal++) {
    if (p == d->end || *p != *literal)
      return fail(d, p, expected);
  }
  return p;
}

/* reads null; a member that is to be absent becomes nil, which takes an earlier one away, too */
static const char *read_null(struct decoder *d, const char *p) {
  struct level *level = &d->levels[d->depth];
  p = read_literal(d, p, "null", "'null'");
  if (d->depth > 0 && level->closer == '}' && !d->options->keep_nulls) {
    lua_pushnil(d->L);
    level->count--; /* it takes no room */
  } else
    lua_pushlightuserdata(d->L, NULL);
  return p;
}

/* reads a value that is neither array nor object */
static const char *read_scalar(struct decoder *d, const char *p) {
  if (*p == '"')
    return read_string(d, p + 1);
  if (*p == '-' || is_digit(*p))
    return read_number(d, p);
  if (*p == 'n')
    return read_null(d, p);
  if (*p != 't' && *p != 'f')
    return fail(d, p, "a value");
  lua_pushboolean(d->L, *p == 't');
  return *p == 't' ? read_literal(d, p, "true", "'true'") : read_literal(d, p, "false", "'false'");
}

/* reads the whole text, which is one value with space around it */
static const char *read_text(struct decoder *d) {
  const char *p = skip_space(d, d->text);
  if (d->options->member != NULL && (p == d->end || *p != '{'))
    return fail(d, p, "an object");
  do {
    if (p == d->end)
      return fail(d, p, "a value");
    if (*p == '{' || *p == '[') {
      p = begin_container(d, p);
    } else {
      p = read_scalar(d, p);
      if (p != NULL)
        p = end_value(d, p);
    }
    if (p == NULL)
      return NULL;
  } while (d->depth > 0);
  p = skip_space(d, p);
  if (p < d->end)
    return fail(d, p, "the end of the text");
  return p;
}

/* leaves nil, what is wrong, and where; only a byte that can be seen is shown as it is */
static int push_failure(const struct decoder *d) {
  lua_State *L = d->L;
  lua_Integer offset = (lua_Integer)(d->at - d->text) + 1;
  lua_settop(L, d->first_slot - 1);
  lua_pushnil(L);
  if (d->at == d->end) {
    lua_pushliteral(L, "the end of the text");
  } else if (*d->at > 0x20 && *d->at < 0x7f) {
    lua_pushfstring(L, "'%c'", *d->at);
  } else {
    unsigned char byte = (unsigned char)*d->at;
    lua_pushfstring(L, "byte 0x%c%c", "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]);
  }
  lua_pushfstring(L, "expected %s but found %s at byte %I", d->expected, lua_tostring(L, -1),
                  (LUAI_UACINT)offset);
  lua_remove(L, -2);
  lua_pushinteger(L, offset);
  return 3;
}

int json_decode(lua_State *L, const char *text, size_t length, const struct json_options *options) {
  static const struct json_options defaults = {0, NULL, 0, '{'};
  struct decoder d;
  if (!lua_checkstack(L, NAMES + LUA_MINSTACK))
    luaL_error(L, "not enough memory");
  d.L = L;
  d.text = length > 0 ? text : "";
  d.end = d.text + length;
  d.options = options != NULL ? options : &defaults;
  d.list = NULL;
  d.first_slot = lua_gettop(L) + 1;
  d.depth = d.deepest = 0;
  memset(d.names, 0, sizeof(d.names));
  lua_settop(L, d.first_slot + NAMES - 1);
  if (read_text(&d) == NULL)
    return push_failure(&d);
  lua_replace(L, d.first_slot);
  lua_settop(L, d.first_slot);
  return 1;
}
