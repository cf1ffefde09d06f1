/*
 * Conv on the convolution kernels.
 *
 * Two-dimensional float32 convolutions with constant weights are taken. Depthwise ones, and those
 * whose groups of as many channels in as out divide a block, have a kernel of their own, and so
 * have Winograd's algorithm and first layers (planar_plan.c). Other groups that are not whole
 * blocks are joined into super-groups that are, with zeros where input and output channel belong to
 * different groups; a residual and an activation that passes have fused become the kernel's
 * epilogue.
 */
#include "ops/conv_plan.h"
#include "ops/infer.h"
#include "ops/lower.h"
#include "ops/squeeze_plan.h"
#include "plan/builder.h"
#include "plan/cut.h"
#include "run/runtime.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DEPTHWISE_FLOATS 8192
/* Cycles for a byte of weights or input that a tile reads again. */
#define CYCLES_READ_BYTE 0.05
#define NARROW           7
/* Multiplying a weight, over multiplying an element of the input. */
#define GATE_WEIGHT_COST 6.0

typedef struct conv_step {
    conv_args a;
    const kernel_table *kernels;
    int blocks_per_group, panels_per_group;
    plan_cut cut; /* rows of an image; panels of a group */
} conv_step;

typedef struct depthwise_step {
    depthwise_args a;
    const kernel_table *kernels;
    rows_grid grid;
} depthwise_step;

/* ---- what the node is ---- */

/* Padding becomes a halo around the input. */
static halo window_halo(const op_window *w) {
    return (halo){(int)w->pad_begin[0], (int)w->pad_begin[1], (int)w->pad_end[0],
                  (int)w->pad_end[1]};
}

static bool read_form(const graph *g, const graph_node *node, conv_form *f) {
    *f = (conv_form){.weights = op_constant(g, node, 1)};
    bool has_bias = node->input_count > 2 && node->inputs[2] >= 0;
    if (has_bias) f->bias = op_constant(g, node, 2);
    if (!plan_can_block(g, node->inputs[0]) || !plan_can_block(g, node->outputs[0]) ||
        !f->weights || f->weights->dtype != CNN_FLOAT32 || (has_bias && !f->bias))
        return false;
    const int64_t *w = f->weights->shape.dims;
    const cnn_shape *in = &g->values[node->inputs[0]].shape;
    if (f->weights->shape.rank != 4 || w[0] < 1 || w[1] < 1 || w[2] < 1 || w[3] < 1 ||
        op_window_read(node, in, w + 2, &f->window, NULL) != CNN_OK ||
        !plan_window_fits(&f->window) ||
        !plan_halo_fits(g, node->inputs[0], window_halo(&f->window)))
        return false;
    f->c = (int)in->dims[1];
    f->oc = (int)w[0];
    f->icg = (int)w[1];
    f->kh = (int)w[2];
    f->kw = (int)w[3];
    f->groups = (int)graph_attr_int(node, "group", 1);
    f->depthwise =
        f->groups > 1 && f->icg < LANES && LANES % f->icg == 0 && f->oc == f->groups * f->icg;
    return true;
}

bool conv_takes(const graph *g, const graph_node *node) {
    conv_form f;
    return read_form(g, node, &f);
}

bool conv_wants_halo(const graph *g, const graph_node *node, halo *h) {
    conv_form f;
    if (strcmp(node->op->name, "Conv") != 0 || !read_form(g, node, &f)) return false;
    *h = window_halo(&f.window);
    return true;
}

/* The projection behind a SqueezeExcite that nobody else needs: then (x gate) w = x (gate w). */
bool conv_takes_gate(const graph *g, const graph_node *node) {
    conv_form f;
    if (strcmp(node->op->name, "Conv") != 0) return false;
    const graph_value *x = &g->values[node->inputs[0]];
    const graph_node *gate = x->producer < 0 ? NULL : g->nodes[x->producer];
    halo none = {0}, h;
    if (!gate || gate->op != &op_squeeze_excite || gate->fused.act != ACT_NONE || x->uses != 1 ||
        !conv_wants_halo(g, node, &h) || memcmp(&h, &none, sizeof(h)) != 0 ||
        !read_form(g, node, &f))
        return false;
    double plane = (double)x->shape.dims[2] * (double)x->shape.dims[3];
    return f.groups == 1 && f.kh == 1 && f.kw == 1 && f.oc * GATE_WEIGHT_COST < plane;
}

/* ---- weights ---- */

/* How many groups make one whose input and output channels are whole blocks; at most all of them.
 */
static int joined_groups(const conv_form *f) {
    int ocg = f->oc / f->groups;
    for (int m = 1; m < f->groups; m++)
        if (f->groups % m == 0 && m * f->icg % LANES == 0 && m * ocg % LANES == 0) return m;
    return f->groups;
}

/* Weights (OC, m ICG, KH, KW) of a convolution whose groups are m joined ones; freed by the caller.
 */
static float *join_groups(const conv_form *f, int m) {
    size_t taps = (size_t)f->kh * (size_t)f->kw, row = (size_t)f->icg * taps;
    int ocg = f->oc / f->groups;
    size_t floats, bytes;
    if (!cnn_mul_size((size_t)f->oc * (size_t)m, row, &floats) ||
        !cnn_mul_size(floats, sizeof(float), &bytes) || bytes > GRAPH_MAX_TENSOR_BYTES)
        return NULL;
    float *joined = calloc(floats, sizeof(float));
    const float *w = f->weights->data;
    for (int oc = 0; joined && oc < f->oc; oc++) {
        size_t member = (size_t)(oc / ocg % m);
        memcpy(joined + ((size_t)oc * (size_t)m + member) * row, w + (size_t)oc * row,
               row * sizeof(float));
    }
    return joined;
}

typedef struct conv_packing {
    const float *weights;
    int oc, icg, kh, kw, groups, lanes, ob_group;
} conv_packing;

static void pack_conv(const void *arg, float *out) {
    const conv_packing *p = arg;
    conv_pack(p->weights, p->oc, p->icg, p->kh, p->kw, p->groups, p->lanes, p->ob_group, out);
}

cnn_status conv_pack_weights(plan_builder *b, const conv_form *f, int joined, int lanes,
                             int ob_group, const float **out, cnn_error *err) {
    const float *weights = f->weights->data;
    if (joined > 1) {
        float *expanded = join_groups(f, joined);
        cnn_status status = plan_own(b, expanded, err);
        if (status != CNN_OK) return status;
        weights = expanded;
    }
    conv_packing p = {.weights = weights,
                      .oc = f->oc,
                      .icg = f->icg * joined,
                      .kh = f->kh,
                      .kw = f->kw,
                      .groups = f->groups / joined,
                      .lanes = lanes,
                      .ob_group = ob_group};
    int geometry[] = {f->oc, f->icg, f->kh, f->kw, f->groups, joined, lanes, ob_group};
    weight_key key = weight_key_begin("conv");
    weight_key_add(&key, geometry, sizeof(geometry));
    weight_key_add_tensor(&key, f->weights);
    return plan_pack(b, &key,
                     conv_packed_floats(p.oc, p.icg, p.kh, p.kw, p.groups, p.lanes, p.ob_group),
                     pack_conv, &p, sizeof(p), out, err);
}

typedef struct depthwise_packing {
    const float *weights;
    int c, group, kh, kw;
} depthwise_packing;

static void pack_depthwise(const void *arg, float *out) {
    const depthwise_packing *p = arg;
    depthwise_pack(p->weights, p->c, p->group, p->kh, p->kw, out);
}

static cnn_status pack_depthwise_weights(plan_builder *b, const conv_form *f, const float **out,
                                         cnn_error *err) {
    depthwise_packing p = {f->weights->data, f->c, f->icg, f->kh, f->kw};
    int geometry[] = {f->c, f->icg, f->kh, f->kw};
    weight_key key = weight_key_begin("depthwise");
    weight_key_add(&key, geometry, sizeof(geometry));
    weight_key_add_tensor(&key, f->weights);
    return plan_pack(b, &key, depthwise_packed_floats(f->c, f->icg, f->kh, f->kw), pack_depthwise,
                     &p, sizeof(p), out, err);
}

/* ---- cutting into tiles ---- */

/* Of a core that does two vector multiply-adds in a cycle. Narrow maps are computed by two rows. */
static double tile_cost(const void *arg, int rows, int panels) {
    const conv_args *a = &((const conv_step *)arg)->a;
    double in_blocks = (double)a->in.blocks / a->groups, taps = (double)a->kernel_h * a->kernel_w;
    double weights = (double)panels * a->ob_group * LANES * in_blocks * a->in.lanes * taps;
    double input = in_blocks * rows * a->stride_h * (double)a->in.row_pitch;
    int pixels = (a->out.w <= NARROW ? DIV_UP(rows, 2) * 2 : rows) * a->out.w;
    return weights * pixels / (2 * LANES) + (weights + input) * sizeof(float) * CYCLES_READ_BYTE;
}

conv_tile conv_cut_tile(const conv_args *a, const plan_cut *c, int blocks_per_group, size_t index) {
    int rows = (int)(index % (size_t)c->row_chunks) * c->row_chunk;
    index /= (size_t)c->row_chunks;
    int panels = (int)(index % (size_t)c->column_chunks);
    index /= (size_t)c->column_chunks;
    int first = (int)(index % (size_t)a->groups) * blocks_per_group;
    int chunk_blocks = c->column_chunk * a->ob_group;
    return (conv_tile){.n = (int)(index / (size_t)a->groups),
                       .ob0 = first + panels * chunk_blocks,
                       .ob1 = first + MIN((panels + 1) * chunk_blocks, blocks_per_group),
                       .y0 = rows,
                       .y1 = MIN(rows + c->row_chunk, a->out.h)};
}

static void conv_tile_run(void *args, size_t index) {
    const conv_step *s = args;
    conv_tile t = conv_cut_tile(&s->a, &s->cut, s->blocks_per_group, index);
    s->kernels->conv(&s->a, &t);
}

static void conv_rows_run(const void *args, const conv_tile *t) {
    const conv_step *s = args;
    s->kernels->conv(&s->a, t);
}

static void depthwise_tile_run(void *args, size_t index) {
    const depthwise_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernels->depthwise(&s->a, &t);
}

static void depthwise_rows_run(const void *args, const conv_tile *t) {
    const depthwise_step *s = args;
    for (int b = t->ob0; b < t->ob1; b++)
        s->kernels->depthwise(&s->a, &(rows_tile){t->n, b, t->y0, t->y1});
}

/* ---- lowering ---- */

cnn_status conv_place_output(plan_builder *b, const graph_node *node, conv_io *io, cnn_error *err) {
    cnn_status status = CNN_OK;
    io->has_residual = node->fused.residual >= 0;
    if (io->has_residual) status = plan_read_blocked(b, node->fused.residual, &io->residual, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &io->out, err);
    return status;
}

static cnn_status place_io(plan_builder *b, const graph_node *node, const conv_form *f, conv_io *io,
                           cnn_error *err) {
    bool image = f->groups == 1;
    cnn_status status = image ? plan_read_image(b, node->inputs[0], &io->in, err)
                              : plan_read_blocked(b, node->inputs[0], &io->in, err);
    return status == CNN_OK ? conv_place_output(b, node, io, err) : status;
}

/* A residual that ends here may be replaced by the result, unless it is also what is convolved. */
static void reuse_residual(plan_builder *b, const conv_io *io) {
    if (plan_same_pitches(&io->residual.geometry, &io->out.geometry) &&
        plan_buffer_root(b->plan, io->residual.place.buffer) !=
            plan_buffer_root(b->plan, io->in.place.buffer))
        plan_may_overwrite(b, &io->residual.place, &io->out.place);
}

void conv_connect(plan_builder *b, const conv_io *io, size_t in, size_t out, size_t residual) {
    plan_connect_read_blocked(b, in, &io->in);
    plan_connect_write_blocked(b, out, &io->out);
    if (!io->has_residual) return;
    plan_connect_read(b, residual, &io->residual.place);
    reuse_residual(b, io);
}

static cnn_status lower_depthwise(plan_builder *b, const graph_node *node, const conv_form *f,
                                  cnn_error *err) {
    conv_io io = {0};
    cnn_status status = place_io(b, node, f, &io, err);
    if (status != CNN_OK) return status;
    depthwise_step s = {.kernels = b->kernels,
                        .a = {.group = f->icg,
                              .kernel_h = f->kh,
                              .kernel_w = f->kw,
                              .stride_h = (int)f->window.stride[0],
                              .stride_w = (int)f->window.stride[1],
                              .dilation_h = (int)f->window.dilation[0],
                              .dilation_w = (int)f->window.dilation[1],
                              .pad_top = (int)f->window.pad_begin[0],
                              .pad_left = (int)f->window.pad_begin[1],
                              .residual_row_pitch = io.residual.geometry.row_pitch,
                              .residual_block_pitch = io.residual.geometry.block_pitch,
                              .residual_image_pitch = io.residual.geometry.image_pitch,
                              .act = plan_act(node)},
                        .grid = plan_rows_grid(&io.out.geometry, DEPTHWISE_FLOATS)};
    plan_value *value = &b->values[node->outputs[0]];
    if (value->squeezed) TRY(squeeze_new_sums(b, node->outputs[0], &io.out.geometry, err));
    status = pack_depthwise_weights(b, f, &s.a.weights, err);
    if (status == CNN_OK)
        status = plan_pack_vector(b, f->bias, 1, (size_t)f->oc, LANES, &s.a.bias, err);
    if (status != CNN_OK) return status;
    size_t tiles = plan_rows_tiles(&s.grid, io.out.geometry.n);
    plan_step *step = plan_add_step(b, f->icg > 1 ? "grouped" : "depthwise", depthwise_tile_run,
                                    tiles, &s, sizeof(s));
    if (!step) return cnn_fail_memory(err, sizeof(s));
    step->strip = (strip_part){.role = STRIP_READER,
                               .run = depthwise_rows_run,
                               .in = offsetof(depthwise_step, a.in),
                               .out = offsetof(depthwise_step, a.out),
                               .extent = (f->kh - 1) * s.a.dilation_h + 1,
                               .stride = s.a.stride_h,
                               .pad = s.a.pad_top};
    conv_connect(b, &io, offsetof(depthwise_step, a.in), offsetof(depthwise_step, a.out),
                 offsetof(depthwise_step, a.residual));
    if (value->squeezed) plan_connect_write(b, offsetof(depthwise_step, a.sums), &value->sums);
    return CNN_OK;
}

conv_args conv_dense_args(const graph_node *node, const conv_form *f, const conv_io *io,
                          int joined) {
    return (conv_args){.in = io->in.geometry,
                       .out = io->out.geometry,
                       .residual_row_pitch = io->residual.geometry.row_pitch,
                       .residual_block_pitch = io->residual.geometry.block_pitch,
                       .residual_image_pitch = io->residual.geometry.image_pitch,
                       .kernel_h = f->kh,
                       .kernel_w = f->kw,
                       .stride_h = (int)f->window.stride[0],
                       .stride_w = (int)f->window.stride[1],
                       .dilation_h = (int)f->window.dilation[0],
                       .dilation_w = (int)f->window.dilation[1],
                       .pad_top = (int)f->window.pad_begin[0],
                       .pad_left = (int)f->window.pad_begin[1],
                       .groups = f->groups / joined,
                       .act = plan_act(node)};
}

static cnn_status lower_dense(plan_builder *b, const graph_node *node, const conv_form *f,
                              cnn_error *err) {
    conv_io io = {0};
    cnn_status status = place_io(b, node, f, &io, err);
    if (status != CNN_OK) return status;
    int m = winograd_choose(b, node, f, &io);
    if (m > 0) return winograd_lower(b, node, f, &io, m, err);
    int joined = f->groups > 1 ? joined_groups(f) : 1;
    const blocked *in = &io.in.geometry, *out = &io.out.geometry;
    conv_step s = {.kernels = b->kernels, .a = conv_dense_args(node, f, &io, joined)};
    assert(s.a.groups > 0);
    s.blocks_per_group = out->blocks / s.a.groups;
    s.a.ob_group = b->kernels->conv_tiling(in->lanes, s.blocks_per_group, out->w).ob_group;
    s.panels_per_group = DIV_UP(s.blocks_per_group, s.a.ob_group);
    status = conv_pack_weights(b, f, joined, in->lanes, s.a.ob_group, &s.a.weights, err);
    if (status == CNN_OK)
        status = plan_pack_vector(b, f->bias, 1, (size_t)f->oc, LANES, &s.a.bias, err);
    if (status != CNN_OK) return status;
    size_t pieces = (size_t)out->n * (size_t)s.a.groups;
    bool gated = b->values[node->inputs[0]].gated;
    squeeze_weights scaled = {0};
    if (gated)
        TRY(squeeze_scale(b, node->inputs[0], s.a.weights, out->blocks, s.a.ob_group, &scaled,
                          err));
    s.a.weights_image_pitch = scaled.image_pitch;
    s.cut = plan_cut_best(out->h, s.panels_per_group, out->h, pieces, b->threads, tile_cost, &s);
    size_t tiles = pieces * (size_t)s.cut.row_chunks * (size_t)s.cut.column_chunks;
    plan_step *step =
        plan_add_step(b, joined > 1 ? "conv_joined" : "conv", conv_tile_run, tiles, &s, sizeof(s));
    if (!step) return cnn_fail_memory(err, sizeof(s));
    if (s.a.groups == 1)
        step->strip = (strip_part){.role = STRIP_WRITER,
                                   .run = conv_rows_run,
                                   .cost = tile_cost,
                                   .in = offsetof(conv_step, a.in),
                                   .out = offsetof(conv_step, a.out),
                                   .panel = s.a.ob_group};
    conv_connect(b, &io, offsetof(conv_step, a.in), offsetof(conv_step, a.out),
                 offsetof(conv_step, a.residual));
    if (gated) plan_connect_read(b, offsetof(conv_step, a.weights), &scaled.place);
    return CNN_OK;
}

cnn_status conv_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    conv_form f;
    bool taken = read_form(b->g, node, &f);
    assert(taken);
    (void)taken;
    bool grouped = f.depthwise && !(b->plan->runtime->without & WITHOUT_GROUPED);
    return planar_takes(b, node, &f) ? planar_lower(b, node, &f, err)
           : grouped                 ? lower_depthwise(b, node, &f, err)
                                     : lower_dense(b, node, &f, err);
}
