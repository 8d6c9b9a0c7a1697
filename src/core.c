/*
** core.c: the face of the module gradient.core: clients, JSON, and what else the Lua side needs of
** libcurl and the clock. It holds no policy; see lua/gradient/ for that.
*/
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>

#include "client.h"
#include "transfer.h"

#define GRADIENT_VERSION "0.1.0"

#define URL_TYPE "gradient.url"

#if LIBCURL_VERSION_NUM < 0x073e00
#error "gradient needs libcurl 7.62 or later (its URL API)"
#endif

int luaopen_gradient_core(lua_State *L);

/* ---- URLs: https://curl.se/libcurl/c/libcurl-url.html ---- */

struct url {
  CURLU *handle; /* NULL once it is closed */
  char *text;    /* what libcurl returned last */
};

static struct url *check_url(lua_State *L) {
  struct url *u = luaL_checkudata(L, 1, URL_TYPE);
  luaL_argcheck(L, u->handle, 1, "this url is closed");
  return u;
}

/* A new url on the stack: closed as yet, but already owned by its userdata. */
static struct url *push_url(lua_State *L) {
  struct url *u = lua_newuserdatauv(L, sizeof *u, 0);
  memset(u, 0, sizeof *u);
  luaL_setmetatable(L, URL_TYPE);
  return u;
}

static void forget_text(struct url *u) {
  curl_free(u->text);
  u->text = NULL;
}

static void free_url(struct url *u) {
  forget_text(u);
  curl_url_cleanup(u->handle);
  u->handle = NULL;
}

/* url:close(): also __gc and __close */
static int url_close(lua_State *L) {
  free_url(luaL_checkudata(L, 1, URL_TYPE));
  return 0;
}

static const char *url_failure(CURLUcode code) {
#if LIBCURL_VERSION_NUM >= 0x075000
  return curl_url_strerror(code);
#else
  switch (code) {
  case CURLUE_UNSUPPORTED_SCHEME: return "Unsupported URL scheme";
  case CURLUE_USER_NOT_ALLOWED: return "Credentials was passed in the URL when prohibited";
  default: return "Malformed input to a URL function";
  }
#endif
}

/* A part of the URL as a string on the stack, or nil where it has none. */
static void push_part(lua_State *L, struct url *u, CURLUPart part) {
  forget_text(u);
  switch (curl_url_get(u->handle, part, &u->text, 0)) {
  case CURLUE_OK: lua_pushstring(L, u->text); break;
  case CURLUE_OUT_OF_MEMORY: luaL_error(L, "not enough memory"); break;
  default: lua_pushnil(L); break;
  }
}

/* core.url(text) → url; nil, message when libcurl cannot read it. A URL with credentials in it is
** refused: they would end up in logs. */
static int url_new(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  struct url *u = push_url(L);
  CURLUcode code = CURLUE_MALFORMED_INPUT;
  u->handle = curl_url();
  if (!u->handle)
    return luaL_error(L, "not enough memory");
  if (strlen(text) == length) /* libcurl would not see what is behind a zero byte */
    code = curl_url_set(u->handle, CURLUPART_URL, text, CURLU_DISALLOW_USER | CURLU_URLENCODE);
  if (code == CURLUE_OUT_OF_MEMORY)
    return luaL_error(L, "not enough memory");
  if (code == CURLUE_OK)
    return 1;
  luaL_pushfail(L);
  lua_pushstring(L, url_failure(code));
  return 2;
}

/* url:parts() → scheme, host, query, fragment (strings or nil) */
static int url_parts(lua_State *L) {
  static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_QUERY,
                                    CURLUPART_FRAGMENT};
  struct url *u = check_url(L);
  size_t i;
  for (i = 0; i < sizeof parts / sizeof *parts; i++)
    push_part(L, u, parts[i]);
  forget_text(u);
  return sizeof parts / sizeof *parts;
}

/* where url:with has the element at hand on the stack */
#define ELEMENT 5

/* Adds element `i` of the sequence at `index`, percent-encoded, to the buffer on top of the stack. */
static void add_escaped(lua_State *L, luaL_Buffer *b, struct url *u, int index, lua_Integer i) {
  size_t length;
  const char *text;
  lua_geti(L, index, i);
  lua_replace(L, ELEMENT);
  text = luaL_checklstring(L, ELEMENT, &length);
  if (length == 0) /* to libcurl, 0 means "measure it yourself" */
    return;
  forget_text(u);
  u->text = curl_easy_escape(NULL, text, (int)length);
  if (!u->text)
    luaL_error(L, "not enough memory");
  luaL_addstring(b, u->text);
}

static void set_part(lua_State *L, CURLU *u, CURLUPart part, const char *text) {
  CURLUcode code = curl_url_set(u, part, text, 0);
  if (code != CURLUE_OK)
    luaL_error(L, code == CURLUE_OUT_OF_MEMORY ? "not enough memory" : "%s", url_failure(code));
}

/* Pushes the URL's path with the segments of the sequence at index 2 behind it. */
static void push_path(lua_State *L, struct url *u) {
  lua_Integer i, count = luaL_len(L, 2);
  size_t length;
  const char *base;
  luaL_Buffer b;
  push_part(L, u, CURLUPART_PATH);
  base = luaL_checklstring(L, -1, &length);
  while (length > 0 && base[length - 1] == '/')
    length--;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, base, length);
  for (i = 1; i <= count; i++) {
    luaL_addchar(&b, '/');
    add_escaped(L, &b, u, 2, i);
  }
  luaL_pushresult(&b);
}

/* Pushes the query that the sequence {name, value, name, value, …} at index 3 stands for. */
static void push_query(lua_State *L, struct url *u) {
  lua_Integer i, count = luaL_len(L, 3);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (i = 1; i <= count; i++) {
    if (i > 1)
      luaL_addchar(&b, i % 2 ? '&' : '=');
    add_escaped(L, &b, u, 3, i);
  }
  luaL_pushresult(&b);
}

/* url:with(segments, query) → the URL as a string: base, segments of the path (sequence of strings)
** and query parameters (sequence: name, value, name, value, …), each of them percent-encoded. It is
** made from a copy of the base: a finalizer that runs meanwhile may want a URL from the same base. */
static int url_with(lua_State *L) {
  struct url *u;
  (void)check_url(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  u = push_url(L);
  lua_pushnil(L); /* at ELEMENT */
  u->handle = curl_url_dup(check_url(L)->handle);
  if (!u->handle)
    return luaL_error(L, "not enough memory");
  push_path(L, u);
  set_part(L, u->handle, CURLUPART_PATH, lua_tostring(L, -1));
  push_query(L, u);
  if (lua_rawlen(L, -1) > 0)
    set_part(L, u->handle, CURLUPART_QUERY, lua_tostring(L, -1));
  push_part(L, u, CURLUPART_URL);
  free_url(u);
  return 1;
}

static const luaL_Reg url_methods[] = {
    {"parts", url_parts}, {"with", url_with}, {"close", url_close}, {NULL, NULL}};

static const luaL_Reg url_metamethods[] = {
    {"__gc", url_close}, {"__close", url_close}, {NULL, NULL}};

static void url_register(lua_State *L) {
  luaL_newmetatable(L, URL_TYPE);
  luaL_setfuncs(L, url_metamethods, 0);
  luaL_newlib(L, url_methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

/* ---- the rest ---- */

/* core.decode(text [, keep_nulls [, member, opener]]) → value; nil, message, offset (see json.h) */
static int decode(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  struct json_options options;
  transfer_check_decoding(L, 2, &options);
  return json_decode(L, text, length, &options);
}

/* core.now() → seconds on a clock that only goes forward, from an arbitrary point */
static int now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  return 1;
}

/* core.date(text) → seconds since the epoch for an HTTP date; nil for anything else
** https://curl.se/libcurl/c/curl_getdate.html */
static int date(lua_State *L) {
  time_t t = curl_getdate(luaL_checkstring(L, 1), NULL);
  if (t == (time_t)-1)
    luaL_pushfail(L);
  else
    lua_pushinteger(L, (lua_Integer)t);
  return 1;
}

/* core.terminal_size(fd) → columns, rows (0 where it does not say); nil when fd is no terminal
** https://man7.org/linux/man-pages/man2/TIOCGWINSZ.2const.html */
static int terminal_size(lua_State *L) {
  struct winsize size;
  if (ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) != 0) {
    luaL_pushfail(L);
    return 1;
  }
  lua_pushinteger(L, size.ws_col);
  lua_pushinteger(L, size.ws_row);
  return 2;
}

/* core.interrupt(): ends the process by SIGINT, as if nobody handled it. Only so does the shell that
** waits for it end the loop around it, too. */
static int interrupt(lua_State *L) {
  (void)L;
  (void)signal(SIGINT, SIG_DFL);
  (void)raise(SIGINT);
  return 0;
}

/* Once per process: libcurl's global state, which is never torn down since other users of libcurl
** may live in the same process. */
static CURLcode global_init(void) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static int done = 0;
  CURLcode code = CURLE_OK;
  pthread_mutex_lock(&mutex);
  if (!done) {
    code = curl_global_init(CURL_GLOBAL_DEFAULT);
    done = code == CURLE_OK;
  }
  pthread_mutex_unlock(&mutex);
  return code;
}

static const luaL_Reg functions[] = {
    {"client", client_new},   {"url", url_new},
    {"decode", decode},       {"now", now},
    {"date", date},           {"terminal_size", terminal_size},
    {"interrupt", interrupt}, {NULL, NULL},
};

/* A closing lua_State unloads its C modules. This one must stay: libcurl may have threads in name
** look-ups, and the TLS library has handlers for the process's end. */
static void stay_loaded(void) {
  Dl_info self;
  if (dladdr(functions, &self) && self.dli_fname)
    (void)dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

__attribute__((visibility("default"))) int luaopen_gradient_core(lua_State *L) {
  CURLcode code = global_init();
  if (code != CURLE_OK)
    return luaL_error(L, "libcurl cannot start: %s", curl_easy_strerror(code));
  stay_loaded();
  client_register(L);
  transfer_register(L);
  url_register(L);
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushliteral(L, GRADIENT_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushstring(L, curl_version_info(CURLVERSION_NOW)->version);
  lua_setfield(L, -2, "libcurl");
  return 1;
}
