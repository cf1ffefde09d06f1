/*
 * Binding: concrete input shapes in, a type and a shape for every live value out.
 *
 * One walk from the outputs back, which infers a node when its inputs have been. A choice is made
 * as soon as its condition is known, so that the walk goes on to one branch only. After a node's
 * shapes are inferred, a node whose inputs are all constant is folded; so shape arithmetic, casts
 * of weights and the like are gone before anybody plans. The walk has its own stack, because the
 * depth of a graph is the file's choice. Values whose extents depend on data that is known only at
 * run time (NonZero and its like) are refused.
 */
#include "graph/fold.h"

#include <stdlib.h>

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

static cnn_status bind_input(graph_value *input, const cnn_shape *given, cnn_error *err) {
    cnn_shape shape;
    cnn_status status = given ? check_shape(input, given, err) : own_shape(input, &shape, err);
    if (status == CNN_OK) status = check_size(input, given ? given : &shape, err);
    if (status != CNN_OK) return status;
    input->shape = given ? *given : shape;
    input->has_shape = true;
    return CNN_OK;
}

/* What is fixed is an input no more. */
static cnn_status bind_inputs(graph *g, const cnn_shape *given, cnn_error *err) {
    size_t fed = 0;
    for (size_t i = 0; i < g->input_count; i++) {
        graph_value *input = &g->values[g->inputs[i]];
        if (input->constant) continue;
        cnn_status status = bind_input(input, given ? &given[i] : NULL, err);
        if (status != CNN_OK) return status;
        g->inputs[fed++] = g->inputs[i];
    }
    g->input_count = fed;
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

cnn_status graph_infer(graph *g, graph_node *node, cnn_error *err) {
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0)
            g->values[node->outputs[i]].has_shape = false; /* what the file claims is not used */
    cnn_status status = node->op->infer(g, node, err);
    return status == CNN_OK ? check_outputs(g, node, err) : status;
}

/* Somebody may ask for a value that nobody makes any more. */
static cnn_status check_graph_outputs(const graph *g, cnn_error *err) {
    for (size_t i = 0; i < g->output_count; i++) {
        const graph_value *v = &g->values[g->outputs[i]];
        bool fed = false;
        for (size_t j = 0; !fed && j < g->input_count; j++)
            fed = g->inputs[j] == g->outputs[i];
        if (!fed && !v->constant && v->producer < 0 && v->refusal < 0)
            return cnn_fail(err, CNN_NOT_FOUND, "tensor '%.100s' is not computed by the model",
                            v->name);
    }
    return CNN_OK;
}

/* ---- the walk ---- */

enum { UNSEEN, OPEN, DONE, FAILED };

typedef struct frame {
    int node;
    size_t next; /* the input to look at next */
} frame;

typedef struct walk {
    graph *g;
    folding *folding;
    unsigned char *state; /* per node */
    frame *stack;
    size_t depth;
} walk;

/* Walks on to what makes `value`, if that has not been done; else says what is wrong with it. */
static cnn_status enter(walk *w, int value, cnn_error *err) {
    if (value < 0) return CNN_OK;
    int node = w->g->values[value].producer;
    cnn_status status = graph_check_value(w->g, value, err);
    if (status != CNN_OK || node < 0 || w->state[node] == DONE) return status;
    if (w->state[node] == FAILED)
        return op_fail(w->g->nodes[node], err, CNN_UNSUPPORTED, "cannot be computed");
    w->state[node] = OPEN;
    w->stack[w->depth++] = (frame){.node = node};
    return CNN_OK;
}

/* The next step with the node on top of the stack. */
static cnn_status advance(walk *w, cnn_error *err) {
    frame *top = &w->stack[w->depth - 1];
    graph_node *node = w->g->nodes[top->node];
    bool choice = node->op == &op_choice;
    if (top->next < (choice ? 1 : node->input_count))
        return enter(w, node->inputs[top->next++], err);
    if (choice) {
        top->next = 0;
        return op_choose(w->g, node, err);
    }
    cnn_status status = graph_infer(w->g, node, err);
    if (status == CNN_OK) status = folding_apply(w->folding, w->g, node, err);
    if (status == CNN_OK) w->state[w->stack[--w->depth].node] = DONE;
    return status;
}

/* Infers all that leads to `value`. */
static cnn_status walk_to(walk *w, int value, cnn_error *err) {
    w->depth = 0;
    cnn_status status = enter(w, value, err);
    while (status == CNN_OK && w->depth > 0)
        status = advance(w, err);
    for (size_t i = 0; status != CNN_OK && i < w->depth; i++)
        w->state[w->stack[i].node] = FAILED;
    return status;
}

/* `tolerant`: outputs that cannot be computed are removed, as long as one is left. */
static cnn_status walk_to_outputs(walk *w, bool tolerant, cnn_error *err) {
    graph *g = w->g;
    size_t kept = 0;
    cnn_error first = {0}, why;
    for (size_t i = 0; i < g->output_count; i++) {
        cnn_status status = walk_to(w, g->outputs[i], &why);
        if (status == CNN_OK) g->outputs[kept++] = g->outputs[i];
        if (status != CNN_OK && first.status == CNN_OK) first = why;
        if (status == CNN_OUT_OF_MEMORY || (status != CNN_OK && !tolerant)) break;
    }
    if (first.status == CNN_OK || (tolerant && kept > 0 && first.status != CNN_OUT_OF_MEMORY)) {
        g->output_count = kept;
        return CNN_OK;
    }
    if (err) *err = first;
    return first.status;
}

static cnn_status infer_all(graph *g, bool tolerant, cnn_error *err) {
    walk w = {.g = g, .folding = folding_create(g)};
    w.state = calloc(g->node_count + 1, sizeof *w.state);
    w.stack = malloc((g->node_count + 1) * sizeof *w.stack);
    cnn_status status =
        w.folding && w.state && w.stack
            ? walk_to_outputs(&w, tolerant, err)
            : cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory while inferring shapes");
    folding_free(w.folding);
    free(w.state);
    free(w.stack);
    return status;
}

static cnn_status bind_graph(graph *g, const cnn_shape *input_shapes, bool tolerant,
                             cnn_error *err) {
    cnn_status status = check_graph_outputs(g, err);
    if (status == CNN_OK) status = bind_inputs(g, input_shapes, err);
    if (status != CNN_OK) return status;
    graph_drop_dead_nodes(g); /* also counts uses */
    graph_drop_unused_constants(g);
    status = infer_all(g, tolerant, err);
    graph_drop_dead_nodes(g);
    graph_drop_unused_constants(g);
    return status;
}

cnn_status graph_bind(graph *g, const cnn_shape *input_shapes, cnn_error *err) {
    return bind_graph(g, input_shapes, false, err);
}

cnn_status graph_bind_what_can(graph *g, const cnn_shape *input_shapes, cnn_error *err) {
    return bind_graph(g, input_shapes, true, err);
}

cnn_status graph_fix_input(graph *g, size_t index, tensor *t, cnn_error *err) {
    const graph_value *input = &g->values[g->inputs[index]];
    if (input->dtype != t->dtype)
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "input '%.100s' is %s, the value given is %s",
                        input->name, cnn_dtype_name(input->dtype), cnn_dtype_name(t->dtype));
    cnn_status status = check_shape(input, &t->shape, err);
    if (status == CNN_OK) graph_set_constant(g, g->inputs[index], t);
    return status;
}
