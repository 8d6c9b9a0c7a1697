/*
** host_close.c: a host that closes things while they are in use: the client, the coroutines, or the
** whole lua_State, while transfers run, coroutines wait, iterators are half way, and pauses between
** two attempts last. Then it opens and closes many states, one after the other.
**
**   host_close URL [CA_FILE]    of a server with a job or more, of which page 404 never comes, page
**                               503 is that status, and page 403 is there
*/
#include <dirent.h>

#include "host.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define STATES 20

static const char *const program =
    "local gradient = require 'gradient'\n"
    "local core = require 'gradient.core'\n"
    "local url, ca_file = ...\n"
    "begin, finish, waiting = {}, {}, {}\n"
    "\n"
    "local function open(wait)\n"
    "  return gradient.client{ base_url = url, ca_file = ca_file, token = 'test-token', wait = "
    "wait }\n"
    "end\n"
    "client = open(coroutine.yield)\n"
    "\n"
    /* Runs a function in a coroutine until it waits for what will not come: for an answer (all its
       descriptors are to be read), for the end of a pause (there are none), or in its loop's body.
     */
    "local function start(work)\n"
    "  local thread = coroutine.create(work)\n"
    "  while true do\n"
    "    local _, fds = assert(coroutine.resume(thread))\n"
    "    local writes = false\n"
    "    for _, want in ipairs(type(fds) == 'table' and fds or {}) do\n"
    "      writes = writes or want.events:find 'w'\n"
    "    end\n"
    "    if not writes and (type(fds) ~= 'table' or #fds ~= 1) then break end\n"
    "    client.core:wait(1)\n"
    "  end\n"
    "  waiting[#waiting + 1] = thread\n"
    "end\n"
    "\n"
    "local function list(page)\n"
    "  return client.indexing_jobs.list({ page = page }, { timeout = 30 })\n"
    "end\n"
    "\n"
    "function begin.list()\n"
    "  for _ = 1, 8 do start(function() return list(404) end) end\n"
    "end\n"
    "function begin.pause()\n"
    "  start(function() return list(503) end)\n"
    "end\n"
    "function begin.body()\n"
    "  start(function()\n"
    "    for _ in client.indexing_jobs.each({ page = 403, per_page = 1 }, { prefetch = 4 }) do\n"
    "      coroutine.yield 'in the body'\n"
    "    end\n"
    "  end)\n"
    "end\n"
    "function begin.next_page()\n"
    "  start(function()\n"
    "    for _ in client.indexing_jobs.each{ page = 403, per_page = 1 } do end\n"
    "  end)\n"
    "end\n"
    "function begin.transfers()\n"
    "  transfers = {}\n"
    "  for i = 1, 8 do\n"
    "    transfers[i] = client.core:send{ url = url .. '/v2/gen-ai/indexing_jobs?page=404' }\n"
    "    client.core:step()\n"
    "  end\n"
    "end\n"
    "\n"
    /* The state is closed as it is. */
    "function finish.nothing() end\n"
    "\n"
    "function finish.client()\n"
    "  client:close()\n"
    "  for _, thread in ipairs(waiting) do\n"
    "    local ok, page, err = coroutine.resume(thread)\n"
    "    if ok and page == 'in the body' then ok, page, err = coroutine.resume(thread) end\n"
    "    if not ok then page, err = nil, page end\n"
    "    assert(page == nil and err.kind == 'closed', err)\n"
    "    assert(coroutine.status(thread) == 'dead')\n"
    "  end\n"
    "  for _, transfer in ipairs(transfers or {}) do\n"
    "    local _, code = transfer:result()\n"
    "    assert(code == 'closed', code)\n"
    "  end\n"
    "  local _, err = list(1)\n"
    "  assert(err.kind == 'closed')\n"
    "end\n"
    "\n"
    "function finish.core()\n"
    "  client.core:close()\n"
    "end\n"
    "\n"
    "function finish.coroutines()\n"
    "  for _, thread in ipairs(waiting) do assert(coroutine.close(thread)) end\n"
    "  for _, transfer in ipairs(transfers or {}) do transfer:close() end\n"
    "  assert(client.core:step() == 0)\n"
    "end\n"
    "\n"
    "function finish.garbage()\n"
    "  waiting, transfers = {}, nil\n"
    "  collectgarbage()\n"
    "  collectgarbage()\n"
    "  assert(client.core:step() == 0)\n"
    "end\n"
    "\n"
    "function finish.all_garbage()\n"
    "  waiting, transfers, client = {}, nil, nil\n"
    "  collectgarbage()\n"
    "  collectgarbage()\n"
    "end\n"
    "\n"
    "function list_once()\n"
    "  local page = assert(open().indexing_jobs.list{ per_page = 1 })\n"
    "  assert(#page.jobs == 1)\n"
    "end\n";

static const char *const beginnings[] = {"list", "pause", "body", "next_page", "transfers"};
static const char *const endings[] = {"nothing",    "client",  "core",
                                      "coroutines", "garbage", "all_garbage"};

static lua_State *open_state(const char *url, const char *ca_file) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    host_fail("no lua_State");
  host_open(L);
  host_load(L, program);
  lua_pushstring(L, url);
  lua_pushstring(L, ca_file);
  host_call(L, 2, 0);
  return L;
}

/* Calls the function with this name in the global table `group`. */
static void call(lua_State *L, const char *group, const char *name) {
  lua_getglobal(L, group);
  lua_getfield(L, -1, name);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    host_fail("%s %s: %s", group, name, luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
}

static int open_descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL)
    host_fail("no /proc/self/fd");
  while (readdir(directory))
    count++;
  closedir(directory);
  return count;
}

static void list_in_a_state(const char *url, const char *ca_file) {
  lua_State *L = open_state(url, ca_file);
  lua_getglobal(L, "list_once");
  host_call(L, 0, 0);
  lua_close(L);
}

int main(int argc, char **argv) {
  size_t i, k;
  int before, after;
  if (argc < 2)
    host_fail("usage: host_close URL [CA_FILE]");
  list_in_a_state(argv[1], argv[2]); /* what libraries open once and keep */
  before = open_descriptors();
  for (i = 0; i < COUNT(beginnings); i++)
    for (k = 0; k < COUNT(endings); k++) {
      lua_State *L = open_state(argv[1], argv[2]);
      call(L, "begin", beginnings[i]);
      call(L, "finish", endings[k]);
      lua_close(L);
      after = open_descriptors();
      if (after != before)
        host_fail("%s, %s: %d descriptors are left", beginnings[i], endings[k], after - before);
    }
  for (i = 0; i < STATES; i++)
    list_in_a_state(argv[1], argv[2]);
  if (open_descriptors() != before)
    host_fail("descriptors are left by states that came and went");
  printf("%zu ways to close, %d states\n", COUNT(beginnings) * COUNT(endings), STATES);
  return EXIT_SUCCESS;
}
