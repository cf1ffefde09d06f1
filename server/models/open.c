/* Opening one model by what the command line calls MODEL. */
#include "models/internal.h"
#include "models/load.h"
#include "models/source.h"

#include <string.h>

model_code served_model_open(cnn_runtime *rt, const char *spec, const char *precision,
                             served_model **out, model_error *err) {
    source_list list = {0};
    model_code code = sources_of_spec(NULL, spec, &list, err);
    if (code == MODEL_OK)
        code = served_model_load(rt, &list.items[list.count - 1], precision, out, err);
    if (code == MODEL_OK) warnings_move(&(*out)->warnings, &list.warnings);
    source_list_free(&list);
    return code;
}

model_code model_open_graph(cnn_runtime *rt, const char *spec, cnn_model **out, char *name,
                            size_t size, model_error *err) {
    source_list list = {0};
    model_code code = sources_of_spec(NULL, spec, &list, err);
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
