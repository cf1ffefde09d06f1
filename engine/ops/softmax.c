/*
 * Softmax, LogSoftmax and Hardmax.
 *
 * Until version 12 they worked on the input coerced to a matrix, all axes from `axis` on being one;
 * since version 13 along the one axis. Both are rows of `length` elements, `step` apart.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* x is (outer, length, step) */
typedef struct rows {
    size_t outer, length, step;
} rows;

static int64_t default_axis(const graph_node *node) {
    return node->op->since < 13 ? 1 : -1;
}

static rows rows_read(const graph_node *node, const cnn_shape *x) {
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", default_axis(node)), x->rank, &axis);
    int end = node->op->since < 13 ? x->rank : axis + 1;
    return (rows){(size_t)op_product(x, 0, axis), (size_t)op_product(x, axis, end),
                  (size_t)op_product(x, end, x->rank)};
}

static cnn_status softmax_infer(graph *g, graph_node *node, cnn_error *err) {
    int axis;
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_read_axis(node, default_axis(node), op_input(g, node, 0)->shape.rank, &axis, err));
    return op_same_as_input(g, node, err);
}

/* The largest element's index and, with `sum`, that of exp(x - largest). */
static size_t row_largest(const tensor *x, size_t start, const rows *r, double *largest,
                          double *sum) {
    size_t index = 0;
    *largest = -INFINITY;
    *sum = 0;
    for (size_t k = 0; k < r->length; k++) {
        double value = real_at(x->dtype, x->data, start + k * r->step);
        if (value > *largest) {
            *largest = value;
            index = k;
        }
    }
    for (size_t k = 0; k < r->length; k++)
        *sum += exp(real_at(x->dtype, x->data, start + k * r->step) - *largest);
    return index;
}

typedef enum form { SOFTMAX, LOG_SOFTMAX, HARDMAX } form;

static void eval_row(form f, const tensor *x, tensor *y, size_t start, const rows *r) {
    double largest, sum;
    size_t index = row_largest(x, start, r, &largest, &sum);
    for (size_t k = 0; k < r->length; k++) {
        size_t at = start + k * r->step;
        double shifted = real_at(x->dtype, x->data, at) - largest;
        double value = f == SOFTMAX       ? exp(shifted) / sum
                       : f == LOG_SOFTMAX ? shifted - log(sum)
                                          : k == index;
        real_put(y->dtype, y->data, at, value);
    }
}

static void eval_form(form f, const graph_node *node, const tensor *x, tensor *y) {
    rows r = rows_read(node, &x->shape);
    for (size_t o = 0; o < r.outer; o++)
        for (size_t s = 0; s < r.step; s++)
            eval_row(f, x, y, o * r.length * r.step + s, &r);
}

static void softmax_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_form(SOFTMAX, node, in[0], out[0]);
}

static void log_softmax_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_form(LOG_SOFTMAX, node, in[0], out[0]);
}

static void hardmax_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_form(HARDMAX, node, in[0], out[0]);
}

#define SOFTMAX_LIKE(name, first, last, function)                                                  \
    OP(name, first, last, 1, 1, 1, 1), .attrs = "axis:int", .infer = softmax_infer, .eval = function

const op_def ops_softmax[] = {
    {SOFTMAX_LIKE("Softmax", 1, 12, softmax_eval)},
    {SOFTMAX_LIKE("Softmax", 13, 0, softmax_eval)},
    {SOFTMAX_LIKE("LogSoftmax", 1, 12, log_softmax_eval)},
    {SOFTMAX_LIKE("LogSoftmax", 13, 0, log_softmax_eval)},
    {SOFTMAX_LIKE("Hardmax", 1, 12, hardmax_eval)},
    {SOFTMAX_LIKE("Hardmax", 13, 0, hardmax_eval)},
    {.name = NULL},
};
