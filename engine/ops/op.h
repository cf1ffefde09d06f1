/*
 * Operators: what each needs, the shapes it makes, and its plainest computation.
 *
 * One file per family defines op_defs; registry.c lists them. `infer` is called on nodes whose
 * inputs all have concrete shapes. `eval` computes on dense row-major tensors, one element after
 * the other: it folds constants, serves as truth for the kernels' tests, and runs nodes for which
 * the planner has no kernel (so any operator with an `eval` works, slowly). lower.h and
 * FAMILY_plan.c map nodes on kernels.
 */
#ifndef OPS_OP_H
#define OPS_OP_H

#include "graph/graph.h"

/* Names in it are none of ONNX'. docs/pooling.md describes its poolings, docs/model-folder.md the
 * rest. */
#define OP_OWN_DOMAIN "ai.cnnserve"

struct op_window;

typedef struct op_def {
    const char *domain; /* "" for ONNX' own, OP_OWN_DOMAIN for what ONNX lacks */
    const char *name;
    int since, until; /* opset versions in which this definition holds; until 0: still */
    int min_inputs, max_inputs;
    int min_outputs, max_outputs;
    /* Attributes it takes: "axis:int pads:ints kernel_shape:ints!", '!' for required. NULL: none.
     */
    const char *attrs;
    /*
     * Checks attributes and input types, and sets dtype and shape of every output
     * (op_set_output). May set an output's constant (Shape does).
     */
    cnn_status (*infer)(graph *g, graph_node *node, cnn_error *err);
    /*
     * in[i] is NULL for an absent optional input. out[i] is allocated with the inferred dtype and
     * shape (NULL if absent). Cannot fail: infer has checked everything.
     */
    void (*eval)(const graph_node *node, const tensor *const *in, tensor *const *out);
    /* Multiply-accumulates of a bound node; NULL: none worth counting. */
    uint64_t (*macs)(const graph *g, const graph_node *node);
    /* The window of a bound node; NULL: the operator has none. */
    void (*window)(const graph *g, const graph_node *node, struct op_window *out);
} op_def;

/*
 * act(x * gate) for each channel, see squeeze_excite.c. Passes make it; files cannot name it.
 * Inputs: x (N, C, H, W) and the constants w1 (R, C), b1 (R), w2 (C, R), b2 (C), with further axes
 * of 1; b1 and b2 may be left out. R is at most SQUEEZE_MAX_HIDDEN.
 */
extern const op_def op_squeeze_excite;

/*
 * ONNX' If as loaded graphs hold it, see choice.c: a node for each output, whose inputs are the
 * condition, the output of the branch `then` and that of `else`. Files cannot name it.
 */
extern const op_def op_choice;

/* An attribute of our own that the loader gives to a Resize, see resize.c. */
#define OP_FRACTIONAL_LENGTH "fractional_length"

/* Makes a choice the Identity of the branch that its condition chooses; uses are not counted again.
 * CNN_VALUE_NEEDED or CNN_UNSUPPORTED if that is not known before the run. */
cnn_status op_choose(graph *g, graph_node *node, cnn_error *err);

/* NULL if the operator is unknown in that version. "ai.onnx" is the same domain as "". */
const op_def *op_find(const char *domain, const char *name, int opset);
/*
 * The operator whose name is closest to `name`, for "did you mean"; NULL if none is near. Its name
 * is `name` itself where the operator exists, but not in the domain or version that was asked for.
 */
const op_def *op_nearest(const char *name);
/* The first and the last version that have the operator; *last is 0 if it is still there. */
void op_versions(const op_def *op, int *first, int *last);

/* ---- helpers for infer ---- */

/* Input `i` as a value; NULL if absent. */
graph_value *op_input(const graph *g, const graph_node *node, size_t i);
/* Constant content of input `i`; NULL if absent, not constant, or still in its file. */
const tensor *op_constant(const graph *g, const graph_node *node, size_t i);
/* True if c is one float32 number, or one for each of n columns. */
bool op_is_bias(const tensor *c, size_t n);
/* Sets type and shape of output `i`; checks extents against the graph's limits; no-op if absent. */
cnn_status op_set_output(graph *g, graph_node *node, size_t i, cnn_dtype dtype,
                         const cnn_shape *shape, cnn_error *err);
/* CNN_INVALID_MODEL or CNN_UNSUPPORTED with "Conv 'conv1': <sentence>". */
cnn_status op_fail(const graph_node *node, cnn_error *err, cnn_status status, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
/* As with cnn_fail, it is seen that the result is `status`. */
#define op_fail(node, err, status, ...)                                                            \
    (op_fail((node), (err), (status), __VA_ARGS__), cnn_failed(status))
/* Multidirectional (NumPy) broadcasting; false if the shapes do not fit. */
bool op_broadcast(const cnn_shape *a, const cnn_shape *b, cnn_shape *out);
/* A negative axis counts from the end; false outside [-rank, rank). */
bool op_axis(int64_t axis, int rank, int *out);

/*
 * True, with act, alpha and beta set, if the node is an activation of its first input that kernels
 * have as an epilogue, with constant parameters.
 */
bool op_activation(const graph *g, const graph_node *node, epilogue *out);

/* True for a Transpose that moves extents of 1 only: the elements stay where they are. */
bool op_transpose_keeps(const graph *g, const graph_node *node);

/* ---- windows: what Conv and the pooling operators share ---- */

/*
 * A sliding window over the 1 to 3 spatial axes of an (N, C, D1[, D2[, D3]]) tensor. Unused axes
 * are neutral (extents, strides and dilations 1, pads 0), so that loops may always run over three.
 */
typedef struct op_window {
    int spatial; /* number of spatial axes */
    int64_t in[3], kernel[3], stride[3], dilation[3], pad_begin[3], pad_end[3], out[3];
} op_window;

/*
 * Reads kernel_shape, strides, dilations, pads, auto_pad (and ceil_mode, if the operator has it)
 * and computes the output extents as ONNX states. `kernel` gives the kernel extents where the
 * attribute is absent (Conv's weight); NULL: the attribute is required. Works for a bound node at
 * any time, so eval, macs and lower call it as well.
 */
cnn_status op_window_read(const graph_node *node, const cnn_shape *in, const int64_t *kernel,
                          op_window *out, cnn_error *err);

#endif
