#include "graph/attrs.h"
#include "graph/make.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors ---- */

Test(tensor, measures_and_aligns) {
    tensor *t = NULL;
    cr_assert_eq(tensor_create(CNN_FLOAT16, &SHAPE(3, 5), &t, NULL), CNN_OK);
    cr_assert_eq(t->elements, 15);
    cr_assert_eq(t->bytes, 30);
    cr_assert_eq((uintptr_t)t->data % CNN_ALIGN, 0);
    cr_assert_eq(tensor_ref(t), t);
    tensor_unref(t);
    tensor_unref(t);
    tensor_unref(NULL);
}

Test(tensor, refuses_what_cannot_be) {
    tensor *t = NULL;
    cnn_error err;
    cr_assert_eq(tensor_create(CNN_FLOAT32, &SHAPE(-1, 5), &t, &err), CNN_LIMIT);
    cr_assert_eq(tensor_create(CNN_FLOAT32, &SHAPE(GRAPH_MAX_EXTENT + 1), &t, &err), CNN_LIMIT);
    cr_assert_eq(tensor_create(CNN_FLOAT32, &SHAPE(1 << 20, 1 << 20), &t, &err), CNN_LIMIT);
    cr_assert(strstr(err.message, "1048576x1048576"), "%s", err.message);
    cr_assert_eq(tensor_create(CNN_STRING, &SHAPE(1), &t, &err), CNN_UNSUPPORTED);
    cr_assert_eq(tensor_create((cnn_dtype)99, &SHAPE(1), &t, &err), CNN_UNSUPPORTED);
    cr_assert_null(t);
}

Test(tensor, reads_numbers_of_every_type) {
    static const cnn_dtype types[] = {
        CNN_FLOAT32, CNN_UINT8,   CNN_INT8,    CNN_UINT16, CNN_INT16,  CNN_INT32,   CNN_INT64,
        CNN_BOOL,    CNN_FLOAT16, CNN_FLOAT64, CNN_UINT32, CNN_UINT64, CNN_BFLOAT16};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        tensor *t = NULL;
        cr_assert_eq(tensor_create(types[i], &SHAPE(2), &t, NULL), CNN_OK);
        memset(t->data, 0, t->bytes);
        cr_assert_eq(tensor_int(t, 1), 0);
        cr_assert_eq(tensor_number(t, 1), 0.0);
        memset(t->data, 0xFF, t->bytes); /* -1, the largest unsigned, true, or not a number */
        double n = tensor_number(t, 1);
        int64_t k = tensor_int(t, 1);
        size_t bits = 8 * cnn_dtype_size(types[i]);
        switch (types[i]) {
        case CNN_FLOAT32:
        case CNN_FLOAT16:
        case CNN_FLOAT64:
        case CNN_BFLOAT16:
            cr_assert(isnan(n) && k == 0);
            break;
        case CNN_INT8:
        case CNN_INT16:
        case CNN_INT32:
        case CNN_INT64:
            cr_assert(n == -1 && k == -1);
            break;
        case CNN_BOOL:
            cr_assert(n == 1 && k == 1);
            break;
        default:
            cr_assert_eq(n, ldexp(1, (int)bits) - (bits < 64 ? 1 : 0));
            cr_assert_eq(k, bits < 64 ? (int64_t)((UINT64_C(1) << (bits & 63)) - 1) : INT64_MAX);
        }
        tensor_unref(t);
    }
}

Test(tensor, integers_of_floats_saturate) {
    tensor *t = NULL;
    cr_assert_eq(tensor_create(CNN_FLOAT64, &SHAPE(4), &t, NULL), CNN_OK);
    memcpy(t->data, (double[]){1e300, -1e300, 2.9, -2.9}, t->bytes);
    cr_assert_eq(tensor_int(t, 0), INT64_MAX);
    cr_assert_eq(tensor_int(t, 1), INT64_MIN);
    cr_assert_eq(tensor_int(t, 2), 2);
    cr_assert_eq(tensor_int(t, 3), -2);
    tensor_unref(t);
}

/* ---- editing ---- */

Test(graph, counts_uses) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 2)), y = make(g, "Relu", "y", 1, x);
    int z = make(g, "Add", "z", 2, y, y);
    cr_assert(graph_add_output(g, z) && graph_add_output(g, y));
    graph_update_uses(g);
    cr_assert_eq(g->values[x].uses, 1);
    cr_assert_eq(g->values[y].uses, 3);
    check_graph(g);
    graph_free(g);
}

Test(graph, a_residual_is_a_use) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(1, 2)), r = make(g, "Relu", "r", 1, x);
    int y = make(g, "Sigmoid", "y", 1, x);
    made(g)->fused.residual = r;
    cr_assert(graph_add_output(g, y));
    graph_update_uses(g);
    cr_assert_eq(g->values[r].uses, 1);
    graph_drop_dead_nodes(g);
    cr_assert_eq(g->node_count, 2);
    graph_free(g);
}

Test(graph, drops_chains_of_dead_nodes) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), y = make(g, "Relu", "y", 1, x), dead = x;
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "dead%d", i);
        dead = make(g, "Relu", name, 1, dead);
    }
    int z = make(g, "Neg", "z", 1, y);
    cr_assert(graph_add_output(g, z));
    graph_drop_dead_nodes(g);
    cr_assert_eq(g->node_count, 2);
    cr_assert_eq(g->values[dead].producer, -1);
    check_graph(g);
    graph_free(g);
}

Test(graph, clone_shares_constants_and_nothing_else) {
    graph *g = make_graph(13), *copy = NULL;
    int x = make_input(g, "x", SHAPE(2)), w = make_number(g, "w", 2);
    int y = make(g, "Mul", "y", 2, x, w);
    graph_node *node = made(g);
    cr_assert(graph_add_attr_int(node, "i", -3) && graph_add_attr_float(node, "f", 0.5f));
    cr_assert(graph_add_attr_ints(node, "l", (int64_t[]){1, 2}, 2));
    add_attr_string(node, "s", "text");
    add_attr_tensor(node, "t", g->values[w].constant);
    node->fused.act = ACT_RELU;
    cr_assert(graph_add_output(g, y));
    cr_assert_eq(graph_clone(g, &copy, NULL), CNN_OK);
    cr_assert_eq(copy->values[w].constant, g->values[w].constant);
    cr_assert_eq(atomic_load(&copy->values[w].constant->refs), 4);
    graph_free(g);
    node = copy->nodes[0];
    cr_assert_eq(graph_attr_int(node, "i", 0), -3);
    cr_assert_eq(graph_attr_int(node, "f", 7), 7, "of another kind");
    cr_assert_eq(graph_attr_float(node, "f", 0), 0.5f);
    cr_assert_str_eq(graph_attr_string(node, "s", ""), "text");
    cr_assert_eq(graph_attr(node, "l")->ints[1], 2);
    cr_assert_eq(graph_attr(node, "t")->tensor, copy->values[w].constant);
    cr_assert_null(graph_attr(node, "absent"));
    cr_assert_eq(node->fused.act, ACT_RELU);
    cr_assert_str_eq(copy->values[y].name, "y");
    cr_assert_eq(copy->outputs[0], y);
    graph_free(copy);
    graph_free(NULL);
}

/* ---- order ---- */

Test(sort, puts_producers_first) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2));
    int a = graph_add_value(g, "a"), b = graph_add_value(g, "b");
    int y = make(g, "Add", "y", 2, a, b);
    graph_node *na = graph_node_create(op_find("", "Relu", 13), "na", 1, 1);
    graph_node *nb = graph_node_create(op_find("", "Relu", 13), "nb", 1, 1);
    na->inputs[0] = b;
    na->outputs[0] = a;
    nb->inputs[0] = x;
    nb->outputs[0] = b;
    cr_assert(graph_add_node(g, na) && graph_add_node(g, nb) && graph_add_output(g, y));
    cr_assert_eq(graph_sort(g, NULL), CNN_OK);
    graph_update_uses(g);
    check_graph(g);
    cr_assert_eq(g->nodes[0], nb);
    cr_assert_eq(g->nodes[1], na);
    graph_free(g);
}

Test(sort, keeps_an_order_that_is_good) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), a = make(g, "Relu", "a", 1, x);
    int b = make(g, "Neg", "b", 1, x), c = make(g, "Add", "c", 2, b, a);
    cr_assert(graph_add_output(g, c));
    cr_assert_eq(graph_sort(g, NULL), CNN_OK);
    cr_assert_str_eq(g->nodes[0]->name, "a");
    cr_assert_str_eq(g->nodes[1]->name, "b");
    cr_assert_str_eq(g->nodes[2]->name, "c");
    graph_free(g);
}

Test(sort, names_a_node_on_a_cycle) {
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), a = make(g, "Add", "a", 2, x, x);
    int b = make(g, "Relu", "b", 1, a);
    cr_assert(graph_add_output(g, b));
    g->nodes[0]->inputs[1] = b;
    cnn_error err;
    cr_assert_eq(graph_sort(g, &err), CNN_INVALID_MODEL);
    cr_assert_str_eq(err.message, "Add 'a' depends on its own result");
    graph_free(g);
}

Test(sort, survives_depth) {
    enum { DEPTH = 50000 };
    graph *g = make_graph(13);
    int x = make_input(g, "x", SHAPE(2)), *between = malloc(DEPTH * sizeof *between);
    for (int i = 0; i < DEPTH; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", i);
        between[i] = graph_add_value(g, name);
    }
    for (int i = DEPTH; i-- > 0;) { /* last node first: the walk goes all the way down */
        graph_node *node = graph_node_create(op_find("", "Relu", 13), "", 1, 1);
        node->inputs[0] = i > 0 ? between[i - 1] : x;
        node->outputs[0] = between[i];
        cr_assert(graph_add_node(g, node));
    }
    cr_assert(graph_add_output(g, between[DEPTH - 1]));
    cr_assert_eq(graph_sort(g, NULL), CNN_OK);
    for (int i = 0; i < DEPTH; i++)
        cr_assert_eq(g->nodes[i]->outputs[0], between[i]);
    free(between);
    graph_free(g);
}
