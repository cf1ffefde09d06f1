/*
 * libcnn: runs ONNX image classifiers on CPUs.
 *
 *   cnn_runtime   threads and instruction set; one per process is enough
 *   cnn_model     an ONNX file, checked; immutable; holds the packed weights
 *   cnn_plan      the model compiled for given input shapes and wanted outputs; immutable
 *   cnn_session   the memory of one run of a plan; one thread at a time
 *
 * Tensors cross this interface dense and row-major (NCHW for images), in host byte order. Functions
 * that can fail return a status and fill `err` (which may be NULL) with one sentence; `*out` is
 * written on success only. Each may return CNN_OUT_OF_MEMORY, and CNN_INVALID_ARGUMENT where a
 * pointer that must be given is NULL; what else they return is said with them. An `index` must be
 * less than what the `..._count` that belongs to it says. Every `..._free` accepts NULL. Runtime,
 * models and plans may be used from any number of threads at once. A plan keeps its model alive and
 * a session its plan, so they may be freed in any order; the runtime is freed last.
 */
#ifndef CNN_H
#define CNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Semantic versioning: while the major number is 0 the next minor one may change this interface, of
 * source and of binaries; a patch changes neither. The soname of libcnn.so is made of both numbers.
 */
#define CNN_VERSION_MAJOR 0
#define CNN_VERSION_MINOR 1
#define CNN_VERSION_PATCH 0
/* The same as text, "0.1.0". */
#define CNN_VERSION                            CNN_VERSION_TEXT(CNN_VERSION_MAJOR, CNN_VERSION_MINOR, CNN_VERSION_PATCH)
#define CNN_VERSION_TEXT(major, minor, patch)  CNN_VERSION_TEXT_(major, minor, patch)
#define CNN_VERSION_TEXT_(major, minor, patch) #major "." #minor "." #patch

/* CNN_VERSION of the library that the program runs with. */
const char *cnn_version(void);

#define CNN_MAX_RANK    8
#define CNN_MAX_SPATIAL 3

/* Later options take their place; until then they are 0, or CNN_INVALID_ARGUMENT is the answer. */
#define CNN_RESERVED_OPTIONS uintptr_t reserved[8]

typedef enum cnn_status {
    CNN_OK = 0,
    CNN_INVALID_ARGUMENT, /* the caller's mistake */
    CNN_INVALID_MODEL,    /* the file is no ONNX model or breaks one of its rules */
    CNN_UNSUPPORTED,      /* valid, but an operator, type or form this library does not run */
    CNN_NOT_FOUND,        /* no tensor or file of that name */
    CNN_LIMIT,            /* larger than a stated limit */
    CNN_IO,               /* the file cannot be read */
    CNN_OUT_OF_MEMORY,
    CNN_OVERLOADED,   /* the task queue is full */
    CNN_VALUE_NEEDED, /* a plan needs the value of an input: see cnn_plan_options.input_values */
} cnn_status;

/* `message` is one sentence without a newline, naming the thing and the limit or rule. */
typedef struct cnn_error {
    cnn_status status;
    char message[512];
} cnn_error;

/* Element types, numbered as in ONNX' TensorProto.DataType. */
typedef enum cnn_dtype {
    CNN_FLOAT32 = 1,
    CNN_UINT8 = 2,
    CNN_INT8 = 3,
    CNN_UINT16 = 4,
    CNN_INT16 = 5,
    CNN_INT32 = 6,
    CNN_INT64 = 7,
    CNN_STRING = 8,
    CNN_BOOL = 9,
    CNN_FLOAT16 = 10,
    CNN_FLOAT64 = 11,
    CNN_UINT32 = 12,
    CNN_UINT64 = 13,
    CNN_BFLOAT16 = 16,
} cnn_dtype;

/* Bytes of one element; 0 for types without a fixed size. */
size_t cnn_dtype_size(cnn_dtype dtype);
/* ONNX' name of the type: "float32", "int64", ... */
const char *cnn_dtype_name(cnn_dtype dtype);

/* One of the four floating-point types. */
bool cnn_dtype_is_float(cnn_dtype dtype);
/* Writes `count` numbers of such a type as float32, rounded to nearest. */
void cnn_read_floats(cnn_dtype dtype, const void *from, size_t count, float *to);

/* Extents, outermost first. A negative extent is symbolic: known only once an input is given. */
typedef struct cnn_shape {
    int rank;
    int64_t dims[CNN_MAX_RANK];
} cnn_shape;

/* Description of a tensor; `name` lives as long as the object that it was asked of. */
typedef struct cnn_tensor_info {
    const char *name;
    cnn_dtype dtype;
    cnn_shape shape;
} cnn_tensor_info;

/* ---- tensors ------------------------------------------------------------------------------- */

/* A type, a shape and the elements; immutable. */
typedef struct cnn_tensor cnn_tensor;

/*
 * Copies `data`, dense and row-major. CNN_INVALID_ARGUMENT for a shape with negative extents,
 * CNN_UNSUPPORTED for types without a fixed size, CNN_LIMIT above 4 GiB.
 */
cnn_status cnn_tensor_create(cnn_dtype dtype, const cnn_shape *shape, const void *data,
                             cnn_tensor **out, cnn_error *err);
/*
 * Reads a serialized ONNX TensorProto (the input_N.pb of ONNX' test cases) of up to 4 GiB. `bytes`
 * may be freed. CNN_INVALID_MODEL, CNN_UNSUPPORTED for other types than those of fixed size and for
 * external data, CNN_LIMIT.
 */
cnn_status cnn_tensor_load(const void *bytes, size_t size, cnn_tensor **out, cnn_error *err);
void cnn_tensor_free(cnn_tensor *t);
/* The name is "" if the file has none. */
cnn_tensor_info cnn_tensor_describe(const cnn_tensor *t);
const void *cnn_tensor_data(const cnn_tensor *t);

/* ---- runtime: the thread pool ------------------------------------------------------------- */

typedef struct cnn_runtime cnn_runtime;

/* Zero-initialised means defaults. */
typedef struct cnn_runtime_options {
    int threads;     /* 0: the CPUs that affinity and cgroup quota (v1, v2) leave us */
    int queue;       /* tasks that may wait; 0: 1024 */
    const char *isa; /* "baseline", "avx2", "avx512"; NULL: $CNN_CPU, else the best there is */
    /*
     * Without `tune`, a model of its cost chooses the algorithm of a layer, always the same one.
     * With it, what plans are made of is measured first, some 0.1 s for a large network, and the
     * fastest is taken: results may differ from run to run by what float32 rounds. `tuning_file`
     * (NULL: none) tunes, too, and remembers what was measured, for runs on the same kind of CPU.
     */
    bool tune;
    const char *tuning_file;
    /*
     * Deals the CPUs of the affinity mask out among the threads, so that no two of them meet on
     * one: after a pause the kernel may well wake several on the same CPU, and then one input takes
     * as long as with one thread. Threads that have a core each get all of its hardware threads.
     * Nothing is bound where there are more threads than CPUs, or where a cgroup quota grants less
     * than these CPUs. Not for several busy processes that share their CPUs.
     */
    bool bind;
    CNN_RESERVED_OPTIONS;
} cnn_runtime_options;

/*
 * Starts the threads; `options` may be NULL. CNN_INVALID_ARGUMENT for a number out of range or an
 * unknown instruction set, CNN_UNSUPPORTED for one that the machine lacks, CNN_IO for a tuning file
 * that cannot be read, is none, or is not there and cannot be made.
 */
cnn_status cnn_runtime_create(const cnn_runtime_options *options, cnn_runtime **out,
                              cnn_error *err);
/* Runs what is queued, then stops the workers. No other call may be under way. */
void cnn_runtime_free(cnn_runtime *rt);

int cnn_runtime_threads(const cnn_runtime *rt);
/* Where that number comes from: "given", "affinity", "cgroup v2 quota", "cgroup v1 quota". */
const char *cnn_runtime_threads_origin(const cnn_runtime *rt);
/* Each thread has CPUs of its own, see `bind`. */
bool cnn_runtime_bound(const cnn_runtime *rt);
/* Name of the instruction set in use. */
const char *cnn_runtime_isa(const cnn_runtime *rt);
/* CNN_IO if what was measured so far could not all be written to the tuning file; else CNN_OK. */
cnn_status cnn_runtime_tuning_status(const cnn_runtime *rt, cnn_error *err);

typedef void cnn_task_fn(void *arg);
/*
 * Queues `fn(arg)` for a worker. Waiting tasks come first-in first-out; a worker without a task
 * helps the running ones with parts of their current layer. CNN_OVERLOADED if `queue` tasks already
 * wait.
 */
cnn_status cnn_runtime_submit(cnn_runtime *rt, cnn_task_fn *fn, void *arg, cnn_error *err);
/* Runs `fn(arg)` on a worker, ahead of the queue's limit, and waits; on a worker, just calls it. */
void cnn_runtime_run(cnn_runtime *rt, cnn_task_fn *fn, void *arg);
/* Tasks waiting at this moment. */
size_t cnn_runtime_queued(const cnn_runtime *rt);

typedef void cnn_range_fn(void *arg, size_t index);
/* Calls `fn(arg, i)` once for each i in [0, count), on every idle worker; returns when all are
 * done. */
void cnn_runtime_parallel_for(cnn_runtime *rt, size_t count, cnn_range_fn *fn, void *arg);

/* ---- model -------------------------------------------------------------------------------- */

typedef struct cnn_model cnn_model;

/* What no output needs is not looked at, and what cannot be run is an error only if every output
 * needs it: see cnn_model_output_check. External data is looked for beside the file. Large weights
 * stay in both, which stay open: replace files, do not write other content into them. CNN_NOT_FOUND
 * and CNN_IO are about the files, CNN_INVALID_MODEL, CNN_UNSUPPORTED and CNN_LIMIT about what they
 * hold.
 */
cnn_status cnn_model_load_file(cnn_runtime *rt, const char *path, cnn_model **out, cnn_error *err);
/* The same from memory, without external data. `bytes` may be freed afterwards. */
cnn_status cnn_model_load_memory(cnn_runtime *rt, const void *bytes, size_t size, cnn_model **out,
                                 cnn_error *err);
/* The same from memory that stays as it is until the model and its plans are freed, such as data of
 * the program itself: large weights are left there. */
cnn_status cnn_model_load_static(cnn_runtime *rt, const void *bytes, size_t size, cnn_model **out,
                                 cnn_error *err);
void cnn_model_free(cnn_model *model);

/* Graph inputs that are fed by the caller (initializers are not counted), in the file's order. */
size_t cnn_model_input_count(const cnn_model *model);
cnn_tensor_info cnn_model_input(const cnn_model *model, size_t index);
size_t cnn_model_output_count(const cnn_model *model);
/* Symbolic extents are -1; a shape that the file leaves out has rank -1. */
cnn_tensor_info cnn_model_output(const cnn_model *model, size_t index);
/*
 * CNN_OK if output `index` can be computed, as far as that is known without shapes; else why not,
 * CNN_INVALID_ARGUMENT if there is no such output. A plan or a summary is an error only if what is
 * asked of it needs something of which that is said.
 */
cnn_status cnn_model_output_check(const cnn_model *model, size_t index, cnn_error *err);
/* Version of the default operator set. */
int cnn_model_opset(const cnn_model *model);
/*
 * A part of the file that the model does without: nodes, initializers and inputs that no output
 * needs that can be computed, and what cannot be computed, such as nodes of an operator that the
 * library lacks, and outputs that need them. The texts belong to the model.
 */
typedef struct cnn_left_out {
    const char *kind;   /* "node", "initializer", "input" or "output" */
    const char *name;   /* of a node without one: of its first output */
    const char *op;     /* of a node, else "" */
    const char *reason; /* "no output that can be computed needs it", or what is wrong */
} cnn_left_out;

size_t cnn_model_left_out_count(const cnn_model *model);
/* Outputs first, then nodes; both in the file's order. */
cnn_left_out cnn_model_left_out(const cnn_model *model, size_t index);

/* Bytes of packed weights that the model's plans share at this moment. */
size_t cnn_model_weights_bytes(const cnn_model *model);

/*
 * Every tensor of the original graph: its inputs, then what its nodes make, in execution order.
 * What depends on constants alone is left out, as is what cnn_model_left_out lists, and, of an If
 * whose condition is not known before there are shapes, what stands in a branch or serves but one.
 * Functions of the file are written out: "call/name" is a tensor in the body of one. A plan gives
 * any of them as an output.
 */
size_t cnn_model_tensor_count(const cnn_model *model);
/*
 * Its name; `node` and `op` (may be NULL) receive the name and type of the node that makes it, ""
 * and "Input" for an input of the graph.
 */
const char *cnn_model_tensor(const cnn_model *model, size_t index, const char **node,
                             const char **op);

/* How a convolution or pooling slides over its input's spatial axes, with the padding as it is for
 * the input's shape, whatever auto_pad says; of a ConvTranspose, over its output's. */
typedef struct cnn_window {
    int spatial; /* axes; 0: the operator has no such window */
    int64_t kernel[CNN_MAX_SPATIAL], strides[CNN_MAX_SPATIAL], dilations[CNN_MAX_SPATIAL],
        pads_begin[CNN_MAX_SPATIAL], pads_end[CNN_MAX_SPATIAL];
    int64_t group; /* 0: no convolution */
} cnn_window;

/* One row per node of the original graph, constants and shape arithmetic left out. */
typedef struct cnn_layer {
    const char *name; /* of the node; of its first output if it has none */
    const char *op;
    const char *const *inputs; /* names of the tensors that it reads, constants left out */
    size_t input_count;
    cnn_window window;
    cnn_tensor_info output; /* the first one */
    uint64_t params;        /* elements of the initializers that it alone or first uses */
    uint64_t macs;          /* multiply-accumulates of one run */
    int node;               /* its number in execution order */
    /*
     * As cnn_summary_add_plan sets them, else NULL and 0. `kernel` stays NULL if no step belongs to
     * the layer: it is fused into another one, does nothing, or is not needed.
     */
    const char *kernel;     /* that computes it */
    const char *fused_into; /* the layer whose kernel does this one's work, too */
    uint64_t bytes;         /* of activations that its steps write, padding included */
} cnn_layer;

typedef struct cnn_summary {
    size_t layer_count;
    cnn_layer *layers; /* by ascending `node` */
    uint64_t params;   /* every initializer counted once */
    uint64_t macs;
    bool planned; /* cnn_summary_add_plan has been called */
} cnn_summary;

/*
 * The layer table for given input shapes, one per model input: what the outputs need that can be
 * computed. NULL: the model's own, of which only the first extent of each may be symbolic and is
 * then 1. Names belong to the model.
 * CNN_INVALID_ARGUMENT for shapes that are missing or do not fit; if no output can be computed,
 * CNN_INVALID_MODEL, CNN_UNSUPPORTED and CNN_LIMIT for nodes that break rules with them,
 * CNN_VALUE_NEEDED where a shape depends on the value of an input.
 */
cnn_status cnn_summary_create(const cnn_model *model, const cnn_shape *input_shapes,
                              cnn_summary **out, cnn_error *err);
void cnn_summary_free(cnn_summary *summary);

/* What the values of a tensor are, as far as the graph tells. */
typedef enum cnn_meaning {
    CNN_MEANING_UNKNOWN, /* logits, usually */
    CNN_MEANING_PROBABILITY,
    CNN_MEANING_LOG_PROBABILITY, /* natural logarithms of them */
    CNN_MEANING_LOGIT,           /* a sigmoid makes probabilities of them */
} cnn_meaning;

/* See cnn_output_meaning_find. */
typedef struct cnn_output_meaning {
    cnn_meaning values;     /* of `scores`, each divided by `scale` */
    double scale;           /* more than 0; of log probabilities also less */
    cnn_tensor_info scores; /* the tensor that holds the class scores; its name is owned */
    bool chosen;            /* the output only tells which of them are best */
    char *reason;           /* "Softmax 'probs' through Reshape, Clip"; owned */
} cnn_output_meaning;

/*
 * Follows the graph from output `output` back to what made its values: a softmax, a sigmoid or
 * another function that is bounded like them, as one operator or in pieces, through whatever keeps
 * the meaning (views, Cast, Clip, Concat, parts, means, 1 - x, a constant factor); shapes as in
 * cnn_summary_create. A softmax counts if it is over the axis of the classes. `scores` is the
 * output itself, or, where it only tells which classes are best (TopK, ArgMax, comparisons) or
 * holds rounded numbers, the tensor before. Errors as of cnn_summary_create, for the output alone.
 */
cnn_status cnn_output_meaning_find(const cnn_model *model, size_t output,
                                   const cnn_shape *input_shapes, cnn_output_meaning **out,
                                   cnn_error *err);
void cnn_output_meaning_free(cnn_output_meaning *meaning);

/*
 * How class scores come from features that are averaged over positions:
 *   score[c] = bias[c] + sum over k of weights[c][k] * mean over y, x of features[k][y][x]
 * so that sum over k of weights[c][k] * features[k][y][x] tells how much position (y, x) speaks for
 * class c: its class activation map (Zhou et al., "Learning Deep Features for Discriminative
 * Localization", CVPR 2016).
 */
typedef struct cnn_average_head {
    const char *features; /* name of the tensor (1, channels, H, W) that is averaged */
    size_t channels, classes;
    float *weights; /* (classes, channels); NULL: the channels are the classes */
} cnn_average_head;

/*
 * Finds it behind the scores of graph output `output`, on the way to which only changes of shape
 * and what makes probabilities may follow (see cnn_output_meaning_find); shapes as in
 * cnn_summary_create. CNN_UNSUPPORTED, saying what the network ends in, if it does not end in
 * global average pooling and at most one linear layer (Gemm, MatMul or Conv). The name belongs to
 * the model.
 */
cnn_status cnn_average_head_find(const cnn_model *model, size_t output,
                                 const cnn_shape *input_shapes, cnn_average_head **out,
                                 cnn_error *err);
void cnn_average_head_free(cnn_average_head *head);

/* ---- plan --------------------------------------------------------------------------------- */

typedef struct cnn_plan cnn_plan;

/* Says in the layers of a model's summary how a plan of the same model computes them. The names of
 * kernels belong to the plan. */
void cnn_summary_add_plan(cnn_summary *summary, const cnn_plan *plan);

/* Zero-initialised means defaults. */
typedef struct cnn_plan_options {
    const cnn_shape *input_shapes; /* one per model input; NULL as in cnn_summary_create */
    const char *const *outputs; /* tensor names of the original graph; NULL: the graph's outputs */
    size_t output_count;        /* of `outputs`, at least 1 */
    /*
     * Values that are the same in every run, one per model input: NULL for an input that is fed at
     * run time. The others are compiled into the plan, which then has no such input, and their
     * entries of `input_shapes` are not looked at. The tensors may be freed afterwards. NULL: all
     * inputs are fed at run time.
     */
    const cnn_tensor *const *input_values;
    CNN_RESERVED_OPTIONS;
} cnn_plan_options;

/*
 * Compiles; weights that another plan of the model has packed already are shared. `options` may be
 * NULL. CNN_NOT_FOUND for an output that the model lacks, CNN_VALUE_NEEDED where a shape depends on
 * the value of an input (the axes of a ReduceSum, say), which the message names and `input_values`
 * can give; others as in cnn_summary_create, where CNN_IO means: the model's file has changed.
 */
cnn_status cnn_plan_create(cnn_model *model, const cnn_plan_options *options, cnn_plan **out,
                           cnn_error *err);
void cnn_plan_free(cnn_plan *plan);

/* Inputs that are fed at run time, in the model's order. */
size_t cnn_plan_input_count(const cnn_plan *plan);
cnn_tensor_info cnn_plan_input(const cnn_plan *plan, size_t index);
size_t cnn_plan_output_count(const cnn_plan *plan);
/* In the order asked for; all extents known. */
cnn_tensor_info cnn_plan_output(const cnn_plan *plan, size_t index);
/* Bytes of activations of one session. */
size_t cnn_plan_arena_bytes(const cnn_plan *plan);
/* The most of them that are needed at one time: what no placement could undercut. */
size_t cnn_plan_live_bytes(const cnn_plan *plan);

/* One executed step: a node with whatever was fused into it, or two of them (kernel
 * "conv+depthwise", say): then name and op are of the first, the shape is of the second. */
typedef struct cnn_step_info {
    const char *name;   /* of the node */
    const char *op;     /* its op type, "Reorder" for a change of layout */
    const char *kernel; /* the kernel chosen */
    cnn_shape shape;    /* of its first output */
    uint64_t macs;
} cnn_step_info;

size_t cnn_plan_step_count(const cnn_plan *plan);
cnn_step_info cnn_plan_step(const cnn_plan *plan, size_t index);

/* ---- session ------------------------------------------------------------------------------ */

typedef struct cnn_session cnn_session;

/* Allocates everything that runs need: cnn_plan_arena_bytes, and a little for each step. */
cnn_status cnn_session_create(cnn_plan *plan, cnn_session **out, cnn_error *err);
void cnn_session_free(cnn_session *session);

/*
 * Buffer of input `index`, of the type and shape that cnn_plan_input says, aligned to 64 bytes. To
 * be filled before each run, which may overwrite it; owned by the session.
 */
void *cnn_session_input(cnn_session *session, size_t index);
/* Computes. Called off the pool it runs on a worker and waits. Allocates nothing. */
void cnn_session_run(cnn_session *session);
/*
 * Output `index` of the last run, of the type and shape that cnn_plan_output says, valid until the
 * next run or free. Outputs that are the same tensor, or another view of it, share memory.
 */
const void *cnn_session_output(const cnn_session *session, size_t index);
/* From now on measure each step; `nanoseconds` (one per step) is added to at every run. NULL stops.
 */
void cnn_session_profile(cnn_session *session, uint64_t *nanoseconds);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
