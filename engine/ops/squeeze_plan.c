/*
 * SqueezeExcite on the kernels, in up to three steps:
 *
 * - row_sums, unless the step that makes the input has written the sums of its rows (depthwise
 *   does), while they were in the cache;
 * - squeeze: the products with the means, in parts, unless there are so few that each tile of the
 *   last step may compute them again;
 * - excite: the gates of some channels, and the input multiplied with them. Where the only reader
 *   is a convolution with fewer weights than the input has elements, only the gates: it multiplies
 *   its weights (see conv_takes_gate).
 *
 * How the sums are parted depends on the shape, and on whether only the gates are wanted; not on
 * threads or batch.
 */
#include "ops/squeeze_plan.h"

#include "ops/infer.h"
#include "ops/lower.h"
#include "ops/squeeze_excite.h"

#include <assert.h>

#define TILE_FLOATS 8192 /* multiplied in a tile */
#define TILE_BLOCKS 64   /* at most that many in a tile */
#define REPEATED    8192 /* products with the means that tiles may compute, all together */
#define PARTS       8

/* ---- row_sums ---- */

typedef struct sums_step {
    blocked in;
    float *sums;
    const kernel_table *kernels;
    rows_grid grid;
} sums_step;

static void sums_run(void *args, size_t index) {
    const sums_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernels->row_sums(&s->in, &t, s->sums);
}

cnn_status squeeze_new_sums(plan_builder *b, int value, const blocked *form, cnn_error *err) {
    size_t rows = (size_t)form->n * (size_t)form->blocks * (size_t)form->h;
    b->values[value].has_sums = true;
    return plan_scratch(b, rows * LANES * sizeof(float), &b->values[value].sums, err);
}

static cnn_status add_sums(plan_builder *b, int value, const plan_blocked *in, cnn_error *err) {
    sums_step s = {.kernels = b->kernels, .grid = plan_rows_grid(&in->geometry, TILE_FLOATS)};
    TRY(squeeze_new_sums(b, value, &in->geometry, err));
    plan_step *step = plan_add_step(b, "row_sums", sums_run,
                                    plan_rows_tiles(&s.grid, in->geometry.n), &s, sizeof(s));
    if (!step) return cnn_fail_memory(err, sizeof(s));
    step->macs = 0;
    plan_connect_read_blocked(b, offsetof(sums_step, in), in);
    plan_connect_write(b, offsetof(sums_step, sums), &b->values[value].sums);
    return CNN_OK;
}

/* ---- squeeze and excite ---- */

typedef struct squeeze_step {
    squeeze_args a;
    const kernel_table *kernels;
    int parts;
    float *products;        /* (N, parts, hidden); NULL: of one part, made by each tile */
    int tile_blocks, tiles; /* of an image */
    blocked in, out;        /* `data` NULL: only the gates are wanted */
    float *gate;            /* (N, blocks * 16); NULL: not wanted */
    act_params act;
} squeeze_step;

static float *products_of(const squeeze_step *s, int n, int part) {
    return s->products + (size_t)(n * s->parts + part) * (size_t)s->a.hidden;
}

static void squeeze_run(void *args, size_t index) {
    const squeeze_step *s = args;
    int n = (int)index / s->parts, part = (int)index % s->parts;
    s->kernels->squeeze(&s->a, n, part, products_of(s, n, part));
}

/* Block `b` of image `n`, row by row. */
static void multiply(const squeeze_step *s, int n, int b, const float *gate) {
    const float *in = s->in.data + (size_t)n * s->in.image_pitch + (size_t)b * s->in.block_pitch;
    float *out = s->out.data + (size_t)n * s->out.image_pitch + (size_t)b * s->out.block_pitch;
    size_t row = (size_t)s->in.w * LANES;
    bool dense = s->in.row_pitch == row && s->out.row_pitch == row;
    int rows = dense ? 1 : s->in.h;
    size_t floats = dense ? row * (size_t)s->in.h : row;
    for (int y = 0; y < rows; y++, in += s->in.row_pitch, out += s->out.row_pitch)
        s->kernels->binary_lanes(in, gate, out, floats, BINARY_MUL, false, s->act);
}

static void excite_run(void *args, size_t index) {
    const squeeze_step *s = args;
    float own[SQUEEZE_MAX_HIDDEN] __attribute__((aligned(CNN_ALIGN)));
    float gates[TILE_BLOCKS * LANES] __attribute__((aligned(CNN_ALIGN)));
    int n = (int)index / s->tiles, b0 = (int)index % s->tiles * s->tile_blocks;
    int b1 = MIN(b0 + s->tile_blocks, s->a.blocks);
    if (!s->products) s->kernels->squeeze(&s->a, n, 0, own);
    float *gate = s->gate ? s->gate + (size_t)(n * s->a.blocks + b0) * LANES : gates;
    s->kernels->gate(&s->a, s->products ? products_of(s, n, 0) : own, b0, b1, gate);
    for (int b = b0; b < b1 && s->out.data; b++)
        multiply(s, n, b, gate + (size_t)(b - b0) * LANES);
}

/* ---- weights ---- */

typedef struct squeeze_packing {
    const tensor *w;
    size_t channels, hidden, padded; /* w is (hidden, channels), or the other way round */
} squeeze_packing;

static void pack_squeeze(const void *arg, float *out) {
    const squeeze_packing *p = arg;
    const float *w = p->w->data;
    for (size_t r = 0; r < p->hidden; r++)
        for (size_t c = 0; c < p->channels; c++)
            out[(c / LANES * p->padded + r / LANES * LANES + c % LANES) * LANES + r % LANES] =
                w[r * p->channels + c];
}

static void pack_excite(const void *arg, float *out) {
    const squeeze_packing *p = arg;
    const float *w = p->w->data;
    for (size_t c = 0; c < p->channels; c++)
        for (size_t r = 0; r < p->hidden; r++)
            out[(c / LANES * p->padded + r) * LANES + c % LANES] = w[c * p->hidden + r];
}

static cnn_status pack_weights(plan_builder *b, const char *tag, const squeeze_packing *p,
                               const float **out, cnn_error *err) {
    size_t geometry[] = {p->channels, p->hidden};
    weight_key key = weight_key_begin(tag);
    weight_key_add(&key, geometry, sizeof(geometry));
    weight_key_add_tensor(&key, p->w);
    return plan_pack(b, &key, DIV_UP(p->channels, LANES) * LANES * p->padded,
                     *tag == 's' ? pack_squeeze : pack_excite, p, sizeof(*p), out, err);
}

static cnn_status pack_all(plan_builder *b, const graph_node *node, squeeze_args *a,
                           cnn_error *err) {
    const tensor *w1 = op_constant(b->g, node, 1), *w2 = op_constant(b->g, node, 3);
    squeeze_packing p = {w1, (size_t)w1->shape.dims[1], (size_t)w1->shape.dims[0],
                         (size_t)a->hidden};
    TRY(pack_weights(b, "squeeze", &p, &a->squeeze, err));
    p.w = w2;
    TRY(pack_weights(b, "excite", &p, &a->excite, err));
    TRY(plan_pack_vector(b, op_constant(b->g, node, 2), 1, p.hidden, LANES, &a->hidden_bias, err));
    return plan_pack_vector(b, op_constant(b->g, node, 4), 1, p.channels, LANES, &a->gate_bias,
                            err);
}

/* ---- lowering ---- */

bool squeeze_takes(const graph *g, const graph_node *node) {
    return plan_can_block(g, node->inputs[0]);
}

static cnn_status read_step(plan_builder *b, const graph_node *node, const blocked *in,
                            squeeze_step *s, cnn_error *err) {
    int hidden = (int)b->g->values[node->inputs[1]].shape.dims[0];
    *s = (squeeze_step){.kernels = b->kernels,
                        .act = plan_act(node),
                        .a = {.blocks = in->blocks,
                              .h = in->h,
                              .pixels = in->h * in->w,
                              .hidden = DIV_UP(hidden, LANES) * LANES,
                              .hidden_act = squeeze_act(node, SQUEEZE_HIDDEN),
                              .gate_act = squeeze_act(node, SQUEEZE_GATE)}};
    bool gated = b->values[node->outputs[0]].gated;
    size_t work = LANES * (size_t)(gated ? s->a.hidden : s->a.pixels);
    s->tile_blocks = (int)MIN(MAX(TILE_FLOATS / work, 1), TILE_BLOCKS);
    s->tiles = DIV_UP(in->blocks, s->tile_blocks);
    size_t products = (size_t)in->blocks * LANES * (size_t)s->a.hidden;
    bool few = products * (size_t)s->tiles <= REPEATED;
    s->a.part_blocks = few ? in->blocks : DIV_UP(in->blocks, PARTS);
    s->parts = DIV_UP(in->blocks, s->a.part_blocks);
    return pack_all(b, node, &s->a, err);
}

static cnn_status add_squeeze(plan_builder *b, const squeeze_step *s, int n, const plan_place *sums,
                              plan_place *products, cnn_error *err) {
    size_t parts = (size_t)n * (size_t)s->parts;
    TRY(plan_scratch(b, parts * (size_t)s->a.hidden * sizeof(float), products, err));
    plan_step *step = plan_add_step(b, "squeeze", squeeze_run, parts, s, sizeof(*s));
    if (!step) return cnn_fail_memory(err, sizeof(*s));
    step->macs = 0;
    plan_connect_read(b, offsetof(squeeze_step, a.sums), sums);
    plan_connect_write(b, offsetof(squeeze_step, products), products);
    return CNN_OK;
}

/* The value is its input until its reader has multiplied its weights. */
static cnn_status leave_gate(plan_builder *b, const graph_node *node, const plan_blocked *in,
                             cnn_error *err) {
    plan_value *y = &b->values[node->outputs[0]];
    y->wide = *in;
    y->has_wide = true;
    size_t gates = (size_t)in->geometry.n * (size_t)in->geometry.blocks * LANES;
    return plan_scratch(b, gates * sizeof(float), &y->gate, err);
}

static void connect_product(plan_builder *b, const plan_blocked *in, const plan_blocked *out) {
    plan_connect_read_blocked(b, offsetof(squeeze_step, in), in);
    plan_connect_write_blocked(b, offsetof(squeeze_step, out), out);
    if (plan_same_pitches(&in->geometry, &out->geometry))
        plan_may_overwrite(b, &in->place, &out->place);
}

cnn_status squeeze_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    int x = node->inputs[0], y = node->outputs[0];
    plan_blocked in, out;
    plan_place products;
    squeeze_step s;
    bool gated = b->values[y].gated;
    TRY(plan_read_blocked(b, x, &in, err));
    if (gated)
        TRY(leave_gate(b, node, &in, err));
    else
        TRY(plan_write_blocked(b, y, &out, err));
    if (!b->values[x].has_sums) TRY(add_sums(b, x, &in, err));
    TRY(read_step(b, node, &in.geometry, &s, err));
    const plan_place *sums = &b->values[x].sums;
    if (s.parts > 1) TRY(add_squeeze(b, &s, in.geometry.n, sums, &products, err));
    size_t tiles = (size_t)in.geometry.n * (size_t)s.tiles;
    if (!plan_add_step(b, "excite", excite_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(squeeze_step, a.sums), sums);
    if (s.parts > 1) plan_connect_read(b, offsetof(squeeze_step, products), &products);
    if (gated)
        plan_connect_write(b, offsetof(squeeze_step, gate), &b->values[y].gate);
    else
        connect_product(b, &in, &out);
    return CNN_OK;
}

/* ---- a convolution's weights ---- */

typedef struct scale_step {
    const float *weights, *gate; /* [panel][input channel][width]; (N, channels) */
    float *scaled;               /* N of the first */
    const kernel_table *kernels;
    size_t channels, width, last_width; /* padded; of all panels but the last */
    size_t panels;
} scale_step;

static void scale_run(void *args, size_t index) {
    const scale_step *s = args;
    size_t panel = index % s->panels, image = index / s->panels;
    size_t pitch = s->channels * (s->width * (s->panels - 1) + s->last_width);
    size_t at = panel * s->channels * s->width;
    s->kernels->scale_rows(s->weights + at, s->gate + image * s->channels,
                           s->scaled + image * pitch + at, s->channels,
                           panel + 1 < s->panels ? s->width : s->last_width);
}

cnn_status squeeze_scale(plan_builder *b, int value, const float *weights, int out_blocks,
                         int ob_group, squeeze_weights *out, cnn_error *err) {
    const plan_value *x = &b->values[value];
    size_t n = (size_t)x->wide.geometry.n, width = (size_t)ob_group * LANES;
    scale_step s = {.weights = weights,
                    .kernels = b->kernels,
                    .channels = (size_t)x->wide.geometry.blocks * LANES,
                    .width = width,
                    .panels = (size_t)DIV_UP(out_blocks, ob_group)};
    s.last_width = (size_t)out_blocks * LANES - (s.panels - 1) * width;
    out->image_pitch = s.channels * (size_t)out_blocks * LANES;
    TRY(plan_scratch(b, n * out->image_pitch * sizeof(float), &out->place, err));
    plan_step *step = plan_add_step(b, "scale_weights", scale_run, n * s.panels, &s, sizeof(s));
    if (!step) return cnn_fail_memory(err, sizeof(s));
    step->macs = 0;
    plan_connect_read(b, offsetof(scale_step, gate), &x->gate);
    plan_connect_write(b, offsetof(scale_step, scaled), &out->place);
    return CNN_OK;
}
