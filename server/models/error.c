/* Filling model_error. */
#include "models/internal.h"

#include <stdarg.h>
#include <stdio.h>

model_code(model_fail)(model_error *err, model_code code, const char *format, ...) {
    if (err) {
        err->code = code;
        err->image = IMAGE_OK;
        va_list args;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return code;
}

model_code model_fail_image(model_error *err, const image_error *why) {
    model_fail(err, MODEL_IMAGE, "%s", why->message);
    if (err) err->image = why->code;
    return MODEL_IMAGE;
}
