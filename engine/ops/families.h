/* The operator definitions, one array per family; each ends with an entry without a name. */
#ifndef OPS_FAMILIES_H
#define OPS_FAMILIES_H

#include "ops/op.h"

/*
 * Begins a definition: name, first and last operator set version (0: still valid), how many inputs
 * and outputs at least and at most. Versions that differ only in the types that they admit are one
 * definition: a type that a later version admits is taken in an earlier one, too.
 */
#define OP(text, first, last, min_in, max_in, min_out, max_out)                                    \
    OP_OF("", text, first, last, min_in, max_in, min_out, max_out)
/* The same for an operator that ONNX lacks, of our own domain's first version. */
#define OWN_OP(text, min_in, max_in, min_out, max_out)                                             \
    OP_OF(OP_OWN_DOMAIN, text, 1, 0, min_in, max_in, min_out, max_out)
#define OP_OF(home, text, first, last, min_in, max_in, min_out, max_out)                           \
    .domain = (home), .name = (text), .since = (first), .until = (last), .min_inputs = (min_in),   \
    .max_inputs = (max_in), .min_outputs = (min_out), .max_outputs = (max_out)
#define OP_VARIADIC GRAPH_MAX_NODE_ARGS

/* All of them; NULL behind the last. */
extern const op_def *const op_families[];

extern const op_def ops_conv[];
extern const op_def ops_pool[];
extern const op_def ops_global_pool[];
extern const op_def ops_adaptive_pool[];
extern const op_def ops_likelihood_pool[];
extern const op_def ops_wavelet_pool[];
extern const op_def ops_unpool[];
extern const op_def ops_activation[];
extern const op_def ops_elementwise[];
extern const op_def ops_math[];
extern const op_def ops_normalization[];
extern const op_def ops_gemm[];
extern const op_def ops_shape[];
extern const op_def ops_movement[];
extern const op_def ops_gather[];
extern const op_def ops_pad[];
extern const op_def ops_constant[];
extern const op_def ops_cast[];
extern const op_def ops_softmax[];
extern const op_def ops_reduce[];
extern const op_def ops_resize[];
extern const op_def ops_roi[];
extern const op_def ops_quantize[];
extern const op_def ops_integer[];
extern const op_def ops_einsum[];
extern const op_def ops_sample[];
extern const op_def ops_attention[];

#endif
