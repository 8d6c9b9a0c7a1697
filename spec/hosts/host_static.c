/*
** host_static.c: a program with the whole module in it (make static), and nothing of it on disk.
** Runs the Lua text that is its first argument.
*/
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int luaopen_gradient(lua_State *L);

/* A function of the module with a name that a program may well have itself. */
const char *json_decode(void);
const char *json_decode(void) {
  return "the program's own";
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  int failed;
  if (!L || argc != 2)
    return 2;
  luaL_openlibs(L);
  if (luaL_dostring(L, "package.path, package.cpath = '', ''"))
    return 2;
  luaL_requiref(L, "gradient", luaopen_gradient, 0);
  lua_pop(L, 1);
  lua_pushstring(L, json_decode());
  lua_setglobal(L, "own");
  failed = luaL_dostring(L, argv[1]);
  if (failed)
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return failed;
}
