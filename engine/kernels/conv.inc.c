/*
 * Convolution on blocked activations: direct, with register tiles (tile.h) of R pixels x NB output
 * blocks. A pixel's lanes and those of its neighbours in x follow each other in memory, and so do
 * the weights; the reduction over kx and lanes is therefore one run of kernel_w * lanes floats per
 * input block and ky, unless the kernel is dilated. That covers dense, grouped and first-layer
 * convolutions of any stride with the same code.
 *
 * Loops, outermost first: chunks of rows; panels of output blocks; rows, or pairs of rows where the
 * map is narrow; tiles. The input's halo stands in for the padding: borders need no checks.
 *
 * Not here: transforms (Winograd, FFT), and groups smaller than a block.
 */
#include "kernels/tile.h"

#include <assert.h>

/* Input and weights that stay in the second-level cache while they are used again. */
#define CONV_CACHED_BYTES (256 * 1024)
/* Pixels of a row between two passes of an activation: still in the first-level cache. */
#define CONV_FINISH_PIXELS 64

static conv_tiling kernel_conv_tiling(int in_lanes, int out_blocks, int out_w) {
    (void)in_lanes;
    if (SIMD_WIDTH < 16)
        return (conv_tiling){.ob_group = out_w == 1 ? MIN(TILE_MAX_NB, out_blocks) : 1};
    bool thirds = out_blocks % 2 != 0 && out_blocks % 3 == 0;
    int ob_group = out_w <= 3 ? 4 : thirds ? 3 : 2;
    return (conv_tiling){.ob_group = MIN(ob_group, out_blocks)};
}

/* One panel of a call: what its tiles share, and where pixel 0 of row 0 of image n stands. */
typedef struct conv_panel {
    tile_panel tile;
    int blocks; /* of the output */
    const float *in;
    float *out;
    const float *residual;
    size_t in_row, out_row, residual_row; /* pitches; in_row from output row to output row */
} conv_panel;

static void conv_panel_set(conv_panel *p, const conv_args *a, int n, int ob) {
    int group_obs = a->out.blocks / a->groups, group_ibs = a->in.blocks / a->groups;
    int group = ob / group_obs, local = ob % group_obs;
    size_t k = (size_t)group_ibs * a->kernel_h * a->kernel_w * a->in.lanes;
    assert(local % a->ob_group == 0);
    p->blocks = MIN(a->ob_group, group_obs - local);
    p->in = a->in.data + n * a->in.image_pitch + group * group_ibs * a->in.block_pitch -
            a->pad_top * a->in.row_pitch - (size_t)a->pad_left * a->in.lanes;
    p->out = a->out.data + n * a->out.image_pitch + ob * a->out.block_pitch;
    p->residual = a->residual
                      ? a->residual + n * a->residual_image_pitch + ob * a->residual_block_pitch
                      : NULL;
    p->in_row = a->stride_h * a->in.row_pitch;
    p->out_row = a->out.row_pitch;
    p->residual_row = a->residual_row_pitch;
    p->tile.weights = a->weights + n * a->weights_image_pitch + (size_t)ob * LANES * k;
    p->tile.bias = a->bias + (size_t)ob * LANES;
}

/* What does not change from panel to panel. */
static tile_panel conv_reduction(const conv_args *a) {
    bool dense = a->dilation_w == 1;
    size_t run = dense ? a->kernel_w * a->in.lanes : a->in.lanes;
    /* Lanes that hold no channel are multiplied by zeros. In a 1x1 kernel they come last. */
    bool pointwise = a->kernel_h == 1 && a->kernel_w == 1 && a->groups == 1;
    return (tile_panel){
        .blocks = a->in.blocks / a->groups,
        .rows = a->kernel_h,
        .columns = dense ? 1 : a->kernel_w,
        .run = run,
        .last_run = pointwise ? run - (size_t)(a->in.blocks * a->in.lanes - a->in.c) : run,
        .block_pitch = a->in.block_pitch,
        .row_pitch = a->dilation_h * a->in.row_pitch,
        .column_pitch = (size_t)a->dilation_w * a->in.lanes,
        .in_pixel = (size_t)a->stride_w * a->in.lanes,
        .out_pixel = LANES,
        .out_block = a->out.block_pitch,
        .residual_block = a->residual_block_pitch,
        .bounds = act_bounds(a->act),
    };
}

/* One tile: ra pixels from (ya, xa) on, rb from (yb, xb) on. */
static void conv_pixels(const conv_panel *p, int ya, int xa, int ra, int yb, int xb, int rb) {
    size_t px = p->tile.in_pixel;
    tile_place at = {
        .in_a = p->in + ya * p->in_row + xa * px,
        .in_b = p->in + yb * p->in_row + xb * px,
        .out_a = p->out + ya * p->out_row + (size_t)xa * LANES,
        .out_b = p->out + yb * p->out_row + (size_t)xb * LANES,
    };
    if (p->residual) {
        at.residual_a = p->residual + ya * p->residual_row + (size_t)xa * LANES;
        at.residual_b = p->residual + yb * p->residual_row + (size_t)xb * LANES;
    }
    tile_table[p->blocks][ra + rb](&p->tile, &at);
}

/* The activation of pixels [x0, x1) of row y, as far as tiles have not applied it. */
static void conv_finish(const conv_panel *p, act_params act, int y, int x0, int x1) {
    for (int b = 0; b < p->blocks; b++)
        act_finish(p->out + b * p->tile.out_block + y * p->out_row + (size_t)x0 * LANES,
                   (size_t)(x1 - x0) * LANES, act);
}

/* Row y, in tiles of equal width as far as possible. */
static void conv_row(const conv_panel *p, act_params act, int y, int width) {
    int tiles = DIV_UP(width, tile_max_r[p->blocks]), finished = 0;
    for (int x = 0; tiles > 0; tiles--) {
        int r = DIV_UP(width - x, tiles), ra = (r + 1) / 2;
        conv_pixels(p, y, x, ra, y, x + ra, r - ra);
        x += r;
        if (x - finished < CONV_FINISH_PIXELS && tiles > 1) continue;
        conv_finish(p, act, y, finished, x);
        finished = x;
    }
}

/* Rows y and y + 1 together. */
static void conv_row_pair(const conv_panel *p, act_params act, int y, int width) {
    int tiles = DIV_UP(width, tile_max_r[p->blocks] / 2);
    for (int x = 0; tiles > 0; tiles--) {
        int r = DIV_UP(width - x, tiles);
        conv_pixels(p, y, x, r, y + 1, x, r);
        x += r;
    }
    conv_finish(p, act, y, 0, width);
    conv_finish(p, act, y + 1, 0, width);
}

/* Narrow maps fill the registers only with two rows. */
static bool conv_pairs_pay(int width, int max_r) {
    return max_r > 1 && DIV_UP(width, max_r / 2) < 2 * DIV_UP(width, max_r);
}

static void conv_rows(const conv_panel *p, act_params act, int y0, int y1, int width) {
    int y = y0;
    if (conv_pairs_pay(width, tile_max_r[p->blocks]))
        for (; y + 2 <= y1; y += 2)
            conv_row_pair(p, act, y, width);
    for (; y < y1; y++)
        conv_row(p, act, y, width);
}

/* 1x1 convolutions without halo on either side may take all rows as one long row. */
static bool conv_rows_join(const conv_args *a) {
    size_t in_row = (size_t)a->out.w * a->in.lanes, out_row = (size_t)a->out.w * LANES;
    return a->kernel_h == 1 && a->kernel_w == 1 && a->stride_h == 1 && a->stride_w == 1 &&
           a->pad_left == 0 && a->in.row_pitch == in_row && a->out.row_pitch == out_row &&
           (!a->residual || a->residual_row_pitch == out_row);
}

/*
 * Rows per chunk. Either the input of a chunk stays in the cache and the weights come from further
 * away once per chunk, or one panel's weights stay and the whole input comes once per panel.
 */
static int conv_chunk_rows(const conv_args *a, const conv_tile *t) {
    int rows = t->y1 - t->y0, ibs = a->in.blocks / a->groups;
    size_t row = a->stride_h * a->in.row_pitch * sizeof(float) * ibs;
    size_t weights = (size_t)(t->ob1 - t->ob0) * LANES * ibs * a->in.lanes * a->kernel_h *
                     a->kernel_w * sizeof(float);
    int chunk = (int)MIN(MAX(CONV_CACHED_BYTES / row, 2), (size_t)rows) & ~1;
    if (chunk == 0) return rows;
    size_t chunked = weights > CONV_CACHED_BYTES ? weights * DIV_UP(rows, chunk) : 0;
    size_t whole = row * rows * DIV_UP(t->ob1 - t->ob0, a->ob_group);
    return chunked <= whole ? chunk : rows;
}

static void kernel_conv(const conv_args *a, const conv_tile *t) {
    conv_panel p = {.tile = conv_reduction(a)};
    int chunk = conv_chunk_rows(a, t);
    bool join = conv_rows_join(a);
    for (int y0 = t->y0; y0 < t->y1; y0 += chunk) {
        int y1 = MIN(y0 + chunk, t->y1);
        for (int ob = t->ob0; ob < t->ob1; ob += p.blocks) {
            conv_panel_set(&p, a, t->n, ob);
            if (join) {
                p.in += y0 * p.in_row;
                p.out += y0 * p.out_row;
                if (p.residual) p.residual += y0 * p.residual_row;
                conv_row(&p, a->act, 0, (y1 - y0) * a->out.w);
            } else {
                conv_rows(&p, a->act, y0, y1, a->out.w);
            }
        }
    }
}
