/* Writes one entry of `results`. */
#include "models/result.h"

#include "common/array.h"
#include "json/base64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- failures ----------------------------------------------------------------------------- */

failure_kind failure_kind_of(const model_error *err) {
    static const failure_kind internal = {500, "internal"};
    static const failure_kind kinds[MODEL_INTERNAL + 1] = {
        [MODEL_BAD_REQUEST] = {400, "bad_request"},
        [MODEL_NOT_FOUND] = {404, "not_found"},
        [MODEL_FEATURES_TOO_LARGE] = {413, "features_too_large"},
    };
    static const failure_kind image_kinds[IMAGE_INVALID + 1] = {
        [IMAGE_UNSUPPORTED] = {415, "unsupported_media_type"},
        [IMAGE_UNDECODABLE] = {422, "undecodable_image"},
        [IMAGE_TOO_LARGE] = {413, "image_too_large"},
    };
    failure_kind kind = err->code == MODEL_IMAGE ? image_kinds[err->image] : kinds[err->code];
    return kind.word ? kind : internal;
}

/* ---- formats of features ------------------------------------------------------------------ */

struct feature_format {
    const char *name;
    uint64_t (*size)(const model_feature *feature); /* characters that `write` may take, about */
    void (*write)(json_writer *w, const model_feature *feature);
};

/* Characters that a value takes in a nested array, comma included, and that one channel's
 * statistics take. */
#define ARRAY_CHARACTERS 12
#define STATS_CHARACTERS 64
/* Name, op, shape and braces of one feature. */
#define FEATURE_CHARACTERS 256

static uint64_t array_size(const model_feature *feature) {
    return (uint64_t)feature->count * ARRAY_CHARACTERS;
}

static void write_array(json_writer *w, const model_feature *feature) {
    json_write_key(w, "data");
    json_write_tensor(w, feature->data, feature->shape.dims, feature->shape.rank);
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "base64 features are float32 in little-endian order"
#endif

static uint64_t coded_size(const model_feature *feature) {
    return base64_encoded_size(feature->count * sizeof(float));
}

static void write_coded(json_writer *w, const model_feature *feature) {
    json_write_key(w, "data_base64");
    json_write_base64(w, feature->data, feature->count * sizeof(float));
}

/* The first of several axes counts channels. */
static size_t channels_of(const model_feature *feature) {
    return feature->shape.rank > 1 ? (size_t)feature->shape.dims[0] : 1;
}

static uint64_t stats_size(const model_feature *feature) {
    return (uint64_t)channels_of(feature) * STATS_CHARACTERS;
}

channel_stats channel_stats_of(const float *values, size_t count) {
    channel_stats stats = {.min = INFINITY, .max = -INFINITY};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        stats.min = fminf(stats.min, values[i]);
        stats.max = fmaxf(stats.max, values[i]);
        stats.zeros += values[i] == 0;
        sum += values[i];
    }
    double mean = count ? sum / (double)count : NAN;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    stats.mean = (float)mean;
    stats.std = count ? (float)sqrt(squares / (double)count) : NAN;
    if (isnan(mean)) stats.min = stats.max = NAN;
    return stats;
}

static void write_stats_arrays(json_writer *w, const channel_stats *stats, size_t channels) {
    static const char *const keys[] = {"min", "max", "mean", "std", "zeros"};
    for (int key = 0; key < 5; key++) {
        json_write_key(w, keys[key]);
        json_write_begin_array(w);
        for (size_t c = 0; c < channels; c++) {
            const float values[] = {stats[c].min, stats[c].max, stats[c].mean, stats[c].std};
            if (key < 4)
                json_write_float(w, values[key]);
            else
                json_write_uint(w, stats[c].zeros);
        }
        json_write_end_array(w);
    }
}

static void write_stats(json_writer *w, const model_feature *feature) {
    size_t channels = channels_of(feature);
    size_t each = channels ? feature->count / channels : 0;
    channel_stats *stats = calloc(channels + 1, sizeof *stats);
    if (!stats) {
        buffer_fail(w->out, BUFFER_NO_MEMORY);
        return;
    }
    for (size_t c = 0; c < channels; c++)
        stats[c] = channel_stats_of(feature->data + c * each, each);
    write_stats_arrays(w, stats, channels);
    free(stats);
}

static plot_tensor plot_of(const model_feature *feature) {
    return (plot_tensor){.name = feature->name,
                         .op = feature->op,
                         .dims = feature->shape.dims,
                         .rank = feature->shape.rank,
                         .data = feature->data};
}

static uint64_t png_size(const model_feature *feature) {
    plot_tensor tensor = plot_of(feature);
    return plot_expected_bytes(&tensor) * 4 / 3;
}

bool feature_draw(const model_feature *feature, plot_png *out) {
    plot_tensor tensor = plot_of(feature);
    return plot_tensor_png(&tensor, out);
}

static void write_png(json_writer *w, const model_feature *feature) {
    plot_png png = {0};
    if (!feature_draw(feature, &png)) buffer_fail(w->out, BUFFER_NO_MEMORY);
    json_write_key(w, "png");
    json_write_data_url(w, "image/png", png.bytes, png.size);
    free(png.bytes);
}

static const feature_format formats[] = {
    {"array", array_size, write_array},
    {"base64", coded_size, write_coded},
    {"stats", stats_size, write_stats},
    {"png", png_size, write_png},
};

const feature_format *feature_format_find(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

uint64_t feature_expected_size(const model_feature *feature, const feature_format *format) {
    return FEATURE_CHARACTERS + format->size(feature);
}

/* ---- entries ------------------------------------------------------------------------------ */

static void write_shape(json_writer *w, const int64_t *dims, int rank) {
    json_write_key(w, "shape");
    json_write_begin_array(w);
    for (int i = 0; i < rank; i++)
        json_write_int(w, dims[i]);
    json_write_end_array(w);
}

static void write_feature(json_writer *w, const model_feature *feature,
                          const feature_format *format) {
    json_write_key(w, feature->name);
    json_write_begin_object(w);
    json_write_member_text(w, "op", feature->op);
    write_shape(w, feature->shape.dims, feature->shape.rank);
    json_write_member_text(w, "dtype", "float32");
    format->write(w, feature);
    json_write_end_object(w);
}

static void write_image(json_writer *w, const char *name, const image_info *info) {
    json_write_key(w, "image");
    json_write_begin_object(w);
    if (name) json_write_member_text(w, "name", name);
    if (info) {
        json_write_member_text(w, "format", info->format);
        json_write_member_int(w, "width", info->width);
        json_write_member_int(w, "height", info->height);
        json_write_member_int(w, "orientation", info->orientation);
    }
    json_write_end_object(w);
}

static void write_prediction(json_writer *w, const model_prediction *prediction) {
    json_write_begin_object(w);
    json_write_member_uint(w, "class_index", prediction->class_index);
    json_write_member_text(w, "label", prediction->label);
    json_write_member_float(w, "probability", prediction->probability);
    json_write_end_object(w);
}

static void write_explanation(json_writer *w, const model_explanation *explanation) {
    const int64_t dims[] = {explanation->height, explanation->width};
    json_write_key(w, "explanation");
    json_write_begin_object(w);
    json_write_member_text(w, "method", "cam");
    json_write_member_uint(w, "class_index", explanation->class_index);
    json_write_member_text(w, "label", explanation->label);
    json_write_member_text(w, "tensor", explanation->tensor);
    write_shape(w, dims, 2);
    json_write_key(w, "data");
    json_write_tensor(w, explanation->values, dims, 2);
    json_write_key(w, "png");
    json_write_data_url(w, "image/png", explanation->png, explanation->png_size);
    json_write_end_object(w);
}

void json_write_result(json_writer *w, const char *name, const model_result *result,
                       const feature_format *format) {
    json_write_begin_object(w);
    write_image(w, name, &result->image);
    json_write_key(w, "predictions");
    json_write_begin_array(w);
    for (size_t i = 0; i < result->prediction_count; i++)
        write_prediction(w, &result->predictions[i]);
    json_write_end_array(w);
    if (result->feature_count > 0) {
        json_write_key(w, "features");
        json_write_begin_object(w);
        for (size_t i = 0; i < result->feature_count; i++)
            write_feature(w, &result->features[i], format);
        json_write_end_object(w);
    }
    if (result->explanation.values) write_explanation(w, &result->explanation);
    json_write_end_object(w);
}

void json_write_failure(json_writer *w, const char *name, const char *message, const char *word) {
    json_write_begin_object(w);
    write_image(w, name, NULL);
    json_write_member_text(w, "error", message);
    json_write_member_text(w, "code", word);
    json_write_end_object(w);
}
