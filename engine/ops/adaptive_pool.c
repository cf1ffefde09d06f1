/*
 * Pooling into a given number of bins, however large the input: AdaptiveAveragePool,
 * AdaptiveMaxPool and SpatialPyramidPool of ai.cnnserve. A pyramid is the adaptive maxima of
 * several levels, one behind the other.
 */
#include "ops/families.h"
#include "ops/pool_window.h"

/* ---- one grid of bins ---- */

/* The numbers of bins on each axis; one number goes for all. */
static cnn_status read_output_size(const graph_node *node, int spatial, int64_t *out,
                                   cnn_error *err) {
    op_list list = op_read_list(node, "output_size", NULL);
    if (list.count != 1 && list.count != (size_t)spatial)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute output_size must be a list of 1 or %d integers, but has %zu",
                       spatial, list.count);
    for (int i = 0; i < spatial; i++) {
        out[i] = list.values[list.count == 1 ? 0 : i];
        if (out[i] < 1 || out[i] > GRAPH_MAX_EXTENT)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "attribute output_size: %lld is not in 1 to %lld", (long long)out[i],
                           (long long)GRAPH_MAX_EXTENT);
    }
    return CNN_OK;
}

/* x is (N, C, I...), y is (N, C, output_size...) */
static cnn_status adaptive_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 3, 5, err));
    const graph_value *x = op_input(g, node, 0);
    cnn_shape out = x->shape;
    TRY(read_output_size(node, out.rank - 2, out.dims + 2, err));
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static void adaptive_average_eval(const graph_node *node, const tensor *const *in,
                                  tensor *const *out) {
    (void)node;
    pooling p = pool_bins(&in[0]->shape, out[0]->shape.dims + 2);
    pool_average(&p, in[0], out[0]);
}

static void adaptive_max_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    pooling p = pool_bins(&in[0]->shape, out[0]->shape.dims + 2);
    pool_max(&p, in[0], out[0]);
}

/* ---- pyramids ---- */

/* Bins of a level over that many axes. */
static int64_t level_bins(int64_t level, int spatial) {
    int64_t bins = 1;
    for (int i = 0; i < spatial; i++)
        bins *= level;
    return bins;
}

/* x is (N, C, I...), y is (N, C * sum of level^axes) */
static cnn_status pyramid_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 3, 5, err));
    const graph_value *x = op_input(g, node, 0);
    op_list levels;
    int64_t bins = 0;
    TRY(op_need_list(g, node, "levels", 0, &levels, err));
    if (levels.count == 0)
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute levels is empty");
    for (size_t l = 0; l < levels.count; l++) {
        if (levels.values[l] < 1 || levels.values[l] > POOL_MAX_LEVEL)
            return op_fail(node, err, CNN_INVALID_MODEL, "attribute levels: %lld is not in 1 to %d",
                           (long long)levels.values[l], POOL_MAX_LEVEL);
        bins += level_bins(levels.values[l], x->shape.rank - 2);
    }
    cnn_shape out = {2, {x->shape.dims[0], x->shape.dims[1] * bins}};
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* Elements [first, ...) of `t` with another shape; no owner. */
static tensor part_of(const tensor *t, size_t first, cnn_shape shape) {
    return (tensor){.dtype = t->dtype,
                    .shape = shape,
                    .data = (char *)t->data + first * cnn_dtype_size(t->dtype)};
}

static void pyramid_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    op_list levels = op_read_list(node, "levels", NULL);
    cnn_shape image = in[0]->shape;
    size_t at = 0, images = (size_t)image.dims[0], size = images ? in[0]->elements / images : 0;
    image.dims[0] = 1;
    for (size_t n = 0; n < images; n++) {
        tensor x = part_of(in[0], n * size, image);
        for (size_t l = 0; l < levels.count; l++) {
            int64_t side = levels.values[l];
            pooling p = pool_bins(&image, (int64_t[]){side, side, side});
            tensor y = part_of(out[0], at, image);
            pool_max(&p, &x, &y);
            at += (size_t)(image.dims[1] * level_bins(side, image.rank - 2));
        }
    }
}

const op_def ops_adaptive_pool[] = {
    {
        OWN_OP("AdaptiveAveragePool", 1, 1, 1, 1),
        .attrs = "output_size:ints!",
        .infer = adaptive_infer,
        .eval = adaptive_average_eval,
    },
    {
        OWN_OP("AdaptiveMaxPool", 1, 1, 1, 1),
        .attrs = "output_size:ints!",
        .infer = adaptive_infer,
        .eval = adaptive_max_eval,
    },
    {
        OWN_OP("SpatialPyramidPool", 1, 1, 1, 1),
        .attrs = "levels:ints!",
        .infer = pyramid_infer,
        .eval = pyramid_eval,
    },
    {.name = NULL},
};
