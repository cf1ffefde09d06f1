/* serve_options.h: what `cnnserve serve` can be told. */
#ifndef CNNSERVE_SERVE_OPTIONS_H
#define CNNSERVE_SERVE_OPTIONS_H

#include "cli/options.h"

typedef struct serve_values {
    char *config, *host, *models, *default_model, *affinity, *precision, *tune, *cors_origin,
        *log_format, *log_level;
    option_list model;
    int64_t port, threads, queue, max_pixels, max_images, max_connections, timeout_ms,
        drain_seconds, idle_seconds;
    uint64_t max_body, max_buffered, feature_limit;
} serve_values;

extern const option_set serve_option_set;

/* What the option table cannot check. False: `message` says what is wrong. */
bool serve_options_check(const serve_values *v, char *message, size_t size);

#endif
