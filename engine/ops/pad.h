#ifndef OPS_PAD_H
#define OPS_PAD_H

#include "ops/op.h"

/*
 * What a Pad does on each axis: elements [first, first + kept) of the input stay, `begin` positions
 * come before them and `end` behind.
 */
typedef struct padding {
    int64_t first[CNN_MAX_RANK], kept[CNN_MAX_RANK], begin[CNN_MAX_RANK], end[CNN_MAX_RANK];
} padding;

/* True, with both set, for a bound Pad whose new elements are one known number. */
bool pad_constant(const graph *g, const graph_node *node, padding *out, float *value);

#endif
