/*
 * models.h: from a model folder to classified images.
 *
 *   model_registry   the models that are served, by name and version; thread-safe
 *   served_model     one version of one model: engine model, labels, preprocessing; immutable but
 *                    for its caches of plans and sessions; reference counted; thread-safe
 *   model_query      what one request wants of a model (top, features), names resolved; immutable
 *   model_result     what one image gave
 *
 * A request: model_registry_find -> model_query_create -> for each image, on a worker of the
 * runtime, model_classify -> model_result_free -> model_query_free -> served_model_unref.
 *
 * Functions that can fail return a model_code and, when it is not MODEL_OK, describe the failure in
 * *err (may be NULL). Out parameters are written on success only. Every ..._free and ..._unref
 * accepts NULL. All of it as JSON: describe.h, result.h. HTTP is not known here.
 */
#ifndef CNNSERVE_MODELS_H
#define CNNSERVE_MODELS_H

#include "image/image.h"

#include <cnn.h>

/* ---- errors ------------------------------------------------------------------------------- */

typedef enum model_code {
    MODEL_OK = 0,
    MODEL_BAD_REQUEST,        /* the caller asks for something that cannot be (HTTP 400) */
    MODEL_NOT_FOUND,          /* no such model, version or feature; near names are listed (404) */
    MODEL_IMAGE,              /* the image: `image` says what (413, 415, 422; MEMORY: 500) */
    MODEL_FEATURES_TOO_LARGE, /* refused by model_query_options.admit (413) */
    MODEL_INVALID,            /* a model folder or one of its files is wrong; stops a start */
    MODEL_UNFIT,              /* the graph is fine, but it is no image classifier; stops a start */
    MODEL_INTERNAL,           /* out of memory and the like (500) */
} model_code;

typedef struct model_error {
    model_code code;
    image_code image;   /* with MODEL_IMAGE */
    char message[1024]; /* one English sentence without a full stop */
} model_error;

/* ---- warnings ----------------------------------------------------------------------------- */

/* What is no failure and yet likely a mistake: one sentence each, without a full stop. */
typedef struct model_warnings {
    char **lines; /* owned, as is each */
    size_t count;
} model_warnings;

/* ---- served models ------------------------------------------------------------------------ */

typedef struct served_model served_model;

/* What is done to the class scores; "auto" is resolved when loading. */
typedef enum model_activation {
    MODEL_NONE,
    MODEL_SOFTMAX,
    MODEL_SIGMOID,
    MODEL_EXP
} model_activation;

/* Where predictions come from, and why. */
typedef struct model_scores {
    const char *output; /* name of the graph output */
    const char *tensor; /* that holds the scores: it, or one behind it from which it has chosen */
    double scale;       /* what they are divided by first */
    model_activation activation;
    bool given;   /* by model.json */
    bool assumed; /* nothing tells that they are logits */
    char *text;   /* one line: what was chosen and why */
} model_scores;

/* Longest model name; names are [A-Za-z0-9][A-Za-z0-9._-]*. */
#define MODEL_NAME_MAX 128

/*
 * Opens what the command line calls MODEL: the name of a built-in, a model folder (its highest
 * version), or an .onnx file (with the model.json of its folder if the file is called model.onnx or
 * model_*.onnx).
 * `precision` overrides that of model.json; NULL: as there. *out holds one reference.
 */
model_code served_model_open(cnn_runtime *rt, const char *spec, const char *precision,
                             served_model **out, model_error *err);
/*
 * Only the graph of such a MODEL, also one that is no image classifier; `name` (of `size` bytes)
 * receives the model's name. The caller frees *out.
 */
model_code model_open_graph(cnn_runtime *rt, const char *spec, cnn_model **out, char *name,
                            size_t size, model_error *err);
served_model *served_model_ref(served_model *model);
void served_model_unref(served_model *model);

/* Pointers live as long as the model. */
const char *served_model_name(const served_model *model);
const char *served_model_version_text(const served_model *model); /* "1", ... */
const char *served_model_precision(const served_model *model);    /* "fp32" */
/* Where it came from: a path, or "built in". */
const char *served_model_origin(const served_model *model);
/* What looks wrong about the model's files, to be said once, at start. */
const model_warnings *served_model_warnings(const served_model *model);
model_activation served_model_activation(const served_model *model);
const model_scores *served_model_scores(const served_model *model);
/* "none", "softmax", "sigmoid", "exp" */
const char *model_activation_name(model_activation activation);
/*
 * True, with a sentence in `text`, if what was taken for logits looks like probabilities in the
 * first answers, at least `answers` of them (more where they do not add up to 1); once a model.
 */
bool served_model_doubt(served_model *model, int answers, char *text, size_t size);

/* The input that images are fed to: extents that depend on the image are -1, the batch is 1. */
cnn_tensor_info served_model_input(const served_model *model);
/* The tensor that holds the class scores; extents that depend on the image are -1, the batch 1. */
cnn_tensor_info served_model_output(const served_model *model);
/* Preprocessing, complete: layout and channels included. */
const image_spec *served_model_spec(const served_model *model);

/* Number of classes, and their labels ("class 0" without a labels file). */
size_t served_model_class_count(const served_model *model);
const char *served_model_label(const served_model *model, size_t class_index);

/*
 * The layer table, made on first use; it lives as long as the model. A model whose input size
 * depends on the image is measured at its nominal input (served_model_nominal), which for other
 * models is their input.
 */
model_code served_model_summary(served_model *model, const cnn_summary **out, model_error *err);
cnn_shape served_model_nominal(const served_model *model);

/* For whatever is not image classification (raw tensors, benchmarks). */
cnn_model *served_model_cnn(const served_model *model);

typedef struct model_memory {
    size_t weights_bytes; /* packed weights, shared by all plans */
    size_t arena_bytes;   /* activations of one session of the default plan */
    size_t session_bytes; /* activations of all sessions there are now */
    size_t plans;         /* plans in the cache */
    size_t sessions;      /* sessions there are now, idle or in use */
} model_memory;

model_memory served_model_memory(served_model *model);

/* ---- registry ----------------------------------------------------------------------------- */

typedef struct model_registry model_registry;

/* Without models_dir and models the built-in models are served. The strings may go afterwards. */
typedef struct model_registry_options {
    const char *models_dir;    /* --models: every folder in it that holds a model */
    const char *const *models; /* --model: "NAME=PATH", PATH as for served_model_open */
    size_t model_count;
    const char *default_model; /* NULL: the first of `models`, else the first by name */
    const char *precision;     /* for every model; NULL: as its model.json says, else fp32 */
} model_registry_options;

/* Loads every version of every model; MODEL_INVALID names the first one that cannot be. */
model_code model_registry_create(cnn_runtime *rt, const model_registry_options *options,
                                 model_registry **out, model_error *err);
/* Drops the registry's references; models in use live on. */
void model_registry_free(model_registry *registry);

/*
 * `name` NULL: the default model. `version` NULL: the highest. *out holds a reference of the
 * caller's. MODEL_NOT_FOUND lists near names or the versions there are.
 */
model_code model_registry_find(model_registry *registry, const char *name, const char *version,
                               served_model **out, model_error *err);
/* What was found in the folder of models, or of a model, and is not served. */
const model_warnings *model_registry_warnings(const model_registry *registry);
/* Name of the default model; lives as long as the registry. */
const char *model_registry_default(const model_registry *registry);
/* It is what model_registry_find gives without a name: the highest version of the default model. */
bool model_registry_is_default(model_registry *registry, const served_model *model);

/* Every version of every model, by name and then by version, each with a reference. */
typedef struct model_list {
    served_model **items;
    size_t count;
} model_list;

model_code model_registry_list(model_registry *registry, model_list *out, model_error *err);
void model_list_free(model_list *list);

/* The models that are built into the program, in order. */
size_t model_builtin_count(void);
const char *model_builtin_name(size_t index);

/* ---- queries ------------------------------------------------------------------------------ */

/* One feature tensor, also before it is computed (`data` NULL). */
typedef struct model_feature {
    const char *name;  /* of the tensor */
    const char *node;  /* of the node that makes it, "" if it has none */
    const char *op;    /* "Conv", ... */
    cnn_shape shape;   /* without the batch extent; rank -1: depends on the image */
    size_t count;      /* of elements; 0 with rank -1 */
    const float *data; /* row-major; owned by the result */
} model_feature;

/*
 * Asked by model_classify once an image's feature shapes are known and before anything is computed;
 * anything but MODEL_OK refuses the image with that code (usually MODEL_FEATURES_TOO_LARGE) and
 * *err. Called on the worker that classifies, thus from several at once.
 */
typedef model_code model_admit_fn(void *arg, const model_feature *features, size_t count,
                                  model_error *err);

/* Limits on one query. */
#define MODEL_MAX_PATTERNS      256
#define MODEL_MAX_PATTERN_BYTES 8192 /* of all patterns together */

/* model_query_options.explained_class: the best one of each image. */
#define MODEL_BEST_CLASS SIZE_MAX

typedef struct model_query_options {
    size_t top; /* predictions wanted, best first; more than there are classes: all */
    /*
     * Tensor or node names, with the wildcards * and ?; a node's name means its first output. Each
     * string may be a comma-separated list. Tensors come in execution order, each once.
     */
    const char *const *patterns;
    size_t pattern_count;
    bool explain;           /* each result has a class activation map */
    size_t explained_class; /* of this class, or of MODEL_BEST_CLASS */
    image_limits limits;    /* zeroed: the image library's defaults */
    model_admit_fn *admit;  /* may be NULL */
    void *admit_arg;
} model_query_options;

typedef struct model_query model_query;

/*
 * Resolves names and, where the input size is fixed, compiles the plan. Fails with MODEL_NOT_FOUND
 * (a pattern that matches nothing; the nearest names are listed) or MODEL_BAD_REQUEST (also for a
 * network that class activation maps cannot explain). The strings may go afterwards. The query
 * keeps the model alive.
 */
model_code model_query_create(served_model *model, const model_query_options *options,
                              model_query **out, model_error *err);
void model_query_free(model_query *query);
/* The features that each result will hold, in that order; NULL and 0: none. */
const model_feature *model_query_features(const model_query *query, size_t *count);

/* ---- results ------------------------------------------------------------------------------ */

typedef struct model_prediction {
    size_t class_index;
    const char *label;
    float probability; /* the value itself with activation none */
} model_prediction;

/*
 * A class activation map (Zhou et al. 2016): how much what the network saw at each position speaks
 * for a class. The mean of the values, plus a constant, is the class's score before the activation.
 */
typedef struct model_explanation {
    size_t class_index;
    const char *label, *tensor; /* the tensor whose channels are weighed */
    int height, width;
    float *values; /* (height, width), owned by the result; NULL: there is no explanation */
    void *png;     /* the map over the upright image, a PNG file; owned by the result */
    size_t png_size;
} model_explanation;

/* Zero-initialise; strings live as long as the query. */
typedef struct model_result {
    image_info image;
    model_prediction *predictions; /* best first; equal ones by lower index */
    size_t prediction_count;
    model_feature *features;
    size_t feature_count;
    model_explanation explanation;
    uint64_t decode_ns, preprocess_ns, inference_ns, draw_ns;
    void *memory; /* what the pointers above point into */
} model_result;

/*
 * Decodes, preprocesses, runs, picks the best. Meant to be called on a worker of the runtime (task
 * of cnn_runtime_submit), from as many as there are; works anywhere. With top 0 nothing downstream
 * of the features is computed. If the file's header can be read, result->image is filled even when
 * a later step fails; whatever is returned, the result may be given to model_result_free.
 */
model_code model_classify(const model_query *query, const void *bytes, size_t size,
                          model_result *result, model_error *err);
/* Frees and zeroes; the struct can be used again. */
void model_result_free(model_result *result);

#endif
