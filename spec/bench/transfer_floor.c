/*
** transfer_floor.c: the least that a request costs with libcurl, as a Lua module: one easy handle, set
** up once, whose answers are thrown away. fetch(url, header…) → bytes of the body.
*/
#include <stdlib.h>

#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>

int luaopen_transfer_floor(lua_State *L);

static CURL *easy;

static size_t discard(char *bytes, size_t size, size_t count, void *total) {
  (void)bytes;
  *(size_t *)total += size * count;
  return size * count;
}

static int fetch(lua_State *L) {
  size_t total = 0;
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)&total);
  if (curl_easy_perform(easy) != CURLE_OK)
    return luaL_error(L, "libcurl failed");
  lua_pushinteger(L, (lua_Integer)total);
  return 1;
}

/* open(url, header…) */
static int open_easy(lua_State *L) {
  struct curl_slist *headers = NULL;
  int i;
  for (i = 2; i <= lua_gettop(L); i++)
    headers = curl_slist_append(headers, luaL_checkstring(L, i));
  easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, luaL_checkstring(L, 1));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L * 1024);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
  return 0;
}

int luaopen_transfer_floor(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", open_easy}, {"fetch", fetch}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
