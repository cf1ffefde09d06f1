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
        {"\"Zm9\\n\"", "\"images\"[1] is no base64: it breaks off at character 3"},
        {"\"\"", "\"images\"[1] is empty"},
        {"\"data:image/png,abc\"", "\"images\"[1] is a data URL without ;base64"},
        {"\"data:image/png;base64\"", "\"images\"[1] is a data URL without ;base64"},
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
    expect_bad("{\"top\": 1, \"top\": 2}", "no valid JSON");
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
