/*
 * Single elements of arrays of any type, as numbers.
 *
 * Floating-point elements are read as double and rounded once to their type, integers are 64-bit
 * with two's complement wrap-around.
 */
#ifndef BASE_ELEMENT_H
#define BASE_ELEMENT_H

#include "base/base.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef enum number_class { NUMBER_REAL, NUMBER_SIGNED, NUMBER_UNSIGNED } number_class;
/* Bool counts as unsigned. */
number_class number_class_of(cnn_dtype dtype);

/* Rounded once, to nearest, ties to even; too large becomes infinity. */
uint16_t half_of_double(double x);
uint16_t bfloat16_of_double(double x);
/* Truncate; NaN is 0, beyond the type's range its nearest value. */
int64_t int_of_double(double x);
uint64_t uint_of_double(double x);

/* Element `i` of a floating-point array; `dtype` is a literal after inlining. */
ALWAYS_INLINE double real_at(cnn_dtype dtype, const void *data, size_t i) {
    switch (dtype) {
    case CNN_FLOAT32:
        return ((const float *)data)[i];
    case CNN_FLOAT64:
        return ((const double *)data)[i];
    case CNN_FLOAT16:
        return cnn_half_to_float(((const uint16_t *)data)[i]);
    default:
        return cnn_bfloat16_to_float(((const uint16_t *)data)[i]);
    }
}

ALWAYS_INLINE void real_put(cnn_dtype dtype, void *data, size_t i, double x) {
    switch (dtype) {
    case CNN_FLOAT32:
        ((float *)data)[i] = (float)x;
        break;
    case CNN_FLOAT64:
        ((double *)data)[i] = x;
        break;
    case CNN_FLOAT16:
        ((uint16_t *)data)[i] = half_of_double(x);
        break;
    default:
        ((uint16_t *)data)[i] = bfloat16_of_double(x);
    }
}

/* Calls `fn(type, ...)` with the type as a literal, so that an ALWAYS_INLINE `fn` is specialised.
 */
#define FOR_REAL_TYPE(dtype, fn, ...)                                                              \
    do {                                                                                           \
        switch (dtype) {                                                                           \
        case CNN_FLOAT32:                                                                          \
            fn(CNN_FLOAT32, __VA_ARGS__);                                                          \
            break;                                                                                 \
        case CNN_FLOAT64:                                                                          \
            fn(CNN_FLOAT64, __VA_ARGS__);                                                          \
            break;                                                                                 \
        case CNN_FLOAT16:                                                                          \
            fn(CNN_FLOAT16, __VA_ARGS__);                                                          \
            break;                                                                                 \
        default:                                                                                   \
            fn(CNN_BFLOAT16, __VA_ARGS__);                                                         \
        }                                                                                          \
    } while (0)

/* Element `i` of an integer or bool array; uint64 keeps its bits. */
int64_t int_at(cnn_dtype dtype, const void *data, size_t i);
/* Keeps the low bits; bool becomes x != 0. */
void int_put(cnn_dtype dtype, void *data, size_t i, int64_t x);

#endif
