/*
 * Conv + x -> the Conv's residual (the shortcuts of He et al. 2015).
 *
 * If both operands come from a Conv, the one that runs later takes the other as its residual. The
 * Conv moves to the place of the Add, where the residual is known to have been computed; nobody
 * but the Add has needed its result, so nothing in between misses it.
 */
#include "passes/rewrite.h"

/* The Conv that makes operand `i`, if it can add the other one. */
static graph_node *candidate(const graph *g, const graph_node *add, size_t i) {
    graph_node *conv = rewrite_sole_producer(g, add->inputs[i], "Conv");
    int other = add->inputs[1 - i];
    bool fits = conv && other >= 0 && rewrite_is_float(g, other) && !g->values[other].constant &&
                cnn_shape_equal(rewrite_shape(g, other), rewrite_shape(g, add->outputs[0])) &&
                cnn_shape_equal(rewrite_shape(g, other), rewrite_shape(g, add->inputs[i]));
    return fits && epilogue_taken(g, conv, true) ? conv : NULL;
}

static bool is_sum_of_two(const graph_node *node) {
    return (rewrite_is(node, "Add") || rewrite_is(node, "Sum")) && node->input_count == 2;
}

cnn_status pass_fuse_residual(graph *g, cnn_error *err) {
    (void)err;
    for (size_t i = 0; i < g->node_count; i++) {
        graph_node *add = g->nodes[i];
        if (!is_sum_of_two(add) || add->fused.act != ACT_NONE) continue;
        graph_node *a = candidate(g, add, 0), *b = candidate(g, add, 1);
        bool second =
            b && (!a || g->values[b->outputs[0]].producer > g->values[a->outputs[0]].producer);
        if (!a && !b) continue;
        graph_node *conv = second ? b : a;
        rewrite_set_residual(g, conv, add->inputs[second ? 0 : 1]);
        rewrite_absorb(g, conv, add, true);
    }
    return CNN_OK;
}
