/* Activations -> the epilogue of the node that makes their input. */
#include "passes/rewrite.h"

cnn_status pass_fuse_activation(graph *g, cnn_error *err) {
    (void)err;
    for (size_t i = 0; i < g->node_count; i++) {
        graph_node *node = g->nodes[i];
        epilogue e;
        if (node->output_count == 0 || node->outputs[0] < 0 || !op_activation(g, node, &e))
            continue;
        graph_node *producer = rewrite_sole_producer(g, node->inputs[0], NULL);
        if (!producer || !epilogue_taken(g, producer, false)) continue;
        producer->fused.act = e.act;
        producer->fused.alpha = e.alpha;
        producer->fused.beta = e.beta;
        rewrite_absorb(g, producer, node, false);
    }
    return CNN_OK;
}
