/*
 * Channel shuffle (Zhang et al. 2017, "ShuffleNet", arXiv:1707.01083) as exporters write it:
 *
 *   Reshape(Transpose(Reshape(x, (N, g, C/g, H, W)), perm 0 2 1 3 4), (N, C, H, W))
 *     -> Gather(x, (0, C/g, 2 C/g, ..., 1, C/g + 1, ...), axis 1)
 */
#include "passes/rewrite.h"

#include <string.h>

static const int64_t swapped[] = {0, 2, 1, 3, 4};

/* The groups if the three nodes that end in `last` shuffle the channels of *x; 0 if not. */
static int64_t match(const graph *g, const graph_node *last, int *x) {
    const graph_node *transpose =
        rewrite_is(last, "Reshape") ? rewrite_sole_producer(g, last->inputs[0], "Transpose") : NULL;
    const attr *perm = transpose ? graph_attr(transpose, "perm") : NULL;
    if (!perm || perm->count != ARRAY_LENGTH(swapped) ||
        memcmp(perm->ints, swapped, sizeof(swapped)) != 0)
        return 0;
    const graph_node *first = rewrite_sole_producer(g, transpose->inputs[0], "Reshape");
    if (!first) return 0;
    *x = first->inputs[0];
    const cnn_shape *in = rewrite_shape(g, *x), *split = rewrite_shape(g, transpose->inputs[0]);
    const cnn_shape *out = rewrite_shape(g, last->outputs[0]);
    if (in->rank != 4 || !cnn_shape_equal(in, out) || split->dims[0] != in->dims[0] ||
        split->dims[3] != in->dims[2] || split->dims[4] != in->dims[3] ||
        split->dims[1] * split->dims[2] != in->dims[1])
        return 0;
    return split->dims[1];
}

/* Channel i of the result is channel (i mod groups) * C / groups + i / groups of the input. */
static cnn_status make_indices(int64_t channels, int64_t groups, tensor **out, cnn_error *err) {
    cnn_shape shape = {.rank = 1, .dims = {channels}};
    cnn_status status = tensor_create(CNN_INT64, &shape, out, err);
    for (int64_t i = 0; status == CNN_OK && i < channels; i++)
        ((int64_t *)(*out)->data)[i] = i % groups * (channels / groups) + i / groups;
    return status;
}

static cnn_status rewrite(graph *g, graph_node *last, int x, int64_t groups, cnn_error *err) {
    const op_def *op = op_find("", "Gather", g->opset);
    tensor *indices;
    if (!op) return CNN_OK;
    cnn_status status = make_indices(rewrite_shape(g, x)->dims[1], groups, &indices, err);
    if (status != CNN_OK) return status;
    int constant = rewrite_add_constant(g, last->outputs[0], indices);
    tensor_unref(indices);
    graph_node *node = constant >= 0 ? graph_node_create(op, last->name, 2, 1) : NULL;
    if (!node || !graph_add_attr_int(node, "axis", 1)) {
        graph_node_free(node);
        return cnn_fail_memory(err, sizeof(*node));
    }
    node->inputs[0] = x;
    node->inputs[1] = constant;
    rewrite_replace(g, last, node);
    return CNN_OK;
}

cnn_status pass_channel_shuffle(graph *g, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->node_count; i++) {
        int x;
        int64_t groups = match(g, g->nodes[i], &x);
        if (groups > 1) status = rewrite(g, g->nodes[i], x, groups, err);
    }
    return status;
}
