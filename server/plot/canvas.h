/* canvas.h: what the pictures are drawn with: colours, rectangles, letters. */
#ifndef CNNSERVE_CANVAS_H
#define CNNSERVE_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- colours (color.c) -------------------------------------------------------------------- */

/* Palette indices: SCALE_COLORS steps of the scale, then the others. */
enum { SCALE_COLORS = 248, INK = SCALE_COLORS, PAPER, FAINT, MARK, PALETTE_COLORS };

/* Viridis at t in [0, 1]. */
void scale_color(float t, uint8_t rgb[3]);
void palette_fill(uint8_t palette[PALETTE_COLORS][3]);

/* A linear scale over finite values. */
typedef struct value_scale {
    float low, high;   /* its ends; what lies beyond has their colours */
    float min, max;    /* least and greatest finite value, 0 and 0 if there is none */
    size_t not_finite; /* values that are left out */
} value_scale;

/* From the least to the greatest value. */
value_scale scale_of(const float *values, size_t count);
/*
 * Where few values would take most of the colours, an end moves inwards, leaving SCALE_TAIL of the
 * values beyond it: maxima of features are often several times what one wants to see.
 */
#define SCALE_TAIL 0.005
void scale_clip(value_scale *scale, const float *values, size_t count);
/* Where a value stands between the ends, 0 to 1; 0 if they are the same. */
float scale_position(const value_scale *scale, float value);
/* Palette index of any value; MARK if it is not finite. */
uint8_t scale_index(const value_scale *scale, float value);
/* Its colour, in more steps than the palette has. */
void value_color(const value_scale *scale, float value, uint8_t rgb[3]);

/* ---- canvas (canvas.c) -------------------------------------------------------------------- */

typedef struct canvas {
    uint8_t *pixels; /* (height, width) palette indices; owned */
    int width, height;
} canvas;

/* All PAPER; false: out of memory. */
bool canvas_create(canvas *c, int width, int height);
void canvas_free(canvas *c);
/* What lies outside is cut off, here and below. */
void canvas_fill(canvas *c, int x, int y, int width, int height, uint8_t color);

/* Pixels that a letter takes: FONT_WIDTH and one between letters; FONT_HEIGHT. */
enum { FONT_WIDTH = 5, FONT_HEIGHT = 8 };

/* Whether a letter covers a pixel; a letter that there is none of is drawn as '?'. */
bool font_pixel(char c, int x, int y);
/* Width of a text whose letters are enlarged `zoom` times. */
int text_width(const char *text, int zoom);
/* Writes from the upper left corner (x, y). Of UTF-8 each character is one letter. */
void canvas_text(canvas *c, int x, int y, int zoom, uint8_t color, const char *text);
/* The same, shortened to `room` pixels by dots at its end. */
void canvas_text_within(canvas *c, int x, int y, int room, int zoom, uint8_t color,
                        const char *text);

#endif
