/*
 * guard.h: what a client sends, checked before libmicrohttpd sees it.
 *
 * A guard stands between a connection's socket and the library. It lets a request's head through
 * once all of it is there and good (head.h), follows the body to its end, and so knows where the
 * next head begins. At the first byte that is wrong it stops: the requests before are answered, the
 * wrong one is refused through `refuse`, and the library is told that the client has gone.
 *
 * All of it happens on the HTTP thread.
 */
#ifndef CNNSERVE_GUARD_H
#define CNNSERVE_GUARD_H

#include "http/head.h"

#include <sys/types.h>

#define GUARD_MAX_CHUNK_LINE 256               /* bytes, extensions included; 400 */
#define GUARD_MAX_TRAILERS   ((size_t)4 << 10) /* bytes behind a chunked body; 431 */

typedef struct guard guard;
typedef struct guards guards; /* of a server's connections */

guards *guards_create(void);
/* No guard may be left. Accepts NULL. */
void guards_free(guards *all);

/* The request under way is refused; `line` is the beginning of its request line, and NULL if its
 * head was good. */
typedef void guard_refuse(void *arg, const head_refusal *why, const char *line, size_t size);

/* From now on what recv(socket, …, 0) gives to this thread has been checked. NULL: out of memory,
 * and there is nothing to be received. */
guard *guard_add(guards *all, int socket, guard_refuse *refuse, void *arg);
/* Before the socket is closed. Accepts NULL. */
void guard_remove(guard *g);

/* A request whose head was let through has not ended yet. */
bool guard_expects_request(const guard *g);
/* One has. */
void guard_request_ended(guard *g);

#endif
