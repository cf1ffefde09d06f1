/*
 * The files of one model version, from a folder or from the program's own read-only data.
 *
 * Only loading reads through this; nothing is kept open. Files from outside have a largest size.
 */
#include "models/source.h"

#include "common/text.h"
#include "models/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *source_describe(const model_source *source, const char *file, char *buffer,
                            size_t size) {
    if (source->builtin)
        snprintf(buffer, size, "%s of built-in model '%s'", file, source->builtin->name);
    else
        snprintf(buffer, size, "%s/%s", source->folder, file);
    return buffer;
}

static void builtin_read(const builtin_model *builtin, const char *name, source_file *out) {
    for (const builtin_file *file = builtin->files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            *out = (source_file){.bytes = (const char *)file->bytes,
                                 .size = (size_t)(file->end - file->bytes)};
}

/* Reads `size` bytes of an open file; false with errno set, or 0 if it ends early. */
static bool read_whole(int fd, char *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, bytes + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            errno = got < 0 ? errno : 0;
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static model_code folder_read(const char *path, size_t limit, source_file *out, model_error *err) {
    model_code code = MODEL_OK;
    char *bytes = NULL;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return MODEL_OK;
    if (fd < 0 || fstat(fd, &status) != 0) {
        code = model_fail(err, MODEL_INVALID, "'%.400s' cannot be read: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        code = model_fail(err, MODEL_INVALID, "'%.400s' is no file", path);
    } else if ((size_t)status.st_size > limit) {
        code = model_fail(err, MODEL_INVALID, "'%.400s' is larger than %zu bytes", path, limit);
    } else if (!(bytes = malloc((size_t)status.st_size + 1))) {
        code = model_fail_memory(err);
    } else if (!read_whole(fd, bytes, (size_t)status.st_size)) {
        code = model_fail(err, MODEL_INVALID, "'%.400s' cannot be read: %s", path,
                          errno ? strerror(errno) : "it ends early");
    } else {
        *out = (source_file){.bytes = bytes, .size = (size_t)status.st_size, .memory = bytes};
        bytes = NULL;
    }
    free(bytes);
    if (fd >= 0) close(fd);
    return code;
}

model_code source_read(const model_source *source, const char *name, size_t limit, source_file *out,
                       model_error *err) {
    *out = (source_file){0};
    if (source->builtin) {
        builtin_read(source->builtin, name, out);
        return MODEL_OK;
    }
    char *path;
    if (asprintf(&path, "%s/%s", source->folder, name) < 0) return model_fail_memory(err);
    model_code code = folder_read(path, limit, out, err);
    free(path);
    return code;
}

/* Replaces the content by what it is as UTF-8. */
static const char *decode(source_file *file) {
    decoded_text text;
    const char *wrong = file->bytes ? text_decode(file->bytes, file->size, &text) : NULL;
    if (!file->bytes || wrong) return wrong;
    file->bytes = text.bytes;
    file->size = text.size;
    if (!text.memory) return NULL;
    free(file->memory);
    file->memory = text.memory;
    return NULL;
}

model_code source_read_text(const model_source *source, const char *name, size_t limit,
                            source_file *out, model_error *err) {
    char where[512];
    source_file file;
    model_code code = source_read(source, name, limit, &file, err);
    const char *wrong = code == MODEL_OK ? decode(&file) : NULL;
    if (wrong) {
        source_file_free(&file);
        return model_fail(err, MODEL_INVALID, "%s %s",
                          source_describe(source, name, where, sizeof where), wrong);
    }
    *out = file;
    return code;
}

void source_file_free(source_file *file) {
    if (!file) return;
    free(file->memory);
    *file = (source_file){0};
}

static model_code load_builtin(const model_source *source, cnn_runtime *rt, cnn_model **out,
                               cnn_error *err) {
    source_file file;
    source_read(source, source->graph, SIZE_MAX, &file, NULL);
    return cnn_model_load_static(rt, file.bytes, file.size, out, err) == CNN_OK ? MODEL_OK
                                                                                : MODEL_INVALID;
}

/* The file at `path` with this suffix is what `git clone` leaves of a large file without Git LFS.
 */
static bool is_lfs_pointer(const char *path, const char *suffix) {
    static const char head[] = "version https://git-lfs.github.com/spec/";
    char name[PATH_MAX], found[sizeof head - 1];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is =
        fd >= 0 && read_whole(fd, found, sizeof found) && memcmp(found, head, sizeof found) == 0;
    if (fd >= 0) close(fd);
    return is;
}

/* A graph, or the external data that exporters write beside it, that has not been fetched. */
static model_code check_fetched(const char *path, model_error *err) {
    static const char *const suffixes[] = {"", "_data", ".data"};
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++)
        if (is_lfs_pointer(path, suffixes[i]))
            return model_fail(
                err, MODEL_INVALID,
                "%.400s%s is a pointer of Git LFS, not the file itself; fetch it with "
                "'git lfs pull'",
                path, suffixes[i]);
    return MODEL_OK;
}

model_code source_load_graph(const model_source *source, cnn_runtime *rt, cnn_model **out,
                             model_error *err) {
    char where[512];
    cnn_error engine = {0};
    char *path = NULL;
    model_code code;
    if (source->builtin) {
        code = load_builtin(source, rt, out, &engine);
    } else if (asprintf(&path, "%s/%s", source->folder, source->graph) < 0) {
        return model_fail_memory(err);
    } else if ((code = check_fetched(path, err)) != MODEL_OK) {
        free(path);
        return code;
    } else {
        code = cnn_model_load_file(rt, path, out, &engine) == CNN_OK ? MODEL_OK : MODEL_INVALID;
    }
    free(path);
    if (code == MODEL_OK) return code;
    source_describe(source, source->graph, where, sizeof where);
    if (strncmp(engine.message, where, strlen(where)) == 0) /* that is said already */
        return model_fail(err, code, "%s", engine.message);
    return model_fail(err, code, "%s: %s", where, engine.message);
}

void source_free(model_source *source) {
    if (!source) return;
    free(source->name);
    free(source->folder);
    free(source->graph);
    *source = (model_source){0};
}

void source_list_free(source_list *list) {
    if (!list) return;
    for (size_t i = 0; i < list->count; i++)
        source_free(&list->items[i]);
    free(list->items);
    warnings_free(&list->warnings);
    *list = (source_list){0};
}
