/*
 * TensorProto -> tensor.
 *
 * The elements stand in raw_data, in the typed list that ONNX assigns to the element type, or in an
 * external file. A buffer that already has the right form and alignment is taken out of the message
 * instead of copied; large ones in files stay there (graph/stored.c).
 */
#include "base/element.h"
#include "onnx/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "raw_data is little-endian and used as it is");

/* ONNX' element types that cnn_dtype does not know, for messages. */
static const char *const other_types[] = {
    [0] = "no type",         [14] = "complex64",  [15] = "complex128",     [17] = "float8e4m3fn",
    [18] = "float8e4m3fnuz", [19] = "float8e5m2", [20] = "float8e5m2fnuz", [21] = "uint4",
    [22] = "int4",           [23] = "float4e2m1", [24] = "float8e8m0",
};

cnn_status onnx_dtype(int number, const char *label, cnn_dtype *out, cnn_error *err) {
    if (number >= 0 && cnn_dtype_size((cnn_dtype)number) > 0) {
        *out = (cnn_dtype)number;
        return CNN_OK;
    }
    const char *name = number == CNN_STRING ? "string" : NULL;
    if (number >= 0 && number < (int)ARRAY_LENGTH(other_types) && other_types[number])
        name = other_types[number];
    if (!name) return cnn_fail(err, CNN_INVALID_MODEL, "%s: %d is no element type", label, number);
    return cnn_fail(err, CNN_UNSUPPORTED, "%s: element type %s is not supported", label, name);
}

static cnn_status read_shape(const Onnx__TensorProto *proto, const char *label, cnn_shape *out,
                             cnn_error *err) {
    cnn_shape shape = {.rank = (int)MIN(proto->n_dims, CNN_MAX_RANK)};
    if (proto->n_dims > CNN_MAX_RANK)
        return cnn_fail(err, CNN_LIMIT, "%s: %zu dimensions, at most %d are supported", label,
                        proto->n_dims, CNN_MAX_RANK);
    for (int i = 0; i < shape.rank; i++) {
        shape.dims[i] = proto->dims[i];
        if (shape.dims[i] < 0 || shape.dims[i] > GRAPH_MAX_EXTENT)
            return cnn_fail(err, CNN_LIMIT, "%s: extent %lld of axis %d is not in 0 to %lld", label,
                            (long long)shape.dims[i], i, (long long)GRAPH_MAX_EXTENT);
    }
    *out = shape;
    return CNN_OK;
}

/* Elements in the message. */
typedef struct stored {
    void *slot; /* address of the message's pointer to them */
    size_t count, item_size;
} stored;

/* The list that ONNX assigns to the type. */
static stored typed_list(Onnx__TensorProto *p, cnn_dtype dtype) {
    switch (dtype) {
    case CNN_FLOAT32:
        return (stored){&p->float_data, p->n_float_data, sizeof(float)};
    case CNN_FLOAT64:
        return (stored){&p->double_data, p->n_double_data, sizeof(double)};
    case CNN_INT64:
        return (stored){&p->int64_data, p->n_int64_data, sizeof(int64_t)};
    case CNN_UINT32:
    case CNN_UINT64:
        return (stored){&p->uint64_data, p->n_uint64_data, sizeof(uint64_t)};
    default:
        return (stored){&p->int32_data, p->n_int32_data, sizeof(int32_t)};
    }
}

/* memcpy, because `slot` points to a pointer of any type. */
static void *peek(const stored *s) {
    void *data;
    memcpy(&data, s->slot, sizeof data);
    return data;
}

/* Takes the buffer out of the message if a tensor can own it and nobody else reads it, else makes a
 * copy; NULL: no memory. */
static void *take(const stored *s, bool shared, size_t bytes) {
    void *data = peek(s), *none = NULL;
    if (data && !shared && (uintptr_t)data % CNN_ALIGN == 0) {
        memcpy(s->slot, &none, sizeof none);
        return data;
    }
    void *copy = cnn_alloc_aligned(bytes);
    if (copy && data) memcpy(copy, data, bytes);
    return copy;
}

/* Elements from a list that is wider than they are. */
static void *narrow(const stored *s, cnn_dtype dtype, size_t bytes) {
    void *data = cnn_alloc_aligned(bytes);
    if (!data) return NULL;
    const int32_t *from = peek(s);
    const uint64_t *wide = peek(s);
    for (size_t i = 0; i < s->count; i++)
        if (dtype == CNN_UINT32)
            ((uint32_t *)data)[i] = (uint32_t)wide[i];
        else if (dtype == CNN_BOOL)
            ((uint8_t *)data)[i] = from[i] != 0;
        else if (cnn_dtype_size(dtype) == 2)
            ((uint16_t *)data)[i] = (uint16_t)from[i];
        else
            ((uint8_t *)data)[i] = (uint8_t)from[i];
    return data;
}

/* Bools are used as 0 and 1, also where a file holds something else. */
static void normalise_bools(uint8_t *bools, size_t count) {
    for (size_t i = 0; i < count; i++)
        bools[i] = bools[i] != 0;
}

static cnn_status fail_count(const char *label, size_t wanted, const char *what, size_t found,
                             cnn_error *err) {
    return cnn_fail(err, CNN_INVALID_MODEL, "%s: its shape needs %zu %s, the file has %zu", label,
                    wanted, what, found);
}

/* A buffer of `bytes` with the elements that stand in the message. */
static cnn_status read_elements(Onnx__TensorProto *p, bool shared, cnn_dtype dtype,
                                const char *label, size_t elements, size_t bytes, void **out,
                                cnn_error *err) {
    stored s = typed_list(p, dtype);
    bool raw = p->has_raw_data && (p->raw_data.len > 0 || s.count == 0);
    if (raw) s = (stored){&p->raw_data.data, p->raw_data.len, 1};
    size_t wanted = raw ? bytes : elements;
    if (s.count != wanted)
        return fail_count(label, wanted, raw ? "bytes" : "elements", s.count, err);
    bool same = raw || s.item_size == cnn_dtype_size(dtype);
    void *data = same ? take(&s, shared, bytes) : narrow(&s, dtype, bytes);
    if (!data) return cnn_fail_memory(err, bytes);
    *out = data;
    return CNN_OK;
}

/* A tensor of elements in the message. */
static cnn_status of_message(Onnx__TensorProto *proto, bool shared, cnn_dtype dtype,
                             const cnn_shape *shape, size_t elements, size_t bytes,
                             const char *label, tensor **out, cnn_error *err) {
    void *data = NULL;
    cnn_status status = read_elements(proto, shared, dtype, label, elements, bytes, &data, err);
    if (status == CNN_OK) status = tensor_adopt(dtype, shape, data, out, err);
    if (status != CNN_OK) free(data);
    return status;
}

/* A tensor of elements that were cut out of the message: left in the file, or copied. */
static cnn_status of_payload(onnx_source *source, onnx_payload cut, cnn_dtype dtype,
                             const cnn_shape *shape, size_t bytes, const char *label, tensor **out,
                             cnn_error *err) {
    if (cut.bytes != bytes) return fail_count(label, bytes, "bytes", cut.bytes, err);
    if (source->file) return tensor_leave(dtype, shape, source->file, cut.offset, out, err);
    cnn_status status = tensor_create(dtype, shape, out, err);
    if (status == CNN_OK) memcpy((*out)->data, source->bytes + cut.offset, bytes);
    return status;
}

static cnn_status of_external(onnx_source *source, const Onnx__TensorProto *proto, cnn_dtype dtype,
                              const cnn_shape *shape, size_t bytes, const char *label, tensor **out,
                              cnn_error *err) {
    stored_file *file = NULL;
    uint64_t offset;
    cnn_status status = onnx_external(source, proto, label, bytes, &file, &offset, err);
    if (status == CNN_OK) status = tensor_leave(dtype, shape, file, offset, out, err);
    stored_file_unref(file);
    return status;
}

/* Loads what is better not left in a file: what must not be, and what is from one file of many,
 * which is then forgotten. */
static cnn_status settle(const onnx_source *source, tensor **t, cnn_error *err) {
    tensor *left = *t;
    bool kept = source->external_count <= ONNX_MAX_KEPT_FILES;
    if (kept && tensor_may_be_left(left->dtype, left->bytes)) return CNN_OK;
    cnn_status status = left->data ? CNN_OK : tensor_load(left, t, err);
    if (*t != left) tensor_unref(left);
    if (status != CNN_OK) return status;
    if ((*t)->dtype == CNN_BOOL) normalise_bools((*t)->data, (*t)->elements);
    if (kept) return CNN_OK;
    stored_file_unref((*t)->file);
    (*t)->file = NULL;
    return CNN_OK;
}

cnn_status onnx_tensor(onnx_source *source, Onnx__TensorProto *proto, onnx_payload cut,
                       const char *label, tensor **out, cnn_error *err) {
    cnn_dtype dtype = CNN_FLOAT32;
    cnn_shape shape = {0};
    size_t elements, bytes;
    tensor *t = NULL;
    cnn_status status = onnx_dtype(proto->data_type, label, &dtype, err);
    if (status == CNN_OK) status = read_shape(proto, label, &shape, err);
    if (status != CNN_OK) return status;
    if (!cnn_shape_elements(&shape, &elements) ||
        !cnn_mul_size(elements, cnn_dtype_size(dtype), &bytes) || bytes > GRAPH_MAX_TENSOR_BYTES)
        return cnn_fail(err, CNN_LIMIT, "%s: larger than %zu bytes", label, GRAPH_MAX_TENSOR_BYTES);
    if (proto->has_segment)
        return cnn_fail(err, CNN_UNSUPPORTED, "%s: tensors in segments are not supported", label);
    if (proto->data_location == 1)
        status = of_external(source, proto, dtype, &shape, bytes, label, &t, err);
    else if (cut.bytes > 0)
        status = of_payload(source, cut, dtype, &shape, bytes, label, &t, err);
    else
        status = of_message(proto, source->shared, dtype, &shape, elements, bytes, label, &t, err);
    if (status == CNN_OK) status = settle(source, &t, err);
    if (status != CNN_OK) {
        tensor_unref(t);
        return status;
    }
    *out = t;
    return CNN_OK;
}

cnn_status onnx_read_tensor(const void *bytes, size_t size, tensor **out, char **name,
                            cnn_error *err) {
    onnx_source nowhere = {0};
    onnx_label label;
    size_t budget = onnx_budget(size);
    ProtobufCMessage *message = NULL;
    tensor *t = NULL;
    char *copy = NULL;
    cnn_status status =
        onnx_unpack(&onnx__tensor_proto__descriptor, bytes, size, &budget, &message, err);
    if (status != CNN_OK) return status;
    Onnx__TensorProto *proto = (Onnx__TensorProto *)message;
    snprintf(label, sizeof label, "tensor '%.100s'", onnx_text(proto->name));
    status = onnx_tensor(&nowhere, proto, (onnx_payload){0}, label, &t, err);
    if (status == CNN_OK && name && !(copy = strdup(onnx_text(proto->name))))
        status = cnn_fail_memory(err, strlen(onnx_text(proto->name)) + 1);
    onnx_unpack_free(message);
    if (status != CNN_OK) {
        tensor_unref(t);
        return status;
    }
    *out = t;
    if (name) *name = copy;
    return CNN_OK;
}
