/*
 * The graph: an ONNX model as nodes and values.
 *
 * Values are numbered; nodes name their inputs and outputs by number. A value is a graph input, a
 * constant, or the output of one node (single assignment). Nodes stand in execution order: a node
 * comes after the producers of its inputs.
 *
 * A loaded graph may have symbolic extents. graph_bind() gives the inputs concrete shapes, infers
 * every other shape and computes whatever is constant (also shape arithmetic), so that behind it
 * each live value has a known type and shape. Passes and the planner see bound graphs only.
 */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/base.h"

#include <stdatomic.h>

/* Limits on what a model file may hold; each error names the one that it hit. */
#define GRAPH_MAX_NODES        100000
#define GRAPH_MAX_PORTS        4096 /* inputs, and outputs, of the graph */
#define GRAPH_MAX_NODE_ARGS    4096
#define GRAPH_MAX_NODE_ATTRS   256
#define GRAPH_MAX_NAME_BYTES   1000
#define GRAPH_MAX_EXTENT       (INT64_C(1) << 31)
#define GRAPH_MAX_TENSOR_BYTES ((size_t)4 << 30)

/* A file that is kept open, or bytes that stay where they are, because tensors stay in it; shared
 * by reference count. See stored.c. */
typedef struct stored_file stored_file;

/* Takes over `fd`, also on failure. CNN_IO unless it is a regular file; `path` is for messages. */
cnn_status stored_file_create(int fd, const char *path, stored_file **out, cnn_error *err);
/* The same of `bytes`, which must outlive it. */
cnn_status stored_file_of_memory(const void *bytes, size_t size, stored_file **out, cnn_error *err);
stored_file *stored_file_ref(stored_file *f);
void stored_file_unref(stored_file *f); /* accepts NULL */
int stored_file_fd(const stored_file *f);
size_t stored_file_size(const stored_file *f); /* when it was opened */

/* How a tensor is computed from others, which is kept in place of its elements. See derived.c. */
typedef struct derivation derivation;

/*
 * Tensors of fewer bytes are kept in memory, as are integers of more than 16 bits and bools: shapes
 * may depend on them.
 */
#define GRAPH_MIN_LEFT_BYTES 4096

/*
 * A dense row-major tensor; shared by reference count, immutable once shared.
 *
 * A constant of a model's own graph may have been left in its file, or be derived from such: it has
 * no data. Who computes works on graphs whose constants are loaded (graph_load_constants).
 */
typedef struct tensor {
    atomic_int refs;
    cnn_dtype dtype;
    cnn_shape shape;
    size_t elements;
    size_t bytes;
    void *data;             /* CNN_ALIGN-aligned; owned; NULL: left in the file, or derived */
    bool adopted;           /* data is from malloc, not from cnn_alloc_zeroed */
    stored_file *file;      /* a reference to where the elements come from; NULL: known to nobody */
    uint64_t offset;        /* there */
    _Atomic uint64_t *sums; /* owned; of what was read first, see stored.c; NULL: not in a file */
    derivation *derived;    /* owned; NULL: from nothing else */
} tensor;

/* Zeros. Fails on symbolic extents and above GRAPH_MAX_TENSOR_BYTES. */
cnn_status tensor_create(cnn_dtype dtype, const cnn_shape *shape, tensor **out, cnn_error *err);
/* Takes over `data` (CNN_ALIGN-aligned, from cnn_alloc_aligned) on success. */
cnn_status tensor_adopt(cnn_dtype dtype, const cnn_shape *shape, void *data, tensor **out,
                        cnn_error *err);
/* Leaves the elements in the file, where they stand from byte `offset` on. */
cnn_status tensor_leave(cnn_dtype dtype, const cnn_shape *shape, stored_file *file, uint64_t offset,
                        tensor **out, cnn_error *err);
/* Whether a tensor of that type and size may be left somewhere at all: see GRAPH_MIN_LEFT_BYTES. */
bool tensor_may_be_left(cnn_dtype dtype, size_t bytes);
/* A copy in memory of a tensor without data. CNN_IO if a file has changed since it was opened. */
cnn_status tensor_load(const tensor *t, tensor **out, cnn_error *err);
tensor *tensor_ref(tensor *t);
void tensor_unref(tensor *t); /* accepts NULL */
/* Element `i` as a number; tensor_int truncates and saturates. */
int64_t tensor_int(const tensor *t, size_t i);
double tensor_number(const tensor *t, size_t i);

typedef enum attr_kind {
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_STRING,
    ATTR_TENSOR,
    ATTR_INTS,
    ATTR_FLOATS,
    ATTR_STRINGS,
} attr_kind;

typedef struct attr {
    char *name;
    attr_kind kind;
    size_t count; /* of ints, floats, strings; 1 for the scalar kinds */
    int64_t *ints;
    float *floats;
    char **strings;
    tensor *tensor;
} attr;

typedef enum activation {
    ACT_NONE,
    ACT_RELU,
    ACT_LEAKY_RELU, /* alpha: slope below 0 */
    ACT_CLIP,       /* alpha: min, beta: max */
    ACT_SIGMOID,
    ACT_HARD_SIGMOID, /* max(0, min(1, alpha x + beta)) */
    ACT_HARD_SWISH,   /* x max(0, min(1, x / 6 + 1 / 2)) */
    ACT_SILU,         /* x sigmoid(x) */
    ACT_GELU,         /* x (1 + erf(x / sqrt(2))) / 2 */
} activation;

/* What passes have fused behind a node's own result: act(result + residual). */
typedef struct epilogue {
    int residual; /* value of the result's shape, or -1 */
    activation act;
    float alpha, beta;
} epilogue;

struct op_def;

typedef struct graph_node {
    char *name; /* never NULL; "" if the file gives none */
    const struct op_def *op;
    int *inputs; /* value numbers; -1: optional input left out */
    size_t input_count;
    int *outputs; /* value numbers; -1: optional output left out */
    size_t output_count;
    attr *attrs;
    size_t attr_count;
    epilogue fused;
    int origin; /* index in the loaded graph of the node that this is, or stands for */
} graph_node;

typedef struct graph_value {
    char *name; /* unique, never NULL */
    cnn_dtype dtype;
    bool has_shape;   /* false: not even the rank is known */
    cnn_shape shape;  /* negative extents are symbolic */
    tensor *constant; /* the value, where known; a reference owned by the graph */
    int producer;     /* node index, or -1 for graph inputs, constants and dropped nodes */
    int refusal;      /* number of graph_refusal, or -1: then the value is not to be had */
    uint32_t uses;    /* as graph_update_uses counted them last; see there */
} graph_value;

/* What folding may still read and make, see fold.h. Set when a graph is folded first. */
typedef struct fold_budget {
    bool known;
    size_t bytes;
    uint64_t macs;
} fold_budget;

/* Why a value of the file is not to be had. */
typedef struct graph_refusal {
    cnn_status status;
    char *message; /* never NULL */
} graph_refusal;

/* A part of the file that is not in the graph. */
typedef struct graph_left_out {
    const char *kind;   /* "node", "initializer", "input", "output"; static */
    char *name;         /* never NULL */
    char *op;           /* of a node, else "" */
    const char *reason; /* static, or a refusal's message */
} graph_left_out;

typedef struct graph {
    int opset; /* version of the default domain */
    int64_t ir_version;
    graph_node **nodes;
    size_t node_count, node_capacity;
    graph_value *values;
    size_t value_count, value_capacity;
    int *inputs; /* fed by the caller: no initializers */
    size_t input_count;
    int *outputs;
    size_t output_count;
    graph_refusal *refusals;
    size_t refusal_count, refusal_capacity;
    graph_left_out *left_out; /* of a loaded graph; clones have none */
    size_t left_out_count, left_out_capacity;
    fold_budget budget; /* clones go on with what is left */
} graph;

graph *graph_create(void); /* NULL when out of memory */
void graph_free(graph *g);
/* Shares constant tensors with `g`. */
cnn_status graph_clone(const graph *g, graph **out, cnn_error *err);

/* Adds a value and copies its name; -1 when out of memory. Moves g->values. */
int graph_add_value(graph *g, const char *name);
/* Adds a value with the type, shape and content of `t`, of which it keeps a reference; else the
 * same. */
int graph_add_constant(graph *g, const char *name, tensor *t);
/* Gives a value the type, shape and content of `t`, of which it keeps a reference. */
void graph_set_constant(graph *g, int value, tensor *t);
/* From now on the value is not to be had, for this reason; the first one counts. */
cnn_status graph_refuse(graph *g, int value, const cnn_error *why, cnn_error *err);
/* CNN_OK if the value is to be had, else why not. */
cnn_status graph_check_value(const graph *g, int value, cnn_error *err);
/* Refuses what depends on refused values, and removes the nodes that would make it. A choice is
 * refused by its condition, or by both branches. The graph is sorted. */
void graph_drop_refused_nodes(graph *g);
/* Notes a part of the file that is not in the graph; copies its name and op. */
cnn_status graph_leave_out(graph *g, const char *kind, const char *name, const char *op,
                           const char *reason, cnn_error *err);

/* Append a value to the graph's inputs or outputs; false when out of memory. */
bool graph_add_input(graph *g, int value);
bool graph_add_output(graph *g, int value);
/* Takes the node over and makes it the producer of its outputs. False when out of memory (the node
 * is not taken). */
bool graph_add_node(graph *g, graph_node *node);
graph_node *graph_node_create(const struct op_def *op, const char *name, size_t inputs,
                              size_t outputs);        /* all -1; NULL when out of memory */
graph_node *graph_node_clone(const graph_node *node); /* NULL when out of memory */
void graph_node_free(graph_node *node);
/* What to call the node in messages: its name, or that of its first output. */
const char *graph_node_label(const graph *g, const graph_node *node);
/* Linear time; -1 if there is none. */
int graph_find_value(const graph *g, const char *name);

const attr *graph_attr(const graph_node *node, const char *name); /* NULL: absent */
int64_t graph_attr_int(const graph_node *node, const char *name, int64_t fallback);
float graph_attr_float(const graph_node *node, const char *name, float fallback);
const char *graph_attr_string(const graph_node *node, const char *name, const char *fallback);

/* Append an attribute, copying what is given; false when out of memory. */
bool graph_add_attr_int(graph_node *node, const char *name, int64_t value);
bool graph_add_attr_float(graph_node *node, const char *name, float value);
bool graph_add_attr_ints(graph_node *node, const char *name, const int64_t *ints, size_t count);
/* Frees what the attribute holds, not `a` itself. */
void graph_attr_free(attr *a);

/*
 * Sets `uses` of every value: how often it is a node's input or residual, or a graph output. Who
 * edits the graph further keeps the number right or counts again.
 */
void graph_update_uses(graph *g);
/* Drops nodes none of whose outputs is used, renumbers producers and counts uses. */
void graph_drop_dead_nodes(graph *g);
/* Releases constants without a use (by `uses`). */
void graph_drop_unused_constants(graph *g);
/* Puts nodes into execution order; CNN_INVALID_MODEL names a node on a cycle. */
cnn_status graph_sort(graph *g, cnn_error *err);

/* Loads and computes the constants without data, on up to `threads` threads. CNN_IO as tensor_load.
 */
cnn_status graph_load_constants(graph *g, int threads, cnn_error *err);
/*
 * Computes what depends on constants alone and drops those nodes; the constants that only they have
 * used are released. What takes more memory than what it is made from is derived, and computed each
 * time that the constants are loaded. Needs no shapes of inputs. Fails for lack of memory, or if a
 * file cannot be read.
 */
cnn_status graph_fold_constants(graph *g, cnn_error *err);
/*
 * Makes input `index` a constant, so that what graph_bind infers may depend on its content.
 * graph_bind takes it out of the inputs. CNN_INVALID_ARGUMENT if type or shape do not fit.
 */
cnn_status graph_fix_input(graph *g, size_t index, tensor *t, cnn_error *err);

/*
 * Binds the inputs (one concrete shape each, unused where the input is fixed; see
 * cnn_summary_create for NULL), infers all types and shapes and folds constants. The errors name
 * node, operator and the rule that was broken.
 *
 * What the outputs do not need is not looked at, and of a choice (op_choice) only the branch that
 * is chosen; CNN_VALUE_NEEDED or CNN_UNSUPPORTED if the condition is not known before the run.
 *
 * Afterwards nodes that do not lead to a graph output are gone, folded ones too (a graph output may
 * have become a constant), and constants without a use are released. A graph is bound once; after
 * an error it can only be freed.
 */
cnn_status graph_bind(graph *g, const cnn_shape *input_shapes, cnn_error *err);
/* The same, but outputs that cannot be computed are removed; an error only if none is left. */
cnn_status graph_bind_what_can(graph *g, const cnn_shape *input_shapes, cnn_error *err);

#endif
