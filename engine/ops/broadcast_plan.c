/*
 * Add, Sub, Mul, Div of plain operands that are broadcast against each other.
 *
 * Axes along which both operands go on alike are joined; what is then the last axis is a run, in
 * which each operand is an array or one number. Where runs would be short because a constant is
 * repeated for every one of them (a bias of few channels, channels last), the constant is stored
 * several times over, and so many runs become one.
 */
#include "ops/broadcast_plan.h"

#include "ops/eval.h"

#include <assert.h>

#define TILE_FLOATS 8192
#define RUN_FLOATS  1024 /* that long a repeated constant is made, at most */

/* The operands' views of the output's shape, with common axes. */
typedef struct broadcast {
    view a, b;
} broadcast;

typedef struct broadcast_step {
    const float *a, *b;
    float *out;
    broadcast views;
    size_t rows, rows_per_tile;
    binary_op op;
    act_params act;
    const kernel_table *kernels;
} broadcast_step;

static bool goes_on(const view *v, int axis, int last) {
    return v->strides[last] == v->dims[axis] * v->strides[axis];
}

static void move_axis(view *v, int to, int from) {
    v->dims[to] = v->dims[from];
    v->strides[to] = v->strides[from];
}

static void extend_axis(view *v, int axis, int by) {
    v->dims[axis] *= v->dims[by];
    v->strides[axis] = v->strides[by];
}

/* Drops extents of 1, and joins each axis with the next where that continues it in both. */
static void join_axes(broadcast *s) {
    int rank = 0;
    for (int i = 0; i < s->a.rank; i++) {
        if (s->a.dims[i] == 1) continue;
        if (rank > 0 && goes_on(&s->a, i, rank - 1) && goes_on(&s->b, i, rank - 1)) {
            extend_axis(&s->a, rank - 1, i);
            extend_axis(&s->b, rank - 1, i);
        } else {
            move_axis(&s->a, rank, i);
            move_axis(&s->b, rank++, i);
        }
    }
    if (rank == 0) s->a.dims[rank++] = 1;
    s->a.rank = s->b.rank = rank;
}

/* Where a row begins, in elements. */
static size_t row_offset(const view *v, const int64_t *dims, size_t row) {
    size_t offset = 0;
    for (int i = v->rank - 2; i >= 0; i--) {
        offset += row % (size_t)dims[i] * (size_t)v->strides[i];
        row /= (size_t)dims[i];
    }
    return offset;
}

static void broadcast_run(void *args, size_t index) {
    const broadcast_step *s = args;
    const view *va = &s->views.a, *vb = &s->views.b;
    int last = va->rank - 1;
    size_t count = (size_t)va->dims[last], row = index * s->rows_per_tile;
    for (size_t end = MIN(row + s->rows_per_tile, s->rows); row < end; row++) {
        const float *a = s->a + row_offset(va, va->dims, row);
        const float *b = s->b + row_offset(vb, va->dims, row);
        float *out = s->out + row * count;
        if (vb->strides[last] == 0)
            s->kernels->binary_scalar(a, *b, out, count, s->op, false, s->act);
        else if (va->strides[last] == 0)
            s->kernels->binary_scalar(b, *a, out, count, s->op, true, s->act);
        else
            s->kernels->binary(a, b, out, count, s->op, s->act);
    }
}

/* ---- repeated constants ---- */

typedef struct repetition {
    const float *data;
    size_t count, times;
} repetition;

static void pack_repeated(const void *arg, float *out) {
    const repetition *p = arg;
    for (size_t i = 0; i < p->times; i++)
        memcpy(out + i * p->count, p->data, p->count * sizeof(*out));
}

/* How often a constant `v` that is the same in every run of `other` may be repeated; 1: not. */
static size_t times_repeated(const view *v, const view *other) {
    int last = v->rank - 1;
    if (v->rank < 2 || v->strides[last] != 1 || v->strides[last - 1] != 0 ||
        other->strides[last] != 1 || other->strides[last - 1] != other->dims[last])
        return 1;
    size_t times = MAX(RUN_FLOATS / (size_t)v->dims[last], 1);
    while ((size_t)v->dims[last - 1] % times != 0)
        times--;
    return times;
}

/* Makes runs of both views `times` as long. */
static void lengthen(view *repeated, view *other, int64_t times) {
    int last = repeated->rank - 1;
    view *both[] = {repeated, other};
    for (size_t i = 0; i < ARRAY_LENGTH(both); i++) {
        both[i]->dims[last] *= times;
        both[i]->dims[last - 1] /= times;
    }
    other->strides[last - 1] *= times;
}

/* The place of an operand, repeated if that is worth it. */
static cnn_status read_operand(plan_builder *b, int value, view *v, view *other, plan_place *out,
                               cnn_error *err) {
    const tensor *t = b->g->values[value].constant;
    size_t count = (size_t)v->dims[v->rank - 1], times = t ? times_repeated(v, other) : 1;
    if (times == 1 || t->elements != count) return plan_read_plain(b, value, out, err);
    repetition p = {t->data, count, times};
    weight_key key = weight_key_begin("repeated");
    weight_key_add(&key, &times, sizeof(times));
    weight_key_add_tensor(&key, t);
    const float *data;
    cnn_status status = plan_pack(b, &key, count * times, pack_repeated, &p, sizeof(p), &data, err);
    if (status != CNN_OK) return status;
    *out = (plan_place){.buffer = -1, .constant = data};
    lengthen(v, other, (int64_t)times);
    return CNN_OK;
}

cnn_status broadcast_lower(plan_builder *b, const graph_node *node, binary_op op, cnn_error *err) {
    const graph_value *values = b->g->values;
    const int *in = node->inputs;
    const cnn_shape *shape = &values[node->outputs[0]].shape;
    broadcast_step s = {.op = op,
                        .act = plan_act(node),
                        .kernels = b->kernels,
                        .views = {view_broadcast(&values[in[0]].shape, shape),
                                  view_broadcast(&values[in[1]].shape, shape)}};
    view *va = &s.views.a, *vb = &s.views.b;
    plan_place places[2], out;
    join_axes(&s.views);
    cnn_status status = read_operand(b, in[0], va, vb, &places[0], err);
    if (status == CNN_OK) status = read_operand(b, in[1], vb, va, &places[1], err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    size_t row = (size_t)va->dims[va->rank - 1];
    s.rows = va->count / row;
    s.rows_per_tile = MIN(MAX(TILE_FLOATS / row, 1), s.rows);
    if (!plan_add_step(b, "binary", broadcast_run, DIV_UP(s.rows, s.rows_per_tile), &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(broadcast_step, a), &places[0]);
    plan_connect_read(b, offsetof(broadcast_step, b), &places[1]);
    plan_connect_write(b, offsetof(broadcast_step, out), &out);
    return CNN_OK;
}
