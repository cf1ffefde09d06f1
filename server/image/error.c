#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

const char *image_code_name(image_code code) {
    switch (code) {
    case IMAGE_OK:
        return "ok";
    case IMAGE_UNSUPPORTED:
        return "unsupported";
    case IMAGE_UNDECODABLE:
        return "undecodable";
    case IMAGE_TOO_LARGE:
        return "too large";
    case IMAGE_MEMORY:
        return "out of memory";
    case IMAGE_INVALID:
        return "invalid";
    }
    return "unknown";
}

image_code(image_fail)(image_error *err, image_code code, const char *format, ...) {
    if (!err) return code;
    err->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof(err->message), format, arguments);
    va_end(arguments);
    return code;
}
