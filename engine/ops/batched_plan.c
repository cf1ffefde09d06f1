/*
 * MatMul of two activations, such as the products in attention: every second operand is packed by
 * one step, and multiplied on the matrix kernel by the next. A tile is a stretch of columns of one
 * product.
 */
#include "ops/batched_plan.h"

#include "ops/eval.h"
#include "ops/matmul.h"

#include <assert.h>

#define TILE_MACS 262144

typedef struct pack_step {
    const float *b;
    float *packed;
    size_t k, n, panel;
} pack_step;

static void pack_run(void *args, size_t index) {
    const pack_step *s = args;
    gemm_pack(s->b + index * s->k * s->n, s->k, s->n, false, s->panel,
              s->packed + index * gemm_packed_floats(s->k, s->n, s->panel));
}

typedef struct batched_step {
    const float *a, *packed;
    float *out;
    view of_a, of_b; /* which matrix of each a product takes */
    size_t m, n, k, packed_floats;
    size_t columns, splits; /* columns of a tile, tiles of a product */
    act_params act;
    const kernel_table *kernels;
} batched_step;

static void batched_run(void *args, size_t index) {
    const batched_step *s = args;
    size_t product = index / s->splits, j0 = index % s->splits * s->columns, a, b;
    view_offsets(&s->of_a, product, 1, &a);
    view_offsets(&s->of_b, product, 1, &b);
    gemm_args g = {.a = s->a + a * s->m * s->k,
                   .packed = s->packed + b * s->packed_floats,
                   .out = s->out + product * s->m * s->n,
                   .m = s->m,
                   .n = s->n,
                   .k = s->k,
                   .lda = s->k,
                   .ldo = s->n,
                   .act = s->act};
    s->kernels->gemm(&g, j0, MIN(j0 + s->columns, s->n));
}

static bool read_shapes(const graph *g, const graph_node *node, matmul *out) {
    const graph_value *a = &g->values[node->inputs[0]], *b = &g->values[node->inputs[1]];
    return a->dtype == CNN_FLOAT32 && b->dtype == CNN_FLOAT32 &&
           matmul_read(&a->shape, &b->shape, out);
}

bool batched_takes(const graph *g, const graph_node *node) {
    matmul p;
    size_t elements;
    return read_shapes(g, node, &p) && p.k > 0 &&
           cnn_shape_elements(&g->values[node->outputs[0]].shape, &elements) && elements > 0;
}

static cnn_status add_packing(plan_builder *b, const matmul *p, const plan_place *in,
                              plan_place *out, cnn_error *err) {
    cnn_shape leading = matmul_leading(&p->b);
    pack_step s = {.k = (size_t)p->k, .n = (size_t)p->n, .panel = b->kernels->gemm_panel()};
    size_t count = 0, bytes;
    cnn_shape_elements(&leading, &count);
    /* what does not fit is refused by plan_scratch */
    if (!cnn_mul_size(gemm_packed_floats(s.k, s.n, s.panel), sizeof(float) * count, &bytes))
        bytes = SIZE_MAX;
    cnn_status status = plan_scratch(b, bytes, out, err);
    if (status != CNN_OK) return status;
    if (!plan_add_step(b, "pack", pack_run, count, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(pack_step, b), in);
    plan_connect_write(b, offsetof(pack_step, packed), out);
    return CNN_OK;
}

cnn_status batched_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    matmul p;
    plan_place in[2], scratch, out;
    bool taken = read_shapes(b->g, node, &p);
    assert(taken);
    (void)taken;
    cnn_status status = plan_read_plain(b, node->inputs[0], &in[0], err);
    if (status == CNN_OK) status = plan_read_plain(b, node->inputs[1], &in[1], err);
    if (status == CNN_OK) status = add_packing(b, &p, &in[1], &scratch, err);
    if (status == CNN_OK) status = plan_write_plain(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    cnn_shape leading_a = matmul_leading(&p.a), leading_b = matmul_leading(&p.b);
    batched_step s = {.of_a = view_broadcast(&leading_a, &p.batch),
                      .of_b = view_broadcast(&leading_b, &p.batch),
                      .m = (size_t)p.m,
                      .n = (size_t)p.n,
                      .k = (size_t)p.k,
                      .act = plan_act(node),
                      .kernels = b->kernels};
    size_t panel = b->kernels->gemm_panel();
    s.packed_floats = gemm_packed_floats(s.k, s.n, panel);
    s.columns = DIV_UP(MAX(TILE_MACS / (s.m * s.k), 1), panel) * panel;
    s.splits = DIV_UP(s.n, s.columns);
    if (!plan_add_step(b, "gemm", batched_run, s.of_a.count * s.splits, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read(b, offsetof(batched_step, a), &in[0]);
    plan_connect_read(b, offsetof(batched_step, packed), &scratch);
    plan_connect_write(b, offsetof(batched_step, out), &out);
    return CNN_OK;
}
