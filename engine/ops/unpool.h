/* The extents in which the indices of a MaxUnpool count, for its eval and its kernel. */
#ifndef OPS_UNPOOL_H
#define OPS_UNPOOL_H

#include "ops/op.h"

/* The shape that was pooled to `x`, from the node's window. */
cnn_status unpool_pooled(const graph_node *node, const cnn_shape *x, cnn_shape *out,
                         cnn_error *err);

#endif
