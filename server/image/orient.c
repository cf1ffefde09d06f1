/* orient.c: applies an EXIF orientation.
 *
 * Every orientation is a walk over the upright picture that starts in one of its corners and takes
 * a fixed step per stored column and per stored row. Stored rows are placed a strip at a time,
 * while they are in the cache: JPEG's as they are decoded, so that phones' pictures, most of which
 * are turned, never exist twice.
 */
#include "internal.h"

#include <string.h>

/* Where the stored pixel (x, y) belongs: origin + x * step_x + y * step_y, in pixels. */
typedef struct {
    ptrdiff_t origin;
    ptrdiff_t step_x;
    ptrdiff_t step_y;
} walk;

bool orientation_swaps(int orientation) {
    return orientation >= 5 && orientation <= 8;
}

bool orientation_reverses_columns(int orientation) {
    return orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
}

bool orientation_reverses_rows(int orientation) {
    return orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
}

/* w and h are those of the upright picture. */
static walk walk_for(int orientation, ptrdiff_t w, ptrdiff_t h) {
    ptrdiff_t right = w - 1, bottom = (h - 1) * w;
    switch (orientation) {
    case 2: /* mirrored left to right */
        return (walk){right, -1, w};
    case 3: /* turned by 180 degrees */
        return (walk){bottom + right, -1, -w};
    case 4: /* mirrored top to bottom */
        return (walk){bottom, 1, -w};
    case 5: /* transposed */
        return (walk){0, w, 1};
    case 6: /* to be turned by 90 degrees clockwise */
        return (walk){right, w, -1};
    case 7: /* transposed along the other diagonal */
        return (walk){bottom + right, -w, -1};
    case 8: /* to be turned by 90 degrees counter-clockwise */
        return (walk){bottom, -w, 1};
    default:
        return (walk){0, 1, w};
    }
}

/* A loop over pixels: how many, and how far apart in the stored rows and in the upright picture. */
typedef struct {
    int count;
    ptrdiff_t from;
    ptrdiff_t to;
} loop;

void place_rows(image *upright, int orientation, const uint8_t *rows, int y, int count) {
    bool swaps = orientation_swaps(orientation);
    int width = swaps ? upright->height : upright->width;
    if (orientation == 1) {
        size_t stride = (size_t)width * 3;
        memcpy(upright->pixels + (size_t)y * stride, rows, (size_t)count * stride);
        return;
    }
    walk to = walk_for(orientation, upright->width, upright->height);
    loop columns = {width, 3, to.step_x * 3}, lines = {count, (ptrdiff_t)width * 3, to.step_y * 3};
    loop outer = swaps ? columns : lines,
         inner = swaps ? lines : columns; /* inner writes in a row */
    uint8_t *out = upright->pixels + (to.origin + y * to.step_y) * 3;
    for (int i = 0; i < outer.count; i++, rows += outer.from, out += outer.to) {
        const uint8_t *p = rows;
        uint8_t *q = out;
        for (int k = 0; k < inner.count; k++, p += inner.from, q += inner.to)
            memcpy(q, p, 3);
    }
}

image_code orient_upright(image *img, int orientation, image_error *err) {
    if (orientation <= 1 || orientation > 8) return IMAGE_OK;
    bool swaps = orientation_swaps(orientation);
    image upright = {0};
    image_code code = image_alloc_pixels(&upright, swaps ? img->height : img->width,
                                         swaps ? img->width : img->height, 3, err);
    if (code != IMAGE_OK) return code;
    for (int y = 0; y < img->height; y += STRIP_ROWS) {
        int left = img->height - y;
        place_rows(&upright, orientation, img->pixels + (size_t)y * (size_t)img->width * 3, y,
                   left < STRIP_ROWS ? left : STRIP_ROWS);
    }
    image_free(img);
    *img = upright;
    return IMAGE_OK;
}
