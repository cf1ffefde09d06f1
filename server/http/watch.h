/*
 * watch.h: the open connections, watched by a thread of their own.
 *
 * libmicrohttpd closes a connection on which nothing moves. What it does not see is a client that
 * moves just enough: a header per minute, a byte of body per second. The watcher gives headers and
 * bodies a deadline and then ends the connection's input, which libmicrohttpd notices.
 *
 * It also drains connections that were answered before their body was read. Closing such a socket
 * makes the kernel send a reset, which can destroy the answer before the client has read it
 * (RFC 9112, section 9.6).
 */
#ifndef CNNSERVE_WATCH_H
#define CNNSERVE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes a second that a body has to bring on average, after idle_seconds of grace. */
#define WATCH_MIN_RATE 4096
/* Answered connections that are drained at one time, and for how long. Others are just closed. */
#define WATCH_DRAINED       64
#define WATCH_DRAIN_SECONDS 10

typedef struct watcher watcher; /* thread-safe */
typedef struct watched watched;

/* Starts the watcher. NULL: out of memory or threads. */
watcher *watcher_create(unsigned idle_seconds);
/* Stops the watcher. No connection may be left. Accepts NULL. */
void watcher_free(watcher *all);

/* The socket has to stay open until watcher_remove. NULL: out of memory. */
watched *watcher_add(watcher *all, int socket);
void watcher_remove(watcher *all, watched *c);

typedef enum watched_phase {
    WATCHED_WAITING, /* for the headers of a request */
    WATCHED_BODY,    /* a body is being received */
    WATCHED_BUSY     /* the server's turn: no deadline */
} watched_phase;

/* A NULL connection is accepted by what follows. */
void watched_enter(watched *c, watched_phase phase);
void watched_received(watched *c, size_t bytes);
/* The watcher has ended the connection's input. */
bool watched_timed_out(watched *c);

/* Reads and drops what still arrives at `socket`, which the caller closes. */
void watcher_drain(watcher *all, int socket);

#endif
