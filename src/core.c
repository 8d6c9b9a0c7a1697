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

#define GRADIENT_VERSION "0.2.0"

#if LIBCURL_VERSION_NUM < 0x073e00
#error "gradient needs libcurl 7.62 or later (its URL API)"
#endif

int luaopen_gradient_core(lua_State *L);

/* ---- URLs: https://curl.se/libcurl/c/libcurl-url.html ---- */

static const char url_type[] = "gradient.url";

/* what core.url must free, whatever happens */
struct url {
  CURLU *handle;
  char *text; /* what libcurl returned last */
};

static int url_close(lua_State *L) {
  struct url *u = type_check(L, 1, url_type);
  curl_free(u->text);
  curl_url_cleanup(u->handle);
  memset(u, 0, sizeof(*u));
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
  curl_free(u->text);
  u->text = NULL;
  switch (curl_url_get(u->handle, part, &u->text, 0)) {
  case CURLUE_OK: lua_pushstring(L, u->text); break;
  case CURLUE_OUT_OF_MEMORY: out_of_memory(L); break;
  default: lua_pushnil(L); break;
  }
}

/* core.url(text [, proxy]) → url as libcurl writes it, scheme, host, path, query, fragment (strings
** or nil); nil, message when libcurl cannot read it. Credentials are refused in a URL: they would
** end up in logs. A proxy's may have them, any scheme, or none (then it is http). */
static int url(lua_State *L) {
  static const CURLUPart parts[] = {CURLUPART_URL,  CURLUPART_SCHEME, CURLUPART_HOST,
                                    CURLUPART_PATH, CURLUPART_QUERY,  CURLUPART_FRAGMENT};
  size_t i, length;
  const char *text = luaL_checklstring(L, 1, &length);
  int proxy = lua_toboolean(L, 2);
  unsigned flags = proxy ? CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME : CURLU_DISALLOW_USER;
  struct url *u = type_create(L, url_type, sizeof(*u), 0);
  CURLUcode code = CURLUE_MALFORMED_INPUT;
  lua_toclose(L, -1);
  u->handle = curl_url();
  if (u->handle == NULL)
    return out_of_memory(L);
  if (strlen(text) == length) /* libcurl would not see what comes after a zero byte */
    code = curl_url_set(u->handle, CURLUPART_URL, text, flags | CURLU_URLENCODE);
  if (code == CURLUE_OUT_OF_MEMORY)
    return out_of_memory(L);
  if (code != CURLUE_OK) {
    luaL_pushfail(L);
    lua_pushstring(L, url_failure(code));
    return 2;
  }
  for (i = 0; i < sizeof(parts) / sizeof(*parts); i++)
    push_part(L, u, parts[i]);
  return sizeof(parts) / sizeof(*parts);
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

/* core.now() → seconds on a clock that only goes forward. They are counted from the loading of the
** module, so that a lua_Number of 32 bits keeps its resolution. */
static int now(lua_State *L) {
  const struct timespec *start = lua_touserdata(L, lua_upvalueindex(1));
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)(t.tv_sec - start->tv_sec) +
                        (lua_Number)(t.tv_nsec - start->tv_nsec) / 1000000000);
  return 1;
}

/* core.date([text]) → seconds since the epoch for an HTTP date, or now; nil for anything else
** https://curl.se/libcurl/c/curl_getdate.html */
static int date(lua_State *L) {
  time_t t = lua_isnoneornil(L, 1) ? time(NULL) : curl_getdate(luaL_checkstring(L, 1), NULL);
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

/* core.interrupt(): ends the process by SIGINT, as if there were no handler. Only then does a shell
** also end the loop from which it started the process. */
static int interrupt(lua_State *L) {
  (void)L;
  (void)signal(SIGINT, SIG_DFL);
  (void)raise(SIGINT);
  return 0;
}

/* Once per process: libcurl's global state, which is never torn down since the process may have
** other users of libcurl; and its version, which two threads must not ask for at the same time. */
static CURLcode global_init(const char **version) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static const char *known = NULL;
  CURLcode code = CURLE_OK;
  pthread_mutex_lock(&mutex);
  if (known == NULL) {
    code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code == CURLE_OK)
      known = curl_version_info(CURLVERSION_NOW)->version;
  }
  *version = known;
  pthread_mutex_unlock(&mutex);
  return code;
}

static const luaL_Reg functions[] = {
    {"client", client_new},
    {"url", url},
    {"decode", decode},
    {"date", date},
    {"terminal_size", terminal_size},
    {"interrupt", interrupt},
    {NULL, NULL},
};

/* A closing lua_State unloads its C modules. This one must stay: libcurl may have threads in name
** look-ups, and the TLS library has handlers for the process's end. */
static void stay_loaded(void) {
  Dl_info self;
  if (dladdr(functions, &self) && self.dli_fname != NULL)
    (void)dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

__attribute__((visibility("default"))) int luaopen_gradient_core(lua_State *L) {
  const char *libcurl;
  CURLcode code = global_init(&libcurl);
  if (code != CURLE_OK)
    return luaL_error(L, "libcurl cannot start: %s", curl_easy_strerror(code));
  stay_loaded();
  client_register(L);
  type_new(L, url_type, url_close, url_close);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  (void)clock_gettime(CLOCK_MONOTONIC, lua_newuserdatauv(L, sizeof(struct timespec), 0));
  lua_pushcclosure(L, now, 1);
  lua_setfield(L, -2, "now");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushliteral(L, GRADIENT_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushstring(L, libcurl);
  lua_setfield(L, -2, "libcurl");
  return 1;
}
