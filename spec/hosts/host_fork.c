/*
** host_fork.c: a host that forks after it has listed, as prefork servers do, and while a request
** runs. Its children use the client, close it, or only end; none of them may touch the parent's
** connections, over which the parent goes on, nor leave them open.
**
**   host_fork URL [CA_FILE]    of a server whose page 2 takes its time
**
** Each request says in its query who makes it, for the server's log.
*/
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const program =
    "local url, ca_file, poll = ...\n"
    "local gradient = require 'gradient'\n"
    "local client = gradient.client{ base_url = url, ca_file = ca_file, token = 'test-token',\n"
    "  wait = function(fds, seconds)\n"
    "    if coroutine.isyieldable() then return coroutine.yield(fds, seconds) end\n"
    "    return poll(fds, seconds)\n"
    "  end }\n"
    "who = 'parent'\n"
    "local thread\n"
    "\n"
    "local function list(number, attempts)\n"
    "  local page, response = client.indexing_jobs.list({ page = number, per_page = 5 },\n"
    "    { query = { who = who } })\n"
    "  assert(page, response)\n"
    "  assert(#page.jobs == 5 and page.meta.page == number, 'not the page that was asked for')\n"
    "  return response.attempts\n"
    "end\n"
    "\n"
    "function use()\n"
    "  for _ = 1, 2 do assert(list(1) == 1, 'more than one attempt') end\n"
    "end\n"
    "function close() client:close() end\n"
    "function nothing() end\n"
    "\n"
    /* Lets the request that takes its time start, until all of it is sent: then what there is to
       wait for is only read from. */
    "function start()\n"
    "  thread = coroutine.create(function() return list(2) end)\n"
    "  for round = 1, math.huge do\n"
    "    local _, fds, seconds = assert(coroutine.resume(thread))\n"
    "    local writes = false\n"
    "    for _, want in ipairs(fds) do writes = writes or want.events:find 'w' end\n"
    "    if not writes and #fds > 1 and round > 1 then break end\n"
    "    poll(fds, math.min(seconds, 0.01))\n"
    "  end\n"
    "end\n"
    "local function go_on()\n"
    "  while true do\n"
    "    local _, fds, seconds = assert(coroutine.resume(thread))\n"
    "    if coroutine.status(thread) == 'dead' then return fds end\n"
    "    poll(fds, seconds)\n"
    "  end\n"
    "end\n"
    "function go_on_alone() assert(go_on() == 1, 'more than one attempt') end\n"
    "function go_on_anew() assert(go_on() == 2, 'the parent\\'s answer') end\n"
    "function collect()\n"
    "  thread = nil\n"
    "  collectgarbage()\n"
    "  collectgarbage()\n"
    "end\n";

/* sockets, by what /proc/self/fd/N points to */
struct sockets {
  char names[64][32];
  size_t count;
};

/* those that we were started with */
static struct sockets inherited;

static int holds(const struct sockets *sockets, const char *name) {
  size_t i;
  for (i = 0; i < sockets->count; i++)
    if (strcmp(sockets->names[i], name) == 0)
      return 1;
  return 0;
}

/* The sockets that this process has opened, or was forked with. */
static void get_sockets(struct sockets *sockets) {
  const struct dirent *entry;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL)
    host_fail("no /proc/self/fd");
  sockets->count = 0;
  while ((entry = readdir(directory)) != NULL && sockets->count < COUNT(sockets->names)) {
    char *name = sockets->names[sockets->count];
    ssize_t length = readlinkat(dirfd(directory), entry->d_name, name, sizeof(*sockets->names) - 1);
    if (length < 0)
      continue;
    name[length] = 0;
    if (strncmp(name, "socket:", 7) == 0 && !holds(&inherited, name))
      sockets->count++;
  }
  closedir(directory);
}

/* How many of these sockets does the process have now? */
static size_t count_kept(const struct sockets *former) {
  struct sockets now;
  size_t i, kept = 0;
  get_sockets(&now);
  for (i = 0; i < former->count; i++)
    kept += (size_t)holds(&now, former->names[i]);
  return kept;
}

static void call(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  host_call(L, 0, 0);
}

/* Forks a child that calls the function, and ends with its lua_State. */
static void spawn(lua_State *L, const char *name, const struct sockets *of_parent) {
  pid_t child = fork();
  if (child == -1)
    host_fail("no child");
  if (child > 0)
    return;
  lua_pushfstring(L, "%s-%d", name, (int)getpid());
  lua_setglobal(L, "who");
  call(L, name);
  lua_close(L);
  if (count_kept(of_parent) != 0)
    host_fail("the child that calls %s keeps a connection of its parent", name);
  exit(EXIT_SUCCESS);
}

/* Forks such children, and waits for all of them. */
static void spawn_all(lua_State *L, const char *const *names, size_t count) {
  struct sockets sockets;
  size_t i;
  int status;
  get_sockets(&sockets);
  if (sockets.count == 0)
    host_fail("the parent has no connection");
  for (i = 0; i < count; i++)
    spawn(L, names[i], &sockets);
  for (i = 0; i < count; i++)
    if (wait(&status) == -1 || status != 0)
      host_fail("a child failed");
  if (count_kept(&sockets) != sockets.count)
    host_fail("the parent has lost a connection");
}

int main(int argc, char **argv) {
  static const char *const idle[] = {"use", "close", "nothing", "collect", "use"};
  static const char *const busy[] = {"go_on_anew", "use", "close", "nothing", "collect"};
  struct sockets sockets;
  lua_State *L = luaL_newstate();
  get_sockets(&inherited);
  if (argc < 2 || L == NULL)
    host_fail("usage: host_fork URL [CA_FILE]");
  host_open(L);
  host_load(L, program);
  lua_pushstring(L, argv[1]);
  lua_pushstring(L, argv[2]);
  lua_pushcfunction(L, host_wait);
  host_call(L, 3, 0);
  call(L, "use");
  get_sockets(&sockets);
  spawn_all(L, idle, COUNT(idle));
  call(L, "use");
  call(L, "start");
  spawn_all(L, busy, COUNT(busy));
  call(L, "go_on_alone");
  call(L, "use");
  if (count_kept(&sockets) != sockets.count)
    host_fail("the parent did not go on over its connection");
  lua_close(L);
  printf("%zu children\n", COUNT(idle) + COUNT(busy));
  return EXIT_SUCCESS;
}
