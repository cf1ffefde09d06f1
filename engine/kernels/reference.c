/*
 * The plainest version of every kernel: scalar loops over the shapes in the comments, sums in
 * double. Tests hold each instruction set's kernels against these. Speed does not matter here.
 */
#include "kernels/kernels.h"
#include "kernels/roi.h"
#include "kernels/winograd.h"

#include <assert.h>
#include <math.h>

static float *pixel(const blocked *b, int n, int block, int y, int x) {
    return b->data + (size_t)n * b->image_pitch + (size_t)block * b->block_pitch +
           (ptrdiff_t)y * (ptrdiff_t)b->row_pitch + (ptrdiff_t)x * b->lanes;
}

/* min(max(x, low), high), as ONNX' Clip; NaN stays NaN. */
static double restrict_to(double x, double low, double high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

static double sigmoid(double x) {
    return 1.0 / (1.0 + exp(-x));
}

static float act_apply(double x, act_params act) {
    switch (act.act) {
    case ACT_NONE:
        return (float)x;
    case ACT_RELU:
        return x < 0 ? 0.0f : (float)x;
    case ACT_LEAKY_RELU:
        return (float)(x < 0 ? act.alpha * x : x);
    case ACT_CLIP:
        return (float)restrict_to(x, act.alpha, act.beta);
    case ACT_SIGMOID:
        return (float)sigmoid(x);
    case ACT_HARD_SIGMOID:
        return (float)restrict_to(act.alpha * x + act.beta, 0.0, 1.0);
    case ACT_HARD_SWISH:
        return (float)(x * restrict_to(x / 6 + 0.5, 0.0, 1.0));
    case ACT_SILU:
        return (float)(x * sigmoid(x));
    case ACT_GELU:
        return (float)(x * 0.5 * erfc(-x * M_SQRT1_2));
    }
    assert(!"an activation");
    return 0.0f;
}

static conv_tiling ref_conv_tiling(int in_lanes, int out_blocks, int out_w) {
    (void)in_lanes;
    (void)out_blocks;
    (void)out_w;
    return (conv_tiling){.ob_group = 1};
}

/* One output lane. in is (blocks, H, W, lanes); weights of the panel are (blocks of the group, KH,
 * KW, lanes, width). */
static double conv_sum(const conv_args *a, int n, int ob, int lane, int y, int x) {
    int group_ibs = a->in.blocks / a->groups, group_obs = a->out.blocks / a->groups;
    int group = ob / group_obs, local = ob % group_obs;
    int first = local - local % a->ob_group; /* of the panel */
    int width = MIN(a->ob_group, group_obs - first) * LANES;
    size_t k = (size_t)group_ibs * a->kernel_h * a->kernel_w * a->in.lanes;
    const float *w = a->weights + n * a->weights_image_pitch +
                     ((size_t)group * group_obs + first) * LANES * k + (local - first) * LANES;
    double sum = 0;
    for (int ib = 0; ib < group_ibs; ib++)
        for (int ky = 0; ky < a->kernel_h; ky++)
            for (int kx = 0; kx < a->kernel_w; kx++) {
                const float *in = pixel(&a->in, n, group * group_ibs + ib,
                                        y * a->stride_h + ky * a->dilation_h - a->pad_top,
                                        x * a->stride_w + kx * a->dilation_w - a->pad_left);
                for (int l = 0; l < a->in.lanes; l++, w += width)
                    sum += (double)in[l] * w[lane];
            }
    return sum;
}

/* One output lane without a halo: in is (C, H, W), weights of the panel are (C, KH, KW, width). */
static double planar_sum(const conv_args *a, int n, int ob, int lane, int y, int x) {
    int first = ob - ob % a->ob_group, width = MIN(a->ob_group, a->out.blocks - first) * LANES;
    size_t k = (size_t)a->in.c * a->kernel_h * a->kernel_w;
    const float *w = a->weights + first * LANES * k + (ob - first) * LANES;
    double sum = 0;
    for (int c = 0; c < a->in.c; c++)
        for (int ky = 0; ky < a->kernel_h; ky++)
            for (int kx = 0; kx < a->kernel_w; kx++, w += width) {
                int in_y = y * a->stride_h + ky * a->dilation_h - a->pad_top;
                int in_x = x * a->stride_w + kx * a->dilation_w - a->pad_left;
                if (in_y < 0 || in_y >= a->in.h || in_x < 0 || in_x >= a->in.w) continue;
                sum += (double)*pixel(&a->in, n, c, in_y, in_x) * w[lane];
            }
    return sum;
}

typedef double conv_sum_fn(const conv_args *a, int n, int ob, int lane, int y, int x);

static void conv_plain(const conv_args *a, const conv_tile *t, conv_sum_fn *sum_of) {
    for (int ob = t->ob0; ob < t->ob1; ob++)
        for (int y = t->y0; y < t->y1; y++)
            for (int x = 0; x < a->out.w; x++) {
                float *out = pixel(&a->out, t->n, ob, y, x);
                const float *residual = a->residual
                                            ? a->residual + t->n * a->residual_image_pitch +
                                                  ob * a->residual_block_pitch +
                                                  y * a->residual_row_pitch + (size_t)x * LANES
                                            : NULL;
                for (int l = 0; l < LANES; l++) {
                    double sum = sum_of(a, t->n, ob, l, y, x) + a->bias[ob * LANES + l];
                    out[l] = act_apply(sum + (residual ? residual[l] : 0), a->act);
                }
            }
}

static void ref_conv(const conv_args *a, const conv_tile *t) {
    conv_plain(a, t, conv_sum);
}

static void ref_conv_planar(const conv_args *a, const conv_tile *t, float *scratch) {
    (void)scratch;
    conv_plain(a, t, planar_sum);
}

/* in is (blocks, H, W, 16), weights are (blocks, KH, KW, 16) */
static double depthwise_sum(const depthwise_args *a, const rows_tile *t, int lane, int y, int x) {
    int first = lane / a->group * a->group; /* of the group */
    const float *w =
        a->weights + (size_t)t->b * a->kernel_h * a->group * a->kernel_w * LANES + lane;
    double sum = 0;
    for (int ky = 0; ky < a->kernel_h; ky++)
        for (int i = 0; i < a->group; i++)
            for (int kx = 0; kx < a->kernel_w; kx++, w += LANES) {
                const float *in =
                    pixel(&a->in, t->n, t->b, y * a->stride_h + ky * a->dilation_h - a->pad_top,
                          x * a->stride_w + kx * a->dilation_w - a->pad_left);
                sum += (double)in[first + i] * *w;
            }
    return sum;
}

/* Lane `lane` of input block `ib`; zero beyond the halo. */
static double winograd_in(const blocked *in, int n, int ib, int lane, int y, int x) {
    bool there = y >= -in->top && y < in->h + in->bottom && x >= -in->left && x < in->w + in->right;
    return there ? pixel(in, n, ib, y, x)[lane] : 0.0;
}

/* Point (i, j) of Bt d B for input channel c of the tile whose input starts at (y, x). */
static double winograd_in_point(const conv_args *a, int m, int n, int c, int y, int x, int i,
                                int j) {
    const winograd_matrices *w = winograd_matrices_of(m);
    double sum = 0;
    for (int p = 0; p < m + 2; p++)
        for (int q = 0; q < m + 2; q++)
            sum += w->bt[i][p] * winograd_in(&a->in, n, c / LANES, c % LANES, y + p, x + q) *
                   w->bt[j][q];
    return sum;
}

/* The products of output channel oc and the tile at row and column (ty, tx), summed over the input
 * channels: (m + 2, m + 2). */
static void winograd_products(const conv_args *a, int m, int n, int oc, int ty, int tx,
                              double *out) {
    int side = m + 2, k = a->in.blocks * LANES;
    int first = oc / LANES / a->ob_group * a->ob_group; /* block of the panel */
    int width = MIN(a->ob_group, a->out.blocks - first) * LANES;
    const float *u = a->weights + (size_t)first * LANES * side * side * k + oc - first * LANES;
    for (int p = 0; p < side * side; p++) {
        out[p] = 0;
        for (int c = 0; c < k; c++, u += width)
            out[p] += *u * winograd_in_point(a, m, n, c, ty * m - a->pad_top, tx * m - a->pad_left,
                                             p / side, p % side);
    }
}

/* Output pixels of a tile for one channel, from its products. */
static void winograd_out(const conv_args *a, int m, int n, int oc, int ty, int tx,
                         const double *products) {
    const winograd_matrices *w = winograd_matrices_of(m);
    for (int y = ty * m; y < MIN((ty + 1) * m, a->out.h); y++)
        for (int x = tx * m; x < MIN((tx + 1) * m, a->out.w); x++) {
            double sum = a->bias[oc];
            for (int p = 0; p < m + 2; p++)
                for (int q = 0; q < m + 2; q++)
                    sum += w->at[y % m][p] * products[p * (m + 2) + q] * w->at[x % m][q];
            if (a->residual)
                sum +=
                    a->residual[n * a->residual_image_pitch + oc / LANES * a->residual_block_pitch +
                                y * a->residual_row_pitch + x * LANES + oc % LANES];
            pixel(&a->out, n, oc / LANES, y, x)[oc % LANES] = act_apply(sum, a->act);
        }
}

static void ref_winograd(const conv_args *a, int m, const winograd_tile *t, float *scratch) {
    (void)scratch;
    int across = DIV_UP(a->out.w, m);
    for (int oc = t->ob0 * LANES; oc < t->ob1 * LANES; oc++)
        for (int tile = t->t0; tile < t->t1; tile++) {
            double products[WINOGRAD_MAX_SIDE * WINOGRAD_MAX_SIDE] = {0};
            winograd_products(a, m, t->n, oc, tile / across, tile % across, products);
            winograd_out(a, m, t->n, oc, tile / across, tile % across, products);
        }
}

/* sums is (N, blocks, H, lanes) */
static void ref_row_sums(const blocked *in, const rows_tile *t, float *sums) {
    for (int y = t->y0; y < t->y1; y++)
        for (int l = 0; l < LANES; l++) {
            double sum = 0;
            for (int x = 0; x < in->w; x++)
                sum += pixel(in, t->n, t->b, y, x)[l];
            sums[((size_t)(t->n * in->blocks + t->b) * in->h + y) * LANES + l] = (float)sum;
        }
}

static void ref_depthwise(const depthwise_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int l = 0; l < LANES; l++) {
                double sum = depthwise_sum(a, t, l, y, x) + a->bias[t->b * LANES + l];
                if (a->residual)
                    sum += a->residual[t->n * a->residual_image_pitch +
                                       t->b * a->residual_block_pitch + y * a->residual_row_pitch +
                                       (size_t)x * LANES + l];
                pixel(&a->out, t->n, t->b, y, x)[l] = act_apply(sum, a->act);
            }
    if (a->sums) ref_row_sums(&a->out, t, a->sums);
}

/* ---- squeeze-and-excite ---- */

/* out is (parts, hidden), of it the part's row */
static void ref_squeeze(const squeeze_args *a, int n, int part, float *products) {
    int c0 = part * a->part_blocks * LANES;
    int c1 = MIN((part + 1) * a->part_blocks, a->blocks) * LANES;
    for (int r = 0; r < a->hidden; r++) {
        double sum = 0;
        for (int c = c0; c < c1; c++) {
            double mean = 0;
            for (int y = 0; y < a->h; y++)
                mean +=
                    a->sums[((size_t)(n * a->blocks + c / LANES) * a->h + y) * LANES + c % LANES];
            sum += mean / a->pixels *
                   a->squeeze[((size_t)(c / LANES) * a->hidden + r / LANES * LANES) * LANES +
                              c % LANES * LANES + r % LANES];
        }
        products[r] = (float)sum;
    }
}

static void ref_gate(const squeeze_args *a, const float *parts, int b0, int b1, float *gate) {
    for (int c = b0 * LANES; c < b1 * LANES; c++) {
        double sum = a->gate_bias[c];
        for (int r = 0; r < a->hidden; r++) {
            double hidden = a->hidden_bias[r];
            for (int p = 0; p < DIV_UP(a->blocks, a->part_blocks); p++)
                hidden += parts[(size_t)p * a->hidden + r];
            sum += act_apply(hidden, a->hidden_act) *
                   a->excite[((size_t)(c / LANES) * a->hidden + r) * LANES + c % LANES];
        }
        gate[c - b0 * LANES] = act_apply(sum, a->gate_act);
    }
}

static void ref_scale_rows(const float *in, const float *scale, float *out, size_t rows,
                           size_t width) {
    for (size_t i = 0; i < rows * width; i++)
        out[i] = in[i] * scale[i / width];
}

/* ---- pooling ---- */

/* The rows or columns of a window: `count` positions from `start`, `step` apart. */
typedef struct span {
    int start, count, step, size; /* size: of the image */
    int padded;                   /* of the image and its padding behind */
} span;

static span bin_span(int i, int in, int out) {
    int start = (int)floor((double)i * in / out), end = (int)ceil((i + 1.0) * in / out);
    return (span){start, end - start, 1, in, in};
}

static span rows_of(const pool_args *a, int y) {
    if (a->bins) return bin_span(y, a->in.h, a->out.h);
    return (span){y * a->stride_h - a->pad_top, a->kernel_h, a->dilation_h, a->in.h,
                  a->in.h + a->pad_bottom};
}

static span columns_of(const pool_args *a, int x) {
    if (a->bins) return bin_span(x, a->in.w, a->out.w);
    return (span){x * a->stride_w - a->pad_left, a->kernel_w, a->dilation_w, a->in.w,
                  a->in.w + a->pad_right};
}

/* One lane of a window. */
typedef struct window {
    const pool_args *a;
    const rows_tile *t;
    int lane;
    span y, x;
} window;

/* Calls visit(state, x, position) for each cell within the image, in order. */
typedef void visit_fn(void *state, double x, int y_at, int x_at);
static void visit_cells(const window *w, visit_fn *visit, void *state) {
    for (int i = 0; i < w->y.count; i++)
        for (int j = 0; j < w->x.count; j++) {
            int y = w->y.start + i * w->y.step, x = w->x.start + j * w->x.step;
            if (y < 0 || y >= w->y.size || x < 0 || x >= w->x.size) continue;
            visit(state, pixel(&w->a->in, w->t->n, w->t->b, y, x)[w->lane], y, x);
        }
}

typedef struct tally {
    double cells, sum, absolute, squares, p;
    long double powers;                /* that of a float is more than a double can hold, or less */
    double positive, positive_squares; /* stochastic */
    double share, share_logs;          /* entropy */
    double max;                        /* of what is not NaN */
    int max_y, max_x;                  /* -1: there is none */
} tally;

static void tally_cell(void *state, double x, int y_at, int x_at) {
    tally *t = state;
    t->cells++;
    t->sum += x;
    t->absolute += fabs(x);
    t->squares += x * x;
    t->powers += powl(fabs(x), t->p);
    if (x > 0) {
        t->positive += x;
        t->positive_squares += x * x;
    }
    if (x >= POOL_LEAST) {
        t->share += x;
        t->share_logs += x * log(x);
    }
    if (x > t->max || (!isnan(x) && t->max_y < 0)) {
        t->max = x;
        t->max_y = y_at;
        t->max_x = x_at;
    }
}

static int padded_cells(const span *s) {
    int count = 0;
    for (int i = 0; i < s->count; i++)
        count += s->start + i * s->step < s->padded;
    return count;
}

/* ---- likelihood: the equations of docs/pooling.md by bisection ---- */

typedef struct likelihood {
    bool weibull;
    double count, mean, logs; /* of the sample; the mean of ln(x / mean) */
    double k, weight, first;  /* sums of (x / mean)^k, and of that times ln(x / mean) */
} likelihood;

static bool in_sample(double x) {
    return x >= POOL_LEAST && x < INFINITY;
}

static void add_mean(void *state, double x, int y, int x_at) {
    likelihood *l = state;
    (void)y;
    (void)x_at;
    l->count += in_sample(x);
    l->mean += in_sample(x) ? x : 0;
}

static void add_logs(void *state, double x, int y, int x_at) {
    likelihood *l = state;
    (void)y;
    (void)x_at;
    if (in_sample(x)) l->logs += log(x / l->mean) / l->count;
}

static void add_powers(void *state, double x, int y, int x_at) {
    likelihood *l = state;
    (void)y;
    (void)x_at;
    if (!in_sample(x)) return;
    l->weight += pow(x / l->mean, l->k);
    l->first += pow(x / l->mean, l->k) * log(x / l->mean);
}

static double digamma(double k) {
    double sum = 0;
    while (k < 30) {
        sum -= 1 / k;
        k += 1;
    }
    return sum + log(k) - 0.5 / k - 1 / (12 * k * k) + 1 / (120 * pow(k, 4));
}

/* Positive as long as k is too small. */
static double too_small(likelihood *l, const window *w, double k) {
    if (!l->weibull) return log(k) - digamma(k) + l->logs;
    l->k = k;
    l->weight = l->first = 0;
    visit_cells(w, add_powers, l);
    return isfinite(l->weight) ? 1 / k - l->first / l->weight + l->logs : -1;
}

static double fit(const window *w, bool weibull, double *scale) {
    likelihood l = {.weibull = weibull};
    double low = 1e-6, high = POOL_MAX_SHAPE;
    visit_cells(w, add_mean, &l);
    *scale = 0;
    if (l.count == 0) return 0;
    l.mean /= l.count;
    visit_cells(w, add_logs, &l);
    for (int i = 0; i < 100; i++) {
        double middle = sqrt(low * high);
        if (too_small(&l, w, middle) > 0)
            low = middle;
        else
            high = middle;
    }
    too_small(&l, w, low);
    *scale = weibull ? l.mean * pow(l.weight / l.count, 1 / low) : l.mean / low;
    return low;
}

/* ---- */

static double pool_value(const window *w, double *scale) {
    const pool_args *a = w->a;
    tally t = {.p = a->p, .max = -INFINITY, .max_y = -1};
    if (a->kind == POOL_GAMMA || a->kind == POOL_WEIBULL)
        return fit(w, a->kind == POOL_WEIBULL, scale);
    visit_cells(w, tally_cell, &t);
    switch (a->kind) {
    case POOL_MAX:
        return t.max;
    case POOL_SUM:
        return t.sum;
    case POOL_AVERAGE:
        if (a->count_include_pad) t.cells = padded_cells(&w->y) * padded_cells(&w->x);
        return t.sum / MAX(t.cells, 1);
    case POOL_LP:
        return (double)powl(t.powers, 1.0L / a->p);
    case POOL_MIXED: {
        double alpha = a->alpha[w->t->b * LANES + w->lane];
        return t.cells > 0 ? alpha * t.max + (1 - alpha) * t.sum / t.cells : 0;
    }
    case POOL_STOCHASTIC:
        return t.positive > 0 ? t.positive_squares / t.positive : 0;
    default:
        return t.share > 0 ? fmax(0, log(t.share) - t.share_logs / t.share) : 0;
    }
}

/* in and out are (N, C, H, W) */
static int64_t max_index(const window *w, int c) {
    const blocked *in = &w->a->in;
    tally t = {.max = -INFINITY, .max_y = -1};
    visit_cells(w, tally_cell, &t);
    if (t.max_y < 0) return -1;
    int64_t plane = (int64_t)w->t->n * in->c + c;
    return plane * in->h * in->w +
           (w->a->column_major ? t.max_y + t.max_x * in->h : t.max_y * in->w + t.max_x);
}

static void ref_pool(const pool_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int l = 0; l < LANES; l++) {
                window w = {a, t, l, rows_of(a, y), columns_of(a, x)};
                int c = t->b * LANES + l;
                double scale = 0, value = pool_value(&w, &scale);
                if (c >= a->out.c && isinf(value)) value = 0;
                pixel(&a->out, t->n, t->b, y, x)[l] = (float)value;
                if (a->scale.data) pixel(&a->scale, t->n, t->b, y, x)[l] = (float)scale;
                if (a->indices && c < a->out.c)
                    a->indices[(((size_t)t->n * a->out.c + c) * a->out.h + y) * a->out.w + x] =
                        max_index(&w, c);
            }
}

/* in is (N, C, H, W), out (N, C, H', W') */
static void ref_unpool(const unpool_args *a, int n, int b) {
    for (int y = 0; y < a->out.h; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int l = 0; l < LANES; l++)
                pixel(&a->out, n, b, y, x)[l] = 0;
    for (int c = b * LANES; c < MIN(a->in.c, (b + 1) * LANES); c++)
        for (int y = 0; y < a->in.h; y++)
            for (int x = 0; x < a->in.w; x++) {
                int64_t plane = (int64_t)n * a->in.c + c, size = a->pooled_h * a->pooled_w;
                int64_t index = a->indices[(plane * a->in.h + y) * a->in.w + x];
                if (index < 0 || index / size != plane) continue;
                index %= size;
                pixel(&a->out, n, b, (int)(index / a->pooled_w),
                      (int)(index % a->pooled_w))[c % LANES] = pixel(&a->in, n, b, y, x)[c % LANES];
            }
}

/* ---- regions of interest: out is (R, C, height, width) ---- */

static double roi_max_value(const roi_args *a, const rows_tile *t, int y, int x, int lane) {
    const float *roi = a->rois + (size_t)t->n * 5;
    double scale = a->spatial_scale, most = -INFINITY;
    int64_t image = int_of_double(roi[0]), y0, y1, x0, x1;
    roi_bin_range(roi[2] * scale, roi[4] * scale, y, a->out.h, a->in.h, &y0, &y1);
    roi_bin_range(roi[1] * scale, roi[3] * scale, x, a->out.w, a->in.w, &x0, &x1);
    if (image < 0 || image >= a->in.n || y0 >= y1 || x0 >= x1) return 0;
    for (int64_t i = y0; i < y1; i++)
        for (int64_t j = x0; j < x1; j++)
            most = fmax(most, pixel(&a->in, (int)image, t->b, (int)i, (int)j)[lane]);
    return most;
}

static void ref_roi_max(const roi_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int l = 0; l < LANES; l++)
                pixel(&a->out, t->n, t->b, y, x)[l] = (float)roi_max_value(a, t, y, x, l);
}

/* The weighted pixels around a point, added or the largest of them. */
static double roi_sample(const roi_args *a, int image, int b, int lane, const roi_point *y,
                         const roi_point *x) {
    double sum = 0, most = -INFINITY;
    for (int i = 0; i < 4; i++) {
        int row = (int)(i < 2 ? y->low : y->high), column = (int)(i % 2 ? x->high : x->low);
        double weight = (i < 2 ? 1 - y->weight : y->weight) * (i % 2 ? x->weight : 1 - x->weight);
        double value = weight * pixel(&a->in, image, b, row, column)[lane];
        sum += value;
        most = fmax(most, value);
    }
    return a->largest ? most : sum;
}

static double roi_align_value(const roi_args *a, const rows_tile *t, int bin_y, int bin_x,
                              int lane) {
    const float *roi = a->rois + (size_t)t->n * 4;
    double scale = a->spatial_scale, half = a->half_pixel ? 0.5 : 0, sum = 0, most = -INFINITY;
    roi_axis v = roi_axis_of(roi[1] * scale - half, roi[3] * scale - half, a->out.h,
                             a->sampling_ratio, a->half_pixel, a->in.h);
    roi_axis h = roi_axis_of(roi[0] * scale - half, roi[2] * scale - half, a->out.w,
                             a->sampling_ratio, a->half_pixel, a->in.w);
    int64_t image = a->images[t->n];
    if (image < 0 || image >= a->in.n || v.grid * h.grid == 0) return 0;
    for (int64_t i = 0; i < v.grid; i++)
        for (int64_t j = 0; j < h.grid; j++) {
            roi_point y, x;
            double value = 0;
            if (roi_point_of(&v, bin_y, i, &y) && roi_point_of(&h, bin_x, j, &x))
                value = roi_sample(a, (int)image, t->b, lane, &y, &x);
            sum += value;
            most = fmax(most, value);
        }
    return a->largest ? most : sum / (double)(v.grid * h.grid);
}

static void ref_roi_align(const roi_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int l = 0; l < LANES; l++)
                pixel(&a->out, t->n, t->b, y, x)[l] = (float)roi_align_value(a, t, y, x, l);
}

/* ---- wavelets ---- */

static int wavelet_cell(int o, int tap, int taps, int size) {
    int period = size + size % 2;
    return MIN((2 * o + taps / 2 - tap + 64 * period) % period, size - 1);
}

/* in is (N, C, H, W), each band (N, C, ceil(H / 2), ceil(W / 2)) */
static double wavelet_value(const wavelet_args *a, const rows_tile *t, int band, int y, int x,
                            int lane) {
    const wavelet_filters *f = &a->filters;
    double sum = 0;
    for (int i = 0; i < f->taps; i++)
        for (int j = 0; j < f->taps; j++) {
            double weight =
                (double)(band & 2 ? f->high : f->low)[i] * (double)(band & 1 ? f->high : f->low)[j];
            sum += weight * pixel(&a->in, t->n, t->b, wavelet_cell(y, i, f->taps, a->in.h),
                                  wavelet_cell(x, j, f->taps, a->in.w))[lane];
        }
    return sum;
}

static void ref_wavelet(const wavelet_args *a, const rows_tile *t) {
    for (int band = 0; band < WAVELET_BANDS; band++)
        for (int y = t->y0; a->out[band].data && y < t->y1; y++)
            for (int x = 0; x < a->out[band].w; x++)
                for (int l = 0; l < LANES; l++)
                    pixel(&a->out[band], t->n, t->b, y, x)[l] =
                        (float)wavelet_value(a, t, band, y, x, l);
}

/* ---- */

static float lrn_value(const lrn_args *a, int n, int c, int y, int x) {
    int first = MAX(0, c - (a->size - 1) / 2), last = MIN(a->in.c - 1, c + a->size / 2);
    double squares = 0;
    for (int i = first; i <= last; i++) {
        double value = pixel(&a->in, n, i / LANES, y, x)[i % LANES];
        squares += value * value;
    }
    double scale = a->bias + (double)a->alpha / a->size * squares;
    return (float)(pixel(&a->in, n, c / LANES, y, x)[c % LANES] * pow(scale, -a->beta));
}

static void ref_lrn(const lrn_args *a, int n, int y0, int y1) {
    for (int y = y0; y < y1; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int c = 0; c < a->out.blocks * LANES; c++)
                pixel(&a->out, n, c / LANES, y, x)[c % LANES] =
                    c < a->out.c ? lrn_value(a, n, c, y, x) : 0.0f;
}

/* (x - mean) / sqrt(variance + epsilon) * scale + bias of pixel (y, x), channel by channel */
static void layer_norm_pixel(const layer_norm_2d_args *a, int n, int y, int x) {
    double mean = 0, variance = 0;
    for (int c = 0; c < a->in.c; c++)
        mean += pixel(&a->in, n, c / LANES, y, x)[c % LANES] / (double)a->in.c;
    for (int c = 0; c < a->in.c; c++) {
        double d = pixel(&a->in, n, c / LANES, y, x)[c % LANES] - mean;
        variance += d * d / (double)a->in.c;
    }
    for (int c = 0; c < a->out.blocks * LANES; c++) {
        double d = pixel(&a->in, n, c / LANES, y, x)[c % LANES] - mean;
        double value = d / sqrt(variance + a->epsilon) * a->scale[c] + a->bias[c];
        pixel(&a->out, n, c / LANES, y, x)[c % LANES] = c < a->out.c ? (float)value : 0.0f;
    }
}

static void ref_layer_norm_2d(const layer_norm_2d_args *a, int n, int y0, int y1) {
    for (int y = y0; y < y1; y++)
        for (int x = 0; x < a->out.w; x++)
            layer_norm_pixel(a, n, y, x);
}

static void ref_unary(const float *in, float *out, size_t count, act_params act) {
    for (size_t i = 0; i < count; i++)
        out[i] = act_apply(in[i], act);
}

static double binary_apply(double a, double b, binary_op op) {
    switch (op) {
    case BINARY_ADD:
        return a + b;
    case BINARY_SUB:
        return a - b;
    case BINARY_MUL:
        return a * b;
    case BINARY_DIV:
        return a / b;
    }
    assert(!"a binary operator");
    return 0;
}

static void ref_binary(const float *a, const float *b, float *out, size_t count, binary_op op,
                       act_params act) {
    for (size_t i = 0; i < count; i++)
        out[i] = act_apply(binary_apply(a[i], b[i], op), act);
}

static void ref_binary_scalar(const float *a, float s, float *out, size_t count, binary_op op,
                              bool swapped, act_params act) {
    for (size_t i = 0; i < count; i++)
        out[i] = act_apply(swapped ? binary_apply(s, a[i], op) : binary_apply(a[i], s, op), act);
}

static void ref_binary_lanes(const float *a, const float *v, float *out, size_t count, binary_op op,
                             bool swapped, act_params act) {
    for (size_t i = 0; i < count; i++) {
        float s = v[i % LANES];
        out[i] = act_apply(swapped ? binary_apply(s, a[i], op) : binary_apply(a[i], s, op), act);
    }
}

static void ref_affine_lanes(const float *in, const float *scale, const float *shift, float *out,
                             size_t count, act_params act) {
    for (size_t i = 0; i < count; i++)
        out[i] = act_apply((double)in[i] * scale[i % LANES] + shift[i % LANES], act);
}

static size_t ref_gemm_panel(void) {
    return LANES;
}

/* a is (M, K), b is (N / panel, K, panel), out is (M, N) */
static void ref_gemm(const gemm_args *a, size_t j0, size_t j1) {
    for (size_t i = 0; i < a->m; i++)
        for (size_t j = j0; j < j1; j++) {
            const float *b = a->packed + j / LANES * LANES * a->k + j % LANES;
            double sum = a->bias ? a->bias[j] : 0;
            for (size_t k = 0; k < a->k; k++)
                sum += (double)a->a[i * a->lda + k] * b[k * LANES];
            a->out[i * a->ldo + j] = act_apply(sum, a->act);
        }
}

static void ref_softmax(const float *in, float *out, size_t count, bool log_result) {
    float max = -INFINITY;
    for (size_t i = 0; i < count; i++)
        if (in[i] > max) max = in[i];
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += exp((double)in[i] - max);
    for (size_t i = 0; i < count; i++)
        out[i] =
            (float)(log_result ? (double)in[i] - max - log(sum) : exp((double)in[i] - max) / sum);
}

static double reduce_step(double sum, double x, reduction kind) {
    switch (kind) {
    case REDUCTION_SUM:
        return sum + x;
    case REDUCTION_SQUARES:
        return sum + x * x;
    case REDUCTION_MAX:
        return isnan(sum) || sum > x ? sum : x;
    case REDUCTION_MIN:
        return isnan(sum) || sum < x ? sum : x;
    }
    assert(!"a reduction");
    return 0;
}

static void ref_reduce_columns(const float *in, size_t pitch, size_t count, float *out,
                               size_t width, reduction kind) {
    for (size_t i = 0; i < width; i++) {
        double sum = kind == REDUCTION_MAX ? -INFINITY : kind == REDUCTION_MIN ? INFINITY : 0;
        for (size_t k = 0; k < count; k++)
            sum = reduce_step(sum, in[k * pitch + i], kind);
        out[i] = (float)sum;
    }
}

static float ref_reduce_row(const float *in, size_t count, reduction kind) {
    float result;
    ref_reduce_columns(in, 1, count, &result, 1, kind);
    return result;
}

static void ref_layer_norm(const float *in, const float *scale, const float *bias, float *out,
                           size_t count, float epsilon) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < count; i++)
        mean += in[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        variance += (in[i] - mean) * (in[i] - mean) / (double)count;
    for (size_t i = 0; i < count; i++)
        out[i] =
            (float)((in[i] - mean) / sqrt(variance + epsilon) * scale[i] + (bias ? bias[i] : 0));
}

static void ref_channels(const channels_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int l = 0; l < LANES; l++) {
                int c = t->b * LANES + l;
                channel_source s = c < a->out.c ? a->sources[c] : (channel_source){0, 0};
                float value =
                    pixel(&a->in[s.input], t->n, s.channel / LANES, y, x)[s.channel % LANES];
                pixel(&a->out, t->n, t->b, y, x)[l] = c < a->out.c ? value : 0.0f;
            }
}

static void ref_resize(const resize_args *a, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < a->out.w; x++)
            for (int l = 0; l < LANES; l++) {
                resize_tap r = a->rows[y], c = a->columns[x];
                double top = pixel(&a->in, t->n, t->b, r.first, c.first)[l], value = top;
                if (a->linear) {
                    double right = pixel(&a->in, t->n, t->b, r.first, c.second)[l];
                    double below = pixel(&a->in, t->n, t->b, r.second, c.first)[l];
                    double both = pixel(&a->in, t->n, t->b, r.second, c.second)[l];
                    double v = r.weight, w = c.weight;
                    value =
                        (1 - w) * ((1 - v) * top + v * below) + w * ((1 - v) * right + v * both);
                }
                pixel(&a->out, t->n, t->b, y, x)[l] = (float)value;
            }
}

/* Where channel c of pixel (y, x) stands in the dense form of `b`. */
static size_t dense_index(const blocked *b, bool nhwc, int n, int c, int y, int x) {
    return nhwc ? (((size_t)n * b->h + y) * b->w + x) * b->c + c
                : (((size_t)n * b->c + c) * b->h + y) * b->w + x;
}

static void ref_block(const float *in, bool nhwc, const blocked *out, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < out->w; x++)
            for (int l = 0; l < out->lanes; l++) {
                int c = t->b * out->lanes + l;
                pixel(out, t->n, t->b, y, x)[l] =
                    c < out->c ? in[dense_index(out, nhwc, t->n, c, y, x)] : 0.0f;
            }
}

static void ref_unblock(const blocked *in, float *out, bool nhwc, const rows_tile *t) {
    for (int y = t->y0; y < t->y1; y++)
        for (int x = 0; x < in->w; x++)
            for (int c = t->b * in->lanes; c < MIN(in->c, (t->b + 1) * in->lanes); c++)
                out[dense_index(in, nhwc, t->n, c, y, x)] =
                    pixel(in, t->n, t->b, y, x)[c % in->lanes];
}

const kernel_table kernels_reference = {.isa = "reference",
#define X(type, name, params) .name = ref_##name,
                                        KERNEL_LIST(X)
#undef X
};
