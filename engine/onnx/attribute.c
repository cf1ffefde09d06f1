/* AttributeProto -> attr. */
#include "onnx/internal.h"

#include <stdlib.h>
#include <string.h>

/* ONNX' AttributeProto.AttributeType. */
enum {
    TYPE_UNDEFINED,
    TYPE_FLOAT,
    TYPE_INT,
    TYPE_STRING,
    TYPE_TENSOR,
    TYPE_GRAPH,
    TYPE_FLOATS,
    TYPE_INTS,
    TYPE_STRINGS,
    TYPE_TENSORS,
    TYPE_GRAPHS,
    TYPE_SPARSE_TENSOR,
    TYPE_SPARSE_TENSORS,
    TYPE_TYPE_PROTO,
    TYPE_TYPE_PROTOS,
};

static const char *const refused[] = {
    [TYPE_GRAPH] = "a graph",
    [TYPE_TENSORS] = "a list of tensors",
    [TYPE_GRAPHS] = "a list of graphs",
    [TYPE_SPARSE_TENSOR] = "a sparse tensor",
    [TYPE_SPARSE_TENSORS] = "a list of sparse tensors",
    [TYPE_TYPE_PROTO] = "a type",
    [TYPE_TYPE_PROTOS] = "a list of types",
};

/* Files older than IR version 2 leave the type out: it is that of the field that is set. */
static int type_of(const Onnx__AttributeProto *p) {
    if (p->type != TYPE_UNDEFINED) return p->type;
    return p->has_f       ? TYPE_FLOAT
           : p->has_i     ? TYPE_INT
           : p->has_s     ? TYPE_STRING
           : p->t         ? TYPE_TENSOR
           : p->n_floats  ? TYPE_FLOATS
           : p->n_ints    ? TYPE_INTS
           : p->n_strings ? TYPE_STRINGS
                          : TYPE_UNDEFINED;
}

static void *copy_of(const void *items, size_t count, size_t item_size) {
    void *copy = malloc(MAX(count * item_size, 1));
    if (copy && count > 0) memcpy(copy, items, count * item_size);
    return copy;
}

static cnn_status read_ints(const int64_t *ints, size_t count, attr_kind kind, attr *a,
                            cnn_error *err) {
    a->kind = kind;
    a->count = count;
    a->ints = copy_of(ints, count, sizeof *ints);
    return a->ints ? CNN_OK : cnn_fail_memory(err, count * sizeof *ints);
}

static cnn_status read_floats(const float *floats, size_t count, attr_kind kind, attr *a,
                              cnn_error *err) {
    a->kind = kind;
    a->count = count;
    a->floats = copy_of(floats, count, sizeof *floats);
    return a->floats ? CNN_OK : cnn_fail_memory(err, count * sizeof *floats);
}

static cnn_status read_strings(const ProtobufCBinaryData *strings, size_t count, attr_kind kind,
                               const char *label, attr *a, cnn_error *err) {
    a->kind = kind;
    a->strings = calloc(MAX(count, 1), sizeof *a->strings);
    if (!a->strings) return cnn_fail_memory(err, count * sizeof *a->strings);
    a->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t length = strings[i].len;
        if (length > 0 && memchr(strings[i].data, 0, length))
            return cnn_fail(err, CNN_INVALID_MODEL,
                            "%s: attribute %.100s: a string holds a zero byte", label, a->name);
        if (!(a->strings[i] = malloc(length + 1))) return cnn_fail_memory(err, length + 1);
        if (length > 0) memcpy(a->strings[i], strings[i].data, length);
        a->strings[i][length] = '\0';
    }
    return CNN_OK;
}

static cnn_status read_tensor(onnx_source *source, Onnx__TensorProto *t, const char *label, attr *a,
                              cnn_error *err) {
    if (!t)
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: attribute %.100s: the tensor is missing",
                        label, a->name);
    a->kind = ATTR_TENSOR;
    a->count = 1;
    cnn_status status = onnx_tensor(source, t, (onnx_payload){0}, label, &a->tensor, err);
    tensor *left = a->tensor;
    if (status != CNN_OK || left->data) return status;
    a->tensor = NULL;
    status = tensor_load(left, &a->tensor, err); /* attributes are not looked after any more */
    tensor_unref(left);
    return status;
}

static cnn_status read_value(onnx_source *source, Onnx__AttributeProto *p, const char *label,
                             attr *a, cnn_error *err) {
    int type = type_of(p);
    switch (type) {
    case TYPE_FLOAT:
        return read_floats(&p->f, 1, ATTR_FLOAT, a, err);
    case TYPE_INT:
        return read_ints(&p->i, 1, ATTR_INT, a, err);
    case TYPE_STRING:
        return read_strings(&p->s, 1, ATTR_STRING, label, a, err);
    case TYPE_TENSOR:
        return read_tensor(source, p->t, label, a, err);
    case TYPE_FLOATS:
        return read_floats(p->floats, p->n_floats, ATTR_FLOATS, a, err);
    case TYPE_INTS:
        return read_ints(p->ints, p->n_ints, ATTR_INTS, a, err);
    case TYPE_STRINGS:
        return read_strings(p->strings, p->n_strings, ATTR_STRINGS, label, a, err);
    default:
        break;
    }
    if (type > 0 && type < (int)ARRAY_LENGTH(refused) && refused[type])
        return cnn_fail(err, CNN_UNSUPPORTED,
                        "%s: attribute %.100s holds %s, which is not supported", label, a->name,
                        refused[type]);
    return cnn_fail(err, CNN_INVALID_MODEL, "%s: attribute %.100s has no value", label, a->name);
}

cnn_status onnx_attribute(onnx_source *source, Onnx__AttributeProto *proto, const char *label,
                          attr *out, cnn_error *err) {
    const char *name = onnx_text(proto->name);
    *out = (attr){0};
    if (name[0] == '\0' || strlen(name) > GRAPH_MAX_NAME_BYTES)
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: an attribute's name must have 1 to %d bytes",
                        label, GRAPH_MAX_NAME_BYTES);
    if (proto->ref_attr_name && proto->ref_attr_name[0] != '\0')
        return cnn_fail(err, CNN_UNSUPPORTED,
                        "%s: attribute %.100s refers to a function's, which is not supported",
                        label, name);
    attr a = {.name = strdup(name)};
    cnn_status status =
        a.name ? read_value(source, proto, label, &a, err) : cnn_fail_memory(err, strlen(name) + 1);
    if (status != CNN_OK) {
        graph_attr_free(&a);
        return status;
    }
    *out = a;
    return CNN_OK;
}
