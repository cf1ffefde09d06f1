/*
 * Resize and Upsample along height and width of blocked activations: the taps of every row and
 * column stand in the step's arguments.
 */
#include "ops/resize.h"

#include "ops/lower.h"
#include "plan/build.h"

#include <assert.h>
#include <stdlib.h>

#define RESIZE_FLOATS   16384 /* per tile */
#define RESIZE_MAX_SIDE (1 << 16)

typedef struct resize_step {
    resize_args a;
    rows_grid grid;
    const kernel_table *kernels;
    resize_tap taps[]; /* of a.rows, then of a.columns */
} resize_step;

static void resize_run(void *args, size_t index) {
    const resize_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernels->resize(&s->a, &t);
}

bool resize_takes(const graph *g, const graph_node *node) {
    const cnn_shape *y = &g->values[node->outputs[0]].shape;
    bool linear;
    return plan_can_block(g, node->inputs[0]) && plan_can_block(g, node->outputs[0]) &&
           y->dims[2] <= RESIZE_MAX_SIDE && y->dims[3] <= RESIZE_MAX_SIDE &&
           resize_taps(g, node, NULL, NULL, &linear);
}

static cnn_status add_step(plan_builder *b, resize_step *s, size_t bytes, const plan_blocked *in,
                           const plan_blocked *out, cnn_error *err) {
    s->kernels = b->kernels;
    s->grid = plan_rows_grid(&out->geometry, RESIZE_FLOATS);
    size_t tiles = plan_rows_tiles(&s->grid, out->geometry.n);
    if (!plan_add_step(b, "resize", resize_run, tiles, s, bytes))
        return cnn_fail_memory(err, bytes);
    plan_connect_read_blocked(b, offsetof(resize_step, a.in), in);
    plan_connect_write_blocked(b, offsetof(resize_step, a.out), out);
    size_t rows = offsetof(resize_step, taps);
    plan_connect_self(b, offsetof(resize_step, a.rows), rows);
    plan_connect_self(b, offsetof(resize_step, a.columns),
                      rows + (size_t)out->geometry.h * sizeof(resize_tap));
    return CNN_OK;
}

cnn_status resize_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in, out;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    size_t h = (size_t)out.geometry.h, w = (size_t)out.geometry.w;
    size_t bytes = sizeof(resize_step) + (h + w) * sizeof(resize_tap);
    resize_step *s = calloc(1, bytes);
    if (!s) return cnn_fail_memory(err, bytes);
    bool taken = resize_taps(b->g, node, s->taps, s->taps + h, &s->a.linear);
    assert(taken);
    (void)taken;
    status = add_step(b, s, bytes, &in, &out, err);
    free(s);
    return status;
}
