/* PNG files made here are what was drawn, and where a tensor lies in its image. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static image made;

static image_code encode(const uint8_t *pixels, int width, int height, const uint8_t (*palette)[3],
                         int colors) {
    void *bytes = NULL;
    size_t size = 0;
    image_error err = {0};
    image_code code = image_encode_png(pixels, width, height, palette, colors, &bytes, &size, &err);
    if (code == IMAGE_OK)
        cr_assert_eq(image_decode(bytes, size, NULL, &made, NULL, &err), IMAGE_OK, "%s",
                     err.message);
    free(bytes);
    return code;
}

Test(encode, rgb) {
    enum { WIDTH = 37, HEIGHT = 23, SIZE = WIDTH * HEIGHT * 3 };
    uint8_t pixels[SIZE];
    for (int i = 0; i < SIZE; i++)
        pixels[i] = (uint8_t)(i * i >> 3);
    cr_assert_eq(encode(pixels, WIDTH, HEIGHT, NULL, 0), IMAGE_OK);
    cr_assert(made.width == WIDTH && made.height == HEIGHT);
    cr_expect_arr_eq(made.pixels, pixels, SIZE);
    image_free(&made);
}

Test(encode, palette) {
    static const uint8_t palette[3][3] = {{255, 0, 0}, {1, 2, 3}, {250, 251, 252}};
    static const uint8_t pixels[] = {0, 1, 2, 2, 1, 0};
    cr_assert_eq(encode(pixels, 3, 2, palette, 3), IMAGE_OK);
    cr_assert(made.width == 3 && made.height == 2);
    for (int i = 0; i < 6; i++)
        cr_expect_arr_eq(made.pixels + (size_t)i * 3, palette[pixels[i]], 3, "%d", i);
    image_free(&made);
}

Test(encode, refusals) {
    static const uint8_t pixel[3] = {0};
    cr_expect_eq(encode(NULL, 1, 1, NULL, 0), IMAGE_INVALID);
    cr_expect_eq(encode(pixel, 0, 1, NULL, 0), IMAGE_INVALID);
    cr_expect_eq(encode(pixel, 1, 1, &pixel, 0), IMAGE_INVALID);
    cr_expect_eq(encode(pixel, 1, 1, &pixel, 257), IMAGE_INVALID);
}

static void expect_region(image_spec spec, int width, int height, image_region want) {
    image_region region = {0};
    cr_assert_eq(image_tensor_region(&spec, width, height, &region, NULL), IMAGE_OK);
    cr_expect_float_eq(region.left, want.left, 1e-9, "left %g", region.left);
    cr_expect_float_eq(region.top, want.top, 1e-9, "top %g", region.top);
    cr_expect_float_eq(region.width, want.width, 1e-9, "width %g", region.width);
    cr_expect_float_eq(region.height, want.height, 1e-9, "height %g", region.height);
}

/* By hand: 500 x 400 is resized to 320 x 256, by 1.5625; (320 - 224) / 2 = 48 are cut off at left
 * and right, (256 - 224) / 2 = 16 above and below. */
Test(region, of_a_crop) {
    image_spec spec = image_spec_default(224, 224);
    expect_region(spec, 500, 400, (image_region){75, 25, 350, 350});
}

Test(region, of_the_whole_image) {
    image_spec spec = image_spec_default(224, 224);
    spec.crop_h = spec.crop_w = 0;
    spec.resize = IMAGE_RESIZE_EXACT;
    expect_region(spec, 500, 400, (image_region){0, 0, 500, 400});
    spec.resize = IMAGE_RESIZE_NONE;
    expect_region(spec, 5, 4, (image_region){0, 0, 5, 4});
}

/* 10 x 20 in the middle of 40 x 40. */
Test(region, of_a_crop_that_pads) {
    image_spec spec = image_spec_default(40, 40);
    spec.resize = IMAGE_RESIZE_NONE;
    expect_region(spec, 10, 20, (image_region){-15, -10, 40, 40});
}

Test(resize_to, enlarges_by_repeating_and_reduces_by_averaging) {
    uint8_t pixels[] = {0, 0, 0, 100, 50, 10};
    image two = {pixels, 2, 1}, large = {0}, one = {0};
    cr_assert_eq(image_resize_to(&two, 4, 2, IMAGE_NEAREST, &large, NULL), IMAGE_OK);
    cr_expect(large.width == 4 && large.height == 2);
    for (int i = 0; i < 8; i++)
        cr_expect_arr_eq(large.pixels + (size_t)i * 3, pixels + (i % 4 < 2 ? 0 : 3), 3);
    cr_assert_eq(image_resize_to(&two, 1, 1, IMAGE_BILINEAR, &one, NULL), IMAGE_OK);
    cr_expect_arr_eq(one.pixels, ((uint8_t[]){50, 25, 5}), 3);
    cr_expect_eq(image_resize_to(&two, 0, 1, IMAGE_NEAREST, &large, NULL), IMAGE_INVALID);
    cr_expect_eq(image_resize_to(&two, 1, IMAGE_MAX_SIZE + 1, IMAGE_NEAREST, &large, NULL),
                 IMAGE_INVALID);
    image_free(&large);
    image_free(&one);
}
