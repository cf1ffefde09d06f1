#include "node.h"

#include <math.h>

/* exp of these are 1, 3, 2, 2. */
#define LOGS 0, log(3), log(2), log(2)

Test(softmax, along_one_axis_since_13) {
    node_test *t = node_begin("Softmax", 13);
    IN(t, DIMS(1, 2, 2), LOGS);
    GIVES(t, DIMS(1, 2, 2), 0.25, 0.75, 0.5, 0.5);
    node_end(t);
    t = node_begin("Softmax", 13);
    node_attr_int(t, "axis", 1);
    IN(t, DIMS(1, 2, 2), LOGS);
    GIVES(t, DIMS(1, 2, 2), 1.0 / 3, 0.6, 2.0 / 3, 0.4);
    node_end(t);
}

/* Axis 1 and all behind it are one row of four. */
Test(softmax, of_a_matrix_before_13) {
    node_test *t = node_begin("Softmax", 11);
    IN(t, DIMS(1, 2, 2), LOGS);
    GIVES(t, DIMS(1, 2, 2), 0.125, 0.375, 0.25, 0.25);
    node_end(t);
    t = node_begin("Softmax", 1);
    node_attr_int(t, "axis", 2);
    IN(t, DIMS(1, 2, 2), LOGS);
    GIVES(t, DIMS(1, 2, 2), 0.25, 0.75, 0.5, 0.5);
    node_end(t);
}

Test(softmax, large_numbers) {
    node_test *t = node_begin("Softmax", 13);
    IN(t, DIMS(2, 2), 10000, 10000, -10000, 10000);
    GIVES(t, DIMS(2, 2), 0.5, 0.5, 0, 1);
    node_end(t);
}

Test(log_softmax, both_forms) {
    node_test *t = node_begin("LogSoftmax", 13);
    IN(t, DIMS(1, 2, 2), LOGS);
    GIVES(t, DIMS(1, 2, 2), -log(4), log(0.75), -log(2), -log(2));
    node_end(t);
    t = node_begin("LogSoftmax", 12);
    IN(t, DIMS(1, 2, 2), LOGS);
    GIVES(t, DIMS(1, 2, 2), -log(8), log(0.375), -log(4), -log(4));
    node_end(t);
}

Test(hardmax, first_of_equals) {
    node_test *t = node_begin("Hardmax", 13);
    IN(t, DIMS(2, 3), 1, 3, 3, -1, -2, -3);
    GIVES(t, DIMS(2, 3), 0, 1, 0, 1, 0, 0);
    node_end(t);
    t = node_begin("Hardmax", 1);
    IN(t, DIMS(1, 2, 2), 1, 2, 4, 3);
    GIVES(t, DIMS(1, 2, 2), 0, 0, 1, 0);
    node_end(t);
}

Test(softmax, empty_and_errors) {
    node_test *t = node_begin("Softmax", 13);
    node_in(t, CNN_FLOAT32, DIMS(2, 0), NOTHING);
    node_gives(t, 0, CNN_FLOAT32, DIMS(2, 0), NOTHING);
    node_end(t);
    t = node_begin("Softmax", 13);
    node_attr_int(t, "axis", 2);
    IN(t, DIMS(1, 2), 1, 2);
    node_fails(t, CNN_INVALID_MODEL, "axis 2 is outside the 2 dimensions");
    t = node_begin("Softmax", 13);
    IN_INTS(t, DIMS(1, 2), 1, 2);
    node_fails(t, CNN_INVALID_MODEL, "floating-point");
}
