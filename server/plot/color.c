/* color.c: the colour scale, and values on it. */
#include "plot/canvas.h"

#include <math.h>
#include <string.h>

/*
 * Viridis, by Stéfan van der Walt, Nathaniel Smith and Eric Firing (CC0): every 15th of its 256
 * colours. Between them it is so smooth that a straight line is at most 2 levels off.
 */
static const uint8_t anchors[][3] = {
    {68, 1, 84},    {72, 23, 105},  {71, 42, 122},  {67, 61, 132},  {61, 78, 138},  {53, 94, 141},
    {46, 109, 142}, {41, 123, 142}, {35, 137, 142}, {31, 151, 139}, {33, 165, 133}, {46, 179, 124},
    {70, 192, 111}, {101, 203, 94}, {137, 213, 72}, {176, 221, 47}, {216, 226, 25}, {253, 231, 37},
};
enum { STEPS = sizeof anchors / sizeof anchors[0] - 1 };

void scale_color(float t, uint8_t rgb[3]) {
    float at = fminf(fmaxf(t, 0), 1) * STEPS;
    int step = at < STEPS ? (int)at : STEPS - 1;
    float part = at - (float)step;
    for (int i = 0; i < 3; i++) {
        float from = anchors[step][i], to = anchors[step + 1][i];
        rgb[i] = (uint8_t)(from + part * (to - from) + 0.5f);
    }
}

/* INK, PAPER, FAINT and MARK. */
static const uint8_t others[][3] = {
    {24, 26, 32},
    {255, 255, 255},
    {128, 132, 142},
    {230, 30, 50},
};

void palette_fill(uint8_t palette[PALETTE_COLORS][3]) {
    for (int i = 0; i < SCALE_COLORS; i++)
        scale_color((float)i / (SCALE_COLORS - 1), palette[i]);
    memcpy(palette[INK], others, sizeof others);
}

value_scale scale_of(const float *values, size_t count) {
    value_scale scale = {.min = INFINITY, .max = -INFINITY};
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            scale.not_finite++;
            continue;
        }
        if (values[i] < scale.min) scale.min = values[i];
        if (values[i] > scale.max) scale.max = values[i];
    }
    if (scale.min > scale.max) scale.min = scale.max = 0;
    scale.low = scale.min;
    scale.high = scale.max;
    return scale;
}

/* Bins between min and max, enough to find ends by. */
enum { BINS = 4096, CLIP_COUNT_MIN = 1000 };

/* How many bins from one side hold no more than `tail` values. */
static int bins_beyond(const size_t *bins, int from, int step, double tail) {
    int count = 0;
    for (size_t sum = bins[from]; (double)sum <= tail && count < BINS - 1; count++)
        sum += bins[from + (count + 1) * step];
    return count;
}

void scale_clip(value_scale *scale, const float *values, size_t count) {
    size_t bins[BINS] = {0}, finite = count - scale->not_finite;
    double width = (double)scale->max - scale->min, tail = SCALE_TAIL * (double)finite;
    if (finite < CLIP_COUNT_MIN || width <= 0) return;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            bins[(int)(((double)values[i] - scale->min) / width * (BINS - 1))]++;
    int below = bins_beyond(bins, 0, 1, tail), above = bins_beyond(bins, BINS - 1, -1, tail);
    int kept = BINS - below - above;
    if (below > kept / 4) scale->low = (float)(scale->min + width * below / BINS);
    if (above > kept / 4) scale->high = (float)(scale->max - width * above / BINS);
    if (kept < 1 || scale->low >= scale->high) { /* nearly all values are the same */
        scale->low = scale->min;
        scale->high = scale->max;
    }
}

float scale_position(const value_scale *scale, float value) {
    double width = (double)scale->high - scale->low;
    if (width <= 0 || isnan(value)) return isnan(value) ? value : 0;
    return (float)fmin(fmax(((double)value - scale->low) / width, 0), 1);
}

uint8_t scale_index(const value_scale *scale, float value) {
    if (!isfinite(value)) return MARK;
    return (uint8_t)(scale_position(scale, value) * (SCALE_COLORS - 1) + 0.5f);
}

void value_color(const value_scale *scale, float value, uint8_t rgb[3]) {
    if (isfinite(value))
        scale_color(scale_position(scale, value), rgb);
    else
        memcpy(rgb, others[MARK - INK], 3);
}
