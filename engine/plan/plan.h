/*
 * The plan: what a session executes.
 *
 * A step is one call of pool_parallel_for over tiles; its arguments are a block of plain memory in
 * which pointers to activations are left open. A session copies every block once and fills the
 * pointers in (relocations), so that running resolves nothing. Activations are buffers with an
 * offset in the arena. Everything here is immutable once plan_build() has returned.
 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "graph/graph.h"
#include "kernels/kernels.h"
#include "model/weights.h"
#include "plan/strips.h"

/* Where a pointer in a step's arguments leads. */
typedef enum reloc_kind {
    RELOC_BUFFER, /* to a buffer of the arena */
    RELOC_SELF,   /* to `offset` within the same arguments */
} reloc_kind;

typedef struct reloc {
    reloc_kind kind;
    size_t where;  /* of the pointer in the arguments, in bytes */
    int buffer;    /* RELOC_BUFFER */
    size_t offset; /* in bytes, behind the buffer's start or within the arguments */
} reloc;

/* `args` are the step's arguments as the session has them. */
typedef cnn_range_fn tile_fn;

typedef struct plan_step {
    const char *name, *op, *kernel;
    cnn_shape shape;
    uint64_t macs;
    int origin;   /* of the node; -1: none, the caller wants an output plain */
    int joined;   /* origin of the node whose step has become part of this one; -1: none */
    size_t bytes; /* written, padding included */
    tile_fn *tile;
    size_t tiles;
    void *args;
    size_t args_size;
    strip_part strip;
    reloc *relocs;
    size_t reloc_count, reloc_capacity;
    /* Blocked outputs whose halo is cleared before the tiles run; `data` is an offset in
     * `halo_buffer`. */
    struct {
        blocked geometry;
        int buffer;
        size_t offset;
    } * halos;
    size_t halo_count, halo_capacity;
} plan_step;

/* A stretch of the arena, or a part of another buffer. */
typedef struct plan_buffer {
    size_t bytes;
    int parent;           /* of which this is a part or a view; -1: none */
    size_t parent_offset; /* in bytes */
    int first, last;      /* first step that writes, last step that reads; of the root only */
    size_t offset;        /* in the arena; of the root only */
} plan_buffer;

/* Where the caller finds an input or output. */
typedef struct plan_port {
    char *name;
    cnn_dtype dtype;
    cnn_shape shape;
    int buffer;           /* -1: constant */
    size_t offset;        /* in bytes */
    const void *constant; /* data of a tensor that the plan's graph owns */
} plan_port;

struct cnn_plan {
    atomic_int refs;
    cnn_model *model; /* a reference */
    cnn_runtime *runtime;
    graph *graph; /* after passes; eval steps and names point into it */
    plan_step *steps;
    size_t step_count, step_capacity;
    plan_buffer *buffers;
    size_t buffer_count, buffer_capacity;
    plan_port *inputs, *outputs;
    size_t input_count, output_count;
    size_t arena_bytes;
    size_t live_bytes; /* the largest sum of buffers alive at one step */
    packed **weights;  /* references */
    size_t weight_count, weight_capacity;
};

/* Offset of a buffer in the arena, parents followed. */
size_t plan_buffer_offset(const cnn_plan *plan, int buffer);
/* The outermost parent. */
int plan_buffer_root(const cnn_plan *plan, int buffer);

/* Chooses kernels for `g` (bound, passes run; taken over) and places memory. */
cnn_status plan_build(cnn_model *model, graph *g, cnn_plan **out, cnn_error *err);

/* Gives every root buffer its offset; see memory.c. False when out of memory. */
bool plan_place_memory(cnn_plan *plan);

cnn_plan *plan_ref(cnn_plan *plan);

#endif
