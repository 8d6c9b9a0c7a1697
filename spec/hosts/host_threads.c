/*
** host_threads.c: a host with threads, each with a lua_State and clients of its own, that list at
** the same time, from the very first use of libcurl on. Every answer is checked.
**
**   host_threads URL LISTS [CA_FILE]    LISTS of each thread; of a server with 50 jobs or more that
**                                       accepts the tokens token-1, token-2 and token-3
**
** Each request says in its query which client it comes from, so that the server's log tells whether
** it came with that client's token.
*/
#include <pthread.h>

#include "host.h"

#define THREADS 8

static const char *const program =
    "local url, lists, ca_file = ...\n"
    "local gradient = require 'gradient'\n"
    "local clients = {}\n"
    "for i = 1, 3 do\n"
    "  clients[i] = gradient.client{ base_url = url, ca_file = ca_file, token = 'token-' .. i }\n"
    "end\n"
    "local pages = {}\n"
    "for i = 0, lists - 1 do\n"
    "  local number, who = i % 10 + 1, i % 3 + 1\n"
    "  local page = assert(clients[who].indexing_jobs.list({ page = number, per_page = 5 },\n"
    "    { query = { who = who } }))\n"
    "  local uuids = {}\n"
    "  for position, job in ipairs(page.jobs) do uuids[position] = job.uuid end\n"
    "  local text = table.concat(uuids, ' ')\n"
    "  assert(#uuids == 5 and page.meta.page == number, 'not the page that was asked for')\n"
    "  assert(not pages[number] or pages[number] == text, 'another page than before')\n"
    "  pages[number] = text\n"
    "end\n"
    "return table.concat(pages, '\\n')\n";

/*
** OpenSSL is not compiled for ThreadSanitizer, which so cannot see its atomic operations, but does
** see its calls of memcpy and the like.
*/
const char *__tsan_default_suppressions(void) {
  return "called_from_lib:libcrypto.so\n";
}

struct worker {
  pthread_t thread;
  const char *url, *ca_file;
  lua_Integer lists;
  char *uuids; /* of all jobs, as this thread got them */
};

static pthread_barrier_t start;

static void *work(void *argument) {
  struct worker *worker = argument;
  lua_State *L = luaL_newstate();
  if (L == NULL)
    host_fail("no lua_State");
  host_open(L);
  host_load(L, program);
  lua_pushstring(L, worker->url);
  lua_pushinteger(L, worker->lists);
  lua_pushstring(L, worker->ca_file);
  pthread_barrier_wait(&start);
  host_call(L, 3, 1);
  worker->uuids = strdup(lua_tostring(L, -1));
  lua_close(L);
  return NULL;
}

int main(int argc, char **argv) {
  struct worker workers[THREADS];
  int i;
  if (argc < 3)
    host_fail("usage: host_threads URL LISTS [CA_FILE]");
  pthread_barrier_init(&start, NULL, THREADS);
  for (i = 0; i < THREADS; i++) {
    workers[i].url = argv[1];
    workers[i].lists = atol(argv[2]);
    workers[i].ca_file = argv[3];
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
      host_fail("no thread");
  }
  for (i = 0; i < THREADS; i++)
    pthread_join(workers[i].thread, NULL);
  for (i = 1; i < THREADS; i++)
    if (strcmp(workers[i].uuids, workers[0].uuids) != 0)
      host_fail("two threads do not agree");
  for (i = 0; i < THREADS; i++)
    free(workers[i].uuids);
  pthread_barrier_destroy(&start);
  printf("%d threads, %s lists each\n", THREADS, argv[2]);
  return EXIT_SUCCESS;
}
