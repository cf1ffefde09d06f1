/* test_file.c: files -> tensors in one pass, against decoding them whole and then resampling. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* Pixel values, a centre crop of 7/8 of the shorter side's new size. */
static image_spec crop_spec(int size, image_filter filter) {
    int crop = size * 7 / 8 ? size * 7 / 8 : 1;
    return (image_spec){.color = IMAGE_RGB,
                        .channels = 3,
                        .resize = IMAGE_RESIZE_SHORTEST,
                        .filter = filter,
                        .size_h = size,
                        .size_w = size,
                        .crop_h = crop,
                        .crop_w = crop,
                        .scale = 1.0f,
                        .std = {1, 1, 1}};
}

typedef struct {
    float worst;
    double mean;
} distance;

static distance values_apart(const float *a, const float *b, size_t count) {
    distance d = {0};
    for (size_t i = 0; i < count; i++) {
        float apart = fabsf(a[i] - b[i]);
        d.worst = fmaxf(d.worst, apart);
        d.mean += (double)apart / (double)count;
    }
    return d;
}

/* How far the one pass is from decoding and resampling one after the other. */
static distance compare_ways(const char *name, const blob *bytes, const image_spec *spec) {
    image_error err = {0};
    image whole = {0};
    image_file file = {0};
    int h = 0, w = 0;
    cr_assert_eq(image_decode(bytes->bytes, bytes->size, NULL, &whole, NULL, &err), IMAGE_OK,
                 "%s: %s", name, err.message);
    cr_assert_eq(image_open(bytes->bytes, bytes->size, NULL, &file, &err), IMAGE_OK, "%s: %s", name,
                 err.message);
    cr_expect(file.info.width == whole.width && file.info.height == whole.height, "%s", name);
    cr_assert_eq(image_tensor_size(spec, file.info.width, file.info.height, &h, &w, NULL),
                 IMAGE_OK);
    size_t count = (size_t)h * (size_t)w * (size_t)spec->channels;
    float *two = malloc(count * sizeof *two), *one = malloc(count * sizeof *one);
    cr_assert(two && one);
    cr_assert_eq(image_to_tensor(&whole, spec, h, w, two, NULL, NULL), IMAGE_OK);
    cr_assert_eq(image_file_to_tensor(&file, spec, h, w, one, NULL, NULL, &err), IMAGE_OK, "%s: %s",
                 name, err.message);
    distance d = values_apart(one, two, count);
    free(one);
    free(two);
    image_close(&file);
    image_free(&whole);
    return d;
}

static void expect_same(const char *name, const blob *bytes, const image_spec *spec) {
    distance d = compare_ways(name, bytes, spec);
    cr_expect(d.worst == 0, "%s, filter %d, to %d, crop %d: differs by up to %g", name,
              (int)spec->filter, spec->size_h, spec->crop_h, (double)d.worst);
}

/* Crops, from which much of the file is left out, and whole pictures; enlarged and reduced. */
static void expect_same_in_every_way(const char *name, const blob *bytes) {
    static const int sizes[] = {40, 61, 97, 230};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        image_spec spec = crop_spec(sizes[i], i % 2 ? IMAGE_BILINEAR : IMAGE_BICUBIC);
        expect_same(name, bytes, &spec);
        spec.crop_h = spec.crop_w = 5 + (int)i;
        expect_same(name, bytes, &spec);
        spec.crop_h = spec.crop_w = 301; /* some is padding */
        expect_same(name, bytes, &spec);
        spec.resize = IMAGE_RESIZE_EXACT;
        spec.filter = IMAGE_NEAREST;
        expect_same(name, bytes, &spec);
        spec.crop_h = spec.crop_w = 3;
        spec.resize = IMAGE_RESIZE_NONE;
        spec.color = IMAGE_GRAY;
        expect_same(name, bytes, &spec);
    }
}

/* Every kind of JPEG that make_reference.py makes, in every orientation, and what is decoded whole.
 */
Test(file, one_pass_equals_two) {
    char path[2048], raw[2048];
    int width, height, tolerance, count = 0;
    FILE *list = reference_open("decode.txt");
    while (fscanf(list, " %2047[^\t]\t%2047[^\t]\t%d %d %d", path, raw, &width, &height,
                  &tolerance) == 5) {
        if (!strstr(path, ".jpg") && !strstr(path, "orientation-5.")) continue;
        blob bytes = blob_read(path);
        expect_same_in_every_way(path, &bytes);
        blob_free(&bytes);
        count++;
    }
    fclose(list);
    cr_expect_gt(count, 50);
}

Test(file, photos_in_one_pass_equal_two) {
    size_t count;
    char **paths = paths_below(data_folder("images/imagenet"), &count);
    for (size_t i = 0; i < count; i += 8) {
        if (!strstr(paths[i], ".JPEG")) continue;
        blob bytes = blob_read(paths[i]);
        image_spec spec = crop_spec(256, IMAGE_BILINEAR);
        expect_same(paths[i], &bytes, &spec);
        spec.crop_h = 20 + (int)i % 30; /* windows of every kind of edge */
        spec.crop_w = 30 + (int)i % 50;
        expect_same(paths[i], &bytes, &spec);
        blob_free(&bytes);
    }
    paths_free(paths, count);
}

/* What shrinks to a sixth is decoded at a half, and so on: close to Pillow, but not the same. */
Test(file, scaled_decoding_stays_close) {
    static const int sizes[] = {250, 224, 120, 61, 32};
    static const image_filter filters[] = {IMAGE_BILINEAR, IMAGE_BICUBIC, IMAGE_LANCZOS};
    data_folder("images/imagenet"); /* without it there are no mosaics */
    for (int i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "mosaic-%d.jpg", i);
        blob bytes = reference_read(name);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            image_spec spec = crop_spec(sizes[s], filters[(s + (size_t)i) % 3]);
            distance d = compare_ways(name, &bytes, &spec);
            cr_expect(d.worst > 0, "%s to %d: not scaled", name, sizes[s]);
            cr_expect_leq(d.mean, 1.0, "%s to %d, filter %d: %.3f in the mean", name, sizes[s],
                          (int)spec.filter, d.mean);
            cr_log_info("%s to %d, filter %d: %.3f in the mean", name, sizes[s], (int)spec.filter,
                        d.mean);
        }
        blob_free(&bytes);
    }
}

/* Where the difference would be too large, and where little would be gained, nothing is scaled. */
Test(file, decodes_as_it_is_what_must_not_be_scaled) {
    data_folder("images/imagenet");
    blob large = reference_read("mosaic-0.jpg"), small = reference_read("rgb-157x211-2b.jpg");
    image_spec spec = crop_spec(251, IMAGE_BILINEAR); /* 1500 / 251 is less than 6 */
    expect_same("mosaic-0.jpg", &large, &spec);
    for (int filter = IMAGE_NEAREST; filter <= IMAGE_HAMMING; filter++) {
        if (filter == IMAGE_BILINEAR) continue;
        spec = crop_spec(50, (image_filter)filter);
        expect_same("mosaic-0.jpg", &large, &spec);
    }
    spec = crop_spec(10, IMAGE_BILINEAR);
    expect_same("rgb-157x211-2b.jpg", &small, &spec);
    blob_free(&small);
    blob_free(&large);
}

/* A turned picture is scaled too, and stays upright. */
Test(file, scaled_decoding_turns) {
    data_folder("images/imagenet");
    for (int orientation = 1; orientation <= 8; orientation++) {
        char name[64];
        snprintf(name, sizeof name, "turned-%d.jpg", orientation);
        blob bytes = reference_read(name);
        image_spec spec = crop_spec(100, IMAGE_BILINEAR);
        distance d = compare_ways(name, &bytes, &spec);
        cr_expect(d.worst > 0 && d.mean < 1.0, "%s: %.3f in the mean", name, d.mean);
        blob_free(&bytes);
    }
}

/* ---- what cannot be decoded ----------------------------------------------------------------- */

/* Both ways give the same verdict; a file that is cut off is refused also where the part that is
 * missing is not shown. */
static void expect_same_verdict(const char *name, const uint8_t *bytes, size_t size) {
    image_error expected = {0}, err = {0};
    image whole = {0};
    image_file file = {0};
    image_spec spec = crop_spec(20, IMAGE_BILINEAR);
    spec.crop_h = spec.crop_w = 4;
    float out[4 * 4 * 3];
    image_code two = image_decode(bytes, size, NULL, &whole, NULL, &expected);
    image_code one = image_open(bytes, size, NULL, &file, &err);
    bool fits = one == IMAGE_OK && image_tensor_size(&spec, file.info.width, file.info.height, NULL,
                                                     NULL, NULL) == IMAGE_OK;
    if (one == IMAGE_OK && fits)
        one = image_file_to_tensor(&file, &spec, 4, 4, out, NULL, NULL, &err);
    if (one != IMAGE_OK || fits) {
        cr_expect_eq(one, two, "%s, %zu bytes: %d, not %d: %s%s", name, size, one, two, err.message,
                     expected.message);
        if (one == two) cr_expect_str_eq(err.message, expected.message, "%s", name);
    }
    image_close(&file);
    image_free(&whole);
}

Test(file, refuses_what_decoding_refuses) {
    static const char *const names[] = {"rgb-157x211-2b.jpg", "rgb-157x211-0p.jpg",
                                        "orientation-6.jpg",  "cmyk-157x211.jpg",
                                        "rgba.png",           "lossy.webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        blob bytes = reference_read(names[i]);
        for (size_t size = 0; size < bytes.size; size += 1 + bytes.size / 97) {
            uint8_t *copy = malloc(size ? size : 1); /* so that ASan sees reads past the end */
            memcpy(copy, bytes.bytes, size);
            expect_same_verdict(names[i], copy, size);
            free(copy);
        }
        blob_free(&bytes);
    }
}

Test(file, malformed_files_get_the_verdict_of_decoding) {
    size_t count;
    char **paths = paths_below(data_folder("images/malformed"), &count);
    for (size_t i = 0; i < count; i++) {
        blob bytes = blob_read(paths[i]);
        expect_same_verdict(paths[i], bytes.bytes, bytes.size);
        blob_free(&bytes);
    }
    paths_free(paths, count);
}

Test(file, picture_is_decoded_on_demand) {
    blob bytes = reference_read("orientation-6.jpg");
    image_file file = {0};
    image whole = {0};
    cr_assert_eq(image_open(bytes.bytes, bytes.size, NULL, &file, NULL), IMAGE_OK);
    cr_expect_null(file.picture.pixels);
    cr_assert_eq(image_file_decode(&file, NULL), IMAGE_OK);
    cr_assert_eq(image_file_decode(&file, NULL), IMAGE_OK);
    cr_assert_eq(image_decode(bytes.bytes, bytes.size, NULL, &whole, NULL, NULL), IMAGE_OK);
    cr_expect_arr_eq(file.picture.pixels, whole.pixels,
                     (size_t)whole.width * (size_t)whole.height * 3);
    image_free(&whole);
    image_close(&file);
    image_close(&file);
    image_close(NULL);
    blob_free(&bytes);
}
