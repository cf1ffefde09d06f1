/*
 * The models that are served, by name and version.
 *
 * Models are kept in one array, grouped by name, versions ascending, so that the highest version is
 * the last one of its group. One lock guards the array; finding takes a reference under it, so a
 * model lives on while it is used, whatever becomes of its entry.
 */
#include "common/names.h"
#include "models/internal.h"
#include "models/load.h"
#include "models/source.h"

#include <stdlib.h>
#include <string.h>

struct model_registry {
    pthread_mutex_t lock;
    char *default_name;      /* constant */
    model_warnings warnings; /* constant */
    served_model **models;   /* guarded by `lock`, each a reference */
    size_t count;
};

/* ---- what is to be served ----------------------------------------------------------------- */

static model_code sources_of_option(const char *option, source_list *list, model_error *err) {
    const char *equals = strchr(option, '=');
    if (!equals || equals[1] == '\0')
        return model_fail(err, MODEL_INVALID, "model '%.200s' is not of the form NAME=PATH",
                          option);
    char *name = strndup(option, (size_t)(equals - option));
    if (!name) return model_fail_memory(err);
    model_code code = model_name_check(name, err);
    if (code == MODEL_OK) code = sources_of_spec(name, equals + 1, list, err);
    free(name);
    return code;
}

static model_code sources_of_options(const model_registry_options *options, source_list *list,
                                     model_error *err) {
    model_code code = MODEL_OK;
    for (size_t i = 0; i < options->model_count && code == MODEL_OK; i++)
        code = sources_of_option(options->models[i], list, err);
    if (code == MODEL_OK && options->models_dir)
        code = sources_of_directory(options->models_dir, list, err);
    if (options->models_dir || options->model_count > 0) return code;
    for (const builtin_model *builtin = builtin_models; builtin->name && code == MODEL_OK;
         builtin++)
        code = sources_of_spec(NULL, builtin->name, list, err);
    return code;
}

static int by_name_and_version(const void *a, const void *b) {
    const model_source *left = a, *right = b;
    int names = strcmp(left->name, right->name);
    return names ? names : (left->version > right->version) - (left->version < right->version);
}

/* The name of the default model, a copy. */
static char *choose_default(const model_registry_options *options, const source_list *list) {
    if (options->default_model) return strdup(options->default_model);
    if (options->model_count > 0) /* sources_of_option has found the = */
        return strndup(options->models[0],
                       (size_t)(strchr(options->models[0], '=') - options->models[0]));
    return list->count > 0 ? strdup(list->items[0].name) : NULL;
}

/* ---- loading ------------------------------------------------------------------------------ */

static model_code check_twice(const source_list *list, model_error *err) {
    for (size_t i = 1; i < list->count; i++)
        if (by_name_and_version(&list->items[i - 1], &list->items[i]) == 0)
            return model_fail(err, MODEL_INVALID, "model '%.128s' version %lld is given twice",
                              list->items[i].name, (long long)list->items[i].version);
    return MODEL_OK;
}

static model_code load_all(model_registry *registry, cnn_runtime *rt, const source_list *list,
                           const char *precision, model_error *err) {
    registry->models = calloc(list->count ? list->count : 1, sizeof(served_model *));
    if (!registry->models) return model_fail_memory(err);
    model_code code = MODEL_OK;
    for (size_t i = 0; i < list->count && code == MODEL_OK; i++) {
        code = served_model_load(rt, &list->items[i], precision, &registry->models[i], err);
        registry->count += code == MODEL_OK;
        if (code == MODEL_OK) code = plan_session_prepare(registry->models[i], err);
    }
    return code;
}

static model_code check_default(model_registry *registry, model_error *err) {
    served_model *model = NULL;
    model_code code = registry->default_name
                          ? model_registry_find(registry, NULL, NULL, &model, err)
                          : model_fail(err, MODEL_INVALID, "there is no model to serve");
    served_model_unref(model);
    if (code == MODEL_NOT_FOUND && err) err->code = MODEL_INVALID;
    return code == MODEL_NOT_FOUND ? MODEL_INVALID : code;
}

static model_registry *allocate(void) {
    model_registry *registry = calloc(1, sizeof *registry);
    if (registry && pthread_mutex_init(&registry->lock, NULL) != 0) {
        free(registry);
        return NULL;
    }
    return registry;
}

model_code model_registry_create(cnn_runtime *rt, const model_registry_options *options,
                                 model_registry **out, model_error *err) {
    source_list list = {0};
    model_registry *registry = allocate();
    if (!registry) return model_fail_memory(err);
    model_code code = sources_of_options(options, &list, err);
    if (code != MODEL_OK) goto exit;
    if (list.count > 1) qsort(list.items, list.count, sizeof *list.items, by_name_and_version);
    registry->default_name = choose_default(options, &list);
    code = check_twice(&list, err);
    if (code == MODEL_OK) code = load_all(registry, rt, &list, options->precision, err);
    if (code == MODEL_OK) code = check_default(registry, err);
    if (code == MODEL_OK) {
        warnings_move(&registry->warnings, &list.warnings);
        *out = registry;
        registry = NULL;
    }
exit:
    source_list_free(&list);
    model_registry_free(registry);
    return code;
}

void model_registry_free(model_registry *registry) {
    if (!registry) return;
    for (size_t i = 0; i < registry->count; i++)
        served_model_unref(registry->models[i]);
    free(registry->models);
    warnings_free(&registry->warnings);
    free(registry->default_name);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

/* ---- finding ------------------------------------------------------------------------------ */

/* The names in an array of models, each once: those of later versions are NULL. */
static const char *model_name_at(const void *list, size_t index) {
    served_model *const *models = list;
    if (index > 0 && strcmp(models[index - 1]->name, models[index]->name) == 0) return NULL;
    return models[index]->name;
}

static const char *model_version_at(const void *list, size_t index) {
    return ((served_model *const *)list)[index]->version_text;
}

/* Sets *first and *count to the versions of `name`; the caller holds the lock. */
static void find_group(const model_registry *registry, const char *name, size_t *first,
                       size_t *count) {
    *first = 0;
    while (*first < registry->count && strcmp(registry->models[*first]->name, name) != 0)
        ++*first;
    *count = 0;
    while (*first + *count < registry->count &&
           strcmp(registry->models[*first + *count]->name, name) == 0)
        ++*count;
}

static model_code find_locked(const model_registry *registry, const char *name, const char *version,
                              served_model **out, model_error *err) {
    char near[600];
    size_t first, count;
    find_group(registry, name, &first, &count);
    served_model **group = registry->models + first;
    if (count == 0)
        return model_fail(err, MODEL_NOT_FOUND, "there is no model '%.128s'%s", name,
                          names_suggest(name, registry->models, registry->count, model_name_at,
                                        near, sizeof near));
    size_t chosen = count - 1;
    for (size_t i = 0; version && i < count; i++)
        if (strcmp(group[i]->version_text, version) == 0) {
            chosen = i;
            version = NULL;
        }
    if (version)
        return model_fail(err, MODEL_NOT_FOUND, "model '%.128s' has no version '%.40s'%s", name,
                          version,
                          names_suggest("", group, count, model_version_at, near, sizeof near));
    *out = served_model_ref(group[chosen]);
    return MODEL_OK;
}

model_code model_registry_find(model_registry *registry, const char *name, const char *version,
                               served_model **out, model_error *err) {
    pthread_mutex_lock(&registry->lock);
    model_code code =
        find_locked(registry, name ? name : registry->default_name, version, out, err);
    pthread_mutex_unlock(&registry->lock);
    return code;
}

const model_warnings *model_registry_warnings(const model_registry *registry) {
    return &registry->warnings;
}

const char *model_registry_default(const model_registry *registry) {
    return registry->default_name;
}

bool model_registry_is_default(model_registry *registry, const served_model *model) {
    served_model *found = NULL;
    model_registry_find(registry, NULL, NULL, &found, NULL);
    served_model_unref(found);
    return found == model;
}

model_code model_registry_list(model_registry *registry, model_list *out, model_error *err) {
    model_code code = MODEL_OK;
    pthread_mutex_lock(&registry->lock);
    served_model **items = calloc(registry->count ? registry->count : 1, sizeof *items);
    if (items) {
        for (size_t i = 0; i < registry->count; i++)
            items[i] = served_model_ref(registry->models[i]);
        *out = (model_list){.items = items, .count = registry->count};
    } else {
        code = model_fail_memory(err);
    }
    pthread_mutex_unlock(&registry->lock);
    return code;
}

void model_list_free(model_list *list) {
    if (!list) return;
    for (size_t i = 0; i < list->count; i++)
        served_model_unref(list->items[i]);
    free(list->items);
    *list = (model_list){0};
}
