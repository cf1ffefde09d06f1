/* The graph itself: creation, cloning, values. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

graph *graph_create(void) {
    return calloc(1, sizeof(graph));
}

static void free_left_out(graph_left_out *part) {
    free(part->name);
    free(part->op);
}

void graph_free(graph *g) {
    if (!g) return;
    for (size_t i = 0; i < g->node_count; i++)
        graph_node_free(g->nodes[i]);
    for (size_t i = 0; i < g->value_count; i++) {
        free(g->values[i].name);
        tensor_unref(g->values[i].constant);
    }
    for (size_t i = 0; i < g->refusal_count; i++)
        free(g->refusals[i].message);
    for (size_t i = 0; i < g->left_out_count; i++)
        free_left_out(&g->left_out[i]);
    free(g->refusals);
    free(g->left_out);
    free(g->nodes);
    free(g->values);
    free(g->inputs);
    free(g->outputs);
    free(g);
}

int graph_add_value(graph *g, const char *name) {
    if (g->value_count >= INT32_MAX ||
        !cnn_grow((void **)&g->values, &g->value_capacity, g->value_count + 1, sizeof *g->values))
        return -1;
    char *copy = strdup(name);
    if (!copy) return -1;
    g->values[g->value_count] = (graph_value){.name = copy, .producer = -1, .refusal = -1};
    return (int)g->value_count++;
}

void graph_set_constant(graph *g, int value, tensor *t) {
    graph_value *v = &g->values[value];
    tensor *old = v->constant;
    v->constant = tensor_ref(t);
    v->dtype = t->dtype;
    v->shape = t->shape;
    v->has_shape = true;
    tensor_unref(old);
}

int graph_add_constant(graph *g, const char *name, tensor *t) {
    int value = graph_add_value(g, name);
    if (value >= 0) graph_set_constant(g, value, t);
    return value;
}

bool graph_add_node(graph *g, graph_node *node) {
    if (g->node_count >= INT32_MAX ||
        !cnn_grow((void **)&g->nodes, &g->node_capacity, g->node_count + 1, sizeof *g->nodes))
        return false;
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0) g->values[node->outputs[i]].producer = (int)g->node_count;
    g->nodes[g->node_count++] = node;
    return true;
}

/* Appends to g->inputs or g->outputs; these lists are short. */
static bool append_value(int **list, size_t *count, int value) {
    int *grown = realloc(*list, (*count + 1) * sizeof *grown);
    if (!grown) return false;
    grown[(*count)++] = value;
    *list = grown;
    return true;
}

bool graph_add_input(graph *g, int value) {
    return append_value(&g->inputs, &g->input_count, value);
}

bool graph_add_output(graph *g, int value) {
    return append_value(&g->outputs, &g->output_count, value);
}

static bool add_refusal(graph *g, cnn_status status, const char *message) {
    char *copy = strdup(message);
    if (!copy || !cnn_grow((void **)&g->refusals, &g->refusal_capacity, g->refusal_count + 1,
                           sizeof *g->refusals)) {
        free(copy);
        return false;
    }
    g->refusals[g->refusal_count++] = (graph_refusal){status, copy};
    return true;
}

cnn_status graph_refuse(graph *g, int value, const cnn_error *why, cnn_error *err) {
    if (g->values[value].refusal >= 0) return CNN_OK;
    if (!add_refusal(g, why->status, why->message))
        return cnn_fail_memory(err, strlen(why->message) + sizeof(graph_refusal));
    g->values[value].refusal = (int)g->refusal_count - 1;
    return CNN_OK;
}

cnn_status graph_check_value(const graph *g, int value, cnn_error *err) {
    int refusal = g->values[value].refusal;
    if (refusal < 0) return CNN_OK;
    return cnn_fail(err, g->refusals[refusal].status, "%s", g->refusals[refusal].message);
}

cnn_status graph_leave_out(graph *g, const char *kind, const char *name, const char *op,
                           const char *reason, cnn_error *err) {
    graph_left_out part = {kind, strdup(name), strdup(op), reason};
    if (part.name && part.op &&
        cnn_grow((void **)&g->left_out, &g->left_out_capacity, g->left_out_count + 1,
                 sizeof *g->left_out)) {
        g->left_out[g->left_out_count++] = part;
        return CNN_OK;
    }
    free_left_out(&part);
    return cnn_fail_memory(err, strlen(name) + sizeof part);
}

int graph_find_value(const graph *g, const char *name) {
    for (size_t i = 0; i < g->value_count; i++)
        if (strcmp(g->values[i].name, name) == 0) return (int)i;
    return -1;
}

static bool clone_values(const graph *from, graph *to) {
    for (size_t i = 0; i < from->value_count; i++) {
        int copy = graph_add_value(to, from->values[i].name);
        if (copy < 0) return false;
        char *name = to->values[copy].name;
        to->values[copy] = from->values[i];
        to->values[copy].name = name;
        if (to->values[copy].constant) tensor_ref(to->values[copy].constant);
    }
    return true;
}

static bool clone_refusals(const graph *from, graph *to) {
    bool ok = true;
    for (size_t i = 0; ok && i < from->refusal_count; i++)
        ok = add_refusal(to, from->refusals[i].status, from->refusals[i].message);
    return ok;
}

static bool clone_nodes(const graph *from, graph *to) {
    for (size_t i = 0; i < from->node_count; i++) {
        graph_node *copy = graph_node_clone(from->nodes[i]);
        if (!copy || !graph_add_node(to, copy)) {
            graph_node_free(copy);
            return false;
        }
    }
    return true;
}

cnn_status graph_clone(const graph *g, graph **out, cnn_error *err) {
    graph *copy = graph_create();
    if (!copy) return cnn_fail_memory(err, sizeof *copy);
    copy->opset = g->opset;
    copy->ir_version = g->ir_version;
    copy->budget = g->budget;
    bool ok = clone_values(g, copy) && clone_refusals(g, copy) && clone_nodes(g, copy);
    for (size_t i = 0; ok && i < g->input_count; i++)
        ok = graph_add_input(copy, g->inputs[i]);
    for (size_t i = 0; ok && i < g->output_count; i++)
        ok = graph_add_output(copy, g->outputs[i]);
    if (!ok) {
        graph_free(copy);
        return cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory while copying a graph of %zu nodes",
                        g->node_count);
    }
    *out = copy;
    return CNN_OK;
}
