/* Tensors in memory: dense, row-major, shared by reference count. */
#include "graph/graph.h"

#include <math.h>
#include <stdlib.h>

/* Checks extents and computes `elements` and `bytes`. */
static cnn_status measure(tensor *t, cnn_error *err) {
    char text[128];
    cnn_shape_text(&t->shape, text, sizeof text);
    size_t item = cnn_dtype_size(t->dtype);
    if (item == 0)
        return cnn_fail(err, CNN_UNSUPPORTED, "tensors of element type %s (%d) are not supported",
                        cnn_dtype_name(t->dtype), (int)t->dtype);
    for (int i = 0; i < t->shape.rank; i++)
        if (t->shape.dims[i] < 0 || t->shape.dims[i] > GRAPH_MAX_EXTENT)
            return cnn_fail(err, CNN_LIMIT, "a tensor of shape %s: extents must lie in 0 to %lld",
                            text, (long long)GRAPH_MAX_EXTENT);
    if (!cnn_shape_elements(&t->shape, &t->elements) ||
        !cnn_mul_size(t->elements, item, &t->bytes) || t->bytes > GRAPH_MAX_TENSOR_BYTES)
        return cnn_fail(err, CNN_LIMIT, "a %s tensor of shape %s is larger than %zu bytes",
                        cnn_dtype_name(t->dtype), text, GRAPH_MAX_TENSOR_BYTES);
    return CNN_OK;
}

static cnn_status create(cnn_dtype dtype, const cnn_shape *shape, tensor **out, cnn_error *err) {
    tensor *t = calloc(1, sizeof *t);
    if (!t) return cnn_fail_memory(err, sizeof *t);
    atomic_init(&t->refs, 1);
    t->dtype = dtype;
    t->shape = *shape;
    cnn_status status = measure(t, err);
    if (status != CNN_OK) {
        free(t);
        return status;
    }
    *out = t;
    return CNN_OK;
}

cnn_status tensor_create(cnn_dtype dtype, const cnn_shape *shape, tensor **out, cnn_error *err) {
    tensor *t = NULL;
    cnn_status status = create(dtype, shape, &t, err);
    if (status != CNN_OK) return status;
    t->data = cnn_alloc_aligned(t->bytes);
    if (!t->data) {
        status = cnn_fail_memory(err, t->bytes);
        tensor_unref(t);
        return status;
    }
    *out = t;
    return CNN_OK;
}

cnn_status tensor_adopt(cnn_dtype dtype, const cnn_shape *shape, void *data, tensor **out,
                        cnn_error *err) {
    tensor *t = NULL;
    cnn_status status = create(dtype, shape, &t, err);
    if (status != CNN_OK) return status;
    t->data = data;
    *out = t;
    return CNN_OK;
}

tensor *tensor_ref(tensor *t) {
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tensor_unref(tensor *t) {
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1) return;
    free(t->data);
    free(t);
}

static int64_t saturate(double value) {
    if (isnan(value)) return 0;
    if (value >= 0x1p63) return INT64_MAX;
    return value < -0x1p63 ? INT64_MIN : (int64_t)value;
}

int64_t tensor_int(const tensor *t, size_t i) {
    switch (t->dtype) {
    case CNN_UINT8:
        return ((const uint8_t *)t->data)[i];
    case CNN_INT8:
        return ((const int8_t *)t->data)[i];
    case CNN_UINT16:
        return ((const uint16_t *)t->data)[i];
    case CNN_INT16:
        return ((const int16_t *)t->data)[i];
    case CNN_INT32:
        return ((const int32_t *)t->data)[i];
    case CNN_UINT32:
        return ((const uint32_t *)t->data)[i];
    case CNN_INT64:
        return ((const int64_t *)t->data)[i];
    case CNN_UINT64:
        return (int64_t)MIN(((const uint64_t *)t->data)[i], (uint64_t)INT64_MAX);
    case CNN_BOOL:
        return ((const uint8_t *)t->data)[i] != 0;
    default:
        return saturate(tensor_number(t, i));
    }
}

double tensor_number(const tensor *t, size_t i) {
    switch (t->dtype) {
    case CNN_FLOAT32:
        return (double)((const float *)t->data)[i];
    case CNN_FLOAT64:
        return ((const double *)t->data)[i];
    case CNN_FLOAT16:
        return (double)cnn_half_to_float(((const uint16_t *)t->data)[i]);
    case CNN_BFLOAT16:
        return (double)cnn_bfloat16_to_float(((const uint16_t *)t->data)[i]);
    case CNN_UINT64:
        return (double)((const uint64_t *)t->data)[i];
    case CNN_STRING:
        return 0;
    default:
        return (double)tensor_int(t, i);
    }
}
