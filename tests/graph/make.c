#include "graph/make.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele, Lea and Flood 2014) */
float random_number(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return (float)(int64_t)(z >> 40) / 8388608.0f - 1.0f;
}

static void fill_random(tensor *t, const char *name) {
    uint64_t state = 7;
    for (const char *p = name; *p; p++)
        state = state * 31 + (unsigned char)*p;
    for (size_t i = 0; i < t->elements; i++)
        ((float *)t->data)[i] = random_number(&state);
}

static tensor *new_tensor(cnn_dtype dtype, cnn_shape shape) {
    tensor *t = NULL;
    cnn_error err = {0};
    cr_assert_eq(tensor_create(dtype, &shape, &t, &err), CNN_OK, "%s", err.message);
    return t;
}

graph *make_graph(int opset) {
    graph *g = graph_create();
    cr_assert_not_null(g);
    g->opset = opset;
    return g;
}

int make_input(graph *g, const char *name, cnn_shape shape) {
    int value = graph_add_value(g, name);
    cr_assert(value >= 0 && graph_add_input(g, value));
    g->values[value].dtype = CNN_FLOAT32;
    g->values[value].shape = shape;
    g->values[value].has_shape = true;
    return value;
}

static int add_constant(graph *g, const char *name, tensor *t) {
    int value = graph_add_constant(g, name, t);
    cr_assert_geq(value, 0);
    tensor_unref(t);
    return value;
}

int make_floats(graph *g, const char *name, cnn_shape shape, const float *data) {
    tensor *t = new_tensor(CNN_FLOAT32, shape);
    memcpy(t->data, data, t->bytes);
    return add_constant(g, name, t);
}

int make_random(graph *g, const char *name, cnn_shape shape) {
    tensor *t = new_tensor(CNN_FLOAT32, shape);
    fill_random(t, name);
    return add_constant(g, name, t);
}

int make_number(graph *g, const char *name, float number) {
    return make_floats(g, name, SHAPE0, &number);
}

int make_ints(graph *g, const char *name, size_t count, const int64_t *data) {
    tensor *t = new_tensor(CNN_INT64, SHAPE((int64_t)count));
    if (count > 0) memcpy(t->data, data, t->bytes);
    return add_constant(g, name, t);
}

int make_node(graph *g, const char *op, const char *output, int count, const int *inputs) {
    const op_def *def = op_find("", op, g->opset);
    cr_assert_not_null(def, "operator %s in version %d", op, g->opset);
    graph_node *node = graph_node_create(def, output, (size_t)count, 1);
    cr_assert_not_null(node);
    memcpy(node->inputs, inputs, (size_t)count * sizeof *inputs);
    node->outputs[0] = graph_add_value(g, output);
    node->origin = (int)g->node_count;
    cr_assert(node->outputs[0] >= 0 && graph_add_node(g, node));
    return node->outputs[0];
}

graph_node *made(graph *g) {
    return g->nodes[g->node_count - 1];
}

graph_node *find_node(const graph *g, const char *output) {
    int value = graph_find_value(g, output);
    return value < 0 || g->values[value].producer < 0 ? NULL : g->nodes[g->values[value].producer];
}

size_t count_ops(const graph *g, const char *op) {
    size_t count = 0;
    for (size_t i = 0; i < g->node_count; i++)
        count += strcmp(g->nodes[i]->op->name, op) == 0;
    return count;
}

/* ---- checking ---- */

/* A node input or residual must be made before node `at`. */
static void check_dependency(const graph *g, int value, size_t at) {
    if (value < 0) return;
    const graph_value *v = &g->values[value];
    bool fed = false;
    for (size_t i = 0; i < g->input_count; i++)
        fed |= g->inputs[i] == value;
    cr_assert(fed || v->constant || (v->producer >= 0 && v->producer < (int)at),
              "node %zu uses '%s', which is not there yet", at, v->name);
}

/* Uses of a value as node input, residual or graph output. */
static size_t count_uses(const graph *g, int value) {
    size_t uses = 0;
    for (size_t i = 0; i < g->node_count; i++) {
        const graph_node *node = g->nodes[i];
        for (size_t j = 0; j < node->input_count; j++)
            uses += node->inputs[j] == value;
        uses += node->fused.residual == value;
    }
    for (size_t i = 0; i < g->output_count; i++)
        uses += g->outputs[i] == value;
    return uses;
}

void check_graph(const graph *g) {
    for (size_t i = 0; i < g->node_count; i++) {
        const graph_node *node = g->nodes[i];
        for (size_t j = 0; j < node->input_count; j++)
            check_dependency(g, node->inputs[j], i);
        check_dependency(g, node->fused.residual, i);
        for (size_t j = 0; j < node->output_count; j++)
            if (node->outputs[j] >= 0)
                cr_assert_eq(g->values[node->outputs[j]].producer, (int)i, "producer of '%s'",
                             g->values[node->outputs[j]].name);
    }
    for (size_t i = 0; i < g->output_count; i++)
        check_dependency(g, g->outputs[i], g->node_count);
    for (size_t i = 0; i < g->value_count; i++)
        cr_assert_eq(g->values[i].uses, count_uses(g, (int)i), "uses of '%s': %u, not %zu",
                     g->values[i].name, g->values[i].uses, count_uses(g, (int)i));
}

/* ---- evaluating ---- */

static double activate(const epilogue *e, double x) {
    double a = (double)e->alpha, b = (double)e->beta;
    switch (e->act) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return fmax(x, 0);
    case ACT_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case ACT_CLIP:
        return fmin(fmax(x, a), b);
    case ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case ACT_HARD_SIGMOID:
        return fmax(0, fmin(1, a * x + b));
    case ACT_HARD_SWISH:
        return x * fmax(0, fmin(1, x / 6 + 0.5));
    case ACT_SILU:
        return x / (1 + exp(-x));
    case ACT_GELU:
        return x * 0.5 * erfc(-x * M_SQRT1_2);
    }
    cr_assert_fail("unknown activation %d", (int)e->act);
    return 0;
}

static void apply_epilogue(const graph_node *node, tensor *const *values) {
    if (node->fused.act == ACT_NONE && node->fused.residual < 0) return;
    tensor *t = values[node->outputs[0]];
    const tensor *residual = node->fused.residual < 0 ? NULL : values[node->fused.residual];
    cr_assert(t->dtype == CNN_FLOAT32 && (!residual || residual->elements == t->elements));
    float *x = t->data;
    for (size_t i = 0; i < t->elements; i++)
        x[i] = (float)activate(&node->fused,
                               (double)x[i] + (residual ? tensor_number(residual, i) : 0));
}

static void run_node(const graph *g, const graph_node *node, tensor **values) {
    const tensor *in[16] = {NULL};
    tensor *out[4] = {NULL};
    cr_assert(node->input_count <= 16 && node->output_count <= 4);
    for (size_t i = 0; i < node->input_count; i++)
        in[i] = node->inputs[i] < 0 ? NULL : values[node->inputs[i]];
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0) {
            const graph_value *v = &g->values[node->outputs[i]];
            out[i] = values[node->outputs[i]] = new_tensor(v->dtype, v->shape);
        }
    node->op->eval(node, in, out);
    apply_epilogue(node, values);
}

tensor **evaluate(const graph *g) {
    tensor **values = calloc(g->value_count + 1, sizeof *values);
    cr_assert_not_null(values);
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i].constant) values[i] = tensor_ref(g->values[i].constant);
    for (size_t i = 0; i < g->input_count; i++) {
        const graph_value *v = &g->values[g->inputs[i]];
        values[g->inputs[i]] = new_tensor(v->dtype, v->shape);
        fill_random(values[g->inputs[i]], v->name);
    }
    for (size_t i = 0; i < g->node_count; i++)
        run_node(g, g->nodes[i], values);
    return values;
}

void free_values(const graph *g, tensor **values) {
    for (size_t i = 0; i < g->value_count; i++)
        tensor_unref(values[i]);
    free(values);
}
