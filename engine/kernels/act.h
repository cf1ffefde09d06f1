/*
 * Activations. Those that only bound their argument (none, ReLU, clip) cost two instructions and
 * are applied by every kernel to its registers, see act_bounds; the others follow in a second pass
 * over the results that the kernel has just written, while they are in the first-level cache. So no
 * kernel carries eight copies of its epilogue.
 *
 * NaN stays NaN.
 */
#ifndef KERNELS_ACT_H
#define KERNELS_ACT_H

#include "kernels/simd.h"

/* min(max(x, low), high): the whole of a bounding activation, nothing for others. */
typedef struct act_range {
    float low, high;
} act_range;

INLINE act_range act_bounds(act_params act) {
    switch (act.act) {
    case ACT_RELU:
        return (act_range){0, INFINITY};
    case ACT_CLIP:
        return (act_range){act.alpha, act.beta};
    default:
        return (act_range){-INFINITY, INFINITY};
    }
}

INLINE bool act_is_bounds(activation act) {
    return act == ACT_NONE || act == ACT_RELU || act == ACT_CLIP;
}

INLINE vec vec_bound(vec x, vec low, vec high) {
    return vec_min(high, vec_max(low, x));
}

INLINE vec vec_sigmoid(vec x) {
    return 1.0f / (1.0f + vec_exp(-x));
}

/* One vector of activation `kind` (a constant), whose parameters are a and b. */
INLINE vec act_vector(vec x, activation kind, float a, float b) {
    const vec zero = {0}, one = vec_set(1.0f);
    switch (kind) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return vec_max(zero, x);
    case ACT_LEAKY_RELU:
        return vec_select(x < zero, x * a, x);
    case ACT_CLIP:
        return vec_bound(x, vec_set(a), vec_set(b));
    case ACT_SIGMOID:
        return vec_sigmoid(x);
    case ACT_HARD_SIGMOID:
        return vec_bound(x * a + b, zero, one);
    case ACT_HARD_SWISH:
        return x * vec_bound(x * (1.0f / 6) + 0.5f, zero, one);
    case ACT_SILU:
        return x * vec_sigmoid(x);
    }
    return x;
}

INLINE void act_map(const float *in, float *out, size_t count, activation kind, float a, float b) {
    size_t i = 0;
    for (; i + SIMD_WIDTH <= count; i += SIMD_WIDTH)
        vec_storeu(out + i, act_vector(vec_loadu(in + i), kind, a, b));
    if (i < count)
        vec_store_part(out + i, act_vector(vec_load_part(in + i, count - i), kind, a, b),
                       count - i);
}

static void kernel_unary(const float *in, float *out, size_t count, act_params act) {
#define CASE(kind)                                                                                 \
    case kind:                                                                                     \
        act_map(in, out, count, kind, act.alpha, act.beta);                                        \
        return
    switch (act.act) {
        CASE(ACT_NONE);
        CASE(ACT_RELU);
        CASE(ACT_LEAKY_RELU);
        CASE(ACT_CLIP);
        CASE(ACT_SIGMOID);
        CASE(ACT_HARD_SIGMOID);
        CASE(ACT_HARD_SWISH);
        CASE(ACT_SILU);
    }
#undef CASE
}

/* The second pass over `count` results to which act_bounds has been applied. */
INLINE void act_finish(float *out, size_t count, act_params act) {
    if (!act_is_bounds(act.act)) kernel_unary(out, out, count, act);
}

#endif
