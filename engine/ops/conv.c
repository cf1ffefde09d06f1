/*
 * Conv and ConvTranspose over 1 to 3 spatial axes.
 *
 * The windows always have three axes here; those that the tensor does not have are neutral. Sums
 * are kept in double, so that this is the truth that the kernels are measured against.
 */
#include "ops/conv.h"
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

conv conv_read(const graph_node *node, const cnn_shape *x, const cnn_shape *w) {
    conv p = {x->dims[0], x->dims[1], w->dims[0], graph_attr_int(node, "group", 1), {0}};
    op_window_read(node, x, &w->dims[2], &p.window, NULL); /* cannot fail behind infer */
    return p;
}

void conv_window(const graph *g, const graph_node *node, op_window *out) {
    *out = conv_read(node, &op_input(g, node, 0)->shape, &op_input(g, node, 1)->shape).window;
}

static cnn_status conv_check(const graph_node *node, const cnn_shape *x, const cnn_shape *w,
                             cnn_error *err) {
    if (w->rank != x->rank)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the weight has %d dimensions, but must have as many as the input, %d",
                       w->rank, x->rank);
    for (int i = 2; i < w->rank; i++)
        if (w->dims[i] < 1) return op_fail(node, err, CNN_INVALID_MODEL, "the kernel has extent 0");
    int64_t group = graph_attr_int(node, "group", 1);
    if (group < 1 || w->dims[0] % group != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "group is %lld, but must divide the %lld output channels", (long long)group,
                       (long long)w->dims[0]);
    if (x->dims[1] % group == 0 && x->dims[1] / group == w->dims[1]) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "the input has %lld channels, but the weight is for %lld groups of %lld",
                   (long long)x->dims[1], (long long)group, (long long)w->dims[1]);
}

cnn_status conv_shape(const graph *g, const graph_node *node, size_t weight, cnn_shape *out,
                      cnn_error *err) {
    const cnn_shape *x = &op_input(g, node, 0)->shape, *w = &op_input(g, node, weight)->shape;
    op_window window;
    TRY(op_expect_rank(g, node, 0, 3, 5, err));
    TRY(conv_check(node, x, w, err));
    TRY(op_window_read(node, x, &w->dims[2], &window, err));
    *out = (cnn_shape){.rank = x->rank, .dims = {x->dims[0], w->dims[0]}};
    for (int i = 0; i < window.spatial; i++) {
        if (window.kernel[i] != w->dims[2 + i])
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "kernel_shape[%d] is %lld, but the weight's extent is %lld", i,
                           (long long)window.kernel[i], (long long)w->dims[2 + i]);
        out->dims[2 + i] = window.out[i];
    }
    return CNN_OK;
}

static cnn_status conv_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_REAL, err));
    cnn_shape out;
    TRY(conv_shape(g, node, 1, &out, err));
    TRY(op_expect_vector(g, node, 2, out.dims[1], "output channels", err));
    return op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &out, err);
}

/* Sum over one input plane: x is (I0, I1, I2), w is (K0, K1, K2), `r` where they meet. */
ALWAYS_INLINE double conv_plane(cnn_dtype type, const op_window *p, const void *x, size_t x_start,
                                const void *w, size_t w_start, const window_range r[3]) {
    double sum = 0;
    for (int64_t k0 = r[0].lo; k0 < r[0].hi; k0++)
        for (int64_t k1 = r[1].lo; k1 < r[1].hi; k1++) {
            int64_t i0 = r[0].first + k0 * p->dilation[0], i1 = r[1].first + k1 * p->dilation[1];
            size_t x_row = x_start + (size_t)((i0 * p->in[1] + i1) * p->in[2]);
            size_t w_row = w_start + (size_t)((k0 * p->kernel[1] + k1) * p->kernel[2]);
            for (int64_t k2 = r[2].lo; k2 < r[2].hi; k2++)
                sum += real_at(type, x, x_row + (size_t)(r[2].first + k2 * p->dilation[2])) *
                       real_at(type, w, w_row + (size_t)k2);
        }
    return sum;
}

/* One output element: image n, output channel m, window `r`. */
ALWAYS_INLINE double conv_element(cnn_dtype type, const conv *p, const tensor *const *in, int64_t n,
                                  int64_t m, const window_range r[3]) {
    const op_window *w = &p->window;
    int64_t c_group = p->c / p->group, c_first = m / (p->m / p->group) * c_group;
    size_t x_plane = eval_volume(w->in);
    size_t w_plane = eval_volume(w->kernel);
    double sum = 0;
    for (int64_t c = 0; c < c_group; c++)
        sum += conv_plane(type, w, in[0]->data, (size_t)(n * p->c + c_first + c) * x_plane,
                          in[1]->data, (size_t)(m * c_group + c) * w_plane, r);
    return sum;
}

ALWAYS_INLINE void conv_eval_of(cnn_dtype type, const conv *p, const tensor *const *in,
                                const tensor *b, tensor *y) {
    const op_window *w = &p->window;
    size_t at = 0;
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t m = 0; m < p->m; m++) {
            double bias = b ? real_at(type, b->data, (size_t)m) : 0;
            window_range r[3];
            for (int64_t o0 = 0; o0 < w->out[0]; o0++) {
                r[0] = eval_window_range(w, 0, o0);
                for (int64_t o1 = 0; o1 < w->out[1]; o1++) {
                    r[1] = eval_window_range(w, 1, o1);
                    for (int64_t o2 = 0; o2 < w->out[2]; o2++) {
                        r[2] = eval_window_range(w, 2, o2);
                        real_put(type, y->data, at++, conv_element(type, p, in, n, m, r) + bias);
                    }
                }
            }
        }
}

static void conv_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    conv p = conv_read(node, &in[0]->shape, &in[1]->shape);
    if (out[0]->elements == 0) return;
    FOR_REAL_TYPE(in[0]->dtype, conv_eval_of, &p, in, eval_in(node, in, 2), out[0]);
}

/* Output elements x kernel positions x input channels of a group. */
static uint64_t conv_macs(const graph *g, const graph_node *node) {
    const cnn_shape *w = &op_input(g, node, 1)->shape;
    const cnn_shape *y = &g->values[node->outputs[0]].shape;
    return (uint64_t)op_product(y, 0, y->rank) * (uint64_t)op_product(w, 1, w->rank);
}

/* ---- ConvTranspose: the gradient of Conv ---- */

/*
 * x is (N, C, I...), w is (C, M / group, K...), b is (M), y is (N, M, O...). The window is that of
 * the Conv whose gradient this is, so its `in` is our output and its `out` our input.
 */
static cnn_status transpose_read_list(const graph_node *node, const char *name, size_t count,
                                      int64_t min, int64_t *out, cnn_error *err) {
    op_list list = op_read_list(node, name, NULL);
    if (list.count == 0) return CNN_OK;
    if (list.count != count)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute %s must be a list of %zu integers, but has %zu", name, count,
                       list.count);
    for (size_t i = 0; i < count; i++) {
        if (list.values[i] < min || list.values[i] > GRAPH_MAX_EXTENT)
            return op_fail(node, err, CNN_INVALID_MODEL, "attribute %s: %lld is not allowed", name,
                           (long long)list.values[i]);
        out[i] = list.values[i];
    }
    return CNN_OK;
}

/* Splits the padding that makes output extent `in` of what the strides alone would give. */
static void transpose_split_pads(op_window *w, int i, int64_t total, bool upper) {
    w->pad_begin[i] = upper ? total / 2 : total - total / 2;
    w->pad_end[i] = total - w->pad_begin[i];
}

static cnn_status transpose_extents(const graph_node *node, op_window *w, cnn_error *err) {
    int64_t extra[3] = {0}, wanted[5] = {0}, pads[6] = {0};
    size_t spatial = (size_t)w->spatial, listed = op_read_list(node, "output_shape", NULL).count;
    TRY(transpose_read_list(node, "output_padding", spatial, 0, extra, err));
    TRY(transpose_read_list(node, "pads", 2 * spatial, 0, pads, err));
    /* Some exporters list batch and channels, too. */
    int64_t *extents = listed == spatial + 2 ? &wanted[2] : wanted;
    TRY(transpose_read_list(node, "output_shape", listed == spatial + 2 ? listed : spatial, 0,
                            wanted, err));
    const char *mode = graph_attr_string(node, "auto_pad", "NOTSET");
    bool upper = strcmp(mode, "SAME_UPPER") == 0, lower = strcmp(mode, "SAME_LOWER") == 0;
    if (!upper && !lower && strcmp(mode, "NOTSET") != 0 && strcmp(mode, "VALID") != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute auto_pad is '%.40s', which is none of NOTSET, SAME_UPPER, "
                       "SAME_LOWER, VALID",
                       mode);
    for (int i = 0; i < w->spatial; i++) {
        int64_t full =
            w->stride[i] * (w->out[i] - 1) + extra[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (listed > 0 || upper || lower) {
            w->in[i] = listed > 0 ? extents[i] : w->out[i] * w->stride[i];
            transpose_split_pads(w, i, MAX(full - w->in[i], 0), upper);
        } else {
            w->pad_begin[i] = strcmp(mode, "VALID") == 0 ? 0 : pads[i];
            w->pad_end[i] = strcmp(mode, "VALID") == 0 ? 0 : pads[w->spatial + i];
            w->in[i] = full - w->pad_begin[i] - w->pad_end[i];
        }
        if (w->in[i] < 0)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "the pads of spatial axis %d are larger than the output", i);
    }
    return CNN_OK;
}

static cnn_status transpose_window(const graph_node *node, const cnn_shape *x, const cnn_shape *w,
                                   op_window *out, cnn_error *err) {
    op_window p = {.spatial = x->rank - 2};
    size_t spatial = (size_t)p.spatial;
    for (int i = 0; i < 3; i++) {
        p.in[i] = p.stride[i] = p.dilation[i] = 1;
        p.kernel[i] = i < p.spatial ? w->dims[2 + i] : 1;
        p.out[i] = i < p.spatial ? x->dims[2 + i] : 1;
    }
    int64_t kernel[3] = {p.kernel[0], p.kernel[1], p.kernel[2]};
    TRY(transpose_read_list(node, "kernel_shape", spatial, 1, kernel, err));
    TRY(transpose_read_list(node, "strides", spatial, 1, p.stride, err));
    TRY(transpose_read_list(node, "dilations", spatial, 1, p.dilation, err));
    for (int i = 0; i < p.spatial; i++)
        if (kernel[i] != p.kernel[i] || kernel[i] < 1)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "kernel_shape[%d] is %lld, but the weight's extent is %lld", i,
                           (long long)kernel[i], (long long)p.kernel[i]);
    TRY(transpose_extents(node, &p, err));
    *out = p;
    return CNN_OK;
}

static void transpose_window_of(const graph *g, const graph_node *node, op_window *out) {
    transpose_window(node, &op_input(g, node, 0)->shape, &op_input(g, node, 1)->shape, out, NULL);
}

static cnn_status transpose_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_rank(g, node, 0, 3, 5, err));
    const graph_value *x = op_input(g, node, 0), *w = op_input(g, node, 1);
    TRY(op_expect_rank(g, node, 1, x->shape.rank, x->shape.rank, err));
    int64_t group = graph_attr_int(node, "group", 1), c = x->shape.dims[1];
    if (group < 1 || group > GRAPH_MAX_EXTENT || c % group != 0 || w->shape.dims[0] != c)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the weight is for %lld input channels in %lld groups, but the input has "
                       "%lld channels",
                       (long long)w->shape.dims[0], (long long)group, (long long)c);
    int64_t m = w->shape.dims[1] * group;
    TRY(op_expect_vector(g, node, 2, m, "output channels", err));
    op_window p;
    TRY(transpose_window(node, &x->shape, &w->shape, &p, err));
    cnn_shape out = {.rank = x->shape.rank, .dims = {x->shape.dims[0], m}};
    for (int i = 0; i < p.spatial; i++)
        out.dims[2 + i] = p.in[i];
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* Input position that kernel position `k` carries to output position `o`; -1 if there is none. */
static inline int64_t transpose_position(const op_window *w, int i, int64_t o, int64_t k) {
    int64_t scaled = o + w->pad_begin[i] - k * w->dilation[i];
    if (scaled < 0 || scaled % w->stride[i] != 0) return -1;
    return scaled / w->stride[i] < w->out[i] ? scaled / w->stride[i] : -1;
}

/* Sum over one input plane, as conv_plane. */
ALWAYS_INLINE double transpose_plane(cnn_dtype type, const op_window *p, const void *x,
                                     size_t x_start, const void *w, size_t w_start,
                                     const int64_t *o) {
    double sum = 0;
    for (int64_t k0 = 0; k0 < p->kernel[0]; k0++) {
        int64_t i0 = transpose_position(p, 0, o[0], k0);
        for (int64_t k1 = 0; k1 < p->kernel[1] && i0 >= 0; k1++) {
            int64_t i1 = transpose_position(p, 1, o[1], k1);
            for (int64_t k2 = 0; k2 < p->kernel[2] && i1 >= 0; k2++) {
                int64_t i2 = transpose_position(p, 2, o[2], k2);
                if (i2 < 0) continue;
                size_t i = (size_t)((i0 * p->out[1] + i1) * p->out[2] + i2);
                size_t k = (size_t)((k0 * p->kernel[1] + k1) * p->kernel[2] + k2);
                sum += real_at(type, x, x_start + i) * real_at(type, w, w_start + k);
            }
        }
    }
    return sum;
}

ALWAYS_INLINE double transpose_element(cnn_dtype type, const conv *p, const tensor *const *in,
                                       int64_t n, int64_t m, const int64_t *o) {
    const op_window *w = &p->window;
    int64_t c_group = p->c / p->group, m_group = p->m / p->group, first = m / m_group * c_group;
    size_t x_plane = eval_volume(w->out);
    size_t w_plane = eval_volume(w->kernel);
    double sum = 0;
    for (int64_t c = first; c < first + c_group; c++)
        sum += transpose_plane(type, w, in[0]->data, (size_t)(n * p->c + c) * x_plane, in[1]->data,
                               (size_t)(c * m_group + m % m_group) * w_plane, o);
    return sum;
}

ALWAYS_INLINE void transpose_eval_of(cnn_dtype type, const conv *p, const tensor *const *in,
                                     const tensor *b, tensor *y) {
    const op_window *w = &p->window;
    size_t at = 0;
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t m = 0; m < p->m; m++) {
            double bias = b ? real_at(type, b->data, (size_t)m) : 0;
            int64_t o[3];
            for (o[0] = 0; o[0] < w->in[0]; o[0]++)
                for (o[1] = 0; o[1] < w->in[1]; o[1]++)
                    for (o[2] = 0; o[2] < w->in[2]; o[2]++)
                        real_put(type, y->data, at++,
                                 transpose_element(type, p, in, n, m, o) + bias);
        }
}

static void transpose_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *x = &in[0]->shape, *w = &in[1]->shape;
    conv p = {x->dims[0], x->dims[1], out[0]->shape.dims[1], graph_attr_int(node, "group", 1), {0}};
    if (out[0]->elements == 0) return;
    transpose_window(node, x, w, &p.window, NULL);
    FOR_REAL_TYPE(in[0]->dtype, transpose_eval_of, &p, in, eval_in(node, in, 2), out[0]);
}

/* Each input element meets every kernel position of every output channel of its group. */
static uint64_t transpose_macs(const graph *g, const graph_node *node) {
    const cnn_shape *x = &op_input(g, node, 0)->shape, *w = &op_input(g, node, 1)->shape;
    return (uint64_t)op_product(x, 0, x->rank) * (uint64_t)op_product(w, 1, w->rank);
}

const op_def ops_conv[] = {
    {
        OP("Conv", 1, 0, 2, 3, 1, 1),
        .attrs =
            "auto_pad:string dilations:ints group:int kernel_shape:ints pads:ints strides:ints",
        .infer = conv_infer,
        .eval = conv_eval,
        .macs = conv_macs,
        .window = conv_window,
    },
    {
        OP("ConvTranspose", 1, 0, 2, 3, 1, 1),
        .attrs = "auto_pad:string dilations:ints group:int kernel_shape:ints output_padding:ints "
                 "output_shape:ints pads:ints strides:ints",
        .infer = transpose_infer,
        .eval = transpose_eval,
        .macs = transpose_macs,
        .window = transpose_window_of,
    },
    {.name = NULL},
};
