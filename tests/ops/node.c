#include "node.h"

#include "graph/attrs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

node_test *node_begin(const char *op, int opset) {
    node_test *t = calloc(1, sizeof *t);
    const op_def *def = op_find("", op, opset);
    if (!def) def = op_find(OP_OWN_DOMAIN, op, opset);
    cr_assert(t);
    cr_assert(def, "%s is unknown in version %d", op, opset);
    t->g = graph_create();
    t->node = graph_node_create(def, "n", NODE_MAX_ARGS, NODE_MAX_ARGS);
    cr_assert(t->g && t->node);
    t->node->input_count = 0;
    node_outputs(t, 1);
    return t;
}

void node_end(node_test *t) {
    for (size_t i = 0; i < NODE_MAX_ARGS; i++) {
        tensor_unref(t->in[i]);
        tensor_unref(t->out[i]);
    }
    graph_node_free(t->node);
    graph_free(t->g);
    free(t);
}

void node_attr_ints(node_test *t, const char *name, size_t count, const int64_t *ints) {
    cr_assert(graph_add_attr_ints(t->node, name, ints, count));
}

void node_attr_int(node_test *t, const char *name, int64_t value) {
    cr_assert(graph_add_attr_int(t->node, name, value));
}

void node_attr_float(node_test *t, const char *name, double value) {
    cr_assert(graph_add_attr_float(t->node, name, (float)value));
}

void node_attr_string(node_test *t, const char *name, const char *value) {
    add_attr_string(t->node, name, value);
}

void node_attr_floats(node_test *t, const char *name, size_t count, const double *numbers) {
    float floats[16];
    cr_assert_leq(count, 16);
    for (size_t i = 0; i < count; i++)
        floats[i] = (float)numbers[i];
    add_attr_floats(t->node, name, count, floats);
}

static void put(tensor *t, size_t i, double x) {
    switch (t->dtype) {
    case CNN_FLOAT32:
        ((float *)t->data)[i] = (float)x;
        break;
    case CNN_FLOAT64:
        ((double *)t->data)[i] = x;
        break;
    case CNN_FLOAT16:
        ((uint16_t *)t->data)[i] = cnn_half_from_float((float)x);
        break;
    case CNN_BFLOAT16:
        ((uint16_t *)t->data)[i] = cnn_bfloat16_from_float((float)x);
        break;
    case CNN_INT8:
        ((int8_t *)t->data)[i] = (int8_t)x;
        break;
    case CNN_UINT8:
    case CNN_BOOL:
        ((uint8_t *)t->data)[i] = (uint8_t)x;
        break;
    case CNN_INT16:
        ((int16_t *)t->data)[i] = (int16_t)x;
        break;
    case CNN_UINT16:
        ((uint16_t *)t->data)[i] = (uint16_t)x;
        break;
    case CNN_INT32:
        ((int32_t *)t->data)[i] = (int32_t)x;
        break;
    case CNN_UINT32:
        ((uint32_t *)t->data)[i] = (uint32_t)x;
        break;
    case CNN_UINT64:
        ((uint64_t *)t->data)[i] = (uint64_t)x;
        break;
    default:
        ((int64_t *)t->data)[i] = (int64_t)x;
    }
}

static tensor *make_tensor(cnn_dtype dtype, const cnn_shape *shape, size_t count,
                           const double *numbers) {
    tensor *made = NULL;
    cnn_error err = {0};
    cr_assert_eq(tensor_create(dtype, shape, &made, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(made->elements, count, "the test gives %zu numbers for %zu elements", count,
                 made->elements);
    for (size_t i = 0; i < count; i++)
        put(made, i, numbers[i]);
    return made;
}

void node_attr_tensor(node_test *t, const char *name, cnn_dtype dtype, cnn_shape shape,
                      size_t count, const double *numbers) {
    tensor *made = make_tensor(dtype, &shape, count, numbers);
    add_attr_tensor(t->node, name, made);
    tensor_unref(made);
}

static int add_value(node_test *t, cnn_dtype dtype, const cnn_shape *shape) {
    char name[16];
    snprintf(name, sizeof name, "v%zu", t->g->value_count);
    int v = graph_add_value(t->g, name);
    cr_assert_geq(v, 0);
    t->g->values[v].dtype = dtype;
    t->g->values[v].shape = *shape;
    t->g->values[v].has_shape = true;
    return v;
}

static void add_input(node_test *t, cnn_dtype dtype, const cnn_shape *shape, tensor *made,
                      bool constant) {
    int v = add_value(t, dtype, shape);
    if (constant) graph_set_constant(t->g, v, made);
    t->in[t->ins] = made;
    t->node->inputs[t->ins++] = v;
    t->node->input_count = t->ins;
}

void node_in(node_test *t, cnn_dtype dtype, cnn_shape shape, size_t count, const double *numbers) {
    add_input(t, dtype, &shape, make_tensor(dtype, &shape, count, numbers), false);
}

void node_constant(node_test *t, cnn_dtype dtype, cnn_shape shape, size_t count,
                   const double *numbers) {
    add_input(t, dtype, &shape, make_tensor(dtype, &shape, count, numbers), true);
}

void node_absent(node_test *t) {
    t->node->inputs[t->ins++] = -1;
    t->node->input_count = t->ins;
}

void node_in_counting(node_test *t, cnn_shape shape) {
    tensor *made = NULL;
    cr_assert_eq(tensor_create(CNN_FLOAT32, &shape, &made, NULL), CNN_OK);
    for (size_t i = 0; i < made->elements; i++)
        put(made, i, (double)(i + 1));
    add_input(t, CNN_FLOAT32, &shape, made, false);
}

void node_outputs(node_test *t, size_t count) {
    for (; t->outs < count; t->outs++) {
        int v = add_value(t, 0, &SCALAR);
        t->g->values[v].has_shape = false;
        t->node->outputs[t->outs] = v;
    }
    t->node->output_count = t->outs;
}

void node_run(node_test *t) {
    cnn_error err = {0};
    t->ran = true;
    cr_assert_eq(t->node->op->infer(t->g, t->node, &err), CNN_OK, "%s", err.message);
    for (size_t i = 0; i < t->outs; i++) {
        const graph_value *v = &t->g->values[t->node->outputs[i]];
        cr_assert(v->has_shape, "output %zu has no shape", i);
        cr_assert_eq(tensor_create(v->dtype, &v->shape, &t->out[i], &err), CNN_OK, "%s",
                     err.message);
        memset(t->out[i]->data, 0xA5, t->out[i]->bytes);
    }
    t->node->op->eval(t->node, (const tensor *const *)t->in, t->out);
}

static bool near(double got, double want, bool exact) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (exact || isinf(want) || isinf(got)) return got == want;
    return fabs(got - want) <= 1e-6 * fmax(1, fabs(want));
}

void node_gives(node_test *t, size_t i, cnn_dtype dtype, cnn_shape shape, size_t count,
                const double *numbers) {
    if (!t->ran) node_run(t);
    const tensor *out = t->out[i];
    char got[128], want[128];
    cr_assert_eq(out->dtype, dtype, "output %zu is %s, not %s", i, cnn_dtype_name(out->dtype),
                 cnn_dtype_name(dtype));
    cr_assert(cnn_shape_equal(&out->shape, &shape), "output %zu is %s, not %s", i,
              cnn_shape_text(&out->shape, got, sizeof got),
              cnn_shape_text(&shape, want, sizeof want));
    cr_assert_eq(out->elements, count, "the test gives %zu numbers", count);
    for (size_t k = 0; k < count; k++)
        cr_assert(
            near(tensor_number(out, k), numbers[k], dtype != CNN_FLOAT32 && dtype != CNN_FLOAT64),
            "output %zu, element %zu: %.9g, not %.9g", i, k, tensor_number(out, k), numbers[k]);
}

void node_fails(node_test *t, cnn_status status, const char *text) {
    cnn_error err = {0};
    cnn_status got = t->node->op->infer(t->g, t->node, &err);
    cr_assert_neq(got, CNN_OK, "accepted, but should say '%s'", text);
    cr_assert_eq(got, status, "status %d: %s", (int)got, err.message);
    cr_assert_eq(err.status, status);
    char prefix[96];
    int length = snprintf(prefix, sizeof prefix, "%s 'n': ", t->node->op->name);
    cr_assert_eq(strncmp(err.message, prefix, (size_t)length), 0, "%s", err.message);
    cr_assert(strstr(err.message + length, text), "'%s' does not say '%s'", err.message, text);
    cr_assert_null(strchr(err.message, '\n'));
    node_end(t);
}

uint64_t node_macs(node_test *t) {
    if (!t->ran) node_run(t);
    return t->node->op->macs(t->g, t->node);
}
