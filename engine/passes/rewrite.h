/*
 * What the passes share.
 *
 * A pass walks the nodes in execution order. It relies on `uses` of every value, which passes_run
 * has counted before, and keeps it right with the functions below. A node that a pass has emptied
 * (no outputs left) stays in its place until passes_run drops it behind the pass. A value with a
 * single use that is some node's input is by that no graph output, and may be rewritten away.
 */
#ifndef PASSES_REWRITE_H
#define PASSES_REWRITE_H

#include "ops/op.h"
#include "passes/passes.h"

/* The passes. */
cnn_status pass_drop_no_ops(graph *g, cnn_error *err);
cnn_status pass_layer_norm(graph *g, cnn_error *err);
cnn_status pass_matmul_to_gemm(graph *g, cnn_error *err);
cnn_status pass_channels_first(graph *g, cnn_error *err);
cnn_status pass_fold_pad(graph *g, cnn_error *err);
cnn_status pass_fold_affine(graph *g, cnn_error *err);
cnn_status pass_fold_input(graph *g, cnn_error *err);
cnn_status pass_channel_shuffle(graph *g, cnn_error *err);
cnn_status pass_global_pool(graph *g, cnn_error *err);
cnn_status pass_gelu(graph *g, cnn_error *err);
cnn_status pass_hard_swish(graph *g, cnn_error *err);
cnn_status pass_fuse_silu(graph *g, cnn_error *err);
cnn_status pass_fuse_residual(graph *g, cnn_error *err);
cnn_status pass_fuse_activation(graph *g, cnn_error *err);
cnn_status pass_squeeze_excite(graph *g, cnn_error *err);

/* True if the node is ONNX' operator of that name and not emptied. */
bool rewrite_is(const graph_node *node, const char *op);
/* The node that makes `value`, if it is of that operator (NULL: any); NULL otherwise. */
graph_node *rewrite_producer(const graph *g, int value, const char *op);
/* Likewise, if the value, its first output, has no use but the caller's. */
graph_node *rewrite_sole_producer(const graph *g, int value, const char *op);
/* The number in a constant float32 tensor of one element; false if `value` is none. */
bool rewrite_scalar(const graph *g, int value, double *out);
/* To within what float32 can tell. */
bool rewrite_is_near(double a, double b);
/*
 * The operand of an Add, Mul or (first only) Div whose other operand is the number `k`; -1 if the
 * node (NULL: none) is something else.
 */
int rewrite_operand_beside(const graph *g, const graph_node *node, const char *op, double k);
/* The axes of a reduction of that rank as a set of bits; false if they are not known, or mean that
 * nothing is reduced. */
bool rewrite_axes(const graph *g, const graph_node *node, int rank, unsigned *out);
bool rewrite_is_float(const graph *g, int value);
const cnn_shape *rewrite_shape(const graph *g, int value);

/* Makes `value` input `i` (which may be new). False when out of memory. */
bool rewrite_set_input(graph *g, graph_node *node, size_t i, int value);
/* Makes `value` the node's residual, or none (-1). */
void rewrite_set_residual(graph *g, graph_node *node, int value);
/* A new name for a value that is to be added, after that of `like`. */
typedef char rewrite_name[GRAPH_MAX_NAME_BYTES + 32];
const char *rewrite_make_name(const graph *g, int like, rewrite_name name);
/* Adds a constant named after `like`; -1 when out of memory. `t` gets a reference more. */
int rewrite_add_constant(graph *g, int like, tensor *t);

/* Removes all that ties a node to values, when nobody uses its outputs any more. */
void rewrite_empty(graph *g, graph_node *node);
/*
 * `node` makes the first output of `last` in place of its own, which `last` alone used; `last` is
 * emptied. If `move`, the node takes over its place in the execution order.
 */
void rewrite_absorb(graph *g, graph_node *node, graph_node *last, bool move);
/*
 * Puts a new node, whose inputs are set but not counted, into the place of `old`, whose first
 * output it makes, as well as its origin. `old` is freed.
 */
void rewrite_replace(graph *g, graph_node *old, graph_node *node);
/* Removes an attribute if it is there. */
void rewrite_drop_attr(graph_node *node, const char *name);

/*
 * True if the kernel that will run the node can apply one activation more to its result, or, for
 * `residual`, add a tensor of the result's shape.
 */
bool epilogue_taken(const graph *g, const graph_node *node, bool residual);

#endif
