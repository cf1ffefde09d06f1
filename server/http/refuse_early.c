/*
 * refuse_early.c: refusals that cannot wait for the end of the body.
 *
 * libmicrohttpd takes no reply while a body is arriving. For a body of no announced length that
 * grows too large, for one that does not arrive, and for what the guard does not let through, the
 * reply is written to the socket directly, and libmicrohttpd is told to close the connection.
 */
#include "http/call.h"
#include "http/headers.h"

#include <string.h>
#include <sys/socket.h>

#define MAX_REPLY ((size_t)16 << 10)

static void add_header(void *text, const char *name, const char *value) {
    buffer_printf(text, "%s: %s\r\n", name, value);
}

void call_refuse_early(call *c) {
    buffer text;
    buffer_init(&text, MAX_REPLY);
    const buffer *body = &c->x.reply.body;
    buffer_printf(&text, "HTTP/1.1 %d %s\r\n", c->x.reply.status,
                  MHD_get_reason_phrase_for((unsigned)c->x.reply.status));
    headers_each(&c->x, c->server->options.cors_origin, add_header, &text);
    buffer_printf(&text, "Connection: close\r\nContent-Length: %zu\r\n\r\n", body->size);
    if (strcmp(c->method, "HEAD") != 0) buffer_append(&text, body->data, body->size);
    /* Nothing else has been sent for this request, so that a small reply fits at once. */
    if (!buffer_failed(&text) && send(call_socket(c->connection), text.data, text.size,
                                      MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)text.size) {
        c->bytes_out = body->size;
        c->written_raw = true;
        c->state = CALL_ANSWERED;
    }
    buffer_free(&text);
}

void call_end_early(call *c, enum MHD_RequestTerminationCode why) {
    if (c->body_read) return;
    bool late =
        why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED || deadline_passed(c->client->deadline);
    if (c->state == CALL_RECEIVING && late) {
        http_reply_error(&c->x, 408, "request_timeout", "the body did not arrive in time");
        call_refuse_early(c);
    }
    if (c->state == CALL_ANSWERED) sink_add(c->server->sink, call_socket(c->connection));
}
