/* Shared by the files of this folder. */
#ifndef ONNX_INTERNAL_H
#define ONNX_INTERNAL_H

#include "onnx/onnx.h"

#include <onnx.pb-c.h>

/* What to call the thing at hand in messages, e.g. "initializer 'conv1.weight'". */
typedef char onnx_label[192];

/* Where external data may come from. */
typedef struct onnx_source {
    const char *directory; /* NULL: nowhere */
    size_t bytes_left;     /* of ONNX_MAX_EXTERNAL_BYTES */
} onnx_source;

/* unpack.c: the bytes of a message as protobuf-c's structs. Large buffers in them are CNN_ALIGN-
 * aligned and from malloc, so that they can be taken over by tensors. */
cnn_status onnx_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t size,
                       ProtobufCMessage **out, cnn_error *err);
void onnx_unpack_free(ProtobufCMessage *message); /* accepts NULL */

/* tensor.c. Takes the buffer out of `proto` where it can. */
cnn_status onnx_tensor(onnx_source *source, Onnx__TensorProto *proto, const char *label,
                       tensor **out, cnn_error *err);
/* Checks an element type as the file numbers it. */
cnn_status onnx_dtype(int number, const char *label, cnn_dtype *out, cnn_error *err);

/* external.c: `bytes` bytes of external data, in a new buffer of cnn_alloc_aligned. */
cnn_status onnx_external(onnx_source *source, const Onnx__TensorProto *proto, const char *label,
                         size_t bytes, void **out, cnn_error *err);

/* attribute.c. On failure `*out` is zero. */
cnn_status onnx_attribute(onnx_source *source, Onnx__AttributeProto *proto, const char *label,
                          attr *out, cnn_error *err);

/* names.c: value numbers by name, in constant time each. */
typedef struct names {
    int *slots; /* value number + 1; 0: free */
    size_t capacity, used;
} names;

int names_find(const names *n, const graph *g, const char *name); /* -1: none */
/* The value's name must not be in yet; false when out of memory. */
bool names_add(names *n, const graph *g, int value);
void names_free(names *n);

/* A protobuf string, which is NULL where the file leaves it out. */
static inline const char *onnx_text(const char *string) {
    return string ? string : "";
}

#endif
