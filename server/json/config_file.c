/*
 * Reads the file of --config into key and value strings.
 *
 * Values become the text that one would type on the command line, so that they go through the same
 * option table and its checks as every other source.
 */
#include "json/config_file.h"

#include "common/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static bool fail(char *message, size_t size,
                                                       const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, size, format, args);
    va_end(args);
    return false;
}

/* The text of a scalar; NULL for other values and when out of memory. */
static char *scalar_text(const json_t *value) {
    char number[40];
    if (json_is_string(value)) return strdup(json_string_value(value));
    if (json_is_boolean(value)) return strdup(json_is_true(value) ? "true" : "false");
    if (json_is_integer(value))
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(number, sizeof number, "%.17g", json_real_value(value));
    else
        return NULL;
    return strdup(number);
}

static bool add_entry(config_entries *entries, const char *key, const json_t *value) {
    config_entry *items = realloc(entries->items, (entries->count + 1) * sizeof *items);
    if (!items) return false;
    entries->items = items;
    config_entry entry = {.key = strdup(key), .value = scalar_text(value)};
    if (!entry.key || !entry.value) {
        free(entry.key);
        free(entry.value);
        return false;
    }
    entries->items[entries->count++] = entry;
    return true;
}

static bool add_value(config_entries *entries, const char *key, const json_t *value) {
    if (!json_is_array(value)) return add_entry(entries, key, value);
    size_t i;
    json_t *element;
    json_array_foreach((json_t *)value, i, element) {
        if (!add_entry(entries, key, element)) return false;
    }
    return true;
}

/* The root of the file's content, or NULL with `message` set. */
static json_t *parse(const char *path, const char *bytes, size_t length, char *message,
                     size_t size) {
    json_error_t error;
    decoded_text text;
    const char *wrong = text_decode(bytes, length, &text);
    if (wrong) {
        fail(message, size, "config file '%s' %s", path, wrong);
        return NULL;
    }
    json_t *root = json_loadb(text.bytes, text.size, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail(message, size, "config file '%s' is no valid JSON: %s (line %d)", path, error.text,
             error.line);
    free(text.memory);
    return root;
}

/* The parsed file, or NULL with `message` set. */
static json_t *load(const char *path, char *message, size_t size) {
    FILE *file = fopen(path, "rb");
    char *text = malloc(CONFIG_FILE_MAX + 1);
    size_t length = file && text ? fread(text, 1, CONFIG_FILE_MAX + 1, file) : 0;
    json_t *root = NULL;
    if (!file || (text && ferror(file)))
        fail(message, size, "config file '%s' cannot be read: %s", path, strerror(errno));
    else if (!text)
        fail(message, size, "out of memory");
    else if (length > CONFIG_FILE_MAX)
        fail(message, size, "config file '%s' is larger than %zu bytes", path, CONFIG_FILE_MAX);
    else
        root = parse(path, text, length, message, size);
    free(text);
    if (file) fclose(file);
    return root;
}

bool config_file_read(const char *path, config_entries *out, char *message, size_t size) {
    config_entries entries = {0};
    json_t *root = load(path, message, size);
    bool ok = root != NULL;
    if (ok && !json_is_object(root))
        ok = fail(message, size, "config file '%s' must hold one JSON object", path);
    const char *key;
    json_t *value;
    if (ok) json_object_foreach(root, key, value) {
            ok = add_value(&entries, key, value);
            if (!ok) {
                fail(message, size,
                     "config file '%s': '%s' must be a string, a number, true, false, or an array "
                     "of those",
                     path, key);
                break;
            }
        }
    json_decref(root);
    if (ok)
        *out = entries;
    else
        config_entries_free(&entries);
    return ok;
}

void config_entries_free(config_entries *entries) {
    if (!entries) return;
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->items[i].key);
        free(entries->items[i].value);
    }
    free(entries->items);
    *entries = (config_entries){0};
}
