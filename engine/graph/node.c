/* Nodes and their attributes. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

/* An array of `count` value numbers, all -1; at least one element long, so never NULL but when out
 * of memory. */
static int *absent_values(size_t count) {
    int *values = malloc(MAX(count, 1) * sizeof *values);
    for (size_t i = 0; values && i < count; i++)
        values[i] = -1;
    return values;
}

graph_node *graph_node_create(const struct op_def *op, const char *name, size_t inputs,
                              size_t outputs) {
    graph_node *node = calloc(1, sizeof *node);
    if (!node) return NULL;
    node->op = op;
    node->name = strdup(name);
    node->inputs = absent_values(inputs);
    node->outputs = absent_values(outputs);
    node->fused.residual = -1;
    if (!node->name || !node->inputs || !node->outputs) {
        graph_node_free(node);
        return NULL;
    }
    node->input_count = inputs;
    node->output_count = outputs;
    return node;
}

void graph_attr_free(attr *a) {
    free(a->name);
    free(a->ints);
    free(a->floats);
    for (size_t i = 0; a->strings && i < a->count; i++)
        free(a->strings[i]);
    free(a->strings);
    tensor_unref(a->tensor);
    *a = (attr){0};
}

void graph_node_free(graph_node *node) {
    if (!node) return;
    free(node->name);
    free(node->inputs);
    free(node->outputs);
    for (size_t i = 0; i < node->attr_count; i++)
        graph_attr_free(&node->attrs[i]);
    free(node->attrs);
    free(node);
}

static void *copy_array(const void *items, size_t count, size_t item_size) {
    void *copy = malloc(MAX(count * item_size, 1));
    if (copy && count > 0) memcpy(copy, items, count * item_size);
    return copy;
}

static bool copy_strings(const attr *from, attr *to) {
    to->strings = calloc(MAX(from->count, 1), sizeof *to->strings);
    if (!to->strings) return false;
    for (size_t i = 0; i < from->count; i++)
        if (!(to->strings[i] = strdup(from->strings[i]))) return false;
    return true;
}

/* `to` is left fit for graph_attr_free in any case. */
static bool copy_attr(const attr *from, attr *to) {
    *to = (attr){.kind = from->kind, .count = from->count};
    if (!(to->name = strdup(from->name))) return false;
    if (from->ints && !(to->ints = copy_array(from->ints, from->count, sizeof *from->ints)))
        return false;
    if (from->floats && !(to->floats = copy_array(from->floats, from->count, sizeof *from->floats)))
        return false;
    if (from->strings && !copy_strings(from, to)) return false;
    to->tensor = from->tensor ? tensor_ref(from->tensor) : NULL;
    return true;
}

graph_node *graph_node_clone(const graph_node *node) {
    graph_node *copy =
        graph_node_create(node->op, node->name, node->input_count, node->output_count);
    if (!copy || !(copy->attrs = calloc(MAX(node->attr_count, 1), sizeof *copy->attrs))) goto fail;
    for (size_t i = 0; i < node->attr_count; i++) {
        copy->attr_count = i + 1;
        if (!copy_attr(&node->attrs[i], &copy->attrs[i])) goto fail;
    }
    memcpy(copy->inputs, node->inputs, node->input_count * sizeof *node->inputs);
    memcpy(copy->outputs, node->outputs, node->output_count * sizeof *node->outputs);
    copy->fused = node->fused;
    copy->origin = node->origin;
    return copy;
fail:
    graph_node_free(copy);
    return NULL;
}

const char *graph_node_label(const graph *g, const graph_node *node) {
    if (node->name[0] != '\0' || node->output_count == 0 || node->outputs[0] < 0) return node->name;
    return g->values[node->outputs[0]].name;
}

const attr *graph_attr(const graph_node *node, const char *name) {
    for (size_t i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
    return NULL;
}

int64_t graph_attr_int(const graph_node *node, const char *name, int64_t fallback) {
    const attr *a = graph_attr(node, name);
    return a && a->kind == ATTR_INT ? a->ints[0] : fallback;
}

float graph_attr_float(const graph_node *node, const char *name, float fallback) {
    const attr *a = graph_attr(node, name);
    return a && a->kind == ATTR_FLOAT ? a->floats[0] : fallback;
}

const char *graph_attr_string(const graph_node *node, const char *name, const char *fallback) {
    const attr *a = graph_attr(node, name);
    return a && a->kind == ATTR_STRING ? a->strings[0] : fallback;
}

/* A new attribute of `count` at the end, or NULL. */
static attr *append_attr(graph_node *node, const char *name, attr_kind kind, size_t count) {
    attr *grown = realloc(node->attrs, (node->attr_count + 1) * sizeof *grown);
    if (!grown) return NULL;
    node->attrs = grown;
    attr *a = &grown[node->attr_count];
    *a = (attr){.name = strdup(name), .kind = kind, .count = count};
    if (!a->name) return NULL;
    node->attr_count++;
    return a;
}

bool graph_add_attr_ints(graph_node *node, const char *name, const int64_t *ints, size_t count) {
    int64_t *copy = copy_array(ints, count, sizeof *ints);
    attr *a = copy ? append_attr(node, name, ATTR_INTS, count) : NULL;
    if (!a) {
        free(copy);
        return false;
    }
    a->ints = copy;
    return true;
}

bool graph_add_attr_int(graph_node *node, const char *name, int64_t value) {
    if (!graph_add_attr_ints(node, name, &value, 1)) return false;
    node->attrs[node->attr_count - 1].kind = ATTR_INT;
    return true;
}

bool graph_add_attr_float(graph_node *node, const char *name, float value) {
    float *copy = copy_array(&value, 1, sizeof value);
    attr *a = copy ? append_attr(node, name, ATTR_FLOAT, 1) : NULL;
    if (!a) {
        free(copy);
        return false;
    }
    a->floats = copy;
    return true;
}
