/*
 * Activations, Add, Sub, Mul, Div, Sum of two, and BatchNormalization on the element-wise kernels.
 *
 * Blocked operands are walked in runs: whole tiles where neither side has a halo, rows otherwise.
 * Plain operands of one shape are flat arrays. Of broadcasting, scalars and one value per channel
 * are done here; see broadcast_plan.c for everything else.
 */
#include "ops/broadcast_plan.h"
#include "ops/lower.h"
#include "plan/builder.h"

#include <string.h>

#define TILE_FLOATS 8192

/* ---- runs of blocked operands ---- */

/* Floats from one run to the next, and the number of runs, of a tile. */
typedef struct runs {
    int count;
    size_t floats;
} runs;

static bool is_dense(const blocked *g) {
    return g->row_pitch == (size_t)g->w * (size_t)g->lanes;
}

static runs tile_runs(const blocked *a, const blocked *b, const rows_tile *t) {
    size_t row = (size_t)a->w * (size_t)a->lanes;
    if (is_dense(a) && is_dense(b)) return (runs){1, row * (size_t)(t->y1 - t->y0)};
    return (runs){t->y1 - t->y0, row};
}

static float *row_at(const blocked *g, const rows_tile *t, int row) {
    return g->data + (size_t)t->n * g->image_pitch + (size_t)t->b * g->block_pitch +
           (size_t)(t->y0 + row) * g->row_pitch;
}

/* ---- unary ---- */

typedef struct unary_blocked {
    blocked in, out;
    const kernel_table *kernels;
    act_params act;
    rows_grid grid;
} unary_blocked;

static void unary_blocked_run(void *args, size_t index) {
    const unary_blocked *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    runs r = tile_runs(&s->in, &s->out, &t);
    for (int i = 0; i < r.count; i++)
        s->kernels->unary(row_at(&s->in, &t, i), row_at(&s->out, &t, i), r.floats, s->act);
}

typedef struct unary_plain {
    const float *in;
    float *out;
    size_t count;
    const kernel_table *kernels;
    act_params act;
} unary_plain;

static void unary_plain_run(void *args, size_t index) {
    const unary_plain *s = args;
    size_t at = index * TILE_FLOATS;
    s->kernels->unary(s->in + at, s->out + at, MIN(s->count - at, TILE_FLOATS), s->act);
}

static cnn_status lower_unary_blocked(plan_builder *b, const graph_node *node, act_params act,
                                      cnn_error *err) {
    plan_blocked in, out;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    unary_blocked s = {
        .kernels = b->kernels, .act = act, .grid = plan_rows_grid(&out.geometry, TILE_FLOATS)};
    if (!plan_add_step(b, "unary", unary_blocked_run, plan_rows_tiles(&s.grid, out.geometry.n), &s,
                       sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(unary_blocked, in), &in);
    plan_connect_write_blocked(b, offsetof(unary_blocked, out), &out);
    if (plan_same_pitches(&in.geometry, &out.geometry))
        plan_may_overwrite(b, &in.place, &out.place);
    return CNN_OK;
}

static cnn_status lower_unary_plain(plan_builder *b, const graph_node *node, act_params act,
                                    cnn_error *err) {
    plan_place in, out;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    unary_plain s = {.kernels = b->kernels, .act = act};
    cnn_shape_elements(&b->g->values[node->outputs[0]].shape, &s.count);
    if (!plan_add_step(b, "unary", unary_plain_run, DIV_UP(s.count, TILE_FLOATS), &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(unary_plain, in), &in);
    plan_connect_write(b, offsetof(unary_plain, out), &out);
    plan_may_overwrite(b, &in, &out);
    return CNN_OK;
}

bool activation_takes(const graph *g, const graph_node *node) {
    epilogue e;
    return g->values[node->inputs[0]].dtype == CNN_FLOAT32 && op_activation(g, node, &e);
}

cnn_status activation_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    epilogue e;
    op_activation(b->g, node, &e);
    act_params act = {e.act, e.alpha, e.beta};
    return plan_is_blocked(b, node->inputs[0]) ? lower_unary_blocked(b, node, act, err)
                                               : lower_unary_plain(b, node, act, err);
}

/* ---- binary ---- */

typedef enum operand { OPERAND_SAME, OPERAND_SCALAR, OPERAND_CHANNELS, OPERAND_OTHER } operand;

typedef struct binary_step {
    blocked a, out;
    blocked b;           /* OPERAND_SAME, OPERAND_CHANNELS: of the second operand */
    const float *scalar; /* OPERAND_SCALAR */
    const kernel_table *kernels;
    operand kind;
    binary_op op;
    bool swapped; /* the node's first input is our second operand */
    act_params act;
    rows_grid grid;
} binary_step;

static void binary_blocked_run(void *args, size_t index) {
    const binary_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    runs r = tile_runs(&s->a, &s->out, &t);
    if (s->kind == OPERAND_SAME && !is_dense(&s->b)) r = tile_runs(&s->b, &s->b, &t);
    const float *lanes = s->b.data + (size_t)(s->b.n == 1 ? 0 : t.n) * s->b.image_pitch +
                         (size_t)t.b * s->b.block_pitch;
    for (int i = 0; i < r.count; i++) {
        const float *a = row_at(&s->a, &t, i);
        float *out = row_at(&s->out, &t, i);
        if (s->kind == OPERAND_SAME)
            s->kernels->binary(a, row_at(&s->b, &t, i), out, r.floats, s->op, s->act);
        else if (s->kind == OPERAND_SCALAR)
            s->kernels->binary_scalar(a, *s->scalar, out, r.floats, s->op, s->swapped, s->act);
        else
            s->kernels->binary_lanes(a, lanes, out, r.floats, s->op, s->swapped, s->act);
    }
}

typedef struct binary_plain {
    const float *a, *b; /* b: `count` floats, or one if `scalar` */
    float *out;
    size_t count;
    bool scalar, swapped;
    binary_op op;
    act_params act;
    const kernel_table *kernels;
} binary_plain;

static void binary_plain_run(void *args, size_t index) {
    const binary_plain *s = args;
    size_t at = index * TILE_FLOATS, count = MIN(s->count - at, TILE_FLOATS);
    if (s->scalar)
        s->kernels->binary_scalar(s->a + at, *s->b, s->out + at, count, s->op, s->swapped, s->act);
    else
        s->kernels->binary(s->a + at, s->b + at, s->out + at, count, s->op, s->act);
}

static bool find_op(const graph_node *node, binary_op *op) {
    static const struct {
        const char *name;
        binary_op op;
    } ops[] = {{"Add", BINARY_ADD},
               {"Sub", BINARY_SUB},
               {"Mul", BINARY_MUL},
               {"Div", BINARY_DIV},
               {"Sum", BINARY_ADD}};
    for (size_t i = 0; i < ARRAY_LENGTH(ops); i++) {
        if (strcmp(node->op->name, ops[i].name) == 0) {
            *op = ops[i].op;
            return node->input_count == 2;
        }
    }
    return false;
}

/* (C, 1, 1) or (N, C, 1, 1) beside (N, C, H, W), with N perhaps 1. */
static bool is_per_channel(const cnn_shape *shape, const cnn_shape *out) {
    if (out->rank != 4 || shape->rank < 3 || shape->rank > 4) return false;
    const int64_t *d = shape->dims + (shape->rank - 3);
    bool images = shape->rank == 3 || shape->dims[0] == 1 || shape->dims[0] == out->dims[0];
    return images && d[0] == out->dims[1] && d[1] == 1 && d[2] == 1;
}

/* How `value` is broadcast onto the node's output. */
static operand classify(const graph *g, const graph_node *node, int value) {
    const graph_value *v = &g->values[value];
    const cnn_shape *out = &g->values[node->outputs[0]].shape;
    size_t elements;
    if (cnn_shape_equal(&v->shape, out)) return OPERAND_SAME;
    if (cnn_shape_elements(&v->shape, &elements) && elements == 1) return OPERAND_SCALAR;
    /* of three axes only what is packed: there is no blocked form */
    bool channels = is_per_channel(&v->shape, out) && (v->constant || v->shape.rank == 4);
    return channels ? OPERAND_CHANNELS : OPERAND_OTHER;
}

/* What the node is, as kernels see it. */
typedef struct binary_form {
    int first, second; /* values; the first has the output's shape */
    operand kind;      /* of the second */
    binary_op op;
    bool swapped;   /* the first is the node's second input */
    bool blockable; /* the output; not where a quotient would spoil the open lanes */
} binary_form;

static bool read_binary(const graph *g, const graph_node *node, binary_form *f) {
    int out = node->outputs[0];
    *f = (binary_form){.op = BINARY_ADD};
    if (g->values[out].dtype != CNN_FLOAT32 || !find_op(node, &f->op)) return false;
    f->swapped = classify(g, node, node->inputs[0]) != OPERAND_SAME;
    f->first = node->inputs[f->swapped ? 1 : 0];
    f->second = node->inputs[f->swapped ? 0 : 1];
    f->kind = classify(g, node, f->second);
    f->blockable = plan_can_block(g, out) &&
                   (f->op != BINARY_DIV || g->values[out].shape.dims[1] % LANES == 0);
    return classify(g, node, f->first) == OPERAND_SAME && f->kind != OPERAND_OTHER &&
           (f->kind != OPERAND_CHANNELS || f->blockable);
}

/* Blocks a per-channel operand: a packed constant, or the blocked form of a (N, C, 1, 1) value. */
static cnn_status read_channels(plan_builder *b, int value, plan_blocked *out, cnn_error *err) {
    const tensor *constant = b->g->values[value].constant;
    const cnn_shape *shape = &b->g->values[value].shape;
    bool several = shape->rank == 4 && shape->dims[0] > 1;
    if (!constant || several) return plan_read_blocked(b, value, out, err);
    int channels = (int)shape->dims[shape->rank - 3];
    const float *data;
    cnn_status status = plan_pack_vector(b, constant, 1, (size_t)channels, LANES, &data, err);
    if (status == CNN_OK)
        *out = (plan_blocked){.geometry = {.n = 1,
                                           .c = channels,
                                           .h = 1,
                                           .w = 1,
                                           .lanes = LANES,
                                           .row_pitch = LANES,
                                           .block_pitch = LANES,
                                           .image_pitch = LANES},
                              .place = {.buffer = -1, .constant = data}};
    return status;
}

/* Where the second operand is. */
typedef struct binary_second {
    plan_blocked blocked; /* OPERAND_SAME, OPERAND_CHANNELS */
    plan_place scalar;    /* OPERAND_SCALAR */
} binary_second;

static cnn_status read_second(plan_builder *b, const binary_form *f, binary_second *out,
                              cnn_error *err) {
    if (f->kind == OPERAND_SAME) return plan_read_blocked(b, f->second, &out->blocked, err);
    if (f->kind == OPERAND_CHANNELS) return read_channels(b, f->second, &out->blocked, err);
    return plan_read_plain(b, f->second, &out->scalar, err);
}

static cnn_status lower_binary_blocked(plan_builder *b, const graph_node *node,
                                       const binary_form *f, cnn_error *err) {
    plan_blocked in, out;
    binary_second second = {0};
    cnn_status status = plan_read_blocked(b, f->first, &in, err);
    if (status == CNN_OK) status = read_second(b, f, &second, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    binary_step s = {.kernels = b->kernels,
                     .kind = f->kind,
                     .op = f->op,
                     .swapped = f->swapped,
                     .act = plan_act(node),
                     .grid = plan_rows_grid(&out.geometry, TILE_FLOATS)};
    if (!plan_add_step(b, "binary", binary_blocked_run, plan_rows_tiles(&s.grid, out.geometry.n),
                       &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(binary_step, a), &in);
    if (f->kind == OPERAND_SCALAR)
        plan_connect_read(b, offsetof(binary_step, scalar), &second.scalar);
    else
        plan_connect_read_blocked(b, offsetof(binary_step, b), &second.blocked);
    plan_connect_write_blocked(b, offsetof(binary_step, out), &out);
    if (plan_same_pitches(&in.geometry, &out.geometry))
        plan_may_overwrite(b, &in.place, &out.place);
    return CNN_OK;
}

static cnn_status lower_binary_plain(plan_builder *b, const graph_node *node, const binary_form *f,
                                     cnn_error *err) {
    plan_place in, other, out;
    cnn_status status = plan_read_plain(b, f->first, &in, err);
    if (status == CNN_OK) status = plan_read_plain(b, f->second, &other, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    binary_plain s = {.kernels = b->kernels,
                      .op = f->op,
                      .act = plan_act(node),
                      .scalar = f->kind == OPERAND_SCALAR,
                      .swapped = f->swapped};
    cnn_shape_elements(&b->g->values[node->outputs[0]].shape, &s.count);
    if (!plan_add_step(b, "binary", binary_plain_run, DIV_UP(s.count, TILE_FLOATS), &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(binary_plain, a), &in);
    plan_connect_read(b, offsetof(binary_plain, b), &other);
    plan_connect_write(b, offsetof(binary_plain, out), &out);
    plan_may_overwrite(b, &in, &out);
    return CNN_OK;
}

bool binary_takes(const graph *g, const graph_node *node) {
    binary_op op;
    size_t elements;
    const graph_value *out = &g->values[node->outputs[0]];
    return out->dtype == CNN_FLOAT32 && find_op(node, &op) &&
           cnn_shape_elements(&out->shape, &elements) && elements > 0;
}

/* Blocked where that saves a change of layout, or where plain memory would need broadcasting. */
cnn_status binary_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    binary_form f;
    if (!read_binary(b->g, node, &f)) return broadcast_lower(b, node, f.op, err);
    bool any_blocked =
        plan_is_blocked(b, f.first) || (f.kind == OPERAND_SAME && plan_is_blocked(b, f.second));
    return f.kind == OPERAND_CHANNELS || (f.blockable && any_blocked)
               ? lower_binary_blocked(b, node, &f, err)
               : lower_binary_plain(b, node, &f, err);
}

/* ---- batch normalisation ---- */

typedef struct affine_step {
    blocked in, out;
    const float *scale, *shift;
    const kernel_table *kernels;
    act_params act;
    rows_grid grid;
} affine_step;

static void affine_run(void *args, size_t index) {
    const affine_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    runs r = tile_runs(&s->in, &s->out, &t);
    const float *scale = s->scale + t.b * LANES, *shift = s->shift + t.b * LANES;
    for (int i = 0; i < r.count; i++)
        s->kernels->affine_lanes(row_at(&s->in, &t, i), scale, shift, row_at(&s->out, &t, i),
                                 r.floats, s->act);
}

typedef struct affine_packing {
    const float *gamma, *beta, *mean, *variance;
    double epsilon;
    size_t channels, padded;
} affine_packing;

/* y = gamma (x - mean) / sqrt(variance + epsilon) + beta as scale and shift (Ioffe and Szegedy
 * 2015). */
static void pack_affine(const void *arg, float *out) {
    const affine_packing *p = arg;
    for (size_t c = 0; c < p->channels; c++) {
        double scale = p->gamma[c] / __builtin_sqrt(p->variance[c] + p->epsilon);
        out[c] = (float)scale;
        out[p->padded + c] = (float)(p->beta[c] - scale * p->mean[c]);
    }
}

static cnn_status pack_batch_normalization(plan_builder *b, const graph_node *node,
                                           const float **out, size_t *padded, cnn_error *err) {
    const tensor *t[4];
    for (size_t i = 0; i < 4; i++)
        t[i] = op_constant(b->g, node, i + 1);
    affine_packing p = {t[0]->data,
                        t[1]->data,
                        t[2]->data,
                        t[3]->data,
                        graph_attr_float(node, "epsilon", 1e-5f),
                        t[0]->elements,
                        0};
    p.padded = *padded = DIV_UP(p.channels, LANES) * LANES;
    weight_key key = weight_key_begin("affine");
    weight_key_add(&key, &p.epsilon, sizeof(p.epsilon));
    for (size_t i = 0; i < 4; i++)
        weight_key_add_tensor(&key, t[i]);
    return plan_pack(b, &key, 2 * p.padded, pack_affine, &p, sizeof(p), out, err);
}

/* One constant number for each channel. Before version 9 there could be one for each element. */
bool batch_normalization_takes(const graph *g, const graph_node *node) {
    bool takes = plan_can_block(g, node->inputs[0]) && !graph_attr_int(node, "training_mode", 0);
    for (size_t i = 1; takes && i < 5; i++) {
        const tensor *t = op_constant(g, node, i);
        takes = t && t->dtype == CNN_FLOAT32 &&
                (int64_t)t->elements == g->values[node->inputs[0]].shape.dims[1];
    }
    return takes;
}

cnn_status batch_normalization_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in, out;
    size_t padded;
    affine_step s = {.kernels = b->kernels, .act = plan_act(node)};
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status == CNN_OK) status = pack_batch_normalization(b, node, &s.scale, &padded, err);
    if (status != CNN_OK) return status;
    s.shift = s.scale + padded;
    s.grid = plan_rows_grid(&out.geometry, TILE_FLOATS);
    if (!plan_add_step(b, "affine", affine_run, plan_rows_tiles(&s.grid, out.geometry.n), &s,
                       sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(affine_step, in), &in);
    plan_connect_write_blocked(b, offsetof(affine_step, out), &out);
    if (plan_same_pitches(&in.geometry, &out.geometry))
        plan_may_overwrite(b, &in.place, &out.place);
    return CNN_OK;
}
