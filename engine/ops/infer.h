/*
 * What the operators' infer functions share: the checks that nearly every operator begins with, and
 * the reading of lists that are an attribute in one operator set and an input in another. Only
 * files of this folder include it.
 */
#ifndef OPS_INFER_H
#define OPS_INFER_H

#include "ops/op.h"

#include <limits.h>

#define TRY(call)                                                                                  \
    do {                                                                                           \
        cnn_status try_status = (call);                                                            \
        if (try_status != CNN_OK) return try_status;                                               \
    } while (0)

/* Sets of element types, one bit per number of cnn_dtype. */
typedef uint32_t type_set;
#define TYPE(dtype) ((type_set)1 << (dtype))

#define TYPES_REAL     (TYPE(CNN_FLOAT32) | TYPE(CNN_FLOAT64) | TYPE(CNN_FLOAT16) | TYPE(CNN_BFLOAT16))
#define TYPES_SIGNED   (TYPE(CNN_INT8) | TYPE(CNN_INT16) | TYPE(CNN_INT32) | TYPE(CNN_INT64))
#define TYPES_UNSIGNED (TYPE(CNN_UINT8) | TYPE(CNN_UINT16) | TYPE(CNN_UINT32) | TYPE(CNN_UINT64))
#define TYPES_INTEGER  (TYPES_SIGNED | TYPES_UNSIGNED)
#define TYPES_NUMBER   (TYPES_REAL | TYPES_INTEGER)
#define TYPES_ANY      (TYPES_NUMBER | TYPE(CNN_BOOL))
#define TYPES_INDEX    (TYPE(CNN_INT32) | TYPE(CNN_INT64))

/*
 * What every infer calls first: checks the counts of inputs and outputs, that the required ones are
 * there, and the attributes against the definition's `attrs`. Behind it the readers graph_attr_int
 * and so on cannot meet an attribute of another kind.
 */
cnn_status op_begin(const graph *g, const graph_node *node, cnn_error *err);

/* Checks the type of input `i`; absent inputs pass. */
cnn_status op_expect_type(const graph *g, const graph_node *node, size_t i, type_set types,
                          cnn_error *err);
/* Inputs `first` to the last have the type of input `first`, which is one of `types`. */
cnn_status op_expect_same_types(const graph *g, const graph_node *node, size_t first,
                                type_set types, cnn_error *err);
/* Checks the rank of input `i`; absent inputs pass. `max` INT_MAX: no limit. */
cnn_status op_expect_rank(const graph *g, const graph_node *node, size_t i, int min, int max,
                          cnn_error *err);
/* Input `i`, if present, is a vector of `length` elements; `what` says of what, as in "channels".
 */
cnn_status op_expect_vector(const graph *g, const graph_node *node, size_t i, int64_t length,
                            const char *what, cnn_error *err);
/* Input `i`, if present, is a scalar or holds one element. */
cnn_status op_expect_scalar(const graph *g, const graph_node *node, size_t i, cnn_error *err);

/* Resolves attribute `axis` (absent: `fallback`) against `rank`. */
cnn_status op_read_axis(const graph_node *node, int64_t fallback, int rank, int *out,
                        cnn_error *err);
/* Output 0 is of the type and shape of input 0. */
cnn_status op_same_as_input(graph *g, graph_node *node, cnn_error *err);
/* Output `i` is `value` from now on; takes the caller's reference, also on failure. */
cnn_status op_set_constant(graph *g, graph_node *node, size_t i, tensor *value, cnn_error *err);
/* The product of dims [from, to). Only of an empty tensor can it overflow; it then saturates. */
int64_t op_product(const cnn_shape *shape, int from, int to);

/*
 * A short list of integers, such as axes, from an attribute or from an input tensor, whichever the
 * operator's version has. `present` is false if it is left out.
 */
#define OP_LIST_MAX (4 * CNN_MAX_RANK)
typedef struct op_list {
    bool present;
    size_t count;
    int64_t values[OP_LIST_MAX];
} op_list;

/* `input` may be NULL. Longer lists are cut (op_need_list refuses them before). */
op_list op_read_list(const graph_node *node, const char *attr_name, const tensor *input);
/*
 * The same for infer: from the attribute, else from input `i`, which must then be a constant vector
 * (or scalar) of integers, because shapes are planned before the run. `name` is ONNX' name of both.
 */
cnn_status op_need_list(const graph *g, const graph_node *node, const char *name, size_t i,
                        op_list *out, cnn_error *err);
/*
 * Fails unless input `i` is absent or constant: CNN_VALUE_NEEDED if an input of the graph, which is
 * then named, could be fixed to make it so, else CNN_UNSUPPORTED.
 */
cnn_status op_need_constant(const graph *g, const graph_node *node, size_t i, const char *name,
                            cnn_error *err);
/* Turns a list of axes into a set: bit a for axis a. Fails outside [-rank, rank) and on repeats. */
cnn_status op_axis_set(const graph_node *node, const op_list *axes, int rank, unsigned *out,
                       cnn_error *err);

#endif
