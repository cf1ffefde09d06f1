/* Pooling over regions of interest, see roi.h. A region of an image that does not exist gives 0. */
#include "kernels/roi.h"
#include "kernels/pool.h"

static float *roi_out_row(const roi_args *a, const rows_tile *t, int y) {
    return a->out.data + t->n * a->out.image_pitch + t->b * a->out.block_pitch +
           y * a->out.row_pitch;
}

/* The block's plane in an image; NULL, after the tile has been cleared, if there is none such. */
static const float *roi_plane(const roi_args *a, const rows_tile *t, int64_t image) {
    if (image >= 0 && image < a->in.n)
        return a->in.data + (size_t)image * a->in.image_pitch + t->b * a->in.block_pitch;
    for (int y = t->y0; y < t->y1; y++)
        memset(roi_out_row(a, t, y), 0, (size_t)a->out.w * LANES * sizeof(float));
    return NULL;
}

/* ---- maximum ---- */

INLINE vec roi_window_max(const pool_window *w) {
    vec most = vec_set(-INFINITY);
    FOR_EACH_TAP(w)
    most = vec_max(vec_load(pool_tap(w, ky, kx)), most);
    return pool_cells(w) > 0 ? most : (vec){0};
}

static pool_taps roi_taps(double start, double end, int bin, int count, int extent) {
    int64_t first, last;
    roi_bin_range(start, end, bin, count, extent, &first, &last);
    return pool_range((int)first, (int)last);
}

static void kernel_roi_max(const roi_args *a, const rows_tile *t) {
    const float *roi = a->rois + (size_t)t->n * 5;
    const float *plane = roi_plane(a, t, int_of_double(roi[0]));
    double scale = a->spatial_scale;
    for (int y = t->y0; plane && y < t->y1; y++) {
        pool_taps rows = roi_taps(roi[2] * scale, roi[4] * scale, y, a->out.h, a->in.h);
        float *out = roi_out_row(a, t, y);
        for (int x = 0; x < a->out.w; x++) {
            pool_taps columns = roi_taps(roi[1] * scale, roi[3] * scale, x, a->out.w, a->in.w);
            for (int lane = 0; lane < LANES; lane += SIMD_WIDTH, out += SIMD_WIDTH) {
                pool_window w = {plane + rows.start * a->in.row_pitch +
                                     (size_t)columns.start * LANES + lane,
                                 a->in.row_pitch, LANES, rows, columns};
                vec_store(out, roi_window_max(&w));
            }
        }
    }
}

/* ---- RoIAlign ---- */

/* Adds a bilinear sample; `largest`: takes the largest of the four weighted pixels and samples. */
INLINE void roi_add_sample(const blocked *in, const float *plane, const roi_point *y,
                           const roi_point *x, vec acc[BLOCK_VECTORS], const bool largest) {
    const float *top = plane + (size_t)y->low * in->row_pitch;
    const float *bottom = plane + (size_t)y->high * in->row_pitch;
    const float *corners[] = {top + x->low * LANES, top + x->high * LANES, bottom + x->low * LANES,
                              bottom + x->high * LANES};
    double up = 1 - y->weight, left = 1 - x->weight;
    float weights[] = {(float)(up * left), (float)(up * x->weight), (float)(y->weight * left),
                       (float)(y->weight * x->weight)};
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) UNROLL for (int i = 0; i < 4; i++) {
        vec value = vec_load(corners[i] + v * SIMD_WIDTH);
        acc[v] = largest ? vec_max(acc[v], value * weights[i])
                         : vec_fma(value, vec_set(weights[i]), acc[v]);
    }
}

INLINE void roi_align_bin(const blocked *in, const float *plane, const roi_axis *vertical,
                          const roi_axis *horizontal, int y, int x, float *out,
                          const bool largest) {
    vec acc[BLOCK_VECTORS];
    int64_t points = vertical->grid * horizontal->grid, missed = points;
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) acc[v] = vec_set(largest ? -INFINITY : 0);
    for (int64_t iy = 0; iy < vertical->grid; iy++) {
        roi_point row, column;
        if (!roi_point_of(vertical, y, iy, &row)) continue;
        for (int64_t ix = 0; ix < horizontal->grid; ix++)
            if (roi_point_of(horizontal, x, ix, &column)) {
                roi_add_sample(in, plane, &row, &column, acc, largest);
                missed--;
            }
    }
    UNROLL for (int v = 0; v < BLOCK_VECTORS; v++) {
        vec result = acc[v] / vec_set(largest ? 1 : (float)MAX(points, 1));
        if (largest && (missed > 0 || points == 0)) result = vec_max(result, (vec){0});
        vec_store(out + v * SIMD_WIDTH, result);
    }
}

static void kernel_roi_align(const roi_args *a, const rows_tile *t) {
    const float *plane = roi_plane(a, t, a->images[t->n]);
    double corner[4];
    for (int i = 0; i < 4; i++)
        corner[i] =
            (double)a->rois[(size_t)t->n * 4 + i] * a->spatial_scale - (a->half_pixel ? 0.5 : 0);
    roi_axis horizontal =
        roi_axis_of(corner[0], corner[2], a->out.w, a->sampling_ratio, a->half_pixel, a->in.w);
    roi_axis vertical =
        roi_axis_of(corner[1], corner[3], a->out.h, a->sampling_ratio, a->half_pixel, a->in.h);
    for (int y = t->y0; plane && y < t->y1; y++)
        for (int x = 0; x < a->out.w; x++) {
            float *out = roi_out_row(a, t, y) + (size_t)x * LANES;
            if (a->largest)
                roi_align_bin(&a->in, plane, &vertical, &horizontal, y, x, out, true);
            else
                roi_align_bin(&a->in, plane, &vertical, &horizontal, y, x, out, false);
        }
}
