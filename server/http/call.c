/* call.c: from the request line to the access log; the states are told in server.c. */
#include "http/call.h"

#include "http/headers.h"
#include "http/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- making and freeing calls ------------------------------------------------------------- */

http_client *call_client(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

int call_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

call *call_create(http_client *client, const char *target) {
    call *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    call_free(client->call);
    client->call = c;
    http_exchange_init(&c->x);
    buffer_init(&c->body, client->server->options.max_body);
    c->server = client->server;
    c->connection = client->connection;
    c->client = client;
    c->started_ns = clock_ns();
    c->target = strdup(target);
    c->path = strndup(target, strcspn(target, "?"));
    return c;
}

/* The drain waits for calls that begin before it; others are refused, and do not hold it up. */
static void enter(call *c) {
    http_server *server = c->server;
    pthread_mutex_lock(&server->lock);
    c->counted = !server->draining;
    server->running += c->counted;
    pthread_mutex_unlock(&server->lock);
}

static void leave(call *c) {
    http_server *server = c->server;
    pthread_mutex_lock(&server->lock);
    server->running -= c->counted;
    if (server->running == 0) pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

/* Sets what the call holds in memory; false: all calls together hold more than they may. */
static bool hold(call *c, size_t bytes) {
    http_server *server = c->server;
    size_t change = bytes - c->buffered; /* wraps if it is less; so does the sum */
    c->buffered = bytes;
    return atomic_fetch_add(&server->buffered, change) + change <= server->options.max_buffered;
}

static bool server_is_full(const http_server *server) {
    return atomic_load(&server->buffered) > server->options.max_buffered;
}

static void refuse_for_memory(call *c) {
    http_reply_error(&c->x, 503, "overloaded", "the server holds too many bodies and replies");
}

void call_free(call *c) {
    if (!c) return;
    c->client->call = NULL;
    hold(c, 0);
    leave(c);
    http_exchange_free(&c->x);
    buffer_free(&c->body);
    free(c->headers);
    free(c->path);
    free(c->target);
    free(c);
}

/* ---- replies ------------------------------------------------------------------------------ */

static void add_to_response(void *response, const char *name, const char *value) {
    MHD_add_response_header(response, name, value);
}

/* Hands the reply to libmicrohttpd, which from then on owns the bytes of its body. */
enum MHD_Result call_answer(call *c) {
    http_reply *reply = &c->x.reply;
    if (buffer_failed(&reply->body))
        http_reply_error(&c->x, 500, "internal", "there is no memory left for the reply");
    c->bytes_out = strcmp(c->method, "HEAD") == 0 ? 0 : reply->body.size;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->body.size, reply->body.data, MHD_RESPMEM_MUST_FREE);
    if (!response) return MHD_NO;
    headers_each(&c->x, c->server->options.cors_origin, add_to_response, response);
    size_t size;
    buffer_take(&reply->body, &size);
    buffer_free(&c->body); /* no handler needs it any more */
    hold(c, size);
    if (http_server_draining(c->server) || !c->body_read)
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result queued = MHD_queue_response(c->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    deadline_enter(c->client->deadline, DEADLINE_REPLY);
    c->state = CALL_ANSWERED;
    return queued;
}

/* ---- the start of a request --------------------------------------------------------------- */

typedef struct header_sum {
    size_t count, bytes;
    http_pair *items; /* NULL while counting */
    char *text;
} header_sum;

static char *put_text(header_sum *sum, const char *text) {
    size_t size = strlen(text) + 1;
    sum->bytes += size;
    if (!sum->items) return NULL;
    char *copy = memcpy(sum->text, text, size);
    sum->text += size;
    return copy;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value) {
    (void)kind;
    header_sum *sum = cls;
    if (!value) value = "";
    const char *name_copy = put_text(sum, name);
    const char *value_copy = put_text(sum, value);
    if (sum->items) sum->items[sum->count] = (http_pair){name_copy, value_copy};
    sum->count++;
    return MHD_YES;
}

/* Copies the headers, first counting them; libmicrohttpd has limited their size. */
static bool copy_headers(call *c) {
    header_sum sum = {0};
    MHD_get_connection_values(c->connection, MHD_HEADER_KIND, on_header, &sum);
    c->headers = malloc(sum.count * sizeof *c->headers + sum.bytes + 1);
    if (!c->headers) return false;
    sum = (header_sum){.items = c->headers, .text = (char *)(c->headers + sum.count)};
    MHD_get_connection_values(c->connection, MHD_HEADER_KIND, on_header, &sum);
    c->x.request.headers = c->headers;
    c->x.request.header_count = sum.count;
    return true;
}

static void find_client(call *c) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info ? info->client_addr : NULL;
    char *out = c->x.request.client;
    socklen_t size = sizeof c->x.request.client;
    if (a && a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, size);
    else if (a && a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, size);
}

/* The guard has seen that there is one of these at most, and that it is good. */
static void read_framing(call *c) {
    const http_request *request = &c->x.request;
    const char *announced = http_request_header(request, "Content-Length");
    c->announced = announced ? strtoull(announced, NULL, 10) : 0;
    c->has_body = c->announced > 0 || http_request_header(request, "Transfer-Encoding");
    c->body_read = !c->has_body;
}

/* Finds the route; without one, x.reply is the answer. */
static const http_route *choose_route(call *c) {
    http_server *server = c->server;
    http_exchange *x = &c->x;
    const char *why = "there is no memory left";
    if (!c->target || !http_target_parse(c->target, &x->request.target, &why)) {
        http_reply_error(x, 400, "bad_request", "%s", why);
        return NULL;
    }
    const http_route *route = http_route_find(server->options.routes, x);
    if (!route && x->reply.status == 204) {
        char allow[128];
        http_routes_allow(server->options.routes, &x->request, allow, sizeof allow);
        headers_preflight(x, server->options.cors_origin, allow);
    }
    if (route && !route->while_draining && !c->counted) {
        http_reply_error(x, 503, "draining", "the server is about to stop");
        return NULL;
    }
    return route;
}

static void read_headers(call *c, const char *method) {
    http_request *request = &c->x.request;
    snprintf(c->method, sizeof c->method, "%s", method);
    request->method = c->method;
    request->path = c->path ? c->path : "";
    find_client(c);
    headers_choose_id(request);
}

/* The headers are there. A refusal waits for the end of the body, so that the connection can be
 * used again, unless the body is too large or the client waits for our word before it sends it. */
enum MHD_Result call_start(call *c, const char *method) {
    size_t max_body = c->server->options.max_body;
    if (!copy_headers(c)) return MHD_NO;
    read_headers(c, method);
    enter(c);
    c->state = CALL_RECEIVING;
    read_framing(c);
    if (c->has_body) deadline_enter(c->client->deadline, DEADLINE_BODY);
    if (c->announced > max_body) {
        http_reply_error(&c->x, 413, "payload_too_large",
                         "the body of %" PRIu64 " bytes is larger than the limit of %zu",
                         c->announced, max_body);
        return call_answer(c);
    }
    c->route = choose_route(c);
    if (c->route && c->announced && !hold(c, c->announced)) {
        c->route = NULL;
        refuse_for_memory(c);
        return call_answer(c);
    }
    bool waits = c->has_body && http_request_header(&c->x.request, "Expect");
    return !c->route && waits ? call_answer(c) : MHD_YES;
}

/* ---- the body, and the work --------------------------------------------------------------- */

/* Appends to the body; false: x.reply says why not. */
static bool store(call *c, const char *bytes, size_t size) {
    /* Memory that the rest of the body will not touch is none; so the whole of it is asked for. */
    if (c->body.size == 0 && c->announced) buffer_reserve(&c->body, c->announced);
    if (!c->announced && !hold(c, c->body.size + size)) {
        refuse_for_memory(c);
        return false;
    }
    if (buffer_append(&c->body, bytes, size)) return true;
    if (c->body.state == BUFFER_NO_MEMORY)
        refuse_for_memory(c);
    else
        http_reply_error(&c->x, 413, "payload_too_large",
                         "the body is larger than the limit of %zu bytes",
                         c->server->options.max_body);
    return false;
}

/* A piece of the body; that of a refused request is dropped, but not without end. */
enum MHD_Result call_receive(call *c, const char *bytes, size_t size) {
    c->bytes_in += size;
    deadline_received(c->client->deadline, size);
    if (c->route ? store(c, bytes, size) : c->bytes_in <= c->server->options.max_body)
        return MHD_YES;
    call_refuse_early(c);
    return MHD_NO;
}

static void complete_direct(http_exchange *x) {
    atomic_store(&((call *)x)->done, true);
}

/* The last that a worker does with a call: once the connection is resumed, the HTTP thread may free
 * it at any time. */
static void complete_pooled(http_exchange *x) {
    call *c = (call *)x;
    struct MHD_Connection *connection = c->connection;
    atomic_store(&c->done, true);
    MHD_resume_connection(connection);
}

/* On a worker. */
static void run_pooled(void *arg) {
    call *c = arg;
    uint64_t now = clock_ns();
    http_timing_add(&c->x, HTTP_QUEUE, now - c->submitted_ns);
    if (server_is_full(c->server)) {
        refuse_for_memory(c);
        http_complete(&c->x);
    } else if (c->x.deadline_ns && now > c->x.deadline_ns) {
        http_fail(&c->x, 504, "deadline_exceeded",
                  "the request has waited longer than the limit of %" PRIu64 " ms",
                  c->server->options.timeout_ns / 1000000);
    } else {
        c->route->handler(c->server->options.app, &c->x);
    }
}

static void submit(call *c) {
    c->state = CALL_RUNNING;
    c->x.complete = complete_pooled;
    c->submitted_ns = clock_ns();
    MHD_suspend_connection(c->connection);
    cnn_error err;
    if (cnn_runtime_submit(c->server->options.runtime, run_pooled, c, &err) != CNN_OK)
        http_fail(&c->x, 503, "overloaded", "the server is busy: %s", err.message);
}

static void complete_request(call *c) {
    http_request *request = &c->x.request;
    c->body_read = true;
    c->state = CALL_COMPLETE;
    deadline_enter(c->client->deadline, DEADLINE_NONE);
    request->body = c->body.data;
    request->body_size = c->body.size;
    request->received_ns = clock_ns();
    if (c->server->options.timeout_ns)
        c->x.deadline_ns = request->received_ns + c->server->options.timeout_ns;
}

/*
 * The request is complete. A pooled one is submitted only when libmicrohttpd asks a second time,
 * which it does at once: by then it no longer waits for input from this connection. Otherwise it
 * would look for input first when the connection is resumed, and if the client has closed its
 * sending side, close the connection instead of sending the reply.
 */
enum MHD_Result call_dispatch(call *c) {
    bool first = c->state == CALL_RECEIVING;
    if (first) complete_request(c);
    if (!c->route) return call_answer(c);
    if (!c->route->pooled) {
        c->state = CALL_RUNNING;
        c->x.complete = complete_direct;
        c->route->handler(c->server->options.app, &c->x);
        assert(atomic_load(&c->done)); /* or it should have been pooled */
        return call_answer(c);
    }
    if (!first) submit(c);
    return MHD_YES;
}

/* ---- requests that are not let through ------------------------------------------------------ */

/* Method and target of a request of which there is only the beginning of its first line; what is no
 * such line is its target, for the log to escape. */
static void read_line(call *c, const char *line, size_t size) {
    const char *space = memchr(line, ' ', size);
    size_t method = space ? (size_t)(space - line) : 0;
    bool good = head_is_token(line, method) && method <= HEAD_MAX_METHOD;
    snprintf(c->method, sizeof c->method, "%.*s", good ? (int)method : 1, good ? line : "-");
    if (!space || !good) return;
    const char *target = space + 1, *last = memrchr(target, ' ', (size_t)(line + size - target));
    free(c->target);
    c->target = strndup(target, (size_t)((last ? last : line + size) - target));
}

static call *create_from_line(http_client *client, const char *line, size_t size) {
    char text[LOG_MAX_TARGET + HEAD_MAX_METHOD + sizeof "  HTTP/1.1"];
    if (size > sizeof text - 1) size = sizeof text - 1;
    memcpy(text, line, size);
    text[size] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    call *c = call_create(client, text);
    if (!c) return NULL;
    read_line(c, text, strlen(text));
    find_client(c);
    headers_choose_id(&c->x.request);
    c->state = CALL_RECEIVING;
    return c;
}

void call_refuse(http_client *client, const head_refusal *why, const char *line, size_t size) {
    call *c = line ? create_from_line(client, line, size) : client->call;
    if (!c || c->state != CALL_RECEIVING) return;
    if (why->status == 0) {
        log_line(LEVEL_INFO, "%s: %s; the connection is closed", c->x.request.client, why->why);
        call_free(c);
        return;
    }
    http_reply_error(&c->x, why->status, why->code, "%s", why->why);
    call_refuse_early(c);
    if (line) call_end(c, MHD_REQUEST_TERMINATED_WITH_ERROR);
}

/* ---- the end of a request ----------------------------------------------------------------- */

/* The status that the client has been given, perhaps by libmicrohttpd itself; 499 if it has not
 * been given one, 0 if there has been no request. */
static unsigned final_status(const call *c, enum MHD_RequestTerminationCode why) {
    if (c->written_raw) return (unsigned)c->x.reply.status;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_HTTP_STATUS);
    if (info && info->http_status && why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        return info->http_status;
    return c->state == CALL_NEW ? 0 : 499;
}

static void log_call(const call *c, unsigned status) {
    const http_request *request = &c->x.request;
    log_request(&(log_access){.client = request->client,
                              .method = c->method,
                              .target = c->target ? c->target : "",
                              .id = request->id,
                              .status = (int)status,
                              .bytes_in = c->bytes_in,
                              .bytes_out = c->bytes_out,
                              .duration_ns = clock_ns() - c->started_ns});
}

/* What the kernel still holds of a reply is not sent to a client that has been too slow for it. */
static void drop_unsent(const call *c, enum MHD_RequestTerminationCode why) {
    struct linger none = {.l_onoff = 1};
    if (c->state == CALL_ANSWERED && c->body_read &&
        (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED || why == MHD_REQUEST_TERMINATED_WITH_ERROR))
        setsockopt(call_socket(c->connection), SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void call_end(call *c, enum MHD_RequestTerminationCode why) {
    drop_unsent(c, why);
    call_end_early(c, why);
    deadline_enter(c->client->deadline, DEADLINE_WAITING);
    unsigned status = final_status(c, why);
    if (status) log_call(c, status);
    call_free(c);
}
