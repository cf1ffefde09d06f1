/*
 * result.h: one entry of the `results` of an answer, as HTTP and `classify --format json` give it.
 *
 *   {"image": {"name", "format", "width", "height", "orientation"},
 *    "predictions": [{"class_index", "label", "probability"}],
 *    "features": {name: {"op", "shape", "dtype", "data"}},
 *    "explanation": {"method", "class_index", "label", "tensor", "shape", "data", "png"}}
 *   {"image": {"name"}, "error": "<sentence>", "code": "<word>"}
 */
#ifndef CNNSERVE_RESULT_H
#define CNNSERVE_RESULT_H

#include "models/models.h"
#include "plot/plot.h"
#include "json/writer.h"

/*
 * What stands for the values of a feature; the table is in result.c.
 *   array   "data": nested arrays of the tensor's shape
 *   base64  "data_base64": little-endian float32, row-major
 *   stats   "min", "max", "mean", "std", "zeros": arrays, one element a channel
 *   png     "png": a data URL, a labelled grid of heat maps, one a channel
 */
typedef struct feature_format feature_format;

#define FEATURE_FORMATS        "array|base64|stats|png"
#define FEATURE_FORMAT_DEFAULT "array"

/* NULL: there is none of that name. */
const feature_format *feature_format_find(const char *name);
/* Characters that a feature will take, about; its shape is known, its values need not be. */
uint64_t feature_expected_size(const model_feature *feature, const feature_format *format);

/* Its picture, as format `png` has it; false: out of memory. */
bool feature_draw(const model_feature *feature, plot_png *out);

/* Of a feature with more than one axis the first one counts channels; others have one channel. */
typedef struct channel_stats {
    float min, max, mean, std; /* std of the population; NaN if a value is */
    uint64_t zeros;
} channel_stats;

channel_stats channel_stats_of(const float *values, size_t count);

/* The whole entry, an object. `name` NULL: left out. */
void json_write_result(json_writer *w, const char *name, const model_result *result,
                       const feature_format *format);

/* How the contract reports a failure. */
typedef struct failure_kind {
    int status;       /* of HTTP */
    const char *word; /* "undecodable_image", "bad_request", ... */
} failure_kind;

failure_kind failure_kind_of(const model_error *err);
/* The entry of an image that failed; `word` as in failure_kind. */
void json_write_failure(json_writer *w, const char *name, const char *message, const char *word);

#endif
