/* Graphs written down in C, and their values by plain evaluation. */
#ifndef TESTS_GRAPH_MAKE_H
#define TESTS_GRAPH_MAKE_H

#include "graph/graph.h"
#include "ops/op.h"

/* SHAPE(1, 3, 4, 4); SHAPE0 is a scalar. */
#define SHAPE(...)                                                                                 \
    (cnn_shape) {                                                                                  \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dims = { __VA_ARGS__ }        \
    }
#define SHAPE0 ((cnn_shape){0})

graph *make_graph(int opset);
/* A float32 input. */
int make_input(graph *g, const char *name, cnn_shape shape);
/* Constants. `make_random` fills with numbers in [-1, 1) that depend on the name only. */
int make_floats(graph *g, const char *name, cnn_shape shape, const float *data);
int make_random(graph *g, const char *name, cnn_shape shape);
int make_number(graph *g, const char *name, float number);
int make_ints(graph *g, const char *name, size_t count, const int64_t *data);
/* A node named like its output; `count` value numbers follow, -1 for absent. Returns the output. */
#define make(g, op, output, count, ...) make_node(g, op, output, count, (int[]){__VA_ARGS__})
int make_node(graph *g, const char *op, const char *output, int count, const int *inputs);
graph_node *made(graph *g); /* the node that make() added last */

/* The node that makes the named value; NULL if there is no such value or node. */
graph_node *find_node(const graph *g, const char *output);
/* Nodes of an operator. */
size_t count_ops(const graph *g, const char *op);
/* Fails unless uses and producers are what the nodes say, and the order is an execution order. */
void check_graph(const graph *g);

/*
 * Runs a bound graph with the operators' eval and then each node's epilogue: one tensor per value,
 * NULL for what nobody makes. Inputs get random numbers that depend on their name.
 */
tensor **evaluate(const graph *g);
void free_values(const graph *g, tensor **values);
/* A random number in [-1, 1) from a state. */
float random_number(uint64_t *state);

#endif
