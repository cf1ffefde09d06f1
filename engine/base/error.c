/*
 * Error messages.
 *
 * A message is one sentence that ends up in logs and JSON, and quotes names out of model files. So
 * whatever a name held and wherever it was cut, the message is valid UTF-8 without control
 * characters.
 */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

void cnn_scrub(char *text) {
    size_t size = strlen(text), step;
    for (size_t i = 0; i < size; i += step) {
        step = cnn_utf8_sequence(text + i, size - i);
        if (step == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            text[i] = '?';
            step = 1;
        }
    }
}

cnn_status(cnn_fail)(cnn_error *err, cnn_status status, const char *format, ...) {
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (length < 0)
        snprintf(err->message, sizeof err->message, "error %d without a message", (int)status);
    cnn_scrub(err->message);
    return status;
}
