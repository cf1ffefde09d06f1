#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

image_code(image_fail)(image_error *err, image_code code, const char *format, ...) {
    if (!err) return code;
    err->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof(err->message), format, arguments);
    va_end(arguments);
    return code;
}
