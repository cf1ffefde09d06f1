/*
 * Dense to blocked layout and back. NCHW is a transposition of channels and pixels, done in squares
 * of 4 x 4 floats, which every instruction set can; both directions are bound by memory. NHWC is a
 * copy of runs of channels.
 */
#include "kernels/simd.h"

typedef float quad __attribute__((vector_size(16), may_alias));
typedef float quad_unaligned __attribute__((vector_size(16), may_alias, aligned(4)));

/* to[i * to_pitch + j] = from[j * from_pitch + i] for i, j < 4. */
INLINE void layout_transpose(const float *from, size_t from_pitch, float *to, size_t to_pitch) {
    quad r[4], s[4];
    UNROLL for (int i = 0; i < 4; i++) r[i] = *(const quad_unaligned *)(from + i * from_pitch);
    s[0] = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    s[1] = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    s[2] = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    s[3] = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(s[0], s[1], 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(s[0], s[1], 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(s[2], s[3], 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(s[2], s[3], 2, 3, 6, 7);
    UNROLL for (int i = 0; i < 4; i++) * (quad_unaligned *)(to + i * to_pitch) = r[i];
}

/* A row of `width` pixels; channels of `planar` are `plane` floats apart, pixels of `pixels` are
 * `lanes` floats apart. Moves channels [first, last) one by one. */
static void layout_block_lanes(const float *planar, size_t plane, float *pixels, int lanes,
                               int first, int last, int width) {
    for (int x = 0; x < width; x++)
        for (int c = first; c < last; c++)
            pixels[(size_t)x * lanes + c] = planar[c * plane + x];
}

static void layout_unblock_lanes(const float *pixels, int lanes, float *planar, size_t plane,
                                 int first, int last, int width) {
    for (int c = first; c < last; c++)
        for (int x = 0; x < width; x++)
            planar[c * plane + x] = pixels[(size_t)x * lanes + c];
}

/* 4 pixels of 3 channels, as many lanes. */
INLINE void layout_interleave_3(const float *planar, size_t plane, float *pixels) {
    quad r = *(const quad_unaligned *)planar, g = *(const quad_unaligned *)(planar + plane),
         b = *(const quad_unaligned *)(planar + 2 * plane);
    quad rg = __builtin_shufflevector(r, g, 0, 4, 1, 5);
    quad gb = __builtin_shufflevector(g, b, 1, 5, 2, 6);
    quad br = __builtin_shufflevector(b, r, 2, 7, 3, 7);
    quad_unaligned *to = (quad_unaligned *)pixels;
    to[0] = __builtin_shufflevector(rg, b, 0, 1, 4, 2);
    to[1] = __builtin_shufflevector(gb, r, 0, 1, 6, 2);
    to[2] = __builtin_shufflevector(br, g, 0, 1, 7, 2);
}

/* Squares of 4 channels x 4 pixels, then what they leave at either edge. */
static void layout_block_row(const float *planar, size_t plane, float *pixels, int lanes, int count,
                             int width) {
    int channels = lanes % 4 == 0 ? count & ~3 : 0, x = 0;
    if (lanes == 3 && count == 3) {
        channels = 3;
        for (; x + 4 <= width; x += 4)
            layout_interleave_3(planar + x, plane, pixels + (size_t)x * 3);
    }
    for (; x + 4 <= width; x += 4)
        for (int c = 0; c < channels; c += 4)
            layout_transpose(planar + c * plane + x, plane, pixels + (size_t)x * lanes + c, lanes);
    layout_block_lanes(planar + x, plane, pixels + (size_t)x * lanes, lanes, 0, channels,
                       width - x);
    layout_block_lanes(planar, plane, pixels, lanes, channels, count, width);
    for (x = 0; count < lanes && x < width; x++)
        memset(pixels + (size_t)x * lanes + count, 0, (lanes - count) * sizeof *pixels);
}

static void layout_unblock_row(const float *pixels, int lanes, float *planar, size_t plane,
                               int count, int width) {
    int channels = lanes % 4 == 0 ? count & ~3 : 0, x = 0;
    for (; x + 4 <= width; x += 4)
        for (int c = 0; c < channels; c += 4)
            layout_transpose(pixels + (size_t)x * lanes + c, lanes, planar + c * plane + x, plane);
    layout_unblock_lanes(pixels + (size_t)x * lanes, lanes, planar + x, plane, 0, channels,
                         width - x);
    layout_unblock_lanes(pixels, lanes, planar, plane, channels, count, width);
}

/* Offset of row y of block b in the dense form of `t`. */
static size_t layout_dense_row(const blocked *t, bool nhwc, int n, int b, int y) {
    size_t c = (size_t)b * t->lanes;
    return nhwc ? ((size_t)n * t->h + y) * t->w * t->c + c : ((n * t->c + c) * t->h + y) * t->w;
}

static float *layout_blocked_row(const blocked *t, int n, int b, int y) {
    return t->data + n * t->image_pitch + b * t->block_pitch + y * t->row_pitch;
}

static void kernel_block(const float *in, bool nhwc, const blocked *out, const rows_tile *t) {
    int lanes = out->lanes, count = MIN(lanes, out->c - t->b * lanes);
    for (int y = t->y0; y < t->y1; y++) {
        const float *from = in + layout_dense_row(out, nhwc, t->n, t->b, y);
        float *to = layout_blocked_row(out, t->n, t->b, y);
        if (!nhwc) {
            layout_block_row(from, (size_t)out->h * out->w, to, lanes, count, out->w);
            continue;
        }
        for (int x = 0; x < out->w; x++, from += out->c, to += lanes) {
            memcpy(to, from, count * sizeof *to);
            memset(to + count, 0, (lanes - count) * sizeof *to);
        }
    }
}

static void kernel_unblock(const blocked *in, float *out, bool nhwc, const rows_tile *t) {
    int lanes = in->lanes, count = MIN(lanes, in->c - t->b * lanes);
    for (int y = t->y0; y < t->y1; y++) {
        const float *from = layout_blocked_row(in, t->n, t->b, y);
        float *to = out + layout_dense_row(in, nhwc, t->n, t->b, y);
        if (!nhwc) {
            layout_unblock_row(from, lanes, to, (size_t)in->h * in->w, count, in->w);
            continue;
        }
        for (int x = 0; x < in->w; x++, from += lanes, to += in->c)
            memcpy(to, from, count * sizeof *to);
    }
}
