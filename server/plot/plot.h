/*
 * plot.h: values as pictures.
 *
 *   plot_tensor_png   a feature map: a labelled grid of heat maps, one a channel
 *   plot_overlay_png  a heat map laid over the photo that it is about
 *
 * Colours are those of viridis, which is perceptually uniform: equal steps in value are equal steps
 * to the eye, also in grey and to the colour-blind. Thread-safe. The engine is not known here.
 */
#ifndef CNNSERVE_PLOT_H
#define CNNSERVE_PLOT_H

#include "image/image.h"

/* A PNG file; `bytes` is freed by the caller. */
typedef struct plot_png {
    void *bytes;
    size_t size;
} plot_png;

typedef struct plot_tensor {
    const char *name; /* any text; what is not printable ASCII becomes '?' */
    const char *op;
    const int64_t *dims;
    int rank;
    const float *data; /* row-major; not read by plot_expected_bytes */
} plot_tensor;

/* More maps than this are not drawn, and the picture says so. */
#define PLOT_MAPS_MAX 1024

/*
 * Draws a tensor without its batch axis. The two last axes are rows and columns of a map, those
 * before count maps; a vector (also one with axes of extent 1) becomes bars, or rows if it is long.
 * All maps have one linear scale over the finite values; where a few values are far from all
 * others the scale ends before them, and the picture states its ends and the least and greatest
 * value. Values that are not finite are red. A picture has about a million pixels, so that small
 * maps are enlarged by a whole factor and large ones averaged. False: out of memory.
 */
bool plot_tensor_png(const plot_tensor *tensor, plot_png *out);
/* Bytes of that PNG, about; values are not needed. */
uint64_t plot_expected_bytes(const plot_tensor *tensor);

/* A map of height x width values over the rectangle `where` of `photo`. */
typedef struct plot_overlay {
    const image *photo;
    image_region where;
    const float *values;
    int height, width;
} plot_overlay;

/* Longer side of an overlay: larger photos are reduced to the one, smaller ones enlarged by a whole
 * factor to at least the other where that is possible. */
#define PLOT_OVERLAY_MAX 800
#define PLOT_OVERLAY_MIN 256

/*
 * The photo in grey, coloured from the least (unchanged) to the greatest value of the map, which is
 * interpolated linearly; what lies outside `where` is darkened. False: out of memory.
 */
bool plot_overlay_png(const plot_overlay *overlay, plot_png *out);

#endif
