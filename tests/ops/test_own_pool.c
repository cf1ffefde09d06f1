/* SumPool, MixedPool, StochasticPool and GlobalEntropyPool; numbers worked by hand. */
#include "node.h"

#include <math.h>

/* Two windows of 2x2: 1 + 5 + 3 + 4, and 2 + 0 + 8 - 1. */
Test(sum_pool, two_by_two) {
    node_test *t = node_begin("SumPool", 1);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    ATTR_INTS(t, "strides", 2, 2);
    IN(t, DIMS(1, 1, 2, 4), 1, 5, 2, 0, 3, 4, 8, -1);
    GIVES(t, DIMS(1, 1, 1, 2), 13, 9);
    node_end(t);
}

/* Cells 0 and 3, 1 and 4. */
Test(sum_pool, dilations) {
    node_test *t = node_begin("SumPool", 1);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "dilations", 3);
    IN(t, DIMS(1, 1, 5), 9, 8, 1, 2, 3);
    GIVES(t, DIMS(1, 1, 2), 11, 11);
    node_end(t);
}

/* ceil_mode adds a window that has only 3 and 4; padding and what is beyond it count nothing. */
Test(sum_pool, ceil_mode_and_padding) {
    node_test *t = node_begin("SumPool", 1);
    ATTR_INTS(t, "kernel_shape", 3);
    ATTR_INTS(t, "strides", 2);
    node_attr_int(t, "ceil_mode", 1);
    IN(t, DIMS(1, 1, 4), 1, 2, 3, 4);
    GIVES(t, DIMS(1, 1, 2), 6, 7);
    node_end(t);
    t = node_begin("SumPool", 1);
    ATTR_INTS(t, "kernel_shape", 2);
    node_attr_string(t, "auto_pad", "SAME_UPPER");
    IN(t, DIMS(1, 1, 3), 1, 2, 3);
    GIVES(t, DIMS(1, 1, 3), 3, 5, 3);
    node_end(t);
}

/* Of a 2x2x2 cube, counted from 1, both planes: 1 + 2 + 5 + 6 and 3 + 4 + 7 + 8. */
Test(sum_pool, three_dimensions) {
    node_test *t = node_begin("SumPool", 1);
    ATTR_INTS(t, "kernel_shape", 2, 1, 2);
    node_in_counting(t, DIMS(1, 1, 2, 2, 2));
    GIVES(t, DIMS(1, 1, 1, 2, 1), 14, 22);
    node_end(t);
}

Test(sum_pool, types) {
    node_test *t = node_begin("SumPool", 1);
    ATTR_INTS(t, "kernel_shape", 2);
    node_in(t, CNN_FLOAT16, DIMS(1, 1, 3), NUMBERS(0.5, 1, 2));
    node_gives(t, 0, CNN_FLOAT16, DIMS(1, 1, 2), NUMBERS(1.5, 3));
    node_end(t);
    t = node_begin("SumPool", 1);
    ATTR_INTS(t, "kernel_shape", 2);
    node_in(t, CNN_INT32, DIMS(1, 1, 3), NUMBERS(1, 2, 3));
    node_fails(t, CNN_INVALID_MODEL, "floating-point");
}

/* A quarter of the maximum 6 and three quarters of the mean 3. */
Test(mixed_pool, one_part_for_all) {
    node_test *t = node_begin("MixedPool", 1);
    ATTR_INTS(t, "kernel_shape", 2, 2);
    IN(t, DIMS(1, 1, 2, 2), 1, 2, 3, 6);
    IN(t, SCALAR, 0.25);
    GIVES(t, DIMS(1, 1, 1, 1), 3.75);
    node_end(t);
}

/* 0 is the mean, 1 the maximum. */
Test(mixed_pool, a_part_for_each_channel) {
    node_test *t = node_begin("MixedPool", 1);
    ATTR_INTS(t, "kernel_shape", 2);
    IN(t, DIMS(2, 2, 2), 1, 3, 1, 3, 5, 7, 5, 7);
    IN(t, DIMS(2), 0, 1);
    GIVES(t, DIMS(2, 2, 1), 2, 3, 6, 7);
    node_end(t);
    t = node_begin("MixedPool", 1);
    ATTR_INTS(t, "kernel_shape", 2);
    node_in_counting(t, DIMS(1, 3, 2));
    IN(t, DIMS(2), 0, 1);
    node_fails(t, CNN_INVALID_MODEL, "one value for each of the 3 channels");
    t = node_begin("MixedPool", 1);
    ATTR_INTS(t, "kernel_shape", 2);
    node_in_counting(t, DIMS(1, 1, 2));
    node_in(t, CNN_FLOAT64, SCALAR, NUMBERS(1));
    node_fails(t, CNN_INVALID_MODEL, "must have the type of input");
}

/* The example of Zeiler and Fergus: 1.6 is picked with probability 0.4, 2.4 with 0.6. */
Test(stochastic_pool, expected_value) {
    node_test *t = node_begin("StochasticPool", 1);
    ATTR_INTS(t, "kernel_shape", 3, 3);
    IN(t, DIMS(1, 1, 3, 3), 1.6, 0, 0, 0, 0, 0, 0, 0, 2.4);
    GIVES(t, DIMS(1, 1, 1, 1), 0.4 * 1.6 + 0.6 * 2.4);
    node_end(t);
}

/* Negative numbers and NaN are never picked; where nothing is, the result is 0. */
Test(stochastic_pool, only_positive_numbers) {
    node_test *t = node_begin("StochasticPool", 1);
    ATTR_INTS(t, "kernel_shape", 3);
    ATTR_INTS(t, "strides", 3);
    IN(t, DIMS(1, 1, 9), 1, -8, 3, NAN, 2, 2, -1, 0, -2);
    GIVES(t, DIMS(1, 1, 3), 2.5, 2, 0);
    node_end(t);
}

/* The first window of each lies in the padding. */
Test(window, of_no_cells) {
    static const struct {
        const char *op;
        double empty, rest;
    } cases[] = {{"MaxPool", -INFINITY, 4}, {"AveragePool", 0, 4},    {"LpPool", 0, 4},
                 {"SumPool", 0, 4},         {"StochasticPool", 0, 4}, {"MixedPool", 0, 4}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node_test *t = node_begin(cases[i].op, i < 3 ? 19 : 1);
        ATTR_INTS(t, "kernel_shape", 1);
        ATTR_INTS(t, "strides", 2);
        ATTR_INTS(t, "pads", 2, 0);
        IN(t, DIMS(1, 1, 1), 4);
        if (i == 5) IN(t, SCALAR, 0.5);
        GIVES(t, DIMS(1, 1, 2), cases[i].empty, cases[i].rest);
        node_end(t);
    }
}

/* The maximum passes over NaN; sums and means do not. */
Test(window, not_a_number) {
    static const struct {
        const char *op;
        double some, all;
    } cases[] = {{"MaxPool", 1, -INFINITY}, {"AveragePool", NAN, NAN}, {"LpPool", NAN, NAN},
                 {"SumPool", NAN, NAN},     {"StochasticPool", 1, 0},  {"MixedPool", NAN, NAN}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node_test *t = node_begin(cases[i].op, i < 3 ? 19 : 1);
        ATTR_INTS(t, "kernel_shape", 2);
        ATTR_INTS(t, "strides", 2);
        IN(t, DIMS(1, 1, 4), NAN, 1, NAN, NAN);
        if (i == 5) IN(t, SCALAR, 0.5);
        GIVES(t, DIMS(1, 1, 2), cases[i].some, cases[i].all);
        node_end(t);
    }
}

Test(max_pool, indices_pass_over_nan) {
    node_test *t = node_begin("MaxPool", 12);
    ATTR_INTS(t, "kernel_shape", 2);
    ATTR_INTS(t, "strides", 2);
    node_outputs(t, 2);
    IN(t, DIMS(1, 1, 6), NAN, -INFINITY, NAN, NAN, 2, 2);
    GIVES(t, DIMS(1, 1, 3), -INFINITY, -INFINITY, 2);
    node_gives(t, 1, CNN_INT64, DIMS(1, 1, 3), NUMBERS(1, -1, 4));
    node_end(t);
}

/* Of four equal numbers ln 4; of 1 and 3 the shares are 1/4 and 3/4. */
Test(global_entropy_pool, shares) {
    node_test *t = node_begin("GlobalEntropyPool", 1);
    IN(t, DIMS(1, 2, 2, 2), 5, 5, 5, 5, 1, 0, 0, 3);
    GIVES(t, DIMS(1, 2, 1, 1), log(4), 0.25 * log(4) + 0.75 * log(4.0 / 3));
    node_end(t);
}

/* One positive number has all of the sum; without one there is nothing to share. */
Test(global_entropy_pool, nothing_to_share) {
    node_test *t = node_begin("GlobalEntropyPool", 1);
    IN(t, DIMS(1, 3, 4), 2, 0, -5, NAN, 0, 0, 0, 0, -1, -2, -3, -4);
    GIVES(t, DIMS(1, 3, 1), 0, 0, 0);
    node_end(t);
    t = node_begin("GlobalEntropyPool", 1);
    node_in(t, CNN_FLOAT32, DIMS(2, 1, 0), NOTHING);
    GIVES(t, DIMS(2, 1, 1), 0, 0);
    node_end(t);
    t = node_begin("GlobalEntropyPool", 1);
    IN(t, DIMS(1, 2), 7, 1); /* planes of a single number */
    GIVES(t, DIMS(1, 2), 0, 0);
    node_end(t);
}
