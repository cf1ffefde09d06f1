/* headers.c: see headers.h.
 *
 * Server-Timing is that of https://www.w3.org/TR/server-timing/; CORS that of the Fetch standard,
 * https://fetch.spec.whatwg.org/#http-cors-protocol, without credentials. */
#include "http/headers.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ID_CHARACTERS                                                                              \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-" /* sane in a log line */
#define HEADER_NAMES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_, "

void headers_choose_id(http_request *request) {
    const char *sent = http_request_header(request, "X-Request-Id");
    size_t length = sent ? strspn(sent, ID_CHARACTERS) : 0;
    if (length > 0 && length <= HTTP_MAX_ID && !sent[length]) {
        memcpy(request->id, sent, length + 1);
        return;
    }
    unsigned char random[8] = {0};
    if (getrandom(random, sizeof random, 0) < 0) random[0] = 0; /* an id, not a secret */
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(request->id + 2 * i, 3, "%02x", random[i]);
}

/* `origin` is one of the comma-separated `allowed`, or they are "*". */
static bool origin_allowed(const char *allowed, const char *origin) {
    size_t length = strlen(origin);
    while (*allowed) {
        allowed += strspn(allowed, ", ");
        size_t entry = strcspn(allowed, ", ");
        if (entry == length && memcmp(allowed, origin, length) == 0) return true;
        allowed += entry;
    }
    return false;
}

static void emit_cors(http_exchange *x, const char *allowed, headers_emit *emit, void *arg) {
    bool any = strcmp(allowed, "*") == 0;
    const char *origin = http_request_header(&x->request, "Origin");
    if (!any) emit(arg, "Vary", "Origin");
    if (!any && !(origin && origin_allowed(allowed, origin))) return;
    emit(arg, "Access-Control-Allow-Origin", any ? "*" : origin);
    emit(arg, "Access-Control-Expose-Headers", "X-Request-Id, Server-Timing, Retry-After");
    emit(arg, "Timing-Allow-Origin", any ? "*" : origin);
}

static void emit_timing(http_exchange *x, headers_emit *emit, void *arg) {
    char text[HTTP_TIMINGS * 48];
    size_t length = 0;
    for (size_t i = 0; i < HTTP_TIMINGS; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s%s;dur=%.3f", i ? ", " : "",
                             http_timing_names[i], (double)x->timing_ns[i] / 1e6);
    emit(arg, "Server-Timing", text);
}

void headers_each(http_exchange *x, const char *cors_origin, headers_emit *emit, void *arg) {
    const http_reply *reply = &x->reply;
    if (reply->body.size > 0)
        emit(arg, "Content-Type", reply->content_type ? reply->content_type : "application/json");
    emit(arg, "X-Content-Type-Options", "nosniff");
    emit(arg, "X-Request-Id", x->request.id);
    emit_timing(x, emit, arg);
    if (cors_origin) emit_cors(x, cors_origin, emit, arg);
    for (size_t i = 0; i < reply->header_count; i++)
        emit(arg, reply->headers[i].name, reply->headers[i].value);
}

void headers_preflight(http_exchange *x, const char *cors_origin, const char *allow) {
    if (!cors_origin || !http_request_header(&x->request, "Access-Control-Request-Method")) return;
    const char *wanted = http_request_header(&x->request, "Access-Control-Request-Headers");
    http_reply_header_add(x, "Access-Control-Allow-Methods", "%s", allow);
    if (wanted && strlen(wanted) <= 1024 && !wanted[strspn(wanted, HEADER_NAMES)])
        http_reply_header_add(x, "Access-Control-Allow-Headers", "%s", wanted);
    http_reply_header_add(x, "Access-Control-Max-Age", "86400");
}
