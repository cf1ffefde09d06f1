/*
 * External data: weights in a file beside the model.
 *
 * The location comes from the model file, so it is held within the model's directory: it must be
 * relative without "..", and after symbolic links are resolved it must still lie there. (Links that
 * stay within, as Kubernetes makes them for mounted volumes, work.) Offset and length are checked
 * against the file. The tensors stay in it (graph/stored.c).
 */
#include "onnx/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct place {
    const char *location;
    uint64_t offset, length;
    bool has_length;
} place;

static bool parse_number(const char *text, uint64_t *out) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > INT64_MAX)
        return false;
    *out = value;
    return true;
}

static cnn_status read_place(const Onnx__TensorProto *proto, const char *label, place *out,
                             cnn_error *err) {
    place p = {0};
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const char *key = onnx_text(proto->external_data[i]->key);
        const char *value = onnx_text(proto->external_data[i]->value);
        bool ok = true;
        if (strcmp(key, "location") == 0) {
            p.location = value;
        } else if (strcmp(key, "offset") == 0) {
            ok = parse_number(value, &p.offset);
        } else if (strcmp(key, "length") == 0) {
            ok = parse_number(value, &p.length);
            p.has_length = true;
        }
        if (!ok)
            return cnn_fail(err, CNN_INVALID_MODEL,
                            "%s: external data has the %s '%.40s', which is no number", label, key,
                            value);
    }
    if (!p.location)
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: external data has no location", label);
    *out = p;
    return CNN_OK;
}

/* Relative, not empty, and no component is "..". */
static bool stays_below(const char *location) {
    if (location[0] == '\0' || location[0] == '/') return false;
    for (const char *part = location; part;) {
        const char *end = strchrnul(part, '/');
        if (end - part == 2 && part[0] == '.' && part[1] == '.') return false;
        part = *end ? end + 1 : NULL;
    }
    return true;
}

/* The resolved path of the file, to be freed; NULL if it is missing (*escapes false) or outside. */
static char *resolve(const char *directory, const char *location, bool *escapes) {
    char *root = realpath(directory[0] ? directory : ".", NULL), *joined = NULL, *path = NULL;
    *escapes = false;
    if (!root || asprintf(&joined, "%s/%s", root, location) < 0) goto done;
    path = realpath(joined, NULL);
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (path &&
        (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))) {
        *escapes = true;
        free(path);
        path = NULL;
    }
    free(joined);
done:
    free(root);
    return path;
}

static cnn_status open_file(const char *directory, const char *location, const char *label,
                            int *out, cnn_error *err) {
    bool escapes;
    if (!stays_below(location))
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "%s: external data '%.100s' must be named relative to the model, without "
                        "'..'",
                        label, location);
    char *path = resolve(directory, location, &escapes);
    if (escapes)
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "%s: external data '%.100s' lies outside the model's directory", label,
                        location);
    /* O_NONBLOCK, so that a FIFO does not hang us. */
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    int why = errno;
    free(path);
    if (fd < 0)
        return cnn_fail(err, CNN_IO, "%s: external data '%.100s' cannot be opened: %s", label,
                        location, strerror(why));
    *out = fd;
    return CNN_OK;
}

static cnn_status check_place(const stored_file *file, const place *p, size_t bytes,
                              const char *label, cnn_error *err) {
    if (p->has_length && p->length != bytes)
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "%s: external data has %" PRIu64 " bytes, but the shape needs %zu", label,
                        p->length, bytes);
    uint64_t size = stored_file_size(file);
    if (p->offset > size || bytes > size - p->offset)
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "%s: %zu bytes at offset %" PRIu64
                        " of external data '%.100s' reach beyond "
                        "its end at %" PRIu64,
                        label, bytes, p->offset, p->location, size);
    return CNN_OK;
}

void onnx_external_close(onnx_source *source) {
    stored_file_unref(source->external);
    free(source->external_location);
    source->external = NULL;
    source->external_location = NULL;
}

/* Makes source->external the file at `location`, where it mostly is already. */
static cnn_status find_file(onnx_source *source, const char *location, const char *label,
                            cnn_error *err) {
    int fd;
    if (source->external && strcmp(source->external_location, location) == 0) return CNN_OK;
    onnx_external_close(source);
    cnn_status status = open_file(source->directory, location, label, &fd, err);
    if (status != CNN_OK) return status;
    char name[160];
    snprintf(name, sizeof name, "%s: external data '%.100s'", label, location);
    status = stored_file_create(fd, name, &source->external, err);
    if (status == CNN_OK && !(source->external_location = strdup(location)))
        status = cnn_fail_memory(err, strlen(location));
    source->external_count++;
    if (status != CNN_OK) onnx_external_close(source);
    return status;
}

cnn_status onnx_external(onnx_source *source, const Onnx__TensorProto *proto, const char *label,
                         size_t bytes, stored_file **file, uint64_t *offset, cnn_error *err) {
    place p = {0};
    if (!source->directory)
        return cnn_fail(err, CNN_UNSUPPORTED,
                        "%s: its data lies in another file, which only a model that is loaded from "
                        "a file can name",
                        label);
    if (bytes > source->bytes_left)
        return cnn_fail(err, CNN_LIMIT, "%s: the model's external data exceeds %zu bytes", label,
                        ONNX_MAX_EXTERNAL_BYTES);
    cnn_status status = read_place(proto, label, &p, err);
    if (status == CNN_OK) status = find_file(source, p.location, label, err);
    if (status == CNN_OK) status = check_place(source->external, &p, bytes, label, err);
    if (status != CNN_OK) return status;
    source->bytes_left -= bytes;
    *file = stored_file_ref(source->external);
    *offset = p.offset;
    return CNN_OK;
}
