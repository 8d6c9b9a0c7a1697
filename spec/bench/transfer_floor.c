/*
** The floor under any client: one easy handle, set up once, whose answers are thrown away.
**
**   local fetch = require "transfer_floor".open(url, header, …)
**   fetch()      sends the request and receives the whole answer
*/
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>

int luaopen_transfer_floor(lua_State *L);

static size_t discard(char *bytes, size_t size, size_t count, void *unused) {
  (void)bytes;
  (void)unused;
  return size * count;
}

static int fetch(lua_State *L) {
  CURLcode code = curl_easy_perform(lua_touserdata(L, lua_upvalueindex(1)));
  return code == CURLE_OK ? 0 : luaL_error(L, "%s", curl_easy_strerror(code));
}

/* The handle and its header lines live as long as the process. */
static int open_handle(lua_State *L) {
  CURL *easy = curl_easy_init();
  struct curl_slist *headers = NULL;
  int i;
  for (i = 2; i <= lua_gettop(L); i++)
    headers = curl_slist_append(headers, luaL_checkstring(L, i));
  curl_easy_setopt(easy, CURLOPT_URL, luaL_checkstring(L, 1));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L * 1024);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
  lua_pushlightuserdata(L, easy);
  lua_pushcclosure(L, fetch, 1);
  return 1;
}

int luaopen_transfer_floor(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", open_handle}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
