/*
 * sink.h: where the rest of a body goes that was answered before it had been read.
 *
 * Closing a socket on which there are unread bytes makes the kernel send a reset, which can destroy
 * the answer before the client has read it (RFC 9112, section 9.6). So a thread reads and drops
 * them until the client closes its side.
 */
#ifndef CNNSERVE_SINK_H
#define CNNSERVE_SINK_H

/* Sockets that are read at one time, and for how long. Others are just closed. */
#define SINK_MAX     64
#define SINK_SECONDS 10

typedef struct sink sink; /* thread-safe */

/* Starts the thread. NULL: out of memory or threads. */
sink *sink_create(void);
/* Stops it and closes what is left. Accepts NULL. */
void sink_free(sink *s);
/* Reads and drops what still arrives at `socket`, which the caller closes. */
void sink_add(sink *s, int socket);

#endif
