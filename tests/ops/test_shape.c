#include "node.h"

static node_test *reshape(int opset, cnn_shape from) {
    node_test *t = node_begin("Reshape", opset);
    node_in_counting(t, from);
    return t;
}

Test(reshape, copies_zero_and_infers_minus_one) {
    node_test *t = reshape(5, DIMS(2, 3));
    CONSTANT_INTS(t, 0, -1, 1);
    GIVES(t, DIMS(2, 3, 1), 1, 2, 3, 4, 5, 6);
    node_end(t);
    t = reshape(13, DIMS(1));
    node_constant(t, CNN_INT64, DIMS(0), NOTHING);
    GIVES(t, SCALAR, 1);
    node_end(t);
}

Test(reshape, allowzero) {
    node_test *t = reshape(14, DIMS(0, 3));
    node_attr_int(t, "allowzero", 1);
    CONSTANT_INTS(t, 7, 0);
    node_gives(t, 0, CNN_FLOAT32, DIMS(7, 0), NOTHING);
    node_end(t);
    t = reshape(14, DIMS(0, 3));
    CONSTANT_INTS(t, 0, -1);
    node_fails(t, CNN_INVALID_MODEL, "the input's 0 elements (0x3) do not fit");
    t = reshape(14, DIMS(0, 3));
    node_attr_int(t, "allowzero", 1);
    CONSTANT_INTS(t, 0, -1);
    node_fails(t, CNN_INVALID_MODEL, "do not fit");
    t = reshape(13, DIMS(1));
    node_attr_int(t, "allowzero", 1);
    CONSTANT_INTS(t, 1);
    node_fails(t, CNN_INVALID_MODEL, "allowzero is unknown");
}

Test(reshape, errors) {
    node_test *t = reshape(13, DIMS(2, 3));
    CONSTANT_INTS(t, 4, 2);
    node_fails(t, CNN_INVALID_MODEL, "the input's 6 elements (2x3) do not fit the shape 4x2");
    t = reshape(13, DIMS(2, 3));
    CONSTANT_INTS(t, -1, -1);
    node_fails(t, CNN_INVALID_MODEL, "shape[1] is -1, but extents must be at least 0, and one may");
    t = reshape(13, DIMS(2, 3));
    CONSTANT_INTS(t, -2, 3);
    node_fails(t, CNN_INVALID_MODEL, "shape[0] is -2");
    t = reshape(13, DIMS(6));
    CONSTANT_INTS(t, 6, 0);
    node_fails(t, CNN_INVALID_MODEL, "shape[1] is 0, to copy an extent, but the input has only 1");
    t = reshape(13, DIMS(6));
    CONSTANT_INTS(t, 4, -1);
    node_fails(t, CNN_INVALID_MODEL, "do not fit");
    t = reshape(13, DIMS(6));
    IN_INTS(t, DIMS(1), 6);
    node_fails(t, CNN_UNSUPPORTED,
               "needs a constant shape, because shapes are planned before the run");
    t = reshape(13, DIMS(6));
    CONSTANT_INTS(t, 6, 1, 1, 1, 1, 1, 1, 1, 1);
    node_fails(t, CNN_LIMIT, "shape has 9 extents, at most 8");
    t = reshape(13, DIMS(6));
    CONSTANT_INTS(t, 4294967296.0, 4294967296.0, 4294967296.0);
    node_fails(t, CNN_LIMIT, "too many elements");
    t = reshape(13, DIMS(6));
    node_constant(t, CNN_FLOAT32, DIMS(1), NUMBERS(6));
    node_fails(t, CNN_INVALID_MODEL, "must be int64");
}

Test(flatten, axes) {
    static const struct {
        int64_t axis, rows, columns;
    } cases[] = {{0, 1, 6}, {1, 1, 6}, {2, 2, 3}, {3, 6, 1}, {-1, 2, 3}, {-3, 1, 6}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        node_test *t = node_begin("Flatten", 11);
        node_attr_int(t, "axis", cases[i].axis);
        node_in_counting(t, DIMS(1, 2, 3));
        GIVES(t, DIMS(cases[i].rows, cases[i].columns), 1, 2, 3, 4, 5, 6);
        node_end(t);
    }
    node_test *t = node_begin("Flatten", 1);
    node_in_counting(t, DIMS(2, 1, 2));
    GIVES(t, DIMS(2, 2), 1, 2, 3, 4);
    node_end(t);
    t = node_begin("Flatten", 13);
    node_attr_int(t, "axis", 4);
    node_in_counting(t, DIMS(1, 2, 3));
    node_fails(t, CNN_INVALID_MODEL, "axis 4 is outside -3 to 3");
}

Test(squeeze, axes_as_attribute_and_as_input) {
    node_test *t = node_begin("Squeeze", 11);
    ATTR_INTS(t, "axes", 0, -1);
    node_in_counting(t, DIMS(1, 2, 1, 1));
    GIVES(t, DIMS(2, 1), 1, 2);
    node_end(t);
    t = node_begin("Squeeze", 13);
    node_in_counting(t, DIMS(1, 2, 1));
    CONSTANT_INTS(t, 2);
    GIVES(t, DIMS(1, 2), 1, 2);
    node_end(t);
    t = node_begin("Squeeze", 13); /* all of them */
    node_in_counting(t, DIMS(1, 2, 1));
    GIVES(t, DIMS(2), 1, 2);
    node_end(t);
}

Test(squeeze, errors) {
    node_test *t = node_begin("Squeeze", 11);
    ATTR_INTS(t, "axes", 1);
    node_in_counting(t, DIMS(1, 2));
    node_fails(t, CNN_INVALID_MODEL, "axis 1 has extent 2, but only extents of 1 can be squeezed");
    t = node_begin("Squeeze", 13);
    ATTR_INTS(t, "axes", 0);
    node_in_counting(t, DIMS(1, 2));
    node_fails(t, CNN_INVALID_MODEL, "attribute axes is unknown");
    t = node_begin("Squeeze", 13);
    node_in_counting(t, DIMS(1, 2));
    IN_INTS(t, DIMS(1), 0);
    node_fails(t, CNN_UNSUPPORTED, "needs a constant axes");
}

Test(unsqueeze, axes_as_attribute_and_as_input) {
    node_test *t = node_begin("Unsqueeze", 1);
    ATTR_INTS(t, "axes", 0, 3);
    node_in_counting(t, DIMS(2, 1));
    GIVES(t, DIMS(1, 2, 1, 1), 1, 2);
    node_end(t);
    t = node_begin("Unsqueeze", 13);
    IN_INTS(t, SCALAR, 7);
    CONSTANT_INTS(t, -1);
    node_gives(t, 0, CNN_INT64, DIMS(1), NUMBERS(7));
    node_end(t);
}

Test(unsqueeze, errors) {
    node_test *t = node_begin("Unsqueeze", 11);
    node_in_counting(t, DIMS(2));
    node_fails(t, CNN_INVALID_MODEL, "attribute axes is missing");
    t = node_begin("Unsqueeze", 13);
    node_in_counting(t, DIMS(2));
    CONSTANT_INTS(t, 0, 0);
    node_fails(t, CNN_INVALID_MODEL, "axis 0 is given twice");
    t = node_begin("Unsqueeze", 13);
    node_in_counting(t, DIMS(2));
    CONSTANT_INTS(t, 2);
    node_fails(t, CNN_INVALID_MODEL, "axis 2 is outside the 2 dimensions");
    t = node_begin("Unsqueeze", 13);
    node_in_counting(t, DIMS(1, 1, 1, 1, 1));
    CONSTANT_INTS(t, 0, 1, 2, 3);
    node_fails(t, CNN_LIMIT, "9 dimensions, at most 8");
}

Test(identity, any_type) {
    node_test *t = node_begin("Identity", 14);
    node_in(t, CNN_BOOL, DIMS(2), NUMBERS(1, 0));
    node_gives(t, 0, CNN_BOOL, DIMS(2), NUMBERS(1, 0));
    node_end(t);
}

/* The mask has the input's type before version 10 and is bool since. */
Test(dropout, versions) {
    static const int opsets[] = {6, 7, 10, 12, 22};
    for (size_t i = 0; i < 5; i++) {
        node_test *t = node_begin("Dropout", opsets[i]);
        if (opsets[i] < 12) node_attr_float(t, "ratio", 0.9);
        node_outputs(t, 2);
        IN(t, DIMS(2), 3, 4);
        if (opsets[i] >= 12) IN(t, SCALAR, 0.9);
        GIVES(t, DIMS(2), 3, 4);
        node_gives(t, 1, opsets[i] < 10 ? CNN_FLOAT32 : CNN_BOOL, DIMS(2), NUMBERS(1, 1));
        node_end(t);
    }
}

Test(dropout, training) {
    node_test *t = node_begin("Dropout", 12);
    IN(t, DIMS(2), 3, 4);
    node_absent(t);
    node_constant(t, CNN_BOOL, SCALAR, NUMBERS(1));
    node_fails(t, CNN_UNSUPPORTED, "training_mode is set, but only inference is supported");
    t = node_begin("Dropout", 12);
    IN(t, DIMS(2), 3, 4);
    node_constant(t, CNN_FLOAT32, SCALAR, NUMBERS(0));
    node_constant(t, CNN_BOOL, SCALAR, NUMBERS(1));
    GIVES(t, DIMS(2), 3, 4);
    node_end(t);
    t = node_begin("Dropout", 12);
    node_attr_float(t, "ratio", 0.5);
    IN(t, DIMS(2), 3, 4);
    node_fails(t, CNN_INVALID_MODEL, "ratio is unknown");
}
