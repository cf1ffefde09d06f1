/*
 * Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3):
 * y[c] = x[c] / (bias + alpha / size * sum of x^2 over channels around c)^beta
 *
 * The squares of a pixel's block and of the blocks around it are laid side by side in a small
 * buffer, in which the window sums are unaligned loads. A strip of pixels goes through each stage
 * together, so that loads do not wait for the stores just before them. beta = 0.75, the usual one,
 * needs square roots only.
 */
#include "kernels/act.h"

#define LRN_PIXELS 16 /* per strip */

/* A strip's squares: of the block before, the block itself, the block behind. */
typedef struct lrn_strip {
    float squares[LRN_PIXELS][3 * LANES] __attribute__((aligned(CNN_ALIGN)));
} lrn_strip;

/* Ones for the channels of block b, zeros beyond the last channel. */
INLINE vec lrn_mask(const blocked *in, int b, int lane) {
    vec mask;
    for (int i = 0; i < SIMD_WIDTH; i++)
        mask[i] = b * LANES + lane + i < in->c ? 1.0f : 0.0f;
    return mask;
}

/* Squares of block b of the `count` pixels at `row` (of block 0) to a column of the strip; zeros
 * outside the channels. */
static void lrn_squares(const blocked *in, const float *row, int b, int count, lrn_strip *s,
                        int column) {
    bool inside = b >= 0 && b < in->blocks;
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
        vec mask = lrn_mask(in, b, lane);
        for (int x = 0; x < count; x++) {
            vec v = {0};
            if (inside) v = vec_load(row + b * in->block_pitch + (size_t)x * LANES + lane) * mask;
            vec_store(s->squares[x] + column + lane, v * v);
        }
    }
}

INLINE vec lrn_power(vec scale, float beta) {
    if (beta == 0.75f) {
        vec root = vec_sqrt(scale);
        return root * vec_sqrt(root);
    }
    return vec_exp(vec_log(scale) * beta);
}

/* `count` pixels of block b, whose squares and those around are in the strip. */
static void lrn_apply(const lrn_args *a, const float *in, float *out, int b, int count,
                      const lrn_strip *s) {
    float alpha = a->alpha / (float)a->size;
    int first = LANES - (a->size - 1) / 2; /* column of the window of lane 0 */
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
        vec mask = lrn_mask(&a->in, b, lane);
        for (int x = 0; x < count; x++) {
            vec sum = {0};
            for (int i = 0; i < a->size; i++)
                sum += vec_loadu(s->squares[x] + first + lane + i);
            vec v = vec_load(in + (size_t)x * LANES + lane) * mask;
            vec scale = vec_fma(sum, vec_set(alpha), vec_set(a->bias));
            vec_store(out + (size_t)x * LANES + lane, v / lrn_power(scale, a->beta));
        }
    }
}

static void lrn_row(const lrn_args *a, const float *in, float *out, int x0, int count) {
    lrn_strip strip;
    in += (size_t)x0 * LANES;
    out += (size_t)x0 * LANES;
    for (int b = 0; b < a->in.blocks; b++) {
        for (int i = -1; i <= 1; i++)
            lrn_squares(&a->in, in, b + i, count, &strip, (i + 1) * LANES);
        lrn_apply(a, in + b * a->in.block_pitch, out + b * a->out.block_pitch, b, count, &strip);
    }
}

static void kernel_lrn(const lrn_args *a, int n, int y0, int y1) {
    for (int y = y0; y < y1; y++)
        for (int x = 0; x < a->out.w; x += LRN_PIXELS)
            lrn_row(a, a->in.data + n * a->in.image_pitch + y * a->in.row_pitch,
                    a->out.data + n * a->out.image_pitch + y * a->out.row_pitch, x,
                    MIN(LRN_PIXELS, a->out.w - x));
}
