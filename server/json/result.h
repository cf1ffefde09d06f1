/*
 * result.h: one entry of the `results` of an answer, as HTTP and `classify --format json` give it.
 *
 *   {"image": {"name", "format", "width", "height", "orientation"},
 *    "predictions": [{"class_index", "label", "probability"}],
 *    "features": {name: {"op", "shape", "dtype", "data"}}}
 *   {"image": {"name"}, "error": "<sentence>", "code": "<word>"}
 */
#ifndef CNNSERVE_RESULT_H
#define CNNSERVE_RESULT_H

#include "models/models.h"
#include "json/writer.h"

/* What stands for the values of a feature. */
typedef enum feature_format {
    FEATURES_ARRAY,  /* "data": nested arrays of the tensor's shape */
    FEATURES_BASE64, /* "data_base64": little-endian float32, row-major */
    FEATURES_STATS,  /* "min", "max", "mean", "std", "zeros": arrays, one element a channel */
} feature_format;

/* Of a feature with more than one axis the first one counts channels; others have one channel. */
typedef struct channel_stats {
    float min, max, mean, std; /* std of the population; NaN if a value is */
    uint64_t zeros;
} channel_stats;

channel_stats channel_stats_of(const float *values, size_t count);

/* The whole entry, an object. `name` NULL: left out. */
void json_write_result(json_writer *w, const char *name, const model_result *result,
                       feature_format format);
/* The entry of an image that failed; `code` as json_error_word gives it. */
void json_write_failure(json_writer *w, const char *name, const char *message, const char *code);
/* "undecodable_image", "bad_request", ...: the contract's word for an error. */
const char *json_error_word(const model_error *err);

#endif
