/* The element access of element.h. */
#include "base/element.h"

#include <math.h>
#include <string.h>

number_class number_class_of(cnn_dtype dtype) {
    if (cnn_dtype_is_float(dtype)) return NUMBER_REAL;
    switch (dtype) {
    case CNN_INT8:
    case CNN_INT16:
    case CNN_INT32:
    case CNN_INT64:
        return NUMBER_SIGNED;
    default:
        return NUMBER_UNSIGNED;
    }
}

/*
 * `x` as a float whose last bit is set if it is inexact (rounding to odd): rounding that float to a
 * narrower format gives what rounding `x` itself would.
 */
static float float_to_odd(double x) {
    float f = (float)x;
    if ((double)f == x || isnan(f)) return f;
    if (isinf(f)) return f; /* beyond the narrower formats, too */
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (fabs((double)f) > fabs(x)) bits--;
    bits |= 1;
    memcpy(&f, &bits, sizeof bits);
    return f;
}

uint16_t half_of_double(double x) {
    return cnn_half_from_float(float_to_odd(x));
}

uint16_t bfloat16_of_double(double x) {
    return cnn_bfloat16_from_float(float_to_odd(x));
}

int64_t int_of_double(double x) {
    if (isnan(x)) return 0;
    if (x >= 0x1p63) return INT64_MAX;
    return x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}

uint64_t uint_of_double(double x) {
    if (isnan(x)) return 0;
    if (x < 0) return (uint64_t)int_of_double(x);
    return x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}

int64_t int_at(cnn_dtype dtype, const void *data, size_t i) {
    switch (dtype) {
    case CNN_UINT8:
        return ((const uint8_t *)data)[i];
    case CNN_INT8:
        return ((const int8_t *)data)[i];
    case CNN_UINT16:
        return ((const uint16_t *)data)[i];
    case CNN_INT16:
        return ((const int16_t *)data)[i];
    case CNN_UINT32:
        return ((const uint32_t *)data)[i];
    case CNN_INT32:
        return ((const int32_t *)data)[i];
    case CNN_BOOL:
        return ((const uint8_t *)data)[i] != 0;
    default:
        return ((const int64_t *)data)[i];
    }
}

void int_put(cnn_dtype dtype, void *data, size_t i, int64_t x) {
    switch (dtype) {
    case CNN_UINT8:
    case CNN_INT8:
        ((uint8_t *)data)[i] = (uint8_t)x;
        break;
    case CNN_UINT16:
    case CNN_INT16:
        ((uint16_t *)data)[i] = (uint16_t)x;
        break;
    case CNN_UINT32:
    case CNN_INT32:
        ((uint32_t *)data)[i] = (uint32_t)x;
        break;
    case CNN_BOOL:
        ((uint8_t *)data)[i] = x != 0;
        break;
    default:
        ((int64_t *)data)[i] = x;
    }
}

ALWAYS_INLINE void read_floats(cnn_dtype dtype, const void *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++)
        to[i] = (float)real_at(dtype, from, i);
}

void cnn_read_floats(cnn_dtype dtype, const void *from, size_t count, float *to) {
    FOR_REAL_TYPE(dtype, read_floats, from, count, to);
}
