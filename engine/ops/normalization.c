/*
 * BatchNormalization, LRN, and those that take mean and variance from the data itself:
 * InstanceNormalization, GroupNormalization, LayerNormalization, RMSNormalization, LayerNorm2d of
 * ai.cnnserve, MeanVarianceNormalization and LpNormalization.
 *
 * The latter are one loop (normalize): the tensor falls into groups, one for each position on the
 * axes that are not normalised over; scale and bias are broadcast to the tensor.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* ---- BatchNormalization ---- */

/*
 * x is (N, C, I...), or (N) with one channel; the parameters are (C), or, in versions before 9 with
 * spatial = 0, (C, I...). y = scale (x - mean) / sqrt(var + epsilon) + bias.
 */
typedef struct batch_norm {
    size_t batch, channels, plane; /* x as (batch, channels, plane) */
    bool training;
    double epsilon, momentum;
} batch_norm;

static batch_norm batch_norm_read(const graph_node *node, const cnn_shape *x) {
    batch_norm p = {.batch = x->rank > 0 ? (size_t)x->dims[0] : 1,
                    .channels = x->rank > 1 ? (size_t)x->dims[1] : 1,
                    .plane = (size_t)op_product(x, MIN(2, x->rank), x->rank),
                    .training = graph_attr_int(node, "training_mode", 0) != 0,
                    .epsilon = (double)graph_attr_float(node, "epsilon", 1e-5f),
                    .momentum = (double)graph_attr_float(node, "momentum", 0.9f)};
    if (graph_attr_int(node, "spatial", 1) == 0) {
        p.channels *= p.plane;
        p.plane = 1;
    }
    return p;
}

static cnn_status batch_norm_params(const graph *g, const graph_node *node, const batch_norm *p,
                                    cnn_error *err) {
    const cnn_shape *x = &op_input(g, node, 0)->shape;
    for (size_t i = 1; i < 5; i++) {
        if (graph_attr_int(node, "spatial", 1) != 0) {
            TRY(op_expect_vector(g, node, i, (int64_t)p->channels, "channels", err));
            continue;
        }
        const graph_value *value = op_input(g, node, i);
        bool fits = value->shape.rank == x->rank - 1;
        for (int a = 0; fits && a < value->shape.rank; a++)
            fits = value->shape.dims[a] == x->dims[a + 1];
        if (!fits)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "with spatial = 0 input '%.80s' must have the input's shape without "
                           "the batch",
                           value->name);
    }
    return CNN_OK;
}

static cnn_status batch_norm_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    for (size_t i = 0; i < 5; i++)
        TRY(op_expect_type(g, node, i, TYPES_REAL, err));
    const graph_value *x = op_input(g, node, 0);
    cnn_dtype stat_type = op_input(g, node, 3)->dtype;
    cnn_shape stats = op_input(g, node, 3)->shape;
    batch_norm p = batch_norm_read(node, &x->shape);
    TRY(op_expect_rank(g, node, 0, 1, CNN_MAX_RANK, err));
    TRY(batch_norm_params(g, node, &p, err));
    bool more = false;
    for (size_t i = 1; i < node->output_count; i++)
        more = more || node->outputs[i] >= 0;
    if (more && !p.training)
        return op_fail(node, err, CNN_UNSUPPORTED,
                       "the outputs behind the first exist in training only");
    TRY(op_same_as_input(g, node, err));
    TRY(op_set_output(g, node, 1, stat_type, &stats, err));
    return op_set_output(g, node, 2, stat_type, &stats, err);
}

/* Mean and variance of channel `c` over the batch. */
static void batch_moments(const batch_norm *p, const tensor *x, size_t c, double *mean,
                          double *variance) {
    double sum = 0, squares = 0, count = (double)p->batch * (double)p->plane;
    for (size_t n = 0; n < p->batch; n++)
        for (size_t i = 0; i < p->plane; i++)
            sum += real_at(x->dtype, x->data, (n * p->channels + c) * p->plane + i);
    *mean = count > 0 ? sum / count : 0;
    for (size_t n = 0; n < p->batch; n++)
        for (size_t i = 0; i < p->plane; i++) {
            double d = real_at(x->dtype, x->data, (n * p->channels + c) * p->plane + i) - *mean;
            squares += d * d;
        }
    *variance = count > 0 ? squares / count : 0;
}

static void batch_norm_channel(const batch_norm *p, const tensor *const *in, tensor *y, size_t c,
                               double mean, double variance) {
    double scale = tensor_number(in[1], c) / sqrt(variance + p->epsilon),
           bias = tensor_number(in[2], c);
    for (size_t n = 0; n < p->batch; n++)
        for (size_t i = 0; i < p->plane; i++) {
            size_t at = (n * p->channels + c) * p->plane + i;
            double x = real_at(y->dtype, in[0]->data, at);
            real_put(y->dtype, y->data, at, (x - mean) * scale + bias);
        }
}

static void batch_norm_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    batch_norm p = batch_norm_read(node, &in[0]->shape);
    tensor *running[2] = {eval_out(node, out, 1), eval_out(node, out, 2)};
    for (size_t c = 0; c < in[1]->elements; c++) {
        double moments[2] = {tensor_number(in[3], c), tensor_number(in[4], c)};
        if (p.training) batch_moments(&p, in[0], c, &moments[0], &moments[1]);
        batch_norm_channel(&p, in, out[0], c, moments[0], moments[1]);
        for (size_t i = 0; i < 2; i++)
            if (running[i])
                number_put(running[i], c,
                           tensor_number(in[3 + i], c) * p.momentum +
                               moments[i] * (1 - p.momentum));
    }
}

/* ---- LRN ---- */

/* y = x / (bias + alpha / size * sum of squares of `size` neighbouring channels) ^ beta */
static cnn_status lrn_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 2, CNN_MAX_RANK, err));
    int64_t size = graph_attr_int(node, "size", 0);
    if (size < 1 || size > GRAPH_MAX_EXTENT)
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute size is %lld", (long long)size);
    return op_same_as_input(g, node, err);
}

/* x is (N, C, plane); `at` is in channel c */
static double lrn_squares(const tensor *x, size_t at, int64_t c, int64_t channels, int64_t size,
                          size_t plane) {
    int64_t first = MAX(c - (size - 1) / 2, 0), last = MIN(c + size / 2, channels - 1);
    double sum = 0;
    for (int64_t i = first; i <= last; i++) {
        double value = real_at(x->dtype, x->data, at + (size_t)i * plane - (size_t)c * plane);
        sum += value * value;
    }
    return sum;
}

static void lrn_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0];
    int64_t size = graph_attr_int(node, "size", 1), channels = x->shape.dims[1];
    double alpha = (double)graph_attr_float(node, "alpha", 1e-4f) / (double)size;
    double beta = (double)graph_attr_float(node, "beta", 0.75f);
    double bias = (double)graph_attr_float(node, "bias", 1);
    size_t plane = (size_t)op_product(&x->shape, 2, x->shape.rank);
    for (size_t at = 0; at < x->elements; at++) {
        int64_t c = (int64_t)(at / plane) % channels;
        double squares = lrn_squares(x, at, c, channels, size, plane);
        real_put(x->dtype, out[0]->data, at,
                 real_at(x->dtype, x->data, at) * pow(bias + alpha * squares, -beta));
    }
}

/* ---- groups ---- */

typedef struct normalization {
    cnn_shape shape;                   /* the tensor as the loop sees it */
    unsigned over;                     /* the axes that are normalised over */
    bool keep_mean;                    /* the mean is not subtracted, and counts in the deviation */
    double epsilon;                    /* inside of the root */
    double after_root;                 /* added to the root */
    const tensor *scale, *bias;        /* NULL: 1 and 0 */
    cnn_shape scale_shape, bias_shape; /* as they are broadcast to `shape` */
    tensor *mean, *inverse;            /* outputs, one element a group, or NULL */
} normalization;

/* A tensor seen as groups and members of a group; `t` NULL: `fallback` everywhere. */
typedef struct operand {
    const tensor *t;
    view groups, members; /* the members' offset is that of the current group */
    double fallback;
} operand;

static operand operand_of(const normalization *p, const tensor *t, const cnn_shape *shape,
                          double fallback) {
    operand o = {.t = t, .fallback = fallback};
    if (!t) return o;
    view all = view_broadcast(shape, &p->shape);
    o.groups = view_pick(&all, ~p->over);
    o.members = view_pick(&all, p->over);
    return o;
}

static void enter_group(operand *o, size_t k) {
    size_t offset = 0;
    if (o->t) view_offsets(&o->groups, k, 1, &offset);
    o->members.offset = (int64_t)offset;
}

static void load_members(const operand *o, size_t start, size_t n, double *out) {
    size_t offsets[EVAL_BLOCK];
    for (size_t i = 0; i < n && !o->t; i++)
        out[i] = o->fallback;
    if (!o->t) return;
    view_offsets(&o->members, start, n, offsets);
    load_reals(o->t, offsets, n, out);
}

/* Mean and mean square deviation from it of the current group. */
static void group_moments(const normalization *p, const operand *x, double *mean,
                          double *variance) {
    double sum = 0, squares = 0, values[EVAL_BLOCK];
    size_t count = x->members.count;
    for (size_t start = 0; start < count && !p->keep_mean; start += EVAL_BLOCK) {
        size_t n = MIN(count - start, (size_t)EVAL_BLOCK);
        load_members(x, start, n, values);
        for (size_t i = 0; i < n; i++)
            sum += values[i];
    }
    *mean = sum / (double)count;
    for (size_t start = 0; start < count; start += EVAL_BLOCK) {
        size_t n = MIN(count - start, (size_t)EVAL_BLOCK);
        load_members(x, start, n, values);
        for (size_t i = 0; i < n; i++)
            squares += (values[i] - *mean) * (values[i] - *mean);
    }
    *variance = squares / (double)count;
}

/* y = (x - mean) inverse scale + bias for the current group */
static void normalize_group(const operand *x, const operand *scale, const operand *bias,
                            double mean, double inverse, tensor *y) {
    size_t offsets[EVAL_BLOCK];
    double values[EVAL_BLOCK], scales[EVAL_BLOCK], biases[EVAL_BLOCK];
    for (size_t start = 0; start < x->members.count; start += EVAL_BLOCK) {
        size_t n = MIN(x->members.count - start, (size_t)EVAL_BLOCK);
        load_members(x, start, n, values);
        load_members(scale, start, n, scales);
        load_members(bias, start, n, biases);
        for (size_t i = 0; i < n; i++)
            values[i] = (values[i] - mean) * inverse * scales[i] + biases[i];
        view_offsets(&x->members, start, n, offsets);
        scatter_reals(y, offsets, n, values);
    }
}

static void normalize(const normalization *p, const tensor *in, tensor *out) {
    operand x = operand_of(p, in, &p->shape, 0);
    operand scale = operand_of(p, p->scale, &p->scale_shape, 1);
    operand bias = operand_of(p, p->bias, &p->bias_shape, 0);
    if (x.members.count == 0) return;
    for (size_t k = 0; k < x.groups.count; k++) {
        double mean, variance;
        enter_group(&x, k);
        enter_group(&scale, k);
        enter_group(&bias, k);
        group_moments(p, &x, &mean, &variance);
        double inverse = 1 / (sqrt(variance + p->epsilon) + p->after_root);
        if (p->mean) number_put(p->mean, k, mean);
        if (p->inverse) number_put(p->inverse, k, inverse);
        normalize_group(&x, &scale, &bias, mean, inverse, out);
    }
}

/* (C, 1, ..., 1), to be broadcast to (N, C, I...) */
static cnn_shape channel_shape(int64_t channels, int rank) {
    cnn_shape shape = {.rank = rank - 1, .dims = {channels}};
    for (int i = 1; i < shape.rank; i++)
        shape.dims[i] = 1;
    return shape;
}

/* ---- InstanceNormalization ---- */

static cnn_status instance_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 2, CNN_MAX_RANK, err));
    int64_t channels = op_input(g, node, 0)->shape.dims[1];
    TRY(op_expect_vector(g, node, 1, channels, "channels", err));
    TRY(op_expect_vector(g, node, 2, channels, "channels", err));
    return op_same_as_input(g, node, err);
}

static void instance_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *x = &in[0]->shape;
    normalization p = {.shape = *x,
                       .over = ~3u,
                       .epsilon = (double)graph_attr_float(node, "epsilon", 1e-5f),
                       .scale = in[1],
                       .bias = in[2],
                       .scale_shape = channel_shape(x->dims[1], x->rank),
                       .bias_shape = channel_shape(x->dims[1], x->rank)};
    normalize(&p, in[0], out[0]);
}

/* ---- GroupNormalization: scale and bias for each group in version 18, each channel since 21 ----
 */

static cnn_status group_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 3, CNN_MAX_RANK, err));
    int64_t channels = op_input(g, node, 0)->shape.dims[1];
    int64_t groups = graph_attr_int(node, "num_groups", 1);
    if (groups < 1 || channels % groups != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "num_groups is %lld, but must divide the %lld channels", (long long)groups,
                       (long long)channels);
    bool each_group = node->op->since < 21;
    for (size_t i = 1; i < 3; i++)
        TRY(op_expect_vector(g, node, i, each_group ? groups : channels,
                             each_group ? "groups" : "channels", err));
    return op_same_as_input(g, node, err);
}

/* x is seen as (N, G, C / G, plane) */
static void group_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *x = &in[0]->shape;
    int64_t groups = graph_attr_int(node, "num_groups", 1), each = x->dims[1] / groups;
    cnn_shape shape = {4, {x->dims[0], groups, each, op_product(x, 2, x->rank)}};
    cnn_shape params = {3, {groups, node->op->since < 21 ? 1 : each, 1}};
    normalization p = {.shape = shape,
                       .over = 4 | 8,
                       .epsilon = (double)graph_attr_float(node, "epsilon", 1e-5f),
                       .scale = in[1],
                       .bias = in[2],
                       .scale_shape = params,
                       .bias_shape = params};
    if (in[0]->elements > 0) normalize(&p, in[0], out[0]);
}

/* ---- LayerNormalization, RMSNormalization: over axis and all behind it ---- */

static cnn_status expect_broadcast(const graph *g, const graph_node *node, size_t i,
                                   cnn_error *err) {
    const graph_value *x = op_input(g, node, 0), *value = op_input(g, node, i);
    cnn_shape out;
    char text[128], other[128];
    if (!value ||
        (op_broadcast(&x->shape, &value->shape, &out) && cnn_shape_equal(&out, &x->shape)))
        return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "input '%.80s' of shape %s cannot be broadcast to %s", value->name,
                   cnn_shape_text(&value->shape, text, sizeof text),
                   cnn_shape_text(&x->shape, other, sizeof other));
}

static cnn_status layer_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_same_types(g, node, 1, TYPES_REAL, err));
    int axis;
    cnn_shape groups = op_input(g, node, 0)->shape;
    TRY(op_read_axis(node, -1, groups.rank, &axis, err));
    TRY(expect_broadcast(g, node, 1, err));
    TRY(expect_broadcast(g, node, 2, err));
    TRY(op_same_as_input(g, node, err));
    for (int i = axis; i < groups.rank; i++)
        groups.dims[i] = 1;
    TRY(op_set_output(g, node, 1, CNN_FLOAT32, &groups, err));
    return op_set_output(g, node, 2, CNN_FLOAT32, &groups, err);
}

static normalization layer_read(const graph_node *node, const tensor *const *in) {
    const cnn_shape *x = &in[0]->shape;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", -1), x->rank, &axis);
    normalization p = {.shape = *x,
                       .over = ~0u << axis,
                       .epsilon = (double)graph_attr_float(node, "epsilon", 1e-5f),
                       .scale = in[1],
                       .scale_shape = in[1]->shape,
                       .bias = eval_in(node, in, 2)};
    if (p.bias) p.bias_shape = p.bias->shape;
    return p;
}

static void layer_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    normalization p = layer_read(node, in);
    p.mean = eval_out(node, out, 1);
    p.inverse = eval_out(node, out, 2);
    normalize(&p, in[0], out[0]);
}

static void rms_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    normalization p = layer_read(node, in);
    p.keep_mean = true;
    normalize(&p, in[0], out[0]);
}

/* ---- LayerNorm2d: each pixel of (N, C, H, W) over its channels (Ba, Kiros and Hinton 2016) ----
 */

static cnn_status layer_2d_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 4, 4, err));
    int64_t channels = op_input(g, node, 0)->shape.dims[1];
    TRY(op_expect_vector(g, node, 1, channels, "channels", err));
    TRY(op_expect_vector(g, node, 2, channels, "channels", err));
    return op_same_as_input(g, node, err);
}

static void layer_2d_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *x = &in[0]->shape;
    normalization p = {.shape = *x,
                       .over = 1u << 1,
                       .epsilon = (double)graph_attr_float(node, "epsilon", 1e-5f),
                       .scale = in[1],
                       .bias = eval_in(node, in, 2),
                       .scale_shape = channel_shape(x->dims[1], x->rank),
                       .bias_shape = channel_shape(x->dims[1], x->rank)};
    normalize(&p, in[0], out[0]);
}

/* ---- MeanVarianceNormalization ---- */

static op_list variance_axes(const graph_node *node) {
    op_list axes = op_read_list(node, "axes", NULL);
    if (!axes.present) axes = (op_list){true, 3, {0, 2, 3}};
    return axes;
}

static cnn_status variance_infer(graph *g, graph_node *node, cnn_error *err) {
    unsigned set;
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    op_list axes = variance_axes(node);
    TRY(op_axis_set(node, &axes, op_input(g, node, 0)->shape.rank, &set, err));
    return op_same_as_input(g, node, err);
}

static void variance_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    op_list axes = variance_axes(node);
    normalization p = {.shape = in[0]->shape, .after_root = 1e-9};
    if (op_axis_set(node, &axes, p.shape.rank, &p.over, NULL) == CNN_OK)
        normalize(&p, in[0], out[0]);
}

/* ---- LpNormalization: x divided by its norm along an axis, 0 where that is 0 ---- */

static cnn_status lp_infer(graph *g, graph_node *node, cnn_error *err) {
    int axis;
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_read_axis(node, -1, op_input(g, node, 0)->shape.rank, &axis, err));
    int64_t p = graph_attr_int(node, "p", 2);
    if (p != 1 && p != 2)
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute p is %lld, but must be 1 or 2",
                       (long long)p);
    return op_same_as_input(g, node, err);
}

static void lp_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0];
    bool squares = graph_attr_int(node, "p", 2) == 2;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", -1), x->shape.rank, &axis);
    view rows = view_select(&x->shape, ~(1u << axis)), row = view_select(&x->shape, 1u << axis);
    for (size_t k = 0; k < rows.count; k++) {
        size_t base, offset;
        double norm = 0;
        view_offsets(&rows, k, 1, &base);
        for (size_t i = 0; i < row.count; i++) {
            view_offsets(&row, i, 1, &offset);
            double value = real_at(x->dtype, x->data, base + offset);
            norm += squares ? value * value : fabs(value);
        }
        if (squares) norm = sqrt(norm);
        for (size_t i = 0; i < row.count; i++) {
            view_offsets(&row, i, 1, &offset);
            double value = real_at(x->dtype, x->data, base + offset);
            real_put(x->dtype, out[0]->data, base + offset, norm > 0 ? value / norm : 0);
        }
    }
}

#define BATCH_NORM(first, last, max_out, declared)                                                 \
    OP("BatchNormalization", first, last, 5, 5, 1, max_out),                                       \
        .attrs = "epsilon:float momentum:float" declared, .infer = batch_norm_infer,               \
        .eval = batch_norm_eval

const op_def ops_normalization[] = {
    {BATCH_NORM(6, 6, 5, " spatial:int is_test:int")},
    {BATCH_NORM(7, 8, 5, " spatial:int")},
    {BATCH_NORM(9, 13, 5, "")},
    {BATCH_NORM(14, 0, 3, " training_mode:int")},
    {
        OP("LRN", 1, 0, 1, 1, 1, 1),
        .attrs = "alpha:float beta:float bias:float size:int!",
        .infer = lrn_infer,
        .eval = lrn_eval,
    },
    {
        OP("InstanceNormalization", 6, 0, 3, 3, 1, 1),
        .attrs = "epsilon:float",
        .infer = instance_infer,
        .eval = instance_eval,
    },
    {
        OP("GroupNormalization", 18, 20, 3, 3, 1, 1),
        .attrs = "epsilon:float num_groups:int!",
        .infer = group_infer,
        .eval = group_eval,
    },
    {
        OP("GroupNormalization", 21, 0, 3, 3, 1, 1),
        .attrs = "epsilon:float num_groups:int! stash_type:int",
        .infer = group_infer,
        .eval = group_eval,
    },
    {
        OP("LayerNormalization", 17, 0, 2, 3, 1, 3),
        .attrs = "axis:int epsilon:float stash_type:int",
        .infer = layer_infer,
        .eval = layer_eval,
    },
    {
        OP("RMSNormalization", 23, 0, 2, 2, 1, 1),
        .attrs = "axis:int epsilon:float stash_type:int",
        .infer = layer_infer,
        .eval = rms_eval,
    },
    {
        OWN_OP("LayerNorm2d", 2, 3, 1, 1),
        .attrs = "epsilon:float",
        .infer = layer_2d_infer,
        .eval = layer_2d_eval,
    },
    {
        OP("MeanVarianceNormalization", 9, 0, 1, 1, 1, 1),
        .attrs = "axes:ints",
        .infer = variance_infer,
        .eval = variance_eval,
    },
    {
        OP("LpNormalization", 1, 0, 1, 1, 1, 1),
        .attrs = "axis:int p:int",
        .infer = lp_infer,
        .eval = lp_eval,
    },
    {.name = NULL},
};
