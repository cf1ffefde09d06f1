/* AdaptiveAveragePool, AdaptiveMaxPool and SpatialPyramidPool; numbers worked by hand. */
#include "node.h"

#include <math.h>

/* 5 into 3: cells [0, 2), [1, 4) and [3, 5). */
Test(adaptive_pool, bins_overlap) {
    node_test *t = node_begin("AdaptiveAveragePool", 1);
    ATTR_INTS(t, "output_size", 3);
    IN(t, DIMS(1, 1, 5), 1, 2, 3, 4, 6);
    GIVES(t, DIMS(1, 1, 3), 1.5, 3, 5);
    node_end(t);
    t = node_begin("AdaptiveMaxPool", 1);
    ATTR_INTS(t, "output_size", 3);
    IN(t, DIMS(1, 1, 5), 1, -2, -3, -4, 6);
    GIVES(t, DIMS(1, 1, 3), 1, -2, 6);
    node_end(t);
}

/* Rows [0, 2) and [1, 3), likewise columns: 1 2 4 5, 2 3 5 6, 4 5 7 8, 5 6 8 9. */
Test(adaptive_pool, one_size_for_both_axes) {
    node_test *t = node_begin("AdaptiveAveragePool", 1);
    ATTR_INTS(t, "output_size", 2);
    node_in_counting(t, DIMS(1, 1, 3, 3));
    GIVES(t, DIMS(1, 1, 2, 2), 3, 4, 6, 7);
    node_end(t);
    t = node_begin("AdaptiveMaxPool", 1);
    ATTR_INTS(t, "output_size", 1, 3);
    node_in_counting(t, DIMS(1, 1, 3, 3));
    GIVES(t, DIMS(1, 1, 1, 3), 7, 8, 9);
    node_end(t);
}

/* More bins than cells: 2 into 3 gives [0, 1), [0, 2), [1, 2). */
Test(adaptive_pool, more_bins_than_cells) {
    node_test *t = node_begin("AdaptiveAveragePool", 1);
    ATTR_INTS(t, "output_size", 3);
    IN(t, DIMS(1, 1, 2), 4, 8);
    GIVES(t, DIMS(1, 1, 3), 4, 6, 8);
    node_end(t);
}

Test(adaptive_pool, three_dimensions) {
    node_test *t = node_begin("AdaptiveAveragePool", 1);
    ATTR_INTS(t, "output_size", 1, 2, 1);
    node_in_counting(t, DIMS(1, 1, 2, 2, 2));
    GIVES(t, DIMS(1, 1, 1, 2, 1), 3.5, 5.5);
    node_end(t);
}

/* Bins without cells are like windows without. */
Test(adaptive_pool, empty_planes) {
    node_test *t = node_begin("AdaptiveMaxPool", 1);
    ATTR_INTS(t, "output_size", 2);
    node_in(t, CNN_FLOAT32, DIMS(1, 1, 0), NOTHING);
    GIVES(t, DIMS(1, 1, 2), -INFINITY, -INFINITY);
    node_end(t);
    t = node_begin("AdaptiveAveragePool", 1);
    ATTR_INTS(t, "output_size", 2);
    node_in(t, CNN_FLOAT32, DIMS(0, 1, 4), NOTHING);
    node_gives(t, 0, CNN_FLOAT32, DIMS(0, 1, 2), NOTHING);
    node_end(t);
}

Test(adaptive_pool, errors) {
    node_test *t = node_begin("AdaptiveMaxPool", 1);
    ATTR_INTS(t, "output_size", 2, 2);
    node_in_counting(t, DIMS(1, 1, 4));
    node_fails(t, CNN_INVALID_MODEL, "output_size must be a list of 1 or 1 integers, but has 2");
    t = node_begin("AdaptiveMaxPool", 1);
    ATTR_INTS(t, "output_size", 0);
    node_in_counting(t, DIMS(1, 1, 4));
    node_fails(t, CNN_INVALID_MODEL, "output_size: 0 is not in 1 to");
    t = node_begin("AdaptiveMaxPool", 1);
    node_in_counting(t, DIMS(1, 1, 4));
    node_fails(t, CNN_INVALID_MODEL, "attribute output_size is missing");
    t = node_begin("AdaptiveMaxPool", 1);
    ATTR_INTS(t, "output_size", 1);
    node_in_counting(t, DIMS(1, 4));
    node_fails(t, CNN_INVALID_MODEL, "has 2 dimensions, but must have at least 3");
}

/*
 * Level 1: the maximum of each channel. Level 2: of 2x3, rows [0, 1) and [1, 2), columns [0, 2) and
 * [1, 3). Levels one after the other, in each the channels.
 */
Test(spatial_pyramid_pool, levels_then_channels) {
    node_test *t = node_begin("SpatialPyramidPool", 1);
    ATTR_INTS(t, "levels", 1, 2);
    IN(t, DIMS(1, 2, 2, 3), 1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6);
    GIVES(t, DIMS(1, 10), 6, -1, 2, 3, 5, 6, -1, -2, -4, -5);
    node_end(t);
}

Test(spatial_pyramid_pool, images_of_any_size) {
    for (int64_t side = 1; side < 7; side++) {
        node_test *t = node_begin("SpatialPyramidPool", 1);
        ATTR_INTS(t, "levels", 4, 2, 1);
        node_in_counting(t, DIMS(2, 3, side, 2 * side));
        node_run(t);
        cr_assert_eq(t->out[0]->shape.rank, 2);
        cr_assert_eq(t->out[0]->shape.dims[0], 2);
        cr_assert_eq(t->out[0]->shape.dims[1], 3 * (16 + 4 + 1));
        cr_assert_eq(tensor_number(t->out[0], 62), (double)(3 * 2 * side * side));
        cr_assert_eq(tensor_number(t->out[0], 125), (double)(6 * 2 * side * side));
        node_end(t);
    }
}

Test(spatial_pyramid_pool, one_and_three_dimensions) {
    node_test *t = node_begin("SpatialPyramidPool", 1);
    ATTR_INTS(t, "levels", 2);
    IN(t, DIMS(1, 1, 4), 1, 2, 4, 3);
    GIVES(t, DIMS(1, 2), 2, 4);
    node_end(t);
    t = node_begin("SpatialPyramidPool", 1);
    ATTR_INTS(t, "levels", 2);
    node_in_counting(t, DIMS(1, 1, 2, 2, 2));
    GIVES(t, DIMS(1, 8), 1, 2, 3, 4, 5, 6, 7, 8);
    node_end(t);
}

Test(spatial_pyramid_pool, errors) {
    node_test *t = node_begin("SpatialPyramidPool", 1);
    ATTR_INTS(t, "levels", 1, 257);
    node_in_counting(t, DIMS(1, 1, 4));
    node_fails(t, CNN_INVALID_MODEL, "attribute levels: 257 is not in 1 to 256");
    t = node_begin("SpatialPyramidPool", 1);
    node_attr_ints(t, "levels", 0, NULL);
    node_in_counting(t, DIMS(1, 1, 4));
    node_fails(t, CNN_INVALID_MODEL, "attribute levels is empty");
}
