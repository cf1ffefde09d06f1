/*
 * ReduceMean, ReduceMax and ReduceL2 over all spatial axes, also behind a Transpose that puts the
 * channels last, and AveragePool and MaxPool with a window as large as the image ->
 * GlobalAveragePool, GlobalMaxPool and GlobalLpPool (p = 2 where it is not said), with a Reshape
 * behind where the axes are not kept or the channels come last.
 * Several exporters write global pooling in these ways; the kernels know it in one.
 */
#include "passes/rewrite.h"

/* True for a Transpose (NULL: another node) of N, C, ... to N, ..., C. */
static bool puts_channels_last(const graph_node *node, int rank) {
    const attr *perm = node ? graph_attr(node, "perm") : NULL;
    if (!perm || perm->count != (size_t)rank || perm->ints[0] != 0 || perm->ints[rank - 1] != 1)
        return false;
    for (int i = 1; i < rank - 1; i++)
        if (perm->ints[i] != i + 1) return false;
    return true;
}

/* The value whose planes a reduction covers; -1: there is none. */
static int reduced_planes(const graph *g, const graph_node *node) {
    int rank = rewrite_shape(g, node->inputs[0])->rank;
    unsigned axes;
    if (rank < 3 || rank > 5 || !rewrite_axes(g, node, rank, &axes)) return -1;
    if (axes == (1u << rank) - 4) return node->inputs[0];
    const graph_node *before = rewrite_producer(g, node->inputs[0], "Transpose");
    return axes == (1u << (rank - 1)) - 2 && puts_channels_last(before, rank) ? before->inputs[0]
                                                                              : -1;
}

/* The input, if one window, without padding or holes, covers each of its planes; else -1. */
static int covered_planes(const graph *g, const graph_node *node) {
    op_window w;
    if (node->output_count > 1 && node->outputs[1] >= 0) return -1;
    if (op_window_read(node, rewrite_shape(g, node->inputs[0]), NULL, &w, NULL) != CNN_OK)
        return -1;
    for (int i = 0; i < w.spatial; i++)
        if (w.kernel[i] != w.in[i] || w.out[i] != 1 || w.pad_begin[i] || w.pad_end[i] ||
            (w.dilation[i] != 1 && w.kernel[i] > 1))
            return -1;
    return node->inputs[0];
}

/* What pools all planes of *input as the node does; NULL: nothing. */
static const op_def *replacement(const graph *g, const graph_node *node, int *input) {
    static const struct {
        const char *op;
        int (*planes)(const graph *g, const graph_node *node);
        const char *global;
    } rules[] = {
        {"ReduceMean", reduced_planes, "GlobalAveragePool"},
        {"AveragePool", covered_planes, "GlobalAveragePool"},
        {"ReduceMax", reduced_planes, "GlobalMaxPool"},
        {"MaxPool", covered_planes, "GlobalMaxPool"},
        {"ReduceL2", reduced_planes, "GlobalLpPool"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        if (rewrite_is(node, rules[i].op) && rewrite_is_float(g, node->inputs[0]) &&
            (*input = rules[i].planes(g, node)) >= 0)
            return op_find("", rules[i].global, g->opset);
    return NULL;
}

/* A Reshape of `value` to the shape of old's output; NULL when out of memory. */
static graph_node *make_reshape(graph *g, const graph_node *old, int value) {
    const op_def *op = op_find("", "Reshape", MAX(g->opset, 5));
    cnn_shape to = *rewrite_shape(g, old->outputs[0]), shape = {.rank = 1, .dims = {to.rank}};
    tensor *t = NULL;
    graph_node *node = op ? graph_node_create(op, old->name, 2, 1) : NULL;
    if (!node || tensor_create(CNN_INT64, &shape, &t, NULL) != CNN_OK) goto fail;
    for (int i = 0; i < to.rank; i++)
        ((int64_t *)t->data)[i] = to.dims[i];
    node->inputs[0] = value;
    node->inputs[1] = rewrite_add_constant(g, value, t);
    tensor_unref(t);
    if (node->inputs[1] >= 0) return node;
fail:
    graph_node_free(node);
    return NULL;
}

/* The shape of what global pooling makes of `input`. */
static cnn_shape pooled_shape(const graph *g, int input) {
    cnn_shape shape = *rewrite_shape(g, input);
    for (int i = 2; i < shape.rank; i++)
        shape.dims[i] = 1;
    return shape;
}

/* The value between the pooling and the Reshape; -1 when out of memory. */
static int add_pooled(graph *g, int input) {
    rewrite_name name;
    int value = graph_add_value(g, rewrite_make_name(g, input, name));
    if (value < 0) return -1;
    graph_value *v = &g->values[value];
    v->dtype = g->values[input].dtype;
    v->shape = pooled_shape(g, input);
    v->has_shape = true;
    return value;
}

/* The new node goes to the end of the list; the caller sorts. */
static cnn_status rewrite(graph *g, graph_node *old, const op_def *op, int input, cnn_error *err) {
    cnn_shape shape = pooled_shape(g, input);
    bool keeps = cnn_shape_equal(&shape, rewrite_shape(g, old->outputs[0]));
    graph_node *pool = graph_node_create(op, old->name, 1, 1), *reshape = NULL;
    int pooled = -1;
    if (!pool) return cnn_fail_memory(err, sizeof *pool);
    pool->inputs[0] = input;
    pool->origin = old->origin;
    if (keeps) {
        rewrite_replace(g, old, pool);
        return CNN_OK;
    }
    if ((pooled = add_pooled(g, input)) < 0 || !(reshape = make_reshape(g, old, pooled))) goto fail;
    pool->outputs[0] = pooled;
    if (!graph_add_node(g, pool)) goto fail;
    g->values[input].uses++;
    rewrite_replace(g, old, reshape);
    return CNN_OK;
fail:
    graph_node_free(pool);
    graph_node_free(reshape);
    return cnn_fail_memory(err, sizeof *pool);
}

cnn_status pass_global_pool(graph *g, cnn_error *err) {
    size_t count = g->node_count;
    for (size_t i = 0; i < count; i++) {
        int input;
        const op_def *op = replacement(g, g->nodes[i], &input);
        cnn_status status = op ? rewrite(g, g->nodes[i], op, input, err) : CNN_OK;
        if (status != CNN_OK) return status;
    }
    return g->node_count > count ? graph_sort(g, err) : CNN_OK;
}
