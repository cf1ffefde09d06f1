/*
 * MaxPool, AveragePool, LpPool and MaxUnpool over 1 to 3 spatial axes.
 *
 * A window's positions inside the input are a range on each axis (eval_window_range), so that the
 * loops visit no padding, however much of it a file asks for. All shapes are taken as
 * (N, C, I0, I1, I2) with neutral trailing axes.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* ---- shapes ---- */

static cnn_status pool_infer_types(graph *g, graph_node *node, type_set types, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, types, err));
    const graph_value *x = op_input(g, node, 0);
    op_window w;
    TRY(op_window_read(node, &x->shape, NULL, &w, err));
    cnn_shape out = {.rank = x->shape.rank, .dims = {x->shape.dims[0], x->shape.dims[1]}};
    for (int i = 0; i < w.spatial; i++)
        out.dims[2 + i] = w.out[i];
    TRY(op_set_output(g, node, 0, x->dtype, &out, err));
    return op_set_output(g, node, 1, CNN_INT64, &out, err);
}

static cnn_status max_infer(graph *g, graph_node *node, cnn_error *err) {
    int64_t order = graph_attr_int(node, "storage_order", 0);
    if (order != 0 && order != 1)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute storage_order is %lld, which is neither 0 nor 1",
                       (long long)order);
    return pool_infer_types(g, node, TYPES_NUMBER, err);
}

static cnn_status average_infer(graph *g, graph_node *node, cnn_error *err) {
    return pool_infer_types(g, node, TYPES_REAL, err);
}

static cnn_status lp_infer(graph *g, graph_node *node, cnn_error *err) {
    int64_t p = graph_attr_int(node, "p", 2);
    if (p < 1)
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute p is %lld, but must be at least 1",
                       (long long)p);
    return pool_infer_types(g, node, TYPES_REAL, err);
}

/* ---- a plane's windows ---- */

/* The window at output position `o` of the plane that begins at element `plane`. */
typedef struct spot {
    size_t plane;
    window_range r[3];
} spot;

/* Calls `fn(type, spot, at)` for each output element `at`. */
#define FOR_EACH_WINDOW(w, planes, fn, ...)                                                        \
    do {                                                                                           \
        size_t at = 0;                                                                             \
        spot s = {0};                                                                              \
        for (size_t plane = 0; plane < (planes); plane++) {                                        \
            s.plane = plane * eval_volume((w)->in);                                                \
            for (int64_t o0 = 0; o0 < (w)->out[0]; o0++) {                                         \
                s.r[0] = eval_window_range((w), 0, o0);                                            \
                for (int64_t o1 = 0; o1 < (w)->out[1]; o1++) {                                     \
                    s.r[1] = eval_window_range((w), 1, o1);                                        \
                    for (int64_t o2 = 0; o2 < (w)->out[2]; o2++) {                                 \
                        s.r[2] = eval_window_range((w), 2, o2);                                    \
                        fn(__VA_ARGS__, &s, at++);                                                 \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static inline int64_t spot_position(const op_window *w, const spot *s, int i, int64_t k) {
    return s->r[i].first + k * w->dilation[i];
}

/* Loops over the positions of a window that lie inside the input: `i0`, `i1`, `i2`. */
#define FOR_EACH_POSITION(w, s)                                                                    \
    for (int64_t k0 = (s)->r[0].lo; k0 < (s)->r[0].hi; k0++)                                       \
        for (int64_t k1 = (s)->r[1].lo, i0 = spot_position(w, s, 0, k0); k1 < (s)->r[1].hi; k1++)  \
            for (int64_t k2 = (s)->r[2].lo, i1 = spot_position(w, s, 1, k1), i2;                   \
                 k2 < (s)->r[2].hi && (i2 = spot_position(w, s, 2, k2), true); k2++)

static inline size_t position_index(const op_window *w, int64_t i0, int64_t i1, int64_t i2) {
    return (size_t)((i0 * w->in[1] + i1) * w->in[2] + i2);
}

static size_t pool_planes(const tensor *x) {
    return (size_t)(x->shape.dims[0] * x->shape.dims[1]);
}

/* ---- MaxPool ---- */

/*
 * ONNX numbers positions in the whole input, row-major; storage_order 1 numbers those of a plane
 * column-major. The first of equal elements wins; a window without any gives the lowest value.
 */
typedef struct best {
    double real;
    int64_t integer;
    int64_t index; /* -1: none yet */
} best;

static int64_t best_index(const op_window *w, const spot *s, bool column_major, int64_t i0,
                          int64_t i1, int64_t i2) {
    if (!column_major) return (int64_t)(s->plane + position_index(w, i0, i1, i2));
    return (int64_t)s->plane + i0 + w->in[0] * (i1 + w->in[1] * i2);
}

ALWAYS_INLINE void max_real(cnn_dtype type, const op_window *w, const tensor *x, bool column_major,
                            tensor *const *out, tensor *indices, const spot *s, size_t at) {
    best b = {-INFINITY, 0, -1};
    FOR_EACH_POSITION(w, s) {
        double value = real_at(type, x->data, s->plane + position_index(w, i0, i1, i2));
        if (b.index >= 0 && !(value > b.real)) continue;
        b.real = value;
        b.index = best_index(w, s, column_major, i0, i1, i2);
    }
    real_put(type, out[0]->data, at, b.real);
    if (indices) int_put(CNN_INT64, indices->data, at, b.index);
}

static bool int_greater(cnn_dtype type, int64_t a, int64_t b) {
    return number_class_of(type) == NUMBER_SIGNED ? a > b : (uint64_t)a > (uint64_t)b;
}

static int64_t lowest_int(cnn_dtype type) {
    if (number_class_of(type) != NUMBER_SIGNED) return 0;
    return INT64_MIN >> (64 - 8 * cnn_dtype_size(type));
}

static void max_int(cnn_dtype type, const op_window *w, const tensor *x, bool column_major,
                    tensor *const *out, tensor *indices, const spot *s, size_t at) {
    best b = {0, lowest_int(type), -1};
    FOR_EACH_POSITION(w, s) {
        int64_t value = int_at(type, x->data, s->plane + position_index(w, i0, i1, i2));
        if (b.index >= 0 && !int_greater(type, value, b.integer)) continue;
        b.integer = value;
        b.index = best_index(w, s, column_major, i0, i1, i2);
    }
    int_put(type, out[0]->data, at, b.integer);
    if (indices) int_put(CNN_INT64, indices->data, at, b.index);
}

ALWAYS_INLINE void max_eval_real(cnn_dtype type, const op_window *w, const tensor *x,
                                 bool column_major, tensor *const *out, tensor *indices) {
    FOR_EACH_WINDOW(w, pool_planes(x), max_real, type, w, x, column_major, out, indices);
}

static void max_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0];
    tensor *indices = eval_out(node, out, 1);
    bool column_major = graph_attr_int(node, "storage_order", 0) == 1;
    op_window w;
    if (op_window_read(node, &x->shape, NULL, &w, NULL) != CNN_OK) return;
    if (number_class_of(x->dtype) == NUMBER_REAL)
        FOR_REAL_TYPE(x->dtype, max_eval_real, &w, x, column_major, out, indices);
    else
        FOR_EACH_WINDOW(&w, pool_planes(x), max_int, x->dtype, &w, x, column_major, out, indices);
}

/* ---- AveragePool ---- */

/* Positions that count: those inside the input, or inside the padded input. */
static double spot_size(const spot *s, bool with_padding) {
    double size = 1;
    for (int i = 0; i < 3; i++)
        size *= with_padding ? (double)s->r[i].hi_pad : (double)(s->r[i].hi - s->r[i].lo);
    return size;
}

ALWAYS_INLINE void average_at(cnn_dtype type, const op_window *w, const tensor *x,
                              bool with_padding, tensor *out, const spot *s, size_t at) {
    double sum = 0, size = spot_size(s, with_padding);
    FOR_EACH_POSITION(w, s)
    sum += real_at(type, x->data, s->plane + position_index(w, i0, i1, i2));
    real_put(type, out->data, at, size > 0 ? sum / size : 0);
}

ALWAYS_INLINE void average_eval_of(cnn_dtype type, const op_window *w, const tensor *x,
                                   bool with_padding, tensor *out) {
    FOR_EACH_WINDOW(w, pool_planes(x), average_at, type, w, x, with_padding, out);
}

static void average_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    bool with_padding = graph_attr_int(node, "count_include_pad", 0) != 0;
    op_window w;
    if (op_window_read(node, &in[0]->shape, NULL, &w, NULL) != CNN_OK) return;
    FOR_REAL_TYPE(in[0]->dtype, average_eval_of, &w, in[0], with_padding, out[0]);
}

/* ---- LpPool ---- */

ALWAYS_INLINE void lp_at(cnn_dtype type, const op_window *w, const tensor *x, double p, tensor *out,
                         const spot *s, size_t at) {
    double sum = 0;
    FOR_EACH_POSITION(w, s)
    sum += pow(fabs(real_at(type, x->data, s->plane + position_index(w, i0, i1, i2))), p);
    real_put(type, out->data, at, pow(sum, 1 / p));
}

ALWAYS_INLINE void lp_eval_of(cnn_dtype type, const op_window *w, const tensor *x, double p,
                              tensor *out) {
    FOR_EACH_WINDOW(w, pool_planes(x), lp_at, type, w, x, p, out);
}

static void lp_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    double p = (double)graph_attr_int(node, "p", 2);
    op_window w;
    if (op_window_read(node, &in[0]->shape, NULL, &w, NULL) != CNN_OK) return;
    FOR_REAL_TYPE(in[0]->dtype, lp_eval_of, &w, in[0], p, out[0]);
}

/* ---- MaxUnpool ---- */

/*
 * x and indices are (N, C, I...); y is zero but for y[indices[i]] = x[i]. The indices number the
 * input of the MaxPool that made them, so with a larger output_shape each plane's positions are
 * carried over by their coordinates.
 */
typedef struct unpool {
    int64_t pooled[CNN_MAX_RANK]; /* the extents that the indices count in */
} unpool;

static cnn_status unpool_extents(const graph_node *node, const cnn_shape *x, unpool *out,
                                 cnn_error *err) {
    static const char *const names[] = {"kernel_shape", "strides", "pads"};
    int spatial = x->rank - 2;
    op_list lists[3];
    for (int l = 0; l < 3; l++) {
        lists[l] = op_read_list(node, names[l], NULL);
        size_t wanted = (size_t)(l == 2 ? 2 * spatial : spatial);
        if (l == 0 ? lists[l].count != wanted : lists[l].count != 0 && lists[l].count != wanted)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "attribute %s must be a list of %zu integers", names[l], wanted);
        for (size_t i = 0; i < lists[l].count; i++)
            if (lists[l].values[i] < (l < 2) || lists[l].values[i] > GRAPH_MAX_EXTENT)
                return op_fail(node, err, CNN_INVALID_MODEL, "attribute %s: %lld is not allowed",
                               names[l], (long long)lists[l].values[i]);
    }
    for (int i = 0; i < spatial; i++) {
        int64_t stride = lists[1].count ? lists[1].values[i] : 1, pads = 0;
        if (lists[2].count) pads = lists[2].values[i] + lists[2].values[spatial + i];
        out->pooled[2 + i] = (x->dims[2 + i] - 1) * stride - pads + lists[0].values[i];
    }
    out->pooled[0] = x->dims[0];
    out->pooled[1] = x->dims[1];
    return CNN_OK;
}

static cnn_status unpool_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_INT64), err));
    TRY(op_expect_rank(g, node, 0, 3, 5, err));
    const graph_value *x = op_input(g, node, 0), *indices = op_input(g, node, 1);
    if (!cnn_shape_equal(&x->shape, &indices->shape))
        return op_fail(node, err, CNN_INVALID_MODEL, "the indices must have the input's shape");
    unpool p = {{0}};
    op_list wanted;
    TRY(unpool_extents(node, &x->shape, &p, err));
    TRY(op_need_list(g, node, "output_shape", 2, &wanted, err));
    cnn_shape out = {.rank = x->shape.rank};
    if (wanted.present && wanted.count != (size_t)out.rank)
        return op_fail(node, err, CNN_INVALID_MODEL, "output_shape must have %d entries", out.rank);
    for (int i = 0; i < out.rank; i++) {
        out.dims[i] = wanted.present ? wanted.values[i] : p.pooled[i];
        if (out.dims[i] < p.pooled[i] || p.pooled[i] < 0)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "output_shape is smaller than what was pooled");
    }
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* Where position `index` of the pooled tensor is in the output; false if it is outside. */
static bool unpool_target(const unpool *p, const cnn_shape *out, int64_t index, size_t *target) {
    int64_t offset = 0, stride = 1;
    if (index < 0) return false;
    for (int i = out->rank - 1; i >= 0; i--) {
        if (p->pooled[i] == 0) return false;
        offset += index % p->pooled[i] * stride;
        index /= p->pooled[i];
        stride *= out->dims[i];
    }
    *target = (size_t)offset;
    return index == 0;
}

static void unpool_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    unpool p = {{0}};
    size_t size = cnn_dtype_size(in[0]->dtype), target;
    fill_zero(out[0]);
    if (unpool_extents(node, &in[0]->shape, &p, NULL) != CNN_OK) return;
    for (size_t i = 0; i < in[0]->elements; i++)
        if (unpool_target(&p, &out[0]->shape, tensor_int(in[1], i), &target))
            memcpy((char *)out[0]->data + target * size, (const char *)in[0]->data + i * size,
                   size);
}

#define MAX_POOL(first, last, max_out, extra)                                                      \
    OP("MaxPool", first, last, 1, 1, 1, max_out),                                                  \
        .attrs = "auto_pad:string kernel_shape:ints! pads:ints strides:ints" extra,                \
        .infer = max_infer, .eval = max_eval
#define AVERAGE_POOL(first, last, extra)                                                           \
    OP("AveragePool", first, last, 1, 1, 1, 1),                                                    \
        .attrs = "auto_pad:string kernel_shape:ints! pads:ints strides:ints" extra,                \
        .infer = average_infer, .eval = average_eval
#define LP_POOL(first, last, extra)                                                                \
    OP("LpPool", first, last, 1, 1, 1, 1),                                                         \
        .attrs = "auto_pad:string kernel_shape:ints! p:int pads:ints strides:ints" extra,          \
        .infer = lp_infer, .eval = lp_eval

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
    {
        OP("MaxUnpool", 9, 0, 2, 3, 1, 1),
        .attrs = "kernel_shape:ints! pads:ints strides:ints",
        .infer = unpool_infer,
        .eval = unpool_eval,
    },
    {.name = NULL},
};
