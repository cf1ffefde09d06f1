/* Sentences about what is no failure and yet likely a mistake. */
#include "models/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Takes `line` over. */
static void append(model_warnings *warnings, char *line) {
    char **lines = realloc(warnings->lines, (warnings->count + 1) * sizeof *lines);
    if (!lines) {
        free(line);
        return;
    }
    warnings->lines = lines;
    lines[warnings->count++] = line;
}

void warnings_add(model_warnings *warnings, const char *format, ...) {
    char *line;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&line, format, args);
    va_end(args);
    if (length >= 0) append(warnings, line);
}

void warnings_move(model_warnings *to, model_warnings *from) {
    for (size_t i = 0; i < from->count; i++)
        append(to, from->lines[i]);
    free(from->lines);
    *from = (model_warnings){0};
}

void warnings_free(model_warnings *warnings) {
    for (size_t i = 0; i < warnings->count; i++)
        free(warnings->lines[i]);
    free(warnings->lines);
    *warnings = (model_warnings){0};
}
