/* See huggingface_parts.h. */
#include "json/huggingface_parts.h"

#include "common/array.h"

#include <stdio.h>
#include <string.h>

bool hf_read_switch(config_reader *r, const char *key, const json_t *value, void *out) {
    if (!json_is_boolean(value)) return config_fail(r, "%s must be true or false", key);
    *(bool *)out = json_is_true(value);
    return true;
}

static bool read_extent(config_reader *r, const char *key, const json_t *value, int *out) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (number < 1 || number > IMAGE_MAX_SIZE)
        return config_fail(r, "%s must be a whole number from 1 to %d", key, IMAGE_MAX_SIZE);
    *out = (int)number;
    return true;
}

bool hf_read_exact(config_reader *r, const char *key, const json_t *height, const json_t *width,
                   config_size *out) {
    char name[80];
    snprintf(name, sizeof name, "%s: height", key);
    if (!read_extent(r, name, height, &out->height)) return false;
    snprintf(name, sizeof name, "%s: width", key);
    return read_extent(r, name, width, &out->width);
}

static bool read_size_object(config_reader *r, const char *key, const json_t *value, hf_size *out) {
    static const char *const known[] = {"height", "width", "shortest_edge"};
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)value, name, item) {
        size_t i = 0;
        while (i < ARRAY_LENGTH(known) && strcmp(known[i], name) != 0)
            i++;
        if (i == ARRAY_LENGTH(known) && !json_is_null(item))
            return config_fail(r,
                               "%s: '%.60s' is not supported, only height and width, or "
                               "shortest_edge",
                               key, name);
    }
    const json_t *shortest = json_object_get(value, "shortest_edge");
    const json_t *height = json_object_get(value, "height"),
                 *width = json_object_get(value, "width");
    if (!shortest || json_is_null(shortest))
        return hf_read_exact(r, key, height, width, &out->exact);
    if ((height && !json_is_null(height)) || (width && !json_is_null(width)))
        return config_fail(r, "%s has both shortest_edge and height or width", key);
    char path[80];
    snprintf(path, sizeof path, "%s: shortest_edge", key);
    return read_extent(r, path, shortest, &out->shortest);
}

bool hf_read_size(config_reader *r, const char *key, const json_t *value, void *out) {
    hf_size size = {0};
    bool ok;
    if (json_is_object(value))
        ok = read_size_object(r, key, value, &size);
    else if (json_is_array(value) && json_array_size(value) == 2)
        ok = hf_read_exact(r, key, json_array_get(value, 0), json_array_get(value, 1), &size.exact);
    else
        ok = read_extent(r, key, value, &size.number);
    if (ok) *(hf_size *)out = size;
    return ok;
}

bool hf_read_factor(config_reader *r, const char *key, const json_t *value, void *out) {
    if (!config_read_float(r, key, value, out)) return false;
    return *(float *)out != 0 || config_fail(r, "%s must not be 0", key);
}

bool hf_read_crop_pct(config_reader *r, const char *key, const json_t *value, void *out) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number > 0.01 && number <= 1))
        return config_fail(r, "%s must be a number above 0.01, at most 1", key);
    *(double *)out = number;
    return true;
}

bool hf_read_resample(config_reader *r, const char *key, const json_t *value, void *out) {
    static const image_filter filters[] = {IMAGE_NEAREST, IMAGE_LANCZOS, IMAGE_BILINEAR,
                                           IMAGE_BICUBIC, IMAGE_BOX,     IMAGE_HAMMING};
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < 0 || number >= (json_int_t)ARRAY_LENGTH(filters))
        return config_fail(r, "%s must be one of Pillow's filters, a whole number from 0 to %zu",
                           key, ARRAY_LENGTH(filters) - 1);
    *(image_filter *)out = filters[number];
    return true;
}

bool hf_read_mean(config_reader *r, const char *key, const json_t *value, void *out) {
    hf_channels *channels = out;
    return config_read_channels(r, key, value, channels->values, &channels->count);
}

bool hf_read_std(config_reader *r, const char *key, const json_t *value, void *out) {
    hf_channels *channels = out;
    if (!hf_read_mean(r, key, value, out)) return false;
    return config_check_std(r, key, channels->values, channels->count);
}

bool hf_read_off(config_reader *r, const char *key, const json_t *value, void *out) {
    (void)out;
    return json_is_false(value) || config_fail(r, "%s is not supported", key);
}

void hf_resize_exact(config_reader *r, int height, int width) {
    r->config.resize = IMAGE_RESIZE_EXACT;
    r->config.size = (config_size){height, width};
}

void hf_resize_shortest(config_reader *r, int size) {
    r->config.resize = IMAGE_RESIZE_SHORTEST;
    r->config.size = (config_size){size, size};
}

bool hf_check_enlarged(config_reader *r, int size) {
    if (size <= IMAGE_MAX_SIZE) return true;
    return config_fail(r, "size: images would be resized to %d; the limit is %d", size,
                       IMAGE_MAX_SIZE);
}

/* A hf_member that is there and not null. */
const json_t *hf_member(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}
