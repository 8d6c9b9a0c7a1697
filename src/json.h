/*
** json.h: JSON text (RFC 8259) to Lua values, in one pass over the bytes. Knows nothing of HTTP.
*/
#ifndef GRADIENT_JSON_H
#define GRADIENT_JSON_H

#include <stddef.h>

#include <lua.h>

#pragma GCC visibility push(hidden)

/* arrays and objects inside one another; one level more is an error */
#define JSON_MAX_DEPTH 1000

struct json_options {
  int keep_nulls;       /* a null member stays, as light userdata NULL, instead of being absent */
  const char *member;   /* NULL, or the name of a member of the outermost value, an object then */
  size_t member_length; /* bytes of that name */
  char opener;          /* what that member must be where it is present and not null: '{' an
                           object, '[' an array of objects, none of them null, '"' a string */
};

/* Decodes the `length` bytes at `text`, which need no final zero and must stay as they are
** meanwhile. Pushes the value and returns 1; or, if they are not one JSON text of the shape that
** the options ask for, pushes nil, a message and an offset (from 1: the offending byte, or one
** past the last if the text ends too early) and returns 3. `options` may be NULL: no nulls kept,
** no shape asked for. Raises memory errors only, and leaks nothing then. */
int json_decode(lua_State *L, const char *text, size_t length, const struct json_options *options);

#pragma GCC visibility pop

#endif
