/* Outputs that are views of their node's first input. */
#ifndef OPS_MOVEMENT_H
#define OPS_MOVEMENT_H

#include "ops/eval.h"

/* Which output of a node; both shapes have elements. */
typedef struct movement {
    const graph_node *node;
    const cnn_shape *x, *y;  /* of input 0 and of the output */
    const tensor *const *in; /* one per input; NULL: not known, such as input 0 */
    size_t output;
} movement;

/*
 * True, with *out set, if the output is a view of input 0: that of DepthToSpace, Expand, Slice,
 * SpaceToDepth, Split, Transpose, and of Gather by known indices that are equally far apart.
 */
bool movement_view(const movement *m, view *out);
/* Likewise for a node of a graph whose shapes are known. */
bool movement_view_in(const graph *g, const graph_node *node, size_t output, view *out);

#endif
