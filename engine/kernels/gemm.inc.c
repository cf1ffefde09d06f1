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

/* Rows of `a` that stay in the second-level cache from panel to panel. */
#define GEMM_CACHED_BYTES (256 * 1024)
#define GEMM_NB           MIN(TILE_MAX_NB, 2)
#define GEMM_PANEL        ((size_t)GEMM_NB * LANES)

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
        .last_run = a->k,
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

/* Rows [i0, i1) of columns [j0, j1). */
static void gemm_rows(const gemm_args *a, size_t i0, size_t i1, size_t j0, size_t j1) {
    size_t max_r = tile_max_r[GEMM_NB];
    for (size_t j = j0; j < j1; j += GEMM_PANEL) {
        size_t columns = MIN(GEMM_PANEL, j1 - j), tiles = DIV_UP(i1 - i0, max_r);
        for (size_t i = i0; tiles > 0; tiles--) {
            int r = (int)(DIV_UP(i1 - i, tiles));
            if (columns == GEMM_PANEL)
                gemm_tile(a, i, r, j, a->out + i * a->ldo + j, a->ldo);
            else
                gemm_tile_part(a, i, r, j, columns);
            i += r;
        }
    }
    for (size_t i = i0; i < i1; i++)
        act_finish(a->out + i * a->ldo + j0, j1 - j0, a->act);
}

static void kernel_gemm(const gemm_args *a, size_t j0, size_t j1) {
    size_t chunk = MAX(GEMM_CACHED_BYTES / (MAX(a->k, 1) * sizeof(float)), 1);
    chunk = DIV_UP(chunk, tile_max_r[GEMM_NB]) * tile_max_r[GEMM_NB];
    j1 = MIN(j1, a->n);
    for (size_t i = 0; i < a->m; i += chunk)
        gemm_rows(a, i, MIN(i + chunk, a->m), j0, j1);
}
