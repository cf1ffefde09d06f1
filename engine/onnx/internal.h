/* Shared by the files of this folder. */
#ifndef ONNX_INTERNAL_H
#define ONNX_INTERNAL_H

#include "onnx/onnx.h"

#include <onnx.pb-c.h>

/* What to call the thing at hand in messages, e.g. "initializer 'conv1.weight'". */
typedef char onnx_label[192];

/* External files that a model keeps open. */
#define ONNX_MAX_KEPT_FILES 8

/* Where elements may come from that do not stand in the message. */
typedef struct onnx_source {
    const char *directory;      /* of external data; NULL: nowhere */
    size_t bytes_left;          /* of ONNX_MAX_EXTERNAL_BYTES */
    const unsigned char *bytes; /* of the model */
    stored_file *file;          /* the same, kept; NULL: the model is in memory only */
    char *external_location;    /* of `external`, as the model names it */
    stored_file *external;      /* the last one that was opened; NULL: none */
    size_t external_count;      /* of files opened; beyond ONNX_MAX_KEPT_FILES none is kept */
    bool shared;                /* messages are read more than once: nothing is taken out of them */
} onnx_source;

/* Elements cut out of the model's bytes; of none, `bytes` is 0. */
typedef struct onnx_payload {
    size_t offset, bytes;
} onnx_payload;

/* unpack.c: what reading a file of that size may allocate, see onnx.h. */
size_t onnx_budget(size_t size);
/* The bytes of a message as protobuf-c's structs; what that allocates is taken off *budget. Large
 * buffers in them are CNN_ALIGN-aligned and from malloc, so that they can be taken over by tensors.
 */
cnn_status onnx_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t size,
                       size_t *budget, ProtobufCMessage **out, cnn_error *err);
void onnx_unpack_free(ProtobufCMessage *message); /* accepts NULL */

/* False if the number that starts at *at does not end before `size`. */
bool onnx_read_varint(const unsigned char *bytes, size_t size, size_t *at, uint64_t *out);

/* skeleton.c: a ModelProto without what is large in it. */
#define ONNX_PAYLOAD_MIN 4096
typedef struct onnx_skeleton {
    unsigned char *bytes;
    size_t size, capacity;
    onnx_payload *payloads; /* one for each initializer, in order */
    size_t count, payload_capacity;
} onnx_skeleton;

/* False if the bytes are damaged (or memory is short). */
bool onnx_skeleton_make(const void *bytes, size_t size, onnx_skeleton *out);
void onnx_skeleton_free(onnx_skeleton *s);

/* tensor.c. Takes the buffer out of `proto` where it can. What was cut out of `proto`, and external
 * data, may stay in the file: see tensor. */
cnn_status onnx_tensor(onnx_source *source, Onnx__TensorProto *proto, onnx_payload cut,
                       const char *label, tensor **out, cnn_error *err);
/* Checks an element type as the file numbers it. */
cnn_status onnx_dtype(int number, const char *label, cnn_dtype *out, cnn_error *err);

/* external.c: where `bytes` bytes of external data stand; *file is a reference. */
cnn_status onnx_external(onnx_source *source, const Onnx__TensorProto *proto, const char *label,
                         size_t bytes, stored_file **file, uint64_t *offset, cnn_error *err);
/* Forgets the file that was opened last. */
void onnx_external_close(onnx_source *source);

/* attribute.c. On failure `*out` is zero. */
cnn_status onnx_attribute(onnx_source *source, Onnx__AttributeProto *proto, const char *label,
                          attr *out, cnn_error *err);

/* names.c: numbers by name, in constant time each. */
typedef struct names_slot {
    const char *name; /* NULL: free */
    int number;
} names_slot;

typedef struct names {
    names_slot *slots;
    size_t capacity, used;
} names;

bool names_find(const names *n, const char *name, int *number); /* false: there is none */
/* The name must not be in yet, and outlive the table; false when out of memory. */
bool names_add(names *n, const char *name, int number);
void names_free(names *n);

/* A protobuf string, which is NULL where the file leaves it out. */
static inline const char *onnx_text(const char *string) {
    return string ? string : "";
}

#endif
