#ifndef OPS_BATCHED_PLAN_H
#define OPS_BATCHED_PLAN_H

#include "plan/builder.h"

/* True for a MatMul of float32 operands with elements, neither of which need be constant. */
bool batched_takes(const graph *g, const graph_node *node);
cnn_status batched_lower(plan_builder *b, const graph_node *node, cnn_error *err);

#endif
