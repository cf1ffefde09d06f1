#include "json/writer.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static buffer out;
static json_writer w;

static void start(void) {
    buffer_init(&out, 1 << 24);
    w = (json_writer){.out = &out};
}

static void stop(void) {
    buffer_free(&out);
}

static void expect(const char *json) {
    cr_assert_not(buffer_failed(&out));
    cr_expect_eq(out.size, strlen(json));
    cr_expect(out.size == strlen(json) && memcmp(out.data, json, out.size) == 0, "%.*s",
              (int)out.size, out.data);
}

TestSuite(writer, .init = start, .fini = stop);

Test(writer, commas_and_nesting) {
    json_write_begin_object(&w);
    json_write_key(&w, "a");
    json_write_int(&w, -5);
    json_write_key(&w, "b");
    json_write_begin_array(&w);
    json_write_begin_array(&w);
    json_write_end_array(&w);
    json_write_bool(&w, true);
    json_write_null(&w);
    json_write_begin_object(&w);
    json_write_end_object(&w);
    json_write_uint(&w, UINT64_MAX);
    json_write_end_array(&w);
    json_write_key(&w, "c");
    json_write_float(&w, 0.5F);
    json_write_end_object(&w);
    expect("{\"a\":-5,\"b\":[[],true,null,{},18446744073709551615],\"c\":0.5}");
}

Test(writer, strings_are_escaped) {
    json_write_bytes(&w, "a\"b\\c/\b\f\n\r\t\x01\x7f\0z", 15);
    expect("\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u007f\\u0000z\"");
    /* U+0080 to U+009F steer terminals as ESC does; U+00A0 does not. */
    json_write_bytes(&w, "\xc2\x80\xc2\x9b\xc2\xa0", 6);
}

Test(writer, utf8_passes_and_anything_else_is_replaced) {
    json_write_text(&w, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"                /* 2, 3, 4 bytes */
                        "|\xff|\xc3|\xc0\x80|\xed\xa0\x80|\xf4\x90\x80\x80"); /* none is UTF-8 */
    const char r[] = "\xef\xbf\xbd";
    char json[256];
    snprintf(json, sizeof json,
             "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80|%s|%s|%s%s|%s%s%s|%s%s%s%s\"", r, r, r, r, r,
             r, r, r, r, r, r);
    expect(json);
}

Test(writer, tensors_nest_by_their_shape) {
    const float data[] = {0, 1, -2.5F, 0.1F, NAN, 1e-7F, 7, 8, 9, 10, 11, 12};
    const int64_t dims[] = {2, 3, 2};
    json_write_tensor(&w, data, dims, 3);
    json_write_tensor(&w, data, dims, 1);
    json_write_tensor(&w, data + 1, NULL, 0);
    const int64_t empty[] = {2, 0};
    json_write_tensor(&w, data, empty, 2);
    expect("[[[0.0,1.0],[-2.5,0.1],[null,1e-07]],[[7.0,8.0],[9.0,10.0],[11.0,12.0]]],"
           "[0.0,1.0],1.0,[[],[]]");
}

Test(writer, long_rows_keep_every_number) {
    enum { COUNT = 10000 };
    float *data = malloc(COUNT * sizeof *data);
    for (int i = 0; i < COUNT; i++)
        data[i] = (float)i * 0.37F;
    json_write_floats(&w, data, COUNT);
    cr_assert_not(buffer_failed(&out));
    buffer_append_char(&out, '\0');
    char *p = out.data + 1;
    for (int i = 0; i < COUNT; i++) {
        char *end;
        cr_assert_eq(strtof(p, &end), data[i], "number %d", i);
        cr_assert_eq(*end, i + 1 < COUNT ? ',' : ']');
        p = end + 1;
    }
    free(data);
}

Test(writer, base64_is_a_string) {
    json_write_begin_array(&w);
    json_write_base64(&w, "foobar", 6);
    json_write_base64(&w, "", 0);
    json_write_end_array(&w);
    expect("[\"Zm9vYmFy\",\"\"]");
}

Test(writer, a_full_buffer_fails_and_nothing_else) {
    float data[100] = {0};
    const int64_t dims[] = {10, 10};
    out.limit = 300;
    json_write_tensor(&w, data, dims, 2);
    json_write_text(&w, "more");
    cr_expect(buffer_failed(&out));
    cr_expect_leq(out.size, 300);
}
