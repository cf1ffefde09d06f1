/*
 * Element-wise operators of two or more tensors with multidirectional broadcasting: arithmetic,
 * Min, Max, Sum, Mean, comparisons, logic and Where.
 *
 * One operator is a function on doubles and one on 64-bit integers; blocks of elements are loaded
 * as such, combined and rounded back. Before version 7 the second tensor was broadcast by the
 * attributes broadcast and axis instead of NumPy's rule.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

typedef double real_pair_fn(double a, double b);
/* `is_unsigned`: the operands are uint64 in disguise. */
typedef int64_t int_pair_fn(int64_t a, int64_t b, bool is_unsigned);

/* ---- shapes ---- */

static cnn_status fail_broadcast(const graph_node *node, const cnn_shape *a, const cnn_shape *b,
                                 cnn_error *err) {
    char left[128], right[128];
    return op_fail(node, err, CNN_INVALID_MODEL, "shapes %s and %s cannot be broadcast together",
                   cnn_shape_text(a, left, sizeof left), cnn_shape_text(b, right, sizeof right));
}

/* Shape of the second operand as NumPy's rule takes it; false if `axis` does not fit. */
static bool second_shape(const graph_node *node, const cnn_shape *a, const cnn_shape *b,
                         cnn_shape *out) {
    *out = *b;
    const attr *axis = graph_attr(node, "axis");
    if (node->op->since >= 7 || !axis || graph_attr_int(node, "broadcast", 0) == 0) return true;
    int first;
    if (!op_axis(axis->ints[0], a->rank, &first) || first + b->rank > a->rank) return false;
    for (out->rank = b->rank; out->rank < a->rank - first; out->rank++)
        out->dims[out->rank] = 1;
    return true;
}

static cnn_status pair_shape(const graph *g, const graph_node *node, cnn_shape *out,
                             cnn_error *err) {
    const cnn_shape *a = &op_input(g, node, 0)->shape, *b = &op_input(g, node, 1)->shape;
    cnn_shape second;
    if (second_shape(node, a, b, &second) && op_broadcast(a, &second, out)) return CNN_OK;
    return fail_broadcast(node, a, b, err);
}

/* Two operands of one type; the result is of that type, or bool. */
static cnn_status pair_infer(graph *g, graph_node *node, type_set types, bool compares,
                             cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, types, err));
    cnn_shape shape;
    TRY(pair_shape(g, node, &shape, err));
    return op_set_output(g, node, 0, compares ? CNN_BOOL : op_input(g, node, 0)->dtype, &shape,
                         err);
}

static cnn_status arithmetic_infer(graph *g, graph_node *node, cnn_error *err) {
    return pair_infer(g, node, TYPES_NUMBER, false, err);
}

static cnn_status compare_infer(graph *g, graph_node *node, cnn_error *err) {
    return pair_infer(g, node, TYPES_NUMBER, true, err);
}

static cnn_status equal_infer(graph *g, graph_node *node, cnn_error *err) {
    return pair_infer(g, node, TYPES_ANY, true, err);
}

static cnn_status logic_infer(graph *g, graph_node *node, cnn_error *err) {
    return pair_infer(g, node, TYPE(CNN_BOOL), true, err);
}

static cnn_status bits_infer(graph *g, graph_node *node, cnn_error *err) {
    return pair_infer(g, node, TYPES_INTEGER, false, err);
}

static cnn_status variadic_infer_types(graph *g, graph_node *node, type_set types, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, types, err));
    cnn_shape shape = op_input(g, node, 0)->shape;
    for (size_t i = 1; i < node->input_count; i++) {
        const graph_value *value = op_input(g, node, i);
        if (!value) return op_fail(node, err, CNN_INVALID_MODEL, "input %zu is missing", i);
        if (!op_broadcast(&shape, &value->shape, &shape))
            return fail_broadcast(node, &shape, &value->shape, err);
    }
    return op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &shape, err);
}

static cnn_status variadic_infer(graph *g, graph_node *node, cnn_error *err) {
    return variadic_infer_types(g, node, TYPES_NUMBER, err);
}

static cnn_status mean_infer(graph *g, graph_node *node, cnn_error *err) {
    return variadic_infer_types(g, node, TYPES_REAL, err);
}

/* ---- loops ---- */

static void load_view_reals(const view *v, const tensor *t, size_t start, size_t n, double *x) {
    size_t offsets[EVAL_BLOCK];
    view_offsets(v, start, n, offsets);
    if (number_class_of(t->dtype) == NUMBER_REAL) {
        load_reals(t, offsets, n, x);
        return;
    }
    for (size_t i = 0; i < n; i++)
        x[i] = tensor_number(t, offsets[i]);
}

static void load_view_ints(const view *v, const tensor *t, size_t start, size_t n, int64_t *x) {
    size_t offsets[EVAL_BLOCK];
    view_offsets(v, start, n, offsets);
    load_ints(t, offsets, n, x);
}

/* The two operands stretched to the output. */
typedef struct pair {
    const tensor *a, *b;
    view of_a, of_b;
} pair;

static pair pair_of(const graph_node *node, const tensor *const *in, const tensor *out) {
    cnn_shape second;
    second_shape(node, &in[0]->shape, &in[1]->shape, &second);
    return (pair){in[0], in[1], view_broadcast(&in[0]->shape, &out->shape),
                  view_broadcast(&second, &out->shape)};
}

static void eval_real_pair(const pair *p, tensor *out, real_pair_fn *f) {
    double a[EVAL_BLOCK], b[EVAL_BLOCK];
    for (size_t start = 0; start < out->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out->elements - start, (size_t)EVAL_BLOCK);
        load_view_reals(&p->of_a, p->a, start, n, a);
        load_view_reals(&p->of_b, p->b, start, n, b);
        for (size_t i = 0; i < n; i++)
            a[i] = f(a[i], b[i]);
        store_reals(out, start, n, a);
    }
}

static void eval_int_pair(const pair *p, tensor *out, int_pair_fn *f) {
    int64_t a[EVAL_BLOCK], b[EVAL_BLOCK];
    bool is_unsigned = number_class_of(p->a->dtype) == NUMBER_UNSIGNED;
    for (size_t start = 0; start < out->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out->elements - start, (size_t)EVAL_BLOCK);
        load_view_ints(&p->of_a, p->a, start, n, a);
        load_view_ints(&p->of_b, p->b, start, n, b);
        for (size_t i = 0; i < n; i++)
            a[i] = f(a[i], b[i], is_unsigned);
        store_ints(out, start, n, a);
    }
}

static void eval_pair(const graph_node *node, const tensor *const *in, tensor *out,
                      real_pair_fn *real, int_pair_fn *integer) {
    pair p = pair_of(node, in, out);
    if (number_class_of(in[0]->dtype) == NUMBER_REAL)
        eval_real_pair(&p, out, real);
    else
        eval_int_pair(&p, out, integer);
}

/* A predicate on two numbers of one type; the result is bool. */
static void eval_compare(const graph_node *node, const tensor *const *in, tensor *out,
                         real_pair_fn *real, int_pair_fn *integer) {
    pair p = pair_of(node, in, out);
    if (number_class_of(in[0]->dtype) != NUMBER_REAL) {
        eval_int_pair(&p, out, integer);
        return;
    }
    double a[EVAL_BLOCK], b[EVAL_BLOCK];
    for (size_t start = 0; start < out->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out->elements - start, (size_t)EVAL_BLOCK);
        load_view_reals(&p.of_a, p.a, start, n, a);
        load_view_reals(&p.of_b, p.b, start, n, b);
        for (size_t i = 0; i < n; i++)
            int_put(CNN_BOOL, out->data, start + i, real(a[i], b[i]) != 0);
    }
}

/* Folds any number of inputs with `f`, then divides by `divisor` (1 for integers). */
static void eval_real_fold(const graph_node *node, const tensor *const *in, tensor *out,
                           real_pair_fn *f, double divisor) {
    double sum[EVAL_BLOCK], x[EVAL_BLOCK];
    for (size_t start = 0; start < out->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out->elements - start, (size_t)EVAL_BLOCK);
        view v = view_broadcast(&in[0]->shape, &out->shape);
        load_view_reals(&v, in[0], start, n, sum);
        for (size_t k = 1; k < node->input_count; k++) {
            v = view_broadcast(&in[k]->shape, &out->shape);
            load_view_reals(&v, in[k], start, n, x);
            for (size_t i = 0; i < n; i++)
                sum[i] = f(sum[i], x[i]);
        }
        for (size_t i = 0; i < n; i++)
            sum[i] /= divisor;
        store_reals(out, start, n, sum);
    }
}

static void eval_int_fold(const graph_node *node, const tensor *const *in, tensor *out,
                          int_pair_fn *f) {
    int64_t sum[EVAL_BLOCK], x[EVAL_BLOCK];
    bool is_unsigned = number_class_of(out->dtype) == NUMBER_UNSIGNED;
    for (size_t start = 0; start < out->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out->elements - start, (size_t)EVAL_BLOCK);
        view v = view_broadcast(&in[0]->shape, &out->shape);
        load_view_ints(&v, in[0], start, n, sum);
        for (size_t k = 1; k < node->input_count; k++) {
            v = view_broadcast(&in[k]->shape, &out->shape);
            load_view_ints(&v, in[k], start, n, x);
            for (size_t i = 0; i < n; i++)
                sum[i] = f(sum[i], x[i], is_unsigned);
        }
        store_ints(out, start, n, sum);
    }
}

static void eval_fold(const graph_node *node, const tensor *const *in, tensor *out,
                      real_pair_fn *real, int_pair_fn *integer, double divisor) {
    if (number_class_of(out->dtype) == NUMBER_REAL)
        eval_real_fold(node, in, out, real, divisor);
    else
        eval_int_fold(node, in, out, integer);
}

/* ---- arithmetic ---- */

/* The eval of an operator made of a function on doubles and one on integers. */
#define DEFINE_EVAL(name, loop)                                                                    \
    static void name##_eval(const graph_node *node, const tensor *const *in, tensor *const *out) { \
        loop(node, in, out[0], name##_real, name##_int);                                           \
    }
#define DEFINE_REAL(name, expression)                                                              \
    static double name##_real(double a, double b) {                                                \
        return (expression);                                                                       \
    }
/* `expression` may use a, b, and ua, ub, the same bits as unsigned. */
#define DEFINE_INT(name, expression)                                                               \
    static int64_t name##_int(int64_t a, int64_t b, bool is_unsigned) {                            \
        uint64_t ua = (uint64_t)a, ub = (uint64_t)b;                                               \
        (void)is_unsigned, (void)ua, (void)ub;                                                     \
        return (int64_t)(expression);                                                              \
    }

DEFINE_REAL(add, a + b)
DEFINE_INT(add, ua + ub)
DEFINE_EVAL(add, eval_pair)

DEFINE_REAL(sub, a - b)
DEFINE_INT(sub, ua - ub)
DEFINE_EVAL(sub, eval_pair)

DEFINE_REAL(mul, a *b)
DEFINE_INT(mul, ua *ub)
DEFINE_EVAL(mul, eval_pair)

/* Integer division truncates; by zero it gives 0, and INT64_MIN / -1 wraps around. */
DEFINE_REAL(div, a / b)
static int64_t div_int(int64_t a, int64_t b, bool is_unsigned) {
    if (b == 0) return 0;
    if (is_unsigned) return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
DEFINE_EVAL(div, eval_pair)

/* NaN wins, as in NumPy. */
DEFINE_REAL(max, isnan(a) || a > b ? a : b)
DEFINE_REAL(min, isnan(a) || a < b ? a : b)
DEFINE_INT(max, is_unsigned ? (int64_t)MAX(ua, ub) : MAX(a, b))
DEFINE_INT(min, is_unsigned ? (int64_t)MIN(ua, ub) : MIN(a, b))

static void max_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_fold(node, in, out[0], max_real, max_int, 1);
}

static void min_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_fold(node, in, out[0], min_real, min_int, 1);
}

static void sum_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_fold(node, in, out[0], add_real, add_int, 1);
}

static void mean_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_fold(node, in, out[0], add_real, add_int, (double)node->input_count);
}

/* ---- Mod ---- */

static cnn_status mod_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(arithmetic_infer(g, node, err));
    if (node->op->since < 28 && number_class_of(op_input(g, node, 0)->dtype) == NUMBER_REAL &&
        graph_attr_int(node, "fmod", 0) == 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute fmod must be 1 for floating-point inputs");
    return CNN_OK;
}

/* The sign is the divisor's, as in Python; modulo zero gives 0. */
static int64_t mod_int(int64_t a, int64_t b, bool is_unsigned) {
    if (b == 0 || b == -1) return is_unsigned && b != 0 ? (int64_t)((uint64_t)a % UINT64_MAX) : 0;
    if (is_unsigned) return (int64_t)((uint64_t)a % (uint64_t)b);
    int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* The sign is the dividend's, as in C. */
static int64_t fmod_int(int64_t a, int64_t b, bool is_unsigned) {
    if (b == 0 || b == -1 || is_unsigned) return mod_int(a, b, is_unsigned);
    return a % b;
}

/* Reals: the same two, the former since version 28. */
static double mod_real(double a, double b) {
    double rest = fmod(a, b);
    if (rest == 0) return copysign(0, b);
    return isnan(rest) || (rest < 0) == (b < 0) ? rest : rest + b;
}

static void mod_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    bool truncate = graph_attr_int(node, "fmod", 0) != 0;
    eval_pair(node, in, out[0], truncate ? fmod : mod_real, truncate ? fmod_int : mod_int);
}

/* ---- Pow ---- */

/* The exponent may have another type; the result has that of the base. */
static cnn_status pow_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    TRY(op_expect_type(g, node, 1, TYPES_NUMBER, err));
    cnn_shape shape;
    TRY(pair_shape(g, node, &shape, err));
    return op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &shape, err);
}

/* Exact modulo 2^64; a negative exponent truncates 1 / a^-b, 0 to a negative power being 0. */
static int64_t pow_int(int64_t a, int64_t b, bool is_unsigned) {
    if (b < 0 && !is_unsigned) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    uint64_t result = 1, base = (uint64_t)a;
    for (uint64_t exponent = (uint64_t)b; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
    }
    return (int64_t)result;
}

/* An integer base with a real exponent: computed in double, truncated. */
static void eval_pow_mixed(const pair *p, tensor *out) {
    double a[EVAL_BLOCK], b[EVAL_BLOCK];
    for (size_t start = 0; start < out->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out->elements - start, (size_t)EVAL_BLOCK);
        load_view_reals(&p->of_a, p->a, start, n, a);
        load_view_reals(&p->of_b, p->b, start, n, b);
        for (size_t i = 0; i < n; i++)
            number_put(out, start + i, pow(a[i], b[i]));
    }
}

static void pow_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pair p = pair_of(node, in, out[0]);
    if (number_class_of(in[0]->dtype) == NUMBER_REAL)
        eval_real_pair(&p, out[0], pow);
    else if (number_class_of(in[1]->dtype) == NUMBER_REAL)
        eval_pow_mixed(&p, out[0]);
    else
        eval_int_pair(&p, out[0], pow_int);
}

/* ---- comparisons, logic, bits ---- */

DEFINE_REAL(equal, a == b)
DEFINE_INT(equal, a == b)
DEFINE_EVAL(equal, eval_compare)

DEFINE_REAL(greater, a > b)
DEFINE_INT(greater, is_unsigned ? ua > ub : a > b)
DEFINE_EVAL(greater, eval_compare)

DEFINE_REAL(less, a < b)
DEFINE_INT(less, is_unsigned ? ua < ub : a < b)
DEFINE_EVAL(less, eval_compare)

DEFINE_REAL(greater_or_equal, a >= b)
DEFINE_INT(greater_or_equal, is_unsigned ? ua >= ub : a >= b)
DEFINE_EVAL(greater_or_equal, eval_compare)

DEFINE_REAL(less_or_equal, a <= b)
DEFINE_INT(less_or_equal, is_unsigned ? ua <= ub : a <= b)
DEFINE_EVAL(less_or_equal, eval_compare)

#define DEFINE_INT_EVAL(name)                                                                      \
    static void name##_eval(const graph_node *node, const tensor *const *in, tensor *const *out) { \
        pair p = pair_of(node, in, out[0]);                                                        \
        eval_int_pair(&p, out[0], name##_int);                                                     \
    }

DEFINE_INT(and, ua &ub)
DEFINE_INT_EVAL(and)
DEFINE_INT(or, ua | ub)
DEFINE_INT_EVAL(or)
DEFINE_INT(xor, ua ^ ub)
DEFINE_INT_EVAL(xor)

static cnn_status shift_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(pair_infer(g, node, node->op->since < 28 ? TYPES_UNSIGNED : TYPES_INTEGER, false, err));
    const char *direction = graph_attr_string(node, "direction", "");
    if (strcmp(direction, "LEFT") == 0 || strcmp(direction, "RIGHT") == 0) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "attribute direction is '%.40s', which is neither LEFT nor RIGHT", direction);
}

/* Signed numbers (version 28) shift right arithmetically. What is shifted out entirely, also by a
 * negative number, leaves 0 or the sign. */
DEFINE_INT(shift_left, ub > 63 ? 0 : ua << ub)
DEFINE_INT(shift_right, is_unsigned ? (ub > 63 ? 0 : ua >> ub) : (uint64_t)(a >> MIN(ub, 63)))

static void shift_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pair p = pair_of(node, in, out[0]);
    bool left = strcmp(graph_attr_string(node, "direction", ""), "LEFT") == 0;
    eval_int_pair(&p, out[0], left ? shift_left_int : shift_right_int);
}

/* ---- Where ---- */

/* out = condition ? x : y */
static cnn_status where_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPE(CNN_BOOL), err));
    TRY(op_expect_same_types(g, node, 1, TYPES_ANY, err));
    const cnn_shape *x = &op_input(g, node, 1)->shape, *y = &op_input(g, node, 2)->shape;
    cnn_shape shape;
    if (!op_broadcast(x, y, &shape)) return fail_broadcast(node, x, y, err);
    if (!op_broadcast(&op_input(g, node, 0)->shape, &shape, &shape))
        return fail_broadcast(node, &op_input(g, node, 0)->shape, &shape, err);
    return op_set_output(g, node, 0, op_input(g, node, 1)->dtype, &shape, err);
}

static void where_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    view views[3];
    size_t offsets[3][EVAL_BLOCK];
    for (int k = 0; k < 3; k++)
        views[k] = view_broadcast(&in[k]->shape, &out[0]->shape);
    for (size_t start = 0; start < out[0]->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out[0]->elements - start, (size_t)EVAL_BLOCK);
        for (int k = 0; k < 3; k++)
            view_offsets(&views[k], start, n, offsets[k]);
        for (size_t i = 0; i < n; i++) {
            int chosen = int_at(CNN_BOOL, in[0]->data, offsets[0][i]) ? 1 : 2;
            copy_elements(out[0], start + i, in[chosen], &offsets[chosen][i], 1);
        }
    }
}

#define LEGACY "axis:int broadcast:int"
/* An operator whose versions before 7 have the attributes of the old broadcasting. */
#define PAIR(name, oldest, shapes, function)                                                       \
    {OP(name, oldest, 6, 2, 2, 1, 1), .attrs = LEGACY, .infer = shapes, .eval = function}, {       \
        OP(name, 7, 0, 2, 2, 1, 1), .infer = shapes, .eval = function                              \
    }
#define SINCE(name, first, shapes, function)                                                       \
    { OP(name, first, 0, 2, 2, 1, 1), .infer = shapes, .eval = function }
#define VARIADIC(name, shapes, function)                                                           \
    { OP(name, 6, 0, 1, OP_VARIADIC, 1, 1), .infer = shapes, .eval = function }

const op_def ops_elementwise[] = {
    PAIR("Add", 6, arithmetic_infer, add_eval),
    PAIR("Sub", 6, arithmetic_infer, sub_eval),
    PAIR("Mul", 6, arithmetic_infer, mul_eval),
    PAIR("Div", 6, arithmetic_infer, div_eval),
    VARIADIC("Sum", variadic_infer, sum_eval),
    VARIADIC("Mean", mean_infer, mean_eval),
    VARIADIC("Max", variadic_infer, max_eval),
    VARIADIC("Min", variadic_infer, min_eval),
    PAIR("Pow", 1, pow_infer, pow_eval),
    {OP("Mod", 10, 27, 2, 2, 1, 1), .attrs = "fmod:int", .infer = mod_infer, .eval = mod_eval},
    {OP("Mod", 28, 0, 2, 2, 1, 1), .attrs = "fmod:int", .infer = mod_infer, .eval = mod_eval},
    PAIR("Equal", 1, equal_infer, equal_eval),
    PAIR("Greater", 1, compare_infer, greater_eval),
    PAIR("Less", 1, compare_infer, less_eval),
    SINCE("GreaterOrEqual", 12, compare_infer, greater_or_equal_eval),
    SINCE("LessOrEqual", 12, compare_infer, less_or_equal_eval),
    PAIR("And", 1, logic_infer, and_eval),
    PAIR("Or", 1, logic_infer, or_eval),
    PAIR("Xor", 1, logic_infer, xor_eval),
    SINCE("BitwiseAnd", 18, bits_infer, and_eval),
    SINCE("BitwiseOr", 18, bits_infer, or_eval),
    SINCE("BitwiseXor", 18, bits_infer, xor_eval),
    {
        OP("BitShift", 11, 27, 2, 2, 1, 1),
        .attrs = "direction:string!",
        .infer = shift_infer,
        .eval = shift_eval,
    },
    {
        OP("BitShift", 28, 0, 2, 2, 1, 1),
        .attrs = "direction:string!",
        .infer = shift_infer,
        .eval = shift_eval,
    },
    {OP("Where", 9, 0, 3, 3, 1, 1), .infer = where_infer, .eval = where_eval},
    {.name = NULL},
};
