/*
** host_torture.c: a host in which every single allocation fails once: Lua's, libcurl's, and the
** core's own. Each scenario runs with the n-th request for memory refused, for n = 1, 2, 3 and so
** on, until none is left to refuse. Each run must end in a clean error or in the whole answer; the same state
** must go on working; and when it is closed, every block must have been given back.
**
**   host_torture PORT    of a server on 127.0.0.1 that has 9 jobs, and no page 404
**
** The core's own allocations are met by linking with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free.
*/
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <time.h>

#include <curl/curl.h>

#include "host.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

void *__real_malloc(size_t size);
void *__real_calloc(size_t number, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t number, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

/* Whose memory it is; and of each, how many blocks there are, how many requests there were, which
** one is refused (0: none), and how many after it are, too. */
enum owner { OF_LUA, OF_LIBCURL, OF_CORE, OWNERS };

static struct meter { size_t blocks, requests, refused, further; } meters[OWNERS];

/* libcurl looks names up in a thread of its own */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int refuses(enum owner owner) {
  struct meter *meter = &meters[owner];
  int refused;
  pthread_mutex_lock(&mutex);
  meter->requests++;
  refused = meter->refused > 0 && meter->requests >= meter->refused &&
            meter->requests <= meter->refused + meter->further;
  pthread_mutex_unlock(&mutex);
  return refused;
}

static void count(enum owner owner, int blocks) {
  pthread_mutex_lock(&mutex);
  meters[owner].blocks += (size_t)blocks;
  pthread_mutex_unlock(&mutex);
}

static size_t count_blocks(enum owner owner) {
  size_t blocks;
  pthread_mutex_lock(&mutex);
  blocks = meters[owner].blocks;
  pthread_mutex_unlock(&mutex);
  return blocks;
}

static void start_meter(enum owner owner, size_t refused, size_t further) {
  pthread_mutex_lock(&mutex);
  meters[owner].requests = 0;
  meters[owner].refused = refused;
  meters[owner].further = further;
  pthread_mutex_unlock(&mutex);
}

/* Stops refusing; returns how many requests there were. */
static size_t stop_meter(enum owner owner) {
  size_t requests;
  pthread_mutex_lock(&mutex);
  requests = meters[owner].requests;
  meters[owner].refused = 0;
  pthread_mutex_unlock(&mutex);
  return requests;
}

static void *counted(enum owner owner, void *block) {
  count(owner, block != NULL);
  return block;
}

/* ---- the allocators ---- */

static void *lua_allocate(void *unused, void *block, size_t old_size, size_t size) {
  (void)unused;
  if (size == 0) {
    count(OF_LUA, -(block != NULL));
    __real_free(block);
    return NULL;
  }
  if (block != NULL && size <= old_size) /* Lua relies on it that a block can always shrink */
    return __real_realloc(block, size);
  if (refuses(OF_LUA))
    return NULL;
  return block != NULL ? __real_realloc(block, size) : counted(OF_LUA, __real_malloc(size));
}

static void *curl_malloc(size_t size) {
  return refuses(OF_LIBCURL) ? NULL : counted(OF_LIBCURL, __real_malloc(size));
}

static void *curl_calloc(size_t count, size_t size) {
  return refuses(OF_LIBCURL) ? NULL : counted(OF_LIBCURL, __real_calloc(count, size));
}

static void *curl_realloc(void *block, size_t size) {
  if (refuses(OF_LIBCURL))
    return NULL;
  return block != NULL ? __real_realloc(block, size) : counted(OF_LIBCURL, __real_malloc(size));
}

/*
** When libcurl 8.14 cannot start a look-up, it forgets the host's name (lib/asyn-thrdd.c,
** async_thrdd_init). So this name is never allocated there.
*/
static char host_name[] = "name.test"; /* see fresh() */

static int forgets_names(void) {
  return curl_version_info(CURLVERSION_NOW)->version_num >> 8 == 0x080e;
}

static char *curl_strdup(const char *text) {
  if (refuses(OF_LIBCURL))
    return NULL;
  if (strcmp(text, host_name) == 0 && forgets_names())
    return host_name;
  return counted(OF_LIBCURL, strdup(text));
}

static void curl_give_back(void *block) {
  if (block == host_name)
    return;
  count(OF_LIBCURL, -(block != NULL));
  __real_free(block);
}

void *__wrap_malloc(size_t size) {
  return refuses(OF_CORE) ? NULL : counted(OF_CORE, __real_malloc(size));
}

void *__wrap_calloc(size_t number, size_t size) {
  return refuses(OF_CORE) ? NULL : counted(OF_CORE, __real_calloc(number, size));
}

void *__wrap_realloc(void *block, size_t size) {
  if (refuses(OF_CORE))
    return NULL;
  return block != NULL ? __real_realloc(block, size) : counted(OF_CORE, __real_malloc(size));
}

void __wrap_free(void *block) {
  count(OF_CORE, -(block != NULL));
  __real_free(block);
}

/* ---- a name service ---- */

/* Every name is this machine's. libcurl asks for it in a thread of its own. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  struct {
    struct addrinfo info;
    struct sockaddr_in address;
  } *found = __real_calloc(1, sizeof(*found));
  (void)node;
  if (found == NULL)
    return EAI_MEMORY;
  found->address.sin_family = AF_INET;
  found->address.sin_port = htons((unsigned short)(service ? atoi(service) : 0));
  found->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  found->info.ai_family = AF_INET;
  found->info.ai_socktype = hints ? hints->ai_socktype : SOCK_STREAM;
  found->info.ai_addrlen = sizeof(found->address);
  found->info.ai_addr = (struct sockaddr *)&found->address;
  *result = &found->info;
  return 0;
}

void freeaddrinfo(struct addrinfo *info) {
  __real_free(info);
}

/* ---- the scenarios ---- */

static const char *const program =
    "port, wait = ...\n"
    "function open(options)\n"
    "  options.token = 'test-token'\n"
    "  return require('gradient').client(options)\n"
    "end\n"
    "function list(page)\n"
    "  local params = { per_page = 9, page = page }\n"
    "  local page, err = client.indexing_jobs.list(params, { max_retries = 0 })\n"
    "  return page and page.jobs, err\n"
    "end\n"
    "function each()\n"
    "  local jobs = {}\n"
    "  for job in client.indexing_jobs.each({ per_page = 3 }, { max_retries = 0 }) do\n"
    "    jobs[#jobs + 1] = job\n"
    "  end\n"
    "  return jobs\n"
    "end\n"
    "function missing()\n"
    "  return list(404)\n"
    "end\n"
    "function fresh()\n" /* with a name to look up, and the wait that blocks */
    "  local former = client\n"
    "  client = open{ base_url = 'http://name.test:' .. port, allow_http = true, proxy = '' }\n"
    "  former:close()\n"
    "  return list()\n"
    "end\n"
    /* What a scenario has come to: "whole", or the kind of a clean error. */
    "function judge(ok, jobs, err)\n"
    "  if not ok then jobs, err = nil, jobs end\n"
    "  if type(err) == 'string' and err:find('not enough memory$') then return 'memory' end\n"
    "  if jobs == nil then return type(err) == 'table' and err.kind or 'unclean: ' .. "
    "tostring(err),"
    "    tostring(err) end\n"
    "  local seen = {}\n"
    "  for _, job in ipairs(jobs) do\n"
    "    if job.uuid and job.created_at and job.status then seen[job.uuid] = true end\n"
    "  end\n"
    "  local count = 0\n"
    "  for _ in pairs(seen) do count = count + 1 end\n"
    "  return count == 9 and #jobs == 9 and 'whole' or 'a partial list'\n"
    "end\n"
    "client = open{ base_url = 'http://127.0.0.1:' .. port, wait = wait }\n";

static const char *const scenarios[] = {"list", "each", "missing", "fresh"};

/* Lua collects all garbage and asks again before it gives up. So a refused request is a test of a
** collection at that place, and one that is refused twice an error. */
static const struct kind {
  const char *name;
  enum owner owner;
  size_t further;
} kinds[] = {
    {"Lua", OF_LUA, 1},
    {"Lua (once)", OF_LUA, 0},
    {"libcurl", OF_LIBCURL, 0},
    {"core", OF_CORE, 0},
};

/* Runs that share a lua_State, since to load the module takes longer than a list. */
#define RUNS_OF_A_STATE 8

/* what has come out, and how often */
static struct outcome {
  char name[32];
  size_t times[COUNT(kinds)];
} outcomes[8];

static void note_outcome(const char *name, size_t kind) {
  size_t i = 0;
  while (i < COUNT(outcomes) - 1 && outcomes[i].name[0] && strcmp(outcomes[i].name, name) != 0)
    i++;
  snprintf(outcomes[i].name, sizeof(outcomes[i].name), "%s", name);
  outcomes[i].times[kind]++;
}

static lua_State *open_state(const char *port) {
  lua_State *L = lua_newstate(lua_allocate, NULL);
  if (L == NULL)
    host_fail("no lua_State");
  host_open(L);
  host_load(L, program);
  lua_pushstring(L, port);
  lua_pushcfunction(L, host_wait);
  host_call(L, 2, 0);
  return L;
}

/* Runs the scenario with the n-th request refused, 0 is none. Leaves the outcome's name and, of an
** error, its text on the stack. */
static const char *run(lua_State *L, const char *name, const struct kind *kind, size_t n,
                       size_t *requests) {
  int status;
  lua_settop(L, 0);
  lua_getglobal(L, "judge");
  lua_pushboolean(L, 1);
  lua_getglobal(L, name);
  start_meter(kind->owner, n, kind->further);
  status = lua_pcall(L, 0, 2, 0);
  *requests = stop_meter(kind->owner);
  if (status != LUA_OK) {
    lua_pushboolean(L, 0);
    lua_replace(L, 2);
    lua_pushnil(L);
  }
  host_call(L, 3, 2);
  return lua_tostring(L, 1);
}

static int is_clean(const char *name, const char *outcome) {
  const char *whole = strcmp(name, "missing") == 0 ? "not_found" : "whole";
  return strcmp(outcome, whole) == 0 || strcmp(outcome, "memory") == 0 ||
         strcmp(outcome, "connection") == 0;
}

/* Runs the scenario with the n-th request refused; returns whether there was one. */
static int torture(lua_State *L, const char *name, size_t k, size_t n) {
  const struct kind *kind = &kinds[k];
  size_t requests, ignored;
  const char *outcome = run(L, name, kind, n, &requests);
  if (!is_clean(name, outcome))
    host_fail("%s, %s, request %zu refused: %s (%s)", name, kind->name, n, outcome,
              luaL_tolstring(L, 2, NULL));
  note_outcome(outcome, k);
  outcome = run(L, "list", kind, 0, &ignored);
  if (strcmp(outcome, "whole") != 0)
    host_fail("%s, %s, request %zu refused: the next list is: %s (%s)", name, kind->name, n,
              outcome, luaL_tolstring(L, 2, NULL));
  return requests >= n;
}

/* Runs with the requests from n on refused, one in each, in one state; returns how many. What is
** libcurl's is looked at in the end: it keeps threads that look names up a little longer. */
static size_t torture_state(const char *port, const char *name, size_t k, size_t n) {
  size_t blocks[OWNERS], runs = 0;
  lua_State *L;
  int i;
  for (i = 0; i < OWNERS; i++)
    blocks[i] = count_blocks((enum owner)i);
  L = open_state(port);
  while (runs < RUNS_OF_A_STATE && torture(L, name, k, n + runs))
    runs++;
  lua_close(L);
  for (i = 0; i < OWNERS; i++)
    if (i != OF_LIBCURL && count_blocks((enum owner)i) != blocks[i])
      host_fail("%s, %s, requests from %zu on refused: of allocator %d %zu blocks, not %zu", name,
                kinds[k].name, n, i, meters[i].blocks, blocks[i]);
  return runs;
}

static void torture_all(const char *port, const char *name, size_t k) {
  size_t runs, n = 0;
  do {
    runs = torture_state(port, name, k, n + 1);
    n += runs;
  } while (runs == RUNS_OF_A_STATE);
  printf("%s: %s, each of %zu requests refused\n", name, kinds[k].name, n);
}

/* Loads the core with Lua's n-th request refused; returns whether there was one. */
static int torture_load(size_t n) {
  size_t blocks = count_blocks(OF_LUA), requests;
  lua_State *L = lua_newstate(lua_allocate, NULL);
  if (L == NULL)
    host_fail("no lua_State");
  lua_pushcfunction(L, luaopen_gradient_core);
  lua_pushvalue(L, -1);
  start_meter(OF_LUA, n, 1);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK && !strstr(lua_tostring(L, -1), "not enough memory"))
    host_fail("loading, request %zu refused: %s", n, lua_tostring(L, -1));
  requests = stop_meter(OF_LUA);
  lua_settop(L, 1);
  host_call(L, 0, 1);
  lua_close(L);
  if (count_blocks(OF_LUA) != blocks)
    host_fail("loading, request %zu refused: blocks are left", n);
  return requests >= n;
}

int main(int argc, char **argv) {
  static const struct timespec moment = {0, 1000000};
  size_t i, k, n = 1;
  if (argc != 2)
    host_fail("usage: host_torture PORT");
  if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, curl_give_back, curl_realloc,
                           curl_strdup, curl_calloc) != CURLE_OK)
    host_fail("libcurl does not start");
  while (torture_load(n))
    n++;
  printf("loading: Lua, each of %zu requests refused\n", n - 1);
  for (i = 0; i < COUNT(scenarios); i++)
    for (k = 0; k < COUNT(kinds); k++)
      torture_all(argv[1], scenarios[i], k);
  for (i = 0; i < COUNT(outcomes) && outcomes[i].name[0]; i++)
    for (k = 0; k < COUNT(kinds); k++)
      if (outcomes[i].times[k] > 0)
        printf("%s: %zu times \"%s\"\n", kinds[k].name, outcomes[i].times[k], outcomes[i].name);
  curl_global_cleanup();
  for (i = 0; i < 10000 && count_blocks(OF_LIBCURL) > 0; i++)
    nanosleep(&moment, NULL); /* its threads end */
  if (count_blocks(OF_LIBCURL) > 0)
    host_fail("%zu blocks of libcurl are left", meters[OF_LIBCURL].blocks);
  return EXIT_SUCCESS;
}
