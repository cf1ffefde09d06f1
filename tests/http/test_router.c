#include "http/headers.h"
#include "http/http.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void nothing(void *app, http_exchange *x) {
    (void)app, (void)x;
}

static const http_route items[] = {
    {"POST", "/v1/classify", nothing, true, false},
    {"PUT", "/v1/classify", nothing, true, false},
    {"GET", "/v1/models", nothing, false, true},
    {"GET", "/v1/models/{model}", nothing, false, true},
    {"POST", "/v1/models/{model}/versions/{version}/classify", nothing, true, false},
};
static const http_routes routes = {items, sizeof items / sizeof items[0]};
static http_exchange x;

static const http_route *find(const char *method, const char *target) {
    const char *why;
    http_exchange_free(&x);
    http_exchange_init(&x);
    x.request.method = method;
    x.request.path = target;
    cr_assert(http_target_parse(target, &x.request.target, &why));
    return http_route_find(routes, &x);
}

static void expect_reply(int status, const char *part) {
    cr_expect_eq(x.reply.status, status);
    buffer_append_char(&x.reply.body, '\0');
    cr_expect(strstr(x.reply.body.data, part), "%s", x.reply.body.data);
}

static void expect_header(const char *name, const char *value) {
    for (size_t i = 0; i < x.reply.header_count; i++)
        if (strcmp(x.reply.headers[i].name, name) == 0) {
            cr_expect_str_eq(x.reply.headers[i].value, value);
            return;
        }
    cr_expect_fail("there is no header %s", name);
}

static void start(void) {
    http_exchange_init(&x);
}

static void stop(void) {
    http_exchange_free(&x);
}

TestSuite(router, .init = start, .fini = stop);

Test(router, methods_choose_among_routes_of_one_path) {
    cr_expect_eq(find("POST", "/v1/classify"), &items[0]);
    cr_expect_eq(find("PUT", "/v1/classify?top=1"), &items[1]);
    cr_expect_eq(find("GET", "/v1/models"), &items[2]);
    cr_expect_eq(find("HEAD", "/v1/models"), &items[2]);
}

Test(router, captures_are_decoded_segments) {
    cr_expect_eq(find("GET", "/v1/models/a%20b"), &items[3]);
    cr_expect_str_eq(x.captures[0], "a b");
    cr_expect_eq(find("POST", "/v1/models/m/versions/3/classify"), &items[4]);
    cr_expect_str_eq(x.captures[0], "m");
    cr_expect_str_eq(x.captures[1], "3");
}

Test(router, unknown_paths_get_404_with_near_routes) {
    cr_expect_null(find("POST", "/v1/clasify"));
    expect_reply(404, "did you mean '/v1/classify'?\",\"code\":\"not_found\"}");
    cr_expect_null(find("GET", "/zzzzzzzzzzzzzz"));
    expect_reply(404, "'/v1/classify', '/v1/models', '/v1/models/{model}'");
    const char *none[] = {"/",           "/v1/models/",   "/v1/models/a/", "/v1/classify/",
                          "//v1/models", "/v1/models/a/b"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_expect_null(find("GET", none[i]), "%s", none[i]);
        cr_expect_eq(x.reply.status, 404);
    }
}

Test(router, paths_that_are_too_long_match_nothing) {
    char text[512] = "";
    for (int i = 0; i < 40; i++)
        strcat(text, "/v1");
    cr_expect_null(find("GET", text));
    cr_expect_eq(x.reply.status, 404);
}

Test(router, wrong_methods_get_405_with_allow) {
    cr_expect_null(find("DELETE", "/v1/classify"));
    expect_reply(405, "\"code\":\"method_not_allowed\"");
    expect_header("Allow", "POST, PUT, OPTIONS");
    cr_expect_null(find("POST", "/v1/models"));
    expect_header("Allow", "GET, HEAD, OPTIONS");
    cr_expect_null(find("get", "/v1/models"));
    cr_expect_eq(x.reply.status, 405, "methods are case-sensitive");
}

Test(router, options_lists_the_methods) {
    cr_expect_null(find("OPTIONS", "/v1/classify"));
    cr_expect_eq(x.reply.status, 204);
    cr_expect_eq(x.reply.body.size, 0);
    expect_header("Allow", "POST, PUT, OPTIONS");
    cr_expect_null(find("OPTIONS", "/nothing"));
    cr_expect_eq(x.reply.status, 404);
}

/* ---- headers ------------------------------------------------------------------------------ */

static char emitted[4096];

static void emit(void *arg, const char *name, const char *value) {
    (void)arg;
    size_t length = strlen(emitted);
    snprintf(emitted + length, sizeof emitted - length, "%s: %s\n", name, value);
}

static const char *headers_with(const http_pair *sent, size_t count, const char *cors) {
    x.request.headers = sent;
    x.request.header_count = count;
    headers_choose_id(&x.request);
    emitted[0] = '\0';
    headers_each(&x, cors, emit, NULL);
    return emitted;
}

static void expect_id(const char *sent, bool kept) {
    const http_pair header = {"x-request-id", sent};
    headers_with(&header, 1, NULL);
    cr_expect_eq(strcmp(x.request.id, sent) == 0, kept, "%s became %s", sent, x.request.id);
    cr_expect_geq(strlen(x.request.id), 1);
}

Test(router, sane_request_ids_are_kept) {
    char longest[HTTP_MAX_ID + 2];
    memset(longest, 'a', sizeof longest);
    longest[HTTP_MAX_ID + 1] = '\0';
    expect_id(longest, false);
    longest[HTTP_MAX_ID] = '\0';
    expect_id(longest, true);
    expect_id("A-z_0.9", true);
    expect_id("", false);
    expect_id("a b", false);
    expect_id("a\"", false);
    expect_id("\xc3\xa4", false);
}

Test(router, every_reply_has_id_and_timing) {
    http_timing_add(&x, HTTP_DECODE, 1234567);
    http_timing_add(&x, HTTP_DECODE, 1000000);
    const char *text = headers_with(NULL, 0, NULL);
    cr_expect(strstr(text, "X-Request-Id: "));
    cr_expect(strstr(text, "Server-Timing: decode;dur=2.235, preprocess;dur=0.000, queue;dur=0.000,"
                           " inference;dur=0.000, encode;dur=0.000\n"),
              "%s", text);
    cr_expect(strstr(text, "X-Content-Type-Options: nosniff\n"));
    cr_expect_not(strstr(text, "Access-Control"));
}

Test(router, cors_names_the_origin_only_if_it_is_allowed) {
    const http_pair good = {"Origin", "https://b.example"}, evil = {"Origin", "https://b.exampl"};
    const char *allowed = "https://a.example, https://b.example";
    cr_expect(strstr(headers_with(&good, 1, allowed),
                     "Access-Control-Allow-Origin: https://b.example\n"));
    cr_expect(strstr(emitted, "Vary: Origin\n"));
    cr_expect_not(strstr(headers_with(&evil, 1, allowed), "Access-Control"));
    cr_expect(strstr(emitted, "Vary: Origin\n"));
    cr_expect_not(strstr(headers_with(NULL, 0, allowed), "Access-Control"));
    cr_expect(strstr(headers_with(&evil, 1, "*"), "Access-Control-Allow-Origin: *\n"));
    cr_expect_not(strstr(emitted, "Vary"));
}

Test(router, preflight_answers_what_was_asked) {
    const http_pair sent[] = {{"Access-Control-Request-Method", "POST"},
                              {"Access-Control-Request-Headers", "content-type, x-request-id"}};
    x.request.headers = sent;
    x.request.header_count = 2;
    headers_preflight(&x, NULL, "POST");
    cr_expect_eq(x.reply.header_count, 0, "nothing without --cors-origin");
    headers_preflight(&x, "*", "POST, OPTIONS");
    expect_header("Access-Control-Allow-Methods", "POST, OPTIONS");
    expect_header("Access-Control-Allow-Headers", "content-type, x-request-id");
    expect_header("Access-Control-Max-Age", "86400");
}
