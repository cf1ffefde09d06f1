/*
 * model_config.h: what the files of a model folder say beside the graph: model.json, or Hugging
 * Face's config.json and preprocessor_config.json (huggingface.h).
 *
 * Reading tells what the files say and nothing more; what they leave out is decided where the graph
 * is known (models/load.c).
 */
#ifndef CNNSERVE_MODEL_CONFIG_H
#define CNNSERVE_MODEL_CONFIG_H

#include "image/image.h"

#include <stdbool.h>
#include <stddef.h>

#define MODEL_CONFIG_FILE "model.json"
/* Largest model.json that is read. */
#define MODEL_CONFIG_MAX ((size_t)1 << 20)

typedef enum config_activation {
    CONFIG_AUTO,
    CONFIG_SOFTMAX,
    CONFIG_SIGMOID,
    CONFIG_NONE,
} config_activation;

#define MODEL_PRECISIONS "fp32|bf16|int8|auto"

/* Bytes that are enough for every message of a reader. */
#define CONFIG_MESSAGE_MAX 800

/* A height and a width; 0 and 0: not given. */
typedef struct config_size {
    int height, width;
} config_size;

/* Zeroed: nothing is given. */
typedef struct model_config {
    const char *file;   /* where the preprocessing is from, a constant; NULL: nothing is given */
    char *labels;       /* file beside model.json; NULL: not given */
    char **label_names; /* (label_count) instead of a file; NULL: not given */
    const char *labels_file; /* where they are from, a constant */
    size_t label_count;
    bool has_color;
    image_color color;
    bool has_resize;
    image_resize resize;
    config_size size;
    bool has_filter;
    image_filter filter;
    bool has_crop;
    config_size crop; /* given as 0 and 0: no crop */
    image_rounding rounding;
    bool has_scale;
    float scale;
    bool makes_floats; /* scale, mean and std are not for a network that takes whole numbers */
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
