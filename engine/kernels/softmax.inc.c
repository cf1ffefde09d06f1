/*
 * Softmax of one row. The maximum is subtracted first, so that no exponential overflows and at
 * least one is 1; the sum runs in SIMD_WIDTH chains that are added pairwise.
 */
#include "kernels/simd.h"

static float softmax_max(const float *in, size_t count) {
    vec max = vec_set(-INFINITY);
    size_t i = 0;
    for (; i + SIMD_WIDTH <= count; i += SIMD_WIDTH)
        max = vec_max(vec_loadu(in + i), max);
    float result = vec_reduce_max(max);
    for (; i < count; i++)
        if (in[i] > result) result = in[i];
    return result;
}

/* Sum of e^(in - max); the exponentials go to `out` unless it is NULL. */
INLINE float softmax_sum(const float *in, float *out, size_t count, float max) {
    vec sum = {0};
    size_t i = 0;
    for (; i + SIMD_WIDTH <= count; i += SIMD_WIDTH) {
        vec e = vec_exp(vec_loadu(in + i) - max);
        if (out) vec_storeu(out + i, e);
        sum += e;
    }
    float rest[SIMD_WIDTH] = {0};
    vec e = vec_exp(vec_load_part(in + i, count - i) - max);
    vec_store_part(rest, e, count - i);
    if (out) vec_store_part(out + i, e, count - i);
    return vec_sum(sum + vec_loadu(rest));
}

static void softmax_divide(float *out, size_t count, float sum) {
    size_t i = 0;
    for (; i + SIMD_WIDTH <= count; i += SIMD_WIDTH)
        vec_storeu(out + i, vec_loadu(out + i) / sum);
    vec_store_part(out + i, vec_load_part(out + i, count - i) / sum, count - i);
}

static void softmax_subtract(const float *in, float *out, size_t count, float max, float log_sum) {
    size_t i = 0;
    for (; i + SIMD_WIDTH <= count; i += SIMD_WIDTH)
        vec_storeu(out + i, vec_loadu(in + i) - max - log_sum);
    vec_store_part(out + i, vec_load_part(in + i, count - i) - max - log_sum, count - i);
}

static void kernel_softmax(const float *in, float *out, size_t count, bool log) {
    float max = softmax_max(in, count);
    if (log) {
        float sum = softmax_sum(in, NULL, count, max);
        softmax_subtract(in, out, count, max, vec_log(vec_set(sum))[0]);
    } else {
        float sum = softmax_sum(in, out, count, max);
        softmax_divide(out, count, sum);
    }
}
