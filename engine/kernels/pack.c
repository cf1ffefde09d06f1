/*
 * Packers: weights from ONNX' order into the order in which kernels stream them.
 *
 * They run once per layer at load, but every parameter of the network passes through, so each reads
 * its source in runs of consecutive floats and writes a destination that stays in the cache.
 */
#include "kernels/kernels.h"

#include <assert.h>
#include <string.h>

/* Extents of packed convolution weights, see conv_pack in kernels.h. */
typedef struct conv_panels {
    int group_oc, group_obs, group_ibs;
    size_t taps; /* KH * KW */
    size_t k;    /* floats of the reduction, padding included */
} conv_panels;

static conv_panels conv_panels_of(int oc, int ic_per_group, int kh, int kw, int groups,
                                  int in_lanes) {
    assert(oc % groups == 0 && (groups == 1 || oc / groups % LANES == 0));
    int group_ibs = DIV_UP(ic_per_group, in_lanes);
    size_t taps = (size_t)kh * kw;
    return (conv_panels){
        .group_oc = oc / groups,
        .group_obs = DIV_UP(oc / groups, LANES),
        .group_ibs = group_ibs,
        .taps = taps,
        .k = group_ibs * taps * in_lanes,
    };
}

size_t conv_packed_floats(int oc, int ic_per_group, int kh, int kw, int groups, int in_lanes,
                          int ob_group) {
    (void)ob_group; /* panels are not padded to whole groups */
    conv_panels p = conv_panels_of(oc, ic_per_group, kh, kw, groups, in_lanes);
    return (size_t)groups * p.group_obs * LANES * p.k;
}

/* One output channel: `src` (IC, taps) to column `dst` of a panel `width` floats wide. */
static void conv_pack_column(const float *src, int ic, size_t taps, int in_lanes, size_t width,
                             float *dst) {
    for (int c = 0; c < ic; c++) {
        float *d = dst + ((c / in_lanes) * taps * in_lanes + c % in_lanes) * width;
        for (size_t tap = 0; tap < taps; tap++)
            d[tap * in_lanes * width] = *src++;
    }
}

/* One panel: output channels [0, oc) of `src` (oc, IC, taps). */
static void conv_pack_panel(const float *src, int oc, int ic, const conv_panels *p, int in_lanes,
                            size_t width, float *dst) {
    /* A strip of input blocks at a time, so that the lines written stay in L1 for all channels. */
    size_t block = p->taps * in_lanes;
    memset(dst, 0, p->k * width * sizeof *dst);
    for (int ib = 0; ib < p->group_ibs; ib++) {
        int first = ib * in_lanes, count = MIN(in_lanes, ic - first);
        for (int o = 0; o < oc; o++)
            conv_pack_column(src + ((size_t)o * ic + first) * p->taps, count, p->taps, in_lanes,
                             width, dst + ib * block * width + o);
    }
}

void conv_pack(const float *weights, int oc, int ic_per_group, int kh, int kw, int groups,
               int in_lanes, int ob_group, float *packed) {
    conv_panels p = conv_panels_of(oc, ic_per_group, kh, kw, groups, in_lanes);
    for (int g = 0; g < groups; g++)
        for (int ob = 0; ob < p.group_obs; ob += ob_group) {
            int first = ob * LANES, channels = MIN(ob_group * LANES, p.group_oc - first);
            size_t width = (size_t)MIN(ob_group, p.group_obs - ob) * LANES;
            const float *src = weights + ((size_t)g * p.group_oc + first) * ic_per_group * p.taps;
            conv_pack_panel(src, channels, ic_per_group, &p, in_lanes, width, packed);
            packed += width * p.k;
        }
}

size_t depthwise_packed_floats(int c, int group, int kh, int kw) {
    return (size_t)DIV_UP(c, LANES) * group * kh * kw * LANES;
}

void depthwise_pack(const float *weights, int c, int group, int kh, int kw, float *packed) {
    size_t block = (size_t)kh * group * kw * LANES;
    memset(packed, 0, depthwise_packed_floats(c, group, kh, kw) * sizeof *packed);
    for (int o = 0; o < c; o++)
        for (int i = 0; i < group; i++)
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++)
                    packed[o / LANES * block + (((size_t)ky * group + i) * kw + kx) * LANES +
                           o % LANES] = *weights++;
}

size_t gemm_packed_floats(size_t k, size_t n, size_t panel) {
    return DIV_UP(n, panel) * panel * k;
}

/* Rows of b (K, N) are runs already. */
static void gemm_pack_rows(const float *b, size_t k, size_t n, size_t panel, float *packed) {
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < n; j += panel) {
            size_t columns = MIN(panel, n - j);
            float *d = packed + j * k + i * panel;
            memcpy(d, b + i * n + j, columns * sizeof *d);
            memset(d + columns, 0, (panel - columns) * sizeof *d);
        }
}

#define GEMM_PACK_STRIP 64 /* k per step: a few cache lines of each of a panel's source rows */

/* b is (N, K): `columns` of its rows become one panel. */
static void gemm_pack_transposed(const float *b, size_t k, size_t columns, size_t panel,
                                 float *packed) {
    for (size_t i0 = 0; i0 < k; i0 += GEMM_PACK_STRIP) {
        size_t i1 = MIN(k, i0 + GEMM_PACK_STRIP);
        if (columns < panel) memset(packed + i0 * panel, 0, (i1 - i0) * panel * sizeof *packed);
        for (size_t j = 0; j < columns; j++)
            for (size_t i = i0; i < i1; i++)
                packed[i * panel + j] = b[j * k + i];
    }
}

void gemm_pack(const float *b, size_t k, size_t n, bool transposed, size_t panel, float *packed) {
    if (!transposed) {
        gemm_pack_rows(b, k, n, panel, packed);
        return;
    }
    for (size_t j = 0; j < n; j += panel)
        gemm_pack_transposed(b + j * k, k, MIN(panel, n - j), panel, packed + j * k);
}
