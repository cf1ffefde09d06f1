/* Constant folding, as graph_bind and graph_fold_constants share it. */
#ifndef GRAPH_FOLD_H
#define GRAPH_FOLD_H

#include "ops/op.h"

/*
 * What may be folded of a model, while it is loaded and then for a plan together: bytes read and
 * made, as an allowance (weights that a small file only describes, by ConstantOfShape) and a
 * multiple of the constants that the model comes with (chains of conversions); and
 * multiply-accumulates.
 */
#define FOLDING_ALLOWANCE ((size_t)1 << 30)
#define FOLDING_MULTIPLE  8
#define FOLDING_MACS      (UINT64_C(1) << 30)

typedef struct folding folding;

folding *folding_create(graph *g); /* NULL when out of memory */
void folding_free(folding *f);
/*
 * Makes the outputs of an inferred node constants, if its inputs are and the budget allows it, and
 * cuts the node loose from its values (all -1). Uses of values must have been counted.
 */
cnn_status folding_apply(folding *f, graph *g, graph_node *node, cnn_error *err);

/* Infers the outputs of one node, and checks that all are known then (bind.c). */
cnn_status graph_infer(graph *g, graph_node *node, cnn_error *err);
/* Removes the nodes that have been cut loose (edit.c). */
void graph_drop_detached_nodes(graph *g);

#endif
