/* exchange.c: what handlers do with requests and replies; see http.h. */
#include "http/http.h"
#include "json/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longest reply there can be, unless a handler lowers it; guards against runaway loops only. */
#define MAX_REPLY ((size_t)1 << 40)

const char *const http_timing_names[HTTP_TIMINGS] = {"decode", "preprocess", "queue", "inference",
                                                     "encode"};

const char *http_request_header(const http_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
    return NULL;
}

void http_exchange_init(http_exchange *x) {
    memset(x, 0, sizeof *x);
    buffer_init(&x->reply.body, MAX_REPLY);
}

static void drop_reply(http_reply *reply) {
    for (size_t i = 0; i < reply->header_count; i++)
        free(reply->headers[i].value);
    buffer_free(&reply->body);
    *reply = (http_reply){.body = {.limit = MAX_REPLY}};
}

void http_exchange_free(http_exchange *x) {
    drop_reply(&x->reply);
    http_target_free(&x->request.target);
}

void http_complete(http_exchange *x) {
    x->complete(x);
}

void http_timing_add(http_exchange *x, http_timing part, uint64_t ns) {
    atomic_fetch_add_explicit(&x->timing_ns[part], ns, memory_order_relaxed);
}

void http_reply_header_add(http_exchange *x, const char *name, const char *format, ...) {
    http_reply *reply = &x->reply;
    if (reply->header_count == HTTP_MAX_REPLY_HEADERS) return;
    char *value;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&value, format, args);
    va_end(args);
    if (length >= 0) reply->headers[reply->header_count++] = (http_reply_header){name, value};
}

/* Makes the error reply; when even that finds no memory, the body stays empty. */
static void reply_error(http_exchange *x, int status, const char *code, const char *format,
                        va_list args) {
    drop_reply(&x->reply);
    x->reply.status = status;
    char *sentence = NULL;
    if (vasprintf(&sentence, format, args) < 0) sentence = NULL;
    json_writer w = {.out = &x->reply.body};
    json_write_begin_object(&w);
    json_write_member_text(&w, "error", sentence ? sentence : "there is no memory left");
    json_write_member_text(&w, "code", code);
    json_write_end_object(&w);
    buffer_append_char(&x->reply.body, '\n');
    free(sentence);
    if (status == 503) http_reply_header_add(x, "Retry-After", "1");
}

void http_reply_error(http_exchange *x, int status, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    reply_error(x, status, code, format, args);
    va_end(args);
}

void http_fail(http_exchange *x, int status, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    reply_error(x, status, code, format, args);
    va_end(args);
    http_complete(x);
}
