/*
** client.h: a client: one CURLM with its connections, and what its requests have in common.
*/
#ifndef GRADIENT_CLIENT_H
#define GRADIENT_CLIENT_H

#include <lua.h>

#pragma GCC visibility push(hidden)

/* Registers the metatables of clients, loans and transfers. */
void client_register(lua_State *L);

/* core.client(options) → client */
int client_new(lua_State *L);

#pragma GCC visibility pop

#endif
