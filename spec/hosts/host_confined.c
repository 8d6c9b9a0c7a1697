/*
** host_confined.c: a host that confines itself once it is set up: makes a client, removes the file of
** the authorities that it trusts, moves into an empty directory (chroot, which only root may), and
** only then lists over TLS.
**
**   host_confined URL CA_FILE DIRECTORY    CA_FILE is removed
*/
#include <unistd.h>

#include "host.h"

static const char *const setup =
    "local url, ca_file = ...\n"
    "local client = require('gradient').client{\n"
    "  base_url = url, ca_file = ca_file, token = 'test-token' }\n"
    "return function() return #assert(client.indexing_jobs.list()).jobs end\n";

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (argc != 4 || L == NULL)
    host_fail("usage: host_confined URL CA_FILE DIRECTORY");
  host_open(L);
  host_load(L, setup);
  lua_pushstring(L, argv[1]);
  lua_pushstring(L, argv[2]);
  host_call(L, 2, 1);
  if (unlink(argv[2]) != 0)
    host_fail("%s cannot be removed", argv[2]);
  if (geteuid() == 0 && (chroot(argv[3]) != 0 || chdir("/") != 0))
    host_fail("no chroot");
  host_call(L, 0, 1);
  printf("%s jobs\n", lua_tostring(L, -1));
  lua_close(L);
  return EXIT_SUCCESS;
}
