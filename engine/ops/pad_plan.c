/*
 * Pad by a constant. Blocked activations that are padded or cut along height and width stay
 * blocked; everything else is done on plain memory, row by row.
 */
#include "ops/pad.h"

#include "ops/lower.h"
#include "plan/builder.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define PAD_FLOATS 16384 /* per tile */

static float *fill(float *out, float value, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = value;
    return out + count;
}

/* A row of the output: `begin` times the value, `kept` floats, `end` times the value. */
static void pad_row(const float *in, float *out, float value, size_t begin, size_t kept,
                    size_t end) {
    out = fill(out, value, begin);
    memcpy(out, in, kept * sizeof(*out));
    fill(out + kept, value, end);
}

/* ---- blocked ---- */

typedef struct pad_blocked {
    blocked in, out;
    float value;
    int first_y, kept_y, begin_y;
    size_t first_x, kept_x, begin_x, end_x; /* in floats */
    rows_grid grid;
} pad_blocked;

static void pad_blocked_run(void *args, size_t index) {
    const pad_blocked *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    const float *in = s->in.data + (size_t)t.n * s->in.image_pitch +
                      (size_t)t.b * s->in.block_pitch + (size_t)s->first_y * s->in.row_pitch +
                      s->first_x;
    float *out = s->out.data + (size_t)t.n * s->out.image_pitch + (size_t)t.b * s->out.block_pitch;
    for (int y = t.y0; y < t.y1; y++) {
        int from = y - s->begin_y;
        float *row = out + (size_t)y * s->out.row_pitch;
        if (from < 0 || from >= s->kept_y)
            fill(row, s->value, s->begin_x + s->kept_x + s->end_x);
        else
            pad_row(in + (size_t)from * s->in.row_pitch, row, s->value, s->begin_x, s->kept_x,
                    s->end_x);
    }
}

static cnn_status lower_blocked(plan_builder *b, const graph_node *node, const padding *p,
                                float value, cnn_error *err) {
    plan_blocked in, out;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    pad_blocked s = {.value = value,
                     .first_y = (int)p->first[2],
                     .kept_y = (int)p->kept[2],
                     .begin_y = (int)p->begin[2],
                     .first_x = (size_t)p->first[3] * LANES,
                     .kept_x = (size_t)p->kept[3] * LANES,
                     .begin_x = (size_t)p->begin[3] * LANES,
                     .end_x = (size_t)p->end[3] * LANES,
                     .grid = plan_rows_grid(&out.geometry, PAD_FLOATS)};
    if (!plan_add_step(b, "pad", pad_blocked_run, plan_rows_tiles(&s.grid, out.geometry.n), &s,
                       sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(pad_blocked, in), &in);
    plan_connect_write_blocked(b, offsetof(pad_blocked, out), &out);
    return CNN_OK;
}

/* ---- plain ---- */

typedef struct pad_plain {
    const float *in;
    float *out;
    float value;
    cnn_shape x, y;
    padding p;
    size_t rows, rows_per_tile;
} pad_plain;

/* The input's row behind an output's row, in floats; false if that row is all constant. */
static bool find_row(const pad_plain *s, size_t row, size_t *offset) {
    int last = s->x.rank - 1;
    size_t stride = (size_t)s->x.dims[last];
    *offset = (size_t)s->p.first[last];
    for (int i = last - 1; i >= 0; i--) {
        int64_t at = (int64_t)(row % (size_t)s->y.dims[i]) - s->p.begin[i];
        if (at < 0 || at >= s->p.kept[i]) return false;
        row /= (size_t)s->y.dims[i];
        *offset += (size_t)(s->p.first[i] + at) * stride;
        stride *= (size_t)s->x.dims[i];
    }
    return true;
}

static void pad_plain_run(void *args, size_t index) {
    const pad_plain *s = args;
    int last = s->y.rank - 1;
    size_t count = (size_t)s->y.dims[last], row = index * s->rows_per_tile, from;
    for (size_t end = MIN(row + s->rows_per_tile, s->rows); row < end; row++) {
        float *out = s->out + row * count;
        if (find_row(s, row, &from))
            pad_row(s->in + from, out, s->value, (size_t)s->p.begin[last], (size_t)s->p.kept[last],
                    (size_t)s->p.end[last]);
        else
            fill(out, s->value, count);
    }
}

static cnn_status lower_plain(plan_builder *b, const graph_node *node, const padding *p,
                              float value, cnn_error *err) {
    plan_place in, out;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    pad_plain s = {.value = value,
                   .x = b->g->values[node->inputs[0]].shape,
                   .y = b->g->values[node->outputs[0]].shape,
                   .p = *p};
    size_t elements = 0, row = (size_t)s.y.dims[s.y.rank - 1];
    cnn_shape_elements(&s.y, &elements);
    s.rows = elements / row;
    s.rows_per_tile = MIN(MAX(PAD_FLOATS / row, 1), s.rows);
    if (!plan_add_step(b, "pad", pad_plain_run, DIV_UP(s.rows, s.rows_per_tile), &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(pad_plain, in), &in);
    plan_connect_write(b, offsetof(pad_plain, out), &out);
    return CNN_OK;
}

/* Along height and width only; lanes beyond the channels must stay finite. */
static bool blocked_takes(const plan_builder *b, const graph_node *node, const padding *p,
                          float value) {
    int in = node->inputs[0];
    return plan_is_blocked(b, in) && plan_can_block(b->g, node->outputs[0]) && !p->begin[0] &&
           !p->end[0] && !p->begin[1] && !p->end[1] &&
           p->kept[0] == b->g->values[in].shape.dims[0] &&
           p->kept[1] == b->g->values[in].shape.dims[1] &&
           (isfinite(value) || p->kept[1] % LANES == 0);
}

bool pad_takes(const graph *g, const graph_node *node) {
    const graph_value *out = &g->values[node->outputs[0]];
    padding p;
    float value;
    size_t elements;
    return out->dtype == CNN_FLOAT32 && out->shape.rank > 0 &&
           cnn_shape_elements(&out->shape, &elements) && elements > 0 &&
           pad_constant(g, node, &p, &value);
}

cnn_status pad_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    padding p;
    float value;
    bool taken = pad_constant(b->g, node, &p, &value);
    assert(taken);
    (void)taken;
    return blocked_takes(b, node, &p, value) ? lower_blocked(b, node, &p, value, err)
                                             : lower_plain(b, node, &p, value, err);
}
