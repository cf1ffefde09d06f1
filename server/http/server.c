/*
 * server.c: http_server on libmicrohttpd.
 *
 * One thread polls all sockets with epoll and never computes. A `call` is one request: it is made
 * when the request line is there, collects headers and body, and is freed when libmicrohttpd is
 * done with the request. What happens to it, in the order of libmicrohttpd's callbacks:
 *
 *   on_uri        the request line has been read: call_create
 *   on_request    at first without data, the headers are there: call_start, which may refuse;
 *                 then once per piece of body: call_receive;
 *                 then without data again, the request is complete: call_dispatch, twice if pooled;
 *                 and once more when a suspended connection has been resumed: call_answer
 *   on_completed  the reply has been sent, or the connection broke: call_end
 *
 * A pooled handler runs on a worker while the connection is suspended; http_complete marks the call
 * as done and resumes the connection, and only then does this thread touch the call again. So no
 * field needs a lock: it belongs to the HTTP thread before suspension and after resumption, and to
 * the handler in between.
 *
 * Before all of them comes guard.h: the library is given only requests whose heads are good, and
 * what it would refuse is refused through on_refusal, with our answer and a line in the log.
 *
 * Two more threads sleep nearly always: one ends the input of clients that are too slow
 * (deadline.h), one drops what arrives of bodies that have been refused (sink.h, refuse_early.c).
 *
 * A drain waits for the calls whose headers came before it. Until they are done connections are
 * accepted as ever, so that later requests are told 503 rather than nothing.
 *
 * A client that goes away while its request is being worked on is noticed only afterwards.
 */
#include "http/call.h"
#include "http/listen.h"
#include "http/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of a connection: a head as it is, and what the library makes of its lines. */
#define LIBRARY_MEMORY (HTTP_MAX_HEADER_BYTES + ((size_t)24 << 10))
/* What was on its way when the last running request was done is still told 503 within this time. */
#define LAST_REFUSALS_NS 200000000

/* ---- libmicrohttpd's callbacks, on the HTTP thread ------------------------------------------ */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection) {
    http_client *client = call_client(connection);
    (void)cls;
    if (!client) return NULL;
    if (!guard_expects_request(client->guard)) {
        log_line(LEVEL_ERROR, "a request is refused: libmicrohttpd has read it by other means than "
                              "the program's recv(), which checks it");
        return NULL;
    }
    return call_create(client, uri);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **con_cls) {
    (void)cls, (void)connection, (void)url, (void)version;
    call *c = *con_cls;
    if (!c) return MHD_NO;
    if (c->state == CALL_NEW) return call_start(c, method);
    if (*upload_size > 0) {
        size_t size = *upload_size;
        *upload_size = 0;
        return call_receive(c, upload, size);
    }
    if (c->state == CALL_RECEIVING || c->state == CALL_COMPLETE) return call_dispatch(c);
    return atomic_load(&c->done) ? call_answer(c) : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why) {
    http_client *client = call_client(connection);
    (void)cls;
    if (*con_cls) call_end(*con_cls, why);
    *con_cls = NULL;
    if (client) guard_request_ended(client->guard);
}

static void on_refusal(void *arg, const head_refusal *why, const char *line, size_t size) {
    call_refuse(arg, why, line, size);
}

static http_client *client_create(http_server *server, struct MHD_Connection *connection) {
    http_client *client = calloc(1, sizeof *client);
    if (!client) return NULL;
    int socket = call_socket(connection);
    client->server = server;
    client->connection = connection;
    client->deadline = deadline_add(server->deadlines, socket);
    client->guard = guard_add(server->guards, socket, on_refusal, client);
    return client;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what) {
    http_client *client = *socket_context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = client_create(cls, connection);
    } else if (client) {
        call_free(client->call);
        guard_remove(client->guard);
        deadline_remove(client->deadline);
        free(client);
    }
}

/* ---- the server --------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 0))) static void on_message(void *cls, const char *format,
                                                             va_list args) {
    (void)cls;
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_line(LEVEL_DEBUG, "libmicrohttpd: %s", text);
}

static bool start_daemon(http_server *server, int listener) {
    const http_options *o = &server->options;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_message, server,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_URI_LOG_CALLBACK, on_uri, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_CONNECTION_LIMIT, o->max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, o->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        LIBRARY_MEMORY, MHD_OPTION_END);
    return server->daemon != NULL;
}

static http_server *allocate(const http_options *options) {
    http_server *server = calloc(1, sizeof *server);
    if (!server) return NULL;
    server->options = *options;
    server->options.host = strdup(options->host);
    server->options.cors_origin = options->cors_origin ? strdup(options->cors_origin) : NULL;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return server;
}

static void write_url(http_server *server, int listener) {
    const char *host = server->options.host;
    bool bracketed = strchr(host, ':') != NULL;
    snprintf(server->url, sizeof server->url, "http://%s%s%s:%u", bracketed ? "[" : "", host,
             bracketed ? "]" : "", listen_port(listener));
}

http_start http_server_create(const http_options *options, http_server **out, char *message,
                              size_t size) {
    int listener = -1;
    http_start result = HTTP_START_FAILED;
    http_server *server = allocate(options);
    snprintf(message, size, "there is no memory left");
    if (!server || !server->options.host) goto done;
    result = listen_open(options->host, options->port, &listener, message, size);
    if (result != HTTP_STARTED) goto done;
    write_url(server, listener);
    result = HTTP_START_FAILED;
    snprintf(message, size, "the HTTP thread cannot be started: %s", strerror(errno));
    server->deadlines = deadlines_create(options->idle_seconds);
    server->sink = sink_create();
    server->guards = guards_create();
    if (!server->deadlines || !server->sink || !server->guards || !start_daemon(server, listener))
        goto done;
    *out = server;
    return HTTP_STARTED;
done:
    if (listener >= 0) close(listener);
    http_server_free(server);
    return result;
}

const char *http_server_url(const http_server *server) {
    return server->url;
}

void http_server_drain(http_server *server) {
    pthread_mutex_lock(&server->lock);
    atomic_store(&server->draining, true);
    pthread_mutex_unlock(&server->lock);
}

bool http_server_draining(const http_server *server) {
    return atomic_load(&server->draining);
}

bool http_server_wait_idle(http_server *server, uint64_t timeout_ns) {
    const struct timespec last_refusals = {.tv_nsec = LAST_REFUSALS_NS};
    uint64_t until = clock_ns() + timeout_ns;
    const struct timespec latest = {.tv_sec = (time_t)(until / 1000000000),
                                    .tv_nsec = (long)(until % 1000000000)};
    int waited = 0;
    pthread_mutex_lock(&server->lock);
    while (server->running > 0 && waited == 0)
        waited = pthread_cond_timedwait(&server->idle, &server->lock, &latest);
    bool idle = server->running == 0;
    pthread_mutex_unlock(&server->lock);
    if (idle) nanosleep(&last_refusals, NULL);
    return idle;
}

void http_server_free(http_server *server) {
    if (!server) return;
    if (server->daemon) MHD_stop_daemon(server->daemon);
    guards_free(server->guards);
    sink_free(server->sink);
    deadlines_free(server->deadlines);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    free((char *)server->options.host);
    free((char *)server->options.cors_origin);
    free(server);
}
