/*
** fuzz_answer.c: a libFuzzer target for what a server may answer. A fake server on the loopback
** interface sends the input, in the same thread as the client that reads it: it is served whenever
** the client waits. The first byte of the input says how the connection ends, the second one where
** the answer is cut in two; the others are what is sent. This must hold for every input:
** - `list` returns a page, or an error of a documented kind, in one line.
** - The next `list` of the same client gets its own answer, whatever was left on the connection.
** - No descriptor and, as the sanitizers see, no memory is left when the client is closed.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lualib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int luaopen_gradient_core(lua_State *L);

/* how the connection ends once all is sent: at once, by a reset, when the client has waited for more
** in vain, or by the client's time-out */
enum ending { END_CLOSE, END_RESET, END_LATE, END_NEVER };

#define MAX_PEERS 8
#define PATIENCE  3    /* waits in vain, of a millisecond each, before END_LATE */
#define TOO_LONG  2000 /* waits in vain that mean that a call does not end */

static struct {
  int listener;
  int peers[MAX_PEERS], count; /* connections of the client's */
  const uint8_t *bytes;        /* still to be sent */
  size_t first, rest;          /* in the part at hand, and after it */
  enum ending ending;
  int is_asked; /* the first request has come */
  int is_sent;  /* all of its answer has gone */
  int vain;
} server;

static lua_State *L;

static const char good[] = "HTTP/1.1 200 OK\r\ncontent-length: 35\r\n\r\n"
                           "{\"jobs\":[],\"meta\":{\"total\":424242}}";

static const char program[] =
    "local gradient = require 'gradient'\n"
    "local url, serve, flush = ...\n"
    "local kinds = {}\n"
    "for kind in ([[bad_request authentication permission_denied not_found conflict\n"
    "  unprocessable_entity rate_limit server status timeout connection decode]]):gmatch '%S+' do\n"
    "  kinds[kind] = true\n"
    "end\n"
    "return function(timeout, keep_nulls)\n"
    "  local client <close> = gradient.client{\n"
    "    base_url = url, token = 'secret-token', wait = serve, max_retries = 0,\n"
    "    timeout = timeout, keep_nulls = keep_nulls, max_body = 100000,\n"
    "  }\n"
    "  local page, response = client.indexing_jobs.list()\n"
    "  if page then\n"
    "    assert(type(page.jobs) == 'table')\n"
    "    for _, job in ipairs(page.jobs) do assert(type(job) == 'table') end\n"
    "    assert(response.status >= 200 and response.status <= 299)\n"
    "  else\n"
    "    assert(kinds[response.kind], response.kind)\n"
    "    assert(not tostring(response):find '%c')\n"
    "    assert(not tostring(response):find 'secret-token')\n"
    "    assert(#(response.body or '') <= 4096)\n"
    "    assert((response.status ~= nil) == (response.headers ~= nil))\n"
    "  end\n"
    "  flush()\n"
    "  local own, err = client.indexing_jobs.list({}, { timeout = 60 })\n"
    "  assert(own and own.meta.total == 424242, tostring(err))\n"
    "end\n";

/* ends the run, with a trace, where something does not hold */
static void check(int holds) {
  if (!holds)
    abort();
}

static void fail(void) {
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  abort();
}

static void send_bytes(int fd, const void *bytes, size_t length) {
  if (length > 0)
    (void)send(fd, bytes, length, MSG_NOSIGNAL);
}

static void end_connection(int i, int is_reset) {
  if (is_reset) {
    struct linger at_once = {1, 0};
    (void)setsockopt(server.peers[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  close(server.peers[i]);
  server.peers[i] = -1;
}

/* sends the next part of the answer over connection `i`; its end after the last */
static void send_part(int i) {
  send_bytes(server.peers[i], server.bytes, server.first);
  server.bytes += server.first;
  server.first = server.rest;
  server.rest = 0;
  if (server.first > 0)
    return;
  server.is_sent = 1;
  if (server.ending <= END_RESET)
    end_connection(i, server.ending == END_RESET);
}

static int accept_connections(void) {
  int any = 0;
  while (server.count < MAX_PEERS) {
    int fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1)
      break;
    server.peers[server.count++] = fd;
    any = 1;
  }
  check(server.count < MAX_PEERS);
  return any;
}

/* answers what has come over connection `i`; 0 when nothing has */
static int answer(int i) {
  char request[4096];
  ssize_t got = server.peers[i] == -1 ? -1 : recv(server.peers[i], request, sizeof(request), 0);
  if (got > 0 && !server.is_asked) {
    server.is_asked = 1;
    send_part(i);
  } else if (got > 0)
    send_bytes(server.peers[i], good, sizeof(good) - 1);
  else if (i == 0 && server.is_asked && !server.is_sent)
    send_part(i);
  else
    return 0;
  return 1;
}

/* wait(fds, seconds) for the client: the server has its turn */
static int serve(lua_State *unused) {
  int i, any = accept_connections();
  (void)unused;
  for (i = 0; i < server.count; i++)
    any |= answer(i);
  if (any) {
    server.vain = 0;
    return 0;
  }
  (void)poll(NULL, 0, 1);
  server.vain++;
  check(server.vain < TOO_LONG);
  if (server.vain >= PATIENCE && server.is_sent && server.ending == END_LATE &&
      server.peers[0] != -1)
    end_connection(0, 0);
  return 0;
}

/* flush(): what is left of the first answer comes now, when nobody asks for it */
static int flush(lua_State *unused) {
  (void)unused;
  while (server.count > 0 && server.is_asked && !server.is_sent && server.peers[0] != -1)
    send_part(0);
  server.is_asked = server.is_sent = 1;
  server.vain = 0;
  return 0;
}

static int open_descriptors(void) {
  int count = 0, fd;
  for (fd = 0; fd < 64; fd++)
    count += fcntl(fd, F_GETFD) != -1;
  return count;
}

static void listen_somewhere(char *url, size_t size) {
  struct sockaddr_in address;
  socklen_t length = sizeof(address);
  memset(&address, 0, sizeof(address));
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(server.listener != -1);
  check(bind(server.listener, (struct sockaddr *)&address, length) == 0);
  check(listen(server.listener, MAX_PEERS) == 0);
  check(getsockname(server.listener, (struct sockaddr *)&address, &length) == 0);
  (void)snprintf(url, size, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  char url[64];
  (void)argc;
  (void)argv;
  listen_somewhere(url, sizeof(url));
  L = luaL_newstate();
  check(L != NULL);
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_gradient_core);
  lua_setfield(L, -2, "gradient.core");
  lua_settop(L, 0);
  if (luaL_loadstring(L, program) != LUA_OK)
    fail();
  lua_pushstring(L, url);
  lua_pushcfunction(L, serve);
  lua_pushcfunction(L, flush);
  if (lua_pcall(L, 3, 1, 0) != LUA_OK)
    fail();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int i, before = open_descriptors();
  size_t cut;
  if (size < 2)
    return 0;
  server.count = server.is_asked = server.is_sent = server.vain = 0;
  server.ending = (enum ending)(data[0] & 3);
  server.bytes = data + 2;
  cut = (size - 2) * data[1] / 256;
  server.first = cut > 0 ? cut : size - 2;
  server.rest = size - 2 - server.first;
  lua_pushvalue(L, 1);
  lua_pushnumber(L, server.ending == END_NEVER ? 0.003 : 60);
  lua_pushboolean(L, data[0] >> 2 & 1);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    fail();
  lua_gc(L, LUA_GCCOLLECT);
  for (i = 0; i < server.count; i++)
    if (server.peers[i] != -1)
      close(server.peers[i]);
  check(open_descriptors() == before);
  return 0;
}
