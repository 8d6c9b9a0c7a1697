/*
** transfer.c: one HTTP request and its answer: the easy handle, the header block, the bounded body.
** libcurl's callbacks only append to C buffers; Lua values are made when the caller asks.
** https://curl.se/libcurl/c/libcurl-easy.html
*/
#include "transfer.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

/* bytes of a header block, as many as a browser takes */
#define MAX_HEAD ((size_t)256 * 1024)

/* the largest buffer that a body starts with, whatever Content-Length claims */
#define MAX_FIRST_RESERVE ((size_t)1024 * 1024)

/* libcurl's code for a header line over 100 KiB: CURLE_TOO_LARGE, since 8.6; before that, it says
** that it is out of memory */
#define TOO_LARGE 100

/* the largest buffer that is kept for the next answer */
#define MAX_SPARE_BODY ((size_t)256 * 1024)

/* for requests that do not say */
#define DEFAULT_CONNECT_TIMEOUT 5.0
#define DEFAULT_MAX_BODY        ((lua_Integer)64 * 1024 * 1024)

const char transfer_type[] = "gradient.transfer";

int out_of_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* ---- types of userdata ---- */

void type_new(lua_State *L, const char *type, lua_CFunction close, lua_CFunction collect) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, type) == LUA_TTABLE)
    return; /* the module is loaded once more: its objects live on */
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushstring(L, type);
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, type);
}

void *type_check(lua_State *L, int index, const char *type) {
  void *object = lua_touserdata(L, index);
  if (object != NULL && lua_getmetatable(L, index)) {
    int same;
    lua_rawgetp(L, LUA_REGISTRYINDEX, type);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (same)
      return object;
  }
  luaL_typeerror(L, index, type);
  return lua_touserdata(L, index); /* not reached */
}

void *type_create(lua_State *L, const char *type, size_t size, int values) {
  void *object = lua_newuserdatauv(L, size, values);
  memset(object, 0, size);
  lua_rawgetp(L, LUA_REGISTRYINDEX, type);
  lua_setmetatable(L, -2);
  return object;
}

/* ---- buffers ---- */

static void buffer_free(struct buffer *b) {
  free(b->bytes);
  memset(b, 0, sizeof(*b));
}

/* Makes room for `more` bytes; 0 when there is no memory for them. */
static int buffer_reserve(struct buffer *b, size_t more) {
  size_t wanted = b->capacity > 0 ? b->capacity : 1024;
  char *bytes;
  if (b->capacity - b->length >= more)
    return 1;
  while (wanted - b->length < more) {
    if (wanted > SIZE_MAX / 2)
      return 0;
    wanted *= 2;
  }
  bytes = realloc(b->bytes, wanted);
  if (bytes == NULL)
    return 0;
  b->bytes = bytes;
  b->capacity = wanted;
  return 1;
}

/* Appends within `max`. Else it notes why not, and the callback's 0 stops the transfer. */
static size_t receive(struct transfer *t, struct buffer *b, size_t max, enum stop over,
                      const char *bytes, size_t length) {
  if (length > max - b->length)
    t->stop = over;
  else if (!buffer_reserve(b, length))
    t->stop = STOP_MEMORY;
  else {
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
    *t->received += length;
    return length;
  }
  return 0;
}

/* ---- libcurl's callbacks: no Lua in here ---- */

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A folded line belongs to the one before; RFC 9112, 5.2 wants spaces in the place of the fold. */
static void unfold(struct buffer *head) {
  while (head->length > 0 && is_blank(head->bytes[head->length - 1]))
    head->length--;
}

/* CURLOPT_HEADERFUNCTION: one complete header line at a time. A head begins at the start, and after
** one with a 1xx status; what comes after the final head is a trailer, which nobody asks for. */
static size_t on_header(char *line, size_t size, size_t count, void *userdata) {
  struct transfer *t = userdata;
  size_t length = size * count;
  if (t->head_complete && t->interim) {
    t->head.length = 0;
    t->head_complete = 0;
  }
  if (t->head_complete)
    return length;
  if (t->head.length == 0) { /* "HTTP/1.1 103 Early Hints" */
    const char *status = memchr(line, ' ', length);
    t->interim = status != NULL && status + 1 < line + length && status[1] == '1';
  } else if (length > 0 && (line[0] == ' ' || line[0] == '\t'))
    unfold(&t->head);
  t->head_complete = length > 0 && (line[0] == '\r' || line[0] == '\n');
  return receive(t, &t->head, MAX_HEAD, STOP_HEAD_TOO_LARGE, line, length);
}

/* CURLOPT_WRITEFUNCTION: a piece of the body, decompressed */
static size_t on_body(char *bytes, size_t size, size_t count, void *userdata) {
  struct transfer *t = userdata;
  if (t->body.capacity == 0) {
    t->body = t->spare->body;
    memset(&t->spare->body, 0, sizeof(t->spare->body));
  }
  if (t->body.length == 0) {
    curl_off_t announced = -1; /* if it is right, it saves copies */
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced > 0 && announced <= (curl_off_t)MAX_FIRST_RESERVE)
      (void)buffer_reserve(&t->body, (size_t)announced);
  }
  return receive(t, &t->body, t->max_body, STOP_BODY_TOO_LARGE, bytes, size * count);
}

/* ---- from a Lua table to an easy handle ---- */

void note(CURLcode *first, CURLcode code) {
  if (*first == CURLE_OK)
    *first = code;
}

/* libcurl must find no second line in it. */
void append_header(lua_State *L, struct curl_slist **list, int index) {
  struct curl_slist *longer;
  size_t i, length;
  const char *line = lua_tolstring(L, index, &length);
  if (line == NULL) {
    luaL_error(L, "a request header must be a string");
    return;
  }
  for (i = 0; i < length; i++)
    if ((unsigned char)line[i] < ' ' && line[i] != '\t')
      luaL_error(L, "a request header holds a control character");
  longer = curl_slist_append(*list, line);
  if (longer == NULL)
    out_of_memory(L);
  *list = longer;
}

/* The client's header lines; or the request's own, and what is secret of the client's. */
static void set_headers(lua_State *L, struct transfer *t, const struct transfer_defaults *defaults,
                        int request, CURLcode *code) {
  struct curl_slist *lines;
  if (lua_getfield(L, request, "headers") == LUA_TTABLE) {
    const struct curl_slist *secret;
    lua_Integer i, count = luaL_len(L, -1);
    for (i = 1; i <= count; i++) {
      lua_geti(L, -1, i);
      append_header(L, &t->headers, -1);
      lua_pop(L, 1);
    }
    lua_getfield(L, request, "anonymous");
    secret = lua_toboolean(L, -1) ? NULL : defaults->secret;
    lua_pop(L, 1);
    for (; secret != NULL;
         secret = secret->next) { /* gone by now if a finalizer closed the client */
      struct curl_slist *longer = curl_slist_append(t->headers, secret->data);
      if (longer == NULL)
        out_of_memory(L);
      t->headers = longer;
    }
    lines = t->headers;
  } else
    lines = defaults->headers;
  lua_pop(L, 1);
  note(code, curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, lines));
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
  t->has_body = body != NULL;
  if (body != NULL) {
    note(code, curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length));
    note(code, curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, body));
  }
  note(code, curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, lua_tostring(L, -3)));
  note(code, curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, (long)lua_toboolean(L, -1)));
  lua_pop(L, 3);
}

/* The path and query of the URL, which libcurl gets once more: without memory for its own copy of
** the query, it sends none (parseurlandfillconn in its url.c), and that asks for another page. A
** proxy for plain http wants the whole URL as target, and gets it from libcurl. */
static const char *target_of(const char *url) {
  const char *target = strstr(url, "://");
  if (target != NULL)
    target = strpbrk(target + 3, "/?#");
  return target != NULL && *target == '/' && strpbrk(target, " #") == NULL ? target : NULL;
}

static void set_url(lua_State *L, struct transfer *t, const struct transfer_defaults *defaults,
                    int request, CURLcode *code) {
  const char *url, *proxy;
  lua_getfield(L, request, "url");
  lua_getfield(L, request, "proxy");
  url = lua_tostring(L, -2);
  proxy = lua_tostring(L, -1);
  if (url == NULL)
    luaL_error(L, "a request needs a url");
  note(code, curl_easy_setopt(t->easy, CURLOPT_URL, url));
  /* many requests over one HTTP/2 connection, rather than a connection for each; only TLS can
     offer HTTP/2 here, so plain http must not wait to find out */
  t->may_share = strncmp(url, "https:", 6) == 0;
  note(code, curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, (long)t->may_share));
  note(code, curl_easy_setopt(t->easy, CURLOPT_PROXY, proxy != NULL ? proxy : defaults->proxy));
  note(code,
       curl_easy_setopt(t->easy, CURLOPT_REQUEST_TARGET,
                        t->may_share || (proxy != NULL && *proxy == '\0') ? target_of(url) : NULL));
  lua_pop(L, 2);
}

/* libcurl divides the time for a connection among a host's addresses. The driver counts that time,
** too: libcurl also counts time in which nobody called it, and may miss the end by a millisecond,
** and then for good. All other times are the driver's alone. */
static void set_limits(lua_State *L, struct transfer *t, int request, CURLcode *code) {
  lua_Number seconds = DEFAULT_CONNECT_TIMEOUT;
  lua_Integer max_body = DEFAULT_MAX_BODY;
  if (lua_getfield(L, request, "connect_timeout") != LUA_TNIL)
    seconds = lua_tonumber(L, -1);
  if (lua_getfield(L, request, "max_body") != LUA_TNIL)
    max_body = lua_tointeger(L, -1);
  lua_pop(L, 2);
  if (!(seconds > 0)) /* false for NaN and for what is no number, too */
    luaL_error(L, "connect_timeout must be a positive number of seconds");
  if (max_body < 1)
    luaL_error(L, "max_body must be a positive number of bytes");
#if LUA_MAXINTEGER > SIZE_MAX
  if (max_body > (lua_Integer)SIZE_MAX)
    max_body = (lua_Integer)SIZE_MAX;
#endif
  t->max_body = (size_t)max_body;
  note(code, curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                              seconds >= INT_MAX / 1000 ? INT_MAX : (long)(seconds * 1000) + 1));
}

static void set_callbacks(struct transfer *t, CURLcode *code) {
  note(code, curl_easy_setopt(t->easy, CURLOPT_PRIVATE, (void *)t));
  note(code, curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->message));
  note(code, curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header));
  note(code, curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, (void *)t));
  note(code, curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body));
  note(code, curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, (void *)t));
}

void transfer_prepare(lua_State *L, struct transfer *t, const struct transfer_defaults *defaults,
                      int request) {
  CURLcode code = CURLE_OK;
  if (t->easy == NULL)
    t->easy = curl_easy_duphandle(defaults->easy);
  if (t->easy == NULL)
    out_of_memory(L);
  set_callbacks(t, &code);
  set_url(L, t, defaults, request, &code);
  set_method(L, t, request, &code);
  set_limits(L, t, request, &code);
  set_headers(L, t, defaults, request, &code);
  if (code == CURLE_OUT_OF_MEMORY)
    out_of_memory(L);
  if (code != CURLE_OK)
    luaL_error(L, "libcurl refuses the request: %s", curl_easy_strerror(code));
}

/* ---- its end ---- */

void transfer_explain(struct transfer *t, const char *message) {
  strncpy(t->message, message, sizeof(t->message) - 1);
}

/* Whether the server may have seen the request. What asks a proxy for a tunnel does not reach the
** server; on a new connection, nothing does before TLS is ready. */
static int was_sent(CURL *easy, int is_tls) {
  long written = 0, tunnel = 0, connections = 0;
  curl_off_t tls_ready = 0;
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &written);
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
  curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &tls_ready);
  if (tunnel != 0 && tunnel / 100 != 2)
    return 0;
  return written > 0 && !(is_tls && connections > 0 && tls_ready == 0);
}

/* Whether a certificate was refused because no trusted authority has signed it. OpenSSL says so by
** one of these; other TLS libraries do not distinguish the reasons.
** https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/ */
static int is_authority_unknown(CURL *easy, CURLcode code) {
  long result = 0;
  if (code == CURLE_PEER_FAILED_VERIFICATION)
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
  switch (result) {
  case 2:  /* unable to get issuer certificate */
  case 18: /* self-signed certificate */
  case 19: /* self-signed certificate in certificate chain */
  case 20: /* unable to get local issuer certificate */
  case 21: /* unable to verify the first certificate */ return 1;
  default: return 0;
  }
}

void transfer_finish(struct transfer *t, CURLcode code) {
  long version = 0;
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
  curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
  t->multiplexed = version >= CURL_HTTP_VERSION_2_0;
  t->sent = was_sent(t->easy, t->may_share);
  t->is_unknown = is_authority_unknown(t->easy, code);
  t->code = code;
  if (t->interim)
    t->head_complete = 0;
  if (code == CURLE_OK && !t->head_complete) { /* to libcurl, that is an answer */
    t->code = CURLE_PARTIAL_FILE;
    transfer_explain(t, "the connection was closed in the middle of the answer's headers");
  } else if ((code == CURLE_OUT_OF_MEMORY || (int)code == TOO_LARGE) && t->head.length > 0 &&
             !t->head_complete)
    t->stop = STOP_LINE_TOO_LONG;
  else if (code == CURLE_WRITE_ERROR && t->stop == STOP_NONE) /* its decompression gave up */
    transfer_explain(t, "the answer's compression is damaged");
}

void transfer_free(struct transfer *t) {
  curl_slist_free_all(t->headers);
  t->headers = NULL;
  buffer_free(&t->head);
  if (t->decoding > 0)
    return;
  if (!t->spare->closed && t->body.capacity > t->spare->body.capacity &&
      t->body.capacity <= MAX_SPARE_BODY) {
    buffer_free(&t->spare->body);
    t->spare->body = t->body;
    t->spare->body.length = 0;
    memset(&t->body, 0, sizeof(t->body));
  }
  buffer_free(&t->body);
}

void spare_close(struct spare *spare) {
  buffer_free(&spare->body);
  spare->closed = 1;
}

struct transfer *transfer_check(lua_State *L, int index) {
  return type_check(L, index, transfer_type);
}

/* ---- what Lua sees ---- */

/* Is there an answer? One outside 2xx counts as soon as its status and headers are complete: they
** say enough, and the body is what came of it. */
static int has_answer(const struct transfer *t) {
  return t->easy == NULL && !t->closed &&
         (t->code == CURLE_OK || (t->head_complete && t->status / 100 != 2));
}

/* The failure in one word, for a program. */
static const char *code_name(const struct transfer *t) {
  if (t->closed)
    return "closed";
  if (t->stop == STOP_HEAD_TOO_LARGE || t->stop == STOP_LINE_TOO_LONG ||
      t->stop == STOP_BODY_TOO_LARGE)
    return "too_large";
  switch (t->code) {
  case CURLE_OPERATION_TIMEDOUT: return "timeout";
  case CURLE_PEER_FAILED_VERIFICATION: return t->is_unknown ? "authority" : "certificate";
  case CURLE_SSL_CACERT_BADFILE: return "authority";
  default: return "connection";
  }
}

/* The failure in a sentence, for a person. */
static void push_message(lua_State *L, const struct transfer *t) {
  if (t->closed)
    lua_pushliteral(L, "the client was closed");
  else if (t->stop == STOP_HEAD_TOO_LARGE)
    lua_pushfstring(L, "the answer's headers are over %d bytes", (int)MAX_HEAD);
  else if (t->stop == STOP_LINE_TOO_LONG && t->message[0] == '\0')
    lua_pushliteral(L, "a header line of the answer is over 100 KiB, or libcurl is out of memory");
  else if (t->stop == STOP_BODY_TOO_LARGE)
    lua_pushfstring(L, "the answer is over max_body (%I bytes)", (LUAI_UACINT)t->max_body);
  else if (t->stop == STOP_MEMORY)
    lua_pushliteral(L, "not enough memory for the answer");
  else
    lua_pushstring(L, t->message[0] != '\0' ? t->message : curl_easy_strerror(t->code));
}

/* Where the next line begins. */
static const char *after_line(const char *line, const char *last) {
  const char *end = memchr(line, '\n', (size_t)(last - line));
  return end != NULL ? end + 1 : last;
}

/* Pushes name (lower case) and value of a header line; 0 and nothing for any other line. */
static int push_header(lua_State *L, const char *line, const char *end) {
  const char *colon = memchr(line, ':', (size_t)(end - line));
  luaL_Buffer name;
  if (colon == NULL || is_blank(*line))
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

/* Pushes the answer's headers as a table, then the head as it came; values of one name are joined
** as RFC 9110, 5.3 allows. It reads a copy, because a finalizer that runs meanwhile may close the
** transfer. */
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
  lua_insert(L, -2);
}

/* transfer:result() → nil while it runs
**                   → status (integer), headers (table: lower-case name → value), head (string)
**                   → nil, code, message, sent (boolean: the server may have seen the request)
** code: "timeout", "certificate", "authority" (no trusted one has signed the certificate),
** "too_large", "closed", "connection". */
static int transfer_result(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  if (has_answer(t)) {
    lua_pushinteger(L, (lua_Integer)t->status);
    push_headers(L, &t->head);
    return 3;
  }
  luaL_pushfail(L);
  if (t->easy != NULL)
    return 1;
  lua_pushstring(L, code_name(t));
  push_message(L, t);
  lua_pushboolean(L, t->sent);
  return 4;
}

void transfer_check_decoding(lua_State *L, int index, struct json_options *options) {
  const char *opener = luaL_optstring(L, index + 2, "{");
  options->keep_nulls = lua_toboolean(L, index);
  options->member = luaL_optlstring(L, index + 1, NULL, &options->member_length);
  luaL_argcheck(L, strlen(opener) == 1 && strchr("{[\"", *opener) != NULL, index + 2,
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
  if (!has_answer(t))
    return luaL_error(L, "this transfer has no answer to decode");
  transfer_check_decoding(L, 2, &options);
  t->decoding++; /* a finalizer that runs meanwhile may close the transfer */
  results = json_decode(L, t->body.bytes, t->body.length, &options);
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
  lua_pushlstring(L, t->body.bytes != NULL ? t->body.bytes : "", length);
  return 1;
}

/* transfer:is_connecting() → does it wait for a connection that is being made for it? */
static int transfer_is_connecting(lua_State *L) {
  struct transfer *t = transfer_check(L, 1);
  int running = t->easy != NULL && t->watches != NULL;
  if (running && !t->sent)
    t->sent = was_sent(t->easy, t->may_share);
  lua_pushboolean(L, running && !t->sent);
  return 1;
}

static int transfer_tostring(lua_State *L) {
  const struct transfer *t = transfer_check(L, 1);
  const char *state = t->easy != NULL ? "running" : t->closed ? "closed" : "ended";
  lua_pushfstring(L, "gradient.transfer (%s)", state);
  return 1;
}

static const luaL_Reg methods[] = {{"result", transfer_result},
                                   {"decode", transfer_decode},
                                   {"body", transfer_body},
                                   {"is_connecting", transfer_is_connecting},
                                   {NULL, NULL}};

void transfer_register(lua_State *L) {
  lua_pushcfunction(L, transfer_tostring);
  lua_setfield(L, -2, "__tostring");
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
}
