/* Pooling and local response normalisation against the reference. */
#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

/* A tensor of n images with random halos; the halo of an input holds NaN, which pooling must not
 * touch: it clips windows to the image. */
static tensor_memory random_input(rng *r, int c, int h, int w) {
    halo pad = {rng_int(r, 0, 2), rng_int(r, 0, 2), rng_int(r, 0, 2), rng_int(r, 0, 2)};
    if (rng_chance(r, 50)) pad = (halo){0};
    tensor_memory t =
        tensor_memory_create(rng_int(r, 1, 2), c, h, w, LANES, pad, rng_chance(r, 70));
    tensor_memory_mark(&t);
    for (int n = 0; n < t.view.n; n++)
        for (int b = 0; b < t.view.blocks; b++)
            for (int y = 0; y < h; y++)
                rng_fill(r, tensor_memory_pixel(&t, n, b, y, 0), (size_t)w * LANES);
    return t;
}

/* ONNX' output extent. In ceil mode PyTorch drops windows that begin behind the image; ONNX may
 * keep them. */
static int pooled_extent(int in, int before, int after, int kernel, int stride, int dilation,
                         bool ceil_mode) {
    int span = in + before + after - (kernel - 1) * dilation - 1;
    return span < 0 ? 0 : (ceil_mode ? (span + stride - 1) / stride : span / stride) + 1;
}

static pool_args random_pool(rng *r) {
    pool_args a;
    do {
        a = (pool_args){.kernel_h = rng_int(r, 1, 5), .stride_h = rng_int(r, 1, 3)};
        bool square = rng_chance(r, 70), ceil_mode = rng_chance(r, 40);
        a.kernel_w = square ? a.kernel_h : rng_int(r, 1, 5);
        a.stride_w = square ? a.stride_h : rng_int(r, 1, 3);
        a.dilation_h = rng_chance(r, 80) ? 1 : rng_int(r, 2, 3);
        a.dilation_w = rng_chance(r, 80) ? 1 : rng_int(r, 2, 3);
        a.pad_top = rng_int(r, 0, a.kernel_h - 1);
        a.pad_left = rng_int(r, 0, a.kernel_w - 1);
        a.pad_bottom = rng_int(r, 0, a.kernel_h - 1);
        a.pad_right = rng_int(r, 0, a.kernel_w - 1);
        a.count_include_pad = rng_chance(r, 50);
        a.in.h = rng_int(r, 1, 20);
        a.in.w = rng_int(r, 1, 40);
        a.out.h = pooled_extent(a.in.h, a.pad_top, a.pad_bottom, a.kernel_h, a.stride_h,
                                a.dilation_h, ceil_mode);
        a.out.w = pooled_extent(a.in.w, a.pad_left, a.pad_right, a.kernel_w, a.stride_w,
                                a.dilation_w, ceil_mode);
    } while (a.out.h < 1 || a.out.w < 1);
    return a;
}

typedef void pool_fn(const pool_args *a, const rows_tile *t);

/* In tiles of random rows; r NULL: in one. */
static void pool_run(pool_fn *fn, const pool_args *a, rng *r) {
    for (int n = 0; n < a->in.n; n++)
        for (int b = 0; b < a->out.blocks; b++)
            for (int y0 = 0, y1; y0 < a->out.h; y0 = y1) {
                y1 = r ? rng_int(r, y0 + 1, a->out.h) : a->out.h;
                fn(a, &(rows_tile){n, b, y0, y1});
            }
}

static void pool_case(pool_args *a, pool_fn *fn, pool_fn *reference, const char *isa, rng *r) {
    char text[200];
    snprintf(text, sizeof text, "%s %dx%d k%dx%d s%dx%d d%dx%d pads %d,%d,%d,%d include %d", isa,
             a->in.h, a->in.w, a->kernel_h, a->kernel_w, a->stride_h, a->stride_w, a->dilation_h,
             a->dilation_w, a->pad_top, a->pad_left, a->pad_bottom, a->pad_right,
             a->count_include_pad);
    halo pad = {rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1)};
    tensor_memory out =
        tensor_memory_create(a->in.n, a->in.c, a->out.h, a->out.w, LANES, pad, true);
    tensor_memory tiled = tensor_memory_like(&out), want = tensor_memory_like(&out);
    tensor_memory_mark(&out);
    tensor_memory_mark(&tiled);
    a->out = want.view;
    pool_run(reference, a, NULL);
    a->out = out.view;
    pool_run(fn, a, NULL);
    a->out = tiled.view;
    pool_run(fn, a, r);
    tensor_memory_check_halo(&out, text);
    tensor_memory_check_close(&out, &want, NULL, 0, 25 * 0x1p-22, text);
    tensor_memory_check_same(&out, &tiled, text);
    tensor_memory_free(&out);
    tensor_memory_free(&tiled);
    tensor_memory_free(&want);
}

Test(pool, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(10);
    for (int i = 0; i < 300; i++) {
        pool_args a = random_pool(&r);
        tensor_memory in = random_input(&r, rng_int(&r, 1, 40), a.in.h, a.in.w);
        a.in = in.view;
        if (rng_chance(&r, 10)) { /* maximum passes infinities and skips NaN */
            tensor_memory_pixel(&in, 0, 0, 0, 0)[0] = NAN;
            tensor_memory_pixel(&in, 0, 0, a.in.h - 1, a.in.w - 1)[0] = INFINITY;
        }
        for (size_t t = 0; t < count; t++) {
            pool_case(&a, all[t]->pool_max, kernels_reference.pool_max, all[t]->isa, &r);
            pool_case(&a, all[t]->pool_average, kernels_reference.pool_average, all[t]->isa, &r);
        }
        tensor_memory_free(&in);
    }
}

Test(pool, maximum_of_nothing_but_nan) {
    const kernel_table *all[4];
    size_t count = tables(all);
    for (size_t t = 0; t < count; t++) {
        tensor_memory in = tensor_memory_create(1, 16, 2, 2, LANES, (halo){0}, true);
        tensor_memory out = tensor_memory_create(1, 16, 1, 1, LANES, (halo){0}, true);
        for (size_t i = 0; i < in.memory.count; i++)
            in.memory.data[i] = i % LANES == 3 ? NAN : -(float)i;
        pool_args a = {.in = in.view, .out = out.view, .kernel_h = 2, .kernel_w = 2};
        a.stride_h = a.stride_w = a.dilation_h = a.dilation_w = 1;
        all[t]->pool_max(&a, &(rows_tile){0, 0, 0, 1});
        for (int l = 0; l < LANES; l++)
            cr_assert_eq(out.view.data[l], l == 3 ? -INFINITY : -(float)l);
        tensor_memory_free(&in);
        tensor_memory_free(&out);
    }
}

Test(pool, global) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(11);
    for (int i = 0; i < 200; i++) {
        tensor_memory in =
            random_input(&r, rng_int(&r, 1, 40), rng_int(&r, 1, 16), rng_int(&r, 1, 16));
        guarded got = guarded_create(LANES, true);
        float want[LANES];
        int b = rng_int(&r, 0, in.view.blocks - 1), n = in.view.n - 1;
        for (size_t t = 0; t < count; t++) {
            kernels_reference.global_average(&in.view, n, b, want);
            all[t]->global_average(&in.view, n, b, got.data);
            for (int l = 0; l < LANES; l++)
                cr_assert(close_enough(got.data[l], want[l], 1e-6), "%s average", all[t]->isa);
            kernels_reference.global_max(&in.view, n, b, want);
            all[t]->global_max(&in.view, n, b, got.data);
            for (int l = 0; l < LANES; l++)
                cr_assert_eq(got.data[l], want[l], "%s maximum", all[t]->isa);
        }
        guarded_free(&got);
        tensor_memory_free(&in);
    }
}

static void lrn_case(const kernel_table *k, lrn_args *a, rng *r) {
    halo pad = {rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1)};
    tensor_memory out = tensor_memory_create(a->in.n, a->in.c, a->in.h, a->in.w, LANES, pad, true);
    tensor_memory tiled = tensor_memory_like(&out), want = tensor_memory_like(&out);
    tensor_memory_mark(&out);
    tensor_memory_mark(&tiled);
    for (int n = 0; n < a->in.n; n++) {
        a->out = want.view;
        kernels_reference.lrn(a, n, 0, a->in.h);
        a->out = out.view;
        k->lrn(a, n, 0, a->in.h);
        a->out = tiled.view;
        for (int y = 0; y < a->in.h; y++)
            k->lrn(a, n, y, y + 1);
    }
    tensor_memory_check_halo(&out, k->isa);
    tensor_memory_check_close(&out, &want, NULL, 5e-6, 1e-7, k->isa);
    tensor_memory_check_same(&out, &tiled, k->isa);
    tensor_memory_free(&out);
    tensor_memory_free(&tiled);
    tensor_memory_free(&want);
}

Test(lrn, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(12);
    for (int i = 0; i < 150; i++) {
        tensor_memory in =
            random_input(&r, rng_int(&r, 1, 60), rng_int(&r, 1, 6), rng_int(&r, 1, 40));
        lrn_args a = {.in = in.view, .size = rng_int(&r, 1, LRN_MAX_SIZE)};
        a.alpha = rng_chance(&r, 50) ? 1e-4f : 2.0f;
        a.beta = rng_chance(&r, 50) ? 0.75f : 0.3f + 0.1f * (float)rng_int(&r, 0, 10);
        a.bias = rng_chance(&r, 50) ? 1.0f : 2.0f;
        for (size_t t = 0; t < count; t++)
            lrn_case(all[t], &a, &r);
        tensor_memory_free(&in);
    }
}
