#include "node.h"

/* a (2, 3) times b (3, 2), both counting: 22 28 49 64. */
Test(gemm, plain) {
    node_test *t = node_begin("Gemm", 11);
    node_in_counting(t, DIMS(2, 3));
    node_in_counting(t, DIMS(3, 2));
    GIVES(t, DIMS(2, 2), 22, 28, 49, 64);
    cr_assert_eq(node_macs(t), 2 * 2 * 3);
    node_end(t);
}

/* The same product out of transposed factors; half of it, plus twice the row C. */
Test(gemm, transposed_scaled_with_row) {
    node_test *t = node_begin("Gemm", 13);
    node_attr_int(t, "transA", 1);
    node_attr_int(t, "transB", 1);
    node_attr_float(t, "alpha", 0.5);
    node_attr_float(t, "beta", 2);
    IN(t, DIMS(3, 2), 1, 4, 2, 5, 3, 6);
    IN(t, DIMS(2, 3), 1, 3, 5, 2, 4, 6);
    IN(t, DIMS(2), 100, 200);
    GIVES(t, DIMS(2, 2), 211, 414, 224.5, 432);
    node_end(t);
}

Test(gemm, column_and_scalar_c) {
    node_test *t = node_begin("Gemm", 7);
    IN(t, DIMS(2, 1), 1, 2);
    IN(t, DIMS(1, 2), 1, 10);
    IN(t, DIMS(2, 1), 100, 200);
    GIVES(t, DIMS(2, 2), 101, 110, 202, 220);
    node_end(t);
    t = node_begin("Gemm", 6);
    node_attr_int(t, "broadcast", 1);
    IN(t, DIMS(2, 1), 1, 2);
    IN(t, DIMS(1, 2), 1, 10);
    IN(t, DIMS(1), 100);
    GIVES(t, DIMS(2, 2), 101, 110, 102, 120);
    node_end(t);
}

Test(gemm, integers) {
    node_test *t = node_begin("Gemm", 9);
    node_in(t, CNN_INT32, DIMS(1, 2), NUMBERS(3, -4));
    node_in(t, CNN_INT32, DIMS(2, 1), NUMBERS(5, 6));
    node_in(t, CNN_INT32, SCALAR, NUMBERS(1));
    node_gives(t, 0, CNN_INT32, DIMS(1, 1), NUMBERS(-8));
    node_end(t);
}

/* No columns in a: the product is zero and C alone is left. */
Test(gemm, empty) {
    node_test *t = node_begin("Gemm", 13);
    node_in(t, CNN_FLOAT32, DIMS(1, 0), NOTHING);
    node_in(t, CNN_FLOAT32, DIMS(0, 2), NOTHING);
    IN(t, DIMS(2), 1, 2);
    GIVES(t, DIMS(1, 2), 1, 2);
    node_end(t);
}

Test(gemm, errors) {
    node_test *t = node_begin("Gemm", 13);
    node_attr_int(t, "transB", 1);
    node_in_counting(t, DIMS(2, 3));
    node_in_counting(t, DIMS(3, 2));
    node_fails(t, CNN_INVALID_MODEL, "matrices 2x3 and 3x2 transposed cannot be multiplied");
    t = node_begin("Gemm", 13);
    node_in_counting(t, DIMS(2, 3));
    node_in_counting(t, DIMS(3, 2));
    node_in_counting(t, DIMS(3));
    node_fails(t, CNN_INVALID_MODEL, "C of shape 3 cannot be broadcast to 2x2");
    t = node_begin("Gemm", 13);
    node_in_counting(t, DIMS(2, 3, 1));
    node_in_counting(t, DIMS(3, 2));
    node_fails(t, CNN_INVALID_MODEL, "exactly 2");
    t = node_begin("Gemm", 9);
    node_in_counting(t, DIMS(2, 3));
    node_in_counting(t, DIMS(3, 2));
    node_fails(t, CNN_INVALID_MODEL, "input 2 is missing");
}

Test(matmul, vectors_lose_their_axis) {
    node_test *t = node_begin("MatMul", 1);
    IN(t, DIMS(2), 3, 4);
    IN(t, DIMS(2), 5, 6);
    GIVES(t, SCALAR, 39);
    node_end(t);
    t = node_begin("MatMul", 9);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    IN(t, DIMS(2), 1, 10);
    GIVES(t, DIMS(2), 21, 43);
    node_end(t);
    t = node_begin("MatMul", 13);
    IN(t, DIMS(2), 1, 10);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    GIVES(t, DIMS(2), 31, 42);
    node_end(t);
}

/* a (2, 1, 1, 2) and b (2, 2, 1): the leading axes (2, 1) and (2) become (2, 2). */
Test(matmul, broadcasts_leading_axes) {
    node_test *t = node_begin("MatMul", 13);
    IN(t, DIMS(2, 1, 1, 2), 1, 2, 3, 4);
    IN(t, DIMS(2, 2, 1), 1, 1, 10, 100);
    GIVES(t, DIMS(2, 2, 1, 1), 3, 210, 7, 430);
    cr_assert_eq(node_macs(t), 4 * 2);
    node_end(t);
}

Test(matmul, integers_and_errors) {
    node_test *t = node_begin("MatMul", 9);
    IN_INTS(t, DIMS(1, 2), 3000000000.0, 1);
    IN_INTS(t, DIMS(2, 1), 2, -1);
    node_gives(t, 0, CNN_INT64, DIMS(1, 1), NUMBERS(5999999999.0));
    node_end(t);
    t = node_begin("MatMul", 13);
    node_in_counting(t, DIMS(2, 3));
    node_in_counting(t, DIMS(2, 3));
    node_fails(t, CNN_INVALID_MODEL, "shapes 2x3 and 2x3 cannot be multiplied");
    t = node_begin("MatMul", 13);
    node_in_counting(t, DIMS(2, 3));
    node_in_counting(t, SCALAR);
    node_fails(t, CNN_INVALID_MODEL, "cannot be multiplied");
}

/* (3, 4) - (1, 2 by row) times (1, 2) - (0, 1 by column). */
Test(matmul_integer, zero_points) {
    node_test *t = node_begin("MatMulInteger", 10);
    node_in(t, CNN_UINT8, DIMS(2, 1), NUMBERS(3, 4));
    node_in(t, CNN_INT8, DIMS(1, 2), NUMBERS(1, 2));
    node_in(t, CNN_UINT8, DIMS(2), NUMBERS(1, 2));
    node_in(t, CNN_INT8, DIMS(2), NUMBERS(0, 1));
    node_gives(t, 0, CNN_INT32, DIMS(2, 2), NUMBERS(2, 2, 2, 2));
    node_end(t);
}

/* (2 - 1) 0.5 * (6 - 1) 0.5 = 1.25, in steps of 0.5: 2.5 rounds to 2, plus 10. */
Test(qlinear_matmul, requantises) {
    node_test *t = node_begin("QLinearMatMul", 10);
    node_in(t, CNN_INT8, DIMS(1, 1), NUMBERS(2));
    IN(t, SCALAR, 0.5);
    node_in(t, CNN_INT8, SCALAR, NUMBERS(1));
    node_in(t, CNN_INT8, DIMS(1, 1), NUMBERS(6));
    IN(t, SCALAR, 0.5);
    node_in(t, CNN_INT8, SCALAR, NUMBERS(1));
    IN(t, SCALAR, 0.5);
    node_in(t, CNN_INT8, SCALAR, NUMBERS(10));
    node_gives(t, 0, CNN_INT8, DIMS(1, 1), NUMBERS(12));
    node_end(t);
}
