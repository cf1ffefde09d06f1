#include "support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const unsigned char one_png[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x1c, 0x00, 0x00, 0x00, 0x1c, 0x08, 0x00, 0x00, 0x00, 0x00, 0x57, 0x66, 0x80,
    0x48, 0x00, 0x00, 0x00, 0x17, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x60, 0x18, 0x60, 0xf0,
    0x1f, 0x08, 0x46, 0x25, 0x47, 0x25, 0x29, 0x91, 0xa4, 0x13, 0x00, 0x00, 0x6b, 0xae, 0x4f, 0xb1,
    0x9c, 0x81, 0x5e, 0xba, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
const size_t one_png_size = sizeof one_png;

app test_app;
http_exchange x;

static http_pair content_type = {"content-type", ""};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t completed = PTHREAD_COND_INITIALIZER;
static int completions; /* guarded by the lock */

void app_start(void) {
    const cnn_runtime_options options = {.threads = 2};
    const model_registry_options models = {0};
    cnn_error err;
    model_error model_err;
    cr_assert_eq(cnn_runtime_create(&options, &test_app.runtime, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(model_registry_create(test_app.runtime, &models, &test_app.registry, &model_err),
                 MODEL_OK, "%s", model_err.message);
    test_app.max_images = 4;
    test_app.max_pixels = 1000000;
    test_app.feature_limit = 1 << 20;
    request_start();
}

void app_stop(void) {
    request_stop();
    model_registry_free(test_app.registry);
    cnn_runtime_free(test_app.runtime);
    test_app = (app){0};
}

static void on_complete(http_exchange *done) {
    cr_assert_eq(done, &x);
    pthread_mutex_lock(&lock);
    completions++;
    pthread_cond_signal(&completed);
    pthread_mutex_unlock(&lock);
}

void request_start(void) {
    http_exchange_init(&x);
    x.complete = on_complete;
    completions = 0;
    request_target("POST", "/v1/classify");
}

void request_stop(void) {
    http_exchange_free(&x);
}

void request_target(const char *method, const char *target) {
    const char *why;
    http_target_free(&x.request.target);
    x.request.method = method;
    x.request.path = target;
    cr_assert(http_target_parse(target, &x.request.target, &why), "%s", why);
}

void request_type(const char *type) {
    content_type.value = type;
    x.request.headers = &content_type;
    x.request.header_count = 1;
}

void request_body(const void *bytes, size_t size) {
    x.request.body = size ? bytes : NULL;
    x.request.body_size = size;
}

static void run_handler(void *arg) {
    const http_route *route = arg;
    route->handler(&test_app, &x);
}

void request_run(void) {
    const http_route *route = http_route_find(app_routes, &x);
    cr_assert(route, "%s %s has no route", x.request.method, x.request.path);
    cr_assert_eq(cnn_runtime_submit(test_app.runtime, run_handler, (void *)route, NULL), CNN_OK);
    pthread_mutex_lock(&lock);
    while (completions == 0)
        pthread_cond_wait(&completed, &lock);
    pthread_mutex_unlock(&lock);
    cr_assert_eq(completions, 1);
    cr_assert_not(buffer_failed(&x.reply.body));
}

const char *reply_text(void) {
    buffer *body = &x.reply.body;
    cr_assert(buffer_append_char(body, '\0'));
    buffer_uncommit(body, 1);
    return body->data;
}

void expect_error(int status, const char *code, const char *part) {
    char tail[128];
    const char *text = reply_text();
    snprintf(tail, sizeof tail, "\",\"code\":\"%s\"}\n", code);
    cr_expect_eq(x.reply.status, status, "%d %s", x.reply.status, text);
    cr_expect(strncmp(text, "{\"error\":\"", 10) == 0, "%s", text);
    cr_expect(strstr(text, part), "%s", text);
    cr_expect(strstr(text, tail), "%s", text);
}
