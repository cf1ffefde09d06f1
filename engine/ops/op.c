/*
 * The helpers of op.h: how infer functions reach values, report what is wrong and set outputs, and
 * the window arithmetic that Conv and the pooling operators share.
 */
#include "ops/op.h"

#include <stdio.h>
#include <string.h>

graph_value *op_input(const graph *g, const graph_node *node, size_t i) {
    if (i >= node->input_count || node->inputs[i] < 0) return NULL;
    return &g->values[node->inputs[i]];
}

const tensor *op_constant(const graph *g, const graph_node *node, size_t i) {
    const graph_value *value = op_input(g, node, i);
    return value && value->constant && value->constant->data ? value->constant : NULL;
}

bool op_is_bias(const tensor *c, size_t n) {
    if (c->dtype != CNN_FLOAT32) return false;
    return c->elements == 1 || (c->elements == n && c->shape.rank >= 1 &&
                                c->shape.dims[c->shape.rank - 1] == (int64_t)n);
}

cnn_status op_set_output(graph *g, graph_node *node, size_t i, cnn_dtype dtype,
                         const cnn_shape *shape, cnn_error *err) {
    if (i >= node->output_count || node->outputs[i] < 0) return CNN_OK;
    if (shape->rank > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT,
                       "output %zu has %d dimensions, at most %d are supported", i, shape->rank,
                       CNN_MAX_RANK);
    size_t bytes = cnn_dtype_size(dtype);
    if (bytes == 0)
        return op_fail(node, err, CNN_UNSUPPORTED, "output %zu has the unsupported type %s", i,
                       cnn_dtype_name(dtype));
    char text[128];
    for (int a = 0; a < shape->rank; a++)
        if (shape->dims[a] < 0 || shape->dims[a] > GRAPH_MAX_EXTENT)
            return op_fail(node, err, CNN_LIMIT,
                           "extent %lld of axis %d of output %zu is not in 0 to %lld",
                           (long long)shape->dims[a], a, i, (long long)GRAPH_MAX_EXTENT);
    for (int a = 0; a < shape->rank; a++)
        if (!cnn_mul_size(bytes, (size_t)shape->dims[a], &bytes) || bytes > GRAPH_MAX_TENSOR_BYTES)
            return op_fail(node, err, CNN_LIMIT,
                           "output %zu has shape %s, which takes more than %zu bytes", i,
                           cnn_shape_text(shape, text, sizeof text), GRAPH_MAX_TENSOR_BYTES);
    graph_value *value = &g->values[node->outputs[i]];
    value->dtype = dtype;
    value->shape = *shape;
    value->has_shape = true;
    return CNN_OK;
}

cnn_status(op_fail)(const graph_node *node, cnn_error *err, cnn_status status, const char *format,
                    ...) {
    char sentence[384];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (node->name[0] == '\0') return cnn_fail(err, status, "%s: %s", node->op->name, sentence);
    return cnn_fail(err, status, "%s '%.80s': %s", node->op->name, node->name, sentence);
}

bool op_broadcast(const cnn_shape *a, const cnn_shape *b, cnn_shape *out) {
    cnn_shape result = {.rank = MAX(a->rank, b->rank)};
    for (int i = 0; i < result.rank; i++) {
        int in_a = i - (result.rank - a->rank), in_b = i - (result.rank - b->rank);
        int64_t extent_a = in_a >= 0 ? a->dims[in_a] : 1, extent_b = in_b >= 0 ? b->dims[in_b] : 1;
        if (extent_a != extent_b && extent_a != 1 && extent_b != 1) return false;
        result.dims[i] = extent_a == 1 ? extent_b : extent_a;
    }
    *out = result;
    return true;
}

bool op_axis(int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank) return false;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

/* ---- windows ---- */

/* Reads `count` integers in [min, GRAPH_MAX_EXTENT]; leaves `out` as it is if the list is absent.
 */
static cnn_status read_extents(const graph_node *node, const char *name, size_t count, int64_t min,
                               int64_t *out, cnn_error *err) {
    const attr *a = graph_attr(node, name);
    if (!a || (a->kind == ATTR_INTS && a->count == 0)) return CNN_OK;
    if (a->kind != ATTR_INTS || a->count != count)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute %s must be a list of %zu integers, but has %zu", name, count,
                       a->count);
    for (size_t i = 0; i < count; i++) {
        if (a->ints[i] < min || a->ints[i] > GRAPH_MAX_EXTENT)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "attribute %s: %lld is not in %lld to %lld", name, (long long)a->ints[i],
                           (long long)min, (long long)GRAPH_MAX_EXTENT);
        out[i] = a->ints[i];
    }
    return CNN_OK;
}

/* Input positions that a window covers, from its first to its last. */
static int64_t window_span(const op_window *w, int i) {
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

static void set_same_pads(op_window *w, int i, bool upper) {
    int64_t out = DIV_UP(w->in[i], w->stride[i]);
    int64_t total = MAX((out - 1) * w->stride[i] + window_span(w, i) - w->in[i], 0);
    w->pad_begin[i] = upper ? total / 2 : total - total / 2;
    w->pad_end[i] = total - w->pad_begin[i];
}

static cnn_status read_pads(const graph_node *node, op_window *w, cnn_error *err) {
    const char *mode = graph_attr_string(node, "auto_pad", "NOTSET");
    bool upper = strcmp(mode, "SAME_UPPER") == 0;
    int64_t pads[6] = {0};
    if (upper || strcmp(mode, "SAME_LOWER") == 0) {
        for (int i = 0; i < w->spatial; i++)
            set_same_pads(w, i, upper);
        return CNN_OK;
    }
    if (strcmp(mode, "VALID") == 0) return CNN_OK;
    if (strcmp(mode, "NOTSET") != 0 && mode[0] != '\0')
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute auto_pad is '%.40s', which is none of NOTSET, SAME_UPPER, "
                       "SAME_LOWER, VALID",
                       mode);
    cnn_status status = read_extents(node, "pads", (size_t)(2 * w->spatial), 0, pads, err);
    for (int i = 0; i < w->spatial; i++) {
        w->pad_begin[i] = pads[i];
        w->pad_end[i] = pads[w->spatial + i];
    }
    return status;
}

static cnn_status set_output_extent(const graph_node *node, op_window *w, int i, cnn_error *err) {
    int64_t padded = w->in[i] + w->pad_begin[i] + w->pad_end[i], span = window_span(w, i);
    if (padded < span)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the window covers %lld positions of spatial axis %d, but the padded input "
                       "has only %lld",
                       (long long)span, i, (long long)padded);
    int64_t room = padded - span, stride = w->stride[i];
    w->out[i] = room / stride + 1;
    if (graph_attr_int(node, "ceil_mode", 0) == 0 || room % stride == 0) return CNN_OK;
    /* A window that would begin in the padding behind the input is left out. */
    if (w->out[i] * stride < w->in[i] + w->pad_begin[i]) w->out[i]++;
    return CNN_OK;
}

cnn_status op_window_read(const graph_node *node, const cnn_shape *in, const int64_t *kernel,
                          op_window *out, cnn_error *err) {
    op_window w = {.spatial = in->rank - 2};
    if (w.spatial < 1 || w.spatial > 3)
        return op_fail(node, err, CNN_UNSUPPORTED,
                       "the input has %d dimensions, but batch, channels and 1 to 3 spatial axes "
                       "are needed",
                       in->rank);
    for (int i = 0; i < 3; i++) {
        w.in[i] = i < w.spatial ? in->dims[2 + i] : 1;
        w.kernel[i] = i < w.spatial && kernel ? kernel[i] : 1;
        w.stride[i] = w.dilation[i] = w.out[i] = 1;
    }
    if (!kernel && !graph_attr(node, "kernel_shape"))
        return op_fail(node, err, CNN_INVALID_MODEL, "attribute kernel_shape is missing");
    size_t count = (size_t)w.spatial;
    cnn_status status = read_extents(node, "kernel_shape", count, 1, w.kernel, err);
    if (status == CNN_OK) status = read_extents(node, "strides", count, 1, w.stride, err);
    if (status == CNN_OK) status = read_extents(node, "dilations", count, 1, w.dilation, err);
    if (status == CNN_OK) status = read_pads(node, &w, err);
    for (int i = 0; i < w.spatial && status == CNN_OK; i++)
        status = set_output_extent(node, &w, i, err);
    if (status == CNN_OK) *out = w;
    return status;
}
