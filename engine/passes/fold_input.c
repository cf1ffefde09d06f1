/*
 * Folds what scales and shifts each channel of a Conv's input by constants (see affine.h) into the
 * Conv's weights: the normalisation of pixels that exporters put at the beginning of a network.
 *
 *   sum over c of w[c] (scale[c] x[c] + shift[c]) + b
 *       = sum over c of (w[c] scale[c]) x[c] + (b + sum over c of w[c] shift[c])
 *
 * A shift only where the Conv has no padding: at the border, padding stands for zeros behind the
 * shift, and would then stand for zeros before it.
 */
#include "passes/affine.h"

/* x is (N, C, ...), w is (M, C / groups, taps) */
typedef struct conv_form {
    size_t m, c_group, taps, groups;
    const tensor *w, *b; /* b may be NULL */
} conv_form;

static bool read_form(const graph *g, const graph_node *conv, conv_form *out) {
    const tensor *w = op_constant(g, conv, 1), *b = op_constant(g, conv, 2);
    bool has_bias = conv->input_count > 2 && conv->inputs[2] >= 0;
    if (!w || w->dtype != CNN_FLOAT32 || w->shape.rank < 3 || w->elements == 0) return false;
    size_t m = (size_t)w->shape.dims[0], c_group = (size_t)w->shape.dims[1];
    if (has_bias && (!b || b->dtype != CNN_FLOAT32 || b->elements != m)) return false;
    *out = (conv_form){
        m, c_group, w->elements / m / c_group, (size_t)graph_attr_int(conv, "group", 1), w, b};
    return true;
}

static bool has_padding(const graph *g, const graph_node *conv) {
    op_window w;
    if (op_window_read(conv, rewrite_shape(g, conv->inputs[0]),
                       rewrite_shape(g, conv->inputs[1])->dims + 2, &w, NULL) != CNN_OK)
        return true;
    for (int i = 0; i < w.spatial; i++)
        if (w.pad_begin[i] != 0 || w.pad_end[i] != 0) return true;
    return false;
}

/* Fills new weights and a new bias. */
static void compute(const conv_form *f, const affine *a, float *weights, float *bias) {
    const float *from = f->w->data;
    for (size_t m = 0, at = 0; m < f->m; m++) {
        size_t first = m / (f->m / f->groups) * f->c_group;
        double sum = f->b ? tensor_number(f->b, m) : 0;
        for (size_t c = first; c < first + f->c_group; c++)
            for (size_t k = 0; k < f->taps; k++, at++) {
                weights[at] = (float)(a->scale[c] * (double)from[at]);
                sum += a->shift[c] * (double)from[at];
            }
        bias[m] = (float)sum;
    }
}

static cnn_status apply(graph *g, graph_node *conv, const conv_form *f, const affine *a,
                        cnn_error *err) {
    cnn_shape shape = {.rank = 1, .dims = {(int64_t)f->m}};
    tensor *weights = NULL, *bias = NULL;
    cnn_status status = tensor_create(CNN_FLOAT32, &f->w->shape, &weights, err);
    if (status == CNN_OK) status = tensor_create(CNN_FLOAT32, &shape, &bias, err);
    if (status == CNN_OK) {
        compute(f, a, weights->data, bias->data);
        int w = rewrite_add_constant(g, conv->inputs[1], weights);
        int b = a->shifts ? rewrite_add_constant(g, conv->inputs[1], bias) : -1;
        if (w < 0 || (a->shifts && (b < 0 || !rewrite_set_input(g, conv, 2, b))) ||
            !rewrite_set_input(g, conv, 1, w))
            status = cnn_fail_memory(err, weights->bytes);
    }
    tensor_unref(weights);
    tensor_unref(bias);
    return status;
}

/* Folds the node behind the Conv's input; *done is false if there is none that could be. */
static cnn_status fold(graph *g, graph_node *conv, bool *done, cnn_error *err) {
    graph_node *node = rewrite_sole_producer(g, conv->inputs[0], NULL);
    conv_form f;
    affine a;
    size_t i = node && affine_is(g, node, 0) ? 0 : 1;
    *done = false;
    if (!node || node->input_count < 2 || !affine_is(g, node, i) || !read_form(g, conv, &f))
        return CNN_OK;
    cnn_status status = affine_read(g, node, i, &a, err);
    if (status != CNN_OK) return status;
    if (a.finite && !(a.shifts && has_padding(g, conv))) {
        int x = node->inputs[i];
        status = apply(g, conv, &f, &a, err);
        if (status == CNN_OK && !rewrite_set_input(g, conv, 0, x))
            status = cnn_fail_memory(err, sizeof(int));
        if (status == CNN_OK) rewrite_empty(g, node);
        *done = status == CNN_OK;
    }
    affine_free(&a);
    return status;
}

cnn_status pass_fold_input(graph *g, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t n = 0; status == CNN_OK && n < g->node_count; n++) {
        bool more = rewrite_is(g->nodes[n], "Conv");
        while (status == CNN_OK && more)
            status = fold(g, g->nodes[n], &more, err);
    }
    return status;
}
