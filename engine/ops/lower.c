/* The table of operators that have kernels, and how their nodes are mapped on them. */
#include "ops/lower.h"

#include <string.h>

static const struct {
    const char *name;
    lower_fn *lower;
} lowerings[] = {
    {"Add", binary_lower},
    {"AveragePool", pool_lower},
    {"BatchNormalization", batch_normalization_lower},
    {"Clip", activation_lower},
    {"Concat", concat_lower},
    {"Conv", conv_lower},
    {"Div", binary_lower},
    {"Dropout", view_lower},
    {"Flatten", view_lower},
    {"Gemm", gemm_lower},
    {"GlobalAveragePool", global_pool_lower},
    {"GlobalMaxPool", global_pool_lower},
    {"HardSigmoid", activation_lower},
    {"HardSwish", activation_lower},
    {"Identity", view_lower},
    {"LRN", lrn_lower},
    {"LeakyRelu", activation_lower},
    {"LogSoftmax", softmax_lower},
    {"MatMul", matmul_lower},
    {"MaxPool", pool_lower},
    {"Mul", binary_lower},
    {"Relu", activation_lower},
    {"Reshape", view_lower},
    {"Sigmoid", activation_lower},
    {"Softmax", softmax_lower},
    {"Squeeze", view_lower},
    {"Sub", binary_lower},
    {"Sum", binary_lower},
    {"Transpose", transpose_lower},
    {"Unsqueeze", view_lower},
};

lower_fn *op_lowering(const op_def *op) {
    if (*op->domain) return NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(lowerings); i++)
        if (strcmp(lowerings[i].name, op->name) == 0) return lowerings[i].lower;
    return NULL;
}
