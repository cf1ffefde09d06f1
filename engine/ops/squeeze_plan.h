/* What the lowering of squeeze-and-excite shares with that of the convolutions around it. */
#ifndef OPS_SQUEEZE_PLAN_H
#define OPS_SQUEEZE_PLAN_H

#include "plan/builder.h"

/* Makes room for the sums of a value's rows, which the next step will write. */
cnn_status squeeze_new_sums(plan_builder *b, int value, const blocked *form, cnn_error *err);

/* Weights for each image. */
typedef struct squeeze_weights {
    plan_place place;
    size_t image_pitch; /* in floats */
} squeeze_weights;
/*
 * Adds a step that multiplies the weights of a 1x1 convolution, packed in panels of ob_group output
 * blocks, with the gate of its input, the gated value of that number.
 */
cnn_status squeeze_scale(plan_builder *b, int value, const float *weights, int out_blocks,
                         int ob_group, squeeze_weights *out, cnn_error *err);

#endif
