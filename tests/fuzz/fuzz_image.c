/*
 * fuzz_image.c: libimage fed with bytes of unknown origin: decode, then to a tensor.
 *
 * The tests build it with replay.c. For libFuzzer, to be seeded with real images:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DFUZZER ...
 * The pixel limit is low, so that a finding is a fault and not a slow picture.
 */
#include "fuzz/replay.h"
#include "image.h"

#include <stdlib.h>

/* Some spec that the input's own bytes choose, so that runs can be repeated. */
static image_spec choose_spec(const uint8_t *data, size_t size) {
    uint32_t choice = 2166136261u;
    for (size_t i = 0; i < size; i++)
        choice = (choice ^ data[i]) * 16777619u;
    choice >>= 8;
    image_spec spec = image_spec_default(24, 20);
    spec.color = (image_color)(choice % 3);
    spec.resize = (image_resize)(choice / 3 % 3);
    spec.filter = (image_filter)(choice / 9 % 4);
    spec.layout = (image_layout)(choice / 36 % 2);
    spec.size_h = spec.size_w = 1 + (int)(choice / 72 % 50);
    return spec;
}

/* From the whole picture. */
static void make_tensor(const image *img, const image_spec *spec) {
    int h, w;
    if (image_tensor_size(spec, img->width, img->height, &h, &w, NULL) != IMAGE_OK) abort();
    float *out = malloc((size_t)h * (size_t)w * 3 * sizeof(float));
    if (out && image_to_tensor(img, spec, h, w, out, NULL, NULL) != IMAGE_OK) abort();
    free(out);
}

/* In one pass; returns what comes of it. */
static image_code make_tensor_of_file(const uint8_t *data, size_t size, const image_limits *limits,
                                      const image_spec *spec) {
    image_file file = {0};
    image_code code = image_open(data, size, limits, &file, NULL);
    if (code != IMAGE_OK) return code;
    int h, w;
    if (image_tensor_size(spec, file.info.width, file.info.height, &h, &w, NULL) != IMAGE_OK)
        abort();
    float *out = malloc((size_t)h * (size_t)w * 3 * sizeof(float));
    if (out) code = image_file_to_tensor(&file, spec, h, w, out, NULL, NULL, NULL);
    free(out);
    image_close(&file);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    image_limits limits = {.max_pixels = 1 << 20};
    image_spec spec = choose_spec(data, size);
    image img = {0};
    image_info info = {0};
    image_error err = {0};
    image_code code = image_decode(data, size, &limits, &img, &info, &err);
    if ((code == IMAGE_OK) != (img.pixels != NULL)) abort();
    if (code == IMAGE_OK && (info.width != img.width || info.height != img.height)) abort();
    if (code != IMAGE_OK && (err.code != code || !err.message[0])) abort();
    if (code == IMAGE_OK) make_tensor(&img, &spec);
    if (make_tensor_of_file(data, size, &limits, &spec) != code) abort();
    image_free(&img);
    return 0;
}

#ifndef FUZZER
const replay_plan replay = {
    .folders = (const char *const[]){"images/malformed", "images/pngsuite", "images/exif"},
    .folder_count = 3,
    .mutations = 2000,
};
#endif
