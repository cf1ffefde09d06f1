/* Matrix product and its packer against plain loops. */
#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* a is (M, K), b is (K, N) or (N, K), bias (N) or none */
typedef struct product {
    size_t m, n, k, lda, ldo;
    bool transposed, biased;
    guarded a, b, bias;
    act_params act;
} product;

static product product_random(rng *r) {
    product p = {.m = (size_t)rng_int(r, 1, 20), .n = (size_t)rng_int(r, 1, 200)};
    p.k = (size_t)rng_int(r, 1, 300);
    p.lda = p.k + (rng_chance(r, 30) ? (size_t)rng_int(r, 1, 9) : 0);
    p.ldo = p.n + (rng_chance(r, 30) ? (size_t)rng_int(r, 1, 9) : 0);
    p.transposed = rng_chance(r, 50);
    p.biased = rng_chance(r, 70);
    p.act = random_act(r);
    p.a = guarded_create((p.m - 1) * p.lda + p.k, true);
    p.b = guarded_create(p.k * p.n, true);
    p.bias = guarded_create((p.n + 255) / 256 * 256, true);
    rng_fill(r, p.a.data, p.a.count);
    rng_fill(r, p.b.data, p.b.count);
    rng_fill(r, p.bias.data, p.n);
    return p;
}

static void product_free(product *p) {
    guarded_free(&p->a);
    guarded_free(&p->b);
    guarded_free(&p->bias);
}

/* out[i][j] before the activation, and the sum of magnitudes. */
static double product_element(const product *p, size_t i, size_t j, double *scale) {
    double sum = p->biased ? p->bias.data[j] : 0;
    *scale = fabs(sum);
    for (size_t k = 0; k < p->k; k++) {
        float b = p->b.data[p->transposed ? j * p->k + k : k * p->n + j];
        sum += (double)p->a.data[i * p->lda + k] * b;
        *scale += fabs((double)p->a.data[i * p->lda + k] * b);
    }
    return sum;
}

static gemm_args product_args(const product *p, const float *packed, float *out) {
    return (gemm_args){
        .a = p->a.data,
        .packed = packed,
        .bias = p->biased ? p->bias.data : NULL,
        .out = out,
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .lda = p->lda,
        .ldo = p->ldo,
        .act = p->act,
    };
}

/* Whole; then cut into columns and single rows, which must not change a bit. */
static void product_run(const kernel_table *k, const product *p, float *out, float *cut, rng *r) {
    size_t panel = k->gemm_panel();
    guarded packed = guarded_create(gemm_packed_floats(p->k, p->n, panel), true);
    gemm_pack(p->b.data, p->k, p->n, p->transposed, panel, packed.data);
    gemm_args a = product_args(p, packed.data, out);
    k->gemm(&a, 0, p->n);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j0 = 0, j1; j0 < p->n; j0 = j1) {
            size_t columns = panel * (size_t)rng_int(r, 1, 3);
            j1 = MIN(p->n, j0 + columns);
            a = product_args(p, packed.data, cut + i * p->ldo);
            a.a += i * p->lda;
            a.m = 1;
            k->gemm(&a, j0, j1);
        }
    guarded_free(&packed);
}

static void product_check(const kernel_table *k, const product *p, rng *r) {
    guarded out = guarded_create((p->m - 1) * p->ldo + p->n, true);
    guarded cut = guarded_create(out.count, true);
    double error = (4 + 2 * sqrt((double)p->k)) * 0x1p-24;
    product_run(k, p, out.data, cut.data, r);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->ldo && i * p->ldo + j < out.count; j++) {
            float got = out.data[i * p->ldo + j];
            double scale = 0;
            float want = j < p->n ? (float)product_element(p, i, j, &scale) : 0;
            if (j < p->n) kernels_reference.unary(&want, &want, 1, p->act);
            cr_assert(close_enough(got, want, j < p->n ? error * scale + 1e-6 : 0),
                      "%s %zux%zux%zu [%zu][%zu]: got %g, want %g", k->isa, p->m, p->n, p->k, i, j,
                      got, want);
        }
    cr_assert_eq(memcmp(out.data, cut.data, out.count * sizeof(float)), 0, "%s: bits differ",
                 k->isa);
    guarded_free(&out);
    guarded_free(&cut);
}

Test(gemm, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(30);
    for (int i = 0; i < 300; i++) {
        product p = product_random(&r);
        for (size_t t = 0; t < count; t++)
            product_check(all[t], &p, &r);
        product_check(&kernels_reference, &p, &r);
        product_free(&p);
    }
}
