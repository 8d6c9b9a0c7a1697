/*
** host.h: what the host programs share: a lua_State with the module in it. The core may be linked
** into the host; if it is not, `require` finds the shared object through LUA_CPATH.
*/
#ifndef GRADIENT_HOST_H
#define GRADIENT_HOST_H

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int luaopen_gradient_core(lua_State *L) __attribute__((weak));

/* Ends the program, and says why: as printf. */
#define host_fail(...) \
  (fprintf(stderr, "%s: ", __FILE__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), \
   exit(EXIT_FAILURE))

/* Opens the libraries, and makes a linked core known to `require`. Raises memory errors. */
static inline void host_open(lua_State *L) {
  luaL_openlibs(L);
  if (!luaopen_gradient_core)
    return;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_gradient_core);
  lua_setfield(L, -2, "gradient.core");
  lua_pop(L, 1);
}

/* Runs the function below its `count` arguments; whatever it raises ends the program. */
static inline void host_call(lua_State *L, int count, int results) {
  if (lua_pcall(L, count, results, 0) != LUA_OK)
    host_fail("%s", luaL_tolstring(L, -1, NULL));
}

/* Runs `source` with the given string as its argument. */
static inline void host_run(lua_State *L, const char *source, const char *argument) {
  if (luaL_loadstring(L, source) != LUA_OK)
    host_fail("%s", lua_tostring(L, -1));
  lua_pushstring(L, argument);
  host_call(L, 1, 0);
}

#endif
