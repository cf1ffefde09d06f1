/* Shapes of a convolution, shared by Conv and its integer forms. */
#ifndef OPS_CONV_H
#define OPS_CONV_H

#include "ops/op.h"

/* x is (N, C, I...), w is (M, C / group, K...), y is (N, M, O...) */
typedef struct conv {
    int64_t n, c, m, group;
    op_window window;
} conv;

/* Of a node that infer has accepted. */
conv conv_read(const graph_node *node, const cnn_shape *x, const cnn_shape *w);
/* `window` of an operator whose weight is input 1. */
void conv_window(const graph *g, const graph_node *node, op_window *out);
/* Checks input 0 and the weight, input `weight`, and gives the shape of y. */
cnn_status conv_shape(const graph *g, const graph_node *node, size_t weight, cnn_shape *out,
                      cnn_error *err);

#endif
