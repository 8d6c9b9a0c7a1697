/*
** host.h: what the host programs share: a lua_State with the module in it. The core may be linked
** into the host; if it is not, `require` finds the shared object through LUA_CPATH.
*/
#ifndef GRADIENT_HOST_H
#define GRADIENT_HOST_H

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int luaopen_gradient_core(lua_State *L) __attribute__((weak));

/* Ends the program, and says why: as printf. */
#define host_fail(...)                                                                             \
  (fprintf(stderr, "%s: ", __FILE__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr),           \
   exit(EXIT_FAILURE))

/* Opens the libraries, and makes a linked core known to `require`. Raises memory errors. */
static inline void host_open(lua_State *L) {
  luaL_openlibs(L);
  if (luaopen_gradient_core == NULL)
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

/* Loads a program in Lua; leaves its function. */
static inline void host_load(lua_State *L, const char *program) {
  if (luaL_loadstring(L, program) != LUA_OK)
    host_fail("%s", lua_tostring(L, -1));
}

/* wait(fds, seconds) as poll(2) does it, but for pauses between two attempts: they are skipped */
static inline int host_wait(lua_State *L) {
  struct pollfd polled[32];
  lua_Integer i, count = luaL_len(L, 1);
  luaL_argcheck(L, count <= (lua_Integer)(sizeof(polled) / sizeof(*polled)), 1, "too many");
  for (i = 0; i < count; i++) {
    const char *events;
    lua_geti(L, 1, i + 1);
    lua_getfield(L, -1, "fd");
    lua_getfield(L, -2, "events");
    events = lua_tostring(L, -1);
    polled[i].fd = (int)lua_tointeger(L, -2);
    polled[i].events =
        (short)((strchr(events, 'r') ? POLLIN : 0) | (strchr(events, 'w') ? POLLOUT : 0));
    lua_pop(L, 3);
  }
  if (count > 0)
    (void)poll(polled, (nfds_t)count, (int)(lua_tonumber(L, 2) * 1000) + 1);
  return 0;
}

#endif
