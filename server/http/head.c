/*
 * head.c: see head.h.
 *
 * Strict where two readers of a request could differ, for a proxy before us is one of them: the
 * grammar is that of RFC 9110 and 9112 without what they advise against (folded headers, bare line
 * feeds, a space before the colon), and the length of the body is told once and in one way. What a
 * target means is target.c's.
 */
#include "http/head.h"

#include "common/array.h"

#include <string.h>
#include <strings.h>

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const head_refusal fine = {0};

static head_refusal bad(const char *why) {
    return (head_refusal){400, "bad_request", why};
}

/* `size` characters, all of them among `allowed`. */
static bool consists_of(const char *text, size_t size, const char *allowed) {
    for (size_t i = 0; i < size; i++)
        if (!text[i] || !strchr(allowed, text[i])) return false;
    return true;
}

bool head_is_token(const char *text, size_t size) {
    return size > 0 && consists_of(text, size, "!#$%&'*+-.^_`|~" DIGITS LETTERS);
}

head_refusal head_check_bytes(const char *line, size_t seen, size_t size) {
    for (size_t i = seen ? seen - 1 : 0; i < size; i++) { /* what follows a CR may be new */
        unsigned char c = (unsigned char)line[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\t') continue;
        if (c == '\r' ? i + 1 < size && line[i + 1] != '\n'
                      : c == '\n' && (i == 0 || line[i - 1] != '\r'))
            return bad("the lines of a request end in CR LF, which stand nowhere else");
        if (c != '\r' && c != '\n') return bad("the request holds a control character");
    }
    return fine;
}

/* ---- the request line --------------------------------------------------------------------- */

static head_refusal check_version(head *h, const char *text, size_t size) {
    if (size != 8 || memcmp(text, "HTTP/", 5) != 0 || !consists_of(text + 5, 1, DIGITS) ||
        text[6] != '.' || !consists_of(text + 7, 1, DIGITS))
        return bad("the request line has to be METHOD TARGET HTTP/1.1");
    h->old = text[5] == '1' && text[7] == '0';
    if (text[5] == '1' && (text[7] == '0' || text[7] == '1')) return fine;
    return (head_refusal){505, "http_version_not_supported", "the server speaks HTTP/1.1 and 1.0"};
}

static head_refusal check_target(const char *target, size_t size) {
    size_t pairs = 1;
    for (size_t i = 0; i < size; i++)
        pairs += target[i] == '&';
    if (size == 0 || memchr(target, ' ', size) || memchr(target, '\t', size))
        return bad(
            "the request line has to be METHOD TARGET HTTP/1.1, with one space between them");
    return pairs > HEAD_MAX_PAIRS ? bad("the query has too many parameters") : fine;
}

static head_refusal check_request_line(head *h, const char *line, size_t size) {
    const char *space = memchr(line, ' ', size), *last = memrchr(line, ' ', size);
    size_t method = space ? (size_t)(space - line) : size;
    if (!head_is_token(line, method)) return bad("the method of a request is a token");
    if (method > HEAD_MAX_METHOD) return bad("the method of the request is too long");
    if (!space || last == space) return bad("the request line has to be METHOD TARGET HTTP/1.1");
    head_refusal r = check_target(space + 1, (size_t)(last - space - 1));
    return r.why ? r : check_version(h, last + 1, (size_t)(line + size - last - 1));
}

/* ---- headers ------------------------------------------------------------------------------ */

/* A name or an address, perhaps with a port (RFC 9110, section 7.2); may be empty. */
static head_refusal check_host(head *h, const char *value, size_t size) {
    const char *end = value + size, *port = memrchr(value, ':', size);
    const char *bracket = size > 0 && *value == '[' ? memchr(value, ']', size) : NULL;
    if (port && port < bracket) port = NULL;
    const char *stop = port ? port : end;
    bool good = bracket
                    ? stop == bracket + 1 && bracket > value + 1 &&
                          consists_of(value + 1, (size_t)(bracket - value - 1),
                                      DIGITS LETTERS ".:-_~%!$&'()*+,;=")
                    : consists_of(value, (size_t)(stop - value), DIGITS LETTERS ".-_~%!$&'()*+,;=");
    if (port) good = good && consists_of(port + 1, (size_t)(end - port - 1), DIGITS);
    if (h->hosts++ > 0) return bad("the request has several Host headers");
    return good ? fine : bad("the Host header is no name or address with a port or without");
}

static head_refusal check_length(head *h, const char *value, size_t size) {
    if (h->lengths++ > 0) return bad("the request tells the length of its body twice");
    if (size == 0 || size > 18 || !consists_of(value, size, DIGITS))
        return bad("the Content-Length is no whole number, or one of more than 18 digits");
    for (size_t i = 0; i < size; i++)
        h->length = h->length * 10 + (uint64_t)(value[i] - '0');
    return fine;
}

static head_refusal check_coding(head *h, const char *value, size_t size) {
    if (h->codings++ > 0) return bad("the request tells the length of its body twice");
    if (size == 7 && strncasecmp(value, "chunked", 7) == 0) return fine;
    return bad("the only Transfer-Encoding that is taken is chunked");
}

static head_refusal check_cookie(head *h, const char *value, size_t size) {
    (void)value, (void)size;
    h->unused = true;
    return fine;
}

static const struct {
    const char *name;
    head_refusal (*check)(head *h, const char *value, size_t size);
} checked_headers[] = {
    {"Host", check_host},
    {"Content-Length", check_length},
    {"Transfer-Encoding", check_coding},
    {"Cookie", check_cookie},
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Any header; *name is the length of its name. */
static head_refusal check_header(const char *line, size_t size, size_t *name) {
    const char *colon = memchr(line, ':', size);
    *name = colon ? (size_t)(colon - line) : 0;
    if (is_blank(*line)) return bad("a header is folded, which has to stand on one line");
    if (!colon) return bad("a header has no colon");
    return head_is_token(line, *name) ? fine : bad("the name of a header is no token");
}

head_refusal head_line(head *h, const char *line, size_t size) {
    h->unused = false;
    if (h->lines++ == 0) return check_request_line(h, line, size);
    size_t name;
    head_refusal r = check_header(line, size, &name);
    if (r.why) return r;
    if (h->lines > HEAD_MAX_LINES)
        return (head_refusal){431, "headers_too_large", "the request has too many headers"};
    const char *value = line + name + 1, *end = line + size;
    while (end > value && is_blank(end[-1]))
        end--;
    while (value < end && is_blank(*value))
        value++;
    h->blank = (size_t)(line + size - end);
    for (size_t i = 0; i < ARRAY_LENGTH(checked_headers); i++)
        if (strlen(checked_headers[i].name) == name &&
            strncasecmp(line, checked_headers[i].name, name) == 0)
            return checked_headers[i].check(h, value, (size_t)(end - value));
    return fine;
}

head_refusal head_trailer(const char *line, size_t size) {
    size_t name;
    return check_header(line, size, &name);
}

head_refusal head_end(const head *h) {
    if (h->hosts == 0 && !h->old) return bad("the request has no Host header");
    if (h->lengths && h->codings) return bad("the request tells the length of its body twice");
    if (h->codings && h->old) return bad("HTTP/1.0 has no Transfer-Encoding");
    return fine;
}
