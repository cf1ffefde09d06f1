/*
 * Error messages.
 *
 * A message is one sentence that ends up in logs and JSON, and quotes names out of model files. So
 * whatever a name held, the message is free of control characters, and where it had to be cut it
 * is not cut inside a UTF-8 sequence.
 */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

static void replace_control_characters(char *text) {
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
}

/* Drops an incomplete UTF-8 sequence at the end of `text`. */
static void trim_utf8(char *text) {
    size_t end = strlen(text), start = end;
    while (start > 0 && end - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0) return;
    unsigned char lead = (unsigned char)text[--start];
    size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (end - start < wanted) text[start] = '\0';
}

cnn_status cnn_fail(cnn_error *err, cnn_status status, const char *format, ...) {
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (length < 0)
        snprintf(err->message, sizeof err->message, "error %d without a message", (int)status);
    if (length >= (int)sizeof err->message) trim_utf8(err->message);
    replace_control_characters(err->message);
    return status;
}

cnn_status cnn_fail_memory(cnn_error *err, size_t bytes) {
    return cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory: %zu bytes could not be allocated",
                    bytes);
}
