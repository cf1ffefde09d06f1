/*
 * The register tile, heart of convolution and matrix product.
 *
 * A tile is R pixels by NB blocks of output channels. Its accumulators stay in registers during the
 * whole reduction: each step loads one row of the weight panel (NB * 16 floats), and for each pixel
 * broadcasts one input float and does an FMA per vector. So each output element is the chain
 * bias, + in[0] * w[0], + in[1] * w[1], ... whatever R, NB and the position in the tile.
 *
 * The pixels form two runs with constant distance: ceil(R / 2) pixels from in_a, the others from
 * in_b. The second run either continues the first or lies in the next row (narrow maps). With at
 * most 7 pixels per run their addresses are base + {0, 1, 2, 3, 4, 5, 6} * distance, for which x86
 * addressing needs three registers (distance, 3 * distance, 5 * distance); so one piece of code
 * serves every stride and layout at full speed.
 *
 * One function per (NB, R) comes from a single inlined body with constant arguments. Their numbers
 * are limited by the registers: R * V accumulators, V weights and a broadcast, where V = NB *
 * BLOCK_VECTORS.
 */
#ifndef KERNELS_TILE_H
#define KERNELS_TILE_H

#include "kernels/act.h"

/* X(NB, R) for every tile of this instruction set, NB from 1 and R from 1 without gaps. */
/* clang-format off */
#define TILES_TO_2(X, nb)  X(nb, 1) X(nb, 2)
#define TILES_TO_3(X, nb)  TILES_TO_2(X, nb) X(nb, 3)
#define TILES_TO_6(X, nb)  TILES_TO_3(X, nb) X(nb, 4) X(nb, 5) X(nb, 6)
#define TILES_TO_9(X, nb)  TILES_TO_6(X, nb) X(nb, 7) X(nb, 8) X(nb, 9)
#define TILES_TO_14(X, nb) TILES_TO_9(X, nb) X(nb, 10) X(nb, 11) X(nb, 12) X(nb, 13) X(nb, 14)
#define TILES_TO_28(X, nb) TILES_TO_14(X, nb)                                                      \
    X(nb, 15) X(nb, 16) X(nb, 17) X(nb, 18) X(nb, 19) X(nb, 20) X(nb, 21)                          \
    X(nb, 22) X(nb, 23) X(nb, 24) X(nb, 25) X(nb, 26) X(nb, 27) X(nb, 28)

#if SIMD_WIDTH == 16
#define TILE_LIST(X) TILES_TO_28(X, 1) TILES_TO_14(X, 2) TILES_TO_9(X, 3) TILES_TO_6(X, 4)
enum { TILE_MAX_NB = 4, TILE_MAX_R = 28 };
static const int tile_max_r[TILE_MAX_NB + 1] = {0, 28, 14, 9, 6};
#elif SIMD_WIDTH == 8 || SIMD_REGISTERS == 32
#define TILE_LIST(X) TILES_TO_6(X, 1) TILES_TO_3(X, 2)
enum { TILE_MAX_NB = 2, TILE_MAX_R = 6 };
static const int tile_max_r[TILE_MAX_NB + 1] = {0, 6, 3};
#else
#define TILE_LIST(X) TILES_TO_2(X, 1)
enum { TILE_MAX_NB = 1, TILE_MAX_R = 2 };
static const int tile_max_r[TILE_MAX_NB + 1] = {0, 2};
#endif
/* clang-format on */

/* What all tiles of a panel share. Distances are in floats. */
typedef struct tile_panel {
    const float *weights; /* [steps of the reduction][NB * 16] */
    const float *bias;    /* NB * 16 */
    /* The reduction of a pixel visits blocks x rows x columns runs of `run` consecutive floats. */
    size_t blocks, rows, columns, run;
    size_t last_run; /* instead of `run` in the last block */
    size_t block_pitch, row_pitch, column_pitch;
    size_t in_pixel;             /* between the inputs of neighbouring pixels */
    size_t out_pixel, out_block; /* between neighbouring pixels and blocks of the output */
    size_t residual_block;
    act_range bounds;
} tile_panel;

/* The two runs of pixels. residual_a NULL: no residual. */
typedef struct tile_place {
    const float *in_a, *in_b;
    float *out_a, *out_b;
    const float *residual_a, *residual_b;
} tile_place;

typedef void tile_fn(const tile_panel *p, const tile_place *at);

/* Bytes between the pixels of a run: those distances that addressing modes cannot form. */
typedef struct tile_distance {
    ptrdiff_t one, three, five;
} tile_distance;

/* Hides where `x` comes from, so that the compiler does not give each pixel a pointer of its own.
 */
#define TILE_OPAQUE(x) __asm__("" : "+r"(x))

INLINE tile_distance tile_distance_of(size_t pixel) {
    ptrdiff_t bytes = (ptrdiff_t)(pixel * sizeof(float));
    tile_distance d = {bytes, 3 * bytes, 5 * bytes};
    TILE_OPAQUE(d.three);
    TILE_OPAQUE(d.five);
    return d;
}

/* Pixel i < 7 of those at `in`; i is a constant. */
INLINE const float *tile_pixel(const char *in, const int i, tile_distance d) {
    const ptrdiff_t offsets[] = {0, d.one, 2 * d.one, d.three, 4 * d.one, d.five, 2 * d.three};
    return (const float *)(const void *)(in + offsets[i]);
}

/* The pixels of both runs, seven by seven: run a, its rest, run b, its rest. */
typedef struct tile_inputs {
    const char *base[4];
} tile_inputs;

INLINE tile_inputs tile_inputs_at(const float *a, const float *b, tile_distance d) {
    tile_inputs in = {{(const char *)a, (const char *)a + 7 * d.one, (const char *)b,
                       (const char *)b + 7 * d.one}};
    return in;
}

/* To the next step of the reduction. */
INLINE void tile_advance(tile_inputs *in, const int ra, const int rb) {
    UNROLL for (int i = 0; i < 4; i++) {
        if ((i < 2 ? ra : rb) <= i % 2 * 7) continue;
        in->base[i] += sizeof(float);
        TILE_OPAQUE(in->base[i]);
    }
}

/* One step of the reduction for the `count` pixels of a run. */
INLINE void tile_step(vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], const vec *w, const char *const *in,
                      tile_distance d, const int nv, const int count) {
    UNROLL for (int i = 0; i < count; i++) {
        vec x = vec_set(*tile_pixel(in[i / 7], i % 7, d));
        UNROLL for (int v = 0; v < nv; v++) acc[i][v] = vec_fma(x, w[v], acc[i][v]);
    }
}

/* Wide panels of a long reduction come from beyond the second-level cache, faster if asked for
 * early (measured: 1.4 times for 8 rows by 4096 x 4096; elsewhere no difference). */
#define TILE_WEIGHTS_AHEAD 1024

INLINE void tile_prefetch_weights(const float *weights, const int nv) {
    if (SIMD_WIDTH < 16 || nv < 2) return;
    UNROLL for (int v = 0; v < nv; v++) {
        __builtin_prefetch(weights + TILE_WEIGHTS_AHEAD + v * SIMD_WIDTH);
    }
}

/* `run` steps; returns the weights behind them. */
INLINE const float *tile_run(vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], const float *weights,
                             tile_inputs in, size_t run, tile_distance d, const int nv,
                             const int ra, const int rb) {
    for (size_t i = 0; i < run; i++) {
        vec w[TILE_MAX_NB * BLOCK_VECTORS];
        tile_prefetch_weights(weights, nv);
        UNROLL for (int v = 0; v < nv; v++) w[v] = vec_load(weights + v * SIMD_WIDTH);
        tile_step(acc, w, in.base, d, nv, ra);
        tile_step(acc + ra, w, in.base + 2, d, nv, rb);
        tile_advance(&in, ra, rb);
        weights += nv * SIMD_WIDTH;
    }
    return weights;
}

/* The same place of the next tile of the row, `r` pixels further. */
INLINE void tile_prefetch(tile_inputs in, tile_distance d, const int r, const int ra,
                          const int rb) {
    UNROLL for (int i = 0; i < ra; i++)
        __builtin_prefetch(tile_pixel(in.base[i / 7] + r * d.one, i % 7, d));
    UNROLL for (int i = 0; i < rb; i++)
        __builtin_prefetch(tile_pixel(in.base[2 + i / 7] + r * d.one, i % 7, d));
}

INLINE void tile_reduce(const tile_panel *p, const tile_place *at,
                        vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], const int nv, const int ra,
                        const int rb) {
    const float *w = p->weights;
    tile_distance d = tile_distance_of(p->in_pixel);
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t run = block + 1 < p->blocks ? p->run : p->last_run;
        for (size_t row = 0; row < p->rows; row++)
            for (size_t column = 0; column < p->columns; column++) {
                size_t offset =
                    block * p->block_pitch + row * p->row_pitch + column * p->column_pitch;
                tile_inputs in = tile_inputs_at(at->in_a + offset, at->in_b + offset, d);
                tile_prefetch(in, d, ra + rb, ra, rb);
                w = tile_run(acc, w, in, run, d, nv, ra, rb);
            }
    }
}

/* Bounded results, residual added, of `count` pixels. `residual` may be `out`. */
INLINE void tile_finish(const tile_panel *p, vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], float *out,
                        const float *residual, const int nb, const int count) {
    const vec low = vec_set(p->bounds.low), high = vec_set(p->bounds.high);
    const size_t pixel = p->out_pixel, out_block = p->out_block;
    const size_t residual_block = p->residual_block;
    UNROLL for (int i = 0; i < count; i++) {
        UNROLL for (int v = 0; v < nb * BLOCK_VECTORS; v++) {
            int block = v / BLOCK_VECTORS, lane = v % BLOCK_VECTORS * SIMD_WIDTH;
            vec x = acc[i][v];
            if (residual) x += vec_loadu(residual + i * pixel + block * residual_block + lane);
            vec_storeu(out + i * pixel + block * out_block + lane, vec_bound(x, low, high));
        }
    }
}

INLINE void tile_prefetch_out(const tile_panel *p, const float *out, const float *residual,
                              const int nb, const int count) {
    for (int block = 0; block < nb; block++)
        for (int i = 0; i < count; i++) {
            __builtin_prefetch(out + i * p->out_pixel + block * p->out_block, 1);
            if (residual)
                __builtin_prefetch(residual + i * p->out_pixel + block * p->residual_block);
        }
}

INLINE void tile_body(const tile_panel *p, const tile_place *at, const int nb, const int r) {
    const int nv = nb * BLOCK_VECTORS, ra = (r + 1) / 2, rb = r / 2;
    vec acc[TILE_MAX_R][TILE_MAX_NB * BLOCK_VECTORS];
    tile_prefetch_out(p, at->out_a, at->residual_a, nb, ra);
    tile_prefetch_out(p, at->out_b, at->residual_b, nb, rb);
    UNROLL for (int i = 0; i < r; i++) UNROLL for (int v = 0; v < nv; v++) acc[i][v] =
        vec_load(p->bias + v * SIMD_WIDTH);
    tile_reduce(p, at, acc, nv, ra, rb);
    tile_finish(p, acc, at->out_a, at->residual_a, nb, ra);
    tile_finish(p, acc + ra, at->out_b, at->residual_b, nb, rb);
}

#define TILE_DEFINE(nb, r)                                                                         \
    static void tile_##nb##_##r(const tile_panel *p, const tile_place *at) {                       \
        tile_body(p, at, nb, r);                                                                   \
    }
TILE_LIST(TILE_DEFINE)
#undef TILE_DEFINE

#define TILE_ENTRY(nb, r) [nb][r] = tile_##nb##_##r,
static tile_fn *const tile_table[TILE_MAX_NB + 1][TILE_MAX_R + 1] = {TILE_LIST(TILE_ENTRY)};
#undef TILE_ENTRY

#endif
