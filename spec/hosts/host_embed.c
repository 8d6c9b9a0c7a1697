/*
** host_embed.c: a C program with an event loop of its own, plain poll(2), that lists indexing jobs:
** three pages at the same time, each in a coroutine. The module never waits: its `wait` option is a
** C function that yields to the loop what there is to wait for.
**
**   cc host_embed.c $(pkg-config --cflags --libs lua5.4) -lm
**   DIGITALOCEAN_ACCESS_TOKEN=… ./a.out
*/
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define TASKS 3

static const char *const program =
    "local wait = ...\n"
    "local client = require('gradient').client{ wait = wait }\n"
    "return function(number)\n"
    "  local page, err = client.indexing_jobs.list{ page = number, per_page = 5 }\n"
    "  if not page then error(err, 0) end\n"
    "  for _, job in ipairs(page.jobs) do print(number, job.uuid, job.status) end\n"
    "end\n";

/* A coroutine. While it waits, its stack holds what `wait` was called with: fds, seconds. */
struct task {
  lua_State *thread; /* NULL when it has ended */
  double due;        /* when the seconds are over */
  nfds_t first, end; /* where its fds are among those that are polled */
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* wait(fds, seconds): back to the loop; returns to Lua when the loop resumes the coroutine */
static int yield_to_loop(lua_State *L) {
  lua_settop(L, 2);
  return lua_yield(L, 2);
}

/* Lets the coroutine run, with the `count` arguments on its stack, until it waits or ends. */
static void resume(struct task *task, int count) {
  lua_State *thread = task->thread;
  int results;
  switch (lua_resume(thread, NULL, count, &results)) {
  case LUA_YIELD: task->due = now() + lua_tonumber(thread, -1); return;
  case LUA_OK: break;
  default: fprintf(stderr, "%s\n", luaL_tolstring(thread, -1, NULL));
  }
  task->thread = NULL;
}

/* Adds what the task waits for; `polled` grows as needed. */
static void add_fds(struct task *task, struct pollfd **polled, nfds_t *count) {
  lua_State *thread = task->thread;
  lua_Integer i, more = luaL_len(thread, -2);
  *polled = realloc(*polled, (*count + (nfds_t)more + 1) * sizeof(**polled));
  if (!*polled)
    abort();
  task->first = *count;
  for (i = 1; i <= more; i++) {
    struct pollfd *p = &(*polled)[(*count)++];
    const char *events;
    lua_geti(thread, -2, i);
    lua_getfield(thread, -1, "fd");
    lua_getfield(thread, -2, "events"); /* "r", "w" or "rw" */
    events = lua_tostring(thread, -1);
    p->fd = (int)lua_tointeger(thread, -2);
    p->events = (short)((strchr(events, 'r') ? POLLIN : 0) | (strchr(events, 'w') ? POLLOUT : 0));
    p->revents = 0;
    lua_pop(thread, 3);
  }
  task->end = *count;
}

/* Is one of its descriptors ready, or are its seconds over? */
static int is_ready(const struct task *task, const struct pollfd *polled) {
  nfds_t i;
  for (i = task->first; i < task->end; i++)
    if (polled[i].revents)
      return 1;
  return now() >= task->due;
}

/* Runs the tasks until all have ended. Another program would wait for its own descriptors here,
** too, and do its own work. */
static void loop(struct task *tasks) {
  struct pollfd *polled = NULL;
  for (;;) {
    nfds_t count = 0;
    double due = HUGE_VAL, seconds;
    int i;
    for (i = 0; i < TASKS; i++)
      if (tasks[i].thread) {
        add_fds(&tasks[i], &polled, &count);
        due = fmin(due, tasks[i].due);
      }
    if (due == HUGE_VAL)
      break;
    seconds = fmax(due - now(), 0);
    poll(polled, count, (int)ceil(seconds * 1000));
    for (i = 0; i < TASKS; i++)
      if (tasks[i].thread && is_ready(&tasks[i], polled)) {
        lua_pop(tasks[i].thread, 2); /* fds, seconds */
        resume(&tasks[i], 0);
      }
  }
  free(polled);
}

int main(void) {
  struct task tasks[TASKS];
  lua_State *L = luaL_newstate();
  int i;
  luaL_openlibs(L);
  luaL_loadstring(L, program);
  lua_pushcfunction(L, yield_to_loop);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    return EXIT_FAILURE;
  }
  for (i = 0; i < TASKS; i++) {
    tasks[i].thread = lua_newthread(L); /* L's stack keeps it from being collected */
    lua_pushvalue(L, 1);
    lua_xmove(L, tasks[i].thread, 1);
    lua_pushinteger(tasks[i].thread, i + 1);
    resume(&tasks[i], 1);
  }
  loop(tasks);
  lua_close(L);
  return EXIT_SUCCESS;
}
