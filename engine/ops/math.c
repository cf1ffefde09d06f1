/* Element-wise functions of one tensor that are no activations: rounding, roots, trigonometry. */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

static cnn_status unary_infer_types(graph *g, graph_node *node, type_set types, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, types, err));
    return op_same_as_input(g, node, err);
}

static cnn_status real_infer(graph *g, graph_node *node, cnn_error *err) {
    return unary_infer_types(g, node, TYPES_REAL, err);
}

static cnn_status number_infer(graph *g, graph_node *node, cnn_error *err) {
    return unary_infer_types(g, node, TYPES_NUMBER, err);
}

static cnn_status integer_infer(graph *g, graph_node *node, cnn_error *err) {
    return unary_infer_types(g, node, TYPES_INTEGER, err);
}

static cnn_status bool_infer(graph *g, graph_node *node, cnn_error *err) {
    return unary_infer_types(g, node, TYPE(CNN_BOOL), err);
}

/* Real in, bool out. */
static cnn_status test_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    cnn_shape shape = op_input(g, node, 0)->shape;
    return op_set_output(g, node, 0, CNN_BOOL, &shape, err);
}

/* The eval of a function of floating-point tensors; `expression` uses x. */
#define DEFINE_MATH(name, expression)                                                              \
    static double math_##name(double x, const double *p) {                                         \
        (void)p;                                                                                   \
        return (expression);                                                                       \
    }                                                                                              \
    static void name##_eval(const graph_node *node, const tensor *const *in, tensor *const *out) { \
        (void)node;                                                                                \
        eval_real_map(in[0], out[0], math_##name, NULL);                                           \
    }

DEFINE_MATH(floor, floor(x))
DEFINE_MATH(ceil, ceil(x))
DEFINE_MATH(round, rint(x)) /* ties to even */
DEFINE_MATH(sqrt, sqrt(x))
DEFINE_MATH(exp, exp(x))
DEFINE_MATH(log, log(x))
DEFINE_MATH(erf, erf(x))
DEFINE_MATH(reciprocal, 1 / x)
DEFINE_MATH(sin, sin(x))
DEFINE_MATH(cos, cos(x))
DEFINE_MATH(tan, tan(x))
DEFINE_MATH(asin, asin(x))
DEFINE_MATH(acos, acos(x))
DEFINE_MATH(atan, atan(x))
DEFINE_MATH(sinh, sinh(x))
DEFINE_MATH(cosh, cosh(x))
DEFINE_MATH(tanh, tanh(x))
DEFINE_MATH(asinh, asinh(x))
DEFINE_MATH(acosh, acosh(x))
DEFINE_MATH(atanh, atanh(x))

/* The same for all numbers; the expressions use x, the integer one also is_signed by p[0]. */
#define DEFINE_NUMBER(name, real_expression, int_expression)                                       \
    static double real_##name(double x, const double *p) {                                         \
        (void)p;                                                                                   \
        return (real_expression);                                                                  \
    }                                                                                              \
    static int64_t int_##name(int64_t x, const int64_t *p) {                                       \
        bool is_signed = p[0];                                                                     \
        (void)is_signed;                                                                           \
        return (int64_t)(int_expression);                                                          \
    }                                                                                              \
    static void name##_eval(const graph_node *node, const tensor *const *in, tensor *const *out) { \
        (void)node;                                                                                \
        number_class class = number_class_of(in[0]->dtype);                                        \
        int64_t is_signed = class == NUMBER_SIGNED;                                                \
        if (class == NUMBER_REAL)                                                                  \
            eval_real_map(in[0], out[0], real_##name, NULL);                                       \
        else                                                                                       \
            eval_int_map(in[0], out[0], int_##name, &is_signed);                                   \
    }

DEFINE_NUMBER(abs, fabs(x), is_signed &&x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
DEFINE_NUMBER(neg, -x, 0 - (uint64_t)x)
DEFINE_NUMBER(sign, isnan(x) ? x : (x > 0) - (x < 0), is_signed ? (x > 0) - (x < 0) : x != 0)

static int64_t not_bool(int64_t x, const int64_t *p) {
    (void)p;
    return !x;
}

static void not_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    eval_int_map(in[0], out[0], not_bool, NULL);
}

static int64_t not_bits(int64_t x, const int64_t *p) {
    (void)p;
    return ~x;
}

static void bitwise_not_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    eval_int_map(in[0], out[0], not_bits, NULL);
}

static void is_nan_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    for (size_t i = 0; i < out[0]->elements; i++)
        int_put(CNN_BOOL, out[0]->data, i, isnan(tensor_number(in[0], i)));
}

static void is_inf_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    bool negative = graph_attr_int(node, "detect_negative", 1) != 0;
    bool positive = graph_attr_int(node, "detect_positive", 1) != 0;
    for (size_t i = 0; i < out[0]->elements; i++) {
        double x = tensor_number(in[0], i);
        int_put(CNN_BOOL, out[0]->data, i, isinf(x) && (x > 0 ? positive : negative));
    }
}

#define UNARY(name, first, shapes, function)                                                       \
    { OP(name, first, 0, 1, 1, 1, 1), .infer = shapes, .eval = function }

const op_def ops_math[] = {
    UNARY("Abs", 6, number_infer, abs_eval),
    UNARY("Neg", 6, number_infer, neg_eval),
    UNARY("Sign", 9, number_infer, sign_eval),
    UNARY("Floor", 6, real_infer, floor_eval),
    UNARY("Ceil", 6, real_infer, ceil_eval),
    UNARY("Round", 11, real_infer, round_eval),
    UNARY("Sqrt", 6, real_infer, sqrt_eval),
    UNARY("Exp", 6, real_infer, exp_eval),
    UNARY("Log", 6, real_infer, log_eval),
    UNARY("Erf", 9, real_infer, erf_eval),
    UNARY("Reciprocal", 6, real_infer, reciprocal_eval),
    UNARY("Sin", 7, real_infer, sin_eval),
    UNARY("Cos", 7, real_infer, cos_eval),
    UNARY("Tan", 7, real_infer, tan_eval),
    UNARY("Asin", 7, real_infer, asin_eval),
    UNARY("Acos", 7, real_infer, acos_eval),
    UNARY("Atan", 7, real_infer, atan_eval),
    UNARY("Sinh", 9, real_infer, sinh_eval),
    UNARY("Cosh", 9, real_infer, cosh_eval),
    UNARY("Tanh", 6, real_infer, tanh_eval),
    UNARY("Asinh", 9, real_infer, asinh_eval),
    UNARY("Acosh", 9, real_infer, acosh_eval),
    UNARY("Atanh", 9, real_infer, atanh_eval),
    UNARY("Not", 1, bool_infer, not_eval),
    UNARY("BitwiseNot", 18, integer_infer, bitwise_not_eval),
    UNARY("IsNaN", 9, test_infer, is_nan_eval),
    {
        OP("IsInf", 10, 0, 1, 1, 1, 1),
        .attrs = "detect_negative:int detect_positive:int",
        .infer = test_infer,
        .eval = is_inf_eval,
    },
    {.name = NULL},
};
