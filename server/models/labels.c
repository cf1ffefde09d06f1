/*
 * The names of the classes.
 *
 * labels.txt holds one label a line, line n for class n; the last newline may be missing, carriage
 * returns are dropped. Labels become part of JSON, so they must be UTF-8.
 */
#include "common/utf8.h"
#include "models/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the line at `text` without its line end; *next: where the following one begins. */
static size_t take_line(const char *text, const char *end, const char **next) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *stop = newline ? newline : end;
    *next = newline ? newline + 1 : end;
    while (stop > text && stop[-1] == '\r')
        stop--;
    return (size_t)(stop - text);
}

static size_t count_lines(const char *text, const char *end) {
    size_t lines = 0;
    for (const char *next; text < end; text = next) {
        take_line(text, end, &next);
        lines++;
    }
    return lines;
}

/* An array of `classes` pointers, followed in the same block by `bytes` for the strings. */
static char **allocate(size_t classes, size_t bytes, char **strings) {
    char **labels = malloc(classes * sizeof *labels + bytes);
    *strings = labels ? (char *)(labels + classes) : NULL;
    return labels;
}

static model_code number_classes(size_t classes, char ***out, model_error *err) {
    const size_t longest = sizeof "class 18446744073709551615";
    char *at, **labels = allocate(classes, classes * longest, &at);
    if (!labels) return model_fail_memory(err);
    for (size_t i = 0; i < classes; i++) {
        labels[i] = at;
        at += snprintf(at, longest, "class %zu", i) + 1;
    }
    *out = labels;
    return MODEL_OK;
}

static model_code wrong_count(size_t labels, size_t classes, const char *path, model_error *err) {
    return model_fail(err, MODEL_INVALID, "%s has %zu labels, but the model has %zu class%s", path,
                      labels, classes, classes == 1 ? "" : "es");
}

model_code labels_copy(char *const *names, size_t count, size_t classes, const char *path,
                       char ***out, model_error *err) {
    size_t bytes = 0;
    if (count != classes) return wrong_count(count, classes, path, err);
    for (size_t i = 0; i < count; i++)
        bytes += strlen(names[i]) + 1;
    char *at, **labels = allocate(classes, bytes, &at);
    if (!labels) return model_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        labels[i] = at;
        at = stpcpy(at, names[i]) + 1;
    }
    *out = labels;
    return MODEL_OK;
}

size_t labels_count(const char *text, size_t size) {
    return count_lines(text, text + size);
}

model_code labels_create(const char *text, size_t size, size_t classes, const char *path,
                         char ***out, model_error *err) {
    if (!text) return number_classes(classes, out, err);
    const char *end = text + size;
    size_t lines = count_lines(text, end);
    if (lines != classes) return wrong_count(lines, classes, path, err);
    char *at, **labels = allocate(classes, size + classes, &at);
    if (!labels) return model_fail_memory(err);
    for (size_t i = 0; i < classes; i++) {
        const char *next;
        size_t length = take_line(text, end, &next);
        if (!utf8_valid(text, length) || memchr(text, 0, length)) {
            free(labels);
            return model_fail(err, MODEL_INVALID, "%s: line %zu is not UTF-8 text", path, i + 1);
        }
        labels[i] = memcpy(at, text, length);
        at[length] = '\0';
        at += length + 1;
        text = next;
    }
    *out = labels;
    return MODEL_OK;
}
