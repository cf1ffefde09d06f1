/* decode.c: a whole file -> upright RGB pixels. The way down: signature, then the format's decoder.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const send_instead = "send JPEG, PNG or WebP";

image_code image_check_size(const char *format, uint64_t width, uint64_t height,
                            const image_limits *limits, image_error *err) {
    if (width == 0 || height == 0)
        return image_fail(err, IMAGE_UNDECODABLE, "%s is empty: %" PRIu64 "x%" PRIu64 " pixels",
                          format, width, height);
    if (width > (uint64_t)limits->max_side || height > (uint64_t)limits->max_side)
        return image_fail(err, IMAGE_TOO_LARGE,
                          "%s is %" PRIu64 "x%" PRIu64 " pixels; the limit is %d on a side", format,
                          width, height, limits->max_side);
    if (width * height > limits->max_pixels)
        return image_fail(err, IMAGE_TOO_LARGE,
                          "%s is %" PRIu64 "x%" PRIu64 " = %" PRIu64 " pixels; the limit is %zu",
                          format, width, height, width * height, limits->max_pixels);
    return IMAGE_OK;
}

image_code image_alloc_pixels(image *img, int width, int height, int bytes_per_pixel,
                              image_error *err) {
    size_t bytes;
    if (__builtin_mul_overflow((size_t)width, (size_t)height, &bytes) ||
        __builtin_mul_overflow(bytes, (size_t)bytes_per_pixel, &bytes) ||
        !(img->pixels = malloc(bytes)))
        return image_fail(err, IMAGE_MEMORY, "no memory for an image of %dx%d pixels", width,
                          height);
    img->width = width;
    img->height = height;
    return IMAGE_OK;
}

void image_free(image *img) {
    if (!img) return;
    free(img->pixels);
    *img = (image){0};
}

/* max_side stays below what makes any product overflow. */
image_limits complete_limits(const image_limits *given) {
    image_limits limits = given ? *given : (image_limits){0};
    if (limits.max_pixels == 0) limits.max_pixels = IMAGE_DEFAULT_MAX_PIXELS;
    if (limits.max_side <= 0 || limits.max_side > IMAGE_DEFAULT_MAX_SIDE)
        limits.max_side = IMAGE_DEFAULT_MAX_SIDE;
    return limits;
}

image_code find_format(const void *bytes, size_t size, file_format *out, image_error *err) {
    if (!bytes && size) return image_fail(err, IMAGE_INVALID, "the bytes of an image are NULL");
    if (size == 0)
        return image_fail(err, IMAGE_UNSUPPORTED, "the image is empty (0 bytes); %s", send_instead);
    const char *foreign = NULL;
    file_format format = sniff_format(bytes, size, &foreign);
    switch (format) {
    case FORMAT_FOREIGN:
        return image_fail(err, IMAGE_UNSUPPORTED, "%s is not supported; %s", foreign, send_instead);
    case FORMAT_PNG_DAMAGED:
        return image_fail(err, IMAGE_UNDECODABLE,
                          "PNG has a damaged signature, as after a transfer in text mode");
    case FORMAT_UNKNOWN:
        return image_fail(err, IMAGE_UNSUPPORTED, "the bytes are of no known image format; %s",
                          send_instead);
    default:
        *out = format;
        return IMAGE_OK;
    }
}

static image_code decode_format(file_format format, const uint8_t *bytes, size_t size,
                                const image_limits *limits, image *out, int *orientation,
                                image_error *err) {
    switch (format) {
    case FORMAT_JPEG:
        return decode_jpeg(bytes, size, limits, out, orientation, err);
    case FORMAT_PNG:
        return decode_png(bytes, size, limits, out, orientation, err);
    default:
        return decode_webp(bytes, size, limits, out, orientation, err);
    }
}

static const char *format_name(file_format format) {
    return format == FORMAT_JPEG ? "jpeg" : format == FORMAT_PNG ? "png" : "webp";
}

image_code image_decode(const void *bytes, size_t size, const image_limits *limits, image *out,
                        image_info *info, image_error *err) {
    if (!out) return image_fail(err, IMAGE_INVALID, "image_decode: out is NULL");
    image_limits complete = complete_limits(limits);
    file_format format = FORMAT_UNKNOWN;
    image_code code = find_format(bytes, size, &format, err);
    image img = {0};
    int orientation = 1;
    if (code == IMAGE_OK)
        code = decode_format(format, bytes, size, &complete, &img, &orientation, err);
    if (code != IMAGE_OK) return code;
    *out = img;
    if (info) *info = (image_info){format_name(format), img.width, img.height, orientation};
    return IMAGE_OK;
}
