/*
 * 3x3 convolution with stride 1 by Winograd's minimal filtering (winograd.h) on blocked
 * activations. The output is cut into m x m tiles. A call transforms the input of its tiles, which
 * gives for each of the (m + 2)^2 points a matrix (tiles, input channels). Then, a panel of output
 * blocks at a time, it multiplies each by that point's transformed weights with the register tile
 * of tile.h, and transforms the products back.
 *
 * Scratch memory: for each point the transformed input [tile][input channel], then for each point
 * the products of a panel [output block][tile][16]. Rows and points are a cache line longer than
 * what they hold, lest powers of two put all points into the same sets of the cache.
 *
 * Tiles at the right and lower border may reach beyond the halo: what is there counts as zero, and
 * outputs beyond the image are not written.
 */
#include "kernels/winograd.h"
#include "kernels/tile.h"

/* ---- transforms of one row or column, as in winograd.h, with common terms taken out ---- */

INLINE vec winograd_add(vec b, vec a, float times) {
    return vec_fma(a, vec_set(times), b);
}

INLINE vec winograd_subtract(vec b, vec a, float times) {
    return vec_fnma(a, vec_set(times), b);
}

INLINE void winograd_bt(const vec *d, vec *t, const int m) {
    if (m == 2) {
        t[0] = d[0] - d[2];
        t[1] = d[1] + d[2];
        t[2] = d[2] - d[1];
        t[3] = d[1] - d[3];
    } else {
        vec even = winograd_subtract(d[4], d[2], 4), odd = winograd_subtract(d[3], d[1], 4);
        vec even2 = d[4] - d[2], odd2 = d[3] - d[1];
        t[0] = winograd_add(winograd_subtract(d[4], d[2], 5), d[0], 4);
        t[1] = even + odd;
        t[2] = even - odd;
        t[3] = winograd_add(even2, odd2, 2);
        t[4] = winograd_subtract(even2, odd2, 2);
        t[5] = winograd_add(winograd_subtract(d[5], d[3], 5), d[1], 4);
    }
}

INLINE void winograd_at(const vec *x, vec *y, const int m) {
    vec sum = x[1] + x[2], difference = x[1] - x[2];
    if (m == 2) {
        y[0] = x[0] + sum;
        y[1] = difference - x[3];
        return;
    }
    vec sum2 = x[3] + x[4], difference2 = x[3] - x[4];
    y[0] = x[0] + sum + sum2;
    y[1] = winograd_add(difference, difference2, 2);
    y[2] = winograd_add(sum, sum2, 4);
    y[3] = winograd_add(difference, difference2, 8) + x[5];
}

/* ---- one tile of one block ---- */

/* Bt d B of the pixels at `in`, to points that are `point` floats apart. */
INLINE void winograd_input_tile(const float *in, size_t row, float *out, size_t point,
                                const int m) {
    const int side = m + 2;
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        vec half[WINOGRAD_MAX_SIDE][WINOGRAD_MAX_SIDE];
        UNROLL for (int x = 0; x < side; x++) {
            vec d[WINOGRAD_MAX_SIDE], t[WINOGRAD_MAX_SIDE];
            UNROLL for (int y = 0; y < side; y++) d[y] =
                vec_load(in + y * row + x * LANES + v * SIMD_WIDTH);
            winograd_bt(d, t, m);
            UNROLL for (int y = 0; y < side; y++) half[y][x] = t[y];
        }
        UNROLL for (int y = 0; y < side; y++) {
            vec t[WINOGRAD_MAX_SIDE];
            winograd_bt(half[y], t, m);
            UNROLL for (int x = 0; x < side; x++)
                vec_store(out + (y * side + x) * point + v * SIMD_WIDTH, t[x]);
        }
    }
}

/* At x A of the products at `in` plus bias, to a dense m x m square of pixels. */
INLINE void winograd_output_tile(const float *in, size_t point, const float *bias, float *out,
                                 const int m) {
    const int side = m + 2;
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        vec half[WINOGRAD_MAX_M][WINOGRAD_MAX_SIDE];
        const vec b = vec_load(bias + v * SIMD_WIDTH);
        UNROLL for (int x = 0; x < side; x++) {
            vec d[WINOGRAD_MAX_SIDE], t[WINOGRAD_MAX_M];
            UNROLL for (int y = 0; y < side; y++) d[y] =
                vec_load(in + (y * side + x) * point + v * SIMD_WIDTH);
            winograd_at(d, t, m);
            UNROLL for (int y = 0; y < m; y++) half[y][x] = t[y];
        }
        UNROLL for (int y = 0; y < m; y++) {
            vec t[WINOGRAD_MAX_M];
            winograd_at(half[y], t, m);
            UNROLL for (int x = 0; x < m; x++)
                vec_store(out + (y * m + x) * LANES + v * SIMD_WIDTH, t[x] + b);
        }
    }
}

/* ---- the tiles of a call ---- */

typedef struct winograd_call {
    const conv_args *a;
    const winograd_tile *t;
    int m, across;          /* tiles in a row of tiles */
    float *input, *product; /* scratch */
    size_t input_row, input_point, product_point;
} winograd_call;

/* A copy of the input of a tile that reaches beyond the halo, `rows` x `columns` of which exist
 * from (y, x) on. */
INLINE void winograd_gather(const blocked *in, const float *plane, int y, int x, const int side,
                            float *out) {
    int y0 = MAX(y, -in->top), y1 = MIN(y + side, in->h + in->bottom);
    int x0 = MAX(x, -in->left), x1 = MIN(x + side, in->w + in->right);
    memset(out, 0, (size_t)side * side * LANES * sizeof *out);
    for (int i = y0; i < y1; i++)
        memcpy(out + ((i - y) * side + x0 - x) * LANES,
               plane + (ptrdiff_t)i * (ptrdiff_t)in->row_pitch + (ptrdiff_t)x0 * LANES,
               (size_t)(x1 - x0) * LANES * sizeof *out);
}

INLINE bool winograd_inside(const blocked *in, int y, int x, const int side) {
    return y >= -in->top && x >= -in->left && y + side <= in->h + in->bottom &&
           x + side <= in->w + in->right;
}

INLINE void winograd_input(const winograd_call *c, const int m) {
    const blocked *in = &c->a->in;
    const int side = m + 2;
    float edge[WINOGRAD_MAX_SIDE * WINOGRAD_MAX_SIDE * LANES] __attribute__((aligned(CNN_ALIGN)));
    for (int b = 0; b < in->blocks; b++) {
        const float *plane = in->data + c->t->n * in->image_pitch + b * in->block_pitch;
        for (int i = c->t->t0; i < c->t->t1; i++) {
            int y = i / c->across * m - c->a->pad_top, x = i % c->across * m - c->a->pad_left;
            float *out = c->input + (i - c->t->t0) * c->input_row + (size_t)b * LANES;
            if (winograd_inside(in, y, x, side)) {
                const float *from =
                    plane + (ptrdiff_t)y * (ptrdiff_t)in->row_pitch + (ptrdiff_t)x * LANES;
                winograd_input_tile(from, in->row_pitch, out, c->input_point, m);
            } else {
                winograd_gather(in, plane, y, x, side, edge);
                winograd_input_tile(edge, (size_t)side * LANES, out, c->input_point, m);
            }
        }
    }
}

/* One point's products of the output blocks from `ob` on, which are a panel. */
static void winograd_panel(const winograd_call *c, size_t point, int ob, int blocks) {
    static const float zeros[TILE_MAX_NB * LANES] __attribute__((aligned(CNN_ALIGN)));
    size_t k = (size_t)c->a->in.blocks * LANES, points = (size_t)(c->m + 2) * (c->m + 2);
    int count = c->t->t1 - c->t->t0, tiles = DIV_UP(count, tile_max_r[blocks]);
    tile_panel p = {
        .weights = c->a->weights + ((size_t)ob * points + point * blocks) * LANES * k,
        .bias = zeros,
        .blocks = 1,
        .rows = 1,
        .columns = 1,
        .run = k,
        .last_run = k,
        .in_pixel = c->input_row,
        .out_pixel = LANES,
        .out_block = (size_t)count * LANES,
        .bounds = {-INFINITY, INFINITY},
    };
    const float *in = c->input + point * c->input_point;
    float *out = c->product + point * c->product_point;
    for (int i = 0; tiles > 0; tiles--) {
        int r = DIV_UP(count - i, tiles), ra = (r + 1) / 2;
        tile_place at = {
            .in_a = in + i * c->input_row,
            .in_b = in + (i + ra) * c->input_row,
            .out_a = out + i * LANES,
            .out_b = out + (i + ra) * LANES,
        };
        tile_table[blocks][r](&p, &at);
        i += r;
    }
}

/* Residual and activation, from a dense square at `from` to those of its pixels that exist. */
INLINE void winograd_write(const winograd_call *c, int ob, int y, int x, const float *from,
                           const int m) {
    const conv_args *a = c->a;
    const blocked *out = &a->out;
    act_range bounds = act_bounds(a->act);
    const vec low = vec_set(bounds.low), high = vec_set(bounds.high);
    size_t floats = (size_t)MIN(m, out->w - x) * LANES;
    float *to = out->data + c->t->n * out->image_pitch + ob * out->block_pitch +
                y * out->row_pitch + (size_t)x * LANES;
    const float *residual = a->residual ? a->residual + c->t->n * a->residual_image_pitch +
                                              ob * a->residual_block_pitch +
                                              y * a->residual_row_pitch + (size_t)x * LANES
                                        : NULL;
    for (int i = 0; i < MIN(m, out->h - y); i++) {
        for (size_t j = 0; j < floats; j += SIMD_WIDTH) {
            vec v = vec_load(from + j);
            if (residual) v += vec_loadu(residual + j);
            vec_storeu(to + j, vec_bound(v, low, high));
        }
        act_finish(to, floats, a->act);
        from += m * LANES;
        to += out->row_pitch;
        if (residual) residual += a->residual_row_pitch;
    }
}

/* From the products of a panel, those that it is made for. */
INLINE void winograd_output(const winograd_call *c, int ob0, int blocks, const int m) {
    float square[WINOGRAD_MAX_M * WINOGRAD_MAX_M * LANES] __attribute__((aligned(CNN_ALIGN)));
    const float *product = c->product;
    for (int ob = ob0; ob < ob0 + blocks; ob++)
        for (int tile = c->t->t0; tile < c->t->t1; tile++, product += LANES) {
            winograd_output_tile(product, c->product_point, c->a->bias + (size_t)ob * LANES, square,
                                 m);
            winograd_write(c, ob, tile / c->across * m, tile % c->across * m, square, m);
        }
}

INLINE void winograd_body(const winograd_call *c, const int m) {
    int group = c->a->ob_group;
    winograd_input(c, m);
    for (int ob = c->t->ob0; ob < c->t->ob1; ob += group) {
        int blocks = MIN(group, c->t->ob1 - ob);
        for (int point = 0; point < (m + 2) * (m + 2); point++)
            winograd_panel(c, point, ob, blocks);
        winograd_output(c, ob, blocks, m);
    }
}

static void winograd_2(const winograd_call *c) {
    winograd_body(c, 2);
}

static void winograd_4(const winograd_call *c) {
    winograd_body(c, 4);
}

static void kernel_winograd(const conv_args *a, int m, const winograd_tile *t, float *scratch) {
    size_t points = (size_t)(m + 2) * (m + 2);
    int count = t->t1 - t->t0;
    winograd_call c = {
        .a = a,
        .t = t,
        .m = m,
        .across = DIV_UP(a->out.w, m),
        .input = scratch,
        .input_row = winograd_input_row(a),
        .input_point = count * winograd_input_row(a),
        .product_point = winograd_product_point(a, t),
    };
    c.product = scratch + points * c.input_point;
    (m == 2 ? winograd_2 : winograd_4)(&c);
}
