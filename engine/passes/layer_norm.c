/*
 * Layer normalisation over the last axis (Ba, Kiros and Hinton 2016, arXiv:1607.06450) in the
 * pieces in which exporters write it up to operator set 16 -> LayerNormalization:
 *
 *   d = x - ReduceMean(x)
 *   d / Sqrt(ReduceMean(d^2) + epsilon) * scale + bias
 *
 * d^2 is Pow(d, 2) or Mul(d, d); operands of sums and products come in any order.
 */
#include "passes/rewrite.h"

typedef struct layer_norm {
    int x, scale, bias;
    double epsilon;
} layer_norm;

/* A mean over the last axis, which stays as an extent of 1. */
static bool is_mean(const graph *g, const graph_node *node) {
    if (!node) return false;
    int rank = rewrite_shape(g, node->inputs[0])->rank;
    unsigned axes;
    return rank > 0 && rewrite_axes(g, node, rank, &axes) && axes == 1u << (rank - 1) &&
           graph_attr_int(node, "keepdims", 1) != 0;
}

/* The operand that is one number for each place along the last axis of x; the other in *other. */
static int find_weights(const graph *g, const graph_node *node, int *other) {
    const cnn_shape *shape = rewrite_shape(g, node->outputs[0]);
    for (size_t i = 0; i < 2; i++) {
        const tensor *t = op_constant(g, node, i);
        *other = node->inputs[1 - i];
        if (t && t->shape.rank == 1 && t->shape.dims[0] == shape->dims[shape->rank - 1])
            return node->inputs[i];
    }
    return -1;
}

/* x if d is x minus its mean; -1 if not. */
static int match_difference(const graph *g, int d) {
    const graph_node *sub = rewrite_producer(g, d, "Sub");
    const graph_node *mean = sub ? rewrite_sole_producer(g, sub->inputs[1], "ReduceMean") : NULL;
    return is_mean(g, mean) && mean->inputs[0] == sub->inputs[0] ? sub->inputs[0] : -1;
}

/* True if `value` is d^2; *uses counts d's there. */
static bool match_square(const graph *g, int value, int d, size_t *uses) {
    const graph_node *node = rewrite_sole_producer(g, value, NULL);
    double exponent;
    if (!node || node->input_count != 2 || node->inputs[0] != d) return false;
    *uses = node->inputs[1] == d ? 2 : 1;
    if (rewrite_is(node, "Mul")) return node->inputs[1] == d;
    return rewrite_is(node, "Pow") && rewrite_scalar(g, node->inputs[1], &exponent) &&
           exponent == 2;
}

/* True if `value` is Sqrt(ReduceMean(d^2) + epsilon). */
static bool match_deviation(const graph *g, int value, int d, layer_norm *out, size_t *uses) {
    const graph_node *root = rewrite_sole_producer(g, value, "Sqrt");
    const graph_node *sum = root ? rewrite_sole_producer(g, root->inputs[0], "Add") : NULL;
    if (!sum) return false;
    size_t number = rewrite_scalar(g, sum->inputs[0], &out->epsilon) ? 0 : 1;
    if (!rewrite_scalar(g, sum->inputs[number], &out->epsilon)) return false;
    const graph_node *mean = rewrite_sole_producer(g, sum->inputs[1 - number], "ReduceMean");
    return is_mean(g, mean) && match_square(g, mean->inputs[0], d, uses);
}

/* True if `last` adds the bias of a layer normalisation of which nobody needs the steps. */
static bool match(const graph *g, const graph_node *last, layer_norm *out) {
    int scaled, quotient;
    size_t uses;
    if (!rewrite_is(last, "Add") || rewrite_shape(g, last->outputs[0])->rank == 0) return false;
    out->bias = find_weights(g, last, &scaled);
    const graph_node *mul = out->bias >= 0 ? rewrite_sole_producer(g, scaled, "Mul") : NULL;
    if (!mul) return false;
    out->scale = find_weights(g, mul, &quotient);
    const graph_node *div = out->scale >= 0 ? rewrite_sole_producer(g, quotient, "Div") : NULL;
    if (!div) return false;
    int d = div->inputs[0];
    out->x = match_difference(g, d);
    return out->x >= 0 && rewrite_is_float(g, out->x) &&
           match_deviation(g, div->inputs[1], d, out, &uses) && g->values[d].uses == uses + 1;
}

cnn_status pass_layer_norm(graph *g, cnn_error *err) {
    const op_def *op = op_find("", "LayerNormalization", MAX(g->opset, 17));
    for (size_t i = 0; op && i < g->node_count; i++) {
        graph_node *old = g->nodes[i];
        layer_norm found;
        if (!match(g, old, &found)) continue;
        graph_node *node = graph_node_create(op, old->name, 3, 1);
        if (!node || !graph_add_attr_float(node, "epsilon", (float)found.epsilon)) {
            graph_node_free(node);
            return cnn_fail_memory(err, sizeof *node);
        }
        node->inputs[0] = found.x;
        node->inputs[1] = found.scale;
        node->inputs[2] = found.bias;
        rewrite_replace(g, old, node);
    }
    return CNN_OK;
}
