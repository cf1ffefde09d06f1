/*
 * How operators map on kernels: the `lower` functions of FAMILY_plan.c, which op_defs refer to, and
 * the questions that the planner asks before it walks the graph.
 */
#ifndef OPS_LOWER_H
#define OPS_LOWER_H

#include "plan/builder.h"

/*
 * Adds steps to the plan and sets *done; leaves it false, having done nothing, for forms that no
 * kernel takes, which then run through eval.
 */
typedef cnn_status lower_fn(plan_builder *b, const graph_node *node, bool *done, cnn_error *err);

/* NULL: nodes of this operator always run through eval. */
lower_fn *op_lowering(const op_def *op);

lower_fn activation_lower; /* Relu, LeakyRelu, Clip, Sigmoid, HardSigmoid, HardSwish */
lower_fn batch_normalization_lower;
lower_fn binary_lower; /* Add, Sub, Mul, Div, and Sum of two */
lower_fn concat_lower;
lower_fn conv_lower;
lower_fn gemm_lower;
lower_fn global_pool_lower; /* GlobalAveragePool, GlobalMaxPool */
lower_fn lrn_lower;
lower_fn matmul_lower;
lower_fn pool_lower;    /* MaxPool, AveragePool */
lower_fn softmax_lower; /* Softmax, LogSoftmax */
lower_fn transpose_lower;
lower_fn view_lower; /* Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout */

/* True if a convolution kernel will take the node; *h is the padding that it reads around its
 * input. */
bool conv_wants_halo(const plan_builder *b, const graph_node *node, halo *h);
/* True for a Concat along the channels whose inputs are whole blocks (the last one may be partial).
 */
bool concat_by_blocks(const plan_builder *b, const graph_node *node);

#endif
