/* Maps laid over photos, decoded again. */
#include "plot/plot.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static image photo, picture;

static void stop(void) {
    image_free(&photo);
    image_free(&picture);
}

TestSuite(overlay, .fini = stop);

/* A photo of one colour. */
static void make_photo(int width, int height, const uint8_t rgb[3]) {
    photo = (image){.pixels = malloc((size_t)width * (size_t)height * 3), width, height};
    cr_assert_not_null(photo.pixels);
    for (int i = 0; i < width * height; i++)
        memcpy(photo.pixels + (size_t)i * 3, rgb, 3);
}

static void lay(const float *values, int height, int width, image_region where) {
    plot_png png = {0};
    plot_overlay overlay = {
        .photo = &photo, .where = where, .values = values, .height = height, .width = width};
    cr_assert(plot_overlay_png(&overlay, &png));
    cr_assert_eq(image_decode(png.bytes, png.size, NULL, &picture, NULL, NULL), IMAGE_OK);
    free(png.bytes);
}

/* The colour of the pixel at a fraction of width and height. */
static void expect_color(double x, double y, int red, int green, int blue) {
    size_t column = (size_t)(x * picture.width), row = (size_t)(y * picture.height);
    const uint8_t *p = picture.pixels + (row * (size_t)picture.width + column) * 3;
    cr_expect(abs(p[0] - red) <= 2 && abs(p[1] - green) <= 2 && abs(p[2] - blue) <= 2,
              "at %g, %g: %d %d %d, not %d %d %d", x, y, p[0], p[1], p[2], red, green, blue);
}

static const uint8_t grey[] = {100, 100, 100};

/*
 * 0 on the left, 1 on the right. Colours by hand: the photo's grey where the map is least; 30 % of
 * it and 70 % of viridis' yellow (253, 231, 37) where it is greatest; 65 % and 35 % of its middle
 * (33, 145, 140) between the centres of the two values, which lie at 1/4 and 3/4.
 */
Test(overlay, from_the_photo_to_the_color_of_the_greatest) {
    make_photo(400, 400, grey);
    lay((float[]){0, 1}, 1, 2, (image_region){0, 0, 400, 400});
    cr_expect(picture.width == 400 && picture.height == 400);
    expect_color(0.05, 0.5, 100, 100, 100);
    expect_color(0.25, 0.5, 100, 100, 100);
    expect_color(0.5, 0.5, 77, 116, 114);
    expect_color(0.76, 0.1, 207, 192, 56);
    expect_color(0.99, 0.9, 207, 192, 56);
}

Test(overlay, the_photo_loses_its_colors) {
    make_photo(300, 300, (const uint8_t[]){200, 100, 0});
    lay((float[]){1, 1}, 1, 2, (image_region){0, 0, 300, 300});
    expect_color(0.5, 0.5, 119, 119, 119); /* 0.299 x 200 + 0.587 x 100 */
}

/* Only the middle has been seen: it lies under the map, the rest is darkened to 35 %. */
Test(overlay, what_was_not_seen_is_dark) {
    make_photo(400, 200, grey);
    lay((float[]){0, 5, 0, 5}, 2, 2, (image_region){100, 0, 200, 200});
    expect_color(0.1, 0.5, 35, 35, 35);
    expect_color(0.24, 0.5, 35, 35, 35);
    expect_color(0.26, 0.5, 100, 100, 100);
    expect_color(0.74, 0.5, 207, 192, 56);
    expect_color(0.76, 0.5, 35, 35, 35);
}

/* A crop that pads reaches beyond the photo. */
Test(overlay, a_region_larger_than_the_photo) {
    make_photo(300, 300, grey);
    lay((float[]){9, 0, 0, 9}, 1, 4, (image_region){-300, 0, 900, 300});
    expect_color(0.5, 0.5, 100, 100, 100);
}

Test(overlay, sizes) {
    static const int cases[][4] = {{8, 6, 256, 192}, {32, 32, 256, 256},   {255, 10, 510, 20},
                                   {256, 1, 256, 1}, {800, 600, 800, 600}, {4000, 3000, 800, 600},
                                   {1, 5000, 1, 800}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stop();
        make_photo(cases[i][0], cases[i][1], grey);
        lay((float[]){0, 1}, 1, 2, (image_region){0, 0, cases[i][0], cases[i][1]});
        cr_expect(picture.width == cases[i][2] && picture.height == cases[i][3],
                  "case %zu: %d x %d", i, picture.width, picture.height);
    }
}

Test(overlay, values_that_are_not_finite_are_red) {
    make_photo(300, 300, grey);
    lay((float[]){NAN, 0, 1}, 1, 3, (image_region){0, 0, 300, 300});
    expect_color(0.1, 0.5, 191, 51, 65); /* 30 % of the grey, 70 % of (230, 30, 50) */
    expect_color(0.9, 0.5, 207, 192, 56);
}
