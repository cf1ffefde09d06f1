/* overlay.c: a heat map laid over the photo that it is about. */
#include "plot/canvas.h"
#include "plot/plot.h"

#include <math.h>
#include <stdlib.h>

/* How much of a pixel's colour the greatest value takes, and what is left of the light outside. */
#define OPACITY_MAX   0.7f
#define LIGHT_OUTSIDE 0.35f

/* ---- size --------------------------------------------------------------------------------- */

static int scaled(int side, double factor) {
    int result = (int)lround(side * factor);
    return result < 1 ? 1 : result;
}

/* The photo in the size of the overlay. */
static image_code fit(const image *photo, image *out) {
    int longer = photo->width > photo->height ? photo->width : photo->height;
    int whole = (PLOT_OVERLAY_MIN + longer - 1) / longer;
    bool reduce = longer > PLOT_OVERLAY_MAX;
    double factor = reduce ? (double)PLOT_OVERLAY_MAX / longer : whole;
    return image_resize_to(photo, scaled(photo->width, factor), scaled(photo->height, factor),
                           reduce ? IMAGE_BILINEAR : IMAGE_NEAREST, out, NULL);
}

/* ---- the map between its values ----------------------------------------------------------- */

/* A position on an axis of `size` values: between which two, and how far from the first. */
typedef struct between {
    int first, second;
    float part;
    bool outside;
} between;

static between between_of(double at, int size) {
    double inside = fmin(fmax(at * size - 0.5, 0), size - 1);
    int first = (int)inside;
    return (between){.first = first,
                     .second = first + 1 < size ? first + 1 : first,
                     .part = (float)(inside - first),
                     .outside = at < 0 || at > 1};
}

static float mix(float a, float b, float part) {
    return part == 0 ? a : a + part * (b - a);
}

static float value_at(const plot_overlay *o, const between *y, const between *x) {
    const float *upper = o->values + (ptrdiff_t)y->first * o->width;
    const float *lower = o->values + (ptrdiff_t)y->second * o->width;
    return mix(mix(upper[x->first], upper[x->second], x->part),
               mix(lower[x->first], lower[x->second], x->part), y->part);
}

/* ---- pixels ------------------------------------------------------------------------------- */

/* Luma of BT.601. */
static float grey_of(const uint8_t *rgb) {
    return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
}

static void paint(uint8_t *rgb, const value_scale *scale, float value) {
    uint8_t color[3];
    float opacity = OPACITY_MAX * (isfinite(value) ? scale_position(scale, value) : 1);
    float grey = grey_of(rgb);
    value_color(scale, value, color);
    for (int i = 0; i < 3; i++)
        rgb[i] = (uint8_t)(mix(grey, color[i], opacity) + 0.5f);
}

static void darken(uint8_t *rgb) {
    rgb[0] = rgb[1] = rgb[2] = (uint8_t)(LIGHT_OUTSIDE * grey_of(rgb) + 0.5f);
}

static void lay_row(const plot_overlay *o, const value_scale *scale, const between *y,
                    const between *columns, int width, uint8_t *pixel) {
    for (int i = 0; i < width; i++, pixel += 3) {
        if (y->outside || columns[i].outside)
            darken(pixel);
        else
            paint(pixel, scale, value_at(o, y, &columns[i]));
    }
}

/* `picture` is the photo in the size of the overlay. False: out of memory. */
static bool lay_over(const plot_overlay *o, image *picture) {
    value_scale scale = scale_of(o->values, (size_t)o->height * (size_t)o->width);
    double step_y = (double)o->photo->height / picture->height;
    double step_x = (double)o->photo->width / picture->width;
    between *columns = malloc((size_t)picture->width * sizeof *columns);
    if (!columns) return false;
    for (int i = 0; i < picture->width; i++)
        columns[i] = between_of(((i + 0.5) * step_x - o->where.left) / o->where.width, o->width);
    for (int row = 0; row < picture->height; row++) {
        between y = between_of(((row + 0.5) * step_y - o->where.top) / o->where.height, o->height);
        lay_row(o, &scale, &y, columns, picture->width,
                picture->pixels + (ptrdiff_t)row * picture->width * 3);
    }
    free(columns);
    return true;
}

bool plot_overlay_png(const plot_overlay *overlay, plot_png *out) {
    image picture = {0};
    if (fit(overlay->photo, &picture) != IMAGE_OK) return false;
    bool good = lay_over(overlay, &picture) &&
                image_encode_png(picture.pixels, picture.width, picture.height, NULL, 0,
                                 &out->bytes, &out->size, NULL) == IMAGE_OK;
    image_free(&picture);
    return good;
}
