/*
 * Folds what scales and shifts each channel of a result by constants (see affine.h) into the
 * weights of the node that makes it: a Conv, a Gemm, or a BatchNormalization, whose scale and bias
 * are weights in this sense.
 *
 *   y[c] = scale[c] (w[c] x + b[c]) + shift[c] = (scale[c] w[c]) x + (scale[c] b[c] + shift[c])
 *
 * Computed in double, rounded once per step. Chains (Conv, BatchNormalization, Mul, Add) go in one
 * walk, as each link is seen after the one before has been folded.
 */
#include "passes/affine.h"

/* How weights lie: channel `c` owns `rows` runs of `run` floats, `step` apart, from c * run on. */
typedef struct layout {
    size_t channels, rows, run, step;
} layout;

static bool weight_layout(const graph *g, const graph_node *node, layout *out) {
    const tensor *w = op_constant(g, node, 1);
    if (rewrite_is(node, "BatchNormalization")) {
        if (!affine_norm_fits(g, node)) return false;
        *out = (layout){w->elements, 1, 1, w->elements};
        return rewrite_is_float(g, node->inputs[0]);
    }
    if (!w || w->dtype != CNN_FLOAT32 || w->shape.rank < 2 || w->elements == 0 ||
        !rewrite_is_float(g, node->inputs[0]))
        return false;
    /* the columns of a Gemm are axis 1 only if it has two */
    if (rewrite_is(node, "Gemm") && rewrite_shape(g, node->outputs[0])->rank != 2) return false;
    bool by_row = rewrite_is(node, "Conv") || graph_attr_int(node, "transB", 0) != 0;
    size_t first = (size_t)w->shape.dims[0], rest = w->elements / first;
    *out = by_row ? (layout){first, 1, rest, w->elements} : (layout){rest, first, 1, rest};
    return true;
}

static tensor *scaled_weights(const tensor *w, const layout *l, const affine *a, cnn_error *err) {
    tensor *t = NULL;
    if (tensor_create(CNN_FLOAT32, &w->shape, &t, err) != CNN_OK) return NULL;
    const float *from = w->data;
    float *to = t->data;
    for (size_t r = 0; r < l->rows; r++)
        for (size_t c = 0; c < l->channels; c++)
            for (size_t i = r * l->step + c * l->run, end = i + l->run; i < end; i++)
                to[i] = (float)(a->scale[c] * (double)from[i]);
    return t;
}

/* The new bias; `old` (NULL: none) is multiplied by `beta` when the node runs. */
static tensor *new_bias(const tensor *old, double beta, const affine *a, cnn_error *err) {
    cnn_shape shape = {.rank = 1, .dims = {(int64_t)a->channels}};
    tensor *t = NULL;
    if (tensor_create(CNN_FLOAT32, &shape, &t, err) != CNN_OK) return NULL;
    for (size_t c = 0; c < a->channels; c++) {
        double b = old ? affine_channel(old, c) : 0;
        ((float *)t->data)[c] = (float)(a->scale[c] * b + a->shift[c] / beta);
    }
    return t;
}

/* Gives the node the constant `t` (which is consumed) as input `i`; NULL fails. */
static bool replace_input(graph *g, graph_node *node, size_t i, tensor *t) {
    int like = i < node->input_count && node->inputs[i] >= 0 ? node->inputs[i] : node->inputs[1];
    int value = t ? rewrite_add_constant(g, like, t) : -1;
    tensor_unref(t);
    return value >= 0 && rewrite_set_input(g, node, i, value);
}

static cnn_status apply(graph *g, graph_node *node, const layout *l, const affine *a,
                        cnn_error *err) {
    const tensor *bias = op_constant(g, node, 2);
    double beta = rewrite_is(node, "Gemm") ? (double)graph_attr_float(node, "beta", 1) : 1;
    bool ok = true;
    if (a->shifts || (bias && a->scales))
        ok = replace_input(g, node, 2, new_bias(bias, beta, a, err));
    if (ok && a->scales)
        ok = replace_input(g, node, 1, scaled_weights(op_constant(g, node, 1), l, a, err));
    return ok ? CNN_OK : cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory while folding weights");
}

/* ---- matching ---- */

static bool has_weights(const graph_node *node) {
    return rewrite_is(node, "Conv") || rewrite_is(node, "Gemm") ||
           rewrite_is(node, "BatchNormalization");
}

/* The node that makes operand `i` of the node, if it could take the change; NULL if not. */
static graph_node *target(const graph *g, const graph_node *node, size_t i, layout *l) {
    int value = node->inputs[i];
    graph_node *to = rewrite_sole_producer(g, value, NULL);
    if (!to || !has_weights(to) || !weight_layout(g, to, l)) return NULL;
    const cnn_shape *out = rewrite_shape(g, value);
    if (out->dims[1] != (int64_t)l->channels) return NULL;
    if (rewrite_is(to, "Gemm") && graph_attr_float(to, "beta", 1) == 0) return NULL;
    bool has_bias = to->input_count > 2 && to->inputs[2] >= 0;
    const tensor *bias = op_constant(g, to, 2);
    bool fits = !has_bias || affine_is_per_channel(bias, out) ||
                (bias && bias->dtype == CNN_FLOAT32 && bias->shape.rank == 1 &&
                 bias->elements == l->channels);
    return fits ? to : NULL;
}

static cnn_status fold(graph *g, graph_node *node, size_t i, graph_node *to, const layout *l,
                       cnn_error *err) {
    affine a;
    cnn_status status = affine_read(g, node, i, &a, err);
    if (status != CNN_OK) return status;
    if (a.finite) {
        status = apply(g, to, l, &a, err);
        if (status == CNN_OK) rewrite_absorb(g, to, node, false);
    }
    affine_free(&a);
    return status;
}

cnn_status pass_fold_affine(graph *g, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t n = 0; status == CNN_OK && n < g->node_count; n++)
        for (size_t i = 0; status == CNN_OK && i < 2; i++) {
            graph_node *node = g->nodes[n];
            layout l;
            graph_node *to = affine_is(g, node, i) ? target(g, node, i, &l) : NULL;
            if (to) status = fold(g, node, i, to, &l, err);
        }
    return status;
}
