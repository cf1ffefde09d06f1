/*
 * Reductions, and the normalisation of a row by its own mean and variance.
 *
 * Sums run in chains of at most REDUCE_CHAIN additions, whose results are added: long sums lose
 * little, and the order of additions depends on the number of terms alone.
 */
#include "kernels/simd.h"

#define REDUCE_CHAIN 128

INLINE vec reduce_start(reduction kind) {
    return vec_set(kind == REDUCTION_MAX ? -INFINITY : kind == REDUCTION_MIN ? INFINITY : 0);
}

/* Once either is NaN, so is the maximum. */
INLINE vec reduce_step(vec sum, vec x, reduction kind) {
    switch (kind) {
    case REDUCTION_SUM:
        return sum + x;
    case REDUCTION_SQUARES:
        return vec_fma(x, x, sum);
    case REDUCTION_MAX:
        return vec_select((sum > x) | vec_is_nan(sum), sum, x);
    case REDUCTION_MIN:
        return vec_select((sum < x) | vec_is_nan(sum), sum, x);
    }
    return sum;
}

/* What the steps of two chains have given. */
INLINE vec reduce_join(vec a, vec b, reduction kind) {
    return reduce_step(a, b, kind == REDUCTION_SQUARES ? REDUCTION_SUM : kind);
}

INLINE vec reduce_column(const float *in, size_t pitch, size_t count, size_t part, reduction kind) {
    vec total = reduce_start(kind);
    for (size_t k = 0; k < count;) {
        vec sum = reduce_start(kind);
        for (size_t end = MIN(k + REDUCE_CHAIN, count); k < end; k++) {
            const float *x = in + k * pitch;
            sum = reduce_step(sum, part ? vec_load_part(x, part) : vec_loadu(x), kind);
        }
        total = reduce_join(total, sum, kind);
    }
    return total;
}

INLINE void reduce_columns(const float *in, size_t pitch, size_t count, float *out, size_t width,
                           const reduction kind) {
    size_t i = 0;
    for (; i + SIMD_WIDTH <= width; i += SIMD_WIDTH)
        vec_storeu(out + i, reduce_column(in + i, pitch, count, 0, kind));
    if (i < width)
        vec_store_part(out + i, reduce_column(in + i, pitch, count, width - i, kind), width - i);
}

static void kernel_reduce_columns(const float *in, size_t pitch, size_t count, float *out,
                                  size_t width, reduction kind) {
    switch (kind) {
    case REDUCTION_SUM:
        reduce_columns(in, pitch, count, out, width, REDUCTION_SUM);
        return;
    case REDUCTION_SQUARES:
        reduce_columns(in, pitch, count, out, width, REDUCTION_SQUARES);
        return;
    case REDUCTION_MAX:
        reduce_columns(in, pitch, count, out, width, REDUCTION_MAX);
        return;
    case REDUCTION_MIN:
        reduce_columns(in, pitch, count, out, width, REDUCTION_MIN);
        return;
    }
}

/* The rest behind the last whole vector takes part one by one. */
INLINE float reduce_row(const float *in, size_t count, const reduction kind) {
    size_t vectors = count / SIMD_WIDTH;
    vec total = reduce_column(in, SIMD_WIDTH, vectors, 0, kind);
    UNROLL for (int half = SIMD_WIDTH / 2; half > 0; half /= 2) total =
        reduce_join(total, vec_swap(total, half), kind);
    for (size_t i = vectors * SIMD_WIDTH; i < count; i++)
        total = reduce_step(total, vec_set(in[i]), kind);
    return total[0];
}

static float kernel_reduce_row(const float *in, size_t count, reduction kind) {
    switch (kind) {
    case REDUCTION_SUM:
        return reduce_row(in, count, REDUCTION_SUM);
    case REDUCTION_SQUARES:
        return reduce_row(in, count, REDUCTION_SQUARES);
    case REDUCTION_MAX:
        return reduce_row(in, count, REDUCTION_MAX);
    case REDUCTION_MIN:
        return reduce_row(in, count, REDUCTION_MIN);
    }
    return 0;
}

/* ---- layer normalisation ---- */

static void kernel_layer_norm(const float *in, const float *scale, const float *bias, float *out,
                              size_t count, float epsilon) {
    const vec zero = {0};
    float mean = reduce_row(in, count, REDUCTION_SUM) / (float)count;
    size_t i = 0;
    for (; i + SIMD_WIDTH <= count; i += SIMD_WIDTH)
        vec_storeu(out + i, vec_loadu(in + i) - mean);
    for (; i < count; i++)
        out[i] = in[i] - mean;
    float variance = reduce_row(out, count, REDUCTION_SQUARES) / (float)count;
    float inverse = 1 / sqrtf(variance + epsilon);
    for (i = 0; i + SIMD_WIDTH <= count; i += SIMD_WIDTH)
        vec_storeu(out + i, vec_fma(vec_loadu(out + i) * inverse, vec_loadu(scale + i),
                                    bias ? vec_loadu(bias + i) : zero));
    size_t part = count - i;
    if (part == 0) return;
    vec y = vec_fma(vec_load_part(out + i, part) * inverse, vec_load_part(scale + i, part),
                    bias ? vec_load_part(bias + i, part) : zero);
    vec_store_part(out + i, y, part);
}
