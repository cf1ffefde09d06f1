/* test_tensor.c: pixels -> tensor, against Pillow's resize and against arithmetic written out. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static image load_raw(const char *path, int width, int height) {
    blob b = blob_read(path);
    cr_assert_eq(b.size, (size_t)width * (size_t)height * 3);
    return (image){b.bytes, width, height};
}

/* Pixel values as they are. */
static image_spec plain_spec(void) {
    return (image_spec){.color = IMAGE_RGB,
                        .channels = 3,
                        .layout = IMAGE_NHWC,
                        .filter = IMAGE_BILINEAR,
                        .scale = 1.0f,
                        .std = {1, 1, 1}};
}

static image_filter filter_named(const char *name) {
    return strcmp(name, "nearest") == 0    ? IMAGE_NEAREST
           : strcmp(name, "box") == 0      ? IMAGE_BOX
           : strcmp(name, "bilinear") == 0 ? IMAGE_BILINEAR
           : strcmp(name, "hamming") == 0  ? IMAGE_HAMMING
           : strcmp(name, "bicubic") == 0  ? IMAGE_BICUBIC
                                           : IMAGE_LANCZOS;
}

static image_rounding rounding_named(const char *name) {
    return strcmp(name, "nearest") == 0        ? IMAGE_ROUND_NEAREST
           : strcmp(name, "transformers") == 0 ? IMAGE_ROUND_TRANSFORMERS
                                               : IMAGE_ROUND_TORCHVISION;
}

static image_resize mode_named(const char *name) {
    return strcmp(name, "none") == 0    ? IMAGE_RESIZE_NONE
           : strcmp(name, "exact") == 0 ? IMAGE_RESIZE_EXACT
                                        : IMAGE_RESIZE_SHORTEST;
}

/* Values that differ from the expected bytes. */
static size_t count_differences(const image *img, const image_spec *spec, int out_h, int out_w,
                                const uint8_t *expected, image_scratch *scratch, const char *what) {
    image_error err = {0};
    size_t count = (size_t)out_h * (size_t)out_w * (size_t)spec->channels, apart = 0;
    float *out = malloc(count * sizeof(float));
    image_code code = image_to_tensor(img, spec, out_h, out_w, out, scratch, &err);
    cr_expect_eq(code, IMAGE_OK, "%s: %s", what, err.message);
    for (size_t i = 0; code == IMAGE_OK && i < count; i++)
        apart += out[i] != (float)expected[i];
    free(out);
    return code == IMAGE_OK ? apart : count;
}

Test(tensor, resize_and_crop_equal_pillow_bit_for_bit) {
    char path[2048], color[16], mode[16], filter[16], rounding[16];
    image_spec spec = plain_spec();
    image_scratch scratch = {0};
    int width, height, out_h, out_w, cases = 0;
    FILE *list = reference_open("resize.txt"), *bytes = reference_open("resize.bin");
    while (fscanf(list, " %2047[^\t]\t%d %d %15s %15s %d %d %15s %d %d %15s %d %d", path, &width,
                  &height, color, mode, &spec.size_h, &spec.size_w, filter, &spec.crop_h,
                  &spec.crop_w, rounding, &out_h, &out_w) == 13) {
        char what[4096];
        snprintf(what, sizeof(what), "%dx%d %s %s %dx%d %s crop %dx%d %s", width, height, color,
                 mode, spec.size_w, spec.size_h, filter, spec.crop_w, spec.crop_h, rounding);
        spec.color = strcmp(color, "GRAY") == 0 ? IMAGE_GRAY : IMAGE_RGB;
        spec.channels = spec.color == IMAGE_GRAY ? 1 : 3;
        spec.resize = mode_named(mode);
        spec.filter = filter_named(filter);
        spec.rounding = rounding_named(rounding);
        size_t size = (size_t)out_h * (size_t)out_w * (size_t)spec.channels;
        uint8_t *expected = malloc(size);
        cr_assert_eq(fread(expected, 1, size, bytes), size);
        image img = load_raw(path, width, height);
        int h = 0, w = 0;
        cr_expect_eq(image_tensor_size(&spec, width, height, &h, &w, NULL), IMAGE_OK);
        cr_expect(h == out_h && w == out_w, "%s: size %dx%d, expected %dx%d", what, w, h, out_w,
                  out_h);
        size_t apart = count_differences(&img, &spec, out_h, out_w, expected, &scratch, what);
        cr_expect_eq(apart, 0u, "%s: %zu of %zu values differ", what, apart, size);
        image_free(&img);
        free(expected);
        cases++;
    }
    cr_assert(feof(list), "resize.txt is malformed after %d lines", cases);
    cr_expect_gt(cases, 500);
    cr_log_info("%d cases, every value equal", cases);
    image_scratch_free(&scratch);
    fclose(list);
    fclose(bytes);
}

/* ---- values and layouts --------------------------------------------------------------------- */

static image gradient(int width, int height) {
    image img = {malloc((size_t)width * (size_t)height * 3), width, height};
    for (int i = 0; i < width * height; i++) {
        img.pixels[i * 3] = (uint8_t)(i * 7);
        img.pixels[i * 3 + 1] = (uint8_t)(i * 13 + 50);
        img.pixels[i * 3 + 2] = (uint8_t)(255 - i);
    }
    return img;
}

/* (value x scale - mean) / std, for every colour order and layout, computed the long way. */
Test(tensor, normalises_in_the_order_fed) {
    enum { W = 19, H = 11 };
    image img = gradient(W, H);
    for (int color = IMAGE_RGB; color <= IMAGE_GRAY; color++)
        for (int layout = IMAGE_NCHW; layout <= IMAGE_NHWC; layout++) {
            image_spec spec = {.color = (image_color)color,
                               .channels = 3,
                               .layout = (image_layout)layout,
                               .scale = 1.0f / 255,
                               .mean = {0.485f, 0.456f, 0.406f},
                               .std = {0.229f, 0.224f, 0.225f}};
            float out[W * H * 3];
            cr_assert_eq(image_to_tensor(&img, &spec, H, W, out, NULL, NULL), IMAGE_OK);
            for (int i = 0; i < W * H; i++)
                for (int c = 0; c < 3; c++) {
                    const uint8_t *p = img.pixels + i * 3;
                    int grey = (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16;
                    int v = color == IMAGE_GRAY ? grey : color == IMAGE_RGB ? p[c] : p[2 - c];
                    double expected = (v / 255.0 - spec.mean[c]) / spec.std[c];
                    float got = layout == IMAGE_NHWC ? out[i * 3 + c] : out[c * W * H + i];
                    cr_assert_float_eq(got, expected, 1e-6, "pixel %d channel %d", i, c);
                }
        }
    image_free(&img);
}

Test(tensor, pads_with_pixel_value_zero) {
    image img = gradient(3, 2);
    image_spec spec = plain_spec();
    spec.crop_h = 5;
    spec.crop_w = 6;
    spec.scale = 2;
    spec.mean[1] = 10;
    float out[5 * 6 * 3];
    cr_assert_eq(image_to_tensor(&img, &spec, 5, 6, out, NULL, NULL), IMAGE_OK);
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 6; x++) /* (6 - 3) / 2 = 1 and (5 - 2) / 2 = 1 before */
            for (int c = 0; c < 3; c++) {
                bool inside = x >= 1 && x < 4 && y >= 1 && y < 3;
                int v = inside ? img.pixels[((y - 1) * 3 + x - 1) * 3 + c] : 0;
                cr_expect_float_eq(out[(y * 6 + x) * 3 + c], v * 2 - (c == 1 ? 10 : 0), 1e-5);
            }
    image_free(&img);
}

Test(tensor, default_spec_is_imagenet) {
    image_spec spec = image_spec_default(224, 224);
    int h, w;
    cr_expect_eq(spec.size_h, 256);
    cr_expect_eq(image_spec_check(&spec, NULL), IMAGE_OK);
    cr_expect_eq(image_tensor_size(&spec, 500, 333, &h, &w, NULL), IMAGE_OK);
    cr_expect(h == 224 && w == 224);
}

Test(tensor, size_follows_the_image_without_a_crop) {
    image_spec spec = plain_spec();
    int h, w;
    cr_expect_eq(image_tensor_size(&spec, 500, 333, &h, &w, NULL), IMAGE_OK);
    cr_expect(h == 333 && w == 500);
    spec.resize = IMAGE_RESIZE_SHORTEST;
    spec.size_h = spec.size_w = 256;
    cr_expect_eq(image_tensor_size(&spec, 500, 333, &h, &w, NULL), IMAGE_OK);
    cr_expect(h == 256 && w == 384, "%dx%d", w, h); /* 256 * 500 / 333 = 384.38 */
    spec.resize = IMAGE_RESIZE_EXACT;
    spec.size_w = 100;
    cr_expect_eq(image_tensor_size(&spec, 500, 333, &h, &w, NULL), IMAGE_OK);
    cr_expect(h == 256 && w == 100);
}

/* ---- extremes ------------------------------------------------------------------------------- */

/* A needle: resized it would be 16.7 million pixels long, but only the crop of it is made. */
Test(tensor, crops_a_needle_without_making_all_of_it) {
    image img = gradient(1, 65535);
    image_scratch scratch = {0};
    for (int filter = IMAGE_NEAREST; filter <= IMAGE_LANCZOS; filter++) {
        image_spec spec = image_spec_default(224, 224);
        spec.filter = (image_filter)filter;
        float *out = malloc(224 * 224 * 3 * sizeof(float));
        image_error err = {0};
        cr_expect_eq(image_to_tensor(&img, &spec, 224, 224, out, &scratch, &err), IMAGE_OK, "%s",
                     err.message);
        free(out);
    }
    cr_expect_leq(scratch.capacity, IMAGE_SCRATCH_KEEP);
    image_scratch_free(&scratch);
    image_free(&img);
}

Test(tensor, refuses_what_would_be_huge) {
    image_spec spec = plain_spec();
    image_error err = {0};
    spec.resize = IMAGE_RESIZE_SHORTEST;
    spec.size_h = spec.size_w = 256;
    cr_expect_eq(image_tensor_size(&spec, 1, 65535, NULL, NULL, &err), IMAGE_TOO_LARGE);
    spec.size_h = spec.size_w = 16384;
    spec.crop_h = spec.crop_w = 224;
    cr_expect_eq(image_tensor_size(&spec, 1, 65535, NULL, NULL, &err), IMAGE_TOO_LARGE);
    cr_expect_eq(image_tensor_size(&spec, 0, 5, NULL, NULL, &err), IMAGE_INVALID);
    cr_expect_eq(image_tensor_size(&spec, 5, 65536, NULL, NULL, &err), IMAGE_INVALID);
}

/* ---- scratch -------------------------------------------------------------------------------- */

Test(tensor, scratch_is_reused_and_gives_back_excess) {
    image_spec spec = plain_spec();
    image_scratch scratch = {0};
    spec.resize = IMAGE_RESIZE_EXACT;
    spec.size_h = spec.size_w = 64;
    float out[64 * 64 * 3];
    for (int side = 700; side >= 100; side -= 100) {
        image img = gradient(side, side);
        void *before = scratch.memory;
        cr_expect_eq(image_to_tensor(&img, &spec, 64, 64, out, &scratch, NULL), IMAGE_OK);
        cr_expect(side == 700 || scratch.memory == before, "allocated again at %d", side);
        image_free(&img);
    }
    /* so many source rows at once, each so wide, do not fit into what is kept */
    image large = gradient(16000, 900);
    spec.filter = IMAGE_LANCZOS;
    spec.size_h = 2;
    spec.size_w = 16384;
    float *rows = malloc(2 * 16384 * 3 * sizeof(float));
    cr_expect_eq(image_to_tensor(&large, &spec, 2, 16384, rows, &scratch, NULL), IMAGE_OK);
    cr_expect_leq(scratch.capacity, IMAGE_SCRATCH_KEEP);
    free(rows);
    image_free(&large);
    image_scratch_free(&scratch);
    image_scratch_free(NULL);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { SIDE = 32, VALUES = SIDE * SIDE * 3 };

typedef struct {
    const blob *file;
    float out[VALUES];
} job;

static void decode_to_tensor(const blob *file, float *out) {
    image_spec spec = image_spec_default(SIDE, SIDE);
    image_scratch scratch = {0};
    for (int i = 0; i < 20; i++) {
        image img = {0};
        cr_assert_eq(image_decode(file->bytes, file->size, NULL, &img, NULL, NULL), IMAGE_OK);
        cr_assert_eq(image_to_tensor(&img, &spec, SIDE, SIDE, out, &scratch, NULL), IMAGE_OK);
        image_free(&img);
    }
    image_scratch_free(&scratch);
}

static void *work(void *argument) {
    job *mine = argument;
    decode_to_tensor(mine->file, mine->out);
    return NULL;
}

/* Nothing is shared between calls; the thread sanitizer has a say here too. */
Test(tensor, threads_do_not_disturb_each_other) {
    static const char *const names[] = {"orientation-6.jpg", "orientation-6.png",
                                        "orientation-6.webp", "cmyk-157x211.jpg"};
    enum { THREADS = 4 };
    static job jobs[THREADS];
    for (int n = 0; n < 4; n++) {
        pthread_t threads[THREADS];
        float expected[VALUES];
        blob file = reference_read(names[n]);
        decode_to_tensor(&file, expected);
        for (int i = 0; i < THREADS; i++) {
            jobs[i].file = &file;
            cr_assert_eq(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            cr_expect_arr_eq(jobs[i].out, expected, sizeof(expected), "%s", names[n]);
        }
        blob_free(&file);
    }
}

/* ---- specs that make no sense --------------------------------------------------------------- */

Test(tensor, refuses_contradictory_specs) {
    image_spec good = image_spec_default(224, 224), bad[13];
    image_error err;
    for (int i = 0; i < 13; i++)
        bad[i] = good;
    bad[0].channels = 1;
    bad[1].channels = 4;
    bad[2].color = (image_color)7;
    bad[3].std[1] = 0;
    bad[4].mean[2] = NAN;
    bad[5].scale = INFINITY;
    bad[6].size_w = 128;
    bad[7].size_h = bad[7].size_w = 0;
    bad[8].crop_w = 0;
    bad[9].crop_h = -1;
    bad[10].crop_h = bad[10].crop_w = IMAGE_MAX_SIZE + 1;
    bad[11].filter = (image_filter)9;
    bad[12].rounding = (image_rounding)3;
    for (int i = 0; i < 13; i++) {
        err = (image_error){0};
        cr_expect_eq(image_spec_check(&bad[i], &err), IMAGE_INVALID, "spec %d passed", i);
        cr_expect(err.code == IMAGE_INVALID && strlen(err.message) > 10, "spec %d: %s", i,
                  err.message);
    }
    cr_expect_eq(image_spec_check(NULL, &err), IMAGE_INVALID);
}

Test(tensor, refuses_another_size_than_the_spec_gives) {
    image img = gradient(10, 10);
    image_spec spec = plain_spec();
    image_error err = {0};
    float out[10 * 10 * 3];
    cr_expect_eq(image_to_tensor(&img, &spec, 10, 9, out, NULL, &err), IMAGE_INVALID);
    cr_expect_str_eq(err.message,
                     "the image gives a tensor of height 10 and width 10, not 10 and 9");
    cr_expect_eq(image_to_tensor(&img, &spec, 10, 10, NULL, NULL, &err), IMAGE_INVALID);
    cr_expect_eq(image_to_tensor(NULL, &spec, 10, 10, out, NULL, &err), IMAGE_INVALID);
    image_free(&img);
}
