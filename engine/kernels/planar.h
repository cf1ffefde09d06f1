/* What conv_planar and its planner share: the band of input rows that it copies. */
#ifndef KERNELS_PLANAR_H
#define KERNELS_PLANAR_H

#include "kernels/kernels.h"

/* Larger only if a single row of output needs it. */
#define PLANAR_BAND_FLOATS ((size_t)8 * 1024)

/* What each row of the band has of a channel: what the outputs read, padding included. */
static inline size_t planar_width(const conv_args *a) {
    return (size_t)(a->out.w - 1) * 2 + 3;
}

/* Rows of the band that `rows` rows of output read. */
static inline size_t planar_rows(const conv_args *a, int rows) {
    return (size_t)(rows - 1) * a->stride_h + (size_t)a->kernel_h;
}

/* Scratch memory of a call. */
static inline size_t planar_scratch_floats(const conv_args *a) {
    return MAX(PLANAR_BAND_FLOATS, planar_rows(a, 1) * planar_width(a) * a->in.c);
}

#endif
