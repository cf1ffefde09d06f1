#include "json/classify_body.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static classify_body body;
static char message[512];

static classify_body_code parse(const char *text) {
    message[0] = '\0';
    return classify_body_parse(text, strlen(text), 3, &body, message, sizeof message);
}

static void expect_bad(const char *text, const char *sentence) {
    cr_expect_eq(parse(text), CLASSIFY_BODY_BAD, "%s", text);
    cr_expect(strstr(message, sentence), "%s: %s", text, message);
}

Test(classify_body, every_form_of_image) {
    cr_assert_eq(parse("{\"images\": [\"Zm9v\", \"data:image/png;base64,Zm8=\","
                       " {\"b64\": \"DATA:;BASE64,Zg\", \"name\": \"n\\u00e4me\"}]}"),
                 CLASSIFY_BODY_OK, "%s", message);
    cr_assert_eq(body.image_count, 3);
    cr_expect_eq(body.images[0].size, 3);
    cr_expect_arr_eq(body.images[0].bytes, "foo", 3);
    cr_expect_null(body.images[0].name);
    cr_expect_eq(body.images[1].size, 2);
    cr_expect_eq(body.images[2].size, 1);
    cr_expect_str_eq(body.images[2].name, "n\xc3\xa4me");
    cr_expect_null(body.features);
    cr_expect_not(body.has_top);
    classify_body_free(&body);
}

Test(classify_body, every_parameter) {
    cr_assert_eq(parse("{\"images\": [], \"top\": -3, \"features\": [\"a\", \"b*\"],"
                       " \"feature_format\": \"stats\", \"timings\": true, \"explain\": \"cam\","
                       " \"explain_class\": 7}"),
                 CLASSIFY_BODY_OK);
    cr_expect(body.has_top && body.top == -3, "ranges are not looked at here");
    cr_expect_eq(body.feature_count, 2);
    cr_expect_str_eq(body.features[1], "b*");
    cr_expect_str_eq(body.feature_format, "stats");
    cr_expect(body.has_timings && body.timings);
    cr_expect_str_eq(body.explain, "cam");
    cr_expect(body.has_explain_class && body.explain_class == 7);
    classify_body_free(&body);
    cr_assert_eq(parse("{\"features\": \"a,b\", \"timings\": 0}"), CLASSIFY_BODY_OK);
    cr_expect_str_eq(body.features[0], "a,b");
    cr_expect(body.has_timings && !body.timings);
    classify_body_free(&body);
}

Test(classify_body, a_bad_string_spoils_its_own_image) {
    const char *cases[][2] = {
        {"\"Zm9*\"", "\"images\"[1] is no base64: it breaks off at character 3"},
        {"\"\"", "\"images\"[1] is empty"},
        {"\" \\n\"", "\"images\"[1] is empty"},
        {"\"data:image/png;base64,\"", "\"images\"[1] is empty"},
        {"\"data:,\"", "\"images\"[1] is empty"},
        {"\"data:image/png;base64\"",
         "\"images\"[1] is a data URL without a comma before its data"},
        {"\"cat.jpg\"", "\"images\"[1] is the name of a file: send its bytes in base64"},
        {"\"C:\\\\cat.PNG\"", "\"images\"[1] is the name of a file: send its bytes in base64"},
        {"{\"b64\": \"?\", \"name\": \"n\"}",
         "\"images\"[1] is no base64: it breaks off at character 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"images\": [\"Zm9v\", %s]}", cases[i][0]);
        cr_assert_eq(parse(text), CLASSIFY_BODY_OK, "%s: %s", text, message);
        cr_expect_null(body.images[0].problem);
        cr_expect_str_eq(body.images[1].problem, cases[i][1]);
        cr_expect_null(body.images[1].bytes);
        cr_expect_eq(body.images[1].size, 0);
        classify_body_free(&body);
    }
}

static void expect_bytes(const char *json, const char *bytes, size_t size) {
    char text[400];
    snprintf(text, sizeof text, "{\"images\": [%s]}", json);
    cr_assert_eq(parse(text), CLASSIFY_BODY_OK, "%s: %s", text, message);
    cr_assert_null(body.images[0].problem, "%s: %s", text, body.images[0].problem);
    cr_assert_eq(body.images[0].size, size, "%s", text);
    cr_expect(memcmp(body.images[0].bytes, bytes, size) == 0, "%s", text);
    classify_body_free(&body);
}

/* The bytes are those that Python's base64 and a browser's fetch() of the URL give. */
Test(classify_body, pictures_as_people_write_them) {
    expect_bytes("\"+/8K\\r\\n+/8K\\n\"", "\xfb\xff\n\xfb\xff\n", 6);
    expect_bytes("\"-_8K\"", "\xfb\xff\n", 3);
    expect_bytes("\"%2B%2F8%3D\"", "\xfb\xff", 2);
    expect_bytes("\"data:image/png;base64,%2b/8%3D\"", "\xfb\xff", 2);
    expect_bytes("\"data:image/png;base64,+/\\n8=\"", "\xfb\xff", 2);
    expect_bytes("\" \\nDATA:image/png;charset=utf-8;BASE64 ,+_8\"", "\xfb\xff", 2);
    expect_bytes("\"data:image/svg+xml;name=\\\"a,b;base64,c\\\";base64,Zg==\"", "f", 1);
    expect_bytes("\"data:;name=\\\"open;base64,Zg==\"", "f", 1);
    expect_bytes("\"data:image/png,%89PNG%0d%00x%zz%\"", "\x89PNG\r\0x%zz%", 11);
    expect_bytes("\"data:image/png; base64 ,Zg==#fragment\"", "f", 1);
    expect_bytes("\"data:image/png;base64;x=y,Zg==\"", "Zg==", 4);
    expect_bytes("\"data:base64,Zg==\"", "Zg==", 4); /* a type, not ;base64 */
    expect_bytes("\"//8=\"", "\xff\xff", 2);         /* not a URL without its scheme */
    expect_bytes("\"www/\"", "\xc3\x0c\x3f", 3);
}

Test(classify_body, urls_are_not_fetched) {
    const char *urls[] = {"https://example.com/a.jpg", "HTTP://x/",          "ftp://x/y",
                          "file:///etc/passwd",        "blob:https://x/1-2", " //cdn.example/x.png",
                          "s3://bucket/key",           "www.example.com/x"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        for (int object = 0; object < 2; object++) {
            char text[200];
            snprintf(text, sizeof text,
                     object ? "{\"images\": [{\"b64\": \"%s\"}]}" : "{\"images\": [\"%s\"]}",
                     urls[i]);
            cr_assert_eq(parse(text), CLASSIFY_BODY_OK, "%s: %s", text, message);
            cr_assert(body.images[0].problem, "%s", text);
            cr_expect(strstr(body.images[0].problem,
                             "\"images\"[0] is a URL: URLs are not fetched; send "),
                      "%s: %s", text, body.images[0].problem);
            classify_body_free(&body);
        }
    expect_bad("{\"images\": [{\"url\": \"https://x/\"}]}",
               "\"images\"[0].\"url\": URLs are not fetched; send ");
    expect_bad("{\"images\": [{\"image_url\": {}}]}", "URLs are not fetched; send ");
    expect_bad("{\"url\": \"https://x/\"}", "\"url\": URLs are not fetched; send ");
}

Test(classify_body, marks_and_encodings) {
    cr_assert_eq(parse("\xef\xbb\xbf{\"images\": [\"Zg\"]}"), CLASSIFY_BODY_OK, "%s", message);
    cr_expect_eq(body.image_count, 1);
    classify_body_free(&body);
    expect_bad("\xef\xbb\xbf", "no valid JSON");
    const char wide[][9] = {"\xff\xfe{\0}\0", "\xfe\xff\0{\0}", "{\0}\0",
                            "\0{\0}",         "\0\0\0{",        "{\0\0\0"};
    const size_t sizes[] = {6, 6, 4, 4, 4, 4};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        cr_expect_eq(classify_body_parse(wide[i], sizes[i], 3, &body, message, sizeof message),
                     CLASSIFY_BODY_BAD);
        cr_expect(strstr(message, "UTF-16"), "%zu: %s", i, message);
    }
}

/* `count` times `piece`, between `head` and `tail`. */
static char *repeated(const char *head, const char *piece, size_t count, const char *tail) {
    char *text = malloc(strlen(head) + count * strlen(piece) + strlen(tail) + 1), *end = text;
    end = stpcpy(end, head);
    for (size_t i = 0; i < count; i++)
        end = stpcpy(end, piece);
    strcpy(end, tail);
    return text;
}

Test(classify_body, values_are_counted_before_they_take_memory) {
    const char *cases[][3] = {
        {"{\"images\": [", "{},", "{}]}"},
        {"{\"images\": [", "[],", "[]]}"},
        {"{\"images\": [", "[", "]}"},
        {"{\"images\": [], \"top\": {", "\"a\":1,", "\"b\":1}}"},
        {"{\"features\": [\"\\\\\", \"\\\"\",", "1,", "1]}"},
        {"", "1,", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = repeated(cases[i][0], cases[i][1], 1100, cases[i][2]);
        cr_expect_eq(parse(text), CLASSIFY_BODY_TOO_MANY, "%s", text);
        cr_expect_str_eq(message, "the request holds more than 1009 JSON values");
        free(text);
    }
}

Test(classify_body, what_looks_like_values_in_a_string_is_none) {
    char *text = repeated("{\"images\": [{\"b64\": \"Zm9v\", \"name\": \"", ",[{\\\"\\\\,", 1000,
                          "\"}], \"top\": 1}");
    cr_assert_eq(parse(text), CLASSIFY_BODY_OK, "%s", message);
    cr_expect_eq(strlen(body.images[0].name), 6 * 1000);
    classify_body_free(&body);
    free(text);
}

Test(classify_body, refusals_name_the_key) {
    expect_bad("", "no valid JSON");
    expect_bad("{\"images\": [\"Zm9v\"]", "no valid JSON");
    expect_bad("{\"top\": 1, \"top\": 2}", "duplicate object key");
    expect_bad("{\"top\": NaN}", "no valid JSON: invalid token near 'NaN'");
    expect_bad("{\"top\": 1e999}", "no valid JSON: real number overflow");
    expect_bad("{\"images\": [\"\xff\"]}", "no valid JSON: unable to decode byte 0xff");
    expect_bad("{} {}", "no valid JSON");
    expect_bad("{\"images\": [\"\\u0000\"]}", "no valid JSON");
    expect_bad("[]", "a JSON object, not an array");
    expect_bad("{\"topp\": 1}", "unknown key 'topp'; did you mean 'top'?");
    expect_bad("{\"explain\": true}", "\"explain\" has to be a string, not a boolean");
    expect_bad("{\"explain_class\": \"cat\"}",
               "\"explain_class\" has to be an integer, not a string");
    expect_bad("{\"top\": \"3\"}", "\"top\" has to be an integer, not a string");
    expect_bad("{\"top\": 3.0}", "not a fraction");
    expect_bad("{\"features\": 3}", "\"features\" has to be an array of strings");
    expect_bad("{\"features\": [\"a\", null]}", "not null");
    expect_bad("{\"feature_format\": [\"a\"]}", "\"feature_format\" has to be a string");
    expect_bad("{\"timings\": 2}", "\"timings\" has to be a boolean");
    expect_bad("{\"images\": \"Zm9v\"}", "\"images\" has to be an array");
    expect_bad("{\"images\": [1]}", "\"images\"[0] has to be a string or an object");
    expect_bad("{\"images\": [{\"name\": \"x\"}]}", "\"images\"[0] has no \"b64\"");
    expect_bad("{\"images\": [{\"b64\": 7}]}", "\"images\"[0].\"b64\" has to be a string");
    expect_bad("{\"images\": [{\"base64\": \"Zg\"}]}", "unknown key 'base64'");
}

Test(classify_body, too_many_images) {
    cr_expect_eq(parse("{\"images\": [\"Zg\", \"Zg\", \"Zg\", \"Zg\"]}"), CLASSIFY_BODY_TOO_MANY);
    cr_expect_str_eq(message, "the request holds 4 images, the limit is 3");
}
