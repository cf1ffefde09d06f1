/* GlobalAveragePool, GlobalMaxPool and GlobalLpPool: one number for each channel of each image. */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* x is (N, C, I...), y is (N, C, 1...) */
static cnn_status global_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 2, CNN_MAX_RANK, err));
    const graph_value *x = op_input(g, node, 0);
    cnn_shape out = x->shape;
    for (int i = 2; i < out.rank; i++)
        out.dims[i] = 1;
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static cnn_status global_lp_infer(graph *g, graph_node *node, cnn_error *err) {
    int64_t p = graph_attr_int(node, "p", 2);
    if (p < 1)
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute p is %lld, but must be at least 1",
                       (long long)p);
    return global_infer(g, node, err);
}

static size_t plane_size(const tensor *x) {
    return (size_t)op_product(&x->shape, 2, x->shape.rank);
}

static void average_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    size_t plane = plane_size(in[0]);
    for (size_t i = 0; i < out[0]->elements; i++) {
        double sum = 0;
        for (size_t k = 0; k < plane; k++)
            sum += real_at(in[0]->dtype, in[0]->data, i * plane + k);
        real_put(in[0]->dtype, out[0]->data, i, plane > 0 ? sum / (double)plane : 0);
    }
}

static void max_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    size_t plane = plane_size(in[0]);
    for (size_t i = 0; i < out[0]->elements; i++) {
        double best = -INFINITY;
        for (size_t k = 0; k < plane; k++) {
            double value = real_at(in[0]->dtype, in[0]->data, i * plane + k);
            if (k == 0 || value > best) best = value;
        }
        real_put(in[0]->dtype, out[0]->data, i, best);
    }
}

static void lp_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p = (double)graph_attr_int(node, "p", 2);
    size_t plane = plane_size(in[0]);
    for (size_t i = 0; i < out[0]->elements; i++) {
        double sum = 0;
        for (size_t k = 0; k < plane; k++)
            sum += pow(fabs(real_at(in[0]->dtype, in[0]->data, i * plane + k)), p);
        real_put(in[0]->dtype, out[0]->data, i, pow(sum, 1 / p));
    }
}

const op_def ops_global_pool[] = {
    {OP("GlobalAveragePool", 1, 0, 1, 1, 1, 1), .infer = global_infer, .eval = average_eval},
    {OP("GlobalMaxPool", 1, 0, 1, 1, 1, 1), .infer = global_infer, .eval = max_eval},
    {
        OP("GlobalLpPool", 2, 0, 1, 1, 1, 1),
        .attrs = "p:int",
        .infer = global_lp_infer,
        .eval = lp_eval,
    },
    {.name = NULL},
};
