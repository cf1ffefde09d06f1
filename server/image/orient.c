/* orient.c: applies an EXIF orientation.
 *
 * Every orientation is a walk over the source that starts in one of its corners and takes a fixed
 * step per output column and per output row; so one loop does all of them, in tiles, because four
 * of the eight read the source by columns.
 */
#include "internal.h"

#include <string.h>

enum { TILE = 32 };

/* Where output pixel (x, y) lies in the source: origin + x * step_x + y * step_y, in pixels. */
typedef struct {
    ptrdiff_t origin;
    ptrdiff_t step_x;
    ptrdiff_t step_y;
} walk;

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
        return (walk){bottom, -w, 1};
    case 7: /* transposed along the other diagonal */
        return (walk){bottom + right, -w, -1};
    case 8: /* to be turned by 90 degrees counter-clockwise */
        return (walk){right, w, -1};
    default:
        return (walk){0, 1, w};
    }
}

static void copy_tile(const uint8_t *source, walk from, image *to, int x0, int y0) {
    int x1 = x0 + TILE < to->width ? x0 + TILE : to->width;
    int y1 = y0 + TILE < to->height ? y0 + TILE : to->height;
    for (int y = y0; y < y1; y++) {
        uint8_t *out = to->pixels + ((size_t)y * (size_t)to->width + (size_t)x0) * 3;
        ptrdiff_t at = from.origin + x0 * from.step_x + y * from.step_y;
        for (int x = x0; x < x1; x++, out += 3, at += from.step_x)
            memcpy(out, source + at * 3, 3);
    }
}

image_code orient_upright(image *img, int orientation, image_error *err) {
    if (orientation <= 1 || orientation > 8) return IMAGE_OK;
    bool swap = orientation >= 5;
    image upright = {0};
    image_code code = alloc_pixels(&upright, swap ? img->height : img->width,
                                   swap ? img->width : img->height, 3, err);
    if (code != IMAGE_OK) return code;
    walk from = walk_for(orientation, img->width, img->height);
    for (int y = 0; y < upright.height; y += TILE)
        for (int x = 0; x < upright.width; x += TILE)
            copy_tile(img->pixels, from, &upright, x, y);
    image_free(img);
    *img = upright;
    return IMAGE_OK;
}
