/* call.h: one request on its way through libmicrohttpd; inside server/http only. See server.c. */
#ifndef CNNSERVE_CALL_H
#define CNNSERVE_CALL_H

#include "http/deadline.h"
#include "http/guard.h"
#include "http/http.h"
#include "http/sink.h"

#include <microhttpd.h>
#include <pthread.h>

struct http_server {
    http_options options; /* its texts are owned */
    char url[512];
    struct MHD_Daemon *daemon;
    deadlines *deadlines;
    sink *sink;
    guards *guards;         /* the HTTP thread's */
    atomic_bool draining;   /* set under the lock */
    atomic_size_t buffered; /* bytes of bodies and replies held by calls */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t running; /* calls that the drain waits for; guarded by the lock */
};

typedef enum call_state {
    CALL_NEW,       /* the headers are not there yet */
    CALL_RECEIVING, /* waiting for the rest of the request */
    CALL_COMPLETE,  /* the body is there, if there is one */
    CALL_RUNNING,   /* the handler's */
    CALL_ANSWERED   /* a reply has been queued or written */
} call_state;

/* A connection, as the context of its socket. */
typedef struct http_client {
    http_server *server;
    struct MHD_Connection *connection;
    deadline *deadline;
    guard *guard;
    struct call *call; /* the request under way, or NULL */
} http_client;

typedef struct call {
    http_exchange x; /* first: a call is found from its exchange */
    http_server *server;
    struct MHD_Connection *connection;
    http_client *client;
    call_state state;
    const http_route *route; /* NULL: refused, x.reply says why */
    char method[16];
    char *target;       /* as sent; owned */
    char *path;         /* the target without its query; owned */
    http_pair *headers; /* with their texts behind them; owned */
    buffer body;
    uint64_t started_ns, submitted_ns;
    uint64_t announced; /* Content-Length, 0 without one */
    uint64_t bytes_in, bytes_out;
    size_t buffered; /* this call's part of the server's */
    bool counted;    /* in the server's `running`: its headers came before the drain began */
    bool has_body;
    bool body_read;   /* to its end, or there is none */
    bool written_raw; /* the reply went past libmicrohttpd */
    atomic_bool done; /* the handler has completed */
} call;

/* The request line is there. NULL: out of memory. */
call *call_create(http_client *client, const char *target);
/* Without an answer or a line in the log. Accepts NULL. */
void call_free(call *c);
/* The headers are there; a piece of body is; the request is complete; the handler has completed.
 * MHD_NO closes the connection. */
enum MHD_Result call_start(call *c, const char *method);
enum MHD_Result call_receive(call *c, const char *bytes, size_t size);
enum MHD_Result call_dispatch(call *c);
enum MHD_Result call_answer(call *c);
/* The guard has found something wrong: answers past libmicrohttpd, unless there is an answer, and
 * logs. The rest as guard_refuse. */
void call_refuse(http_client *client, const head_refusal *why, const char *line, size_t size);
/* libmicrohttpd is done with the request: logs and frees. */
void call_end(call *c, enum MHD_RequestTerminationCode why);

/* refuse_early.c: writes x.reply past libmicrohttpd, which is then to close the connection. */
void call_refuse_early(call *c);
/* What is left to be done for a call that ends before its body has been read: 408 if that took too
 * long, and dropping the rest of it if there has been an answer. */
void call_end_early(call *c, enum MHD_RequestTerminationCode why);

int call_socket(struct MHD_Connection *connection);
/* NULL: there was no memory for it. */
http_client *call_client(struct MHD_Connection *connection);

#endif
