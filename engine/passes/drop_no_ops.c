/*
 * Drops nodes whose first output is their first input: Identity, Dropout, and Reshape, Transpose,
 * Cast, Pad and the like that change nothing.
 *
 * Usually the output's uses go over to the input. If the output is a graph output, which must keep
 * its name, the input is renamed to it instead; where that would lose a graph input's, a constant's
 * or another output's name, the node stays. Renamings are collected in a map and applied to all
 * nodes at the end, so that the pass is linear.
 */
#include "passes/rewrite.h"

#include <stdlib.h>
#include <string.h>

/* ---- which nodes do nothing ---- */

static bool is_same(const graph *g, const graph_node *node) {
    const graph_value *in = &g->values[node->inputs[0]], *out = &g->values[node->outputs[0]];
    return in->dtype == out->dtype && cnn_shape_equal(&in->shape, &out->shape);
}

static bool always(const graph *g, const graph_node *node) {
    (void)g;
    (void)node;
    return true;
}

/* All amounts 0: from version 11 on an input, before an attribute. */
static bool pad_keeps(const graph *g, const graph_node *node) {
    const tensor *amounts = node->input_count > 1 ? op_constant(g, node, 1) : NULL;
    const attr *list = graph_attr(node, "pads");
    for (size_t i = 0; amounts && i < amounts->elements; i++)
        if (tensor_int(amounts, i) != 0) return false;
    for (size_t i = 0; list && list->ints && i < list->count; i++)
        if (list->ints[i] != 0) return false;
    return amounts || list;
}

static bool is_single(const graph *g, const graph_node *node) {
    (void)g;
    return node->input_count == 1;
}

static bool does_nothing(const graph *g, const graph_node *node) {
    static const struct {
        const char *op;
        bool (*keeps)(const graph *g, const graph_node *node); /* given equal type and shape */
    } rules[] = {
        {"Identity", always},  {"Dropout", always},
        {"Reshape", always},   {"Flatten", always},
        {"Squeeze", always},   {"Unsqueeze", always},
        {"Expand", always},    {"Tile", always},
        {"Cast", always},      {"Pad", pad_keeps},
        {"Concat", is_single}, {"Sum", is_single},
        {"Mean", is_single},   {"Max", is_single},
        {"Min", is_single},    {"Transpose", op_transpose_keeps},
    };
    for (size_t i = 1; i < node->output_count; i++)
        if (node->outputs[i] >= 0 && g->values[node->outputs[i]].uses > 0) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        if (rewrite_is(node, rules[i].op))
            return node->inputs[0] >= 0 && is_same(g, node) && rules[i].keeps(g, node);
    return false;
}

/* ---- renaming ---- */

typedef struct renaming {
    graph *g;
    int *map;        /* per value: what it is now called; itself if unchanged */
    bool *is_output; /* per value: a graph output */
} renaming;

/* Follows the map to its end and shortens the way. */
static int resolve(const renaming *r, int value) {
    if (value < 0) return value;
    int root = value;
    while (r->map[root] != root)
        root = r->map[root];
    while (r->map[value] != root) {
        int next = r->map[value];
        r->map[value] = root;
        value = next;
    }
    return root;
}

/* Lets the producer of `from` make `to` instead. */
static void rename_output(renaming *r, int from, int to) {
    graph_node *node = rewrite_producer(r->g, from, NULL);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] == from) node->outputs[i] = to;
    r->g->values[to].producer = r->g->values[from].producer;
    r->g->values[from].producer = -1;
    r->map[from] = to;
}

static void drop(renaming *r, graph_node *node) {
    int to = node->outputs[0], from = resolve(r, node->inputs[0]);
    if (!r->is_output[to])
        r->map[to] = from;
    else if (!r->is_output[from] && r->g->values[from].producer >= 0)
        rename_output(r, from, to);
    else
        return;
    if (r->g->values[to].producer >= 0 && r->g->nodes[r->g->values[to].producer] == node)
        r->g->values[to].producer = -1;
    for (size_t i = 0; i < node->output_count; i++)
        node->outputs[i] = -1;
}

cnn_status pass_drop_no_ops(graph *g, cnn_error *err) {
    size_t n = MAX(g->value_count, 1);
    renaming r = {g, malloc(n * sizeof *r.map), calloc(n, sizeof *r.is_output)};
    cnn_status status = r.map && r.is_output ? CNN_OK : cnn_fail_memory(err, n * sizeof *r.map);
    if (status == CNN_OK) {
        for (size_t i = 0; i < g->value_count; i++)
            r.map[i] = (int)i;
        for (size_t i = 0; i < g->output_count; i++)
            r.is_output[g->outputs[i]] = true;
        for (size_t i = 0; i < g->node_count; i++)
            if (does_nothing(g, g->nodes[i])) drop(&r, g->nodes[i]);
        for (size_t i = 0; i < g->node_count; i++)
            for (size_t j = 0; j < g->nodes[i]->input_count; j++)
                g->nodes[i]->inputs[j] = resolve(&r, g->nodes[i]->inputs[j]);
        graph_update_uses(g);
    }
    free(r.map);
    free(r.is_output);
    return status;
}
