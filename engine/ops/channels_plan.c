/*
 * Channels of blocked activations in a new order: Slice, Split and Gather along the channels, and
 * Concat of inputs that are no whole blocks.
 */
#include "ops/lower.h"
#include "ops/movement.h"
#include "plan/build.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHANNELS_FLOATS 16384 /* per tile */

/* ---- where channels come from ---- */

/* Gather along the channels by a constant list: the channel of each index; else NULL. */
static const tensor *gathered(const graph *g, const graph_node *node) {
    int axis;
    if (strcmp(node->op->name, "Gather") != 0 ||
        !op_axis(graph_attr_int(node, "axis", 0), 4, &axis) || axis != 1)
        return NULL;
    const tensor *indices = op_constant(g, node, 1);
    return indices && indices->shape.rank == 1 ? indices : NULL;
}

static bool read_gather(const tensor *indices, int64_t channels, channel_source *out) {
    for (size_t i = 0; i < indices->elements; i++) {
        int64_t c = tensor_int(indices, i);
        if (c < 0) c += channels;
        if (c < 0 || c >= channels) return false;
        if (out) out[i] = (channel_source){0, (int)c};
    }
    return true;
}

/* Input and output are whole planes, one after the other, in the view `v` of the input. */
static bool read_planes(const view *v, const cnn_shape *x, const cnn_shape *y,
                        channel_source *out) {
    int64_t plane = x->dims[2] * x->dims[3];
    if (v->rank != 4 || v->strides[3] != 1 || v->strides[2] != x->dims[3] ||
        (x->dims[0] > 1 && v->strides[0] != x->dims[1] * plane) || v->strides[1] % plane != 0 ||
        v->offset % plane != 0)
        return false;
    for (int64_t i = 0; out && i < y->dims[1]; i++)
        out[i] = (channel_source){0, (int)(v->offset / plane + i * (v->strides[1] / plane))};
    return true;
}

/* The channel of input 0 that is each channel of an output. `out` may be NULL. */
static bool read_sources(const graph *g, const graph_node *node, size_t output,
                         channel_source *out) {
    int value = node->outputs[output];
    if (!plan_can_block(g, node->inputs[0]) || !plan_can_block(g, value)) return false;
    const cnn_shape *x = &g->values[node->inputs[0]].shape, *y = &g->values[value].shape;
    for (int i = 0; i < 4; i++)
        if (i != 1 && x->dims[i] != y->dims[i]) return false;
    const tensor *indices = gathered(g, node);
    view v;
    return indices ? read_gather(indices, x->dims[1], out)
                   : movement_view_in(g, node, output, &v) && read_planes(&v, x, y, out);
}

static bool channels_takes(const graph *g, const graph_node *node) {
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0 && !read_sources(g, node, i, NULL)) return false;
    return true;
}

/* ---- steps ---- */

typedef struct channels_step {
    channels_args a;
    rows_grid grid;
    const kernel_table *kernels;
    channel_source sources[]; /* of a.sources */
} channels_step;

static void channels_run(void *args, size_t index) {
    const channels_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernels->channels(&s->a, &t);
}

static channels_step *new_step(const plan_builder *b, int value, size_t *bytes) {
    *bytes =
        sizeof(channels_step) + (size_t)b->g->values[value].shape.dims[1] * sizeof(channel_source);
    channels_step *s = calloc(1, *bytes);
    if (s) s->kernels = b->kernels;
    return s;
}

/* Adds the step that makes `value`, a copy of `s`, which is freed. */
static cnn_status add_step(plan_builder *b, channels_step *s, size_t bytes, const plan_blocked *in,
                           size_t count, int value, cnn_error *err) {
    plan_blocked out;
    cnn_status status = plan_write_blocked(b, value, &out, err);
    if (status == CNN_OK) {
        s->grid = plan_rows_grid(&out.geometry, CHANNELS_FLOATS);
        size_t tiles = plan_rows_tiles(&s->grid, out.geometry.n);
        if (!plan_add_step(b, "channels", channels_run, tiles, s, bytes))
            status = cnn_fail_memory(err, bytes);
    }
    free(s);
    if (status != CNN_OK) return status;
    for (size_t i = 0; i < count; i++)
        plan_connect_read_blocked(b, offsetof(channels_step, a.in) + i * sizeof(blocked), &in[i]);
    plan_connect_write_blocked(b, offsetof(channels_step, a.out), &out);
    plan_connect_self(b, offsetof(channels_step, a.sources), offsetof(channels_step, sources));
    return CNN_OK;
}

static cnn_status channels_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    for (size_t i = 0; status == CNN_OK && i < node->output_count; i++) {
        if (node->outputs[i] < 0) continue;
        size_t bytes;
        channels_step *s = new_step(b, node->outputs[i], &bytes);
        if (!s) return cnn_fail_memory(err, bytes);
        bool read = read_sources(b->g, node, i, s->sources);
        assert(read);
        (void)read;
        status = add_step(b, s, bytes, &in, 1, node->outputs[i], err);
    }
    return status;
}

bool channel_part_takes(const graph *g, const graph_node *node) {
    return copy_takes(g, node) || channels_takes(g, node);
}

/* What is not blocked yet, and need not be, is better copied or looked at where it is. */
cnn_status channel_part_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    bool in_blocks = plan_is_blocked(b, node->inputs[0]) || !copy_takes(b->g, node);
    return in_blocks && channels_takes(b->g, node) ? channels_lower(b, node, err)
                                                   : copy_lower(b, node, err);
}

/* ---- Concat ---- */

bool concat_of_channels(const plan_builder *b, const graph_node *node) {
    int axis;
    bool any = false;
    if (node->input_count > CHANNELS_MAX_INPUTS || !plan_can_block(b->g, node->outputs[0]) ||
        !op_axis(graph_attr_int(node, "axis", 1), 4, &axis) || axis != 1)
        return false;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!plan_can_block(b->g, node->inputs[i])) return false;
        any |= plan_is_blocked(b, node->inputs[i]);
    }
    return any;
}

cnn_status concat_channels(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in[CHANNELS_MAX_INPUTS];
    size_t bytes, filled = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        cnn_status status = plan_read_blocked(b, node->inputs[i], &in[i], err);
        if (status != CNN_OK) return status;
    }
    channels_step *s = new_step(b, node->outputs[0], &bytes);
    if (!s) return cnn_fail_memory(err, bytes);
    for (size_t i = 0; i < node->input_count; i++)
        for (int c = 0; c < in[i].geometry.c; c++)
            s->sources[filled++] = (channel_source){(int)i, c};
    return add_step(b, s, bytes, in, node->input_count, node->outputs[0], err);
}
