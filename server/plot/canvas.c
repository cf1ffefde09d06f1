#include "plot/canvas.h"

#include <stdlib.h>
#include <string.h>

bool canvas_create(canvas *c, int width, int height) {
    size_t size = (size_t)width * (size_t)height;
    c->pixels = malloc(size);
    if (!c->pixels) return false;
    memset(c->pixels, PAPER, size);
    c->width = width;
    c->height = height;
    return true;
}

void canvas_free(canvas *c) {
    free(c->pixels);
    *c = (canvas){0};
}

void canvas_fill(canvas *c, int x, int y, int width, int height, uint8_t color) {
    int left = x < 0 ? 0 : x, top = y < 0 ? 0 : y;
    int right = x + width < c->width ? x + width : c->width;
    int bottom = y + height < c->height ? y + height : c->height;
    for (int row = top; row < bottom && left < right; row++)
        memset(c->pixels + (size_t)row * (size_t)c->width + left, color, (size_t)(right - left));
}

/* Whether it is the first byte of a character. */
static bool begins_letter(char c) {
    return ((unsigned char)c & 0xc0) != 0x80;
}

static int letters_of(const char *text) {
    int letters = 0;
    for (; *text; text++)
        letters += begins_letter(*text);
    return letters;
}

static int width_of(int letters, int zoom) {
    return letters > 0 ? (letters * (FONT_WIDTH + 1) - 1) * zoom : 0;
}

int text_width(const char *text, int zoom) {
    return width_of(letters_of(text), zoom);
}

static void draw_letter(canvas *c, int x, int y, int zoom, uint8_t color, char letter) {
    for (int row = 0; row < FONT_HEIGHT; row++)
        for (int column = 0; column < FONT_WIDTH; column++)
            if (font_pixel(letter, column, row))
                canvas_fill(c, x + column * zoom, y + row * zoom, zoom, zoom, color);
}

void canvas_text(canvas *c, int x, int y, int zoom, uint8_t color, const char *text) {
    for (; *text; text++) {
        if (!begins_letter(*text)) continue;
        draw_letter(c, x, y, zoom, color, *text);
        x += (FONT_WIDTH + 1) * zoom;
    }
}

void canvas_text_within(canvas *c, int x, int y, int room, int zoom, uint8_t color,
                        const char *text) {
    static const char dots[] = "...";
    int letters = (room / zoom + 1) / (FONT_WIDTH + 1), kept = letters - (int)sizeof dots + 1;
    if (letters_of(text) <= letters) {
        canvas_text(c, x, y, zoom, color, text);
        return;
    }
    for (; *text && kept > 0; text++) {
        if (!begins_letter(*text)) continue;
        draw_letter(c, x, y, zoom, color, *text);
        x += (FONT_WIDTH + 1) * zoom;
        kept--;
    }
    canvas_text(c, x, y, zoom, color, dots);
}
