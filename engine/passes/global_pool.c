/*
 * ReduceMean and ReduceMax over all spatial axes, and AveragePool and MaxPool with a window as
 * large as the image -> GlobalAveragePool and GlobalMaxPool, with a Reshape behind where the axes
 * are not kept. Several exporters write global pooling in these ways; the kernels know it in one.
 */
#include "passes/rewrite.h"

static bool reduces_planes(const graph *g, const graph_node *node) {
    const cnn_shape *in = rewrite_shape(g, node->inputs[0]);
    unsigned axes;
    if (in->rank < 3 || in->rank > 5 || !rewrite_axes(g, node, in->rank, &axes)) return false;
    return axes == (1u << in->rank) - 4;
}

/* One window, without padding or holes, that covers each plane. */
static bool covers_planes(const graph *g, const graph_node *node) {
    op_window w;
    if (node->output_count > 1 && node->outputs[1] >= 0) return false;
    if (op_window_read(node, rewrite_shape(g, node->inputs[0]), NULL, &w, NULL) != CNN_OK)
        return false;
    for (int i = 0; i < w.spatial; i++)
        if (w.kernel[i] != w.in[i] || w.out[i] != 1 || w.pad_begin[i] || w.pad_end[i] ||
            (w.dilation[i] != 1 && w.kernel[i] > 1))
            return false;
    return true;
}

static const op_def *replacement(const graph *g, const graph_node *node) {
    static const struct {
        const char *op;
        bool (*fits)(const graph *g, const graph_node *node);
        const char *global;
    } rules[] = {
        {"ReduceMean", reduces_planes, "GlobalAveragePool"},
        {"AveragePool", covers_planes, "GlobalAveragePool"},
        {"ReduceMax", reduces_planes, "GlobalMaxPool"},
        {"MaxPool", covers_planes, "GlobalMaxPool"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        if (rewrite_is(node, rules[i].op) && rewrite_is_float(g, node->inputs[0]) &&
            rules[i].fits(g, node))
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

/* The value between the pooling and the Reshape; -1 when out of memory. */
static int add_pooled(graph *g, int input) {
    rewrite_name name;
    int value = graph_add_value(g, rewrite_make_name(g, input, name));
    if (value < 0) return -1;
    graph_value *v = &g->values[value];
    v->dtype = g->values[input].dtype;
    v->shape = g->values[input].shape;
    v->has_shape = true;
    for (int i = 2; i < v->shape.rank; i++)
        v->shape.dims[i] = 1;
    return value;
}

/* The new node goes to the end of the list; the caller sorts. */
static cnn_status rewrite(graph *g, graph_node *old, const op_def *op, cnn_error *err) {
    int input = old->inputs[0];
    bool keeps = rewrite_shape(g, input)->rank == rewrite_shape(g, old->outputs[0])->rank;
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
        const op_def *op = replacement(g, g->nodes[i]);
        cnn_status status = op ? rewrite(g, g->nodes[i], op, err) : CNN_OK;
        if (status != CNN_OK) return status;
    }
    return g->node_count > count ? graph_sort(g, err) : CNN_OK;
}
