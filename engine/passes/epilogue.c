/*
 * Which nodes take an epilogue.
 *
 * Must not say yes where the operator's `lower` leaves the node to its eval, which knows of no
 * epilogue; saying no costs only speed. So each rule here restates the conditions of the lower
 * function that is named with it, or stricter ones.
 */
#include "passes/rewrite.h"

#include <string.h>

/* A float32 value that can be blocked, see plan_can_block. */
static bool is_image(const graph *g, int value) {
    const cnn_shape *shape = rewrite_shape(g, value);
    bool ok = rewrite_is_float(g, value) && shape->rank == 4;
    for (int i = 0; ok && i < 4; i++)
        ok = shape->dims[i] >= 1 && shape->dims[i] <= INT32_MAX / 64;
    return ok;
}

static bool is_float_constant(const graph *g, const graph_node *node, size_t i) {
    const tensor *t = op_constant(g, node, i);
    return t && t->dtype == CNN_FLOAT32;
}

static bool is_absent(const graph_node *node, size_t i) {
    return i >= node->input_count || node->inputs[i] < 0;
}

/* conv_lower */
static bool conv_takes(const graph *g, const graph_node *node) {
    return is_image(g, node->inputs[0]) && is_image(g, node->outputs[0]) &&
           is_float_constant(g, node, 1) && rewrite_shape(g, node->inputs[1])->rank == 4 &&
           (is_absent(node, 2) || is_float_constant(g, node, 2));
}

static bool has_constant_matrix(const graph *g, const graph_node *node) {
    const tensor *b = op_constant(g, node, 1);
    size_t elements;
    return b && b->dtype == CNN_FLOAT32 && b->shape.rank == 2 && b->elements > 0 &&
           rewrite_is_float(g, node->inputs[0]) &&
           cnn_shape_elements(rewrite_shape(g, node->inputs[0]), &elements) && elements > 0;
}

/* gemm_lower */
static bool gemm_takes(const graph *g, const graph_node *node) {
    if (!has_constant_matrix(g, node) || graph_attr_int(node, "transA", 0) != 0) return false;
    if (is_absent(node, 2)) return true;
    const tensor *c = op_constant(g, node, 2);
    const cnn_shape *out = rewrite_shape(g, node->outputs[0]);
    if (!c || c->dtype != CNN_FLOAT32) return false;
    return c->elements == 1 || ((int64_t)c->elements == out->dims[1] && c->shape.rank >= 1 &&
                                c->shape.dims[c->shape.rank - 1] == out->dims[1]);
}

/* matmul_lower */
static bool matmul_takes(const graph *g, const graph_node *node) {
    return has_constant_matrix(g, node);
}

/* batch_normalization_lower */
static bool batch_norm_takes(const graph *g, const graph_node *node) {
    bool ok = is_image(g, node->inputs[0]) && node->output_count == 1;
    for (size_t i = 1; ok && i < 5; i++)
        ok = is_float_constant(g, node, i);
    return ok;
}

/* A (C, 1, 1), (1, C, 1, 1) or (N, C, 1, 1) operand, the first one constant. */
static bool is_per_channel(const graph *g, int value, const cnn_shape *out) {
    const cnn_shape *shape = rewrite_shape(g, value);
    if (shape->rank != 4 && !(shape->rank == 3 && g->values[value].constant)) return false;
    const int64_t *d = shape->dims + shape->rank - 3;
    bool batch = shape->rank == 3 || shape->dims[0] == 1 || shape->dims[0] == out->dims[0];
    return batch && d[0] == out->dims[1] && d[1] == 1 && d[2] == 1;
}

/* binary_lower; quotients by channel may need whole blocks, so they are left out */
static bool binary_takes(const graph *g, const graph_node *node) {
    int result = node->outputs[0], a = node->inputs[0];
    if (node->input_count != 2 || a < 0 || node->inputs[1] < 0 || !rewrite_is_float(g, result))
        return false;
    const cnn_shape *out = rewrite_shape(g, result);
    int other = node->inputs[1];
    if (!cnn_shape_equal(rewrite_shape(g, a), out)) {
        other = a;
        a = node->inputs[1];
    }
    size_t elements;
    const cnn_shape *shape = rewrite_shape(g, other);
    if (!cnn_shape_equal(rewrite_shape(g, a), out) || !cnn_shape_elements(shape, &elements))
        return false;
    if (cnn_shape_equal(shape, out) || elements == 1) return true;
    return is_image(g, result) && is_per_channel(g, other, out) && !rewrite_is(node, "Div");
}

bool epilogue_taken(const graph *g, const graph_node *node, bool residual) {
    static const struct {
        const char *op;
        bool (*takes)(const graph *g, const graph_node *node);
        bool residual;
    } rules[] = {
        {"Conv", conv_takes, true},      {"Gemm", gemm_takes, false},
        {"MatMul", matmul_takes, false}, {"BatchNormalization", batch_norm_takes, false},
        {"Add", binary_takes, false},    {"Sub", binary_takes, false},
        {"Mul", binary_takes, false},    {"Div", binary_takes, false},
        {"Sum", binary_takes, false},
    };
    if (node->fused.act != ACT_NONE || (residual && node->fused.residual >= 0)) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        if (rewrite_is(node, rules[i].op))
            return (rules[i].residual || !residual) && rules[i].takes(g, node);
    return false;
}
