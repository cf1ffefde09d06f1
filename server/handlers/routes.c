/* routes.c: the route table, and what the handlers share. */
#include "common/array.h"
#include "handlers/app.h"
#include "json/result.h"

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

static int image_status(image_code code) {
    switch (code) {
    case IMAGE_UNSUPPORTED:
        return 415;
    case IMAGE_UNDECODABLE:
        return 422;
    case IMAGE_TOO_LARGE:
        return 413;
    default:
        return 500;
    }
}

static int status_of(const model_error *err) {
    switch (err->code) {
    case MODEL_BAD_REQUEST:
        return 400;
    case MODEL_NOT_FOUND:
        return 404;
    case MODEL_FEATURES_TOO_LARGE:
        return 413;
    case MODEL_IMAGE:
        return image_status(err->image);
    default:
        return 500;
    }
}

void app_reply_error(http_exchange *x, const model_error *err) {
    http_reply_error(x, status_of(err), json_error_word(err), "%s", err->message);
}

bool app_find_model(app *a, http_exchange *x, served_model **out) {
    model_error err;
    model_code code = model_registry_find(a->registry, x->captures[0], x->captures[1], out, &err);
    if (code != MODEL_OK) app_reply_error(x, &err);
    return code == MODEL_OK;
}
