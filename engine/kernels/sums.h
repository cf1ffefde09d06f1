/* Sums of the pixels of a row. */
#ifndef KERNELS_SUMS_H
#define KERNELS_SUMS_H

#include "kernels/act.h"

#define SUMS_CHAINS 4

/*
 * Applies the activation to `count` neighbouring pixels; sums[l] becomes the sum of their lane l,
 * always in the same order.
 */
INLINE void pixels_map_sum(float *pixels, int count, const activation kind, act_params act,
                           float *sums) {
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
        vec sum[SUMS_CHAINS] = {{0}};
        float *p = pixels + lane;
        int x = 0;
        for (; x + SUMS_CHAINS <= count; x += SUMS_CHAINS)
            UNROLL for (int i = 0; i < SUMS_CHAINS; i++) {
                vec y = act_vector(vec_load(p + (x + i) * LANES), kind, act.alpha, act.beta);
                if (kind != ACT_NONE) vec_store(p + (x + i) * LANES, y);
                sum[i] += y;
            }
        for (; x < count; x++) {
            vec y = act_vector(vec_load(p + x * LANES), kind, act.alpha, act.beta);
            if (kind != ACT_NONE) vec_store(p + x * LANES, y);
            sum[0] += y;
        }
        vec_store(sums + lane, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
}

static void pixels_sum(const float *pixels, int count, float *sums) {
    pixels_map_sum((float *)pixels, count, ACT_NONE, (act_params){ACT_NONE, 0, 0}, sums);
}

/* act_finish for `count` pixels, and their sums. */
static void pixels_finish(float *pixels, int count, act_params act, float *sums) {
    if (act.act == ACT_SILU) {
        pixels_map_sum(pixels, count, ACT_SILU, act, sums);
    } else if (act.act == ACT_HARD_SWISH) {
        pixels_map_sum(pixels, count, ACT_HARD_SWISH, act, sums);
    } else {
        act_finish(pixels, (size_t)count * LANES, act);
        pixels_sum(pixels, count, sums);
    }
}

#endif
