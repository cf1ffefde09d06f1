/*
 * Loading one model version: graph, model.json, labels, preprocessing, scores, default plan.
 *
 * Everything that can be wrong with a model shows here, before the first image: the default plan is
 * compiled at once. How many labels there are helps to choose the output. Hugging Face's files,
 * which count where there is no model.json, fill the same model_config.
 *
 * It does not decide which models there are (discover.c, registry.c).
 */
#include "models/load.h"

#include "models/internal.h"
#include "models/preprocessing.h"
#include "models/scores.h"
#include "json/huggingface.h"
#include "json/model_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts where it happened before the message of a failure. */
static model_code locate(const model_source *source, const char *file, model_code code,
                         model_error *err) {
    if ((code != MODEL_INVALID && code != MODEL_UNFIT) || !err) return code;
    char where[512], message[sizeof err->message];
    snprintf(message, sizeof message, "%s", err->message);
    return model_fail(err, code, "%s: %s", source_describe(source, file, where, sizeof where),
                      message);
}

/* Nothing is read, and nothing wrong, if none of the files is there. */
static model_code read_huggingface(const model_source *source, model_config *out,
                                   model_error *err) {
    static const char *const names[] = {HUGGINGFACE_CONFIG_FILE, HUGGINGFACE_PREPROCESSOR_FILE,
                                        HUGGINGFACE_PROCESSOR_FILE};
    char message[CONFIG_MESSAGE_MAX];
    const char *blamed = NULL;
    source_file read[ARRAY_LENGTH(names)] = {0};
    huggingface_file files[ARRAY_LENGTH(names)] = {0};
    model_code code = MODEL_OK;
    for (size_t i = 0; i < ARRAY_LENGTH(names) && code == MODEL_OK; i++) {
        code = source_read_text(source, names[i], HUGGINGFACE_FILE_MAX, &read[i], err);
        files[i] = (huggingface_file){read[i].bytes, read[i].size};
    }
    const huggingface_files all = {files[0], files[1], files[2]};
    if (code == MODEL_OK && !huggingface_read(&all, out, &blamed, message, sizeof message))
        code = locate(source, blamed, model_fail(err, MODEL_INVALID, "%s", message), err);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        source_file_free(&read[i]);
    return code;
}

static model_code read_config(const model_source *source, model_config *out, model_error *err) {
    char message[CONFIG_MESSAGE_MAX];
    source_file file = {0};
    if (!source->config) return MODEL_OK;
    model_code code = source_read_text(source, MODEL_CONFIG_FILE, MODEL_CONFIG_MAX, &file, err);
    if (code != MODEL_OK) return code;
    if (!file.bytes)
        code = read_huggingface(source, out, err);
    else if (!model_config_read(file.bytes, file.size, out, message, sizeof message))
        code =
            locate(source, MODEL_CONFIG_FILE, model_fail(err, MODEL_INVALID, "%s", message), err);
    source_file_free(&file);
    return code;
}

/* Labels as the files beside the graph give them. */
typedef struct label_source {
    source_file file;   /* `bytes` NULL: there is none */
    char *const *names; /* else these, of the config; NULL: none are given */
    size_t count;
    char where[512];
} label_source;

/* The array of model.json; else labels.txt, also if nothing names it, and before the labels of
 * config.json; a file that is named must be there. */
static model_code read_labels(const model_source *source, const model_config *config,
                              label_source *out, model_error *err) {
    const char *name = config->labels ? config->labels : MODEL_LABELS_FILE;
    bool array = config->label_names && strcmp(config->labels_file, MODEL_CONFIG_FILE) == 0;
    model_code code = MODEL_OK;
    source_describe(source, name, out->where, sizeof out->where);
    if (source->config && !array)
        code = source_read_text(source, name, MODEL_LABELS_MAX, &out->file, err);
    if (code == MODEL_OK && !out->file.bytes && config->labels)
        code = model_fail(err, MODEL_INVALID, "%s: there is no such file", out->where);
    if (code != MODEL_OK) return code;
    if (out->file.bytes) {
        out->count = labels_count(out->file.bytes, out->file.size);
    } else if (config->label_names) {
        out->names = config->label_names;
        out->count = config->label_count;
        source_describe(source, config->labels_file, out->where, sizeof out->where);
    }
    return code;
}

static model_code make_labels(served_model *model, const label_source *from, model_error *err) {
    if (from->names)
        return labels_copy(from->names, from->count, model->class_count, from->where,
                           &model->labels, err);
    return labels_create(from->file.bytes, from->file.size, model->class_count, from->where,
                         &model->labels, err);
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

/* ---- tensors ------------------------------------------------------------------------------ */

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

size_t model_class_vector(const cnn_shape *shape) {
    int64_t classes = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] != 1 && classes != 1) return 0;
        if (shape->dims[i] != 1) classes = shape->dims[i];
    }
    return shape->rank > 0 && classes > 0 ? (size_t)classes : 0;
}

/* Where most of the work is done by plain code, as that of a network of float16 is, a fast network
 * is a slow one without a word. */
#define SLOW_MACS  10000000
#define SLOW_SHARE 0.2

static void doubt_speed(served_model *model, const cnn_plan *plan) {
    uint64_t all = 0, slow = 0;
    const char *first = NULL;
    for (size_t i = 0; i < cnn_plan_step_count(plan); i++) {
        cnn_step_info step = cnn_plan_step(plan, i);
        bool plain = strcmp(step.kernel, "eval") == 0 && step.macs > 0;
        all += step.macs;
        slow += plain ? step.macs : 0;
        if (plain && !first) first = step.name;
    }
    if (slow < SLOW_MACS || (double)slow < SLOW_SHARE * (double)all) return;
    warnings_add(
        &model->warnings,
        "%.0f %% of the multiply-accumulates are done by plain code, which is slow, first in "
        "layer '%.100s'; kernels there are for float32",
        100 * (double)slow / (double)all, first);
}

/* Compiles the plan of serving, so that what cannot run is known now. MODEL_BAD_REQUEST and
 * MODEL_IMAGE: not with pictures of the nominal size. */
static model_code compile_default(served_model *model, model_error *err) {
    plan_entry *plan = NULL;
    plan_key key = {model->nominal_h, model->nominal_w, &model->output_tensor, 1};
    model_code code = plan_acquire(model, &key, model->fixed, &plan, err);
    if (code == MODEL_BAD_REQUEST || code == MODEL_IMAGE) {
        code = MODEL_INVALID;
        if (err) err->code = code;
    }
    if (code == MODEL_OK) doubt_speed(model, plan_of(plan));
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

/* What the files say, applied to the graph's input. MODEL_INVALID: they do not fit each other.
 * *assumed: neither says a size. */
static model_code configure(served_model *model, const model_config *config, bool *assumed,
                            model_error *err) {
    graph_input input = {0};
    model_code code = graph_input_read(model->cnn, &input, err);
    if (code == MODEL_OK)
        code = preprocessing_resolve(config, &input, &model->spec, &model->fixed, &model->nominal_h,
                                     &model->nominal_w, err);
    if (code == MODEL_OK) preprocessing_doubt(&model->spec, &model->warnings);
    model->input_h = input.height;
    model->input_w = input.width;
    *assumed = (input.height < 0 || input.width < 0) && config->crop.height == 0 &&
               config->size.height == 0;
    return code;
}

/* The graph does not run with pictures of the nominal size. */
static model_code blame_size(const served_model *model, bool assumed, model_error *err) {
    char message[sizeof err->message];
    model_code code = assumed ? MODEL_UNFIT : MODEL_INVALID;
    if (!err) return code;
    snprintf(message, sizeof message, "%s", err->message);
    if (!assumed) return model_fail(err, code, "%s", message);
    return model_fail(err, code,
                      "%.700s (at %dx%d, which is assumed where neither the graph nor input.crop "
                      "in " MODEL_CONFIG_FILE " says a size)",
                      message, model->nominal_h, model->nominal_w);
}

/* Everything behind reading the files, but for the labels. */
static model_code set_up(served_model *model, const model_source *source,
                         const model_config *config, size_t labels, model_error *err) {
    bool assumed = false;
    model_code code = configure(model, config, &assumed, err);
    if (code == MODEL_OK) code = list_tensors(model, err);
    if (code == MODEL_OK) code = scores_choose(model, config, labels, err);
    const char *blamed = code == MODEL_INVALID && config->file ? config->file : source->graph;
    if (code == MODEL_OK) code = compile_default(model, err);
    if (code == MODEL_BAD_REQUEST || code == MODEL_IMAGE) code = blame_size(model, assumed, err);
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
    atomic_init(&model->fractions, 0);
    atomic_init(&model->other_sums, false);
    model->rt = rt;
    model->precision = "fp32"; /* the only one there is */
    return model;
}

model_code served_model_load(cnn_runtime *rt, const model_source *source, const char *precision,
                             served_model **out, model_error *err) {
    model_config config = {0};
    label_source labels = {0};
    served_model *model = allocate(rt);
    if (!model) return model_fail_memory(err);
    model_code code = describe(model, source, err);
    if (code == MODEL_OK) code = read_config(source, &config, err);
    if (code == MODEL_OK) code = resolve_precision(source, &config, precision, err);
    if (code == MODEL_OK) code = source_load_graph(source, rt, &model->cnn, err);
    if (code == MODEL_OK) code = read_labels(source, &config, &labels, err);
    if (code == MODEL_OK) code = set_up(model, source, &config, labels.count, err);
    if (code == MODEL_OK) code = make_labels(model, &labels, err);
    source_file_free(&labels.file);
    model_config_free(&config);
    if (code == MODEL_OK)
        *out = model;
    else
        served_model_unref(model);
    return code;
}
