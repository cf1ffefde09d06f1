/*
 * deadline.h: the time in which headers and body of a request have to arrive, and the reply has to
 * be taken.
 *
 * libmicrohttpd closes a connection on which nothing moves. What it does not see is a client that
 * moves just enough: a header per minute, a byte of body or of the reply per second. A thread
 * watches the open connections and ends one that is too slow (of a request only the input, so that
 * it can still be answered), which libmicrohttpd notices; likewise the input of one whose client
 * has ended it unnoticed.
 */
#ifndef CNNSERVE_DEADLINE_H
#define CNNSERVE_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes a second that a body has to bring on average, after idle_seconds of grace; and that a
 * client has to take of a reply in each idle_seconds, unless that is all of it. */
#define DEADLINE_MIN_RATE 4096

typedef struct deadlines deadlines; /* thread-safe */
typedef struct deadline deadline;   /* of one connection */

/* Starts the thread. NULL: out of memory or threads. */
deadlines *deadlines_create(unsigned idle_seconds);
/* Stops it. No connection may be left. Accepts NULL. */
void deadlines_free(deadlines *all);

/* The socket has to stay open until deadline_remove. NULL: out of memory. */
deadline *deadline_add(deadlines *all, int socket);

typedef enum deadline_phase {
    DEADLINE_WAITING, /* for the headers of a request */
    DEADLINE_BODY,    /* a body is being received */
    DEADLINE_NONE,    /* the server's turn */
    DEADLINE_REPLY    /* a reply is being sent */
} deadline_phase;

/* NULL is accepted by what follows. */
void deadline_remove(deadline *d);
void deadline_enter(deadline *d, deadline_phase phase);
void deadline_received(deadline *d, size_t bytes);
/* The connection, or its input, has been ended. */
bool deadline_passed(deadline *d);

#endif
