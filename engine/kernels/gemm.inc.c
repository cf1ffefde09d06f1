/*
 * Matrix product with the register tile of tile.h: a row of `a` is a pixel, a panel of `packed` is
 * NB blocks of output channels, K is one run.
 *
 * Few rows (a classifier's last layers) are bound by the bandwidth at which the panels arrive. Each
 * panel is one sequential stream that the hardware prefetches.
 *
 * Not here: blocking of K, which only pays when both M and K are large.
 */
#include "kernels/tile.h"

#define GEMM_NB    MIN(TILE_MAX_NB, 2)
#define GEMM_PANEL ((size_t)GEMM_NB * LANES)

static size_t kernel_gemm_panel(void) {
    return GEMM_PANEL;
}

/* Rows [i, i + r) of the panel at column j, to `out` with rows `out_pitch` apart. */
static void gemm_tile(const gemm_args *a, size_t i, int r, size_t j, float *out, size_t out_pitch) {
    static const float zeros[GEMM_PANEL] __attribute__((aligned(CNN_ALIGN)));
    int ra = (r + 1) / 2;
    tile_panel p = {
        .weights = a->packed + j * a->k,
        .bias = a->bias ? a->bias + j : zeros,
        .blocks = 1,
        .rows = 1,
        .columns = 1,
        .run = a->k,
        .in_pixel = a->lda,
        .out_pixel = out_pitch,
        .out_block = LANES,
        .bounds = act_bounds(a->act),
    };
    tile_place at = {
        .in_a = a->a + i * a->lda,
        .in_b = a->a + (i + ra) * a->lda,
        .out_a = out,
        .out_b = out + ra * out_pitch,
    };
    tile_table[GEMM_NB][r](&p, &at);
}

/* The last panel's columns beyond N must not be written: computed aside, then copied. */
static void gemm_tile_part(const gemm_args *a, size_t i, int r, size_t j, size_t columns) {
    float part[TILE_MAX_R * GEMM_PANEL] __attribute__((aligned(CNN_ALIGN)));
    gemm_tile(a, i, r, j, part, GEMM_PANEL);
    for (int row = 0; row < r; row++)
        memcpy(a->out + (i + row) * a->ldo + j, part + row * GEMM_PANEL, columns * sizeof(float));
}

static void kernel_gemm(const gemm_args *a, size_t j0, size_t j1) {
    size_t max_r = tile_max_r[GEMM_NB];
    for (size_t j = j0; j < j1; j += GEMM_PANEL) {
        size_t columns = MIN(GEMM_PANEL, MIN(j1, a->n) - j), tiles = DIV_UP(a->m, max_r);
        for (size_t i = 0; tiles > 0; tiles--) {
            int r = (int)(DIV_UP(a->m - i, tiles));
            if (columns == GEMM_PANEL)
                gemm_tile(a, i, r, j, a->out + i * a->ldo + j, a->ldo);
            else
                gemm_tile_part(a, i, r, j, columns);
            for (int row = 0; row < r; row++)
                act_finish(a->out + (i + row) * a->ldo + j, columns, a->act);
            i += r;
        }
    }
}
