/* Tensors in memory: dense, row-major, shared by reference count. */
#include "base/element.h"
#include "base/pages.h"
#include "graph/derived.h"

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
    t->data = cnn_alloc_zeroed(t->bytes);
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
    t->adopted = true;
    *out = t;
    return CNN_OK;
}

cnn_status tensor_leave(cnn_dtype dtype, const cnn_shape *shape, stored_file *file, uint64_t offset,
                        tensor **out, cnn_error *err) {
    tensor *t = NULL;
    cnn_status status = create(dtype, shape, &t, err);
    if (status != CNN_OK) return status;
    t->file = stored_file_ref(file);
    t->offset = offset;
    t->sums = calloc(DIV_UP(t->bytes, STORED_CHUNK) + 1, sizeof(*t->sums));
    if (!t->sums) {
        tensor_unref(t);
        return cnn_fail_memory(err, sizeof(*t->sums));
    }
    *out = t;
    return CNN_OK;
}

cnn_status tensor_derive(cnn_dtype dtype, const cnn_shape *shape, derivation *from, tensor **out,
                         cnn_error *err) {
    tensor *t = NULL;
    cnn_status status = create(dtype, shape, &t, err);
    if (status != CNN_OK) return status;
    t->derived = from;
    *out = t;
    return CNN_OK;
}

bool tensor_may_be_left(cnn_dtype dtype, size_t bytes) {
    bool decides_shapes = number_class_of(dtype) != NUMBER_REAL &&
                          (cnn_dtype_size(dtype) > sizeof(int16_t) || dtype == CNN_BOOL);
    return bytes >= GRAPH_MIN_LEFT_BYTES && !decides_shapes;
}

tensor *tensor_ref(tensor *t) {
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tensor_unref(tensor *t) {
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1) return;
    if (t->adopted)
        free(t->data);
    else
        cnn_free_zeroed(t->data, t->bytes);
    stored_file_unref(t->file);
    free(t->sums);
    derivation_free(t->derived);
    free(t);
}

int64_t tensor_int(const tensor *t, size_t i) {
    switch (number_class_of(t->dtype)) {
    case NUMBER_REAL:
        return int_of_double(real_at(t->dtype, t->data, i));
    case NUMBER_SIGNED:
        return int_at(t->dtype, t->data, i);
    default:
        return (int64_t)MIN((uint64_t)int_at(t->dtype, t->data, i), (uint64_t)INT64_MAX);
    }
}

double tensor_number(const tensor *t, size_t i) {
    switch (number_class_of(t->dtype)) {
    case NUMBER_REAL:
        return real_at(t->dtype, t->data, i);
    case NUMBER_SIGNED:
        return (double)int_at(t->dtype, t->data, i);
    default:
        return (double)(uint64_t)int_at(t->dtype, t->data, i);
    }
}
