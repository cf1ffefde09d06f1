/* describe.h: models as JSON, for GET /v1/models/{m} and `inspect --json`. */
#ifndef CNNSERVE_DESCRIBE_H
#define CNNSERVE_DESCRIBE_H

#include "models/models.h"
#include "json/writer.h"

/* [1, 3, 224, 224]; extents that are not known are null, and so is a shape of unknown rank. */
void json_write_shape(json_writer *w, const cnn_shape *shape);
/* {"name", "dtype", "shape"} */
void json_write_tensor_info(json_writer *w, const cnn_tensor_info *info);
/* The "input" of model.json, complete, with "channels" and "layout". */
void json_write_preprocessing(json_writer *w, const image_spec *spec);
/*
 * [{"name", "op", "inputs", "output", "output_shape", "params", "macs"}]; of convolutions and
 * pooling also "kernel_shape", "strides", "pads", "dilations" and "group" as ONNX has them (pads
 * resolved); and "kernel" (the code that computes it; null: none of its own), "fused_into" (null:
 * not fused) and "memory_bytes" if the summary has a plan.
 */
void json_write_layers(json_writer *w, const cnn_summary *summary);
/* {"output", "tensor", "scale", "activation", "explanation"} */
void json_write_scores(json_writer *w, const model_scores *scores);
/* [{"kind", "name", "op", "reason"}]: parts of the file that the graph does without; "op" only for
 * nodes. */
void json_write_left_out(json_writer *w, const cnn_model *graph);
/* An array of the labels. */
void json_write_labels(json_writer *w, const served_model *model);

/* The names that model.json knows. */
const char *json_color_name(image_color color);
const char *json_resize_name(image_resize resize);
const char *json_filter_name(image_filter filter);
const char *json_rounding_name(image_rounding rounding);

/* An array of the sentences. */
void json_write_warnings(json_writer *w, const model_warnings *warnings);
/* Member `key`: the tensors that a plan takes, all extents known. */
void json_write_plan_inputs(json_writer *w, const char *key, const cnn_plan *plan);

#endif
