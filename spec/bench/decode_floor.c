/*
** The floor under any JSON decoder: a function that makes the same tables, strings and numbers
** through the Lua API as a decoder does, from data that needs no parsing.
**
**   local run = require "decode_floor".compile(value)
**   run() → a new value, deeply equal to the first
**
**   local run = require "decode_floor".compile_page(page)
**   the same for a page of jobs that have the fields of the reference page, all of them: code for
**   just that, without a step that is looked up
**
** The value is flattened once into a list of steps with all bytes in C memory, so no string of the
** original is alive when it runs. Every table is made at its final size; names are pushed once and
** are taken from the stack from then on; no other string is shared.
*/

#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"
#include "lua.h"

enum kind { OBJECT, ARRAY, STRING, INTEGER, FLOAT, BOOLEAN, POINTER, END };

/* one value to push, or the end of a container; and where it goes */
struct step {
  enum kind kind;
  int name;          /* slot of the member's name; 0 for an element */
  lua_Integer index; /* the element's, if there is no name; 0 for the outermost value */
  lua_Integer integer;
  lua_Number number;
  const char *bytes; /* of a string */
  size_t length;     /* of a string, or elements or members of a container */
};

#define MAX_NAMES 100

struct program {
  struct step *steps;
  size_t count, room;
  char *names[MAX_NAMES];
  size_t name_lengths[MAX_NAMES];
  int name_count;
};

static char *copy(const char *bytes, size_t length) {
  char *result = malloc(length + 1);
  if (result != NULL)
    memcpy(result, bytes, length + 1);
  return result;
}

static struct step *add_step(lua_State *L, struct program *p, enum kind kind, int name,
                             lua_Integer index) {
  struct step *step;
  if (p->count == p->room) {
    size_t room = p->room * 2 + 64;
    struct step *steps = realloc(p->steps, room * sizeof(*steps));
    if (steps == NULL) {
      luaL_error(L, "not enough memory");
      return NULL;
    }
    p->steps = steps;
    p->room = room;
  }
  step = &p->steps[p->count++];
  memset(step, 0, sizeof(*step));
  step->kind = kind;
  step->name = name;
  step->index = index;
  return step;
}

/* the slot of the name at the top of the stack */
static int find_name(lua_State *L, struct program *p) {
  size_t length;
  const char *name = luaL_checklstring(L, -1, &length);
  for (int i = 0; i < p->name_count; i++) {
    if (p->name_lengths[i] == length && memcmp(p->names[i], name, length) == 0)
      return i + 1;
  }
  if (p->name_count == MAX_NAMES)
    luaL_error(L, "too many names");
  p->names[p->name_count] = copy(name, length);
  p->name_lengths[p->name_count] = length;
  return ++p->name_count;
}

static void compile_value(lua_State *L, struct program *p, int name, lua_Integer index);

static void compile_table(lua_State *L, struct program *p, int name, lua_Integer index) {
  lua_Integer elements = luaL_len(L, -1);
  size_t at = p->count;
  size_t members = 0;
  luaL_checkstack(L, 10, NULL);
  add_step(L, p, elements > 0 ? ARRAY : OBJECT, name, index);
  for (lua_Integer i = 1; i <= elements; i++) {
    lua_rawgeti(L, -1, i);
    compile_value(L, p, 0, i);
    lua_pop(L, 1);
  }
  if (elements == 0) {
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
      int member;
      lua_pushvalue(L, -2);
      member = find_name(L, p);
      lua_pop(L, 1);
      compile_value(L, p, member, 0);
      members++;
    }
  }
  p->steps[at].length = elements > 0 ? (size_t)elements : members;
  add_step(L, p, END, name, index);
}

static void compile_value(lua_State *L, struct program *p, int name, lua_Integer index) {
  struct step *step;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE: compile_table(L, p, name, index); break;
  case LUA_TSTRING:
    step = add_step(L, p, STRING, name, index);
    step->bytes = lua_tolstring(L, -1, &step->length);
    step->bytes = copy(step->bytes, step->length);
    break;
  case LUA_TNUMBER:
    step = add_step(L, p, lua_isinteger(L, -1) ? INTEGER : FLOAT, name, index);
    step->integer = lua_tointeger(L, -1);
    step->number = lua_tonumber(L, -1);
    break;
  case LUA_TBOOLEAN: add_step(L, p, BOOLEAN, name, index)->integer = lua_toboolean(L, -1); break;
  default: add_step(L, p, POINTER, name, index);
  }
}

/* run(): goes through the steps */
static int run(lua_State *L) {
  const struct program *p = lua_touserdata(L, lua_upvalueindex(1));
  const struct step *last = p->steps + p->count;
  luaL_checkstack(L, MAX_NAMES + 100, NULL);
  lua_settop(L, 0);
  for (int i = 0; i < p->name_count; i++)
    lua_pushlstring(L, p->names[i], p->name_lengths[i]);
  for (const struct step *step = p->steps; step < last; step++) {
    if (step->name != 0 && step->kind != END)
      lua_pushvalue(L, step->name);
    switch (step->kind) {
    case OBJECT: lua_createtable(L, 0, (int)step->length); continue;
    case ARRAY: lua_createtable(L, (int)step->length, 0); continue;
    case STRING: lua_pushlstring(L, step->bytes, step->length); break;
    case INTEGER: lua_pushinteger(L, step->integer); break;
    case FLOAT: lua_pushnumber(L, step->number); break;
    case BOOLEAN: lua_pushboolean(L, (int)step->integer); break;
    case POINTER: lua_pushlightuserdata(L, NULL); break;
    case END: break;
    }
    if (step->name != 0)
      lua_rawset(L, -3);
    else if (step->index != 0)
      lua_rawseti(L, -2, step->index);
  }
  return 1;
}

static int collect(lua_State *L) {
  struct program *p = lua_touserdata(L, 1);
  for (size_t i = 0; i < p->count; i++) {
    if (p->steps[i].kind == STRING)
      free((void *)p->steps[i].bytes);
  }
  for (int i = 0; i < p->name_count; i++)
    free(p->names[i]);
  free(p->steps);
  return 0;
}

/* compile(value) → run */
static int compile(lua_State *L) {
  struct program *p = lua_newuserdatauv(L, sizeof(*p), 0);
  memset(p, 0, sizeof(*p));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  compile_value(L, p, 0, 0);
  lua_pop(L, 1);
  lua_pushcclosure(L, run, 1);
  return 1;
}

/* ---- a page of jobs, and nothing else ---- */

#define MAX_SOURCES 3

struct text {
  char *bytes;
  size_t length;
};

struct job {
  lua_Integer completed_datasources, tokens, total_datasources;
  struct text created_at, finished_at, knowledge_base_uuid, phase, started_at, status;
  struct text total_items_failed, total_items_indexed, total_items_skipped, updated_at, uuid;
  struct text sources[MAX_SOURCES];
  int source_count;
};

struct page {
  struct text last, next;           /* links */
  lua_Integer number, pages, total; /* meta */
  int count;
  struct job jobs[1];
};

/* the slots of the names on the stack */
enum {
  COMPLETED_DATASOURCES = 1,
  CREATED_AT,
  DATA_SOURCE_UUIDS,
  FINISHED_AT,
  KNOWLEDGE_BASE_UUID,
  PHASE,
  STARTED_AT,
  STATUS,
  TOKENS,
  TOTAL_DATASOURCES,
  TOTAL_ITEMS_FAILED,
  TOTAL_ITEMS_INDEXED,
  TOTAL_ITEMS_SKIPPED,
  UPDATED_AT,
  UUID
};

static const char *const field_names[] = {"completed_datasources",
                                          "created_at",
                                          "data_source_uuids",
                                          "finished_at",
                                          "knowledge_base_uuid",
                                          "phase",
                                          "started_at",
                                          "status",
                                          "tokens",
                                          "total_datasources",
                                          "total_items_failed",
                                          "total_items_indexed",
                                          "total_items_skipped",
                                          "updated_at",
                                          "uuid"};

static inline void put_text(lua_State *L, int name, const struct text *text) {
  lua_pushvalue(L, name);
  lua_pushlstring(L, text->bytes, text->length);
  lua_rawset(L, -3);
}

static inline void put_integer(lua_State *L, int name, lua_Integer number) {
  lua_pushvalue(L, name);
  lua_pushinteger(L, number);
  lua_rawset(L, -3);
}

static inline void push_job(lua_State *L, const struct job *job) {
  lua_createtable(L, 0, 15);
  put_integer(L, COMPLETED_DATASOURCES, job->completed_datasources);
  put_text(L, CREATED_AT, &job->created_at);
  lua_pushvalue(L, DATA_SOURCE_UUIDS);
  lua_createtable(L, job->source_count, 0);
  for (int i = 0; i < job->source_count; i++) {
    lua_pushlstring(L, job->sources[i].bytes, job->sources[i].length);
    lua_rawseti(L, -2, i + 1);
  }
  lua_rawset(L, -3);
  put_text(L, FINISHED_AT, &job->finished_at);
  put_text(L, KNOWLEDGE_BASE_UUID, &job->knowledge_base_uuid);
  put_text(L, PHASE, &job->phase);
  put_text(L, STARTED_AT, &job->started_at);
  put_text(L, STATUS, &job->status);
  put_integer(L, TOKENS, job->tokens);
  put_integer(L, TOTAL_DATASOURCES, job->total_datasources);
  put_text(L, TOTAL_ITEMS_FAILED, &job->total_items_failed);
  put_text(L, TOTAL_ITEMS_INDEXED, &job->total_items_indexed);
  put_text(L, TOTAL_ITEMS_SKIPPED, &job->total_items_skipped);
  put_text(L, UPDATED_AT, &job->updated_at);
  put_text(L, UUID, &job->uuid);
}

/* run(): makes the page */
static int run_page(lua_State *L) {
  const struct page *page = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 0);
  luaL_checkstack(L, 40, NULL);
  for (int i = 0; i < 15; i++)
    lua_pushstring(L, field_names[i]);
  lua_createtable(L, 0, 3);
  lua_createtable(L, page->count, 0);
  for (int i = 0; i < page->count; i++) {
    push_job(L, &page->jobs[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "jobs");
  lua_createtable(L, 0, 1);
  lua_createtable(L, 0, 2);
  lua_pushlstring(L, page->last.bytes, page->last.length);
  lua_setfield(L, -2, "last");
  lua_pushlstring(L, page->next.bytes, page->next.length);
  lua_setfield(L, -2, "next");
  lua_setfield(L, -2, "pages");
  lua_setfield(L, -2, "links");
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, page->number);
  lua_setfield(L, -2, "page");
  lua_pushinteger(L, page->pages);
  lua_setfield(L, -2, "pages");
  lua_pushinteger(L, page->total);
  lua_setfield(L, -2, "total");
  lua_setfield(L, -2, "meta");
  return 1;
}

/* a copy of the string at the top of the stack, which is popped; it stays until the program ends */
static struct text keep_text(lua_State *L) {
  struct text text;
  const char *bytes = luaL_checklstring(L, -1, &text.length);
  text.bytes = copy(bytes, text.length);
  lua_pop(L, 1);
  return text;
}

static struct text keep_field(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  return keep_text(L);
}

static lua_Integer integer_field(lua_State *L, const char *name) {
  lua_Integer number;
  lua_getfield(L, -1, name);
  number = luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  return number;
}

/* keeps the job at the top of the stack */
static void keep_job(lua_State *L, struct job *job) {
  job->completed_datasources = integer_field(L, "completed_datasources");
  job->tokens = integer_field(L, "tokens");
  job->total_datasources = integer_field(L, "total_datasources");
  job->created_at = keep_field(L, "created_at");
  job->finished_at = keep_field(L, "finished_at");
  job->knowledge_base_uuid = keep_field(L, "knowledge_base_uuid");
  job->phase = keep_field(L, "phase");
  job->started_at = keep_field(L, "started_at");
  job->status = keep_field(L, "status");
  job->total_items_failed = keep_field(L, "total_items_failed");
  job->total_items_indexed = keep_field(L, "total_items_indexed");
  job->total_items_skipped = keep_field(L, "total_items_skipped");
  job->updated_at = keep_field(L, "updated_at");
  job->uuid = keep_field(L, "uuid");
  lua_getfield(L, -1, "data_source_uuids");
  job->source_count = (int)luaL_len(L, -1);
  luaL_argcheck(L, job->source_count <= MAX_SOURCES, 1, "too many data sources");
  for (int i = 0; i < job->source_count; i++) {
    lua_rawgeti(L, -1, i + 1);
    job->sources[i] = keep_text(L);
  }
  lua_pop(L, 1);
}

/* compile_page(page) → run */
static int compile_page(lua_State *L) {
  struct page *page;
  int count;
  lua_getfield(L, 1, "jobs");
  count = (int)luaL_len(L, -1);
  page = lua_newuserdatauv(L, sizeof(*page) + (size_t)count * sizeof(page->jobs[0]), 0);
  lua_insert(L, 2);
  page->count = count;
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, -1, i + 1);
    keep_job(L, &page->jobs[i]);
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "meta");
  page->number = integer_field(L, "page");
  page->pages = integer_field(L, "pages");
  page->total = integer_field(L, "total");
  lua_getfield(L, 1, "links");
  lua_getfield(L, -1, "pages");
  page->last = keep_field(L, "last");
  page->next = keep_field(L, "next");
  lua_settop(L, 2);
  lua_pushcclosure(L, run_page, 1);
  return 1;
}

LUAMOD_API int luaopen_decode_floor(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, compile);
  lua_setfield(L, -2, "compile");
  lua_pushcfunction(L, compile_page);
  lua_setfield(L, -2, "compile_page");
  return 1;
}
