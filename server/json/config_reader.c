/* What the readers of model folders share: values checked by themselves, and the first failure. */
#include "json/config_reader.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool config_fail(config_reader *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->message, r->size, format, args);
    va_end(args);
    return false;
}

json_t *config_parse(config_reader *r, const char *text, size_t length) {
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!root) config_fail(r, "no valid JSON: %s (line %d)", error.text, error.line);
    return root;
}

bool config_finish(config_reader *r, bool ok, model_config *out) {
    if (ok)
        *out = r->config;
    else
        model_config_free(&r->config);
    return ok;
}

bool config_read_text(config_reader *r, const char *key, const json_t *value, char **out) {
    const char *text = json_string_value(value);
    if (!text || text[0] == '\0')
        return config_fail(r, "%s must be a string that is not empty", key);
    char *copy = strdup(text);
    if (!copy) return config_fail(r, "out of memory");
    free(*out);
    *out = copy;
    return true;
}

bool config_read_float(config_reader *r, const char *key, const json_t *value, float *out) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite((float)number))
        return config_fail(r, "%s must be a number that a float holds", key);
    *out = (float)number;
    return true;
}

bool config_read_channels(config_reader *r, const char *key, const json_t *value, float *out,
                          size_t *out_count) {
    size_t count = json_array_size(value); /* 0 for what is no array */
    if (!json_is_number(value) && count != 1 && count != IMAGE_MAX_CHANNELS)
        return config_fail(r, "%s must be a number, or an array of 1 or %d, one a channel", key,
                           IMAGE_MAX_CHANNELS);
    if (count == 0) {
        *out_count = 1;
        return config_read_float(r, key, value, out);
    }
    for (size_t i = 0; i < count; i++)
        if (!config_read_float(r, key, json_array_get(value, i), &out[i])) return false;
    *out_count = count;
    return true;
}

bool config_check_std(config_reader *r, const char *key, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (values[i] <= 0)
            return config_fail(r, "%s must not hold %s", key,
                               values[i] == 0 ? "0" : "negative numbers");
    return true;
}

bool config_allocate_labels(config_reader *r, size_t count) {
    r->config.label_names = calloc(count, sizeof *r->config.label_names);
    if (!r->config.label_names) return config_fail(r, "out of memory");
    r->config.label_count = count;
    return true;
}

bool config_set_label(config_reader *r, const char *key, size_t index, const json_t *value) {
    char number[32], **label = &r->config.label_names[index];
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (!text) return config_fail(r, "%s: the label of class %zu must be a string", key, index);
    if (*label) return config_fail(r, "%s has class %zu twice", key, index);
    *label = strdup(text);
    return *label || config_fail(r, "out of memory");
}

bool config_read_labels(config_reader *r, const char *key, const json_t *array) {
    size_t count = json_array_size(array);
    if (count == 0) return config_fail(r, "%s must be an array with a label for each class", key);
    if (!config_allocate_labels(r, count)) return false;
    for (size_t i = 0; i < count; i++)
        if (!config_set_label(r, key, i, json_array_get(array, i))) return false;
    return true;
}

void model_config_free(model_config *config) {
    if (!config) return;
    for (size_t i = 0; i < config->label_count; i++)
        free(config->label_names[i]);
    free(config->label_names);
    free(config->labels);
    free(config->output);
    free(config->precision);
    *config = (model_config){0};
}
