/* Opening one model by what the command line calls MODEL. */
#include "models/internal.h"
#include "models/load.h"
#include "models/names.h"
#include "models/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *builtin_name_at(const void *list, size_t index) {
    return ((const builtin_model *)list)[index].name;
}

static model_code no_such_model(const char *spec, model_error *err) {
    char near[600];
    return model_fail(err, MODEL_INVALID, "'%.200s' is neither a file nor a folder%s", spec,
                      names_suggest(spec, builtin_models, model_builtin_count(), builtin_name_at,
                                    near, sizeof near));
}

/* The versions that `spec` means, ascending; a built-in name wins over a folder of that name. */
static model_code find_sources(const char *spec, source_list *list, model_error *err) {
    const builtin_model *builtin = builtin_find(spec);
    if (builtin) return sources_of_builtin(builtin, list, err);
    struct stat status;
    if (stat(spec, &status) != 0)
        return errno == ENOENT ? no_such_model(spec, err)
                               : model_fail(err, MODEL_INVALID, "'%.400s' cannot be read: %s", spec,
                                            strerror(errno));
    char *name = source_name_of_path(spec);
    if (!name) return model_fail_memory(err);
    model_code code = sources_of_path(name, spec, list, err);
    free(name);
    if (code == MODEL_OK && list->count == 0)
        code = model_fail(err, MODEL_INVALID,
                          "folder '%.400s' holds neither model.onnx nor VERSION/model.onnx", spec);
    return code;
}

model_code served_model_open(cnn_runtime *rt, const char *spec, const char *precision,
                             served_model **out, model_error *err) {
    source_list list = {0};
    model_code code = find_sources(spec, &list, err);
    if (code == MODEL_OK)
        code = served_model_load(rt, &list.items[list.count - 1], precision, out, err);
    source_list_free(&list);
    return code;
}

model_code model_open_graph(cnn_runtime *rt, const char *spec, cnn_model **out, char *name,
                            size_t size, model_error *err) {
    source_list list = {0};
    model_code code = find_sources(spec, &list, err);
    if (code == MODEL_OK) {
        const model_source *source = &list.items[list.count - 1];
        code = source_load_graph(source, rt, out, err);
        if (code == MODEL_OK && size > 0) {
            name[0] = '\0';
            strncat(name, source->name, size - 1);
        }
    }
    source_list_free(&list);
    return code;
}
