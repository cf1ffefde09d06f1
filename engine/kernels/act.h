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

/* vec_horner for `count` polynomials. */
INLINE void vec_horner_each(vec *y, const vec *x, float c, const int count) {
    UNROLL for (int i = 0; i < count; i++) y[i] = vec_horner(y[i], x[i], c);
}

/* Vectors that vec_gelu is given: its chain of multiply-adds alone leaves the units half idle. */
#define GELU_VECTORS 8

/*
 * x times the normal distribution function at x (Hendrycks and Gimpel 2016), of `count` vectors.
 *
 *   gelu(x) = max(x, 0) - |x| tail(|x|),  tail(z) = erfc(z / sqrt(2)) / 2 = 2^(z q(z)) / 2
 *
 * with q of degree 11 fitted to the logarithm for z in [0, 9], such that the tail's relative error
 * is below 1e-7, and 4e-8 more for each power of two in the tail. Further out z q(z) keeps falling.
 * 2^f / 2 for the fraction f is a polynomial of degree 5 with a relative error below 1e-7. Rounding
 * comes on top: 1e-6 of the result at -3, 4e-6 at -6.
 */
INLINE void vec_gelu(vec *x, const int count) {
    const vec most = vec_set(14.0f), zero = {0};
    vec size[GELU_VECTORS], z[GELU_VECTORS], q[GELU_VECTORS], n[GELU_VECTORS];
    UNROLL for (int i = 0; i < count; i++) {
        size[i] = vec_abs(vec_min(most, x[i])); /* not limited below: -infinity becomes NaN */
        z[i] = vec_min(most, size[i]);
        q[i] = vec_horner(vec_set(-6.72619807e-11f), z[i], 3.81706711e-09f);
    }
    vec_horner_each(q, z, -9.58835926e-08f, count);
    vec_horner_each(q, z, 1.40002771e-06f, count);
    vec_horner_each(q, z, -1.30383805e-05f, count);
    vec_horner_each(q, z, 7.83337528e-05f, count);
    vec_horner_each(q, z, -0.000265713665f, count);
    vec_horner_each(q, z, -5.6762794e-05f, count);
    vec_horner_each(q, z, 0.00704009365f, count);
    vec_horner_each(q, z, -0.0525154471f, count);
    vec_horner_each(q, z, -0.459194481f, count);
    vec_horner_each(q, z, -1.15110719f, count);
    UNROLL for (int i = 0; i < count; i++) {
        vec power = q[i] * z[i];
        n[i] = vec_round(power);
        z[i] = power - n[i];
        q[i] = vec_horner(vec_set(0.000663478568f), z[i], 0.00483564707f);
    }
    vec_horner_each(q, z, 0.0277535543f, count);
    vec_horner_each(q, z, 0.120111234f, count);
    vec_horner_each(q, z, 0.346573502f, count);
    vec_horner_each(q, z, 0.5f, count);
    UNROLL for (int i = 0; i < count; i++) {
        x[i] = vec_fnma(size[i], vec_scale(q[i], n[i]), vec_max(zero, x[i]));
    }
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
        return vec_bound(vec_fma(x, vec_set(a), vec_set(b)), zero, one);
    case ACT_HARD_SWISH:
        return x * vec_bound(vec_horner(x, vec_set(1.0f / 6), 0.5f), zero, one);
    case ACT_SILU:
        return x / (1.0f + vec_exp(-x));
    case ACT_GELU:
        vec_gelu(&x, 1);
        return x;
    }
    return x;
}

/* As many whole groups of GELU_VECTORS vectors as there are; returns their floats. */
INLINE size_t act_map_gelu(const float *in, float *out, size_t count) {
    const size_t step = GELU_VECTORS * SIMD_WIDTH;
    size_t i = 0;
    for (; i + step <= count; i += step) {
        vec x[GELU_VECTORS];
        UNROLL for (int v = 0; v < GELU_VECTORS; v++) x[v] = vec_loadu(in + i + v * SIMD_WIDTH);
        vec_gelu(x, GELU_VECTORS);
        UNROLL for (int v = 0; v < GELU_VECTORS; v++) vec_storeu(out + i + v * SIMD_WIDTH, x[v]);
    }
    return i;
}

INLINE void act_map(const float *in, float *out, size_t count, activation kind, float a, float b) {
    size_t i = kind == ACT_GELU ? act_map_gelu(in, out, count) : 0;
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
