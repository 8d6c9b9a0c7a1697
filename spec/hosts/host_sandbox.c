/*
** host_sandbox.c: a host that gives its Lua programs next to nothing: the basic functions, string,
** table and math. `require` is taken away once the module is loaded.
**
**   host_sandbox URL    of a server with 250 jobs, of which page 404 is that status
**
** With -DSTATIC the module is linked into the host, and nothing is looked for on disk.
*/
#include "host.h"

#ifdef STATIC
int luaopen_gradient(lua_State *L);
#endif

static const char *const program =
    "local gradient, url = ...\n"
    "local client <close> = gradient.client{ base_url = url, token = 'test-token' }\n"
    "assert(#client.indexing_jobs.list().jobs == 20)\n"
    "local count = 0\n"
    "for _ in client.indexing_jobs.each({ per_page = 20 }, { prefetch = 3 }) do\n"
    "  count = count + 1\n"
    "end\n"
    "assert(count == 250)\n"
    "local _, err = client.indexing_jobs.list{ page = 404 }\n"
    "assert(err.kind == 'not_found', err)\n"
    "_, err = gradient.indexing_jobs.list()\n" /* there is no environment to have a token in */
    "assert(err.kind == 'authentication', err)\n"
    "assert(not pcall(client.indexing_jobs.list, { nothing = 1 }))\n"
    "return count\n";

static const luaL_Reg libraries[] = {
    {LUA_GNAME, luaopen_base},          {LUA_STRLIBNAME, luaopen_string},
    {LUA_TABLIBNAME, luaopen_table},    {LUA_MATHLIBNAME, luaopen_math},
    {LUA_LOADLIBNAME, luaopen_package}, {NULL, NULL}};

int main(int argc, char **argv) {
  static const char *const gone[] = {"require", "package", "load", "loadfile", "dofile"};
  lua_State *L = luaL_newstate();
  const luaL_Reg *library;
  size_t i;
  if (argc != 2 || L == NULL)
    host_fail("usage: host_sandbox URL");
  for (library = libraries; library->func != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  host_load(L, program);
#ifdef STATIC
  if (luaL_dostring(L, "package.path, package.cpath = '', ''"))
    host_fail("no package");
  luaL_requiref(L, "gradient", luaopen_gradient, 0);
#else
  lua_getglobal(L, "require");
  lua_pushliteral(L, "gradient");
  host_call(L, 1, 1);
#endif
  for (i = 0; i < sizeof(gone) / sizeof(*gone); i++) {
    lua_pushnil(L);
    lua_setglobal(L, gone[i]);
  }
  lua_pushstring(L, argv[1]);
  host_call(L, 2, 1);
  printf("%s jobs\n", lua_tostring(L, -1));
  lua_close(L);
  return EXIT_SUCCESS;
}
