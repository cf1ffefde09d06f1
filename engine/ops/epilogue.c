/* Which nodes kernels can apply to their results: the activations that an epilogue knows. */
#include "ops/op.h"

#include <math.h>
#include <string.h>

/* A bound of Clip: input `i` from version 11 on, attribute `name` before. */
static bool read_bound(const graph *g, const graph_node *node, size_t i, const char *name,
                       float fallback, float *out) {
    if (node->op->since < 11) {
        *out = graph_attr_float(node, name, fallback);
        return true;
    }
    *out = fallback;
    if (i >= node->input_count || node->inputs[i] < 0) return true;
    const tensor *t = op_constant(g, node, i);
    if (!t || t->dtype != CNN_FLOAT32 || t->elements != 1) return false;
    *out = *(const float *)t->data;
    return true;
}

bool op_activation(const graph *g, const graph_node *node, epilogue *out) {
    const char *name = node->op->name;
    *out = (epilogue){.residual = -1};
    if (*node->op->domain) return false;
    if (strcmp(name, "Relu") == 0)
        out->act = ACT_RELU;
    else if (strcmp(name, "Sigmoid") == 0)
        out->act = ACT_SIGMOID;
    else if (strcmp(name, "HardSwish") == 0)
        out->act = ACT_HARD_SWISH;
    else if (strcmp(name, "Gelu") == 0) {
        out->act = ACT_GELU;
        return strcmp(graph_attr_string(node, "approximate", "none"), "none") == 0;
    } else if (strcmp(name, "LeakyRelu") == 0) {
        out->act = ACT_LEAKY_RELU;
        out->alpha = graph_attr_float(node, "alpha", 0.01f);
    } else if (strcmp(name, "HardSigmoid") == 0) {
        out->act = ACT_HARD_SIGMOID;
        out->alpha = graph_attr_float(node, "alpha", 0.2f);
        out->beta = graph_attr_float(node, "beta", 0.5f);
    } else if (strcmp(name, "Clip") == 0) {
        out->act = ACT_CLIP;
        return read_bound(g, node, 1, "min", -INFINITY, &out->alpha) &&
               read_bound(g, node, 2, "max", INFINITY, &out->beta);
    } else
        return false;
    return true;
}
