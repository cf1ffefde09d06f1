/*
 * model_config.h: the model.json of a model folder, checked key by key.
 *
 * Reading tells what the file says and nothing more; what it leaves out is decided where the graph
 * is known (models/load.c).
 */
#ifndef CNNSERVE_MODEL_CONFIG_H
#define CNNSERVE_MODEL_CONFIG_H

#include "image/image.h"

#include <stdbool.h>
#include <stddef.h>

/* Largest model.json that is read. */
#define MODEL_CONFIG_MAX ((size_t)1 << 20)

typedef enum config_activation {
    CONFIG_AUTO,
    CONFIG_SOFTMAX,
    CONFIG_SIGMOID,
    CONFIG_NONE,
} config_activation;

#define MODEL_PRECISIONS "fp32|bf16|int8|auto"

/* A height and a width; 0 and 0: not given. */
typedef struct config_size {
    int height, width;
} config_size;

/* Zeroed: nothing is given. */
typedef struct model_config {
    char *labels; /* file beside model.json; NULL: not given */
    bool has_color;
    image_color color;
    bool has_resize;
    image_resize resize;
    config_size size;
    bool has_filter;
    image_filter filter;
    config_size crop;
    bool has_scale;
    float scale;
    size_t mean_count, std_count; /* 0: not given */
    float mean[IMAGE_MAX_CHANNELS], std[IMAGE_MAX_CHANNELS];
    char *output; /* NULL: not given */
    config_activation activation;
    char *precision; /* one of MODEL_PRECISIONS; NULL: not given */
} model_config;

/* False: `message` (of `size` bytes) names the key and what is wrong with it. */
bool model_config_read(const char *text, size_t length, model_config *out, char *message,
                       size_t size);
/* Frees and zeroes. */
void model_config_free(model_config *config);

#endif
