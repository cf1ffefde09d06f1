/*
 * Binding: concrete input shapes in, a type and a shape for every live value out.
 *
 * One walk in execution order. After a node's shapes are inferred, a node whose inputs are all
 * constant is computed on the spot and dropped; so shape arithmetic, casts of weights and the like
 * are gone before anybody plans. A constant is released as soon as its last user has been folded
 * away, which keeps the peak at one converted tensor rather than at two copies of the weights.
 *
 * Folding is bounded in bytes and in multiply-accumulates, because both are the file's choice. What
 * exceeds the bounds is not an error: the node simply stays and runs with the others. Values whose
 * extents depend on data that is known only at run time (NonZero and its like) are refused.
 */
#include "graph/graph.h"
#include "ops/op.h"

#include <stdlib.h>

/* What one graph_bind may make constant: bytes of results, multiply-accumulates spent. */
#define MAX_FOLDED_BYTES ((size_t)2 << 30)
#define MAX_FOLDED_MACS  (UINT64_C(1) << 30)

typedef struct folding {
    size_t bytes_left;
    uint64_t macs_left;
    const tensor *in[GRAPH_MAX_NODE_ARGS];
    tensor *out[GRAPH_MAX_NODE_ARGS];
} folding;

/* ---- inputs ---- */

static cnn_status fail_symbolic(const graph_value *input, int axis, cnn_error *err) {
    return cnn_fail(err, CNN_INVALID_ARGUMENT,
                    "input '%.100s': the model leaves the extent of axis %d open; give the input's "
                    "shape",
                    input->name, axis);
}

/* The shape that the model itself gives: only a first extent may be open, and is then 1. */
static cnn_status own_shape(const graph_value *input, cnn_shape *out, cnn_error *err) {
    if (!input->has_shape)
        return cnn_fail(err, CNN_INVALID_ARGUMENT,
                        "input '%.100s': the model does not say its shape; give one", input->name);
    *out = input->shape;
    for (int i = 0; i < out->rank; i++) {
        if (out->dims[i] >= 0) continue;
        if (i > 0) return fail_symbolic(input, i, err);
        out->dims[i] = 1;
    }
    return CNN_OK;
}

/* Whether `given` is concrete and agrees with whatever the model says. */
static cnn_status check_shape(const graph_value *input, const cnn_shape *given, cnn_error *err) {
    char want[128], got[128];
    if (given->rank < 0 || given->rank > CNN_MAX_RANK)
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "input '%.100s': rank %d is outside 0 to %d",
                        input->name, given->rank, CNN_MAX_RANK);
    bool fits = !input->has_shape || input->shape.rank == given->rank;
    for (int i = 0; fits && input->has_shape && i < given->rank; i++)
        fits = input->shape.dims[i] < 0 || input->shape.dims[i] == given->dims[i];
    cnn_shape_text(given, got, sizeof got);
    if (!fits)
        return cnn_fail(err, CNN_INVALID_ARGUMENT,
                        "input '%.100s': shape %s does not fit the model's %s", input->name, got,
                        cnn_shape_text(&input->shape, want, sizeof want));
    for (int i = 0; i < given->rank; i++)
        if (given->dims[i] < 0)
            return cnn_fail(err, CNN_INVALID_ARGUMENT,
                            "input '%.100s': shape %s leaves axis %d open", input->name, got, i);
    return CNN_OK;
}

static cnn_status check_size(const graph_value *input, const cnn_shape *shape, cnn_error *err) {
    char text[128];
    size_t elements, bytes, item = cnn_dtype_size(input->dtype);
    if (item == 0)
        return cnn_fail(err, CNN_UNSUPPORTED, "input '%.100s': element type %s is not supported",
                        input->name, cnn_dtype_name(input->dtype));
    bool fits = cnn_shape_elements(shape, &elements) && cnn_mul_size(elements, item, &bytes) &&
                bytes <= GRAPH_MAX_TENSOR_BYTES;
    for (int i = 0; fits && i < shape->rank; i++)
        fits = shape->dims[i] <= GRAPH_MAX_EXTENT;
    if (!fits)
        return cnn_fail(err, CNN_LIMIT, "input '%.100s': shape %s is larger than %zu bytes",
                        input->name, cnn_shape_text(shape, text, sizeof text),
                        GRAPH_MAX_TENSOR_BYTES);
    return CNN_OK;
}

static cnn_status bind_inputs(graph *g, const cnn_shape *given, cnn_error *err) {
    for (size_t i = 0; i < g->input_count; i++) {
        graph_value *input = &g->values[g->inputs[i]];
        cnn_shape shape;
        cnn_status status = CNN_OK;
        if (given)
            status = check_shape(input, &given[i], err);
        else
            status = own_shape(input, &shape, err);
        if (status != CNN_OK) return status;
        if (given) shape = given[i];
        if ((status = check_size(input, &shape, err)) != CNN_OK) return status;
        input->shape = shape;
        input->has_shape = true;
    }
    return CNN_OK;
}

/* ---- shapes ---- */

/* Behind infer every present output must have a type and concrete extents. */
static cnn_status check_outputs(const graph *g, const graph_node *node, cnn_error *err) {
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] < 0) continue;
        const graph_value *v = &g->values[node->outputs[i]];
        size_t elements;
        if (!v->has_shape || v->dtype == 0 || !cnn_shape_elements(&v->shape, &elements))
            return op_fail(node, err, CNN_UNSUPPORTED,
                           "the shape of '%.100s' is not known before the model runs", v->name);
    }
    return CNN_OK;
}

static cnn_status infer(graph *g, graph_node *node, cnn_error *err) {
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0)
            g->values[node->outputs[i]].has_shape = false; /* what the file claims is not used */
    cnn_status status = node->op->infer(g, node, err);
    return status == CNN_OK ? check_outputs(g, node, err) : status;
}

/* ---- folding ---- */

static bool all_outputs_constant(const graph *g, const graph_node *node) {
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0 && !g->values[node->outputs[i]].constant) return false;
    return true;
}

/* Collects the inputs in f->in; false if one of them is not constant. */
static bool constant_inputs(const graph *g, const graph_node *node, folding *f) {
    if (node->input_count > GRAPH_MAX_NODE_ARGS || node->output_count > GRAPH_MAX_NODE_ARGS)
        return false;
    for (size_t i = 0; i < node->input_count; i++) {
        f->in[i] = node->inputs[i] < 0 ? NULL : g->values[node->inputs[i]].constant;
        if (node->inputs[i] >= 0 && !f->in[i]) return false;
    }
    return true;
}

/* Takes what the node costs off the budget; false, nothing being taken, if it is too much. */
static bool afford(const graph *g, const graph_node *node, folding *f) {
    size_t bytes = 0, elements, each;
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] < 0) continue;
        const graph_value *v = &g->values[node->outputs[i]];
        size_t item = cnn_dtype_size(v->dtype);
        if (item == 0 || !cnn_shape_elements(&v->shape, &elements) ||
            !cnn_mul_size(elements, item, &each) || !cnn_add_size(bytes, each, &bytes))
            return false;
    }
    uint64_t macs = node->op->macs ? node->op->macs(g, node) : 0;
    if (bytes > f->bytes_left || macs > f->macs_left) return false;
    f->bytes_left -= bytes;
    f->macs_left -= macs;
    return true;
}

static void release_outputs(const graph_node *node, folding *f) {
    for (size_t i = 0; i < node->output_count; i++) {
        tensor_unref(f->out[i]);
        f->out[i] = NULL;
    }
}

/* Computes a node whose inputs stand in f->in and makes its outputs constants. */
static cnn_status compute(graph *g, const graph_node *node, folding *f, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; i < node->output_count; i++)
        f->out[i] = NULL;
    for (size_t i = 0; status == CNN_OK && i < node->output_count; i++)
        if (node->outputs[i] >= 0) {
            const graph_value *v = &g->values[node->outputs[i]];
            status = tensor_create(v->dtype, &v->shape, &f->out[i], err);
        }
    if (status == CNN_OK) {
        node->op->eval(node, f->in, f->out);
        for (size_t i = 0; i < node->output_count; i++)
            if (node->outputs[i] >= 0) graph_set_constant(g, node->outputs[i], f->out[i]);
    }
    release_outputs(node, f);
    return status;
}

static void unuse(graph *g, int value) {
    if (value < 0) return;
    graph_value *v = &g->values[value];
    if (--v->uses == 0 && v->constant) {
        tensor_unref(v->constant);
        v->constant = NULL;
    }
}

/* Cuts a folded node loose from its values; graph_drop_dead_nodes then removes it. */
static void detach(graph *g, graph_node *node) {
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] >= 0) g->values[node->outputs[i]].producer = -1;
        node->outputs[i] = -1;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        unuse(g, node->inputs[i]);
        node->inputs[i] = -1;
    }
}

static cnn_status fold(graph *g, graph_node *node, folding *f, cnn_error *err) {
    if (!all_outputs_constant(g, node)) {
        if (!node->op->eval || !constant_inputs(g, node, f) || !afford(g, node, f)) return CNN_OK;
        cnn_status status = compute(g, node, f, err);
        if (status != CNN_OK) return status;
    }
    detach(g, node);
    return CNN_OK;
}

cnn_status graph_bind(graph *g, const cnn_shape *input_shapes, cnn_error *err) {
    cnn_status status = bind_inputs(g, input_shapes, err);
    if (status != CNN_OK) return status;
    folding *f = calloc(1, sizeof *f);
    if (!f) return cnn_fail_memory(err, sizeof *f);
    f->bytes_left = MAX_FOLDED_BYTES;
    f->macs_left = MAX_FOLDED_MACS;
    graph_drop_dead_nodes(g); /* also counts uses */
    graph_drop_unused_constants(g);
    for (size_t i = 0; status == CNN_OK && i < g->node_count; i++) {
        status = infer(g, g->nodes[i], err);
        if (status == CNN_OK) status = fold(g, g->nodes[i], f, err);
    }
    free(f);
    graph_drop_dead_nodes(g);
    graph_drop_unused_constants(g);
    return status;
}
