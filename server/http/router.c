/* router.c: which handler a method and a path belong to.
 *
 * The table is short and searched in order. A path that no route has is answered with the routes
 * that are near to it, a method that a path does not have with those it has (RFC 9110, 15.5.6). */
#include "common/names.h"
#include "http/http.h"

#include <stdio.h>
#include <string.h>

/* A pattern stands for the path; its {...} are put into `captures`. */
static bool matches(const char *pattern, const http_target *target, const char **captures) {
    size_t captured = 0;
    for (size_t i = 0; i < target->segment_count; i++) {
        if (*pattern++ != '/') return false;
        size_t length = strcspn(pattern, "/");
        const char *segment = target->segments[i];
        if (*pattern == '{') {
            if (!*segment || captured == HTTP_MAX_CAPTURES) return false;
            captures[captured++] = segment;
        } else if (strlen(segment) != length || strncmp(segment, pattern, length) != 0) {
            return false;
        }
        pattern += length;
    }
    return !*pattern;
}

static bool path_matches(const http_route *route, const http_request *request,
                         const char **captures) {
    if (request->target.segment_count > HTTP_MAX_SEGMENTS) return false;
    return matches(route->pattern, &request->target, captures);
}

static bool method_matches(const char *allowed, const char *method) {
    return strcmp(allowed, method) == 0 ||
           (strcmp(allowed, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

const char *http_routes_allow(http_routes routes, const http_request *request, char *out,
                              size_t size) {
    const char *captures[HTTP_MAX_CAPTURES];
    size_t length = 0;
    *out = '\0';
    for (size_t i = 0; i < routes.count && length < size; i++) {
        const http_route *route = &routes.items[i];
        if (!path_matches(route, request, captures)) continue;
        const char *head = strcmp(route->method, "GET") == 0 ? "HEAD, " : "";
        length += (size_t)snprintf(out + length, size - length, "%s, %s", route->method, head);
    }
    if (length && length < size) snprintf(out + length, size - length, "OPTIONS");
    return out;
}

/* One pattern serves several methods, in neighbouring entries; it is named once. */
static const char *pattern_at(const void *list, size_t index) {
    const http_route *routes = list;
    const char *pattern = routes[index].pattern;
    return index > 0 && strcmp(routes[index - 1].pattern, pattern) == 0 ? NULL : pattern;
}

static void reply_without_route(http_routes routes, http_exchange *x) {
    char allow[128], near[512];
    const http_request *request = &x->request;
    http_routes_allow(routes, request, allow, sizeof allow);
    if (!*allow) {
        names_suggest(request->path, routes.items, routes.count, pattern_at, near, sizeof near);
        http_reply_error(x, 404, "not_found", "there is no route %.200s%s", request->path, near);
        return;
    }
    if (strcmp(request->method, "OPTIONS") == 0)
        x->reply.status = 204;
    else
        http_reply_error(x, 405, "method_not_allowed", "%.200s takes %s, not %.32s", request->path,
                         allow, request->method);
    http_reply_header_add(x, "Allow", "%s", allow);
}

const http_route *http_route_find(http_routes routes, http_exchange *x) {
    for (size_t i = 0; i < routes.count; i++) {
        const http_route *route = &routes.items[i];
        if (method_matches(route->method, x->request.method) &&
            path_matches(route, &x->request, x->captures))
            return route;
    }
    reply_without_route(routes, x);
    return NULL;
}
