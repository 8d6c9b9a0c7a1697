/*
** sanitized_lua.c: runs a Lua script in a process that has the sanitizers' libraries, which the core
** built with them needs. (Preloading them instead would affect every child process, too.)
*/
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  int i, failed;
  luaL_openlibs(L);
  lua_createtable(L, argc, 0);
  for (i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  failed = argc < 2 || luaL_loadfile(L, argv[1]) != LUA_OK;
  for (i = 2; i < argc && !failed; i++)
    lua_pushstring(L, argv[i]);
  failed = failed || lua_pcall(L, argc - 2, 0, 0) != LUA_OK;
  if (failed)
    fprintf(stderr, "%s\n", argc < 2 ? "which script?" : lua_tostring(L, -1));
  lua_close(L);
  return failed;
}
