/*
 * Reads Hugging Face's config.json, and with huggingface_processor.c or huggingface_timm.c how
 * images are prepared, into a model_config. config.json is full of what only training needs; of it
 * the keys that matter are looked at.
 */
#include "json/huggingface.h"
#include "json/huggingface_parts.h"

#include "common/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- config.json -------------------------------------------------------------------------- */

static bool allocate_labels(config_reader *r, size_t count) {
    r->config.label_names = calloc(count, sizeof *r->config.label_names);
    if (!r->config.label_names) return config_fail(r, "out of memory");
    r->config.label_count = count;
    return true;
}

static bool set_label(config_reader *r, const char *key, size_t index, const json_t *value) {
    char number[32], **label = &r->config.label_names[index];
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (!text) return config_fail(r, "%s: the label of class %zu must be a string", key, index);
    if (*label) return config_fail(r, "%s has class %zu twice", key, index);
    *label = strdup(text);
    return *label || config_fail(r, "out of memory");
}

/* {"0": "cat", "1": "dog"}; so many keys, each a class once, are all of them. */
static bool read_id2label(config_reader *r, const json_t *object) {
    const char *name;
    json_t *value;
    size_t count = json_object_size(object);
    if (count == 0) return config_fail(r, "id2label must be an object with a label for each class");
    if (!allocate_labels(r, count)) return false;
    json_object_foreach((json_t *)object, name, value) {
        size_t length = strspn(name, "0123456789");
        unsigned long index =
            length > 0 && length < 10 && !name[length] ? strtoul(name, NULL, 10) : count;
        if (index >= count)
            return config_fail(r, "id2label has %zu labels, so '%.60s' is none of its classes",
                               count, name);
        if (!set_label(r, "id2label", index, value)) return false;
    }
    return true;
}

/* timm: ["cat", "dog"] */
static bool read_label_names(config_reader *r, const json_t *array) {
    size_t count = json_array_size(array);
    if (count == 0)
        return config_fail(r, "label_names must be an array with a label for each class");
    if (!allocate_labels(r, count)) return false;
    for (size_t i = 0; i < count; i++)
        if (!set_label(r, "label_names", i, json_array_get(array, i))) return false;
    return true;
}

static bool read_labels(config_reader *r, const json_t *root) {
    const json_t *ids = hf_member(root, "id2label"), *names = hf_member(root, "label_names");
    if (ids) return read_id2label(r, ids);
    return !names || read_label_names(r, names);
}

/* As transformers' image-classification pipeline chooses it. */
static bool read_problem_type(config_reader *r, const json_t *root) {
    static const struct {
        const char *name;
        config_activation activation;
    } types[] = {{"regression", CONFIG_NONE},
                 {"single_label_classification", CONFIG_AUTO},
                 {"multi_label_classification", CONFIG_SIGMOID}};
    const json_t *value = hf_member(root, "problem_type");
    const char *type = value ? json_string_value(value) : "single_label_classification";
    for (size_t i = 0; type && i < ARRAY_LENGTH(types); i++)
        if (strcmp(types[i].name, type) == 0) {
            bool one = r->config.label_count == 1 && types[i].activation == CONFIG_AUTO;
            r->config.activation = one ? CONFIG_SIGMOID : types[i].activation;
            return true;
        }
    return config_fail(r, "problem_type '%.60s' is not supported", type ? type : "");
}

/* A graph that leaves the number of channels open does not tell that images are grey. */
static void read_num_channels(config_reader *r, const json_t *root) {
    if (json_integer_value(json_object_get(root, "num_channels")) != 1) return;
    r->config.has_color = true;
    r->config.color = IMAGE_GRAY;
}

static bool read_classes(config_reader *r, const json_t *root) {
    if (!json_is_object(root)) return config_fail(r, "the file must be an object");
    if (!read_labels(r, root) || !read_problem_type(r, root)) return false;
    read_num_channels(r, root);
    return true;
}

/* ---- both --------------------------------------------------------------------------------- */

static bool is_timm(const json_t *preprocessor) {
    const char *type = json_string_value(json_object_get(preprocessor, "image_processor_type"));
    return !preprocessor || (type && strcmp(type, "TimmWrapperImageProcessor") == 0);
}

static bool read_preprocessing(config_reader *r, const json_t *config, const json_t *preprocessor,
                               const char **blamed) {
    const json_t *timm = hf_member(config, "pretrained_cfg");
    *blamed = HUGGINGFACE_CONFIG_FILE;
    if (timm && is_timm(preprocessor)) return hf_read_timm(r, timm);
    if (!preprocessor)
        return config_fail(r, "there is no " HUGGINGFACE_PREPROCESSOR_FILE
                              " beside it, which says how images are prepared; add it, or write "
                              "a " MODEL_CONFIG_FILE);
    *blamed = HUGGINGFACE_PREPROCESSOR_FILE;
    return hf_read_preprocessor(r, preprocessor,
                                json_string_value(json_object_get(config, "model_type")));
}

bool huggingface_read(huggingface_file config, huggingface_file preprocessor, model_config *out,
                      const char **blamed, char *message, size_t size) {
    config_reader r = {.message = message, .size = size};
    json_t *classes = NULL, *images = NULL;
    bool ok = true;
    if (config.text) {
        *blamed = HUGGINGFACE_CONFIG_FILE;
        classes = config_parse(&r, config.text, config.length);
        ok = classes && read_classes(&r, classes);
    }
    if (ok && preprocessor.text) {
        *blamed = HUGGINGFACE_PREPROCESSOR_FILE;
        images = config_parse(&r, preprocessor.text, preprocessor.length);
        ok = images;
    }
    ok = ok && read_preprocessing(&r, classes, images, blamed);
    json_decref(classes);
    json_decref(images);
    return config_finish(&r, ok, out);
}
