/*
 * GammaPool and WeibullPool of ai.cnnserve: the shape and scale of the distribution under which the
 * numbers in a window are most likely.
 *
 * Both distributions live on positive numbers: the sample is what lies in [POOL_LEAST, infinity),
 * and NaN, zeros and negative numbers are no part of it. Of no sample both parameters are 0. The
 * more alike its numbers, the larger the shape; it ends at POOL_MAX_SHAPE.
 *
 * Gamma, density x^(k-1) e^(-x/t) / (Gamma(k) t^k): t = mean(x) / k, and k solves
 * ln k - psi(k) = s with s = ln mean(x) - mean(ln x), by Minka's iteration (Estimating a Gamma
 * distribution, 2002), which has converged after four steps.
 *
 * Weibull, density k/t (x/t)^(k-1) e^-(x/t)^k: t = mean(x^k)^(1/k), and k solves
 * 1/k = sum(x^k ln x) / sum(x^k) - mean(ln x), whose solution is unique (Farnum and Booth 1997). It
 * is found by Newton's iteration in ln k from the estimate that the spread of ln x gives.
 */
#include "ops/families.h"
#include "ops/pool_window.h"

#define STEPS         30              /* at most */
#define SPREAD_OF_ONE 1.2825498301618 /* pi / sqrt(6): of ln x where k = 1; else divided by k */

typedef struct fit {
    double shape, scale;
} fit;

static bool in_sample(double x) {
    return x >= POOL_LEAST && x < INFINITY;
}

/* ln(x / mean), also where x is nearly the mean. */
static double log_ratio(double x, double mean) {
    double d = (x - mean) / mean;
    return fabs(d) < 0.5 ? log1p(d) : log(x) - log(mean);
}

/* Count, mean, and mean of ln(x / mean): 0 only if all are equal. */
typedef struct sample {
    double count, mean, log_mean;
} sample;

ALWAYS_INLINE sample take_sample(cnn_dtype type, const pooling *p, const tensor *x, const spot *s) {
    sample t = {0};
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        if (!in_sample(value)) continue;
        t.count++;
        t.mean += value;
    }
    if (t.count == 0) return t;
    t.mean /= t.count;
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        if (in_sample(value)) t.log_mean += log_ratio(value, t.mean) / t.count;
    }
    return t;
}

/* ---- gamma ---- */

/* ln k - psi(k), and k^2 psi'(k) - k: recurrences up to 10, from there the asymptotic series. */
static void digamma_terms(double k, double *gap, double *slope) {
    double z = k, first = 0, second = 0;
    while (z < 10) {
        first += 1 / z;
        second += 1 / (z * z);
        z += 1;
    }
    double u = 1 / (z * z);
    *gap =
        log(k / z) + first + 0.5 / z + u * (1.0 / 12 - u * (1.0 / 120 - u * (1.0 / 252 - u / 240)));
    *slope = k * (k * second - 1) +
             k * k * (1 + 0.5 / z + u * (1.0 / 6 - u * (1.0 / 30 - u * (1.0 / 42 - u / 30)))) / z;
}

static double gamma_shape(double s) {
    if (!(s > 0.5 / POOL_MAX_SHAPE)) return POOL_MAX_SHAPE;
    double k = (3 - s + sqrt((s - 3) * (s - 3) + 24 * s)) / (12 * s), gap, slope;
    for (int i = 0; i < 6; i++) {
        digamma_terms(k, &gap, &slope);
        k = 1 / (1 / k - (gap - s) / slope);
    }
    return MIN(k, POOL_MAX_SHAPE);
}

ALWAYS_INLINE fit fit_gamma(cnn_dtype type, const pooling *p, const tensor *x, const spot *s) {
    sample t = take_sample(type, p, x, s);
    if (t.count == 0) return (fit){0, 0};
    double shape = gamma_shape(-t.log_mean);
    return (fit){shape, t.mean / shape};
}

/* ---- Weibull ---- */

/* Of y = ln(x / mean) - log_mean: the standard deviation and the maximum. */
ALWAYS_INLINE void take_spread(cnn_dtype type, const pooling *p, const tensor *x, const spot *s,
                               const sample *t, double *spread, double *most) {
    double squares = 0;
    *most = -INFINITY;
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        if (!in_sample(value)) continue;
        double y = log_ratio(value, t->mean) - t->log_mean;
        squares += y * y;
        *most = MAX(*most, y);
    }
    *spread = sqrt(squares / t->count);
}

/* Means: of weights w = e^(k (y - most)), and of y and y^2 so weighted. */
typedef struct tilt {
    double weight, first, second;
} tilt;

ALWAYS_INLINE tilt take_tilt(cnn_dtype type, const pooling *p, const tensor *x, const spot *s,
                             const sample *t, double k, double most) {
    tilt sum = {0};
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        if (!in_sample(value)) continue;
        double y = log_ratio(value, t->mean) - t->log_mean, w = exp(k * (y - most));
        sum.weight += w;
        sum.first += w * y;
        sum.second += w * y * y;
    }
    return (tilt){sum.weight / t->count, sum.first / sum.weight, sum.second / sum.weight};
}

ALWAYS_INLINE fit fit_weibull(cnn_dtype type, const pooling *p, const tensor *x, const spot *s) {
    sample t = take_sample(type, p, x, s);
    if (t.count == 0) return (fit){0, 0};
    double spread, most, step = 1;
    take_spread(type, p, x, s, &t, &spread, &most);
    double k = MIN(SPREAD_OF_ONE / spread, POOL_MAX_SHAPE);
    tilt a = take_tilt(type, p, x, s, &t, k, most);
    for (int i = 0; i < STEPS && fabs(step) > 1e-12; i++) {
        double variance = MAX(a.second - a.first * a.first, 0);
        step = (1 - k * a.first) / (k * a.first + k * k * variance);
        step = MIN(MAX(step, -1), 1);
        double next = MIN(k * exp(step), POOL_MAX_SHAPE);
        if (next == k) break;
        k = next;
        a = take_tilt(type, p, x, s, &t, k, most);
    }
    return (fit){k, t.mean * exp(t.log_mean + most + log(a.weight) / k)};
}

/* ---- operators ---- */

ALWAYS_INLINE void put_fit(cnn_dtype type, tensor *const *out, tensor *scale, size_t at, fit f) {
    real_put(type, out[0]->data, at, f.shape);
    if (scale) real_put(type, scale->data, at, f.scale);
}

ALWAYS_INLINE void gamma_at(cnn_dtype type, const pooling *p, const tensor *x, tensor *const *out,
                            tensor *scale, const spot *s, size_t at) {
    put_fit(type, out, scale, at, fit_gamma(type, p, x, s));
}

ALWAYS_INLINE void weibull_at(cnn_dtype type, const pooling *p, const tensor *x, tensor *const *out,
                              tensor *scale, const spot *s, size_t at) {
    put_fit(type, out, scale, at, fit_weibull(type, p, x, s));
}

ALWAYS_INLINE void gamma_all(cnn_dtype type, const pooling *p, const tensor *x, tensor *const *out,
                             tensor *scale) {
    FOR_EACH_WINDOW(p, pool_planes(x), gamma_at, type, p, x, out, scale);
}

ALWAYS_INLINE void weibull_all(cnn_dtype type, const pooling *p, const tensor *x,
                               tensor *const *out, tensor *scale) {
    FOR_EACH_WINDOW(p, pool_planes(x), weibull_at, type, p, x, out, scale);
}

static void gamma_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_sliding(node, &in[0]->shape);
    FOR_REAL_TYPE(in[0]->dtype, gamma_all, &p, in[0], out, eval_out(node, out, 1));
}

static void weibull_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_sliding(node, &in[0]->shape);
    FOR_REAL_TYPE(in[0]->dtype, weibull_all, &p, in[0], out, eval_out(node, out, 1));
}

static cnn_status likelihood_infer(graph *g, graph_node *node, cnn_error *err) {
    cnn_shape out;
    TRY(pool_infer_shape(g, node, TYPES_REAL, &out, err));
    TRY(op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &out, err));
    return op_set_output(g, node, 1, op_input(g, node, 0)->dtype, &out, err);
}

const op_def ops_likelihood_pool[] = {
    {
        OWN_OP("GammaPool", 1, 1, 1, 2),
        .attrs = POOL_ATTRS,
        .infer = likelihood_infer,
        .eval = gamma_eval,
        .window = pool_window_of,
    },
    {
        OWN_OP("WeibullPool", 1, 1, 1, 2),
        .attrs = POOL_ATTRS,
        .infer = likelihood_infer,
        .eval = weibull_eval,
        .window = pool_window_of,
    },
    {.name = NULL},
};
