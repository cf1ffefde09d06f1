/*
 * http.h: requests and replies as handlers see them, routes, and the server.
 *
 *   http_exchange   one request with its reply; a handler fills the reply and completes it
 *   http_route      method, path pattern, handler
 *   http_server     sockets, limits, time-outs; the only part that knows libmicrohttpd
 *
 * A handler needs no socket: a test makes an exchange with http_exchange_init, fills in a request
 * and calls it. Strings that a request points to live as long as its exchange; moments are those of
 * clock_ns.
 */
#ifndef CNNSERVE_HTTP_H
#define CNNSERVE_HTTP_H

#include "common/buffer.h"
#include "common/clock.h"

#include <cnn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- request ------------------------------------------------------------------------------ */

/* Named maxima of what a client may send; more is refused. */
#define HTTP_MAX_HEADER_BYTES ((size_t)63 << 9) /* request line and headers (414, 431) */
#define HTTP_MAX_SEGMENTS     16                /* of a path; longer ones match no route */
#define HTTP_MAX_QUERY        64                /* query parameters (400) */
#define HTTP_MAX_ID           128               /* of X-Request-Id; others are replaced */

typedef struct http_pair {
    const char *name;
    const char *value;
} http_pair;

/* The request target, split and percent-decoded: valid UTF-8 without control characters. */
typedef struct http_target {
    const char *segments[HTTP_MAX_SEGMENTS]; /* "/a/b": "a", "b" */
    size_t segment_count;                    /* HTTP_MAX_SEGMENTS + 1 if there are more */
    http_pair query[HTTP_MAX_QUERY];         /* in order; the value of "a" alone is "" */
    size_t query_count;
    char *memory; /* owned; what the pointers above point into */
} http_target;

/* Splits "/path?query" (or "http://host/path?query"). False: *why is a sentence. Nothing is to be
 * freed then. */
bool http_target_parse(const char *text, http_target *out, const char **why);
void http_target_free(http_target *target);

typedef struct http_request {
    const char *method; /* "GET", ... */
    const char *path;   /* as sent, without the query; for messages only */
    http_target target;
    const http_pair *headers;
    size_t header_count;
    const char *body; /* NULL if size is 0 */
    size_t body_size;
    char id[HTTP_MAX_ID + 1];
    char client[64];      /* its address */
    uint64_t received_ns; /* when the request was complete */
} http_request;

/* The value of the first header of that name, in upper or lower case; NULL if there is none. */
const char *http_request_header(const http_request *request, const char *name);

/* ---- reply -------------------------------------------------------------------------------- */

#define HTTP_MAX_REPLY_HEADERS 8

typedef struct http_reply_header {
    const char *name; /* a constant */
    char *value;      /* owned */
} http_reply_header;

typedef struct http_reply {
    int status;               /* 0 until it is decided */
    const char *content_type; /* a constant; NULL: application/json */
    buffer body;
    http_reply_header headers[HTTP_MAX_REPLY_HEADERS];
    size_t header_count;
} http_reply;

/* ---- exchange ----------------------------------------------------------------------------- */

/* Parts of the time that a request takes, sent as Server-Timing. */
typedef enum http_timing {
    HTTP_DECODE,
    HTTP_PREPROCESS,
    HTTP_QUEUE,
    HTTP_INFERENCE,
    HTTP_ENCODE,
    HTTP_TIMINGS
} http_timing;

extern const char *const http_timing_names[HTTP_TIMINGS]; /* "decode", ... */

#define HTTP_MAX_CAPTURES 4

typedef struct http_exchange http_exchange;
struct http_exchange {
    http_request request;
    const char *captures[HTTP_MAX_CAPTURES]; /* segments that stand for a pattern's {...} */
    http_reply reply;                        /* the handler's until http_complete */
    uint64_t deadline_ns;                    /* 0: none */
    void (*complete)(http_exchange *x);      /* set by whoever runs the handler */
    _Atomic uint64_t timing_ns[HTTP_TIMINGS];
};

/* A zeroed exchange with an empty reply. */
void http_exchange_init(http_exchange *x);
/* Frees reply and target; the rest of the request belongs to whoever made the exchange. */
void http_exchange_free(http_exchange *x);

/*
 * The reply is ready; called once, by any thread. Afterwards the exchange is no longer the
 * handler's.
 */
void http_complete(http_exchange *x);
/* From any thread. Several images add up. */
void http_timing_add(http_exchange *x, http_timing part, uint64_t ns);
/* Adds a header; `name` is a constant. */
void http_reply_header_add(http_exchange *x, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Makes the reply {"error": <sentence>, "code": code}; whatever it held before is dropped. */
void http_reply_error(http_exchange *x, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* As above, and completes. */
void http_fail(http_exchange *x, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- routes ------------------------------------------------------------------------------- */

/*
 * Fills x->reply and sees to it that http_complete(x) is called. A handler that is not pooled runs
 * on an HTTP thread: it has to be quick and to complete before it returns. A pooled one runs on a
 * worker while its connection is suspended, and may complete later, from anywhere.
 */
typedef void http_handler(void *app, http_exchange *x);

typedef struct http_route {
    const char *method;  /* "GET" answers HEAD too */
    const char *pattern; /* "/v1/models/{m}": {m} stands for one segment that is not empty */
    http_handler *handler;
    bool pooled;
    bool while_draining; /* answered even then; others get 503 draining */
} http_route;

typedef struct http_routes {
    const http_route *items;
    size_t count;
} http_routes;

/*
 * The route of a request, its captures set. NULL: the reply is the answer, 404 with near routes,
 * 405 with Allow, or 204 to OPTIONS.
 */
const http_route *http_route_find(http_routes routes, http_exchange *x);
/* The methods of the path of `x`, "GET, HEAD, OPTIONS"; "" if no route has that path. */
const char *http_routes_allow(http_routes routes, const http_request *request, char *buffer,
                              size_t size);

/* ---- server ------------------------------------------------------------------------------- */

typedef struct http_server http_server;

/* Texts are copied. */
typedef struct http_options {
    const char *host; /* a name or an address */
    uint16_t port;    /* 0: any that is free */
    size_t max_body;
    size_t max_buffered; /* of all bodies and replies held at one time; past it, 503 */
    unsigned max_connections;
    unsigned idle_seconds;   /* between requests, and without a byte within one */
    uint64_t timeout_ns;     /* a pooled request that waits longer gets 504; 0: no limit */
    const char *cors_origin; /* "*", or origins separated by commas; NULL: none */
    http_routes routes;      /* outlive the server, as do app and runtime */
    void *app;               /* first argument of every handler */
    cnn_runtime *runtime;    /* its workers run the pooled handlers */
} http_options;

typedef enum http_start {
    HTTP_STARTED,
    HTTP_PORT_TAKEN, /* or not ours to take */
    HTTP_BAD_HOST,   /* no address of this machine */
    HTTP_START_FAILED
} http_start;

/* Listens and serves from here on. `message` (`size` bytes) holds a sentence unless it started. */
http_start http_server_create(const http_options *options, http_server **out, char *message,
                              size_t size);
/* "http://127.0.0.1:8080"; lives as long as the server. */
const char *http_server_url(const http_server *server);
/* From now on requests are refused, but for routes while_draining; connections are still accepted,
 * so that clients are told. */
void http_server_drain(http_server *server);
bool http_server_draining(const http_server *server);
/* After http_server_drain: waits until the requests that came before it have been answered; false:
 * `timeout_ns` has passed first. */
bool http_server_wait_idle(http_server *server, uint64_t timeout_ns);
/* Closes what is open. No pooled handler may be under way. Accepts NULL. */
void http_server_free(http_server *server);

#endif
