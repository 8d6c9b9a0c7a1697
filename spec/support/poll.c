/*
** poll.c: poll(2) for specs, in the shape of a client's `wait`: poll(fds, seconds).
*/
#include <poll.h>

#include <lauxlib.h>
#include <lua.h>

#define MAX_FDS 64

int luaopen_poll(lua_State *L);

static short events_of(const char *names) {
  short events = 0;
  for (; *names != '\0'; names++)
    events = (short)(events | (*names == 'r' ? POLLIN : POLLOUT));
  return events;
}

static int wait(lua_State *L) {
  struct pollfd fds[MAX_FDS];
  lua_Integer i, count = luaL_len(L, 1);
  luaL_argcheck(L, count <= MAX_FDS, 1, "too many descriptors for a spec");
  for (i = 1; i <= count; i++) {
    lua_geti(L, 1, i);
    lua_getfield(L, -1, "fd");
    lua_getfield(L, -2, "events");
    fds[i - 1].fd = (int)luaL_checkinteger(L, -2);
    fds[i - 1].events = events_of(luaL_checkstring(L, -1));
    lua_pop(L, 3);
  }
  lua_pushinteger(L, poll(fds, (nfds_t)count, (int)(luaL_checknumber(L, 2) * 1000) + 1));
  return 1;
}

int luaopen_poll(lua_State *L) {
  lua_pushcfunction(L, wait);
  return 1;
}
