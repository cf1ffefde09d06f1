/*
 * ReduceSum and its kin over neighbouring axes, and LayerNormalization, on plain memory.
 *
 * Without extents of 1 the tensor is (outer, count, inner), of which `count` is reduced. If there
 * is no inner extent, tiles are groups of rows; else each is a stretch of columns.
 */
#include "ops/reduce.h"

#include "ops/lower.h"
#include "plan/builder.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define TILE_FLOATS  16384
#define TILE_COLUMNS 256

/* What a reduction's result becomes. */
typedef enum finish { FINISH_NONE, FINISH_MEAN, FINISH_ROOT } finish;

typedef struct reduce_step {
    const float *in;
    float *out;
    size_t outer, count, inner;
    size_t rows, chunks; /* rows of a tile; tiles of the columns */
    reduction kind;
    finish finish;
    const kernel_table *kernels;
} reduce_step;

static void finish_all(const reduce_step *s, float *out, size_t n) {
    for (size_t i = 0; s->finish == FINISH_MEAN && i < n; i++)
        out[i] /= (float)s->count;
    for (size_t i = 0; s->finish == FINISH_ROOT && i < n; i++)
        out[i] = sqrtf(out[i]);
}

static void rows_run(void *args, size_t index) {
    const reduce_step *s = args;
    size_t row = index * s->rows, end = MIN(row + s->rows, s->outer);
    for (size_t i = row; i < end; i++)
        s->out[i] = s->kernels->reduce_row(s->in + i * s->count, s->count, s->kind);
    finish_all(s, s->out + row, end - row);
}

static void columns_run(void *args, size_t index) {
    const reduce_step *s = args;
    size_t outer = index / s->chunks, column = index % s->chunks * TILE_COLUMNS;
    size_t width = MIN(s->inner - column, TILE_COLUMNS);
    float *out = s->out + outer * s->inner + column;
    s->kernels->reduce_columns(s->in + outer * s->count * s->inner + column, s->inner, s->count,
                               out, width, s->kind);
    finish_all(s, out, width);
}

static bool read_kind(const graph_node *node, reduce_step *out) {
    static const struct {
        const char *op;
        reduction kind;
        finish finish;
    } kinds[] = {
        {"ReduceSum", REDUCTION_SUM, FINISH_NONE},
        {"ReduceMean", REDUCTION_SUM, FINISH_MEAN},
        {"ReduceMax", REDUCTION_MAX, FINISH_NONE},
        {"ReduceMin", REDUCTION_MIN, FINISH_NONE},
        {"ReduceL2", REDUCTION_SQUARES, FINISH_ROOT},
        {"ReduceSumSquare", REDUCTION_SQUARES, FINISH_NONE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (strcmp(node->op->name, kinds[i].op) == 0) {
            out->kind = kinds[i].kind;
            out->finish = kinds[i].finish;
            return true;
        }
    return false;
}

static bool read_reduction(const graph *g, const graph_node *node, reduce_step *out) {
    const graph_value *x = &g->values[node->inputs[0]];
    size_t elements;
    unsigned set;
    *out = (reduce_step){.outer = 1, .count = 1, .inner = 1};
    if (x->dtype != CNN_FLOAT32 || !cnn_shape_elements(&x->shape, &elements) || elements == 0 ||
        !read_kind(node, out) || !reduce_axes(g, node, &set))
        return false;
    for (int i = 0; i < x->shape.rank; i++) {
        size_t extent = (size_t)x->shape.dims[i];
        if (extent == 1) continue;
        bool reduced = set >> i & 1;
        if (reduced && out->inner > 1) return false;
        *(reduced ? &out->count : out->count > 1 ? &out->inner : &out->outer) *= extent;
    }
    return out->count > 0; /* as there are elements */
}

bool reduce_takes(const graph *g, const graph_node *node) {
    reduce_step s;
    return read_reduction(g, node, &s);
}

cnn_status reduce_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    reduce_step s;
    plan_place in, out;
    bool taken = read_reduction(b->g, node, &s);
    assert(taken);
    (void)taken;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    s.kernels = b->kernels;
    s.rows = MAX(TILE_FLOATS / s.count, 1);
    s.chunks = DIV_UP(s.inner, TILE_COLUMNS);
    bool rows = s.inner == 1;
    if (!plan_add_step(b, "reduce", rows ? rows_run : columns_run,
                       rows ? DIV_UP(s.outer, s.rows) : s.outer * s.chunks, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(reduce_step, in), &in);
    plan_connect_write(b, offsetof(reduce_step, out), &out);
    return CNN_OK;
}

/* ---- LayerNormalization ---- */

typedef struct layer_step {
    const float *in, *scale, *bias;
    float *out;
    size_t rows, count, rows_per_tile;
    float epsilon;
    const kernel_table *kernels;
} layer_step;

static void layer_run(void *args, size_t index) {
    const layer_step *s = args;
    size_t row = index * s->rows_per_tile, end = MIN(row + s->rows_per_tile, s->rows);
    for (; row < end; row++)
        s->kernels->layer_norm(s->in + row * s->count, s->scale, s->bias, s->out + row * s->count,
                               s->count, s->epsilon);
}

/* True if the value, which may be absent, has a number for each element of a row. */
static bool fills_row(const graph *g, const graph_node *node, size_t i, size_t count) {
    const graph_value *v = op_input(g, node, i);
    size_t elements;
    return !v || (v->dtype == CNN_FLOAT32 && cnn_shape_elements(&v->shape, &elements) &&
                  elements == count);
}

static bool read_layer(const graph *g, const graph_node *node, layer_step *out) {
    const graph_value *x = &g->values[node->inputs[0]];
    size_t elements;
    int axis;
    for (size_t i = 1; i < node->output_count; i++)
        if (node->outputs[i] >= 0) return false;
    if (x->dtype != CNN_FLOAT32 || !cnn_shape_elements(&x->shape, &elements) || elements == 0 ||
        !op_axis(graph_attr_int(node, "axis", -1), x->shape.rank, &axis))
        return false;
    *out = (layer_step){.count = 1, .epsilon = graph_attr_float(node, "epsilon", 1e-5f)};
    for (int i = axis; i < x->shape.rank; i++)
        out->count *= (size_t)x->shape.dims[i];
    out->rows = elements / out->count;
    return fills_row(g, node, 1, out->count) && fills_row(g, node, 2, out->count);
}

bool layer_norm_takes(const graph *g, const graph_node *node) {
    layer_step s;
    return read_layer(g, node, &s);
}

cnn_status layer_norm_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    layer_step s;
    plan_place in, scale, bias = {.buffer = -1}, out;
    bool taken = read_layer(b->g, node, &s), biased = op_input(b->g, node, 2) != NULL;
    assert(taken);
    (void)taken;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_read_plain(b, node->inputs[1], &scale, err);
    if (status == CNN_OK && biased) status = plan_read_plain(b, node->inputs[2], &bias, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    s.kernels = b->kernels;
    s.rows_per_tile = MAX(TILE_FLOATS / s.count, 1);
    if (!plan_add_step(b, "layer_norm", layer_run, DIV_UP(s.rows, s.rows_per_tile), &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(layer_step, in), &in);
    plan_connect_read(b, offsetof(layer_step, scale), &scale);
    if (biased) plan_connect_read(b, offsetof(layer_step, bias), &bias);
    plan_connect_write(b, offsetof(layer_step, out), &out);
    plan_may_overwrite(b, &in, &out);
    return CNN_OK;
}
