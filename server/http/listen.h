/* listen.h: the listening socket. */
#ifndef CNNSERVE_LISTEN_H
#define CNNSERVE_LISTEN_H

#include "http/http.h"

/* Binds and listens; *fd is the caller's. `message` holds a sentence unless HTTP_STARTED. */
http_start listen_open(const char *host, uint16_t port, int *fd, char *message, size_t size);
/* The port that `fd` is bound to. */
uint16_t listen_port(int fd);

#endif
