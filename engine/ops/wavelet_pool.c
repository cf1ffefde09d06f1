/*
 * WaveletPool of ai.cnnserve: one level of the discrete wavelet transform over 1 to 3 spatial axes.
 * Output 0 is the low band, the others are optional: bit (axes - 1 - i) of an output's number says
 * that axis i is filtered high.
 *
 * As PyWavelets' mode "periodization": an axis is taken as periodic, one of odd length with its
 * last element twice, so that n elements give ceil(n / 2) and orthonormal filters an orthonormal
 * transform.
 */
#include "ops/wavelet_pool.h"

#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

wavelet_filters wavelet_pool_filters(const graph_node *node) {
    static const float haar[] = {0x1.6a09e6p-1f, 0x1.6a09e6p-1f}; /* 1 / sqrt(2) */
    const attr *low = graph_attr(node, "lowpass"), *high = graph_attr(node, "highpass");
    wavelet_filters f = {.taps = low ? (int)low->count : 2};
    for (int i = 0; i < f.taps; i++)
        f.low[i] = low ? low->floats[i] : haar[i];
    for (int i = 0; i < f.taps; i++) { /* unless given, the quadrature mirror filter */
        float mirrored = f.low[f.taps - 1 - i];
        f.high[i] = high ? high->floats[i] : i % 2 ? mirrored : -mirrored;
    }
    return f;
}

static cnn_status check_filters(const graph_node *node, cnn_error *err) {
    const attr *low = graph_attr(node, "lowpass"), *high = graph_attr(node, "highpass");
    size_t taps = low ? low->count : 2;
    if (taps < 2 || taps % 2 || taps > WAVELET_MAX_TAPS)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute lowpass has %zu numbers, but needs an even number up to %d", taps,
                       WAVELET_MAX_TAPS);
    if (!high || high->count == taps) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "attribute highpass has %zu numbers, but the low-pass filter has %zu",
                   high->count, taps);
}

/* x is (N, C, I...), each output is (N, C, ceil(I / 2)...) */
static cnn_status wavelet_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 3, 5, err));
    TRY(check_filters(node, err));
    const graph_value *x = op_input(g, node, 0);
    cnn_dtype dtype = x->dtype;
    cnn_shape out = x->shape;
    size_t bands = (size_t)1 << (out.rank - 2);
    if (node->output_count > bands)
        return op_fail(node, err, CNN_INVALID_MODEL, "has %zu outputs, but there are %zu bands",
                       node->output_count, bands);
    for (int i = 2; i < out.rank; i++)
        out.dims[i] = DIV_UP(out.dims[i], 2);
    for (size_t band = 0; band < node->output_count; band++)
        TRY(op_set_output(g, node, band, dtype, &out, err));
    return CNN_OK;
}

/* One axis of the transform; one that is none of the tensor's is left as it is. */
typedef struct wavelet_axis {
    int64_t in, out;
    int taps;
    const float *filter;
} wavelet_axis;

static int64_t wavelet_source(const wavelet_axis *a, int64_t o, int tap) {
    int64_t period = a->in + a->in % 2, at = 2 * o + a->taps / 2 - tap;
    if (a->taps == 1) return o;
    at = (at % period + period) % period;
    return MIN(at, a->in - 1);
}

static double wavelet_sum(const tensor *x, size_t first, const wavelet_axis a[3],
                          const int64_t o[3]) {
    double sum = 0;
    for (int t0 = 0; t0 < a[0].taps; t0++)
        for (int t1 = 0; t1 < a[1].taps; t1++)
            for (int t2 = 0; t2 < a[2].taps; t2++) {
                int64_t at = wavelet_source(&a[0], o[0], t0);
                at = at * a[1].in + wavelet_source(&a[1], o[1], t1);
                at = at * a[2].in + wavelet_source(&a[2], o[2], t2);
                double weight = (double)a[0].filter[t0] * a[1].filter[t1] * a[2].filter[t2];
                sum += weight * real_at(x->dtype, x->data, first + (size_t)at);
            }
    return sum;
}

static void wavelet_band(const tensor *x, const wavelet_axis a[3], tensor *out) {
    size_t plane = (size_t)(a[0].in * a[1].in * a[2].in), at = 0;
    for (size_t first = 0; at < out->elements; first += plane)
        for (int64_t o0 = 0; o0 < a[0].out; o0++)
            for (int64_t o1 = 0; o1 < a[1].out; o1++)
                for (int64_t o2 = 0; o2 < a[2].out; o2++)
                    real_put(x->dtype, out->data, at++,
                             wavelet_sum(x, first, a, (int64_t[]){o0, o1, o2}));
}

static void wavelet_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    static const float one = 1;
    wavelet_filters f = wavelet_pool_filters(node);
    int spatial = in[0]->shape.rank - 2;
    for (size_t band = 0; band < node->output_count; band++) {
        wavelet_axis a[3];
        for (int i = 0; i < 3; i++) {
            bool high = i < spatial && band >> (spatial - 1 - i) & 1;
            a[i] = (wavelet_axis){1, 1, 1, &one};
            if (i >= spatial) continue;
            a[i] = (wavelet_axis){in[0]->shape.dims[2 + i], DIV_UP(in[0]->shape.dims[2 + i], 2),
                                  f.taps, high ? f.high : f.low};
        }
        if (out[band]) wavelet_band(in[0], a, out[band]);
    }
}

const op_def ops_wavelet_pool[] = {
    {
        OWN_OP("WaveletPool", 1, 1, 1, 8),
        .attrs = "lowpass:floats highpass:floats",
        .infer = wavelet_infer,
        .eval = wavelet_eval,
    },
    {.name = NULL},
};
