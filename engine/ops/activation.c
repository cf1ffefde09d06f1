/*
 * Activations: element-wise functions of one tensor, some with parameters, as ONNX' formulas give
 * them (rewritten only where the formula as it stands would overflow).
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

static cnn_status activation_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    return op_same_as_input(g, node, err);
}

/* ---- Relu, LeakyRelu, ThresholdedRelu, PRelu ---- */

static cnn_status relu_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL | TYPES_SIGNED, err));
    return op_same_as_input(g, node, err);
}

static double relu(double x, const double *p) {
    (void)p;
    return x < 0 ? 0 : x;
}

static int64_t relu_int(int64_t x, const int64_t *p) {
    (void)p;
    return MAX(x, 0);
}

static void relu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    if (number_class_of(in[0]->dtype) == NUMBER_REAL)
        eval_real_map(in[0], out[0], relu, NULL);
    else
        eval_int_map(in[0], out[0], relu_int, NULL);
}

static double leaky_relu(double x, const double *p) {
    return x < 0 ? p[0] * x : x;
}

static void leaky_relu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "alpha", 0.01f)};
    eval_real_map(in[0], out[0], leaky_relu, p);
}

static double thresholded_relu(double x, const double *p) {
    return x > p[0] ? x : 0;
}

static void thresholded_relu_eval(const graph_node *node, const tensor *const *in,
                                  tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "alpha", 1)};
    eval_real_map(in[0], out[0], thresholded_relu, p);
}

/*
 * The slope's shape as broadcasting takes it: before version 7 a vector of more than one slope
 * belonged to the channels.
 */
static cnn_shape slope_shape(const graph_node *node, const cnn_shape *x, const cnn_shape *slope) {
    cnn_shape shape = *slope;
    if (node->op->since >= 7 || slope->rank != 1 || slope->dims[0] == 1) return shape;
    for (shape.rank = 1; shape.rank < x->rank - 1; shape.rank++)
        shape.dims[shape.rank] = 1;
    return shape;
}

static cnn_status prelu_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_REAL, err));
    const graph_value *x = op_input(g, node, 0), *slope = op_input(g, node, 1);
    cnn_shape stretched = slope_shape(node, &x->shape, &slope->shape), out;
    if (!op_broadcast(&x->shape, &stretched, &out) || !cnn_shape_equal(&x->shape, &out)) {
        char a[128], b[128];
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the slope's shape %s cannot be broadcast to the input's %s",
                       cnn_shape_text(&slope->shape, a, sizeof a),
                       cnn_shape_text(&x->shape, b, sizeof b));
    }
    return op_same_as_input(g, node, err);
}

static void prelu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    size_t offsets[EVAL_BLOCK];
    double x[EVAL_BLOCK], slope[EVAL_BLOCK];
    cnn_shape stretched = slope_shape(node, &in[0]->shape, &in[1]->shape);
    view of_x = view_of(&in[0]->shape), of_slope = view_broadcast(&stretched, &in[0]->shape);
    for (size_t start = 0; start < out[0]->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out[0]->elements - start, (size_t)EVAL_BLOCK);
        view_offsets(&of_x, start, n, offsets);
        load_reals(in[0], offsets, n, x);
        view_offsets(&of_slope, start, n, offsets);
        load_reals(in[1], offsets, n, slope);
        for (size_t i = 0; i < n; i++)
            x[i] = x[i] < 0 ? x[i] * slope[i] : x[i];
        store_reals(out[0], start, n, x);
    }
}

/* ---- Clip ---- */

/* Before version 11 the bounds are attributes, since then scalar inputs. */
static cnn_status clip_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, node->op->since < 11 ? TYPES_REAL : TYPES_NUMBER, err));
    TRY(op_expect_scalar(g, node, 1, err));
    TRY(op_expect_scalar(g, node, 2, err));
    return op_same_as_input(g, node, err);
}

/* min(max(x, low), high), so that the upper bound wins where they cross; NaN stays. */
static double clip(double x, const double *p) {
    x = x < p[0] ? p[0] : x;
    return x > p[1] ? p[1] : x;
}

static int64_t clip_signed(int64_t x, const int64_t *p) {
    return MIN(MAX(x, p[0]), p[1]);
}

static int64_t clip_unsigned(int64_t x, const int64_t *p) {
    return (int64_t)MIN(MAX((uint64_t)x, (uint64_t)p[0]), (uint64_t)p[1]);
}

static void clip_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *low = eval_in(node, in, 1), *high = eval_in(node, in, 2);
    number_class class = number_class_of(in[0]->dtype);
    if (class == NUMBER_REAL) {
        double p[] = {(double)graph_attr_float(node, "min", -INFINITY),
                      (double)graph_attr_float(node, "max", INFINITY)};
        if (low) p[0] = tensor_number(low, 0);
        if (high) p[1] = tensor_number(high, 0);
        eval_real_map(in[0], out[0], clip, p);
        return;
    }
    int64_t p[] = {class == NUMBER_SIGNED ? INT64_MIN : 0, class == NUMBER_SIGNED ? INT64_MAX : -1};
    if (low) p[0] = int_at(low->dtype, low->data, 0);
    if (high) p[1] = int_at(high->dtype, high->data, 0);
    eval_int_map(in[0], out[0], class == NUMBER_SIGNED ? clip_signed : clip_unsigned, p);
}

/* ---- smooth ones and their piecewise linear cousins ---- */

static double sigmoid(double x, const double *p) {
    (void)p;
    return 1 / (1 + exp(-x));
}

static void sigmoid_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    eval_real_map(in[0], out[0], sigmoid, NULL);
}

static double hard_sigmoid(double x, const double *p) {
    x = p[0] * x + p[1];
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static void hard_sigmoid_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "alpha", 0.2f),
                  (double)graph_attr_float(node, "beta", 0.5f)};
    eval_real_map(in[0], out[0], hard_sigmoid, p);
}

static double hard_swish(double x, const double *p) {
    (void)p;
    const double sixth[] = {1.0 / 6, 0.5};
    return x * hard_sigmoid(x, sixth);
}

static void hard_swish_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    eval_real_map(in[0], out[0], hard_swish, NULL);
}

static double swish(double x, const double *p) {
    return x / (1 + exp(-p[0] * x));
}

static void swish_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "alpha", 1)};
    eval_real_map(in[0], out[0], swish, p);
}

static double elu(double x, const double *p) {
    return x < 0 ? p[0] * expm1(x) : x;
}

static void elu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "alpha", 1)};
    eval_real_map(in[0], out[0], elu, p);
}

static double celu(double x, const double *p) {
    return x < 0 ? p[0] * expm1(x / p[0]) : x;
}

static cnn_status celu_infer(graph *g, graph_node *node, cnn_error *err) {
    if (graph_attr_float(node, "alpha", 1) == 0)
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute alpha must not be 0");
    return activation_infer(g, node, err);
}

static void celu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "alpha", 1)};
    eval_real_map(in[0], out[0], celu, p);
}

static double selu(double x, const double *p) {
    return p[1] * (x > 0 ? x : p[0] * expm1(x));
}

static void selu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "alpha", 1.67326319217681884765625f),
                  (double)graph_attr_float(node, "gamma", 1.05070102214813232421875f)};
    eval_real_map(in[0], out[0], selu, p);
}

/* log(exp(x) + 1) */
static double softplus(double x, const double *p) {
    (void)p;
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static void softplus_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    eval_real_map(in[0], out[0], softplus, NULL);
}

static double softsign(double x, const double *p) {
    (void)p;
    return x / (1 + fabs(x));
}

static void softsign_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    eval_real_map(in[0], out[0], softsign, NULL);
}

static double mish(double x, const double *p) {
    return x * tanh(softplus(x, p));
}

static void mish_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    eval_real_map(in[0], out[0], mish, NULL);
}

static double gelu(double x, const double *p) {
    (void)p;
    return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

static double gelu_tanh(double x, const double *p) {
    (void)p;
    return 0.5 * x * (1 + tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x)));
}

static cnn_status gelu_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(activation_infer(g, node, err));
    const char *form = graph_attr_string(node, "approximate", "none");
    if (strcmp(form, "none") == 0 || strcmp(form, "tanh") == 0) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "attribute approximate is '%.40s', which is neither none nor tanh", form);
}

static void gelu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    bool approximate = strcmp(graph_attr_string(node, "approximate", "none"), "tanh") == 0;
    eval_real_map(in[0], out[0], approximate ? gelu_tanh : gelu, NULL);
}

static double shrink(double x, const double *p) {
    return x < -p[0] ? x + p[1] : x > p[0] ? x - p[1] : 0;
}

static void shrink_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p[] = {(double)graph_attr_float(node, "lambd", 0.5f),
                  (double)graph_attr_float(node, "bias", 0)};
    eval_real_map(in[0], out[0], shrink, p);
}

#define ACTIVATION(name, first, function)                                                          \
    OP(name, first, 0, 1, 1, 1, 1), .infer = activation_infer, .eval = function

const op_def ops_activation[] = {
    {OP("Relu", 6, 0, 1, 1, 1, 1), .infer = relu_infer, .eval = relu_eval},
    {ACTIVATION("LeakyRelu", 6, leaky_relu_eval), .attrs = "alpha:float"},
    {ACTIVATION("ThresholdedRelu", 10, thresholded_relu_eval), .attrs = "alpha:float"},
    {OP("PRelu", 6, 6, 2, 2, 1, 1), .infer = prelu_infer, .eval = prelu_eval},
    {OP("PRelu", 7, 0, 2, 2, 1, 1), .infer = prelu_infer, .eval = prelu_eval},
    {
        OP("Clip", 6, 10, 1, 1, 1, 1),
        .attrs = "min:float max:float",
        .infer = clip_infer,
        .eval = clip_eval,
    },
    {OP("Clip", 11, 0, 1, 3, 1, 1), .infer = clip_infer, .eval = clip_eval},
    {ACTIVATION("Sigmoid", 6, sigmoid_eval)},
    {ACTIVATION("HardSigmoid", 6, hard_sigmoid_eval), .attrs = "alpha:float beta:float"},
    {ACTIVATION("HardSwish", 14, hard_swish_eval)},
    {ACTIVATION("Swish", 24, swish_eval), .attrs = "alpha:float"},
    {ACTIVATION("Elu", 6, elu_eval), .attrs = "alpha:float"},
    {
        OP("Celu", 12, 0, 1, 1, 1, 1),
        .attrs = "alpha:float",
        .infer = celu_infer,
        .eval = celu_eval,
    },
    {ACTIVATION("Selu", 6, selu_eval), .attrs = "alpha:float gamma:float"},
    {ACTIVATION("Softplus", 1, softplus_eval)},
    {ACTIVATION("Softsign", 1, softsign_eval)},
    {ACTIVATION("Mish", 18, mish_eval)},
    {
        OP("Gelu", 20, 0, 1, 1, 1, 1),
        .attrs = "approximate:string",
        .infer = gelu_infer,
        .eval = gelu_eval,
    },
    {ACTIVATION("Shrink", 9, shrink_eval), .attrs = "lambd:float bias:float"},
    {.name = NULL},
};
