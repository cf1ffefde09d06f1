/* The readings of affine.h. */
#include "passes/affine.h"

#include <math.h>
#include <stdlib.h>

bool affine_is_per_channel(const tensor *t, const cnn_shape *out) {
    if (!t || t->dtype != CNN_FLOAT32 || t->shape.rank > out->rank) return false;
    for (int i = 0; i < t->shape.rank; i++) {
        int axis = out->rank - t->shape.rank + i;
        if (t->shape.dims[i] != 1 && (axis != 1 || t->shape.dims[i] != out->dims[1])) return false;
    }
    return t->elements > 0;
}

double affine_channel(const tensor *t, size_t c) {
    return tensor_number(t, t->elements == 1 ? 0 : c);
}

bool affine_norm_fits(const graph *g, const graph_node *node) {
    const cnn_shape *out = rewrite_shape(g, node->outputs[0]);
    if (out->rank < 2) return false;
    for (size_t i = 1; i < 5; i++) {
        const tensor *t = op_constant(g, node, i);
        if (!t || t->dtype != CNN_FLOAT32 || (int64_t)t->elements != out->dims[1]) return false;
    }
    for (size_t i = 1; i < node->output_count; i++)
        if (node->outputs[i] >= 0 && g->values[node->outputs[i]].uses > 0) return false;
    return graph_attr_int(node, "training_mode", 0) == 0;
}

static void read_batch_norm(const graph *g, const graph_node *node, affine *a) {
    const tensor *gamma = op_constant(g, node, 1), *beta = op_constant(g, node, 2);
    const tensor *mean = op_constant(g, node, 3), *variance = op_constant(g, node, 4);
    double epsilon = (double)graph_attr_float(node, "epsilon", 1e-5f);
    for (size_t c = 0; c < a->channels; c++) {
        a->scale[c] = tensor_number(gamma, c) / sqrt(tensor_number(variance, c) + epsilon);
        a->shift[c] = tensor_number(beta, c) - a->scale[c] * tensor_number(mean, c);
    }
}

/* `first`: the constant is the first operand. */
static void read_binary(const graph_node *node, const tensor *t, bool first, affine *a) {
    bool sub = rewrite_is(node, "Sub"), mul = rewrite_is(node, "Mul"),
         div = rewrite_is(node, "Div");
    for (size_t c = 0; c < a->channels; c++) {
        double k = affine_channel(t, c);
        if (mul || div)
            a->scale[c] = mul ? k : 1 / k;
        else
            a->shift[c] = sub && !first ? -k : k;
        if (sub && first) a->scale[c] = -1;
    }
}

static void describe(affine *a) {
    a->finite = true;
    for (size_t c = 0; c < a->channels; c++) {
        a->finite &= isfinite(a->scale[c]) && isfinite(a->shift[c]);
        a->scales |= a->scale[c] != 1;
        a->shifts |= a->shift[c] != 0;
    }
}

static bool is_arithmetic(const graph_node *node) {
    return rewrite_is(node, "Add") || rewrite_is(node, "Sub") || rewrite_is(node, "Mul") ||
           rewrite_is(node, "Div");
}

bool affine_is(const graph *g, const graph_node *node, size_t i) {
    bool norm = rewrite_is(node, "BatchNormalization") && i == 0;
    if (node->fused.act != ACT_NONE || (!norm && !is_arithmetic(node))) return false;
    const cnn_shape *out = rewrite_shape(g, node->outputs[0]);
    if (out->rank < 2 || !rewrite_is_float(g, node->inputs[i]) ||
        !cnn_shape_equal(out, rewrite_shape(g, node->inputs[i])))
        return false;
    if (norm) return affine_norm_fits(g, node);
    if (rewrite_is(node, "Div") && i == 1) return false; /* a reciprocal */
    return affine_is_per_channel(op_constant(g, node, 1 - i), out);
}

cnn_status affine_read(const graph *g, const graph_node *node, size_t i, affine *out,
                       cnn_error *err) {
    affine a = {.channels = (size_t)rewrite_shape(g, node->outputs[0])->dims[1]};
    a.scale = malloc((2 * a.channels + 1) * sizeof *a.scale);
    if (!a.scale) return cnn_fail_memory(err, (2 * a.channels + 1) * sizeof *a.scale);
    a.shift = a.scale + a.channels;
    for (size_t c = 0; c < a.channels; c++) {
        a.scale[c] = 1;
        a.shift[c] = 0;
    }
    if (rewrite_is(node, "BatchNormalization"))
        read_batch_norm(g, node, &a);
    else
        read_binary(node, op_constant(g, node, 1 - i), i == 1, &a);
    describe(&a);
    *out = a;
    return CNN_OK;
}

void affine_free(affine *a) {
    free(a->scale);
    *a = (affine){0};
}
