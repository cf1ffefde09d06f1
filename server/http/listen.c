/* listen.c: see listen.h. Of a name with several addresses the first that can be bound is taken. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_one(const struct addrinfo *a) {
    const int on = 1, off = 0;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0) return -1;
    /* Restarts need not wait for old connections; "::" serves IPv4 as well. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

http_start listen_open(const char *host, uint16_t port, int *fd, char *message, size_t size) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(host, service, &hints, &addresses);
    if (failed) {
        snprintf(message, size, "there is no host %s: %s", host, gai_strerror(failed));
        return HTTP_BAD_HOST;
    }
    int opened = -1;
    for (const struct addrinfo *a = addresses; a && opened < 0; a = a->ai_next)
        opened = open_one(a);
    int error = errno;
    freeaddrinfo(addresses);
    if (opened >= 0) {
        *fd = opened;
        return HTTP_STARTED;
    }
    snprintf(message, size, "cannot listen on %s port %u: %s", host, port, strerror(error));
    return error == EADDRINUSE || error == EACCES ? HTTP_PORT_TAKEN
           : error == EADDRNOTAVAIL               ? HTTP_BAD_HOST
                                                  : HTTP_START_FAILED;
}

uint16_t listen_port(int fd) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) < 0) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
