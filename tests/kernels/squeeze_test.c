/* Squeeze-and-excite, and the sums that depthwise convolutions write for it, against plain loops.
 */
#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static guarded random_floats(rng *r, size_t count) {
    guarded g = guarded_create(count, true);
    rng_fill(r, g.data, count);
    return g;
}

static void check_close(const guarded *got, const guarded *want, double tolerance,
                        const char *what) {
    for (size_t i = 0; i < want->count; i++)
        cr_assert(close_enough(got->data[i], want->data[i], tolerance),
                  "%s, element %zu: %g, not %g", what, i, (double)got->data[i],
                  (double)want->data[i]);
}

/* ---- sums of rows ---- */

/* All tiles; `split`: in pieces of random height. */
static guarded run_sums(const kernel_table *k, const blocked *in, rng *split) {
    guarded sums = guarded_create((size_t)in->n * in->blocks * in->h * LANES, true);
    for (int n = 0; n < in->n; n++)
        for (int b = 0; b < in->blocks; b++)
            for (int y0 = 0, y1; y0 < in->h; y0 = y1) {
                y1 = split ? rng_int(split, y0 + 1, in->h) : in->h;
                k->row_sums(in, &(rows_tile){n, b, y0, y1}, sums.data);
            }
    return sums;
}

Test(squeeze, sums_of_rows) {
    const kernel_table *table[4];
    size_t count = tables(table);
    rng r = rng_seed(31);
    for (int i = 0; i < 100; i++) {
        halo pad = {rng_int(&r, 0, 1), rng_int(&r, 0, 2), 0, rng_int(&r, 0, 1)};
        tensor_memory in =
            tensor_memory_create(rng_int(&r, 1, 2), rng_int(&r, 1, 40), rng_int(&r, 1, 9),
                                 rng_int(&r, 1, 30), LANES, pad, i % 2);
        tensor_memory_randomise(&in, &r);
        guarded want = run_sums(&kernels_reference, &in.view, NULL);
        for (size_t t = 0; t < count; t++) {
            guarded got = run_sums(table[t], &in.view, &r);
            check_close(&got, &want, 1e-5, table[t]->isa);
            guarded_free(&got);
        }
        guarded_free(&want);
        tensor_memory_free(&in);
    }
}

/* ---- sums that depthwise convolutions write ---- */

static void run_depthwise(const kernel_table *k, const depthwise_args *a, rng *split) {
    for (int n = 0; n < a->in.n; n++)
        for (int b = 0; b < a->out.blocks; b++)
            for (int y0 = 0, y1; y0 < a->out.h; y0 = y1) {
                y1 = rng_int(split, y0 + 1, a->out.h);
                k->depthwise(a, &(rows_tile){n, b, y0, y1});
            }
}

/* The results are the same bits with and without sums, and those are what row_sums makes of them.
 */
static void depthwise_case(const kernel_table *k, rng *r, activation act) {
    int c = rng_int(r, 1, 40), h = rng_int(r, 1, 9), w = rng_int(r, 1, 30);
    tensor_memory in = tensor_memory_create(2, c, h, w, LANES, (halo){1, 1, 1, 1}, true);
    tensor_memory with = tensor_memory_create(2, c, h, w, LANES, (halo){0}, true);
    tensor_memory without = tensor_memory_like(&with);
    tensor_memory_randomise(&in, r);
    size_t blocks = (size_t)in.view.blocks;
    guarded weights = random_floats(r, blocks * 9 * LANES), bias = random_floats(r, blocks * LANES);
    guarded sums = guarded_create(2 * blocks * h * LANES, true);
    depthwise_args a = {.in = in.view,
                        .weights = weights.data,
                        .bias = bias.data,
                        .group = 1,
                        .kernel_h = 3,
                        .kernel_w = 3,
                        .stride_h = 1,
                        .stride_w = 1,
                        .dilation_h = 1,
                        .dilation_w = 1,
                        .pad_top = 1,
                        .pad_left = 1,
                        .act = {act, 0.3f, 0.6f}};
    a.out = without.view;
    run_depthwise(k, &a, r);
    a.out = with.view;
    a.sums = sums.data;
    run_depthwise(k, &a, r);
    tensor_memory_check_same(&with, &without, k->isa);
    guarded want = run_sums(&kernels_reference, &with.view, NULL);
    check_close(&sums, &want, 1e-5, k->isa);
    guarded_free(&want);
    guarded_free(&sums);
    guarded_free(&bias);
    guarded_free(&weights);
    tensor_memory_free(&without);
    tensor_memory_free(&with);
    tensor_memory_free(&in);
}

Test(squeeze, sums_of_depthwise_convolutions) {
    const kernel_table *table[4];
    size_t count = tables(table);
    rng r = rng_seed(32);
    for (size_t t = 0; t < count; t++)
        for (int act = ACT_NONE; act <= ACT_GELU; act++)
            for (int i = 0; i < 6; i++)
                depthwise_case(table[t], &r, (activation)act);
}

/* ---- squeeze and gate ---- */

typedef struct squeeze_case {
    squeeze_args a;
    int n, parts;
    guarded sums, squeeze, hidden_bias, excite, gate_bias;
} squeeze_case;

static squeeze_case make_case(rng *r) {
    squeeze_case c = {.n = rng_int(r, 1, 3)};
    squeeze_args *a = &c.a;
    a->blocks = rng_int(r, 1, 12);
    a->part_blocks = rng_int(r, 1, a->blocks);
    a->h = rng_int(r, 1, 20);
    a->pixels = a->h * rng_int(r, 1, 20);
    a->hidden = rng_int(r, 1, 6) * LANES;
    a->hidden_act = random_act(r);
    a->gate_act = random_act(r);
    size_t channels = (size_t)a->blocks * LANES, hidden = (size_t)a->hidden;
    c.parts = DIV_UP(a->blocks, a->part_blocks);
    c.sums = random_floats(r, (size_t)c.n * channels * a->h);
    c.squeeze = random_floats(r, channels * hidden);
    c.hidden_bias = random_floats(r, hidden);
    c.excite = random_floats(r, channels * hidden);
    c.gate_bias = random_floats(r, channels);
    a->sums = c.sums.data;
    a->squeeze = c.squeeze.data;
    a->hidden_bias = c.hidden_bias.data;
    a->excite = c.excite.data;
    a->gate_bias = c.gate_bias.data;
    return c;
}

static void free_case(squeeze_case *c) {
    guarded_free(&c->sums);
    guarded_free(&c->squeeze);
    guarded_free(&c->hidden_bias);
    guarded_free(&c->excite);
    guarded_free(&c->gate_bias);
}

static guarded run_squeeze(const kernel_table *k, const squeeze_case *c, int n) {
    guarded parts = guarded_create((size_t)c->parts * c->a.hidden, true);
    for (int p = 0; p < c->parts; p++)
        k->squeeze(&c->a, n, p, parts.data + (size_t)p * c->a.hidden);
    return parts;
}

static guarded run_gate(const kernel_table *k, const squeeze_case *c, const guarded *parts,
                        rng *split) {
    guarded gate = guarded_create((size_t)c->a.blocks * LANES, true);
    for (int b0 = 0, b1; b0 < c->a.blocks; b0 = b1) {
        b1 = split ? rng_int(split, b0 + 1, c->a.blocks) : c->a.blocks;
        k->gate(&c->a, parts->data, b0, b1, gate.data + (size_t)b0 * LANES);
    }
    return gate;
}

Test(squeeze, gates_of_random_shapes) {
    const kernel_table *table[4];
    size_t count = tables(table);
    rng r = rng_seed(33);
    for (int i = 0; i < 60; i++) {
        squeeze_case c = make_case(&r);
        int n = rng_int(&r, 0, c.n - 1);
        guarded parts = run_squeeze(&kernels_reference, &c, n);
        guarded want = run_gate(&kernels_reference, &c, &parts, NULL);
        for (size_t t = 0; t < count; t++) {
            guarded got_parts = run_squeeze(table[t], &c, n);
            guarded got = run_gate(table[t], &c, &parts, &r);
            check_close(&got_parts, &parts, 1e-4, table[t]->isa);
            check_close(&got, &want, 1e-4, table[t]->isa);
            guarded_free(&got);
            guarded_free(&got_parts);
        }
        guarded_free(&want);
        guarded_free(&parts);
        free_case(&c);
    }
}

Test(squeeze, scaled_rows) {
    const kernel_table *table[4];
    size_t count = tables(table);
    rng r = rng_seed(34);
    for (int i = 0; i < 20; i++) {
        size_t rows = (size_t)rng_int(&r, 1, 40), width = (size_t)rng_int(&r, 1, 4) * LANES;
        guarded in = random_floats(&r, rows * width), scale = random_floats(&r, rows);
        guarded want = guarded_create(rows * width, true);
        kernels_reference.scale_rows(in.data, scale.data, want.data, rows, width);
        for (size_t t = 0; t < count; t++) {
            guarded got = guarded_create(rows * width, true);
            table[t]->scale_rows(in.data, scale.data, got.data, rows, width);
            cr_assert_eq(memcmp(got.data, want.data, rows * width * sizeof(float)), 0, "%s",
                         table[t]->isa);
            guarded_free(&got);
        }
        guarded_free(&want);
        guarded_free(&scale);
        guarded_free(&in);
    }
}
