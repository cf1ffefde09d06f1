/*
 * MaxUnpool: values back to where MaxPool found them (Zeiler and Fergus 2014).
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

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

const op_def ops_unpool[] = {
    {
        OP("MaxUnpool", 9, 0, 2, 3, 1, 1),
        .attrs = "kernel_shape:ints! pads:ints strides:ints",
        .infer = unpool_infer,
        .eval = unpool_eval,
    },
    {.name = NULL},
};
