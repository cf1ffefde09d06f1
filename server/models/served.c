/* A served model: its references and what can be asked of it. */
#include "models/internal.h"

#include <stdlib.h>
#include <string.h>

served_model *served_model_ref(served_model *model) {
    atomic_fetch_add_explicit(&model->refs, 1, memory_order_relaxed);
    return model;
}

void served_model_unref(served_model *model) {
    if (!model || atomic_fetch_sub_explicit(&model->refs, 1, memory_order_acq_rel) > 1) return;
    plan_cache_destroy(&model->plans);
    pthread_mutex_destroy(&model->lazy_lock);
    cnn_summary_free(model->summary);
    cnn_average_head_free(model->head);
    free(model->headless);
    warnings_free(&model->warnings);
    cnn_model_free(model->cnn);
    free(model->scores.text);
    free(model->labels);
    free(model->tensors);
    free(model->origin);
    free(model->name);
    free(model);
}

const char *served_model_name(const served_model *model) {
    return model->name;
}

const char *served_model_version_text(const served_model *model) {
    return model->version_text;
}

const char *served_model_precision(const served_model *model) {
    return model->precision;
}

const char *served_model_origin(const served_model *model) {
    return model->origin;
}

const model_warnings *served_model_warnings(const served_model *model) {
    return &model->warnings;
}

model_activation served_model_activation(const served_model *model) {
    return model->scores.activation;
}

const model_scores *served_model_scores(const served_model *model) {
    return &model->scores;
}

cnn_shape model_input_shape(const served_model *model, int height, int width) {
    const int64_t channels = model->spec.channels;
    if (model->spec.layout == IMAGE_NHWC)
        return (cnn_shape){.rank = 4, .dims = {1, height, width, channels}};
    return (cnn_shape){.rank = 4, .dims = {1, channels, height, width}};
}

cnn_tensor_info served_model_input(const served_model *model) {
    cnn_tensor_info info = cnn_model_input(model->cnn, 0);
    info.shape = model->fixed ? model_input_shape(model, model->nominal_h, model->nominal_w)
                              : model_input_shape(model, model->input_h, model->input_w);
    return info;
}

cnn_tensor_info served_model_output(const served_model *model) {
    cnn_tensor_info info = cnn_model_output(model->cnn, model->output);
    if (strcmp(info.name, model->scores.tensor) != 0) info = model->scores_info;
    if (info.shape.rank > 0 && info.shape.dims[0] < 0) info.shape.dims[0] = 1;
    return info;
}

const image_spec *served_model_spec(const served_model *model) {
    return &model->spec;
}

size_t served_model_class_count(const served_model *model) {
    return model->class_count;
}

const char *served_model_label(const served_model *model, size_t class_index) {
    return model->labels[class_index];
}

cnn_shape served_model_nominal(const served_model *model) {
    return model_input_shape(model, model->nominal_h, model->nominal_w);
}

cnn_model *served_model_cnn(const served_model *model) {
    return model->cnn;
}

model_code served_model_summary(served_model *model, const cnn_summary **out, model_error *err) {
    cnn_error why = {0};
    cnn_shape input = served_model_nominal(model);
    pthread_mutex_lock(&model->lazy_lock);
    if (!model->summary) cnn_summary_create(model->cnn, &input, &model->summary, &why);
    const cnn_summary *summary = model->summary;
    pthread_mutex_unlock(&model->lazy_lock);
    if (!summary) return model_fail(err, MODEL_INTERNAL, "%s", why.message);
    *out = summary;
    return MODEL_OK;
}
