/* Wavelets, unpooling and pooling over regions against the reference. */
#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static halo random_halo(rng *r) {
    return (halo){rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1)};
}

/* Random numbers, NaN in the halo, which none of these kernels may read. */
static tensor_memory random_input(rng *r, int n) {
    tensor_memory t =
        tensor_memory_create(n, rng_int(r, 1, 40), rng_int(r, 1, 12), rng_int(r, 1, 20), LANES,
                             random_halo(r), rng_chance(r, 70));
    tensor_memory_mark(&t);
    for (int i = 0; i < n; i++)
        for (int b = 0; b < t.view.blocks; b++)
            for (int y = 0; y < t.view.h; y++)
                rng_fill(r, tensor_memory_pixel(&t, i, b, y, 0), (size_t)t.view.w * LANES);
    return t;
}

static tensor_memory marked_like(const tensor_memory *t) {
    tensor_memory m = tensor_memory_like(t);
    tensor_memory_mark(&m);
    return m;
}

/* ---- wavelets ---- */

static void wavelet_run(const kernel_table *k, wavelet_args a, tensor_memory *bands, int wanted,
                        rng *r) {
    for (int i = 0; i < WAVELET_BANDS; i++) {
        a.out[i] = bands[i].view;
        if (!(wanted >> i & 1)) a.out[i].data = NULL;
    }
    for (int n = 0; n < a.in.n; n++)
        for (int b = 0; b < a.in.blocks; b++)
            for (int y0 = 0, y1; y0 < bands[0].view.h; y0 = y1) {
                y1 = r ? rng_int(r, y0 + 1, bands[0].view.h) : bands[0].view.h;
                k->wavelet(&a, &(rows_tile){n, b, y0, y1});
            }
}

static void wavelet_case(const kernel_table *k, const wavelet_args *a, rng *r) {
    tensor_memory want[WAVELET_BANDS], got[WAVELET_BANDS], tiled[WAVELET_BANDS];
    int wanted = rng_int(r, 1, 15);
    halo pad = random_halo(r);
    for (int i = 0; i < WAVELET_BANDS; i++) {
        want[i] = tensor_memory_create(a->in.n, a->in.c, (a->in.h + 1) / 2, (a->in.w + 1) / 2,
                                       LANES, pad, true);
        tensor_memory_mark(&want[i]);
        got[i] = marked_like(&want[i]);
        tiled[i] = marked_like(&want[i]);
    }
    wavelet_run(&kernels_reference, *a, want, wanted, NULL);
    wavelet_run(k, *a, got, wanted, NULL);
    wavelet_run(k, *a, tiled, wanted, r);
    for (int i = 0; i < WAVELET_BANDS; i++) {
        double scale = (double)a->filters.taps * a->filters.taps;
        tensor_memory_check_halo(&got[i], k->isa);
        tensor_memory_check_close(&got[i], &want[i], NULL, 0, scale * 0x1p-22, k->isa);
        tensor_memory_check_same(&got[i], &tiled[i], k->isa);
        tensor_memory_free(&want[i]);
        tensor_memory_free(&got[i]);
        tensor_memory_free(&tiled[i]);
    }
}

Test(wavelet, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(30);
    for (int i = 0; i < 80; i++) {
        tensor_memory in = random_input(&r, rng_int(&r, 1, 2));
        wavelet_args a = {.in = in.view};
        a.filters.taps = 2 * (rng_chance(&r, 70) ? rng_int(&r, 1, 4) : rng_int(&r, 1, 16));
        rng_fill(&r, a.filters.low, WAVELET_MAX_TAPS);
        rng_fill(&r, a.filters.high, WAVELET_MAX_TAPS);
        for (size_t t = 0; t < count; t++)
            wavelet_case(all[t], &a, &r);
        tensor_memory_free(&in);
    }
}

/* ---- unpooling ---- */

static void unpool_run(const kernel_table *k, unpool_args a, const tensor_memory *out) {
    a.out = out->view;
    for (int n = 0; n < a.in.n; n++)
        for (int b = 0; b < a.in.blocks; b++)
            k->unpool(&a, n, b);
}

/* Mostly of the element's own plane, some of its neighbours, some wild. */
static int64_t random_index(rng *r, int64_t plane, int64_t size) {
    if (rng_chance(r, 95)) return plane * size + rng_int(r, 0, (int)size - 1);
    if (rng_chance(r, 50)) return plane * size + rng_int(r, -(int)size, 2 * (int)size);
    return rng_chance(r, 50) ? INT64_MIN : INT64_MAX;
}

Test(unpool, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(31);
    for (int i = 0; i < 100; i++) {
        tensor_memory in = random_input(&r, rng_int(&r, 1, 2));
        unpool_args a = {.in = in.view,
                         .pooled_h = in.view.h * rng_int(&r, 1, 2),
                         .pooled_w = in.view.w * rng_int(&r, 1, 2)};
        size_t cells = (size_t)a.in.h * a.in.w, planes = (size_t)a.in.n * a.in.c;
        int64_t *indices = calloc(planes * cells, sizeof *indices);
        for (size_t k = 0; k < planes * cells; k++)
            indices[k] = random_index(&r, (int64_t)(k / cells), a.pooled_h * a.pooled_w);
        a.indices = indices;
        tensor_memory want =
            tensor_memory_create(a.in.n, a.in.c, (int)a.pooled_h + rng_int(&r, 0, 2),
                                 (int)a.pooled_w + rng_int(&r, 0, 2), LANES, random_halo(&r), true);
        unpool_run(&kernels_reference, a, &want);
        for (size_t t = 0; t < count; t++) {
            tensor_memory got = marked_like(&want);
            unpool_run(all[t], a, &got);
            tensor_memory_check_halo(&got, all[t]->isa);
            tensor_memory_check_close(&got, &want, NULL, 0, 0, all[t]->isa);
            tensor_memory_free(&got);
        }
        free(indices);
        tensor_memory_free(&in);
        tensor_memory_free(&want);
    }
}

/* ---- regions of interest ---- */

typedef void roi_fn(const roi_args *a, const rows_tile *t);

static void roi_run(roi_fn *fn, roi_args a, const tensor_memory *out, rng *r) {
    a.out = out->view;
    for (int n = 0; n < a.out.n; n++)
        for (int b = 0; b < a.out.blocks; b++)
            for (int y0 = 0, y1; y0 < a.out.h; y0 = y1) {
                y1 = r ? rng_int(r, y0 + 1, a.out.h) : a.out.h;
                fn(&a, &(rows_tile){n, b, y0, y1});
            }
}

static void roi_case(const char *isa, roi_fn *fn, roi_fn *reference, const roi_args *a,
                     const tensor_memory *like, double tolerance, rng *r) {
    tensor_memory want = marked_like(like), got = marked_like(like), tiled = marked_like(like);
    roi_run(reference, *a, &want, NULL);
    roi_run(fn, *a, &got, NULL);
    roi_run(fn, *a, &tiled, r);
    tensor_memory_check_halo(&got, isa);
    tensor_memory_check_close(&got, &want, NULL, 0, tolerance, isa);
    tensor_memory_check_same(&got, &tiled, isa);
    tensor_memory_free(&want);
    tensor_memory_free(&got);
    tensor_memory_free(&tiled);
}

/* A corner in the image or beyond it, rarely wild; the kernels see it multiplied by `scale`. */
static float random_corner(rng *r, int extent, float scale) {
    static const float wild[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e9f};
    if (rng_chance(r, 3)) return wild[rng_int(r, 0, 4)];
    return (float)rng_int(r, -20, 10 * extent + 20) / (10 * scale);
}

Test(roi, random_regions) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(32);
    for (int i = 0; i < 150; i++) {
        tensor_memory in = random_input(&r, rng_int(&r, 1, 3));
        int regions = rng_int(&r, 1, 4);
        guarded rois = guarded_create((size_t)regions * 5, true);
        int64_t images[4];
        roi_args a = {.in = in.view, .rois = rois.data, .images = images};
        a.spatial_scale = rng_chance(&r, 50) ? 1 : 0.5f;
        a.sampling_ratio = rng_int(&r, 0, 3);
        a.half_pixel = rng_chance(&r, 50);
        a.largest = rng_chance(&r, 50);
        tensor_memory out = tensor_memory_create(regions, in.view.c, rng_int(&r, 1, 7),
                                                 rng_int(&r, 1, 7), LANES, random_halo(&r), true);
        bool align = i % 2;
        for (int k = 0; k < regions; k++) {
            float *roi = rois.data + (align ? 4 : 5) * k;
            images[k] = rng_int(&r, -1, in.view.n);
            if (!align) *roi++ = (float)images[k];
            for (int c = 0; c < 4; c++)
                roi[c] = random_corner(&r, c % 2 ? a.in.h : a.in.w, a.spatial_scale);
        }
        for (size_t t = 0; t < count; t++)
            if (align)
                roi_case(all[t]->isa, all[t]->roi_align, kernels_reference.roi_align, &a, &out,
                         2e-6, &r);
            else
                roi_case(all[t]->isa, all[t]->roi_max, kernels_reference.roi_max, &a, &out, 0, &r);
        guarded_free(&rois);
        tensor_memory_free(&in);
        tensor_memory_free(&out);
    }
}
