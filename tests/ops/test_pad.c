#include "node.h"

/* Pads of a row of 1, 2, 3: `begin`, `end`, in a mode. */
static node_test *row(const char *mode, double begin, double end) {
    node_test *t = node_begin("Pad", 19);
    node_attr_string(t, "mode", mode);
    IN(t, DIMS(3), 1, 2, 3);
    CONSTANT_INTS(t, begin, end);
    return t;
}

Test(pad, modes) {
    node_test *t = row("constant", 1, 2);
    GIVES(t, DIMS(6), 0, 1, 2, 3, 0, 0);
    node_end(t);
    t = row("edge", 1, 2);
    GIVES(t, DIMS(6), 1, 1, 2, 3, 3, 3);
    node_end(t);
    t = row("reflect", 2, 1);
    GIVES(t, DIMS(6), 3, 2, 1, 2, 3, 2);
    node_end(t);
    t = row("reflect", 3, 3); /* back and forth */
    GIVES(t, DIMS(9), 2, 3, 2, 1, 2, 3, 2, 1, 2);
    node_end(t);
    t = row("wrap", 2, 4);
    GIVES(t, DIMS(9), 2, 3, 1, 2, 3, 1, 2, 3, 1);
    node_end(t);
}

Test(pad, negative_pads_cut) {
    node_test *t = row("constant", -1, 1);
    GIVES(t, DIMS(3), 2, 3, 0);
    node_end(t);
    t = row("edge", 2, -2);
    GIVES(t, DIMS(3), 1, 1, 1);
    node_end(t);
    t = row("constant", -2, -2);
    node_fails(t, CNN_INVALID_MODEL, "pads of -2 and -2 cut more than axis 0's extent of 3");
    t = row("edge", -3, 1);
    node_fails(t, CNN_INVALID_MODEL, "axis 0 is empty, so there is nothing to pad it with");
}

Test(pad, attributes_before_11) {
    node_test *t = node_begin("Pad", 2);
    ATTR_INTS(t, "pads", 0, 1, 1, 0);
    node_attr_float(t, "value", 9);
    IN(t, DIMS(1, 2), 1, 2);
    GIVES(t, DIMS(2, 3), 9, 1, 2, 9, 9, 9);
    node_end(t);
}

Test(pad, value_and_axes_as_inputs) {
    node_test *t = node_begin("Pad", 18);
    IN_INTS(t, DIMS(1, 2), 1, 2);
    CONSTANT_INTS(t, 1, 0);
    node_in(t, CNN_INT64, SCALAR, NUMBERS(7));
    CONSTANT_INTS(t, -1);
    node_gives(t, 0, CNN_INT64, DIMS(1, 3), NUMBERS(7, 1, 2));
    node_end(t);
}

Test(pad, empty_input_with_constant) {
    node_test *t = node_begin("Pad", 13);
    node_in(t, CNN_FLOAT32, DIMS(0), NOTHING);
    CONSTANT_INTS(t, 1, 1);
    GIVES(t, DIMS(2), 0, 0);
    node_end(t);
}

Test(pad, errors) {
    node_test *t = node_begin("Pad", 13);
    node_attr_string(t, "mode", "wrap");
    IN(t, DIMS(3), 1, 2, 3);
    CONSTANT_INTS(t, 1, 1);
    node_fails(t, CNN_INVALID_MODEL, "mode is 'wrap', which is none of constant, reflect, edge");
    t = node_begin("Pad", 13);
    IN(t, DIMS(3), 1, 2, 3);
    CONSTANT_INTS(t, 1, 1, 1);
    node_fails(t, CNN_INVALID_MODEL, "pads has 3 entries for 1 axes");
    t = node_begin("Pad", 13);
    IN(t, DIMS(3), 1, 2, 3);
    IN_INTS(t, DIMS(2), 1, 1);
    node_fails(t, CNN_UNSUPPORTED, "needs a constant pads");
    t = node_begin("Pad", 13);
    IN(t, DIMS(3), 1, 2, 3);
    CONSTANT_INTS(t, 1, 1e18);
    node_fails(t, CNN_LIMIT, "pads of 1 and 1000000000000000000");
}
