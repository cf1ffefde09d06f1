/*
 * fuzz_onnx.c: bytes of unknown origin as a model: load, bind, rewrite; and as a tensor file.
 *
 * With AddressSanitizer it also checks how much memory that takes at any time: no more than
 * docs/model-folder.md promises.
 *
 * The tests build it with replay.c. For libFuzzer, to be seeded with small models:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DFUZZER ...
 */
#include "fuzz/replay.h"
#include "graph/fold.h"
#include "onnx/onnx.h"
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- memory ------------------------------------------------------------------------------- */

/* Of a model's file and what is made of it, without computed constants. */
#define MEMORY_ALLOWANCE ((size_t)16 << 20)
#define MEMORY_MULTIPLE  64

/* NULL without AddressSanitizer; nothing is counted then. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *))
    __attribute__((weak));
size_t __sanitizer_get_allocated_size(const volatile void *memory) __attribute__((weak));

static ptrdiff_t in_use, peak; /* since counting began */

static void on_malloc(const volatile void *memory, size_t size) {
    (void)memory;
    in_use += (ptrdiff_t)size;
    if (in_use > peak) peak = in_use;
}

static void on_free(const volatile void *memory) {
    if (memory) in_use -= (ptrdiff_t)__sanitizer_get_allocated_size(memory);
}

static void count_memory(void) {
    static bool counting;
    if (!counting && __sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    counting = true;
}

/* `before` was in use; `g` (NULL: it did not get that far) has had constants computed. */
static void check_memory(ptrdiff_t before, size_t size, const graph *g) {
    size_t limit = MEMORY_ALLOWANCE + MEMORY_MULTIPLE * size;
    if (g) limit += FOLDING_ALLOWANCE + FOLDING_MULTIPLE * size - g->budget.bytes;
    if (peak - before > (ptrdiff_t)limit) abort();
}

/* ---- models and tensors ------------------------------------------------------------------- */

/* A status and its message belong together. */
static void check(cnn_status status, const cnn_error *err) {
    if (status == CNN_OK) return;
    if (err->status != status || !err->message[0] || strchr(err->message, '\n') ||
        !cnn_utf8_valid(err->message, strlen(err->message)))
        abort();
}

static stored_file *make_file(const uint8_t *data, size_t size) {
    stored_file *file = NULL;
    int fd = memfd_create("model", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        stored_file_create(fd, "model", &file, NULL) != CNN_OK)
        abort();
    return file;
}

/* `file` (NULL: none) holds the same bytes. */
static void try_model(const uint8_t *data, size_t size, stored_file *file) {
    cnn_error err = {0};
    graph *g = NULL, *copy = NULL;
    count_memory();
    ptrdiff_t before = peak = in_use;
    cnn_status status = onnx_load(data, size, file, NULL, &g, &err);
    check(status, &err);
    check_memory(before, size, g);
    if ((status == CNN_OK) != (g != NULL)) abort();
    if (status != CNN_OK) return;
    if (graph_clone(g, &copy, NULL) != CNN_OK) abort();
    graph_free(g);
    status = graph_load_constants(copy, 1, &err);
    if (status == CNN_OK) status = graph_bind(copy, NULL, &err);
    if (status == CNN_OK) status = passes_run(copy, 0, &err);
    check(status, &err);
    check_memory(before, size, copy);
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
    stored_file *file = make_file(data, size);
    try_model(data, size, NULL);
    try_model(data, size, file);
    stored_file_unref(file);
    try_tensor(data, size);
    return 0;
}

#ifndef FUZZER
/* y = x has another size than 0 ? -x : |x|, by Size, Cast and If. */
static const char with_if[] =
    "\x08\x08:\xb4\x01\x0a\x0c\x0a\x01x\x12\x01n\x22\x04Size\x0a\x17\x0a\x01n\x12\x01\x63"
    "\x22\x04\x43\x61st*\x09\x0a\x02to\x18\x09\xa0\x01\x02\x0ah\x0a\x01\x63\x12\x01y\x22"
    "\x02If*-\x0a\x0b\x65lse_branch2\x1b\x0a\x0b\x0a\x01x\x12\x01o\x22\x03\x41\x62s\x12"
    "\x01\x62\x62\x09\x0a\x01o\x12\x04\x0a\x02\x08\x01\xa0\x01\x05*-\x0a\x0bthen_branch2"
    "\x1b\x0a\x0b\x0a\x01x\x12\x01o\x22\x03Neg\x12\x01\x62\x62\x09\x0a\x01o\x12\x04\x0a"
    "\x02\x08\x01\xa0\x01\x05\x12\x01gZ\x13\x0a\x01x\x12\x0e\x0a\x0c\x08\x01\x12\x08\x0a"
    "\x02\x08\x01\x0a\x02\x08\x02\x62\x09\x0a\x01y\x12\x04\x0a\x02\x08\x01\x42\x04\x0a"
    "\x00\x10\x0d";

/* y = G(x), a function that calls another one twice, once with an attribute. */
static const char with_functions[] =
    "\x08\x08:1\x0a\x0c\x0a\x01x\x12\x01y\x22\x01G:\x01m\x12\x01gZ\x13\x0a\x01x\x12\x0e"
    "\x0a\x0c\x08\x01\x12\x08\x0a\x02\x08\x01\x0a\x02\x08\x02\x62\x09\x0a\x01y\x12\x04"
    "\x0a\x02\x08\x01\x42\x04\x0a\x00\x10\x0d\x42\x05\x0a\x01m\x10\x01\xca\x01H\x0a\x01"
    "\x46\x22\x01\x61*\x01\x62\x32\x01s:!\x0a\x01\x61\x12\x01t\x22\x09LeakyRelu*\x0e\x0a"
    "\x05\x61lpha\xa0\x01\x01\xaa\x01\x01s:\x0e\x0a\x01t\x0a\x01\x61\x12\x01\x62\x22\x03"
    "\x41\x64\x64J\x04\x0a\x00\x10\x0dR\x01m\xca\x01\x42\x0a\x01G\x22\x01\x61*\x01\x62:"
    "\x19\x0a\x01\x61\x12\x01t\x22\x01\x46*\x0b\x0a\x01s\x15\x00\x00\x00\x3f\xa0\x01\x01:"
    "\x01m:\x0c\x0a\x01t\x12\x01\x62\x22\x01\x46:\x01mJ\x04\x0a\x00\x10\x0dJ\x05\x0a\x01m"
    "\x10\x01R\x01m";

const replay_plan replay = {
    .seeds = (const replay_seed[]){{with_if, sizeof with_if - 1},
                                   {with_functions, sizeof with_functions - 1}},
    .seed_count = 2,
    .folders = (const char *const[]){"onnx-conformance/node", "onnx-conformance/simple",
                                     "onnx-conformance/pytorch-converted",
                                     "onnx-conformance/pytorch-operator", "models/mnist-cntk"},
    .folder_count = 5,
    .mutations = 2000,
};
#endif
