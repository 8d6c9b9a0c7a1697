/*
** client.c: a client: one CURLM with its connections, the sockets that it wants watched, and what
** its requests have in common. It never waits but in client:wait, which is what a program gets
** that has no event loop of its own.
** https://curl.se/libcurl/c/libcurl-multi.html ("multi_socket")
*/
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <lauxlib.h>

#include "transfer.h"

#define CLIENT_TYPE "gradient.client"

/* Steps that libcurl asks for at once are taken at once, but not more than these in a row: a host
** with an event loop has other things to do. */
#define MAX_EAGER_STEPS 8

/* a socket of libcurl's */
struct watch {
  curl_socket_t fd;
  short events;        /* POLLIN | POLLOUT: what libcurl waits for; 0 while it is idle */
  int ours;            /* opened by open_socket, known until close_socket */
  int lent;            /* how many times client:fds has it out: an event loop watches it */
  int doomed;          /* libcurl has closed it; we do when nobody has it any more */
  unsigned long owner; /* serial of the transfer it was last watched for */
};

struct client {
  struct transfers transfers;
  struct transfer_defaults defaults;
  struct watch *watches;
  struct pollfd *polled; /* scratch for poll(2), as long as `watches` */
  size_t count, capacity;
  int broken; /* libcurl gave up on the CURLM (no memory for a callback) */
  int closed;
};

/* which sockets a call is about: those of the transfers among its arguments, or all */
struct selection {
  lua_State *L;
  int first, last; /* stack indices of the transfers; none: all sockets */
  int shared;      /* one of them shares its connection with transfers of other callers */
};

/* ---- the table of sockets ---- */

static struct watch *find_watch(struct client *c, curl_socket_t fd) {
  size_t i;
  for (i = 0; i < c->count; i++)
    if (c->watches[i].fd == fd)
      return &c->watches[i];
  return NULL;
}

/* Makes room for one more; 0 when there is no memory. */
static int grow_watches(struct client *c) {
  size_t capacity = c->capacity ? 2 * c->capacity : 8;
  struct watch *watches = realloc(c->watches, capacity * sizeof *watches);
  struct pollfd *polled;
  if (!watches)
    return 0;
  c->watches = watches;
  polled = realloc(c->polled, (capacity + 1) * sizeof *polled);
  if (!polled)
    return 0;
  c->polled = polled;
  c->capacity = capacity;
  return 1;
}

/* The entry of `fd`, made when there is none; NULL when there is no memory. */
static struct watch *add_watch(struct client *c, curl_socket_t fd) {
  struct watch *w = find_watch(c, fd);
  if (w)
    return w;
  if (c->count == c->capacity && !grow_watches(c))
    return NULL;
  w = &c->watches[c->count++];
  memset(w, 0, sizeof *w);
  w->fd = fd;
  return w;
}

static void remove_watch(struct client *c, struct watch *w) {
  *w = c->watches[--c->count];
}

/* ---- libcurl's callbacks: no Lua in here ---- */

/* CURLOPT_OPENSOCKETFUNCTION: no child of the host's shall inherit a connection */
static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
  struct client *c = userdata;
  struct watch *w;
  int fd = socket(address->family, address->socktype, address->protocol);
  (void)purpose;
  if (fd == -1)
    return CURL_SOCKET_BAD;
  w = add_watch(c, fd);
  if (!w || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) {
    if (w)
      remove_watch(c, w);
    close(fd);
    return CURL_SOCKET_BAD;
  }
  w->ours = 1;
  return fd;
}

/* CURLOPT_CLOSESOCKETFUNCTION. An event loop must not be left with a number that the next socket
** may get: it is woken by the end of the connection, and gives the descriptor back. */
static int close_socket(void *userdata, curl_socket_t fd) {
  struct client *c = userdata;
  struct watch *w = find_watch(c, fd);
  if (w && w->lent) {
    w->doomed = 1;
    w->events = 0;
    (void)shutdown(fd, SHUT_RDWR);
    return 0;
  }
  if (w)
    remove_watch(c, w);
  return close(fd);
}

/* CURLMOPT_SOCKETFUNCTION: what libcurl wants to know of a socket from now on */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *unused) {
  struct client *c = userdata;
  const struct transfer *t = transfer_of(easy);
  struct watch *w = what == CURL_POLL_REMOVE ? find_watch(c, fd) : add_watch(c, fd);
  (void)unused;
  if (!w)
    return what == CURL_POLL_REMOVE ? 0 : -1;
  if (what == CURL_POLL_REMOVE && !w->ours)
    remove_watch(c, w);
  else {
    w->owner = t ? transfer_serial(t) : 0;
    w->events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
  }
  return 0;
}

/* ---- which sockets ---- */

/* Does the transfer have sockets of its own? One that joined an HTTP/2 connection has none. */
static int owns_watch(const struct client *c, unsigned long serial) {
  size_t i;
  for (i = 0; i < c->count; i++)
    if (c->watches[i].events && c->watches[i].owner == serial)
      return 1;
  return 0;
}

/* The transfers among the arguments from `first` on. */
static struct selection select_transfers(lua_State *L, const struct client *c, int first) {
  struct selection s;
  int i;
  s.L = L;
  s.first = first;
  s.last = lua_gettop(L);
  s.shared = 0;
  for (i = first; i <= s.last; i++) {
    const struct transfer *t = transfer_check(L, i);
    s.shared |= transfer_may_share(t) && !owns_watch(c, transfer_serial(t));
  }
  return s;
}

/* Whoever shares a connection watches all of them. What libcurl made for a name look-up is only for
** its owner: libcurl closes it without asking. */
static int is_selected(const struct selection *s, const struct watch *w) {
  int i;
  if (!w->events)
    return 0;
  if (s->last < s->first || (s->shared && w->ours))
    return 1;
  for (i = s->first; i <= s->last; i++)
    if (transfer_serial(transfer_check(s->L, i)) == w->owner)
      return 1;
  return 0;
}

/* Fills c->polled with the selected sockets; returns how many. */
static nfds_t collect(struct client *c, const struct selection *s) {
  nfds_t n = 0;
  size_t i;
  for (i = 0; i < c->count; i++)
    if (is_selected(s, &c->watches[i])) {
      c->polled[n].fd = c->watches[i].fd;
      c->polled[n].events = c->watches[i].events;
      c->polled[n++].revents = 0;
    }
  return n;
}

/* ---- the CURLM ---- */

/* Opens the CURLM; 0 when libcurl cannot. */
static int open_multi(struct client *c) {
  CURLM *multi = curl_multi_init();
  if (!multi)
    return 0;
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, (void *)c);
  c->transfers.multi = multi;
  c->transfers.process = getpid();
  c->broken = 0;
  return 1;
}

/* Ends what runs (see transfers_release) and lets all connections go. */
static void close_multi(struct client *c, const char *failure) {
  struct sigpipe guard;
  size_t i = 0;
  transfers_release(&c->transfers, failure);
  if (c->transfers.multi) {
    sigpipe_hold(&guard);
    curl_multi_cleanup(c->transfers.multi);
    sigpipe_release(&guard);
    c->transfers.multi = NULL;
  }
  while (i < c->count)
    if (c->watches[i].doomed)
      i++;
    else
      remove_watch(c, &c->watches[i]);
}

static void close_wake(struct client *c) {
  int i;
  for (i = 0; i < 2; i++)
    if (c->transfers.wake[i] != -1) {
      close(c->transfers.wake[i]);
      c->transfers.wake[i] = -1;
    }
}

/* In a forked child the connections are still the parent's: a farewell of TLS or HTTP/2 on them
** would end the parent's, so they become /dev/null before libcurl may write to them. */
static void disown_sockets(struct transfers *all) {
  struct client *c = (struct client *)(void *)all; /* its first member */
  size_t i;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (i = 0; i < c->count; i++)
    if (c->watches[i].ours) {
      if (null != -1)
        dup2(null, c->watches[i].fd);
      else
        close(c->watches[i].fd);
      c->watches[i].ours = 0;
    }
  if (null != -1)
    close(null);
}

/* Brings the client into a usable state; 0 when libcurl cannot give it a CURLM. */
static int make_ready(struct client *c) {
  if (c->transfers.multi && c->transfers.process != getpid()) {
    disown_sockets(&c->transfers);
    close_wake(c);
    close_multi(c, "the process forked while the request was under way");
  }
  if (c->broken)
    close_multi(c, "libcurl ran out of memory");
  return c->transfers.multi || open_multi(c);
}

/* ---- options ---- */

static void set_string(lua_State *L, CURL *easy, CURLoption option, const char *name,
                       CURLcode *code) {
  if (lua_getfield(L, 1, name) != LUA_TNIL && *code == CURLE_OK)
    *code = curl_easy_setopt(easy, option, luaL_checkstring(L, -1));
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

/* What libcurl does not do by itself, and its build may lack: no failure is an error here. */
static void set_preferences(CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
#if LIBCURL_VERSION_NUM >= 0x074000
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700 /* a name server that is silent must not hold up a close */
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* What all requests of the client have in common. */
static CURLcode set_defaults(lua_State *L, struct client *c) {
  CURL *easy = c->defaults.easy;
  CURLcode code = set_protocols(easy);
  set_preferences(easy);
  if (code == CURLE_OK) /* no signals: the host's SIGALRM is the host's */
    code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  if (code == CURLE_OK)
    code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  if (code == CURLE_OK)
    code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (code == CURLE_OK) /* all that libcurl was built with */
    code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  if (code == CURLE_OK)
    code = curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L * 1024);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, (void *)c);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, (void *)c);
  set_string(L, easy, CURLOPT_USERAGENT, "user_agent", &code);
  set_string(L, easy, CURLOPT_PROXY, "proxy", &code);
  set_string(L, easy, CURLOPT_CAINFO, "ca_file", &code);
  return code;
}

/* The header lines of every request: here, so that no Lua table holds the token. */
static void set_headers(lua_State *L, struct client *c) {
  lua_Integer i;
  if (lua_getfield(L, 1, "headers") == LUA_TTABLE)
    for (i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
      struct curl_slist *longer = curl_slist_append(c->defaults.headers, lua_tostring(L, -1));
      if (!longer)
        luaL_error(L, "not enough memory");
      c->defaults.headers = longer;
      lua_pop(L, 1);
    }
}

int client_new(lua_State *L) {
  struct client *c;
  CURLcode code;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  c = lua_newuserdatauv(L, sizeof *c, 0);
  memset(c, 0, sizeof *c);
  c->transfers.wake[0] = c->transfers.wake[1] = -1;
  c->transfers.disown = disown_sockets;
  luaL_setmetatable(L, CLIENT_TYPE);
  c->defaults.easy = curl_easy_init();
  if (!c->defaults.easy || !open_multi(c))
    return luaL_error(L, "not enough memory");
  code = set_defaults(L, c);
  if (code == CURLE_OUT_OF_MEMORY)
    return luaL_error(L, "not enough memory");
  if (code != CURLE_OK)
    return luaL_error(L, "libcurl refuses an option: %s", curl_easy_strerror(code));
  set_headers(L, c);
  lua_settop(L, 2);
  return 1;
}

/* ---- what Lua sees ---- */

static struct client *check_client(lua_State *L) {
  return luaL_checkudata(L, 1, CLIENT_TYPE);
}

/* client:send(request) → transfer; nil, "closed", message when the client is closed
** request: url (string); and, optional: method (string, "GET"), headers (sequence of strings as
** CURLOPT_HTTPHEADER takes them), body (string), timeout and connect_timeout (seconds, 60 and 5),
** max_body (bytes, 64 MiB), proxy (string, "" for none), fresh (boolean: not over a connection that
** was used before), anonymous (boolean: without the client's headers). Raises for a request that libcurl does not take, and when memory is short. */
static int client_send(lua_State *L) {
  struct client *c = check_client(L);
  struct transfer *t;
  luaL_checktype(L, 2, LUA_TTABLE);
  t = transfer_new(L, 1); /* before the look at `closed`: a finalizer may close the client */
  if (c->closed) {
    luaL_pushfail(L);
    lua_pushliteral(L, "closed");
    lua_pushliteral(L, "the client was closed");
    return 3;
  }
  if (!make_ready(c))
    return luaL_error(L, "not enough memory");
  transfer_send(L, t, &c->transfers, &c->defaults, 2);
  return 1;
}

/* Notes which transfers libcurl is through with. Those that the caller did not step for learn of it
** by the wake pipe. */
static void finish_transfers(struct client *c, const struct selection *s) {
  const CURLMsg *message;
  int left, i;
  while ((message = curl_multi_info_read(c->transfers.multi, &left)) != NULL) {
    struct transfer *t = transfer_of(message->easy_handle);
    int mine = s->last < s->first;
    transfer_finish(t, message->data.result);
    for (i = s->first; i <= s->last && !mine; i++)
      mine = transfer_check(s->L, i) == t;
    if (!mine)
      transfer_announce(t);
  }
}

static void act(struct client *c, curl_socket_t fd, int events) {
  int running;
  if (curl_multi_socket_action(c->transfers.multi, fd, events, &running) > CURLM_OK)
    c->broken = 1;
}

/* Lets libcurl act on the selected sockets that are ready; 0 when none is. */
static int act_on_sockets(struct client *c, const struct selection *s) {
  nfds_t i, n = collect(c, s);
  if (n == 0 || poll(c->polled, n, 0) <= 0)
    return 0;
  for (i = 0; i < n && !c->broken; i++) {
    short got = c->polled[i].revents;
    int events = (got & POLLIN ? CURL_CSELECT_IN : 0) | (got & POLLOUT ? CURL_CSELECT_OUT : 0);
    if (got & (POLLERR | POLLHUP | POLLNVAL))
      events |= CURL_CSELECT_IN | CURL_CSELECT_ERR;
    if (events)
      act(c, c->polled[i].fd, events);
  }
  return 1;
}

/* Lets libcurl act on its timers, and on what it has to do at once. */
static void act_on_timers(struct client *c) {
  long ms = 0;
  int steps;
  for (steps = 0; steps < MAX_EAGER_STEPS && ms == 0 && !c->broken; steps++) {
    act(c, CURL_SOCKET_TIMEOUT, 0);
    if (curl_multi_timeout(c->transfers.multi, &ms) != CURLM_OK)
      ms = -1;
  }
}

/* client:step(transfer…) → number of transfers still running; never blocks
** With transfers, only their sockets are looked after, so that thousands of coroutines, each with a
** transfer of its own, do not do one another's work; without, all. */
static int client_step(lua_State *L) {
  struct client *c = check_client(L);
  struct selection s = select_transfers(L, c, 2);
  struct sigpipe guard;
  if (c->transfers.running > 0 && make_ready(c)) {
    int steps = 0;
    sigpipe_hold(&guard);
    (void)act_on_sockets(c, &s);
    do /* a connection may be there at once, so that the request can go */
      act_on_timers(c);
    while (++steps < MAX_EAGER_STEPS && !c->broken && act_on_sockets(c, &s));
    sigpipe_release(&guard);
    finish_transfers(c, &s);
    if (c->broken)
      close_multi(c, "libcurl ran out of memory");
  }
  lua_pushinteger(L, c->transfers.running);
  return 1;
}

static void push_fd(lua_State *L, lua_Integer position, int fd, const char *events) {
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, fd);
  lua_setfield(L, -2, "fd");
  lua_pushstring(L, events);
  lua_setfield(L, -2, "events");
  lua_rawseti(L, -2, position);
}

/* Opens the wake pipe; 0 when it cannot be had. */
static int open_wake(struct client *c) {
  int i;
  if (c->transfers.wake[0] != -1)
    return 1;
  if (pipe(c->transfers.wake) == -1) {
    c->transfers.wake[0] = c->transfers.wake[1] = -1;
    return 0;
  }
  for (i = 0; i < 2; i++) {
    fcntl(c->transfers.wake[i], F_SETFD, FD_CLOEXEC);
    fcntl(c->transfers.wake[i], F_SETFL, O_NONBLOCK);
  }
  if (c->transfers.unclaimed > 0)
    transfers_wake(&c->transfers, 1);
  return 1;
}

/* client:fds(transfer…) → sequence of {fd = integer, events = "r" | "w" | "rw"}
** What to wait for before the next step: the sockets of these transfers (without any: all), and a
** pipe that tells when one of them has ended during another's step. None of them is closed before
** client:give_back gets the sequence. */
static int client_fds(lua_State *L) {
  static const char *const names[] = {"", "r", "w", "rw"};
  struct client *c = check_client(L);
  struct selection s = select_transfers(L, c, 2);
  lua_Integer position = 0;
  struct pollfd *lent;
  nfds_t i, n, room;
  int argument;
  for (argument = s.first; argument <= s.last; argument++)
    transfer_await(transfer_check(L, argument));
  lua_newtable(L);
  if (c->closed || !make_ready(c))
    return 1;
  if (open_wake(c))
    push_fd(L, ++position, c->transfers.wake[0], "r");
  room = (nfds_t)c->count;
  lent = lua_newuserdatauv(L, (room + 1) * sizeof *lent, 0);
  lua_insert(L, -2);
  n = collect(c, &s);
  if (n > room)
    n = room;
  for (i = 0; i < n; i++) { /* all of them first: tables may have a finalizer run, for anything */
    struct watch *w = find_watch(c, c->polled[i].fd);
    lent[i] = c->polled[i];
    if (w)
      w->lent++;
  }
  for (i = 0; i < n; i++) {
    short events = lent[i].events;
    push_fd(L, ++position, lent[i].fd,
            names[(events & POLLIN ? 1 : 0) + (events & POLLOUT ? 2 : 0)]);
  }
  return 1;
}

/* client:give_back(fds): the descriptors that client:fds returned are watched no longer */
static int client_give_back(lua_State *L) {
  struct client *c = check_client(L);
  lua_Integer i, count;
  luaL_checktype(L, 2, LUA_TTABLE);
  count = luaL_len(L, 2);
  for (i = 1; i <= count; i++) {
    struct watch *w;
    lua_geti(L, 2, i);
    lua_getfield(L, -1, "fd");
    w = find_watch(c, (curl_socket_t)lua_tointeger(L, -1));
    lua_pop(L, 2);
    if (w && w->lent && --w->lent == 0 && w->doomed) {
      close(w->fd);
      remove_watch(c, w);
    }
  }
  return 0;
}

/* client:timeout() → seconds after which libcurl wants a step whatever happens; nil: never */
static int client_timeout(lua_State *L) {
  struct client *c = check_client(L);
  long ms = -1;
  if (c->transfers.running == 0 || !make_ready(c))
    return 0;
  if (c->transfers.running == 0) /* they ended here and now: the process has forked */
    ms = 0;
  else if (curl_multi_timeout(c->transfers.multi, &ms) != CURLM_OK || ms < 0)
    return 0;
  lua_pushnumber(L, (lua_Number)ms / 1000);
  return 1;
}

/* client:wait(seconds): blocks until one of the sockets is ready, a signal came (so that Ctrl-C
** ends a script), or the seconds are over */
static int client_wait(lua_State *L) {
  struct client *c = check_client(L);
  lua_Number seconds = luaL_checknumber(L, 2);
  struct selection all = {L, 3, 2, 0};
  nfds_t n = c->closed || !make_ready(c) ? 0 : collect(c, &all);
  int ms = 0;
  if (seconds >= INT_MAX / 1000)
    ms = INT_MAX;
  else if (seconds > 0)
    ms = (int)(seconds * 1000) + 1; /* up: early is a round too many */
  (void)poll(c->polled, n, ms);
  return 0;
}

/* client:wake(): lets everybody return who waits for client:fds() */
static int client_wake(lua_State *L) {
  transfers_wake(&check_client(L)->transfers, 1);
  return 0;
}

/* client:close(): ends all transfers and connections; also __gc and __close. Idempotent. */
static int client_close(lua_State *L) {
  struct client *c = check_client(L);
  c->closed = 1;
  if (c->transfers.multi && c->transfers.process != getpid())
    disown_sockets(&c->transfers);
  close_multi(c, NULL);
  close_wake(c);
  curl_easy_cleanup(c->defaults.easy);
  curl_slist_free_all(c->defaults.headers);
  memset(&c->defaults, 0, sizeof c->defaults);
  while (c->count) { /* nobody will give these back */
    close(c->watches[0].fd);
    remove_watch(c, &c->watches[0]);
  }
  free(c->watches);
  free(c->polled);
  c->watches = NULL;
  c->polled = NULL;
  c->capacity = 0;
  return 0;
}

static int client_tostring(lua_State *L) {
  const struct client *c = check_client(L);
  if (c->closed)
    lua_pushliteral(L, "gradient.core.client (closed)");
  else
    lua_pushfstring(L, "gradient.core.client (%d running)", c->transfers.running);
  return 1;
}

static const luaL_Reg methods[] = {
    {"send", client_send},           {"step", client_step},   {"fds", client_fds},
    {"timeout", client_timeout},     {"wait", client_wait},   {"wake", client_wake},
    {"give_back", client_give_back}, {"close", client_close}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", client_close},
    {"__close", client_close},
    {"__tostring", client_tostring},
    {NULL, NULL},
};

void client_register(lua_State *L) {
  luaL_newmetatable(L, CLIENT_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
