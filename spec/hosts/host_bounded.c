/*
** host_bounded.c: a host that gives its Lua states little memory: walks all jobs, and prints how many
** there were. The allocator refuses what would be beyond LIMIT bytes.
**
**   host_bounded URL LIMIT
*/
#include "host.h"

struct account {
  size_t used, limit;
};

static void *allocate(void *userdata, void *block, size_t old_size, size_t size) {
  struct account *account = userdata;
  size_t had = block == NULL ? 0 : old_size;
  if (size > had && account->used + (size - had) > account->limit)
    return NULL;
  if (size == 0) {
    free(block);
    block = NULL;
  } else {
    block = realloc(block, size);
    if (block == NULL)
      return NULL;
  }
  account->used += size - had; /* wraps around where it shrinks, and back */
  return block;
}

static const char *const program =
    "local client <close> = require('gradient').client{ base_url = ..., token = 'test-token' }\n"
    "local count = 0\n"
    "for _ in client.indexing_jobs.each{ per_page = 200 } do count = count + 1 end\n"
    "return count\n";

int main(int argc, char **argv) {
  struct account account = {0, 0};
  lua_State *L;
  if (argc != 3)
    host_fail("usage: host_bounded URL LIMIT");
  account.limit = strtoul(argv[2], NULL, 10);
  L = lua_newstate(allocate, &account);
  if (L == NULL)
    host_fail("no lua_State");
  host_open(L);
  host_load(L, program);
  lua_pushstring(L, argv[1]);
  host_call(L, 1, 1);
  printf("%s jobs\n", lua_tostring(L, -1));
  lua_close(L);
  return EXIT_SUCCESS;
}
