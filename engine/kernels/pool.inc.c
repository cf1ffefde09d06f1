/*
 * Pooling. Windows are clipped to the image: the rows of taps once per output row, the columns once
 * per pixel; pixels whose whole window lies inside go POOL_PIXELS at a time without checks. Maximum
 * ignores NaN (it is a chain of comparisons from -infinity). Averages add in order of ky and kx.
 */
#include "kernels/act.h"

#define POOL_PIXELS (SIMD_REGISTERS / 4)

/* Taps [first, last) of a window along one axis, and how many are counted with the padding. */
typedef struct pool_taps {
    int first, last, padded;
} pool_taps;

/* The window starts at `start` of an axis of `size` cells, padded by `pad_end` behind. */
static pool_taps pool_taps_of(int start, int size, int pad_end, int kernel, int dilation) {
    pool_taps t = {.last = kernel, .padded = kernel};
    if (start < 0) t.first = MIN(DIV_UP(-start, dilation), kernel);
    if (start + (kernel - 1) * dilation >= size)
        t.last = MAX((size - start + dilation - 1) / dilation, t.first);
    if (start + (kernel - 1) * dilation >= size + pad_end)
        t.padded = MAX((size + pad_end - start + dilation - 1) / dilation, 0);
    return t;
}

/* The cells that `count` neighbouring pixels see: pixel i's tap (ky, kx) is at
 * in + i * pixel + ky * row + kx * column. */
typedef struct pool_cells {
    const float *in;
    size_t pixel, row, column;
    pool_taps y, x;
} pool_cells;

INLINE void pool_reduce(const pool_cells *c, vec *acc, const int count, const bool max) {
    UNROLL for (int i = 0; i < count; i++) acc[i] = vec_set(max ? -INFINITY : 0);
    for (int ky = c->y.first; ky < c->y.last; ky++)
        for (int kx = c->x.first; kx < c->x.last; kx++) {
            const float *in = c->in + (ptrdiff_t)(ky * c->row + kx * c->column);
            UNROLL for (int i = 0; i < count; i++) {
                vec v = vec_load(in + i * c->pixel);
                acc[i] = max ? vec_max(v, acc[i]) : acc[i] + v;
            }
        }
}

/* All vectors of `count` pixels. */
INLINE void pool_pixels(const pool_args *a, pool_cells c, float *out, const int count,
                        const bool max) {
    int cells = a->count_include_pad ? c.y.padded * c.x.padded
                                     : (c.y.last - c.y.first) * (c.x.last - c.x.first);
    vec divisor = vec_set((float)MAX(cells, 1));
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
        vec acc[POOL_PIXELS];
        pool_reduce(&c, acc, count, max);
        UNROLL for (int i = 0; i < count; i++)
            vec_store(out + i * LANES + lane, max ? acc[i] : acc[i] / divisor);
        c.in += SIMD_WIDTH;
    }
}

/* Output pixels [x0, x1) of a row whose windows lie inside the image in x. */
static void pool_inside(const pool_args *a, int *x0, int *x1) {
    int extent = (a->kernel_w - 1) * a->dilation_w + 1;
    int last = a->in.w + a->pad_left - extent; /* start of the last window, in padded cells */
    *x0 = MIN((a->pad_left + a->stride_w - 1) / a->stride_w, a->out.w);
    *x1 = last < 0 ? 0 : MIN(last / a->stride_w + 1, a->out.w);
    if (*x1 < *x0) *x1 = *x0;
}

INLINE void pool_row(const pool_args *a, int n, int b, int y, const bool max) {
    int start_y = y * a->stride_h - a->pad_top;
    const float *in = a->in.data + n * a->in.image_pitch + b * a->in.block_pitch +
                      (ptrdiff_t)start_y * (ptrdiff_t)a->in.row_pitch;
    float *out =
        a->out.data + n * a->out.image_pitch + b * a->out.block_pitch + y * a->out.row_pitch;
    pool_cells c = {
        .pixel = (size_t)a->stride_w * LANES,
        .row = a->dilation_h * a->in.row_pitch,
        .column = (size_t)a->dilation_w * LANES,
        .y = pool_taps_of(start_y, a->in.h, a->pad_bottom, a->kernel_h, a->dilation_h),
    };
    int inside, end;
    pool_inside(a, &inside, &end);
    for (int x = 0; x < a->out.w;) {
        int start_x = x * a->stride_w - a->pad_left;
        bool whole = x >= inside && x + POOL_PIXELS <= end;
        c.in = in + (ptrdiff_t)start_x * LANES;
        c.x = pool_taps_of(start_x, a->in.w, a->pad_right, a->kernel_w, a->dilation_w);
        if (whole)
            pool_pixels(a, c, out + (size_t)x * LANES, POOL_PIXELS, max);
        else
            pool_pixels(a, c, out + (size_t)x * LANES, 1, max);
        x += whole ? POOL_PIXELS : 1;
    }
}

static void kernel_pool_max(const pool_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        pool_row(a, t->n, t->b, y, true);
}

static void kernel_pool_average(const pool_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        pool_row(a, t->n, t->b, y, false);
}

/* Each lane over a whole plane; four chains, so that additions do not wait for each other. */
INLINE vec pool_plane(const blocked *in, const float *plane, const bool max) {
    vec acc[4];
    UNROLL for (int i = 0; i < 4; i++) acc[i] = vec_set(max ? -INFINITY : 0);
    for (int y = 0; y < in->h; y++) {
        const float *row = plane + y * in->row_pitch;
        int x = 0;
        for (; x + 4 <= in->w; x += 4)
            UNROLL for (int i = 0; i < 4; i++) {
                vec v = vec_load(row + (size_t)(x + i) * LANES);
                acc[i] = max ? vec_max(v, acc[i]) : acc[i] + v;
            }
        for (; x < in->w; x++) {
            vec v = vec_load(row + (size_t)x * LANES);
            acc[0] = max ? vec_max(v, acc[0]) : acc[0] + v;
        }
    }
    if (max) return vec_max(vec_max(acc[0], acc[1]), vec_max(acc[2], acc[3]));
    return (acc[0] + acc[1]) + (acc[2] + acc[3]);
}

static void kernel_global_average(const blocked *in, int n, int b, float *out) {
    const float *plane = in->data + n * in->image_pitch + b * in->block_pitch;
    vec divisor = vec_set((float)in->h * (float)in->w);
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH)
        vec_storeu(out + lane, pool_plane(in, plane + lane, false) / divisor);
}

static void kernel_global_max(const blocked *in, int n, int b, float *out) {
    const float *plane = in->data + n * in->image_pitch + b * in->block_pitch;
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH)
        vec_storeu(out + lane, pool_plane(in, plane + lane, true));
}
