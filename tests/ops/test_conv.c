#include "node.h"

/* 3x3 ones over a padded 3x3 of 1..9: sums of the neighbourhood, plus the bias. */
Test(conv, pads_and_bias) {
    node_test *t = node_begin("Conv", 11);
    ATTR_INTS(t, "pads", 1, 1, 1, 1);
    ATTR_INTS(t, "kernel_shape", 3, 3);
    node_in_counting(t, DIMS(1, 1, 3, 3));
    IN(t, DIMS(1, 1, 3, 3), 1, 1, 1, 1, 1, 1, 1, 1, 1);
    IN(t, DIMS(1), 100);
    GIVES(t, DIMS(1, 1, 3, 3), 112, 121, 116, 127, 145, 133, 124, 139, 128);
    cr_assert_eq(node_macs(t), 9 * 9);
    node_end(t);
}

Test(conv, correlates_without_flipping) {
    node_test *t = node_begin("Conv", 1);
    IN(t, DIMS(1, 1, 2, 2), 1, 2, 3, 4);
    IN(t, DIMS(1, 1, 2, 2), 1, 10, 100, 1000);
    GIVES(t, DIMS(1, 1, 1, 1), 1 + 20 + 300 + 4000);
    node_end(t);
}

/* Two groups of two channels each, two outputs per group; batch of two. */
Test(conv, groups) {
    node_test *t = node_begin("Conv", 22);
    node_attr_int(t, "group", 2);
    IN(t, DIMS(2, 4, 1), 1, 2, 3, 4, 5, 6, 7, 8);
    IN(t, DIMS(4, 2, 1), 1, 0, 0, 1, 1, 1, 1, -1);
    GIVES(t, DIMS(2, 4, 1), 1, 2, 7, -1, 5, 6, 15, -1);
    cr_assert_eq(node_macs(t), 8 * 2);
    node_end(t);
}

/* Positions 0, 2 of a window that moves by 3: x[0]+x[2], x[3]+x[5]. */
Test(conv, one_dimension_strides_dilations) {
    node_test *t = node_begin("Conv", 11);
    ATTR_INTS(t, "strides", 3);
    ATTR_INTS(t, "dilations", 2);
    node_in_counting(t, DIMS(1, 1, 7));
    IN(t, DIMS(1, 1, 2), 1, 1);
    GIVES(t, DIMS(1, 1, 2), 4, 10);
    node_end(t);
}

/* Sum of each 2x2x2 cube of a 2x2x3 box. */
Test(conv, three_dimensions) {
    node_test *t = node_begin("Conv", 11);
    node_in_counting(t, DIMS(1, 1, 2, 2, 3));
    IN(t, DIMS(1, 1, 2, 2, 2), 1, 1, 1, 1, 1, 1, 1, 1);
    GIVES(t, DIMS(1, 1, 1, 1, 2), 1 + 2 + 4 + 5 + 7 + 8 + 10 + 11, 2 + 3 + 5 + 6 + 8 + 9 + 11 + 12);
    node_end(t);
}

/* An odd pixel of padding goes behind with SAME_UPPER, in front with SAME_LOWER. */
Test(conv, same_upper_and_lower) {
    node_test *t = node_begin("Conv", 11);
    node_attr_string(t, "auto_pad", "SAME_UPPER");
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 2), 1, 10);
    GIVES(t, DIMS(1, 1, 3), 21, 32, 3);
    node_end(t);
    t = node_begin("Conv", 11);
    node_attr_string(t, "auto_pad", "SAME_LOWER");
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 2), 1, 10);
    GIVES(t, DIMS(1, 1, 3), 10, 21, 32);
    node_end(t);
}

/* Extent ceil(5 / 2) = 3; padding 2 * 2 + 2 - 5 = 1, behind. */
Test(conv, same_upper_with_strides) {
    node_test *t = node_begin("Conv", 11);
    node_attr_string(t, "auto_pad", "SAME_UPPER");
    ATTR_INTS(t, "strides", 2);
    IN(t, DIMS(1, 1, 5), 1, 2, 3, 4, 5);
    IN(t, DIMS(1, 1, 2), 1, 1);
    GIVES(t, DIMS(1, 1, 3), 3, 7, 5);
    node_end(t);
}

Test(conv, valid_ignores_pads) {
    node_test *t = node_begin("Conv", 11);
    node_attr_string(t, "auto_pad", "VALID");
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 2), 1, 1);
    GIVES(t, DIMS(1, 1, 2), 3, 5);
    node_end(t);
}

Test(conv, other_float_types) {
    static const cnn_dtype types[] = {CNN_FLOAT16, CNN_BFLOAT16, CNN_FLOAT64};
    for (size_t i = 0; i < 3; i++) {
        node_test *t = node_begin("Conv", 22);
        node_in(t, types[i], DIMS(1, 1, 2), NUMBERS(1.5, -2));
        node_in(t, types[i], DIMS(1, 1, 2), NUMBERS(2, 0.25));
        node_gives(t, 0, types[i], DIMS(1, 1, 1), NUMBERS(2.5));
        node_end(t);
    }
}

Test(conv, empty_batch) {
    node_test *t = node_begin("Conv", 11);
    node_in(t, CNN_FLOAT32, DIMS(0, 1, 3), NOTHING);
    IN(t, DIMS(2, 1, 2), 1, 1, 1, 1);
    node_gives(t, 0, CNN_FLOAT32, DIMS(0, 2, 2), NOTHING);
    cr_assert_eq(node_macs(t), 0);
    node_end(t);
}

/* A Conv of x (1, 2, 3, 3) and w (2, 2, 3, 3), to be spoilt. */
static node_test *plain(void) {
    node_test *t = node_begin("Conv", 11);
    node_in_counting(t, DIMS(1, 2, 3, 3));
    node_in_counting(t, DIMS(2, 2, 3, 3));
    return t;
}

Test(conv, errors_name_attribute_and_rule) {
    node_test *t = plain();
    node_attr_int(t, "group", 3);
    node_fails(t, CNN_INVALID_MODEL, "group is 3, but must divide the 2 output channels");
    t = plain();
    node_attr_int(t, "group", 2);
    node_fails(t, CNN_INVALID_MODEL, "2 channels, but the weight is for 2 groups of 2");
    t = plain();
    node_attr_int(t, "group", 0);
    node_fails(t, CNN_INVALID_MODEL, "group is 0");
    t = plain();
    ATTR_INTS(t, "kernel_shape", 3, 2);
    node_fails(t, CNN_INVALID_MODEL, "kernel_shape[1] is 2, but the weight's extent is 3");
    t = plain();
    ATTR_INTS(t, "pads", 1, 1);
    node_fails(t, CNN_INVALID_MODEL, "pads must be a list of 4 integers, but has 2");
    t = plain();
    ATTR_INTS(t, "pads", 0, 0, 0, -1);
    node_fails(t, CNN_INVALID_MODEL, "pads: -1 is not in 0 to");
    t = plain();
    ATTR_INTS(t, "strides", 1, 0);
    node_fails(t, CNN_INVALID_MODEL, "strides: 0 is not in 1 to");
    t = plain();
    ATTR_INTS(t, "dilations", 2, 1);
    node_fails(t, CNN_INVALID_MODEL, "covers 5 positions of spatial axis 0");
    t = plain();
    node_attr_string(t, "auto_pad", "SAME");
    node_fails(t, CNN_INVALID_MODEL, "auto_pad is 'SAME'");
    t = plain();
    node_attr_int(t, "pads", 1);
    node_fails(t, CNN_INVALID_MODEL, "attribute pads must be a list of integers");
    t = plain();
    node_attr_int(t, "padding", 1);
    node_fails(t, CNN_INVALID_MODEL, "attribute padding is unknown");
    t = plain();
    ATTR_INTS(t, "strides", INT64_MAX, 1);
    node_fails(t, CNN_INVALID_MODEL, "strides");
}

Test(conv, errors_name_inputs) {
    node_test *t = plain();
    IN(t, DIMS(3), 1, 2, 3);
    node_fails(t, CNN_INVALID_MODEL,
               "input 'v3' has shape 3, but must be a vector of one value for "
               "each of the 2 output channels");
    t = node_begin("Conv", 11);
    node_in_counting(t, DIMS(1, 2, 3, 3));
    node_fails(t, CNN_INVALID_MODEL, "input 1 is missing");
    t = node_begin("Conv", 11);
    node_in_counting(t, DIMS(1, 2, 3, 3));
    node_in_counting(t, DIMS(2, 2, 3));
    node_fails(t, CNN_INVALID_MODEL, "the weight has 3 dimensions");
    t = node_begin("Conv", 11);
    node_in(t, CNN_INT64, DIMS(1, 1, 1), NUMBERS(1));
    node_in(t, CNN_INT64, DIMS(1, 1, 1), NUMBERS(1));
    node_fails(t, CNN_INVALID_MODEL, "input 'v1' is int64, but must be a floating-point type");
    t = node_begin("Conv", 11);
    node_in_counting(t, DIMS(1, 1, 1));
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 1), NUMBERS(1));
    node_fails(t, CNN_INVALID_MODEL, "must have the type of input 'v1', float32");
    t = node_begin("Conv", 11);
    node_in_counting(t, DIMS(1, 1, 1, 1, 1, 1));
    node_in_counting(t, DIMS(1, 1, 1, 1, 1, 1));
    node_fails(t, CNN_INVALID_MODEL, "at most 5");
}

/* The gradient: each input element spreads the kernel; strides leave gaps. */
Test(conv_transpose, spreads_the_kernel) {
    node_test *t = node_begin("ConvTranspose", 11);
    ATTR_INTS(t, "strides", 2);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 3), 1, 10, 100);
    GIVES(t, DIMS(1, 1, 7), 1, 10, 102, 20, 203, 30, 300);
    cr_assert_eq(node_macs(t), 3 * 3);
    node_end(t);
}

Test(conv_transpose, pads_cut_and_output_padding_adds) {
    node_test *t = node_begin("ConvTranspose", 11);
    ATTR_INTS(t, "strides", 2);
    ATTR_INTS(t, "pads", 1, 2);
    ATTR_INTS(t, "output_padding", 1);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 3), 1, 10, 100);
    IN(t, DIMS(1), 1000);
    GIVES(t, DIMS(1, 1, 5), 1010, 1102, 1020, 1203, 1030);
    node_end(t);
}

/* 8 is one more than the full 7: nothing is cut, and behind stands a zero. */
Test(conv_transpose, output_shape) {
    node_test *t = node_begin("ConvTranspose", 11);
    ATTR_INTS(t, "strides", 2);
    ATTR_INTS(t, "output_shape", 8);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 3), 1, 10, 100);
    GIVES(t, DIMS(1, 1, 8), 1, 10, 102, 20, 203, 30, 300, 0);
    node_end(t);
}

/* in x stride = 6 of the full 7: the one too many is cut in front (LOWER) or behind (UPPER). */
Test(conv_transpose, auto_pad) {
    node_test *t = node_begin("ConvTranspose", 11);
    ATTR_INTS(t, "strides", 2);
    node_attr_string(t, "auto_pad", "SAME_LOWER");
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 3), 1, 10, 100);
    GIVES(t, DIMS(1, 1, 6), 10, 102, 20, 203, 30, 300);
    node_end(t);
    t = node_begin("ConvTranspose", 11);
    ATTR_INTS(t, "strides", 2);
    node_attr_string(t, "auto_pad", "SAME_UPPER");
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 3), 1, 10, 100);
    GIVES(t, DIMS(1, 1, 6), 1, 10, 102, 20, 203, 30);
    node_end(t);
}

/* w is (2 inputs, 2 outputs per group, 1): group g takes channel g to outputs 2g, 2g + 1. */
Test(conv_transpose, groups) {
    node_test *t = node_begin("ConvTranspose", 11);
    node_attr_int(t, "group", 2);
    IN(t, DIMS(1, 2, 1), 3, 5);
    IN(t, DIMS(2, 2, 1), 1, 2, 10, 20);
    GIVES(t, DIMS(1, 4, 1), 3, 6, 50, 100);
    node_end(t);
}

Test(conv_transpose, errors) {
    node_test *t = node_begin("ConvTranspose", 11);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(2, 1, 3), 1, 2, 3, 4, 5, 6);
    node_fails(t, CNN_INVALID_MODEL, "weight is for 2 input channels in 1 groups");
    t = node_begin("ConvTranspose", 11);
    ATTR_INTS(t, "pads", 5, 5);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    node_fails(t, CNN_INVALID_MODEL, "larger than the output");
    t = node_begin("ConvTranspose", 11);
    ATTR_INTS(t, "kernel_shape", 2);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    node_fails(t, CNN_INVALID_MODEL, "kernel_shape[0] is 2");
}

/* Zero points are subtracted, also from what lies in the padding. */
Test(conv_integer, zero_points) {
    node_test *t = node_begin("ConvInteger", 10);
    ATTR_INTS(t, "pads", 1, 0);
    node_in(t, CNN_UINT8, DIMS(1, 1, 3), NUMBERS(11, 12, 13));
    node_in(t, CNN_INT8, DIMS(2, 1, 2), NUMBERS(1, 1, -1, 3));
    node_in(t, CNN_UINT8, SCALAR, NUMBERS(10));
    node_in(t, CNN_INT8, DIMS(2), NUMBERS(0, 1));
    node_gives(t, 0, CNN_INT32, DIMS(1, 2, 3), NUMBERS(1, 3, 5, 2, 2, 2));
    node_end(t);
}

/* Sums 3 and 255 times 0.5 * 0.25 / 0.25: 1.5 and 127.5 round to even, 128 + 129 saturates. */
Test(qlinear_conv, scales_rounds_saturates) {
    node_test *t = node_begin("QLinearConv", 10);
    node_in(t, CNN_UINT8, DIMS(1, 1, 2), NUMBERS(3, 255));
    IN(t, SCALAR, 0.5);
    node_in(t, CNN_UINT8, SCALAR, NUMBERS(0));
    node_in(t, CNN_UINT8, DIMS(1, 1, 1), NUMBERS(1));
    IN(t, SCALAR, 0.25);
    node_in(t, CNN_UINT8, SCALAR, NUMBERS(0));
    IN(t, SCALAR, 0.25);
    node_in(t, CNN_UINT8, SCALAR, NUMBERS(129));
    node_in(t, CNN_INT32, DIMS(1), NUMBERS(0));
    node_gives(t, 0, CNN_UINT8, DIMS(1, 1, 2), NUMBERS(131, 255));
    node_end(t);
}
