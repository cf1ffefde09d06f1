/* element.c: values of a tensor as the type that a network takes.
 *
 * A tensor of float32 is written in one pass (tensor.c); others go through a row of floats, which
 * is stored here. Whole numbers are rounded to the nearest, ties to the even one, and kept within
 * their range; narrower floats are rounded alike.
 */
#include "internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct {
    uint8_t size;
    bool whole;
    double least, most;
} elements[] = {
    [IMAGE_FLOAT32] = {4, false, -FLT_MAX, FLT_MAX},
    [IMAGE_FLOAT16] = {2, false, -65504, 65504},
    [IMAGE_BFLOAT16] = {2, false, -FLT_MAX, FLT_MAX},
    [IMAGE_FLOAT64] = {8, false, -DBL_MAX, DBL_MAX},
    [IMAGE_UINT8] = {1, true, 0, UINT8_MAX},
    [IMAGE_INT8] = {1, true, INT8_MIN, INT8_MAX},
    [IMAGE_UINT16] = {2, true, 0, UINT16_MAX},
    [IMAGE_INT16] = {2, true, INT16_MIN, INT16_MAX},
    [IMAGE_UINT32] = {4, true, 0, UINT32_MAX},
    [IMAGE_INT32] = {4, true, INT32_MIN, INT32_MAX},
    [IMAGE_UINT64] = {8, true, 0, 0x1p64},
    [IMAGE_INT64] = {8, true, -0x1p63, 0x1p63},
};

size_t image_element_size(image_element element) {
    return elements[element].size;
}

bool image_element_is_whole(image_element element) {
    return elements[element].whole;
}

void image_element_range(image_element element, double *least, double *most) {
    *least = elements[element].least;
    *most = elements[element].most;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* bits >> shift, rounded. */
static uint32_t shift_rounded(uint32_t bits, int shift) {
    uint32_t whole = bits >> shift, rest = bits & ((1u << shift) - 1), half = 1u << (shift - 1);
    return whole + (rest > half || (rest == half && (whole & 1)));
}

/* A carry out of the fraction goes into the exponent, at the end into infinity. */
static uint16_t half_of(float value) {
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size >= 0x47800000) /* 65536 */
        return (uint16_t)(sign | (size > 0x7f800000 ? 0x7e00 : 0x7c00));
    if (size >= 0x38800000) /* 2^-14, the least normal one */
        return (uint16_t)(sign | shift_rounded(size - 0x38000000, 13));
    int shift = 126 - (int)(size >> 23);
    uint32_t fraction = (size & 0x7fffff) | 0x800000;
    return (uint16_t)(sign | (shift < 31 ? shift_rounded(fraction, shift) : 0));
}

static uint16_t brain_of(float value) {
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)shift_rounded(bits, 16);
}

/* `type` has the limits `least` and `most`; the larger ones are compared as doubles, rounded up. */
#define STORE_WHOLE(type, least, most)                                                             \
    for (size_t i = 0; i < count; i++) {                                                           \
        double v = rint((double)values[i]);                                                        \
        ((type *)out)[i * step] = v <= (double)(least)  ? (least)                                  \
                                  : v >= (double)(most) ? (most)                                   \
                                                        : (type)v;                                 \
    }                                                                                              \
    break

#define STORE_FLOAT(type, convert)                                                                 \
    for (size_t i = 0; i < count; i++)                                                             \
        ((type *)out)[i * step] = convert(values[i]);                                              \
    break

void image_elements_store(image_element element, const float *values, size_t count, void *out,
                          size_t step) {
    switch (element) {
    case IMAGE_FLOAT32:
        STORE_FLOAT(float, );
    case IMAGE_FLOAT16:
        STORE_FLOAT(uint16_t, half_of);
    case IMAGE_BFLOAT16:
        STORE_FLOAT(uint16_t, brain_of);
    case IMAGE_FLOAT64:
        STORE_FLOAT(double, (double));
    case IMAGE_UINT8:
        STORE_WHOLE(uint8_t, 0, UINT8_MAX);
    case IMAGE_INT8:
        STORE_WHOLE(int8_t, INT8_MIN, INT8_MAX);
    case IMAGE_UINT16:
        STORE_WHOLE(uint16_t, 0, UINT16_MAX);
    case IMAGE_INT16:
        STORE_WHOLE(int16_t, INT16_MIN, INT16_MAX);
    case IMAGE_UINT32:
        STORE_WHOLE(uint32_t, 0, UINT32_MAX);
    case IMAGE_INT32:
        STORE_WHOLE(int32_t, INT32_MIN, INT32_MAX);
    case IMAGE_UINT64:
        STORE_WHOLE(uint64_t, 0, UINT64_MAX);
    case IMAGE_INT64:
        STORE_WHOLE(int64_t, INT64_MIN, INT64_MAX);
    }
}
