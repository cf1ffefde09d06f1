#include "node.h"

#include <math.h>

Test(max_pool, two_by_two) {
    node_test *t = node_begin("MaxPool", 1);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    ATTR_INTS(t, "strides", 2, 2);
    IN(t, DIMS(1, 1, 2, 4), 1, 5, 2, 0, 3, 4, 8, -1);
    GIVES(t, DIMS(1, 1, 1, 2), 5, 8);
    node_end(t);
}

/* The textbook's window: 9 is its greatest number, 4.5 its mean. */
Test(max_pool, one_window) {
    node_test *t = node_begin("MaxPool", 1);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    IN(t, DIMS(1, 1, 2, 2), 3, 9, 0, 6);
    GIVES(t, DIMS(1, 1, 1, 1), 9);
    node_end(t);
    t = node_begin("AveragePool", 1);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    IN(t, DIMS(1, 1, 2, 2), 3, 9, 0, 6);
    GIVES(t, DIMS(1, 1, 1, 1), 4.5);
    node_end(t);
}

/* Padding never wins, also against negative numbers. */
Test(max_pool, padding_is_lowest) {
    node_test *t = node_begin("MaxPool", 11);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "pads", 1, 1);
    IN(t, DIMS(1, 1, 2), -3, -2);
    GIVES(t, DIMS(1, 1, 3), -3, -2, -2);
    node_end(t);
}

Test(max_pool, dilations) {
    node_test *t = node_begin("MaxPool", 10);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "dilations", 3);
    IN(t, DIMS(1, 1, 5), 9, 8, 1, 2, 3);
    GIVES(t, DIMS(1, 1, 2), 9, 8);
    node_end(t);
}

/* 4 positions, window 3, stride 2: floor gives one window, ceil a second one beyond the end. */
Test(max_pool, ceil_mode) {
    node_test *t = node_begin("MaxPool", 10);
    ATTR_INTS(t, "kernel_shape", 3);
    ATTR_INTS(t, "strides", 2);
    IN(t, DIMS(1, 1, 4), 1, 2, 3, 4);
    GIVES(t, DIMS(1, 1, 1), 3);
    node_end(t);
    t = node_begin("MaxPool", 10);
    ATTR_INTS(t, "kernel_shape", 3);
    ATTR_INTS(t, "strides", 2);
    node_attr_int(t, "ceil_mode", 1);
    IN(t, DIMS(1, 1, 4), 1, 2, 3, 4);
    GIVES(t, DIMS(1, 1, 2), 3, 4);
    node_end(t);
}

/* The second window would begin at position 3, behind the input's end at 2, in the padding. */
Test(max_pool, ceil_mode_drops_a_window_in_the_padding) {
    node_test *t = node_begin("MaxPool", 10);
    ATTR_INTS(t, "kernel_shape", 1);
    ATTR_INTS(t, "strides", 3);
    ATTR_INTS(t, "pads", 0, 1);
    node_attr_int(t, "ceil_mode", 1);
    IN(t, DIMS(1, 1, 2), 1, 2);
    GIVES(t, DIMS(1, 1, 1), 1);
    node_end(t);
}

/* Indices count through the whole input; with storage_order 1 a plane column by column. */
Test(max_pool, indices) {
    for (int order = 0; order < 2; order++) {
        node_test *t = node_begin("MaxPool", 8);
        ATTR_INTS(t, "kernel_shape", 2, 2);
        node_attr_int(t, "storage_order", order);
        node_outputs(t, 2);
        IN(t, DIMS(1, 2, 2, 3), 1, 7, 2, 3, 4, 5, 0, 0, 0, 0, 0, 1);
        GIVES(t, DIMS(1, 2, 1, 2), 7, 7, 0, 1);
        if (order == 0)
            node_gives(t, 1, CNN_INT64, DIMS(1, 2, 1, 2), NUMBERS(1, 1, 6, 11));
        else
            node_gives(t, 1, CNN_INT64, DIMS(1, 2, 1, 2), NUMBERS(2, 2, 6, 11));
        node_end(t);
    }
}

Test(max_pool, three_dimensions) {
    node_test *t = node_begin("MaxPool", 12);
    ATTR_INTS(t, "kernel_shape", 2, 1, 2);
    node_in_counting(t, DIMS(1, 1, 2, 2, 2));
    GIVES(t, DIMS(1, 1, 1, 2, 1), 6, 8);
    node_end(t);
}

Test(max_pool, integers) {
    node_test *t = node_begin("MaxPool", 12);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "pads", 1, 0);
    node_in(t, CNN_INT8, DIMS(1, 1, 3), NUMBERS(-128, -5, 7));
    node_gives(t, 0, CNN_INT8, DIMS(1, 1, 3), NUMBERS(-128, -5, 7));
    node_end(t);
    t = node_begin("MaxPool", 12);
    ATTR_INTS(t, "kernel_shape", 2);
    node_in(t, CNN_UINT8, DIMS(1, 1, 3), NUMBERS(200, 5, 7));
    node_gives(t, 0, CNN_UINT8, DIMS(1, 1, 2), NUMBERS(200, 7));
    node_end(t);
}

Test(max_pool, errors) {
    node_test *t = node_begin("MaxPool", 11);
    node_in_counting(t, DIMS(1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "attribute kernel_shape is missing");
    t = node_begin("MaxPool", 8);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "dilations", 2);
    node_in_counting(t, DIMS(1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "attribute dilations is unknown in this operator set version");
    t = node_begin("MaxPool", 11);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    node_in_counting(t, DIMS(1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "kernel_shape must be a list of 1 integers, but has 2");
    t = node_begin("MaxPool", 11);
    ATTR_INTS(t, "kernel_shape", 2);
    node_attr_int(t, "storage_order", 2);
    node_in_counting(t, DIMS(1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "storage_order is 2");
    t = node_begin("MaxPool", 11);
    ATTR_INTS(t, "kernel_shape", 2);
    node_in_counting(t, DIMS(3, 1));
    node_fails(t, CNN_UNSUPPORTED, "the input has 2 dimensions");
    t = node_begin("MaxPool", 7);
    ATTR_INTS(t, "kernel_shape", 2);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "has 2 outputs, but takes at most 1");
}

/* A window that asks for far more padding than there is input must not take long. */
Test(max_pool, huge_padding) {
    node_test *t = node_begin("MaxPool", 11);
    ATTR_INTS(t, "kernel_shape", 1 << 30, 1 << 30, 1 << 30);
    ATTR_INTS(t, "pads", 1 << 30, 1 << 30, 1 << 30, 0, 0, 0);
    ATTR_INTS(t, "strides", 1 << 30, 1 << 30, 1 << 30);
    IN(t, DIMS(1, 1, 1, 1, 1), 5);
    node_run(t);
    node_end(t);
}

/* Windows (0, 1), (1, 2), (2, 0) by padding 1 on both sides of 2, 4. */
Test(average_pool, count_include_pad) {
    node_test *t = node_begin("AveragePool", 7);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "pads", 1, 1);
    IN(t, DIMS(1, 1, 2), 2, 4);
    GIVES(t, DIMS(1, 1, 3), 2, 3, 4);
    node_end(t);
    t = node_begin("AveragePool", 7);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "pads", 1, 1);
    node_attr_int(t, "count_include_pad", 1);
    IN(t, DIMS(1, 1, 2), 2, 4);
    GIVES(t, DIMS(1, 1, 3), 1, 3, 2);
    node_end(t);
}

/* What ceil_mode adds beyond the padding is never counted: the last window holds 3, 0 and nothing.
 */
Test(average_pool, ceil_mode_does_not_count_beyond_the_padding) {
    node_test *t = node_begin("AveragePool", 19);
    ATTR_INTS(t, "kernel_shape", 3);
    ATTR_INTS(t, "strides", 2);
    ATTR_INTS(t, "pads", 0, 1);
    node_attr_int(t, "ceil_mode", 1);
    node_attr_int(t, "count_include_pad", 1);
    IN(t, DIMS(1, 1, 5), 1, 2, 3, 4, 6);
    GIVES(t, DIMS(1, 1, 3), 2, 13.0 / 3, 3);
    node_end(t);
}

Test(average_pool, dilations) {
    node_test *t = node_begin("AveragePool", 19);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    ATTR_INTS(t, "dilations", 1, 2);
    node_in_counting(t, DIMS(1, 1, 2, 3));
    GIVES(t, DIMS(1, 1, 1, 1), (1 + 3 + 4 + 6) / 4.0);
    node_end(t);
}

Test(average_pool, versions) {
    node_test *t = node_begin("AveragePool", 6);
    ATTR_INTS(t, "kernel_shape", 2);
    node_attr_int(t, "count_include_pad", 1);
    node_in_counting(t, DIMS(1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "count_include_pad is unknown");
    t = node_begin("AveragePool", 18);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "dilations", 2);
    node_in_counting(t, DIMS(1, 1, 3));
    node_fails(t, CNN_INVALID_MODEL, "dilations is unknown");
    t = node_begin("AveragePool", 11);
    ATTR_INTS(t, "kernel_shape", 2);
    node_in(t, CNN_INT32, DIMS(1, 1, 2), NUMBERS(1, 2));
    node_fails(t, CNN_INVALID_MODEL, "floating-point");
}

Test(lp_pool, norms) {
    node_test *t = node_begin("LpPool", 11);
    ATTR_INTS(t, "kernel_shape", 2);
    IN(t, DIMS(1, 1, 3), 3, -4, 0);
    GIVES(t, DIMS(1, 1, 2), 5, 4);
    node_end(t);
    t = node_begin("LpPool", 18);
    ATTR_INTS(t, "kernel_shape", 2);
    node_attr_int(t, "p", 1);
    IN(t, DIMS(1, 1, 3), 3, -4, 0);
    GIVES(t, DIMS(1, 1, 2), 7, 4);
    node_end(t);
}

Test(global_pool, all_three) {
    node_test *t = node_begin("GlobalAveragePool", 1);
    IN(t, DIMS(1, 2, 2, 2), 1, 2, 3, 6, -1, -2, -3, -4);
    GIVES(t, DIMS(1, 2, 1, 1), 3, -2.5);
    node_end(t);
    t = node_begin("GlobalMaxPool", 1);
    IN(t, DIMS(1, 2, 3), 1, 2, 3, -6, -1, -2);
    GIVES(t, DIMS(1, 2, 1), 3, -1);
    node_end(t);
    t = node_begin("GlobalLpPool", 2);
    IN(t, DIMS(1, 1, 2), 3, 4);
    GIVES(t, DIMS(1, 1, 1), 5);
    node_end(t);
    t = node_begin("GlobalAveragePool", 1);
    IN(t, DIMS(3), 1, 2, 3);
    node_fails(t, CNN_INVALID_MODEL, "at least 2");
}

Test(max_unpool, puts_maxima_back) {
    node_test *t = node_begin("MaxUnpool", 9);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    ATTR_INTS(t, "strides", 2, 2);
    IN(t, DIMS(1, 1, 1, 2), 5, 6);
    IN_INTS(t, DIMS(1, 1, 1, 2), 5, 2);
    GIVES(t, DIMS(1, 1, 2, 4), 0, 0, 6, 0, 0, 5, 0, 0);
    node_end(t);
}

/* The indices count in the pooled 2x2 plane: 3 is its corner, also in the larger output. */
Test(max_unpool, output_shape) {
    node_test *t = node_begin("MaxUnpool", 11);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    IN(t, DIMS(1, 1, 1, 1), 9);
    IN_INTS(t, DIMS(1, 1, 1, 1), 3);
    CONSTANT_INTS(t, 1, 1, 2, 3);
    GIVES(t, DIMS(1, 1, 2, 3), 0, 0, 0, 0, 9, 0);
    node_end(t);
}

Test(max_unpool, ignores_wild_indices) {
    node_test *t = node_begin("MaxUnpool", 9);
    ATTR_INTS(t, "kernel_shape", 2);
    IN(t, DIMS(1, 1, 2), 9, 8);
    IN_INTS(t, DIMS(1, 1, 2), -1, 1000);
    GIVES(t, DIMS(1, 1, 3), 0, 0, 0);
    node_end(t);
}

/* Each plane has 3 cells: 3 and 4 are of the second one. */
Test(max_unpool, ignores_indices_of_other_planes) {
    node_test *t = node_begin("MaxUnpool", 9);
    ATTR_INTS(t, "kernel_shape", 2);
    IN(t, DIMS(1, 2, 2), 9, 8, 7, 6);
    IN_INTS(t, DIMS(1, 2, 2), 0, 3, 2, 4);
    GIVES(t, DIMS(1, 2, 3), 9, 0, 0, 0, 6, 0);
    node_end(t);
}

/* Four 1x1 bins of a 2x2 region, one sample in the middle of each. */
Test(roi_align, samples_bilinearly) {
    node_test *t = node_begin("RoiAlign", 16);
    node_attr_int(t, "output_height", 2);
    node_attr_int(t, "output_width", 2);
    node_attr_int(t, "sampling_ratio", 1);
    node_attr_string(t, "coordinate_transformation_mode", "output_half_pixel");
    IN(t, DIMS(1, 1, 3, 3), 0, 1, 2, 3, 4, 5, 6, 7, 8);
    IN(t, DIMS(1, 4), 0, 0, 2, 2);
    IN_INTS(t, DIMS(1), 0);
    GIVES(t, DIMS(1, 1, 2, 2), 2, 3, 5, 6);
    node_end(t);
}

Test(roi_align, half_pixel_and_missing_image) {
    node_test *t = node_begin("RoiAlign", 16);
    node_attr_int(t, "sampling_ratio", 1);
    IN(t, DIMS(1, 1, 2, 2), 0, 1, 2, 3);
    IN(t, DIMS(2, 4), 0.5, 0.5, 1.5, 1.5, 0, 0, 1, 1);
    IN_INTS(t, DIMS(2), 0, 7);
    GIVES(t, DIMS(2, 1, 1, 1), 1.5, 0);
    node_end(t);
}

Test(roi_align, wild_regions) {
    node_test *t = node_begin("RoiAlign", 16);
    IN(t, DIMS(1, 1, 1, 1), 1);
    IN(t, DIMS(3, 4), NAN, 0, 1, 1, -1e30, -1e30, 1e30, 1e30, INFINITY, 0, -INFINITY, 1);
    IN_INTS(t, DIMS(3), 0, 0, 0);
    node_run(t);
    node_end(t);
}

/* Region (0..2, 0..1) in two columns: pixels 0, 1 and 1, 2 of both rows. */
Test(max_roi_pool, bins) {
    node_test *t = node_begin("MaxRoiPool", 1);
    ATTR_INTS(t, "pooled_shape", 1, 2);
    IN(t, DIMS(1, 1, 2, 3), 1, 2, 3, 9, 5, 4);
    IN(t, DIMS(1, 5), 0, 0, 0, 2, 1);
    GIVES(t, DIMS(1, 1, 1, 2), 9, 5);
    node_end(t);
}
