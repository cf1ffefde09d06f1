/*
 * A small vector of floats, as wide as the instruction set that this file is compiled for.
 *
 * GCC and Clang vector extensions give arithmetic. Only what they lack (multiply-add, minimum,
 * rounding, square root) uses intrinsics; elsewhere plain code does the same. Blocks of LANES
 * floats are BLOCK_VECTORS vectors on every machine.
 *
 * Every operation rounds as it is written: compilers must not join a * b + c (-ffp-contract=off),
 * since where they do depends on the code around, and a loop's last elements would differ from the
 * others. Where a joint rounding is wanted, stands vec_fma or vec_fnma. So an element's bits depend
 * on the instruction set alone.
 */
#ifndef KERNELS_SIMD_H
#define KERNELS_SIMD_H

#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#define SIMD_WIDTH     16
#define SIMD_REGISTERS 32
#define SIMD_X86(op)   _mm512_##op
#elif defined(__AVX2__)
#define SIMD_WIDTH     8
#define SIMD_REGISTERS 16
#define SIMD_X86(op)   _mm256_##op
#elif defined(__SSE2__)
#define SIMD_WIDTH     4
#define SIMD_REGISTERS 16
#define SIMD_X86(op)   _mm_##op
#else
#define SIMD_WIDTH     4
#define SIMD_REGISTERS 32
#endif

#ifdef SIMD_X86
#include <immintrin.h>
#elif defined(__ARM_FEATURE_FMA)
#include <arm_neon.h>
#endif

#define BLOCK_VECTORS (LANES / SIMD_WIDTH)

#define INLINE static inline __attribute__((always_inline))
/* Unrolls the loop that follows completely; its bounds are constants once inlined. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef float vec __attribute__((vector_size(SIMD_WIDTH * 4)));
typedef int32_t vec_int __attribute__((vector_size(SIMD_WIDTH * 4)));
/* As they stand in arrays of float. */
typedef vec vec_aligned __attribute__((may_alias));
typedef vec vec_unaligned __attribute__((may_alias, aligned(4)));

/* From memory aligned to the vector: blocks of pixels, packed weights, biases. */
INLINE vec vec_load(const float *p) {
    return *(const vec_aligned *)p;
}

INLINE void vec_store(float *p, vec v) {
    *(vec_aligned *)p = v;
}

INLINE vec vec_loadu(const float *p) {
    return *(const vec_unaligned *)p;
}

INLINE void vec_storeu(float *p, vec v) {
    *(vec_unaligned *)p = v;
}

/* The first `count` < SIMD_WIDTH floats; zeros behind them. */
INLINE vec vec_load_part(const float *p, size_t count) {
    vec v = {0};
    memcpy(&v, p, count * sizeof *p);
    return v;
}

INLINE void vec_store_part(float *p, vec v, size_t count) {
    memcpy(p, &v, count * sizeof *p);
}

INLINE vec vec_set(float x) {
    return x - (vec){0};
}

/* a * b + c, rounded once where the instruction set has that, else twice. */
INLINE vec vec_fma(vec a, vec b, vec c) {
#if defined(SIMD_X86) && defined(__FMA__)
    return SIMD_X86(fmadd_ps)(a, b, c);
#elif defined(__ARM_FEATURE_FMA)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

/* c - a * b, likewise. */
INLINE vec vec_fnma(vec a, vec b, vec c) {
#if defined(SIMD_X86) && defined(__FMA__)
    return SIMD_X86(fnmadd_ps)(a, b, c);
#elif defined(__ARM_FEATURE_FMA)
    return vfmsq_f32(c, a, b);
#else
    return c - a * b;
#endif
}

/* A step of Horner's rule: y * x + c. */
INLINE vec vec_horner(vec y, vec x, float c) {
    return vec_fma(y, x, vec_set(c));
}

/* a where the mask is all ones, b where it is 0. */
INLINE vec vec_select(vec_int mask, vec a, vec b) {
    return (vec)((mask & (vec_int)a) | (~mask & (vec_int)b));
}

/* All ones where v is NaN. */
INLINE vec_int vec_is_nan(vec v) {
    return ((vec_int)v & 0x7fffffff) > 0x7f800000;
}

/* a > b ? a : b, hence b if either is NaN. */
INLINE vec vec_max(vec a, vec b) {
#ifdef SIMD_X86
    return SIMD_X86(max_ps)(a, b);
#else
    return vec_select(a > b, a, b);
#endif
}

/* a < b ? a : b, hence b if either is NaN. */
INLINE vec vec_min(vec a, vec b) {
#ifdef SIMD_X86
    return SIMD_X86(min_ps)(a, b);
#else
    return vec_select(a < b, a, b);
#endif
}

INLINE vec vec_abs(vec v) {
    return (vec)((vec_int)v & INT32_MAX);
}

INLINE vec vec_sqrt(vec v) {
#ifdef SIMD_X86
    return SIMD_X86(sqrt_ps)(v);
#else
    for (int i = 0; i < SIMD_WIDTH; i++)
        v[i] = sqrtf(v[i]);
    return v;
#endif
}

/* Lane l becomes lane index[l] of v. */
INLINE vec vec_permute(vec v, vec_int index) {
#if defined(__AVX512F__)
    return _mm512_permutexvar_ps((__m512i)index, v);
#elif defined(__AVX2__)
    return _mm256_permutevar8x32_ps(v, (__m256i)index);
#else
    return (vec){v[index[0]], v[index[1]], v[index[2]], v[index[3]]};
#endif
}

/* Lane l trades places with lane l ^ half, a constant. */
INLINE vec vec_swap(vec v, const int half) {
    vec_int index;
    UNROLL for (int i = 0; i < SIMD_WIDTH; i++) index[i] = i ^ half;
    return vec_permute(v, index);
}

/* Lanes added pairwise: the same tree for every call. */
INLINE float vec_sum(vec v) {
    UNROLL for (int half = SIMD_WIDTH / 2; half > 0; half /= 2) v += vec_swap(v, half);
    return v[0];
}

/* The largest lane; NaN lanes count as -infinity. */
INLINE float vec_reduce_max(vec v) {
    float max = -INFINITY;
    for (int i = 0; i < SIMD_WIDTH; i++)
        if (v[i] > max) max = v[i];
    return max;
}

/* The nearest integer, ties to even, of |v| < 2^22; NaN stays. */
INLINE vec vec_round(vec v) {
#if defined(__AVX512F__)
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    const float shifter = 0x1.8p23f;
    return (v + shifter) - shifter;
#endif
}

/* v 2^n for integers n of -200 to 200. Two factors where there is no instruction, because 2^n may
 * itself leave the range. */
INLINE vec vec_scale(vec v, vec n) {
#if defined(__AVX512F__)
    return _mm512_scalef_ps(v, n);
#else
    vec_int bits = (vec_int)(n + 0x1.8p23f) - (vec_int)vec_set(0x1.8p23f), half = bits >> 1;
    return v * (vec)((half + 127) << 23) * (vec)((bits - half + 127) << 23);
#endif
}

/*
 * e^x to 2 ulp: overflows to infinity, underflows through the denormals to 0, keeps NaN.
 *
 * Range reduction of Cody and Waite (Software Manual for the Elementary Functions, 1980):
 *
 *   x = n * ln(2) + r
 *
 * with ln(2) in two parts, the first short enough that n times it is exact. On |r| <= ln(2) / 2 a
 * polynomial of degree 6 that interpolates (e^r - 1 - r) / r^2 in Chebyshev nodes; its error is
 * below 2^-26.
 */
INLINE vec vec_exp(vec x) {
    x = vec_max(vec_set(-110.0f), x);
    x = vec_min(vec_set(100.0f), x);
    vec n = vec_round(x * 1.44269502f);
    vec r = vec_fnma(n, vec_set(0.693145752f), x);
    r = vec_fnma(n, vec_set(1.42860677e-6f), r);
    vec q = vec_horner(vec_set(0.00139269268f), r, 0.00836377405f);
    q = vec_horner(q, r, 0.0416665487f);
    q = vec_horner(q, r, 0.166665733f);
    q = vec_horner(q, r, 0.5f);
    vec y = vec_fma(q, r * r, r) + 1.0f;
    return vec_scale(y, n);
}

/* (ln(1 + f) - f + f^2 / 2) / f^2, of degree 8 in f and 0 at 0; see vec_log. */
INLINE vec vec_log_rest(vec f) {
    vec q = vec_horner(vec_set(0.0697161183f), f, -0.114797339f);
    q = vec_horner(q, f, 0.116854198f);
    q = vec_horner(q, f, -0.124256872f);
    q = vec_horner(q, f, 0.142490581f);
    q = vec_horner(q, f, -0.166678026f);
    q = vec_horner(q, f, 0.200007156f);
    q = vec_horner(q, f, -0.24999997f);
    q = vec_horner(q, f, 0.333333313f);
    return f * q;
}

/*
 * Natural logarithm of positive, finite, normal x to 2 ulp.
 *
 * x = m 2^e with m in [sqrt(1/2), sqrt(2)); log(1 + f) = f - f^2 / 2 + f^3 q(f), where q of degree
 * 8 interpolates in Chebyshev nodes (error below 2^-27). As in Cephes (Moshier), but own
 * coefficients.
 */
INLINE vec vec_log(vec x) {
    vec_int bits = (vec_int)x - 0x3f3504f3; /* sqrt(1/2) */
    vec_int exponent = bits >> 23;
    vec f = (vec)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
    vec e = __builtin_convertvector(exponent, vec);
    vec square = f * f;
    vec tail = vec_fma(square, vec_log_rest(f), e * 1.42860677e-6f);
    tail = vec_fnma(square, vec_set(0.5f), tail);
    return vec_fma(e, vec_set(0.693145752f), f + tail);
}

#endif
