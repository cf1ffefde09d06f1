/*
 * Layer normalisation of pixels over their channels (Ba, Kiros and Hinton 2016, arXiv:1607.06450):
 * y[c] = (x[c] - mean) / sqrt(variance + epsilon) * scale[c] + bias[c]
 *
 * A strip of neighbouring pixels goes through three passes over its blocks: sums, squares of the
 * differences from the mean, results. Lane sums of different pixels do not wait for each other.
 * Lanes of the last block beyond C take no part and become 0.
 */
#include "kernels/simd.h"

#define NORM_PIXELS 4 /* per strip */

/* All ones for channels of the last block. */
typedef struct norm_mask {
    vec_int lanes[BLOCK_VECTORS];
} norm_mask;

INLINE norm_mask norm_mask_of(const blocked *in) {
    norm_mask mask;
    int rest = in->c - (in->blocks - 1) * LANES;
    for (int i = 0; i < LANES; i++)
        mask.lanes[i / SIMD_WIDTH][i % SIMD_WIDTH] = i < rest ? -1 : 0;
    return mask;
}

/* Adds x - center, or its square, of one block to each pixel's sum. `mask` NULL: every lane. */
INLINE void norm_add(const float *in, const float *center, const norm_mask *mask, vec *sum,
                     const bool squares, const int count) {
    const vec zero = {0};
    UNROLL for (int p = 0; p < count; p++) UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        vec x = vec_load(in + p * LANES + v * SIMD_WIDTH) - center[p];
        if (mask) x = vec_select(mask->lanes[v], x, zero);
        sum[p] = squares ? vec_fma(x, x, sum[p]) : sum[p] + x;
    }
}

/* The mean over the channels of x - center, or of its square. */
INLINE void norm_mean(const blocked *in, const float *pixels, const float *center,
                      const norm_mask *mask, float *mean, const bool squares, const int count) {
    vec sum[NORM_PIXELS] = {{0}};
    int last = in->blocks - 1;
    for (int b = 0; b < last; b++)
        norm_add(pixels + b * in->block_pitch, center, NULL, sum, squares, count);
    norm_add(pixels + last * in->block_pitch, center, mask, sum, squares, count);
    UNROLL for (int p = 0; p < count; p++) mean[p] = vec_sum(sum[p]) / (float)in->c;
}

INLINE void norm_write(const float *in, float *out, const float *scale, const float *bias,
                       const float *mean, const float *inverse, const norm_mask *mask,
                       const int count) {
    const vec zero = {0};
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        vec s = vec_load(scale + v * SIMD_WIDTH), shift = vec_load(bias + v * SIMD_WIDTH);
        UNROLL for (int p = 0; p < count; p++) {
            size_t at = (size_t)p * LANES + v * SIMD_WIDTH;
            vec y = vec_fma((vec_load(in + at) - mean[p]) * inverse[p], s, shift);
            vec_store(out + at, mask ? vec_select(mask->lanes[v], y, zero) : y);
        }
    }
}

/* `count` pixels at `in` and `out` of block 0. */
INLINE void norm_strip(const layer_norm_2d_args *a, const norm_mask *mask, const float *in,
                       float *out, const int count) {
    float mean[NORM_PIXELS] = {0}, inverse[NORM_PIXELS];
    const float zeros[NORM_PIXELS] = {0};
    int last = a->in.blocks - 1;
    norm_mean(&a->in, in, zeros, mask, mean, false, count);
    norm_mean(&a->in, in, mean, mask, inverse, true, count);
    UNROLL for (int p = 0; p < count; p++) inverse[p] = 1 / sqrtf(inverse[p] + a->epsilon);
    for (int b = 0; b <= last; b++)
        norm_write(in + b * a->in.block_pitch, out + b * a->out.block_pitch, a->scale + b * LANES,
                   a->bias + b * LANES, mean, inverse, b < last ? NULL : mask, count);
}

static void norm_row(const layer_norm_2d_args *a, const norm_mask *mask, const float *in,
                     float *out, int width) {
    int x = 0;
    for (; x + NORM_PIXELS <= width; x += NORM_PIXELS)
        norm_strip(a, mask, in + (size_t)x * LANES, out + (size_t)x * LANES, NORM_PIXELS);
    for (; x < width; x++)
        norm_strip(a, mask, in + (size_t)x * LANES, out + (size_t)x * LANES, 1);
}

/* Rows without a halo between them are one long row. */
static void kernel_layer_norm_2d(const layer_norm_2d_args *a, int n, int y0, int y1) {
    const norm_mask mask = norm_mask_of(&a->in);
    size_t row = (size_t)a->out.w * LANES;
    bool join = a->in.row_pitch == row && a->out.row_pitch == row;
    int rows = join ? 1 : y1 - y0, width = join ? a->out.w * (y1 - y0) : a->out.w;
    const float *in = a->in.data + n * a->in.image_pitch + y0 * a->in.row_pitch;
    float *out = a->out.data + n * a->out.image_pitch + y0 * a->out.row_pitch;
    for (int y = 0; y < rows; y++)
        norm_row(a, &mask, in + y * a->in.row_pitch, out + y * a->out.row_pitch, width);
}
