/*
** host_private.c: a host that loads Lua for itself (RTLD_LOCAL), as plugins and language bindings do,
** so that nobody else finds Lua's functions: the module must bring liblua along (make LINK_LUA=1).
**
**   host_private LIBRARY PROGRAM    "liblua5.4.so.0", and a text in Lua that returns a string
*/
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct lua_State lua_State;

/* the few functions of Lua's that we need, by name */
static struct {
  lua_State *(*luaL_newstate)(void);
  void (*luaL_openlibs)(lua_State *);
  int (*luaL_loadstring)(lua_State *, const char *);
  int (*lua_pcallk)(lua_State *, int, int, int, long, void *);
  const char *(*lua_tolstring)(lua_State *, int, size_t *);
  void (*lua_close)(lua_State *);
} lua;

static void *find(void *library, const char *name) {
  void *function = dlsym(library, name);
  if (function == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(EXIT_FAILURE);
  }
  return function;
}

#define FIND(name) (*(void **)(&lua.name) = find(library, #name))

int main(int argc, char **argv) {
  void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  lua_State *L;
  int failed;
  if (library == NULL) {
    fprintf(stderr, "usage: host_private LIBRARY PROGRAM\n");
    return EXIT_FAILURE;
  }
  FIND(luaL_newstate);
  FIND(luaL_openlibs);
  FIND(luaL_loadstring);
  FIND(lua_pcallk);
  FIND(lua_tolstring);
  FIND(lua_close);
  L = lua.luaL_newstate();
  lua.luaL_openlibs(L);
  failed = lua.luaL_loadstring(L, argv[2]) || lua.lua_pcallk(L, 0, 1, 0, 0, NULL);
  puts(lua.lua_tolstring(L, -1, NULL));
  lua.lua_close(L);
  return failed;
}
