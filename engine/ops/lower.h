/*
 * How nodes map on kernels: a table of operators (lower.c), whose functions are in FAMILY_plan.c.
 * The planner asks it about every node, and passes ask it before they fuse something into one.
 */
#ifndef OPS_LOWER_H
#define OPS_LOWER_H

#include "ops/op.h"

typedef struct plan_builder plan_builder; /* plan/builder.h */
struct halo;

/* True if kernels run the node; else eval does. */
typedef bool takes_fn(const graph *g, const graph_node *node);
/* Adds the steps of a node that is taken. */
typedef cnn_status lower_fn(plan_builder *b, const graph_node *node, cnn_error *err);

typedef struct lowering {
    const char *op;  /* the same name is in no two domains; NULL behind the last */
    takes_fn *takes; /* NULL: every node of the operator */
    lower_fn *lower;
    bool act, residual; /* what of the node's epilogue (graph.h) the kernels apply */
} lowering;

extern const lowering lowerings[];
/* The entry that takes the node; NULL: eval runs it. */
const lowering *lowering_of(const graph *g, const graph_node *node);

takes_fn activation_takes, batch_normalization_takes, binary_takes, channel_part_takes, conv_takes,
    copy_takes, gemm_takes, layer_norm_2d_takes, layer_norm_takes, lrn_takes, matmul_takes,
    pad_takes, pool_takes, pyramid_takes, reduce_takes, resize_takes, roi_takes, softmax_takes,
    squeeze_takes, transpose_takes, unpool_takes, view_takes, wavelet_takes;
lower_fn activation_lower, batch_normalization_lower, binary_lower, channel_part_lower,
    concat_lower, conv_lower, copy_lower, gemm_lower, layer_norm_2d_lower, layer_norm_lower,
    lrn_lower, matmul_lower, pad_lower, pool_lower, pyramid_lower, reduce_lower, resize_lower,
    roi_lower, softmax_lower, squeeze_lower, transpose_lower, unpool_lower, view_lower,
    wavelet_lower;

/* True for a convolution that kernels run; *h is the padding that it reads around its input. */
bool conv_wants_halo(const graph *g, const graph_node *node, struct halo *h);
/* True for a convolution that can multiply its weights, instead of a SqueezeExcite all of its
 * input, at less cost. */
bool conv_takes_gate(const graph *g, const graph_node *node);
/* True for a Concat along the channels whose inputs are whole blocks (the last may be partial). */
bool concat_by_blocks(const graph *g, const graph_node *node);
/* True for another Concat along the channels, of few inputs that can be blocked and some that are.
 */
bool concat_of_channels(const plan_builder *b, const graph_node *node);
cnn_status concat_channels(plan_builder *b, const graph_node *node, cnn_error *err);

#endif
