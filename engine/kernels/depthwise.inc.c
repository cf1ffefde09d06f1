/*
 * Depthwise convolution: each lane convolves its own channel. For one kernel row at a time, KW
 * weight vectors and the accumulators of DEPTHWISE_PIXELS output pixels stay in registers; each
 * input vector is loaded once per row and serves up to KW pixels. Widths 3, 5 and 7 with strides 1
 * and 2 are unrolled, others take the plain loop. An output element is the chain bias, then taps in
 * order of ky and kx, in every variant.
 */
#include "kernels/act.h"

#define DEPTHWISE_PIXELS (SIMD_REGISTERS / 4)

/* One vector of lanes of a row of output pixels. */
typedef struct depthwise_row {
    const float *in; /* of the first tap of pixel 0 */
    float *out;
    const float *residual; /* NULL: none */
    const float *weights;
    vec bias, low, high;
    size_t in_row; /* from one kernel row to the next */
    int kernel_h, kernel_w, stride_w, dilation_w;
} depthwise_row;

INLINE void depthwise_store(const depthwise_row *r, int x, vec value) {
    if (r->residual) value += vec_load(r->residual + (size_t)x * LANES);
    vec_store(r->out + (size_t)x * LANES, vec_bound(value, r->low, r->high));
}

/* Pixels [x, x + count) with an undilated kernel of width kw and stride s, all constants. */
INLINE void depthwise_unrolled(const depthwise_row *r, int x, const int count, const int kw,
                               const int s) {
    vec acc[DEPTHWISE_PIXELS];
    UNROLL for (int i = 0; i < count; i++) acc[i] = r->bias;
    for (int ky = 0; ky < r->kernel_h; ky++) {
        const float *in = r->in + ky * r->in_row + (size_t)x * s * LANES;
        vec w[7];
        UNROLL for (int kx = 0; kx < kw; kx++) w[kx] =
            vec_load(r->weights + (ky * kw + kx) * LANES);
        UNROLL for (int p = 0; p < (count - 1) * s + kw; p++) {
            vec v = vec_load(in + p * LANES);
            UNROLL for (int i = 0; i < count; i++) if (p >= i * s && p < i * s + kw) acc[i] +=
                v * w[p - i * s];
        }
    }
    UNROLL for (int i = 0; i < count; i++) depthwise_store(r, x + i, acc[i]);
}

/* Pixels [x, x + count), any kernel. */
INLINE void depthwise_plain(const depthwise_row *r, int x, const int count) {
    vec acc[DEPTHWISE_PIXELS];
    size_t pixel = (size_t)r->stride_w * LANES, tap = (size_t)r->dilation_w * LANES;
    UNROLL for (int i = 0; i < count; i++) acc[i] = r->bias;
    for (int ky = 0; ky < r->kernel_h; ky++)
        for (int kx = 0; kx < r->kernel_w; kx++) {
            const float *in = r->in + ky * r->in_row + kx * tap + x * pixel;
            vec w = vec_load(r->weights + (ky * r->kernel_w + kx) * LANES);
            UNROLL for (int i = 0; i < count; i++) acc[i] += vec_load(in + i * pixel) * w;
        }
    UNROLL for (int i = 0; i < count; i++) depthwise_store(r, x + i, acc[i]);
}

INLINE void depthwise_pixels(const depthwise_row *r, int width, const int kw, const int s) {
    int x = 0;
    for (; x + DEPTHWISE_PIXELS <= width; x += DEPTHWISE_PIXELS)
        if (kw > 0)
            depthwise_unrolled(r, x, DEPTHWISE_PIXELS, kw, s);
        else
            depthwise_plain(r, x, DEPTHWISE_PIXELS);
    for (; x < width; x++)
        if (kw > 0)
            depthwise_unrolled(r, x, 1, kw, s);
        else
            depthwise_plain(r, x, 1);
}

static void depthwise_width(const depthwise_row *r, int width) {
#define CASE(kw, s)                                                                                \
    if (r->dilation_w == 1 && r->kernel_w == kw && r->stride_w == s) {                             \
        depthwise_pixels(r, width, kw, s);                                                         \
        return;                                                                                    \
    }
    CASE(3, 1)
    CASE(3, 2)
    CASE(5, 1)
    CASE(5, 2)
    CASE(7, 1)
    CASE(7, 2)
#undef CASE
    depthwise_pixels(r, width, 0, 0);
}

static depthwise_row depthwise_row_at(const depthwise_args *a, int n, int b, int y) {
    act_range bounds = act_bounds(a->act);
    ptrdiff_t in_y = (ptrdiff_t)y * a->stride_h - a->pad_top;
    return (depthwise_row){
        .in = a->in.data + n * a->in.image_pitch + b * a->in.block_pitch +
              in_y * (ptrdiff_t)a->in.row_pitch - (ptrdiff_t)a->pad_left * LANES,
        .out = a->out.data + n * a->out.image_pitch + b * a->out.block_pitch + y * a->out.row_pitch,
        .residual = a->residual ? a->residual + n * a->residual_image_pitch +
                                      b * a->residual_block_pitch + y * a->residual_row_pitch
                                : NULL,
        .weights = a->weights + (size_t)b * a->kernel_h * a->kernel_w * LANES,
        .low = vec_set(bounds.low),
        .high = vec_set(bounds.high),
        .in_row = a->dilation_h * a->in.row_pitch,
        .kernel_h = a->kernel_h,
        .kernel_w = a->kernel_w,
        .stride_w = a->stride_w,
        .dilation_w = a->dilation_w,
    };
}

static void kernel_depthwise(const depthwise_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++) {
        depthwise_row row = depthwise_row_at(a, t->n, t->b, y);
        for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
            depthwise_row r = row;
            r.in += lane;
            r.out += lane;
            r.weights += lane;
            r.bias = vec_load(a->bias + t->b * LANES + lane);
            if (r.residual) r.residual += lane;
            depthwise_width(&r, a->out.w);
        }
        act_finish(row.out, (size_t)a->out.w * LANES, a->act);
    }
}
