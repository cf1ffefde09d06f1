/*
 * Folds what scales and shifts each channel of a result by constants into the weights of the node
 * that makes it. That node is a Conv, a Gemm, or a BatchNormalization (Ioffe and Szegedy 2015),
 * whose scale and bias are weights in this sense. What is folded is a BatchNormalization, or Add,
 * Sub, Mul, Div with one number or one number per channel.
 *
 *   y[c] = scale[c] (w[c] x + b[c]) + shift[c] = (scale[c] w[c]) x + (scale[c] b[c] + shift[c])
 *
 * Computed in double, rounded once per step. Chains (Conv, BatchNormalization, Mul, Add) go in one
 * walk, as each link is seen after the one before has been folded. The channel axis is always axis
 * 1: (N, C, ...) of Conv and BatchNormalization, the columns of Gemm.
 */
#include "passes/rewrite.h"

#include <math.h>
#include <stdlib.h>

typedef struct affine {
    size_t channels;
    double *scale, *shift; /* one allocation, begins at scale */
    bool scales, shifts;   /* not all 1, not all 0 */
} affine;

/* ---- reading what follows ---- */

static bool affine_create(affine *a, size_t channels) {
    *a = (affine){.channels = channels, .scale = malloc((2 * channels + 1) * sizeof *a->scale)};
    if (!a->scale) return false;
    a->shift = a->scale + channels;
    for (size_t c = 0; c < channels; c++) {
        a->scale[c] = 1;
        a->shift[c] = 0;
    }
    return true;
}

/* Whether the constant is one float32 number, or one per channel of `out`, and no larger. */
static bool is_per_channel(const tensor *t, const cnn_shape *out) {
    if (!t || t->dtype != CNN_FLOAT32 || t->shape.rank > out->rank) return false;
    for (int i = 0; i < t->shape.rank; i++) {
        int axis = out->rank - t->shape.rank + i;
        if (t->shape.dims[i] != 1 && (axis != 1 || t->shape.dims[i] != out->dims[1])) return false;
    }
    return t->elements > 0;
}

static double channel(const tensor *t, size_t c) {
    return tensor_number(t, t->elements == 1 ? 0 : c);
}

static bool batch_norm_fits(const graph *g, const graph_node *node) {
    const cnn_shape *out = rewrite_shape(g, node->outputs[0]);
    if (out->rank < 2) return false;
    for (size_t i = 1; i < 5; i++) {
        const tensor *t = op_constant(g, node, i);
        if (!t || t->dtype != CNN_FLOAT32 || (int64_t)t->elements != out->dims[1]) return false;
    }
    for (size_t i = 1; i < node->output_count; i++)
        if (node->outputs[i] >= 0 && g->values[node->outputs[i]].uses > 0) return false;
    return graph_attr_int(node, "training_mode", 0) == 0;
}

static void read_batch_norm(const graph *g, const graph_node *node, affine *a) {
    const tensor *gamma = op_constant(g, node, 1), *beta = op_constant(g, node, 2);
    const tensor *mean = op_constant(g, node, 3), *variance = op_constant(g, node, 4);
    double epsilon = (double)graph_attr_float(node, "epsilon", 1e-5f);
    for (size_t c = 0; c < a->channels; c++) {
        a->scale[c] = tensor_number(gamma, c) / sqrt(tensor_number(variance, c) + epsilon);
        a->shift[c] = tensor_number(beta, c) - a->scale[c] * tensor_number(mean, c);
    }
}

/* `first`: the constant is the first operand. */
static void read_binary(const graph_node *node, const tensor *t, bool first, affine *a) {
    bool sub = rewrite_is(node, "Sub"), mul = rewrite_is(node, "Mul"),
         div = rewrite_is(node, "Div");
    for (size_t c = 0; c < a->channels; c++) {
        double k = channel(t, c);
        if (mul || div)
            a->scale[c] = mul ? k : 1 / k;
        else
            a->shift[c] = sub && !first ? -k : k;
        if (sub && first) a->scale[c] = -1;
    }
}

/* Infinite or undefined factors keep their node: folded, they would also spoil zeros. */
static bool settle(affine *a) {
    for (size_t c = 0; c < a->channels; c++) {
        if (!isfinite(a->scale[c]) || !isfinite(a->shift[c])) return false;
        a->scales |= a->scale[c] != 1;
        a->shifts |= a->shift[c] != 0;
    }
    return true;
}

/* ---- the weights ---- */

/* How weights lie: channel `c` owns `rows` runs of `run` floats, `step` apart, from c * run on. */
typedef struct layout {
    size_t channels, rows, run, step;
} layout;

static bool weight_layout(const graph *g, const graph_node *node, layout *out) {
    const tensor *w = op_constant(g, node, 1);
    if (rewrite_is(node, "BatchNormalization")) {
        if (!batch_norm_fits(g, node)) return false;
        *out = (layout){w->elements, 1, 1, w->elements};
        return rewrite_is_float(g, node->inputs[0]);
    }
    if (!w || w->dtype != CNN_FLOAT32 || w->shape.rank < 2 || w->elements == 0 ||
        !rewrite_is_float(g, node->inputs[0]))
        return false;
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
        double b = old ? channel(old, c) : 0;
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
    if (!cnn_shape_equal(out, rewrite_shape(g, node->outputs[0])) || out->rank < 2 ||
        out->dims[1] != (int64_t)l->channels)
        return NULL;
    if (rewrite_is(to, "Gemm") && graph_attr_float(to, "beta", 1) == 0) return NULL;
    bool has_bias = to->input_count > 2 && to->inputs[2] >= 0;
    const tensor *bias = op_constant(g, to, 2);
    bool fits = !has_bias || is_per_channel(bias, out) ||
                (bias && bias->dtype == CNN_FLOAT32 && bias->shape.rank == 1 &&
                 bias->elements == l->channels);
    return fits ? to : NULL;
}

static cnn_status fold(graph *g, graph_node *node, graph_node *to, const layout *l,
                       const tensor *operand, bool first, cnn_error *err) {
    affine a;
    if (!affine_create(&a, l->channels))
        return cnn_fail_memory(err, 2 * l->channels * sizeof(double));
    if (operand)
        read_binary(node, operand, first, &a);
    else
        read_batch_norm(g, node, &a);
    cnn_status status = CNN_OK;
    if (settle(&a)) {
        status = apply(g, to, l, &a, err);
        if (status == CNN_OK) rewrite_absorb(g, to, node, false);
    }
    free(a.scale);
    return status;
}

static cnn_status fold_binary(graph *g, graph_node *node, cnn_error *err) {
    const cnn_shape *out = rewrite_shape(g, node->outputs[0]);
    for (size_t i = 0; i < 2; i++) {
        layout l;
        const tensor *operand = op_constant(g, node, 1 - i);
        bool first = i == 1; /* the constant comes first; a reciprocal is not affine */
        if (!is_per_channel(operand, out) || (first && rewrite_is(node, "Div"))) continue;
        graph_node *to = target(g, node, i, &l);
        if (to) return fold(g, node, to, &l, operand, first, err);
    }
    return CNN_OK;
}

cnn_status pass_fold_affine(graph *g, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->node_count; i++) {
        graph_node *node = g->nodes[i];
        layout l;
        graph_node *to;
        if (rewrite_is(node, "Add") || rewrite_is(node, "Sub") || rewrite_is(node, "Mul") ||
            rewrite_is(node, "Div"))
            status = fold_binary(g, node, err);
        else if (rewrite_is(node, "BatchNormalization") && batch_norm_fits(g, node) &&
                 (to = target(g, node, 0, &l)))
            status = fold(g, node, to, &l, NULL, false, err);
    }
    return status;
}
