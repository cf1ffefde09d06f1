#ifndef OPS_REDUCE_H
#define OPS_REDUCE_H

#include "ops/op.h"

/* The axes that a bound reduction goes over, as a set: bit a for axis a. False if not known. */
bool reduce_axes(const graph *g, const graph_node *node, unsigned *set);

#endif
