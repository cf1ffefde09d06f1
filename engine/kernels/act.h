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

/*
 * x times the normal distribution function at x (Hendrycks and Gimpel 2016).
 *
 * With z = |x| / sqrt(2), erfc(z) e^(z^2) is a polynomial of degree 10 in t = 1 / (1 + 0.45 z) that
 * is fitted to it for z in [0, 10]; its relative error is below 2^-26. Both tails are so as exact
 * as the exponential. What z^2 loses by rounding, `low`, is put back.
 */
INLINE vec vec_gelu(vec x) {
    vec z = vec_min(vec_set(20.0f), vec_select(x < 0, -x, x)), square = z * z;
    vec low = z * z - square;
    vec t = 1.0f / (1.0f + z * (0.45f * 0.707106781f));
    vec r = t * -0.0336914595f + 0.149661868f;
    r = r * t - 0.206586842f;
    r = r * t + 0.021269964f;
    r = r * t + 0.0740500156f;
    r = r * t + 0.0709952044f;
    r = r * t + 0.191051232f;
    r = r * t + 0.22515791f;
    r = r * t + 0.254222312f;
    r = r * t + 0.253869783f;
    vec exponential = vec_exp(square * -0.5f);
    vec tail = 0.5f * t * r * (exponential - exponential * (low * 0.5f));
    return x * vec_select(x < 0, tail, 1.0f - tail);
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
        return x / (1.0f + vec_exp(-x));
    case ACT_GELU:
        return vec_gelu(x);
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
        CASE(ACT_GELU);
    }
#undef CASE
}

/* The second pass over `count` results to which act_bounds has been applied. */
INLINE void act_finish(float *out, size_t count, act_params act) {
    if (!act_is_bounds(act.act)) kernel_unary(out, out, count, act);
}

#endif
