/* target.c: the request target (RFC 9112, section 3.2) split into path segments and parameters.
 *
 * Everything is decoded in place in one copy of the text. What could be taken for two things is
 * refused: broken percent escapes, control characters, and bytes that are not UTF-8. Dots have no
 * meaning in a path, since no file is ever looked up by one. */
#include "common/percent.h"
#include "common/utf8.h"
#include "http/http.h"

#include <stdlib.h>
#include <string.h>

static bool has_control(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return true;
    return false;
}

/* Decodes in place; `plus` is what a '+' means. False for what the head of this file refuses. */
static bool decode(char *text, char plus) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        char c = *from == '+' ? plus : *from;
        if (c == '%') {
            int byte = percent_byte(from + 1);
            if (byte < 0) return false;
            c = (char)byte;
            from += 2;
        }
        *to++ = c;
    }
    *to = '\0';
    return !has_control(text) && utf8_valid(text, (size_t)(to - text));
}

static bool parse_path(char *path, http_target *out) {
    while (path) {
        char *segment = path + 1; /* behind the slash */
        path = strchr(segment, '/');
        if (path) *path = '\0';
        if (!decode(segment, '+')) return false;
        if (out->segment_count == HTTP_MAX_SEGMENTS) {
            out->segment_count = HTTP_MAX_SEGMENTS + 1;
            return true;
        }
        out->segments[out->segment_count++] = segment;
    }
    return true;
}

static const char *parse_query(char *query, http_target *out) {
    while (query) {
        char *name = query;
        query = strchr(query, '&');
        if (query) *query++ = '\0';
        if (!*name) continue;
        char *value = strchr(name, '=');
        if (value) *value++ = '\0';
        if (!decode(name, ' ') || (value && !decode(value, ' ')))
            return "the query holds a broken percent escape, a control character or no UTF-8";
        if (out->query_count == HTTP_MAX_QUERY) return "the query has too many parameters";
        out->query[out->query_count++] = (http_pair){name, value ? value : ""};
    }
    return NULL;
}

/* The path of "http://host/path", as proxies are sent it, or `text` itself. */
static const char *skip_authority(const char *text) {
    size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) ? 0 : 8;
    if (!scheme) return text;
    const char *path = text + scheme + strcspn(text + scheme, "/?");
    return *path ? path : "/";
}

static const char *parse(http_target *out) {
    char *query = strchr(out->memory, '?');
    if (query) *query++ = '\0';
    if (out->memory[0] != '/') return "the request target has to start with a slash";
    if (!parse_path(out->memory, out))
        return "the path holds a broken percent escape, a control character or no UTF-8";
    return parse_query(query, out);
}

bool http_target_parse(const char *text, http_target *out, const char **why) {
    http_target target = {.memory = strdup(skip_authority(text))};
    *why = target.memory ? parse(&target) : "there is no memory left";
    if (*why) {
        http_target_free(&target);
        return false;
    }
    *out = target;
    return true;
}

void http_target_free(http_target *target) {
    free(target->memory);
    *target = (http_target){0};
}
