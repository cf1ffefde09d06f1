#include "networks.h"

#include "ops/op.h"

#include <criterion/criterion.h>
#include <math.h>
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
    *n = (network){.g = graph_create(), .random = {seed}, .outputs = 1};
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

static tensor *new_constant(network *n, cnn_dtype dtype, const cnn_shape *shape, int *value) {
    tensor *t;
    cr_assert_eq(tensor_create(dtype, shape, &t, NULL), CNN_OK);
    *value = new_value(n, "w");
    graph_set_constant(n->g, *value, t);
    tensor_unref(t); /* the graph has its own reference */
    return t;
}

int network_weights(network *n, const cnn_shape *shape, float scale) {
    int value;
    tensor *t = new_constant(n, CNN_FLOAT32, shape, &value);
    for (size_t i = 0; i < t->elements; i++)
        ((float *)t->data)[i] = scale * random_float(&n->random);
    return value;
}

int network_ints(network *n, size_t count, const int64_t *ints) {
    int value;
    tensor *t = new_constant(n, CNN_INT64, &SHAPE((int64_t)count), &value);
    memcpy(t->data, ints, t->bytes);
    return value;
}

int network_node(network *n, const char *op, graph_node **node, int input_count, ...) {
    const op_def *def = op_find("", op, n->g->opset);
    if (!def) def = op_find(OP_OWN_DOMAIN, op, 1);
    cr_assert_not_null(def, "%s", op);
    graph_node *made = graph_node_create(def, "", (size_t)input_count, n->outputs);
    va_list inputs;
    va_start(inputs, input_count);
    for (int i = 0; i < input_count; i++)
        made->inputs[i] = va_arg(inputs, int);
    va_end(inputs);
    for (size_t i = 0; i < n->outputs; i++)
        made->outputs[i] = new_value(n, op);
    n->outputs = 1;
    made->origin = (int)n->g->node_count;
    cr_assert(graph_add_node(n->g, made));
    if (node) *node = made;
    return made->outputs[0];
}

void network_output(network *n, int value) {
    cr_assert(graph_add_output(n->g, value));
}

static int network_dense(network *n, int x, int64_t ic, int64_t oc, bool dense) {
    graph_node *node;
    int w = network_weights(n, &(cnn_shape){dense ? 2 : 4, {oc, ic, 1, 1}}, 0.5f);
    int b = network_weights(n, &SHAPE(oc), 0.5f);
    int y = network_node(n, dense ? "Gemm" : "Conv", &node, 3, x, w, b);
    if (dense) graph_add_attr_int(node, "transB", 1);
    return y;
}

int network_squeeze_excite(network *n, int x, int64_t c, int64_t hidden, bool dense) {
    int y = network_node(n, "GlobalAveragePool", NULL, 1, x);
    if (dense) y = network_node(n, "Flatten", NULL, 1, y);
    y = network_node(n, dense ? "LeakyRelu" : "Relu", NULL, 1,
                     network_dense(n, y, c, hidden, dense));
    y = network_node(n, dense ? "HardSigmoid" : "Sigmoid", NULL, 1,
                     network_dense(n, y, hidden, c, dense));
    if (dense)
        y = network_node(n, "Reshape", NULL, 2, y, network_ints(n, 4, (int64_t[]){0, c, 1, 1}));
    return network_node(n, "Mul", NULL, 2, x, y);
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

cnn_runtime *make_runtime(const char *isa, int threads) {
    cnn_runtime *rt;
    cnn_error err;
    cnn_runtime_options o = {.threads = threads, .isa = isa};
    cr_assert_eq(cnn_runtime_create(&o, &rt, &err), CNN_OK, "%s", err.message);
    return rt;
}

/* ---- trials ---- */

static float *random_input(random_state *r, const cnn_shape *shape) {
    size_t count;
    cr_assert(cnn_shape_elements(shape, &count));
    float *data = malloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        data[i] = random_float(r);
    return data;
}

trial trial_create(network *n, cnn_runtime *rt, const cnn_shape *shape, const char *const *outputs,
                   size_t output_count) {
    cnn_error err;
    trial t = {.model = network_model(n, rt), .shape = *shape};
    cnn_plan_options o = {.input_shapes = shape, .outputs = outputs, .output_count = output_count};
    t.input = random_input(&n->random, shape);
    cr_assert_eq(cnn_plan_create(t.model, &o, &t.plan, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_session_create(t.plan, &t.session, &err), CNN_OK, "%s", err.message);
    return t;
}

void trial_run(trial *t) {
    size_t count;
    cr_assert(cnn_shape_elements(&t->shape, &count));
    memcpy(cnn_session_input(t->session, 0), t->input, count * sizeof(float));
    cnn_session_run(t->session);
}

void trial_free(trial *t) {
    cnn_session_free(t->session);
    cnn_plan_free(t->plan);
    cnn_model_free(t->model);
    free(t->input);
}

const char *trial_kernel(const trial *t, const char *op) {
    for (size_t i = cnn_plan_step_count(t->plan); i-- > 0;) {
        cnn_step_info step = cnn_plan_step(t->plan, i);
        if (strcmp(step.op, op) == 0) return step.kernel;
    }
    return NULL;
}

/* ---- plain evaluation ---- */

static tensor *new_tensor(const graph_value *v) {
    tensor *t;
    cr_assert_eq(tensor_create(v->dtype, &v->shape, &t, NULL), CNN_OK);
    return t;
}

static void evaluate_node(const graph *g, const graph_node *node, tensor **values) {
    const tensor *in[8] = {0};
    tensor *out[4] = {0};
    for (size_t j = 0; j < node->input_count; j++)
        in[j] = node->inputs[j] < 0 ? NULL : values[node->inputs[j]];
    for (size_t j = 0; j < node->output_count; j++)
        if (node->outputs[j] >= 0)
            out[j] = values[node->outputs[j]] = new_tensor(&g->values[node->outputs[j]]);
    node->op->eval(node, in, out);
}

/* The model's graph, bound, with the plan's outputs. */
static graph *bind_outputs(const trial *t) {
    graph *g;
    cnn_error err;
    size_t count = cnn_plan_output_count(t->plan);
    const char **names = calloc(count, sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = cnn_plan_output(t->plan, i).name;
    cnn_plan_options options = {.input_shapes = &t->shape, .outputs = names, .output_count = count};
    cr_assert_eq(model_bind(t->model, &options, &g, &err), CNN_OK, "%s", err.message);
    free(names);
    return g;
}

/* What every value is: one tensor each, NULL for what nobody makes. */
static tensor **evaluate(const graph *g, const float *input) {
    tensor **values = calloc(g->value_count, sizeof(*values));
    for (size_t i = 0; i < g->value_count; i++)
        values[i] = g->values[i].constant ? tensor_ref(g->values[i].constant) : NULL;
    tensor *in = values[g->inputs[0]] = new_tensor(&g->values[g->inputs[0]]);
    memcpy(in->data, input, in->bytes);
    for (size_t i = 0; i < g->node_count; i++)
        evaluate_node(g, g->nodes[i], values);
    return values;
}

/* ---- comparison ---- */

static size_t worst_element(const float *got, const float *want, size_t count, double *worst) {
    size_t at = 0;
    *worst = 0;
    double largest = 1e-3;
    for (size_t i = 0; i < count; i++) {
        cr_assert(isfinite(want[i]), "element %zu of the evaluation is %g", i, (double)want[i]);
        largest = fmax(largest, fabs((double)want[i]));
    }
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - want[i]) / (largest + fabs((double)want[i]));
        if (!(difference <= *worst)) {
            *worst = isnan(difference) ? INFINITY : difference;
            at = i;
        }
    }
    return at;
}

static void check_output(const trial *t, size_t i, const tensor *want, const char *what) {
    cnn_tensor_info info = cnn_plan_output(t->plan, i);
    double worst;
    const float *got = cnn_session_output(t->session, i);
    cr_assert(cnn_shape_equal(&info.shape, &want->shape));
    if (want->dtype != CNN_FLOAT32) {
        cr_assert_eq(memcmp(got, want->data, want->bytes), 0, "%s, tensor %s", what, info.name);
        return;
    }
    size_t at = worst_element(got, want->data, want->elements, &worst);
    cr_assert_lt(worst, 2e-5, "%s, tensor %s, element %zu: %g, not %g", what, info.name, at,
                 (double)got[at], (double)((float *)want->data)[at]);
}

void trial_check(const trial *t, const char *what) {
    graph *g = bind_outputs(t);
    tensor **values = evaluate(g, t->input);
    for (size_t i = 0; i < g->output_count; i++)
        check_output(t, i, values[g->outputs[i]], what);
    for (size_t i = 0; i < g->value_count; i++)
        tensor_unref(values[i]);
    free(values);
    graph_free(g);
}

void trial_check_same(const trial *a, const trial *b, const char *what) {
    for (size_t i = 0; i < cnn_plan_output_count(a->plan); i++) {
        cnn_tensor_info info = cnn_plan_output(a->plan, i);
        size_t count;
        cr_assert(cnn_shape_elements(&info.shape, &count));
        cr_assert_eq(memcmp(cnn_session_output(a->session, i), cnn_session_output(b->session, i),
                            count * sizeof(float)),
                     0, "%s, tensor %s: bits differ", what, info.name);
    }
}
