/* running.h: the servers of this program that run on this machine, or in this container. */
#ifndef CNNSERVE_RUNNING_H
#define CNNSERVE_RUNNING_H

#include <netinet/in.h>
#include <stddef.h>

/* Where a server listens; a server told to listen on every address is at the loopback one. */
typedef struct running_server {
    char host[INET6_ADDRSTRLEN];
    char port[8];
} running_server;

/*
 * Finds the processes that run this program's very file, have the same CNNSERVE_HOST and
 * CNNSERVE_PORT in their environment as this one, and listen on a TCP port: so the port may have
 * been given in any way, or be a free one that was taken for 0. In a container that is its server.
 * Returns how many of `capacity` were set; processes that may not be looked at are passed over.
 */
size_t running_servers(running_server *out, size_t capacity);

#endif
