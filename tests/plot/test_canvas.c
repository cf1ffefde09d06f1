/* Colours, scales and letters. */
#include "plot/canvas.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* matplotlib 3.9, viridis: entry of 256 and its colour. */
static const struct {
    int entry;
    uint8_t rgb[3];
} viridis[] = {
    {0, {68, 1, 84}},      {8, {71, 13, 96}},     {37, {70, 51, 127}},   {64, {59, 82, 139}},
    {112, {38, 130, 142}}, {128, {33, 145, 140}}, {158, {38, 173, 129}}, {192, {94, 201, 98}},
    {218, {157, 217, 59}}, {233, {197, 224, 33}}, {255, {253, 231, 37}},
};

Test(color, is_viridis) {
    for (size_t i = 0; i < sizeof viridis / sizeof viridis[0]; i++) {
        uint8_t rgb[3];
        scale_color((float)viridis[i].entry / 255, rgb);
        for (int c = 0; c < 3; c++)
            cr_expect_leq(abs(rgb[c] - viridis[i].rgb[c]), 2, "entry %d: %d %d %d",
                          viridis[i].entry, rgb[0], rgb[1], rgb[2]);
    }
}

/* CIE lightness of an sRGB colour, 0 to 100. */
static double lightness(const uint8_t *rgb) {
    static const double weights[] = {0.2126, 0.7152, 0.0722};
    double y = 0;
    for (int i = 0; i < 3; i++) {
        double v = rgb[i] / 255.0;
        y += weights[i] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return 116 * cbrt(y) - 16;
}

/* Equal steps in value are equal steps in lightness. */
Test(color, is_perceptually_uniform) {
    uint8_t palette[PALETTE_COLORS][3];
    palette_fill(palette);
    double least = lightness(palette[0]), most = lightness(palette[SCALE_COLORS - 1]);
    cr_expect_gt(most - least, 70);
    for (int i = 0; i < SCALE_COLORS; i++) {
        double even = least + (most - least) * i / (SCALE_COLORS - 1);
        cr_expect_lt(fabs(lightness(palette[i]) - even), 2.5, "step %d: %g", i,
                     lightness(palette[i]));
    }
}

Test(scale, spans_the_finite_values) {
    const float values[] = {3, NAN, -1, INFINITY, 1, -INFINITY};
    value_scale scale = scale_of(values, 6);
    cr_expect(scale.min == -1 && scale.max == 3 && scale.not_finite == 3);
    cr_expect(scale.low == -1 && scale.high == 3);
    cr_expect_eq(scale_index(&scale, -1), 0);
    cr_expect_eq(scale_index(&scale, 1), 124, "half of 247, rounded");
    cr_expect_eq(scale_index(&scale, 3), SCALE_COLORS - 1);
    cr_expect_eq(scale_index(&scale, NAN), MARK);
    cr_expect_eq(scale_index(&scale, -INFINITY), MARK);
    scale = scale_of(values + 1, 1);
    cr_expect(scale.min == 0 && scale.max == 0 && scale.not_finite == 1);
    cr_expect_eq(scale_index(&scale, 0), 0);
    scale = scale_of((float[]){-3e38f, 3e38f}, 2);
    cr_expect_eq(scale_index(&scale, 0), 124, "the difference is no float");
}

/* 2000 values from 0 to 10; some of them are made something else. */
static value_scale clipped(int others, float other) {
    float *values = malloc(2000 * sizeof *values);
    for (int i = 0; i < 2000; i++)
        values[i] = i < others ? other : (float)i / 200;
    value_scale scale = scale_of(values, 2000);
    scale_clip(&scale, values, 2000);
    free(values);
    return scale;
}

Test(scale, leaves_out_a_few_that_are_far_off) {
    value_scale scale = clipped(10, 1000);
    cr_expect(scale.low == 0.05f && scale.max == 1000);
    cr_expect_float_eq(scale.high, 10, 0.5);
    cr_expect_eq(scale_index(&scale, 1000), SCALE_COLORS - 1);
    scale = clipped(10, -1000);
    cr_expect_float_eq(scale.low, 0, 0.5);
    cr_expect(scale.min == -1000 && scale.high == scale.max);
}

Test(scale, keeps_its_ends_otherwise) {
    value_scale scale = clipped(0, 0);
    cr_expect(scale.low == 0 && scale.high == scale.max);
    scale = clipped(100, 1000); /* too many to be left out */
    cr_expect_eq(scale.high, 1000);
    scale = clipped(10, 11); /* not far off */
    cr_expect_eq(scale.high, 11);
    scale = clipped(1999, 7); /* nearly all are the same */
    cr_expect_lt(scale.low, scale.high);
    scale = clipped(2000, 7);
    cr_expect(scale.low == 7 && scale.high == 7);
    float few[] = {0, 1, 1, 1, 1, 1000};
    scale = scale_of(few, 6);
    scale_clip(&scale, few, 6);
    cr_expect_eq(scale.high, 1000);
}

Test(font, letters_look_like_letters) {
    static const char *const seven[FONT_HEIGHT] = {"#####", "....#", "...#.", "..#..",
                                                   ".#...", ".#...", ".#...", "....."};
    for (int y = 0; y < FONT_HEIGHT; y++)
        for (int x = 0; x < FONT_WIDTH; x++)
            cr_expect_eq(font_pixel('7', x, y), seven[y][x] == '#', "%d %d", x, y);
}

static uint64_t shape_of(char c) {
    uint64_t bits = 0;
    for (int i = 0; i < FONT_WIDTH * FONT_HEIGHT; i++)
        bits |= (uint64_t)font_pixel(c, i % FONT_WIDTH, i / FONT_WIDTH) << i;
    return bits;
}

Test(font, no_two_letters_look_the_same) {
    cr_expect_eq(shape_of(' '), 0);
    for (int a = ' '; a <= '~'; a++)
        for (int b = ' '; b < a; b++)
            cr_expect_neq(shape_of((char)a), shape_of((char)b), "'%c' and '%c'", a, b);
    cr_expect_eq(shape_of('\n'), shape_of('?'));
    cr_expect_eq(shape_of((char)0xc3), shape_of('?'));
}

/* Columns from the left that are not all paper. */
static int used_width(const canvas *c) {
    int used = 0;
    for (int i = 0; i < c->width * c->height; i++)
        if (c->pixels[i] != PAPER && i % c->width >= used) used = i % c->width + 1;
    return used;
}

Test(canvas, texts_take_the_width_they_say) {
    canvas c;
    cr_assert(canvas_create(&c, 200, 40));
    cr_expect_eq(text_width("", 2), 0);
    cr_expect_eq(text_width("MM", 2), 22);
    cr_expect_eq(text_width("M\xc3\xa4M", 1), 17, "three characters of UTF-8");
    canvas_text(&c, 0, 0, 2, INK, "M\xc3\xa4M");
    cr_expect_eq(used_width(&c), 34);
    canvas_fill(&c, 0, 0, 200, 40, PAPER);
    canvas_text_within(&c, 0, 0, 59, 2, INK, "MMMMM");
    cr_expect_eq(used_width(&c), 58, "fits");
    canvas_fill(&c, 0, 0, 200, 40, PAPER);
    canvas_text_within(&c, 0, 0, 57, 2, INK, "MMMMM");
    cr_expect(used_width(&c) > 12 && used_width(&c) <= 57, "M..., %d", used_width(&c));
    canvas_text(&c, -7, -5, 2, INK, "outside");
    canvas_text(&c, 190, 35, 2, INK, "outside");
    canvas_fill(&c, -10, -10, 500, 500, MARK);
    cr_expect_eq(c.pixels[200 * 40 - 1], MARK);
    canvas_free(&c);
}
