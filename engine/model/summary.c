/* The layer table: the nodes of the original graph as they are before passes. */
#include "model/model.h"
#include "ops/op.h"

#include <stdlib.h>
#include <string.h>

typedef struct summing {
    const cnn_model *model;
    const graph *bound;
    bool *counted; /* one per value */
    cnn_summary *out;
    const char **names; /* where the next layer's inputs go, behind the layers */
} summing;

/* Elements of the constants that a node takes and no earlier one has; shapes and scalars are none.
 */
static uint64_t count_params(summing *s, const graph_node *node) {
    uint64_t params = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        int value = node->inputs[i];
        if (value < 0 || s->counted[value]) continue;
        const tensor *t = s->bound->values[value].constant;
        if (!t || !cnn_dtype_is_float(t->dtype) || t->shape.rank == 0) continue;
        s->counted[value] = true;
        params += t->elements;
    }
    return params;
}

static cnn_window window_of(const graph *g, const graph_node *node) {
    cnn_window window = {0};
    op_window w;
    if (!node->op->window) return window;
    node->op->window(g, node, &w);
    window.spatial = w.spatial;
    window.group = strstr(node->op->attrs, "group:int") ? graph_attr_int(node, "group", 1) : 0;
    for (int i = 0; i < w.spatial; i++) {
        window.kernel[i] = w.kernel[i];
        window.strides[i] = w.stride[i];
        window.dilations[i] = w.dilation[i];
        window.pads_begin[i] = w.pad_begin[i];
        window.pads_end[i] = w.pad_end[i];
    }
    return window;
}

static void name_inputs(summing *s, const graph_node *node, cnn_layer *l) {
    l->inputs = s->names;
    for (size_t i = 0; i < node->input_count; i++) {
        int value = node->inputs[i];
        if (value >= 0 && !s->bound->values[value].constant)
            s->names[l->input_count++] = s->model->graph->values[value].name;
    }
    s->names += l->input_count;
}

/* Names come from the model's graph, which outlives the bound copy. */
static void add_layer(summing *s, const graph_node *node) {
    int output = node->outputs[0];
    const graph *g = s->model->graph;
    const char *name = g->nodes[node->origin]->name;
    cnn_layer *l = &s->out->layers[s->out->layer_count++];
    *l = (cnn_layer){.op = node->op->name, .params = count_params(s, node), .node = node->origin};
    if (output >= 0)
        l->output = (cnn_tensor_info){g->values[output].name, s->bound->values[output].dtype,
                                      s->bound->values[output].shape};
    l->name = *name || output < 0 ? name : g->values[output].name;
    l->macs = node->op->macs ? node->op->macs(s->bound, node) : 0;
    l->window = window_of(s->bound, node);
    name_inputs(s, node, l);
    s->out->params += l->params;
    s->out->macs += l->macs;
}

/* The layers, followed by the names of their inputs; freed as one. */
static bool allocate_layers(summing *s) {
    size_t names = 0, layers = s->bound->node_count + 1;
    for (size_t i = 0; i < s->bound->node_count; i++)
        names += s->bound->nodes[i]->input_count;
    s->out->layers = calloc(1, layers * sizeof(cnn_layer) + names * sizeof(*s->names));
    s->names = s->out->layers ? (const char **)(void *)(s->out->layers + layers) : NULL;
    return s->out->layers != NULL;
}

cnn_status cnn_summary_create(const cnn_model *model, const cnn_shape *input_shapes,
                              cnn_summary **out, cnn_error *err) {
    summing s = {.model = model};
    graph *g;
    if (!model || !out) return cnn_fail(err, CNN_INVALID_ARGUMENT, "model and out must be given");
    cnn_status status =
        model_bind_what_can(model, &(cnn_plan_options){.input_shapes = input_shapes}, &g, err);
    if (status != CNN_OK) return status;
    s.bound = g;
    s.counted = calloc(g->value_count + 1, sizeof(*s.counted));
    s.out = calloc(1, sizeof(*s.out));
    bool ok = s.counted && s.out && allocate_layers(&s);
    for (size_t i = 0; ok && i < g->node_count; i++)
        add_layer(&s, g->nodes[i]);
    free(s.counted);
    size_t nodes = g->node_count;
    graph_free(g);
    if (!ok) {
        cnn_summary_free(s.out);
        return cnn_fail_memory(err, nodes * sizeof(cnn_layer));
    }
    *out = s.out;
    return CNN_OK;
}

void cnn_summary_free(cnn_summary *summary) {
    if (!summary) return;
    free(summary->layers);
    free(summary);
}
