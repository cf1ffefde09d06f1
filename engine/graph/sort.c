/*
 * Execution order: a depth-first walk over producers, started from the nodes as they stand, so that
 * a graph that is in order already keeps its order. The walk has its own stack, because the depth
 * of a graph is the file's choice.
 */
#include "graph/graph.h"
#include "ops/op.h"

#include <stdlib.h>

enum { UNSEEN, OPEN, DONE };

typedef struct frame {
    int node;
    size_t next; /* the input to look at next; input_count stands for the residual */
} frame;

typedef struct walk {
    frame *stack;
    size_t depth;
    unsigned char *state; /* per node */
    graph_node **order;
    size_t placed;
} walk;

static void enter(walk *w, int node) {
    w->state[node] = OPEN;
    w->stack[w->depth++] = (frame){.node = node};
}

/* The producer of dependency `i` of the node; -1: none, or a value without a producer. */
static int producer_of(const graph *g, const graph_node *node, size_t i) {
    int value = i < node->input_count ? node->inputs[i] : node->fused.residual;
    return value < 0 ? -1 : g->values[value].producer;
}

/* Places everything that node `start` needs, then itself. Returns a node on a cycle, or -1. */
static int place(const graph *g, walk *w, int start) {
    enter(w, start);
    while (w->depth > 0) {
        frame *top = &w->stack[w->depth - 1];
        graph_node *node = g->nodes[top->node];
        if (top->next > node->input_count) {
            w->state[top->node] = DONE;
            w->order[w->placed++] = node;
            w->depth--;
            continue;
        }
        int needed = producer_of(g, node, top->next++);
        if (needed >= 0 && w->state[needed] == OPEN) return needed;
        if (needed >= 0 && w->state[needed] == UNSEEN) enter(w, needed);
    }
    return -1;
}

static void adopt_order(graph *g, walk *w) {
    graph_node **old = g->nodes;
    g->nodes = w->order;
    g->node_capacity = g->node_count;
    w->order = old;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t j = 0; j < g->nodes[i]->output_count; j++)
            if (g->nodes[i]->outputs[j] >= 0) g->values[g->nodes[i]->outputs[j]].producer = (int)i;
}

cnn_status graph_sort(graph *g, cnn_error *err) {
    cnn_status status = CNN_OK;
    size_t n = MAX(g->node_count, 1);
    walk w = {.stack = malloc(n * sizeof *w.stack),
              .state = calloc(n, sizeof *w.state),
              .order = malloc(n * sizeof *w.order)};
    if (!w.stack || !w.state || !w.order) {
        status = cnn_fail_memory(err, n * sizeof *w.stack);
        goto done;
    }
    for (size_t i = 0; i < g->node_count; i++) {
        int cyclic = w.state[i] == UNSEEN ? place(g, &w, (int)i) : -1;
        if (cyclic < 0) continue;
        const graph_node *node = g->nodes[cyclic];
        status = cnn_fail(err, CNN_INVALID_MODEL, "%.60s '%.100s' depends on its own result",
                          node->op->name, graph_node_label(g, node));
        goto done;
    }
    adopt_order(g, &w);
done:
    free(w.stack);
    free(w.state);
    free(w.order);
    return status;
}
