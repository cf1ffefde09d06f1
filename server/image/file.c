/* file.c: a file -> its tensor, in one pass where the format allows it.
 *
 * Of a JPEG, strips of decoded rows go through resampling while they are in the cache, and only
 * what the crop shows is decoded. A picture that has to be turned is put together first, at the
 * size it is decoded at. PNG and WebP are decoded whole: neither library gives a part for less.
 */
#include "internal.h"

#include <time.h>

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- files -------------------------------------------------------------------------------- */

image_code image_open(const void *bytes, size_t size, const image_limits *limits, image_file *out,
                      image_error *err) {
    if (!out) return image_fail(err, IMAGE_INVALID, "image_open: out is NULL");
    image_file file = {.bytes = bytes, .size = size, .limits = complete_limits(limits)};
    file_format format = FORMAT_UNKNOWN;
    image_code code = find_format(bytes, size, &format, err);
    if (code == IMAGE_OK)
        code = format == FORMAT_JPEG
                   ? inspect_jpeg(bytes, size, &file.limits, &file.info, err)
                   : image_decode(bytes, size, limits, &file.picture, &file.info, err);
    if (code == IMAGE_OK) *out = file;
    return code;
}

void image_close(image_file *file) {
    if (!file) return;
    image_free(&file->picture);
    *file = (image_file){0};
}

image_code image_file_decode(image_file *file, image_error *err) {
    if (file->picture.pixels) return IMAGE_OK;
    return image_decode(file->bytes, file->size, &file->limits, &file->picture, NULL, err);
}

/* ---- JPEG --------------------------------------------------------------------------------- */

typedef struct {
    jpeg_target target;
    const image_spec *spec;
    int out_h, out_w;
    void *out;
    image_scratch *scratch;
    tensor_maker maker;
    bool begun;
    int orientation;
    image turned;     /* if the orientation is not 1 */
    uint64_t made_ns; /* spent on other than decoding */
} tensor_target;

/* The samples that the outputs of an axis are made of. */
static void find_samples(const resample_axis *axis, int *first, int *end) {
    *first = axis->start[0];
    *end = axis->start[axis->count - 1] + axis->taps;
}

static image_code begin_tensor(jpeg_target *target, const image_info *info, jpeg_window *window,
                               image_error *err) {
    tensor_target *t = (tensor_target *)target;
    image_code code = tensor_begin(&t->maker, t->spec, info, t->out_h, t->out_w, t->out, t->scratch,
                                   &window->eighths, err);
    if (code != IMAGE_OK) return code;
    t->begun = true;
    t->orientation = info->orientation;
    if (info->orientation == 1) {
        find_samples(&t->maker.resampler.x, &window->left, &window->right);
        find_samples(&t->maker.resampler.y, &window->top, &window->bottom);
        return IMAGE_OK;
    }
    window->right = scaled_side(window->right, window->eighths);
    window->bottom = scaled_side(window->bottom, window->eighths);
    return image_alloc_pixels(&t->turned, scaled_side(info->width, window->eighths),
                              scaled_side(info->height, window->eighths), 3, err);
}

static void take_strip(jpeg_target *target, const uint8_t *rows, int y, int count, int width) {
    tensor_target *t = (tensor_target *)target;
    uint64_t begun = now_ns();
    if (t->turned.pixels)
        place_rows(&t->turned, t->orientation, rows, y, count);
    else
        for (int i = 0; i < count; i++)
            tensor_put(&t->maker, y + i, rows + (size_t)i * (size_t)width * 3, true);
    t->made_ns += now_ns() - begun;
}

static void finish_tensor(tensor_target *t, bool complete) {
    uint64_t begun = now_ns();
    if (complete && t->turned.pixels) tensor_put_image(&t->maker, &t->turned);
    if (t->begun) tensor_end(&t->maker);
    image_free(&t->turned);
    t->made_ns += now_ns() - begun;
}

image_code image_file_to_tensor(const image_file *file, const image_spec *spec, int out_h,
                                int out_w, void *out, image_scratch *scratch, uint64_t *decode_ns,
                                image_error *err) {
    if (decode_ns) *decode_ns = 0;
    if (!file || !out)
        return image_fail(err, IMAGE_INVALID, "image_file_to_tensor: a pointer is NULL");
    if (file->picture.pixels)
        return image_to_tensor(&file->picture, spec, out_h, out_w, out, scratch, err);
    tensor_target t = {.target = {begin_tensor, take_strip},
                       .spec = spec,
                       .out_h = out_h,
                       .out_w = out_w,
                       .out = out,
                       .scratch = scratch};
    uint64_t begun = now_ns();
    image_code code = read_jpeg(file->bytes, file->size, &file->limits, &t.target, err);
    finish_tensor(&t, code == IMAGE_OK);
    if (decode_ns) *decode_ns = now_ns() - begun - t.made_ns;
    return code;
}
