/*
** transfer.h: one HTTP request and its answer. A client (client.c) owns the CURLM and tells
** when libcurl is through with a transfer; nothing here waits.
*/
#ifndef GRADIENT_TRANSFER_H
#define GRADIENT_TRANSFER_H

#include <signal.h>

#include <curl/curl.h>
#include <lua.h>

#include "json.h"

#pragma GCC visibility push(hidden)

struct transfer;

/* the transfers of one client */
struct transfers {
  CURLM *multi;
  pid_t process; /* whose connections these are; in another one, `disown` them before libcurl may
                    write to them */
  void (*disown)(struct transfers *all);
  struct transfer *first; /* all that are not released yet, whether they run or not */
  int running;            /* libcurl still works on these */
  int unclaimed;          /* awaited, ended during somebody else's step, not looked at since */
  int wake[2];            /* a pipe, readable while unclaimed > 0; -1 until somebody waits on it */
  unsigned long sent;     /* serial number of the latest one */
};

/* what a request gets from its client */
struct transfer_defaults {
  CURL *easy;                 /* options, to be copied */
  struct curl_slist *headers; /* further header lines */
};

/* Registers the metatable of transfers. */
void transfer_register(lua_State *L);

/* A new transfer on the stack, not sent as yet. It keeps the value at `client` alive. */
struct transfer *transfer_new(lua_State *L, int client);

/* Hands the request table at `request` to libcurl, as a transfer that is new. Raises for a request
** that libcurl does not take, and when memory is short. */
void transfer_send(lua_State *L, struct transfer *t, struct transfers *all,
                   const struct transfer_defaults *defaults, int request);

/* The transfer at `index`, or an argument error. */
struct transfer *transfer_check(lua_State *L, int index);

/* The transfer that an easy handle belongs to; NULL for a handle that is libcurl's own. */
struct transfer *transfer_of(CURL *easy);

/* Its serial number in its client, from 1: what a socket's owner is known by. */
unsigned long transfer_serial(const struct transfer *t);

/* May it go over a connection with others, as HTTP/2 does? */
int transfer_may_share(const struct transfer *t);

/* Reads the optional arguments keep_nulls, member and opener from `index` on. */
void transfer_check_decoding(lua_State *L, int index, struct json_options *options);

/* Called when libcurl is through with it: keeps the outcome, gives the easy handle back. */
void transfer_finish(struct transfer *t, CURLcode code);

/* Somebody is going to wait for it. */
void transfer_await(struct transfer *t);

/* Tells who waits for it elsewhere that it has ended. Nobody is told who does not wait: the pipe
** would stay readable, and all others would spin. */
void transfer_announce(struct transfer *t);

/* Ends all running transfers: with `failure` (a sentence) as failed connections; without, as closed
** by the program, and lets go of every transfer. The CURLM itself is left to the client. */
void transfers_release(struct transfers *all, const char *failure);

/* Makes the wake pipe readable, or drains it. */
void transfers_wake(struct transfers *all, int readable);

/* Around calls of libcurl that may write to a socket: a peer that is gone must not kill the host
** by SIGPIPE (libcurl leaves that to us with CURLOPT_NOSIGNAL). */
struct sigpipe {
  sigset_t mask;
  int was_pending;
};
void sigpipe_hold(struct sigpipe *guard);
void sigpipe_release(const struct sigpipe *guard);

#pragma GCC visibility pop

#endif
