#include "node.h"

#include <math.h>

/* A node of two inputs of one type. */
static node_test *pair(const char *op, int opset, cnn_dtype dtype, cnn_shape a, size_t a_count,
                       const double *as, cnn_shape b, size_t b_count, const double *bs) {
    node_test *t = node_begin(op, opset);
    node_in(t, dtype, a, a_count, as);
    node_in(t, dtype, b, b_count, bs);
    return t;
}

Test(arithmetic, broadcasts_both_ways) {
    node_test *t =
        pair("Add", 7, CNN_FLOAT32, DIMS(2, 1), NUMBERS(10, 20), DIMS(1, 3), NUMBERS(1, 2, 3));
    GIVES(t, DIMS(2, 3), 11, 12, 13, 21, 22, 23);
    node_end(t);
    t = pair("Sub", 14, CNN_FLOAT32, DIMS(2), NUMBERS(1, 2), DIMS(2, 1, 1), NUMBERS(1, 10));
    GIVES(t, DIMS(2, 1, 2), 0, 1, -9, -8);
    node_end(t);
    t = pair("Mul", 13, CNN_FLOAT32, SCALAR, NUMBERS(3), SCALAR, NUMBERS(5));
    GIVES(t, SCALAR, 15);
    node_end(t);
    t = pair("Div", 7, CNN_FLOAT32, DIMS(2), NUMBERS(1, -1), DIMS(1), NUMBERS(0));
    GIVES(t, DIMS(2), INFINITY, -INFINITY);
    node_end(t);
}

Test(arithmetic, empty_and_refused_shapes) {
    node_test *t = pair("Add", 7, CNN_FLOAT32, DIMS(0, 3), NOTHING, DIMS(1, 3), NUMBERS(1, 2, 3));
    node_gives(t, 0, CNN_FLOAT32, DIMS(0, 3), NOTHING);
    node_end(t);
    t = pair("Add", 7, CNN_FLOAT32, DIMS(2), NUMBERS(1, 2), DIMS(3), NUMBERS(1, 2, 3));
    node_fails(t, CNN_INVALID_MODEL, "shapes 2 and 3 cannot be broadcast together");
    t = node_begin("Add", 7);
    IN(t, DIMS(1), 1);
    IN_INTS(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "input 'v2' is int64, but must have the type of input 'v1'");
}

/* Before version 7: b belongs to the axes from `axis` on, or to the last ones. */
Test(arithmetic, old_broadcast) {
    node_test *t =
        pair("Add", 6, CNN_FLOAT32, DIMS(2, 2), NUMBERS(1, 2, 3, 4), DIMS(2), NUMBERS(10, 20));
    node_attr_int(t, "broadcast", 1);
    node_attr_int(t, "axis", 0);
    GIVES(t, DIMS(2, 2), 11, 12, 23, 24);
    node_end(t);
    t = pair("Mul", 6, CNN_FLOAT32, DIMS(2, 2), NUMBERS(1, 2, 3, 4), DIMS(2), NUMBERS(10, 20));
    node_attr_int(t, "broadcast", 1);
    GIVES(t, DIMS(2, 2), 10, 40, 30, 80);
    node_end(t);
    t = pair("Mul", 6, CNN_FLOAT32, DIMS(2, 2), NUMBERS(1, 2, 3, 4), DIMS(2), NUMBERS(10, 20));
    node_attr_int(t, "broadcast", 1);
    node_attr_int(t, "axis", 2);
    node_fails(t, CNN_INVALID_MODEL, "cannot be broadcast");
    t = pair("Mul", 7, CNN_FLOAT32, DIMS(1), NUMBERS(1), DIMS(1), NUMBERS(1));
    node_attr_int(t, "axis", 0);
    node_fails(t, CNN_INVALID_MODEL, "axis is unknown");
}

/* Truncation towards zero; dividing by zero and the one overflow are defined. */
Test(arithmetic, integer_division) {
    node_test *t = pair("Div", 14, CNN_INT32, DIMS(4), NUMBERS(7, -7, 5, INT32_MIN), DIMS(4),
                        NUMBERS(2, 2, 0, -1));
    node_gives(t, 0, CNN_INT32, DIMS(4), NUMBERS(3, -3, 0, INT32_MIN));
    node_end(t);
    t = pair("Div", 14, CNN_UINT8, DIMS(1), NUMBERS(250), DIMS(1), NUMBERS(7));
    node_gives(t, 0, CNN_UINT8, DIMS(1), NUMBERS(35));
    node_end(t);
}

Test(arithmetic, integers_wrap_around) {
    node_test *t = pair("Add", 14, CNN_INT8, DIMS(2), NUMBERS(127, -128), DIMS(2), NUMBERS(1, -1));
    node_gives(t, 0, CNN_INT8, DIMS(2), NUMBERS(-128, 127));
    node_end(t);
    t = pair("Mul", 7, CNN_INT64, DIMS(1), NUMBERS(3037000500.0), DIMS(1), NUMBERS(3));
    node_gives(t, 0, CNN_INT64, DIMS(1), NUMBERS(9111001500.0));
    node_end(t);
}

/* 2049 needs 12 bits: the float16 sum 2048 + 1 rounds to even, 2048. */
Test(arithmetic, half_precision) {
    node_test *t =
        pair("Add", 7, CNN_FLOAT16, DIMS(2), NUMBERS(2048, 2048), DIMS(2), NUMBERS(1, 3));
    node_gives(t, 0, CNN_FLOAT16, DIMS(2), NUMBERS(2048, 2052));
    node_end(t);
}

/* Of {{1}, {2}}, {2, 10} and 3. */
Test(arithmetic, sum_mean_min_max) {
    static const struct {
        const char *op;
        double want[4];
    } cases[] = {{"Sum", {6, 14, 7, 15}},
                 {"Mean", {2, 14.0 / 3, 7.0 / 3, 5}},
                 {"Min", {1, 1, 2, 2}},
                 {"Max", {3, 10, 3, 10}}};
    for (size_t i = 0; i < 4; i++) {
        node_test *t = node_begin(cases[i].op, 8);
        IN(t, DIMS(2, 1), 1, 2);
        IN(t, DIMS(1, 2), 2, 10);
        IN(t, DIMS(1), 3);
        node_gives(t, 0, CNN_FLOAT32, DIMS(2, 2), 4, cases[i].want);
        node_end(t);
    }
}

Test(arithmetic, variadic_of_one_and_of_integers) {
    node_test *t = node_begin("Sum", 6);
    IN(t, DIMS(2), 1, 2);
    GIVES(t, DIMS(2), 1, 2);
    node_end(t);
    t = node_begin("Max", 12);
    node_in(t, CNN_UINT64, DIMS(1), NUMBERS(0x1p63));
    node_in(t, CNN_UINT64, DIMS(1), NUMBERS(1));
    node_run(t);
    cr_assert_eq(((uint64_t *)t->out[0]->data)[0], UINT64_C(1) << 63);
    node_end(t);
    t = node_begin("Min", 13);
    IN(t, DIMS(2), NAN, 1);
    IN(t, DIMS(2), 0, NAN);
    GIVES(t, DIMS(2), NAN, NAN);
    node_end(t);
    t = node_begin("Mean", 13);
    IN_INTS(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "floating-point");
}

/* The remainder's sign: the divisor's, or with fmod the dividend's. */
Test(arithmetic, mod) {
    node_test *t = pair("Mod", 10, CNN_INT32, DIMS(5), NUMBERS(7, -7, 7, -7, 7), DIMS(5),
                        NUMBERS(3, 3, -3, -3, 0));
    node_gives(t, 0, CNN_INT32, DIMS(5), NUMBERS(1, 2, -2, -1, 0));
    node_end(t);
    t = pair("Mod", 10, CNN_INT32, DIMS(4), NUMBERS(7, -7, 7, -7), DIMS(4), NUMBERS(3, 3, -3, -3));
    node_attr_int(t, "fmod", 1);
    node_gives(t, 0, CNN_INT32, DIMS(4), NUMBERS(1, -1, 1, -1));
    node_end(t);
    t = pair("Mod", 13, CNN_FLOAT32, DIMS(2), NUMBERS(5.5, -5.5), DIMS(1), NUMBERS(2));
    node_attr_int(t, "fmod", 1);
    GIVES(t, DIMS(2), 1.5, -1.5);
    node_end(t);
    t = pair("Mod", 13, CNN_FLOAT32, DIMS(1), NUMBERS(5), DIMS(1), NUMBERS(2));
    node_fails(t, CNN_INVALID_MODEL, "fmod must be 1");
}

/* Since version 28 reals, too, may take the divisor's sign. */
Test(arithmetic, mod_of_reals) {
    node_test *t = pair("Mod", 28, CNN_FLOAT32, DIMS(4), NUMBERS(5.5, -5.5, 4, -1), DIMS(4),
                        NUMBERS(2, 2, 0, INFINITY));
    GIVES(t, DIMS(4), 1.5, 0.5, NAN, INFINITY);
    node_end(t);
}

Test(arithmetic, pow_of_mixed_types) {
    node_test *t =
        pair("Pow", 7, CNN_FLOAT32, DIMS(3), NUMBERS(2, 9, 4), DIMS(3), NUMBERS(10, 0.5, -1));
    GIVES(t, DIMS(3), 1024, 3, 0.25);
    node_end(t);
    t = node_begin("Pow", 12);
    IN(t, DIMS(2), 1.5, 2);
    IN_INTS(t, DIMS(1), 2);
    GIVES(t, DIMS(2), 2.25, 4);
    node_end(t);
    t = node_begin("Pow", 12);
    node_in(t, CNN_INT32, DIMS(3), NUMBERS(2, 3, 5));
    IN(t, DIMS(3), 0.5, 2, 3);
    node_gives(t, 0, CNN_INT32, DIMS(3), NUMBERS(1, 9, 125));
    node_end(t);
    t = pair("Pow", 12, CNN_INT64, DIMS(4), NUMBERS(-3, 7, 2, -1), DIMS(4), NUMBERS(3, 0, -1, -3));
    node_gives(t, 0, CNN_INT64, DIMS(4), NUMBERS(-27, 1, 0, -1));
    node_end(t);
}

Test(comparison, five_of_them) {
    static const struct {
        const char *op;
        double want[3];
    } cases[] = {{"Less", {1, 0, 0}},
                 {"LessOrEqual", {1, 1, 0}},
                 {"Equal", {0, 1, 0}},
                 {"GreaterOrEqual", {0, 1, 1}},
                 {"Greater", {0, 0, 1}}};
    for (size_t i = 0; i < 5; i++) {
        node_test *t =
            pair(cases[i].op, 16, CNN_FLOAT32, DIMS(3), NUMBERS(1, 2, 3), DIMS(1), NUMBERS(2));
        node_gives(t, 0, CNN_BOOL, DIMS(3), 3, cases[i].want);
        node_end(t);
        t = pair(cases[i].op, 16, CNN_INT8, DIMS(3), NUMBERS(-3, -2, 100), DIMS(1), NUMBERS(-2));
        node_gives(t, 0, CNN_BOOL, DIMS(3), 3, cases[i].want);
        node_end(t);
    }
    node_test *t = pair("Equal", 7, CNN_BOOL, DIMS(2), NUMBERS(1, 0), DIMS(1), NUMBERS(1));
    node_gives(t, 0, CNN_BOOL, DIMS(2), NUMBERS(1, 0));
    node_end(t);
    t = pair("Less", 9, CNN_BOOL, DIMS(1), NUMBERS(1), DIMS(1), NUMBERS(1));
    node_fails(t, CNN_INVALID_MODEL, "bool");
}

Test(logic, truth_tables) {
    static const struct {
        const char *op;
        double want[4];
    } cases[] = {{"And", {0, 0, 0, 1}}, {"Or", {0, 1, 1, 1}}, {"Xor", {0, 1, 1, 0}}};
    for (size_t i = 0; i < 3; i++) {
        node_test *t = pair(cases[i].op, 7, CNN_BOOL, DIMS(4), NUMBERS(0, 0, 1, 1), DIMS(4),
                            NUMBERS(0, 1, 0, 1));
        node_gives(t, 0, CNN_BOOL, DIMS(4), 4, cases[i].want);
        node_end(t);
    }
    node_test *t = node_begin("Not", 1);
    node_in(t, CNN_BOOL, DIMS(2), NUMBERS(0, 1));
    node_gives(t, 0, CNN_BOOL, DIMS(2), NUMBERS(1, 0));
    node_end(t);
}

Test(logic, bits) {
    node_test *t = pair("BitwiseAnd", 18, CNN_UINT8, DIMS(1), NUMBERS(12), DIMS(1), NUMBERS(10));
    node_gives(t, 0, CNN_UINT8, DIMS(1), NUMBERS(8));
    node_end(t);
    t = pair("BitwiseOr", 18, CNN_INT16, DIMS(1), NUMBERS(12), DIMS(1), NUMBERS(10));
    node_gives(t, 0, CNN_INT16, DIMS(1), NUMBERS(14));
    node_end(t);
    t = pair("BitwiseXor", 18, CNN_INT64, DIMS(1), NUMBERS(12), DIMS(1), NUMBERS(10));
    node_gives(t, 0, CNN_INT64, DIMS(1), NUMBERS(6));
    node_end(t);
    t = node_begin("BitwiseNot", 18);
    node_in(t, CNN_UINT8, DIMS(1), NUMBERS(1));
    node_gives(t, 0, CNN_UINT8, DIMS(1), NUMBERS(254));
    node_end(t);
    t = pair("BitShift", 11, CNN_UINT8, DIMS(3), NUMBERS(129, 1, 1), DIMS(3), NUMBERS(1, 7, 200));
    node_attr_string(t, "direction", "LEFT");
    node_gives(t, 0, CNN_UINT8, DIMS(3), NUMBERS(2, 128, 0));
    node_end(t);
    t = pair("BitShift", 11, CNN_UINT8, DIMS(1), NUMBERS(129), DIMS(1), NUMBERS(1));
    node_attr_string(t, "direction", "UP");
    node_fails(t, CNN_INVALID_MODEL, "direction is 'UP'");
    t = pair("BitShift", 28, CNN_INT8, DIMS(4), NUMBERS(-128, -128, 64, 5), DIMS(4),
             NUMBERS(3, -1, 9, 1));
    node_attr_string(t, "direction", "RIGHT");
    node_gives(t, 0, CNN_INT8, DIMS(4), NUMBERS(-16, -1, 0, 2));
    node_end(t);
}

Test(where, chooses_and_broadcasts) {
    node_test *t = node_begin("Where", 9);
    node_in(t, CNN_BOOL, DIMS(2, 1), NUMBERS(1, 0));
    IN_INTS(t, DIMS(2), 1, 2);
    IN_INTS(t, SCALAR, 9);
    node_gives(t, 0, CNN_INT64, DIMS(2, 2), NUMBERS(1, 2, 9, 9));
    node_end(t);
    t = node_begin("Where", 9);
    IN(t, DIMS(1), 1);
    IN(t, DIMS(1), 1);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "must be bool");
}

static void check_unary(const char *op, int opset, double x, double want) {
    node_test *t = node_begin(op, opset);
    IN(t, DIMS(1), x);
    GIVES(t, DIMS(1), want);
    node_end(t);
}

Test(math, of_reals) {
    check_unary("Abs", 6, -2.5, 2.5);
    check_unary("Neg", 6, -2.5, 2.5);
    check_unary("Sign", 9, -2.5, -1);
    check_unary("Floor", 6, -2.5, -3);
    check_unary("Ceil", 6, -2.5, -2);
    check_unary("Round", 11, 2.5, 2);
    check_unary("Round", 11, -3.5, -4);
    check_unary("Sqrt", 6, 2.25, 1.5);
    check_unary("Sqrt", 6, -1, NAN);
    check_unary("Exp", 6, 1, 2.7182818);
    check_unary("Log", 6, 0, -INFINITY);
    check_unary("Erf", 9, 1, 0.8427008);
    check_unary("Reciprocal", 6, 4, 0.25);
    check_unary("Sin", 7, 0.5, 0.4794255);
    check_unary("Cos", 7, 0.5, 0.8775826);
    check_unary("Tan", 7, 0.5, 0.5463025);
    check_unary("Asin", 7, 0.5, 0.5235988);
    check_unary("Acos", 7, 0.5, 1.0471976);
    check_unary("Atan", 7, 1, 0.7853982);
    check_unary("Sinh", 9, 1, 1.1752012);
    check_unary("Cosh", 9, 1, 1.5430806);
    check_unary("Tanh", 6, 0.5, 0.4621172);
    check_unary("Asinh", 9, 1, 0.8813736);
    check_unary("Acosh", 9, 2, 1.3169579);
    check_unary("Atanh", 9, 0.5, 0.5493061);
}

Test(math, of_integers) {
    node_test *t = node_begin("Abs", 13);
    node_in(t, CNN_INT8, DIMS(3), NUMBERS(-5, -128, 7));
    node_gives(t, 0, CNN_INT8, DIMS(3), NUMBERS(5, -128, 7));
    node_end(t);
    t = node_begin("Neg", 13);
    IN_INTS(t, DIMS(2), -5, 3);
    node_gives(t, 0, CNN_INT64, DIMS(2), NUMBERS(5, -3));
    node_end(t);
    t = node_begin("Sign", 9);
    node_in(t, CNN_UINT8, DIMS(2), NUMBERS(200, 0));
    node_gives(t, 0, CNN_UINT8, DIMS(2), NUMBERS(1, 0));
    node_end(t);
}

Test(math, tests_of_numbers) {
    node_test *t = node_begin("IsNaN", 9);
    IN(t, DIMS(3), NAN, 1, INFINITY);
    node_gives(t, 0, CNN_BOOL, DIMS(3), NUMBERS(1, 0, 0));
    node_end(t);
    t = node_begin("IsInf", 10);
    node_attr_int(t, "detect_negative", 0);
    IN(t, DIMS(3), INFINITY, -INFINITY, NAN);
    node_gives(t, 0, CNN_BOOL, DIMS(3), NUMBERS(1, 0, 0));
    node_end(t);
}
