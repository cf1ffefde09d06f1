/*
 * fuzz_onnx.c: bytes of unknown origin as a model: load, bind, rewrite; and as a tensor file.
 *
 * Two ways to build it:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DFUZZER ...   libFuzzer; seed it with small
 *                                                                   models
 *   cc -g -O1 -fsanitize=address,undefined ...                      replays the files and folders
 *                                                                   given, for a corpus in CI
 */
#include "onnx/onnx.h"
#include "passes/passes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A status and its message belong together. */
static void check(cnn_status status, const cnn_error *err) {
    if (status == CNN_OK) return;
    if (err->status != status || !err->message[0] || strchr(err->message, '\n') ||
        !cnn_utf8_valid(err->message, strlen(err->message)))
        abort();
}

static void try_model(const uint8_t *data, size_t size) {
    cnn_error err = {0};
    graph *g = NULL, *copy = NULL;
    cnn_status status = onnx_load(data, size, NULL, &g, &err);
    check(status, &err);
    if ((status == CNN_OK) != (g != NULL)) abort();
    if (status != CNN_OK) return;
    if (graph_clone(g, &copy, NULL) != CNN_OK) abort();
    graph_free(g);
    status = graph_bind(copy, NULL, &err);
    if (status == CNN_OK) status = passes_run(copy, &err);
    check(status, &err);
    graph_free(copy);
}

static void try_tensor(const uint8_t *data, size_t size) {
    cnn_error err = {0};
    tensor *t = NULL;
    char *name = NULL;
    cnn_status status = onnx_read_tensor(data, size, &t, &name, &err);
    check(status, &err);
    if ((status == CNN_OK) != (t != NULL) || (t != NULL) != (name != NULL)) abort();
    for (size_t i = 0; t && i < t->elements; i++) {
        volatile double number = tensor_number(t, i); /* is the memory there? */
        (void)number;
    }
    tensor_unref(t);
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_model(data, size);
    try_tensor(data, size);
    return 0;
}

#ifndef FUZZER
#include <ftw.h>

static int replayed;

static int replay(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st;
    (void)where;
    if (type != FTW_F) return 0;
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        return 1;
    }
    long size = ftell(file);
    rewind(file);
    /* exactly as large as the file, so that a read past the end is seen */
    uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
    size_t got = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, got);
    free(bytes);
    replayed++;
    return 0;
}

static void replay_all(const char *path) {
    if (nftw(path, replay, 16, 0) == 0) return;
    fprintf(stderr, "cannot replay %s\n", path);
    exit(1);
}

/* Without arguments the small models of the test data; status 77 if there are none. */
int main(int argc, char **argv) {
    static const char *const folders[] = {"node", "simple", "pytorch-converted",
                                          "pytorch-operator"};
    char path[4096];
    const char *data = getenv("CNNSERVE_TEST_DATA");
    if (argc < 2 && !(data && *data)) {
        printf("skipped: CNNSERVE_TEST_DATA is not set\n");
        return 77;
    }
    for (size_t i = 0; argc < 2 && i < ARRAY_LENGTH(folders); i++) {
        snprintf(path, sizeof path, "%s/onnx-conformance/%s", data, folders[i]);
        replay_all(path);
    }
    for (int i = 1; i < argc; i++)
        replay_all(argv[i]);
    printf("%d files replayed\n", replayed);
    return replayed > 0 ? 0 : 1;
}
#endif
