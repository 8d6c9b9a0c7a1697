/*
** host_small_stack.c: a host whose threads have small stacks, as servers with thousands of them do:
** one of 40 KiB opens a state and lists over TLS. (README asks for 64 KiB.)
**
**   host_small_stack URL CA_FILE    of a server with a job or more
*/
#include <limits.h>
#include <pthread.h>

#include "host.h"

#define STACK_SIZE (40 * 1024)

static const char *const program =
    "local url, ca_file = ...\n"
    "local client <close> = require('gradient').client{\n"
    "  base_url = url, ca_file = ca_file, token = 'test-token' }\n"
    "local page = assert(client.indexing_jobs.list())\n"
    "local _, err = client.indexing_jobs.list{ page = 404 }\n"
    "local count = 0\n"
    "for _ in client.indexing_jobs.each{ per_page = 5 } do count = count + 1 end\n"
    "assert(count == page.meta.total)\n"
    "print(#page.jobs, err.kind)\n";

static char **arguments;

static void *work(void *unused) {
  lua_State *L = luaL_newstate();
  (void)unused;
  if (L == NULL)
    host_fail("no lua_State");
  host_open(L);
  host_load(L, program);
  lua_pushstring(L, arguments[1]);
  lua_pushstring(L, arguments[2]);
  host_call(L, 2, 0);
  lua_close(L);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_attr_t attributes;
  pthread_t thread;
  if (argc != 3)
    host_fail("usage: host_small_stack URL CA_FILE");
  arguments = argv;
  if (pthread_attr_init(&attributes) != 0 ||
      pthread_attr_setstacksize(&attributes, STACK_SIZE) != 0 ||
      pthread_create(&thread, &attributes, work, NULL) != 0)
    host_fail("no thread");
  pthread_attr_destroy(&attributes);
  pthread_join(thread, NULL);
  return EXIT_SUCCESS;
}
