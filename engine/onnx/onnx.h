/*
 * ONNX files.
 *
 * The bytes are not trusted: whatever they hold, reading ends with a graph that keeps the limits of
 * graph.h or with one sentence about what is wrong. Nothing refers to them afterwards, but large
 * initializers may to the file that they are from.
 */
#ifndef ONNX_ONNX_H
#define ONNX_ONNX_H

#include "graph/graph.h"

/*
 * Versions of the default operator set that are read. Whether an operator runs as its version says
 * is the operator registry's knowledge (op_find); above and below nobody has compared.
 */
#define ONNX_MIN_OPSET 6
#define ONNX_MAX_OPSET 28

/*
 * Reading a message allocates at most this, not counting external data: a fixed allowance and a
 * multiple of the file (a tensor takes its size once more, an attribute of 20 bytes about 300).
 */
#define ONNX_PARSE_ALLOWANCE ((size_t)16 << 20)
#define ONNX_PARSE_MULTIPLE  32
/* Bytes that one model may take from external files. */
#define ONNX_MAX_EXTERNAL_BYTES ((size_t)16 << 30)

/*
 * Reads a serialized ModelProto. `file` holds the same bytes, and large initializers are left
 * there; NULL: they are copied. Weights in external files are looked for within `directory`; NULL
 * refuses them. The graph is sorted, its operators are known, every value that is used has an
 * origin, and what depends on constants alone has been computed; shapes are not inferred yet
 * (graph_bind).
 */
cnn_status onnx_load(const void *bytes, size_t size, stored_file *file, const char *directory,
                     graph **out, cnn_error *err);

/*
 * Reads a serialized TensorProto, as the input_N.pb of ONNX' test folders. `*name` (may be NULL)
 * receives a copy of the tensor's name, "" if it has none.
 */
cnn_status onnx_read_tensor(const void *bytes, size_t size, tensor **out, char **name,
                            cnn_error *err);

#endif
