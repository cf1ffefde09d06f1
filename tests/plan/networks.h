/*
 * Small networks built in memory, and trials: their plans, held against plain evaluation of the
 * original graph.
 */
#ifndef TESTS_PLAN_NETWORKS_H
#define TESTS_PLAN_NETWORKS_H

#include "graph/graph.h"
#include "model/model.h"

#define SHAPE(...)                                                                                 \
    ((cnn_shape){.rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dims = {__VA_ARGS__}})

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
    size_t outputs; /* of the next node; its values are numbered one after the other */
} network;

void network_begin(network *n, uint64_t seed);
int network_input(network *n, const cnn_shape *shape);
/* A float constant of random numbers in [-scale, scale). */
int network_weights(network *n, const cnn_shape *shape, float scale);
int network_ints(network *n, size_t count, const int64_t *ints);
/* A node of ONNX (opset 13 unless n->g says otherwise) or our own; returns its first output.
 * Attributes are added to *node. */
int network_node(network *n, const char *op, graph_node **node, int input_count, ...);
void network_output(network *n, int value);

/*
 * A squeeze-and-excite block of x, which has c channels: of convolutions or, `dense`, of Gemm, with
 * so many channels in between.
 */
int network_squeeze_excite(network *n, int x, int64_t c, int64_t hidden, bool dense);

/* A model that owns the graph. */
cnn_model *network_model(network *n, cnn_runtime *rt);

cnn_runtime *make_runtime(const char *isa, int threads);

/* ---- trials ---- */

/* A plan of a network with one input, its session, and what the input is. */
typedef struct trial {
    cnn_model *model;
    cnn_plan *plan;
    cnn_session *session;
    cnn_shape shape;
    float *input;
} trial;

/*
 * Takes the network over and plans it, with random input of that shape; `outputs` as in
 * cnn_plan_options.
 */
trial trial_create(network *n, cnn_runtime *rt, const cnn_shape *shape, const char *const *outputs,
                   size_t output_count);
void trial_run(trial *t);
/*
 * Fails unless every output of the last run is what the operators' own eval makes of the model's
 * graph, without passes or kernels. `what` begins the message.
 */
void trial_check(const trial *t, const char *what);
/* Fails unless every output of the last runs has the same bits. */
void trial_check_same(const trial *a, const trial *b, const char *what);
/* The kernel of the newest step whose operator is `op`; NULL if there is none. */
const char *trial_kernel(const trial *t, const char *op);
void trial_free(trial *t);

#endif
