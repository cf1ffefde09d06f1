/* Handlers with the built-in models, from request to reply. */
#include "support.h"
#include "json/base64.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(handlers, .init = app_start, .fini = app_stop);

static void expect_reply(const char *part) {
    cr_expect_eq(x.reply.status, 200, "%d %s", x.reply.status, reply_text());
    cr_expect(strstr(reply_text(), part), "%s: %s", part, reply_text());
}

static void expect_no(const char *part) {
    cr_expect_not(strstr(reply_text(), part), "%s: %s", part, reply_text());
}

static void again(const char *target) {
    http_pair type = x.request.header_count ? x.request.headers[0] : (http_pair){0};
    http_request kept = x.request;
    request_stop();
    request_start();
    request_target("POST", target);
    if (type.name) request_type(type.value);
    request_body(kept.body, kept.body_size);
}

static void send_one(const char *target) {
    again(target);
    request_body(one_png, one_png_size);
    request_run();
}

Test(handlers, one_image) {
    send_one("/v1/models/digits/classify?top=2");
    expect_reply("{\"model\":\"digits\",\"version\":\"1\",\"results\":[{\"image\":{\"format\":"
                 "\"png\",\"width\":28,\"height\":28,\"orientation\":1},\"predictions\":[{"
                 "\"class_index\":1,\"label\":\"1\",\"probability\":0.");
    expect_no("features");
    expect_no("timings");
    cr_expect_gt(x.timing_ns[HTTP_DECODE], 0);
    cr_expect_gt(x.timing_ns[HTTP_INFERENCE], 0);
    cr_expect_gt(x.timing_ns[HTTP_ENCODE], 0);
}

Test(handlers, default_model_and_versions) {
    send_one("/v1/classify");
    expect_reply("{\"model\":\"cifar10\",\"version\":\"1\"");
    send_one("/v1/models/digits/versions/1/classify?top=0&timings=1");
    expect_reply("\"predictions\":[]");
    expect_reply("\"timings\":{\"decode\":");
    send_one("/v1/models/digit/classify");
    expect_error(404, "not_found", "digits");
    send_one("/v1/models/digits/versions/2/classify");
    expect_error(404, "not_found", "1");
    send_one("/v1/models/digits/versions/x/classify");
    expect_error(404, "not_found", "");
}

Test(handlers, an_image_that_fails_is_the_reply) {
    again("/v1/classify");
    request_body("no image at all", 15);
    request_run();
    expect_error(415, "unsupported_media_type", "JPEG");
    again("/v1/classify");
    request_body(one_png, one_png_size / 2);
    request_run();
    expect_error(422, "undecodable_image", "PNG");
    test_app.max_pixels = 28 * 28 - 1;
    send_one("/v1/classify");
    expect_error(413, "image_too_large", "783");
    test_app.max_pixels = 28 * 28;
    send_one("/v1/classify");
    expect_reply("predictions");
}

Test(handlers, several_images_have_their_own_entries_in_order) {
    char encoded[512] = {0}, body[2048];
    base64_encode(one_png, one_png_size, encoded);
    int size = snprintf(body, sizeof body,
                        "{\"images\": [{\"b64\": \"%s\", \"name\": \"first\"}, \"QUFB\", {\"b64\": "
                        "\"iVBORw0KGgo=\", \"name\": \"cut \\\"short\\\"\"}, \"%s\"], \"top\": 1}",
                        encoded, encoded);
    request_type("application/json");
    request_target("POST", "/v1/models/digits/classify");
    request_body(body, (size_t)size);
    request_run();
    expect_reply("\"results\":[{\"image\":{\"name\":\"first\",\"format\":\"png\",\"width\":28,");
    const char *text = reply_text();
    const char *second = strstr(text, "{\"image\":{},\"error\":\"");
    cr_assert(second, "%s", text);
    cr_expect(strstr(second, "\"code\":\"unsupported_media_type\"},{\"image\":{\"name\":\"cut "
                             "\\\"short\\\"\"},\"error\":"),
              "%s", second);
    cr_expect(strstr(second, "\"code\":\"undecodable_image\"},{\"image\":{\"format\":\"png\""),
              "%s", second);
}

Test(handlers, an_image_that_is_no_base64_fails_alone) {
    char encoded[512] = {0}, body[2048];
    base64_encode(one_png, one_png_size, encoded);
    int size = snprintf(body, sizeof body,
                        "{\"images\": [{\"b64\": \"?\", \"name\": \"n\"}, \"\", \"%s\"]}", encoded);
    request_type("application/json");
    request_target("POST", "/v1/models/digits/classify?top=1");
    request_body(body, (size_t)size);
    request_run();
    expect_reply(
        "[{\"image\":{\"name\":\"n\"},\"error\":\"\\\"images\\\"[0] is no base64: it breaks "
        "off at character 0\",\"code\":\"bad_request\"},{\"image\":{},\"error\":\"\\\"images"
        "\\\"[1] is empty\",\"code\":\"bad_request\"},{\"image\":{\"format\":\"png\"");
    again("/v1/models/digits/classify");
    request_body("{\"images\": [\"?\"]}", 17);
    request_run();
    expect_error(400, "bad_request", "is no base64");
}

Test(handlers, features_in_every_format) {
    send_one("/v1/models/digits/classify?top=0&features=pool2");
    expect_reply("\"features\":{\"pool2\":{\"op\":\"MaxPool\",\"shape\":[64,4,4],\"dtype\":"
                 "\"float32\",\"data\":[[[");
    send_one("/v1/models/digits/classify?top=0&features=pool2&feature_format=base64");
    expect_reply("\"dtype\":\"float32\",\"data_base64\":\"");
    const char *data = strstr(reply_text(), "data_base64\":\"") + 14;
    cr_expect_eq(strcspn(data, "\""), base64_encoded_size(64 * 4 * 4 * 4));
    send_one("/v1/models/digits/classify?top=1&features=pool*,logits&feature_format=stats");
    expect_reply(
        "\"pool1\":{\"op\":\"MaxPool\",\"shape\":[32,12,12],\"dtype\":\"float32\",\"min\":[");
    expect_reply("\"logits\":{");
    expect_no("data");
}

/* The part of the reply between `key": "data:image/png;base64,` and the next quote, decoded. */
static image reply_png(const char *key) {
    char marker[100];
    image picture = {0};
    snprintf(marker, sizeof marker, "\"%s\":\"data:image/png;base64,", key);
    const char *found = strstr(reply_text(), marker);
    cr_assert(found, "%s", reply_text());
    found += strlen(marker);
    size_t length = strcspn(found, "\""), size, bad;
    void *bytes = malloc(base64_decoded_max(length));
    cr_assert(base64_decode(found, length, bytes, &size, &bad));
    cr_assert_eq(image_decode(bytes, size, NULL, &picture, NULL, NULL), IMAGE_OK);
    free(bytes);
    return picture;
}

Test(handlers, features_as_pictures) {
    send_one("/v1/models/digits/classify?top=0&features=pool2&feature_format=png");
    expect_reply("\"features\":{\"pool2\":{\"op\":\"MaxPool\",\"shape\":[64,4,4],\"dtype\":"
                 "\"float32\",\"png\":\"data:image/png;base64,");
    image picture = reply_png("png");
    cr_expect_gt(picture.width, 500);
    cr_expect_gt(picture.height, 500);
    image_free(&picture);
    test_app.feature_limit = 1000;
    send_one("/v1/models/digits/classify?top=0&features=pool2&feature_format=png");
    expect_error(413, "features_too_large", "the limit is 1000");
}

Test(handlers, explanations) {
    send_one("/v1/classify?top=1&explain=cam");
    expect_reply("\"predictions\":[{\"class_index\":");
    expect_reply("\"explanation\":{\"method\":\"cam\",\"class_index\":");
    expect_reply("\"tensor\":\"views\",\"shape\":[7,7],\"data\":[[");
    expect_no("features");
    image picture = reply_png("png");
    cr_expect(picture.width == 280 && picture.height == 280, "28 x 28, ten times");
    image_free(&picture);
    send_one("/v1/classify?top=0&explain=cam&explain_class=3");
    expect_reply("\"predictions\":[],\"explanation\":{\"method\":\"cam\",\"class_index\":3,"
                 "\"label\":\"cat\"");
    send_one("/v1/classify?explain=cam&explain_class=10");
    expect_error(400, "bad_request", "no class 10");
    send_one("/v1/models/digits/classify?explain=cam");
    expect_error(400, "bad_request", "Gemm 'logits'");
}

Test(handlers, unknown_features) {
    send_one("/v1/models/digits/classify?features=pool3");
    expect_error(404, "not_found", "pool2");
}

Test(handlers, features_that_are_too_large_are_refused_before_work) {
    test_app.feature_limit = 50000; /* relu1 has 32 x 24 x 24 values */
    send_one("/v1/models/digits/classify?features=relu1");
    expect_error(413, "features_too_large", "the limit is 50000");
    cr_expect_eq(x.timing_ns[HTTP_DECODE], 0);
    send_one("/v1/models/digits/classify?features=relu1&feature_format=stats");
    expect_reply("\"zeros\":[");
    send_one("/v1/models/digits/classify?features=pool2");
    expect_reply("\"data\":[");
}

Test(handlers, features_of_several_images_count_together) {
    char encoded[512] = {0}, body[2048];
    base64_encode(one_png, one_png_size, encoded);
    int size = snprintf(body, sizeof body, "{\"images\": [\"%s\", \"%s\", \"%s\"]}", encoded,
                        encoded, encoded);
    request_type("application/json");
    request_body(body, (size_t)size);
    test_app.feature_limit = 32768; /* pool2 has 1024 values */
    again("/v1/models/digits/classify?features=pool2");
    request_body(body, (size_t)size);
    request_run();
    expect_error(413, "features_too_large", "the limit is 32768");
}

Test(handlers, images_that_have_waited_too_long) {
    again("/v1/models/digits/classify");
    request_body(one_png, one_png_size);
    x.deadline_ns = 1;
    request_run();
    expect_error(504, "deadline_exceeded", "waited");
}

Test(handlers, wrong_requests) {
    request_run();
    expect_error(400, "bad_request", "the body is empty");
    send_one("/v1/classify?topp=1");
    expect_error(400, "bad_request", "did you mean 'top'");
}

/* curl -d drops line breaks; --data-binary keeps them. */
Test(handlers, images_without_line_breaks) {
    request_target("POST", "/v1/classify");
    request_body("\xff\xd8\xff\xe0", 4);
    request_run();
    expect_error(422, "undecodable_image", "as if sent with curl -d, not --data-binary");
    again("/v1/classify");
    request_body("\xff\xd8\xff\n", 4);
    request_run();
    expect_error(422, "undecodable_image", "JPEG");
    expect_no("curl");
}

Test(handlers, lists_of_models) {
    request_target("GET", "/v1/models");
    request_run();
    expect_reply("{\"models\":[{\"name\":\"cifar10\",\"version\":\"1\",\"default\":true,");
    expect_reply("\"name\":\"digits\",\"version\":\"1\",\"default\":false,");
}

Test(handlers, description_of_a_model) {
    request_target("GET", "/v1/models/digits");
    request_run();
    const char *parts[] = {
        "{\"name\":\"digits\",",
        "\"versions\":[\"1\"]",
        "\"precision\":\"fp32\"",
        "\"output\":{\"name\":\"logits\",\"dtype\":\"float32\",\"shape\":[1,10]}",
        "\"preprocessing\":{\"color\":\"GRAY\"",
        "\"memory\":{\"weights_bytes\":",
        "\"labels\":[\"0\",\"1\"",
        "\"layers\":[{\"name\":\"conv1\",\"op\":\"Conv\"",
        "\"params\":832,\"macs\":460800"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        expect_reply(parts[i]);
    again("/v1/models/digits");
    request_target("GET", "/v1/models/nothing");
    request_run();
    expect_error(404, "not_found", "nothing");
}

Test(handlers, health) {
    request_target("GET", "/livez");
    request_run();
    expect_reply("{\"status\":\"alive\"}");
    again("/readyz");
    request_target("GET", "/readyz");
    request_run();
    expect_reply("{\"status\":\"ready\"}");
    atomic_store(&test_app.draining, true);
    again("/readyz");
    request_target("GET", "/readyz");
    request_run();
    expect_error(503, "draining", "about to stop");
    cr_expect_str_eq(x.reply.headers[0].name, "Retry-After");
}
