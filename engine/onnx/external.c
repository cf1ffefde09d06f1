/*
 * External data: weights in a file beside the model.
 *
 * The location comes from the model file, so it is held within the model's directory: it must be
 * relative without "..", and after symbolic links are resolved it must still lie there. (Links that
 * stay within, as Kubernetes makes them for mounted volumes, work.) Offset and length are checked
 * against the file before anything is allocated.
 */
#include "onnx/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static cnn_status check_place(int fd, const place *p, size_t bytes, const char *label,
                              cnn_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return cnn_fail(err, CNN_IO, "%s: external data '%.100s' is no regular file", label,
                        p->location);
    if (p->has_length && p->length != bytes)
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "%s: external data has %" PRIu64 " bytes, but the shape needs %zu", label,
                        p->length, bytes);
    uint64_t size = (uint64_t)st.st_size;
    if (p->offset > size || bytes > size - p->offset)
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "%s: %zu bytes at offset %" PRIu64
                        " of external data '%.100s' reach beyond "
                        "its end at %" PRIu64,
                        label, bytes, p->offset, p->location, size);
    return CNN_OK;
}

static cnn_status read_all(int fd, const place *p, size_t bytes, const char *label, char *data,
                           cnn_error *err) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, data + done, bytes - done, (off_t)(p->offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return cnn_fail(err, CNN_IO, "%s: external data '%.100s' cannot be read: %s", label,
                            p->location, n < 0 ? strerror(errno) : "it became shorter meanwhile");
        done += (size_t)n;
    }
    return CNN_OK;
}

cnn_status onnx_external(onnx_source *source, const Onnx__TensorProto *proto, const char *label,
                         size_t bytes, void **out, cnn_error *err) {
    place p = {0};
    void *data = NULL;
    int fd = -1;
    if (!source->directory)
        return cnn_fail(err, CNN_UNSUPPORTED,
                        "%s: its data lies in another file, which only a model that is loaded from "
                        "a file can name",
                        label);
    if (bytes > source->bytes_left)
        return cnn_fail(err, CNN_LIMIT, "%s: the model's external data exceeds %zu bytes", label,
                        ONNX_MAX_EXTERNAL_BYTES);
    cnn_status status = read_place(proto, label, &p, err);
    if (status == CNN_OK) status = open_file(source->directory, p.location, label, &fd, err);
    if (status == CNN_OK) status = check_place(fd, &p, bytes, label, err);
    if (status == CNN_OK && !(data = cnn_alloc_aligned(bytes)))
        status = cnn_fail_memory(err, bytes);
    if (status == CNN_OK) status = read_all(fd, &p, bytes, label, data, err);
    if (fd >= 0) close(fd);
    if (status != CNN_OK) {
        free(data);
        return status;
    }
    source->bytes_left -= bytes;
    *out = data;
    return CNN_OK;
}
