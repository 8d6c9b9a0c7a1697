/*
** transfer.c: one HTTP request and its answer: the easy handle, the header block, the bounded body.
** libcurl's callbacks only append to C buffers; Lua values are made when the caller asks.
** https://curl.se/libcurl/c/libcurl-easy.html
*/
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

#define TRANSFER_TYPE "gradient.transfer"

/* bytes of a header block, as many as a browser takes */
#define MAX_HEAD ((size_t)256 * 1024)

/* what a body's buffer starts with at the most, whatever Content-Length claims */
#define MAX_FIRST_RESERVE ((size_t)1024 * 1024)

/* what a request gets that does not say */
#define DEFAULT_TIMEOUT_MS         60000L
#define DEFAULT_CONNECT_TIMEOUT_MS 5000L
#define DEFAULT_MAX_BODY           ((lua_Integer)64 * 1024 * 1024)

struct buffer {
  char *bytes;
  size_t length, capacity;
};

/* why one of our own callbacks stopped a transfer */
enum stop { STOP_NONE, STOP_HEAD_TOO_LARGE, STOP_LINE_TOO_LONG, STOP_BODY_TOO_LARGE, STOP_MEMORY };

struct transfer {
  struct transfers *all; /* NULL once the client has let go of it */
  struct transfer *previous, *next;
  CURL *easy;                 /* NULL once it has ended */
  struct curl_slist *headers; /* of the request, as long as it runs */
  struct buffer head, body;   /* of the answer */
  int head_complete;          /* the empty line that ends it has come */
  size_t max_body;
  unsigned long serial;
  long status;
  int may_share; /* https, which can be HTTP/2 */
  int sent;      /* some of the request was written to a connection */
  int closed;    /* ended by the program */
  int awaited;   /* somebody waits for it, elsewhere perhaps */
  int unclaimed; /* see struct transfers */
  int decoding;  /* so many times at the moment: the body must stay */
  enum stop stop;
  CURLcode code;
  char message[CURL_ERROR_SIZE];
};

/* ---- SIGPIPE ---- */

void sigpipe_hold(struct sigpipe *guard) {
  sigset_t pipe_only, pending;
  sigemptyset(&pending);
  sigpending(&pending);
  guard->was_pending = sigismember(&pending, SIGPIPE);
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &guard->mask);
}

void sigpipe_release(const struct sigpipe *guard) {
  sigset_t pending;
  int saved = errno;
  sigemptyset(&pending);
  sigpending(&pending);
  if (!guard->was_pending && sigismember(&pending, SIGPIPE)) {
    sigset_t pipe_only;
    int number;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigwait(&pipe_only, &number); /* it is pending, so this takes it away at once */
  }
  pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
  errno = saved;
}

/* ---- buffers ---- */

static void buffer_free(struct buffer *b) {
  free(b->bytes);
  memset(b, 0, sizeof *b);
}

/* Makes room for `more` bytes; 0 when there is no memory for them. */
static int buffer_reserve(struct buffer *b, size_t more) {
  size_t wanted = b->capacity ? b->capacity : 1024;
  char *bytes;
  if (b->capacity - b->length >= more)
    return 1;
  while (wanted - b->length < more) {
    if (wanted > SIZE_MAX / 2)
      return 0;
    wanted *= 2;
  }
  bytes = realloc(b->bytes, wanted);
  if (!bytes)
    return 0;
  b->bytes = bytes;
  b->capacity = wanted;
  return 1;
}

static void buffer_append(struct buffer *b, const char *bytes, size_t length) {
  memcpy(b->bytes + b->length, bytes, length);
  b->length += length;
}

/* Appends within `max`; else remembers why not, and the callback's 0 stops the transfer. */
static size_t receive(struct transfer *t, struct buffer *b, size_t max, enum stop over,
                      const char *bytes, size_t length) {
  if (length > max - b->length)
    t->stop = over;
  else if (!buffer_reserve(b, length))
    t->stop = STOP_MEMORY;
  else {
    buffer_append(b, bytes, length);
    return length;
  }
  return 0;
}

/* ---- libcurl's callbacks: no Lua in here ---- */

/* A folded line belongs to the one before; RFC 9112, 5.2 asks for spaces in the place of the fold. */
static void unfold(struct buffer *head) {
  while (head->length > 0 &&
         (head->bytes[head->length - 1] == '\r' || head->bytes[head->length - 1] == '\n'))
    head->length--;
}

/* CURLOPT_HEADERFUNCTION: one complete header line at a time */
static size_t on_header(char *line, size_t size, size_t count, void *userdata) {
  struct transfer *t = userdata;
  size_t length = size * count;
  if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    t->head.length = 0; /* an answer begins; what came before was a 1xx one */
    t->head_complete = 0;
  }
  if (t->head_complete)
    return length; /* a trailer of the body: nobody asks for it */
  if (length > 0 && (line[0] == ' ' || line[0] == '\t'))
    unfold(&t->head);
  t->head_complete = length > 0 && (line[0] == '\r' || line[0] == '\n');
  return receive(t, &t->head, MAX_HEAD, STOP_HEAD_TOO_LARGE, line, length);
}

/* CURLOPT_WRITEFUNCTION: a piece of the body, decompressed */
static size_t on_body(char *bytes, size_t size, size_t count, void *userdata) {
  struct transfer *t = userdata;
  if (t->body.capacity == 0) { /* a good guess saves copies; a wrong one costs nothing */
    curl_off_t announced = -1;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced > 0 && announced <= (curl_off_t)MAX_FIRST_RESERVE)
      (void)buffer_reserve(&t->body, (size_t)announced);
  }
  return receive(t, &t->body, t->max_body, STOP_BODY_TOO_LARGE, bytes, size * count);
}

/* ---- from a Lua table to an easy handle ---- */

/* The field `name` of the request in milliseconds for libcurl; `fallback` (ms) where it is nil. */
static long milliseconds(lua_State *L, int request, const char *name, long fallback) {
  lua_Number seconds;
  if (lua_getfield(L, request, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return fallback;
  }
  seconds = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (!(seconds > 0)) /* false for NaN and for what is no number, too */
    luaL_error(L, "%s must be a positive number of seconds", name);
  if (seconds >= INT_MAX / 1000)
    return INT_MAX;
  return (long)(seconds * 1000) + ((seconds * 1000) > (lua_Number)(long)(seconds * 1000));
}

/* Appends a header line to the request's; libcurl must find no second line in it. */
static void add_header(lua_State *L, struct transfer *t, const char *line, size_t length) {
  struct curl_slist *longer;
  size_t i;
  for (i = 0; i < length; i++)
    if ((unsigned char)line[i] < ' ' && line[i] != '\t')
      luaL_error(L, "a request header holds a control character");
  longer = curl_slist_append(t->headers, line);
  if (!longer)
    luaL_error(L, "not enough memory");
  t->headers = longer;
}

/* The request's own header lines, then the client's. */
static void add_headers(lua_State *L, struct transfer *t, int request,
                        const struct curl_slist *more) {
  if (lua_getfield(L, request, "headers") == LUA_TTABLE) {
    lua_Integer i, count = (lua_Integer)lua_rawlen(L, -1);
    for (i = 1; i <= count; i++) {
      size_t length;
      const char *line;
      lua_rawgeti(L, -1, i);
      line = lua_tolstring(L, -1, &length);
      if (line)
        add_header(L, t, line, length);
      else
        luaL_error(L, "a request header must be a string");
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  for (; more; more = more->next)
    add_header(L, t, more->data, strlen(more->data));
}

/* Keeps the first failure of a row of curl_easy_setopt calls. */
static void note(CURLcode *first, CURLcode code) {
  if (*first == CURLE_OK)
    *first = code;
}

/* Method and body. A request with a body that is not repeatable must not go over a connection that
** may be stale, since libcurl would repeat it by itself: `fresh` asks for a new connection. */
static void set_method(lua_State *L, struct transfer *t, int request, CURLcode *code) {
  const char *body;
  size_t length;
  lua_getfield(L, request, "method");
  lua_getfield(L, request, "body");
  lua_getfield(L, request, "fresh");
  body = lua_tolstring(L, -2, &length);
  if (body) {
    note(code, curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length));
    note(code, curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, body));
  }
  if (lua_isstring(L, -3))
    note(code, curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, lua_tostring(L, -3)));
  note(code, curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, (long)lua_toboolean(L, -1)));
  lua_pop(L, 3);
}

/* Path and query once more. When libcurl has no memory for its own copy of the query, it goes on
** without one (parseurlandfillconn in its url.c), which is the request for another page. Not for a
** proxy that wants the whole URL as target: only one of plain http does. */
static void set_target(struct transfer *t, const char *url, CURLcode *code) {
  const char *target = strstr(url, "://");
  if (target)
    target = strpbrk(target + 3, "/?#");
  if (target && *target == '/' && !strpbrk(target, " #"))
    note(code, curl_easy_setopt(t->easy, CURLOPT_REQUEST_TARGET, target));
}

static void set_url(lua_State *L, struct transfer *t, int request, CURLcode *code) {
  const char *url, *proxy = NULL;
  lua_getfield(L, request, "url");
  url = lua_tostring(L, -1);
  if (!url)
    luaL_error(L, "a request needs a url");
  note(code, curl_easy_setopt(t->easy, CURLOPT_URL, url));
  /* many requests over one HTTP/2 connection, rather than a connection for each; only TLS can
     offer HTTP/2 here, so plain http must not wait to find out */
  t->may_share = strncmp(url, "https:", 6) == 0;
  note(code, curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, (long)t->may_share));
  if (lua_getfield(L, request, "proxy") != LUA_TNIL) {
    proxy = lua_tostring(L, -1);
    note(code, curl_easy_setopt(t->easy, CURLOPT_PROXY, proxy));
  }
  if (t->may_share || (proxy && !*proxy))
    set_target(t, url, code);
  lua_pop(L, 2);
}

static void set_limits(lua_State *L, struct transfer *t, int request, CURLcode *code) {
  lua_Integer max_body;
  note(code, curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
                              milliseconds(L, request, "timeout", DEFAULT_TIMEOUT_MS)));
  note(code,
       curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                        milliseconds(L, request, "connect_timeout", DEFAULT_CONNECT_TIMEOUT_MS)));
  lua_getfield(L, request, "max_body");
  max_body = lua_isnil(L, -1) ? DEFAULT_MAX_BODY : lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (max_body < 1)
    luaL_error(L, "max_body must be a positive number of bytes");
  t->max_body = (size_t)max_body;
}

static void set_callbacks(struct transfer *t, CURLcode *code) {
  note(code, curl_easy_setopt(t->easy, CURLOPT_PRIVATE, (void *)t));
  note(code, curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->message));
  note(code, curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header));
  note(code, curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, (void *)t));
  note(code, curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body));
  note(code, curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, (void *)t));
  note(code, curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers));
}

/* ---- the life of a transfer ---- */

struct transfer *transfer_new(lua_State *L, int client) {
  struct transfer *t = lua_newuserdatauv(L, sizeof *t, 1);
  memset(t, 0, sizeof *t);
  luaL_setmetatable(L, TRANSFER_TYPE);
  lua_pushvalue(L, client);
  lua_setiuservalue(L, -2, 1);
  return t;
}

static void link_to(struct transfers *all, struct transfer *t) {
  t->all = all;
  t->next = all->first;
  if (all->first)
    all->first->previous = t;
  all->first = t;
}

static void unlink_from(struct transfers *all, struct transfer *t) {
  if (t->previous)
    t->previous->next = t->next;
  else
    all->first = t->next;
  if (t->next)
    t->next->previous = t->previous;
  t->previous = t->next = NULL;
  t->all = NULL;
}

/* The request's part is over: back to libcurl with what is libcurl's. */
static void release_request(struct transfer *t) {
  struct sigpipe guard;
  if (t->easy) {
    sigpipe_hold(&guard);
    if (t->all && t->all->process != getpid())
      t->all->disown(t->all);
    if (t->all && t->all->multi)
      curl_multi_remove_handle(t->all->multi, t->easy);
    curl_easy_cleanup(t->easy);
    sigpipe_release(&guard);
    t->easy = NULL;
    if (t->all)
      t->all->running--;
  }
  curl_slist_free_all(t->headers);
  t->headers = NULL;
}

void transfers_wake(struct transfers *all, int readable) {
  char byte = 0;
  ssize_t done;
  if (all->wake[0] == -1)
    return;
  do
    done = readable ? write(all->wake[1], &byte, 1) : read(all->wake[0], &byte, 1);
  while (done == -1 && errno == EINTR);
}

void transfer_await(struct transfer *t) {
  t->awaited = 1;
}

void transfer_announce(struct transfer *t) {
  if (t->unclaimed || !t->awaited)
    return;
  t->unclaimed = 1;
  if (t->all->unclaimed++ == 0)
    transfers_wake(t->all, 1);
}

/* Somebody has looked at it. */
static void claim(struct transfer *t) {
  t->awaited = 0;
  if (!t->unclaimed)
    return;
  t->unclaimed = 0;
  if (t->all && --t->all->unclaimed == 0)
    transfers_wake(t->all, 0);
}

static void set_message(struct transfer *t, const char *message) {
  strncpy(t->message, message, sizeof t->message - 1);
}

void transfer_finish(struct transfer *t, CURLcode code) {
  long written = 0;
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
  curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &written);
  t->sent = written > 0;
  t->code = code;
  if (code == CURLE_OK && !t->head_complete) { /* to libcurl, that is an answer */
    t->code = CURLE_PARTIAL_FILE;
    set_message(t, "the connection was closed in the middle of the answer's headers");
  } else if (code == CURLE_OUT_OF_MEMORY && t->head.length > 0 && !t->head_complete)
    t->stop = STOP_LINE_TOO_LONG;                             /* libcurl has no other code for it */
  else if (code == CURLE_WRITE_ERROR && t->stop == STOP_NONE) /* its decompression gave up */
    set_message(t, "the answer's compression is damaged");
  release_request(t);
}

void transfers_release(struct transfers *all, const char *failure) {
  struct transfer *t, *next;
  for (t = all->first; t; t = next) {
    next = t->next;
    if (t->easy) {
      transfer_finish(t, CURLE_ABORTED_BY_CALLBACK);
      t->closed = failure == NULL;
      if (failure) {
        set_message(t, failure);
        transfer_announce(t);
      }
    }
    if (!failure) {
      t->unclaimed = 0;
      unlink_from(all, t);
    }
  }
  if (!failure)
    all->unclaimed = 0;
}

void transfer_send(lua_State *L, struct transfer *t, struct transfers *all,
                   const struct transfer_defaults *defaults, int request) {
  CURLcode code = CURLE_OK;
  t->easy = curl_easy_duphandle(defaults->easy);
  if (!t->easy)
    luaL_error(L, "not enough memory");
  lua_getfield(L, request, "anonymous");
  add_headers(L, t, request, lua_toboolean(L, -1) ? NULL : defaults->headers);
  lua_pop(L, 1);
  set_url(L, t, request, &code);
  set_method(L, t, request, &code);
  set_limits(L, t, request, &code);
  set_callbacks(t, &code);
  if (code == CURLE_OUT_OF_MEMORY)
    luaL_error(L, "not enough memory");
  if (code != CURLE_OK)
    luaL_error(L, "libcurl refuses the request: %s", curl_easy_strerror(code));
  if (curl_multi_add_handle(all->multi, t->easy) != CURLM_OK)
    luaL_error(L, "not enough memory");
  link_to(all, t);
  all->running++;
  t->serial = ++all->sent;
}

struct transfer *transfer_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, TRANSFER_TYPE);
}

struct transfer *transfer_of(CURL *easy) {
  char *t = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
  return (struct transfer *)(void *)t;
}

int transfer_may_share(const struct transfer *t) {
  return t->may_share;
}

unsigned long transfer_serial(const struct transfer *t) {
  return t->serial;
}

/* ---- what Lua sees ---- */

/* The failure in one word, for a program. */
static const char *code_name(const struct transfer *t) {
  if (t->closed)
    return "closed";
  if (t->stop == STOP_HEAD_TOO_LARGE || t->stop == STOP_LINE_TOO_LONG ||
      t->stop == STOP_BODY_TOO_LARGE)
    return "too_large";
  switch (t->code) {
  case CURLE_OPERATION_TIMEDOUT: return "timeout";
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE: return "certificate";
  default: return "connection";
  }
}

/* The failure in a sentence, for a person. */
static void push_message(lua_State *L, const struct transfer *t) {
  if (t->closed)
    lua_pushliteral(L, "the client was closed");
  else if (t->stop == STOP_HEAD_TOO_LARGE)
    lua_pushfstring(L, "the answer's headers are over %d bytes", (int)MAX_HEAD);
  else if (t->stop == STOP_LINE_TOO_LONG)
    lua_pushliteral(L, "a header line of the answer is over 100 KiB, or libcurl is out of memory");
  else if (t->stop == STOP_BODY_TOO_LARGE)
    lua_pushfstring(L, "the answer is over max_body (%I bytes)", (LUAI_UACINT)t->max_body);
  else if (t->stop == STOP_MEMORY)
    lua_pushliteral(L, "not enough memory for the answer");
  else
    lua_pushstring(L, t->message[0] ? t->message : curl_easy_strerror(t->code));
}

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Where the next line begins. */
static const char *after_line(const char *line, const char *last) {
  const char *end = memchr(line, '\n', (size_t)(last - line));
  return end ? end + 1 : last;
}

/* Pushes name (lower case) and value of a header line; 0 and nothing for any other line. */
static int push_header(lua_State *L, const char *line, const char *end) {
  const char *colon = memchr(line, ':', (size_t)(end - line));
  luaL_Buffer name;
  if (!colon || is_blank(*line))
    return 0;
  luaL_buffinit(L, &name);
  for (; line < colon; line++)
    luaL_addchar(&name, (char)(*line >= 'A' && *line <= 'Z' ? *line + 'a' - 'A' : *line));
  luaL_pushresult(&name);
  for (line = colon + 1; line < end && is_blank(*line); line++)
    ;
  while (end > line && is_blank(end[-1]))
    end--;
  lua_pushlstring(L, line, (size_t)(end - line));
  return 1;
}

/* Pushes the answer's headers as a table; values of one name are joined as RFC 9110, 5.3 allows. It
** is a copy that is read: a finalizer that runs meanwhile may close the transfer. */
static void push_headers(lua_State *L, const struct buffer *head) {
  const char *line, *last;
  line = lua_pushlstring(L, head->bytes, head->length);
  last = line + lua_rawlen(L, -1);
  line = after_line(line, last); /* the status line */
  lua_newtable(L);
  while (line < last) {
    const char *end = after_line(line, last);
    if (push_header(L, line, end)) {
      lua_pushvalue(L, -2);
      if (lua_rawget(L, -4) != LUA_TNIL) {
        lua_pushliteral(L, ", ");
        lua_rotate(L, -3, -1); /* name, old, ", ", value */
        lua_concat(L, 3);
      } else
        lua_pop(L, 1);
      lua_rawset(L, -3);
    }
    line = end;
  }
  lua_remove(L, -2);
}

/* transfer:result() → nil while it runs
**                   → status (integer), headers (table: lower-case name → value)
**                   → nil, code, message, sent (boolean: the server may have seen the request)
** code: "timeout", "certificate", "too_large", "closed", "connection". */
static int transfer_result(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  claim(t);
  if (t->easy) {
    lua_pushnil(L);
    return 1;
  }
  if (!t->closed && t->code == CURLE_OK) {
    lua_pushinteger(L, t->status);
    push_headers(L, &t->head);
    return 2;
  }
  luaL_pushfail(L);
  lua_pushstring(L, code_name(t));
  push_message(L, t);
  lua_pushboolean(L, t->sent);
  return 4;
}

void transfer_check_decoding(lua_State *L, int index, struct json_options *options) {
  const char *opener = luaL_optstring(L, index + 2, "{");
  options->keep_nulls = lua_toboolean(L, index);
  options->member = luaL_optlstring(L, index + 1, NULL, &options->member_length);
  luaL_argcheck(L, strlen(opener) == 1 && strchr("{[\"", *opener), index + 2,
                "must be '{', '[' or '\"'");
  options->opener = *opener;
}

/* transfer:decode([keep_nulls [, member, opener]]) → the body as a Lua value
**                                                  → nil, message, offset
** See core.decode. An error while the transfer runs or when it has no answer. */
static int transfer_decode(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  struct json_options options;
  int results;
  if (t->easy || t->closed || t->code != CURLE_OK)
    return luaL_error(L, "this transfer has no answer to decode");
  transfer_check_decoding(L, 2, &options);
  t->decoding++; /* a finalizer that runs meanwhile may close the transfer */
  results = json_decode(L, t->body.bytes ? t->body.bytes : "", t->body.length, &options);
  if (--t->decoding == 0 && t->closed)
    buffer_free(&t->body);
  return results;
}

/* transfer:body([max]) → the first `max` bytes of what came of the body; all by default */
static int transfer_body(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  lua_Integer max = luaL_optinteger(L, 2, LUA_MAXINTEGER);
  size_t length = t->body.length;
  luaL_argcheck(L, max >= 0, 2, "must not be negative");
  if ((lua_Unsigned)max < length)
    length = (size_t)max;
  lua_pushlstring(L, t->body.bytes ? t->body.bytes : "", length);
  return 1;
}

/* transfer:close(): ends it, if it still runs, and frees what it holds; also __close */
static int transfer_close(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  if (t->easy || t->code == CURLE_OK)
    t->closed = 1;
  claim(t);
  release_request(t);
  if (t->all)
    unlink_from(t->all, t);
  buffer_free(&t->head);
  if (t->decoding == 0)
    buffer_free(&t->body);
  return 0;
}

/* __gc: if it is still being decoded, that was ended by an error. */
static int transfer_collect(lua_State *L) {
  transfer_check(L, 1)->decoding = 0;
  return transfer_close(L);
}

static int transfer_tostring(lua_State *L) {
  const struct transfer *t = transfer_check(L, 1);
  lua_pushfstring(L, "gradient.transfer (%s)",
                  t->easy     ? "running"
                  : t->closed ? "closed"
                              : "ended");
  return 1;
}

static const luaL_Reg methods[] = {
    {"result", transfer_result},
    {"decode", transfer_decode},
    {"body", transfer_body},
    {"close", transfer_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", transfer_collect},
    {"__close", transfer_close},
    {"__tostring", transfer_tostring},
    {NULL, NULL},
};

void transfer_register(lua_State *L) {
  luaL_newmetatable(L, TRANSFER_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
