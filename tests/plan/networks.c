#include "networks.h"

#include "ops/op.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t next(random_state *r) {
    uint64_t z = r->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint32_t random_below(random_state *r, uint32_t limit) {
    return (uint32_t)(next(r) >> 32) % limit;
}

float random_float(random_state *r) {
    return (float)(int32_t)(next(r) >> 40) / 8388608.0f - 1.0f;
}

void network_begin(network *n, uint64_t seed) {
    *n = (network){.g = graph_create(), .random = {seed}};
    n->g->opset = 13;
    n->g->ir_version = 8;
}

static int new_value(network *n, const char *prefix) {
    char name[32];
    snprintf(name, sizeof(name), "%s%d", prefix, n->names++);
    return graph_add_value(n->g, name);
}

int network_input(network *n, const cnn_shape *shape) {
    int value = new_value(n, "in");
    n->g->values[value].dtype = CNN_FLOAT32;
    n->g->values[value].shape = *shape;
    n->g->values[value].has_shape = true;
    cr_assert(graph_add_input(n->g, value));
    return value;
}

int network_weights(network *n, const cnn_shape *shape, float scale) {
    tensor *t;
    cr_assert_eq(tensor_create(CNN_FLOAT32, shape, &t, NULL), CNN_OK);
    for (size_t i = 0; i < t->elements; i++)
        ((float *)t->data)[i] = scale * random_float(&n->random);
    int value = new_value(n, "w");
    graph_set_constant(n->g, value, t);
    tensor_unref(t);
    return value;
}

int network_node(network *n, const char *op, graph_node **node, int input_count, ...) {
    const op_def *def = op_find("", op, 13);
    cr_assert_not_null(def, "%s", op);
    graph_node *made = graph_node_create(def, "", (size_t)input_count, 1);
    va_list inputs;
    va_start(inputs, input_count);
    for (int i = 0; i < input_count; i++)
        made->inputs[i] = va_arg(inputs, int);
    va_end(inputs);
    made->outputs[0] = new_value(n, op);
    made->origin = (int)n->g->node_count;
    cr_assert(graph_add_node(n->g, made));
    if (node) *node = made;
    return made->outputs[0];
}

void network_output(network *n, int value) {
    cr_assert(graph_add_output(n->g, value));
}

cnn_model *network_model(network *n, cnn_runtime *rt) {
    cnn_model *m = calloc(1, sizeof(*m));
    cr_assert_not_null(m);
    atomic_init(&m->refs, 1);
    m->runtime = rt;
    m->graph = n->g;
    weight_store_init(&m->weights);
    return m;
}

tensor **network_evaluate(const cnn_model *model, const cnn_shape *shapes,
                          const float *const *inputs) {
    graph *g;
    cnn_error err;
    const char **names = calloc(model->graph->value_count, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < model->graph->value_count; i++)
        if (model->graph->values[i].producer >= 0) names[count++] = model->graph->values[i].name;
    cr_assert_eq(model_bind(model, shapes, names, count, &g, &err), CNN_OK, "%s", err.message);
    free(names);
    tensor **values = calloc(model->graph->value_count, sizeof(*values));
    for (size_t i = 0; i < g->value_count; i++)
        values[i] = g->values[i].constant ? tensor_ref(g->values[i].constant) : NULL;
    for (size_t i = 0; i < g->input_count; i++) {
        tensor *t;
        cr_assert_eq(tensor_create(CNN_FLOAT32, &shapes[i], &t, NULL), CNN_OK);
        memcpy(t->data, inputs[i], t->bytes);
        values[g->inputs[i]] = t;
    }
    for (size_t i = 0; i < g->node_count; i++) {
        const graph_node *node = g->nodes[i];
        const tensor *in[8] = {0};
        tensor *out[1] = {0};
        for (size_t j = 0; j < node->input_count; j++)
            in[j] = node->inputs[j] < 0 ? NULL : values[node->inputs[j]];
        const graph_value *v = &g->values[node->outputs[0]];
        cr_assert_eq(tensor_create(v->dtype, &v->shape, &out[0], NULL), CNN_OK);
        node->op->eval(node, in, out);
        values[node->outputs[0]] = out[0];
    }
    graph_free(g);
    return values;
}

void network_free_values(const cnn_model *model, tensor **values) {
    for (size_t i = 0; i < model->graph->value_count; i++)
        tensor_unref(values[i]);
    free(values);
}
