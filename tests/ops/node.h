/* One node under test: attributes and inputs in, shapes, numbers or an error sentence out. */
#ifndef TESTS_OPS_NODE_H
#define TESTS_OPS_NODE_H

#include "graph/graph.h"
#include "ops/op.h"

/* Criterion's header brings the lower-case macros along, so it comes behind the project's. */
#include <criterion/criterion.h>

#define NODE_MAX_ARGS 64

typedef struct node_test {
    graph *g;
    graph_node *node;
    tensor *in[NODE_MAX_ARGS], *out[NODE_MAX_ARGS];
    size_t ins, outs;
    bool ran;
} node_test;

/* DIMS(2, 3); SCALAR has no dimensions. */
#define DIMS(...) ((cnn_shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}})
#define SCALAR    ((cnn_shape){0})
#define NUMBERS(...)                                                                               \
    sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]) {                                 \
        __VA_ARGS__                                                                                \
    }
#define NOTHING 0, NULL

/* A node named "n" with one output, as operator set `opset` of its domain defines it. */
node_test *node_begin(const char *op, int opset);
void node_end(node_test *t);

#define ATTR_INTS(t, name, ...)                                                                    \
    node_attr_ints(t, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                    \
                   (int64_t[]){__VA_ARGS__})
void node_attr_ints(node_test *t, const char *name, size_t count, const int64_t *ints);
void node_attr_int(node_test *t, const char *name, int64_t value);
void node_attr_float(node_test *t, const char *name, double value);
void node_attr_floats(node_test *t, const char *name, size_t count, const double *numbers);
void node_attr_string(node_test *t, const char *name, const char *value);
void node_attr_tensor(node_test *t, const char *name, cnn_dtype dtype, cnn_shape shape,
                      size_t count, const double *numbers);

/* The next input: known at run time only, or a constant. `count` must be that of the shape. */
void node_in(node_test *t, cnn_dtype dtype, cnn_shape shape, size_t count, const double *numbers);
void node_constant(node_test *t, cnn_dtype dtype, cnn_shape shape, size_t count,
                   const double *numbers);
void node_absent(node_test *t); /* an optional input that is left out */
#define IN(t, shape, ...)      node_in(t, CNN_FLOAT32, shape, NUMBERS(__VA_ARGS__))
#define IN_INTS(t, shape, ...) node_in(t, CNN_INT64, shape, NUMBERS(__VA_ARGS__))
#define CONSTANT_INTS(t, ...)                                                                      \
    node_constant(t, CNN_INT64, DIMS(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),            \
                  NUMBERS(__VA_ARGS__))
/* A float32 input of 1, 2, 3, ... */
void node_in_counting(node_test *t, cnn_shape shape);
void node_outputs(node_test *t, size_t count);

/* Infers and evaluates; a failure fails the test. */
void node_run(node_test *t);
/* Runs unless that has happened; output `i` must be exactly this, floats to 1e-6. */
void node_gives(node_test *t, size_t i, cnn_dtype dtype, cnn_shape shape, size_t count,
                const double *numbers);
#define GIVES(t, shape, ...) node_gives(t, 0, CNN_FLOAT32, shape, NUMBERS(__VA_ARGS__))
/* Infer refuses the node, and the sentence, after "Op 'n': ", contains `text`; ends the test. */
void node_fails(node_test *t, cnn_status status, const char *text);
/* What the operator's `macs` says; runs the node before. */
uint64_t node_macs(node_test *t);

#endif
