/*
** fuzz_json.c: a libFuzzer target for json_decode. Beside what the sanitizers see, this must hold
** for every text:
** - The answer is one value; or nil, a printable message, and an offset in the text or just after
**   it. Before that offset nothing is wrong: what stands there is JSON, or ends too early.
** - Keeping nulls never changes what is JSON; asking for a shape never lets more pass.
** - The same value comes out when space is put around the text (so that all its bytes are read at
**   other addresses), and when its strings are spelled with \u escapes (so that they take another
**   way through the decoder, and no name is known from before).
** Every text is decoded in a block of its own size, where a byte read past its end is found.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_options no_options = {0, NULL, 0, 0};

/* ends the run, with a trace, where something does not hold */
static void check(int holds) {
  if (!holds)
    abort();
}

static char *allocate(size_t size) {
  char *block = malloc(size > 0 ? size : 1);
  check(block != NULL);
  return block;
}

/* decodes a text and leaves its value, or nil; returns 0, or the offset of what is wrong */
static size_t decode(lua_State *L, const char *text, size_t length,
                     const struct json_options *options) {
  int top = lua_gettop(L);
  int results = json_decode(L, text, length, options);
  size_t message_length, offset;
  const char *message;
  check(lua_gettop(L) == top + results);
  if (results == 1)
    return 0;
  check(results == 3 && lua_isnil(L, -3) && lua_isinteger(L, -1));
  check(lua_tointeger(L, -1) >= 1);
  offset = (size_t)lua_tointeger(L, -1);
  check(offset <= length + 1);
  message = lua_tolstring(L, -2, &message_length);
  for (size_t i = 0; i < message_length; i++)
    check(message[i] >= 0x20 && message[i] < 0x7f);
  lua_pop(L, 2);
  return offset;
}

/*
** decodes a copy in a block of its own size, with so many spaces before it (but after a byte order
** mark), and one after if any
*/
static size_t decode_copy(lua_State *L, const char *text, size_t length, size_t spaces) {
  size_t whole = length + spaces + (spaces > 0);
  size_t mark = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  char *copy = allocate(whole);
  size_t offset;
  memset(copy, ' ', whole);
  memcpy(copy, text, mark);
  memcpy(copy + mark + spaces, text + mark, length - mark);
  offset = decode(L, copy, whole, &no_options);
  free(copy);
  return offset;
}

/* decodes a JSON text with the ASCII characters of its strings as escapes */
static size_t decode_escaped(lua_State *L, const char *text, size_t length) {
  char *copy = allocate(6 * length + 1);
  char *out = copy;
  size_t offset;
  int in_string = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '"')
      in_string = !in_string;
    if (in_string && text[i] == '\\') {
      size_t escape = text[i + 1] == 'u' ? 6 : 2;
      memcpy(out, text + i, escape);
      out += escape;
      i += escape - 1;
    } else if (in_string && text[i] != '"' && (unsigned char)text[i] < 0x80) {
      out += snprintf(out, 7, "\\u%04X", (unsigned)text[i]);
    } else {
      *out++ = text[i];
    }
  }
  offset = decode(L, copy, (size_t)(out - copy), &no_options);
  free(copy);
  return offset;
}

/* whether two values are the same, all the way down */
static int same(lua_State *L, int a, int b) {
  int members = 0;
  if (lua_type(L, a) != lua_type(L, b) || lua_isinteger(L, a) != lua_isinteger(L, b))
    return 0;
  if (!lua_istable(L, a))
    return lua_rawequal(L, a, b);
  luaL_checkstack(L, 10, NULL);
  for (lua_pushnil(L); lua_next(L, a) != 0; lua_pop(L, 2)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    if (!same(L, lua_gettop(L) - 1, lua_gettop(L)))
      return 0;
    members++;
  }
  for (lua_pushnil(L); lua_next(L, b) != 0; lua_pop(L, 1))
    members--;
  return members == 0;
}

/* what must hold for a text that is JSON, with its value on the top of the stack */
static void check_value(lua_State *L, const char *text, size_t length) {
  int value = lua_gettop(L);
  check(decode_copy(L, text, length, 1 + length % 16) == 0);
  check(same(L, value, lua_gettop(L)));
  lua_settop(L, value);
  check(decode_escaped(L, text, length) == 0);
  check(same(L, value, lua_gettop(L)));
}

/* what must hold for a text that is not */
static void check_failure(lua_State *L, const char *text, size_t length, size_t offset) {
  size_t spaces = 1 + length % 16;
  size_t found = decode_copy(L, text, length, spaces);
  check(found == offset + spaces || (offset == length + 1 && found == offset + spaces + 1));
  found = decode_copy(L, text, offset - 1, 0);
  check(found == 0 || found == offset);
}

static int check_text(lua_State *L) {
  static const struct json_options keep_nulls = {1, NULL, 0, 0};
  static const struct json_options shapes[] = {{0, "a", 1, '{'}, {0, "a", 1, '['}};
  const char *text = lua_touserdata(L, 1);
  size_t length = (size_t)lua_tointeger(L, 2);
  size_t offset = decode(L, text, length, &no_options);
  if (offset == 0)
    check_value(L, text, length);
  else
    check_failure(L, text, length, offset);
  lua_settop(L, 0);
  check(decode(L, text, length, &keep_nulls) == offset);
  for (int i = 0; i < 2; i++) {
    size_t found = decode(L, text, length, &shapes[i]);
    check(offset == 0 || (found >= 1 && found <= offset));
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L = NULL; /* one for all runs: what one leaves behind, the next ones meet */
  char *text = allocate(size);
  if (L == NULL)
    L = luaL_newstate();
  check(L != NULL);
  if (size > 0)
    memcpy(text, data, size);
  lua_pushcfunction(L, check_text);
  lua_pushlightuserdata(L, text);
  lua_pushinteger(L, (lua_Integer)size);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1)), abort();
  free(text);
  return 0;
}
