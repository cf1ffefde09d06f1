/*
 * Nodes that scale and shift each channel of one of their inputs by constants: BatchNormalization
 * (Ioffe and Szegedy 2015), and Add, Sub, Mul, Div with one number or one number per channel. The
 * channel axis is always axis 1: (N, C, ...), or the columns of a matrix.
 */
#ifndef PASSES_AFFINE_H
#define PASSES_AFFINE_H

#include "passes/rewrite.h"

/* y = scale[c] x + shift[c] */
typedef struct affine {
    size_t channels;
    double *scale, *shift; /* one allocation, begins at scale */
    bool scales, shifts;   /* not all 1, not all 0 */
    bool finite;           /* all of them; other nodes stay: folded, they would also spoil zeros */
} affine;

/* True if the node is one, seen from its input `i` (0 or 1), and the result has that one's shape.
 */
bool affine_is(const graph *g, const graph_node *node, size_t i);
/* Reads such a node's constants; freed by affine_free. Fails only for lack of memory. */
cnn_status affine_read(const graph *g, const graph_node *node, size_t i, affine *out,
                       cnn_error *err);
void affine_free(affine *a);

/* True for one float32 number, or one per channel of `out`, that broadcasting does not enlarge. */
bool affine_is_per_channel(const tensor *t, const cnn_shape *out);
/* The number of channel `c` in such a tensor. */
double affine_channel(const tensor *t, size_t c);
/* True for a BatchNormalization of constants at inference. */
bool affine_norm_fits(const graph *g, const graph_node *node);

#endif
