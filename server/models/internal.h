/* internal.h: what the files of server/models share. */
#ifndef CNNSERVE_MODELS_INTERNAL_H
#define CNNSERVE_MODELS_INTERNAL_H

#include "common/array.h"
#include "models/models.h"
#include "models/plans.h"

#include <pthread.h>
#include <stdatomic.h>

#define MODEL_LABELS_FILE "labels.txt"

/* Largest files of a model folder. */
#define MODEL_GRAPH_MAX  ((size_t)2 << 30) /* protobuf's own limit */
#define MODEL_LABELS_MAX ((size_t)8 << 20)

/* Side of the nominal input of a model for which neither graph nor preprocessing gives one. */
#define MODEL_NOMINAL_SIDE 224

/* A tensor of the original graph; strings of the engine's model. */
typedef struct model_tensor {
    const char *name, *node, *op;
    bool first; /* the first output of its node */
} model_tensor;

/* Immutable after loading but for `refs`, `plans` and what is made on first use. */
struct served_model {
    atomic_size_t refs;
    char *name;
    int64_t version;
    char version_text[24];
    char *origin;
    const char *precision;
    cnn_runtime *rt; /* not owned */
    cnn_model *cnn;
    model_tensor *tensors;
    size_t tensor_count;
    image_spec spec;
    int input_h, input_w; /* of the graph; -1: free */
    bool fixed;           /* every image gives the same tensor, nominal_h x nominal_w */
    int nominal_h, nominal_w;
    size_t output;        /* index of the graph output that predictions come from */
    size_t output_tensor; /* and of the tensor that holds their scores */
    model_warnings warnings;
    model_scores scores;
    cnn_tensor_info scores_info; /* of that tensor at the nominal input */
    atomic_int fractions;        /* see scores_look: answers between 0 and 1; -1: settled */
    atomic_bool other_sums;      /* one of them did not add up to 1 */
    char **labels;               /* class_count strings in one block, freed as one */
    size_t class_count;
    pthread_mutex_t lazy_lock; /* guards the three below, NULL until asked for */
    cnn_summary *summary;
    cnn_average_head *head;
    char *headless; /* why there is no head */
    plan_cache plans;
};

/* Fills `err` (may be NULL) and returns `code`. */
model_code model_fail(model_error *err, model_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Compilers and analysers see that the result is `code`. */
static inline model_code model_failed(model_code code) {
    return code;
}
#define model_fail(err, code, ...) (model_fail((err), (code), __VA_ARGS__), model_failed(code))
static inline model_code model_fail_memory(model_error *err) {
    return model_fail(err, MODEL_INTERNAL, "out of memory");
}
/* MODEL_IMAGE with the image library's words. */
model_code model_fail_image(model_error *err, const image_error *why);

/* Appends a sentence; without memory it is dropped. */
void warnings_add(model_warnings *warnings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends those of `from`, which is empty afterwards. */
void warnings_move(model_warnings *to, model_warnings *from);
void warnings_free(model_warnings *warnings);

/* The engine's input shape (1, C, H, W) or (1, H, W, C). */
cnn_shape model_input_shape(const served_model *model, int height, int width);
/* Classes that a tensor of this shape holds; 0 if it is not one vector: 1xCx1x1, 1xC, C. */
size_t model_class_vector(const cnn_shape *shape);

/* Lines of a labels.txt. */
size_t labels_count(const char *text, size_t size);
/* Reads labels.txt (UTF-8 without a byte order mark) or makes up "class 0"...; `text` NULL: make
 * them up. See labels.c. */
model_code labels_create(const char *text, size_t size, size_t classes, const char *path,
                         char ***out, model_error *err);
/* The same from strings, one a class. */
model_code labels_copy(char *const *names, size_t count, size_t classes, const char *path,
                       char ***out, model_error *err);

/* In place: an activation of `count` values. */
void activation_apply(model_activation activation, float *values, size_t count);
/*
 * Writes the indices of the `k` largest values to `best`, largest first, equal ones by lower index,
 * NaN last. k is at most `count`.
 */
void top_k(const float *values, size_t count, size_t k, size_t *best);

#endif
