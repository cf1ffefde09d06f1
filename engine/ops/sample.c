/*
 * Spatial transformers: AffineGrid makes a grid of points, GridSample reads an image at them.
 *
 * Points are in [-1, 1] over the image and come as (x, y[, z]), innermost axis first. They are
 * data: any number, also NaN, must be survived.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* ---- GridSample ---- */

typedef enum mode { LINEAR, NEAREST, CUBIC, NO_MODE } mode;
typedef enum padding { ZEROS, BORDER, REFLECTION, NO_PADDING } padding;

static mode read_mode(const graph_node *node) {
    static const char *const names[2][3] = {{"bilinear", "nearest", "bicubic"},
                                            {"linear", "nearest", "cubic"}};
    bool modern = node->op->since >= 20;
    const char *name = graph_attr_string(node, "mode", names[modern][0]);
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[modern][i]) == 0) return (mode)i;
    return NO_MODE;
}

static padding read_padding(const graph_node *node) {
    static const char *const names[] = {"zeros", "border", "reflection"};
    const char *name = graph_attr_string(node, "padding_mode", "zeros");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(name, names[i]) == 0) return (padding)i;
    return NO_PADDING;
}

/* x is (N, C, I...), grid is (N, O..., number of I), y is (N, C, O...) */
static cnn_status sample_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    TRY(op_expect_type(g, node, 1, TYPES_REAL, err));
    const graph_value *x = op_input(g, node, 0);
    const cnn_shape *grid = &op_input(g, node, 1)->shape;
    TRY(op_expect_rank(g, node, 0, 3, 5, err));
    TRY(op_expect_rank(g, node, 1, x->shape.rank, x->shape.rank, err));
    int spatial = x->shape.rank - 2;
    if (read_mode(node) == NO_MODE)
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute mode is '%.40s'",
                       graph_attr_string(node, "mode", ""));
    if (read_padding(node) == NO_PADDING)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute padding_mode is '%.40s', which is none of zeros, border, "
                       "reflection",
                       graph_attr_string(node, "padding_mode", ""));
    if (grid->dims[0] != x->shape.dims[0] || grid->dims[grid->rank - 1] != spatial)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the grid must have %lld images and points of %d numbers",
                       (long long)x->shape.dims[0], spatial);
    cnn_shape out = x->shape;
    for (int i = 0; i < spatial; i++) {
        if (x->shape.dims[2 + i] == 0)
            return op_fail(node, err, CNN_INVALID_MODEL, "the input has no pixels");
        out.dims[2 + i] = grid->dims[1 + i];
    }
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* Back and forth between the borders until inside. */
static double reflect(double x, double low, double high) {
    double range = high - low, over = x < low ? low - x : x - high;
    if (range <= 0 || !isfinite(x)) return low;
    if (over <= 0) return x;
    double rest = fmod(over, range);
    bool even = fmod(floor(over / range), 2) == 0;
    return (x < low) == even ? low + rest : high - rest;
}

typedef struct axis {
    int64_t extent;
    double low, high; /* the borders of reflection */
    int taps;
    int64_t at[4]; /* -1: outside, counts as zero */
    double weight[4];
} axis;

/* The pixel that stands at position `i`, which may be outside. */
static int64_t resolve(const axis *a, padding p, double i) {
    if (p == BORDER) i = MIN(MAX(i, 0), (double)(a->extent - 1));
    if (p == REFLECTION) i = trunc(reflect(i, a->low, a->high));
    return i >= 0 && i < (double)a->extent ? (int64_t)i : -1;
}

static double cubic(double distance) {
    const double a = -0.75;
    double x = fabs(distance);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Sets the pixels and weights for a coordinate in [-1, 1]. */
static void set_taps(axis *a, mode m, padding p, bool align, double coordinate) {
    double extent = (double)a->extent;
    double x = align ? (coordinate + 1) / 2 * (extent - 1) : ((coordinate + 1) * extent - 1) / 2;
    a->low = align ? 0 : -0.5;
    a->high = align ? extent - 1 : extent - 0.5;
    if (m == NEAREST) x = rint(x);
    if (p == BORDER && !(x >= a->low && x <= a->high)) x = MIN(MAX(x, 0), extent - 1);
    if (p == REFLECTION) x = reflect(x, a->low, a->high);
    double base = m == NEAREST ? x : floor(x) - (m == CUBIC);
    a->taps = m == NEAREST ? 1 : m == LINEAR ? 2 : 4;
    for (int k = 0; k < a->taps; k++) {
        double distance = fabs(base + k - x);
        a->at[k] = resolve(a, p, base + k);
        a->weight[k] = m == NEAREST ? 1 : m == LINEAR ? 1 - distance : cubic(distance);
    }
}

/* Weighted sum over the pixels of one plane; axes that the tensor lacks have one tap. */
static double weighted_sum(const tensor *x, const axis axes[3], size_t plane) {
    double sum = 0;
    for (int i = 0; i < axes[0].taps; i++)
        for (int j = 0; j < axes[1].taps; j++)
            for (int k = 0; k < axes[2].taps; k++) {
                int64_t at[3] = {axes[0].at[i], axes[1].at[j], axes[2].at[k]};
                if (at[0] < 0 || at[1] < 0 || at[2] < 0) continue;
                size_t offset = plane;
                for (int a = 0; a < 3; a++)
                    offset = offset * (size_t)axes[a].extent + (size_t)at[a];
                sum += axes[0].weight[i] * axes[1].weight[j] * axes[2].weight[k] *
                       tensor_number(x, offset);
            }
    return sum;
}

static void sample_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0], *grid = in[1];
    int spatial = x->shape.rank - 2;
    mode m = read_mode(node);
    padding p = read_padding(node);
    bool align = graph_attr_int(node, "align_corners", 0) != 0;
    if (out[0]->elements == 0) return;
    size_t channels = (size_t)x->shape.dims[1];
    size_t points = out[0]->elements / (size_t)x->shape.dims[0] / channels;
    axis axes[3];
    for (int i = 0; i < 3; i++)
        axes[i] =
            (axis){.extent = i < spatial ? x->shape.dims[2 + i] : 1, .taps = 1, .weight = {1}};
    for (size_t at = 0; at < (size_t)x->shape.dims[0] * points; at++) {
        size_t n = at / points;
        for (int i = 0; i < spatial; i++)
            set_taps(&axes[i], m, p, align,
                     tensor_number(grid, at * (size_t)spatial + (size_t)(spatial - 1 - i)));
        for (size_t c = 0; c < channels; c++)
            number_put(out[0], (n * channels + c) * points + at % points,
                       weighted_sum(x, axes, n * channels + c));
    }
}

/* ---- AffineGrid ---- */

/* theta is (N, D, D + 1), size names (N, C, I...), y is (N, I..., D) */
static cnn_status affine_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 3, 3, err));
    op_list size;
    TRY(op_need_list(g, node, "size", 1, &size, err));
    const graph_value *theta = op_input(g, node, 0);
    int64_t spatial = (int64_t)size.count - 2;
    if (spatial < 2 || spatial > 3 || theta->shape.dims[0] != size.values[0] ||
        theta->shape.dims[1] != spatial || theta->shape.dims[2] != spatial + 1)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "theta must be images x D x D + 1 for a size of 2 + D extents, D being 2 or "
                       "3");
    cnn_shape out = {.rank = (int)size.count, .dims = {size.values[0]}};
    for (int i = 0; i < spatial; i++)
        out.dims[1 + i] = size.values[2 + i];
    out.dims[out.rank - 1] = spatial;
    return op_set_output(g, node, 0, theta->dtype, &out, err);
}

static void affine_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    bool align = graph_attr_int(node, "align_corners", 0) != 0;
    const int64_t *dims = out[0]->shape.dims;
    int spatial = out[0]->shape.rank - 2;
    if (out[0]->elements == 0) return;
    size_t d = (size_t)spatial, points = out[0]->elements / (size_t)dims[0] / d;
    for (size_t at = 0; at < out[0]->elements; at++) {
        size_t n = at / d / points, point = at / d % points, row = at % d;
        size_t theta = (n * d + row) * (d + 1);
        double sum = tensor_number(in[0], theta + d);
        for (int i = spatial - 1; i >= 0; i--) { /* the innermost axis is the first number */
            double extent = (double)dims[1 + i], o = (double)(point % (size_t)dims[1 + i]);
            double coordinate =
                align ? (extent > 1 ? 2 * o / (extent - 1) - 1 : -1) : (2 * o + 1) / extent - 1;
            point /= (size_t)dims[1 + i];
            sum += tensor_number(in[0], theta + (size_t)(spatial - 1 - i)) * coordinate;
        }
        number_put(out[0], at, sum);
    }
}

#define GRID_SAMPLE(first, last)                                                                   \
    OP("GridSample", first, last, 2, 2, 1, 1),                                                     \
        .attrs = "mode:string padding_mode:string align_corners:int", .infer = sample_infer,       \
        .eval = sample_eval

const op_def ops_sample[] = {
    {GRID_SAMPLE(16, 19)},
    {GRID_SAMPLE(20, 0)},
    {
        OP("AffineGrid", 20, 0, 2, 2, 1, 1),
        .attrs = "align_corners:int",
        .infer = affine_infer,
        .eval = affine_eval,
    },
    {.name = NULL},
};
