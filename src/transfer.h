/*
** transfer.h: one HTTP request and its answer. Nothing here waits, and nothing here knows a CURLM:
** a client (client.c) hands the easy handle to libcurl and says when it is done.
*/
#ifndef GRADIENT_TRANSFER_H
#define GRADIENT_TRANSFER_H

#include <stddef.h>

#include <curl/curl.h>
#include <lua.h>

#include "json.h"

#pragma GCC visibility push(hidden)

struct pool;
struct watch;

struct buffer {
  char *bytes;
  size_t length, capacity;
};

/* A body's buffer that is kept for the next answer: freeing large blocks and allocating them again
** makes all other allocations slower. */
struct spare {
  struct buffer body;
  int closed; /* nothing is kept any more */
};

/* why one of our own callbacks stopped a transfer */
enum stop { STOP_NONE, STOP_HEAD_TOO_LARGE, STOP_LINE_TOO_LONG, STOP_BODY_TOO_LARGE, STOP_MEMORY };

struct transfer {
  CURL *easy;                 /* NULL before it is sent and once it has ended */
  struct curl_slist *headers; /* of this request alone, as long as it runs */
  struct buffer head, body;   /* of the answer */
  size_t max_body;
  struct spare *spare; /* of its client */
  size_t *received;    /* adds up what a step of its client receives */
  CURLcode code;
  enum stop stop;
  long status;
  int head_complete; /* the empty line that ends the head has come */
  int interim;       /* that head is a 1xx one: another follows */
  int may_share;     /* https, which can be HTTP/2: many over one connection */
  int has_body;      /* the request has: its handle is not used again */
  int sent;          /* the server may have seen the request */
  int multiplexed;   /* it went over HTTP/2 or later */
  int is_unknown;    /* no trusted authority has signed the server's certificate */
  int closed;        /* ended by the program */
  int uses;          /* of its easy handle, this one included */
  int decoding;      /* how many decodings are going on: the body must stay */
  char message[CURL_ERROR_SIZE];

  /* its client's part, from the sending to the end */
  struct pool *pool;
  struct transfer *previous, *next; /* in the pool's list */
  unsigned long added;              /* pool->acts when it was added */
  struct watch *watches;            /* the descriptors that libcurl watches for it */
  int waiters;                      /* loans for it */
  int announced;                    /* it ended while somebody waited for it */
  int selected;                     /* scratch: the current call is for it */
};

/* what all requests of a client have in common */
struct transfer_defaults {
  CURL *easy;                 /* options, to be copied */
  struct curl_slist *headers; /* of a request that brings none of its own */
  struct curl_slist *secret;  /* the header lines of every request but an anonymous one */
  char *proxy;                /* of a request that names none; NULL: libcurl's */
};

/* Adds the methods of transfers that need no client to the metatable on top of the stack, and
** leaves the table of methods there. */
void transfer_register(lua_State *L);

/* Prepares a request: fills t->easy, which may hold a handle that was used before, from the request
** table at `request`. Raises for a request that libcurl does not take, and when memory is short. */
void transfer_prepare(lua_State *L, struct transfer *t, const struct transfer_defaults *defaults,
                      int request);

/* libcurl is done with it: keeps the outcome. The easy handle stays, for the caller to take. */
void transfer_finish(struct transfer *t, CURLcode code);

/* Frees what a transfer holds that has no easy handle any more. */
void transfer_free(struct transfer *t);

/* Frees a spare buffer; what comes back later is freed at once. */
void spare_close(struct spare *spare);

/* Sets the message of a failure for which libcurl has none. */
void transfer_explain(struct transfer *t, const char *message);

/* Reads the optional arguments keep_nulls, member and opener from `index` on. */
void transfer_check_decoding(lua_State *L, int index, struct json_options *options);

/* The transfer at `index`, or an argument error. */
struct transfer *transfer_check(lua_State *L, int index);

/* Appends a header line; an error when it holds a control character or memory is short. */
void append_header(lua_State *L, struct curl_slist **list, int index);

/* Keeps the first failure of several calls of libcurl. */
void note(CURLcode *first, CURLcode code);

/* Raises the error that memory is short. */
int out_of_memory(lua_State *L);

/*
** Types of userdata. `type` is the address of the type's name: it is the key of the metatable in
** the registry, so two copies of the module in one process do not take one another's objects.
*/
extern const char transfer_type[];

/* Pushes the type's metatable; `close` is its __close, `collect` its __gc. */
void type_new(lua_State *L, const char *type, lua_CFunction close, lua_CFunction collect);

/* The object at `index`, or an argument error. */
void *type_check(lua_State *L, int index, const char *type);

/* Pushes a new object, all zero, with so many user values. */
void *type_create(lua_State *L, const char *type, size_t size, int values);

#pragma GCC visibility pop

#endif
