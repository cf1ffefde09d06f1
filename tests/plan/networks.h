/* Small networks built in memory, and their results by plain evaluation of the original graph. */
#ifndef TESTS_PLAN_NETWORKS_H
#define TESTS_PLAN_NETWORKS_H

#include "graph/graph.h"
#include "run/model.h"

/* A generator with a state of its own, so that each network can be made again from its number. */
typedef struct random_state {
    uint64_t state;
} random_state;

uint32_t random_below(random_state *r, uint32_t limit);
float random_float(random_state *r); /* in [-1, 1) */

typedef struct network {
    graph *g;
    random_state random;
    int names;
} network;

void network_begin(network *n, uint64_t seed);
int network_input(network *n, const cnn_shape *shape);
/* A float constant of random numbers in [-scale, scale). */
int network_weights(network *n, const cnn_shape *shape, float scale);
/* A node of the default domain in opset 13; returns its output. Attributes are added to *node. */
int network_node(network *n, const char *op, graph_node **node, int input_count, ...);
void network_output(network *n, int value);

/* A model that owns the graph. */
cnn_model *network_model(network *n, cnn_runtime *rt);

/*
 * What every tensor of the model's graph is for the given inputs, by the operators' own eval,
 * without passes or kernels: one tensor per value, NULL where there is none. Freed by
 * network_free_values().
 */
tensor **network_evaluate(const cnn_model *model, const cnn_shape *shapes,
                          const float *const *inputs);
void network_free_values(const cnn_model *model, tensor **values);

#endif
