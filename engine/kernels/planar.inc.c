/*
 * The first convolution with a kernel 3 wide and stride 2: its input is dense NCHW of few channels,
 * and no step brings it into another layout before. A call copies a band of input rows, with their
 * padding, into scratch memory, where they stay in the cache, and convolves it; then the next.
 * conv_planar computes any rows of any blocks, as conv does.
 *
 * A register tile is up to PLANAR_MAX_R pixels of a row by one vector of output channels. It holds
 * the three weights of a kernel row in registers, walks along the input row, and uses each input
 * for every tap of every pixel in which it counts: with few output channels, loads of inputs would
 * otherwise take longer than the multiply-adds.
 *
 * An output element is the chain bias, then products in order of channel, ky and kx, however the
 * output is cut into calls.
 */
#include "kernels/planar.h"
#include "kernels/tile.h"

/* ---- register tiles ---- */

/* Accumulators, the weights of a row of the kernel and an input are all in registers. */
#if SIMD_REGISTERS == 32
#define PLANAR_TILES(X) TILES_TO_28(X, 1)
enum { PLANAR_MAX_R = 28 };
#else
#define PLANAR_TILES(X) TILES_TO_9(X, 1) X(1, 10) X(1, 11) X(1, 12)
enum { PLANAR_MAX_R = 12 };
#endif

/* What the tiles of one vector of output channels share. Distances are in floats. */
typedef struct planar_panel {
    const float *weights, *bias;
    size_t tap; /* between the weights of two taps */
    int channels, kernel_h;
    size_t row, channel; /* of the band: between the rows of a kernel, and between channels */
    act_range bounds;
} planar_panel;

/* Pixels of a row: where their input, output and residual (NULL: none) begin. */
typedef void planar_fn(const planar_panel *p, const float *in, float *out, const float *residual);

/* One row of the kernel and one channel for `r` pixels, a constant. */
INLINE void planar_taps(vec *acc, const float *in, const vec *w, const int r) {
    vec x = vec_set(in[0]);
    UNROLL for (int i = 0; i < r; i++, in += 2) {
        acc[i] = vec_fma(x, w[0], acc[i]);
        acc[i] = vec_fma(vec_set(in[1]), w[1], acc[i]);
        x = vec_set(in[2]);
        acc[i] = vec_fma(x, w[2], acc[i]);
    }
}

INLINE void planar_tile(const planar_panel *p, const float *in, float *out, const float *residual,
                        const int r) {
    vec acc[PLANAR_MAX_R];
    const float *weights = p->weights;
    const vec low = vec_set(p->bounds.low), high = vec_set(p->bounds.high);
    UNROLL for (int i = 0; i < r; i++) {
        __builtin_prefetch(out + i * LANES, 1);
        acc[i] = vec_load(p->bias);
    }
    for (int c = 0; c < p->channels; c++)
        for (int ky = 0; ky < p->kernel_h; ky++) {
            vec w[3];
            UNROLL for (int kx = 0; kx < 3; kx++) w[kx] = vec_load(weights + kx * p->tap);
            planar_taps(acc, in + c * p->channel + ky * p->row, w, r);
            weights += 3 * p->tap;
        }
    UNROLL for (int i = 0; i < r; i++) {
        if (residual) acc[i] += vec_load(residual + i * LANES);
        vec_store(out + i * LANES, vec_bound(acc[i], low, high));
    }
}

#define PLANAR_DEFINE(nb, r)                                                                       \
    static void planar_##nb##_##r(const planar_panel *p, const float *in, float *out,              \
                                  const float *residual) {                                         \
        planar_tile(p, in, out, residual, r);                                                      \
    }
PLANAR_TILES(PLANAR_DEFINE)
#undef PLANAR_DEFINE

#define PLANAR_ENTRY(nb, r) [r] = planar_##nb##_##r,
static planar_fn *const planar_table[PLANAR_MAX_R + 1] = {PLANAR_TILES(PLANAR_ENTRY)};
#undef PLANAR_ENTRY

/* A row of a block, all its vectors. */
static void planar_row(const conv_args *a, const planar_panel *p, const float *in, float *out,
                       const float *residual) {
    int tiles = DIV_UP(a->out.w, PLANAR_MAX_R);
    for (int x = 0, r; tiles > 0; x += r, tiles--) {
        r = DIV_UP(a->out.w - x, tiles);
        size_t first = (size_t)x * LANES;
        planar_panel lanes = *p;
        for (int v = 0; v < LANES; v += SIMD_WIDTH) {
            planar_table[r](&lanes, in + 2 * x, out + first + v,
                            residual ? residual + first + v : NULL);
            lanes.weights += SIMD_WIDTH;
            lanes.bias += SIMD_WIDTH;
        }
        act_finish(out + first, (size_t)r * LANES, a->act);
    }
}

/* Rows [y0, y1) of block ob of image n from their band. */
static void planar_block(const conv_args *a, int n, int ob, int y0, int y1, const blocked *band) {
    int first = ob - ob % a->ob_group, width = MIN(a->ob_group, a->out.blocks - first) * LANES;
    size_t k = (size_t)a->in.c * a->kernel_h * a->kernel_w;
    planar_panel p = {
        .weights = a->weights + (size_t)first * LANES * k + (size_t)(ob - first) * LANES,
        .bias = a->bias + (size_t)ob * LANES,
        .tap = width,
        .channels = a->in.c,
        .kernel_h = a->kernel_h,
        .row = band->row_pitch,
        .channel = band->block_pitch,
        .bounds = act_bounds(a->act),
    };
    const float *in = band->data, *residual = a->residual;
    float *out = a->out.data + n * a->out.image_pitch + ob * a->out.block_pitch;
    if (residual) residual += n * a->residual_image_pitch + ob * a->residual_block_pitch;
    for (int y = y0; y < y1; y++, in += a->stride_h * band->row_pitch)
        planar_row(a, &p, in, out + y * a->out.row_pitch,
                   residual ? residual + y * a->residual_row_pitch : NULL);
}

/* ---- the band ---- */

/* Of the input rows that `rows` rows of output read: (row, channel, x). */
static blocked planar_band(const conv_args *a, int rows, float *memory) {
    size_t width = planar_width(a);
    return (blocked){.data = memory,
                     .h = (int)planar_rows(a, rows),
                     .w = (int)width,
                     .row_pitch = width * a->in.c,
                     .block_pitch = width};
}

static void planar_copy(float *to, const float *from, int count) {
    int x = 0;
    for (; x + SIMD_WIDTH <= count; x += SIMD_WIDTH)
        vec_storeu(to + x, vec_loadu(from + x));
    if (x < count) vec_store_part(to + x, vec_load_part(from + x, count - x), count - x);
}

/* A row of the band from the row of the input at `from`. */
static void planar_fill_row(const conv_args *a, const blocked *band, const float *from, float *to) {
    int left = a->pad_left, count = MIN(band->w - left, a->in.w);
    for (int c = 0; c < a->in.c; c++, to += band->w, from += a->in.block_pitch) {
        memset(to, 0, left * sizeof *to);
        planar_copy(to + left, from, count);
        memset(to + left + count, 0, (band->w - left - count) * sizeof *to);
    }
}

/* Input rows from y on. */
static void planar_fill(const conv_args *a, int n, ptrdiff_t y, const blocked *band) {
    float *to = band->data;
    for (int i = 0; i < band->h; i++, y++, to += band->row_pitch) {
        if (y < 0 || y >= a->in.h)
            memset(to, 0, band->row_pitch * sizeof *to);
        else
            planar_fill_row(a, band, a->in.data + n * a->in.image_pitch + y * a->in.row_pitch, to);
    }
}

/* Rows of output of a band: as many for each as possible. */
static int planar_band_rows(const conv_args *a, int rows) {
    size_t most = PLANAR_BAND_FLOATS / (planar_width(a) * a->in.c);
    size_t one = planar_rows(a, 1);
    size_t more = most > one ? (most - one) / a->stride_h : 0;
    int bands = DIV_UP(rows, (int)MIN(more + 1, (size_t)rows));
    return DIV_UP(rows, bands);
}

static void kernel_conv_planar(const conv_args *a, const conv_tile *t, float *scratch) {
    int rows = planar_band_rows(a, t->y1 - t->y0);
    blocked band = planar_band(a, rows, scratch);
    for (int y0 = t->y0; y0 < t->y1; y0 += rows) {
        planar_fill(a, t->n, (ptrdiff_t)y0 * a->stride_h - a->pad_top, &band);
        for (int ob = t->ob0; ob < t->ob1; ob++)
            planar_block(a, t->n, ob, y0, MIN(y0 + rows, t->y1), &band);
    }
}
