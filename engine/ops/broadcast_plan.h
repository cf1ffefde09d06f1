#ifndef OPS_BROADCAST_PLAN_H
#define OPS_BROADCAST_PLAN_H

#include "plan/builder.h"

/* Adds the steps of a node of two float32 inputs; its output has elements. */
cnn_status broadcast_lower(plan_builder *b, const graph_node *node, binary_op op, cnn_error *err);

#endif
