/*
 * Operators that only move data: views, Concat, Transpose.
 *
 * A view (Reshape and the like) is the same dense memory with another shape. A Concat of whole
 * blocks costs nothing where its inputs could be written into their place (see find_parts in
 * build.c), and copies blocks where not. A Transpose between NCHW and NHWC is a change of layout
 * that the reordering kernels do in one go; one that moves only extents of 1 is a view. Others
 * are copies, see copy_plan.c.
 */
#include "ops/lower.h"
#include "plan/builder.h"

#include <string.h>

#define COPY_FLOATS 16384 /* per tile */

/* Dropout may have a second output. */
bool view_takes(const graph *g, const graph_node *node) {
    (void)g;
    return node->output_count == 1 || node->outputs[1] < 0;
}

cnn_status view_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    return plan_alias(b, node->inputs[0], node->outputs[0], 0, err);
}

/* ---- Concat ---- */

bool concat_by_blocks(const graph *g, const graph_node *node) {
    int axis;
    if (strcmp(node->op->name, "Concat") != 0 || !plan_can_block(g, node->outputs[0]) ||
        !op_axis(graph_attr_int(node, "axis", 1), 4, &axis) || axis != 1)
        return false;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!plan_can_block(g, node->inputs[i])) return false;
        if (i + 1 < node->input_count && g->values[node->inputs[i]].shape.dims[1] % LANES)
            return false;
    }
    return true;
}

typedef struct copy_blocked {
    blocked in, out;
    rows_grid grid;
} copy_blocked;

static void copy_blocked_run(void *args, size_t index) {
    const copy_blocked *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    const float *in = s->in.data + (size_t)t.n * s->in.image_pitch +
                      (size_t)t.b * s->in.block_pitch + (size_t)t.y0 * s->in.row_pitch;
    float *out = s->out.data + (size_t)t.n * s->out.image_pitch + (size_t)t.b * s->out.block_pitch +
                 (size_t)t.y0 * s->out.row_pitch;
    for (int y = t.y0; y < t.y1; y++, in += s->in.row_pitch, out += s->out.row_pitch)
        memcpy(out, in, (size_t)s->in.w * LANES * sizeof(float));
}

/* The blocks of `whole` from `block` on, of the geometry of `part`. */
static plan_blocked blocks_from(const plan_blocked *whole, const plan_blocked *part, int block) {
    plan_blocked v = *whole;
    v.geometry.c = part->geometry.c;
    v.geometry.blocks = part->geometry.blocks;
    v.place.offset += (size_t)block * whole->geometry.block_pitch * sizeof(float);
    return v;
}

static cnn_status copy_into(plan_builder *b, const plan_blocked *in, const plan_blocked *out,
                            cnn_error *err) {
    copy_blocked s = {.grid = plan_rows_grid(&in->geometry, COPY_FLOATS)};
    if (!plan_add_step(b, "concat", copy_blocked_run, plan_rows_tiles(&s.grid, in->geometry.n), &s,
                       sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(copy_blocked, in), in);
    plan_connect_write_blocked(b, offsetof(copy_blocked, out), out);
    return CNN_OK;
}

static cnn_status lower_blocks(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked whole, part;
    cnn_status status = plan_write_blocked(b, node->outputs[0], &whole, err);
    int block = 0;
    for (size_t i = 0; i < node->input_count && status == CNN_OK; i++) {
        const plan_value *v = &b->values[node->inputs[i]];
        status = plan_read_blocked(b, node->inputs[i], &part, err);
        if (status != CNN_OK) return status;
        plan_blocked place = blocks_from(&whole, &part, block);
        if (v->part_of != node->outputs[0] || v->first_block != block)
            status = copy_into(b, &part, &place, err);
        block += part.geometry.blocks;
    }
    return status;
}

/* Plain Concat: for each outer index, each input's run of `inner` bytes follows the one before. */
typedef struct copy_plain {
    const char *in;
    char *out;
    size_t bytes, out_pitch, at;
} copy_plain;

static void copy_plain_run(void *args, size_t index) {
    const copy_plain *s = args;
    memcpy(s->out + index * s->out_pitch + s->at, s->in + index * s->bytes, s->bytes);
}

static size_t extents(const cnn_shape *shape, int from, int to) {
    size_t product = 1;
    for (int i = from; i < to; i++)
        product *= (size_t)shape->dims[i];
    return product;
}

static cnn_status lower_plain(plan_builder *b, const graph_node *node, cnn_error *err) {
    const graph_value *v = &b->g->values[node->outputs[0]];
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", 1), v->shape.rank, &axis);
    size_t outer = extents(&v->shape, 0, axis), item = cnn_dtype_size(v->dtype);
    copy_plain s = {.out_pitch = extents(&v->shape, axis, v->shape.rank) * item};
    plan_place in, out;
    cnn_status status = CNN_OK;
    /* Inputs first: reading one may add a step, and connections are made to the newest one. */
    for (size_t i = 0; i < node->input_count && status == CNN_OK; i++)
        status = plan_read_plain(b, node->inputs[i], &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    for (size_t i = 0; i < node->input_count && status == CNN_OK; i++) {
        const cnn_shape *shape = &b->g->values[node->inputs[i]].shape;
        s.bytes = extents(shape, axis, shape->rank) * item;
        if (s.bytes == 0 || outer == 0) continue;
        status = plan_read_plain(b, node->inputs[i], &in, err);
        if (!plan_add_step(b, "concat", copy_plain_run, outer, &s, sizeof(s)))
            return cnn_fail_memory(err, sizeof(s));
        plan_connect_read(b, offsetof(copy_plain, in), &in);
        plan_connect_write(b, offsetof(copy_plain, out), &out);
        s.at += s.bytes;
    }
    return status;
}

cnn_status concat_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    if (concat_by_blocks(b->g, node)) return lower_blocks(b, node, err);
    return concat_of_channels(b, node) ? concat_channels(b, node, err) : lower_plain(b, node, err);
}

/* ---- Transpose ---- */

typedef struct transpose_step {
    blocked view;
    float *plain;
    rows_grid grid;
    const kernel_table *kernels;
} transpose_step;

static void to_nhwc_run(void *args, size_t index) {
    const transpose_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernels->unblock(&s->view, s->plain, true, &t);
}

static void from_nhwc_run(void *args, size_t index) {
    const transpose_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernels->block(s->plain, true, &s->view, &t);
}

static bool has_perm(const graph_node *node, const int64_t perm[4]) {
    const attr *a = graph_attr(node, "perm");
    return a && a->count == 4 && memcmp(a->ints, perm, 4 * sizeof(*perm)) == 0;
}

static bool is_to_nhwc(const graph *g, const graph_node *node) {
    static const int64_t perm[] = {0, 2, 3, 1};
    return has_perm(node, perm) && plan_can_block(g, node->inputs[0]);
}

static bool is_from_nhwc(const graph *g, const graph_node *node) {
    static const int64_t perm[] = {0, 3, 1, 2};
    return has_perm(node, perm) && plan_can_block(g, node->outputs[0]);
}

bool transpose_takes(const graph *g, const graph_node *node) {
    return op_transpose_keeps(g, node) || copy_takes(g, node);
}

static cnn_status lower_to_nhwc(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in;
    plan_place out;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    transpose_step s = {.kernels = b->kernels, .grid = plan_rows_grid(&in.geometry, COPY_FLOATS)};
    if (!plan_add_step(b, "unblock", to_nhwc_run, plan_rows_tiles(&s.grid, in.geometry.n), &s,
                       sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(transpose_step, view), &in);
    plan_connect_write(b, offsetof(transpose_step, plain), &out);
    return CNN_OK;
}

static cnn_status lower_from_nhwc(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_place in;
    plan_blocked out;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    transpose_step s = {.kernels = b->kernels, .grid = plan_rows_grid(&out.geometry, COPY_FLOATS)};
    if (!plan_add_step(b, "block", from_nhwc_run, plan_rows_tiles(&s.grid, out.geometry.n), &s,
                       sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(transpose_step, plain), &in);
    plan_connect_write_blocked(b, offsetof(transpose_step, view), &out);
    return CNN_OK;
}

cnn_status transpose_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    if (op_transpose_keeps(b->g, node))
        return plan_alias(b, node->inputs[0], node->outputs[0], 0, err);
    if (is_to_nhwc(b->g, node)) return lower_to_nhwc(b, node, err);
    return is_from_nhwc(b->g, node) ? lower_from_nhwc(b, node, err) : copy_lower(b, node, err);
}
