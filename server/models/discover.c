/*
 * Finding models: what a path, a folder of models, or the program itself holds.
 *
 * Only names are looked at here; whether the files are any good shows when they are loaded. Folders
 * are read in sorted order, so that the first error does not depend on the file system.
 *
 * A graph lies beside its description, or, as in Hugging Face's repositories, in a folder `onnx`
 * beside it, where others of the same network may lie: model_fp16.onnx, model_quantized.onnx. A
 * source's folder is that of the description.
 */
#include "common/buffer.h"
#include "common/names.h"
#include "models/internal.h"
#include "models/source.h"
#include "json/huggingface.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define GRAPH_FILE   "model.onnx"
#define GRAPH_FOLDER "onnx"

static bool is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool folder_has(const char *folder, const char *name) {
    char *path;
    struct stat status;
    if (asprintf(&path, "%s/%s", folder, name) < 0) return false;
    bool is = stat(path, &status) == 0 && S_ISREG(status.st_mode);
    free(path);
    return is;
}

/* Takes `source` over, whether it succeeds or not. */
static model_code append(source_list *list, model_source *source, model_error *err) {
    model_source *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items) list->items = items;
    if (!items || !source->name || !source->graph || (!source->folder && !source->builtin)) {
        source_free(source);
        return model_fail_memory(err);
    }
    list->items[list->count++] = *source;
    return MODEL_OK;
}

/* ---- names -------------------------------------------------------------------------------- */

static bool has_extension(const char *name, size_t length) {
    static const char extension[] = ".onnx";
    size_t end = sizeof extension - 1;
    return length > end && strncasecmp(name + length - end, extension, end) == 0;
}

/* Characters before ".onnx"; 0: it is no such name. */
static int graph_stem(const char *name) {
    size_t length = strlen(name);
    return has_extension(name, length) ? (int)length - 5 : 0;
}

/* "model.onnx", "model_fp16.onnx": it belongs to the description of its folder. */
static bool is_graph_name(const char *name, size_t length) {
    return has_extension(name, length) && strncmp(name, "model", 5) == 0 &&
           (name[5] == '_' || strncmp(name, GRAPH_FILE, length) == 0);
}

static bool is_graph_folder(const char *name, size_t length) {
    return length == strlen(GRAPH_FOLDER) && memcmp(name, GRAPH_FOLDER, length) == 0;
}

/* Where the last part of the `*length` bytes of a path begins; slashes at its end are cut off. */
static const char *last_part(const char *path, size_t *length) {
    while (*length > 1 && path[*length - 1] == '/')
        --*length;
    size_t start = *length;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return path + start;
}

/* "." and "..": the folder has another name. */
static bool is_dots(const char *name, size_t length) {
    return length > 0 && length < 3 && strspn(name, ".") >= length;
}

/* The name that a folder's path gives, `length` bytes long. */
static char *folder_name(const char *path, size_t length) {
    const char *name = last_part(path, &length);
    size_t size = length - (size_t)(name - path);
    char *given = strndup(path, length), *real = NULL, *found;
    if (given && is_dots(name, size)) real = realpath(given, NULL);
    found = real ? strdup(basename(real)) : strndup(name, size);
    free(real);
    free(given);
    return found;
}

char *source_name_of_path(const char *path) {
    size_t length = strlen(path);
    const char *name = last_part(path, &length);
    size_t size = length - (size_t)(name - path);
    if (!has_extension(name, size)) return folder_name(path, length);
    if (!is_graph_name(name, size) || name == path) return strndup(name, size - 5);
    length = (size_t)(name - path);
    name = last_part(path, &length);
    bool inner = is_graph_folder(name, length - (size_t)(name - path)) && name > path;
    return folder_name(path, inner ? (size_t)(name - path) : length);
}

/* ---- graphs ------------------------------------------------------------------------------- */

static bool has_description(const char *folder) {
    static const char *const files[] = {MODEL_CONFIG_FILE, HUGGINGFACE_CONFIG_FILE,
                                        HUGGINGFACE_PREPROCESSOR_FILE, MODEL_LABELS_FILE};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        if (folder_has(folder, files[i])) return true;
    return false;
}

/* Its bytes without slashes at the end. The caller frees. */
static char *trimmed(const char *path, size_t length) {
    last_part(path, &length);
    return strndup(path, length);
}

/* The path is another name of a folder that is called `onnx`, such as ".". */
static bool leads_to_graph_folder(const char *path) {
    char *real = realpath(path, NULL);
    bool is = real && strcmp(basename(real), GRAPH_FOLDER) == 0;
    free(real);
    return is;
}

/* The folder above one that is called `onnx`; NULL: it is not called so. The caller frees. */
static char *above_graph_folder(const char *folder) {
    size_t length = strlen(folder);
    const char *name = last_part(folder, &length);
    char *above;
    if (is_graph_folder(name, length - (size_t)(name - folder)))
        return name == folder ? strdup(".") : trimmed(folder, (size_t)(name - folder));
    if (!leads_to_graph_folder(folder)) return NULL;
    return asprintf(&above, "%s/..", folder) < 0 ? NULL : above;
}

/* A graph in `folder`, whose description is there or above. */
static model_code append_graph(source_list *list, const char *name, int64_t version,
                               const char *folder, const char *file, bool config,
                               model_error *err) {
    char *above = config && !has_description(folder) ? above_graph_folder(folder) : NULL;
    char *graph = NULL;
    if (asprintf(&graph, "%s%s", above ? GRAPH_FOLDER "/" : "", file) < 0) graph = NULL;
    model_source source = {
        .name = strdup(name),
        .version = version,
        .folder = above ? above : trimmed(folder, strlen(folder)),
        .graph = graph,
        .config = config,
    };
    return append(list, &source, err);
}

/* A folder's model.onnx or onnx/model.onnx, if it has one. */
static model_code append_folder(source_list *list, const char *name, int64_t version,
                                const char *folder, model_error *err) {
    static const char inner[] = GRAPH_FOLDER "/" GRAPH_FILE;
    if (folder_has(folder, GRAPH_FILE))
        return append_graph(list, name, version, folder, GRAPH_FILE, true, err);
    if (!folder_has(folder, inner)) return MODEL_OK;
    char *path;
    if (asprintf(&path, "%s/" GRAPH_FOLDER, folder) < 0) return model_fail_memory(err);
    model_code code = append_graph(list, name, version, path, GRAPH_FILE, true, err);
    free(path);
    return code;
}

static model_code sources_of_file(const char *name, const char *path, source_list *list,
                                  model_error *err) {
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    model_code code =
        folder ? append_graph(list, name, 1, folder, file, is_graph_name(file, strlen(file)), err)
               : model_fail_memory(err);
    free(folder);
    return code;
}

/* ---- versions ----------------------------------------------------------------------------- */

/* The version that a folder's name gives: a positive integer without leading zeros; else 0. */
static int64_t version_of(const char *name) {
    int64_t version = 0;
    if (name[0] == '0') return 0;
    for (; *name >= '0' && *name <= '9' && version < INT64_MAX / 10 - 1; name++)
        version = version * 10 + (*name - '0');
    return *name ? 0 : version;
}

static int by_version(const void *a, const void *b) {
    int64_t left = ((const model_source *)a)->version, right = ((const model_source *)b)->version;
    return (left > right) - (left < right);
}

/* File systems have a folder lost+found that only root can read. */
static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "lost+found") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void free_entries(struct dirent **entries, int count) {
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

model_code model_name_check(const char *name, model_error *err) {
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789._-");
    if (isalnum((unsigned char)name[0]) && !name[length] && length <= MODEL_NAME_MAX)
        return MODEL_OK;
    return model_fail(err, MODEL_INVALID,
                      "'%.200s' is no model name: letters, digits, '.', '_' and '-', at most %d, "
                      "beginning with a letter or digit",
                      name, MODEL_NAME_MAX);
}

typedef model_code visit_fn(const char *name, const char *path, source_list *list,
                            model_error *err);

/* Calls `visit` for each folder in `directory` whose name does not begin with a dot, sorted. */
static model_code each_folder(const char *directory, visit_fn *visit, const char *name,
                              source_list *list, model_error *err) {
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, visible, by_bytes);
    if (count < 0)
        return model_fail(err, MODEL_INVALID, "folder '%.400s' cannot be read: %s", directory,
                          strerror(errno));
    model_code code = MODEL_OK;
    for (int i = 0; i < count && code == MODEL_OK; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0) {
            code = model_fail_memory(err);
            break;
        }
        if (is_directory(path)) code = visit(name ? name : entries[i]->d_name, path, list, err);
        free(path);
    }
    free_entries(entries, count);
    return code;
}

/* Its whole number without leading zeros, as far as it has one: what "v1" or "01" should be. */
static const char *suggest_version(const char *name, char *text, size_t size) {
    const char *digits = name + strcspn(name, "123456789");
    int length = (int)strspn(digits, "0123456789");
    text[0] = '\0';
    if (length > 0) snprintf(text, size, "; call it '%.*s'", length < 18 ? length : 18, digits);
    return text;
}

static model_code visit_version(const char *name, const char *path, source_list *list,
                                model_error *err) {
    const char *folder = strrchr(path, '/') + 1;
    int64_t version = version_of(folder);
    char call_it[40];
    source_list found = {0};
    if (strcmp(folder, GRAPH_FOLDER) == 0) return MODEL_OK;
    if (version > 0) return append_folder(list, name, version, path, err);
    model_code code = append_folder(&found, name, 0, path, err);
    if (code == MODEL_OK && found.count > 0)
        warnings_add(&list->warnings,
                     "folder '%.300s' holds a model and is passed over: its name is no version, a "
                     "whole number from 1 on without leading zeros%s",
                     path, suggest_version(folder, call_it, sizeof call_it));
    source_list_free(&found);
    return code;
}

static model_code check_versions(const source_list *list, size_t first, const char *path,
                                 model_error *err) {
    for (size_t i = first + 1; i < list->count; i++)
        if (list->items[i - 1].version == list->items[i].version)
            return model_fail(err, MODEL_INVALID,
                              "model folder '%.400s' has version 1 twice: %s and 1/" GRAPH_FILE,
                              path, GRAPH_FILE);
    return MODEL_OK;
}

/* ---- other graphs of a folder ------------------------------------------------------------- */

static int is_graph_entry(const struct dirent *entry) {
    return is_graph_name(entry->d_name, strlen(entry->d_name));
}

static model_code refuse_several(const char *folder, struct dirent **entries, int count,
                                 model_error *err) {
    buffer names;
    buffer_init(&names, 400);
    for (int i = 0; i < count; i++)
        buffer_printf(&names, "%s'%s'", i ? ", " : "", entries[i]->d_name);
    buffer_append_char(&names, '\0');
    model_code code = model_fail(
        err, MODEL_INVALID,
        "folder '%.300s' holds no " GRAPH_FILE ", but %s; choose one: --model NAME=%.300s/%.100s",
        folder, buffer_failed(&names) ? "several others" : names.data, folder, entries[0]->d_name);
    buffer_free(&names);
    return code;
}

/* The graphs of a folder by name; 0 also if it cannot be read. free_entries frees them. */
static int list_graphs(const char *folder, struct dirent ***out) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_graph_entry, by_bytes), kept = 0;
    for (int i = 0; i < count; i++)
        if (folder_has(folder, entries[i]->d_name))
            entries[kept++] = entries[i];
        else
            free(entries[i]);
    *out = entries;
    return kept;
}

/* Where there is no model.onnx: the only model_*.onnx. */
static model_code append_sibling(source_list *list, const char *name, const char *folder,
                                 model_error *err) {
    struct dirent **entries;
    int count = list_graphs(folder, &entries);
    model_code code = MODEL_OK;
    if (count == 1) code = append_graph(list, name, 1, folder, entries[0]->d_name, true, err);
    if (count > 1) code = refuse_several(folder, entries, count, err);
    free_entries(entries, count);
    return code;
}

static model_code append_siblings(source_list *list, const char *name, const char *folder,
                                  model_error *err) {
    size_t first = list->count;
    char *inner;
    model_code code = append_sibling(list, name, folder, err);
    if (code != MODEL_OK || list->count > first) return code;
    if (asprintf(&inner, "%s/" GRAPH_FOLDER, folder) < 0) return model_fail_memory(err);
    code = append_sibling(list, name, inner, err);
    free(inner);
    return code;
}

/* ---- paths -------------------------------------------------------------------------------- */

model_code sources_of_path(const char *name, const char *path, source_list *list,
                           model_error *err) {
    if (!is_directory(path)) return sources_of_file(name, path, list, err);
    size_t first = list->count;
    model_code code = append_folder(list, name, 1, path, err);
    if (code == MODEL_OK) code = each_folder(path, visit_version, name, list, err);
    if (code == MODEL_OK && list->count == first) code = append_siblings(list, name, path, err);
    if (code != MODEL_OK || list->count == first) return code;
    qsort(list->items + first, list->count - first, sizeof *list->items, by_version);
    return check_versions(list, first, path, err);
}

/* ---- folders of models -------------------------------------------------------------------- */

/* How many entries of a folder of models that are passed over are named. */
#define LOOSE_NAMED 10

static void warn_of_loose_file(source_list *list, const char *directory, const char *name) {
    int stem = graph_stem(name);
    if (stem > 0)
        warnings_add(&list->warnings,
                     "'%.300s/%.200s' is not served, a model is a folder: move it to "
                     "%.*s/" GRAPH_FILE ", or serve the file with --model %.*s=%.300s/%.200s",
                     directory, name, stem, name, stem, name, directory, name);
    else
        warnings_add(&list->warnings, "'%.300s/%.200s' is passed over: it is no model folder",
                     directory, name);
}

/* Of files that are graphs by name, or of the others. A folder that cannot be read is reported
 * elsewhere. */
static void warn_of_loose_files(const char *directory, bool graphs, source_list *list) {
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, visible, by_bytes), found = 0;
    for (int i = 0; i < count; i++) {
        char *path;
        if (graphs != (graph_stem(entries[i]->d_name) > 0) ||
            asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0)
            continue;
        if (!is_directory(path) && found++ < LOOSE_NAMED)
            warn_of_loose_file(list, directory, entries[i]->d_name);
        free(path);
    }
    if (found > LOOSE_NAMED)
        warnings_add(&list->warnings, "%d more files of '%.400s' are passed over",
                     found - LOOSE_NAMED, directory);
    free_entries(entries, count);
}

static int is_onnx_entry(const struct dirent *entry) {
    return has_extension(entry->d_name, strlen(entry->d_name));
}

/* What a folder without a model has instead may be what was meant. */
static const char *suggest_file(const char *path, char text[200]) {
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_onnx_entry, by_bytes), file = 0;
    while (file < count && !folder_has(path, entries[file]->d_name))
        file++;
    text[0] = '\0';
    if (file < count)
        snprintf(text, 200, "; give the file '%.100s' itself, or call it " GRAPH_FILE,
                 entries[file]->d_name);
    else if (count > 0)
        snprintf(text, 200, "; '%.100s' in it is a folder, or a link that leads to no file",
                 entries[0]->d_name);
    free_entries(entries, count);
    return text;
}

static model_code visit_model(const char *name, const char *path, source_list *list,
                              model_error *err) {
    size_t first = list->count, warnings = list->warnings.count;
    char instead[200];
    model_code code = sources_of_path(name, path, list, err);
    if (code == MODEL_OK && list->count == first && list->warnings.count == warnings)
        warnings_add(&list->warnings,
                     "folder '%.400s' is passed over: it holds neither " GRAPH_FILE
                     " nor VERSION/" GRAPH_FILE "%s",
                     path, suggest_file(path, instead));
    if (code == MODEL_OK && list->count > first) code = model_name_check(name, err);
    return code;
}

/* `directory`, in which `none` was found, is not one of models but a model's own. */
static bool is_model_folder(const char *directory, bool none) {
    static const char inner[] = GRAPH_FOLDER "/" GRAPH_FILE;
    return (none && folder_has(directory, GRAPH_FILE)) ||
           (folder_has(directory, inner) && has_description(directory));
}

model_code sources_of_directory(const char *directory, source_list *list, model_error *err) {
    size_t first = list->count, warnings = list->warnings.count;
    warn_of_loose_files(directory, true, list);
    model_code code = each_folder(directory, visit_model, NULL, list, err);
    bool none = code == MODEL_OK && list->count == first;
    bool itself = code == MODEL_OK && is_model_folder(directory, none);
    warn_of_loose_files(directory, false, list);
    if (itself)
        return model_fail(err, MODEL_INVALID,
                          "folder '%.300s' is a model's own, not one of models; give it as --model "
                          "NAME=%.300s",
                          directory, directory);
    if (none && list->warnings.count > warnings)
        return model_fail(err, MODEL_INVALID, "folder '%.200s' holds no models: %s", directory,
                          list->warnings.lines[warnings]);
    if (none)
        return model_fail(err, MODEL_INVALID,
                          "folder '%.400s' holds no models (NAME/" GRAPH_FILE
                          " or NAME/VERSION/" GRAPH_FILE ")",
                          directory);
    return code;
}

static model_code sources_of_builtin(const char *name, const builtin_model *builtin,
                                     source_list *list, model_error *err) {
    model_source source = {
        .name = strdup(name),
        .version = 1,
        .graph = strdup(GRAPH_FILE),
        .config = true,
        .builtin = builtin,
    };
    return append(list, &source, err);
}

const builtin_model *builtin_find(const char *name) {
    for (const builtin_model *builtin = builtin_models; builtin->name; builtin++)
        if (strcmp(builtin->name, name) == 0) return builtin;
    return NULL;
}

size_t model_builtin_count(void) {
    size_t count = 0;
    while (builtin_models[count].name)
        count++;
    return count;
}

const char *model_builtin_name(size_t index) {
    return builtin_models[index].name;
}

static const char *builtin_name_at(const void *list, size_t index) {
    return ((const builtin_model *)list)[index].name;
}

static model_code no_such_model(const char *spec, model_error *err) {
    char near[600];
    return model_fail(err, MODEL_INVALID, "'%.200s' is neither a file nor a folder%s", spec,
                      names_suggest(spec, builtin_models, model_builtin_count(), builtin_name_at,
                                    near, sizeof near));
}

static model_code refuse_folder(const char *path, const source_list *list, model_error *err) {
    size_t count = list->warnings.count;
    char file[200], instead[400];
    if (count > 0)
        snprintf(instead, sizeof instead, "; %s", list->warnings.lines[count - 1]);
    else
        snprintf(instead, sizeof instead, "%s", suggest_file(path, file));
    return model_fail(err, MODEL_INVALID,
                      "folder '%.400s' holds neither " GRAPH_FILE " nor VERSION/" GRAPH_FILE "%s",
                      path, instead);
}

static model_code sources_of_existing(const char *name, const char *path, source_list *list,
                                      model_error *err) {
    size_t first = list->count;
    char *own = name ? NULL : source_name_of_path(path);
    if (!name && !own) return model_fail_memory(err);
    model_code code = sources_of_path(name ? name : own, path, list, err);
    free(own);
    if (code == MODEL_OK && list->count == first) code = refuse_folder(path, list, err);
    return code;
}

model_code sources_of_spec(const char *name, const char *spec, source_list *list,
                           model_error *err) {
    struct stat status;
    const builtin_model *builtin = builtin_find(spec);
    if (builtin) return sources_of_builtin(name ? name : spec, builtin, list, err);
    if (stat(spec, &status) == 0) return sources_of_existing(name, spec, list, err);
    return errno == ENOENT ? no_such_model(spec, err)
                           : model_fail(err, MODEL_INVALID, "'%.400s' cannot be read: %s", spec,
                                        strerror(errno));
}
