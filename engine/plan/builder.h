/*
 * What operators use to turn a node into steps.
 *
 * A value can exist in up to three forms: plain (dense row-major), blocked with 16 lanes, and
 * narrow (blocked with as many lanes as channels, for the first convolution). plan_read_*() gives
 * the wanted form and adds a Reorder step if only another one exists; plan_write_*() creates the
 * form that the node is about to write. A lower function reads its inputs, writes its outputs, and
 * then adds its step, connecting the pointers in the step's arguments with plan_connect_*().
 */
#ifndef PLAN_BUILDER_H
#define PLAN_BUILDER_H

#include "ops/op.h"
#include "plan/plan.h"

/* A place in memory: in a buffer, or a constant. */
typedef struct plan_place {
    int buffer;           /* -1: constant */
    size_t offset;        /* in bytes */
    const void *constant; /* lives as long as the plan */
} plan_place;

/* A blocked activation whose data pointer is still open: `place` is that of its first pixel. */
typedef struct plan_blocked {
    blocked geometry;
    plan_place place;
} plan_blocked;

/* Zeros around a plane. */
typedef struct halo {
    int top, left, bottom, right;
} halo;

typedef struct plan_value {
    bool has_plain, has_wide, has_narrow;
    bool constant_read; /* a step or the caller reads the constant itself */
    plan_place plain;
    plan_blocked wide, narrow;
    halo halo;       /* what the consumers need */
    int part_of;     /* value whose blocks include this one's (Concat without copying); -1 */
    int first_block; /* there */
    bool squeezed;   /* a SqueezeExcite reads it: who writes it may also write `sums` */
    bool has_sums;
    plan_place sums; /* of its rows, (N, blocks, H, 16) */
    bool gated;      /* of a SqueezeExcite: its reader multiplies with `gate`, it is the input */
    plan_place gate; /* (N, blocks * 16) */
} plan_value;

typedef struct plan_builder {
    cnn_plan *plan;
    graph *g;
    const kernel_table *kernels;
    int threads;
    weight_store *store;
    plan_value *values;
    const graph_node *node; /* being lowered */
    struct overwrite *overwrites;
    size_t overwrite_count, overwrite_capacity;
    struct pack_job *jobs;
    size_t job_count, job_capacity;
    void **owned; /* see plan_own */
    size_t owned_count, owned_capacity;
    bool out_of_memory; /* set by the functions that return nothing; checked after each node */
} plan_builder;

/* True for float32 values of rank 4 with at least one element: those that can be blocked. */
bool plan_can_block(const graph *g, int value);
/* True if a blocked value with that halo is no larger than a tensor may be. */
bool plan_halo_fits(const graph *g, int value, halo h);
/* True if the value is blocked already, or could be without a copy. */
bool plan_is_blocked(const plan_builder *b, int value);

cnn_status plan_read_plain(plan_builder *b, int value, plan_place *out, cnn_error *err);
cnn_status plan_read_blocked(plan_builder *b, int value, plan_blocked *out, cnn_error *err);
/* Narrow if the value has at most 4 channels and is not blocked yet. */
cnn_status plan_read_image(plan_builder *b, int value, plan_blocked *out, cnn_error *err);
/* The plain form of a value of rank 4 as blocks of one lane each. */
cnn_status plan_read_planar(plan_builder *b, int value, plan_blocked *out, cnn_error *err);
cnn_status plan_write_plain(plan_builder *b, int value, plan_place *out, cnn_error *err);
cnn_status plan_write_blocked(plan_builder *b, int value, plan_blocked *out, cnn_error *err);
/*
 * `to` is what lies from byte `offset` of `from` on, seen with another shape: dense, no step. The
 * offset is a multiple of CNN_ALIGN.
 */
cnn_status plan_alias(plan_builder *b, int from, int to, size_t offset, cnn_error *err);

/* Memory between two steps of a node. */
cnn_status plan_scratch(plan_builder *b, size_t bytes, plan_place *out, cnn_error *err);

/*
 * Adds a step of the current node that calls tile(args, i) for i in [0, tiles); copies `args`.
 * Returns it until the next one is added; NULL when out of memory.
 */
plan_step *plan_add_step(plan_builder *b, const char *kernel, tile_fn *tile, size_t tiles,
                         const void *args, size_t args_size);
/*
 * Connects the pointer at byte `where` of the newest step's arguments with a place that the step
 * reads or writes.
 */
void plan_connect_read(plan_builder *b, size_t where, const plan_place *place);
void plan_connect_write(plan_builder *b, size_t where, const plan_place *place);
/* Likewise for the `data` of a `blocked` at byte `where`, which is filled in, halo cleared on
 * write. */
void plan_connect_read_blocked(plan_builder *b, size_t where, const plan_blocked *v);
void plan_connect_write_blocked(plan_builder *b, size_t where, const plan_blocked *v);
/*
 * The newest step reads each element of `in` before it writes the same element of `out`, has both
 * in the same layout, and reads `in` in no other way.
 */
void plan_may_overwrite(plan_builder *b, const plan_place *in, const plan_place *out);

/*
 * Packed weights for the current step, kept with the plan. They are made after the walk, all of
 * them in parallel: pack(arg, out), with zeros at `out` and a copy of the `size` bytes at `arg`, in
 * which pointers lead to constants of the graph or to what the builder owns.
 */
typedef void plan_pack_fn(const void *arg, float *out);
cnn_status plan_pack(plan_builder *b, const weight_key *key, size_t floats, plan_pack_fn *pack,
                     const void *arg, size_t size, const float **out, cnn_error *err);
/* Takes over `memory`, from malloc, and frees it once weights are packed; NULL is a failure. */
cnn_status plan_own(plan_builder *b, void *memory, cnn_error *err);

/*
 * `count` floats of a constant (NULL: zeros; one element: repeated) times `factor`, zero-padded to
 * a multiple of `multiple`.
 */
cnn_status plan_pack_vector(plan_builder *b, const tensor *t, float factor, size_t count,
                            size_t multiple, const float **out, cnn_error *err);

act_params plan_act(const graph_node *node);
/* True if every pixel of both is equally far from the first one. */
bool plan_same_pitches(const blocked *a, const blocked *b);

/*
 * The largest kernel extent, stride, dilation and padding of a window that kernels take: positions
 * in a padded plane, and LANES times the product of two of them, stay in the range of int.
 */
#define PLAN_MAX_WINDOW (1 << 13)
bool plan_window_fits(const op_window *w);

/* Cuts the rows of a blocked output into tiles of about `floats` floats. */
typedef struct rows_grid {
    int blocks, h, rows, chunks;
} rows_grid;
rows_grid plan_rows_grid(const blocked *out, size_t floats);
size_t plan_rows_tiles(const rows_grid *g, int n);
rows_tile plan_rows_tile(const rows_grid *g, size_t index);

/* Runs a node through its operator's eval; works for every operator. */
cnn_status plan_lower_eval(plan_builder *b, const graph_node *node, cnn_error *err);

#endif
