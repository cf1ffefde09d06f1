#include "node.h"

/* 0.5 steps: 1.25 lies between 2 and 3 steps and goes to the even one. */
Test(quantize, per_tensor) {
    node_test *t = node_begin("QuantizeLinear", 10);
    IN(t, DIMS(4), 1.25, 1.75, -1, 1000);
    IN(t, SCALAR, 0.5);
    node_in(t, CNN_UINT8, SCALAR, NUMBERS(1));
    node_gives(t, 0, CNN_UINT8, DIMS(4), NUMBERS(3, 5, 0, 255));
    node_end(t);
    t = node_begin("QuantizeLinear", 10); /* without zero point: uint8 */
    IN(t, DIMS(1), 2);
    IN(t, SCALAR, 0.5);
    node_gives(t, 0, CNN_UINT8, DIMS(1), NUMBERS(4));
    node_end(t);
}

Test(quantize, per_axis_and_blocked) {
    node_test *t = node_begin("QuantizeLinear", 13);
    IN(t, DIMS(1, 2, 2), 1, 2, 1, 2);
    IN(t, DIMS(2), 1, 0.5);
    node_in(t, CNN_INT8, DIMS(2), NUMBERS(0, -10));
    node_gives(t, 0, CNN_INT8, DIMS(1, 2, 2), NUMBERS(1, 2, -8, -6));
    node_end(t);
    t = node_begin("QuantizeLinear", 21); /* blocks of two: the last one holds one position */
    node_attr_int(t, "axis", -1);
    node_attr_int(t, "block_size", 2);
    node_attr_int(t, "output_dtype", CNN_INT16);
    IN(t, DIMS(1, 3), 1, 2, 300);
    IN(t, DIMS(1, 2), 0.5, 0.25);
    node_gives(t, 0, CNN_INT16, DIMS(1, 3), NUMBERS(2, 4, 1200));
    node_end(t);
}

Test(quantize, errors) {
    node_test *t = node_begin("QuantizeLinear", 13);
    IN(t, DIMS(1, 2), 1, 2);
    IN(t, DIMS(3), 1, 1, 1);
    node_fails(t, CNN_INVALID_MODEL, "a scale of shape 3 fits the input's shape 1x2 neither");
    t = node_begin("QuantizeLinear", 21);
    node_attr_int(t, "output_dtype", 22);
    IN(t, DIMS(1, 2), 1, 2);
    IN(t, SCALAR, 1);
    node_fails(t, CNN_UNSUPPORTED, "output type 22 is not supported");
    t = node_begin("QuantizeLinear", 13);
    IN(t, DIMS(1, 2), 1, 2);
    IN(t, DIMS(2), 1, 1);
    node_in(t, CNN_INT8, DIMS(1), NUMBERS(0));
    node_fails(t, CNN_INVALID_MODEL, "scale and zero point differ in shape");
    t = node_begin("QuantizeLinear", 10);
    node_attr_int(t, "axis", 0);
    IN(t, DIMS(1), 1);
    IN(t, SCALAR, 1);
    node_fails(t, CNN_INVALID_MODEL, "axis is unknown");
}

Test(dequantize, forms) {
    node_test *t = node_begin("DequantizeLinear", 10);
    node_in(t, CNN_UINT8, DIMS(2), NUMBERS(0, 255));
    IN(t, SCALAR, 0.5);
    node_in(t, CNN_UINT8, SCALAR, NUMBERS(128));
    GIVES(t, DIMS(2), -64, 63.5);
    node_end(t);
    t = node_begin("DequantizeLinear", 13);
    node_attr_int(t, "axis", 0);
    node_in(t, CNN_INT32, DIMS(2, 1), NUMBERS(-4, 4));
    IN(t, DIMS(2), 0.5, 2);
    GIVES(t, DIMS(2, 1), -2, 8);
    node_end(t);
    t = node_begin("DequantizeLinear", 23);
    node_attr_int(t, "output_dtype", CNN_FLOAT64);
    node_in(t, CNN_INT8, DIMS(1), NUMBERS(-4));
    IN(t, SCALAR, 0.5);
    node_gives(t, 0, CNN_FLOAT64, DIMS(1), NUMBERS(-2));
    node_end(t);
}

/* x (2, 3) with a scale for each column: 1, 1/2, 1/4; products are rounded once, to float. */
Test(dequantize, small_integers) {
    static const cnn_dtype types[] = {CNN_UINT8, CNN_INT8, CNN_UINT16, CNN_INT16};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        node_test *t = node_begin("DequantizeLinear", 23);
        node_attr_int(t, "axis", -1);
        node_in(t, types[i], DIMS(2, 3), NUMBERS(1, 2, 3, 100, 101, 102));
        IN(t, DIMS(3), 1, 0.5, 0.25);
        node_in(t, types[i], DIMS(3), NUMBERS(0, 1, 104));
        GIVES(t, DIMS(2, 3), 1, 0.5, -25.25, 100, 50, -0.5);
        node_end(t);
    }
    node_test *t = node_begin("DequantizeLinear", 21);
    node_in(t, CNN_INT16, DIMS(1), NUMBERS(-32768));
    IN(t, SCALAR, 16777213); /* 24 bits: 32767 times that takes 39 */
    node_in(t, CNN_INT16, SCALAR, NUMBERS(-1));
    GIVES(t, DIMS(1), -549738938371.0);
    node_end(t);
}

/* -1 .. 254 in 255 steps of 1: zero is 1. */
Test(dynamic_quantize, range_of_the_data) {
    node_test *t = node_begin("DynamicQuantizeLinear", 11);
    node_outputs(t, 3);
    IN(t, DIMS(3), -1, 0, 254);
    node_gives(t, 0, CNN_UINT8, DIMS(3), NUMBERS(0, 1, 255));
    node_gives(t, 1, CNN_FLOAT32, SCALAR, NUMBERS(1));
    node_gives(t, 2, CNN_UINT8, SCALAR, NUMBERS(1));
    node_end(t);
    t = node_begin("DynamicQuantizeLinear", 11); /* nothing but zeros */
    node_outputs(t, 3);
    IN(t, DIMS(1), 0);
    node_gives(t, 0, CNN_UINT8, DIMS(1), NUMBERS(0));
    node_end(t);
}
