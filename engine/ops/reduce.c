/*
 * Reductions over axes (ReduceSum and its kin), ArgMax, ArgMin, CumSum, CumProd and TopK.
 *
 * The axes to reduce are a set; the view of the others gives the groups, that of the set the
 * members of a group. axes is an attribute before version 18 (ReduceSum: 13) and an input since.
 */
#include "ops/reduce.h"

#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* ---- which axes ---- */

/* None named means all, unless noop_with_empty_axes says that it means none. */
static cnn_status read_axes(const graph_node *node, const op_list *axes, int rank, unsigned *set,
                            cnn_error *err) {
    TRY(op_axis_set(node, axes, rank, set, err));
    if (axes->count == 0 && graph_attr_int(node, "noop_with_empty_axes", 0) == 0)
        *set = (1u << rank) - 1;
    return CNN_OK;
}

bool reduce_axes(const graph *g, const graph_node *node, unsigned *set) {
    const tensor *fed = op_constant(g, node, 1);
    if (node->input_count > 1 && node->inputs[1] >= 0 && !fed) return false;
    op_list axes = op_read_list(node, "axes", fed);
    return read_axes(node, &axes, g->values[node->inputs[0]].shape.rank, set, NULL) == CNN_OK;
}

static cnn_status reduce_infer_types(graph *g, graph_node *node, type_set types, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, types, err));
    op_list axes;
    unsigned set;
    TRY(op_need_list(g, node, "axes", 1, &axes, err));
    const graph_value *x = op_input(g, node, 0);
    TRY(read_axes(node, &axes, x->shape.rank, &set, err));
    bool keep = graph_attr_int(node, "keepdims", 1) != 0;
    cnn_shape out = {0};
    for (int i = 0; i < x->shape.rank; i++)
        if (!(set >> i & 1))
            out.dims[out.rank++] = x->shape.dims[i];
        else if (keep)
            out.dims[out.rank++] = 1;
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static cnn_status number_infer(graph *g, graph_node *node, cnn_error *err) {
    return reduce_infer_types(g, node, TYPES_NUMBER, err);
}

static cnn_status any_infer(graph *g, graph_node *node, cnn_error *err) {
    return reduce_infer_types(g, node, TYPES_ANY, err);
}

/* ---- what is computed of a group ---- */

typedef enum reduction {
    REDUCE_SUM,
    REDUCE_MEAN,
    REDUCE_PROD,
    REDUCE_MAX,
    REDUCE_MIN,
    REDUCE_L1,
    REDUCE_L2,
    REDUCE_SUM_SQUARE,
    REDUCE_LOG_SUM,
    REDUCE_LOG_SUM_EXP,
} reduction;

static double real_start(reduction r) {
    switch (r) {
    case REDUCE_PROD:
        return 1;
    case REDUCE_MAX:
        return -INFINITY;
    case REDUCE_MIN:
        return INFINITY;
    default:
        return 0;
    }
}

/* `shift` is the group's largest element, for REDUCE_LOG_SUM_EXP. */
static double real_step(reduction r, double sum, double x, double shift) {
    switch (r) {
    case REDUCE_PROD:
        return sum * x;
    case REDUCE_MAX:
        return isnan(sum) || sum > x ? sum : x;
    case REDUCE_MIN:
        return isnan(sum) || sum < x ? sum : x;
    case REDUCE_L1:
        return sum + fabs(x);
    case REDUCE_L2:
    case REDUCE_SUM_SQUARE:
        return sum + x * x;
    case REDUCE_LOG_SUM_EXP:
        return sum + exp(x - shift);
    default:
        return sum + x;
    }
}

static double real_end(reduction r, double sum, size_t count, double shift) {
    switch (r) {
    case REDUCE_MEAN:
        return sum / (double)count;
    case REDUCE_L2:
        return sqrt(sum);
    case REDUCE_LOG_SUM:
        return log(sum);
    case REDUCE_LOG_SUM_EXP:
        return log(sum) + shift;
    default:
        return sum;
    }
}

/* Runs `r` over the elements of the group at `base`; integers are taken as doubles. */
static double real_pass(reduction r, const tensor *x, const view *group, size_t base,
                        double shift) {
    size_t offsets[EVAL_BLOCK];
    double sum = real_start(r);
    bool real = number_class_of(x->dtype) == NUMBER_REAL;
    for (size_t start = 0; start < group->count; start += EVAL_BLOCK) {
        size_t n = MIN(group->count - start, (size_t)EVAL_BLOCK);
        view_offsets(group, start, n, offsets);
        for (size_t i = 0; i < n; i++) {
            size_t at = base + offsets[i];
            sum = real_step(r, sum, real ? real_at(x->dtype, x->data, at) : tensor_number(x, at),
                            shift);
        }
    }
    return sum;
}

static double reduce_real(reduction r, const tensor *x, const view *group, size_t base) {
    double shift = 0;
    if (r == REDUCE_LOG_SUM_EXP) {
        shift = real_pass(REDUCE_MAX, x, group, base, 0);
        if (!isfinite(shift)) shift = 0;
    }
    return real_end(r, real_pass(r, x, group, base, shift), group->count, shift);
}

/* ---- integers: sums, products and extremes are exact, the rest goes over double ---- */

static bool is_exact(reduction r) {
    return r != REDUCE_MEAN && r != REDUCE_L2 && r != REDUCE_LOG_SUM && r != REDUCE_LOG_SUM_EXP;
}

static int64_t int_start(reduction r, cnn_dtype type) {
    bool is_signed = number_class_of(type) == NUMBER_SIGNED;
    int shift = 64 - 8 * (int)cnn_dtype_size(type);
    switch (r) {
    case REDUCE_PROD:
        return 1;
    case REDUCE_MAX:
        return is_signed ? INT64_MIN >> shift : 0;
    case REDUCE_MIN:
        return is_signed ? INT64_MAX >> shift : (int64_t)(UINT64_MAX >> shift);
    default:
        return 0;
    }
}

static int64_t int_step(reduction r, bool is_signed, int64_t sum, int64_t x) {
    bool less = is_signed ? x < sum : (uint64_t)x < (uint64_t)sum;
    uint64_t ux = (uint64_t)x;
    switch (r) {
    case REDUCE_PROD:
        return (int64_t)((uint64_t)sum * ux);
    case REDUCE_MAX:
        return less ? sum : x;
    case REDUCE_MIN:
        return less ? x : sum;
    case REDUCE_L1:
        return (int64_t)((uint64_t)sum + (is_signed && x < 0 ? 0 - ux : ux));
    case REDUCE_SUM_SQUARE:
        return (int64_t)((uint64_t)sum + ux * ux);
    default:
        return (int64_t)((uint64_t)sum + ux);
    }
}

static int64_t reduce_int(reduction r, const tensor *x, const view *group, size_t base) {
    size_t offset;
    int64_t sum = int_start(r, x->dtype);
    bool is_signed = number_class_of(x->dtype) == NUMBER_SIGNED;
    for (size_t i = 0; i < group->count; i++) {
        view_offsets(group, i, 1, &offset);
        sum = int_step(r, is_signed, sum, int_at(x->dtype, x->data, base + offset));
    }
    return sum;
}

static void eval_reduction(reduction r, const graph_node *node, const tensor *const *in,
                           tensor *out) {
    const tensor *x = in[0];
    op_list axes = op_read_list(node, "axes", eval_in(node, in, 1));
    unsigned set;
    if (read_axes(node, &axes, x->shape.rank, &set, NULL) != CNN_OK) return;
    view groups = view_select(&x->shape, ~set), group = view_select(&x->shape, set);
    bool integer = number_class_of(x->dtype) != NUMBER_REAL && is_exact(r);
    for (size_t k = 0; k < out->elements; k++) {
        size_t base;
        view_offsets(&groups, k, 1, &base);
        if (integer)
            int_put(out->dtype, out->data, k, reduce_int(r, x, &group, base));
        else
            number_put(out, k, reduce_real(r, x, &group, base));
    }
}

#define DEFINE_REDUCTION(name, kind)                                                               \
    static void name##_eval(const graph_node *node, const tensor *const *in, tensor *const *out) { \
        eval_reduction(kind, node, in, out[0]);                                                    \
    }

DEFINE_REDUCTION(sum, REDUCE_SUM)
DEFINE_REDUCTION(mean, REDUCE_MEAN)
DEFINE_REDUCTION(prod, REDUCE_PROD)
DEFINE_REDUCTION(max, REDUCE_MAX)
DEFINE_REDUCTION(min, REDUCE_MIN)
DEFINE_REDUCTION(l1, REDUCE_L1)
DEFINE_REDUCTION(l2, REDUCE_L2)
DEFINE_REDUCTION(sum_square, REDUCE_SUM_SQUARE)
DEFINE_REDUCTION(log_sum, REDUCE_LOG_SUM)
DEFINE_REDUCTION(log_sum_exp, REDUCE_LOG_SUM_EXP)

/* ---- order of elements, for ArgMax and TopK ---- */

/* Is element `a` of x before element `b` when the largest (or smallest) comes first? NaN is
 * largest. */
static bool comes_before(const tensor *x, size_t a, size_t b, bool largest) {
    if (number_class_of(x->dtype) == NUMBER_REAL) {
        double va = real_at(x->dtype, x->data, a), vb = real_at(x->dtype, x->data, b);
        if (isnan(va) || isnan(vb)) return largest ? !isnan(vb) : !isnan(va);
        return largest ? va > vb : va < vb;
    }
    int64_t va = int_at(x->dtype, x->data, a), vb = int_at(x->dtype, x->data, b);
    if (number_class_of(x->dtype) == NUMBER_SIGNED) return largest ? va > vb : va < vb;
    return largest ? (uint64_t)va > (uint64_t)vb : (uint64_t)va < (uint64_t)vb;
}

/* ---- ArgMax, ArgMin ---- */

static cnn_status arg_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    cnn_shape out = op_input(g, node, 0)->shape;
    int axis;
    TRY(op_read_axis(node, 0, out.rank, &axis, err));
    if (out.dims[axis] == 0) return op_fail(node, err, CNN_INVALID_MODEL, "axis %d is empty", axis);
    out.dims[axis] = 1;
    if (graph_attr_int(node, "keepdims", 1) == 0) {
        out.rank--;
        memmove(&out.dims[axis], &out.dims[axis + 1],
                (size_t)(out.rank - axis) * sizeof out.dims[0]);
    }
    return op_set_output(g, node, 0, CNN_INT64, &out, err);
}

static void eval_arg(const graph_node *node, const tensor *x, tensor *out, bool largest) {
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", 0), x->shape.rank, &axis);
    bool last = graph_attr_int(node, "select_last_index", 0) != 0;
    size_t length = (size_t)x->shape.dims[axis];
    size_t step = (size_t)op_product(&x->shape, axis + 1, x->shape.rank);
    for (size_t k = 0; k < out->elements; k++) {
        size_t base = k / step * step * length + k % step, best = 0;
        for (size_t i = 1; i < length; i++) {
            size_t a = base + i * step, b = base + best * step;
            if (last ? !comes_before(x, b, a, largest) : comes_before(x, a, b, largest)) best = i;
        }
        int_put(CNN_INT64, out->data, k, (int64_t)best);
    }
}

static void arg_max_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_arg(node, in[0], out[0], true);
}

static void arg_min_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_arg(node, in[0], out[0], false);
}

/* ---- TopK ---- */

/* k is an attribute before version 10, a constant input since. */
static cnn_status top_k_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_INT64), err));
    TRY(op_expect_scalar(g, node, 1, err));
    TRY(op_need_constant(g, node, 1, "k", err));
    cnn_dtype dtype = op_input(g, node, 0)->dtype;
    cnn_shape out = op_input(g, node, 0)->shape;
    const tensor *input = op_constant(g, node, 1);
    int64_t k = input ? tensor_int(input, 0) : graph_attr_int(node, "k", 0);
    int axis;
    TRY(op_read_axis(node, -1, out.rank, &axis, err));
    if (k < 0 || k > out.dims[axis])
        return op_fail(node, err, CNN_INVALID_MODEL, "k is %lld, but axis %d has %lld elements",
                       (long long)k, axis, (long long)out.dims[axis]);
    out.dims[axis] = k;
    TRY(op_set_output(g, node, 0, dtype, &out, err));
    return op_set_output(g, node, 1, CNN_INT64, &out, err);
}

/* Order of elements a, b of a row: by value, then by index. */
static bool ranks_before(const tensor *x, size_t base, size_t step, size_t a, size_t b,
                         bool largest) {
    if (comes_before(x, base + a * step, base + b * step, largest)) return true;
    return a < b && !comes_before(x, base + b * step, base + a * step, largest);
}

/* Without scratch memory: each next one is the first of all that rank behind the previous one. */
static void top_k_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0];
    bool largest = graph_attr_int(node, "largest", 1) != 0;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", -1), x->shape.rank, &axis);
    const tensor *shaped = out[0] ? out[0] : out[1];
    size_t length = (size_t)x->shape.dims[axis], k = (size_t)shaped->shape.dims[axis];
    size_t step = (size_t)op_product(&x->shape, axis + 1, x->shape.rank);
    size_t rows = k > 0 ? shaped->elements / k : 0;
    for (size_t row = 0; row < rows; row++) {
        size_t base = row / step * step * length + row % step, previous = length;
        for (size_t rank = 0; rank < k; rank++) {
            size_t best = length;
            for (size_t i = 0; i < length; i++) {
                bool taken =
                    previous < length && !ranks_before(x, base, step, previous, i, largest);
                if (!taken && (best == length || ranks_before(x, base, step, i, best, largest)))
                    best = i;
            }
            size_t at = row / step * step * k + row % step + rank * step, from = base + best * step;
            if (out[0]) copy_elements(out[0], at, x, &from, 1);
            if (eval_out(node, out, 1)) int_put(CNN_INT64, out[1]->data, at, (int64_t)best);
            previous = best;
        }
    }
}

/* ---- CumSum, CumProd ---- */

static cnn_status cumulate_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    TRY(op_expect_type(g, node, 1, TYPES_INDEX, err));
    TRY(op_expect_scalar(g, node, 1, err));
    TRY(op_need_constant(g, node, 1, "axis", err));
    const cnn_shape *x = &op_input(g, node, 0)->shape;
    int64_t axis = tensor_int(op_constant(g, node, 1), 0);
    int resolved;
    if (!op_axis(axis, x->rank, &resolved))
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "axis %lld is outside the %d dimensions of the input", (long long)axis,
                       x->rank);
    return op_same_as_input(g, node, err);
}

/* One row of `length` elements from `base`; `step` is negative if it runs backwards. */
static void cumulate_row(reduction r, bool exclusive, const tensor *x, tensor *y, size_t base,
                         int64_t step, size_t length) {
    bool real = number_class_of(x->dtype) == NUMBER_REAL;
    bool is_signed = number_class_of(x->dtype) == NUMBER_SIGNED;
    double real_sum = real_start(r);
    int64_t int_sum = int_start(r, x->dtype);
    for (size_t i = 0; i < length; i++) {
        size_t at = (size_t)((int64_t)base + (int64_t)i * step);
        double before = real_sum;
        int64_t int_before = int_sum;
        if (real) {
            real_sum = real_step(r, real_sum, real_at(x->dtype, x->data, at), 0);
            real_put(y->dtype, y->data, at, exclusive ? before : real_sum);
        } else {
            int_sum = int_step(r, is_signed, int_sum, int_at(x->dtype, x->data, at));
            int_put(y->dtype, y->data, at, exclusive ? int_before : int_sum);
        }
    }
}

static void eval_cumulate(reduction r, const graph_node *node, const tensor *const *in,
                          tensor *const *out) {
    const tensor *x = in[0];
    int axis = 0;
    if (!op_axis(tensor_int(in[1], 0), x->shape.rank, &axis) || x->elements == 0) return;
    bool exclusive = graph_attr_int(node, "exclusive", 0) != 0;
    bool reverse = graph_attr_int(node, "reverse", 0) != 0;
    size_t length = (size_t)x->shape.dims[axis];
    size_t step = (size_t)op_product(&x->shape, axis + 1, x->shape.rank);
    for (size_t row = 0; row < x->elements / length; row++) {
        size_t base = row / step * step * length + row % step;
        if (reverse) base += (length - 1) * step;
        cumulate_row(r, exclusive, x, out[0], base, reverse ? -(int64_t)step : (int64_t)step,
                     length);
    }
}

static void cum_sum_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_cumulate(REDUCE_SUM, node, in, out);
}

static void cum_prod_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    eval_cumulate(REDUCE_PROD, node, in, out);
}

/* `moved`: the version in which axes became an input. */
#define REDUCTION(name, moved, shapes, function)                                                   \
    {OP(name, 1, (moved)-1, 1, 1, 1, 1), .attrs = "axes:ints keepdims:int", .infer = shapes,       \
     .eval = function},                                                                            \
    {                                                                                              \
        OP(name, moved, 0, 1, 2, 1, 1), .attrs = "keepdims:int noop_with_empty_axes:int",          \
                                        .infer = shapes, .eval = function                          \
    }
#define ARG(name, function)                                                                        \
    {OP(name, 1, 11, 1, 1, 1, 1), .attrs = "axis:int keepdims:int", .infer = arg_infer,            \
     .eval = function},                                                                            \
    {                                                                                              \
        OP(name, 12, 0, 1, 1, 1, 1), .attrs = "axis:int keepdims:int select_last_index:int",       \
                                     .infer = arg_infer, .eval = function                          \
    }

const op_def ops_reduce[] = {
    REDUCTION("ReduceSum", 13, number_infer, sum_eval),
    REDUCTION("ReduceMean", 18, number_infer, mean_eval),
    REDUCTION("ReduceProd", 18, number_infer, prod_eval),
    REDUCTION("ReduceMax", 18, any_infer, max_eval),
    REDUCTION("ReduceMin", 18, any_infer, min_eval),
    REDUCTION("ReduceL1", 18, number_infer, l1_eval),
    REDUCTION("ReduceL2", 18, number_infer, l2_eval),
    REDUCTION("ReduceSumSquare", 18, number_infer, sum_square_eval),
    REDUCTION("ReduceLogSum", 18, number_infer, log_sum_eval),
    REDUCTION("ReduceLogSumExp", 18, number_infer, log_sum_exp_eval),
    ARG("ArgMax", arg_max_eval),
    ARG("ArgMin", arg_min_eval),
    {
        OP("TopK", 1, 9, 1, 1, 1, 2),
        .attrs = "axis:int k:int!",
        .infer = top_k_infer,
        .eval = top_k_eval,
    },
    {OP("TopK", 10, 10, 2, 2, 1, 2), .attrs = "axis:int", .infer = top_k_infer, .eval = top_k_eval},
    {
        OP("TopK", 11, 0, 2, 2, 1, 2),
        .attrs = "axis:int largest:int sorted:int",
        .infer = top_k_infer,
        .eval = top_k_eval,
    },
    {
        OP("CumSum", 11, 0, 2, 2, 1, 1),
        .attrs = "exclusive:int reverse:int",
        .infer = cumulate_infer,
        .eval = cum_sum_eval,
    },
    {
        OP("CumProd", 26, 0, 2, 2, 1, 1),
        .attrs = "exclusive:int reverse:int",
        .infer = cumulate_infer,
        .eval = cum_prod_eval,
    },
    {.name = NULL},
};
