/* How a RoiAlign reads coordinates, for its eval and its kernel. */
#ifndef OPS_ROI_H
#define OPS_ROI_H

#include "ops/op.h"

/* True if pixel i is centred at i, and regions are shifted by half a pixel; since version 16. */
bool roi_half_pixel(const graph_node *node);

#endif
