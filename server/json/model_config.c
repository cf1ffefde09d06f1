/*
 * Reads model.json.
 *
 * Each object has a table of its keys with the function that reads the value, so that unknown keys,
 * and the key nearest to them, come from the same table as the known ones. Readers check a value by
 * itself; how values fit each other and the graph is not decided here.
 */
#include "json/config_reader.h"

#include "common/array.h"
#include "common/names.h"

#include <stdio.h>
#include <string.h>

typedef struct key_def {
    const char *name;
    /* `key` is the whole path, "input.resize.size". */
    bool (*read)(config_reader *r, const char *key, const json_t *value);
} key_def;

static const char *key_name_at(const void *list, size_t index) {
    return ((const key_def *)list)[index].name;
}

static bool read_object(config_reader *r, const char *path, const json_t *object,
                        const key_def *keys, size_t count) {
    if (!json_is_object(object))
        return config_fail(r, "%s must be an object", path[0] ? path : "the file");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        const key_def *key = keys;
        while (key < keys + count && strcmp(key->name, name) != 0)
            key++;
        char full[160], near[256];
        snprintf(full, sizeof full, "%s%s%.60s", path, path[0] ? "." : "", name);
        if (key == keys + count)
            return config_fail(r, "unknown key '%s'%s", full,
                               names_suggest(name, keys, count, key_name_at, near, sizeof near));
        if (!key->read(r, full, value)) return false;
    }
    return true;
}

/* ---- values ------------------------------------------------------------------------------- */

/* Sets *out to the place of the string `value` in "a|b|c". */
static bool read_choice(config_reader *r, const char *key, const json_t *value, const char *choices,
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
    return text ? config_fail(r, "%s must be one of %s, not '%.60s'", key, choices, text)
                : config_fail(r, "%s must be one of %s", key, choices);
}

static bool read_extent(config_reader *r, const char *key, const json_t *value, int *out) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (number < 1 || number > IMAGE_MAX_SIZE)
        return config_fail(r, "%s must be a whole number from 1 to %d, or [height, width]", key,
                           IMAGE_MAX_SIZE);
    *out = (int)number;
    return true;
}

static bool read_size_pair(config_reader *r, const char *key, const json_t *value,
                           config_size *out) {
    config_size size = {0, 0};
    if (json_is_array(value)) {
        if (json_array_size(value) != 2)
            return config_fail(r, "%s must be a number or [height, width]", key);
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

/* ---- keys --------------------------------------------------------------------------------- */

static bool key_resize_mode(config_reader *r, const char *key, const json_t *value) {
    static const image_resize modes[] = {IMAGE_RESIZE_SHORTEST, IMAGE_RESIZE_EXACT,
                                         IMAGE_RESIZE_NONE};
    int index;
    if (!read_choice(r, key, value, "shortest|exact|none", &index)) return false;
    r->config.resize = modes[index];
    r->config.has_resize = true;
    return true;
}

static bool key_resize_size(config_reader *r, const char *key, const json_t *value) {
    return read_size_pair(r, key, value, &r->config.size);
}

static bool key_resize_filter(config_reader *r, const char *key, const json_t *value) {
    int index; /* of image_filter */
    if (!read_choice(r, key, value, "nearest|box|bilinear|hamming|bicubic|lanczos", &index))
        return false;
    r->config.filter = (image_filter)index;
    r->config.has_filter = true;
    return true;
}

static bool key_color(config_reader *r, const char *key, const json_t *value) {
    static const image_color colors[] = {IMAGE_RGB, IMAGE_BGR, IMAGE_GRAY};
    int index;
    if (!read_choice(r, key, value, "RGB|BGR|GRAY", &index)) return false;
    r->config.color = colors[index];
    r->config.has_color = true;
    return true;
}

static bool key_resize(config_reader *r, const char *key, const json_t *value) {
    static const key_def keys[] = {
        {"mode", key_resize_mode}, {"size", key_resize_size}, {"filter", key_resize_filter}};
    return read_object(r, key, value, keys, ARRAY_LENGTH(keys));
}

static bool key_crop(config_reader *r, const char *key, const json_t *value) {
    r->config.has_crop = true;
    return read_size_pair(r, key, value, &r->config.crop);
}

static bool key_rounding(config_reader *r, const char *key, const json_t *value) {
    int index; /* of image_rounding */
    if (!read_choice(r, key, value, "nearest|transformers|torchvision", &index)) return false;
    r->config.rounding = (image_rounding)index;
    return true;
}

static bool key_scale(config_reader *r, const char *key, const json_t *value) {
    r->config.has_scale = true;
    if (!config_read_float(r, key, value, &r->config.scale)) return false;
    return r->config.scale != 0 || config_fail(r, "%s must not be 0", key);
}

static bool key_mean(config_reader *r, const char *key, const json_t *value) {
    return config_read_channels(r, key, value, r->config.mean, &r->config.mean_count);
}

static bool key_std(config_reader *r, const char *key, const json_t *value) {
    if (!config_read_channels(r, key, value, r->config.std, &r->config.std_count)) return false;
    return config_check_std(r, key, r->config.std, r->config.std_count);
}

static bool key_input(config_reader *r, const char *key, const json_t *value) {
    static const key_def keys[] = {{"color", key_color}, {"resize", key_resize},
                                   {"crop", key_crop},   {"rounding", key_rounding},
                                   {"scale", key_scale}, {"mean", key_mean},
                                   {"std", key_std}};
    return read_object(r, key, value, keys, ARRAY_LENGTH(keys));
}

static bool key_output_name(config_reader *r, const char *key, const json_t *value) {
    return config_read_text(r, key, value, &r->config.output);
}

static bool key_output_activation(config_reader *r, const char *key, const json_t *value) {
    static const config_activation activations[] = {CONFIG_AUTO, CONFIG_SOFTMAX, CONFIG_SIGMOID,
                                                    CONFIG_NONE};
    int index;
    if (!read_choice(r, key, value, "auto|softmax|sigmoid|none", &index)) return false;
    r->config.activation = activations[index];
    return true;
}

static bool key_output(config_reader *r, const char *key, const json_t *value) {
    static const key_def keys[] = {{"name", key_output_name},
                                   {"activation", key_output_activation}};
    return read_object(r, key, value, keys, ARRAY_LENGTH(keys));
}

/* The labels, or a file, which is looked for beside model.json and nowhere else. */
static bool key_labels(config_reader *r, const char *key, const json_t *value) {
    const char *text = json_string_value(value);
    r->config.labels_file = MODEL_CONFIG_FILE;
    if (json_is_array(value)) return config_read_labels(r, key, value);
    if (!text)
        return config_fail(
            r, "%s must be the name of a file, or an array with a label for each class", key);
    if (text && (strchr(text, '/') || text[0] == '.'))
        return config_fail(r, "%s must be the name of a file beside model.json", key);
    return config_read_text(r, key, value, &r->config.labels);
}

static bool key_precision(config_reader *r, const char *key, const json_t *value) {
    int index;
    return read_choice(r, key, value, MODEL_PRECISIONS, &index) &&
           config_read_text(r, key, value, &r->config.precision);
}

bool model_config_read(const char *text, size_t length, model_config *out, char *message,
                       size_t size) {
    static const key_def keys[] = {{"labels", key_labels},
                                   {"input", key_input},
                                   {"output", key_output},
                                   {"precision", key_precision}};
    config_reader r = {.message = message, .size = size};
    r.config.file = MODEL_CONFIG_FILE;
    json_t *root = config_parse(&r, text, length);
    bool ok = root && read_object(&r, "", root, keys, ARRAY_LENGTH(keys));
    json_decref(root);
    return config_finish(&r, ok, out);
}
