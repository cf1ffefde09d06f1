#include "graph/make.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;

static graph *relu_of(cnn_shape shape) {
    graph *g = make_graph(13);
    int y = make(g, "Relu", "y", 1, make_input(g, "x", shape));
    cr_assert(graph_add_output(g, y));
    return g;
}

/* Binds, expects the status, frees; the message is in err. */
static void expect(graph *g, const cnn_shape *shapes, cnn_status status) {
    err = (cnn_error){0};
    cnn_status got = graph_bind(g, shapes, &err);
    cr_assert_eq(got, status, "status %d: %s", (int)got, err.message);
    graph_free(g);
}

Test(bind, takes_an_open_batch_as_1) {
    graph *g = relu_of(SHAPE(-1, 3, 4, 4));
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK);
    cr_assert(cnn_shape_equal(&g->values[g->outputs[0]].shape, &SHAPE(1, 3, 4, 4)));
    check_graph(g);
    graph_free(g);
}

Test(bind, needs_other_open_extents_given) {
    expect(relu_of(SHAPE(-1, 3, -1, 4)), NULL, CNN_INVALID_ARGUMENT);
    cr_assert_str_eq(err.message,
                     "input 'x': the model leaves the extent of axis 2 open; give the input's "
                     "shape");
    graph *g = relu_of(SHAPE(-1, 3, -1, 4));
    g->values[g->inputs[0]].has_shape = false;
    expect(g, NULL, CNN_INVALID_ARGUMENT);
    cr_assert(strstr(err.message, "does not say its shape"));
}

Test(bind, takes_given_shapes_that_agree) {
    graph *g = relu_of(SHAPE(-1, 3, -1, 4));
    cr_assert_eq(graph_bind(g, &SHAPE(2, 3, 9, 4), &err), CNN_OK);
    cr_assert(cnn_shape_equal(&g->values[g->outputs[0]].shape, &SHAPE(2, 3, 9, 4)));
    graph_free(g);
    g = relu_of(SHAPE0);
    g->values[g->inputs[0]].has_shape = false; /* takes any */
    cr_assert_eq(graph_bind(g, &SHAPE(5), &err), CNN_OK);
    graph_free(g);
}

Test(bind, refuses_given_shapes_that_do_not) {
    expect(relu_of(SHAPE(-1, 3)), &SHAPE(1, 4), CNN_INVALID_ARGUMENT);
    cr_assert_str_eq(err.message, "input 'x': shape 1x4 does not fit the model's ?x3");
    expect(relu_of(SHAPE(-1, 3)), &SHAPE(1, 3, 1), CNN_INVALID_ARGUMENT);
    expect(relu_of(SHAPE(-1, 3)), &SHAPE(-1, 3), CNN_INVALID_ARGUMENT);
    expect(relu_of(SHAPE(-1, 3)), &(cnn_shape){.rank = 99}, CNN_INVALID_ARGUMENT);
    expect(relu_of(SHAPE(-1, 3)), &(cnn_shape){.rank = -1}, CNN_INVALID_ARGUMENT);
    expect(relu_of(SHAPE(-1, -1)), &SHAPE(INT64_MAX, INT64_MAX), CNN_LIMIT);
    expect(relu_of(SHAPE(-1)), &SHAPE(GRAPH_MAX_EXTENT), CNN_LIMIT);
}

Test(bind, names_the_node_that_does_not_fit) {
    graph *g = make_graph(13);
    int y = make(g, "Add", "sum", 2, make_input(g, "a", SHAPE(2)), make_input(g, "b", SHAPE(3)));
    cr_assert(graph_add_output(g, y));
    expect(g, NULL, CNN_INVALID_MODEL);
    cr_assert(strstr(err.message, "Add") && strstr(err.message, "sum"), "%s", err.message);
}

/* ---- folding ---- */

Test(bind, folds_constants_and_releases_them) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), a = make_floats(g, "a", SHAPE(2), (float[]){1, -2});
    int r = make(g, "Relu", "r", 1, a), s = make(g, "Add", "s", 2, r, r);
    int y = make(g, "Mul", "y", 2, x, s);
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK);
    cr_assert_eq(g->node_count, 1);
    const tensor *t = g->values[s].constant;
    cr_assert_not_null(t);
    cr_assert_eq(((const float *)t->data)[0], 2);
    cr_assert_eq(((const float *)t->data)[1], 0);
    cr_assert_null(g->values[a].constant, "its only reader is gone");
    cr_assert_null(g->values[r].constant);
    check_graph(g);
    graph_free(g);
}

Test(bind, a_folded_output_stays_an_output) {
    graph *g = make_graph(13);
    int a = make_number(g, "a", -2), y = make(g, "Relu", "y", 1, a);
    cr_assert(graph_add_output(g, y) && graph_add_output(g, a));
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK);
    cr_assert_eq(g->node_count, 0);
    cr_assert_eq(g->values[y].producer, -1);
    cr_assert_eq(tensor_number(g->values[y].constant, 0), 0);
    cr_assert_eq(tensor_number(g->values[a].constant, 0), -2, "an output is a use");
    graph_free(g);
}

Test(bind, folds_shape_arithmetic) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(-1, 3, 4, 5));
    int shape = make(g, "Shape", "shape", 1, x);
    int n = make(g, "Gather", "n", 2, shape, make_ints(g, "zero", 1, (int64_t[]){0}));
    int target = make(g, "Concat", "target", 2, n, make_ints(g, "rest", 1, (int64_t[]){-1}));
    cr_assert(graph_add_attr_int(made(g), "axis", 0));
    int y = make(g, "Reshape", "y", 2, x, target);
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_bind(g, &SHAPE(2, 3, 4, 5), &err), CNN_OK, "%s", err.message);
    cr_assert(cnn_shape_equal(&g->values[y].shape, &SHAPE(2, 60)));
    cr_assert_eq(g->node_count, 1);
    graph_free(g);
}

Test(bind, the_original_keeps_its_constants) {
    graph *g = make_graph(13), *copy = NULL;
    int a = make_number(g, "a", -2), y = make(g, "Relu", "y", 1, a);
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_clone(g, &copy, NULL), CNN_OK);
    cr_assert_eq(graph_bind(copy, NULL, &err), CNN_OK);
    cr_assert_null(copy->values[a].constant);
    cr_assert_not_null(g->values[a].constant);
    cr_assert_eq(g->node_count, 1);
    graph_free(copy);
    graph_free(g);
}

Test(bind, too_much_to_fold_is_left_to_the_run) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1));
    int big = make(g, "Expand", "big", 2, make_number(g, "one", 1),
                   make_ints(g, "size", 1, (int64_t[]){1 << 30}));
    int y = make(g, "Add", "y", 2, x, big);
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(g->node_count, 2);
    cr_assert_null(g->values[big].constant);
    graph_free(g);
}

Test(bind, what_leads_nowhere_is_not_looked_at) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), y = make(g, "Relu", "y", 1, x);
    make(g, "Add", "broken", 2, x, make_random(g, "w", SHAPE(3)));
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(g->node_count, 1);
    cr_assert_null(g->values[graph_find_value(g, "w")].constant);
    graph_free(g);
}

Test(bind, an_absent_output_is_fine) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 1, 4, 4)), y = make(g, "MaxPool", "y", 1, x);
    graph_node *node = made(g);
    cr_assert(graph_add_attr_ints(node, "kernel_shape", (int64_t[]){2, 2}, 2));
    int *outputs = realloc(node->outputs, 2 * sizeof *outputs);
    cr_assert_not_null(outputs);
    outputs[1] = -1;
    node->outputs = outputs;
    node->output_count = 2;
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    check_graph(g);
    graph_free(g);
}

Test(bind, refuses_outputs_that_nobody_makes) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), gone = graph_add_value(g, "gone");
    cr_assert(graph_add_output(g, make(g, "Relu", "y", 1, x)) && graph_add_output(g, gone));
    expect(g, NULL, CNN_NOT_FOUND);
    cr_assert_str_eq(err.message, "tensor 'gone' is not computed by the model");
}

Test(bind, an_input_may_be_an_output) {
    graph *g = make_graph(13);
    cr_assert(graph_add_output(g, make_input(g, "x", SHAPE(2))));
    expect(g, NULL, CNN_OK);
}

/* ---- before binding ---- */

Test(fold, needs_no_shapes_of_inputs) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(-1, -1));
    g->values[x].has_shape = false;
    int w = make_number(g, "w", -2), r = make(g, "Neg", "r", 1, w);
    int y = make(g, "Mul", "y", 2, x, r), unused = make(g, "Neg", "unused", 1, y);
    int broken =
        make(g, "Add", "broken", 2, make_random(g, "a", SHAPE(2)), make_random(g, "b", SHAPE(3)));
    make(g, "Relu", "broken2", 1, broken);
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_fold_constants(g, &err), CNN_OK);
    cr_assert_eq(g->node_count, 4, "only the constant one is gone");
    cr_assert_eq(tensor_number(g->values[r].constant, 0), 2);
    cr_assert_null(g->values[w].constant);
    cr_assert_eq(g->values[y].producer, 0);
    cr_assert_eq(g->values[unused].producer, 1);
    check_graph(g);
    graph_free(g);
}

Test(fold, clones_go_on_with_what_is_left) {
    graph *g = make_graph(13), *copy = NULL;
    int a = make(g, "Neg", "a", 1, make_random(g, "p", SHAPE(4)));
    int b = make(g, "Neg", "b", 1, make_random(g, "q", SHAPE(4)));
    cr_assert(graph_add_output(g, a) && graph_add_output(g, b));
    g->budget = (fold_budget){true, 3 * 16, 1}; /* for one of them, in and out */
    cr_assert_eq(graph_fold_constants(g, &err), CNN_OK);
    cr_assert_eq(g->node_count, 1);
    cr_assert_eq(graph_clone(g, &copy, NULL), CNN_OK);
    cr_assert_eq(graph_bind(copy, NULL, &err), CNN_OK);
    cr_assert_eq(copy->node_count, 1, "what has been folded does not count as constants");
    graph_free(copy);
    graph_free(g);
}

/* ---- constants that are computed again ---- */

#define CHANNELS 3
#define EACH     1500 /* weights of a channel: enough to be worth it */

/* DequantizeLinear of int8 weights k % 200 - 100, zero points -1, 0, 1 and scales 1/4, 1/2, 1. */
static int make_dequantized(graph *g, const char *name, int8_t *weights) {
    tensor *zero = NULL, *quantized = NULL;
    for (int i = 0; i < CHANNELS * EACH; i++)
        weights[i] = (int8_t)(i % 200 - 100);
    cr_assert_eq(tensor_create(CNN_INT8, &SHAPE(CHANNELS, EACH), &quantized, NULL), CNN_OK);
    cr_assert_eq(tensor_create(CNN_INT8, &SHAPE(CHANNELS), &zero, NULL), CNN_OK);
    memcpy(quantized->data, weights, CHANNELS * EACH);
    memcpy(zero->data, (int8_t[]){-1, 0, 1}, CHANNELS);
    int q = graph_add_constant(g, "q", quantized), z = graph_add_constant(g, "z", zero);
    int s = make_floats(g, "s", SHAPE(CHANNELS), (float[]){0.25F, 0.5F, 1});
    tensor_unref(quantized);
    tensor_unref(zero);
    int y = make(g, "DequantizeLinear", name, 3, q, s, z);
    cr_assert(graph_add_attr_int(made(g), "axis", 0));
    return y;
}

Test(fold, what_grows_is_computed_when_it_is_loaded) {
    static int8_t weights[CHANNELS * EACH];
    graph *g = make_graph(13), *copy = NULL;
    int w = make_dequantized(g, "w", weights), negative = make(g, "Neg", "negative", 1, w);
    cr_assert(graph_add_output(g, w) && graph_add_output(g, negative));
    cr_assert_eq(graph_fold_constants(g, &err), CNN_OK);
    cr_assert_eq(g->node_count, 0);
    cr_assert_not_null(g->values[w].constant);
    cr_assert_null(g->values[w].constant->data);
    cr_assert_null(g->values[negative].constant->data);
    cr_assert_null(g->values[graph_find_value(g, "q")].constant);
    for (int again = 0; again < 2; again++) { /* one clone for each plan */
        cr_assert_eq(graph_clone(g, &copy, NULL), CNN_OK);
        cr_assert_eq(graph_load_constants(copy, 2, &err), CNN_OK, "%s", err.message);
        const float *x = copy->values[w].constant->data, *y = copy->values[negative].constant->data;
        for (int i = 0; i < CHANNELS * EACH; i++) {
            int c = i / EACH;
            cr_assert_eq(x[i], (float)((weights[i] - (c - 1)) * (1 << c)) / 4, "element %d", i);
            cr_assert_eq(y[i], -x[i]);
        }
        graph_free(copy);
    }
    cr_assert_null(g->values[w].constant->data, "the model's own graph keeps what it is made from");
    graph_free(g);
}

/* Of constants that are in memory, only what is larger than they are. */
Test(fold, what_does_not_grow_is_kept) {
    graph *g = make_graph(13);
    int w = make_random(g, "w", SHAPE(CHANNELS, EACH)), y = make(g, "Neg", "y", 1, w);
    int few = make(g, "Neg", "few", 1, make_random(g, "v", SHAPE(8)));
    cr_assert(graph_add_output(g, y) && graph_add_output(g, few));
    cr_assert_eq(graph_fold_constants(g, &err), CNN_OK);
    cr_assert_not_null(g->values[y].constant->data);
    cr_assert_not_null(g->values[few].constant->data);
    graph_free(g);
}

/* Each doubles what there is to compute, were all of it to be computed again. */
Test(fold, long_chains_are_not_computed_again) {
    static int8_t weights[CHANNELS * EACH];
    char name[8];
    graph *g = make_graph(13);
    int w = make_dequantized(g, "w", weights);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "x%d", i);
        w = make(g, "Add", name, 2, w, w);
    }
    cr_assert(graph_add_output(g, w));
    cr_assert_eq(graph_fold_constants(g, &err), CNN_OK);
    cr_assert_eq(g->node_count, 0);
    cr_assert_eq(graph_load_constants(g, 1, &err), CNN_OK, "%s", err.message);
    const float *x = g->values[w].constant->data;
    for (int i = 0; i < EACH; i++)
        cr_assert_eq(x[i], (float)(weights[i] + 1) * (1 << 18));
    graph_free(g);
}

Test(fold, an_input_can_be_fixed) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2, 3)), shape = make_input(g, "shape", SHAPE(-1));
    int z = make_input(g, "z", SHAPE(6));
    g->values[shape].dtype = CNN_INT64;
    cr_assert(graph_add_output(g, make(g, "Add", "y", 2, make(g, "Reshape", "r", 2, x, shape), z)));
    tensor *t = NULL, *wrong = NULL;
    cr_assert_eq(tensor_create(CNN_INT64, &SHAPE(1), &t, NULL), CNN_OK);
    cr_assert_eq(tensor_create(CNN_INT64, &SHAPE(1, 1), &wrong, NULL), CNN_OK);
    ((int64_t *)t->data)[0] = -1;
    cr_assert_eq(graph_fix_input(g, 0, t, &err), CNN_INVALID_ARGUMENT);
    cr_assert_str_eq(err.message, "input 'x' is float32, the value given is int64");
    cr_assert_eq(graph_fix_input(g, 1, wrong, &err), CNN_INVALID_ARGUMENT);
    cr_assert_str_eq(err.message, "input 'shape': shape 1x1 does not fit the model's ?");
    cr_assert_eq(graph_fix_input(g, 1, t, &err), CNN_OK);
    tensor_unref(t);
    tensor_unref(wrong);
    cnn_shape shapes[] = {SHAPE(2, 3), SHAPE(9, 9), SHAPE(6)}; /* the second is not looked at */
    cr_assert_eq(graph_bind(g, shapes, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(g->input_count, 2);
    cr_assert_eq(g->inputs[1], z);
    cr_assert_eq(g->values[g->outputs[0]].shape.dims[0], 6);
    graph_free(g);
}
