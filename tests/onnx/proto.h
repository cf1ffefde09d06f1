/* ONNX files written down in C. */
#ifndef TESTS_ONNX_PROTO_H
#define TESTS_ONNX_PROTO_H

#include "onnx/onnx.h"

#include <onnx.pb-c.h>

/* A model under construction; freed by file_free. Names are copied. */
typedef struct file {
    Onnx__ModelProto *model;
    Onnx__GraphProto *graph;
} file;

/* IR version 8 with operator set `opset` of the default domain. */
file file_begin(int opset);
void file_free(file *f);
/* The serialized model; *bytes is freed by the caller. */
size_t file_pack(const file *f, uint8_t **bytes);

Onnx__OperatorSetIdProto *add_opset(file *f, const char *domain, int64_t version);
/* A float32 input or output; extents below 0 have a symbol. */
Onnx__ValueInfoProto *add_input(file *f, const char *name, size_t rank, const int64_t *dims);
Onnx__ValueInfoProto *add_output(file *f, const char *name, size_t rank, const int64_t *dims);
/* An output of which the file does not say the shape. */
void add_shapeless_output(file *f, const char *name);
/* An initializer without data. */
Onnx__TensorProto *add_initializer(file *f, const char *name, int type, size_t rank,
                                   const int64_t *dims);
void set_raw(Onnx__TensorProto *t, const void *bytes, size_t size);
void set_external(Onnx__TensorProto *t, const char *key, const char *value);
/* Names are separated by spaces, "-" is an absent one. */
Onnx__NodeProto *add_node(file *f, const char *op, const char *inputs, const char *outputs);
/*
 * Several nodes, separated by ";": operator, inputs and outputs (each joined by "+"), attributes:
 * "Softmax z s axis=1; ReduceMean s y axes=2,3 keepdims=0; LeakyRelu y l alpha=0.1".
 */
void add_nodes(file *f, const char *line);
/* `type` as ONNX numbers AttributeType. */
Onnx__AttributeProto *add_attribute(Onnx__NodeProto *node, const char *name, int type);

/* Makes the attribute the graph of another file, which is freed. */
void set_graph(Onnx__AttributeProto *a, file from);
/* A function whose nodes are those of another file, which is freed. */
Onnx__FunctionProto *add_function(file *f, const char *domain, const char *name, const char *inputs,
                                  const char *outputs, file body);

/* protobuf-c frees what it finds, so everything is allocated. */
char *text(const char *string);
void *copy_of(const void *items, size_t bytes);

/* x -> Conv(w, b) -> Relu -> y: two nodes, an attribute, two initializers. */
file small_model(void);

/* Loads and frees what was loaded; the message is in `err`. Packs and frees `f`. */
cnn_status load_file(file *f, const char *directory, graph **out, cnn_error *err);

#endif
