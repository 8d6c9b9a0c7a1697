/*
** client.c: a client: its connections, the descriptors that libcurl wants watched, and what its
** requests have in common. It waits only in client:wait, for programs without an event loop.
** https://curl.se/libcurl/c/libcurl-multi.html ("multi_socket")
**
** Connections live in pools, one CURLM each. A request joins the first pool that has room: for each
** request libcurl goes through all connections of its CURLM, so thousands of them need several. A
** pool whose connections cannot be trusted is retired: no request joins it, those in it go on, and
** its connections close with the last of these. So no later request goes over a connection that
** fell silent, or that has brought something nobody asked for.
*/
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <lauxlib.h>

#include "transfer.h"

/* Steps that libcurl wants at once are taken at once, but at most so many in a row, and none after
** so many bytes of answers: an event loop has other things to do. The last step may bring 3.2 MB
** more, because libcurl fills its buffer up to 100 times in one; of a compressed answer, max_body. */
#define MAX_EAGER_STEPS 8
#define MAX_EAGER_BYTES ((size_t)1024 * 1024)

/* transfers that share a pool: as many as an HTTP/2 server commonly allows on one connection */
#define POOL_SIZE 100

/* easy handles that are kept for requests to come, and how often one is used: libcurl before 8.20
** counts the stale connections that a handle has met, and gives up after five */
#define MAX_SPARE 4
#define MAX_USES  5

/* CURLOPT_QUICK_EXIT (7.87) and CURLMOPT_QUICK_EXIT (8.20): a silent name server must not delay a
** close. By number, since the program may run with a libcurl that is newer than these headers; an
** older one ignores them. */
#define QUICK_EXIT_EASY  ((CURLoption)322)
#define QUICK_EXIT_MULTI ((CURLMoption)21)

static const char client_type[] = "gradient.client";
static const char loan_type[] = "gradient.loan";

/* a descriptor to be watched: a socket of libcurl's, or the client's own pipe */
struct watch {
  struct client *client;         /* NULL once the client has let go of it */
  struct pool *pool;             /* whose connection it is; NULL for the client's pipe */
  struct transfer *owner;        /* for which libcurl watches it */
  struct watch *next_owned;      /* the next one of that transfer */
  struct watch *previous, *next; /* in one of the pool's lists */
  int fd;                        /* as libcurl, or the client, knows it */
  int out;                       /* what is lent: `fd`, or a duplicate; -1: none so far */
  int loans;                     /* that hold it: an event loop watches it */
  short events;                  /* POLLIN | POLLOUT: what libcurl waits for; 0 while idle */
  int ours;                      /* opened by open_socket: it is closed by close_socket */
  int common;                    /* libcurl watches it for itself, not for one transfer */
  int multiplexed;               /* HTTP/2: frames may come while it is idle */
};

/* some connections */
struct pool {
  CURLM *multi;
  struct client *client;
  struct pool *next;
  struct transfer *transfers;  /* those that run */
  int running;                 /* how many these are */
  struct watch *active, *idle; /* descriptors that libcurl waits for, or does not */
  int common;                  /* how many of the active ones are `common` */
  unsigned long acts;          /* how often libcurl was called to work */
  int retired;
  int broken;   /* libcurl gave up on it (no memory for a callback) */
  int selected; /* scratch: the current call is for some of its transfers */
};

struct client {
  struct pool *pools;
  struct transfer_defaults defaults;
  struct {
    CURL *easy;
    int uses;
  } spare_easy[MAX_SPARE];
  int spares;
  int running;           /* transfers */
  struct watch **by_fd;  /* the watched descriptors by number */
  int fds;               /* how many numbers there is room for */
  struct pollfd *polled; /* scratch for poll(2), with room for every watch */
  size_t watches, room;
  struct watch *wake; /* a pipe, readable while a transfer has ended that others wait for */
  int wake_writer;
  int announced;   /* how many such transfers there are */
  size_t received; /* bytes of answers, since the latest step began */
  struct spare spare;
  char *authorities; /* PEM, as long as libcurl needs it */
  pid_t process;     /* whose connections these are */
  int closed;
};

/* ---- SIGPIPE ---- */

/* For calls of libcurl that may write to a socket: a peer that is gone must not kill the host
** (CURLOPT_NOSIGNAL leaves that to us). */
struct sigpipe {
  sigset_t mask;
  int was_pending;
};

static int is_sigpipe_pending(sigset_t *pipe_only) {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  sigemptyset(pipe_only);
  sigaddset(pipe_only, SIGPIPE);
  return sigismember(&pending, SIGPIPE) == 1;
}

static void sigpipe_hold(struct sigpipe *guard) {
  sigset_t pipe_only;
  guard->was_pending = is_sigpipe_pending(&pipe_only);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &guard->mask);
}

static void sigpipe_release(const struct sigpipe *guard) {
  static const struct timespec at_once = {0, 0};
  sigset_t pipe_only;
  int saved = errno;
  if (is_sigpipe_pending(&pipe_only) && !guard->was_pending)
    (void)sigtimedwait(&pipe_only, NULL, &at_once);
  pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
  errno = saved;
}

/* ---- descriptors ---- */

static struct watch *find_watch(const struct client *c, int fd) {
  return fd >= 0 && fd < c->fds ? c->by_fd[fd] : NULL;
}

static struct watch **list_of(const struct watch *w) {
  return w->events != 0 ? &w->pool->active : &w->pool->idle;
}

static void link_watch(struct watch *w) {
  struct watch **list = list_of(w);
  w->previous = NULL;
  w->next = *list;
  if (*list != NULL)
    (*list)->previous = w;
  *list = w;
}

static void unlink_watch(struct watch *w) {
  if (w->previous != NULL)
    w->previous->next = w->next;
  else
    *list_of(w) = w->next;
  if (w->next != NULL)
    w->next->previous = w->previous;
}

/* Notes what libcurl waits for. */
static void set_events(struct watch *w, short events) {
  if ((w->events != 0) == (events != 0)) {
    w->events = events;
    return;
  }
  unlink_watch(w);
  w->events = events;
  link_watch(w);
}

static void disown_watch(struct watch *w) {
  struct watch **at;
  if (w->owner == NULL)
    return;
  for (at = &w->owner->watches; *at != w; at = &(*at)->next_owned)
    ;
  *at = w->next_owned;
  w->owner = NULL;
}

static void own_watch(struct transfer *t, struct watch *w) {
  if (w->owner == t)
    return;
  disown_watch(w);
  w->owner = t;
  w->next_owned = t->watches;
  t->watches = w;
}

static void set_common(struct watch *w, int common) {
  if (w->pool != NULL)
    w->pool->common += common - w->common;
  w->common = common;
}

/* Makes room for one more watch and its number; 0 when there is no memory. */
static int reserve_watch(struct client *c, int fd) {
  if (fd >= c->fds) {
    int fds = c->fds > 0 ? c->fds : 64;
    struct watch **by_fd;
    while (fd >= fds)
      fds *= 2;
    by_fd = realloc(c->by_fd, (size_t)fds * sizeof(struct watch *));
    if (by_fd == NULL)
      return 0;
    memset(by_fd + c->fds, 0, (size_t)(fds - c->fds) * sizeof(struct watch *));
    c->by_fd = by_fd;
    c->fds = fds;
  }
  if (c->watches == c->room) {
    size_t room = c->room > 0 ? 2 * c->room : 8;
    struct pollfd *polled = realloc(c->polled, room * sizeof(*polled));
    if (polled == NULL)
      return 0;
    c->polled = polled;
    c->room = room;
  }
  return 1;
}

/* A new watch, idle, of a pool or (NULL) of the client itself; NULL when there is no memory. */
static struct watch *add_watch(struct client *c, struct pool *pool, int fd) {
  struct watch *w = reserve_watch(c, fd) ? malloc(sizeof(*w)) : NULL;
  if (w == NULL)
    return NULL;
  memset(w, 0, sizeof(*w));
  w->client = c;
  w->pool = pool;
  w->fd = w->out = fd;
  c->by_fd[fd] = w;
  c->watches++;
  if (pool != NULL)
    link_watch(w);
  return w;
}

static void free_watch(struct watch *w) {
  if (w->out != -1)
    close(w->out);
  free(w);
}

/* Removes a watch that the client and libcurl no longer need. While an event loop watches it, it
** stays open, so that no new socket gets its number; the end of the connection wakes the loop,
** which then gives it back. */
static void remove_watch(struct watch *w) {
  int is_own = w->client->process == getpid(); /* a forked child must not end its parent's */
  disown_watch(w);
  set_common(w, 0);
  if (w->pool != NULL)
    unlink_watch(w);
  w->client->by_fd[w->fd] = NULL;
  w->client->watches--;
  w->client = NULL;
  if (w->loans == 0)
    free_watch(w);
  else if (is_own)
    (void)shutdown(w->out, SHUT_RDWR);
}

/* ---- libcurl's callbacks: no Lua in here ---- */

/* A new socket that no child of the host's inherits. */
static int new_socket(const struct curl_sockaddr *address) {
#ifdef SOCK_CLOEXEC
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
  int fd = socket(address->family, address->socktype, address->protocol);
  if (fd != -1)
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

/* CURLOPT_OPENSOCKETFUNCTION */
static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
  struct pool *pool = userdata;
  int fd = new_socket(address);
  struct watch *w = fd != -1 ? add_watch(pool->client, pool, fd) : NULL;
  (void)purpose;
  if (w == NULL) {
    if (fd != -1)
      close(fd);
    return CURL_SOCKET_BAD;
  }
  w->ours = 1;
  return fd;
}

/* CURLOPT_CLOSESOCKETFUNCTION */
static int close_socket(void *userdata, curl_socket_t fd) {
  struct watch *w = find_watch(userdata, fd);
  if (w == NULL)
    return close(fd);
  remove_watch(w);
  return 0;
}

/* The transfer that an easy handle belongs to; NULL for a handle that is libcurl's own. */
static struct transfer *transfer_of(CURL *easy) {
  char *bytes = NULL;
  void *t;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &bytes);
  t = bytes;
  return t;
}

/* CURLMOPT_SOCKETFUNCTION: what libcurl waits for from now on. A descriptor that it opened itself
** (for a name look-up) it also closes itself, so only a duplicate of it may be lent. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *unused) {
  struct pool *pool = userdata;
  struct watch *w = find_watch(pool->client, fd);
  struct transfer *owner;
  (void)unused;
  if (what == CURL_POLL_REMOVE) {
    if (w != NULL && w->ours)
      set_events(w, 0);
    else if (w != NULL)
      remove_watch(w);
    return 0;
  }
  if (w == NULL) {
    w = add_watch(pool->client, pool, fd);
    if (w == NULL)
      return -1;
    w->out = -1;
  }
  owner = transfer_of(easy);
  set_common(w, owner == NULL);
  if (owner != NULL)
    own_watch(owner, w);
  set_events(w, (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0)));
  return 0;
}

/* ---- which descriptors ---- */

/* The transfers that a call from Lua is for: those in the table at `index`, or all without one. */
struct selection {
  lua_State *L;
  int index;
  lua_Integer count; /* -1: all */
};

static struct transfer *selected(const struct selection *s, lua_Integer i) {
  struct transfer *t;
  lua_rawgeti(s->L, s->index, i);
  t = transfer_check(s->L, -1);
  lua_pop(s->L, 1);
  return t;
}

/* Reads the selection, and marks its transfers and their pools until `unselect`. */
static struct selection select_transfers(lua_State *L, const struct client *c, int index) {
  struct selection s;
  lua_Integer i;
  s.L = L;
  s.index = index;
  s.count = -1;
  if (lua_isnoneornil(L, index))
    return s;
  luaL_checktype(L, index, LUA_TTABLE);
  s.count = (lua_Integer)lua_rawlen(L, index);
  for (i = 1; i <= s.count; i++)
    if (selected(&s, i)->spare != &c->spare)
      luaL_argerror(L, index, "a transfer of another client");
  for (i = 1; i <= s.count; i++) {
    struct transfer *t = selected(&s, i);
    t->selected = 1;
    if (t->pool != NULL)
      t->pool->selected = 1;
  }
  return s;
}

static void unselect(const struct client *c, const struct selection *s) {
  struct pool *pool;
  lua_Integer i;
  for (i = 1; i <= s->count; i++)
    selected(s, i)->selected = 0;
  for (pool = c->pools; pool != NULL; pool = pool->next)
    pool->selected = 0;
}

static size_t poll_too(struct client *c, size_t n, const struct watch *w, short events) {
  if (n == c->watches) /* a transfer was named twice */
    return n;
  c->polled[n].fd = w->fd;
  c->polled[n].events = events;
  c->polled[n].revents = 0;
  return n + 1;
}

/* Does it share its connection with other transfers? Then it has no descriptor of its own, and
** watches all except those of others' name look-ups. */
static int is_sharing(const struct transfer *t) {
  const struct watch *w;
  if (t->easy == NULL || !t->may_share)
    return 0;
  for (w = t->watches; w != NULL; w = w->next_owned)
    if (w->events != 0)
      return 0;
  return 1;
}

/* Fills c->polled with the descriptors of the selected transfers, and with those that libcurl
** watches for itself in their pools; returns how many. */
static size_t collect(struct client *c, const struct selection *s) {
  size_t n = 0;
  lua_Integer i;
  int all = s->count == -1, sharing = 0;
  const struct pool *pool;
  const struct watch *w;
  for (i = 1; i <= s->count && !sharing; i++)
    sharing = is_sharing(selected(s, i));
  for (pool = c->pools; pool != NULL; pool = pool->next)
    for (w = all || (pool->selected && (sharing || pool->common > 0)) ? pool->active : NULL;
         w != NULL; w = w->next)
      if (all || w->common || (sharing && (w->ours || (w->owner != NULL && w->owner->selected))))
        n = poll_too(c, n, w, w->events);
  for (i = 1; i <= s->count && !sharing; i++)
    for (w = selected(s, i)->watches; w != NULL; w = w->next_owned)
      if (w->events != 0 && !w->common)
        n = poll_too(c, n, w, w->events);
  return n;
}

/* ---- the pipe that wakes those who wait ---- */

static void wake(struct client *c) {
  char byte = 0;
  ssize_t done = -1;
  if (c->wake == NULL)
    return;
  do
    done = write(c->wake_writer, &byte, 1);
  while (done == -1 && errno == EINTR);
}

static void drain(struct client *c) {
  char bytes[64];
  ssize_t got;
  if (c->wake == NULL)
    return;
  do
    got = read(c->wake->fd, bytes, sizeof(bytes));
  while (got > 0 || (got == -1 && errno == EINTR));
}

static void close_wake(struct client *c) {
  if (c->wake == NULL)
    return;
  if (c->process == getpid()) /* not the parent's, whose pipe it is, too */
    wake(c);                  /* a child may hold an end, and then closing ours wakes nobody */
  close(c->wake_writer);
  remove_watch(c->wake);
  c->wake = NULL;
}

/* A pipe whose ends block nobody and are not inherited; 0 when there is none. */
static int new_pipe(int ends[2]) {
#ifdef __linux__
  return pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0;
#else
  int i;
  if (pipe(ends) == -1)
    return 0;
  for (i = 0; i < 2; i++) {
    (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  return 1;
#endif
}

/* Opens the pipe. Without one, those who wait find out a little later. */
static void open_wake(struct client *c) {
  int ends[2];
  if (c->wake != NULL || !new_pipe(ends))
    return;
  c->wake = add_watch(c, NULL, ends[0]);
  if (c->wake == NULL) {
    close(ends[0]);
    close(ends[1]);
    return;
  }
  c->wake->events = POLLIN;
  c->process = getpid();
  c->wake_writer = ends[1];
  if (c->announced > 0)
    wake(c);
}

/* A transfer has ended: wakes those who wait for it elsewhere. If nobody does, nobody would drain
** the pipe, and all others would spin. */
static void announce(struct client *c, struct transfer *t) {
  if (t->waiters == 0 || t->announced)
    return;
  t->announced = 1;
  c->announced++;
  if (c->announced == 1)
    wake(c);
}

/* Nobody waits for it any more. */
static void withdraw(struct client *c, struct transfer *t) {
  if (!t->announced)
    return;
  t->announced = 0;
  c->announced--;
  if (c->announced == 0)
    drain(c);
}

/* ---- the life of a transfer ---- */

static void join_pool(struct pool *pool, struct transfer *t) {
  t->pool = pool;
  t->added = pool->acts;
  t->next = pool->transfers;
  if (t->next != NULL)
    t->next->previous = t;
  pool->transfers = t;
  pool->running++;
  pool->client->running++;
}

static void leave_pool(struct transfer *t) {
  if (t->previous != NULL)
    t->previous->next = t->next;
  else
    t->pool->transfers = t->next;
  if (t->next != NULL)
    t->next->previous = t->previous;
  t->previous = t->next = NULL;
  t->pool->running--;
  t->pool->client->running--;
  t->pool = NULL;
}

/* Keeps the easy handle of a transfer for another request, or frees it. Only one that went over a
** connection which was there: libcurl 8.14 loses memory when a handle looks a second name up. */
static void keep_easy(struct client *c, struct transfer *t) {
  long connections = 0;
  curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connections);
  if (t->code == CURLE_OK && connections == 0 && !t->has_body && t->uses < MAX_USES && !c->closed &&
      c->spares < MAX_SPARE) {
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL); /* it goes with its transfer */
    c->spare_easy[c->spares].easy = t->easy;
    c->spare_easy[c->spares++].uses = t->uses;
  } else
    curl_easy_cleanup(t->easy);
  t->easy = NULL;
}

/* Ends a transfer that is with libcurl. */
static void end_transfer(struct client *c, struct transfer *t, CURLcode code) {
  struct sigpipe guard;
  transfer_finish(t, code);
  if (t->pool->acts == t->added) /* libcurl had no chance to send it */
    t->sent = 0;
  sigpipe_hold(&guard);
  curl_multi_remove_handle(t->pool->multi, t->easy);
  while (t->watches != NULL) {
    t->watches->multiplexed |= t->multiplexed;
    disown_watch(t->watches);
  }
  keep_easy(c, t);
  sigpipe_release(&guard);
  curl_slist_free_all(t->headers);
  t->headers = NULL;
  leave_pool(t);
  announce(c, t);
}

/* ---- pools ---- */

/* Opens a pool; NULL when libcurl cannot. */
static struct pool *open_pool(struct client *c) {
  struct pool *pool = calloc(1, sizeof(*pool));
  if (pool == NULL)
    return NULL;
  pool->multi = curl_multi_init();
  if (pool->multi == NULL) {
    free(pool);
    return NULL;
  }
  (curl_multi_setopt)(pool->multi, QUICK_EXIT_MULTI, 1L);
  curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, (void *)pool);
  pool->client = c;
  c->process = getpid();
  return pool;
}

/* Removes what libcurl did not mention when it closed the pool. */
static void forget_watches(struct watch *w) {
  while (w != NULL) {
    struct watch *next = w->next;
    if (w->ours)
      w->out = -1; /* that number is not open any more */
    remove_watch(w);
    w = next;
  }
}

/* Closes the pool at *at: ends its transfers, as failed connections or (without a failure) as
** closed by the program, and closes its connections. */
static void close_pool(struct client *c, struct pool **at, const char *failure) {
  struct pool *pool = *at;
  struct sigpipe guard;
  while (pool->transfers != NULL) {
    struct transfer *t = pool->transfers;
    t->closed = failure == NULL;
    end_transfer(c, t, CURLE_ABORTED_BY_CALLBACK);
    if (failure != NULL)
      transfer_explain(t, failure);
  }
  sigpipe_hold(&guard);
  curl_multi_cleanup(pool->multi);
  sigpipe_release(&guard);
  forget_watches(pool->active);
  forget_watches(pool->idle);
  *at = pool->next;
  free(pool);
}

/* May the next request join it? */
static int has_room(const struct pool *pool) {
  return !pool->retired && pool->running < POOL_SIZE;
}

/* Closes the pools that are not needed. An empty one keeps its connections for the next request,
** unless that would join an earlier one. */
static void sweep(struct client *c) {
  struct pool **at = &c->pools;
  int others = 0; /* earlier ones that have room */
  while (*at != NULL) {
    const struct pool *pool = *at;
    if (pool->broken)
      close_pool(c, at, "libcurl ran out of memory");
    else if (pool->running == 0 && (pool->retired || others > 0))
      close_pool(c, at, NULL);
    else {
      others += has_room(pool);
      at = &(*at)->next;
    }
  }
}

/* Has something come on an idle connection of the pool that nobody asked for: a second answer, a
** last message, its end? HTTP/2 is different: libcurl handles the frames that come while it is
** idle. */
static int is_unsound(struct client *c, const struct pool *pool) {
  size_t n = 0;
  const struct watch *w;
  int ready = 0;
  for (w = pool->idle; w != NULL; w = w->next)
    if (!w->multiplexed)
      n = poll_too(c, n, w, POLLIN);
  if (n > 0)
    do
      ready = poll(c->polled, (nfds_t)n, 0);
    while (ready == -1 && errno == EINTR);
  return ready > 0;
}

/* The pool for the next request; NULL when none can be opened. Connections that are not sound are
** closed first, since descriptors may be short. */
static struct pool *find_pool(struct client *c) {
  struct pool **at;
  for (;;) {
    sweep(c);
    for (at = &c->pools; *at != NULL && !has_room(*at); at = &(*at)->next)
      ;
    if (*at == NULL)
      *at = open_pool(c);
    if (*at == NULL || !is_unsound(c, *at))
      return *at;
    (*at)->retired = 1;
  }
}

/* In a forked child the connections are still the parent's: a last message of TLS or HTTP/2 on them
** would end the parent's, so they become /dev/null before libcurl may write to them. */
static void disown_sockets(struct client *c) {
  int fd, null;
  if ((c->pools == NULL && c->wake == NULL) || c->process == getpid())
    return;
  null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (fd = 0; fd < c->fds; fd++)
    if (c->by_fd[fd] != NULL && c->by_fd[fd]->ours && (null == -1 || dup2(null, fd) == -1))
      close(fd);
  if (null != -1)
    close(null);
  close_wake(c);
  while (c->pools != NULL)
    close_pool(c, &c->pools, "the process forked while the request was under way");
}

/* ---- options ---- */

#if LIBCURL_VERSION_NUM >= 0x074d00

/* Reads a whole file into c->authorities; its length, or 0 when it cannot be read. */
static size_t read_authorities(struct client *c, const char *name) {
  FILE *file = fopen(name, "rb");
  long length = 0;
  if (file == NULL)
    return 0;
  if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0)
    c->authorities = malloc((size_t)length);
  if (c->authorities == NULL || fread(c->authorities, (size_t)length, 1, file) != 1)
    length = 0;
  (void)fclose(file);
  return (size_t)length;
}

#endif

/* The authorities are read now, because a host may confine itself (chroot) before the first call. A
** file that cannot be read, or not by this TLS library, is left to libcurl: each call reports it.
** https://curl.se/libcurl/c/CURLOPT_CAINFO_BLOB.html */
static void set_authorities(lua_State *L, struct client *c, CURLcode *code) {
  if (lua_getfield(L, 1, "ca_file") != LUA_TNIL) {
    const char *name = luaL_checkstring(L, -1);
    CURLcode taken = CURLE_UNKNOWN_OPTION;
#if LIBCURL_VERSION_NUM >= 0x074d00
    struct curl_blob blob;
    blob.len = read_authorities(c, name);
    blob.data = c->authorities;
    blob.flags = CURL_BLOB_NOCOPY;
    if (blob.len > 0)
      taken = curl_easy_setopt(c->defaults.easy, CURLOPT_CAINFO_BLOB, &blob);
#endif
    if (taken != CURLE_OK)
      note(code, curl_easy_setopt(c->defaults.easy, CURLOPT_CAINFO, name));
    (void)curl_easy_setopt(c->defaults.easy, CURLOPT_CAPATH, NULL); /* these, and no others */
  }
  lua_pop(L, 1);
}

/* http and https, and nothing else, whatever a URL says */
static CURLcode set_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
  return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* Options that the build of libcurl may lack: a failure is no error. */
static void set_preferences(CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
#if LIBCURL_VERSION_NUM >= 0x074000
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
#endif
  (curl_easy_setopt)(easy, QUICK_EXIT_EASY, 1L);
}

/* The proxy is set for each request, since handles are used again. */
static void set_proxy(lua_State *L, struct client *c) {
  if (lua_getfield(L, 1, "proxy") != LUA_TNIL) {
    size_t length;
    const char *proxy = luaL_checklstring(L, -1, &length);
    c->defaults.proxy = malloc(length + 1);
    if (c->defaults.proxy == NULL)
      out_of_memory(L);
    else
      memcpy(c->defaults.proxy, proxy, length + 1);
  }
  lua_pop(L, 1);
}

/* What all requests of the client have in common. */
static CURLcode set_defaults(lua_State *L, struct client *c) {
  CURL *easy = c->defaults.easy;
  CURLcode code = set_protocols(easy);
  set_preferences(easy);
  note(&code, curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L)); /* the host's SIGALRM is the host's */
  note(&code, curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L));
  note(&code, curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2));
  note(&code, curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "")); /* all that it was built with */
  note(&code, curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 32L * 1024));
  note(&code, curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket));
  note(&code, curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket));
  note(&code, curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, (void *)c));
  if (lua_getfield(L, 1, "user_agent") != LUA_TNIL)
    note(&code, curl_easy_setopt(easy, CURLOPT_USERAGENT, luaL_checkstring(L, -1)));
  lua_pop(L, 1);
  set_proxy(L, c);
  set_authorities(L, c, &code);
  return code;
}

/* Appends the strings of the option `name` to a list of header lines. */
static void set_lines(lua_State *L, const char *name, struct curl_slist **list) {
  lua_Integer i;
  if (lua_getfield(L, 1, name) == LUA_TTABLE)
    for (i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
      append_header(L, list, -1);
      lua_pop(L, 1);
    }
  lua_settop(L, 2);
}

int client_new(lua_State *L) {
  struct client *c;
  CURLcode code;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  c = type_create(L, client_type, sizeof(*c), 0);
  c->defaults.easy = curl_easy_init();
  if (c->defaults.easy == NULL)
    return out_of_memory(L);
  code = set_defaults(L, c);
  if (code == CURLE_OUT_OF_MEMORY)
    return out_of_memory(L);
  if (code != CURLE_OK)
    return luaL_error(L, "libcurl refuses an option: %s", curl_easy_strerror(code));
  set_lines(L, "headers", &c->defaults.headers); /* in C, so that no Lua table holds the token */
  set_lines(L, "secret", &c->defaults.headers);
  set_lines(L, "secret", &c->defaults.secret);
  return 1;
}

/* ---- what Lua sees: loans ---- */

static struct client *check_client(lua_State *L) {
  return type_check(L, 1, client_type);
}

/* Descriptors that are lent to an event loop, and the transfers that it waits for. However the wait
** ends, a loan returns them by itself. Its user values keep the client and the transfers alive. */
struct loan {
  struct client *client; /* NULL once it is returned */
  size_t watches, transfers;
  void *items[]; /* the watches, then the transfers */
};

static struct transfer *lent_transfer(const struct loan *loan, size_t i) {
  return loan->items[loan->watches + i];
}

/* Adds a watch to the loan; not when descriptors are short, so that a step finds out a little
** later. */
static void lend_watch(struct loan *loan, struct watch *w) {
  if (w->out == -1)
    w->out = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
  if (w->out == -1)
    return;
  loan->items[loan->watches++] = w;
  w->loans++;
}

/* loan:close(): returns the descriptors; also __gc and __close. Any number of times. */
static int loan_close(lua_State *L) {
  struct loan *loan = type_check(L, 1, loan_type);
  struct client *c = loan->client;
  size_t i;
  if (c == NULL)
    return 0;
  disown_sockets(c); /* a forked child must not drain its parent's pipe */
  loan->client = NULL;
  for (i = 0; i < loan->transfers; i++) {
    struct transfer *t = lent_transfer(loan, i);
    t->waiters--;
    if (t->waiters == 0)
      withdraw(c, t);
  }
  for (i = 0; i < loan->watches; i++) {
    struct watch *w = loan->items[i];
    w->loans--;
    if (w->loans == 0 && w->client == NULL)
      free_watch(w);
  }
  return 0;
}

/* loan:fds() → a new sequence of {fd = integer, events = "r" | "w" | "rw"}, the caller's own */
static int loan_fds(lua_State *L) {
  static const char *const names[] = {"r", "r", "w", "rw"};
  const struct loan *loan = type_check(L, 1, loan_type);
  size_t i;
  lua_createtable(L, (int)loan->watches, 0);
  for (i = 0; i < loan->watches && loan->client != NULL; i++) {
    const struct watch *w = loan->items[i];
    const char *events = names[(w->events & POLLIN ? 1 : 0) + (w->events & POLLOUT ? 2 : 0)];
    lua_pushinteger(L,
                    w->out); /* before there is a table to make: a finalizer may return the loan */
    lua_createtable(L, 0, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "fd");
    lua_pushstring(L, events);
    lua_setfield(L, -2, "events");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* Puts into the loan what the selected transfers wait for, at most `room` descriptors. */
static void fill_loan(struct loan *loan, size_t room, struct client *c, const struct selection *s) {
  size_t i, n = collect(c, s);
  loan->client = c;
  for (i = 0; i < n && loan->watches < room; i++)
    lend_watch(loan, find_watch(c, c->polled[i].fd));
  if (c->wake != NULL && loan->watches < room)
    lend_watch(loan, c->wake);
  while ((lua_Integer)loan->transfers < s->count) {
    struct transfer *t = selected(s, (lua_Integer)loan->transfers + 1);
    loan->items[loan->watches + loan->transfers++] = t;
    t->waiters++;
    if (t->easy == NULL) /* it ended just now, by a finalizer's step */
      announce(c, t);
  }
}

/* client:lend([transfers]) → loan
** What to wait for before the next step: the sockets of these transfers (a sequence; all without
** one), and a pipe that tells when one of them has ended during another's step. None of the
** descriptors is closed before the loan is: a closed connection becomes ready instead. */
static int client_lend(lua_State *L) {
  struct client *c = check_client(L);
  struct selection s = select_transfers(L, c, 2);
  struct loan *loan;
  size_t i, room, transfers = s.count > 0 ? (size_t)s.count : 0;
  disown_sockets(c);
  if (!c->closed)
    open_wake(c);
  room = collect(c, &s) + 8; /* and some for what may be opened meanwhile */
  unselect(c, &s);
  lua_settop(L, 2);
  lua_createtable(L, (int)transfers, 0); /* a copy: what is in it must stay */
  for (i = 1; i <= transfers; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i);
    lua_rawseti(L, 3, (lua_Integer)i);
  }
  loan = type_create(L, loan_type, sizeof(*loan) + (room + transfers) * sizeof(loan->items[0]), 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 2);
  if (c->closed) /* perhaps by a finalizer, while memory was allocated */
    return 1;
  s = select_transfers(L, c, s.count == -1 ? 5 : 3); /* nothing raises from here on */
  fill_loan(loan, room, c, &s);
  unselect(c, &s);
  return 1;
}

/* ---- what Lua sees: clients ---- */

static int push_closed(lua_State *L) {
  luaL_pushfail(L);
  lua_pushliteral(L, "closed");
  lua_pushliteral(L, "the client was closed");
  return 3;
}

/* client:send(request) → transfer; nil, "closed", message when the client is closed
** request: url (string); and, optional: method (string, "GET"), headers (sequence of strings as
** CURLOPT_HTTPHEADER takes them, instead of the client's), anonymous (boolean: with these headers
** alone, without the client's secret ones), body (string), connect_timeout (seconds, 5), max_body
** (bytes, 64 MiB), proxy (string, "" for none), fresh (boolean: not over a connection that was used
** before). Raises for a request that libcurl does not take, and when memory is short. */
static int client_send(lua_State *L) {
  struct client *c = check_client(L);
  struct transfer *t;
  struct pool *pool;
  luaL_checktype(L, 2, LUA_TTABLE);
  t = type_create(L, transfer_type, sizeof(*t), 1);
  t->received = &c->received;
  t->spare = &c->spare;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  if (c->closed) /* perhaps by a finalizer, just now */
    return push_closed(L);
  if (c->spares > 0) {
    t->easy = c->spare_easy[--c->spares].easy;
    t->uses = c->spare_easy[c->spares].uses;
  }
  t->uses++;
  transfer_prepare(L, t, &c->defaults, 2);
  if (c->closed) /* by a finalizer, while Lua values were read */
    return push_closed(L);
  disown_sockets(c);
  pool = find_pool(c);
  if (pool == NULL || curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, (void *)pool) != CURLE_OK ||
      curl_multi_add_handle(pool->multi, t->easy) != CURLM_OK)
    return out_of_memory(L);
  join_pool(pool, t);
  return 1;
}

static void act(struct pool *pool, curl_socket_t fd, int events) {
  int running;
  pool->acts++;
  if (!pool->broken && curl_multi_socket_action(pool->multi, fd, events, &running) > CURLM_OK)
    pool->broken = 1;
}

/* Lets libcurl act on the selected descriptors that are ready; 0 when none is. Acting on one may
** close others. */
static int act_on_sockets(struct client *c, const struct selection *s) {
  size_t i, n = collect(c, s);
  if (n == 0 || poll(c->polled, (nfds_t)n, 0) <= 0)
    return 0;
  for (i = 0; i < n; i++) {
    short got = c->polled[i].revents;
    int events = (got & POLLIN ? CURL_CSELECT_IN : 0) | (got & POLLOUT ? CURL_CSELECT_OUT : 0);
    const struct watch *w = got != 0 ? find_watch(c, c->polled[i].fd) : NULL;
    if (got & (POLLERR | POLLHUP | POLLNVAL))
      events |= CURL_CSELECT_IN | CURL_CSELECT_ERR;
    if (w != NULL && w->pool != NULL)
      act(w->pool, w->fd, events);
  }
  return 1;
}

static int may_go_on(const struct client *c) {
  return c->received < MAX_EAGER_BYTES;
}

/* Lets libcurl act on its timers, and on what it has to do at once. */
static void act_on_timers(const struct client *c, int all) {
  struct pool *pool;
  for (pool = c->pools; pool != NULL; pool = pool->next) {
    long ms = all || pool->selected ? 0 : -1;
    int steps;
    for (steps = 0; steps < MAX_EAGER_STEPS && ms == 0 && !pool->broken && may_go_on(c); steps++) {
      act(pool, CURL_SOCKET_TIMEOUT, 0);
      if (curl_multi_timeout(pool->multi, &ms) != CURLM_OK)
        ms = -1;
    }
  }
}

/* Ends the transfers that libcurl is done with. */
static void finish_transfers(struct client *c, int all) {
  const struct pool *pool;
  for (pool = c->pools; pool != NULL; pool = pool->next) {
    const CURLMsg *message;
    int left;
    while ((all || pool->selected) && (message = curl_multi_info_read(pool->multi, &left)) != NULL)
      end_transfer(c, transfer_of(message->easy_handle), message->data.result);
  }
}

/* client:step([transfers]) → number of transfers that still run; never blocks
** With transfers (a sequence), it looks only at their sockets, so that thousands of coroutines,
** each with a transfer of its own, do not do one another's work; without them, at all sockets. */
static int client_step(lua_State *L) {
  struct client *c = check_client(L);
  struct selection s = select_transfers(L, c, 2);
  struct sigpipe guard;
  int steps = 0, all = s.count == -1;
  disown_sockets(c);
  c->received = 0;
  if (c->running > 0) {
    sigpipe_hold(&guard);
    (void)act_on_sockets(c, &s);
    do /* a connection may be there at once, so that the request can go */
      act_on_timers(c, all);
    while (++steps < MAX_EAGER_STEPS && may_go_on(c) && act_on_sockets(c, &s));
    sigpipe_release(&guard);
    finish_transfers(c, all);
  }
  unselect(c, &s);
  sweep(c);
  lua_pushinteger(L, c->running);
  return 1;
}

/* client:timeout([transfers]) → seconds after which libcurl wants a step for these (a sequence), or
** for any, even if nothing happens; nil: never */
static int client_timeout(lua_State *L) {
  struct client *c = check_client(L);
  struct selection s = select_transfers(L, c, 2);
  const struct pool *pool;
  long least = -1;
  if (c->pools != NULL && c->process != getpid())
    least = 0; /* what runs ends here and now */
  for (pool = c->pools; pool != NULL && least != 0; pool = pool->next) {
    long ms = -1;
    if (pool->running > 0 && (s.count == -1 || pool->selected) &&
        curl_multi_timeout(pool->multi, &ms) == CURLM_OK && ms >= 0 && (least == -1 || ms < least))
      least = ms;
  }
  unselect(c, &s);
  if (least == -1)
    luaL_pushfail(L);
  else
    lua_pushnumber(L, (lua_Number)least / 1000);
  return 1;
}

/* client:wait(seconds): blocks until one of the sockets is ready, a signal came (so that Ctrl-C
** ends a script), or the seconds are over */
static int client_wait(lua_State *L) {
  struct client *c = check_client(L);
  lua_Number seconds = luaL_checknumber(L, 2);
  struct selection all = {L, 0, -1};
  size_t n;
  int ms = 0;
  disown_sockets(c);
  n = collect(c, &all);
  if (seconds >= INT_MAX / 1000)
    ms = INT_MAX;
  else if (seconds > 0)
    ms = (int)(seconds * 1000) + 1; /* rounded up, or the caller would have to wait once more */
  (void)poll(c->polled, (nfds_t)n, ms);
  return 0;
}

/* client:close(): ends all transfers and connections; also __gc and __close. Idempotent. */
static int client_close(lua_State *L) {
  struct client *c = check_client(L);
  c->closed = 1;
  disown_sockets(c);
  close_wake(c);
  while (c->pools != NULL)
    close_pool(c, &c->pools, NULL);
  while (c->spares > 0)
    curl_easy_cleanup(c->spare_easy[--c->spares].easy);
  curl_easy_cleanup(c->defaults.easy);
  curl_slist_free_all(c->defaults.headers);
  curl_slist_free_all(c->defaults.secret);
  free(c->defaults.proxy);
  memset(&c->defaults, 0, sizeof(c->defaults));
  spare_close(&c->spare);
  free(c->by_fd);
  free(c->polled);
  free(c->authorities);
  c->by_fd = NULL;
  c->polled = NULL;
  c->authorities = NULL;
  c->fds = 0;
  c->room = 0;
  return 0;
}

static int client_tostring(lua_State *L) {
  const struct client *c = check_client(L);
  if (c->closed)
    lua_pushliteral(L, "gradient.client (closed)");
  else
    lua_pushfstring(L, "gradient.client (%d running)", c->running);
  return 1;
}

/* ---- what Lua sees: the end of a transfer, which is between the client and libcurl ---- */

/* Is it with libcurl? In a forked child it ends here and now. */
static int is_running(const struct transfer *t) {
  if (t->pool != NULL)
    disown_sockets(t->pool->client);
  return t->pool != NULL;
}

/* transfer:close(): ends it, if it still runs, and frees what it holds; also __close */
static int close_transfer(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  if (t->easy != NULL || t->code == CURLE_OK)
    t->closed = 1;
  if (is_running(t))
    end_transfer(t->pool->client, t, CURLE_ABORTED_BY_CALLBACK);
  curl_easy_cleanup(t->easy); /* NULL, unless it was never sent */
  t->easy = NULL;
  transfer_free(t);
  return 0;
}

/* __gc: a decoding that seems to go on was ended by an error. */
static int collect_transfer(lua_State *L) {
  transfer_check(L, 1)->decoding = 0;
  return close_transfer(L);
}

/* transfer:expire(message): ends a transfer whose time is over, with the code "timeout" unless an
** answer outside 2xx is there. A connection that took the request and brought nothing back may be
** dead: its pool is retired, so that the next request goes over a new one. */
static int expire_transfer(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  const char *message = luaL_checkstring(L, 2);
  if (is_running(t)) {
    struct pool *pool = t->pool;
    struct client *c = pool->client;
    end_transfer(c, t, CURLE_OPERATION_TIMEDOUT);
    pool->retired |= t->sent && t->head.length == 0;
    transfer_explain(t, message);
    sweep(c);
  }
  return 0;
}

/* ---- registration ---- */

static const luaL_Reg client_methods[] = {{"send", client_send}, {"step", client_step},
                                          {"lend", client_lend}, {"timeout", client_timeout},
                                          {"wait", client_wait}, {"close", client_close},
                                          {NULL, NULL}};

static const luaL_Reg loan_methods[] = {{"fds", loan_fds}, {"close", loan_close}, {NULL, NULL}};

static const luaL_Reg transfer_methods[] = {
    {"close", close_transfer}, {"expire", expire_transfer}, {NULL, NULL}};

void client_register(lua_State *L) {
  type_new(L, client_type, client_close, client_close);
  lua_pushcfunction(L, client_tostring);
  lua_setfield(L, -2, "__tostring");
  luaL_newlib(L, client_methods);
  lua_setfield(L, -2, "__index");
  type_new(L, loan_type, loan_close, loan_close);
  luaL_newlib(L, loan_methods);
  lua_setfield(L, -2, "__index");
  type_new(L, transfer_type, close_transfer, collect_transfer);
  transfer_register(L);
  luaL_setfuncs(L, transfer_methods, 0);
  lua_pop(L, 4);
}
