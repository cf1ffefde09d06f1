/*
 * Each pass on small graphs: what it changes, what it must leave alone, and that the numbers stay.
 */
#include "graph/attrs.h"
#include "graph/make.h"
#include "passes/passes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;

/* The outputs of `g` are those of before, in the order of graph outputs. */
static void compare(const graph *g, tensor **before, const int *ids, tensor **after) {
    for (size_t i = 0; i < g->output_count; i++) {
        const tensor *a = before[ids[i]], *b = after[g->outputs[i]];
        cr_assert(a && b && a->dtype == b->dtype && cnn_shape_equal(&a->shape, &b->shape));
        for (size_t j = 0; j < a->elements; j++) {
            double x = tensor_number(a, j), y = tensor_number(b, j);
            cr_assert(x == y || fabs(x - y) <= 1e-4 * fabs(x) + 1e-5 || (isnan(x) && isnan(y)),
                      "output '%s', element %zu: %g became %g", g->values[g->outputs[i]].name, j, x,
                      y);
        }
    }
}

/* Binds, rewrites, and compares the outputs, which keep their names. */
static void optimise(graph *g) {
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    tensor **before = evaluate(g), **after;
    size_t values = g->value_count;
    int *ids = calloc(g->output_count + 1, sizeof *ids);
    char **names = calloc(g->output_count + 1, sizeof *names);
    for (size_t i = 0; i < g->output_count; i++) {
        ids[i] = g->outputs[i];
        names[i] = strdup(g->values[ids[i]].name);
    }
    cr_assert_eq(passes_run(g, 0, &err), CNN_OK, "%s", err.message);
    check_graph(g);
    after = evaluate(g);
    compare(g, before, ids, after);
    for (size_t i = 0; i < g->output_count; i++) {
        cr_assert_str_eq(g->values[g->outputs[i]].name, names[i]);
        free(names[i]);
    }
    for (size_t i = 0; i < values; i++)
        tensor_unref(before[i]);
    free(before);
    free_values(g, after);
    free(ids);
    free(names);
}

static void output(graph *g, int value) {
    cr_assert(graph_add_output(g, value));
}

/* y = op(...) as an attribute's carrier, for chains of calls. */
static void ints(graph *g, const char *name, size_t count, const int64_t *values) {
    cr_assert(graph_add_attr_ints(made(g), name, values, count));
}

static void number(graph *g, const char *name, float value) {
    cr_assert(graph_add_attr_float(made(g), name, value));
}

static void integer(graph *g, const char *name, int64_t value) {
    cr_assert(graph_add_attr_int(made(g), name, value));
}

/* Conv of `in` with random weights (oc, c / group, 3, 3), padding 1. */
static int conv(graph *g, const char *name, int in, int64_t c, int64_t oc, int64_t group,
                bool bias) {
    char weights[64], biases[64];
    snprintf(weights, sizeof weights, "%s.weight", name);
    snprintf(biases, sizeof biases, "%s.bias", name);
    int w = make_random(g, weights, SHAPE(oc, c / group, 3, 3));
    int b = bias ? make_random(g, biases, SHAPE(oc)) : -1;
    int y = make(g, "Conv", name, bias ? 3 : 2, in, w, b);
    ints(g, "pads", 4, (int64_t[]){1, 1, 1, 1});
    integer(g, "group", group);
    return y;
}

/* Constants of BatchNormalization: positive variances. */
static int batch_norm(graph *g, const char *name, int in, int64_t c) {
    static const char *const parts[] = {"scale", "bias", "mean", "var"};
    int inputs[4];
    for (int i = 0; i < 4; i++) {
        char text[64];
        float data[64];
        uint64_t state = (uint64_t)(i + 1) * 977;
        for (int64_t j = 0; j < c; j++)
            data[j] = random_number(&state) + (i == 3 ? 1.25f : 0);
        snprintf(text, sizeof text, "%s.%s", name, parts[i]);
        inputs[i] = make_floats(g, text, SHAPE(c), data);
    }
    return make(g, "BatchNormalization", name, 5, in, inputs[0], inputs[1], inputs[2], inputs[3]);
}

static const float *floats_of(const graph *g, int value) {
    cr_assert_not_null(g->values[value].constant);
    return g->values[value].constant->data;
}

/* ---- no-ops ---- */

Test(no_ops, are_dropped) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 2, 3, 1)), v = make(g, "Relu", "start", 1, x);
    v = make(g, "Identity", "identity", 1, v);
    v = make(g, "Dropout", "dropout", 1, v);
    v = make(g, "Reshape", "reshape", 2, v, make_ints(g, "shape", 4, (int64_t[]){1, 2, -1, 1}));
    v = make(g, "Cast", "cast", 1, v);
    integer(g, "to", CNN_FLOAT32);
    v = make(g, "Transpose", "transpose", 1, v);
    ints(g, "perm", 4, (int64_t[]){3, 1, 0, 2}); /* moves extents of 1 only */
    v = make(g, "Reshape", "back", 2, v, make_ints(g, "shape2", 4, (int64_t[]){1, 2, 3, 1}));
    v = make(g, "Pad", "pad", 2, v, make_ints(g, "pads", 8, (int64_t[8]){0}));
    v = make(g, "Concat", "concat", 1, v);
    integer(g, "axis", 1);
    v = make(g, "Sum", "sum", 1, v);
    v = make(g, "Neg", "end", 1, v);
    output(g, v);
    optimise(g);
    /* The transposition changes the shape to 1x2x1x3, so it and its way back remain. */
    cr_assert_eq(g->node_count, 4);
    cr_assert_eq(count_ops(g, "Transpose"), 1);
    cr_assert_eq(count_ops(g, "Reshape"), 1);
    graph_free(g);
}

Test(no_ops, what_changes_something_stays) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2, 2));
    int t = make(g, "Transpose", "t", 1, x); /* the same shape, other content */
    int p = make(g, "Pad", "p", 2, t, make_ints(g, "pads", 4, (int64_t[]){1, 0, -1, 0}));
    int c = make(g, "Cast", "c", 1, p);
    integer(g, "to", CNN_FLOAT64);
    int y = make(g, "Cast", "y", 1, c);
    integer(g, "to", CNN_FLOAT32);
    output(g, y);
    optimise(g);
    cr_assert_eq(g->node_count, 4);
    graph_free(g);
}

Test(no_ops, outputs_keep_their_names) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), r = make(g, "Relu", "r", 1, x);
    int a = make(g, "Identity", "a", 1, r), b = make(g, "Identity", "b", 1, r);
    int n = make(g, "Neg", "n", 1, r), i = make(g, "Identity", "i", 1, x);
    output(g, a);
    output(g, b);
    output(g, n);
    output(g, i);
    optimise(g);
    /* Relu now makes a; b is another name of it, and i one of the input: both need a copy. */
    cr_assert_str_eq(find_node(g, "a")->op->name, "Relu");
    cr_assert_str_eq(find_node(g, "b")->op->name, "Identity");
    cr_assert_eq(count_ops(g, "Identity"), 2);
    cr_assert_eq(find_node(g, "a")->origin, 0);
    graph_free(g);
}

Test(no_ops, a_used_mask_keeps_dropout) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), y = make(g, "Dropout", "y", 1, x);
    graph_node *node = made(g);
    int mask = graph_add_value(g, "mask");
    node->outputs = realloc(node->outputs, 2 * sizeof *node->outputs);
    node->outputs[node->output_count++] = mask;
    g->values[mask].producer = g->values[y].producer;
    output(g, mask);
    output(g, make(g, "Neg", "n", 1, y));
    optimise(g);
    cr_assert_eq(count_ops(g, "Dropout"), 1);
    graph_free(g);
}

Test(no_ops, long_chains_take_linear_time) {
    enum { LENGTH = 30000 };
    graph *g = make_graph(13);
    int v = make(g, "Relu", "start", 1, make_input(g, "x", SHAPE(2)));
    for (int i = 0; i < LENGTH; i++) {
        char name[32];
        snprintf(name, sizeof name, "i%d", i);
        v = make(g, "Identity", name, 1, v);
        if (i % 100 == 0) output(g, v);
    }
    output(g, make(g, "Neg", "end", 1, v));
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(passes_run(g, 0, &err), CNN_OK);
    cr_assert_eq(g->node_count, 2 + LENGTH / 100 - 1);
    graph_free(g);
}

/* ---- MatMul and Add ---- */

Test(gemm, takes_a_bias_on_either_side) {
    for (int swapped = 0; swapped < 2; swapped++) {
        graph *g = make_graph(13);
        int x = make_input(g, "x", SHAPE(3, 4));
        int p = make(g, "MatMul", "p", 2, x, make_random(g, "w", SHAPE(4, 5)));
        int b = make_random(g, "b", swapped ? SHAPE(1, 5) : SHAPE(5));
        output(g, make(g, "Add", "y", 2, swapped ? b : p, swapped ? p : b));
        optimise(g);
        cr_assert_eq(g->node_count, 1);
        const graph_node *node = find_node(g, "y");
        cr_assert_str_eq(node->op->name, "Gemm");
        cr_assert_str_eq(node->name, "p");
        cr_assert_eq(node->origin, 0);
        graph_free(g);
    }
}

Test(gemm, leaves_other_sums_alone) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(5, 5)), w = make_random(g, "w", SHAPE(5, 5));
    int a = make(g, "MatMul", "a", 2, x, w), b = make(g, "MatMul", "b", 2, x, w);
    int c = make(g, "MatMul", "c", 2, x, w);
    output(g, make(g, "Add", "column", 2, a, make_random(g, "k", SHAPE(5, 1))));
    output(g, make(g, "Add", "larger", 2, b, make_random(g, "l", SHAPE(2, 1, 5))));
    output(g, make(g, "Add", "wanted", 2, c, make_random(g, "m", SHAPE(5))));
    output(g, c);
    optimise(g);
    cr_assert_eq(count_ops(g, "MatMul"), 3);
    cr_assert_eq(count_ops(g, "Gemm"), 0);
    graph_free(g);
}

/* Axis 1, which is that of a Conv's channels, is none of the weights': the factor stays. */
Test(gemm, of_more_axes) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2, 5, 3, 4));
    int p = make(g, "MatMul", "p", 2, x, make_random(g, "w", SHAPE(4, 5)));
    int y = make(g, "Add", "y", 2, p, make_random(g, "b", SHAPE(5)));
    output(g,
           make(g, "Relu", "r", 1, make(g, "Mul", "f", 2, y, make_random(g, "k", SHAPE(5, 1, 1)))));
    optimise(g);
    cr_assert_eq(g->node_count, 2);
    cr_assert_eq(count_ops(g, "Gemm"), 1);
    cr_assert_eq(count_ops(g, "Mul"), 1);
    graph_free(g);
}

/* ---- Pad ---- */

/* x -> Pad -> window operator; `amounts` for four axes. */
static graph *padded(int opset, const int64_t *amounts, const char *op, int64_t own) {
    graph *g = make_graph(opset);
    int x = make_input(g, "x", SHAPE(1, 2, 5, 6)), p;
    if (opset < 11) {
        p = make(g, "Pad", "p", 1, x);
        ints(g, "pads", 8, amounts);
    } else {
        p = make(g, "Pad", "p", 2, x, make_ints(g, "amounts", 8, amounts));
    }
    if (strcmp(op, "Conv") == 0) {
        output(g, make(g, "Conv", "y", 2, p, make_random(g, "w", SHAPE(3, 2, 3, 3))));
    } else {
        output(g, make(g, op, "y", 1, p));
        ints(g, "kernel_shape", 2, (int64_t[]){3, 3});
    }
    ints(g, "pads", 4, (int64_t[]){own, own, own, own});
    return g;
}

static const int64_t spatial_pads[] = {0, 0, 1, 2, 0, 0, 0, 1};

Test(pad, joins_a_convolution) {
    for (int opset = 7; opset <= 13; opset += 6) {
        graph *g = padded(opset, spatial_pads, "Conv", 1);
        optimise(g);
        cr_assert_eq(g->node_count, 1);
        const attr *pads = graph_attr(find_node(g, "y"), "pads");
        cr_assert_arr_eq(pads->ints, ((int64_t[]){2, 3, 1, 2}), 32);
        graph_free(g);
    }
}

Test(pad, joins_an_average_where_it_counts) {
    graph *g = padded(13, spatial_pads, "AveragePool", 0);
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    graph_free(g);
    g = padded(13, spatial_pads, "AveragePool", 1);
    optimise(g);
    cr_assert_eq(g->node_count, 2, "its own padding does not count, the other does");
    graph_free(g);
    g = padded(13, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 0}, "AveragePool", 1);
    integer(g, "count_include_pad", 1);
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    graph_free(g);
    g = padded(13, spatial_pads, "AveragePool", 0);
    integer(g, "ceil_mode", 1);
    optimise(g);
    cr_assert_eq(g->node_count, 2);
    graph_free(g);
}

Test(pad, stays_where_it_differs) {
    graph *g = padded(13, spatial_pads, "MaxPool", 0);
    optimise(g);
    cr_assert_eq(g->node_count, 2, "no number of MaxPool's padding wins");
    graph_free(g);
    g = padded(13, (int64_t[]){0, 1, 0, 0, 0, -1, 0, 0}, "Conv", 0);
    optimise(g);
    cr_assert_eq(g->node_count, 2, "channels");
    graph_free(g);
    g = padded(13, (int64_t[]){0, 0, -1, 0, 0, 0, 1, 0}, "Conv", 0);
    optimise(g);
    cr_assert_eq(g->node_count, 2, "inwards");
    graph_free(g);
    g = padded(13, spatial_pads, "Conv", GRAPH_MAX_EXTENT);
    ints(g, "strides", 2, (int64_t[]){GRAPH_MAX_EXTENT, GRAPH_MAX_EXTENT});
    optimise(g);
    cr_assert_eq(g->node_count, 2, "more than an attribute may say");
    graph_free(g);
    g = padded(13, spatial_pads, "Conv", 0);
    add_attr_string(g->nodes[0], "mode", "reflect");
    optimise(g);
    cr_assert_eq(g->node_count, 2, "mode");
    graph_free(g);
    g = padded(7, spatial_pads, "Conv", 0);
    cr_assert(graph_add_attr_float(g->nodes[0], "value", 1));
    optimise(g);
    cr_assert_eq(g->node_count, 2, "value");
    graph_free(g);
    g = padded(13, spatial_pads, "Conv", 0);
    output(g, graph_find_value(g, "p"));
    optimise(g);
    cr_assert_eq(g->node_count, 2, "wanted");
    graph_free(g);
}

/* x -> activation -> Pad -> MaxPool of the window; how many nodes stay. */
static size_t padded_maximum(const char *op, int64_t amount, int64_t stride, int outputs) {
    graph *g = make_graph(14);
    int x = make_input(g, "x", SHAPE(1, 2, 5, 6));
    int a = make(g, op, "a", 1, x);
    int p = make(g, "Pad", "p", 2, a,
                 make_ints(g, "amounts", 8, (int64_t[]){0, 0, amount, 0, 0, 0, amount, 1}));
    output(g, make(g, "MaxPool", "y", 1, p));
    ints(g, "kernel_shape", 2, (int64_t[]){3, 3});
    ints(g, "strides", 2, (int64_t[]){stride, stride});
    if (outputs > 1) {
        graph_node *node = made(g);
        int indices = graph_add_value(g, "indices");
        node->outputs = realloc(node->outputs, 2 * sizeof(*node->outputs));
        node->outputs[node->output_count++] = indices;
        g->values[indices].producer = g->values[node->outputs[0]].producer;
        output(g, indices);
    }
    optimise(g);
    size_t count = g->node_count;
    graph_free(g);
    return count;
}

Test(pad, joins_a_maximum_of_what_is_not_negative) {
    cr_assert_eq(padded_maximum("Relu", 1, 2, 1), 2);
    cr_assert_eq(padded_maximum("Sigmoid", 2, 1, 1), 2);
    cr_assert_eq(padded_maximum("HardSwish", 1, 2, 1), 3, "may be negative");
    cr_assert_eq(padded_maximum("Relu", 3, 2, 1), 3, "windows without an element");
    cr_assert_eq(padded_maximum("Relu", 1, 2, 2), 3, "indices count in the padded image");
}

Test(pad, with_axes_and_value) {
    graph *g = make_graph(18);
    int x = make_input(g, "x", SHAPE(1, 2, 5, 6));
    int p = make(g, "Pad", "p", 4, x, make_ints(g, "amounts", 2, (int64_t[]){2, 1}),
                 make_number(g, "zero", 0), make_ints(g, "axes", 1, (int64_t[]){-1}));
    output(g, make(g, "Conv", "y", 2, p, make_random(g, "w", SHAPE(3, 2, 3, 3))));
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    cr_assert_arr_eq(graph_attr(find_node(g, "y"), "pads")->ints, ((int64_t[]){0, 2, 0, 1}), 32);
    graph_free(g);
}

/* ---- channel arithmetic ---- */

Test(affine, batch_norm_by_hand) {
    /* One 1x1 convolution with weight 2 and bias 1, then scale 3, bias 4, mean 5, variance 0.75
     * and epsilon 0.25: y = 3 (2 x + 1 - 5) + 4 = 6 x - 8. */
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 1, 2, 2));
    int c = make(g, "Conv", "c", 3, x, make_floats(g, "w", SHAPE(1, 1, 1, 1), (float[]){2}),
                 make_floats(g, "b", SHAPE(1), (float[]){1}));
    int n = make(g, "BatchNormalization", "n", 5, c, make_floats(g, "s", SHAPE(1), (float[]){3}),
                 make_floats(g, "o", SHAPE(1), (float[]){4}),
                 make_floats(g, "m", SHAPE(1), (float[]){5}),
                 make_floats(g, "v", SHAPE(1), (float[]){0.75f}));
    number(g, "epsilon", 0.25f);
    output(g, n);
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    const graph_node *node = find_node(g, "n");
    cr_assert_str_eq(node->name, "c");
    cr_assert_eq(node->origin, 0);
    cr_assert_eq(floats_of(g, node->inputs[1])[0], 6);
    cr_assert_eq(floats_of(g, node->inputs[2])[0], -8);
    cr_assert_null(g->values[graph_find_value(g, "w")].constant, "the old weights are released");
    graph_free(g);
}

Test(affine, batch_norm_into_any_convolution) {
    static const int64_t groups[] = {1, 2, 4};
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
        for (int bias = 0; bias < 2; bias++) {
            graph *g = make_graph(13);
            int x = make_input(g, "x", SHAPE(2, 4, 5, 5));
            output(g, batch_norm(g, "n", conv(g, "c", x, 4, 8, groups[i], bias), 8));
            optimise(g);
            cr_assert_eq(g->node_count, 1);
            graph_free(g);
        }
}

Test(affine, chains_into_one) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3, 4, 4)), v = conv(g, "c", x, 3, 3, 3, false);
    v = make(g, "Mul", "mul", 2, v, make_random(g, "k1", SHAPE(3, 1, 1)));
    v = batch_norm(g, "n", v, 3);
    v = make(g, "Add", "add", 2, make_random(g, "k2", SHAPE(1, 3, 1, 1)), v);
    v = make(g, "Sub", "sub", 2, v, make_number(g, "k3", 0.5f));
    v = make(g, "Sub", "bus", 2, make_random(g, "k4", SHAPE(3, 1, 1)), v);
    v = make(g, "Div", "div", 2, v, make_number(g, "k5", -4));
    output(g, v);
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    cr_assert_eq(find_node(g, "div")->origin, 0);
    graph_free(g);
}

Test(affine, into_gemm_of_every_form) {
    for (int form = 0; form < 8; form++) {
        graph *g = make_graph(13);
        bool transposed = form & 1, bias = form & 2, weighted = form & 4;
        int x = make_input(g, "x", SHAPE(2, 3));
        int w = make_random(g, "w", transposed ? SHAPE(4, 3) : SHAPE(3, 4));
        int b = bias ? make_random(g, "b", form & 4 ? SHAPE(1, 4) : SHAPE(4)) : -1;
        int v = make(g, "Gemm", "g", bias ? 3 : 2, x, w, b);
        integer(g, "transB", transposed);
        if (weighted) {
            number(g, "alpha", 0.5f);
            number(g, "beta", -2);
        }
        v = make(g, "Mul", "mul", 2, v, make_random(g, "k1", SHAPE(4)));
        v = batch_norm(g, "n", v, 4);
        v = make(g, "Add", "add", 2, v, make_random(g, "k2", SHAPE(1, 4)));
        output(g, v);
        optimise(g);
        cr_assert_eq(g->node_count, 1, "form %d", form);
        graph_free(g);
    }
}

Test(affine, into_batch_norm_without_a_convolution) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 4, 3, 3)), v = batch_norm(g, "n", x, 4);
    v = make(g, "Mul", "mul", 2, v, make_random(g, "k1", SHAPE(4, 1, 1)));
    v = make(g, "Add", "add", 2, v, make_random(g, "k2", SHAPE(4, 1, 1)));
    output(g, v);
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    graph_free(g);
}

Test(affine, scalar_bias_of_gemm) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2, 3));
    int v = make(g, "Gemm", "g", 3, x, make_random(g, "w", SHAPE(3, 4)), make_number(g, "b", 3));
    output(g, make(g, "Mul", "y", 2, v, make_random(g, "k", SHAPE(4))));
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    graph_free(g);
}

Test(affine, what_is_not_per_channel_stays) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3, 3, 3));
    output(g, make(g, "Mul", "by_width", 2, conv(g, "c1", x, 3, 3, 1, true),
                   make_random(g, "k1", SHAPE(3))));
    output(g, make(g, "Add", "by_image", 2, conv(g, "c2", x, 3, 3, 1, true),
                   make_random(g, "k2", SHAPE(1, 3, 3, 3))));
    output(g, make(g, "Add", "larger", 2, conv(g, "c3", x, 3, 3, 1, true),
                   make_random(g, "k3", SHAPE(2, 3, 1, 1))));
    output(g, make(g, "Add", "deeper", 2, conv(g, "c4", x, 3, 3, 1, true),
                   make_random(g, "k4", SHAPE(1, 1, 3, 1, 1))));
    output(g, make(g, "Div", "reciprocal", 2, make_number(g, "k5", 1),
                   conv(g, "c5", x, 3, 3, 1, true)));
    output(g,
           make(g, "Div", "by_zero", 2, conv(g, "c6", x, 3, 3, 1, true), make_number(g, "k6", 0)));
    output(g, make(g, "Mul", "by_result", 2, conv(g, "c7", x, 3, 3, 1, true), x));
    optimise(g);
    cr_assert_eq(count_ops(g, "Conv"), 7);
    cr_assert_eq(g->node_count, 14);
    graph_free(g);
}

Test(affine, what_somebody_else_needs_stays) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3, 3, 3)), c = conv(g, "c", x, 3, 3, 1, true);
    output(g, make(g, "Mul", "y", 2, c, make_number(g, "k", 2)));
    output(g, c);
    int d = conv(g, "d", x, 3, 3, 1, true);
    output(g, make(g, "Mul", "z", 2, d, make_number(g, "l", 2)));
    output(g, make(g, "MaxPool", "p", 1, d));
    ints(g, "kernel_shape", 2, (int64_t[]){2, 2});
    optimise(g);
    cr_assert_eq(count_ops(g, "Mul"), 2);
    graph_free(g);
}

Test(affine, shared_weights_keep_their_other_user) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 2, 3, 3)), w = make_random(g, "w", SHAPE(2, 2, 1, 1));
    int a = make(g, "Conv", "a", 2, x, w), b = make(g, "Conv", "b", 2, x, w);
    output(g, make(g, "Mul", "y", 2, a, make_number(g, "k", 2)));
    output(g, b);
    optimise(g);
    cr_assert_eq(g->node_count, 2);
    cr_assert_not_null(g->values[w].constant);
    cr_assert_eq(find_node(g, "b")->inputs[1], w);
    graph_free(g);
}

/* ---- what stands before a convolution ---- */

static int plain_conv(graph *g, const char *name, int in, int64_t group, int64_t pad) {
    char weights[64];
    snprintf(weights, sizeof weights, "%s.weight", name);
    int y = make(g, "Conv", name, 2, in, make_random(g, weights, SHAPE(4, 4 / group, 3, 3)));
    ints(g, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    integer(g, "group", group);
    return y;
}

Test(fold_input, normalised_pixels) {
    for (int64_t group = 1; group <= 4; group *= 2)
        for (int64_t pad = 0; pad < 2; pad++) {
            graph *g = make_graph(13);
            int x = make_input(g, "x", SHAPE(1, 4, 5, 5));
            int s = make(g, "Sub", "s", 2, x, make_random(g, "mean", SHAPE(1, 4, 1, 1)));
            int d = make(g, "Div", "d", 2, s,
                         make_floats(g, "std", SHAPE(4, 1, 1), (float[]){0.5f, 2, -1, 3}));
            output(g, plain_conv(g, "c", d, group, pad));
            optimise(g);
            cr_assert_eq(g->node_count, pad ? 2 : 1, "a shift is only exact without padding");
            graph_free(g);
        }
}

Test(fold_input, by_hand) {
    /* 2 ((x - 3) * 5) + 7 summed over one tap: weight 10, bias 7 - 30. */
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 1, 2, 2));
    int v = make(g, "Sub", "s", 2, x, make_number(g, "three", 3));
    v = make(g, "Mul", "m", 2, make_number(g, "five", 5), v);
    output(g, make(g, "Conv", "y", 3, v, make_floats(g, "w", SHAPE(1, 1, 1, 1), (float[]){2}),
                   make_floats(g, "b", SHAPE(1), (float[]){7})));
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    const graph_node *node = find_node(g, "y");
    cr_assert_eq(node->inputs[0], x);
    cr_assert_eq(floats_of(g, node->inputs[1])[0], 10);
    cr_assert_eq(floats_of(g, node->inputs[2])[0], -23);
    graph_free(g);
}

Test(fold_input, batch_norm_of_the_data) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 4, 5, 5));
    output(g, plain_conv(g, "c", batch_norm(g, "n", x, 4), 1, 0));
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    graph_free(g);
}

Test(fold_input, what_stays) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 4, 5, 5));
    int a = make(g, "Mul", "a", 2, x, make_number(g, "k1", 2)); /* used twice */
    output(g, plain_conv(g, "c1", a, 1, 1));
    output(g, plain_conv(g, "c2", a, 1, 1));
    int b = make(g, "Mul", "b", 2, x, make_random(g, "k2", SHAPE(5))); /* by width */
    output(g, plain_conv(g, "c3", b, 1, 1));
    int c = make(g, "Mul", "c", 2, x, x);
    output(g, plain_conv(g, "c4", c, 1, 1));
    int d = make(g, "Relu", "r", 1, make(g, "Mul", "d", 2, x, make_number(g, "k3", 2)));
    output(g, plain_conv(g, "c5", d, 1, 1));
    optimise(g);
    cr_assert_eq(count_ops(g, "Mul"), 4);
    graph_free(g);
}

/* ---- channel shuffle ---- */

/* Reshape, Transpose, Reshape of six channels in `groups`; the transposed value. */
static int shuffle(graph *g, int x, int64_t groups, const int64_t *perm, const int64_t *last) {
    int64_t cut[] = {2, groups, 6 / groups, 4, 5};
    int a = make(g, "Reshape", "a", 2, x, make_ints(g, "cut", 5, cut));
    int t = make(g, "Transpose", "t", 1, a);
    ints(g, "perm", 5, perm);
    output(g, make(g, "Reshape", "y", 2, t, make_ints(g, "last", 4, last)));
    return t;
}

Test(channel_shuffle, becomes_a_gather) {
    for (int64_t groups = 2; groups <= 3; groups++) {
        graph *g = make_graph(13);
        shuffle(g, make_input(g, "x", SHAPE(2, 6, 4, 5)), groups, (int64_t[]){0, 2, 1, 3, 4},
                (int64_t[]){2, 6, 4, 5});
        optimise(g);
        cr_assert_eq(g->node_count, 1);
        cr_assert_eq(count_ops(g, "Gather"), 1);
        static const int64_t order[2][6] = {{0, 3, 1, 4, 2, 5}, {0, 2, 4, 1, 3, 5}};
        const tensor *indices = g->values[find_node(g, "y")->inputs[1]].constant;
        cr_assert_eq(memcmp(indices->data, order[groups - 2], sizeof(order[0])), 0);
        graph_free(g);
    }
}

Test(channel_shuffle, other_moves_stay) {
    static const int64_t usual[] = {0, 2, 1, 3, 4}, other[] = {0, 2, 1, 4, 3};
    static const int64_t same[] = {2, 6, 4, 5}, flat[] = {2, 6, 20, 1};
    for (int form = 0; form < 3; form++) {
        graph *g = make_graph(13);
        int t = shuffle(g, make_input(g, "x", SHAPE(2, 6, 4, 5)), 2, form == 0 ? other : usual,
                        form == 1 ? flat : same);
        if (form == 2) output(g, t);
        optimise(g);
        cr_assert_eq(count_ops(g, "Transpose"), 1);
        cr_assert_eq(count_ops(g, "Gather"), 0);
        graph_free(g);
    }
}

/* ---- global pooling ---- */

Test(global_pool, from_reductions) {
    for (int form = 0; form < 8; form++) {
        bool keep = form & 1, maximum = form & 2, fed = form & 4;
        graph *g = make_graph(fed ? 18 : 11);
        int x = make_input(g, "x", SHAPE(2, 3, 4, 5));
        int64_t axes[] = {-1, 2};
        if (fed) {
            output(g, make(g, maximum ? "ReduceMax" : "ReduceMean", "y", 2, x,
                           make_ints(g, "axes", 2, axes)));
        } else {
            output(g, make(g, maximum ? "ReduceMax" : "ReduceMean", "y", 1, x));
            ints(g, "axes", 2, axes);
        }
        integer(g, "keepdims", keep);
        optimise(g);
        cr_assert_eq(g->node_count, keep ? 1 : 2);
        cr_assert_eq(count_ops(g, maximum ? "GlobalMaxPool" : "GlobalAveragePool"), 1);
        cr_assert_eq(count_ops(g, "Reshape"), !keep);
        cr_assert_eq(find_node(g, "y")->origin, 0);
        graph_free(g);
    }
}

/* As Keras' exporter writes it. The Transpose stays where others use it. */
Test(global_pool, from_channels_that_come_last) {
    for (int form = 0; form < 8; form++) {
        bool keep = form & 1, used = form & 2, flat = form & 4;
        graph *g = make_graph(11);
        int x = make_input(g, "x", flat ? SHAPE(2, 3, 4) : SHAPE(2, 3, 4, 5));
        int t = make(g, "Transpose", "t", 1, x);
        ints(g, "perm", flat ? 3 : 4, flat ? (int64_t[]){0, 2, 1} : (int64_t[]){0, 2, 3, 1});
        if (used) output(g, t);
        output(g, make(g, "ReduceMean", "y", 1, t));
        ints(g, "axes", flat ? 1 : 2, (int64_t[]){1, 2});
        integer(g, "keepdims", keep);
        optimise(g);
        cr_assert_eq(count_ops(g, "Transpose"), used);
        cr_assert_eq(count_ops(g, "GlobalAveragePool"), 1);
        cr_assert_eq(count_ops(g, "Reshape"), 1);
        graph_free(g);
    }
}

Test(global_pool, behind_other_transposes_stays) {
    static const int64_t perms[][4] = {{0, 3, 2, 1}, {1, 2, 3, 0}, {0, 2, 1, 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(perms); i++) {
        graph *g = make_graph(11);
        int t = make(g, "Transpose", "t", 1, make_input(g, "x", SHAPE(2, 3, 4, 5)));
        ints(g, "perm", 4, perms[i]);
        output(g, make(g, "ReduceMean", "y", 1, t));
        ints(g, "axes", 2, (int64_t[]){1, 2});
        optimise(g);
        cr_assert_eq(count_ops(g, "GlobalAveragePool"), 0);
        graph_free(g);
    }
}

Test(global_pool, norms_of_planes) {
    graph *g = make_graph(17);
    output(g, make(g, "ReduceL2", "y", 1, make_input(g, "x", SHAPE(2, 3, 4, 5))));
    ints(g, "axes", 2, (int64_t[]){2, 3});
    optimise(g);
    cr_assert_eq(g->node_count, 1);
    cr_assert_eq(count_ops(g, "GlobalLpPool"), 1);
    graph_free(g);
}

Test(global_pool, from_windows_as_large_as_the_image) {
    for (int maximum = 0; maximum < 2; maximum++) {
        graph *g = make_graph(13);
        int x = make_input(g, "x", SHAPE(1, 3, 7, 7));
        output(g, make(g, maximum ? "MaxPool" : "AveragePool", "y", 1, x));
        ints(g, "kernel_shape", 2, (int64_t[]){7, 7});
        optimise(g);
        cr_assert_eq(count_ops(g, maximum ? "GlobalMaxPool" : "GlobalAveragePool"), 1);
        graph_free(g);
    }
}

Test(global_pool, other_reductions_stay) {
    graph *g = make_graph(11);
    int x = make_input(g, "x", SHAPE(2, 3, 4, 4));
    output(g, make(g, "ReduceMean", "rows", 1, x));
    ints(g, "axes", 1, (int64_t[]){2});
    output(g, make(g, "ReduceMean", "channels", 1, x));
    ints(g, "axes", 3, (int64_t[]){1, 2, 3});
    output(g, make(g, "ReduceMean", "all", 1, x));
    output(g, make(g, "AveragePool", "padded", 1, x));
    ints(g, "kernel_shape", 2, (int64_t[]){4, 4});
    ints(g, "strides", 2, (int64_t[]){9, 9});
    ints(g, "pads", 4, (int64_t[]){1, 1, 1, 1});
    optimise(g);
    cr_assert_eq(count_ops(g, "GlobalAveragePool"), 0);
    graph_free(g);
}

/* ---- hard-swish and SiLU ---- */

static int clip(graph *g, const char *name, int in, float low, float high) {
    char a[64], b[64];
    snprintf(a, sizeof a, "%s.min", name);
    snprintf(b, sizeof b, "%s.max", name);
    return make(g, "Clip", name, 3, in, make_number(g, a, low), make_number(g, b, high));
}

Test(hard_swish, written_in_four_ways) {
    for (int form = 0; form < 4; form++) {
        graph *g = make_graph(13);
        int x = make_input(g, "x", SHAPE(1, 3, 4, 4)), c = conv(g, "c", x, 3, 3, 1, true), y;
        c = make(g, "Mul", "wider", 2, c, make_number(g, "ten", 10));
        if (form == 3) {
            int h = make(g, "HardSigmoid", "h", 1, c);
            number(g, "alpha", 1.0f / 6);
            number(g, "beta", 0.5f);
            y = make(g, "Mul", "y", 2, h, c);
        } else {
            int s = form == 0 ? make(g, "Add", "s", 2, c, make_number(g, "three", 3))
                              : make(g, "Add", "s", 2, make_number(g, "three", 3), c);
            int k = clip(g, "k", s, 0, 6);
            if (form == 0) {
                int d = make(g, "Div", "d", 2, k, make_number(g, "six", 6));
                y = make(g, "Mul", "y", 2, c, d);
            } else if (form == 1) {
                int d = make(g, "Mul", "d", 2, make_number(g, "sixth", 1.0f / 6), k);
                y = make(g, "Mul", "y", 2, d, c);
            } else {
                int d = make(g, "Mul", "d", 2, c, k);
                y = make(g, "Div", "y", 2, d, make_number(g, "six", 6));
            }
        }
        output(g, y);
        optimise(g);
        cr_assert_eq(g->node_count, 1, "form %d leaves %zu nodes", form, g->node_count);
        cr_assert_eq(find_node(g, "y")->fused.act, ACT_HARD_SWISH);
        graph_free(g);
    }
}

Test(hard_swish, without_a_kernel_before_it) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3)), s = make(g, "Add", "s", 2, x, make_number(g, "t", 3));
    int d = make(g, "Div", "d", 2, clip(g, "k", s, 0, 6), make_number(g, "six", 6));
    output(g, make(g, "Mul", "y", 2, x, d));
    int x2 = make_input(g, "x2", SHAPE(1, 3));
    int s2 = make(g, "Add", "s2", 2, x2, make_number(g, "t2", 3));
    output(g, make(g, "Div", "y2", 2, clip(g, "k2", s2, 0, 6), make_number(g, "six2", 6)));
    optimise(g);
    cr_assert_str_eq(find_node(g, "y")->op->name, "HardSwish");
    cr_assert_str_eq(find_node(g, "y2")->op->name, "HardSigmoid");
    cr_assert_eq(g->node_count, 2);
    graph_free(g);
}

Test(hard_swish, other_numbers_are_not) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3)), s = make(g, "Add", "s", 2, x, make_number(g, "t", 3));
    int d = make(g, "Div", "d", 2, clip(g, "k", s, 0, 5), make_number(g, "six", 6));
    output(g, make(g, "Mul", "y", 2, x, d));
    int h = make(g, "HardSigmoid", "h", 1, x); /* alpha 0.2 */
    output(g, make(g, "Mul", "z", 2, h, x));
    int other = make_input(g, "other", SHAPE(1, 3)), h2 = make(g, "HardSigmoid", "h2", 1, x);
    number(g, "alpha", 1.0f / 6);
    output(g, make(g, "Mul", "q", 2, h2, other));
    optimise(g);
    cr_assert_eq(count_ops(g, "HardSwish"), 0);
    graph_free(g);
}

Test(silu, into_the_convolution) {
    for (int swapped = 0; swapped < 2; swapped++) {
        graph *g = make_graph(13);
        int x = make_input(g, "x", SHAPE(1, 3, 4, 4)), c = conv(g, "c", x, 3, 3, 1, true);
        c = batch_norm(g, "n", c, 3);
        int s = make(g, "Sigmoid", "s", 1, c);
        output(g, make(g, "Mul", "y", 2, swapped ? s : c, swapped ? c : s));
        optimise(g);
        cr_assert_eq(g->node_count, 1);
        cr_assert_eq(find_node(g, "y")->fused.act, ACT_SILU);
        graph_free(g);
    }
}

Test(silu, not_where_somebody_else_looks) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3, 4, 4)), c = conv(g, "c", x, 3, 3, 1, true);
    output(g, make(g, "Mul", "y", 2, c, make(g, "Sigmoid", "s", 1, c)));
    output(g, c);
    int d = conv(g, "d", x, 3, 3, 1, true), t = make(g, "Sigmoid", "t", 1, d);
    output(g, make(g, "Mul", "z", 2, d, t));
    output(g, t);
    int gate = conv(g, "e", x, 3, 3, 1, true); /* a gate, not a SiLU */
    output(g, make(g, "Mul", "q", 2, x, make(g, "Sigmoid", "u", 1, gate)));
    optimise(g);
    cr_assert_eq(find_node(g, "c")->fused.act, ACT_NONE);
    cr_assert_eq(find_node(g, "d")->fused.act, ACT_NONE);
    cr_assert_eq(find_node(g, "u")->fused.act, ACT_SIGMOID);
    graph_free(g);
}

/* ---- squeeze-and-excite ---- */

/* How a block is written, or what keeps it from being one. */
typedef enum squeeze_form {
    SQUEEZE_CONV,
    SQUEEZE_SWAPPED,
    SQUEEZE_MEAN,
    SQUEEZE_GEMM,
    SQUEEZE_FORMS,
    SQUEEZE_FETCHED = SQUEEZE_FORMS, /* somebody wants the hidden vector */
    SQUEEZE_SHARED,                  /* the gate opens twice */
    SQUEEZE_OTHER,                   /* the gate of another tensor */
    SQUEEZE_MAX,
    SQUEEZE_WIDE, /* more hidden channels than kernels hold */
    SQUEEZE_SUM,
    SQUEEZE_FACTOR, /* Gemm with alpha */
    SQUEEZE_COLUMN, /* Gemm with a bias for each image */
    SQUEEZE_ALL,
} squeeze_form;

static bool is_flat(squeeze_form form) {
    return form == SQUEEZE_GEMM || form == SQUEEZE_FACTOR || form == SQUEEZE_COLUMN;
}

static int gate_layer(graph *g, const char *name, int x, int64_t ic, int64_t oc,
                      squeeze_form form) {
    char weights[16], bias[16];
    snprintf(weights, sizeof weights, "%s.w", name);
    snprintf(bias, sizeof bias, "%s.b", name);
    bool flat = is_flat(form), column = form == SQUEEZE_COLUMN && oc == 2;
    int w = make_random(g, weights, flat ? SHAPE(oc, ic) : SHAPE(oc, ic, 1, 1));
    int b = make_random(g, bias, column ? SHAPE(oc, 1) : SHAPE(oc));
    int y = make(g, flat ? "Gemm" : "Conv", name, 3, x, w, b);
    if (flat) graph_add_attr_int(made(g), "transB", 1);
    if (form == SQUEEZE_FACTOR) graph_add_attr_float(made(g), "alpha", 0.5f);
    return y;
}

/* The gate of x (2, 5, 3, 4). */
static int make_gate(graph *g, int x, squeeze_form form) {
    int64_t hidden = form == SQUEEZE_WIDE ? 1025 : form == SQUEEZE_COLUMN ? 2 : 3;
    const char *pool = form == SQUEEZE_MEAN  ? "ReduceMean"
                       : form == SQUEEZE_MAX ? "GlobalMaxPool"
                                             : "GlobalAveragePool";
    bool flat = is_flat(form);
    int y = make(g, pool, "pool", 1, x);
    if (form == SQUEEZE_MEAN) graph_add_attr_ints(made(g), "axes", (int64_t[]){2, 3}, 2);
    if (flat) y = make(g, "Flatten", "flat", 1, y);
    int h = gate_layer(g, "fc1", y, 5, hidden, form);
    if (form == SQUEEZE_MEAN)
        h = make(g, "Mul", "silu", 2, h, make(g, "Sigmoid", "s", 1, h));
    else if (form != SQUEEZE_COLUMN)
        h = make(g, "Relu", "relu", 1, h);
    if (form == SQUEEZE_FETCHED) output(g, h);
    y = gate_layer(g, "fc2", h, hidden, 5, form);
    y = make(g, form == SQUEEZE_SWAPPED ? "HardSigmoid" : "Sigmoid", "gate", 1, y);
    int shape = make_ints(g, "shape", 4, (int64_t[]){2, 5, 1, 1});
    return flat ? make(g, "Reshape", "open", 2, y, shape) : y;
}

static graph *make_squeeze_excite(squeeze_form form) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2, 5, 3, 4));
    int other = form == SQUEEZE_OTHER ? make_input(g, "other", SHAPE(2, 5, 3, 4)) : x;
    int gate = make_gate(g, other, form);
    if (form == SQUEEZE_SHARED) output(g, make(g, "Add", "z", 2, x, gate));
    bool swapped = form == SQUEEZE_SWAPPED;
    const char *op = form == SQUEEZE_SUM ? "Add" : "Mul";
    output(g, make(g, op, "y", 2, swapped ? gate : x, swapped ? x : gate));
    return g;
}

Test(squeeze_excite, as_exporters_write_it) {
    for (int form = 0; form < SQUEEZE_FORMS; form++) {
        graph *g = make_squeeze_excite(form);
        optimise(g);
        cr_assert_eq(g->node_count, 1, "form %d: %zu nodes", form, g->node_count);
        cr_assert_eq(count_ops(g, "SqueezeExcite"), 1);
        cr_assert_str_eq(find_node(g, "y")->name, "y");
        graph_free(g);
    }
}

Test(squeeze_excite, not_what_only_looks_like_it) {
    for (int form = SQUEEZE_FORMS; form < SQUEEZE_ALL; form++) {
        graph *g = make_squeeze_excite(form);
        optimise(g);
        cr_assert_eq(count_ops(g, "SqueezeExcite"), 0, "form %d", form);
        graph_free(g);
    }
}

/* ---- residuals ---- */

Test(residual, a_basic_block) {
    for (int swapped = 0; swapped < 2; swapped++) {
        graph *g = make_graph(13);
        int x = make_input(g, "x", SHAPE(1, 4, 5, 5)), c1 = conv(g, "c1", x, 4, 4, 1, true);
        int r1 = make(g, "Relu", "r1", 1, c1), c2 = conv(g, "c2", r1, 4, 4, 1, true);
        int s = make(g, "Add", "s", 2, swapped ? x : c2, swapped ? c2 : x);
        output(g, make(g, "Relu", "y", 1, s));
        optimise(g);
        cr_assert_eq(g->node_count, 2);
        const graph_node *node = find_node(g, "y");
        cr_assert_str_eq(node->name, "c2");
        cr_assert_eq(node->fused.residual, x);
        cr_assert_eq(node->fused.act, ACT_RELU);
        cr_assert_eq(node->origin, 2);
        graph_free(g);
    }
}

Test(residual, the_later_of_two_convolutions_takes_it) {
    for (int swapped = 0; swapped < 2; swapped++) {
        graph *g = make_graph(13);
        int x = make_input(g, "x", SHAPE(1, 4, 5, 5)), a = conv(g, "a", x, 4, 4, 1, true);
        int b = conv(g, "b", x, 4, 4, 1, true);
        output(g, make(g, "Sum", "y", 2, swapped ? a : b, swapped ? b : a));
        optimise(g);
        cr_assert_eq(g->node_count, 2);
        cr_assert_str_eq(find_node(g, "y")->name, "b");
        cr_assert_eq(find_node(g, "y")->fused.residual, a);
        graph_free(g);
    }
}

Test(residual, a_convolution_waits_for_what_comes_later) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 4, 5, 5)), a = conv(g, "a", x, 4, 4, 1, true);
    int p = make(g, "MaxPool", "p", 1, x);
    ints(g, "kernel_shape", 2, (int64_t[]){3, 3});
    ints(g, "pads", 4, (int64_t[]){1, 1, 1, 1});
    int n = make(g, "Neg", "n", 1, p);
    output(g, make(g, "Add", "y", 2, a, n));
    optimise(g);
    cr_assert_eq(g->node_count, 3);
    cr_assert_str_eq(g->nodes[2]->name, "a");
    cr_assert_eq(g->nodes[2]->fused.residual, n);
    graph_free(g);
}

Test(residual, chains_of_sums) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 4, 5, 5)), sum = x;
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        int c = conv(g, name, x, 4, 4, 1, true);
        snprintf(name, sizeof name, "s%d", i);
        sum = make(g, "Add", name, 2, sum, c);
    }
    output(g, sum);
    optimise(g);
    cr_assert_eq(g->node_count, 4);
    graph_free(g);
}

Test(residual, what_does_not_fit_stays) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 4, 5, 5)), c = conv(g, "c", x, 4, 4, 1, true);
    output(g, make(g, "Add", "doubled", 2, c, c));
    int d = conv(g, "d", x, 4, 4, 1, true), r = make(g, "Relu", "r", 1, d);
    output(g, make(g, "Add", "after_relu", 2, r, x)); /* relu(conv) + x is no epilogue */
    int e = conv(g, "e", x, 4, 4, 1, true), gate = make_input(g, "gate", SHAPE(1, 4, 1, 1));
    output(g, make(g, "Add", "broadcast", 2, e, gate));
    int f = conv(g, "f", x, 4, 1, 1, true);
    output(g, make(g, "Add", "widened", 2, f, x));
    output(g, make(g, "Sum", "three", 3, conv(g, "h", x, 4, 4, 1, true), x, x));
    output(g, make(g, "Sub", "difference", 2, conv(g, "i", x, 4, 4, 1, true), x));
    optimise(g);
    for (size_t i = 0; i < g->node_count; i++)
        cr_assert_eq(g->nodes[i]->fused.residual, -1, "%s", g->nodes[i]->name);
    cr_assert_eq(find_node(g, "r")->fused.act, ACT_RELU);
    graph_free(g);
}

/* ---- layer normalisation ---- */

enum { PLAIN, SWAPPED, BY_MUL, WITHOUT_KEEPDIMS, OTHER_AXIS, OTHER_POWER, SEEN, FORMS };

static int mean_of(graph *g, const char *name, int x, int form) {
    int y = make(g, "ReduceMean", name, 1, x);
    ints(g, "axes", 1, (int64_t[]){form == OTHER_AXIS ? 0 : -1});
    integer(g, "keepdims", form != WITHOUT_KEEPDIMS);
    return y;
}

/* Normalises 3 rows of 3, so that every form has a shape. */
static graph *layer_norm_of(int form) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(3, 3)), d, s, y;
    d = make(g, "Sub", "d", 2, x, mean_of(g, "mean", x, form));
    s = form == BY_MUL
            ? make(g, "Mul", "square", 2, d, d)
            : make(g, "Pow", "square", 2, d, make_number(g, "two", form == OTHER_POWER ? 4 : 2));
    s = make(
        g, "Sqrt", "root", 1,
        make(g, "Add", "sum", 2, mean_of(g, "variance", s, form), make_number(g, "epsilon", 0.5f)));
    y = make(g, "Div", "quotient", 2, d, s);
    if (form == SEEN) output(g, d);
    int scale = make_random(g, "scale", SHAPE(3)), bias = make_random(g, "bias", SHAPE(3));
    y = form == SWAPPED ? make(g, "Mul", "scaled", 2, scale, y)
                        : make(g, "Mul", "scaled", 2, y, scale);
    y = form == SWAPPED ? make(g, "Add", "y", 2, bias, y) : make(g, "Add", "y", 2, y, bias);
    output(g, y);
    return g;
}

Test(layer_norm, from_its_pieces) {
    for (int form = 0; form < FORMS; form++) {
        bool fits = form == PLAIN || form == SWAPPED || form == BY_MUL;
        graph *g = layer_norm_of(form);
        optimise(g);
        cr_assert_eq(count_ops(g, "LayerNormalization"), fits, "form %d", form);
        if (fits) cr_assert_eq(g->node_count, 1, "form %d", form);
        graph_free(g);
    }
}

/* ---- regions that are computed channels last ---- */

static int transpose(graph *g, const char *name, int in, int64_t b, int64_t c, int64_t d) {
    int y = make(g, "Transpose", name, 1, in);
    ints(g, "perm", 4, (int64_t[]){0, b, c, d});
    return y;
}

static int to_last(graph *g, const char *name, int in) {
    return transpose(g, name, in, 2, 3, 1);
}

static int to_first(graph *g, const char *name, int in) {
    return transpose(g, name, in, 3, 1, 2);
}

/* "NAME.PART", until the next call but three. */
static const char *part(const char *name, const char *part) {
    static char texts[4][64];
    static int next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], "%s.%s", name, part);
    return text;
}

static int last_norm(graph *g, const char *name, int in, int64_t c) {
    int scale = make_random(g, part(name, "scale"), SHAPE(c));
    int y = make(g, "LayerNormalization", name, 3, in, scale,
                 make_random(g, part(name, "bias"), SHAPE(c)));
    number(g, "epsilon", 0.01f);
    return y;
}

/* MatMul and, if `bias` is not 0, a vector of so many. */
static int dense(graph *g, const char *name, int in, int64_t k, int64_t n, int64_t bias) {
    int weights = make_random(g, part(name, "weight"), SHAPE(k, n));
    int y = make(g, "MatMul", bias > 0 ? part(name, "product") : name, 2, in, weights);
    if (bias > 0) y = make(g, "Add", name, 2, y, make_random(g, part(name, "bias"), SHAPE(bias)));
    return y;
}

/* A block as torchvision's convnext_tiny has it, of c channels. */
static graph *convnext_block(int64_t c) {
    graph *g = make_graph(20);
    int x = make_input(g, "x", SHAPE(2, c, 5, 6));
    int y = to_last(g, "last", conv(g, "conv", x, c, c, c, true));
    y = dense(g, "wide", last_norm(g, "norm", y, c), c, 4 * c, 4 * c);
    y = dense(g, "narrow", make(g, "Gelu", "gelu", 1, y), 4 * c, c, c);
    y = to_first(g, "first", y);
    y = make(g, "Mul", "scaled", 2, make_random(g, "gamma", SHAPE(c, 1, 1)), y);
    output(g, make(g, "Add", "y", 2, y, x));
    return g;
}

Test(channels_first, a_block_of_convnext) {
    static const int64_t channels[] = {16, 5};
    for (size_t i = 0; i < 2; i++) {
        graph *g = convnext_block(channels[i]);
        optimise(g);
        cr_assert_eq(g->node_count, 4);
        cr_assert_eq(count_ops(g, "Conv"), 3);
        cr_assert_eq(count_ops(g, "LayerNorm2d"), 1);
        cr_assert_eq(find_node(g, "gelu")->fused.act, ACT_GELU);
        cr_assert_geq(find_node(g, "y")->fused.residual, 0);
        cr_assert_str_eq(find_node(g, "y")->name, "narrow.product");
        graph_free(g);
    }
}

/* Whoever asks for a value of the region gets it as it is in the file. */
Test(channels_first, not_where_somebody_looks) {
    static const char *const inner[] = {"last", "norm", "wide.product", "wide", "gelu", "narrow"};
    for (size_t i = 0; i < ARRAY_LENGTH(inner); i++) {
        graph *g = convnext_block(5);
        output(g, graph_find_value(g, inner[i]));
        optimise(g);
        cr_assert_eq(count_ops(g, "Transpose"), 2, "%s", inner[i]);
        cr_assert_eq(count_ops(g, "LayerNormalization"), 1, "%s", inner[i]);
        graph_free(g);
    }
    graph *g = convnext_block(5);
    output(g, graph_find_value(g, "first"));
    optimise(g);
    cr_assert_eq(count_ops(g, "Transpose"), 0);
    graph_free(g);
}

/* Two blocks, the sums of which are channels last as well, and means of them in four forms. */
Test(channels_first, a_network_of_keras) {
    for (int form = 0; form < 4; form++) {
        bool keep = form & 1, fed = form & 2;
        graph *g = make_graph(fed ? 18 : 17);
        int x = make_input(g, "x", SHAPE(2, 6, 5, 4)), sum = to_last(g, "start", x), y;
        for (int i = 0; i < 2; i++) {
            y = conv(g, i ? "conv1" : "conv0", to_first(g, i ? "f1" : "f0", sum), 6, 6, 6, true);
            y = last_norm(g, i ? "norm1" : "norm0", to_last(g, i ? "l1" : "l0", y), 6);
            y = dense(g, i ? "dense1" : "dense0", y, 6, 6, i);
            y = make(g, "Mul", i ? "m1" : "m0", 2, make_random(g, i ? "g1" : "g0", SHAPE(6)), y);
            sum = make(g, "Add", i ? "s1" : "s0", 2, sum, y);
        }
        y = fed ? make(g, "ReduceMean", "mean", 2, sum, make_ints(g, "axes", 2, (int64_t[]){1, -2}))
                : make(g, "ReduceMean", "mean", 1, sum);
        if (!fed) ints(g, "axes", 2, (int64_t[]){1, 2});
        integer(g, "keepdims", keep);
        output(g, keep ? to_first(g, "y", last_norm(g, "norm", y, 6)) : y);
        optimise(g);
        cr_assert_eq(count_ops(g, "Transpose"), 0, "form %d", form);
        cr_assert_eq(count_ops(g, "Conv"), 4);
        cr_assert_eq(count_ops(g, "GlobalAveragePool"), 1);
        cr_assert_eq(g->node_count, 4 + 2 + 1 + 1);
        graph_free(g);
    }
}

/* Attention by channels: products and sums of a pixel and all others. */
Test(channels_first, arithmetic_of_every_operand) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    for (size_t i = 0; i < ARRAY_LENGTH(ops); i++)
        for (int swapped = 0; swapped < 2; swapped++) {
            graph *g = make_graph(17);
            int x = make_input(g, "x", SHAPE(2, 4, 3, 5)), last = to_last(g, "last", x);
            int pixel = make(g, "ReduceMax", "pixel", 1, last);
            ints(g, "axes", 2, (int64_t[]){1, 2});
            int mean = make(g, "ReduceMean", "mean", 1, pixel);
            ints(g, "axes", 1, (int64_t[]){-1});
            int share = make(g, "Add", "share", 2, pixel, mean), y = last;
            int others[] = {make_number(g, "half", 0.5f), make_random(g, "row", SHAPE(4)),
                            make_random(g, "pixels", SHAPE(1, 1, 1, 4)), share};
            for (size_t k = 0; k < ARRAY_LENGTH(others); k++) {
                const char *name = part("y", k == 0 ? "0" : k == 1 ? "1" : k == 2 ? "2" : "3");
                y = swapped ? make(g, ops[i], name, 2, others[k], y)
                            : make(g, ops[i], name, 2, y, others[k]);
            }
            output(g, to_first(g, "y", y));
            optimise(g);
            cr_assert_eq(count_ops(g, "Transpose"), 0, "%s", ops[i]);
            graph_free(g);
        }
}

/* Global response normalisation of ConvNeXt V2 (Woo et al. 2023, arXiv:2301.00808). */
Test(channels_first, global_response_normalisation) {
    graph *g = make_graph(17);
    int x = make_input(g, "x", SHAPE(2, 4, 3, 5));
    int y = dense(g, "dense", to_last(g, "last", x), 4, 4, 4);
    int norm = make(g, "ReduceL2", "norm", 1, y);
    ints(g, "axes", 2, (int64_t[]){1, 2});
    int mean = make(g, "ReduceMean", "mean", 1, norm);
    ints(g, "axes", 1, (int64_t[]){-1});
    mean = make(g, "Add", "sum", 2, mean, make_number(g, "epsilon", 1e-6f));
    int share = make(g, "Div", "share", 2, norm, mean), row = make_random(g, "row", SHAPE(4));
    int scaled = make(g, "Mul", "scaled", 2, row, make(g, "Mul", "product", 2, y, share));
    output(g, to_first(g, "y", make(g, "Add", "z", 2, y, scaled)));
    optimise(g);
    cr_assert_eq(count_ops(g, "Transpose"), 0);
    cr_assert_eq(count_ops(g, "GlobalLpPool"), 1);
    cr_assert_eq(count_ops(g, "Conv"), 1);
    graph_free(g);
}

enum {
    SOFTMAX_BESIDE,
    NORM_OF_MORE_AXES,
    FED_MATRIX,
    BATCH_OF_MATRICES,
    MATRIX_BEFORE,
    BY_ROWS,
    BESIDE_AN_INPUT,
    MEAN_OF_ROWS,
    OTHER_WAY_BACK,
    MISFITS
};

static int misfit(graph *g, int kind, int y) {
    int v;
    switch (kind) {
    case SOFTMAX_BESIDE:
        output(g, make(g, "Softmax", "beside", 1, y));
        return y;
    case NORM_OF_MORE_AXES:
        v = make(g, "LayerNormalization", "z", 2, y, make_random(g, "scale", SHAPE(4, 4)));
        integer(g, "axis", 2);
        return v;
    case FED_MATRIX:
        return make(g, "MatMul", "z", 2, y, make_input(g, "fed", SHAPE(4, 4)));
    case BATCH_OF_MATRICES:
        return make(g, "MatMul", "z", 2, y, make_random(g, "several", SHAPE(4, 4, 4)));
    case MATRIX_BEFORE:
        return make(g, "MatMul", "z", 2, make_random(g, "before", SHAPE(4, 4)), y);
    case BY_ROWS:
        return make(g, "Mul", "z", 2, y, make_random(g, "rows", SHAPE(4, 1, 1)));
    case BESIDE_AN_INPUT:
        return make(g, "Add", "z", 2, y, make_input(g, "fed", SHAPE(2, 4, 4, 4)));
    case MEAN_OF_ROWS:
        v = make(g, "ReduceMean", "z", 1, y);
        ints(g, "axes", 1, (int64_t[]){1});
        return v;
    default:
        return transpose(g, "z", y, 2, 1, 3);
    }
}

Test(channels_first, as_a_whole_or_not_at_all) {
    for (int kind = 0; kind < MISFITS; kind++) {
        graph *g = make_graph(17);
        int x = make_input(g, "x", SHAPE(2, 4, 4, 4));
        int y = last_norm(g, "norm", to_last(g, "last", x), 4);
        output(g, to_first(g, "y", make(g, "Relu", "relu", 1, misfit(g, kind, y))));
        /* another region is not concerned */
        output(g, to_first(g, "other", last_norm(g, "n", to_last(g, "l", x), 4)));
        optimise(g);
        cr_assert_eq(count_ops(g, "Transpose"), kind == OTHER_WAY_BACK ? 3 : 2, "kind %d", kind);
        cr_assert_eq(count_ops(g, "LayerNorm2d"), 1, "kind %d", kind);
        graph_free(g);
    }
}

/* ---- GELU ---- */

/* The pieces of GELU of a sum: `order` tells how, `factor` is the number that is 1 / 2. */
static graph *gelu_of(int order, float factor, bool divides) {
    graph *g = make_graph(17);
    int in = make_input(g, "in", SHAPE(2, 5, 3)), x = make(g, "Add", "x", 2, in, in);
    int half = make_number(g, "half", factor), one = make_number(g, "one", 1);
    int root = make_number(g, "root", divides ? 1.41421354f : 0.707106769f);
    int scaled = make(g, divides ? "Div" : "Mul", "scaled", 2, x, root);
    int sum = make(g, "Add", "sum", 2, make(g, "Erf", "erf", 1, scaled), one);
    int inner = order == 0   ? make(g, "Mul", "inner", 2, x, sum)
                : order == 1 ? make(g, "Mul", "inner", 2, half, x)
                             : make(g, "Mul", "inner", 2, sum, half);
    int last = order == 0 ? half : order == 1 ? sum : x;
    output(g, make(g, "Mul", "y", 2, last, inner));
    return g;
}

Test(gelu, in_every_order) {
    for (int order = 0; order < 3; order++)
        for (int divides = 0; divides < 2; divides++) {
            graph *g = gelu_of(order, 0.5f, divides);
            optimise(g);
            cr_assert_eq(g->node_count, 1, "order %d", order);
            cr_assert_eq(find_node(g, "y")->fused.act, ACT_GELU);
            graph_free(g);
        }
}

/* Its last factor could be the convolution's, too. */
Test(gelu, between_convolutions) {
    graph *g = make_graph(17);
    int x = conv(g, "x", make_input(g, "in", SHAPE(1, 4, 5, 5)), 4, 4, 1, true);
    int scaled = make(g, "Div", "scaled", 2, x, make_number(g, "root", 1.41421354f));
    int erf = make(g, "Erf", "erf", 1, scaled);
    int sum = make(g, "Add", "sum", 2, erf, make_number(g, "one", 1));
    int inner = make(g, "Mul", "inner", 2, x, sum);
    int y = make(g, "Mul", "y", 2, inner, make_number(g, "half", 0.5f));
    output(g, conv(g, "out", y, 4, 3, 1, true));
    optimise(g);
    cr_assert_eq(g->node_count, 2);
    graph_free(g);
}

Test(gelu, not_with_other_numbers_or_where_somebody_looks) {
    graph *g = gelu_of(0, 0.6f, true);
    optimise(g);
    cr_assert_eq(count_ops(g, "Erf"), 1);
    graph_free(g);
    g = gelu_of(1, 0.5f, true);
    output(g, graph_find_value(g, "erf"));
    optimise(g);
    cr_assert_eq(count_ops(g, "Erf"), 1);
    graph_free(g);
}

/* ---- activations ---- */

static int activation_of(graph *g, activation act, int in) {
    switch (act) {
    case ACT_LEAKY_RELU:
        in = make(g, "LeakyRelu", "y", 1, in);
        number(g, "alpha", 0.25f);
        return in;
    case ACT_CLIP:
        return clip(g, "y", in, 0, 6);
    case ACT_SIGMOID:
        return make(g, "Sigmoid", "y", 1, in);
    case ACT_HARD_SIGMOID:
        return make(g, "HardSigmoid", "y", 1, in);
    case ACT_HARD_SWISH:
        return make(g, "HardSwish", "y", 1, in);
    case ACT_SILU:
        return make(g, "Mul", "y", 2, in, make(g, "Sigmoid", "s", 1, in));
    case ACT_GELU:
        return make(g, "Gelu", "y", 1, in);
    default:
        return make(g, "Relu", "y", 1, in);
    }
}

static int producer_of(graph *g, int kind) {
    int x = make_input(g, "x", SHAPE(1, 4, 5, 5)), m = make_input(g, "m", SHAPE(2, 3));
    int w = make_random(g, "w", SHAPE(3, 5)), z = make_input(g, "z", SHAPE(1, 4, 1, 1));
    switch (kind) {
    case 0:
        return conv(g, "p", x, 4, 4, 1, true);
    case 1:
        return conv(g, "p", x, 4, 4, 4, false);
    case 2:
        return make(g, "Gemm", "p", 3, m, w, make_random(g, "b", SHAPE(5)));
    case 3:
        return make(g, "MatMul", "p", 2, m, w);
    case 4:
        return batch_norm(g, "p", x, 4);
    case 5:
        return make(g, "Add", "p", 2, x, x);
    case 6:
        return make(g, "Mul", "p", 2, z, x);
    case 7:
        return make(g, "Sub", "p", 2, make_number(g, "one", 1), x);
    default:
        return make(g, "Sum", "p", 2, x, z);
    }
}

Test(activation, every_one_into_every_producer) {
    for (int kind = 0; kind < 9; kind++)
        for (activation act = ACT_RELU; act <= ACT_GELU; act++) {
            graph *g = make_graph(20);
            output(g, activation_of(g, act, producer_of(g, kind)));
            optimise(g);
            cr_assert_eq(g->node_count, 1, "producer %d, activation %d", kind, (int)act);
            cr_assert_eq(find_node(g, "y")->fused.act, act);
            graph_free(g);
        }
}

Test(activation, clip_of_every_version) {
    graph *g = make_graph(7);
    int x = make_input(g, "x", SHAPE(1, 3, 4, 4));
    output(g, make(g, "Clip", "y", 1, conv(g, "c", x, 3, 3, 1, true)));
    number(g, "min", -0.5f);
    optimise(g);
    const graph_node *node = find_node(g, "y");
    cr_assert_eq(node->fused.act, ACT_CLIP);
    cr_assert_eq(node->fused.alpha, -0.5f);
    cr_assert_gt(node->fused.beta, 1e30f);
    graph_free(g);
}

Test(activation, only_one_and_only_where_nobody_looks) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3, 4, 4)), c = conv(g, "c", x, 3, 3, 1, true);
    output(g, make(g, "Sigmoid", "twice", 1, make(g, "Relu", "r", 1, c)));
    int d = conv(g, "d", x, 3, 3, 1, true);
    output(g, make(g, "Relu", "wanted", 1, d));
    output(g, d);
    output(g, make(g, "Relu", "input", 1, x));
    optimise(g);
    cr_assert_eq(find_node(g, "r")->fused.act, ACT_RELU);
    cr_assert_str_eq(find_node(g, "twice")->op->name, "Sigmoid");
    cr_assert_eq(find_node(g, "d")->fused.act, ACT_NONE);
    cr_assert_str_eq(find_node(g, "input")->op->name, "Relu");
    graph_free(g);
}

Test(activation, not_where_no_kernel_takes_it) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 3, 4, 4)), w = make_input(g, "w", SHAPE(3, 3, 1, 1));
    output(g, make(g, "Relu", "fed_weights", 1, make(g, "Conv", "c", 2, x, w)));
    int line = make_input(g, "line", SHAPE(1, 3, 9));
    output(g, make(g, "Relu", "line_conv", 1,
                   make(g, "Conv", "c1", 2, line, make_random(g, "w1", SHAPE(2, 3, 3)))));
    int a = make_input(g, "a", SHAPE(3, 2));
    int product = make(g, "Gemm", "g", 2, a, make_random(g, "b", SHAPE(3, 2)));
    integer(g, "transA", 1);
    output(g, make(g, "Relu", "transposed", 1, product));
    int wide = make(g, "Max", "wide", 2, x, make_random(g, "row", SHAPE(4)));
    output(g, make(g, "Relu", "by_width", 1, wide));
    output(g, make(g, "Relu", "pooled", 1, make(g, "GlobalAveragePool", "p", 1, x)));
    optimise(g);
    cr_assert_eq(count_ops(g, "Relu"), 5);
    graph_free(g);
}
