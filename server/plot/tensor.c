/*
 * tensor.c: a feature map as a picture.
 *
 * A title, the maps in rows with their numbers, and the colour scale with the values at its ends.
 * Everything is placed before anything is drawn, from the shape alone, so that the size of the
 * picture is known as soon as the shape is.
 */
#include "common/array.h"
#include "plot/canvas.h"
#include "plot/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 16,
    TEXT_ZOOM = 2, /* of all but the numbers of the maps */
    TEXT_LINE = (FONT_HEIGHT + 2) * TEXT_ZOOM,
    NUMBER_LINE = FONT_HEIGHT + 1,
    GAP = 6,
    WIDTH_MIN = 480,
    SCALE_WIDTH = 320,
    SCALE_HEIGHT = 14,
    MAPS_AREA = 1000 * 1000, /* pixels that all maps together are to fill, about */
    MAP_SIDE_MIN = 24,       /* pixels */
    MAP_SIDE_MAX = 320,
    ALONE_SIDE_MAX = 640, /* if there is one map only */
    ZOOM_MAX = 40,
    BARS_MAX = 1024,  /* a longer vector is wrapped into rows */
    ROW_LENGTH = 256, /* of this many values */
    BARS_WIDTH = 960,
    BAR_WIDTH_MAX = 32,
    BARS_HEIGHT = 260,
    TICK_DISTANCE = 48, /* pixels between numbers below the bars, at least */
};

/* How a tensor is seen: `maps` maps of height x width values, or bars. */
typedef struct view {
    bool bars;
    size_t maps;
    int64_t height, width;
    size_t count; /* values; the last map may have fewer than it has places */
} view;

typedef struct layout {
    view view;
    size_t shown;                      /* maps */
    int zoom;                          /* pixels a value, 1 if values are averaged */
    int64_t reduce_y, reduce_x;        /* values averaged into a pixel */
    int map_width, map_height;         /* pixels */
    int step_x, step_y;                /* from one map to the next */
    int columns, rows;                 /* of maps */
    int top;                           /* of the first row */
    int content_width, content_height; /* pixels */
    int width, height;
} layout;

static int at_least(int a, int b) {
    return a > b ? a : b;
}

static int clamp(double value, int low, int high) {
    return value < low ? low : value > high ? high : (int)value;
}

/* ---- placing ------------------------------------------------------------------------------ */

static view view_of(const plot_tensor *t) {
    view v = {.maps = 1, .height = 1, .width = 1, .count = 1};
    int long_axes = 0;
    for (int i = 0; i < t->rank; i++) {
        v.count *= (size_t)t->dims[i];
        long_axes += t->dims[i] != 1;
    }
    if (long_axes <= 1) {
        v.bars = v.count <= BARS_MAX;
        v.width = v.bars ? (int64_t)v.count : ROW_LENGTH;
        v.height = v.bars ? 1 : ((int64_t)v.count + ROW_LENGTH - 1) / ROW_LENGTH;
        return v;
    }
    v.height = t->dims[t->rank - 2];
    v.width = t->dims[t->rank - 1];
    for (int i = 0; i < t->rank - 2; i++)
        v.maps *= (size_t)t->dims[i];
    return v;
}

static int64_t divided_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* A number of columns that makes the picture somewhat wider than high, with full rows if it can. */
static int choose_columns(size_t maps, double aspect) {
    int columns = clamp(round(sqrt((double)maps * 1.3 / aspect)), 1, (int)maps);
    for (int away = 0; away <= columns / 2; away++) {
        if (maps % (size_t)(columns + away) == 0) return columns + away;
        if (away <= columns / 4 && maps % (size_t)(columns - away) == 0) return columns - away;
    }
    return columns;
}

static void place_maps(layout *l) {
    const view *v = &l->view;
    l->shown = v->maps < PLOT_MAPS_MAX ? v->maps : PLOT_MAPS_MAX;
    int most = l->shown == 1 ? ALONE_SIDE_MAX : MAP_SIDE_MAX;
    int side = clamp(sqrt((double)MAPS_AREA / (double)l->shown) - GAP, MAP_SIDE_MIN, most);
    l->reduce_y = divided_up(v->height, side);
    l->reduce_x = divided_up(v->width, side);
    int height = (int)divided_up(v->height, l->reduce_y);
    int width = (int)divided_up(v->width, l->reduce_x);
    bool whole = l->reduce_y == 1 && l->reduce_x == 1;
    l->zoom = whole ? clamp(round((double)side / at_least(height, width)), 1, ZOOM_MAX) : 1;
    l->map_height = height * l->zoom;
    l->map_width = width * l->zoom;
    l->step_x = at_least(l->map_width, MAP_SIDE_MIN) + GAP; /* a number needs as much */
    l->step_y = l->map_height + NUMBER_LINE + GAP;
    l->columns = choose_columns(l->shown, (double)l->step_x / l->step_y);
    l->rows = (int)divided_up((int64_t)l->shown, l->columns);
    l->content_width = l->columns * l->step_x - GAP;
    l->content_height = l->rows * l->step_y - GAP;
}

static void place_bars(layout *l) {
    l->shown = l->view.maps;
    l->zoom = clamp((double)BARS_WIDTH / (double)l->view.count, 1, BAR_WIDTH_MAX);
    l->content_width = (int)l->view.count * l->zoom;
    l->content_height = BARS_HEIGHT + GAP + FONT_HEIGHT;
}

static layout place(const plot_tensor *t) {
    layout l = {.view = view_of(t), .top = MARGIN + 2 * TEXT_LINE + GAP};
    if (l.view.count == 0)
        l.content_height = 0;
    else if (l.view.bars)
        place_bars(&l);
    else
        place_maps(&l);
    l.width = at_least(2 * MARGIN + l.content_width, WIDTH_MIN);
    l.height = l.top + l.content_height + MARGIN + SCALE_HEIGHT + GAP + 2 * TEXT_LINE + MARGIN;
    return l;
}

/* ---- drawing ------------------------------------------------------------------------------ */

/* The value of one pixel of a map: the mean of the values that it stands for, of which there is at
 * least one; NaN if one of them is not finite. */
static float pixel_value(const layout *l, const float *map, size_t left, int64_t y, int64_t x) {
    const view *v = &l->view;
    double sum = 0;
    int64_t count = 0;
    int64_t bottom = (y + 1) * l->reduce_y, right = (x + 1) * l->reduce_x;
    for (int64_t r = y * l->reduce_y; r < bottom && r < v->height; r++)
        for (int64_t c = x * l->reduce_x; c < right && c < v->width; c++) {
            size_t at = (size_t)(r * v->width + c);
            if (at >= left) continue;
            sum += map[at];
            count++;
        }
    return (float)(sum / (double)count);
}

static void draw_map(canvas *c, const layout *l, const value_scale *scale, const float *map,
                     size_t left, int x, int y) {
    for (int row = 0; row < l->map_height / l->zoom; row++)
        for (int column = 0; column < l->map_width / l->zoom; column++) {
            size_t first = (size_t)(row * l->reduce_y * l->view.width + column * l->reduce_x);
            if (first >= left) break; /* places behind the last value */
            float value = pixel_value(l, map, left, row, column);
            canvas_fill(c, x + column * l->zoom, y + row * l->zoom, l->zoom, l->zoom,
                        scale_index(scale, value));
        }
}

static void draw_maps(canvas *c, const layout *l, const value_scale *scale, const float *data) {
    size_t each = l->view.maps == 1 ? l->view.count : (size_t)(l->view.height * l->view.width);
    for (size_t i = 0; i < l->shown; i++) {
        char number[24];
        int x = MARGIN + (int)(i % (size_t)l->columns) * l->step_x;
        int y = l->top + (int)(i / (size_t)l->columns) * l->step_y;
        snprintf(number, sizeof number, "%zu", i);
        if (l->view.maps > 1) canvas_text(c, x, y, 1, FAINT, number);
        draw_map(c, l, scale, data + i * each, each, x, y + NUMBER_LINE);
    }
}

/* Distance of the numbers below bars: 1, 2 or 5 times a power of ten. */
static int tick_step(int bar_width) {
    static const int steps[] = {1, 2, 5, 10, 20, 50, 100, 200};
    size_t i = 0;
    while (i + 1 < ARRAY_LENGTH(steps) && steps[i] * bar_width < TICK_DISTANCE)
        i++;
    return bar_width >= 3 * (FONT_WIDTH + 1) ? 1 : steps[i];
}

/* Bars stand on the zero line, or hang from it; a value that is not finite is marked all over. */
static void draw_bars(canvas *c, const layout *l, const value_scale *scale, const float *data) {
    double low = fmin(scale->min, 0), high = fmax(scale->max, 0);
    double unit = high > low ? BARS_HEIGHT / (high - low) : 0;
    int zero = l->top + (int)lround(high * unit), step = tick_step(l->zoom);
    int width = l->zoom > 3 ? l->zoom - 1 : l->zoom, below = l->top + BARS_HEIGHT + GAP;
    for (size_t i = 0; i < l->view.count; i++) {
        int x = MARGIN + (int)i * l->zoom;
        int end = isfinite(data[i]) ? l->top + (int)lround((high - data[i]) * unit) : l->top;
        int from = end < zero ? end : zero, to = end < zero ? zero : end;
        if (!isfinite(data[i])) to = l->top + BARS_HEIGHT;
        canvas_fill(c, x, from, width, at_least(to - from, 1), scale_index(scale, data[i]));
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        if (i % (size_t)step == 0) canvas_text(c, x, below, 1, FAINT, number);
    }
    canvas_fill(c, MARGIN, zero, l->content_width, 1, FAINT);
}

/* ---- title and scale ---------------------------------------------------------------------- */

static void draw_title(canvas *c, const layout *l, const plot_tensor *t) {
    char text[400];
    int length = snprintf(text, sizeof text, "%.80s  ", t->op), room = l->width - 2 * MARGIN;
    for (int i = 0; i < t->rank; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "%s%" PRId64, i ? "x" : "",
                           t->dims[i]);
    if (t->rank == 0) length += snprintf(text + length, sizeof text - (size_t)length, "scalar");
    if (l->shown < l->view.maps)
        length += snprintf(text + length, sizeof text - (size_t)length, "  first %zu of %zu maps",
                           l->shown, l->view.maps);
    if (l->reduce_y > 1 || l->reduce_x > 1)
        snprintf(text + length, sizeof text - (size_t)length,
                 "  a pixel: mean of %" PRId64 "x%" PRId64, l->reduce_y, l->reduce_x);
    canvas_text_within(c, MARGIN, MARGIN, room, TEXT_ZOOM, INK, t->name);
    canvas_text_within(c, MARGIN, MARGIN + TEXT_LINE, room, TEXT_ZOOM, FAINT, text);
}

/* The colours, the values at their ends, and what lies beyond these. */
static void draw_scale(canvas *c, const layout *l, const value_scale *scale) {
    char low[40], high[40], all[160];
    int y = l->height - MARGIN - 2 * TEXT_LINE - GAP - SCALE_HEIGHT, below = y + SCALE_HEIGHT + GAP;
    for (int x = 0; x < SCALE_WIDTH; x++)
        canvas_fill(c, MARGIN + x, y, 1, SCALE_HEIGHT,
                    (uint8_t)(x * (SCALE_COLORS - 1) / (SCALE_WIDTH - 1)));
    snprintf(low, sizeof low, "%s%.4g", scale->low > scale->min ? "<= " : "", (double)scale->low);
    snprintf(high, sizeof high, "%s%.4g", scale->high < scale->max ? ">= " : "",
             (double)scale->high);
    canvas_text(c, MARGIN, below, TEXT_ZOOM, INK, low);
    canvas_text(c, MARGIN + SCALE_WIDTH - text_width(high, TEXT_ZOOM), below, TEXT_ZOOM, INK, high);
    below += TEXT_LINE;
    int length =
        snprintf(all, sizeof all, "min %.4g  max %.4g", (double)scale->min, (double)scale->max);
    canvas_text(c, MARGIN, below, TEXT_ZOOM, FAINT, all);
    if (scale->not_finite == 0) return;
    int x = MARGIN + (length + 3) * (FONT_WIDTH + 1) * TEXT_ZOOM;
    snprintf(all, sizeof all, "not finite: %zu", scale->not_finite);
    canvas_fill(c, x, below, 7 * TEXT_ZOOM, 7 * TEXT_ZOOM, MARK);
    canvas_text(c, x + 9 * TEXT_ZOOM, below, TEXT_ZOOM, INK, all);
}

/* ---- the picture -------------------------------------------------------------------------- */

bool plot_tensor_png(const plot_tensor *tensor, plot_png *out) {
    canvas c;
    uint8_t palette[PALETTE_COLORS][3];
    layout l = place(tensor);
    if (!canvas_create(&c, l.width, l.height)) return false;
    value_scale scale = scale_of(tensor->data, l.view.count);
    if (!l.view.bars) scale_clip(&scale, tensor->data, l.view.count);
    draw_title(&c, &l, tensor);
    if (l.view.bars)
        draw_bars(&c, &l, &scale, tensor->data);
    else
        draw_maps(&c, &l, &scale, tensor->data);
    draw_scale(&c, &l, &scale);
    palette_fill(palette);
    image_code code = image_encode_png(c.pixels, c.width, c.height, palette, PALETTE_COLORS,
                                       &out->bytes, &out->size, NULL);
    canvas_free(&c);
    return code == IMAGE_OK;
}

/* A value that is drawn takes about a byte, an enlarged one two; what else there is compresses
 * well. Measured with noise; features take less. */
uint64_t plot_expected_bytes(const plot_tensor *tensor) {
    layout l = place(tensor);
    uint64_t pixels = (uint64_t)l.width * (uint64_t)l.height, drawn = l.view.count;
    if (!l.view.bars && l.view.count > 0)
        drawn = l.shown * (uint64_t)(l.map_width / l.zoom) * (uint64_t)(l.map_height / l.zoom);
    return drawn * (l.zoom > 1 ? 2 : 1) + pixels / 16 + 2048;
}
