#include "http/http.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static http_target target;

static bool parse(const char *text) {
    const char *why;
    return http_target_parse(text, &target, &why);
}

static void expect_refusal(const char *text) {
    const char *why = NULL;
    cr_expect_not(http_target_parse(text, &target, &why), "%s", text);
    cr_expect(why && *why);
}

Test(target, segments_and_parameters) {
    cr_assert(parse("/v1/models/caf%C3%A9%2F+/classify?top=3&features=a%2Cb+c&x&&y="));
    cr_assert_eq(target.segment_count, 4);
    cr_expect_str_eq(target.segments[0], "v1");
    cr_expect_str_eq(target.segments[2], "caf\xc3\xa9/+");
    cr_assert_eq(target.query_count, 4);
    cr_expect_str_eq(target.query[0].name, "top");
    cr_expect_str_eq(target.query[0].value, "3");
    cr_expect_str_eq(target.query[1].value, "a,b c");
    cr_expect_str_eq(target.query[2].name, "x");
    cr_expect_str_eq(target.query[2].value, "");
    cr_expect_str_eq(target.query[3].value, "");
    http_target_free(&target);
}

Test(target, empty_segments_stay) {
    cr_assert(parse("/"));
    cr_expect_eq(target.segment_count, 1);
    cr_expect_str_eq(target.segments[0], "");
    http_target_free(&target);
    cr_assert(parse("/a//b/"));
    cr_expect_eq(target.segment_count, 4);
    http_target_free(&target);
}

Test(target, absolute_form) {
    cr_assert(parse("http://host:80/a?b=c"));
    cr_expect_str_eq(target.segments[0], "a");
    cr_expect_str_eq(target.query[0].value, "c");
    http_target_free(&target);
    cr_assert(parse("http://host"));
    cr_expect_eq(target.segment_count, 1);
    http_target_free(&target);
}

Test(target, refusals) {
    expect_refusal("");
    expect_refusal("*");
    expect_refusal("a/b");
    expect_refusal("http://host?q");
    expect_refusal("/%");
    expect_refusal("/%4");
    expect_refusal("/%zz");
    expect_refusal("/a%00b");
    expect_refusal("/a%0ab");
    expect_refusal("/a%7f");
    expect_refusal("/\x01");
    expect_refusal("/%ff");
    expect_refusal("/\xc3");
    expect_refusal("/a?%");
    expect_refusal("/a?b=%f");
    expect_refusal("/a?b=%00");
    expect_refusal("/a?b=%ed%a0%80");
}

Test(target, limits) {
    char text[4096] = "/a";
    for (int i = 0; i < 30; i++)
        strcat(text, "/b%41");
    cr_assert(parse(text));
    cr_expect_eq(target.segment_count, HTTP_MAX_SEGMENTS + 1);
    http_target_free(&target);
    strcpy(text, "/a?");
    for (int i = 0; i < HTTP_MAX_QUERY; i++)
        strcat(text, "p=1&");
    cr_assert(parse(text));
    cr_expect_eq(target.query_count, HTTP_MAX_QUERY);
    http_target_free(&target);
    strcat(text, "p=1");
    expect_refusal(text);
}
