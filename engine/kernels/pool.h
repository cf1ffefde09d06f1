/*
 * Windows of pooling: which cells an output pixel sees. They are clipped to the image: the rows of
 * taps once per output row, the columns once per pixel.
 */
#ifndef KERNELS_POOL_H
#define KERNELS_POOL_H

#include "kernels/simd.h"

/* Taps [first, last) of a window along one axis, and how many are counted with the padding. */
typedef struct pool_taps {
    int start; /* cell of tap 0 */
    int first, last, padded;
} pool_taps;

/* The window starts at `start` of an axis of `size` cells, padded by `pad_end` behind. */
static pool_taps pool_slide(int start, int size, int pad_end, int kernel, int dilation) {
    pool_taps t = {.start = start, .last = kernel, .padded = kernel};
    if (start < 0) t.first = MIN(DIV_UP(-start, dilation), kernel);
    if (start + (kernel - 1) * dilation >= size)
        t.last = MAX((size - start + dilation - 1) / dilation, t.first);
    if (start + (kernel - 1) * dilation >= size + pad_end)
        t.padded = MAX((size + pad_end - start + dilation - 1) / dilation, 0);
    return t;
}

/* Cells [first, last) without gaps. */
static pool_taps pool_range(int first, int last) {
    int cells = MAX(last - first, 0);
    return (pool_taps){.start = first, .last = cells, .padded = cells};
}

static pool_taps pool_bin(int i, int in, int out) {
    int64_t last = ((i + (int64_t)1) * in + out - 1) / out;
    return pool_range((int)((int64_t)i * in / out), (int)last);
}

static pool_taps pool_rows(const pool_args *a, int y) {
    if (a->bins) return pool_bin(y, a->in.h, a->out.h);
    return pool_slide(y * a->stride_h - a->pad_top, a->in.h, a->pad_bottom, a->kernel_h,
                      a->dilation_h);
}

static pool_taps pool_columns(const pool_args *a, int x) {
    if (a->bins) return pool_bin(x, a->in.w, a->out.w);
    return pool_slide(x * a->stride_w - a->pad_left, a->in.w, a->pad_right, a->kernel_w,
                      a->dilation_w);
}

/* One vector of lanes of a window; tap (ky, kx) is at in + ky * row + kx * column. */
typedef struct pool_window {
    const float *in;
    size_t row, column;
    pool_taps y, x;
} pool_window;

/* Lane 0 of the window of these rows and columns in a plane. */
INLINE pool_window pool_window_at(const pool_args *a, const float *plane, pool_taps y,
                                  pool_taps x) {
    return (pool_window){
        .in = plane + (ptrdiff_t)y.start * (ptrdiff_t)a->in.row_pitch + (ptrdiff_t)x.start * LANES,
        .row = (a->bins ? 1 : (size_t)a->dilation_h) * a->in.row_pitch,
        .column = (a->bins ? 1 : (size_t)a->dilation_w) * LANES,
        .y = y,
        .x = x,
    };
}

INLINE int pool_cells(const pool_window *w) {
    return (w->y.last - w->y.first) * (w->x.last - w->x.first);
}

INLINE const float *pool_tap(const pool_window *w, int ky, int kx) {
    return w->in + (ptrdiff_t)(ky * w->row + kx * w->column);
}

#define FOR_EACH_TAP(w)                                                                            \
    for (int ky = (w)->y.first; ky < (w)->y.last; ky++)                                            \
        for (int kx = (w)->x.first; kx < (w)->x.last; kx++)

#endif
