/*
 * Fits of one window, each lane by itself: the Gamma and the Weibull distribution under which its
 * numbers are most likely (docs/pooling.md), and the Lp norm of any p. They read the window several
 * times. Both distributions count numbers in [POOL_LEAST, infinity) and give 0 where there is none.
 *
 * Everything is float32. What would lose its digits in differences of nearly equal numbers is put
 * together from small terms instead: x / mean - 1 takes the place of x, and d - ln(1 + d) is a sum
 * of its own. Shape and scale are within 1e-5 of the solution in real numbers, relative, for
 * numbers between 1e-5 and 1e5; tests/kernels holds them to that. Farther out ln x has fewer digits
 * left.
 */
#ifndef KERNELS_POOL_FIT_H
#define KERNELS_POOL_FIT_H

#include "kernels/pool.h"

/* Count, mean, and of x / mean the logarithm's mean. */
typedef struct pool_sample {
    vec count, mean, log_mean;
    vec gap;      /* ln(mean of x) - mean of ln x */
    vec mean_log; /* ln(mean) */
} pool_sample;

INLINE vec_int pool_in_sample(vec x) {
    return (x >= POOL_LEAST) & (x < INFINITY);
}

/* d - ln(1 + d) with d = x / mean - 1: to 4 ulp where that is small. */
INLINE vec pool_excess(vec x, const pool_sample *t, vec *d) {
    *d = (x - t->mean) / t->mean;
    vec square = *d * *d;
    vec near = square * (0.5f - vec_log_rest(*d)), far = *d - (vec_log(x) - t->mean_log);
    return vec_select((*d > -0.29f) & (*d < 0.41f), near, far);
}

INLINE pool_sample pool_take_sample(const pool_window *w) {
    const vec zero = {0}, one = vec_set(1);
    pool_sample t = {.count = zero};
    vec sum = zero, excesses = zero, rest = zero;
    FOR_EACH_TAP(w) {
        vec x = vec_load(pool_tap(w, ky, kx));
        vec_int in = pool_in_sample(x);
        t.count += vec_select(in, one, zero);
        sum += vec_select(in, x, zero);
    }
    vec count = vec_max(t.count, one);
    t.mean = vec_select(t.count > 0, sum / count, one);
    t.mean_log = vec_log(t.mean);
    FOR_EACH_TAP(w) {
        vec x = vec_load(pool_tap(w, ky, kx)), d;
        vec_int in = pool_in_sample(x);
        vec excess = pool_excess(vec_select(in, x, t.mean), &t, &d);
        excesses += excess;
        rest += d;
    }
    rest /= count; /* by how much the mean is rounded */
    t.log_mean = rest - excesses / count;
    t.gap = excesses / count - rest * rest * 0.5f;
    return t;
}

/* ---- gamma ---- */

/* ln k - psi(k), and k^2 psi'(k) - k: recurrences below 6, the asymptotic series from there. */
INLINE void pool_digamma(vec k, vec *gap, vec *slope) {
    const vec zero = {0};
    vec first = zero, second = zero;
    UNROLL for (int i = 0; i < 6; i++) {
        vec u = 1.0f / (k + (float)i);
        first += u;
        second = vec_fma(u, u, second);
    }
    vec_int small = k < 6;
    vec z = vec_select(small, k + 6, k), u = 1.0f / (z * z);
    vec near = vec_log(k / z) + first;
    vec rest = vec_horner(vec_set(1.0f / 252), u, -1.0f / 120);
    rest = vec_horner(rest, u, 1.0f / 12);
    *gap = vec_fma(u, rest, vec_select(small, near, zero) + 0.5f / z);
    near = k * vec_fma(k, second + 1.0f / z, vec_set(-1.0f));
    rest = vec_horner(vec_set(1.0f / 42), u, -1.0f / 30);
    rest = vec_horner(rest, u, 1.0f / 6);
    *slope = vec_fma(k * k * u, 0.5f + rest / z, vec_select(small, near, zero));
}

/* Minka 2002, as the operator's eval; three steps are enough for float32. */
INLINE vec pool_fit_gamma(const pool_window *w, vec *scale) {
    const vec zero = {0};
    pool_sample t = pool_take_sample(w);
    vec s = vec_max(vec_set(0.5f / POOL_MAX_SHAPE), t.gap), gap, slope;
    vec k = (3 - s + vec_sqrt(vec_fma(s - 3, s - 3, 24 * s))) / (12 * s);
    for (int i = 0; i < 3; i++) {
        pool_digamma(k, &gap, &slope);
        k = 1.0f / (1.0f / k - (gap - s) / slope);
    }
    k = vec_min(k, vec_set(POOL_MAX_SHAPE));
    *scale = vec_select(t.count > 0, t.mean / k, zero);
    return vec_select(t.count > 0, k, zero);
}

/* ---- Weibull ---- */

#define WEIBULL_STEPS  30           /* at most */
#define WEIBULL_SPREAD 1.282549830f /* pi / sqrt(6): deviation of ln x where k = 1 */

/* ln(x / mean) - log_mean, 0 outside of the sample. */
INLINE vec pool_centred_log(vec x, vec_int in, const pool_sample *t) {
    vec d, excess = pool_excess(vec_select(in, x, t->mean), t, &d);
    return vec_select(in, d - excess - t->log_mean, (vec){0});
}

/* Means over the window: of weights e^(k (y - most)), and of y and y^2 so weighted. */
typedef struct pool_tilt {
    vec weight, first, second;
} pool_tilt;

INLINE pool_tilt pool_take_tilt(const pool_window *w, const pool_sample *t, vec k, vec most) {
    const vec zero = {0};
    pool_tilt sum = {zero, zero, zero};
    FOR_EACH_TAP(w) {
        vec x = vec_load(pool_tap(w, ky, kx));
        vec_int in = pool_in_sample(x);
        vec y = pool_centred_log(x, in, t);
        vec weight = vec_select(in, vec_exp(k * (y - most)), zero);
        sum.weight += weight;
        sum.first = vec_fma(weight, y, sum.first);
        sum.second = vec_fma(weight * y, y, sum.second);
    }
    return (pool_tilt){sum.weight / t->count, sum.first / sum.weight, sum.second / sum.weight};
}

/* Of y = pool_centred_log: the standard deviation and the maximum. */
INLINE vec pool_take_spread(const pool_window *w, const pool_sample *t, vec *most) {
    const vec lowest = vec_set(-INFINITY);
    vec squares = {0};
    *most = lowest;
    FOR_EACH_TAP(w) {
        vec x = vec_load(pool_tap(w, ky, kx));
        vec_int in = pool_in_sample(x);
        vec y = pool_centred_log(x, in, t);
        squares = vec_fma(y, y, squares);
        *most = vec_max(vec_select(in, y, lowest), *most);
    }
    return vec_sqrt(squares / t->count);
}

/* Newton's iteration in ln k. Lanes go on until all have come to rest. */
INLINE vec pool_fit_weibull(const pool_window *w, vec *scale) {
    const vec zero = {0}, cap = vec_set(POOL_MAX_SHAPE);
    pool_sample t = pool_take_sample(w);
    vec most, spread = pool_take_spread(w, &t, &most), step = vec_set(1);
    vec k = vec_min(WEIBULL_SPREAD / spread, cap);
    pool_tilt a = pool_take_tilt(w, &t, k, most);
    for (int i = 0; i < WEIBULL_STEPS && vec_reduce_max(vec_abs(step)) > 1e-5f; i++) {
        vec variance = vec_max(vec_fnma(a.first, a.first, a.second), zero);
        step = vec_fnma(k, a.first, vec_set(1)) / vec_fma(k * k, variance, k * a.first);
        step = vec_min(vec_max(step, vec_set(-1)), vec_set(1));
        vec next = vec_min(k * vec_exp(step), cap);
        step = vec_select((next != k) & (t.count > 0), step, zero);
        k = next;
        a = pool_take_tilt(w, &t, k, most);
    }
    vec size = t.mean * vec_exp(t.log_mean + most + vec_log(a.weight) / k);
    *scale = vec_select(t.count > 0, size, zero);
    return vec_select(t.count > 0, k, zero);
}

/* ---- Lp norm ---- */

/* Taken in units of the largest number, so that no power overflows. */
INLINE vec pool_fit_norm(const pool_window *w, float p) {
    const vec zero = {0};
    vec most = zero, sum = zero;
    FOR_EACH_TAP(w)
    most = vec_max(vec_abs(vec_load(pool_tap(w, ky, kx))), most);
    vec unit = vec_select(most > 0, most, vec_set(1));
    FOR_EACH_TAP(w) {
        vec r = vec_abs(vec_load(pool_tap(w, ky, kx))) / unit;
        sum += vec_select(r >= POOL_LEAST, vec_exp(vec_log(r) * p), r * 0.0f); /* NaN stays */
    }
    vec norm = most * vec_exp(vec_log(vec_max(sum, vec_set(1))) / p) + sum * 0.0f;
    return vec_select(most < INFINITY, norm, most);
}

#endif
