/*
 * Products of 8-bit integers: ConvInteger, MatMulInteger, QLinearConv, QLinearMatMul.
 *
 * Zero points are subtracted from both factors (the padding is thus zero), sums are exact in 64
 * bits. The QLinear forms scale the sum, round to nearest, ties to even, and add the zero point of
 * the output.
 */
#include "ops/conv.h"
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"
#include "ops/matmul.h"

#define TYPES_BYTE (TYPE(CNN_INT8) | TYPE(CNN_UINT8))

/* Where an operator has its arguments; 0: it has none of that kind. */
typedef struct layout {
    size_t b, a_zero, b_zero;                 /* second factor and the zero points */
    size_t a_scale, b_scale, y_scale, y_zero; /* QLinear forms only */
    size_t bias;
} layout;

static const layout integer_layout = {.b = 1, .a_zero = 2, .b_zero = 3};
static const layout linear_layout = {3, 2, 5, 1, 4, 6, 7, 8};

/* One of a scalar-or-vector parameter; absent ones are `fallback`. */
static double parameter(const tensor *t, size_t i, double fallback) {
    return t ? tensor_number(t, t->elements == 1 ? 0 : i) : fallback;
}

/* Input `i` (0: none) is one value, or one for each of `length` positions. */
static cnn_status expect_parameter(const graph *g, const graph_node *node, size_t i, int64_t length,
                                   const char *what, cnn_error *err) {
    const graph_value *value = i > 0 ? op_input(g, node, i) : NULL;
    size_t elements;
    if (!value || (cnn_shape_elements(&value->shape, &elements) && elements == 1)) return CNN_OK;
    return op_expect_vector(g, node, i, length, what, err);
}

/* `rows` and `columns`: how many values scale and zero point of a and of b may have. */
static cnn_status check_arguments(const graph *g, const graph_node *node, const layout *l,
                                  int64_t rows, int64_t columns, cnn_error *err) {
    TRY(op_expect_type(g, node, 0, TYPES_BYTE, err));
    TRY(op_expect_type(g, node, l->b, TYPES_BYTE, err));
    TRY(op_expect_type(g, node, l->a_zero, TYPE(op_input(g, node, 0)->dtype), err));
    TRY(op_expect_type(g, node, l->b_zero, TYPE(op_input(g, node, l->b)->dtype), err));
    TRY(expect_parameter(g, node, l->a_zero, rows, "rows", err));
    TRY(expect_parameter(g, node, l->b_zero, columns, "columns or output channels", err));
    if (l->y_scale == 0) return CNN_OK;
    TRY(op_expect_type(g, node, l->a_scale, TYPES_REAL, err));
    TRY(op_expect_type(g, node, l->b_scale, TYPES_REAL, err));
    TRY(op_expect_type(g, node, l->y_scale, TYPES_REAL, err));
    TRY(op_expect_type(g, node, l->y_zero, TYPES_BYTE, err));
    TRY(expect_parameter(g, node, l->a_scale, rows, "rows", err));
    TRY(expect_parameter(g, node, l->b_scale, columns, "columns or output channels", err));
    TRY(op_expect_scalar(g, node, l->y_scale, err));
    return op_expect_scalar(g, node, l->y_zero, err);
}

static cnn_dtype output_type(const graph *g, const graph_node *node, const layout *l) {
    return l->y_zero > 0 ? op_input(g, node, l->y_zero)->dtype : CNN_INT32;
}

static const tensor *argument(const graph_node *node, const tensor *const *in, size_t i) {
    return i > 0 ? eval_in(node, in, i) : NULL;
}

/* Stores the sum of row `row` and column `column`: as it is, or scaled. */
static void put_sum(const graph_node *node, const layout *l, const tensor *const *in, tensor *y,
                    size_t at, int64_t sum, size_t row, size_t column) {
    if (l->y_scale == 0) {
        int_put(y->dtype, y->data, at, sum);
        return;
    }
    float scale = (float)parameter(argument(node, in, l->a_scale), row, 1) *
                  (float)parameter(argument(node, in, l->b_scale), column, 1) /
                  (float)tensor_number(in[l->y_scale], 0);
    double x = rint((double)sum * (double)scale) + tensor_number(in[l->y_zero], 0);
    bool is_signed = y->dtype == CNN_INT8;
    number_put(y, at, MIN(MAX(x, is_signed ? -128 : 0), is_signed ? 127 : 255));
}

/* ---- convolution ---- */

static cnn_status conv_infer(graph *g, graph_node *node, const layout *l, cnn_error *err) {
    TRY(op_begin(g, node, err));
    cnn_shape out;
    TRY(conv_shape(g, node, l->b, &out, err));
    TRY(check_arguments(g, node, l, 1, out.dims[1], err));
    if (l->bias > 0) {
        TRY(op_expect_type(g, node, l->bias, TYPE(CNN_INT32), err));
        TRY(op_expect_vector(g, node, l->bias, out.dims[1], "output channels", err));
    }
    return op_set_output(g, node, 0, output_type(g, node, l), &out, err);
}

/* Both factors and what is subtracted from them. */
typedef struct factors {
    const tensor *a, *b;
    int64_t a_zero, b_zero;
} factors;

static int64_t product(const factors *f, size_t a, size_t b) {
    return (int_at(f->a->dtype, f->a->data, a) - f->a_zero) *
           (int_at(f->b->dtype, f->b->data, b) - f->b_zero);
}

/* Sum over one input plane, as in Conv. */
static int64_t plane_sum(const factors *f, const op_window *w, size_t x_start, size_t w_start,
                         const window_range r[3]) {
    int64_t sum = 0;
    for (int64_t k0 = r[0].lo; k0 < r[0].hi; k0++)
        for (int64_t k1 = r[1].lo; k1 < r[1].hi; k1++)
            for (int64_t k2 = r[2].lo; k2 < r[2].hi; k2++) {
                int64_t i0 = r[0].first + k0 * w->dilation[0];
                int64_t i1 = r[1].first + k1 * w->dilation[1];
                int64_t i2 = r[2].first + k2 * w->dilation[2];
                sum += product(f, x_start + (size_t)((i0 * w->in[1] + i1) * w->in[2] + i2),
                               w_start + (size_t)((k0 * w->kernel[1] + k1) * w->kernel[2] + k2));
            }
    return sum;
}

static int64_t conv_sum(const factors *f, const conv *p, size_t n, size_t m, size_t o) {
    const op_window *w = &p->window;
    size_t each = (size_t)(p->c / p->group), first = m / (size_t)(p->m / p->group) * each;
    int64_t position[3] = {(int64_t)o / w->out[2] / w->out[1], (int64_t)o / w->out[2] % w->out[1],
                           (int64_t)o % w->out[2]};
    window_range r[3];
    int64_t sum = 0;
    for (int i = 0; i < 3; i++)
        r[i] = eval_window_range(w, i, position[i]);
    for (size_t c = 0; c < each; c++)
        sum += plane_sum(f, w, (n * (size_t)p->c + first + c) * eval_volume(w->in),
                         (m * each + c) * eval_volume(w->kernel), r);
    return sum;
}

static void conv_eval(const graph_node *node, const layout *l, const tensor *const *in, tensor *y) {
    if (y->elements == 0) return;
    conv p = conv_read(node, &in[0]->shape, &in[l->b]->shape);
    const tensor *bias = argument(node, in, l->bias);
    size_t plane = eval_volume(p.window.out);
    factors f = {in[0], in[l->b], (int64_t)parameter(argument(node, in, l->a_zero), 0, 0), 0};
    for (size_t at = 0; at < y->elements; at++) {
        size_t m = at / plane % (size_t)p.m, n = at / plane / (size_t)p.m;
        f.b_zero = (int64_t)parameter(argument(node, in, l->b_zero), m, 0);
        int64_t sum = conv_sum(&f, &p, n, m, at % plane);
        put_sum(node, l, in, y, at, sum + (bias ? tensor_int(bias, m) : 0), 0, m);
    }
}

static cnn_status conv_integer_infer(graph *g, graph_node *node, cnn_error *err) {
    return conv_infer(g, node, &integer_layout, err);
}

static void conv_integer_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    conv_eval(node, &integer_layout, in, out[0]);
}

static cnn_status conv_linear_infer(graph *g, graph_node *node, cnn_error *err) {
    return conv_infer(g, node, &linear_layout, err);
}

static void conv_linear_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    conv_eval(node, &linear_layout, in, out[0]);
}

static uint64_t conv_macs(const graph *g, const graph_node *node) {
    const cnn_shape *w = &op_input(g, node, node->op->min_inputs > 2 ? 3 : 1)->shape;
    const cnn_shape *y = &g->values[node->outputs[0]].shape;
    return (uint64_t)op_product(y, 0, y->rank) * (uint64_t)op_product(w, 1, w->rank);
}

/* ---- matrix product ---- */

static cnn_status matmul_infer(graph *g, graph_node *node, const layout *l, cnn_error *err) {
    TRY(op_begin(g, node, err));
    cnn_shape out;
    matmul p;
    TRY(matmul_shape(g, node, l->b, &out, err));
    matmul_read(&op_input(g, node, 0)->shape, &op_input(g, node, l->b)->shape, &p);
    TRY(check_arguments(g, node, l, p.m, p.n, err));
    return op_set_output(g, node, 0, output_type(g, node, l), &out, err);
}

/* First element of the matrix of `shape` that belongs to batch `index`. */
static size_t matrix_start(const cnn_shape *shape, const cnn_shape *batch, size_t index) {
    cnn_shape leading = matmul_leading(shape);
    view v = view_broadcast(&leading, batch);
    size_t offset;
    view_offsets(&v, index, 1, &offset);
    return offset * (size_t)op_product(shape, shape->rank - 2, shape->rank);
}

static void matmul_eval(const graph_node *node, const layout *l, const tensor *const *in,
                        tensor *y) {
    matmul p;
    if (y->elements == 0 || !matmul_read(&in[0]->shape, &in[l->b]->shape, &p)) return;
    size_t m = (size_t)p.m, n = (size_t)p.n, k = (size_t)p.k;
    for (size_t at = 0; at < y->elements; at++) {
        size_t batch = at / n / m, i = at / n % m, j = at % n;
        size_t a = matrix_start(&p.a, &p.batch, batch), b = matrix_start(&p.b, &p.batch, batch);
        factors f = {in[0], in[l->b], (int64_t)parameter(argument(node, in, l->a_zero), i, 0),
                     (int64_t)parameter(argument(node, in, l->b_zero), j, 0)};
        int64_t sum = 0;
        for (size_t d = 0; d < k; d++)
            sum += product(&f, a + i * k + d, b + d * n + j);
        put_sum(node, l, in, y, at, sum, i, j);
    }
}

static cnn_status matmul_integer_infer(graph *g, graph_node *node, cnn_error *err) {
    return matmul_infer(g, node, &integer_layout, err);
}

static void matmul_integer_eval(const graph_node *node, const tensor *const *in,
                                tensor *const *out) {
    matmul_eval(node, &integer_layout, in, out[0]);
}

static cnn_status matmul_linear_infer(graph *g, graph_node *node, cnn_error *err) {
    return matmul_infer(g, node, &linear_layout, err);
}

static void matmul_linear_eval(const graph_node *node, const tensor *const *in,
                               tensor *const *out) {
    matmul_eval(node, &linear_layout, in, out[0]);
}

static uint64_t matmul_macs(const graph *g, const graph_node *node) {
    const cnn_shape *a = &op_input(g, node, 0)->shape;
    const cnn_shape *y = &g->values[node->outputs[0]].shape;
    return (uint64_t)op_product(y, 0, y->rank) * (uint64_t)a->dims[a->rank - 1];
}

static void linear_window(const graph *g, const graph_node *node, op_window *out) {
    *out = conv_read(node, &op_input(g, node, 0)->shape, &op_input(g, node, 3)->shape).window;
}

#define CONVOLUTION(name, min_in, max_in, shapes, function, window_of)                             \
    {                                                                                              \
        OP(name, 10, 0, min_in, max_in, 1, 1),                                                     \
            .attrs = "auto_pad:string dilations:ints group:int kernel_shape:ints pads:ints "       \
                     "strides:ints",                                                               \
            .infer = shapes, .eval = function, .macs = conv_macs, .window = window_of              \
    }
#define PRODUCT(name, min_in, max_in, shapes, function)                                            \
    {                                                                                              \
        OP(name, 10, 0, min_in, max_in, 1, 1), .infer = shapes, .eval = function,                  \
                                               .macs = matmul_macs                                 \
    }

const op_def ops_integer[] = {
    CONVOLUTION("ConvInteger", 2, 4, conv_integer_infer, conv_integer_eval, conv_window),
    CONVOLUTION("QLinearConv", 8, 9, conv_linear_infer, conv_linear_eval, linear_window),
    PRODUCT("MatMulInteger", 2, 4, matmul_integer_infer, matmul_integer_eval),
    PRODUCT("QLinearMatMul", 8, 8, matmul_linear_infer, matmul_linear_eval),
    {.name = NULL},
};
