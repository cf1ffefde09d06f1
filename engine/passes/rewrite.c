/* The helpers of rewrite.h. */
#include "passes/rewrite.h"

#include "ops/lower.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool rewrite_is(const graph_node *node, const char *op) {
    return node->output_count > 0 && node->outputs[0] >= 0 && node->op->domain[0] == '\0' &&
           strcmp(node->op->name, op) == 0;
}

graph_node *rewrite_producer(const graph *g, int value, const char *op) {
    if (value < 0 || g->values[value].producer < 0) return NULL;
    graph_node *node = g->nodes[g->values[value].producer];
    return !op || rewrite_is(node, op) ? node : NULL;
}

graph_node *rewrite_sole_producer(const graph *g, int value, const char *op) {
    graph_node *node = rewrite_producer(g, value, op);
    return node && node->outputs[0] == value && g->values[value].uses == 1 ? node : NULL;
}

bool rewrite_scalar(const graph *g, int value, double *out) {
    const tensor *t = value < 0 ? NULL : g->values[value].constant;
    if (!t || t->dtype != CNN_FLOAT32 || t->elements != 1) return false;
    *out = tensor_number(t, 0);
    return true;
}

bool rewrite_is_near(double a, double b) {
    return fabs(a - b) <= 1e-6 * fabs(b);
}

int rewrite_operand_beside(const graph *g, const graph_node *node, const char *op, double k) {
    double number;
    if (!node || !rewrite_is(node, op) || node->input_count != 2) return -1;
    if (rewrite_scalar(g, node->inputs[1], &number) && rewrite_is_near(number, k))
        return node->inputs[0];
    if (op[0] != 'D' && rewrite_scalar(g, node->inputs[0], &number) && rewrite_is_near(number, k))
        return node->inputs[1];
    return -1;
}

bool rewrite_axes(const graph *g, const graph_node *node, int rank, unsigned *out) {
    const attr *list = graph_attr(node, "axes");
    const tensor *t = op_constant(g, node, 1);
    bool fed = node->input_count > 1 && node->inputs[1] >= 0;
    size_t count = t ? t->elements : list && list->kind == ATTR_INTS ? list->count : 0;
    if (fed && !t) return false;
    if (count == 0) { /* all axes, or none */
        *out = (1u << rank) - 1;
        return graph_attr_int(node, "noop_with_empty_axes", 0) == 0;
    }
    unsigned set = 0;
    for (size_t i = 0; i < count; i++) {
        int axis;
        if (!op_axis(t ? tensor_int(t, i) : list->ints[i], rank, &axis)) return false;
        set |= 1u << axis;
    }
    *out = set;
    return true;
}

bool rewrite_is_float(const graph *g, int value) {
    return value >= 0 && g->values[value].dtype == CNN_FLOAT32;
}

const cnn_shape *rewrite_shape(const graph *g, int value) {
    return &g->values[value].shape;
}

static void use(graph *g, int value) {
    if (value >= 0) g->values[value].uses++;
}

/* Weights that lost their last use are released at once: folding would else hold both copies. */
static void unuse(graph *g, int value) {
    if (value < 0) return;
    graph_value *v = &g->values[value];
    if (--v->uses == 0 && v->constant) {
        tensor_unref(v->constant);
        v->constant = NULL;
    }
}

bool rewrite_set_input(graph *g, graph_node *node, size_t i, int value) {
    if (i >= node->input_count) {
        int *grown = realloc(node->inputs, (i + 1) * sizeof *grown);
        if (!grown) return false;
        for (size_t j = node->input_count; j <= i; j++)
            grown[j] = -1;
        node->inputs = grown;
        node->input_count = i + 1;
    }
    use(g, value);
    unuse(g, node->inputs[i]);
    node->inputs[i] = value;
    return true;
}

void rewrite_set_residual(graph *g, graph_node *node, int value) {
    use(g, value);
    unuse(g, node->fused.residual);
    node->fused.residual = value;
}

const char *rewrite_make_name(const graph *g, int like, rewrite_name name) {
    /* The number makes the name unique among those that are made here. */
    snprintf(name, sizeof(rewrite_name), "%.*s~%zu", GRAPH_MAX_NAME_BYTES, g->values[like].name,
             g->value_count);
    return name;
}

int rewrite_add_constant(graph *g, int like, tensor *t) {
    rewrite_name name;
    return graph_add_constant(g, rewrite_make_name(g, like, name), t);
}

void rewrite_empty(graph *g, graph_node *node) {
    for (size_t i = 0; i < node->input_count; i++)
        rewrite_set_input(g, node, i, -1);
    rewrite_set_residual(g, node, -1);
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] >= 0) g->values[node->outputs[i]].producer = -1;
        node->outputs[i] = -1;
    }
}

void rewrite_absorb(graph *g, graph_node *node, graph_node *last, bool move) {
    int result = last->outputs[0], own = node->outputs[0];
    int place = g->values[own].producer, last_place = g->values[result].producer;
    rewrite_empty(g, last);
    g->values[own].producer = -1;
    node->outputs[0] = result;
    if (move) {
        g->nodes[place] = last;
        g->nodes[last_place] = node;
        place = last_place;
    }
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0) g->values[node->outputs[i]].producer = place;
}

void rewrite_replace(graph *g, graph_node *old, graph_node *node) {
    int result = old->outputs[0], place = g->values[result].producer;
    for (size_t i = 0; i < node->input_count; i++)
        use(g, node->inputs[i]);
    use(g, node->fused.residual);
    rewrite_empty(g, old);
    node->origin = old->origin;
    node->outputs[0] = result;
    g->values[result].producer = place;
    g->nodes[place] = node;
    graph_node_free(old);
}

void rewrite_drop_attr(graph_node *node, const char *name) {
    for (size_t i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0) {
            graph_attr_free(&node->attrs[i]);
            node->attrs[i] = node->attrs[--node->attr_count];
            return;
        }
}

bool epilogue_taken(const graph *g, const graph_node *node, bool residual) {
    const lowering *l = lowering_of(g, node);
    if (!l || node->fused.act != ACT_NONE) return false;
    return residual ? l->residual && node->fused.residual < 0 : l->act;
}
