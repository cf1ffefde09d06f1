/*
 * Constant folding: nodes that compute constants from constants are dropped, and their results
 * computed once or, in a model's own graph, if they are large, when a plan needs them (derived.c).
 *
 * A constant is released as soon as its last user has been folded away, which keeps the peak at one
 * converted tensor rather than at two copies of the weights. Folding is bounded in bytes and in
 * multiply-accumulates, because both are the file's choice. What exceeds the bounds is not an
 * error: the node simply stays and runs with the others.
 */
#include "graph/fold.h"
#include "graph/derived.h"

#include <stdlib.h>

struct folding {
    bool derives; /* keeps how to compute large results, in place of them */
    const tensor *in[GRAPH_MAX_NODE_ARGS];
    tensor *loaded[GRAPH_MAX_NODE_ARGS]; /* copies of inputs without data */
    tensor *out[GRAPH_MAX_NODE_ARGS];
};

/* Constants of the graph, and of its Constant nodes. */
static size_t bytes_held(const graph *g) {
    size_t held = 0;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i].constant) held += g->values[i].constant->bytes;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t j = 0; j < g->nodes[i]->attr_count; j++)
            if (g->nodes[i]->attrs[j].tensor) held += g->nodes[i]->attrs[j].tensor->bytes;
    return held;
}

static size_t bytes_allowed(const graph *g) {
    size_t held = bytes_held(g), bytes;
    if (!cnn_mul_size(held, FOLDING_MULTIPLE, &bytes) ||
        !cnn_add_size(bytes, FOLDING_ALLOWANCE, &bytes))
        return SIZE_MAX;
    return bytes;
}

folding *folding_create(graph *g) {
    if (!g->budget.known) g->budget = (fold_budget){true, bytes_allowed(g), FOLDING_MACS};
    return calloc(1, sizeof(folding));
}

void folding_free(folding *f) {
    free(f);
}

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
static bool afford(graph *g, const graph_node *node, const folding *f) {
    size_t bytes = 0, elements, each;
    for (size_t i = 0; i < node->input_count; i++)
        if (f->in[i] && !cnn_add_size(bytes, f->in[i]->bytes, &bytes)) return false;
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] < 0) continue;
        const graph_value *v = &g->values[node->outputs[i]];
        size_t item = cnn_dtype_size(v->dtype);
        if (item == 0 || !cnn_shape_elements(&v->shape, &elements) ||
            !cnn_mul_size(elements, item, &each) || !cnn_add_size(bytes, each, &bytes))
            return false;
    }
    uint64_t macs = node->op->macs ? node->op->macs(g, node) : 0;
    if (bytes > g->budget.bytes || macs > g->budget.macs) return false;
    g->budget.bytes -= bytes;
    g->budget.macs -= macs;
    return true;
}

static void release_outputs(const graph_node *node, folding *f) {
    for (size_t i = 0; i < node->output_count; i++) {
        tensor_unref(f->out[i]);
        f->out[i] = NULL;
    }
}

/* Replaces what has no data in f->in. */
static cnn_status load_inputs(const graph_node *node, folding *f, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < node->input_count; i++)
        if (f->in[i] && !f->in[i]->data) {
            status = tensor_load(f->in[i], &f->loaded[i], err);
            f->in[i] = f->loaded[i];
        }
    return status;
}

static void release_inputs(const graph_node *node, folding *f) {
    for (size_t i = 0; i < node->input_count; i++) {
        tensor_unref(f->loaded[i]);
        f->loaded[i] = NULL;
    }
}

/* Makes the output of a node a constant that is still to be computed, if that is worth it. */
static cnn_status derive(graph *g, const graph_node *node, const folding *f, bool *done,
                         cnn_error *err) {
    derivation *from = NULL;
    tensor *t = NULL;
    cnn_status status = derivation_create(g, node, f->in, &from, err);
    *done = from != NULL;
    if (status != CNN_OK || !from) return status;
    const graph_value *v = &g->values[node->outputs[0]];
    status = tensor_derive(v->dtype, &v->shape, from, &t, err);
    if (status != CNN_OK) {
        derivation_free(from);
        return status;
    }
    graph_set_constant(g, node->outputs[0], t);
    tensor_unref(t);
    return CNN_OK;
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

/* Cuts a folded node loose from its values. */
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

cnn_status folding_apply(folding *f, graph *g, graph_node *node, cnn_error *err) {
    if (!all_outputs_constant(g, node)) {
        if (!node->op->eval || !constant_inputs(g, node, f) || !afford(g, node, f)) return CNN_OK;
        bool done = false;
        cnn_status status = f->derives ? derive(g, node, f, &done, err) : CNN_OK;
        if (status == CNN_OK && !done) status = load_inputs(node, f, err);
        if (status == CNN_OK && !done) status = compute(g, node, f, err);
        release_inputs(node, f);
        if (status != CNN_OK) return status;
    }
    detach(g, node);
    return CNN_OK;
}

/* Worth folding: every input is constant, and somebody uses a result. */
static bool is_candidate(const graph *g, const graph_node *node) {
    bool used = false;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] >= 0 && !g->values[node->inputs[i]].constant) return false;
    for (size_t i = 0; !used && i < node->output_count; i++)
        used = node->outputs[i] >= 0 && g->values[node->outputs[i]].uses > 0;
    return used;
}

cnn_status graph_fold_constants(graph *g, cnn_error *err) {
    folding *f = folding_create(g);
    cnn_status status = CNN_OK;
    if (!f) return cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory while folding constants");
    f->derives = true;
    graph_update_uses(g);
    for (size_t i = 0; status == CNN_OK && i < g->node_count; i++) {
        graph_node *node = g->nodes[i];
        if (node->op == &op_choice && op_constant(g, node, 0))
            (void)op_choose(g, node, NULL); /* graph_bind says what is wrong with it */
        /* What cannot be inferred is left for graph_bind to name, if it is needed at all. */
        if (is_candidate(g, node) && graph_infer(g, node, NULL) == CNN_OK)
            status = folding_apply(f, g, node, err);
    }
    folding_free(f);
    graph_drop_detached_nodes(g);
    return status;
}
