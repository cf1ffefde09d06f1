/*
 * Loading one model version: graph, model.json, labels, preprocessing, default plan.
 *
 * Everything that can be wrong with a model shows here, before the first image: the default plan is
 * compiled at once, which also tells the number of classes. Hugging Face's files, which count where
 * there is no model.json, fill the same model_config.
 *
 * It does not decide which models there are (discover.c, registry.c).
 */
#include "models/load.h"

#include "common/names.h"
#include "models/internal.h"
#include "models/preprocessing.h"
#include "json/huggingface.h"
#include "json/model_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_FILE "labels.txt"

/* Puts where it happened before the message of a failure. */
static model_code locate(const model_source *source, const char *file, model_code code,
                         model_error *err) {
    if ((code != MODEL_INVALID && code != MODEL_UNFIT) || !err) return code;
    char where[512], message[sizeof err->message];
    snprintf(message, sizeof message, "%s", err->message);
    return model_fail(err, code, "%s: %.500s", source_describe(source, file, where, sizeof where),
                      message);
}

/* Nothing is read, and nothing wrong, if neither file is there. */
static model_code read_huggingface(const model_source *source, model_config *out,
                                   model_error *err) {
    char message[512];
    const char *blamed = NULL;
    source_file config = {0}, preprocessor = {0};
    model_code code =
        source_read(source, HUGGINGFACE_CONFIG_FILE, HUGGINGFACE_FILE_MAX, &config, err);
    if (code == MODEL_OK)
        code = source_read(source, HUGGINGFACE_PREPROCESSOR_FILE, HUGGINGFACE_FILE_MAX,
                           &preprocessor, err);
    if (code == MODEL_OK && (config.bytes || preprocessor.bytes) &&
        !huggingface_read((huggingface_file){config.bytes, config.size},
                          (huggingface_file){preprocessor.bytes, preprocessor.size}, out, &blamed,
                          message, sizeof message))
        code = locate(source, blamed, model_fail(err, MODEL_INVALID, "%s", message), err);
    source_file_free(&config);
    source_file_free(&preprocessor);
    return code;
}

static model_code read_config(const model_source *source, model_config *out, model_error *err) {
    char message[512];
    source_file file = {0};
    if (!source->config) return MODEL_OK;
    model_code code = source_read(source, MODEL_CONFIG_FILE, MODEL_CONFIG_MAX, &file, err);
    if (code != MODEL_OK) return code;
    if (!file.bytes)
        code = read_huggingface(source, out, err);
    else if (!model_config_read(file.bytes, file.size, out, message, sizeof message))
        code =
            locate(source, MODEL_CONFIG_FILE, model_fail(err, MODEL_INVALID, "%s", message), err);
    source_file_free(&file);
    return code;
}

/* labels.txt is taken also if nothing names it, and before the labels of config.json; a file that
 * is named must be there. */
static model_code read_labels(served_model *model, const model_source *source,
                              const model_config *config, model_error *err) {
    const char *name = config->labels ? config->labels : LABELS_FILE;
    char where[512];
    source_file file = {0};
    source_describe(source, name, where, sizeof where);
    model_code code = MODEL_OK;
    if (source->config) code = source_read(source, name, MODEL_LABELS_MAX, &file, err);
    if (code == MODEL_OK && !file.bytes && config->labels)
        code = model_fail(err, MODEL_INVALID, "%s: there is no such file", where);
    if (code == MODEL_OK && !file.bytes && config->label_names)
        code = labels_copy(config->label_names, config->label_count, model->class_count,
                           source_describe(source, HUGGINGFACE_CONFIG_FILE, where, sizeof where),
                           &model->labels, err);
    else if (code == MODEL_OK)
        code = labels_create(file.bytes, file.size, model->class_count, where, &model->labels, err);
    source_file_free(&file);
    return code;
}

static model_code check_precision(const char *name, model_error *err) {
    if (strcmp(name, "fp32") == 0 || strcmp(name, "auto") == 0) return MODEL_OK;
    return model_fail(err, MODEL_INVALID,
                      "precision %.60s is not available in this version, only fp32 (and auto, "
                      "which chooses it)",
                      name);
}

static model_code resolve_precision(const model_source *source, const model_config *config,
                                    const char *wanted, model_error *err) {
    if (wanted) return check_precision(wanted, err);
    if (!config->precision) return MODEL_OK;
    return locate(source, config->file, check_precision(config->precision, err), err);
}

/* ---- tensors and outputs ------------------------------------------------------------------ */

static model_code list_tensors(served_model *model, model_error *err) {
    size_t count = cnn_model_tensor_count(model->cnn);
    model->tensors = calloc(count ? count : 1, sizeof *model->tensors);
    if (!model->tensors) return model_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        model_tensor *tensor = &model->tensors[i];
        tensor->name = cnn_model_tensor(model->cnn, i, &tensor->node, &tensor->op);
        tensor->first = i == 0 || strcmp(tensor->node, tensor[-1].node) != 0;
    }
    model->tensor_count = count;
    return MODEL_OK;
}

static const char *output_name_at(const void *list, size_t index) {
    return cnn_model_output(list, index).name;
}

static model_code choose_output(served_model *model, const model_config *config, model_error *err) {
    size_t count = cnn_model_output_count(model->cnn), output = 0;
    char near[512];
    if (config->output) {
        while (output < count &&
               strcmp(cnn_model_output(model->cnn, output).name, config->output) != 0)
            output++;
        if (output == count)
            return model_fail(err, MODEL_INVALID, "output.name: the model has no output '%.100s'%s",
                              config->output,
                              names_suggest(config->output, model->cnn, count, output_name_at, near,
                                            sizeof near));
    }
    if (count == 0) return model_fail(err, MODEL_UNFIT, "the model has no outputs");
    const char *name = cnn_model_output(model->cnn, output).name;
    size_t tensor = 0;
    while (tensor < model->tensor_count && strcmp(model->tensors[tensor].name, name) != 0)
        tensor++;
    if (tensor == model->tensor_count)
        return model_fail(err, MODEL_UNFIT, "output '%.100s' is not computed by any node", name);
    model->output = output;
    model->output_tensor = tensor;
    return MODEL_OK;
}

/* Its output holds the values of its input, perhaps in another shape, type or layout. */
static bool keeps_values(const char *op) {
    static const char *const ops[] = {"Identity", "Reshape", "Flatten", "Squeeze",
                                      "Cast",     "Dropout", "Reorder"};
    for (size_t i = 0; i < ARRAY_LENGTH(ops); i++)
        if (strcmp(ops[i], op) == 0) return true;
    return false;
}

/* A plan for one output holds only what leads to it; so what a step of one input is fed with at the
 * end of it is made by the step before. */
static bool ends_in_softmax(const cnn_plan *plan) {
    size_t last = cnn_plan_step_count(plan);
    while (last > 0 && keeps_values(cnn_plan_step(plan, last - 1).op))
        last--;
    return last > 0 && strcmp(cnn_plan_step(plan, last - 1).op, "Softmax") == 0;
}

static model_activation choose_activation(const model_config *config, const cnn_plan *plan) {
    switch (config->activation) {
    case CONFIG_SOFTMAX:
        return MODEL_SOFTMAX;
    case CONFIG_SIGMOID:
        return MODEL_SIGMOID;
    case CONFIG_NONE:
        return MODEL_NONE;
    case CONFIG_AUTO:
        break;
    }
    return ends_in_softmax(plan) ? MODEL_NONE : MODEL_SOFTMAX;
}

size_t model_class_vector(const cnn_shape *shape) {
    int64_t classes = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] != 1 && classes != 1) return 0;
        if (shape->dims[i] != 1) classes = shape->dims[i];
    }
    return shape->rank > 0 && classes > 0 ? (size_t)classes : 0;
}

/* Compiles the default plan and learns from it how the output is to be read. */
static model_code compile_default(served_model *model, const model_config *config,
                                  model_error *err) {
    plan_entry *plan = NULL;
    plan_key key = {model->nominal_h, model->nominal_w, &model->output_tensor, 1};
    model_code code = plan_acquire(model, &key, model->fixed, &plan, err);
    if (code == MODEL_BAD_REQUEST || code == MODEL_IMAGE) {
        code = MODEL_INVALID;
        if (err) err->code = code;
    }
    if (code != MODEL_OK) return code;
    cnn_tensor_info output = cnn_plan_output(plan_of(plan), 0);
    model->activation = choose_activation(config, plan_of(plan));
    model->class_count = model_class_vector(&output.shape);
    if (output.dtype != CNN_FLOAT32)
        code = model_fail(err, MODEL_UNFIT, "output '%.100s' is %s, probabilities are float32",
                          output.name, cnn_dtype_name(output.dtype));
    else if (model->class_count == 0)
        code = model_fail(err, MODEL_UNFIT,
                          "output '%.100s' is not one vector of classes (1xC, 1xCx1x1 or C); "
                          "output.name in " MODEL_CONFIG_FILE " can choose another one",
                          output.name);
    plan_release(model, plan);
    return code;
}

/* ---- the model ---------------------------------------------------------------------------- */

static model_code describe(served_model *model, const model_source *source, model_error *err) {
    const char *file = source->folder ? source->graph : "";
    if (source->folder ? asprintf(&model->origin, "%s/%s", source->folder, file) < 0
                       : !(model->origin = strdup("built in"))) {
        model->origin = NULL;
        return model_fail_memory(err);
    }
    model->name = strdup(source->name);
    model->version = source->version;
    snprintf(model->version_text, sizeof model->version_text, "%lld", (long long)source->version);
    return model->name ? MODEL_OK : model_fail_memory(err);
}

/* What the files say, applied to the graph. MODEL_INVALID: they do not fit each other. */
static model_code configure(served_model *model, const model_config *config, model_error *err) {
    graph_input input = {0};
    model_code code = graph_input_read(model->cnn, &input, err);
    if (code == MODEL_OK)
        code = preprocessing_resolve(config, &input, &model->spec, &model->fixed, &model->nominal_h,
                                     &model->nominal_w, err);
    if (code == MODEL_OK) code = list_tensors(model, err);
    if (code == MODEL_OK) code = choose_output(model, config, err);
    model->input_h = input.height;
    model->input_w = input.width;
    return code;
}

/* Everything between reading the files and the labels. */
static model_code set_up(served_model *model, const model_source *source,
                         const model_config *config, model_error *err) {
    model_code code = configure(model, config, err);
    const char *blamed = code == MODEL_INVALID && config->file ? config->file : source->graph;
    if (code == MODEL_OK) code = compile_default(model, config, err);
    return locate(source, blamed, code, err);
}

static served_model *allocate(cnn_runtime *rt) {
    served_model *model = calloc(1, sizeof *model);
    if (!model) return NULL;
    if (!plan_cache_init(&model->plans)) {
        free(model);
        return NULL;
    }
    if (pthread_mutex_init(&model->lazy_lock, NULL) != 0) {
        plan_cache_destroy(&model->plans);
        free(model);
        return NULL;
    }
    atomic_init(&model->refs, 1);
    model->rt = rt;
    model->precision = "fp32"; /* the only one there is */
    return model;
}

model_code served_model_load(cnn_runtime *rt, const model_source *source, const char *precision,
                             served_model **out, model_error *err) {
    model_config config = {0};
    served_model *model = allocate(rt);
    if (!model) return model_fail_memory(err);
    model_code code = describe(model, source, err);
    if (code == MODEL_OK) code = read_config(source, &config, err);
    if (code == MODEL_OK) code = resolve_precision(source, &config, precision, err);
    if (code == MODEL_OK) code = source_load_graph(source, rt, &model->cnn, err);
    if (code == MODEL_OK) code = set_up(model, source, &config, err);
    if (code == MODEL_OK) code = read_labels(model, source, &config, err);
    model_config_free(&config);
    if (code == MODEL_OK)
        *out = model;
    else
        served_model_unref(model);
    return code;
}
