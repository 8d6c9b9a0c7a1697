/*
** slow_names.c: for LD_PRELOAD: a name service that does not answer, and says when it is asked.
*/
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  (void)service, (void)hints, (void)result;
  printf("asked for %s\n", node);
  fflush(stdout);
  sleep(60);
  return EAI_AGAIN;
}
