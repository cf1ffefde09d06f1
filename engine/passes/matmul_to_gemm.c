/*
 * MatMul by a constant matrix, plus a constant row -> Gemm with that bias. This is how several
 * exporters write a fully connected layer. As in MatMul, and unlike in files, the first operand may
 * have more than two axes.
 */
#include "passes/rewrite.h"

/* The MatMul behind operand `i` of the Add, if Add's other operand is one number per column. */
static graph_node *match(const graph *g, const graph_node *add, size_t i) {
    graph_node *product = rewrite_sole_producer(g, add->inputs[i], "MatMul");
    const tensor *row = op_constant(g, add, 1 - i);
    if (!product || !row || row->dtype != CNN_FLOAT32 || !op_constant(g, product, 1) ||
        !rewrite_is_float(g, product->inputs[0]))
        return NULL;
    const cnn_shape *a = rewrite_shape(g, product->inputs[0]);
    const cnn_shape *b = rewrite_shape(g, product->inputs[1]);
    const cnn_shape *out = rewrite_shape(g, add->outputs[0]);
    if (a->rank < 2 || b->rank != 2 || !cnn_shape_equal(out, rewrite_shape(g, product->outputs[0])))
        return NULL;
    int64_t columns = row->shape.rank > 0 ? row->shape.dims[row->shape.rank - 1] : 1;
    bool fits = row->shape.rank <= out->rank && (int64_t)row->elements == columns &&
                (columns == 1 || columns == out->dims[out->rank - 1]);
    return fits ? product : NULL;
}

static cnn_status rewrite(graph *g, graph_node *add, size_t i, const op_def *gemm, cnn_error *err) {
    graph_node *product = match(g, add, i);
    if (!product) return CNN_OK;
    graph_node *node = graph_node_create(gemm, product->name, 3, 1);
    if (!node) return cnn_fail_memory(err, sizeof *node);
    node->inputs[0] = product->inputs[0];
    node->inputs[1] = product->inputs[1];
    node->inputs[2] = add->inputs[1 - i];
    rewrite_replace(g, add, node);
    node->origin = product->origin;
    return CNN_OK;
}

cnn_status pass_matmul_to_gemm(graph *g, cnn_error *err) {
    /* Since version 7 a bias is broadcast without saying so. */
    const op_def *gemm = op_find("", "Gemm", MAX(g->opset, 7));
    cnn_status status = CNN_OK;
    for (size_t n = 0; gemm && status == CNN_OK && n < g->node_count; n++)
        for (size_t i = 0; i < 2 && status == CNN_OK; i++)
            if (rewrite_is(g->nodes[n], "Add")) status = rewrite(g, g->nodes[n], i, gemm, err);
    return status;
}
