/* Models as JSON. */
#include "models/describe.h"

const char *json_color_name(image_color color) {
    static const char *const names[] = {
        [IMAGE_RGB] = "RGB", [IMAGE_BGR] = "BGR", [IMAGE_GRAY] = "GRAY"};
    return names[color];
}

const char *json_resize_name(image_resize resize) {
    static const char *const names[] = {[IMAGE_RESIZE_NONE] = "none",
                                        [IMAGE_RESIZE_SHORTEST] = "shortest",
                                        [IMAGE_RESIZE_EXACT] = "exact"};
    return names[resize];
}

const char *json_filter_name(image_filter filter) {
    static const char *const names[] = {
        [IMAGE_NEAREST] = "nearest", [IMAGE_BOX] = "box",         [IMAGE_BILINEAR] = "bilinear",
        [IMAGE_HAMMING] = "hamming", [IMAGE_BICUBIC] = "bicubic", [IMAGE_LANCZOS] = "lanczos"};
    return names[filter];
}

const char *json_rounding_name(image_rounding rounding) {
    static const char *const names[] = {[IMAGE_ROUND_NEAREST] = "nearest",
                                        [IMAGE_ROUND_TRANSFORMERS] = "transformers",
                                        [IMAGE_ROUND_TORCHVISION] = "torchvision"};
    return names[rounding];
}

void json_write_shape(json_writer *w, const cnn_shape *shape) {
    if (shape->rank < 0) {
        json_write_null(w);
        return;
    }
    json_write_begin_array(w);
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0)
            json_write_null(w);
        else
            json_write_int(w, shape->dims[i]);
    }
    json_write_end_array(w);
}

void json_write_tensor_info(json_writer *w, const cnn_tensor_info *info) {
    json_write_begin_object(w);
    json_write_member_text(w, "name", info->name);
    json_write_member_text(w, "dtype", cnn_dtype_name(info->dtype));
    json_write_key(w, "shape");
    json_write_shape(w, &info->shape);
    json_write_end_object(w);
}

void json_write_plan_inputs(json_writer *w, const char *key, const cnn_plan *plan) {
    json_write_key(w, key);
    json_write_begin_array(w);
    for (size_t i = 0; i < cnn_plan_input_count(plan); i++) {
        cnn_tensor_info info = cnn_plan_input(plan, i);
        json_write_tensor_info(w, &info);
    }
    json_write_end_array(w);
}

static void write_pair(json_writer *w, const char *key, int height, int width) {
    json_write_key(w, key);
    json_write_begin_array(w);
    json_write_int(w, height);
    json_write_int(w, width);
    json_write_end_array(w);
}

static void write_resize(json_writer *w, const image_spec *spec) {
    json_write_key(w, "resize");
    json_write_begin_object(w);
    json_write_member_text(w, "mode", json_resize_name(spec->resize));
    if (spec->resize != IMAGE_RESIZE_NONE) {
        write_pair(w, "size", spec->size_h, spec->size_w);
        json_write_member_text(w, "filter", json_filter_name(spec->filter));
    }
    json_write_end_object(w);
}

void json_write_preprocessing(json_writer *w, const image_spec *spec) {
    json_write_begin_object(w);
    json_write_member_text(w, "color", json_color_name(spec->color));
    json_write_member_int(w, "channels", spec->channels);
    json_write_member_text(w, "layout", spec->layout == IMAGE_NCHW ? "NCHW" : "NHWC");
    write_resize(w, spec);
    if (spec->crop_h > 0) write_pair(w, "crop", spec->crop_h, spec->crop_w);
    if (spec->rounding != IMAGE_ROUND_NEAREST)
        json_write_member_text(w, "rounding", json_rounding_name(spec->rounding));
    json_write_member_float(w, "scale", spec->scale);
    json_write_key(w, "mean");
    json_write_floats(w, spec->mean, (size_t)spec->channels);
    json_write_key(w, "std");
    json_write_floats(w, spec->std, (size_t)spec->channels);
    json_write_end_object(w);
}

static void write_text_or_null(json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    if (text)
        json_write_text(w, text);
    else
        json_write_null(w);
}

static void write_planned(json_writer *w, const cnn_layer *layer) {
    write_text_or_null(w, "kernel", layer->kernel);
    write_text_or_null(w, "fused_into", layer->fused_into);
    json_write_member_uint(w, "memory_bytes", layer->bytes);
}

static void write_extents(json_writer *w, const char *key, const int64_t *first, int first_count,
                          const int64_t *second, int second_count) {
    json_write_key(w, key);
    json_write_begin_array(w);
    for (int i = 0; i < first_count; i++)
        json_write_int(w, first[i]);
    for (int i = 0; i < second_count; i++)
        json_write_int(w, second[i]);
    json_write_end_array(w);
}

static void write_window(json_writer *w, const cnn_window *window) {
    write_extents(w, "kernel_shape", window->kernel, window->spatial, NULL, 0);
    write_extents(w, "strides", window->strides, window->spatial, NULL, 0);
    write_extents(w, "pads", window->pads_begin, window->spatial, window->pads_end,
                  window->spatial);
    write_extents(w, "dilations", window->dilations, window->spatial, NULL, 0);
    if (window->group > 0) json_write_member_int(w, "group", window->group);
}

static void write_names(json_writer *w, const char *key, const char *const *names, size_t count) {
    json_write_key(w, key);
    json_write_begin_array(w);
    for (size_t i = 0; i < count; i++)
        json_write_text(w, names[i]);
    json_write_end_array(w);
}

void json_write_layers(json_writer *w, const cnn_summary *summary) {
    json_write_begin_array(w);
    for (size_t i = 0; i < summary->layer_count; i++) {
        const cnn_layer *layer = &summary->layers[i];
        json_write_begin_object(w);
        json_write_member_text(w, "name", layer->name);
        json_write_member_text(w, "op", layer->op);
        write_names(w, "inputs", layer->inputs, layer->input_count);
        json_write_member_text(w, "output", layer->output.name);
        json_write_key(w, "output_shape");
        json_write_shape(w, &layer->output.shape);
        if (layer->window.spatial > 0) write_window(w, &layer->window);
        json_write_member_uint(w, "params", layer->params);
        json_write_member_uint(w, "macs", layer->macs);
        if (summary->planned) write_planned(w, layer);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

void json_write_scores(json_writer *w, const model_scores *scores) {
    json_write_begin_object(w);
    json_write_member_text(w, "output", scores->output);
    json_write_member_text(w, "tensor", scores->tensor);
    json_write_member_float(w, "scale", (float)scores->scale);
    json_write_member_text(w, "activation", model_activation_name(scores->activation));
    json_write_member_text(w, "explanation", scores->text);
    json_write_end_object(w);
}

void json_write_warnings(json_writer *w, const model_warnings *warnings) {
    json_write_begin_array(w);
    for (size_t i = 0; i < warnings->count; i++)
        json_write_text(w, warnings->lines[i]);
    json_write_end_array(w);
}

void json_write_left_out(json_writer *w, const cnn_model *graph) {
    json_write_begin_array(w);
    for (size_t i = 0; i < cnn_model_left_out_count(graph); i++) {
        cnn_left_out part = cnn_model_left_out(graph, i);
        json_write_begin_object(w);
        json_write_member_text(w, "kind", part.kind);
        json_write_member_text(w, "name", part.name);
        if (*part.op) json_write_member_text(w, "op", part.op);
        json_write_member_text(w, "reason", part.reason);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

void json_write_labels(json_writer *w, const served_model *model) {
    json_write_begin_array(w);
    for (size_t i = 0; i < served_model_class_count(model); i++)
        json_write_text(w, served_model_label(model, i));
    json_write_end_array(w);
}
