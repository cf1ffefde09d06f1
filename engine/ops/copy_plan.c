/*
 * Views of an input (see movement.h) as steps that copy, and Pad by a constant.
 *
 * Axes along which both sides go on alike are joined first, so that a part of a tensor is often few
 * long runs. What is one run altogether is no step: the output lies within the input.
 */
#include "ops/lower.h"
#include "ops/movement.h"
#include "plan/builder.h"

#include <assert.h>

#define COPY_BYTES 65536 /* per tile */
#define COPY_GROUP 16    /* rows that are copied together where they are neighbours in the input */

/* ---- joined axes ---- */

/* Drops extents of 1, and joins each axis with the next if that continues it. At least one stays.
 */
static void join_axes(view *v) {
    int rank = 0;
    for (int i = 0; i < v->rank; i++) {
        if (v->dims[i] == 1) continue;
        if (rank > 0 && v->strides[rank - 1] == v->dims[i] * v->strides[i]) {
            v->dims[rank - 1] *= v->dims[i];
            v->strides[rank - 1] = v->strides[i];
        } else {
            v->dims[rank] = v->dims[i];
            v->strides[rank++] = v->strides[i];
        }
    }
    if (rank == 0) {
        v->dims[rank] = 1;
        v->strides[rank++] = 1;
    }
    v->rank = rank;
}

/* ---- copies ---- */

/* A row is the last axis; `out` is dense. */
typedef struct copy_step {
    const char *in;
    char *out;
    view v;
    size_t item; /* bytes of an element */
    size_t rows, rows_per_tile;
} copy_step;

/* Where a row of the view begins, in elements. */
static int64_t row_offset(const view *v, size_t row) {
    int64_t offset = v->offset;
    for (int i = v->rank - 2; i >= 0; i--) {
        offset += (int64_t)(row % (size_t)v->dims[i]) * v->strides[i];
        row /= (size_t)v->dims[i];
    }
    return offset;
}

/*
 * `rows` rows of `count` elements that begin row_stride apart in `in`. Elements are taken column by
 * column: neighbouring rows are often neighbours in memory, too.
 */
#define COPY_ROWS(type)                                                                            \
    static void copy_##type(const type *in, type *out, size_t rows, size_t count,                  \
                            int64_t row_stride, int64_t stride) {                                  \
        for (size_t i = 0; i < count; i++)                                                         \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r * count + i] = in[(int64_t)r * row_stride + (int64_t)i * stride];            \
    }
COPY_ROWS(uint8_t)
COPY_ROWS(uint16_t)
COPY_ROWS(uint32_t)
COPY_ROWS(uint64_t)
#undef COPY_ROWS

static void copy_rows(const copy_step *s, size_t row, size_t rows) {
    size_t count = (size_t)s->v.dims[s->v.rank - 1];
    int64_t stride = s->v.strides[s->v.rank - 1];
    int64_t row_stride = s->v.rank > 1 ? s->v.strides[s->v.rank - 2] : 0;
    const char *in = s->in + row_offset(&s->v, row) * (int64_t)s->item;
    char *out = s->out + row * count * s->item;
    if (stride == 1)
        for (size_t r = 0; r < rows; r++)
            memcpy(out + r * count * s->item, in + (int64_t)r * row_stride * (int64_t)s->item,
                   count * s->item);
    else if (s->item == 1)
        copy_uint8_t((const void *)in, (void *)out, rows, count, row_stride, stride);
    else if (s->item == 2)
        copy_uint16_t((const void *)in, (void *)out, rows, count, row_stride, stride);
    else if (s->item == 4)
        copy_uint32_t((const void *)in, (void *)out, rows, count, row_stride, stride);
    else
        copy_uint64_t((const void *)in, (void *)out, rows, count, row_stride, stride);
}

static void copy_run(void *args, size_t index) {
    const copy_step *s = args;
    size_t row = index * s->rows_per_tile, end = MIN(row + s->rows_per_tile, s->rows);
    size_t group = s->v.rank > 1 ? (size_t)s->v.dims[s->v.rank - 2] : 1;
    while (row < end) {
        size_t rows = MIN(MIN(end - row, group - row % group), COPY_GROUP);
        copy_rows(s, row, rows);
        row += rows;
    }
}

static cnn_status add_copy(plan_builder *b, const view *v, size_t item, const plan_place *in,
                           const plan_place *out, cnn_error *err) {
    copy_step s = {.v = *v, .item = item};
    size_t row = (size_t)v->dims[v->rank - 1];
    s.rows = v->count / row;
    s.rows_per_tile = MIN(MAX(COPY_BYTES / (row * item), 1), s.rows);
    if (!plan_add_step(b, "copy", copy_run, DIV_UP(s.rows, s.rows_per_tile), &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(copy_step, in), in);
    plan_connect_write(b, offsetof(copy_step, out), out);
    return CNN_OK;
}

bool movement_view_in(const graph *g, const graph_node *node, size_t output, view *out) {
    const tensor *in[5];
    assert(node->input_count <= ARRAY_LENGTH(in));
    for (size_t i = 0; i < node->input_count; i++)
        in[i] = op_constant(g, node, i);
    movement m = {node, &g->values[node->inputs[0]].shape, &g->values[node->outputs[output]].shape,
                  in, output};
    return movement_view(&m, out);
}

bool copy_takes(const graph *g, const graph_node *node) {
    view v;
    size_t elements;
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0 &&
            (!cnn_shape_elements(&g->values[node->outputs[i]].shape, &elements) || elements == 0 ||
             !movement_view_in(g, node, i, &v)))
            return false;
    return true;
}

static cnn_status lower_output(plan_builder *b, const graph_node *node, size_t i, cnn_error *err) {
    int from = node->inputs[0], to = node->outputs[i];
    size_t item = cnn_dtype_size(b->g->values[from].dtype);
    view v;
    movement_view_in(b->g, node, i, &v);
    join_axes(&v);
    size_t offset = (size_t)v.offset * item;
    bool one_run = v.rank == 1 && (v.strides[0] == 1 || v.count == 1);
    if (one_run && offset % CNN_ALIGN == 0) return plan_alias(b, from, to, offset, err);
    plan_place in, out;
    cnn_status status = plan_read_plain(b, from, &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, to, &out, err);
    return status == CNN_OK ? add_copy(b, &v, item, &in, &out, err) : status;
}

cnn_status copy_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; i < node->output_count && status == CNN_OK; i++)
        if (node->outputs[i] >= 0) status = lower_output(b, node, i, err);
    return status;
}
