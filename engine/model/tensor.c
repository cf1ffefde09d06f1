/* The public reader of serialized tensors. */
#include "graph/graph.h"
#include "onnx/onnx.h"

#include <stdlib.h>

struct cnn_tensor {
    tensor *content;
    char *name;
};

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
