/* Bodies and parameters of classify, without models. */
#include "handlers/classify_request.h"
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static classify_request r;
static classify_refusal why;

static bool read_request(void) {
    return classify_request_read(&x.request, 3, &r, &why);
}

static void query(const char *text) {
    char target[2048];
    snprintf(target, sizeof target, "/v1/classify?%s", text);
    request_target("POST", target);
}

static void expect_refusal(int status, const char *code, const char *sentence) {
    cr_expect_not(read_request());
    cr_expect_eq(why.status, status, "%d %s", why.status, why.message);
    cr_expect_str_eq(why.code, code);
    cr_expect(strstr(why.message, sentence), "%s", why.message);
}

TestSuite(classify_request, .init = request_start, .fini = request_stop);

Test(classify_request, a_raw_body_is_an_image_whatever_its_type) {
    const char *types[] = {"image/png", "application/octet-stream",          "text/plain",
                           "",          "application/x-www-form-urlencoded", "image/jpeg; q=1"};
    request_body("DATA", 4);
    for (size_t i = 0; i <= sizeof types / sizeof types[0]; i++) {
        if (i > 0) request_type(types[i - 1]); /* the first time there is no such header */
        cr_assert(read_request());
        cr_expect_eq(r.image_count, 1);
        cr_expect_eq(r.images[0].bytes, x.request.body, "not copied");
        cr_expect_eq(r.images[0].size, 4);
        cr_expect_null(r.images[0].name);
        cr_expect_eq(r.top, 5);
        cr_expect_eq(r.feature_count, 0);
        cr_expect_eq(r.format, feature_format_find("array"));
        cr_expect_not(r.timings || r.explain);
        classify_request_free(&r);
    }
}

Test(classify_request, parameters_of_the_query) {
    request_body("DATA", 4);
    query("top=0&features=conv1,pool*&feature_format=base64&timings=1");
    cr_assert(read_request(), "%s", why.message);
    cr_expect_eq(r.top, 0);
    cr_expect_str_eq(r.features[0], "conv1,pool*");
    cr_expect_eq(r.format, feature_format_find("base64"));
    cr_expect(r.timings);
    classify_request_free(&r);
    query("explain=cam");
    cr_assert(read_request());
    cr_expect(r.explain && r.explained_class == MODEL_BEST_CLASS);
    classify_request_free(&r);
    query("explain=cam&explain_class=281&feature_format=png");
    cr_assert(read_request());
    cr_expect(r.explain && r.explained_class == 281);
    cr_expect_eq(r.format, feature_format_find("png"));
    classify_request_free(&r);
    query("top=1000000&timings=false&feature_format=stats");
    cr_assert(read_request());
    cr_expect_eq(r.top, 1000000);
    cr_expect_eq(r.format, feature_format_find("stats"));
    classify_request_free(&r);
}

Test(classify_request, wrong_parameters) {
    const char *cases[][2] = {
        {"top=1000001", "'top' has to be a whole number from 0 to 1000000"},
        {"top=99999999999999999999", "'top' has to be a whole number from 0 to 1000000"},
        {"top=-1", "'top' has to be a whole number, 0 or greater, not '-1'"},
        {"top=", "'top' has to be a whole number"},
        {"top=1.5", "'top' has to be a whole number"},
        {"top=1&top=1", "'top' is given twice"},
        {"features=a&features=b", "'features' is given twice"},
        {"feature_format=Array",
         "'feature_format' has to be one of array|base64|stats|png, not 'Array'"},
        {"timings=yes", "'timings' has to be 0 or 1"},
        {"feature=a", "'feature' is no parameter; did you mean 'features'"},
        {"explain=gradcam", "'explain' has to be cam, not 'gradcam'"},
        {"explain_class=3", "'explain_class' needs explain=cam"},
        {"explain=cam&explain_class=tabby",
         "'explain_class' has to be a whole number, 0 or greater, not 'tabby'"},
        {"explain=cam&explain=cam", "'explain' is given twice"},
        {"exlpain=cam", "'exlpain' is no parameter; did you mean 'explain'"},
        {"Top=1", "'Top' is no parameter; did you mean 'top'?"},
    };
    request_body("DATA", 4);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        query(cases[i][0]);
        expect_refusal(400, "bad_request", cases[i][1]);
    }
}

Test(classify_request, empty_bodies) {
    expect_refusal(400, "bad_request", "the body is empty");
    request_type("application/json");
    expect_refusal(400, "bad_request", "the body is empty");
}

#define PART(head, data) "--B\r\nContent-Disposition: form-data; " head "\r\n\r\n" data "\r\n"
#define PNG_PART(data)                                                                             \
    "--B\r\nContent-Disposition: form-data; name=\"i\"\r\nContent-Type: "                          \
    "image/png\r\n\r\n" data "\r\n"

static void form(const char *parts) {
    static char body[4096];
    snprintf(body, sizeof body, "%s--B--", parts);
    request_type("multipart/form-data; boundary=B");
    request_body(body, strlen(body));
}

Test(classify_request, forms) {
    form(PART("name=\"image\"; filename=\"a.jpg\"", "AA") PART("name=\"top\"", "7") PNG_PART("BBB")
             PART("name=\"x\"; filename=\"\"", ""));
    query("features=conv1");
    cr_assert(read_request(), "%s", why.message);
    cr_expect_eq(r.image_count, 2);
    cr_expect_str_eq(r.images[0].name, "a.jpg");
    cr_expect_eq(r.images[0].size, 2);
    cr_expect_null(r.images[1].name);
    cr_expect_eq(r.images[1].size, 3);
    cr_expect_eq(r.top, 7);
    cr_expect_str_eq(r.features[0], "conv1");
    classify_request_free(&r);
}

Test(classify_request, an_empty_file_fails_alone) {
    form(PART("name=\"a\"; filename=\"a.png\"", "") PNG_PART("B"));
    cr_assert(read_request(), "%s", why.message);
    cr_expect_eq(r.image_count, 2);
    cr_expect_str_eq(r.images[0].problem, "the file is empty");
    cr_expect_null(r.images[1].problem);
    classify_request_free(&r);
}

Test(classify_request, wrong_forms) {
    form(PART("name=\"top\"", "7"));
    expect_refusal(400, "bad_request", "the form holds no file");
    form(PART("name=\"image\"; filename=\"\"", ""));
    expect_refusal(400, "bad_request", "the form holds no file");
    form(PART("name=\"tops\"", "7") PNG_PART("A"));
    expect_refusal(400, "bad_request", "did you mean 'top'");
    form(PART("name=\"top\"", "x") PNG_PART("A"));
    expect_refusal(400, "bad_request", "'top' has to be a whole number");
    form(PART("name=\"image\"", "a.jpg"));
    expect_refusal(400, "bad_request",
                   "'image' is neither a file (-F image=@FILE) nor a parameter; there are 'top', ");
    form(PART("name=\"top\"", "1") PNG_PART("A"));
    query("top=1");
    expect_refusal(400, "bad_request", "'top' is given twice");
    query("");
    form(PNG_PART("A") PNG_PART("A") PNG_PART("A") PNG_PART("A"));
    expect_refusal(413, "payload_too_large", "the request holds 4 images, the limit is 3");
    request_type("multipart/form-data");
    expect_refusal(400, "bad_request", "boundary");
    request_type("Multipart/Mixed; boundary=B");
    expect_refusal(415, "unsupported_media_type",
                   "Multipart/Mixed; boundary=B is not taken: send multipart/form-data");
    request_type("multipart/form-data; boundary=other");
    expect_refusal(400, "bad_request", "broken");
    const char binary[] = PART("name=\"top\"", "1\0");
    request_type("multipart/form-data; boundary=B");
    char body[512];
    memcpy(body, binary, sizeof binary - 1);
    strcpy(body + sizeof binary - 1, "--B--");
    request_body(body, sizeof binary - 1 + 5);
    expect_refusal(400, "bad_request", "the form field 'top' is no text");
}

Test(classify_request, json_without_its_type) {
    request_body("{\"images\": []}", 14);
    expect_refusal(415, "unsupported_media_type",
                   "needs the header Content-Type: application/json");
    request_body("", 1);
    cr_expect(read_request(), "one NUL is for the decoder to refuse");
    classify_request_free(&r);
}

/* Text in place of a picture: what it is, and the way out. */
Test(classify_request, text_in_place_of_an_image) {
    const char *cases[][2] = {
        {"\xef\xbb\xbf {\"images\": []}", "begins like JSON, which needs the header"},
        {" [1]", "begins like JSON"},
        {" \r\n", "empty but for white space"},
        {"data:image/png;base64,iVBORw0KGgo=",
         "is a data URL, not an image: send the picture's bytes"},
        {"iVBORw0KGgoAAAANSUhEUg==", "is base64, not an image: send the picture's bytes"},
        {"/9j/4AAQSkZJRg", "is base64, not an image"},
        {"%2F9j%2F4AAQ", "is base64, not an image"},
        {"image=iVBORw0KGgo%3D&top=1", "base64 in an urlencoded form, not an image"},
        {"image=%2F9j%2F4AAQ", "base64 in an urlencoded form, not an image"},
        {"images[0]=UklGRg", "base64 in an urlencoded form, not an image"},
        {"image=@cat.jpg&top=1", "is an urlencoded form, not an image: send the picture's bytes"},
        {"https://example.com/cat.jpg", "URLs are not fetched; send "},
        {"--B\r\nContent-Disposition: form-data; name=\"i\"\r\n\r\n",
         "begins like a form, which needs"},
    };
    request_type("application/x-www-form-urlencoded");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request_body(cases[i][0], strlen(cases[i][0]));
        expect_refusal(415, "unsupported_media_type", cases[i][1]);
    }
    const char *left_to_the_decoder[] = {"hello", "=", "a b=c", "--", "(/9j/"};
    for (size_t i = 0; i < sizeof left_to_the_decoder / sizeof *left_to_the_decoder; i++) {
        request_body(left_to_the_decoder[i], strlen(left_to_the_decoder[i]));
        cr_expect(read_request(), "%s", left_to_the_decoder[i]);
        classify_request_free(&r);
    }
}

static void document(const char *text) {
    request_type("application/json; charset=utf-8");
    request_body(text, strlen(text));
}

Test(classify_request, documents) {
    document("{\"images\": [\"QQ==\", {\"b64\": \"QkI=\", \"name\": \"n\"}], \"top\": 2,"
             " \"features\": [\"a\", \"b\"], \"feature_format\": \"stats\", \"timings\": true}");
    cr_assert(read_request(), "%s", why.message);
    cr_expect_eq(r.image_count, 2);
    cr_expect_arr_eq(r.images[1].bytes, "BB", 2);
    cr_expect_str_eq(r.images[1].name, "n");
    cr_expect_eq(r.top, 2);
    cr_expect_eq(r.feature_count, 2);
    cr_expect_eq(r.format, feature_format_find("stats"));
    cr_expect(r.timings);
    classify_request_free(&r);
}

Test(classify_request, wrong_documents) {
    document("{\"images\": []}");
    expect_refusal(400, "bad_request", "\"images\" is empty");
    document("{\"top\": 1}");
    expect_refusal(400, "bad_request", "the request holds no \"images\"");
    document("{\"images\": [\"QQ\"], \"top\": -1}");
    expect_refusal(400, "bad_request", "'top' has to be a whole number from 0 to 1000000");
    document("{\"images\": [\"QQ\"], \"feature_format\": \"xml\"}");
    expect_refusal(400, "bad_request", "'feature_format' has to be");
    document("{\"images\": [\"QQ\", \"QQ\", \"QQ\", \"QQ\"]}");
    expect_refusal(413, "payload_too_large", "4 images");
    document("{\"images\": [\"QQ\"], \"top\": 1}");
    query("top=1");
    expect_refusal(400, "bad_request", "'top' is given twice");
    query("");
    document("\xff\xd8\xff\xe0 of a JPEG");
    expect_refusal(400, "bad_request", "says JSON, but the body is a picture");
    document("--B\r\nContent-Disposition: form-data; name=\"i\"\r\n\r\n");
    expect_refusal(400, "bad_request", "says JSON, but the body begins like a form");
    document("not json");
    expect_refusal(400, "bad_request", "no valid JSON");
}
