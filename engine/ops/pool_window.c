/* How the pooling operators read their windows: sliding, adaptive or global. */
#include "ops/pool_window.h"

window_range pool_bin(const op_window *w, int i, int64_t o) {
    int64_t first = o * w->in[i] / w->out[i];
    int64_t cells = DIV_UP((o + 1) * w->in[i], w->out[i]) - first;
    return (window_range){.first = first, .hi = cells, .hi_pad = cells};
}

pooling pool_sliding(const graph_node *node, const cnn_shape *in) {
    pooling p = {.range = eval_window_range,
                 .with_padding = graph_attr_int(node, "count_include_pad", 0) != 0,
                 .p = (double)graph_attr_int(node, "p", 2)};
    if (op_window_read(node, in, NULL, &p.w, NULL) != CNN_OK) p.w = (op_window){0};
    return p;
}

pooling pool_bins(const cnn_shape *in, const int64_t *out) {
    pooling p = {.w = {.spatial = in->rank - 2}, .range = pool_bin};
    for (int i = 0; i < 3; i++) {
        p.w.in[i] = i < p.w.spatial ? in->dims[2 + i] : 1;
        p.w.out[i] = i < p.w.spatial ? out[i] : 1;
        p.w.dilation[i] = 1;
    }
    return p;
}

pooling pool_global(const cnn_shape *in) {
    cnn_shape flat = {3, {in->dims[0], in->dims[1], op_product(in, 2, in->rank)}};
    return pool_bins(&flat, (int64_t[]){1});
}

cnn_status pool_infer_shape(const graph *g, const graph_node *node, type_set types, cnn_shape *out,
                            cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, types, err));
    const graph_value *x = op_input(g, node, 0);
    op_window w;
    TRY(op_window_read(node, &x->shape, NULL, &w, err));
    *out = (cnn_shape){.rank = x->shape.rank, .dims = {x->shape.dims[0], x->shape.dims[1]}};
    for (int i = 0; i < w.spatial; i++)
        out->dims[2 + i] = w.out[i];
    return CNN_OK;
}

cnn_status pool_infer(graph *g, graph_node *node, cnn_error *err) {
    cnn_shape out;
    TRY(pool_infer_shape(g, node, TYPES_REAL, &out, err));
    return op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &out, err);
}

cnn_status pool_infer_norm(const graph_node *node, cnn_error *err) {
    int64_t p = graph_attr_int(node, "p", 2);
    if (p >= 1) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL, "attribute p is %lld, but must be at least 1",
                   (long long)p);
}
