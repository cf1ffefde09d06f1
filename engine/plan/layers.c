/*
 * What a plan tells about the layers of the original graph: the kernel that computes each, and into
 * which layer passes have fused those that have none of their own.
 *
 * A node of the plan's graph does what the original graph has between that node's inputs and its
 * output, whatever passes have made it from: this is walked backwards.
 */
#include "model/model.h"
#include "passes/rewrite.h"
#include "plan/plan.h"

#include <assert.h>
#include <stdlib.h>

static cnn_layer *find_layer(cnn_summary *summary, int node) {
    size_t from = 0, to = summary->layer_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (summary->layers[middle].node == node) return &summary->layers[middle];
        if (summary->layers[middle].node < node)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

static void add_steps(cnn_summary *summary, const cnn_plan *plan) {
    for (size_t i = 0; i < summary->layer_count; i++) {
        cnn_layer *l = &summary->layers[i];
        l->kernel = l->fused_into = NULL;
        l->bytes = 0;
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        const plan_step *s = &plan->steps[i];
        cnn_layer *l = find_layer(summary, s->origin);
        if (!l) continue;
        /* The last one computes the result; reorders come before. */
        l->kernel = s->kernel;
        l->bytes += s->bytes;
        cnn_layer *joined = find_layer(summary, s->joined);
        if (joined) joined->fused_into = l->name;
    }
}

/* ---- fused layers ---- */

typedef struct fusing {
    cnn_summary *summary;
    const graph *original;
    const graph_node *node; /* of the plan's graph */
    bool *open;             /* values of the original graph that the node makes in between */
    size_t open_count;
} fusing;

static bool is_input(const graph_node *node, int value) {
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] == value) return true;
    return node->fused.residual == value;
}

static void open_value(fusing *f, int value) {
    if (value < 0 || f->open[value] || is_input(f->node, value)) return;
    f->open[value] = true;
    f->open_count++;
}

/* Closes the outputs of an original node; false if none was open. */
static bool close_outputs(fusing *f, const graph_node *original) {
    size_t before = f->open_count;
    for (size_t i = 0; i < original->output_count; i++) {
        int value = original->outputs[i];
        if (value < 0 || !f->open[value]) continue;
        f->open[value] = false;
        f->open_count--;
    }
    return f->open_count < before;
}

/* True for a layer that is part of the node; marks it if it is not the node's own. */
static bool mark(fusing *f, int index, const cnn_layer *own) {
    const graph_node *original = f->original->nodes[index];
    cnn_layer *l = find_layer(f->summary, index);
    if (l == own) return true;
    if (!l || l->kernel || l->fused_into) return false;
    if (!rewrite_is(original, "Identity") && !rewrite_is(original, "Dropout"))
        l->fused_into = own->kernel ? own->name : own->fused_into;
    return true;
}

/* True if what the node reads, but for constants, and makes is all in the original graph. */
static bool is_between_originals(const fusing *f, const graph *planned) {
    int count = (int)f->original->value_count;
    for (size_t i = 0; i < f->node->input_count; i++) {
        int value = f->node->inputs[i];
        if (value >= count && planned->values[value].producer >= 0) return false;
    }
    int output = f->node->output_count > 0 ? f->node->outputs[0] : -1;
    return output >= 0 && output < count && f->original->values[output].producer >= 0;
}

static void mark_fused(fusing *f, const cnn_layer *own) {
    int last = f->original->values[f->node->outputs[0]].producer;
    open_value(f, f->node->outputs[0]);
    for (int i = last; i >= 0 && f->open_count > 0; i--) {
        const graph_node *original = f->original->nodes[i];
        if (!close_outputs(f, original) || !mark(f, i, own)) continue;
        for (size_t k = 0; k < original->input_count; k++)
            if (original->inputs[k] >= 0 && f->original->values[original->inputs[k]].producer >= 0)
                open_value(f, original->inputs[k]);
    }
    assert(f->open_count == 0);
}

void cnn_summary_add_plan(cnn_summary *summary, const cnn_plan *plan) {
    fusing f = {.summary = summary, .original = plan->model->graph};
    add_steps(summary, plan);
    summary->planned = true;
    if (!(f.open = calloc(f.original->value_count + 1, sizeof(*f.open)))) return;
    for (size_t i = 0; i < plan->graph->node_count; i++) {
        f.node = plan->graph->nodes[i];
        const cnn_layer *own = find_layer(summary, f.node->origin);
        if (own && (own->kernel || own->fused_into) && is_between_originals(&f, plan->graph))
            mark_fused(&f, own);
    }
    free(f.open);
}
