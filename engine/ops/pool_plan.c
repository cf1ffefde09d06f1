/* MaxPool, AveragePool and the global poolings on the pooling kernels. */
#include "ops/eval.h"
#include "ops/lower.h"
#include "plan/builder.h"

#include <assert.h>
#include <string.h>

#define POOL_FLOATS 8192 /* of output per tile */

typedef void pool_fn(const pool_args *a, const rows_tile *t);

typedef struct pool_step {
    pool_args a;
    pool_fn *kernel;
    rows_grid grid;
} pool_step;

static void pool_tile_run(void *args, size_t index) {
    const pool_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernel(&s->a, &t);
}

static bool wants_indices(const graph_node *node) {
    return node->output_count > 1 && node->outputs[1] >= 0;
}

static bool read_window(const graph *g, const graph_node *node, op_window *w) {
    return op_window_read(node, &g->values[node->inputs[0]].shape, NULL, w, NULL) == CNN_OK &&
           plan_window_fits(w);
}

/* Whether every window has a cell of the input. The maximum of none is -infinity, and in the lanes
 * beyond the channels that would spoil the sums of a convolution behind it. */
static bool windows_are_filled(const op_window *w) {
    for (int i = 0; i < w->spatial; i++)
        for (int64_t o = 0; o < w->out[i]; o++) {
            window_range r = eval_window_range(w, i, o);
            if (r.lo >= r.hi) return false;
        }
    return true;
}

bool pool_takes(const graph *g, const graph_node *node) {
    op_window w;
    return !wants_indices(node) && plan_can_block(g, node->inputs[0]) &&
           plan_can_block(g, node->outputs[0]) && read_window(g, node, &w) &&
           (strcmp(node->op->name, "MaxPool") != 0 || windows_are_filled(&w));
}

cnn_status pool_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    op_window w;
    plan_blocked in, out;
    bool taken = read_window(b->g, node, &w);
    assert(taken);
    (void)taken;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    bool max = strcmp(node->op->name, "MaxPool") == 0;
    pool_step s = {.a = {.kernel_h = (int)w.kernel[0],
                         .kernel_w = (int)w.kernel[1],
                         .stride_h = (int)w.stride[0],
                         .stride_w = (int)w.stride[1],
                         .dilation_h = (int)w.dilation[0],
                         .dilation_w = (int)w.dilation[1],
                         .pad_top = (int)w.pad_begin[0],
                         .pad_left = (int)w.pad_begin[1],
                         .pad_bottom = (int)w.pad_end[0],
                         .pad_right = (int)w.pad_end[1],
                         .count_include_pad = graph_attr_int(node, "count_include_pad", 0) != 0},
                   .kernel = max ? b->kernels->pool_max : b->kernels->pool_average,
                   .grid = plan_rows_grid(&out.geometry, POOL_FLOATS)};
    size_t tiles = plan_rows_tiles(&s.grid, out.geometry.n);
    if (!plan_add_step(b, max ? "pool_max" : "pool_average", pool_tile_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(pool_step, a.in), &in);
    plan_connect_write_blocked(b, offsetof(pool_step, a.out), &out);
    return CNN_OK;
}

/* ---- global ---- */

typedef void global_fn(const blocked *in, int n, int b, float *out);

typedef struct global_step {
    blocked in, out;
    global_fn *kernel;
} global_step;

static void global_tile_run(void *args, size_t index) {
    const global_step *s = args;
    int n = (int)(index / (size_t)s->in.blocks), block = (int)(index % (size_t)s->in.blocks);
    s->kernel(&s->in, n, block,
              s->out.data + (size_t)n * s->out.image_pitch + (size_t)block * s->out.block_pitch);
}

bool global_pool_takes(const graph *g, const graph_node *node) {
    return plan_can_block(g, node->inputs[0]);
}

cnn_status global_pool_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in, out;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    bool max = strcmp(node->op->name, "GlobalMaxPool") == 0;
    global_step s = {.kernel = max ? b->kernels->global_max : b->kernels->global_average};
    size_t tiles = (size_t)in.geometry.n * (size_t)in.geometry.blocks;
    if (!plan_add_step(b, max ? "global_max" : "global_average", global_tile_run, tiles, &s,
                       sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(global_step, in), &in);
    plan_connect_write_blocked(b, offsetof(global_step, out), &out);
    return CNN_OK;
}
