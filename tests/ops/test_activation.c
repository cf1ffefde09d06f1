#include "node.h"

#include <math.h>

/* An operator of one input and, maybe, one float attribute. */
static node_test *unary(const char *op, int opset, const char *attribute, double value) {
    node_test *t = node_begin(op, opset);
    if (attribute) node_attr_float(t, attribute, value);
    return t;
}

Test(activation, relu) {
    node_test *t = unary("Relu", 6, NULL, 0);
    IN(t, DIMS(2, 2), -1, 0, 2, NAN);
    GIVES(t, DIMS(2, 2), 0, 0, 2, NAN);
    node_end(t);
    t = unary("Relu", 14, NULL, 0);
    node_in(t, CNN_INT8, DIMS(2), NUMBERS(-7, 7));
    node_gives(t, 0, CNN_INT8, DIMS(2), NUMBERS(0, 7));
    node_end(t);
    t = unary("Relu", 14, NULL, 0);
    node_in(t, CNN_BOOL, DIMS(1), NUMBERS(1));
    node_fails(t, CNN_INVALID_MODEL, "input 'v1' is bool, but must be float32");
}

Test(activation, leaky_and_thresholded_relu) {
    node_test *t = unary("LeakyRelu", 6, NULL, 0);
    IN(t, DIMS(3), -100, 0, 5);
    GIVES(t, DIMS(3), -1, 0, 5);
    node_end(t);
    t = unary("LeakyRelu", 16, "alpha", 0.5);
    IN(t, DIMS(2), -4, 4);
    GIVES(t, DIMS(2), -2, 4);
    node_end(t);
    t = unary("ThresholdedRelu", 10, NULL, 0);
    IN(t, DIMS(3), 0.5, 1, 1.5);
    GIVES(t, DIMS(3), 0, 0, 1.5);
    node_end(t);
}

/* Before version 7 a vector of slopes belongs to the channels, since then to the last axis. */
Test(activation, prelu_versions) {
    for (int opset = 6; opset <= 7; opset++) {
        node_test *t = node_begin("PRelu", opset);
        IN(t, DIMS(1, 2, 2), -1, -1, -1, -1);
        IN(t, DIMS(2), 2, 3);
        if (opset == 6)
            GIVES(t, DIMS(1, 2, 2), -2, -2, -3, -3);
        else
            GIVES(t, DIMS(1, 2, 2), -2, -3, -2, -3);
        node_end(t);
    }
    node_test *t = node_begin("PRelu", 9);
    IN(t, DIMS(1, 2, 2), -1, 1, -1, -1);
    IN(t, DIMS(2, 1), 2, 3);
    GIVES(t, DIMS(1, 2, 2), -2, 1, -3, -3);
    node_end(t);
    t = node_begin("PRelu", 9);
    IN(t, DIMS(2), -1, 1);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    node_fails(t, CNN_INVALID_MODEL, "slope's shape 2x2 cannot be broadcast to the input's 2");
}

Test(activation, clip_by_attributes) {
    node_test *t = node_begin("Clip", 6);
    node_attr_float(t, "min", 0);
    node_attr_float(t, "max", 6);
    IN(t, DIMS(3), -1, 3, 7);
    GIVES(t, DIMS(3), 0, 3, 6);
    node_end(t);
    t = node_begin("Clip", 6);
    IN(t, DIMS(2), -1e30, 1e30);
    GIVES(t, DIMS(2), -1e30, 1e30);
    node_end(t);
    t = node_begin("Clip", 11);
    node_attr_float(t, "min", 0);
    IN(t, DIMS(1), 0);
    node_fails(t, CNN_INVALID_MODEL, "attribute min is unknown");
}

Test(activation, clip_by_inputs) {
    node_test *t = node_begin("Clip", 11);
    IN(t, DIMS(3), -1, 3, 7);
    node_absent(t);
    IN(t, SCALAR, 6);
    GIVES(t, DIMS(3), -1, 3, 6);
    node_end(t);
    t = node_begin("Clip", 13); /* the upper bound wins */
    IN(t, DIMS(2), -1, 9);
    IN(t, SCALAR, 5);
    IN(t, SCALAR, 2);
    GIVES(t, DIMS(2), 2, 2);
    node_end(t);
    t = node_begin("Clip", 12);
    node_in(t, CNN_UINT8, DIMS(3), NUMBERS(1, 200, 255));
    node_absent(t);
    node_in(t, CNN_UINT8, SCALAR, NUMBERS(250));
    node_gives(t, 0, CNN_UINT8, DIMS(3), NUMBERS(1, 200, 250));
    node_end(t);
    t = node_begin("Clip", 12);
    node_in(t, CNN_INT64, DIMS(3), NUMBERS(-9, 0, 9));
    node_in(t, CNN_INT64, SCALAR, NUMBERS(-3));
    node_gives(t, 0, CNN_INT64, DIMS(3), NUMBERS(-3, 0, 9));
    node_end(t);
    t = node_begin("Clip", 11);
    IN(t, DIMS(1), 0);
    IN(t, DIMS(2), 0, 1);
    node_fails(t, CNN_INVALID_MODEL, "must be one value");
}

Test(activation, sigmoids) {
    node_test *t = unary("Sigmoid", 6, NULL, 0);
    IN(t, DIMS(4), 0, log(3), -1000, 1000);
    GIVES(t, DIMS(4), 0.5, 0.75, 0, 1);
    node_end(t);
    t = unary("HardSigmoid", 6, NULL, 0);
    IN(t, DIMS(3), -3, 1, 3);
    GIVES(t, DIMS(3), 0, 0.7, 1);
    node_end(t);
    t = unary("HardSigmoid", 22, "alpha", 1);
    node_attr_float(t, "beta", 0.25);
    IN(t, DIMS(2), 0.5, -0.25);
    GIVES(t, DIMS(2), 0.75, 0);
    node_end(t);
    t = unary("HardSwish", 14, NULL, 0);
    IN(t, DIMS(4), -4, -1.5, 3, 5);
    GIVES(t, DIMS(4), 0, -1.5 * 0.25, 3, 5);
    node_end(t);
    t = unary("Swish", 24, "alpha", 2);
    IN(t, DIMS(2), log(3) / 2, 0);
    GIVES(t, DIMS(2), 0.75 * log(3) / 2, 0);
    node_end(t);
}

Test(activation, exponential_units) {
    node_test *t = unary("Elu", 6, "alpha", 2);
    IN(t, DIMS(2), -log(2), 3);
    GIVES(t, DIMS(2), -1, 3);
    node_end(t);
    t = unary("Celu", 12, "alpha", 2);
    IN(t, DIMS(2), -2 * log(2), 3);
    GIVES(t, DIMS(2), -1, 3);
    node_end(t);
    t = unary("Celu", 12, "alpha", 0);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "alpha must not be 0");
    t = unary("Selu", 6, "alpha", 2);
    node_attr_float(t, "gamma", 3);
    IN(t, DIMS(2), -log(2), 1);
    GIVES(t, DIMS(2), -3, 3);
    node_end(t);
    t = unary("Selu", 6, NULL, 0);
    IN(t, DIMS(2), 1, -log(2));
    GIVES(t, DIMS(2), 1.0507010, -1.0507010 * 1.6732632 / 2);
    node_end(t);
}

Test(activation, soft_ones) {
    node_test *t = unary("Softplus", 1, NULL, 0);
    IN(t, DIMS(4), 0, log(3), 500, -500);
    GIVES(t, DIMS(4), log(2), log(4), 500, 0);
    node_end(t);
    t = unary("Softsign", 1, NULL, 0);
    IN(t, DIMS(2), -1, 3);
    GIVES(t, DIMS(2), -0.5, 0.75);
    node_end(t);
    t = unary("Mish", 18, NULL, 0); /* softplus(log 2) = log 3, its tanh 8/10 */
    IN(t, DIMS(1), log(2));
    GIVES(t, DIMS(1), 0.8 * log(2));
    node_end(t);
    t = unary("Shrink", 9, "lambd", 1);
    node_attr_float(t, "bias", 0.5);
    IN(t, DIMS(3), -2, 0.5, 2);
    GIVES(t, DIMS(3), -1.5, 0, 1.5);
    node_end(t);
}

/* Phi(1) = 0.8413447; the tanh form differs in the fourth digit. */
Test(activation, gelu) {
    node_test *t = unary("Gelu", 20, NULL, 0);
    IN(t, DIMS(3), 0, 1, -1);
    GIVES(t, DIMS(3), 0, 0.8413447, -0.1586553);
    node_end(t);
    t = unary("Gelu", 20, NULL, 0);
    node_attr_string(t, "approximate", "tanh");
    IN(t, DIMS(1), 1);
    GIVES(t, DIMS(1), 0.8411920);
    node_end(t);
    t = unary("Gelu", 20, NULL, 0);
    node_attr_string(t, "approximate", "fast");
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "approximate is 'fast'");
}

Test(activation, half_precision_rounds_once) {
    node_test *t = unary("LeakyRelu", 16, "alpha", 0.25);
    node_in(t, CNN_FLOAT16, DIMS(2), NUMBERS(-2, 0.5));
    node_gives(t, 0, CNN_FLOAT16, DIMS(2), NUMBERS(-0.5, 0.5));
    node_end(t);
}

Test(activation, empty) {
    node_test *t = unary("Sigmoid", 13, NULL, 0);
    node_in(t, CNN_FLOAT32, DIMS(2, 0), NOTHING);
    node_gives(t, 0, CNN_FLOAT32, DIMS(2, 0), NOTHING);
    node_end(t);
}
