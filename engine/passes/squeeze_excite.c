/*
 * Squeeze-and-excite (Hu et al. 2018, arXiv:1709.01507):
 *
 *   x * gate(dense(hidden(dense(GlobalAveragePool(x)))))  ->  SqueezeExcite(x)
 *
 * where `dense` is a Conv of one pixel or a Gemm, with its activation in its epilogue, and with
 * Reshape and its kin in between. Nobody else may need the steps.
 */
#include "ops/squeeze_excite.h"
#include "ops/lower.h"
#include "passes/rewrite.h"

/* A matrix product with one vector for each image. */
typedef struct dense {
    int input, weights, bias; /* bias -1: none */
    int64_t in, out;
    act_params act;
} dense;

typedef struct squeeze_excite {
    int x;
    dense squeeze, excite;
} squeeze_excite;

/* True for (N, C), perhaps with further axes of 1. */
static bool is_vectors(const cnn_shape *shape, int64_t n, int64_t c) {
    bool is = shape->rank >= 2 && shape->dims[0] == n && shape->dims[1] == c;
    for (int i = 2; i < shape->rank; i++)
        is = is && shape->dims[i] == 1;
    return is;
}

static bool is_view(const graph_node *node) {
    static const char *const views[] = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"};
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++)
        if (rewrite_is(node, views[i])) return true;
    return false;
}

/* The node that makes `value` but for its shape, if nobody else needs it. */
static graph_node *sole_producer(const graph *g, int value) {
    graph_node *node = rewrite_sole_producer(g, value, NULL);
    while (node && is_view(node))
        node = rewrite_sole_producer(g, node->inputs[0], NULL);
    return node;
}

/* True for a product by one pixel, of one group: neither window nor padding matter. */
static bool is_pixel_conv(const graph *g, const graph_node *node) {
    op_window window;
    if (!rewrite_is(node, "Conv") || graph_attr_int(node, "group", 1) != 1) return false;
    const cnn_shape *x = rewrite_shape(g, node->inputs[0]), *w = rewrite_shape(g, node->inputs[1]);
    if (w->rank != 4 || w->dims[2] != 1 || w->dims[3] != 1 ||
        op_window_read(node, x, w->dims + 2, &window, NULL) != CNN_OK)
        return false;
    for (int i = 0; i < 2; i++)
        if (window.in[i] != 1 || window.pad_begin[i] != 0 || window.pad_end[i] != 0) return false;
    return true;
}

static bool is_plain_gemm(const graph_node *node) {
    return rewrite_is(node, "Gemm") && !graph_attr_int(node, "transA", 0) &&
           graph_attr_int(node, "transB", 0) && graph_attr_float(node, "alpha", 1) == 1 &&
           graph_attr_float(node, "beta", 1) == 1;
}

static bool match_dense(const graph *g, const graph_node *node, dense *out) {
    if (!node || (!is_plain_gemm(node) && !is_pixel_conv(g, node)) || node->fused.residual >= 0)
        return false;
    *out = (dense){.input = node->inputs[0],
                   .weights = node->inputs[1],
                   .bias = node->input_count > 2 ? node->inputs[2] : -1,
                   .act = {node->fused.act, node->fused.alpha, node->fused.beta}};
    const tensor *w = op_constant(g, node, 1), *b = op_constant(g, node, 2);
    if (!w || w->dtype != CNN_FLOAT32 || w->elements == 0 || (out->bias >= 0 && !b)) return false;
    out->in = w->shape.dims[1];
    out->out = w->shape.dims[0];
    return !b || (op_is_bias(b, (size_t)out->out) && (int64_t)b->elements == out->out);
}

/* True if operand `i` of the product is a gate for the other one. */
static bool match_gate(const graph *g, const graph_node *product, size_t i, squeeze_excite *out) {
    int gate = product->inputs[i];
    out->x = product->inputs[1 - i];
    const cnn_shape *x = rewrite_shape(g, out->x), *y = rewrite_shape(g, product->outputs[0]);
    if (!rewrite_is_float(g, out->x) || x->rank != 4 || !cnn_shape_equal(x, y) ||
        !is_vectors(rewrite_shape(g, gate), x->dims[0], x->dims[1]) ||
        rewrite_shape(g, gate)->rank != 4 ||
        !match_dense(g, sole_producer(g, gate), &out->excite) ||
        !match_dense(g, sole_producer(g, out->excite.input), &out->squeeze))
        return false;
    const graph_node *pool = sole_producer(g, out->squeeze.input);
    return pool && rewrite_is(pool, "GlobalAveragePool") && pool->inputs[0] == out->x &&
           is_vectors(rewrite_shape(g, out->squeeze.input), x->dims[0], x->dims[1]) &&
           is_vectors(rewrite_shape(g, out->excite.input), x->dims[0], out->squeeze.out) &&
           out->squeeze.in == x->dims[1] && out->excite.in == out->squeeze.out &&
           out->excite.out == x->dims[1] && out->squeeze.out <= SQUEEZE_MAX_HIDDEN;
}

static bool match(const graph *g, const graph_node *node, squeeze_excite *out) {
    return rewrite_is(node, "Mul") && node->inputs[0] != node->inputs[1] &&
           (match_gate(g, node, 1, out) || match_gate(g, node, 0, out));
}

/* What takes the place of the product; NULL when out of memory. */
static graph_node *make_node(const graph_node *product, const squeeze_excite *found) {
    const int inputs[] = {found->x, found->squeeze.weights, found->squeeze.bias,
                          found->excite.weights, found->excite.bias};
    graph_node *node =
        graph_node_create(&op_squeeze_excite, product->name, ARRAY_LENGTH(inputs), 1);
    if (!node || !squeeze_set_act(node, SQUEEZE_HIDDEN, found->squeeze.act) ||
        !squeeze_set_act(node, SQUEEZE_GATE, found->excite.act)) {
        graph_node_free(node);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(inputs); i++)
        node->inputs[i] = inputs[i];
    node->fused = product->fused;
    return node;
}

cnn_status pass_squeeze_excite(graph *g, cnn_error *err) {
    for (size_t i = 0; i < g->node_count; i++) {
        squeeze_excite found;
        if (!match(g, g->nodes[i], &found)) continue;
        graph_node *node = make_node(g->nodes[i], &found);
        if (!node) return cnn_fail_memory(err, sizeof *node);
        if (lowering_of(g, node))
            rewrite_replace(g, g->nodes[i], node);
        else
            graph_node_free(node);
    }
    return CNN_OK;
}
