#ifndef OPS_RESIZE_H
#define OPS_RESIZE_H

#include "ops/op.h"

#include "kernels/kernels.h"

/*
 * How a bound Resize or Upsample of rank 4 makes the rows and columns of a plane: true for nearest
 * and linear interpolation that leaves images and channels as they are and takes at most two
 * positions of each axis, all of them in the input. The taps have room for the output's height and
 * width; NULL: only the answer is wanted.
 */
bool resize_taps(const graph *g, const graph_node *node, resize_tap *rows, resize_tap *columns,
                 bool *linear);

#endif
