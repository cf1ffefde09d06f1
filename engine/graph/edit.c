/* Editing: uses, and what becomes of nodes that nobody uses. */
#include "graph/fold.h"

static void count(graph *g, int value, int by) {
    if (value >= 0) g->values[value].uses += (uint32_t)by;
}

static void count_node(graph *g, const graph_node *node, int by) {
    for (size_t i = 0; i < node->input_count; i++)
        count(g, node->inputs[i], by);
    count(g, node->fused.residual, by);
}

void graph_update_uses(graph *g) {
    for (size_t i = 0; i < g->value_count; i++)
        g->values[i].uses = 0;
    for (size_t i = 0; i < g->node_count; i++)
        count_node(g, g->nodes[i], 1);
    for (size_t i = 0; i < g->output_count; i++)
        count(g, g->outputs[i], 1);
}

static bool is_dead(const graph *g, const graph_node *node) {
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0 && g->values[node->outputs[i]].uses > 0) return false;
    return true;
}

static void set_producer(graph *g, const graph_node *node, int producer) {
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0) g->values[node->outputs[i]].producer = producer;
}

/* Closes the gaps in the list of nodes. */
static void compact(graph *g) {
    size_t kept = 0;
    for (size_t i = 0; i < g->node_count; i++)
        if (g->nodes[i]) {
            set_producer(g, g->nodes[i], (int)kept);
            g->nodes[kept++] = g->nodes[i];
        }
    g->node_count = kept;
}

void graph_drop_dead_nodes(graph *g) {
    graph_update_uses(g);
    /* Backwards, so that a node's death is known before its producers are looked at. */
    for (size_t i = g->node_count; i-- > 0;) {
        graph_node *node = g->nodes[i];
        if (!is_dead(g, node)) continue;
        count_node(g, node, -1);
        set_producer(g, node, -1);
        graph_node_free(node);
        g->nodes[i] = NULL;
    }
    compact(g);
}

/* The number of the refusal that keeps a node from being computed; -1: none. */
static int refusal_of(const graph *g, const graph_node *node) {
    int refusals[3] = {-1, -1, -1};
    bool choice = node->op == &op_choice;
    for (size_t i = 0; i < node->input_count; i++) {
        int refusal = node->inputs[i] < 0 ? -1 : g->values[node->inputs[i]].refusal;
        if (refusal >= 0 && !(choice && i > 0)) return refusal;
        if (choice) refusals[i] = refusal;
    }
    return refusals[2] >= 0 ? refusals[1] : -1;
}

void graph_drop_refused_nodes(graph *g) {
    for (size_t i = 0; i < g->node_count; i++) {
        graph_node *node = g->nodes[i];
        int refusal = refusal_of(g, node);
        if (refusal < 0) continue;
        for (size_t j = 0; j < node->output_count; j++)
            if (node->outputs[j] >= 0) g->values[node->outputs[j]].refusal = refusal;
        set_producer(g, node, -1);
        graph_node_free(node);
        g->nodes[i] = NULL;
    }
    compact(g);
}

void graph_drop_detached_nodes(graph *g) {
    for (size_t i = 0; i < g->node_count; i++) {
        graph_node *node = g->nodes[i];
        bool detached = true;
        for (size_t j = 0; detached && j < node->output_count; j++)
            detached = node->outputs[j] < 0;
        if (!detached) continue;
        graph_node_free(node);
        g->nodes[i] = NULL;
    }
    compact(g);
}

void graph_drop_unused_constants(graph *g) {
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i].uses == 0 && g->values[i].constant) {
            tensor_unref(g->values[i].constant);
            g->values[i].constant = NULL;
        }
}
