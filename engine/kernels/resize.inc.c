/*
 * Planes resized by their nearest pixels or linear interpolation: a pixel's channels are a vector,
 * whose sources and weights stand in the taps.
 */
#include "kernels/simd.h"

static void resize_nearest_row(const resize_args *a, const float *in, float *out) {
    for (int x = 0; x < a->out.w; x++) {
        const float *pixel = in + (size_t)a->columns[x].first * LANES;
        for (int l = 0; l < LANES; l += SIMD_WIDTH)
            vec_store(out + (size_t)x * LANES + l, vec_load(pixel + l));
    }
}

/* From a to b, which counts `weight`. */
INLINE vec resize_between(vec a, vec b, float weight) {
    return vec_fma(b, vec_set(weight), a * (1 - weight));
}

/* Between the rows `top` and `bottom`, of which the latter counts `weight`. */
static void resize_linear_row(const resize_args *a, const float *top, const float *bottom,
                              float weight, float *out) {
    for (int x = 0; x < a->out.w; x++) {
        resize_tap t = a->columns[x];
        size_t left = (size_t)t.first * LANES, right = (size_t)t.second * LANES;
        for (int l = 0; l < LANES; l += SIMD_WIDTH) {
            vec first =
                resize_between(vec_load(top + left + l), vec_load(bottom + left + l), weight);
            vec second =
                resize_between(vec_load(top + right + l), vec_load(bottom + right + l), weight);
            vec_store(out + (size_t)x * LANES + l, resize_between(first, second, t.weight));
        }
    }
}

static void kernel_resize(const resize_args *a, const rows_tile *t) {
    const float *in = a->in.data + t->n * a->in.image_pitch + t->b * a->in.block_pitch;
    float *out = a->out.data + t->n * a->out.image_pitch + t->b * a->out.block_pitch;
    for (int y = t->y0; y < t->y1; y++) {
        resize_tap row = a->rows[y];
        const float *top = in + (size_t)row.first * a->in.row_pitch;
        const float *bottom = in + (size_t)row.second * a->in.row_pitch;
        if (a->linear)
            resize_linear_row(a, top, bottom, row.weight, out + y * a->out.row_pitch);
        else
            resize_nearest_row(a, top, out + y * a->out.row_pitch);
    }
}
