/* config_reader.h: what the readers of model folders share. */
#ifndef CNNSERVE_CONFIG_READER_H
#define CNNSERVE_CONFIG_READER_H

#include "json/model_config.h"

#include <jansson.h>

typedef struct config_reader {
    model_config config; /* what has been read so far */
    char *message;       /* of `size` bytes: the failure */
    size_t size;
} config_reader;

/* Writes the message; false, so that a failure is one return statement. */
__attribute__((format(printf, 2, 3))) bool config_fail(config_reader *r, const char *format, ...);

/* The file's root, the caller's to release; NULL after config_fail. */
json_t *config_parse(config_reader *r, const char *text, size_t length);
/* Hands the config over to *out if `ok`, else frees it; returns `ok`. */
bool config_finish(config_reader *r, bool ok, model_config *out);

/* Each checks `value`, names it `key` if it is wrong, and writes *out only if it is right. */

/* Text that is not empty; frees what *out held. */
bool config_read_text(config_reader *r, const char *key, const json_t *value, char **out);
bool config_read_float(config_reader *r, const char *key, const json_t *value, float *out);
/* A number, or an array of 1 or IMAGE_MAX_CHANNELS. */
bool config_read_channels(config_reader *r, const char *key, const json_t *value, float *out,
                          size_t *out_count);
/* Each of them is above 0. */
bool config_check_std(config_reader *r, const char *key, const float *values, size_t count);

/* Labels into the config, which has none yet: room for all, one of them, or an array of them. */
bool config_allocate_labels(config_reader *r, size_t count);
bool config_set_label(config_reader *r, const char *key, size_t index, const json_t *value);
bool config_read_labels(config_reader *r, const char *key, const json_t *array);

#endif
