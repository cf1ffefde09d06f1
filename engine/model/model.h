/* The model's inside. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "graph/graph.h"
#include "model/weights.h"

struct cnn_model {
    atomic_int refs;
    cnn_runtime *runtime;
    graph *graph; /* as loaded; immutable */
    weight_store weights;
    int *tensors; /* values that can be asked for: inputs, then what nodes make, in order */
    size_t tensor_count;
};

struct cnn_tensor {
    tensor *content;
    char *name; /* NULL: none */
};

cnn_model *model_ref(cnn_model *model);

/* A copy of the model's graph, bound as the options say. */
cnn_status model_bind(const cnn_model *model, const cnn_plan_options *options, graph **out,
                      cnn_error *err);
/* A copy that leads to graph output `output` only. `load`: also large constants, which who wants
 * types, shapes and small constants leaves in their files. CNN_INVALID_ARGUMENT
 * unless there is a model, and it has that output. */
cnn_status model_bind_output(const cnn_model *model, size_t output, const cnn_shape *input_shapes,
                             bool load, graph **out, cnn_error *err);
/* As model_bind, without outputs that cannot be computed, as long as there are others. */
cnn_status model_bind_what_can(const cnn_model *model, const cnn_plan_options *options, graph **out,
                               cnn_error *err);

#endif
