/*
** torture_decode.c: a host in which every single allocation fails once. It decodes a page of jobs,
** and some texts that are not JSON, under an allocator whose n-th request fails, for every n,
** until none is left to fail. Each run must end in a memory error or in the right answer, after
** which the same state must still decode; and when it is closed, every byte must have been given
** back. Exit status 0 if so; otherwise a line says what was not.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "json.h"

#define JOBS 20

/* what the allocator hands out, and the request that it refuses; 0: none */
struct memory {
  size_t bytes;
  size_t blocks;
  size_t requests;
  size_t failing;
};

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  struct memory *memory = context;
  void *result;
  if (block == NULL)
    old_size = 0; /* it is the kind of the new object */
  if (new_size == 0) {
    memory->bytes -= old_size;
    memory->blocks -= block != NULL;
    free(block);
    return NULL;
  }
  if (new_size > old_size && ++memory->requests == memory->failing)
    return NULL;
  result = realloc(block, new_size);
  if (result != NULL) {
    memory->bytes += new_size - old_size;
    memory->blocks += block == NULL;
  }
  return result;
}

static void fail(const char *text, size_t n, const char *what) {
  (void)fprintf(stderr, "request %lu fails in '%.20s...': %s\n", (unsigned long)n, text, what);
  exit(EXIT_FAILURE);
}

/* what decode(text) answers: one value, or three */
static int decode(lua_State *L) {
  const char *text = lua_touserdata(L, 1);
  return json_decode(L, text, strlen(text), NULL);
}

/* calls decode; returns its status, with the answer or the message on the stack */
static int call_decode(lua_State *L, const char *text) {
  lua_settop(L, 0);
  lua_pushcfunction(L, decode);
  lua_pushlightuserdata(L, (void *)text);
  return lua_pcall(L, 1, LUA_MULTRET, 0);
}

/* whether this is the right answer: for JSON the page, or anything; else nil, message, offset */
static int is_right(lua_State *L, int is_json) {
  if (!is_json)
    return lua_gettop(L) == 3 && lua_isnil(L, 1) && lua_isstring(L, 2) && lua_isinteger(L, 3);
  if (lua_gettop(L) != 1)
    return 0;
  if (!lua_istable(L, 1) || lua_getfield(L, 1, "jobs") != LUA_TTABLE)
    return 1;
  return luaL_len(L, -1) == JOBS && lua_rawgeti(L, -1, JOBS) == LUA_TTABLE &&
         lua_getfield(L, -1, "tokens") == LUA_TNUMBER && lua_tointeger(L, -1) == JOBS;
}

/* one run, in a state of its own; returns whether no request failed any more */
static int run(const char *text, int is_json, size_t n) {
  struct memory memory = {0, 0, 0, 0};
  lua_State *L = lua_newstate(allocate, &memory);
  int status, done;
  if (L == NULL)
    fail(text, n, "no state");
  luaL_checkstack(L, 10, NULL);
  memory.requests = 0;
  memory.failing = n;
  status = call_decode(L, text);
  memory.failing = 0;
  done = memory.requests < n;
  if (status == LUA_OK && !is_right(L, is_json))
    fail(text, n, "a wrong answer");
  /* without room for the stack to grow there is no memory error, but an error that says the same */
  if (status != LUA_OK && status != LUA_ERRMEM &&
      strcmp(lua_tostring(L, -1), "not enough memory") != 0)
    fail(text, n, lua_tostring(L, -1));
  if (call_decode(L, text) != LUA_OK || !is_right(L, is_json))
    fail(text, n, "the state is not usable afterwards");
  lua_close(L);
  if (memory.bytes != 0 || memory.blocks != 0)
    fail(text, n, "a block is left");
  return done;
}

/* appends a page of jobs to a text that is long enough */
static void write_page(char *out) {
  out += sprintf(out, "{\"jobs\":[");
  for (int i = 1; i <= JOBS; i++) {
    out += sprintf(out,
                   "%s{\"completed_datasources\":%d,\"created_at\":\"2024-01-%02dT00:00:00Z\","
                   "\"data_source_uuids\":[\"%08x-e89b-12d3-a456-426614174000\"],"
                   "\"finished_at\":null,\"phase\":\"BATCH_JOB_PHASE_%d\",\"tokens\":%d,"
                   "\"rate\":%d.25,\"error\":\"line\\n%d, a string that is longer than 40 bytes\","
                   "\"total_items_failed\":\"1844674407370955%d\",\"is_report_available\":true}",
                   i > 1 ? "," : "", i, i, (unsigned)i, i % 5, i, i, i, i);
  }
  (void)sprintf(out, "],\"meta\":{\"page\":1,\"pages\":1,\"total\":%d}}", JOBS);
}

int main(void) {
  static char page[JOBS * 500], deep[2 * JSON_MAX_DEPTH + 1], escaped[5000];
  const char *json[] = {page, deep, escaped, "\"\\u00e9\"", "[1,2,3,4,5,6,7,8,9,1e300]"};
  const char *not_json[] = {"[1,2,", "{\"a\":[\"\\n\"],\"b\":tru}", "\"\x01\"", ""};
  size_t runs = 0;
  write_page(page);
  memset(deep, '[', JSON_MAX_DEPTH);
  memset(deep + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
  memset(escaped, 'x', sizeof(escaped) - 1); /* longer than a luaL_Buffer has room for */
  escaped[0] = '"';
  escaped[1] = '\\';
  escaped[2] = 'n';
  escaped[sizeof(escaped) - 2] = '"';
  for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
    for (size_t n = 1; !run(json[i], 1, n); n++)
      runs++;
  }
  for (size_t i = 0; i < sizeof(not_json) / sizeof(not_json[0]); i++) {
    for (size_t n = 1; !run(not_json[i], 0, n); n++)
      runs++;
  }
  (void)printf("%lu requests failed, one in each run; nothing was left\n", (unsigned long)runs);
  return EXIT_SUCCESS;
}
