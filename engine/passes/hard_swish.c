/*
 * The ways in which exporters write hard-swish (Howard et al. 2019) and the hard sigmoid in it:
 *
 *   Clip(x + 3, 0, 6) / 6              -> HardSigmoid(x) with alpha 1/6, beta 1/2
 *   x * HardSigmoid(x)                 -> HardSwish(x)
 *   (x * Clip(x + 3, 0, 6)) / 6        -> HardSwish(x)
 *
 * with any order of operands, and multiplication by 1/6 for the division. Both results are
 * activations that fuse_activation takes further.
 */
#include "passes/rewrite.h"

/* x if `value` is made by Clip(x + 3, 0, 6) and nobody else needs the steps; -1 if not. */
static int match_clipped(const graph *g, int value) {
    graph_node *clip = rewrite_sole_producer(g, value, "Clip");
    epilogue e;
    if (!clip || !op_activation(g, clip, &e) || e.alpha != 0 || e.beta != 6) return -1;
    return rewrite_operand_beside(g, rewrite_sole_producer(g, clip->inputs[0], NULL), "Add", 3);
}

/* The other operand of a product, given one; -1 if the product is none, or squares it. */
static int other_operand(const graph_node *product, size_t i) {
    return product->inputs[0] != product->inputs[1] ? product->inputs[1 - i] : -1;
}

/* x if the product is x * Clip(x + 3, 0, 6). */
static int match_product(const graph *g, const graph_node *product) {
    for (size_t i = 0; product && rewrite_is(product, "Mul") && i < 2; i++) {
        int x = match_clipped(g, product->inputs[i]);
        if (x >= 0 && x == other_operand(product, i)) return x;
    }
    return -1;
}

/* x if the product is x * HardSigmoid(x). */
static int match_hard_sigmoid(const graph *g, const graph_node *product) {
    for (size_t i = 0; rewrite_is(product, "Mul") && i < 2; i++) {
        graph_node *sigmoid = rewrite_sole_producer(g, product->inputs[i], "HardSigmoid");
        epilogue e;
        if (sigmoid && op_activation(g, sigmoid, &e) && rewrite_is_near((double)e.alpha, 1.0 / 6) &&
            e.beta == 0.5f && sigmoid->inputs[0] == other_operand(product, i))
            return sigmoid->inputs[0];
    }
    return -1;
}

/* Whether x may stand for the input of an activation with the node's result. */
static bool fits(const graph *g, int x, const graph_node *node) {
    return x >= 0 && rewrite_is_float(g, x) &&
           cnn_shape_equal(rewrite_shape(g, x), rewrite_shape(g, node->outputs[0]));
}

/* Puts op(x) into the place of the node. */
static cnn_status rewrite(graph *g, graph_node *old, const op_def *op, int x, bool sigmoid,
                          cnn_error *err) {
    graph_node *node = op ? graph_node_create(op, old->name, 1, 1) : NULL;
    if (!op) return CNN_OK;
    if (!node || (sigmoid && (!graph_add_attr_float(node, "alpha", 1.0f / 6) ||
                              !graph_add_attr_float(node, "beta", 0.5f)))) {
        graph_node_free(node);
        return cnn_fail_memory(err, sizeof *node);
    }
    node->inputs[0] = x;
    rewrite_replace(g, old, node);
    return CNN_OK;
}

cnn_status pass_hard_swish(graph *g, cnn_error *err) {
    const op_def *sigmoid = op_find("", "HardSigmoid", MAX(g->opset, 6));
    const op_def *swish = op_find("", "HardSwish", MAX(g->opset, 14));
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->node_count; i++) {
        graph_node *node = g->nodes[i];
        int sixth = rewrite_operand_beside(g, node, "Div", 6);
        if (sixth < 0) sixth = rewrite_operand_beside(g, node, "Mul", 1.0 / 6);
        int x = match_product(g, rewrite_sole_producer(g, sixth, NULL));
        if (!fits(g, x, node)) x = match_hard_sigmoid(g, node);
        if (fits(g, x, node)) {
            status = rewrite(g, node, swish, x, false, err);
            continue;
        }
        x = match_clipped(g, sixth);
        if (fits(g, x, node)) status = rewrite(g, node, sigmoid, x, true, err);
    }
    return status;
}
