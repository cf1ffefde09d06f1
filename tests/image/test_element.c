/* Tensors of other elements than float32, against numbers worked by hand (IEEE 754). */
#include "internal.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(element, half_is_rounded_once) {
    static const struct {
        float value;
        uint16_t bits;
    } cases[] = {
        {0, 0x0000},
        {-0.0f, 0x8000},
        {1, 0x3c00},
        {-2, 0xc000},
        {0.1f, 0x2e66},
        {255, 0x5bf8},
        {65504, 0x7bff},
        {65519.996f, 0x7bff},
        {65520, 0x7c00},
        {-70000, 0xfc00},
        {2049, 0x6800},
        {2051, 0x6802},
        {0x1p-14f, 0x0400},
        {0x1p-24f, 0x0001},
        {0x1p-25f, 0x0000},
        {0x1.8p-24f, 0x0002},
        {0x1.000002p-25f, 1},
        {0x1.ff8p-15f, 0x03ff},
        {0x1.ffffp-15f, 0x0400},
        {1e-30f, 0x0000},
        {INFINITY, 0x7c00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t got = 1;
        image_elements_store(IMAGE_FLOAT16, &cases[i].value, 1, &got, 1);
        cr_expect_eq(got, cases[i].bits, "%a is %04x, not %04x", (double)cases[i].value, got,
                     cases[i].bits);
    }
}

Test(element, brain_float_and_double) {
    static const float values[] = {1, -2.5f, 0x1.01p0f, 0x1.03p0f, 3e38f, 0x1.fffffep127f};
    static const uint16_t want[] = {0x3f80, 0xc020, 0x3f80, 0x3f82, 0x7f62, 0x7f80};
    uint16_t got[6];
    double wide[6];
    image_elements_store(IMAGE_BFLOAT16, values, 6, got, 1);
    image_elements_store(IMAGE_FLOAT64, values, 6, wide, 1);
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(got[i], want[i], "%a is %04x", (double)values[i], got[i]);
        cr_expect_eq(wide[i], (double)values[i]);
    }
}

#define EXPECT_WHOLE(element, type, least, most)                                                   \
    do {                                                                                           \
        static const float values[] = {0.5f, 1.5f, 2.4999f, 7, -1e30f, 1e30f, -0.4f};              \
        type got[14] = {0};                                                                        \
        image_elements_store(element, values, 7, got, 2);                                          \
        static const type want[] = {0, 2, 2, 7, least, most, 0};                                   \
        for (int i = 0; i < 7; i++) {                                                              \
            cr_expect_eq(got[2 * i], want[i], #element " %d", i);                                  \
            cr_expect_eq(got[2 * i + 1], 0, "between the values of " #element);                    \
        }                                                                                          \
    } while (0)

Test(element, whole_numbers_are_rounded_and_kept_in_range) {
    EXPECT_WHOLE(IMAGE_UINT8, uint8_t, 0, 255);
    EXPECT_WHOLE(IMAGE_INT8, int8_t, -128, 127);
    EXPECT_WHOLE(IMAGE_UINT16, uint16_t, 0, 65535);
    EXPECT_WHOLE(IMAGE_INT16, int16_t, -32768, 32767);
    EXPECT_WHOLE(IMAGE_UINT32, uint32_t, 0, UINT32_MAX);
    EXPECT_WHOLE(IMAGE_INT32, int32_t, INT32_MIN, INT32_MAX);
    EXPECT_WHOLE(IMAGE_UINT64, uint64_t, 0, UINT64_MAX);
    EXPECT_WHOLE(IMAGE_INT64, int64_t, INT64_MIN, INT64_MAX);
}

/* A picture of 2x1 pixels in the middle of a tensor of 4x3 (width x height). */
static const image small = {(uint8_t[]){10, 20, 30, 200, 210, 255}, 2, 1};
static const image_spec bytes = {
    .channels = 3, .element = IMAGE_UINT8, .crop_h = 3, .crop_w = 4, .scale = 1, .std = {1, 1, 1}};

Test(element, bytes_in_either_layout) {
    uint8_t out[36];
    image_spec spec = bytes;
    memset(out, 1, sizeof out);
    cr_assert_eq(image_to_tensor(&small, &spec, 3, 4, out, NULL, NULL), IMAGE_OK);
    static const uint8_t planes[36] = {
        [5] = 10, [6] = 200, [17] = 20, [18] = 210, [29] = 30, [30] = 255};
    cr_expect_arr_eq(out, planes, sizeof out);
    spec.layout = IMAGE_NHWC;
    spec.color = IMAGE_BGR;
    memset(out, 1, sizeof out);
    cr_assert_eq(image_to_tensor(&small, &spec, 3, 4, out, NULL, NULL), IMAGE_OK);
    static const uint8_t pixels[36] = {
        [15] = 30, [16] = 20, [17] = 10, [18] = 255, [19] = 210, [20] = 200};
    cr_expect_arr_eq(out, pixels, sizeof out);
}

Test(element, bytes_less_a_mean_and_grey) {
    int8_t out[12];
    image_spec spec = bytes;
    spec.element = IMAGE_INT8;
    spec.color = IMAGE_GRAY;
    spec.channels = 1;
    spec.mean[0] = 128;
    cr_assert_eq(image_to_tensor(&small, &spec, 3, 4, out, NULL, NULL), IMAGE_OK);
    /* Pillow's grey: (19595 r + 38470 g + 7471 b + 32768) >> 16: 18 and 212. */
    static const int8_t want[12] = {-128, -128, -128, -128, -128, -110,
                                    84,   -128, -128, -128, -128, -128};
    cr_expect_arr_eq(out, want, sizeof out);
}

Test(element, an_unknown_one_is_refused) {
    uint8_t out[36];
    image_spec spec = bytes;
    spec.element = (image_element)99;
    cr_expect_eq(image_to_tensor(&small, &spec, 3, 4, out, NULL, NULL), IMAGE_INVALID);
}
