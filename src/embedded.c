/*
** embedded.c: the whole module in a static library, for programs that link it (make static). Its
** Lua files come along as data, so nothing is looked for on disk.
*/
#include <lauxlib.h>
#include <lua.h>

struct lua_file {
  const char *module;         /* "gradient.client" */
  const char *chunk;          /* "@gradient/client.lua", for messages */
  const unsigned char *bytes; /* the source */
  size_t length;
};

/* made by src/embed.lua: static const struct lua_file lua_files[], the first one is "gradient" */
#include "lua_files.h"

int luaopen_gradient(lua_State *L);
int luaopen_gradient_core(lua_State *L);

/* Loads and runs a Lua file (upvalue 1) with the arguments that `require` gives. */
static int run_file(lua_State *L) {
  const struct lua_file *file = lua_touserdata(L, lua_upvalueindex(1));
  const char *source = (const char *)file->bytes;
  if (luaL_loadbufferx(L, source, file->length, file->chunk, "t") != LUA_OK)
    return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

/* Adds a loader to package.preload (on top), where the program has none of its own. */
static void preload(lua_State *L, const char *module) {
  if (lua_getfield(L, -2, module) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_setfield(L, -2, module);
  } else
    lua_pop(L, 2);
}

/* The loader of "gradient": luaL_requiref(L, "gradient", luaopen_gradient, 0) */
__attribute__((visibility("default"))) int luaopen_gradient(lua_State *L) {
  size_t i;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_gradient_core);
  preload(L, "gradient.core");
  for (i = 0; i < sizeof(lua_files) / sizeof(*lua_files); i++) {
    lua_pushlightuserdata(L, (void *)&lua_files[i]);
    lua_pushcclosure(L, run_file, 1);
    preload(L, lua_files[i].module);
  }
  lua_getfield(L, -1, lua_files[0].module);
  lua_pushstring(L, lua_files[0].module);
  lua_call(L, 1, 1);
  return 1;
}
