/*
 * Depthwise convolution, each lane convolves its own channel, and convolution in groups of 2, 4 or
 * 8 channels, where each lane convolves those of its group. For one kernel row and one channel of
 * the group at a time, KW weight vectors and the accumulators of DEPTHWISE_PIXELS output pixels
 * stay in registers; each input vector is loaded, and spread over the lanes of its groups, once per
 * row and serves up to KW pixels. Widths 3, 5 and 7 (in groups: 3) with strides 1 and 2 are
 * unrolled, others take the plain loop. An output element is the chain bias, then products in order
 * of ky, channel and kx, however its row is cut.
 */
#include "kernels/act.h"
#include "kernels/sums.h"

/* Two multiply-adds that each take 4 cycles need 8 accumulators at least. 56, 28 and 14, the widths
 * of most maps, are multiples of 14. */
#define DEPTHWISE_PIXELS (SIMD_REGISTERS == 32 ? 14 : SIMD_WIDTH == 8 ? 7 : 4)

/* One vector of lanes of a row of output pixels. */
typedef struct depthwise_row {
    const float *in; /* of the first tap of pixel 0 */
    float *out;
    const float *residual; /* NULL: none */
    const float *weights;
    vec bias, low, high;
    size_t in_row; /* from one kernel row to the next */
    int kernel_h, kernel_w;
    size_t pixel, tap; /* between the inputs of neighbouring pixels, and of taps in x */
    int lane;          /* that the vector begins with */
} depthwise_row;

/* Where the vector at `lane` finds channel i of each lane's group. Groups that are not narrower
 * than the vector are one for all its lanes, which may have begun before it. */
INLINE vec_int depthwise_spread(const int group, const int i) {
    vec_int index;
    UNROLL for (int l = 0; l < SIMD_WIDTH; l++) {
        index[l] = l / group * group + i;
    }
    return index;
}

INLINE vec depthwise_in(const float *in, const int group, const int i, vec_int spread, int lane) {
    if (group == 1) return vec_load(in);
    if (group >= SIMD_WIDTH) return vec_set(in[i - lane % group]);
    return vec_permute(vec_load(in), spread);
}

INLINE void depthwise_store(const depthwise_row *r, int x, vec value) {
    if (r->residual) value += vec_load(r->residual + (size_t)x * LANES);
    vec_store(r->out + (size_t)x * LANES, vec_bound(value, r->low, r->high));
}

/* Pixels [x, x + count) with an undilated kernel of width kw and stride s, all constants. */
INLINE void depthwise_unrolled(const depthwise_row *r, int x, const int count, const int group,
                               const int kw, const int s) {
    vec acc[DEPTHWISE_PIXELS];
    const float *in = r->in + (size_t)x * s * LANES, *weights = r->weights;
    UNROLL for (int i = 0; i < count; i++) {
        acc[i] = r->bias;
    }
    for (int ky = 0; ky < r->kernel_h; ky++) {
        UNROLL for (int c = 0; c < group; c++) {
            const vec_int spread = depthwise_spread(group, c);
            vec w[7];
            UNROLL for (int kx = 0; kx < kw; kx++) {
                w[kx] = vec_load(weights + kx * LANES);
            }
            UNROLL for (int p = 0; p < (count - 1) * s + kw; p++) {
                vec v = depthwise_in(in + p * LANES, group, c, spread, r->lane);
                UNROLL for (int i = 0; i < count; i++) {
                    if (p >= i * s && p < i * s + kw) acc[i] = vec_fma(v, w[p - i * s], acc[i]);
                }
            }
            weights += kw * LANES;
        }
        in += r->in_row;
    }
    UNROLL for (int i = 0; i < count; i++) {
        depthwise_store(r, x + i, acc[i]);
    }
}

/* Pixels [x, x + count), any kernel. */
INLINE void depthwise_plain(const depthwise_row *r, int x, const int count, const int group) {
    vec acc[DEPTHWISE_PIXELS];
    const float *weights = r->weights;
    UNROLL for (int i = 0; i < count; i++) {
        acc[i] = r->bias;
    }
    for (int ky = 0; ky < r->kernel_h; ky++)
        UNROLL for (int c = 0; c < group; c++) {
            const vec_int spread = depthwise_spread(group, c);
            for (int kx = 0; kx < r->kernel_w; kx++, weights += LANES) {
                const float *in = r->in + ky * r->in_row + kx * r->tap + x * r->pixel;
                vec w = vec_load(weights);
                UNROLL for (int i = 0; i < count; i++) {
                    vec v = depthwise_in(in + i * r->pixel, group, c, spread, r->lane);
                    acc[i] = vec_fma(v, w, acc[i]);
                }
            }
        }
    UNROLL for (int i = 0; i < count; i++) {
        depthwise_store(r, x + i, acc[i]);
    }
}

/* As many whole steps of `count` pixels as there are from x on; kw 0: any kernel. */
INLINE int depthwise_steps(const depthwise_row *r, int x, int width, const int count,
                           const int group, const int kw, const int s) {
    for (; x + count <= width; x += count) {
        if (kw > 0)
            depthwise_unrolled(r, x, count, group, kw, s);
        else
            depthwise_plain(r, x, count, group);
    }
    return x;
}

INLINE void depthwise_pixels(const depthwise_row *row, int width, const int group, const int kw,
                             const int s) {
    const depthwise_row r = *row; /* which no store can change */
    int x = depthwise_steps(&r, 0, width, DEPTHWISE_PIXELS, group, kw, s);
    if (DEPTHWISE_PIXELS > 7) x = depthwise_steps(&r, x, width, 7, group, kw, s);
    if (DEPTHWISE_PIXELS > 4) x = depthwise_steps(&r, x, width, 4, group, kw, s);
    x = depthwise_steps(&r, x, width, 2, group, kw, s);
    depthwise_steps(&r, x, width, 1, group, kw, s);
}

static void depthwise_row_run(const depthwise_row *r, int group, int width) {
#define CASE(members, kw, s)                                                                       \
    if (group == members && r->tap == LANES && r->kernel_w == kw && r->pixel == s * LANES) {       \
        depthwise_pixels(r, width, members, kw, s);                                                \
        return;                                                                                    \
    }
    CASE(1, 3, 1)
    CASE(1, 3, 2)
    CASE(1, 5, 1)
    CASE(1, 5, 2)
    CASE(1, 7, 1)
    CASE(1, 7, 2)
    CASE(4, 3, 1)
    CASE(4, 3, 2)
    CASE(8, 3, 1)
    CASE(8, 3, 2)
#undef CASE
    if (group == 1) depthwise_pixels(r, width, 1, 0, 0);
    if (group == 2) depthwise_pixels(r, width, 2, 0, 0);
    if (group == 4) depthwise_pixels(r, width, 4, 0, 0);
    if (group == 8) depthwise_pixels(r, width, 8, 0, 0);
}

/* The tile's first row, lanes from `lane` on. */
static depthwise_row depthwise_first(const depthwise_args *a, const rows_tile *t, int lane) {
    act_range bounds = act_bounds(a->act);
    ptrdiff_t in_y = (ptrdiff_t)t->y0 * a->stride_h - a->pad_top;
    depthwise_row r = {
        .in = a->in.data + t->n * a->in.image_pitch + t->b * a->in.block_pitch +
              in_y * (ptrdiff_t)a->in.row_pitch - (ptrdiff_t)a->pad_left * LANES + lane,
        .out = a->out.data + t->n * a->out.image_pitch + t->b * a->out.block_pitch +
               t->y0 * a->out.row_pitch + lane,
        .weights = a->weights + (size_t)t->b * a->kernel_h * a->group * a->kernel_w * LANES + lane,
        .bias = vec_load(a->bias + t->b * LANES + lane),
        .low = vec_set(bounds.low),
        .high = vec_set(bounds.high),
        .in_row = a->dilation_h * a->in.row_pitch,
        .kernel_h = a->kernel_h,
        .kernel_w = a->kernel_w,
        .pixel = (size_t)a->stride_w * LANES,
        .tap = (size_t)a->dilation_w * LANES,
        .lane = lane,
    };
    if (a->residual)
        r.residual = a->residual + t->n * a->residual_image_pitch + t->b * a->residual_block_pitch +
                     t->y0 * a->residual_row_pitch + lane;
    return r;
}

static void kernel_depthwise(const depthwise_args *a, const rows_tile *t) {
    depthwise_row rows[BLOCK_VECTORS];
    for (int v = 0; v < BLOCK_VECTORS; v++)
        rows[v] = depthwise_first(a, t, v * SIMD_WIDTH);
    for (int y = t->y0; y < t->y1; y++) {
        float *out = rows[0].out;
        for (int v = 0; v < BLOCK_VECTORS; v++) {
            depthwise_row_run(&rows[v], a->group, a->out.w);
            rows[v].in += a->stride_h * a->in.row_pitch;
            rows[v].out += a->out.row_pitch;
            if (a->residual) rows[v].residual += a->residual_row_pitch;
        }
        if (a->sums)
            pixels_finish(out, a->out.w, a->act,
                          a->sums + ((size_t)(t->n * a->out.blocks + t->b) * a->out.h + y) * LANES);
        else
            act_finish(out, (size_t)a->out.w * LANES, a->act);
    }
}
