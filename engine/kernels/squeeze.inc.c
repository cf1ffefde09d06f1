/*
 * Squeeze-and-excite (see kernels.h). Both products with matrices go through them once, 16 x 16 at
 * a time.
 */
#include "kernels/act.h"
#include "kernels/sums.h"

static void kernel_row_sums(const blocked *in, const rows_tile *t, float *sums) {
    const float *row = in->data + t->n * in->image_pitch + t->b * in->block_pitch;
    float *out = sums + (size_t)(t->n * in->blocks + t->b) * in->h * LANES;
    for (int y = t->y0; y < t->y1; y++)
        pixels_sum(row + y * in->row_pitch, in->w, out + y * LANES);
}

/* Weights come from beyond the second-level cache, in one stream. */
#define SQUEEZE_AHEAD 1024

/* sums[16] += the products of 16 factors with a 16 x 16 matrix. */
INLINE void squeeze_add(const float *factors, const float *weights, float *sums) {
    vec acc[BLOCK_VECTORS] = {{0}};
    UNROLL for (int i = 0; i < LANES; i++) {
        vec factor = vec_set(factors[i]);
        __builtin_prefetch(weights + i * LANES + SQUEEZE_AHEAD);
        UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
            vec w = vec_load(weights + i * LANES + v * SIMD_WIDTH);
            acc[v] = vec_fma(factor, w, acc[v]);
        }
    }
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        float *sum = sums + v * SIMD_WIDTH;
        vec_store(sum, vec_load(sum) + acc[v]);
    }
}

static void kernel_squeeze(const squeeze_args *a, int n, int part, float *out) {
    int b1 = MIN((part + 1) * a->part_blocks, a->blocks);
    size_t hidden = (size_t)a->hidden;
    memset(out, 0, hidden * sizeof *out);
    for (int b = part * a->part_blocks; b < b1; b++) {
        float mean[LANES] __attribute__((aligned(CNN_ALIGN)));
        pixels_sum(a->sums + (size_t)(n * a->blocks + b) * a->h * LANES, a->h, mean);
        for (int l = 0; l < LANES; l += SIMD_WIDTH)
            vec_store(mean + l, vec_load(mean + l) / (float)a->pixels);
        const float *weights = a->squeeze + (size_t)b * LANES * hidden;
        for (size_t j = 0; j < hidden; j += LANES)
            squeeze_add(mean, weights + j * LANES, out + j);
    }
}

static void squeeze_hidden(const squeeze_args *a, const float *parts, float *hidden) {
    size_t size = (size_t)a->hidden;
    for (size_t j = 0; j < size; j += SIMD_WIDTH) {
        vec sum = vec_load(a->hidden_bias + j);
        for (int p = 0; p * a->part_blocks < a->blocks; p++)
            sum += vec_load(parts + p * size + j);
        vec_store(hidden + j, sum);
    }
    kernel_unary(hidden, hidden, size, a->hidden_act);
}

static void kernel_gate(const squeeze_args *a, const float *parts, int b0, int b1, float *gate) {
    float hidden[SQUEEZE_MAX_HIDDEN] __attribute__((aligned(CNN_ALIGN)));
    squeeze_hidden(a, parts, hidden);
    memcpy(gate, a->gate_bias + b0 * LANES, (size_t)(b1 - b0) * LANES * sizeof *gate);
    for (int b = b0; b < b1; b++) {
        const float *weights = a->excite + (size_t)b * a->hidden * LANES;
        for (int r = 0; r < a->hidden; r += LANES)
            squeeze_add(hidden + r, weights + r * LANES, gate + (b - b0) * LANES);
    }
    kernel_unary(gate, gate, (size_t)(b1 - b0) * LANES, a->gate_act);
}

static void kernel_scale_rows(const float *in, const float *scale, float *out, size_t rows,
                              size_t width) {
    for (size_t i = 0; i < rows; i++, in += width, out += width) {
        vec factor = vec_set(scale[i]);
        for (size_t j = 0; j < width; j += SIMD_WIDTH)
            vec_store(out + j, vec_load(in + j) * factor);
    }
}
