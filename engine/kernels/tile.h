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

/* Distances of the pixels of a run, from those that addressing modes can form. */
typedef struct tile_distance {
    size_t one, three, five;
} tile_distance;

INLINE tile_distance tile_distance_of(size_t pixel) {
    tile_distance d = {pixel, 3 * pixel, 5 * pixel};
    /* Keeps the compiler from deriving one from the other, and so each pixel's address in turn. */
    __asm__("" : "+r"(d.three), "+r"(d.five));
    return d;
}

/* Distance of pixel i < 14; i is a constant. */
INLINE size_t tile_offset(int i, tile_distance d) {
    size_t seven = i < 7 ? 0 : 7 * d.one;
    switch (i % 7) {
    case 3:
        return seven + d.three;
    case 5:
        return seven + d.five;
    case 6:
        return seven + 2 * d.three;
    default:
        return seven + i % 7 * d.one;
    }
}

/* One step of the reduction for `count` pixels. */
INLINE void tile_step(vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], const vec *w, const float *in,
                      tile_distance d, const int nv, const int count) {
    UNROLL for (int i = 0; i < count; i++) {
        vec x = vec_set(in[tile_offset(i, d)]);
        UNROLL for (int v = 0; v < nv; v++) acc[i][v] += x * w[v];
    }
}

/* `run` steps; returns the weights behind them. */
INLINE const float *tile_run(vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], const float *weights,
                             const float *a, const float *b, size_t run, tile_distance d,
                             const int nv, const int ra, const int rb) {
    for (size_t i = 0; i < run; i++) {
        vec w[TILE_MAX_NB * BLOCK_VECTORS];
        UNROLL for (int v = 0; v < nv; v++) w[v] = vec_load(weights + v * SIMD_WIDTH);
        tile_step(acc, w, a + i, d, nv, ra);
        tile_step(acc + ra, w, b + i, d, nv, rb);
        weights += nv * SIMD_WIDTH;
    }
    return weights;
}

/* The same place of the next tile of the row, a whole tile further. */
INLINE void tile_prefetch(const float *in, tile_distance d, int r, const int count) {
    UNROLL for (int i = 0; i < count; i++) __builtin_prefetch(in + r * d.one + tile_offset(i, d));
}

INLINE void tile_reduce(const tile_panel *p, const tile_place *at,
                        vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], const int nv, const int ra,
                        const int rb) {
    const float *w = p->weights;
    tile_distance d = tile_distance_of(p->in_pixel);
    for (size_t block = 0; block < p->blocks; block++)
        for (size_t row = 0; row < p->rows; row++)
            for (size_t column = 0; column < p->columns; column++) {
                size_t offset =
                    block * p->block_pitch + row * p->row_pitch + column * p->column_pitch;
                const float *a = at->in_a + offset, *b = at->in_b + offset;
                tile_prefetch(a, d, ra + rb, ra);
                tile_prefetch(b, d, ra + rb, rb);
                w = tile_run(acc, w, a, b, p->run, d, nv, ra, rb);
            }
}

/* Bounded results, residual added, of `count` pixels. */
INLINE void tile_finish(const tile_panel *p, vec (*acc)[TILE_MAX_NB * BLOCK_VECTORS], float *out,
                        const float *residual, const int nb, const int count) {
    const vec low = vec_set(p->bounds.low), high = vec_set(p->bounds.high);
    UNROLL for (int i = 0; i < count; i++) UNROLL for (int v = 0; v < nb * BLOCK_VECTORS; v++) {
        int block = v / BLOCK_VECTORS, lane = v % BLOCK_VECTORS * SIMD_WIDTH;
        vec x = acc[i][v];
        if (residual)
            x += vec_loadu(residual + i * p->out_pixel + block * p->residual_block + lane);
        vec_storeu(out + i * p->out_pixel + block * p->out_block + lane, vec_bound(x, low, high));
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
