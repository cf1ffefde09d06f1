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

/* {"0": "cat", "1": "dog"}; so many keys, each a class once, are all of them. */
static bool read_id2label(config_reader *r, const json_t *object) {
    const char *name;
    json_t *value;
    size_t count = json_object_size(object);
    if (count == 0) return config_fail(r, "id2label must be an object with a label for each class");
    if (!config_allocate_labels(r, count)) return false;
    json_object_foreach((json_t *)object, name, value) {
        size_t length = strspn(name, "0123456789");
        unsigned long index =
            length > 0 && length < 10 && !name[length] ? strtoul(name, NULL, 10) : count;
        if (index >= count)
            return config_fail(r, "id2label has %zu labels, so '%.60s' is none of its classes",
                               count, name);
        if (!config_set_label(r, "id2label", index, value)) return false;
    }
    return true;
}

static bool read_labels(config_reader *r, const json_t *root) {
    const json_t *ids = hf_member(root, "id2label"), *names = hf_member(root, "label_names");
    r->config.labels_file = HUGGINGFACE_CONFIG_FILE;
    if (ids) return read_id2label(r, ids);
    return !names || config_read_labels(r, "label_names", names); /* timm */
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

/* ---- all ---------------------------------------------------------------------------------- */

/* The files' roots. */
typedef struct roots {
    json_t *config, *preprocessor, *processor;
    const json_t *images; /* how an image is prepared, in one of the last two; NULL: neither says */
    const char *images_file; /* in which */
} roots;

static bool is_timm(const json_t *images) {
    const char *type = json_string_value(json_object_get(images, "image_processor_type"));
    return !images || (type && strcmp(type, "TimmWrapperImageProcessor") == 0);
}

/* As transformers look: a nested description wins. */
static void find_images(roots *in) {
    const json_t *outer = hf_member(in->processor, "image_processor");
    const json_t *inner = hf_member(in->preprocessor, "image_processor");
    in->images_file = outer ? HUGGINGFACE_PROCESSOR_FILE : HUGGINGFACE_PREPROCESSOR_FILE;
    in->images = outer ? outer : inner ? inner : in->preprocessor;
}

static bool read_preprocessing(config_reader *r, const roots *in, const char **blamed) {
    const json_t *timm = hf_member(in->config, "pretrained_cfg");
    *blamed = HUGGINGFACE_CONFIG_FILE;
    if (timm && is_timm(in->images)) return hf_read_timm(r, timm);
    if (!in->images)
        return config_fail(r, "there is no " HUGGINGFACE_PREPROCESSOR_FILE
                              " beside it, which says how images are prepared; add it, or write "
                              "a " MODEL_CONFIG_FILE);
    *blamed = in->images_file;
    if (!hf_read_preprocessor(r, in->images,
                              json_string_value(json_object_get(in->config, "model_type"))))
        return false;
    r->config.file = in->images_file;
    return true;
}

/* *out stays NULL where the file is not there. */
static bool parse(config_reader *r, huggingface_file file, const char *name, json_t **out,
                  const char **blamed) {
    if (!file.text) return true;
    *blamed = name;
    return (*out = config_parse(r, file.text, file.length));
}

static bool parse_all(config_reader *r, const huggingface_files *files, roots *in,
                      const char **blamed) {
    if (!parse(r, files->config, HUGGINGFACE_CONFIG_FILE, &in->config, blamed)) return false;
    if (in->config && !read_classes(r, in->config)) return false;
    if (!parse(r, files->preprocessor, HUGGINGFACE_PREPROCESSOR_FILE, &in->preprocessor, blamed) ||
        !parse(r, files->processor, HUGGINGFACE_PROCESSOR_FILE, &in->processor, blamed))
        return false;
    find_images(in);
    return true;
}

bool huggingface_read(const huggingface_files *files, model_config *out, const char **blamed,
                      char *message, size_t size) {
    config_reader r = {.message = message, .size = size};
    roots in = {0};
    bool ok = parse_all(&r, files, &in, blamed);
    if (ok && (in.config || in.images)) ok = read_preprocessing(&r, &in, blamed);
    json_decref(in.config);
    json_decref(in.preprocessor);
    json_decref(in.processor);
    return config_finish(&r, ok, out);
}
