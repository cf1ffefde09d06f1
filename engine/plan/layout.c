/* Reorder steps: plain to blocked and back. */
#include "plan/build.h"

#define REORDER_FLOATS 8192 /* per tile */

typedef struct reorder_args {
    blocked view;
    float *plain;
    rows_grid grid;
    const kernel_table *kernels;
} reorder_args;

static void block_tile(void *args, size_t index) {
    const reorder_args *a = args;
    rows_tile t = plan_rows_tile(&a->grid, index);
    a->kernels->block(a->plain, false, &a->view, &t);
}

static void unblock_tile(void *args, size_t index) {
    const reorder_args *a = args;
    rows_tile t = plan_rows_tile(&a->grid, index);
    a->kernels->unblock(&a->view, a->plain, false, &t);
}

static plan_step *add_reorder(plan_builder *b, int value, const blocked *view, const char *kernel,
                              tile_fn *tile) {
    reorder_args a = {.grid = plan_rows_grid(view, REORDER_FLOATS), .kernels = b->kernels};
    plan_step *s = plan_add_step(b, kernel, tile, plan_rows_tiles(&a.grid, view->n), &a, sizeof(a));
    if (s) {
        s->op = "Reorder";
        s->name = b->g->values[value].name;
        s->shape = b->g->values[value].shape;
        s->macs = 0;
    }
    return s;
}

static cnn_status add_block(plan_builder *b, int value, const plan_blocked *to, cnn_error *err) {
    if (!add_reorder(b, value, &to->geometry, "block", block_tile))
        return cnn_fail_memory(err, sizeof(plan_step));
    plan_connect_read(b, offsetof(reorder_args, plain), &b->values[value].plain);
    plan_connect_write_blocked(b, offsetof(reorder_args, view), to);
    return CNN_OK;
}

cnn_status plan_reorder_to_wide(plan_builder *b, int value, cnn_error *err) {
    plan_blocked to;
    cnn_status status = plan_write_blocked(b, value, &to, err);
    return status == CNN_OK ? add_block(b, value, &to, err) : status;
}

cnn_status plan_reorder_to_narrow(plan_builder *b, int value, cnn_error *err) {
    return add_block(b, value, &b->values[value].narrow, err);
}

cnn_status plan_reorder_to_plain(plan_builder *b, int value, cnn_error *err) {
    plan_place to;
    cnn_status status = plan_write_plain(b, value, &to, err);
    if (status != CNN_OK) return status;
    const plan_blocked *from = &b->values[value].wide;
    if (!add_reorder(b, value, &from->geometry, "unblock", unblock_tile))
        return cnn_fail_memory(err, sizeof(plan_step));
    plan_connect_read_blocked(b, offsetof(reorder_args, view), from);
    plan_connect_write(b, offsetof(reorder_args, plain), &to);
    return CNN_OK;
}
