/* Shapes of numpy.matmul, shared by MatMul and its integer forms. */
#ifndef OPS_MATMUL_H
#define OPS_MATMUL_H

#include "ops/op.h"

/*
 * a is (..., M, K), b is (..., K, N), y is (..., M, N); the leading axes are broadcast. A vector a
 * is a row and a vector b a column, whose axis is missing in y.
 */
typedef struct matmul {
    cnn_shape a, b;  /* with the axis that a vector lacks */
    cnn_shape batch; /* the leading axes of y */
    int64_t m, n, k;
} matmul;

/* False if the shapes do not fit. */
bool matmul_read(const cnn_shape *a, const cnn_shape *b, matmul *out);
/* A shape without its last two axes. */
cnn_shape matmul_leading(const cnn_shape *shape);
/* The shape of y for inputs 0 and `second`; the error names both. */
cnn_status matmul_shape(const graph *g, const graph_node *node, size_t second, cnn_shape *out,
                        cnn_error *err);

#endif
