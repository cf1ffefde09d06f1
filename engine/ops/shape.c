/*
 * Operators that give the same elements another shape: Reshape, Flatten, Squeeze, Unsqueeze,
 * Identity, Dropout. Their eval is a copy.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

static void copy_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    copy_tensor(out[0], in[0]);
}

/* ---- Reshape ---- */

/* 0 copies the input's extent (unless allowzero), one -1 takes what is left. */
static cnn_status reshape_extents(const graph_node *node, const cnn_shape *x, const op_list *wanted,
                                  cnn_shape *out, cnn_error *err) {
    bool allow_zero = graph_attr_int(node, "allowzero", 0) != 0;
    int open = -1;
    size_t known = 1, total = 0;
    cnn_shape_elements(x, &total);
    out->rank = (int)wanted->count;
    for (int i = 0; i < out->rank; i++) {
        int64_t extent = wanted->values[i];
        if (extent == 0 && !allow_zero) {
            if (i >= x->rank)
                return op_fail(node, err, CNN_INVALID_MODEL,
                               "shape[%d] is 0, to copy an extent, but the input has only %d", i,
                               x->rank);
            extent = x->dims[i];
        }
        if (extent < -1 || (extent == -1 && open >= 0))
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "shape[%d] is %lld, but extents must be at least 0, and one may be -1",
                           i, (long long)extent);
        out->dims[i] = extent;
        if (extent == -1)
            open = i;
        else if (!cnn_mul_size(known, (size_t)extent, &known))
            return op_fail(node, err, CNN_LIMIT, "the shape has too many elements");
    }
    bool fits = known == total;
    if (open >= 0) {
        fits = known > 0 && total % known == 0; /* with an extent of 0 any number would do */
        if (fits) out->dims[open] = (int64_t)(total / known);
    }
    char text[128], other[128];
    if (fits) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "the input's %zu elements (%s) do not fit the shape %s", total,
                   cnn_shape_text(x, text, sizeof text), cnn_shape_text(out, other, sizeof other));
}

static cnn_status reshape_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_INT64), err));
    op_list wanted;
    TRY(op_need_list(g, node, "shape", 1, &wanted, err));
    if (wanted.count > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT, "shape has %zu extents, at most %d are supported",
                       wanted.count, CNN_MAX_RANK);
    const graph_value *x = op_input(g, node, 0);
    cnn_shape out = {0};
    TRY(reshape_extents(node, &x->shape, &wanted, &out, err));
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* ---- Flatten ---- */

/* x is (D0, ..., Dr), y is (D0 ... Daxis-1, Daxis ... Dr) */
static cnn_status flatten_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    const graph_value *x = op_input(g, node, 0);
    int64_t axis = graph_attr_int(node, "axis", 1), rank = x->shape.rank;
    if (axis < -rank || axis > rank)
        return op_fail(node, err, CNN_INVALID_MODEL, "axis %lld is outside -%lld to %lld",
                       (long long)axis, (long long)rank, (long long)rank);
    if (axis < 0) axis += rank;
    cnn_shape out = {.rank = 2,
                     .dims = {op_product(&x->shape, 0, (int)axis),
                              op_product(&x->shape, (int)axis, x->shape.rank)}};
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* ---- Squeeze, Unsqueeze: axes is an attribute before version 13, then an input ---- */

static cnn_status squeeze_infer(graph *g, graph_node *node, cnn_error *err) {
    op_list axes;
    unsigned set = 0;
    TRY(op_begin(g, node, err));
    TRY(op_need_list(g, node, "axes", 1, &axes, err));
    const graph_value *x = op_input(g, node, 0);
    TRY(op_axis_set(node, &axes, x->shape.rank, &set, err));
    cnn_shape out = {0};
    for (int i = 0; i < x->shape.rank; i++) {
        bool named = set >> i & 1;
        if (named && x->shape.dims[i] != 1)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "axis %d has extent %lld, but only extents of 1 can be squeezed", i,
                           (long long)x->shape.dims[i]);
        if (named || (!axes.present && x->shape.dims[i] == 1)) continue;
        out.dims[out.rank++] = x->shape.dims[i];
    }
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static cnn_status unsqueeze_infer(graph *g, graph_node *node, cnn_error *err) {
    op_list axes;
    unsigned set = 0;
    TRY(op_begin(g, node, err));
    TRY(op_need_list(g, node, "axes", 1, &axes, err));
    const graph_value *x = op_input(g, node, 0);
    cnn_shape out = {.rank = x->shape.rank + (int)axes.count};
    if (out.rank > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT,
                       "the output has %d dimensions, at most %d are supported", out.rank,
                       CNN_MAX_RANK);
    TRY(op_axis_set(node, &axes, out.rank, &set, err));
    for (int i = 0, from = 0; i < out.rank; i++)
        out.dims[i] = set >> i & 1 ? 1 : x->shape.dims[from++];
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* ---- Identity, Dropout ---- */

static cnn_status identity_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    return op_same_as_input(g, node, err);
}

/*
 * As at inference: nothing is dropped and the mask is all ones. A model that asks for training with
 * constants is refused; asked for by a fed input, it is not trained either. The mask has the
 * input's type before version 10 and is bool since.
 */
static cnn_status dropout_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_type(g, node, 1, TYPES_REAL, err));
    TRY(op_expect_scalar(g, node, 1, err));
    TRY(op_expect_type(g, node, 2, TYPE(CNN_BOOL), err));
    TRY(op_expect_scalar(g, node, 2, err));
    const tensor *ratio = op_constant(g, node, 1), *training = op_constant(g, node, 2);
    if (training && tensor_int(training, 0) != 0 && !(ratio && !(tensor_number(ratio, 0) > 0)))
        return op_fail(node, err, CNN_UNSUPPORTED,
                       "training_mode is set, but only inference is supported");
    TRY(op_same_as_input(g, node, err));
    cnn_shape shape = op_input(g, node, 0)->shape;
    return op_set_output(g, node, 1, node->op->since < 10 ? op_input(g, node, 0)->dtype : CNN_BOOL,
                         &shape, err);
}

static void dropout_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    tensor *mask = eval_out(node, out, 1);
    copy_tensor(out[0], in[0]);
    for (size_t i = 0; mask && i < mask->elements; i++)
        number_put(mask, i, 1);
}

const op_def ops_shape[] = {
    {OP("Reshape", 5, 13, 2, 2, 1, 1), .infer = reshape_infer, .eval = copy_eval},
    {
        OP("Reshape", 14, 0, 2, 2, 1, 1),
        .attrs = "allowzero:int",
        .infer = reshape_infer,
        .eval = copy_eval,
    },
    {OP("Flatten", 1, 0, 1, 1, 1, 1), .attrs = "axis:int", .infer = flatten_infer,
     .eval = copy_eval},
    {
        OP("Squeeze", 1, 12, 1, 1, 1, 1),
        .attrs = "axes:ints",
        .infer = squeeze_infer,
        .eval = copy_eval,
    },
    {OP("Squeeze", 13, 0, 1, 2, 1, 1), .infer = squeeze_infer, .eval = copy_eval},
    {
        OP("Unsqueeze", 1, 12, 1, 1, 1, 1),
        .attrs = "axes:ints!",
        .infer = unsqueeze_infer,
        .eval = copy_eval,
    },
    {OP("Unsqueeze", 13, 0, 2, 2, 1, 1), .infer = unsqueeze_infer, .eval = copy_eval},
    {OP("Identity", 1, 0, 1, 1, 1, 1), .infer = identity_infer, .eval = copy_eval},
    {
        OP("Dropout", 6, 6, 1, 1, 1, 2),
        .attrs = "is_test:int ratio:float",
        .infer = dropout_infer,
        .eval = dropout_eval,
    },
    {
        OP("Dropout", 7, 9, 1, 1, 1, 2),
        .attrs = "ratio:float",
        .infer = dropout_infer,
        .eval = dropout_eval,
    },
    {
        OP("Dropout", 10, 11, 1, 1, 1, 2),
        .attrs = "ratio:float",
        .infer = dropout_infer,
        .eval = dropout_eval,
    },
    {
        OP("Dropout", 12, 0, 1, 3, 1, 2),
        .attrs = "seed:int",
        .infer = dropout_infer,
        .eval = dropout_eval,
    },
    {.name = NULL},
};
