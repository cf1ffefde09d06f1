/* Writes one entry of `results`. */
#include "json/result.h"

#include <math.h>

const char *json_error_word(const model_error *err) {
    switch (err->code) {
    case MODEL_BAD_REQUEST:
        return "bad_request";
    case MODEL_NOT_FOUND:
        return "not_found";
    case MODEL_FEATURES_TOO_LARGE:
        return "features_too_large";
    case MODEL_IMAGE:
        return err->image == IMAGE_UNSUPPORTED   ? "unsupported_media_type"
               : err->image == IMAGE_UNDECODABLE ? "undecodable_image"
               : err->image == IMAGE_TOO_LARGE   ? "image_too_large"
                                                 : "internal";
    case MODEL_OK:
    case MODEL_INVALID:
    case MODEL_UNFIT:
    case MODEL_INTERNAL:
        break;
    }
    return "internal";
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

/*
 * Five arrays, and for each the statistics are computed anew: no memory is needed for them, and it
 * costs less than printing the values would.
 */
static void write_stats(json_writer *w, const model_feature *feature) {
    static const char *const keys[] = {"min", "max", "mean", "std", "zeros"};
    size_t channels = feature->shape.rank > 1 ? (size_t)feature->shape.dims[0] : 1;
    size_t each = channels ? feature->count / channels : 0;
    for (int key = 0; key < 5; key++) {
        json_write_key(w, keys[key]);
        json_write_begin_array(w);
        for (size_t c = 0; c < channels; c++) {
            channel_stats s = channel_stats_of(feature->data + c * each, each);
            const float values[] = {s.min, s.max, s.mean, s.std};
            if (key < 4)
                json_write_float(w, values[key]);
            else
                json_write_uint(w, s.zeros);
        }
        json_write_end_array(w);
    }
}

static void write_values(json_writer *w, const model_feature *feature, feature_format format) {
    switch (format) {
    case FEATURES_ARRAY:
        json_write_key(w, "data");
        json_write_tensor(w, feature->data, feature->shape.dims, feature->shape.rank);
        break;
    case FEATURES_BASE64: /* the machine is little-endian, see below */
        json_write_key(w, "data_base64");
        json_write_base64(w, feature->data, feature->count * sizeof(float));
        break;
    case FEATURES_STATS:
        write_stats(w, feature);
        break;
    }
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "base64 features are float32 in little-endian order"
#endif

static void write_feature(json_writer *w, const model_feature *feature, feature_format format) {
    json_write_key(w, feature->name);
    json_write_begin_object(w);
    json_write_key(w, "op");
    json_write_text(w, feature->op);
    json_write_key(w, "shape");
    json_write_begin_array(w);
    for (int i = 0; i < feature->shape.rank; i++)
        json_write_int(w, feature->shape.dims[i]);
    json_write_end_array(w);
    json_write_key(w, "dtype");
    json_write_text(w, "float32");
    write_values(w, feature, format);
    json_write_end_object(w);
}

static void write_image(json_writer *w, const char *name, const image_info *info) {
    json_write_key(w, "image");
    json_write_begin_object(w);
    if (name) {
        json_write_key(w, "name");
        json_write_text(w, name);
    }
    if (info) {
        json_write_key(w, "format");
        json_write_text(w, info->format);
        json_write_key(w, "width");
        json_write_int(w, info->width);
        json_write_key(w, "height");
        json_write_int(w, info->height);
        json_write_key(w, "orientation");
        json_write_int(w, info->orientation);
    }
    json_write_end_object(w);
}

static void write_prediction(json_writer *w, const model_prediction *prediction) {
    json_write_begin_object(w);
    json_write_key(w, "class_index");
    json_write_uint(w, prediction->class_index);
    json_write_key(w, "label");
    json_write_text(w, prediction->label);
    json_write_key(w, "probability");
    json_write_float(w, prediction->probability);
    json_write_end_object(w);
}

void json_write_result(json_writer *w, const char *name, const model_result *result,
                       feature_format format) {
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
    json_write_end_object(w);
}

void json_write_failure(json_writer *w, const char *name, const char *message, const char *code) {
    json_write_begin_object(w);
    write_image(w, name, NULL);
    json_write_key(w, "error");
    json_write_text(w, message);
    json_write_key(w, "code");
    json_write_text(w, code);
    json_write_end_object(w);
}
