/*
 * Finding models: what a path, a folder of models, or the program itself holds.
 *
 * Only names are looked at here; whether the files are any good shows when they are loaded. Folders
 * are read in sorted order, so that the first error does not depend on the file system.
 */
#include "common/names.h"
#include "models/internal.h"
#include "models/source.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define GRAPH_FILE "model.onnx"

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

static model_code append_folder(source_list *list, const char *name, int64_t version,
                                const char *folder, const char *graph, model_error *err) {
    model_source source = {
        .name = strdup(name),
        .version = version,
        .folder = strdup(folder),
        .graph = strdup(graph),
        .config = strcmp(graph, GRAPH_FILE) == 0,
    };
    return append(list, &source, err);
}

/* What stands before "/NAME": "" for a file of the root. */
static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
}

char *source_name_of_path(const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    const char *extension = ".onnx";
    size_t dot = strlen(extension);
    if (end - start > dot && strncasecmp(path + end - dot, extension, dot) == 0) {
        if (strncmp(path + start, GRAPH_FILE, end - start) == 0 && start > 1)
            return source_name_of_path(strndupa(path, start));
        end -= dot;
    }
    return strndup(path + start, end - start);
}

static model_code sources_of_file(const char *name, const char *path, source_list *list,
                                  model_error *err) {
    const char *slash = strrchr(path, '/');
    char *folder = parent_of(path);
    model_code code = folder ? append_folder(list, name, 1, folder, slash ? slash + 1 : path, err)
                             : model_fail_memory(err);
    free(folder);
    return code;
}

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

static model_code visit_version(const char *name, const char *path, source_list *list,
                                model_error *err) {
    int64_t version = version_of(strrchr(path, '/') + 1);
    if (version == 0 || !folder_has(path, GRAPH_FILE)) return MODEL_OK;
    return append_folder(list, name, version, path, GRAPH_FILE, err);
}

model_code sources_of_path(const char *name, const char *path, source_list *list,
                           model_error *err) {
    if (!is_directory(path)) return sources_of_file(name, path, list, err);
    size_t first = list->count;
    model_code code = MODEL_OK;
    if (folder_has(path, GRAPH_FILE)) code = append_folder(list, name, 1, path, GRAPH_FILE, err);
    if (code == MODEL_OK) code = each_folder(path, visit_version, name, list, err);
    if (code != MODEL_OK || list->count == first) return code;
    qsort(list->items + first, list->count - first, sizeof *list->items, by_version);
    for (size_t i = first + 1; i < list->count; i++)
        if (list->items[i - 1].version == list->items[i].version)
            return model_fail(err, MODEL_INVALID,
                              "model folder '%.400s' has version 1 twice: " GRAPH_FILE
                              " and 1/" GRAPH_FILE,
                              path);
    return MODEL_OK;
}

/* ---- folders of models -------------------------------------------------------------------- */

/* How many entries of a folder of models that are passed over are named. */
#define LOOSE_NAMED 10

/* Characters before ".onnx"; 0: it is no such name. */
static int graph_stem(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && strcasecmp(dot, ".onnx") == 0 ? (int)(dot - name) : 0;
}

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

static model_code visit_model(const char *name, const char *path, source_list *list,
                              model_error *err) {
    size_t first = list->count, warnings = list->warnings.count;
    model_code code = sources_of_path(name, path, list, err);
    if (code == MODEL_OK && list->count == first && list->warnings.count == warnings)
        warnings_add(&list->warnings,
                     "folder '%.400s' is passed over: it holds neither " GRAPH_FILE
                     " nor VERSION/" GRAPH_FILE,
                     path);
    if (code == MODEL_OK && list->count > first) code = model_name_check(name, err);
    return code;
}

model_code sources_of_directory(const char *directory, source_list *list, model_error *err) {
    size_t first = list->count, warnings = list->warnings.count;
    warn_of_loose_files(directory, true, list);
    model_code code = each_folder(directory, visit_model, NULL, list, err);
    bool none = code == MODEL_OK && list->count == first;
    warn_of_loose_files(directory, false, list);
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

static model_code sources_of_existing(const char *name, const char *path, source_list *list,
                                      model_error *err) {
    size_t first = list->count;
    char *own = name ? NULL : source_name_of_path(path);
    if (!name && !own) return model_fail_memory(err);
    model_code code = sources_of_path(name ? name : own, path, list, err);
    free(own);
    if (code == MODEL_OK && list->count == first)
        code = model_fail(err, MODEL_INVALID,
                          "folder '%.400s' holds neither model.onnx nor VERSION/model.onnx", path);
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
