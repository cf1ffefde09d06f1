/*
 * x * Sigmoid(x) (Elfwing et al. 2017) -> the SiLU epilogue of the node that makes x.
 *
 * Only there: ONNX has no operator for it before version 24, and Sigmoid and Mul have kernels. The
 * node that makes x must have no user but the two.
 */
#include "passes/rewrite.h"

/* The node whose result both operands of the product are made of; NULL if it is no SiLU. */
static graph_node *match(const graph *g, const graph_node *product) {
    for (size_t i = 0; rewrite_is(product, "Mul") && i < 2; i++) {
        graph_node *sigmoid = rewrite_sole_producer(g, product->inputs[i], "Sigmoid");
        int x = product->inputs[1 - i];
        if (!sigmoid || sigmoid->inputs[0] != x || g->values[x].uses != 2) continue;
        graph_node *node = rewrite_producer(g, x, NULL);
        if (node && node->outputs[0] == x && epilogue_taken(g, node, false)) return node;
    }
    return NULL;
}

cnn_status pass_fuse_silu(graph *g, cnn_error *err) {
    (void)err;
    for (size_t i = 0; i < g->node_count; i++) {
        graph_node *node = match(g, g->nodes[i]);
        if (!node) continue;
        node->fused.act = ACT_SILU;
        rewrite_absorb(g, node, g->nodes[i], false);
    }
    return CNN_OK;
}
