/* routes.c: the route table, and what the handlers share. */
#include "common/array.h"
#include "handlers/app.h"
#include "models/result.h"

#define CLASSIFY(method, pattern)                                                                  \
    { method, pattern, classify_images, true, false }

/* Entries with one pattern stand together. */
static const http_route routes[] = {
    CLASSIFY("POST", "/v1/classify"),
    CLASSIFY("PUT", "/v1/classify"),
    CLASSIFY("POST", "/v1/models/{model}/classify"),
    CLASSIFY("PUT", "/v1/models/{model}/classify"),
    CLASSIFY("POST", "/v1/models/{model}/versions/{version}/classify"),
    CLASSIFY("PUT", "/v1/models/{model}/versions/{version}/classify"),
    {"GET", "/v1/models", models_list, false, true},
    {"GET", "/v1/models/{model}", models_describe, true, false},
    {"GET", "/v1/models/{model}/versions/{version}", models_describe, true, false},
    {"GET", "/livez", health_live, false, true},
    {"GET", "/readyz", health_ready, false, true},
};

const http_routes app_routes = {routes, ARRAY_LENGTH(routes)};

void app_reply_error(http_exchange *x, const model_error *err) {
    failure_kind kind = failure_kind_of(err);
    http_reply_error(x, kind.status, kind.word, "%s", err->message);
}

bool app_find_model(app *a, http_exchange *x, served_model **out) {
    model_error err;
    model_code code = model_registry_find(a->registry, x->captures[0], x->captures[1], out, &err);
    if (code != MODEL_OK) app_reply_error(x, &err);
    return code == MODEL_OK;
}
