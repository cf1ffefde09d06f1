/* tensor.c: an upright image -> the tensor a network expects.
 *
 * Works out which window of the resized image the crop shows, has resample.c make its rows, and
 * writes each as it comes, while it is in the cache.
 *
 * What becomes of half pixels is a matter of convention (image_rounding), because a network is fed
 * best with what it was trained with.
 */
#include "resample_loops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An axis of a resized image may be imagined this long as long as only a crop of it is made. */
enum { MAX_RESIZED_SIDE = 1 << 24 };

/* ---- the spec ----------------------------------------------------------------------------- */

image_spec image_spec_default(int input_h, int input_w) {
    int longer = input_h > input_w ? input_h : input_w;
    int size = (int)lround(longer * 256.0 / 224.0);
    return (image_spec){
        .color = IMAGE_RGB,
        .channels = 3,
        .layout = IMAGE_NCHW,
        .resize = IMAGE_RESIZE_SHORTEST,
        .filter = IMAGE_BILINEAR,
        .size_h = size,
        .size_w = size,
        .crop_h = input_h,
        .crop_w = input_w,
        .scale = 1.0f / 255.0f,
        .mean = {0.485f, 0.456f, 0.406f},
        .std = {0.229f, 0.224f, 0.225f},
    };
}

static image_code check_sizes(const image_spec *spec, image_error *err) {
    bool resizes = spec->resize != IMAGE_RESIZE_NONE, crops = spec->crop_h || spec->crop_w;
    if (resizes && (spec->size_h < 1 || spec->size_w < 1 || spec->size_h > IMAGE_MAX_SIZE ||
                    spec->size_w > IMAGE_MAX_SIZE))
        return image_fail(err, IMAGE_INVALID, "resize to %dx%d: each side must be 1 to %d",
                          spec->size_h, spec->size_w, IMAGE_MAX_SIZE);
    if (spec->resize == IMAGE_RESIZE_SHORTEST && spec->size_h != spec->size_w)
        return image_fail(err, IMAGE_INVALID,
                          "resize of the shortest side takes one size, not %d and %d", spec->size_h,
                          spec->size_w);
    if (crops && (spec->crop_h < 1 || spec->crop_w < 1 || spec->crop_h > IMAGE_MAX_SIZE ||
                  spec->crop_w > IMAGE_MAX_SIZE))
        return image_fail(err, IMAGE_INVALID, "crop to %dx%d: each side must be 1 to %d",
                          spec->crop_h, spec->crop_w, IMAGE_MAX_SIZE);
    return IMAGE_OK;
}

static image_code check_values(const image_spec *spec, image_error *err) {
    if (!isfinite(spec->scale)) return image_fail(err, IMAGE_INVALID, "scale is not a number");
    for (int c = 0; c < spec->channels; c++)
        if (!isfinite(spec->mean[c]) || !isfinite(spec->std[c]) || spec->std[c] == 0.0f)
            return image_fail(err, IMAGE_INVALID,
                              "mean %g and std %g of channel %d: both must be finite, std not 0",
                              (double)spec->mean[c], (double)spec->std[c], c);
    return IMAGE_OK;
}

image_code image_spec_check(const image_spec *spec, image_error *err) {
    if (!spec) return image_fail(err, IMAGE_INVALID, "image_spec is NULL");
    bool grey = spec->color == IMAGE_GRAY;
    if ((unsigned)spec->color > IMAGE_GRAY || (unsigned)spec->layout > IMAGE_NHWC ||
        (unsigned)spec->resize > IMAGE_RESIZE_EXACT || (unsigned)spec->filter > IMAGE_LANCZOS ||
        (unsigned)spec->rounding > IMAGE_ROUND_TORCHVISION || (unsigned)spec->element > IMAGE_INT64)
        return image_fail(
            err, IMAGE_INVALID,
            "color, layout, element, resize mode, filter or rounding has an unknown value");
    if (spec->channels != 3 && !(grey && spec->channels == 1))
        return image_fail(err, IMAGE_INVALID, "%s has %s, not %d", grey ? "GRAY" : "RGB or BGR",
                          grey ? "1 or 3 channels" : "3 channels", spec->channels);
    image_code code = check_sizes(spec, err);
    return code == IMAGE_OK ? check_values(spec, err) : code;
}

/* ---- sizes -------------------------------------------------------------------------------- */

/* size * longer / shorter: cut off, or to the nearest integer, ties to the even one, as Python's
 * round(). */
static int64_t in_proportion(int64_t size, int64_t longer, int64_t shorter,
                             image_rounding rounding) {
    int64_t whole = size * longer / shorter, twice = size * longer % shorter * 2;
    if (rounding != IMAGE_ROUND_NEAREST) return whole;
    return whole + (twice > shorter || (twice == shorter && whole % 2));
}

/* What of a margin lies before the crop. */
static int crop_start(int margin, image_rounding rounding) {
    bool up = rounding == IMAGE_ROUND_TORCHVISION && margin % 4 == 3; /* half of it: odd + 1/2 */
    return margin / 2 + up;
}

/* What of a padding lies before the image. */
static int pad_start(int padding, image_rounding rounding) {
    return rounding == IMAGE_ROUND_TRANSFORMERS ? (padding + 1) / 2 : padding / 2;
}

/* crop 0: none. */
static image_code make_span(int64_t resized, int crop, image_rounding rounding, tensor_span *s,
                            image_error *err) {
    if (resized > MAX_RESIZED_SIDE)
        return image_fail(err, IMAGE_TOO_LARGE,
                          "the resized image would be %lld pixels on a side; the limit is %d",
                          (long long)resized, MAX_RESIZED_SIDE);
    s->resized = (int)resized;
    s->out = crop ? crop : s->resized;
    bool pads = s->out > s->resized;
    s->count = pads ? s->resized : s->out;
    s->pad = pads ? pad_start(s->out - s->resized, rounding) : 0;
    s->first = pads ? 0 : crop_start(s->resized - s->out, rounding);
    return IMAGE_OK;
}

/* The spec has been checked. */
static image_code plan(const image_spec *spec, int width, int height, tensor_span *x,
                       tensor_span *y, image_error *err) {
    if (width < 1 || height < 1 || width > IMAGE_DEFAULT_MAX_SIDE ||
        height > IMAGE_DEFAULT_MAX_SIDE)
        return image_fail(err, IMAGE_INVALID, "an image of %dx%d pixels: each side must be 1 to %d",
                          width, height, IMAGE_DEFAULT_MAX_SIDE);
    int64_t w = width, h = height;
    if (spec->resize == IMAGE_RESIZE_EXACT) {
        w = spec->size_w;
        h = spec->size_h;
    } else if (spec->resize == IMAGE_RESIZE_SHORTEST) {
        int64_t shorter = w < h ? w : h;
        w = in_proportion(spec->size_w, w, shorter, spec->rounding);
        h = in_proportion(spec->size_h, h, shorter, spec->rounding);
    }
    image_code code = make_span(w, spec->crop_w, spec->rounding, x, err);
    if (code == IMAGE_OK) code = make_span(h, spec->crop_h, spec->rounding, y, err);
    if (code == IMAGE_OK && (int64_t)x->out * y->out > IMAGE_MAX_TENSOR_PIXELS)
        code = image_fail(err, IMAGE_TOO_LARGE,
                          "the tensor would be %dx%d pixels; the limit is %d in all", x->out,
                          y->out, IMAGE_MAX_TENSOR_PIXELS);
    return code;
}

image_code image_tensor_size(const image_spec *spec, int width, int height, int *out_h, int *out_w,
                             image_error *err) {
    tensor_span x = {0}, y = {0};
    image_code code = image_spec_check(spec, err);
    if (code == IMAGE_OK) code = plan(spec, width, height, &x, &y, err);
    if (code != IMAGE_OK) return code;
    if (out_h) *out_h = y.out;
    if (out_w) *out_w = x.out;
    return IMAGE_OK;
}

/* Where a span lies on an axis of an image of `size` pixels. */
static void locate(const tensor_span *s, int size, double *begin, double *length) {
    double step = (double)size / s->resized; /* from one resized pixel to the next */
    *begin = (s->first - s->pad) * step;
    *length = s->out * step;
}

image_code image_tensor_region(const image_spec *spec, int width, int height, image_region *out,
                               image_error *err) {
    tensor_span x = {0}, y = {0};
    image_code code = image_spec_check(spec, err);
    if (code == IMAGE_OK) code = plan(spec, width, height, &x, &y, err);
    if (code != IMAGE_OK) return code;
    locate(&x, width, &out->left, &out->width);
    locate(&y, height, &out->top, &out->height);
    return IMAGE_OK;
}

/* ---- scratch ------------------------------------------------------------------------------ */

void image_scratch_free(image_scratch *scratch) {
    if (!scratch) return;
    free(scratch->memory);
    *scratch = (image_scratch){0};
}

/* NULL if there is no memory; the scratch is then empty. What it held is lost. */
static void *scratch_reserve(image_scratch *scratch, size_t bytes) {
    if (scratch->memory && scratch->capacity >= bytes) return scratch->memory;
    image_scratch_free(scratch);
    size_t capacity = bytes < 4096 ? 4096 : bytes;
    scratch->memory = malloc(capacity);
    if (scratch->memory) scratch->capacity = capacity;
    return scratch->memory;
}

/* ---- the tensor --------------------------------------------------------------------------- */

static void choose_values(tensor_maker *m) {
    const image_spec *spec = m->spec;
    for (int c = 0; c < spec->channels; c++) {
        m->source[c] = spec->color == IMAGE_RGB ? c : spec->color == IMAGE_BGR ? 2 - c : 0;
        m->scale[c] = (float)((double)spec->scale / spec->std[c]);
        m->offset[c] = (float)(-(double)spec->mean[c] / spec->std[c]);
    }
}

/* Where channel c of the current row begins, in elements of the tensor, and how far apart its
 * values are. */
static size_t channel_row(const tensor_maker *m, int c, size_t *step) {
    size_t channels = (size_t)m->spec->channels, width = (size_t)m->x.out, row = (size_t)m->row;
    if (m->spec->layout == IMAGE_NHWC) {
        *step = channels;
        return row * width * channels + (size_t)c;
    }
    *step = 1;
    return ((size_t)c * (size_t)m->y.out + row) * width;
}

/* Columns [from, to) of a channel's row: pixel value 0. */
static void write_padding(const tensor_maker *m, int c, int from, int to, float *out, size_t step) {
    for (int x = from; x < to; x++)
        out[(size_t)x * step] = m->offset[c];
}

/* A resampled row, with what is to its left and right; NULL: a row of padding. */
static void make_row(const tensor_maker *m, int c, const uint8_t *row, float *out, size_t step) {
    const resampler *r = &m->resampler;
    int begin = row ? m->x.pad : m->x.out, end = row ? begin + m->x.count : begin;
    write_padding(m, c, 0, begin, out, step);
    if (row)
        r->loops->normalise(row + (size_t)m->source[c] * r->plane, (size_t)m->x.count, m->scale[c],
                            m->offset[c], out + (size_t)begin * step, step);
    write_padding(m, c, end, m->x.out, out, step);
}

/* As make_row, of all channels, where the tensor has its current row. */
static void write_row(tensor_maker *m, const uint8_t *row) {
    image_element element = m->spec->element;
    size_t step;
    for (int c = 0; c < m->spec->channels; c++) {
        size_t at = channel_row(m, c, &step);
        if (!m->values) {
            make_row(m, c, row, (float *)m->out + at, step);
            continue;
        }
        make_row(m, c, row, m->values, 1);
        image_elements_store(element, m->values, (size_t)m->x.out,
                             (char *)m->out + at * image_element_size(element), step);
    }
    m->row++;
}

static void write_empty_rows(tensor_maker *m, int end) {
    while (m->row < end)
        write_row(m, NULL);
}

/* What decoding at a half, a quarter or an eighth must leave to the resampling, so that its filter
 * averages over enough samples for the difference to stay small: over photos, 0.4 of a pixel value
 * in the mean and 0.9 at worst. The filters that are narrow would tell more. */
static const double least_shrink = 3.0;

/* Smaller pictures are decoded in little time as they are. */
static const int64_t least_scaled_pixels = 1 << 20;

static int choose_eighths(const tensor_maker *m, int width, int height) {
    image_filter filter = m->spec->filter;
    if ((int64_t)width * height < least_scaled_pixels ||
        (filter != IMAGE_BILINEAR && filter != IMAGE_BICUBIC && filter != IMAGE_LANCZOS))
        return 8;
    double x = (double)width / m->x.resized, y = (double)height / m->y.resized;
    double shrink = (x < y ? x : y) / least_shrink;
    return shrink >= 8 ? 1 : shrink >= 4 ? 2 : shrink >= 2 ? 4 : 8;
}

/* reversed: as it is decoded, the image ends where this axis begins, and with it the sample of
 * which a part lies outside. */
static resample_range range_of(const tensor_span *s, int side, int eighths, bool reversed,
                               image_filter filter) {
    int in = scaled_side(side, eighths);
    double length = side * eighths / 8.0;
    return (resample_range){.in = in,
                            .full = s->resized,
                            .first = s->first,
                            .count = s->count,
                            .filter = filter,
                            .length = length,
                            .offset = reversed ? in - length : 0};
}

static image_code check_tensor(const tensor_maker *m, int out_h, int out_w, image_error *err) {
    if (out_h == m->y.out && out_w == m->x.out) return IMAGE_OK;
    return image_fail(err, IMAGE_INVALID,
                      "the image gives a tensor of height %d and width %d, not %d and %d", m->y.out,
                      m->x.out, out_h, out_w);
}

image_code tensor_begin(tensor_maker *m, const image_spec *spec, const image_info *info, int out_h,
                        int out_w, void *out, image_scratch *scratch, int *eighths,
                        image_error *err) {
    *m = (tensor_maker){.spec = spec, .out = out, .scratch = scratch ? scratch : &m->own};
    image_code code = image_spec_check(spec, err);
    if (code == IMAGE_OK) code = plan(spec, info->width, info->height, &m->x, &m->y, err);
    if (code == IMAGE_OK) code = check_tensor(m, out_h, out_w, err);
    if (code != IMAGE_OK) return code;

    int scale = eighths ? choose_eighths(m, info->width, info->height) : 8;
    int channels = spec->color == IMAGE_GRAY ? 1 : 3;
    resample_range x = range_of(&m->x, info->width, scale,
                                orientation_reverses_columns(info->orientation), spec->filter);
    resample_range y = range_of(&m->y, info->height, scale,
                                orientation_reverses_rows(info->orientation), spec->filter);
    size_t row = spec->element == IMAGE_FLOAT32 ? 0 : (size_t)m->x.out * sizeof(float);
    char *memory = scratch_reserve(m->scratch, row + resampler_bytes(&x, &y, channels));
    if (!memory) return image_fail(err, IMAGE_MEMORY, "no memory to resize an image");
    if (row) m->values = (float *)memory;
    resampler_init(&m->resampler, &x, &y, channels, memory + row);
    choose_values(m);
    write_empty_rows(m, m->y.pad);
    if (eighths) *eighths = scale;
    return IMAGE_OK;
}

void tensor_put(tensor_maker *m, int y, const uint8_t *rgb, bool padded) {
    resampler_put(&m->resampler, y, rgb, padded);
    for (const uint8_t *row; (row = resampler_take(&m->resampler));)
        write_row(m, row);
}

/* Behind the last rows of an image lies too little that a vector loop might read. */
static bool row_is_padded(const image *img, int y) {
    return (size_t)(img->height - 1 - y) * (size_t)img->width * 3 >= RESAMPLER_OVERREAD;
}

void tensor_put_image(tensor_maker *m, const image *img) {
    for (int y = 0; y < img->height; y++)
        tensor_put(m, y, img->pixels + (size_t)y * (size_t)img->width * 3, row_is_padded(img, y));
}

void tensor_end(tensor_maker *m) {
    write_empty_rows(m, m->y.out);
    if (m->scratch == &m->own || m->scratch->capacity > IMAGE_SCRATCH_KEEP)
        image_scratch_free(m->scratch);
}

image_code image_to_tensor(const image *img, const image_spec *spec, int out_h, int out_w,
                           void *out, image_scratch *scratch, image_error *err) {
    if (!img || !img->pixels || !out)
        return image_fail(err, IMAGE_INVALID, "image_to_tensor: a pointer is NULL");
    tensor_maker m;
    image_info info = {.width = img->width, .height = img->height, .orientation = 1};
    image_code code = tensor_begin(&m, spec, &info, out_h, out_w, out, scratch, NULL, err);
    if (code != IMAGE_OK) return code;
    tensor_put_image(&m, img);
    tensor_end(&m);
    return IMAGE_OK;
}

/* Planes -> pixels. */
static void interleave(const uint8_t *row, size_t plane, uint8_t *out, int width) {
    for (int x = 0; x < width; x++)
        for (size_t c = 0; c < 3; c++)
            *out++ = row[c * plane + (size_t)x];
}

image_code image_resize_to(const image *img, int width, int height, image_filter filter, image *out,
                           image_error *err) {
    if (!img || !img->pixels || width < 1 || height < 1 || width > IMAGE_MAX_SIZE ||
        height > IMAGE_MAX_SIZE)
        return image_fail(err, IMAGE_INVALID, "resize to %dx%d: each side must be 1 to %d", width,
                          height, IMAGE_MAX_SIZE);
    resample_range x = {img->width, width, 0, width, filter, img->width, 0};
    resample_range y = {img->height, height, 0, height, filter, img->height, 0};
    image made = {0};
    image_code code = image_alloc_pixels(&made, width, height, 3, err);
    if (code != IMAGE_OK) return code;
    void *memory = malloc(resampler_bytes(&x, &y, 3));
    if (!memory) {
        image_free(&made);
        return image_fail(err, IMAGE_MEMORY, "no memory to resize an image");
    }
    resampler r;
    resampler_init(&r, &x, &y, 3, memory);
    uint8_t *to = made.pixels;
    for (int in = 0; in < img->height; in++) {
        resampler_put(&r, in, img->pixels + (size_t)in * (size_t)img->width * 3,
                      row_is_padded(img, in));
        for (const uint8_t *row; (row = resampler_take(&r)); to += (size_t)width * 3)
            interleave(row, r.plane, to, width);
    }
    free(memory);
    *out = made;
    return IMAGE_OK;
}
