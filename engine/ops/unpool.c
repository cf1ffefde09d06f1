/*
 * MaxUnpool: values back to where MaxPool found them (Zeiler and Fergus 2014).
 */
#include "ops/unpool.h"

#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/*
 * x and indices are (N, C, I...); y is zero but for y[indices[i]] = x[i]. The indices number the
 * input of the MaxPool that made them, so with a larger output_shape each plane's positions are
 * carried over by their coordinates. Those outside of the element's own plane are passed over.
 */
cnn_status unpool_pooled(const graph_node *node, const cnn_shape *x, cnn_shape *out,
                         cnn_error *err) {
    static const char *const names[] = {"kernel_shape", "strides", "pads"};
    int spatial = x->rank - 2;
    op_list lists[3];
    *out = (cnn_shape){.rank = x->rank, .dims = {x->dims[0], x->dims[1]}};
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
        out->dims[2 + i] = (x->dims[2 + i] - 1) * stride - pads + lists[0].values[i];
    }
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
    cnn_shape pooled;
    op_list wanted;
    TRY(unpool_pooled(node, &x->shape, &pooled, err));
    TRY(op_need_list(g, node, "output_shape", 2, &wanted, err));
    cnn_shape out = {.rank = x->shape.rank};
    if (wanted.present && wanted.count != (size_t)out.rank)
        return op_fail(node, err, CNN_INVALID_MODEL, "output_shape must have %d entries", out.rank);
    for (int i = 0; i < out.rank; i++) {
        out.dims[i] = wanted.present ? wanted.values[i] : pooled.dims[i];
        if (out.dims[i] < pooled.dims[i] || pooled.dims[i] < 0)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "output_shape is smaller than what was pooled");
    }
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* Where position `index` of the pooled tensor is in the output; false if `plane` lacks it. */
static bool unpool_target(const cnn_shape *pooled, const cnn_shape *out, int64_t index,
                          int64_t plane, size_t *target) {
    int64_t offset = 0, stride = 1;
    if (index < 0) return false;
    for (int i = out->rank - 1; i >= 0; i--) {
        if (i == 1 && index != plane) return false;
        if (pooled->dims[i] == 0) return false;
        offset += index % pooled->dims[i] * stride;
        index /= pooled->dims[i];
        stride *= out->dims[i];
    }
    *target = (size_t)offset;
    return true;
}

static void unpool_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    cnn_shape pooled;
    size_t size = cnn_dtype_size(in[0]->dtype), target;
    int64_t plane = op_product(&in[0]->shape, 2, in[0]->shape.rank);
    fill_zero(out[0]);
    if (unpool_pooled(node, &in[0]->shape, &pooled, NULL) != CNN_OK) return;
    for (size_t i = 0; i < in[0]->elements; i++)
        if (unpool_target(&pooled, &out[0]->shape, tensor_int(in[1], i), (int64_t)i / plane,
                          &target))
            memcpy((char *)out[0]->data + target * size, (const char *)in[0]->data + i * size,
                   size);
}

/* That of the MaxPool, whose input is our output. */
static void unpool_window(const graph *g, const graph_node *node, op_window *out) {
    op_list kernel = op_read_list(node, "kernel_shape", NULL),
            strides = op_read_list(node, "strides", NULL), pads = op_read_list(node, "pads", NULL);
    *out = (op_window){.spatial = op_input(g, node, 0)->shape.rank - 2};
    for (int i = 0; i < out->spatial; i++) {
        out->kernel[i] = kernel.values[i];
        out->stride[i] = strides.count ? strides.values[i] : 1;
        out->dilation[i] = 1;
        out->pad_begin[i] = pads.count ? pads.values[i] : 0;
        out->pad_end[i] = pads.count ? pads.values[out->spatial + i] : 0;
    }
}

const op_def ops_unpool[] = {
    {
        OP("MaxUnpool", 9, 0, 2, 3, 1, 1),
        .attrs = "kernel_shape:ints! pads:ints strides:ints",
        .infer = unpool_infer,
        .eval = unpool_eval,
        .window = unpool_window,
    },
    {.name = NULL},
};
