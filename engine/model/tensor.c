/* The public tensor. */
#include "model/model.h"
#include "onnx/onnx.h"

#include <stdlib.h>
#include <string.h>

cnn_status cnn_tensor_create(cnn_dtype dtype, const cnn_shape *shape, const void *data,
                             cnn_tensor **out, cnn_error *err) {
    if (!shape || !data || !out)
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "shape, data and out must be given");
    bool known = shape->rank >= 0 && shape->rank <= CNN_MAX_RANK;
    for (int i = 0; known && i < shape->rank; i++)
        known = shape->dims[i] >= 0;
    if (!known)
        return cnn_fail(err, CNN_INVALID_ARGUMENT,
                        "the shape of a tensor has 0 to %d extents, none of them negative",
                        CNN_MAX_RANK);
    cnn_tensor *t = calloc(1, sizeof(*t));
    if (!t) return cnn_fail_memory(err, sizeof(*t));
    cnn_status status = tensor_create(dtype, shape, &t->content, err);
    if (status != CNN_OK) {
        free(t);
        return status;
    }
    memcpy(t->content->data, data, t->content->bytes);
    *out = t;
    return CNN_OK;
}

cnn_status cnn_tensor_load(const void *bytes, size_t size, cnn_tensor **out, cnn_error *err) {
    if (!out || (!bytes && size))
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "bytes and out must be given");
    cnn_tensor *t = calloc(1, sizeof(*t));
    if (!t) return cnn_fail_memory(err, sizeof(*t));
    cnn_status status = onnx_read_tensor(bytes, size, &t->content, &t->name, err);
    if (status != CNN_OK) {
        free(t);
        return status;
    }
    *out = t;
    return CNN_OK;
}

void cnn_tensor_free(cnn_tensor *t) {
    if (!t) return;
    tensor_unref(t->content);
    free(t->name);
    free(t);
}

cnn_tensor_info cnn_tensor_describe(const cnn_tensor *t) {
    return (cnn_tensor_info){t->name ? t->name : "", t->content->dtype, t->content->shape};
}

const void *cnn_tensor_data(const cnn_tensor *t) {
    return t->content->data;
}
