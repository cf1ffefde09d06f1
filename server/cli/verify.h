/* verify.h: the comparison behind `cnnserve verify`, for its test. */
#ifndef CNNSERVE_VERIFY_H
#define CNNSERVE_VERIFY_H

#include <cnn.h>

typedef struct verify_difference {
    size_t count;     /* elements that differ */
    size_t index;     /* of the first */
    double got, want; /* the first, for floats */
} verify_difference;

/*
 * True if |got - want| <= atol + rtol |want| for every element; NaN equals NaN, infinities equal
 * themselves. Other types than floats must be the same.
 */
bool verify_compare(const void *got, const void *want, cnn_dtype dtype, size_t count, double rtol,
                    double atol, verify_difference *out);

#endif
