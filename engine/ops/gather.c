/*
 * Gather, GatherElements, GatherND, Compress, ScatterElements (once Scatter) and ScatterND.
 *
 * Indices that are constant are checked when the model is loaded; of those known only at run time
 * the ones outside the tensor read zero and write nothing.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* ---- Gather, GatherElements, GatherND ---- */

/* Index `i` of a tensor of indices into an axis of `extent`; negative ones count from the end. */
static bool read_index(const tensor *indices, size_t i, int64_t extent, int64_t *out) {
    int64_t index = tensor_int(indices, i);
    if (index < 0) index += extent;
    *out = index;
    return index >= 0 && index < extent;
}

static cnn_status check_indices(const graph *g, const graph_node *node, size_t input,
                                int64_t extent, cnn_error *err) {
    const tensor *indices = op_constant(g, node, input);
    int64_t index;
    for (size_t i = 0; indices && i < indices->elements; i++)
        if (!read_index(indices, i, extent, &index))
            return op_fail(node, err, CNN_INVALID_MODEL, "index %lld is outside an extent of %lld",
                           (long long)tensor_int(indices, i), (long long)extent);
    return CNN_OK;
}

/* x is (outer, L, step), indices is (K...), y is (outer, K..., step) */
static cnn_status gather_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 1, TYPES_INDEX, err));
    const graph_value *x = op_input(g, node, 0), *indices = op_input(g, node, 1);
    int axis;
    TRY(op_read_axis(node, 0, x->shape.rank, &axis, err));
    TRY(check_indices(g, node, 1, x->shape.dims[axis], err));
    cnn_shape out = {0};
    if (x->shape.rank - 1 + indices->shape.rank > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT,
                       "the output has %d dimensions, at most %d are supported",
                       x->shape.rank - 1 + indices->shape.rank, CNN_MAX_RANK);
    for (int i = 0; i < axis; i++)
        out.dims[out.rank++] = x->shape.dims[i];
    for (int i = 0; i < indices->shape.rank; i++)
        out.dims[out.rank++] = indices->shape.dims[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        out.dims[out.rank++] = x->shape.dims[i];
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static void gather_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *shape = &in[0]->shape;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", 0), shape->rank, &axis);
    if (out[0]->elements == 0) return;
    size_t outer = (size_t)op_product(shape, 0, axis), length = (size_t)shape->dims[axis];
    size_t count = in[1]->elements, bytes = out[0]->bytes / outer / count;
    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < count; k++) {
            char *to = (char *)out[0]->data + (o * count + k) * bytes;
            int64_t index;
            if (read_index(in[1], k, (int64_t)length, &index))
                memcpy(to, (const char *)in[0]->data + (o * length + (size_t)index) * bytes, bytes);
            else
                memset(to, 0, bytes);
        }
}

/* y[..., j, ...] = x[..., indices[..., j, ...], ...] along one axis */
static cnn_status gather_elements_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 1, TYPES_INDEX, err));
    const graph_value *x = op_input(g, node, 0), *indices = op_input(g, node, 1);
    int axis;
    TRY(op_expect_rank(g, node, 1, x->shape.rank, x->shape.rank, err));
    TRY(op_read_axis(node, 0, x->shape.rank, &axis, err));
    TRY(check_indices(g, node, 1, x->shape.dims[axis], err));
    for (int i = 0; i < x->shape.rank; i++)
        if (i != axis && indices->shape.dims[i] > x->shape.dims[i])
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "the indices have a larger extent than the input on axis %d", i);
    cnn_shape out = indices->shape;
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* Offset in a tensor of `shape` of position `at` of `part`, but for `axis`, where it is `index`. */
static size_t offset_along(const cnn_shape *shape, const cnn_shape *part, size_t at, int axis,
                           int64_t index) {
    size_t offset = 0, stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        size_t own = at % (size_t)part->dims[i];
        at /= (size_t)part->dims[i];
        offset += (i == axis ? (size_t)index : own) * stride;
        stride *= (size_t)shape->dims[i];
    }
    return offset;
}

static void gather_elements_eval(const graph_node *node, const tensor *const *in,
                                 tensor *const *out) {
    const cnn_shape *shape = &in[0]->shape;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", 0), shape->rank, &axis);
    fill_zero(out[0]);
    for (size_t at = 0; at < out[0]->elements; at++) {
        int64_t index;
        if (!read_index(in[1], at, shape->dims[axis], &index)) continue;
        size_t from = offset_along(shape, &in[1]->shape, at, axis, index);
        copy_elements(out[0], at, in[0], &from, 1);
    }
}

/* The position that tuple `k` of `depth` indices names in axes [first, first + depth). */
static bool read_tuple(const tensor *indices, size_t k, int depth, const cnn_shape *shape,
                       int first, size_t *out) {
    size_t offset = 0;
    for (int i = 0; i < depth; i++) {
        int64_t index;
        if (!read_index(indices, k * (size_t)depth + (size_t)i, shape->dims[first + i], &index))
            return false;
        offset = offset * (size_t)shape->dims[first + i] + (size_t)index;
    }
    *out = offset;
    return true;
}

static cnn_status check_tuples(const graph *g, const graph_node *node, int first, cnn_error *err) {
    const tensor *indices = op_constant(g, node, 1);
    const graph_value *x = op_input(g, node, 0), *value = op_input(g, node, 1);
    int depth = (int)value->shape.dims[value->shape.rank - 1];
    size_t offset;
    for (size_t k = 0; indices && depth > 0 && k < indices->elements / (size_t)depth; k++)
        if (!read_tuple(indices, k, depth, &x->shape, first, &offset))
            return op_fail(node, err, CNN_INVALID_MODEL, "index tuple %zu is outside the input", k);
    return CNN_OK;
}

/* x is (B..., D..., S...), indices is (B..., K..., depth), y is (B..., K..., S...) */
static cnn_status gather_nd_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_INT64), err));
    TRY(op_expect_rank(g, node, 0, 1, CNN_MAX_RANK, err));
    TRY(op_expect_rank(g, node, 1, 1, CNN_MAX_RANK, err));
    const graph_value *x = op_input(g, node, 0), *indices = op_input(g, node, 1);
    int64_t batch = graph_attr_int(node, "batch_dims", 0);
    int64_t depth = indices->shape.dims[indices->shape.rank - 1];
    if (batch < 0 || batch >= MIN(x->shape.rank, indices->shape.rank) || depth < 1 ||
        depth > x->shape.rank - batch)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "%lld batch_dims and tuples of %lld indices do not fit the input's %d "
                       "dimensions",
                       (long long)batch, (long long)depth, x->shape.rank);
    for (int i = 0; i < batch; i++)
        if (x->shape.dims[i] != indices->shape.dims[i])
            return op_fail(node, err, CNN_INVALID_MODEL, "batch axis %d differs in extent", i);
    TRY(check_tuples(g, node, (int)batch, err));
    cnn_shape out = indices->shape;
    out.rank--;
    if (out.rank + x->shape.rank - (int)(batch + depth) > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT, "the output has more than %d dimensions",
                       CNN_MAX_RANK);
    for (int i = (int)(batch + depth); i < x->shape.rank; i++)
        out.dims[out.rank++] = x->shape.dims[i];
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static void gather_nd_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *shape = &in[0]->shape;
    int batch = (int)graph_attr_int(node, "batch_dims", 0);
    int depth = (int)in[1]->shape.dims[in[1]->shape.rank - 1];
    fill_zero(out[0]);
    if (out[0]->elements == 0) return;
    size_t tuples = in[1]->elements / (size_t)depth;
    size_t batches = (size_t)op_product(shape, 0, batch), each = tuples / batches;
    size_t block = (size_t)op_product(shape, batch, batch + depth);
    size_t bytes = out[0]->bytes / tuples;
    for (size_t k = 0; k < tuples; k++) {
        size_t offset;
        if (read_tuple(in[1], k, depth, shape, batch, &offset))
            memcpy((char *)out[0]->data + k * bytes,
                   (const char *)in[0]->data + (k / each * block + offset) * bytes, bytes);
    }
}

/* ---- Compress: the slices along an axis (or elements) whose condition is true ---- */

/* Known shapes need a constant condition; it may be shorter than the axis. */
static cnn_status compress_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_BOOL), err));
    TRY(op_expect_rank(g, node, 1, 1, 1, err));
    TRY(op_need_constant(g, node, 1, "condition", err));
    const graph_value *x = op_input(g, node, 0);
    const tensor *condition = op_constant(g, node, 1);
    cnn_shape out = {.rank = 1, .dims = {op_product(&x->shape, 0, x->shape.rank)}};
    int axis = 0;
    if (graph_attr(node, "axis")) {
        out = x->shape;
        TRY(op_read_axis(node, 0, out.rank, &axis, err));
    }
    int64_t count = 0;
    for (size_t i = 0; i < condition->elements && (int64_t)i < out.dims[axis]; i++)
        count += tensor_int(condition, i);
    out.dims[axis] = count;
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static void compress_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *x = &in[0]->shape;
    int axis = 0;
    size_t outer = 1, length = in[0]->elements, size = cnn_dtype_size(in[0]->dtype);
    if (graph_attr(node, "axis")) {
        op_axis(graph_attr_int(node, "axis", 0), x->rank, &axis);
        outer = (size_t)op_product(x, 0, axis);
        length = (size_t)x->dims[axis];
        size *= (size_t)op_product(x, axis + 1, x->rank);
    }
    char *to = out[0]->data;
    for (size_t o = 0; o < outer && out[0]->elements > 0; o++)
        for (size_t i = 0; i < MIN(length, in[1]->elements); i++) {
            if (!tensor_int(in[1], i)) continue;
            memcpy(to, (const char *)in[0]->data + (o * length + i) * size, size);
            to += size;
        }
}

/* ---- ScatterElements (once Scatter), ScatterND ---- */

typedef enum reduction { REPLACE, ADD, MULTIPLY, MAXIMUM, MINIMUM, NO_REDUCTION } reduction;

static reduction read_reduction(const graph_node *node) {
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *name = graph_attr_string(node, "reduction", "none");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(name, names[i]) == 0) return (reduction)i;
    return NO_REDUCTION;
}

static cnn_status check_reduction(const graph *g, const graph_node *node, cnn_error *err) {
    reduction r = read_reduction(node);
    if (r == NO_REDUCTION)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute reduction is '%.40s', which is none of none, add, mul, max, min",
                       graph_attr_string(node, "reduction", ""));
    return op_expect_type(g, node, 0, r == REPLACE ? TYPES_ANY : TYPES_NUMBER, err);
}

static int64_t reduce_int(reduction r, bool is_signed, int64_t a, int64_t b) {
    bool less = is_signed ? a < b : (uint64_t)a < (uint64_t)b;
    switch (r) {
    case ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case MULTIPLY:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case MAXIMUM:
        return less ? b : a;
    case MINIMUM:
        return less ? a : b;
    default:
        return b;
    }
}

static double reduce_real(reduction r, double a, double b) {
    switch (r) {
    case ADD:
        return a + b;
    case MULTIPLY:
        return a * b;
    case MAXIMUM:
        return a > b || isnan(a) ? a : b;
    case MINIMUM:
        return a < b || isnan(a) ? a : b;
    default:
        return b;
    }
}

/* y[to] = reduction(y[to], update[from]) */
static void scatter_one(reduction r, tensor *y, size_t to, const tensor *update, size_t from) {
    number_class class = number_class_of(y->dtype);
    if (r == REPLACE)
        copy_elements(y, to, update, &from, 1);
    else if (class == NUMBER_REAL)
        real_put(
            y->dtype, y->data, to,
            reduce_real(r, real_at(y->dtype, y->data, to), real_at(y->dtype, update->data, from)));
    else
        int_put(y->dtype, y->data, to,
                reduce_int(r, class == NUMBER_SIGNED, int_at(y->dtype, y->data, to),
                           int_at(y->dtype, update->data, from)));
}

static cnn_status scatter_types(graph *g, graph_node *node, type_set indices, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(check_reduction(g, node, err));
    TRY(op_expect_type(g, node, 1, indices, err));
    return op_expect_type(g, node, 2, TYPE(op_input(g, node, 0)->dtype), err);
}

static cnn_status scatter_elements_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(scatter_types(g, node, TYPES_INDEX, err));
    const graph_value *x = op_input(g, node, 0), *indices = op_input(g, node, 1);
    int axis;
    TRY(op_read_axis(node, 0, x->shape.rank, &axis, err));
    TRY(op_expect_rank(g, node, 1, x->shape.rank, x->shape.rank, err));
    TRY(check_indices(g, node, 1, x->shape.dims[axis], err));
    if (!cnn_shape_equal(&indices->shape, &op_input(g, node, 2)->shape))
        return op_fail(node, err, CNN_INVALID_MODEL, "indices and updates differ in shape");
    for (int i = 0; i < x->shape.rank; i++)
        if (i != axis && indices->shape.dims[i] > x->shape.dims[i])
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "the indices have a larger extent than the input on axis %d", i);
    return op_same_as_input(g, node, err);
}

static void scatter_elements_eval(const graph_node *node, const tensor *const *in,
                                  tensor *const *out) {
    const cnn_shape *shape = &in[0]->shape;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", 0), shape->rank, &axis);
    copy_tensor(out[0], in[0]);
    for (size_t at = 0; at < in[1]->elements; at++) {
        int64_t index;
        if (!read_index(in[1], at, shape->dims[axis], &index)) continue;
        scatter_one(read_reduction(node), out[0],
                    offset_along(shape, &in[1]->shape, at, axis, index), in[2], at);
    }
}

/* x is (D..., S...), indices is (K..., depth), updates is (K..., S...) */
static cnn_status scatter_nd_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(scatter_types(g, node, TYPE(CNN_INT64), err));
    TRY(op_expect_rank(g, node, 0, 1, CNN_MAX_RANK, err));
    TRY(op_expect_rank(g, node, 1, 1, CNN_MAX_RANK, err));
    const cnn_shape *x = &op_input(g, node, 0)->shape, *indices = &op_input(g, node, 1)->shape;
    const cnn_shape *updates = &op_input(g, node, 2)->shape;
    int64_t depth = indices->dims[indices->rank - 1];
    bool fits =
        depth >= 1 && depth <= x->rank && updates->rank == indices->rank - 1 + x->rank - (int)depth;
    for (int i = 0; fits && i < updates->rank; i++)
        fits = updates->dims[i] ==
               (i < indices->rank - 1 ? indices->dims[i] : x->dims[depth + i - indices->rank + 1]);
    if (!fits)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the updates' shape does not fit tuples of %lld indices", (long long)depth);
    TRY(check_tuples(g, node, 0, err));
    return op_same_as_input(g, node, err);
}

static void scatter_nd_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    reduction r = read_reduction(node);
    int depth = (int)in[1]->shape.dims[in[1]->shape.rank - 1];
    copy_tensor(out[0], in[0]);
    if (in[2]->elements == 0) return;
    size_t tuples = in[1]->elements / (size_t)depth, run = in[2]->elements / tuples;
    for (size_t k = 0; k < tuples; k++) {
        size_t offset;
        if (!read_tuple(in[1], k, depth, &in[0]->shape, 0, &offset)) continue;
        for (size_t i = 0; i < run; i++)
            scatter_one(r, out[0], offset * run + i, in[2], k * run + i);
    }
}

const op_def ops_gather[] = {
    {
        OP("Gather", 1, 0, 2, 2, 1, 1),
        .attrs = "axis:int",
        .infer = gather_infer,
        .eval = gather_eval,
    },
    {
        OP("GatherElements", 11, 0, 2, 2, 1, 1),
        .attrs = "axis:int",
        .infer = gather_elements_infer,
        .eval = gather_elements_eval,
    },
    {
        OP("GatherND", 11, 0, 2, 2, 1, 1),
        .attrs = "batch_dims:int",
        .infer = gather_nd_infer,
        .eval = gather_nd_eval,
    },
    {
        OP("Compress", 9, 0, 2, 2, 1, 1),
        .attrs = "axis:int",
        .infer = compress_infer,
        .eval = compress_eval,
    },
    {
        OP("Scatter", 9, 10, 3, 3, 1, 1),
        .attrs = "axis:int",
        .infer = scatter_elements_infer,
        .eval = scatter_elements_eval,
    },
    {
        OP("ScatterElements", 11, 0, 3, 3, 1, 1),
        .attrs = "axis:int reduction:string",
        .infer = scatter_elements_infer,
        .eval = scatter_elements_eval,
    },
    {
        OP("ScatterND", 11, 0, 3, 3, 1, 1),
        .attrs = "reduction:string",
        .infer = scatter_nd_infer,
        .eval = scatter_nd_eval,
    },
    {.name = NULL},
};
