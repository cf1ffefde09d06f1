#include "node.h"

#include <math.h>

/* What infer has made constant of output 0. */
static const tensor *known(node_test *t) {
    return t->g->values[t->node->outputs[0]].constant;
}

Test(constant, all_forms) {
    node_test *t = node_begin("Constant", 1);
    node_attr_tensor(t, "value", CNN_INT8, DIMS(2), NUMBERS(1, -2));
    node_gives(t, 0, CNN_INT8, DIMS(2), NUMBERS(1, -2));
    cr_assert_not_null(known(t));
    node_end(t);
    t = node_begin("Constant", 12);
    node_attr_int(t, "value_int", 5);
    node_gives(t, 0, CNN_INT64, SCALAR, NUMBERS(5));
    node_end(t);
    t = node_begin("Constant", 12);
    ATTR_INTS(t, "value_ints", 5, 6);
    node_gives(t, 0, CNN_INT64, DIMS(2), NUMBERS(5, 6));
    node_end(t);
    t = node_begin("Constant", 13);
    node_attr_float(t, "value_float", 0.5);
    GIVES(t, SCALAR, 0.5);
    cr_assert_eq(tensor_number(known(t), 0), 0.5);
    node_end(t);
}

Test(constant, errors) {
    node_test *t = node_begin("Constant", 13);
    node_fails(t, CNN_INVALID_MODEL, "exactly one attribute gives the value, but there are 0");
    t = node_begin("Constant", 13);
    node_attr_string(t, "value_string", "x");
    node_fails(t, CNN_UNSUPPORTED, "texts (attribute value_string) are not supported");
    t = node_begin("Constant", 11);
    node_attr_int(t, "value_int", 5);
    node_fails(t, CNN_INVALID_MODEL, "value_int is unknown");
}

Test(constant_of_shape, value_and_default) {
    node_test *t = node_begin("ConstantOfShape", 9);
    CONSTANT_INTS(t, 2, 1);
    GIVES(t, DIMS(2, 1), 0, 0);
    node_end(t);
    t = node_begin("ConstantOfShape", 20);
    node_attr_tensor(t, "value", CNN_INT64, DIMS(1), NUMBERS(7));
    node_constant(t, CNN_INT64, DIMS(0), NOTHING);
    node_gives(t, 0, CNN_INT64, SCALAR, NUMBERS(7));
    node_end(t);
    t = node_begin("ConstantOfShape", 9);
    CONSTANT_INTS(t, -1);
    node_fails(t, CNN_LIMIT, "extent -1 of axis 0 of output 0 is not in 0 to");
    t = node_begin("ConstantOfShape", 9);
    IN_INTS(t, DIMS(1), 2);
    node_fails(t, CNN_UNSUPPORTED, "needs a constant shape");
    t = node_begin("ConstantOfShape", 9);
    node_attr_tensor(t, "value", CNN_INT64, DIMS(2), NUMBERS(7, 8));
    CONSTANT_INTS(t, 1);
    node_fails(t, CNN_INVALID_MODEL, "value must hold one element, but has 2");
}

Test(shape, start_and_end) {
    node_test *t = node_begin("Shape", 1);
    node_in_counting(t, DIMS(2, 3, 1));
    node_gives(t, 0, CNN_INT64, DIMS(3), NUMBERS(2, 3, 1));
    cr_assert_eq(tensor_int(known(t), 1), 3);
    node_end(t);
    t = node_begin("Shape", 15);
    node_attr_int(t, "start", -2);
    node_attr_int(t, "end", 100);
    node_in_counting(t, DIMS(2, 3, 1));
    node_gives(t, 0, CNN_INT64, DIMS(2), NUMBERS(3, 1));
    node_end(t);
    t = node_begin("Shape", 15);
    node_attr_int(t, "start", 2);
    node_attr_int(t, "end", 1);
    node_in_counting(t, DIMS(2, 3, 1));
    node_gives(t, 0, CNN_INT64, DIMS(0), NOTHING);
    node_end(t);
}

Test(size, counts_elements) {
    node_test *t = node_begin("Size", 1);
    node_in_counting(t, DIMS(2, 3, 1));
    node_gives(t, 0, CNN_INT64, SCALAR, NUMBERS(6));
    cr_assert_eq(tensor_int(known(t), 0), 6);
    node_end(t);
}

static node_test *range(cnn_dtype dtype, double start, double limit, double delta) {
    node_test *t = node_begin("Range", 11);
    node_constant(t, dtype, SCALAR, NUMBERS(start));
    node_constant(t, dtype, SCALAR, NUMBERS(limit));
    node_constant(t, dtype, SCALAR, NUMBERS(delta));
    return t;
}

Test(range, up_down_and_empty) {
    node_test *t = range(CNN_INT64, 1, 6, 2);
    node_gives(t, 0, CNN_INT64, DIMS(3), NUMBERS(1, 3, 5));
    node_end(t);
    t = range(CNN_FLOAT32, 1, 0, -0.5);
    GIVES(t, DIMS(2), 1, 0.5);
    node_end(t);
    t = range(CNN_INT32, 1, 0, 1);
    node_gives(t, 0, CNN_INT32, DIMS(0), NOTHING);
    node_end(t);
    t = range(CNN_INT32, 1, 2, 0);
    node_fails(t, CNN_INVALID_MODEL, "from 1 to 2 in steps of 0 cannot be made");
    t = range(CNN_FLOAT32, 1, INFINITY, 1);
    node_fails(t, CNN_INVALID_MODEL, "cannot be made");
}

Test(eye_like, diagonals) {
    node_test *t = node_begin("EyeLike", 9);
    node_attr_int(t, "k", 1);
    node_attr_int(t, "dtype", CNN_INT32);
    node_in_counting(t, DIMS(2, 3));
    node_gives(t, 0, CNN_INT32, DIMS(2, 3), NUMBERS(0, 1, 0, 0, 0, 1));
    node_end(t);
    t = node_begin("EyeLike", 9);
    node_attr_int(t, "k", INT64_MIN);
    node_in_counting(t, DIMS(1, 1));
    GIVES(t, DIMS(1, 1), 0);
    node_end(t);
}

/* -1 is the last; what is outside [-depth, depth) is on nowhere. */
Test(one_hot, axes) {
    node_test *t = node_begin("OneHot", 11);
    IN_INTS(t, DIMS(3), 0, -1, 9);
    node_constant(t, CNN_INT64, SCALAR, NUMBERS(2));
    IN(t, DIMS(2), 5, 6);
    GIVES(t, DIMS(3, 2), 6, 5, 5, 6, 5, 5);
    node_end(t);
    t = node_begin("OneHot", 9);
    node_attr_int(t, "axis", 0);
    IN_INTS(t, DIMS(3), 0, -1, 9);
    node_constant(t, CNN_INT64, DIMS(1), NUMBERS(2));
    IN(t, DIMS(2), 0, 1);
    GIVES(t, DIMS(2, 3), 1, 0, 0, 0, 1, 0);
    node_end(t);
}

Test(non_zero, of_a_constant) {
    node_test *t = node_begin("NonZero", 9);
    node_constant(t, CNN_FLOAT32, DIMS(2, 2), NUMBERS(0, 5, -1, 0));
    node_gives(t, 0, CNN_INT64, DIMS(2, 2), NUMBERS(0, 1, 1, 0));
    node_end(t);
    t = node_begin("NonZero", 13);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_UNSUPPORTED, "needs a constant input");
}

static void check_cast(cnn_dtype from, double x, cnn_dtype to, double want) {
    node_test *t = node_begin("Cast", 13);
    node_attr_int(t, "to", to);
    node_in(t, from, DIMS(1), NUMBERS(x));
    node_gives(t, 0, to, DIMS(1), NUMBERS(want));
    node_end(t);
}

Test(cast, between_types) {
    check_cast(CNN_FLOAT32, 2.9, CNN_INT32, 2);
    check_cast(CNN_FLOAT32, -2.9, CNN_INT8, -2);
    check_cast(CNN_FLOAT32, NAN, CNN_INT64, 0);
    check_cast(CNN_FLOAT32, -0.5, CNN_BOOL, 1);
    check_cast(CNN_FLOAT32, 0, CNN_BOOL, 0);
    check_cast(CNN_BOOL, 1, CNN_FLOAT32, 1);
    check_cast(CNN_INT32, -1, CNN_UINT8, 255);
    check_cast(CNN_INT32, 300, CNN_BOOL, 1);
    check_cast(CNN_UINT8, 255, CNN_INT8, -1);
    check_cast(CNN_UINT64, 0x1p63, CNN_FLOAT64, 0x1p63);
    check_cast(CNN_FLOAT64, 0x1p63, CNN_UINT64, 0x1p63);
    check_cast(CNN_FLOAT64, 1e300, CNN_FLOAT32, INFINITY);
    check_cast(CNN_INT64, 16777217, CNN_FLOAT32, 16777216);
}

/* float16 has 11 bits and ends at 65504, bfloat16 has 8; ties go to even. */
Test(cast, to_narrow_floats) {
    check_cast(CNN_FLOAT32, 2049, CNN_FLOAT16, 2048);
    check_cast(CNN_FLOAT32, 2051, CNN_FLOAT16, 2052);
    check_cast(CNN_FLOAT32, 65519, CNN_FLOAT16, 65504);
    check_cast(CNN_FLOAT32, 65520, CNN_FLOAT16, INFINITY);
    check_cast(CNN_FLOAT32, 0x1p-24, CNN_FLOAT16, 0x1p-24);
    check_cast(CNN_FLOAT32, 257, CNN_BFLOAT16, 256);
    check_cast(CNN_FLOAT32, 259, CNN_BFLOAT16, 260);
    check_cast(CNN_FLOAT64, 2049 + 1e-9, CNN_FLOAT16, 2050); /* over float32 it would be 2048 */
    check_cast(CNN_FLOAT64, 257 + 1e-9, CNN_BFLOAT16, 258);
    check_cast(CNN_FLOAT16, 0.5, CNN_FLOAT64, 0.5);
    check_cast(CNN_BFLOAT16, -3, CNN_INT64, -3);
}

Test(cast, errors_and_like) {
    node_test *t = node_begin("Cast", 9);
    node_attr_int(t, "to", CNN_STRING);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_UNSUPPORTED, "a cast to type string (8) is not supported");
    t = node_begin("Cast", 19);
    node_attr_int(t, "to", 17);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_UNSUPPORTED, "(17) is not supported");
    t = node_begin("Cast", 13);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "attribute to is missing");
    t = node_begin("CastLike", 15);
    IN(t, DIMS(1), 1.5);
    IN_INTS(t, DIMS(2), 1, 2);
    node_gives(t, 0, CNN_INT64, DIMS(1), NUMBERS(1));
    node_end(t);
}
