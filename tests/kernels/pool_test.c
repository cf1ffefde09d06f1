/* Pooling with windows and normalisation across channels against the reference. */
#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Any kind, and how far off its results may be: relative, and for each cell of a window. */
typedef struct pool_bounds {
    pool_kind kind;
    int p;
    double relative, each_cell;
} pool_bounds;

static const pool_bounds cheap[] = {{POOL_MAX, 0, 0, 0},           {POOL_SUM, 0, 0, 0x1p-22},
                                    {POOL_AVERAGE, 0, 0, 0x1p-22}, {POOL_LP, 1, 4e-6, 0},
                                    {POOL_LP, 2, 4e-6, 0},         {POOL_LP, 3, 4e-6, 0},
                                    {POOL_LP, 70, 4e-6, 0},        {POOL_MIXED, 0, 0, 0x1p-22},
                                    {POOL_STOCHASTIC, 0, 4e-6, 0}, {POOL_ENTROPY, 0, 4e-6, 4e-6}};
static const pool_bounds fits[] = {{POOL_GAMMA, 0, 1e-5, 0}, {POOL_WEIBULL, 0, 1e-5, 0}};

/* In tiles of random rows; r NULL: in one. */
static void pool_run(const kernel_table *k, const pool_args *a, rng *r) {
    for (int n = 0; n < a->in.n; n++)
        for (int b = 0; b < a->out.blocks; b++)
            for (int y0 = 0, y1; y0 < a->out.h; y0 = y1) {
                y1 = r ? rng_int(r, y0 + 1, a->out.h) : a->out.h;
                k->pool(a, &(rows_tile){n, b, y0, y1});
            }
}

/* The results of one run. */
typedef struct pool_memory {
    tensor_memory out, scale;
    int64_t *indices;
    size_t count;
} pool_memory;

static pool_memory pool_memory_create(const pool_args *a, halo pad) {
    pool_memory m = {.count = (size_t)a->in.n * a->in.c * a->out.h * a->out.w};
    m.out = tensor_memory_create(a->in.n, a->in.c, a->out.h, a->out.w, LANES, pad, true);
    m.scale = tensor_memory_like(&m.out);
    m.indices = calloc(m.count, sizeof *m.indices);
    tensor_memory_mark(&m.out);
    tensor_memory_mark(&m.scale);
    return m;
}

static void pool_memory_free(pool_memory *m) {
    tensor_memory_free(&m->out);
    tensor_memory_free(&m->scale);
    free(m->indices);
}

/* Runs with both outputs if the kind has two and `second`. */
static void pool_into(const kernel_table *k, pool_args a, pool_memory *m, bool second, rng *r) {
    a.out = m->out.view;
    if (second && a.kind == POOL_MAX) a.indices = m->indices;
    if (second && (a.kind == POOL_GAMMA || a.kind == POOL_WEIBULL)) a.scale = m->scale.view;
    pool_run(k, &a, r);
}

static void check_finite_beyond(const tensor_memory *t, const char *what) {
    const blocked *v = &t->view;
    for (int n = 0; n < v->n; n++)
        for (int y = 0; y < v->h; y++)
            for (int x = 0; x < v->w; x++)
                for (int l = (v->c - 1) % LANES + 1; l < LANES; l++)
                    cr_assert(isfinite(tensor_memory_pixel(t, n, v->blocks - 1, y, x)[l]),
                              "%s: lane %d beyond %d channels", what, l, v->c);
}

static void pool_case(pool_args a, const pool_bounds *bounds, rng *r) {
    const kernel_table *all[4];
    size_t count = tables(all);
    halo pad = {rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1)};
    bool second = rng_chance(r, 50);
    int cells = a.bins ? a.in.h * a.in.w : a.kernel_h * a.kernel_w;
    double absolute = bounds->each_cell * cells;
    a.kind = bounds->kind;
    a.p = bounds->p;
    pool_memory want = pool_memory_create(&a, pad);
    pool_into(&kernels_reference, a, &want, second, NULL);
    for (size_t t = 0; t < count; t++) {
        char text[200];
        snprintf(text, sizeof text,
                 "%s kind %d p %d %dx%d bins %d k%dx%d s%dx%d d%dx%d pads %d,%d,%d,%d include %d",
                 all[t]->isa, a.kind, a.p, a.in.h, a.in.w, a.bins, a.kernel_h, a.kernel_w,
                 a.stride_h, a.stride_w, a.dilation_h, a.dilation_w, a.pad_top, a.pad_left,
                 a.pad_bottom, a.pad_right, a.count_include_pad);
        pool_memory got = pool_memory_create(&a, pad), tiled = pool_memory_create(&a, pad);
        pool_into(all[t], a, &got, second, NULL);
        pool_into(all[t], a, &tiled, second, r);
        tensor_memory_check_halo(&got.out, text);
        tensor_memory_check_close(&got.out, &want.out, NULL, bounds->relative, absolute, text);
        tensor_memory_check_same(&got.out, &tiled.out, text);
        tensor_memory_check_halo(&got.scale, text);
        tensor_memory_check_close(&got.scale, &want.scale, NULL, bounds->relative, absolute, text);
        cr_assert_eq(memcmp(got.indices, want.indices, got.count * sizeof *got.indices), 0,
                     "%s: indices", text);
        if (a.kind <= POOL_AVERAGE && isfinite(a.in.data[0])) check_finite_beyond(&got.out, text);
        pool_memory_free(&got);
        pool_memory_free(&tiled);
    }
    pool_memory_free(&want);
}

/* Bins in place of sliding windows, sometimes one. */
static void random_bins(pool_args *a, rng *r) {
    bool global = rng_chance(r, 30);
    a->bins = true;
    a->out.h = global ? 1 : rng_int(r, 1, a->in.h + 2);
    a->out.w = global ? 1 : rng_int(r, 1, a->in.w + 2);
}

Test(pool, random_shapes) {
    rng r = rng_seed(10);
    for (int i = 0; i < 400; i++) {
        pool_args a = random_pool(&r);
        int c = rng_int(&r, 1, 40);
        tensor_memory in = random_input(&r, c, a.in.h, a.in.w);
        guarded alpha = guarded_create((size_t)in.view.blocks * LANES, true);
        rng_fill(&r, alpha.data, alpha.count);
        const pool_bounds *bounds = &cheap[(size_t)i % ARRAY_LENGTH(cheap)];
        a.in = in.view;
        a.alpha = alpha.data;
        a.column_major = rng_chance(&r, 30);
        if (rng_chance(&r, 40)) random_bins(&a, &r);
        if (bounds->kind == POOL_MAX && rng_chance(&r, 50)) { /* skips NaN */
            tensor_memory_pixel(&in, 0, 0, 0, 0)[0] = NAN;
            tensor_memory_pixel(&in, 0, 0, a.in.h - 1, a.in.w - 1)[0] = INFINITY;
        }
        pool_case(a, bounds, &r);
        guarded_free(&alpha);
        tensor_memory_free(&in);
    }
}

/* Numbers of any size and spread, down to nearly equal ones; some are no part of the sample. */
static void fill_positive(rng *r, tensor_memory *in) {
    double size = pow(10, rng_int(r, -4, 4)), spread = pow(10, -0.5 * rng_int(r, -1, 14));
    for (size_t i = 0; i < in->memory.count; i++) {
        in->memory.data[i] = (float)(size * exp(spread * rng_float(r)));
        if (rng_chance(r, 5)) in->memory.data[i] = rng_chance(r, 50) ? 0 : -in->memory.data[i];
    }
}

Test(pool, likelihood) {
    rng r = rng_seed(13);
    for (int i = 0; i < 120; i++) {
        pool_args a = random_pool(&r);
        if (a.in.h * a.in.w > 60) continue;
        tensor_memory in = random_input(&r, rng_int(&r, 1, 20), a.in.h, a.in.w);
        a.in = in.view;
        if (rng_chance(&r, 80)) fill_positive(&r, &in);
        if (rng_chance(&r, 20)) random_bins(&a, &r);
        pool_case(a, &fits[(size_t)i % 2], &r);
        tensor_memory_free(&in);
    }
}

/* Where squares would leave the range of float32, and where logarithms meet the least numbers. */
Test(pool, extremes) {
    static const struct {
        pool_kind kind;
        int p;
        float x[2];
        double want;
    } cases[] = {
        {POOL_LP, 3, {3e30f, 4e30f}, 4.4979414452754e30},
        {POOL_LP, 5, {1e-30f, 0}, 1e-30},
        {POOL_LP, 3, {0, 0}, 0},
        {POOL_LP, 3, {-INFINITY, 1}, INFINITY},
        {POOL_LP, 3, {NAN, 1}, NAN},
        {POOL_LP, 2, {NAN, 1}, NAN},
        {POOL_SUM, 0, {NAN, 1}, NAN},
        {POOL_STOCHASTIC, 0, {NAN, 3}, 3},
        {POOL_STOCHASTIC, 0, {-1, NAN}, 0},
        {POOL_ENTROPY, 0, {0x1p-126f, 0x1p-126f}, 0.69314718},
        {POOL_ENTROPY, 0, {0x1p-127f, 1}, 0},
        {POOL_ENTROPY, 0, {INFINITY, 1}, NAN},
        {POOL_ENTROPY, 0, {NAN, -1}, 0},
        {POOL_GAMMA, 0, {2, 2}, 1e6},
        {POOL_GAMMA, 0, {NAN, INFINITY}, 0},
        {POOL_WEIBULL, 0, {-1, 5}, 1e6},
        {POOL_WEIBULL, 0, {0, 0}, 0},
    };
    const kernel_table *all[4];
    size_t count = tables(all);
    tensor_memory in = tensor_memory_create(1, 1, 1, 2, LANES, (halo){0}, true);
    tensor_memory out = tensor_memory_create(1, 1, 1, 1, LANES, (halo){0}, true);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t t = 0; t < count; t++) {
            pool_args a = {.in = in.view, .out = out.view, .bins = true};
            a.kind = cases[i].kind;
            a.p = cases[i].p;
            in.memory.data[0] = cases[i].x[0];
            in.memory.data[LANES] = cases[i].x[1];
            all[t]->pool(&a, &(rows_tile){0, 0, 0, 1});
            cr_expect(
                close_enough(out.memory.data[0], (float)cases[i].want, 1e-5 * fabs(cases[i].want)),
                "%s, case %zu: %g, not %g", all[t]->isa, i, out.memory.data[0], cases[i].want);
        }
    tensor_memory_free(&in);
    tensor_memory_free(&out);
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
        all[t]->pool(&a, &(rows_tile){0, 0, 0, 1});
        for (int l = 0; l < LANES; l++)
            cr_assert_eq(out.view.data[l], l == 3 ? -INFINITY : -(float)l);
        tensor_memory_free(&in);
        tensor_memory_free(&out);
    }
}

/* A window in the padding: the channels get -infinity, the lanes beyond them do not. */
Test(pool, maximum_of_padding) {
    const kernel_table *all[4];
    size_t count = tables(all);
    tensor_memory in = tensor_memory_create(1, 3, 1, 1, LANES, (halo){0}, true);
    tensor_memory out = tensor_memory_create(1, 3, 1, 2, LANES, (halo){0}, true);
    for (size_t t = 0; t < count; t++) {
        pool_args a = {.in = in.view, .out = out.view, .kernel_h = 1, .kernel_w = 1};
        a.stride_h = a.stride_w = a.dilation_h = a.dilation_w = a.pad_left = 1;
        all[t]->pool(&a, &(rows_tile){0, 0, 0, 1});
        for (int l = 0; l < LANES; l++)
            cr_expect_eq(out.view.data[l], l < 3 ? -INFINITY : 0, "%s lane %d", all[t]->isa, l);
    }
    tensor_memory_free(&in);
    tensor_memory_free(&out);
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

/* ---- layer normalisation of pixels ---- */

/* In place too, where input and output have the same halo. */
static void layer_norm_2d_case(const kernel_table *k, layer_norm_2d_args *a, tensor_memory *in,
                               rng *r) {
    halo pad = {rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1)};
    if (rng_chance(r, 50)) pad = (halo){0};
    tensor_memory out = tensor_memory_create(a->in.n, a->in.c, a->in.h, a->in.w, LANES, pad, true);
    tensor_memory tiled = tensor_memory_like(&out), want = tensor_memory_like(&out);
    tensor_memory_mark(&out);
    tensor_memory_mark(&tiled);
    for (int n = 0; n < a->in.n; n++) {
        a->out = want.view;
        kernels_reference.layer_norm_2d(a, n, 0, a->in.h);
        a->out = out.view;
        k->layer_norm_2d(a, n, 0, a->in.h);
        a->out = tiled.view;
        for (int y0 = 0, y1; y0 < a->in.h; y0 = y1) {
            y1 = rng_int(r, y0 + 1, a->in.h);
            k->layer_norm_2d(a, n, y0, y1);
        }
    }
    tensor_memory_check_halo(&out, k->isa);
    tensor_memory_check_close(&out, &want, NULL, 5e-6, 5e-6, k->isa);
    tensor_memory_check_same(&out, &tiled, k->isa);
    tensor_memory same = tensor_memory_like(in), in_place = tensor_memory_like(in);
    tensor_memory_copy(&same, in);
    tensor_memory_copy(&in_place, in);
    for (int n = 0; n < a->in.n; n++) {
        a->out = same.view;
        k->layer_norm_2d(a, n, 0, a->in.h);
        layer_norm_2d_args over = *a;
        over.in = over.out = in_place.view;
        k->layer_norm_2d(&over, n, 0, a->in.h);
    }
    tensor_memory_check_same(&in_place, &same, k->isa);
    tensor_memory_free(&out);
    tensor_memory_free(&tiled);
    tensor_memory_free(&want);
    tensor_memory_free(&same);
    tensor_memory_free(&in_place);
}

Test(layer_norm_2d, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(13);
    for (int i = 0; i < 150; i++) {
        int c = rng_chance(&r, 30) ? LANES * rng_int(&r, 1, 6) : rng_int(&r, 1, 100);
        tensor_memory in = random_input(&r, c, rng_int(&r, 1, 6), rng_int(&r, 1, 20));
        size_t lanes = (size_t)in.view.blocks * LANES;
        guarded scale = guarded_create(lanes, true), bias = guarded_create(lanes, true);
        rng_fill(&r, scale.data, (size_t)c);
        if (rng_chance(&r, 80)) rng_fill(&r, bias.data, (size_t)c);
        layer_norm_2d_args a = {
            .in = in.view, .scale = scale.data, .bias = bias.data, .epsilon = 1e-3f};
        for (size_t t = 0; t < count; t++)
            layer_norm_2d_case(all[t], &a, &in, &r);
        guarded_free(&scale);
        guarded_free(&bias);
        tensor_memory_free(&in);
    }
}

/* Numbers far from 0 keep their differences, and lanes that are no channels their place. */
Test(layer_norm_2d, large_mean_and_wild_lanes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    _Alignas(CNN_ALIGN) float scale[LANES] = {1, 1}, bias[LANES] = {0};
    tensor_memory in = tensor_memory_create(1, 2, 1, 1, LANES, (halo){0}, true);
    tensor_memory out = tensor_memory_like(&in);
    for (int l = 0; l < LANES; l++)
        in.view.data[l] = l < 2 ? 4096.0f + (float)l : l % 2 ? 3e38f : -3e38f;
    for (size_t t = 0; t < count; t++) {
        layer_norm_2d_args a = {in.view, out.view, scale, bias, 0};
        all[t]->layer_norm_2d(&a, 0, 0, 1);
        for (int l = 0; l < LANES; l++)
            cr_expect_eq(out.view.data[l], l == 0 ? -1 : l == 1, "%s lane %d", all[t]->isa, l);
    }
    tensor_memory_free(&in);
    tensor_memory_free(&out);
}
