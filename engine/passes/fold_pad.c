/*
 * Pad with zeros -> the pads of the window operator behind it.
 *
 * Exact for Conv, whose own padding is zeros, too. Exact for AveragePool if padding counts into the
 * mean anyway, or if there was none of its own: then all of it is counted from now on. MaxPool's
 * own padding is no number, which is the same where no number is below 0 and each window has one.
 * Only along spatial axes, only outwards.
 */
#include "passes/rewrite.h"

#include <string.h>

/* Amounts per axis. */
typedef struct padding {
    int64_t begin[CNN_MAX_RANK], end[CNN_MAX_RANK];
} padding;

/* The constant that the node pads with is 0: an input from version 11 on, an attribute before. */
static bool pads_with_zero(const graph *g, const graph_node *pad) {
    double value = 0;
    if (strcmp(graph_attr_string(pad, "mode", "constant"), "constant") != 0) return false;
    if (pad->input_count > 2 && pad->inputs[2] >= 0)
        return rewrite_scalar(g, pad->inputs[2], &value) && value == 0;
    return graph_attr_float(pad, "value", 0) == 0;
}

/* Element `i` of the amounts. */
static bool amount(const graph *g, const graph_node *pad, size_t i, size_t count, int64_t *out) {
    const tensor *t = pad->input_count > 1 ? op_constant(g, pad, 1) : NULL;
    const attr *list = graph_attr(pad, "pads");
    if (t && t->elements == count)
        *out = tensor_int(t, i);
    else if (!t && list && list->kind == ATTR_INTS && list->count == count)
        *out = list->ints[i];
    else
        return false;
    return *out >= 0 && *out <= INT32_MAX;
}

/* False unless the amounts are constant, not negative, and 0 for batch and channels. */
static bool read_padding(const graph *g, const graph_node *pad, padding *out) {
    int rank = rewrite_shape(g, pad->outputs[0])->rank;
    const tensor *axes = op_constant(g, pad, 3);
    bool listed = pad->input_count > 3 && pad->inputs[3] >= 0;
    if (listed && !axes) return false;
    size_t count = listed ? axes->elements : (size_t)rank;
    padding p = {{0}, {0}};
    for (size_t i = 0; i < count; i++) {
        int axis = (int)i;
        if (listed && !op_axis(tensor_int(axes, i), rank, &axis)) return false;
        if (!amount(g, pad, i, 2 * count, &p.begin[axis]) ||
            !amount(g, pad, count + i, 2 * count, &p.end[axis]))
            return false;
    }
    if (p.begin[0] || p.end[0] || p.begin[1] || p.end[1]) return false;
    *out = p;
    return true;
}

/* Activations that make no number below 0. */
static bool is_positive(const graph *g, int value) {
    graph_node *node = rewrite_producer(g, value, NULL);
    epilogue e;
    if (!node || node->outputs[0] != value || !op_activation(g, node, &e)) return false;
    return e.act == ACT_RELU || e.act == ACT_SIGMOID || (e.act == ACT_CLIP && e.alpha >= 0);
}

/* True if each window has an element of the image in it. */
static bool has_elements(const op_window *w, const padding *p) {
    for (int i = 0; i < w->spatial; i++) {
        int64_t begin = w->pad_begin[i] + p->begin[2 + i], end = w->pad_end[i] + p->end[2 + i];
        int64_t extent = w->in[i] - p->begin[2 + i] - p->end[2 + i];
        bool reaches = (w->out[i] - 1) * w->stride[i] < begin + extent;
        if (begin >= w->kernel[i] || end >= w->kernel[i] || w->dilation[i] != 1 || !reaches)
            return false;
    }
    return true;
}

/* Whether padding of the node's own may be joined by that of a Pad. */
static bool window_takes(const graph_node *node, const op_window *w, const padding *p) {
    bool own = false, valid = true, small = true;
    for (int i = 0; i < w->spatial; i++) {
        int64_t begin = w->pad_begin[i] + p->begin[2 + i], end = w->pad_end[i] + p->end[2 + i];
        own |= w->pad_begin[i] != 0 || w->pad_end[i] != 0;
        valid &= begin <= GRAPH_MAX_EXTENT && end <= GRAPH_MAX_EXTENT;
        small &= begin < w->kernel[i] && end < w->kernel[i];
    }
    if (rewrite_is(node, "Conv")) return valid;
    if (rewrite_is(node, "MaxPool"))
        return has_elements(w, p) && graph_attr_int(node, "ceil_mode", 0) == 0 &&
               (node->output_count == 1 || node->outputs[1] < 0);
    return small && graph_attr_int(node, "ceil_mode", 0) == 0 &&
           (!own || graph_attr_int(node, "count_include_pad", 0) != 0);
}

static bool set_pads(graph_node *node, const op_window *w, const padding *p) {
    int64_t pads[6];
    for (int i = 0; i < w->spatial; i++) {
        pads[i] = w->pad_begin[i] + p->begin[2 + i];
        pads[w->spatial + i] = w->pad_end[i] + p->end[2 + i];
    }
    rewrite_drop_attr(node, "pads");
    rewrite_drop_attr(node, "auto_pad");
    if (!graph_add_attr_ints(node, "pads", pads, 2 * (size_t)w->spatial)) return false;
    if (!rewrite_is(node, "AveragePool")) return true;
    rewrite_drop_attr(node, "count_include_pad");
    return graph_add_attr_int(node, "count_include_pad", 1);
}

static cnn_status fold(graph *g, graph_node *node, cnn_error *err) {
    graph_node *pad = rewrite_sole_producer(g, node->inputs[0], "Pad");
    op_window w;
    padding p;
    if (!pad || !pads_with_zero(g, pad) || !read_padding(g, pad, &p)) return CNN_OK;
    const int64_t *kernel = NULL;
    if (rewrite_is(node, "Conv")) kernel = rewrite_shape(g, node->inputs[1])->dims + 2;
    if (op_window_read(node, rewrite_shape(g, node->inputs[0]), kernel, &w, NULL) != CNN_OK ||
        !window_takes(node, &w, &p) ||
        (rewrite_is(node, "MaxPool") && !is_positive(g, pad->inputs[0])))
        return CNN_OK;
    if (!set_pads(node, &w, &p) || !rewrite_set_input(g, node, 0, pad->inputs[0]))
        return cnn_fail_memory(err, sizeof(attr));
    rewrite_empty(g, pad);
    return CNN_OK;
}

cnn_status pass_fold_pad(graph *g, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->node_count; i++)
        if (rewrite_is(g->nodes[i], "Conv") || rewrite_is(g->nodes[i], "AveragePool") ||
            rewrite_is(g->nodes[i], "MaxPool"))
            status = fold(g, g->nodes[i], err);
    return status;
}
