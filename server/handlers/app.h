/* app.h: what every handler has at hand. */
#ifndef CNNSERVE_APP_H
#define CNNSERVE_APP_H

#include "http/http.h"
#include "models/models.h"

/* First argument of the handlers. Constant while the server runs, but for `draining`. */
typedef struct app {
    model_registry *registry;
    cnn_runtime *runtime;
    size_t max_images;    /* of one request */
    size_t max_pixels;    /* of one image */
    size_t feature_limit; /* bytes of encoded features in one reply */
    atomic_bool draining;
} app;

/* Every route of the program. */
extern const http_routes app_routes;

/* Makes a model error the reply, with the contract's status and word for it. */
void app_reply_error(http_exchange *x, const model_error *err);

/*
 * The model that a path names: the first capture is its name, the second its version; without
 * captures it is the default model. *out holds a reference. False: x->reply is the error.
 */
bool app_find_model(app *a, http_exchange *x, served_model **out);

/* The handlers, one family a file. */
http_handler health_live, health_ready;    /* health.c */
http_handler models_list, models_describe; /* models.c */
http_handler classify_images;              /* classify.c */

#endif
