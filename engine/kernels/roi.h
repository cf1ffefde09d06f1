/*
 * Where the bins of a region of interest lie, on one axis; kernels and operators share it. Regions
 * are data and not trusted: bins are clipped to the image, and points are bounded by ROI_MAX_GRID.
 */
#ifndef KERNELS_ROI_H
#define KERNELS_ROI_H

#include "base/element.h"

#include <math.h>

#define ROI_MAX_GRID 1024 /* points on an axis of a bin */

/* ---- MaxRoiPool: both ends belong to the region ---- */

/* Pixels [*first, *last) of bin `bin` of `count`, for a region from `start` to `end`. */
static inline void roi_bin_range(double start, double end, int64_t bin, int64_t count,
                                 int64_t extent, int64_t *first, int64_t *last) {
    double from = round(start), length = MAX(round(end) - from + 1, 1) / (double)count;
    double low = floor((double)bin * length) + from, high = ceil((double)(bin + 1) * length) + from;
    *first = int_of_double(MIN(MAX(low, 0), (double)extent));
    *last = int_of_double(MIN(MAX(high, 0), (double)extent));
}

/* ---- RoIAlign ---- */

/* Bins of `size`, each sampled at `grid` points. */
typedef struct roi_axis {
    double start, size;
    int64_t grid;
    int64_t extent; /* of the image */
} roi_axis;

/* A region from `start` to `end` in pixels, cut into `count` bins. */
static inline roi_axis roi_axis_of(double start, double end, int64_t count, int64_t ratio,
                                   bool half_pixel, int64_t extent) {
    double length = half_pixel ? end - start : MAX(end - start, 1);
    double grid = ratio > 0 ? (double)ratio : ceil(length / (double)count);
    return (roi_axis){start, length / (double)count,
                      int_of_double(MIN(MAX(grid, 0), (double)ROI_MAX_GRID)), extent};
}

/* The two pixels around a point and the weight of the second. */
typedef struct roi_point {
    int64_t low, high;
    double weight;
} roi_point;

/* Point `i` of bin `bin`; false beyond the image, where it counts as 0. */
static inline bool roi_point_of(const roi_axis *a, int64_t bin, int64_t i, roi_point *p) {
    double at = a->start + (double)bin * a->size + ((double)i + 0.5) * a->size / (double)a->grid;
    if (!(at >= -1 && at <= (double)a->extent)) return false;
    at = MAX(at, 0);
    p->low = MIN((int64_t)at, a->extent - 1);
    p->high = MIN(p->low + 1, a->extent - 1);
    p->weight = p->low == a->extent - 1 ? 0 : at - (double)p->low;
    return true;
}

#endif
