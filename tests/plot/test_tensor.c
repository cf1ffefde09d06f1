/* Pictures of tensors, decoded again. */
#include "plot/canvas.h"
#include "plot/plot.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static image picture;
static plot_tensor tensor;
static uint8_t palette[PALETTE_COLORS][3];

static void start(void) {
    palette_fill(palette);
}

static void stop(void) {
    image_free(&picture);
}

TestSuite(tensor_picture, .init = start, .fini = stop);

/* Draws `tensor` into `picture`; the size of the file. */
static size_t draw(void) {
    plot_png png = {0};
    image_info info;
    cr_assert(plot_tensor_png(&tensor, &png));
    image_free(&picture);
    cr_assert_eq(image_decode(png.bytes, png.size, NULL, &picture, &info, NULL), IMAGE_OK);
    cr_assert_str_eq(info.format, "png");
    free(png.bytes);
    return png.size;
}

static void draw_values(const float *values, int rank, const int64_t *dims) {
    tensor =
        (plot_tensor){.name = "a name", .op = "Op", .dims = dims, .rank = rank, .data = values};
    draw();
}

static bool has_color(int x, int y, int color) {
    const uint8_t *p = picture.pixels + ((size_t)y * (size_t)picture.width + (size_t)x) * 3;
    return x < picture.width && y < picture.height && memcmp(p, palette[color], 3) == 0;
}

typedef struct box {
    int x, y, width, height;
} box;

/* The first rectangle of a colour from the top, which is not one of the scale's below. */
static box box_of(int color) {
    box b = {0};
    for (b.y = 0; b.y < picture.height; b.y++)
        for (b.x = 0; b.x < picture.width; b.x++) {
            if (!has_color(b.x, b.y, color)) continue;
            while (has_color(b.x + b.width, b.y, color))
                b.width++;
            while (has_color(b.x, b.y + b.height, color))
                b.height++;
            return b;
        }
    cr_assert_fail("there is nothing of colour %d", color);
    abort();
}

/* Whether a text stands somewhere, in letters of one colour. */
static bool shows(const char *text, int zoom, int color) {
    canvas c;
    bool found = false;
    cr_assert(canvas_create(&c, text_width(text, zoom), 7 * zoom));
    canvas_text(&c, 0, 0, zoom, INK, text);
    for (int y = 0; y + c.height <= picture.height && !found; y++)
        for (int x = 0; x + c.width <= picture.width && !found; x++) {
            found = true;
            for (int i = 0; i < c.width * c.height && found; i++)
                found = has_color(x + i % c.width, y + i / c.width, color) == (c.pixels[i] == INK);
        }
    canvas_free(&c);
    return found;
}

/* Two maps of 2 x 3: the values 0 to 11 stand in squares of their colours, in order. */
Test(tensor_picture, maps_in_order) {
    float values[12];
    box boxes[12];
    for (int i = 0; i < 12; i++)
        values[i] = (float)i;
    draw_values(values, 3, (int64_t[]){2, 2, 3});
    for (int i = 0; i < 12; i++)
        boxes[i] = box_of((int)lround(i / 11.0 * (SCALE_COLORS - 1)));
    int side = boxes[0].width;
    cr_expect_geq(side, 20);
    for (int i = 0; i < 12; i++) {
        const box *corner = &boxes[i / 6 * 6], *b = &boxes[i];
        cr_expect(b->width == side && b->height == side, "value %d: %d x %d", i, b->width,
                  b->height);
        cr_expect_eq(b->x, corner->x + i % 3 * side, "value %d", i);
        cr_expect_eq(b->y, corner->y + i % 6 / 3 * side, "value %d", i);
    }
    cr_expect(boxes[6].x > boxes[2].x + side || boxes[6].y > boxes[3].y + side, "apart");
}

Test(tensor_picture, says_what_it_shows) {
    float values[12] = {-2.5f, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1234.56f};
    draw_values(values, 3, (int64_t[]){2, 2, 3});
    cr_expect(shows("a name", 2, INK));
    cr_expect(shows("Op  2x2x3", 2, FAINT));
    cr_expect(shows("0", 1, FAINT) && shows("1", 1, FAINT), "numbers of the maps");
    cr_expect(shows("-2.5", 2, INK) && shows("1235", 2, INK), "ends of the scale");
    cr_expect(shows("min -2.5  max 1235", 2, FAINT));
    cr_expect_not(shows("not finite", 2, INK));
    cr_expect_not(shows("another name", 2, INK));
}

Test(tensor_picture, values_that_are_not_finite) {
    draw_values((float[]){1, NAN, 2, INFINITY}, 2, (int64_t[]){2, 2});
    box least = box_of(0), mark = box_of(MARK);
    cr_expect(mark.x == least.x + least.width && mark.y == least.y, "the second value");
    cr_expect(shows("not finite: 2", 2, INK));
    cr_expect(shows("min 1  max 2", 2, FAINT));
    draw_values((float[]){NAN, NAN, NAN, NAN}, 2, (int64_t[]){2, 2});
    cr_expect(shows("not finite: 4", 2, INK));
}

Test(tensor_picture, far_off_values_are_said_to_be_beyond_the_scale) {
    float *values = malloc(2000 * sizeof *values);
    for (int i = 0; i < 2000; i++)
        values[i] = i == 7 ? 1000 : (float)(i % 10);
    draw_values(values, 3, (int64_t[]){20, 10, 10});
    cr_expect(shows(">= 9", 2, INK));
    cr_expect(shows("min 0  max 1000", 2, FAINT));
    free(values);
}

/* A bar of 2 is twice as high as one of 1, and one of -1 hangs from the line they stand on. */
Test(tensor_picture, vectors_are_bars) {
    draw_values((float[]){1, 2, -1, NAN}, 3, (int64_t[]){4, 1, 1});
    box one = box_of((int)lround(2 / 3.0 * (SCALE_COLORS - 1))), two = box_of(SCALE_COLORS - 1);
    box minus = box_of(0), mark = box_of(MARK);
    cr_expect_leq(abs(two.height - 2 * one.height), 1, "%d and %d", one.height, two.height);
    cr_expect_leq(abs(minus.height - one.height), 1);
    cr_expect_eq(one.y + one.height, two.y + two.height);
    cr_expect_leq(abs(minus.y - (one.y + one.height)), 1);
    cr_expect(one.x < two.x && two.x < minus.x && minus.x < mark.x);
    cr_expect(shows("Op  4x1x1", 2, FAINT));
    cr_expect(shows("3", 1, FAINT), "numbers below the bars");
}

/* The mean of each 2 x 2 values is the pixel. */
Test(tensor_picture, large_maps_are_averaged) {
    size_t side = 1280, count = side * side;
    float *values = calloc(count, sizeof *values);
    for (size_t i = 0; i < count; i++) /* stripes of 0 and 2 above, 2 below */
        values[i] = i < count / 2 ? 2 * (float)(i % 2) : 2;
    draw_values(values, 2, (int64_t[]){(int64_t)side, (int64_t)side});
    cr_expect(shows("a pixel: mean of 2x2", 2, FAINT));
    box half = box_of(124), full = box_of(SCALE_COLORS - 1);
    cr_expect(half.width == 640 && half.height == 320, "%d %d", half.width, half.height);
    cr_expect(full.width == 640 && full.height == 320 && full.y == half.y + 320);
    free(values);
}

Test(tensor_picture, no_more_maps_than_the_limit) {
    float *values = calloc(3000 * 4, sizeof *values);
    draw_values(values, 3, (int64_t[]){3000, 2, 2});
    cr_expect(shows("first 1024 of 3000 maps", 2, FAINT));
    cr_expect(shows("1023", 1, FAINT));
    cr_expect_not(shows("1024", 1, FAINT));
    free(values);
}

Test(tensor_picture, long_and_foreign_names) {
    char name[2000] = "f\xc3\xbcnf";
    float value = 1;
    tensor = (plot_tensor){.name = name, .op = "Op", .rank = 0, .data = &value};
    draw();
    cr_expect(shows("f?nf", 2, INK));
    cr_expect(shows("Op  scalar", 2, FAINT));
    memset(name, 'x', sizeof name - 1);
    draw();
    cr_expect(shows("xxx...", 2, INK));
}

/* Pictures of any shape are of a reasonable size, and the file is about as large as expected, also
 * with noise, which does not compress. */
Test(tensor_picture, every_shape) {
    static const struct {
        int rank;
        int64_t dims[5];
    } shapes[] = {
        {0, {0}},
        {1, {1}},
        {1, {10}},
        {1, {1000}},
        {1, {1025}},
        {1, {25088}},
        {2, {1, 100000}},
        {2, {49, 768}},
        {2, {100000, 2}},
        {3, {3, 224, 224}},
        {3, {64, 111, 111}},
        {3, {1000, 13, 13}},
        {3, {2048, 7, 7}},
        {3, {1, 1, 1}},
        {3, {512, 1, 1}},
        {4, {2, 3, 4, 5}},
        {3, {1, 4000, 2}},
        {3, {1, 2, 4000}},
        {1, {0}},
        {3, {0, 3, 3}},
        {5, {1, 1, 1, 2, 2}},
    };
    enum { MOST = 64 * 111 * 111 };
    float *noise = malloc(MOST * sizeof *noise);
    uint32_t state = 1;
    for (int i = 0; i < MOST; i++)
        noise[i] = (float)((state = state * 1664525 + 1013904223) >> 8);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        tensor = (plot_tensor){.name = "noise",
                               .op = "RandomUniform",
                               .dims = shapes[i].dims,
                               .rank = shapes[i].rank,
                               .data = noise};
        size_t size = draw();
        uint64_t expected = plot_expected_bytes(&tensor);
        cr_expect_leq(size, expected + expected / 4, "shape %zu: %zu of %zu", i, size,
                      (size_t)expected);
        cr_expect(picture.width >= 480 && picture.width <= 2000, "shape %zu: %d", i, picture.width);
        cr_expect(picture.height >= 100 && picture.height <= 2000, "shape %zu: %d", i,
                  picture.height);
        cr_expect(shows("noise", 2, INK), "shape %zu", i);
    }
    free(noise);
}
