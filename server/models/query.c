/*
 * What one request wants of a model: names resolved, the plan compiled.
 *
 * Patterns select tensors of the original graph into one flag a tensor; in execution order these
 * are the features. Predictions and explanations add their tensors to what is computed. A plan for
 * exactly that set leaves out whatever lies downstream of it.
 *
 * Types are known to the planner only, so a plan is compiled to learn them: tensors that are not of
 * floating-point numbers are an error if named, and are passed over if only a wildcard matches
 * them.
 */
#include "models/query.h"

#include "common/names.h"
#include "models/explain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* How a tensor came to be wanted as a feature. */
enum { UNWANTED, WILDCARD, NAMED };

typedef struct selection {
    const served_model *model;
    unsigned char *marks; /* one a tensor */
    size_t patterns, bytes;
} selection;

/* ---- patterns ----------------------------------------------------------------------------- */

/* Each tensor gives two names: its own, and that of its node if it can be asked for by that. */
static const char *feature_name_at(const void *list, size_t index) {
    const model_tensor *tensor = (const model_tensor *)list + index / 2;
    if (index % 2 == 0) return tensor->name;
    bool another = tensor->first && tensor->node[0] && strcmp(tensor->node, tensor->name) != 0;
    return another ? tensor->node : NULL;
}

static model_code refuse_pattern(const served_model *model, const char *pattern, model_error *err) {
    char near[600];
    names_suggest(pattern, model->tensors, 2 * model->tensor_count, feature_name_at, near,
                  sizeof near);
    if (name_has_wildcard(pattern))
        return model_fail(err, MODEL_NOT_FOUND,
                          "no tensor or node of model '%.128s' matches '%.100s'%s", model->name,
                          pattern, near);
    return model_fail(err, MODEL_NOT_FOUND, "model '%.128s' has no tensor or node '%.100s'%s",
                      model->name, pattern, near);
}

/* The tensor of that name, else the first output of the node of that name; SIZE_MAX: none. */
static size_t find_tensor(const served_model *model, const char *name) {
    for (size_t i = 0; i < model->tensor_count; i++)
        if (strcmp(model->tensors[i].name, name) == 0) return i;
    for (size_t i = 0; i < model->tensor_count; i++)
        if (model->tensors[i].node[0] && strcmp(model->tensors[i].node, name) == 0) return i;
    return SIZE_MAX;
}

static bool mark_matches(selection *s, const char *pattern) {
    bool found = false;
    for (size_t i = 0; i < s->model->tensor_count; i++) {
        const model_tensor *tensor = &s->model->tensors[i];
        if (!name_matches(pattern, tensor->name) &&
            !(tensor->first && tensor->node[0] && name_matches(pattern, tensor->node)))
            continue;
        found = true;
        if (s->marks[i] == UNWANTED) s->marks[i] = WILDCARD;
    }
    return found;
}

static model_code select_one(selection *s, const char *pattern, model_error *err) {
    if (++s->patterns > MODEL_MAX_PATTERNS ||
        (s->bytes += strlen(pattern)) > MODEL_MAX_PATTERN_BYTES)
        return model_fail(err, MODEL_BAD_REQUEST,
                          "more features are named than a request may name: %d names, together "
                          "%d bytes",
                          MODEL_MAX_PATTERNS, MODEL_MAX_PATTERN_BYTES);
    size_t tensor = find_tensor(s->model, pattern);
    if (tensor != SIZE_MAX) {
        s->marks[tensor] = NAMED;
        return MODEL_OK;
    }
    if (name_has_wildcard(pattern) && mark_matches(s, pattern)) return MODEL_OK;
    return refuse_pattern(s->model, pattern, err);
}

/* A list separated by commas, unless all of it is one name. Spaces around names are dropped. */
static model_code select_list(selection *s, const char *list, model_error *err) {
    if (find_tensor(s->model, list) != SIZE_MAX) return select_one(s, list, err);
    char *copy = strdup(list), *rest = copy;
    if (!copy) return model_fail_memory(err);
    model_code code = MODEL_OK;
    for (char *item; code == MODEL_OK && (item = strsep(&rest, ","));) {
        item += strspn(item, " \t");
        size_t length = strlen(item);
        while (length > 0 && (item[length - 1] == ' ' || item[length - 1] == '\t'))
            item[--length] = '\0';
        if (length > 0) code = select_one(s, item, err);
    }
    free(copy);
    return code;
}

/* ---- from marks to features --------------------------------------------------------------- */

void feature_set_shape(model_feature *feature, const cnn_shape *shape) {
    int batch = shape->rank > 1 && shape->dims[0] == 1 ? 1 : 0;
    feature->shape.rank = shape->rank - batch;
    feature->count = 1;
    for (int i = 0; i < feature->shape.rank; i++) {
        feature->shape.dims[i] = shape->dims[i + batch];
        feature->count *= (size_t)shape->dims[i + batch];
    }
}

static bool needs_predictions(const model_query *query) {
    return query->top > 0 || (query->head && query->explained_class == MODEL_BEST_CLASS);
}

/* Fills `wanted`, `features` and the places of both from the marks. */
static void list_wanted(model_query *query, const unsigned char *marks) {
    const served_model *model = query->model;
    query->wanted_count = query->feature_count = 0;
    for (size_t i = 0; i < model->tensor_count; i++) {
        bool predicted = needs_predictions(query) && i == model->output_tensor;
        bool explained = query->head && i == query->head_tensor;
        if (marks[i] == UNWANTED && !predicted && !explained) continue;
        if (predicted) query->prediction = query->wanted_count;
        if (explained) query->head_place = query->wanted_count;
        if (marks[i] != UNWANTED) {
            query->features[query->feature_count] = (model_feature){
                .name = model->tensors[i].name,
                .node = model->tensors[i].node,
                .op = model->tensors[i].op,
                .shape = {.rank = -1},
            };
            query->feature_places[query->feature_count++] = query->wanted_count;
        }
        query->wanted[query->wanted_count++] = i;
    }
}

/* Takes the marks off what a wildcard matched and is no floating-point tensor. *again: there were
 * such. */
static model_code drop_other_types(model_query *query, unsigned char *marks, const cnn_plan *plan,
                                   bool *again, model_error *err) {
    *again = false;
    for (size_t i = 0; i < query->feature_count; i++) {
        cnn_tensor_info info = cnn_plan_output(plan, query->feature_places[i]);
        unsigned char *mark = &marks[query->wanted[query->feature_places[i]]];
        if (cnn_dtype_is_float(info.dtype)) continue;
        if (*mark == NAMED)
            return model_fail(err, MODEL_BAD_REQUEST,
                              "tensor '%.100s' is %s, only floating-point tensors can be had as "
                              "features",
                              info.name, cnn_dtype_name(info.dtype));
        *mark = UNWANTED;
        *again = true;
    }
    return MODEL_OK;
}

static model_code acquire_nominal(model_query *query, plan_entry **out, model_error *err) {
    plan_key key = {query->model->nominal_h, query->model->nominal_w, query->wanted,
                    query->wanted_count};
    return plan_acquire(query->model, &key, false, out, err);
}

/* Compiles the plan, and keeps it where every image uses the same one. */
static model_code compile(model_query *query, unsigned char *marks, model_error *err) {
    bool again = true;
    plan_entry *plan = NULL;
    model_code code = MODEL_OK;
    while (again && code == MODEL_OK) {
        plan_release(query->model, plan);
        plan = NULL;
        list_wanted(query, marks);
        if (query->wanted_count == 0) return MODEL_OK;
        code = acquire_nominal(query, &plan, err);
        if (code == MODEL_OK) code = drop_other_types(query, marks, plan_of(plan), &again, err);
    }
    if (code == MODEL_OK && query->model->fixed) {
        for (size_t i = 0; i < query->feature_count; i++) {
            cnn_tensor_info info = cnn_plan_output(plan_of(plan), query->feature_places[i]);
            feature_set_shape(&query->features[i], &info.shape);
        }
        query->plan = plan;
        plan = NULL;
    }
    plan_release(query->model, plan);
    return code;
}

/* ---- the query ---------------------------------------------------------------------------- */

static model_query *allocate(served_model *model, const model_query_options *options) {
    size_t tensors = model->tensor_count ? model->tensor_count : 1;
    model_query *query = calloc(1, sizeof *query);
    if (!query) return NULL;
    query->model = served_model_ref(model);
    query->top = options->top < model->class_count ? options->top : model->class_count;
    query->limits = options->limits;
    query->admit = options->admit;
    query->admit_arg = options->admit_arg;
    query->explained_class = options->explained_class;
    query->wanted = calloc(tensors, sizeof *query->wanted);
    query->features = calloc(tensors, sizeof *query->features);
    query->feature_places = calloc(tensors, sizeof *query->feature_places);
    if (query->wanted && query->features && query->feature_places) return query;
    model_query_free(query);
    return NULL;
}

model_code model_query_create(served_model *model, const model_query_options *options,
                              model_query **out, model_error *err) {
    model_query *query = allocate(model, options);
    unsigned char *marks = calloc(model->tensor_count ? model->tensor_count : 1, 1);
    selection s = {.model = model, .marks = marks};
    model_code code = query && marks ? MODEL_OK : model_fail_memory(err);
    for (size_t i = 0; i < options->pattern_count && code == MODEL_OK; i++)
        code = select_list(&s, options->patterns[i], err);
    if (code == MODEL_OK && options->explain) code = explain_prepare(query, err);
    if (code == MODEL_OK) code = compile(query, marks, err);
    free(marks);
    if (code == MODEL_OK)
        *out = query;
    else
        model_query_free(query);
    return code;
}

void model_query_free(model_query *query) {
    if (!query) return;
    plan_release(query->model, query->plan);
    free(query->wanted);
    free(query->features);
    free(query->feature_places);
    served_model_unref(query->model);
    free(query);
}

const model_feature *model_query_features(const model_query *query, size_t *count) {
    *count = query->feature_count;
    return query->feature_count ? query->features : NULL;
}
