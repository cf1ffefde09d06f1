/*
 * GammaPool and WeibullPool.
 *
 * Of two numbers the maximum of the likelihood can be worked by hand. Gamma: of 1 and r, the mean
 * is (1 + r) / 2 and s = ln mean - mean ln = ln((1 + r) / (2 sqrt r)) = ln cosh(ln(r) / 2). The
 * shape k solves ln k - psi(k) = s; with Euler's constant g, psi(1) = -g and psi(2) = 1 - g, so
 * that k = 1 for s = g and k = 2 for s = ln 2 - 1 + g. Weibull: of e^-a and e^a, sum x^k ln x / sum
 * x^k = a tanh(k a), the mean of logarithms is 0, and k a tanh(k a) = 1 for k a
 * = 1.1996786402577338; the scale is cosh(k a)^(1/k).
 */
#include "node.h"

#include <math.h>

#define EULER  0.57721566490153286
#define TANH_1 1.1996786402577338

/* The larger of two numbers, the other being 1, whose s is that. */
static double partner(double s) {
    return exp(2 * acosh(exp(s)));
}

static node_test *fit(const char *op, size_t window) {
    node_test *t = node_begin(op, 1);
    ATTR_INTS(t, "kernel_shape", (int64_t)window);
    ATTR_INTS(t, "strides", (int64_t)window);
    node_outputs(t, 2);
    return t;
}

#define SHAPES(t, dims, ...) node_gives(t, 0, CNN_FLOAT64, dims, NUMBERS(__VA_ARGS__))
#define SCALES(t, dims, ...) node_gives(t, 1, CNN_FLOAT64, dims, NUMBERS(__VA_ARGS__))

Test(gamma_pool, two_numbers) {
    double one = partner(EULER), two = partner(log(2) - 1 + EULER);
    node_test *t = fit("GammaPool", 2);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 4), NUMBERS(1, one, 1000 * two, 1000));
    SHAPES(t, DIMS(1, 1, 2), 1, 2);
    SCALES(t, DIMS(1, 1, 2), (1 + one) / 2, 1000 * (1 + two) / 4);
    node_end(t);
}

/* Just below the largest shape, where the estimate from the spread is above it. */
Test(weibull_pool, nearly_equal_numbers) {
    double k = 0.95e6, a = TANH_1 / k;
    node_test *t = fit("WeibullPool", 2);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 2), NUMBERS(exp(-a), exp(a)));
    SHAPES(t, DIMS(1, 1, 1), k);
    node_end(t);
}

Test(weibull_pool, two_numbers) {
    double k = TANH_1 / log(2), scale = pow(cosh(TANH_1), 1 / k);
    node_test *t = fit("WeibullPool", 2);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 4), NUMBERS(2, 0.5, 0.001, 0.004));
    SHAPES(t, DIMS(1, 1, 2), k, k);
    SCALES(t, DIMS(1, 1, 2), scale, 0.002 * scale);
    node_end(t);
}

/* Both equations solved by bisection to 1e-14 (SciPy's brentq). */
Test(gamma_pool, larger_samples) {
    node_test *t = fit("GammaPool", 9);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 9), NUMBERS(1, 2, 3, 4, 5, 6, 7, 8, 9));
    SHAPES(t, DIMS(1, 1, 1), 2.829251323858476);
    SCALES(t, DIMS(1, 1, 1), 1.7672519785838963);
    node_end(t);
    t = fit("GammaPool", 6);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 6), NUMBERS(.1, .5, .2, 3, .7, 1.1));
    SHAPES(t, DIMS(1, 1, 1), 1.0291502493877431);
    SCALES(t, DIMS(1, 1, 1), 0.906897057925786);
    node_end(t);
}

Test(weibull_pool, larger_samples) {
    node_test *t = fit("WeibullPool", 9);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 9), NUMBERS(1, 2, 3, 4, 5, 6, 7, 8, 9));
    SHAPES(t, DIMS(1, 1, 1), 2.018717371500394);
    SCALES(t, DIMS(1, 1, 1), 5.637191565572613);
    node_end(t);
    t = fit("WeibullPool", 6);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 6), NUMBERS(.1, .5, .2, 3, .7, 1.1));
    SHAPES(t, DIMS(1, 1, 1), 0.9828087316616131);
    SCALES(t, DIMS(1, 1, 1), 0.9257749033589967);
    node_end(t);
}

/* The windows [3 3 3], [0 -1 NaN], [2 NaN -7] and [infinity 5 0]: all equal, none, one, one. */
Test(gamma_pool, degenerate_samples) {
    node_test *t = fit("GammaPool", 3);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 12),
            NUMBERS(3, 3, 3, 0, -1, NAN, 2, NAN, -7, INFINITY, 5, 0));
    SHAPES(t, DIMS(1, 1, 4), 1e6, 0, 1e6, 1e6);
    SCALES(t, DIMS(1, 1, 4), 3e-6, 0, 2e-6, 5e-6);
    node_end(t);
}

Test(weibull_pool, degenerate_samples) {
    node_test *t = fit("WeibullPool", 3);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 12),
            NUMBERS(3, 3, 3, 0, -1, NAN, 2, NAN, -7, INFINITY, 5, 0));
    SHAPES(t, DIMS(1, 1, 4), 1e6, 0, 1e6, 1e6);
    SCALES(t, DIMS(1, 1, 4), 3, 0, 2, 5);
    node_end(t);
}

/* Padding, zeros and what is negative are no part of the sample: as two_numbers. */
Test(likelihood_pool, sample) {
    double k = TANH_1 / log(2);
    node_test *t = node_begin("WeibullPool", 1);
    ATTR_INTS(t, "kernel_shape", 5);
    ATTR_INTS(t, "pads", 1, 1);
    node_outputs(t, 2);
    node_in(t, CNN_FLOAT64, DIMS(1, 1, 4), NUMBERS(0, 2, -3, 0.5));
    SHAPES(t, DIMS(1, 1, 2), k, k);
    node_end(t);
}

/* The scale is optional; a pool of the whole range of numbers ends in one, too. */
Test(likelihood_pool, extremes) {
    for (int op = 0; op < 2; op++) {
        node_test *t = node_begin(op ? "WeibullPool" : "GammaPool", 1);
        ATTR_INTS(t, "kernel_shape", 3);
        IN(t, DIMS(1, 1, 4), 1e-37, 3e37, 1e-37, 1.0000001);
        node_run(t);
        for (size_t i = 0; i < 2; i++) {
            double shape = tensor_number(t->out[0], i);
            cr_assert(shape > 0.001 && shape < 0.1, "%g", shape);
        }
        node_end(t);
    }
}
