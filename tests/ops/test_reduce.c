#include "node.h"

#include <math.h>

Test(reduce, each_of_a_row) {
    static const struct {
        const char *op;
        double want;
    } cases[] = {{"ReduceSum", 3},        {"ReduceMean", 1},      {"ReduceProd", -24},
                 {"ReduceMax", 4},        {"ReduceMin", -3},      {"ReduceL1", 9},
                 {"ReduceL2", 5.3851648}, {"ReduceSumSquare", 29}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        node_test *t = node_begin(cases[i].op, 11);
        ATTR_INTS(t, "axes", -1);
        IN(t, DIMS(1, 3), 4, -3, 2);
        GIVES(t, DIMS(1, 1), cases[i].want);
        node_end(t);
    }
}

Test(reduce, logarithms) {
    node_test *t = node_begin("ReduceLogSum", 18);
    IN(t, DIMS(2), 1, 3);
    GIVES(t, DIMS(1), log(4));
    node_end(t);
    t = node_begin("ReduceLogSumExp", 18);
    IN(t, DIMS(2), 10000, 10000);
    GIVES(t, DIMS(1), 10000 + log(2));
    node_end(t);
}

Test(reduce, middle_axis_and_keepdims) {
    node_test *t = node_begin("ReduceSum", 11);
    ATTR_INTS(t, "axes", 1);
    node_attr_int(t, "keepdims", 0);
    node_in_counting(t, DIMS(2, 2, 2));
    GIVES(t, DIMS(2, 2), 4, 6, 12, 14);
    node_end(t);
    t = node_begin("ReduceMax", 1);
    ATTR_INTS(t, "axes", 2, 0);
    node_in_counting(t, DIMS(2, 2, 2));
    GIVES(t, DIMS(1, 2, 1), 6, 8);
    node_end(t);
}

/* axes became an input with version 13 for ReduceSum, with 18 for the others. */
Test(reduce, axes_as_input) {
    node_test *t = node_begin("ReduceSum", 13);
    node_in_counting(t, DIMS(2, 2));
    CONSTANT_INTS(t, 0);
    GIVES(t, DIMS(1, 2), 4, 6);
    node_end(t);
    t = node_begin("ReduceMean", 18);
    node_attr_int(t, "keepdims", 0);
    node_in_counting(t, DIMS(2, 2));
    CONSTANT_INTS(t, 1);
    GIVES(t, DIMS(2), 1.5, 3.5);
    node_end(t);
    t = node_begin("ReduceMean", 13);
    node_in_counting(t, DIMS(2, 2));
    CONSTANT_INTS(t, 1);
    node_fails(t, CNN_INVALID_MODEL, "has 2 inputs, but takes at most 1");
    t = node_begin("ReduceMean", 18);
    node_in_counting(t, DIMS(2, 2));
    IN_INTS(t, DIMS(1), 1);
    node_fails(t, CNN_UNSUPPORTED, "needs a constant axes");
}

Test(reduce, no_axes) {
    node_test *t = node_begin("ReduceSum", 13); /* all */
    node_in_counting(t, DIMS(2, 2));
    GIVES(t, DIMS(1, 1), 10);
    node_end(t);
    t = node_begin("ReduceSum", 13);
    node_attr_int(t, "noop_with_empty_axes", 1);
    node_in_counting(t, DIMS(2, 2));
    node_constant(t, CNN_INT64, DIMS(0), NOTHING);
    GIVES(t, DIMS(2, 2), 1, 2, 3, 4);
    node_end(t);
    t = node_begin("ReduceSumSquare", 18); /* none reduced, yet squared */
    node_attr_int(t, "noop_with_empty_axes", 1);
    node_in_counting(t, DIMS(2));
    GIVES(t, DIMS(2), 1, 4);
    node_end(t);
}

Test(reduce, empty_sets) {
    static const struct {
        const char *op;
        double want;
    } cases[] = {{"ReduceSum", 0},        {"ReduceProd", 1},           {"ReduceMax", -INFINITY},
                 {"ReduceMin", INFINITY}, {"ReduceLogSum", -INFINITY}, {"ReduceMean", NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        node_test *t = node_begin(cases[i].op, 18);
        node_in(t, CNN_FLOAT32, DIMS(1, 0), NOTHING);
        CONSTANT_INTS(t, 1);
        GIVES(t, DIMS(1, 1), cases[i].want);
        node_end(t);
    }
}

Test(reduce, integers) {
    node_test *t = node_begin("ReduceMean", 18);
    IN_INTS(t, DIMS(2), -3, -4);
    node_gives(t, 0, CNN_INT64, DIMS(1), NUMBERS(-3));
    node_end(t);
    t = node_begin("ReduceMin", 12);
    node_in(t, CNN_INT8, DIMS(2), NUMBERS(-3, 100));
    node_gives(t, 0, CNN_INT8, DIMS(1), NUMBERS(-3));
    node_end(t);
    t = node_begin("ReduceMax", 20);
    node_in(t, CNN_BOOL, DIMS(2), NUMBERS(0, 1));
    node_gives(t, 0, CNN_BOOL, DIMS(1), NUMBERS(1));
    node_end(t);
    t = node_begin("ReduceL1", 18);
    IN_INTS(t, DIMS(2), -3, 4);
    node_gives(t, 0, CNN_INT64, DIMS(1), NUMBERS(7));
    node_end(t);
    t = node_begin("ReduceL2", 18);
    node_in(t, CNN_INT32, DIMS(2), NUMBERS(-3, 4));
    node_gives(t, 0, CNN_INT32, DIMS(1), NUMBERS(5));
    node_end(t);
}

Test(arg, max_min_and_ties) {
    node_test *t = node_begin("ArgMax", 1);
    IN(t, DIMS(2, 2), 1, 5, 3, 5);
    node_gives(t, 0, CNN_INT64, DIMS(1, 2), NUMBERS(1, 0));
    node_end(t);
    t = node_begin("ArgMax", 12);
    node_attr_int(t, "select_last_index", 1);
    node_attr_int(t, "keepdims", 0);
    IN(t, DIMS(2, 2), 1, 5, 3, 5);
    node_gives(t, 0, CNN_INT64, DIMS(2), NUMBERS(1, 1));
    node_end(t);
    t = node_begin("ArgMin", 13);
    node_attr_int(t, "axis", -1);
    node_in(t, CNN_UINT8, DIMS(1, 3), NUMBERS(200, 3, 3));
    node_gives(t, 0, CNN_INT64, DIMS(1, 1), NUMBERS(1));
    node_end(t);
    t = node_begin("ArgMax", 13);
    node_in(t, CNN_FLOAT32, DIMS(0, 2), NOTHING);
    node_fails(t, CNN_INVALID_MODEL, "axis 0 is empty");
}

Test(top_k, versions_and_order) {
    node_test *t = node_begin("TopK", 1);
    node_attr_int(t, "k", 2);
    node_outputs(t, 2);
    IN(t, DIMS(1, 4), 3, 9, 1, 9);
    GIVES(t, DIMS(1, 2), 9, 9);
    node_gives(t, 1, CNN_INT64, DIMS(1, 2), NUMBERS(1, 3));
    node_end(t);
    t = node_begin("TopK", 11);
    node_attr_int(t, "largest", 0);
    node_attr_int(t, "axis", 0);
    node_outputs(t, 2);
    IN_INTS(t, DIMS(3, 2), 5, 1, 4, 1, 6, 0);
    CONSTANT_INTS(t, 2);
    node_gives(t, 0, CNN_INT64, DIMS(2, 2), NUMBERS(4, 0, 5, 1));
    node_gives(t, 1, CNN_INT64, DIMS(2, 2), NUMBERS(1, 2, 0, 0));
    node_end(t);
}

Test(top_k, limits) {
    node_test *t = node_begin("TopK", 11);
    node_outputs(t, 2);
    IN(t, DIMS(2), 3, 9);
    CONSTANT_INTS(t, 3);
    node_fails(t, CNN_INVALID_MODEL, "k is 3, but axis 0 has 2 elements");
    t = node_begin("TopK", 11);
    node_outputs(t, 2);
    IN(t, DIMS(3), NAN, 1, NAN);
    CONSTANT_INTS(t, 3);
    GIVES(t, DIMS(3), NAN, NAN, 1);
    node_gives(t, 1, CNN_INT64, DIMS(3), NUMBERS(0, 2, 1));
    node_end(t);
    t = node_begin("TopK", 10);
    node_outputs(t, 2);
    IN(t, DIMS(2), 3, 9);
    CONSTANT_INTS(t, 0);
    node_gives(t, 0, CNN_FLOAT32, DIMS(0), NOTHING);
    node_end(t);
}

Test(cum_sum, exclusive_and_reverse) {
    static const double want[2][2][3] = {{{1, 3, 6}, {6, 5, 3}}, {{0, 1, 3}, {5, 3, 0}}};
    for (int exclusive = 0; exclusive < 2; exclusive++)
        for (int reverse = 0; reverse < 2; reverse++) {
            node_test *t = node_begin("CumSum", 11);
            node_attr_int(t, "exclusive", exclusive);
            node_attr_int(t, "reverse", reverse);
            IN(t, DIMS(3), 1, 2, 3);
            CONSTANT_INTS(t, 0);
            node_gives(t, 0, CNN_FLOAT32, DIMS(3), 3, want[exclusive][reverse]);
            node_end(t);
        }
    node_test *t = node_begin("CumSum", 14);
    node_in(t, CNN_INT32, DIMS(2, 2), NUMBERS(1, 2, 3, 4));
    node_constant(t, CNN_INT32, SCALAR, NUMBERS(-2));
    node_gives(t, 0, CNN_INT32, DIMS(2, 2), NUMBERS(1, 2, 4, 6));
    node_end(t);
}

Test(cum_prod, plain) {
    node_test *t = node_begin("CumProd", 26);
    IN(t, DIMS(3), 2, 3, 4);
    CONSTANT_INTS(t, 0);
    GIVES(t, DIMS(3), 2, 6, 24);
    node_end(t);
}
