/*
 * Gemm and MatMul with constant right-hand sides on the matrix kernel (see batched_plan.c for other
 * MatMuls), and Softmax by rows.
 *
 * A tile is a range of columns: the packed weights are read once, which is what bounds a fully
 * connected layer, and each thread reads its own part.
 */
#include "ops/batched_plan.h"
#include "ops/lower.h"

#include <assert.h>
#include <string.h>

#define TILE_WEIGHTS     65536 /* at least that many weights in a tile */
#define TILES_PER_THREAD 4

typedef struct gemm_step {
    gemm_args a;
    const kernel_table *kernels;
    size_t columns; /* in a tile */
} gemm_step;

static void gemm_run(void *args, size_t index) {
    const gemm_step *s = args;
    size_t j0 = index * s->columns;
    s->kernels->gemm(&s->a, j0, MIN(j0 + s->columns, s->a.n));
}

/* out (m, n) = a (m, k) * b + c. */
typedef struct product {
    size_t m, n, k;
    const tensor *b, *c; /* c may be NULL */
    bool transposed;     /* b is (n, k) */
    float alpha, beta;
} product;

typedef struct gemm_packing {
    const float *b;
    size_t k, n, panel;
    bool transposed;
    float alpha; /* factor of b */
} gemm_packing;

static void pack_gemm(const void *arg, float *out) {
    const gemm_packing *p = arg;
    gemm_pack(p->b, p->k, p->n, p->transposed, p->panel, out);
    for (size_t i = 0; p->alpha != 1 && i < gemm_packed_floats(p->k, p->n, p->panel); i++)
        out[i] *= p->alpha;
}

static cnn_status pack_weights(plan_builder *b, const product *p, const float **out,
                               cnn_error *err) {
    gemm_packing packing = {.b = p->b->data,
                            .k = p->k,
                            .n = p->n,
                            .panel = b->kernels->gemm_panel(),
                            .transposed = p->transposed,
                            .alpha = p->alpha};
    size_t geometry[] = {p->k, p->n, packing.panel, p->transposed};
    weight_key key = weight_key_begin("gemm");
    weight_key_add(&key, geometry, sizeof(geometry));
    weight_key_add(&key, &p->alpha, sizeof(p->alpha));
    weight_key_add_tensor(&key, p->b);
    return plan_pack(b, &key, gemm_packed_floats(p->k, p->n, packing.panel), pack_gemm, &packing,
                     sizeof(packing), out, err);
}

static cnn_status lower_product(plan_builder *b, const graph_node *node, const product *p,
                                cnn_error *err) {
    plan_place in, out;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    gemm_step s = {
        .kernels = b->kernels,
        .a = {.m = p->m, .n = p->n, .k = p->k, .lda = p->k, .ldo = p->n, .act = plan_act(node)}};
    size_t panel = b->kernels->gemm_panel();
    if (status == CNN_OK) status = pack_weights(b, p, &s.a.packed, err);
    if (status == CNN_OK && p->c)
        status = plan_pack_vector(b, p->c, p->beta, p->n, panel, &s.a.bias, err);
    if (status != CNN_OK) return status;
    size_t tiles = b->threads == 1 ? 1 : (size_t)b->threads * TILES_PER_THREAD;
    s.columns = MAX(DIV_UP(p->n, tiles), TILE_WEIGHTS / MAX(p->k, 1));
    s.columns = DIV_UP(MAX(s.columns, 1), panel) * panel;
    if (!plan_add_step(b, "gemm", gemm_run, DIV_UP(p->n, s.columns), &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(gemm_step, a.a), &in);
    plan_connect_write(b, offsetof(gemm_step, a.out), &out);
    return CNN_OK;
}

static bool is_matrix(const tensor *t) {
    return t && t->dtype == CNN_FLOAT32 && t->shape.rank == 2 && t->elements > 0;
}

static bool read_gemm(const graph *g, const graph_node *node, product *p) {
    const graph_value *a = &g->values[node->inputs[0]];
    *p = (product){.b = op_constant(g, node, 1),
                   .c = op_constant(g, node, 2),
                   .transposed = graph_attr_int(node, "transB", 0) != 0,
                   .alpha = graph_attr_float(node, "alpha", 1),
                   .beta = graph_attr_float(node, "beta", 1)};
    bool has_c = node->input_count > 2 && node->inputs[2] >= 0;
    size_t elements;
    if (!is_matrix(p->b) || a->dtype != CNN_FLOAT32 || !cnn_shape_elements(&a->shape, &elements) ||
        elements == 0 || (has_c && !p->c) || graph_attr_int(node, "transA", 0))
        return false;
    p->k = (size_t)a->shape.dims[a->shape.rank - 1];
    p->m = elements / p->k;
    p->n = p->b->elements / p->k;
    return !p->c || op_is_bias(p->c, p->n);
}

static bool read_matmul(const graph *g, const graph_node *node, product *p) {
    const graph_value *a = &g->values[node->inputs[0]];
    size_t elements;
    *p = (product){.b = op_constant(g, node, 1), .alpha = 1, .beta = 1};
    if (!is_matrix(p->b) || a->dtype != CNN_FLOAT32 || !cnn_shape_elements(&a->shape, &elements) ||
        elements == 0)
        return false;
    p->k = (size_t)p->b->shape.dims[0];
    p->n = (size_t)p->b->shape.dims[1];
    p->m = elements / p->k;
    return true;
}

static bool read_product(const graph *g, const graph_node *node, product *p) {
    return strcmp(node->op->name, "Gemm") == 0 ? read_gemm(g, node, p) : read_matmul(g, node, p);
}

bool gemm_takes(const graph *g, const graph_node *node) {
    product p;
    return read_product(g, node, &p);
}

cnn_status gemm_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    product p;
    bool taken = read_product(b->g, node, &p);
    assert(taken);
    (void)taken;
    return lower_product(b, node, &p, err);
}

bool matmul_takes(const graph *g, const graph_node *node) {
    return gemm_takes(g, node) || batched_takes(g, node);
}

cnn_status matmul_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    return gemm_takes(b->g, node) ? gemm_lower(b, node, err) : batched_lower(b, node, err);
}

/* ---- softmax ---- */

typedef struct softmax_step {
    const float *in;
    float *out;
    size_t count; /* in a row */
    bool log;
    const kernel_table *kernels;
} softmax_step;

static void softmax_run(void *args, size_t index) {
    const softmax_step *s = args;
    s->kernels->softmax(s->in + index * s->count, s->out + index * s->count, s->count, s->log);
}

/* Elements of a row, if rows are contiguous; 0 if not. Before version 13 the axis begins a row. */
static size_t softmax_row(const graph_node *node, const cnn_shape *shape) {
    bool flattens = node->op->since < 13;
    int axis;
    if (!op_axis(graph_attr_int(node, "axis", flattens ? 1 : -1), shape->rank, &axis)) return 0;
    size_t row = 1;
    for (int i = axis; i < shape->rank; i++) {
        if (i > axis && !flattens && shape->dims[i] != 1) return 0;
        row *= (size_t)shape->dims[i];
    }
    return row;
}

bool softmax_takes(const graph *g, const graph_node *node) {
    const graph_value *v = &g->values[node->inputs[0]];
    return v->dtype == CNN_FLOAT32 && softmax_row(node, &v->shape) > 0;
}

cnn_status softmax_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    const cnn_shape *shape = &b->g->values[node->inputs[0]].shape;
    softmax_step s = {.count = softmax_row(node, shape),
                      .log = strcmp(node->op->name, "LogSoftmax") == 0,
                      .kernels = b->kernels};
    size_t elements = 0;
    cnn_shape_elements(shape, &elements);
    assert(s.count > 0);
    plan_place in, out;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    if (!plan_add_step(b, "softmax", softmax_run, elements / s.count, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(softmax_step, in), &in);
    plan_connect_write(b, offsetof(softmax_step, out), &out);
    return CNN_OK;
}
