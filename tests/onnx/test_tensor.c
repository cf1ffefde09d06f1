#include "onnx/internal.h"
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cnn_error err;

static Onnx__TensorProto *begin(int type, size_t rank, const int64_t *dims) {
    Onnx__TensorProto *t = calloc(1, sizeof *t);
    onnx__tensor_proto__init(t);
    t->name = text("t");
    t->has_data_type = 1;
    t->data_type = type;
    t->n_dims = rank;
    t->dims = copy_of(dims, rank * sizeof *dims);
    return t;
}

/* Packs and frees `t` and reads it back; NULL if that fails. */
static tensor *read_back(Onnx__TensorProto *t) {
    size_t size = protobuf_c_message_get_packed_size(&t->base);
    uint8_t *bytes = malloc(size + 1);
    protobuf_c_message_pack(&t->base, bytes);
    protobuf_c_message_free_unpacked(&t->base, NULL);
    tensor *out = NULL;
    char *name = NULL;
    err = (cnn_error){0};
    cnn_status status = onnx_read_tensor(bytes, size, &out, &name, &err);
    free(bytes);
    cr_assert_eq(status, err.status);
    cr_assert_eq(status == CNN_OK, out != NULL);
    if (out) cr_assert_str_eq(name, "t");
    free(name);
    return out;
}

static void expect_failure(Onnx__TensorProto *t, cnn_status status, const char *part) {
    cr_assert_null(read_back(t));
    cr_assert_eq(err.status, status, "%s", err.message);
    cr_assert(strstr(err.message, part), "'%s' lacks '%s'", err.message, part);
}

/* ---- where elements stand ---- */

Test(tensor, raw_data) {
    Onnx__TensorProto *t = begin(CNN_INT16, 2, (int64_t[]){2, 2});
    set_raw(t, (int16_t[]){1, -2, 3, -4}, 8);
    tensor *out = read_back(t);
    cr_assert(out->shape.rank == 2 && out->bytes == 8);
    cr_assert_eq(tensor_int(out, 3), -4);
    tensor_unref(out);
}

Test(tensor, large_raw_data_is_aligned) {
    enum { N = 5000 };
    float *data = malloc(N * sizeof *data);
    for (int i = 0; i < N; i++)
        data[i] = (float)i;
    Onnx__TensorProto *t = begin(CNN_FLOAT32, 1, (int64_t[]){N});
    set_raw(t, data, N * sizeof *data);
    tensor *out = read_back(t);
    cr_assert_eq((uintptr_t)out->data % CNN_ALIGN, 0);
    cr_assert_arr_eq(out->data, data, N * sizeof *data);
    tensor_unref(out);
    t = begin(CNN_FLOAT32, 1, (int64_t[]){N});
    t->n_float_data = N;
    t->float_data = data;
    out = read_back(t);
    cr_assert_eq((uintptr_t)out->data % CNN_ALIGN, 0);
    cr_assert_eq(tensor_number(out, N - 1), N - 1);
    tensor_unref(out);
}

Test(tensor, typed_lists) {
    static const cnn_dtype types[] = {CNN_FLOAT32, CNN_UINT8,  CNN_INT8,  CNN_UINT16,
                                      CNN_INT16,   CNN_INT32,  CNN_INT64, CNN_BOOL,
                                      CNN_FLOAT64, CNN_UINT32, CNN_UINT64};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        Onnx__TensorProto *t = begin((int)types[i], 1, (int64_t[]){2});
        switch (types[i]) {
        case CNN_FLOAT32:
            t->n_float_data = 2;
            t->float_data = copy_of((float[]){0, 1}, 8);
            break;
        case CNN_FLOAT64:
            t->n_double_data = 2;
            t->double_data = copy_of((double[]){0, 1}, 16);
            break;
        case CNN_INT64:
            t->n_int64_data = 2;
            t->int64_data = copy_of((int64_t[]){0, 1}, 16);
            break;
        case CNN_UINT32:
        case CNN_UINT64:
            t->n_uint64_data = 2;
            t->uint64_data = copy_of((uint64_t[]){0, 1}, 16);
            break;
        default:
            t->n_int32_data = 2;
            t->int32_data = copy_of((int32_t[]){0, 1}, 8);
        }
        tensor *out = read_back(t);
        cr_assert_not_null(out, "%s", err.message);
        cr_assert_eq(out->dtype, types[i]);
        cr_assert_eq(tensor_int(out, 0), 0, "%s", cnn_dtype_name(types[i]));
        cr_assert_eq(tensor_int(out, 1), 1, "%s", cnn_dtype_name(types[i]));
        tensor_unref(out);
    }
}

Test(tensor, halves_stand_in_the_int32_list) {
    Onnx__TensorProto *t = begin(CNN_FLOAT16, 1, (int64_t[]){2});
    t->n_int32_data = 2;
    t->int32_data = copy_of((int32_t[]){0x3C00, 0xC000}, 8);
    tensor *out = read_back(t);
    cr_assert_eq(tensor_number(out, 0), 1);
    cr_assert_eq(tensor_number(out, 1), -2);
    tensor_unref(out);
    t = begin(CNN_BFLOAT16, 1, (int64_t[]){1});
    t->n_int32_data = 1;
    t->int32_data = copy_of((int32_t[]){0x3F80}, 4);
    out = read_back(t);
    cr_assert_eq(tensor_number(out, 0), 1);
    tensor_unref(out);
}

Test(tensor, bools_are_0_and_1) {
    Onnx__TensorProto *t = begin(CNN_BOOL, 1, (int64_t[]){3});
    set_raw(t, "\x00\x02\xff", 3);
    tensor *out = read_back(t);
    cr_assert_arr_eq(out->data, "\x00\x01\x01", 3);
    tensor_unref(out);
}

Test(tensor, scalars_and_empty_tensors) {
    Onnx__TensorProto *t = begin(CNN_INT32, 0, NULL);
    t->n_int32_data = 1;
    t->int32_data = copy_of((int32_t[]){5}, 4);
    tensor *out = read_back(t);
    cr_assert(out->shape.rank == 0 && out->elements == 1);
    tensor_unref(out);
    out = read_back(begin(CNN_FLOAT32, 2, (int64_t[]){0, 3}));
    cr_assert_not_null(out, "%s", err.message);
    cr_assert_eq(out->elements, 0);
    tensor_unref(out);
}

Test(tensor, what_is_refused) {
    Onnx__TensorProto *t = begin(CNN_FLOAT32, 1, (int64_t[]){3});
    set_raw(t, "12345678", 8);
    expect_failure(t, CNN_INVALID_MODEL, "its shape needs 12 bytes, the file has 8");
    t = begin(CNN_FLOAT32, 1, (int64_t[]){3});
    t->n_float_data = 1;
    t->float_data = copy_of((float[]){1}, 4);
    expect_failure(t, CNN_INVALID_MODEL, "its shape needs 3 elements, the file has 1");
    expect_failure(begin(CNN_FLOAT32, 1, (int64_t[]){3}), CNN_INVALID_MODEL, "the file has 0");
    expect_failure(begin(CNN_FLOAT32, 1, (int64_t[]){-3}), CNN_LIMIT, "extent -3 of axis 0");
    expect_failure(begin(CNN_FLOAT32, 2, (int64_t[]){1 << 30, 1 << 30}), CNN_LIMIT, "larger than");
    expect_failure(begin(CNN_FLOAT32, 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}), CNN_LIMIT,
                   "9 dimensions");
    expect_failure(begin(CNN_STRING, 0, NULL), CNN_UNSUPPORTED, "element type string");
    expect_failure(begin(0, 0, NULL), CNN_UNSUPPORTED, "no type");
    expect_failure(begin(15, 0, NULL), CNN_UNSUPPORTED, "complex128");
    expect_failure(begin(-1, 0, NULL), CNN_INVALID_MODEL, "-1 is no element type");
    t = begin(CNN_FLOAT32, 1, (int64_t[]){1});
    t->has_segment = 1;
    expect_failure(t, CNN_UNSUPPORTED, "segments");
    t = begin(CNN_FLOAT32, 1, (int64_t[]){1});
    set_external(t, "location", "w.bin");
    expect_failure(t, CNN_UNSUPPORTED, "another file");
}

Test(tensor, every_truncation_fails) {
    Onnx__TensorProto *t = begin(CNN_FLOAT32, 1, (int64_t[]){4});
    set_raw(t, (float[]){1, 2, 3, 4}, 16);
    size_t size = protobuf_c_message_get_packed_size(&t->base);
    uint8_t *bytes = malloc(size);
    protobuf_c_message_pack(&t->base, bytes);
    protobuf_c_message_free_unpacked(&t->base, NULL);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = copy_of(bytes, cut);
        tensor *out = NULL;
        cr_assert_neq(onnx_read_tensor(part, cut, &out, NULL, &err), CNN_OK);
        cr_assert_null(out);
        free(part);
    }
    free(bytes);
}

/* ---- external data ---- */

static char directory[64];

static void make_file(const char *name, const void *bytes, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *out = fopen(path, "wb");
    cr_assert_not_null(out);
    cr_assert_eq(fwrite(bytes, 1, size, out), size);
    fclose(out);
}

/* DIR/model is the model's directory, DIR/secret lies outside. */
static void make_folders(void) {
    char path[128];
    strcpy(directory, "/tmp/cnn-external-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/model", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/model/sub", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    make_file("model/w.bin", (float[]){1, 2, 3, 4}, 16);
    make_file("model/sub/w.bin", (float[]){5, 6, 7, 8}, 16);
    make_file("secret", "0123456789abcdef", 16);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_folders(void) {
    cr_assert_eq(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Loads a model whose initializer (2 floats) is external; returns its first number, or -1. */
static double load_external(const char *location, const char *offset, const char *length) {
    char model_directory[128];
    snprintf(model_directory, sizeof model_directory, "%s/model", directory);
    file f = file_begin(13);
    Onnx__TensorProto *t = add_initializer(&f, "w", CNN_FLOAT32, 1, (int64_t[]){2});
    if (location) set_external(t, "location", location);
    if (offset) set_external(t, "offset", offset);
    if (length) set_external(t, "length", length);
    add_output(&f, "w", 0, NULL);
    graph *g = NULL;
    if (load_file(&f, model_directory, &g, &err) != CNN_OK) return -1;
    double first = tensor_number(g->values[g->outputs[0]].constant, 0);
    graph_free(g);
    return first;
}

TestSuite(external, .init = make_folders, .fini = remove_folders);

Test(external, reads_at_an_offset) {
    cr_assert_eq(load_external("w.bin", NULL, NULL), 1, "%s", err.message);
    cr_assert_eq(load_external("w.bin", "8", "8"), 3, "%s", err.message);
    cr_assert_eq(load_external("sub/w.bin", "0", NULL), 5, "%s", err.message);
    cr_assert_eq(load_external("./sub//w.bin", "4", NULL), 6, "%s", err.message);
}

static int open_files(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    cr_assert_not_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* As PyTorch writes what is above 2 GB. */
Test(external, a_file_for_each_tensor_does_not_stay_open) {
    static const float w[1024] = {1, 2};
    char name[32], path[64], model_directory[128];
    snprintf(model_directory, sizeof model_directory, "%s/model", directory);
    file f = file_begin(13);
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "w%d.bin", i);
        snprintf(path, sizeof path, "model/%s", name);
        size_t bytes = i % 2 ? sizeof w : 16; /* small ones are loaded in any case */
        make_file(path, w, bytes);
        int64_t count = (int64_t)(bytes / sizeof *w);
        set_external(add_initializer(&f, name, CNN_FLOAT32, 1, &count), "location", name);
        add_output(&f, name, 0, NULL);
    }
    graph *g = NULL;
    int before = open_files();
    cr_assert_eq(load_file(&f, model_directory, &g, &err), CNN_OK, "%s", err.message);
    cr_expect_leq(open_files(), before + ONNX_MAX_KEPT_FILES);
    cr_assert_eq(graph_load_constants(g, 1, &err), CNN_OK, "%s", err.message);
    for (size_t i = 0; i < g->output_count; i++)
        cr_expect_eq(tensor_number(g->values[g->outputs[i]].constant, 1), 2);
    graph_free(g);
    cr_expect_eq(open_files(), before);
}

static void refused(const char *location, const char *offset, const char *length,
                    const char *part) {
    cr_assert_eq(load_external(location, offset, length), -1, "%s", location);
    cr_assert(strstr(err.message, "initializer 'w'"), "%s", err.message);
    cr_assert(strstr(err.message, part), "'%s' lacks '%s'", err.message, part);
}

Test(external, stays_in_the_directory) {
    char path[256], target[256];
    snprintf(path, sizeof path, "%s/secret", directory);
    refused(path, NULL, NULL, "relative");
    refused("../secret", NULL, NULL, "relative");
    refused("sub/../../secret", NULL, NULL, "relative");
    refused("..", NULL, NULL, "relative");
    refused("", NULL, NULL, "relative");
    snprintf(path, sizeof path, "%s/model/link", directory);
    cr_assert_eq(symlink("../secret", path), 0);
    refused("link", NULL, NULL, "outside the model's directory");
    snprintf(path, sizeof path, "%s/model/up", directory);
    cr_assert_eq(symlink("..", path), 0);
    refused("up/secret", NULL, NULL, "outside the model's directory");
    /* A sibling whose name begins like the directory's. */
    snprintf(target, sizeof target, "%s/model2", directory);
    cr_assert_eq(mkdir(target, 0700), 0);
    make_file("model2/w.bin", "0123456789abcdef", 16);
    snprintf(path, sizeof path, "%s/model/side", directory);
    cr_assert_eq(symlink("../model2/w.bin", path), 0);
    refused("side", NULL, NULL, "outside the model's directory");
    snprintf(path, sizeof path, "%s/model/inner", directory);
    cr_assert_eq(symlink("sub/w.bin", path), 0);
    cr_assert_eq(load_external("inner", NULL, NULL), 5, "links within are fine");
}

Test(external, checks_the_file) {
    char path[256];
    refused("missing", NULL, NULL, "cannot be opened");
    refused("sub", NULL, NULL, "not a regular file");
    snprintf(path, sizeof path, "%s/model/fifo", directory);
    cr_assert_eq(mkfifo(path, 0600), 0);
    refused("fifo", NULL, NULL, "not a regular file");
    refused("w.bin", "12", NULL, "reach beyond its end at 16");
    refused("w.bin", "17", NULL, "reach beyond");
    refused("w.bin", "9223372036854775807", NULL, "reach beyond");
    refused("w.bin", "18446744073709551615", NULL, "no number");
    refused("w.bin", "-1", NULL, "no number");
    refused("w.bin", "1x", NULL, "no number");
    refused("w.bin", "", NULL, "no number");
    refused("w.bin", "0", "4", "has 4 bytes, but the shape needs 8");
    refused(NULL, "0", "8", "no location");
}
