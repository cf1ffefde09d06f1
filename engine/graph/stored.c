/*
 * Constants that stay in their file until a graph is to be computed with. (A program's own data
 * counts as a file, too.)
 *
 * Once weights are packed nobody needs the originals, until another plan is compiled; so a model
 * keeps its files open instead, and reads. It does not map them: a mapped file that somebody cuts
 * short kills who reads it, and in an ONNX file elements are not aligned. An open file stays the
 * same when another one takes its name, as deployments do. One that was written to in place is
 * refused: if its time has changed, what is read again must have the checksum (XXH3, Yann Collet)
 * that it had first. So a file may be touched, or written with what it holds already.
 */
#include "base/parallel.h"
#include "graph/derived.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct stored_file {
    atomic_int refs;
    int fd; /* -1: not a file but `bytes` */
    const char *bytes;
    char *path;
    size_t size;
    struct timespec modified;
};

cnn_status stored_file_create(int fd, const char *path, stored_file **out, cnn_error *err) {
    struct stat st;
    stored_file *f = NULL;
    cnn_status status = CNN_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = cnn_fail(err, CNN_IO, "%s is not a regular file", path);
    else if (!(f = calloc(1, sizeof(*f))) || !(f->path = strdup(path)))
        status = cnn_fail_memory(err, sizeof(*f) + strlen(path));
    if (status != CNN_OK) {
        free(f);
        close(fd);
        return status;
    }
    atomic_init(&f->refs, 1);
    f->fd = fd;
    f->size = (size_t)st.st_size;
    f->modified = st.st_mtim;
    *out = f;
    return CNN_OK;
}

cnn_status stored_file_of_memory(const void *bytes, size_t size, stored_file **out,
                                 cnn_error *err) {
    stored_file *f = calloc(1, sizeof(*f));
    if (!f) return cnn_fail_memory(err, sizeof(*f));
    atomic_init(&f->refs, 1);
    f->fd = -1;
    f->bytes = bytes;
    f->size = size;
    *out = f;
    return CNN_OK;
}

stored_file *stored_file_ref(stored_file *f) {
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void stored_file_unref(stored_file *f) {
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1) return;
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    free(f);
}

int stored_file_fd(const stored_file *f) {
    return f->fd;
}

size_t stored_file_size(const stored_file *f) {
    return f->size;
}

/* ---- reading ---- */

/* A part of a tensor: `bytes` from `offset` of the file, to `to`. */
typedef struct chunk {
    const stored_file *file;
    uint64_t offset;
    char *to;
    size_t bytes;
    _Atomic uint64_t *sum; /* of these bytes when they were read first; 0: they have not been */
    int failed;            /* errno; -1: the file is not what it was */
} chunk;

/* Whether what has been read is what the file held when it was opened. */
static bool is_unchanged(const chunk *c) {
    const struct timespec *then = &c->file->modified;
    struct stat now;
    if (fstat(c->file->fd, &now) != 0 || (size_t)now.st_size != c->file->size) return false;
    bool untouched = now.st_mtim.tv_sec == then->tv_sec && now.st_mtim.tv_nsec == then->tv_nsec;
    uint64_t first = atomic_load(c->sum);
    if (untouched && first) return true;
    uint64_t sum = XXH3_64bits(c->to, c->bytes) | 1;
    if (untouched) atomic_store(c->sum, sum);
    return untouched || sum == first;
}

static void read_chunk(void *chunks, size_t index) {
    chunk *c = (chunk *)chunks + index;
    if (c->file->bytes) {
        memcpy(c->to, c->file->bytes + c->offset, c->bytes);
        return;
    }
    for (size_t done = 0; done < c->bytes && !c->failed;) {
        ssize_t n = pread(c->file->fd, c->to + done, c->bytes - done, (off_t)(c->offset + done));
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            c->failed = n == 0 ? -1 : errno;
    }
    if (!c->failed && !is_unchanged(c)) c->failed = -1;
}

typedef struct reading {
    chunk *chunks;
    size_t count, capacity;
    tensor **tensors; /* references to what is read, whose checksums the chunks point to */
    size_t tensor_count, tensor_capacity;
} reading;

static void reading_free(reading *r) {
    for (size_t i = 0; i < r->tensor_count; i++)
        tensor_unref(r->tensors[i]);
    free(r->tensors);
    free(r->chunks);
}

/* Adds the chunks of `t` to what is to be read; `*out` is where to. */
static cnn_status prepare(reading *r, const tensor *t, tensor **out, cnn_error *err) {
    tensor *copy = NULL;
    cnn_status status = tensor_create(t->dtype, &t->shape, &copy, err);
    if (status != CNN_OK) return status;
    copy->file = stored_file_ref(t->file);
    copy->offset = t->offset;
    size_t wanted = r->count + DIV_UP(t->bytes, STORED_CHUNK);
    if (!cnn_grow((void **)&r->chunks, &r->capacity, wanted, sizeof(*r->chunks)) ||
        !cnn_grow((void **)&r->tensors, &r->tensor_capacity, r->tensor_count + 1,
                  sizeof(*r->tensors))) {
        tensor_unref(copy);
        return cnn_fail_memory(err, wanted * sizeof(*r->chunks));
    }
    r->tensors[r->tensor_count++] = tensor_ref((tensor *)t);
    for (size_t at = 0; at < t->bytes; at += STORED_CHUNK)
        r->chunks[r->count++] = (chunk){.file = t->file,
                                        .offset = t->offset + at,
                                        .to = (char *)copy->data + at,
                                        .sum = &t->sums[at / STORED_CHUNK],
                                        .bytes = MIN(STORED_CHUNK, t->bytes - at)};
    *out = copy;
    return CNN_OK;
}

static cnn_status read_all(reading *r, int threads, cnn_error *err) {
    cnn_parallel_for(threads, r->count, read_chunk, r->chunks);
    for (size_t i = 0; i < r->count; i++)
        if (r->chunks[i].failed)
            return cnn_fail(err, CNN_IO, "%s cannot be read: %s", r->chunks[i].file->path,
                            r->chunks[i].failed < 0 ? "it has changed since the model was loaded"
                                                    : strerror(r->chunks[i].failed));
    return CNN_OK;
}

cnn_status tensor_load(const tensor *t, tensor **out, cnn_error *err) {
    reading r = {0};
    tensor *copy = NULL;
    if (t->derived) return tensor_compute(t, out, err);
    cnn_status status = prepare(&r, t, &copy, err);
    if (status == CNN_OK) status = read_all(&r, 1, err);
    reading_free(&r);
    if (status != CNN_OK) {
        tensor_unref(copy);
        return status;
    }
    *out = copy;
    return CNN_OK;
}

cnn_status graph_read_constants(graph *g, int threads, cnn_error *err) {
    reading r = {0};
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->value_count; i++) {
        tensor *left = g->values[i].constant;
        if (!left || left->data || left->derived) continue;
        status = prepare(&r, left, &g->values[i].constant, err);
        if (status == CNN_OK) tensor_unref(left);
    }
    if (status == CNN_OK) status = read_all(&r, threads, err);
    reading_free(&r);
    return status;
}
