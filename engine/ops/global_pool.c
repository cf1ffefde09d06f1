/*
 * Pooling of whole planes, one number for each channel of each image: GlobalAveragePool,
 * GlobalMaxPool, GlobalLpPool, and GlobalEntropyPool of ai.cnnserve.
 */
#include "ops/families.h"
#include "ops/pool_window.h"

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
    TRY(global_infer(g, node, err));
    return pool_infer_norm(node, err);
}

static void average_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    pooling p = pool_global(&in[0]->shape);
    pool_average(&p, in[0], out[0]);
}

static void max_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    pooling p = pool_global(&in[0]->shape);
    pool_max(&p, in[0], out[0]);
}

static void lp_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_global(&in[0]->shape);
    p.p = (double)graph_attr_int(node, "p", 2);
    pool_lp(&p, in[0], out[0]);
}

/*
 * The entropy -sum q ln q of the shares q = x / sum x, which is ln(sum x) - sum(x ln x) / sum x.
 * Only positive x have a share.
 */
ALWAYS_INLINE double pool_entropy_of(cnn_dtype type, const pooling *p, const tensor *x,
                                     const spot *s) {
    double sum = 0, weighted = 0;
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        if (!(value >= POOL_LEAST)) continue;
        sum += value;
        weighted += value * log(value);
    }
    double entropy = log(sum) - weighted / sum;
    return sum > 0 ? (entropy < 0 ? 0 : entropy) : 0;
}

DEFINE_POOLING(static, pool_entropy)

static void entropy_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    pooling p = pool_global(&in[0]->shape);
    pool_entropy(&p, in[0], out[0]);
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
    {OWN_OP("GlobalEntropyPool", 1, 1, 1, 1), .infer = global_infer, .eval = entropy_eval},
    {.name = NULL},
};
