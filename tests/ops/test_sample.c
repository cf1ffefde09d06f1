#include "node.h"

#include <math.h>

/* The row 1, 2, 3, 4 at one point x (y is the only row): pixel centres at -0.75, -0.25, ... */
static node_test *at(int opset, const char *mode, const char *padding, double x) {
    node_test *t = node_begin("GridSample", opset);
    if (mode) node_attr_string(t, "mode", mode);
    if (padding) node_attr_string(t, "padding_mode", padding);
    IN(t, DIMS(1, 1, 1, 4), 1, 2, 3, 4);
    IN(t, DIMS(1, 1, 1, 2), x, 0);
    return t;
}

static void check_at(const char *mode, const char *padding, double x, double want) {
    node_test *t = at(20, mode, padding, x);
    GIVES(t, DIMS(1, 1, 1, 1), want);
    node_end(t);
}

Test(grid_sample, modes) {
    check_at(NULL, NULL, 0, 2.5);
    check_at("linear", NULL, -0.25, 2);
    check_at("nearest", NULL, -0.3, 2);
    check_at("cubic", "border", 0, 2.5);
    node_test *t = at(16, "bilinear", NULL, 0);
    GIVES(t, DIMS(1, 1, 1, 1), 2.5);
    node_end(t);
    node_fails(at(16, "linear", NULL, 0), CNN_INVALID_MODEL, "mode is 'linear'");
    node_fails(at(20, "linear", "mirror", 0), CNN_INVALID_MODEL, "padding_mode is 'mirror'");
}

/* 1 is half a pixel behind the last centre, 1.25 a whole one. */
Test(grid_sample, padding) {
    check_at("linear", "zeros", 1, 2);
    check_at("linear", "zeros", 1.25, 0);
    check_at("linear", "border", 1.25, 4);
    check_at("nearest", "border", -9, 1);
    check_at("nearest", "reflection", 1.25, 4);
    check_at("nearest", "reflection", 1.75, 3);
    check_at("nearest", "zeros", NAN, 0);
}

/* With aligned corners -1 and 1 are the centres of the first and last pixel; x comes first. */
Test(grid_sample, align_corners) {
    node_test *t = node_begin("GridSample", 16);
    node_attr_int(t, "align_corners", 1);
    IN(t, DIMS(1, 2, 2, 2), 1, 2, 3, 4, 10, 20, 30, 40);
    IN(t, DIMS(1, 1, 2, 2), 1, -1, 0, 0);
    GIVES(t, DIMS(1, 2, 1, 2), 2, 2.5, 20, 25);
    node_end(t);
}

Test(grid_sample, volumes_and_refusals) {
    node_test *t = node_begin("GridSample", 20);
    node_attr_int(t, "align_corners", 1);
    node_in_counting(t, DIMS(1, 1, 2, 2, 2));
    IN(t, DIMS(1, 1, 1, 1, 3), 0, 0, 1);
    GIVES(t, DIMS(1, 1, 1, 1, 1), 6.5);
    node_end(t);
    t = node_begin("GridSample", 20);
    node_in_counting(t, DIMS(1, 1, 2, 2));
    node_in_counting(t, DIMS(1, 1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "must have 1 images and points of 2 numbers");
}

/* The identity, moved right by 0.5; rows of two points at -0.5, 0.5 or -1, 1. */
Test(affine_grid, identity_and_shift) {
    for (int align = 0; align < 2; align++) {
        node_test *t = node_begin("AffineGrid", 20);
        node_attr_int(t, "align_corners", align);
        IN(t, DIMS(1, 2, 3), 1, 0, 0.5, 0, 1, 0);
        CONSTANT_INTS(t, 1, 3, 1, 2);
        if (align)
            GIVES(t, DIMS(1, 1, 2, 2), -0.5, -1, 1.5, -1);
        else
            GIVES(t, DIMS(1, 1, 2, 2), 0, 0, 1, 0);
        node_end(t);
    }
    node_test *t = node_begin("AffineGrid", 20);
    IN(t, DIMS(1, 2, 3), 1, 0, 0.5, 0, 1, 0);
    CONSTANT_INTS(t, 2, 3, 1, 2);
    node_fails(t, CNN_INVALID_MODEL, "theta must be");
}
