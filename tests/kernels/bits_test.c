/*
 * Bits that no compiler decides: what the kernels with arithmetic beyond sums of products compute
 * from fixed numbers is pinned, bit by bit, for each instruction set. Whoever changes a formula
 * takes over the new sums; a compiler that changes them has joined or parted a multiply-add.
 */
#include "support.h"

#include <criterion/criterion.h>
#include <string.h>

/* FNV-1a. */
static uint64_t hash_floats(uint64_t hash, const float *x, size_t count) {
    const unsigned char *bytes = (const unsigned char *)x;
    for (size_t i = 0; i < count * sizeof *x; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Not a multiple of any vector: the rest behind the last one counts too. */
enum { ROW = 16 * LANES, COUNT = ROW + 5 };

static uint64_t hash_rows(const kernel_table *k, rng *r, uint64_t hash) {
    float in[COUNT], scale[COUNT], bias[COUNT], out[COUNT];
    rng_fill(r, in, COUNT);
    rng_fill(r, scale, COUNT);
    rng_fill(r, bias, COUNT);
    for (activation act = ACT_NONE; act <= ACT_GELU; act++) {
        k->unary(in, out, COUNT, (act_params){act, 0.3f, 0.7f});
        hash = hash_floats(hash, out, COUNT);
    }
    for (int log = 0; log < 2; log++) {
        k->softmax(in, out, COUNT, log);
        hash = hash_floats(hash, out, COUNT);
    }
    k->layer_norm(in, scale, bias, out, COUNT, 1e-3f);
    hash = hash_floats(hash, out, COUNT);
    k->affine_lanes(in, scale, bias, out, ROW, (act_params){ACT_SILU, 0, 0});
    hash = hash_floats(hash, out, ROW);
    float squares = k->reduce_row(in, COUNT, REDUCTION_SQUARES);
    return hash_floats(hash, &squares, 1);
}

/* The floats of planes without a halo. */
static uint64_t hash_tensor(uint64_t hash, const tensor_memory *t) {
    return hash_floats(hash, t->memory.data, t->memory.count);
}

static uint64_t hash_pool(const kernel_table *k, const tensor_memory *in, tensor_memory *out,
                          uint64_t hash) {
    float alpha[2 * LANES];
    for (int i = 0; i < 2 * LANES; i++)
        alpha[i] = (float)i / 32;
    for (pool_kind kind = POOL_MAX; kind <= POOL_WEIBULL; kind++) {
        pool_args a = {
            .in = in->view, .out = out->view, .kind = kind, .bins = true, .alpha = alpha};
        a.p = 3;
        for (int b = 0; b < out->view.blocks; b++)
            k->pool(&a, &(rows_tile){0, b, 0, out->view.h});
        hash = hash_tensor(hash, out);
    }
    return hash;
}

static uint64_t hash_planes(const kernel_table *k, rng *r, uint64_t hash) {
    float scale[2 * LANES] __attribute__((aligned(CNN_ALIGN)));
    float bias[2 * LANES] __attribute__((aligned(CNN_ALIGN)));
    rng_fill(r, scale, 2 * LANES);
    rng_fill(r, bias, 2 * LANES);
    tensor_memory in = tensor_memory_create(1, 27, 7, 9, LANES, (halo){0}, true);
    tensor_memory same = tensor_memory_like(&in);
    tensor_memory small = tensor_memory_create(1, 27, 3, 4, LANES, (halo){0}, true);
    tensor_memory_randomise(&in, r);
    layer_norm_2d_args norm = {in.view, same.view, scale, bias, 1e-3f};
    for (int y = 0; y < in.view.h; y++)
        k->layer_norm_2d(&norm, 0, y, y + 1);
    hash = hash_tensor(hash, &same);
    lrn_args lrn = {
        .in = in.view, .out = same.view, .size = 5, .alpha = 1, .beta = 0.6f, .bias = 1};
    k->lrn(&lrn, 0, 0, in.view.h);
    hash = hash_pool(k, &in, &small, hash_tensor(hash, &same));
    tensor_memory_free(&in);
    tensor_memory_free(&same);
    tensor_memory_free(&small);
    return hash;
}

Test(bits, of_every_instruction_set) {
    static const struct {
        const char *isa;
        uint64_t rows, planes;
    } pinned[] = {
        {"baseline", UINT64_C(0xb12fd9d830d31c6f), UINT64_C(0x0efd468d8f550213)},
        {"avx2", UINT64_C(0x9bcadcd99311b126), UINT64_C(0x26135d47adf6cf4f)},
        {"avx512", UINT64_C(0x981284ef4ea8c43a), UINT64_C(0xad25ed9852ddf3cd)},
    };
    const uint64_t start = UINT64_C(0xcbf29ce484222325);
    const kernel_table *all[4];
    size_t count = tables(all);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < ARRAY_LENGTH(pinned); i++) {
            if (strcmp(all[t]->isa, pinned[i].isa) != 0) continue;
            rng r = rng_seed(30);
            uint64_t rows = hash_rows(all[t], &r, start), planes = hash_planes(all[t], &r, start);
            cr_expect_eq(rows, pinned[i].rows, "%s: rows 0x%016jx", all[t]->isa, (uintmax_t)rows);
            cr_expect_eq(planes, pinned[i].planes, "%s: planes 0x%016jx", all[t]->isa,
                         (uintmax_t)planes);
        }
}
