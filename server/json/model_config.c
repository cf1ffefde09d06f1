/*
 * Reads model.json.
 *
 * Each object has a table of its keys with the function that reads the value, so that unknown keys,
 * and the key nearest to them, come from the same table as the known ones. Readers check a value by
 * itself; how values fit each other and the graph is not decided here.
 */
#include "json/model_config.h"

#include "common/array.h"
#include "common/names.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    model_config config;
    char *message;
    size_t size;
} reader;

typedef struct key_def {
    const char *name;
    /* `key` is the whole path, "input.resize.size". */
    bool (*read)(reader *r, const char *key, const json_t *value);
} key_def;

__attribute__((format(printf, 2, 3))) static bool fail(reader *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->message, r->size, format, args);
    va_end(args);
    return false;
}

static const char *key_name_at(const void *list, size_t index) {
    return ((const key_def *)list)[index].name;
}

static bool read_object(reader *r, const char *path, const json_t *object, const key_def *keys,
                        size_t count) {
    if (!json_is_object(object))
        return fail(r, "%s must be an object", path[0] ? path : "the file");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        const key_def *key = keys;
        while (key < keys + count && strcmp(key->name, name) != 0)
            key++;
        char full[160], near[256];
        snprintf(full, sizeof full, "%s%s%.60s", path, path[0] ? "." : "", name);
        if (key == keys + count)
            return fail(r, "unknown key '%s'%s", full,
                        names_suggest(name, keys, count, key_name_at, near, sizeof near));
        if (!key->read(r, full, value)) return false;
    }
    return true;
}

/* ---- values ------------------------------------------------------------------------------- */

/* Sets *out to the place of the string `value` in "a|b|c". */
static bool read_choice(reader *r, const char *key, const json_t *value, const char *choices,
                        int *out) {
    const char *text = json_string_value(value);
    size_t length = text ? strlen(text) : 0;
    int index = 0;
    for (const char *choice = choices; choice && length > 0; index++) {
        size_t end = strcspn(choice, "|");
        if (end == length && memcmp(choice, text, end) == 0) {
            *out = index;
            return true;
        }
        choice = choice[end] ? choice + end + 1 : NULL;
    }
    return text ? fail(r, "%s must be one of %s, not '%.60s'", key, choices, text)
                : fail(r, "%s must be one of %s", key, choices);
}

static bool read_text(reader *r, const char *key, const json_t *value, char **out) {
    const char *text = json_string_value(value);
    if (!text || text[0] == '\0') return fail(r, "%s must be a string that is not empty", key);
    char *copy = strdup(text);
    if (!copy) return fail(r, "out of memory");
    free(*out);
    *out = copy;
    return true;
}

static bool read_extent(reader *r, const char *key, const json_t *value, int *out) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (number < 1 || number > IMAGE_MAX_SIZE)
        return fail(r, "%s must be a whole number from 1 to %d, or [height, width]", key,
                    IMAGE_MAX_SIZE);
    *out = (int)number;
    return true;
}

static bool read_size_pair(reader *r, const char *key, const json_t *value, config_size *out) {
    config_size size = {0, 0};
    if (json_is_array(value)) {
        if (json_array_size(value) != 2)
            return fail(r, "%s must be a number or [height, width]", key);
        if (!read_extent(r, key, json_array_get(value, 0), &size.height) ||
            !read_extent(r, key, json_array_get(value, 1), &size.width))
            return false;
    } else {
        if (!read_extent(r, key, value, &size.height)) return false;
        size.width = size.height;
    }
    *out = size;
    return true;
}

static bool read_float(reader *r, const char *key, const json_t *value, float *out) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite((float)number))
        return fail(r, "%s must be a number that a float holds", key);
    *out = (float)number;
    return true;
}

static bool read_channels(reader *r, const char *key, const json_t *value, float *out,
                          size_t *out_count) {
    size_t count = json_array_size(value); /* 0 for what is no array */
    if (!json_is_number(value) && count != 1 && count != IMAGE_MAX_CHANNELS)
        return fail(r, "%s must be a number, or an array of 1 or %d, one a channel", key,
                    IMAGE_MAX_CHANNELS);
    if (count == 0) {
        *out_count = 1;
        return read_float(r, key, value, out);
    }
    for (size_t i = 0; i < count; i++)
        if (!read_float(r, key, json_array_get(value, i), &out[i])) return false;
    *out_count = count;
    return true;
}

/* ---- keys --------------------------------------------------------------------------------- */

static bool key_resize_mode(reader *r, const char *key, const json_t *value) {
    static const image_resize modes[] = {IMAGE_RESIZE_SHORTEST, IMAGE_RESIZE_EXACT,
                                         IMAGE_RESIZE_NONE};
    int index;
    if (!read_choice(r, key, value, "shortest|exact|none", &index)) return false;
    r->config.resize = modes[index];
    r->config.has_resize = true;
    return true;
}

static bool key_resize_size(reader *r, const char *key, const json_t *value) {
    return read_size_pair(r, key, value, &r->config.size);
}

static bool key_resize_filter(reader *r, const char *key, const json_t *value) {
    int index; /* of image_filter */
    if (!read_choice(r, key, value, "nearest|box|bilinear|hamming|bicubic|lanczos", &index))
        return false;
    r->config.filter = (image_filter)index;
    r->config.has_filter = true;
    return true;
}

static bool key_color(reader *r, const char *key, const json_t *value) {
    static const image_color colors[] = {IMAGE_RGB, IMAGE_BGR, IMAGE_GRAY};
    int index;
    if (!read_choice(r, key, value, "RGB|BGR|GRAY", &index)) return false;
    r->config.color = colors[index];
    r->config.has_color = true;
    return true;
}

static bool key_resize(reader *r, const char *key, const json_t *value) {
    static const key_def keys[] = {
        {"mode", key_resize_mode}, {"size", key_resize_size}, {"filter", key_resize_filter}};
    return read_object(r, key, value, keys, ARRAY_LENGTH(keys));
}

static bool key_crop(reader *r, const char *key, const json_t *value) {
    return read_size_pair(r, key, value, &r->config.crop);
}

static bool key_scale(reader *r, const char *key, const json_t *value) {
    r->config.has_scale = true;
    return read_float(r, key, value, &r->config.scale);
}

static bool key_mean(reader *r, const char *key, const json_t *value) {
    return read_channels(r, key, value, r->config.mean, &r->config.mean_count);
}

static bool key_std(reader *r, const char *key, const json_t *value) {
    if (!read_channels(r, key, value, r->config.std, &r->config.std_count)) return false;
    for (size_t i = 0; i < r->config.std_count; i++)
        if (r->config.std[i] == 0) return fail(r, "%s must not hold 0", key);
    return true;
}

static bool key_input(reader *r, const char *key, const json_t *value) {
    static const key_def keys[] = {{"color", key_color}, {"resize", key_resize}, {"crop", key_crop},
                                   {"scale", key_scale}, {"mean", key_mean},     {"std", key_std}};
    return read_object(r, key, value, keys, ARRAY_LENGTH(keys));
}

static bool key_output_name(reader *r, const char *key, const json_t *value) {
    return read_text(r, key, value, &r->config.output);
}

static bool key_output_activation(reader *r, const char *key, const json_t *value) {
    static const config_activation activations[] = {CONFIG_AUTO, CONFIG_SOFTMAX, CONFIG_SIGMOID,
                                                    CONFIG_NONE};
    int index;
    if (!read_choice(r, key, value, "auto|softmax|sigmoid|none", &index)) return false;
    r->config.activation = activations[index];
    return true;
}

static bool key_output(reader *r, const char *key, const json_t *value) {
    static const key_def keys[] = {{"name", key_output_name},
                                   {"activation", key_output_activation}};
    return read_object(r, key, value, keys, ARRAY_LENGTH(keys));
}

/* The file is looked for beside model.json and nowhere else. */
static bool key_labels(reader *r, const char *key, const json_t *value) {
    const char *text = json_string_value(value);
    if (text && (strchr(text, '/') || text[0] == '.'))
        return fail(r, "%s must be the name of a file beside model.json", key);
    return read_text(r, key, value, &r->config.labels);
}

static bool key_precision(reader *r, const char *key, const json_t *value) {
    int index;
    return read_choice(r, key, value, MODEL_PRECISIONS, &index) &&
           read_text(r, key, value, &r->config.precision);
}

bool model_config_read(const char *text, size_t length, model_config *out, char *message,
                       size_t size) {
    static const key_def keys[] = {{"labels", key_labels},
                                   {"input", key_input},
                                   {"output", key_output},
                                   {"precision", key_precision}};
    reader r = {.message = message, .size = size};
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    bool ok = root ? read_object(&r, "", root, keys, ARRAY_LENGTH(keys))
                   : fail(&r, "no valid JSON: %s (line %d)", error.text, error.line);
    json_decref(root);
    if (ok)
        *out = r.config;
    else
        model_config_free(&r.config);
    return ok;
}

void model_config_free(model_config *config) {
    if (!config) return;
    free(config->labels);
    free(config->output);
    free(config->precision);
    *config = (model_config){0};
}
