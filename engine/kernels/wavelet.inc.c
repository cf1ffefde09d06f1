/*
 * One level of a two-dimensional wavelet transform. Each cell of a window is loaded once for all
 * four bands: a row of taps gives its low and its high sum, which the column's filters weigh.
 */
#include "kernels/simd.h"

/* Cell of tap `tap` for output `o`: the axis is periodic, its last cell twice if `size` is odd. */
static int wavelet_cell(int o, int tap, int taps, int size) {
    int period = size + size % 2, at = 2 * o + taps / 2 - tap;
    if (at >= 0 && at < size) return at;
    at = (at % period + period) % period;
    return MIN(at, size - 1);
}

INLINE void wavelet_pixel(const wavelet_args *a, const float *plane, int y, int x,
                          vec bands[WAVELET_BANDS]) {
    const wavelet_filters *f = &a->filters;
    for (int i = 0; i < WAVELET_BANDS; i++)
        bands[i] = (vec){0};
    for (int ky = 0; ky < f->taps; ky++) {
        const float *row = plane + (size_t)wavelet_cell(y, ky, f->taps, a->in.h) * a->in.row_pitch;
        vec low = {0}, high = {0};
        for (int kx = 0; kx < f->taps; kx++) {
            vec v = vec_load(row + (size_t)wavelet_cell(x, kx, f->taps, a->in.w) * LANES);
            low = vec_fma(v, vec_set(f->low[kx]), low);
            high = vec_fma(v, vec_set(f->high[kx]), high);
        }
        const vec weigh_low = vec_set(f->low[ky]), weigh_high = vec_set(f->high[ky]);
        bands[0] = vec_fma(low, weigh_low, bands[0]);
        bands[1] = vec_fma(high, weigh_low, bands[1]);
        bands[2] = vec_fma(low, weigh_high, bands[2]);
        bands[3] = vec_fma(high, weigh_high, bands[3]);
    }
}

INLINE void wavelet_store(const blocked *out, const rows_tile *t, int y, size_t at, vec v) {
    if (!out->data) return;
    float *row = out->data + t->n * out->image_pitch + t->b * out->block_pitch + y * out->row_pitch;
    vec_store(row + at, v);
}

static void kernel_wavelet(const wavelet_args *a, const rows_tile *t) {
    const float *plane = a->in.data + t->n * a->in.image_pitch + t->b * a->in.block_pitch;
    int w = DIV_UP(a->in.w, 2);
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < w; x++)
            for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
                vec bands[WAVELET_BANDS];
                wavelet_pixel(a, plane + lane, y, x, bands);
                for (int i = 0; i < WAVELET_BANDS; i++)
                    wavelet_store(&a->out[i], t, y, (size_t)x * LANES + lane, bands[i]);
            }
}
