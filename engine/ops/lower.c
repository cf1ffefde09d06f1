/* The table of operators that have kernels. */
#include "ops/lower.h"

#include <string.h>

const lowering lowerings[] = {
    /* operator, takes, lower, act, residual */
    {"Add", binary_takes, binary_lower, true, false},
    {"AveragePool", pool_takes, pool_lower, false, false},
    {"BatchNormalization", batch_normalization_takes, batch_normalization_lower, true, false},
    {"Clip", activation_takes, activation_lower, false, false},
    {"Concat", NULL, concat_lower, false, false},
    {"Conv", conv_takes, conv_lower, true, true},
    {"DepthToSpace", copy_takes, copy_lower, false, false},
    {"Div", binary_takes, binary_lower, true, false},
    {"Dropout", view_takes, view_lower, false, false},
    {"Expand", copy_takes, copy_lower, false, false},
    {"Flatten", view_takes, view_lower, false, false},
    {"Gather", channel_part_takes, channel_part_lower, false, false},
    {"Gelu", activation_takes, activation_lower, false, false},
    {"Gemm", gemm_takes, gemm_lower, true, false},
    {"GlobalAveragePool", global_pool_takes, global_pool_lower, false, false},
    {"GlobalMaxPool", global_pool_takes, global_pool_lower, false, false},
    {"HardSigmoid", activation_takes, activation_lower, false, false},
    {"HardSwish", activation_takes, activation_lower, false, false},
    {"Identity", view_takes, view_lower, false, false},
    {"LRN", lrn_takes, lrn_lower, false, false},
    {"LayerNormalization", layer_norm_takes, layer_norm_lower, false, false},
    {"LeakyRelu", activation_takes, activation_lower, false, false},
    {"LogSoftmax", softmax_takes, softmax_lower, false, false},
    {"MatMul", matmul_takes, matmul_lower, true, false},
    {"MaxPool", pool_takes, pool_lower, false, false},
    {"Mul", binary_takes, binary_lower, true, false},
    {"Pad", pad_takes, pad_lower, false, false},
    {"ReduceL2", reduce_takes, reduce_lower, false, false},
    {"ReduceMax", reduce_takes, reduce_lower, false, false},
    {"ReduceMean", reduce_takes, reduce_lower, false, false},
    {"ReduceMin", reduce_takes, reduce_lower, false, false},
    {"ReduceSum", reduce_takes, reduce_lower, false, false},
    {"ReduceSumSquare", reduce_takes, reduce_lower, false, false},
    {"Relu", activation_takes, activation_lower, false, false},
    {"Reshape", view_takes, view_lower, false, false},
    {"Sigmoid", activation_takes, activation_lower, false, false},
    {"Slice", channel_part_takes, channel_part_lower, false, false},
    {"Softmax", softmax_takes, softmax_lower, false, false},
    {"SpaceToDepth", copy_takes, copy_lower, false, false},
    {"Split", channel_part_takes, channel_part_lower, false, false},
    {"Squeeze", view_takes, view_lower, false, false},
    {"Sub", binary_takes, binary_lower, true, false},
    {"Sum", binary_takes, binary_lower, true, false},
    {"Transpose", transpose_takes, transpose_lower, false, false},
    {"Unsqueeze", view_takes, view_lower, false, false},
    {.op = NULL},
};

const lowering *lowering_of(const graph *g, const graph_node *node) {
    if (*node->op->domain) return NULL;
    for (const lowering *l = lowerings; l->op; l++)
        if (strcmp(l->op, node->op->name) == 0) return !l->takes || l->takes(g, node) ? l : NULL;
    return NULL;
}
