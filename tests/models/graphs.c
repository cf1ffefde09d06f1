#include "graphs.h"

#include "folder.h"
#include "onnx/proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Constant inputs that keep a (1, 3) or (1, 3, 1, 1) tensor one vector of three. */
static void add_constants(file *f) {
    set_raw(add_initializer(f, "shape", CNN_INT64, 1, (int64_t[]){2}), (int64_t[]){1, 3}, 16);
    set_raw(add_initializer(f, "axes", CNN_INT64, 1, (int64_t[]){1}), (int64_t[]){0}, 8);
}

static void set_dtype(Onnx__NodeProto *cast) {
    Onnx__AttributeProto *to = add_attribute(cast, "to", 2);
    to->has_i = 1;
    to->i = CNN_FLOAT32;
}

static void write_file(const char *folder, const char *name, file *f) {
    uint8_t *bytes;
    size_t size = file_pack(f, &bytes);
    folder_write(folder, name, bytes, size);
    free(bytes);
    file_free(f);
}

void graph_write_wide(const char *folder, const char *name, int channels) {
    size_t size = (size_t)channels * 3 * sizeof(float);
    float *zeros = calloc(1, size);
    file f = file_begin(13);
    add_input(&f, "image", 4, (int64_t[]){1, 3, -1, -1});
    add_output(&f, "mean", 4, (int64_t[]){1, channels, 1, 1});
    set_raw(add_initializer(&f, "w", CNN_FLOAT32, 4, (int64_t[]){channels, 3, 1, 1}), zeros, size);
    add_node(&f, "Conv", "image w", "wide");
    add_node(&f, "GlobalAveragePool", "wide", "mean");
    write_file(folder, name, &f);
    free(zeros);
}

void graph_write_exported(const char *folder, const char *name, int channels, int classes) {
    size_t count = (size_t)classes * (size_t)channels;
    float *weights = calloc(count, sizeof(float));
    for (int i = 0; i < classes; i++)
        weights[i * channels + i % channels] = 1;
    file f = file_begin(13);
    add_input(&f, "pixel_values", 4, (int64_t[]){-1, -1, -1, -1});
    add_output(&f, "logits", 2, (int64_t[]){-1, classes});
    set_raw(add_initializer(&f, "w", CNN_FLOAT32, 4, (int64_t[]){classes, channels, 1, 1}), weights,
            count * sizeof(float));
    add_node(&f, "GlobalAveragePool", "pixel_values", "mean");
    add_node(&f, "Conv", "mean w", "scores");
    add_node(&f, "Flatten", "scores", "logits");
    write_file(folder, name, &f);
    free(weights);
}

/* Takes the shape away: the file does not say it. */
static void drop_shape(Onnx__TypeProto__TensorTypeProto *type) {
    protobuf_c_message_free_unpacked(&type->shape->base, NULL);
    type->shape = NULL;
}

void graph_write_fed(const char *folder, const char *name, int dtype, int rank,
                     const int64_t *dims) {
    file f = file_begin(13);
    Onnx__ValueInfoProto *x = add_input(&f, "x", rank < 0 ? 0 : (size_t)rank, dims);
    x->type->tensor_type->elem_type = dtype;
    if (rank < 0) drop_shape(x->type->tensor_type);
    add_shapeless_output(&f, "scores");
    set_dtype(add_node(&f, "Cast", "x", "values"));
    add_node(&f, "Flatten", "values", "scores");
    write_file(folder, name, &f);
}

void graph_write_half(const char *folder, const char *name) {
    static const uint16_t zeros[64 * 3 * 9];
    file f = file_begin(13);
    add_input(&f, "x", 4, (int64_t[]){1, 3, 224, 224})->type->tensor_type->elem_type = CNN_FLOAT16;
    drop_shape(add_output(&f, "scores", 0, NULL)->type->tensor_type);
    set_raw(add_initializer(&f, "w", CNN_FLOAT16, 4, (int64_t[]){64, 3, 3, 3}), zeros,
            sizeof zeros);
    add_node(&f, "Conv", "x w", "features")->name = text("slow");
    add_node(&f, "GlobalAveragePool", "features", "mean");
    add_node(&f, "Flatten", "mean", "scores");
    write_file(folder, name, &f);
}

static void set_ints(Onnx__NodeProto *node, const char *name, size_t count, const int64_t *ints) {
    Onnx__AttributeProto *a = add_attribute(node, name, 7);
    a->n_ints = count;
    a->ints = copy_of(ints, count * sizeof *ints);
}

void graph_write_averaging(const char *folder, const float bias[2], bool channels_last) {
    static const float weights[3][2] = {{1, 0.5f}, {0, 2}, {-1, 0}};
    file f = file_begin(13);
    add_input(&f, "image", 4, (int64_t[]){1, 3, 4, 4});
    add_output(&f, "scores", 2, (int64_t[]){1, 2});
    set_raw(add_initializer(&f, "w", CNN_FLOAT32, 2, (int64_t[]){3, 2}), weights, sizeof weights);
    set_raw(add_initializer(&f, "b", CNN_FLOAT32, 1, (int64_t[]){2}), bias, 2 * sizeof *bias);
    add_node(&f, "Relu", "image", "features");
    if (channels_last) {
        set_ints(add_node(&f, "Transpose", "features", "last"), "perm", 4, (int64_t[]){0, 2, 3, 1});
        set_ints(add_node(&f, "ReduceMean", "last", "mean"), "axes", 2, (int64_t[]){1, 2});
    } else {
        add_node(&f, "GlobalAveragePool", "features", "mean");
    }
    add_node(&f, "Flatten", "mean", "vector");
    add_node(&f, "Gemm", "vector w b", "scores");
    write_file(folder, "model.onnx", &f);
    folder_write_text(
        folder, "model.json",
        "{\"input\": {\"resize\": {\"mode\": \"none\"}, \"scale\": 1, \"mean\": [0, 0, 0],"
        " \"std\": [1, 1, 1]}}");
}

static file branch(const char *nodes) {
    file b = file_begin(13);
    add_nodes(&b, nodes);
    add_shapeless_output(&b, "result");
    return b;
}

void graph_write_branches(const char *folder) {
    file f = file_begin(13);
    add_input(&f, "image", 4, (int64_t[]){1, 3, 4, 4});
    set_raw(add_initializer(&f, "3", CNN_INT64, 0, NULL), &(int64_t){3}, 8);
    set_raw(add_initializer(&f, "4", CNN_INT64, 0, NULL), &(int64_t){4}, 8);
    add_nodes(&f, "Relu image seen; Shape image shape; Gather shape+3 width; Equal width+4 same");
    Onnx__NodeProto *choice = add_node(&f, "If", "same", "scores");
    set_graph(add_attribute(choice, "then_branch", 5),
              branch("Relu seen inner; GlobalAveragePool inner result"));
    set_graph(add_attribute(choice, "else_branch", 5), branch("GlobalAveragePool seen result"));
    add_shapeless_output(&f, "scores");
    write_file(folder, "model.onnx", &f);
}

void graph_write_chain(const char *folder, const char *name, const char *const *ops, size_t count) {
    char from[40] = "mean", inputs[60], to[40], node_name[40];
    file f = file_begin(13);
    add_input(&f, "image", 4, (int64_t[]){1, 3, 8, 8});
    add_constants(&f);
    add_node(&f, "GlobalAveragePool", "image", "mean")->name = text("pool");
    for (size_t i = 0; i < count; i++) {
        const char *constant = strcmp(ops[i], "Reshape") == 0   ? " shape"
                               : strcmp(ops[i], "Squeeze") == 0 ? " axes"
                                                                : "";
        snprintf(inputs, sizeof inputs, "%s%s", from, constant);
        snprintf(to, sizeof to, "t%zu", i);
        snprintf(node_name, sizeof node_name, "node%zu", i);
        Onnx__NodeProto *node = add_node(&f, ops[i], inputs, to);
        node->name = text(node_name);
        if (strcmp(ops[i], "Cast") == 0) set_dtype(node);
        strcpy(from, to);
    }
    add_shapeless_output(&f, from);
    write_file(folder, name, &f);
}

static void add_number(file *f, const char *name, float number) {
    set_raw(add_initializer(f, name, CNN_FLOAT32, 0, NULL), &number, sizeof number);
}

void graph_write_heads(const char *folder, size_t classes, const float *logits, const char *nodes,
                       const char *outputs) {
    int64_t count = (int64_t)classes, dims[] = {3, count};
    float *zeros = calloc(3 * classes, sizeof *zeros);
    char *names = strdup(outputs), *rest = names;
    file f = file_begin(13);
    add_input(&f, "image", 4, (int64_t[]){1, 3, 1, 1});
    set_raw(add_initializer(&f, "w", CNN_FLOAT32, 2, dims), zeros, 3 * classes * sizeof *zeros);
    set_raw(add_initializer(&f, "b", CNN_FLOAT32, 1, &count), logits, classes * sizeof *logits);
    set_raw(add_initializer(&f, "k", CNN_INT64, 1, (int64_t[]){1}), (int64_t[]){2}, 8);
    set_raw(add_initializer(&f, "zero", CNN_UINT8, 0, NULL), "", 1);
    add_number(&f, "hundred", 100);
    add_number(&f, "half", 0.5f);
    add_nodes(&f, "Flatten image features; Gemm features+w+b z");
    add_nodes(&f, nodes);
    for (char *name; (name = strsep(&rest, " "));)
        add_shapeless_output(&f, name);
    write_file(folder, "model.onnx", &f);
    free(names);
    free(zeros);
}
