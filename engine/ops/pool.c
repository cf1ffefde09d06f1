/*
 * Pooling with sliding windows over 1 to 3 spatial axes: MaxPool, AveragePool and LpPool of ONNX,
 * and SumPool, MixedPool and StochasticPool of ai.cnnserve. docs/pooling.md says what they compute.
 */
#include "ops/families.h"
#include "ops/pool_window.h"

/* ---- maximum ---- */

/*
 * NaN is passed over and the first of equal elements wins; a window without any gives the lowest
 * value and index -1. ONNX numbers positions in the whole input, row-major; storage_order 1 numbers
 * those of a plane column-major.
 */
typedef struct best {
    double real;
    int64_t integer;
    int64_t index; /* -1: none yet */
} best;

static int64_t best_index(const op_window *w, const spot *s, bool column_major, int64_t i0,
                          int64_t i1, int64_t i2) {
    if (!column_major) return (int64_t)(s->first + position_index(w, i0, i1, i2));
    return (int64_t)s->first + i0 + w->in[0] * (i1 + w->in[1] * i2);
}

ALWAYS_INLINE void max_real(cnn_dtype type, const pooling *p, const tensor *x, bool column_major,
                            tensor *out, tensor *indices, const spot *s, size_t at) {
    best b = {-INFINITY, 0, -1};
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        if (isnan(value) || (b.index >= 0 && value <= b.real)) continue;
        b.real = value;
        b.index = best_index(&p->w, s, column_major, i0, i1, i2);
    }
    real_put(type, out->data, at, b.real);
    if (indices) int_put(CNN_INT64, indices->data, at, b.index);
}

ALWAYS_INLINE void max_all_real(cnn_dtype type, const pooling *p, const tensor *x,
                                bool column_major, tensor *out, tensor *indices) {
    FOR_EACH_WINDOW(p, pool_planes(x), max_real, type, p, x, column_major, out, indices);
}

void pool_max(const pooling *p, const tensor *x, tensor *out) {
    FOR_REAL_TYPE(x->dtype, max_all_real, p, x, false, out, NULL);
}

static bool int_greater(cnn_dtype type, int64_t a, int64_t b) {
    return number_class_of(type) == NUMBER_SIGNED ? a > b : (uint64_t)a > (uint64_t)b;
}

static int64_t lowest_int(cnn_dtype type) {
    if (number_class_of(type) != NUMBER_SIGNED) return 0;
    return INT64_MIN >> (64 - 8 * cnn_dtype_size(type));
}

static void max_int(const pooling *p, const tensor *x, bool column_major, tensor *out,
                    tensor *indices, const spot *s, size_t at) {
    best b = {0, lowest_int(x->dtype), -1};
    FOR_EACH_POSITION(&p->w, s) {
        int64_t value = int_at(x->dtype, x->data, s->first + position_index(&p->w, i0, i1, i2));
        if (b.index >= 0 && !int_greater(x->dtype, value, b.integer)) continue;
        b.integer = value;
        b.index = best_index(&p->w, s, column_major, i0, i1, i2);
    }
    int_put(x->dtype, out->data, at, b.integer);
    if (indices) int_put(CNN_INT64, indices->data, at, b.index);
}

static void max_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0];
    tensor *indices = eval_out(node, out, 1);
    bool column_major = graph_attr_int(node, "storage_order", 0) == 1;
    pooling p = pool_sliding(node, &x->shape);
    if (number_class_of(x->dtype) == NUMBER_REAL)
        FOR_REAL_TYPE(x->dtype, max_all_real, &p, x, column_major, out[0], indices);
    else
        FOR_EACH_WINDOW(&p, pool_planes(x), max_int, &p, x, column_major, out[0], indices);
}

static cnn_status max_infer(graph *g, graph_node *node, cnn_error *err) {
    cnn_shape out;
    TRY(pool_infer_shape(g, node, TYPES_NUMBER, &out, err));
    int64_t order = graph_attr_int(node, "storage_order", 0);
    if (order != 0 && order != 1)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute storage_order is %lld, which is neither 0 nor 1",
                       (long long)order);
    TRY(op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &out, err));
    return op_set_output(g, node, 1, CNN_INT64, &out, err);
}

/* ---- sum, average ---- */

ALWAYS_INLINE double pool_sum_of(cnn_dtype type, const pooling *p, const tensor *x, const spot *s) {
    double sum = 0;
    FOR_EACH_POSITION(&p->w, s)
    sum += spot_value(type, p, x, s, i0, i1, i2);
    return sum;
}

DEFINE_POOLING(static, pool_sum)

static void sum_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_sliding(node, &in[0]->shape);
    pool_sum(&p, in[0], out[0]);
}

ALWAYS_INLINE double pool_average_of(cnn_dtype type, const pooling *p, const tensor *x,
                                     const spot *s) {
    double size = spot_size(s, p->with_padding);
    return size > 0 ? pool_sum_of(type, p, x, s) / size : 0;
}

DEFINE_POOLING(extern, pool_average)

static void average_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_sliding(node, &in[0]->shape);
    pool_average(&p, in[0], out[0]);
}

/* ---- Lp norm ---- */

ALWAYS_INLINE double pool_lp_of(cnn_dtype type, const pooling *p, const tensor *x, const spot *s) {
    double sum = 0;
    FOR_EACH_POSITION(&p->w, s)
    sum += pow(fabs(spot_value(type, p, x, s, i0, i1, i2)), p->p);
    return pow(sum, 1 / p->p);
}

DEFINE_POOLING(extern, pool_lp)

static void lp_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_sliding(node, &in[0]->shape);
    pool_lp(&p, in[0], out[0]);
}

static cnn_status lp_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(pool_infer(g, node, err));
    return pool_infer_norm(node, err);
}

/* ---- maximum and average mixed ---- */

ALWAYS_INLINE double pool_mixed_of(cnn_dtype type, const pooling *p, const tensor *x,
                                   const spot *s) {
    double sum = 0, most = -INFINITY, size = spot_size(s, false);
    size_t channel = s->plane % (size_t)x->shape.dims[1];
    double alpha = real_at(type, p->alpha->data, p->alpha->elements == 1 ? 0 : channel);
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        sum += value;
        most = value > most ? value : most;
    }
    return size > 0 ? alpha * most + (1 - alpha) * (sum / size) : 0;
}

DEFINE_POOLING(static, pool_mixed)

static void mixed_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_sliding(node, &in[0]->shape);
    p.alpha = in[1];
    pool_mixed(&p, in[0], out[0]);
}

static cnn_status mixed_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(pool_infer(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_REAL, err));
    if (op_expect_scalar(g, node, 1, NULL) == CNN_OK) return CNN_OK;
    return op_expect_vector(g, node, 1, op_input(g, node, 0)->shape.dims[1], "channels", err);
}

/* ---- stochastic pooling's expected value ---- */

ALWAYS_INLINE double pool_stochastic_of(cnn_dtype type, const pooling *p, const tensor *x,
                                        const spot *s) {
    double sum = 0, squares = 0;
    FOR_EACH_POSITION(&p->w, s) {
        double value = spot_value(type, p, x, s, i0, i1, i2);
        if (!(value > 0)) continue;
        sum += value;
        squares += value * value;
    }
    return sum > 0 ? squares / sum : 0;
}

DEFINE_POOLING(static, pool_stochastic)

static void stochastic_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    pooling p = pool_sliding(node, &in[0]->shape);
    pool_stochastic(&p, in[0], out[0]);
}

/* ---- */

void pool_window_of(const graph *g, const graph_node *node, op_window *out) {
    *out = pool_sliding(node, &op_input(g, node, 0)->shape).w;
}

#define WINDOW "auto_pad:string kernel_shape:ints! pads:ints strides:ints"
#define MAX_POOL(first, last, max_out, extra)                                                      \
    OP("MaxPool", first, last, 1, 1, 1, max_out), .attrs = WINDOW extra, .infer = max_infer,       \
                                                  .eval = max_eval, .window = pool_window_of
#define AVERAGE_POOL(first, last, extra)                                                           \
    OP("AveragePool", first, last, 1, 1, 1, 1), .attrs = WINDOW extra, .infer = pool_infer,        \
                                                .eval = average_eval, .window = pool_window_of
#define LP_POOL(first, last, extra)                                                                \
    OP("LpPool", first, last, 1, 1, 1, 1), .attrs = WINDOW " p:int" extra, .infer = lp_infer,      \
                                           .eval = lp_eval, .window = pool_window_of
#define OWN_POOL(text, inputs, infer_of, eval_of)                                                  \
    OWN_OP(text, inputs, inputs, 1, 1), .attrs = POOL_ATTRS, .infer = infer_of, .eval = eval_of,   \
                                        .window = pool_window_of

const op_def ops_pool[] = {
    {MAX_POOL(1, 7, 1, "")},
    {MAX_POOL(8, 9, 2, " storage_order:int")},
    {MAX_POOL(10, 0, 2, " storage_order:int ceil_mode:int dilations:ints")},
    {AVERAGE_POOL(1, 6, "")},
    {AVERAGE_POOL(7, 9, " count_include_pad:int")},
    {AVERAGE_POOL(10, 18, " count_include_pad:int ceil_mode:int")},
    {AVERAGE_POOL(19, 0, " count_include_pad:int ceil_mode:int dilations:ints")},
    {LP_POOL(2, 17, "")},
    {LP_POOL(18, 0, " ceil_mode:int dilations:ints")},
    {OWN_POOL("SumPool", 1, pool_infer, sum_eval)},
    {OWN_POOL("MixedPool", 2, mixed_infer, mixed_eval)},
    {OWN_POOL("StochasticPool", 1, pool_infer, stochastic_eval)},
    {.name = NULL},
};
