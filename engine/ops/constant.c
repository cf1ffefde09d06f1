/*
 * Tensors that depend on no data: Constant, ConstantOfShape, Shape, Size, Range, EyeLike, OneHot
 * and NonZero (of a constant). What is known when shapes are inferred is made a constant there.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* ---- Constant ---- */

static cnn_status copy_numbers(const attr *a, cnn_dtype dtype, int rank, tensor **out,
                               cnn_error *err) {
    cnn_shape shape = {.rank = rank, .dims = {(int64_t)a->count}};
    TRY(tensor_create(dtype, &shape, out, err));
    const void *from = dtype == CNN_FLOAT32 ? (const void *)a->floats : a->ints;
    if (a->count > 0) memcpy((*out)->data, from, (*out)->bytes);
    return CNN_OK;
}

static cnn_status constant_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    if (node->attr_count != 1)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "exactly one attribute gives the value, but there are %zu",
                       node->attr_count);
    const attr *a = &node->attrs[0];
    tensor *value = NULL;
    switch (a->kind) {
    case ATTR_TENSOR:
        value = tensor_ref(a->tensor);
        break;
    case ATTR_INT:
    case ATTR_INTS:
        TRY(copy_numbers(a, CNN_INT64, a->kind == ATTR_INTS, &value, err));
        break;
    case ATTR_FLOAT:
    case ATTR_FLOATS:
        TRY(copy_numbers(a, CNN_FLOAT32, a->kind == ATTR_FLOATS, &value, err));
        break;
    default:
        return op_fail(node, err, CNN_UNSUPPORTED, "texts (attribute %s) are not supported",
                       a->name);
    }
    return op_set_constant(g, node, 0, value, err);
}

/* infer has made the output a constant already; this serves who evaluates the node all the same. */
static void constant_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)in;
    const attr *a = &node->attrs[0];
    if (a->kind == ATTR_TENSOR)
        copy_tensor(out[0], a->tensor);
    else if (out[0]->bytes > 0)
        memcpy(out[0]->data, out[0]->dtype == CNN_INT64 ? (const void *)a->ints : a->floats,
               out[0]->bytes);
}

/* ---- ConstantOfShape ---- */

static cnn_status of_shape_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    op_list wanted;
    TRY(op_need_list(g, node, "shape", 0, &wanted, err));
    const attr *value = graph_attr(node, "value");
    if (value && value->tensor->elements != 1)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute value must hold one element, but has %zu",
                       value->tensor->elements);
    if (wanted.count > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT, "shape has %zu extents, at most %d are supported",
                       wanted.count, CNN_MAX_RANK);
    cnn_shape out = {.rank = (int)wanted.count};
    memcpy(out.dims, wanted.values, wanted.count * sizeof out.dims[0]);
    return op_set_output(g, node, 0, value ? value->tensor->dtype : CNN_FLOAT32, &out, err);
}

static void of_shape_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)in;
    const attr *value = graph_attr(node, "value");
    if (value)
        fill_with(out[0], value->tensor);
    else
        fill_zero(out[0]);
}

/* ---- Shape, Size ---- */

static cnn_status shape_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    cnn_shape of = op_input(g, node, 0)->shape;
    int64_t rank = of.rank, start = graph_attr_int(node, "start", 0);
    int64_t end = graph_attr_int(node, "end", rank);
    start = MIN(MAX(start < 0 ? start + rank : start, 0), rank);
    end = MIN(MAX(end < 0 ? end + rank : end, 0), rank);
    cnn_shape shape = {.rank = 1, .dims = {MAX(end - start, 0)}};
    tensor *value;
    TRY(tensor_create(CNN_INT64, &shape, &value, err));
    if (value->bytes > 0) memcpy(value->data, &of.dims[start], value->bytes);
    return op_set_constant(g, node, 0, value, err);
}

static void shape_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    int64_t rank = in[0]->shape.rank, start = graph_attr_int(node, "start", 0);
    start = MIN(MAX(start < 0 ? start + rank : start, 0), rank);
    if (out[0]->bytes > 0) memcpy(out[0]->data, &in[0]->shape.dims[start], out[0]->bytes);
}

static cnn_status size_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    cnn_shape of = op_input(g, node, 0)->shape, scalar = {.rank = 0};
    tensor *value;
    TRY(tensor_create(CNN_INT64, &scalar, &value, err));
    ((int64_t *)value->data)[0] = op_product(&of, 0, of.rank);
    return op_set_constant(g, node, 0, value, err);
}

static void size_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    ((int64_t *)out[0]->data)[0] = (int64_t)in[0]->elements;
}

/* ---- Range ---- */

#define TYPES_RANGE (TYPES_REAL | TYPE(CNN_INT16) | TYPE(CNN_INT32) | TYPE(CNN_INT64))

/* max(ceil((limit - start) / delta), 0) numbers start, start + delta, ... */
static cnn_status range_infer(graph *g, graph_node *node, cnn_error *err) {
    static const char *const names[] = {"start", "limit", "delta"};
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_RANGE, err));
    double numbers[3];
    for (size_t i = 0; i < 3; i++) {
        TRY(op_expect_scalar(g, node, i, err));
        TRY(op_need_constant(g, node, i, names[i], err));
        numbers[i] = tensor_number(op_constant(g, node, i), 0);
    }
    double count = ceil((numbers[1] - numbers[0]) / numbers[2]);
    if (numbers[2] == 0 || !(count <= (double)GRAPH_MAX_EXTENT))
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "a range from %g to %g in steps of %g cannot be made", numbers[0],
                       numbers[1], numbers[2]);
    cnn_shape out = {.rank = 1, .dims = {(int64_t)MAX(count, 0)}};
    return op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &out, err);
}

static void range_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    cnn_dtype dtype = out[0]->dtype;
    for (size_t i = 0; i < out[0]->elements; i++)
        if (number_class_of(dtype) == NUMBER_REAL)
            number_put(out[0], i, tensor_number(in[0], 0) + (double)i * tensor_number(in[2], 0));
        else
            int_put(dtype, out[0]->data, i,
                    (int64_t)((uint64_t)int_at(dtype, in[0]->data, 0) +
                              (uint64_t)i * (uint64_t)int_at(dtype, in[2]->data, 0)));
}

/* ---- EyeLike ---- */

static cnn_status eye_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_rank(g, node, 0, 2, 2, err));
    const graph_value *x = op_input(g, node, 0);
    cnn_shape shape = x->shape;
    int64_t dtype = graph_attr_int(node, "dtype", (int64_t)x->dtype);
    if (dtype < 1 || dtype > 31 || !(TYPES_ANY & TYPE(dtype)))
        return op_fail(node, err, CNN_UNSUPPORTED, "attribute dtype is %lld", (long long)dtype);
    return op_set_output(g, node, 0, (cnn_dtype)dtype, &shape, err);
}

static void eye_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)in;
    int64_t k = graph_attr_int(node, "k", 0), columns = out[0]->shape.dims[1];
    fill_zero(out[0]);
    for (int64_t i = 0; i < out[0]->shape.dims[0]; i++)
        if (k >= -i && k < columns - i) number_put(out[0], (size_t)(i * columns + i + k), 1);
}

/* ---- OneHot ---- */

/* indices is (I...), y is I... with an axis of `depth` put in; values holds off and on. */
static cnn_status one_hot_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    TRY(op_expect_type(g, node, 1, TYPES_NUMBER, err));
    TRY(op_expect_scalar(g, node, 1, err));
    TRY(op_need_constant(g, node, 1, "depth", err));
    TRY(op_expect_vector(g, node, 2, 2, "values, off and on,", err));
    const cnn_shape *indices = &op_input(g, node, 0)->shape;
    cnn_shape out = {.rank = indices->rank + 1};
    int axis;
    if (out.rank > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT, "the output has more than %d dimensions",
                       CNN_MAX_RANK);
    TRY(op_read_axis(node, -1, out.rank, &axis, err));
    for (int i = 0, from = 0; i < out.rank; i++)
        out.dims[i] = i == axis ? tensor_int(op_constant(g, node, 1), 0) : indices->dims[from++];
    return op_set_output(g, node, 0, op_input(g, node, 2)->dtype, &out, err);
}

static void one_hot_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *shape = &out[0]->shape;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", -1), shape->rank, &axis);
    size_t step = (size_t)op_product(shape, axis + 1, shape->rank);
    int64_t depth = shape->dims[axis];
    for (size_t at = 0; at < out[0]->elements; at++) {
        size_t from = at / step / (size_t)depth * step + at % step;
        int64_t index = tensor_int(in[0], from);
        size_t on = (index < 0 ? index + depth : index) == (int64_t)(at / step) % depth;
        copy_elements(out[0], at, in[2], &on, 1);
    }
}

/* ---- NonZero ---- */

/* The indices of the elements other than 0, one column each: known shapes need a constant. */
static cnn_status non_zero_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_need_constant(g, node, 0, "input", err));
    const tensor *x = op_constant(g, node, 0);
    cnn_shape out = {.rank = 2, .dims = {x->shape.rank, 0}};
    for (size_t i = 0; i < x->elements; i++)
        out.dims[1] += tensor_number(x, i) != 0;
    return op_set_output(g, node, 0, CNN_INT64, &out, err);
}

static void non_zero_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    int64_t *y = out[0]->data, count = out[0]->shape.dims[1], column = 0;
    for (size_t at = 0; at < in[0]->elements && column < count; at++) {
        size_t rest = at;
        if (tensor_number(in[0], at) == 0) continue;
        for (int i = in[0]->shape.rank - 1; i >= 0; i--) {
            y[i * count + column] = (int64_t)(rest % (size_t)in[0]->shape.dims[i]);
            rest /= (size_t)in[0]->shape.dims[i];
        }
        column++;
    }
}

#define CONSTANT(first, last, declared)                                                            \
    OP("Constant", first, last, 0, 0, 1, 1), .attrs = declared, .infer = constant_infer,           \
                                             .eval = constant_eval

const op_def ops_constant[] = {
    {CONSTANT(1, 11, "value:tensor")},
    {CONSTANT(12, 0,
              "value:tensor value_int:int value_ints:ints value_float:float value_floats:floats "
              "value_string:string value_strings:strings")},
    {
        OP("ConstantOfShape", 9, 0, 1, 1, 1, 1),
        .attrs = "value:tensor",
        .infer = of_shape_infer,
        .eval = of_shape_eval,
    },
    {OP("Shape", 1, 14, 1, 1, 1, 1), .infer = shape_infer, .eval = shape_eval},
    {
        OP("Shape", 15, 0, 1, 1, 1, 1),
        .attrs = "start:int end:int",
        .infer = shape_infer,
        .eval = shape_eval,
    },
    {OP("Size", 1, 0, 1, 1, 1, 1), .infer = size_infer, .eval = size_eval},
    {OP("Range", 11, 0, 3, 3, 1, 1), .infer = range_infer, .eval = range_eval},
    {
        OP("EyeLike", 9, 0, 1, 1, 1, 1),
        .attrs = "dtype:int k:int",
        .infer = eye_infer,
        .eval = eye_eval,
    },
    {
        OP("OneHot", 9, 0, 3, 3, 1, 1),
        .attrs = "axis:int",
        .infer = one_hot_infer,
        .eval = one_hot_eval,
    },
    {OP("NonZero", 9, 0, 1, 1, 1, 1), .infer = non_zero_infer, .eval = non_zero_eval},
    {.name = NULL},
};
