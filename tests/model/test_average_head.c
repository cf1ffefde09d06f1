/* The ends of networks that class activation maps are made of. */
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;
static cnn_runtime *rt;

/* Three classes of two channels. */
static const float weights[3][2] = {{1, 2}, {3, 4}, {5, 6}};
static const float transposed[2][3] = {{1, 3, 5}, {2, 4, 6}};

static void set_int(Onnx__NodeProto *node, const char *name, int64_t value) {
    Onnx__AttributeProto *a = add_attribute(node, name, 2);
    a->has_i = 1;
    a->i = value;
}

static void set_ints(Onnx__NodeProto *node, const char *name, size_t count, const int64_t *ints) {
    Onnx__AttributeProto *a = add_attribute(node, name, 7);
    a->n_ints = count;
    a->ints = copy_of(ints, count * sizeof *ints);
}

/* x (1, 2, 4, 4) -> Relu -> features; nodes are added behind it, the last one makes y. */
static file begin(void) {
    file f = file_begin(13);
    add_input(&f, "x", 4, (int64_t[]){1, 2, 4, 4});
    set_raw(add_initializer(&f, "w", CNN_FLOAT32, 2, (int64_t[]){3, 2}), weights, sizeof weights);
    set_raw(add_initializer(&f, "wt", CNN_FLOAT32, 2, (int64_t[]){2, 3}), transposed,
            sizeof transposed);
    set_raw(add_initializer(&f, "w4", CNN_FLOAT32, 4, (int64_t[]){3, 2, 1, 1}), weights,
            sizeof weights);
    set_raw(add_initializer(&f, "b", CNN_FLOAT32, 1, (int64_t[]){3}), weights, 3 * sizeof(float));
    set_raw(add_initializer(&f, "two", CNN_INT64, 1, (int64_t[]){2}), (int64_t[]){1, -1}, 16);
    add_node(&f, "Relu", "x", "features")->name = text("last relu");
    return f;
}

static cnn_status find(file *f, cnn_average_head **out) {
    uint8_t *bytes;
    cnn_model *model = NULL;
    add_output(f, "y", 0, NULL);
    Onnx__TypeProto__TensorTypeProto *type = f->graph->output[0]->type->tensor_type;
    protobuf_c_message_free_unpacked(&type->shape->base, NULL);
    type->shape = NULL;
    size_t size = file_pack(f, &bytes);
    file_free(f);
    cr_assert_eq(cnn_runtime_create(&(cnn_runtime_options){.threads = 1}, &rt, &err), CNN_OK);
    cr_assert_eq(cnn_model_load_memory(rt, bytes, size, &model, &err), CNN_OK, "%s", err.message);
    free(bytes);
    cnn_status status = cnn_average_head_find(model, 0, NULL, out, &err);
    if (status == CNN_OK) cr_expect_str_eq((*out)->features, "features");
    cnn_model_free(model);
    cnn_runtime_free(rt);
    return status;
}

/* Finds the weights above, times `scale`. */
static void expect_weights(file *f, float scale) {
    cnn_average_head *head = NULL;
    cr_assert_eq(find(f, &head), CNN_OK, "%s", err.message);
    cr_assert_eq(head->classes, 3);
    cr_assert_eq(head->channels, 2);
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < 2; k++)
            cr_expect_eq(head->weights[2 * c + k], scale * weights[c][k], "%d %d", c, k);
    cnn_average_head_free(head);
}

static void expect_refusal(file *f, const char *end) {
    cnn_average_head *head = NULL;
    cr_expect_eq(find(f, &head), CNN_UNSUPPORTED);
    cr_expect_null(head);
    const char *found = strstr(err.message, "; it ends in ");
    cr_assert_not_null(found, "%s", err.message);
    cr_expect_str_eq(found + 13, end);
}

Test(average_head, gemm) {
    file f = begin();
    add_node(&f, "GlobalAveragePool", "features", "p");
    add_node(&f, "Flatten", "p", "v");
    Onnx__NodeProto *gemm = add_node(&f, "Gemm", "v w b", "s");
    set_int(gemm, "transB", 1);
    Onnx__AttributeProto *alpha = add_attribute(gemm, "alpha", 1);
    alpha->has_f = 1;
    alpha->f = 0.5f;
    add_node(&f, "Softmax", "s", "y");
    expect_weights(&f, 0.5f);
    f = begin();
    add_node(&f, "GlobalAveragePool", "features", "p");
    add_node(&f, "Reshape", "p two", "v");
    add_node(&f, "Gemm", "v wt b", "y");
    expect_weights(&f, 1);
}

/* As Keras' exporter writes it. */
Test(average_head, matmul_behind_a_mean) {
    file f = begin();
    Onnx__NodeProto *mean = add_node(&f, "ReduceMean", "features", "p");
    set_ints(mean, "axes", 2, (int64_t[]){2, 3});
    set_int(mean, "keepdims", 0);
    add_node(&f, "MatMul", "p wt", "m");
    add_node(&f, "Add", "b m", "s");
    add_node(&f, "Softmax", "s", "y");
    expect_weights(&f, 1);
}

/* Likewise, with the channels last. */
Test(average_head, matmul_behind_a_mean_of_transposed_features) {
    file f = begin();
    set_ints(add_node(&f, "Transpose", "features", "t"), "perm", 4, (int64_t[]){0, 2, 3, 1});
    Onnx__NodeProto *mean = add_node(&f, "ReduceMean", "t", "p");
    set_ints(mean, "axes", 2, (int64_t[]){1, 2});
    set_int(mean, "keepdims", 0);
    add_node(&f, "MatMul", "p wt", "m");
    add_node(&f, "Add", "m b", "y");
    expect_weights(&f, 1);
}

Test(average_head, convolution_behind_a_pooling_of_everything) {
    file f = begin();
    Onnx__NodeProto *pool = add_node(&f, "AveragePool", "features", "p");
    set_ints(pool, "kernel_shape", 2, (int64_t[]){4, 4});
    add_node(&f, "Conv", "p w4 b", "c");
    add_node(&f, "Flatten", "c", "y");
    expect_weights(&f, 1);
}

/* Weights that the file computes. */
Test(average_head, weights_behind_a_transpose) {
    file f = begin();
    add_node(&f, "Transpose", "w", "turned");
    add_node(&f, "GlobalAveragePool", "features", "p");
    add_node(&f, "Flatten", "p", "v");
    add_node(&f, "MatMul", "v turned", "y");
    expect_weights(&f, 1);
}

/* What makes probabilities of the scores is looked through, and so is what chooses from them. */
Test(average_head, behind_probabilities) {
    static const char *const ends[] = {
        "Sigmoid s y",
        "HardSigmoid s y",
        "LogSoftmax s y",
        "Softmax s p; Clip p+low+one y",
        "Softmax s p; Mul p+hundred y",
        "Cast s y to=11",
        "Exp s e; ReduceSum e+axis t; Div e+t y",
        "ReduceLogSumExp s l axes=1; Sub s+l y",
        "Softmax s p; TopK p+two_best y+i",
        "ArgMax s y axis=1",
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        file f = begin();
        set_raw(add_initializer(&f, "low", CNN_FLOAT32, 0, NULL), (float[]){1e-7f}, 4);
        set_raw(add_initializer(&f, "one", CNN_FLOAT32, 0, NULL), (float[]){1}, 4);
        set_raw(add_initializer(&f, "hundred", CNN_FLOAT32, 0, NULL), (float[]){100}, 4);
        set_raw(add_initializer(&f, "axis", CNN_INT64, 1, (int64_t[]){1}), (int64_t[]){1}, 8);
        set_raw(add_initializer(&f, "two_best", CNN_INT64, 1, (int64_t[]){1}), (int64_t[]){2}, 8);
        add_nodes(&f, "GlobalAveragePool features p0; Flatten p0 v; MatMul v+wt m; Add m+b s");
        add_nodes(&f, ends[i]);
        expect_weights(&f, 1);
    }
}

/* Half precision between floats: the weights are the same numbers. */
Test(average_head, weights_of_another_type) {
    file f = begin();
    double wide[2][3];
    for (int i = 0; i < 6; i++)
        wide[i / 3][i % 3] = transposed[i / 3][i % 3];
    set_raw(add_initializer(&f, "wide", CNN_FLOAT64, 2, (int64_t[]){2, 3}), wide, sizeof wide);
    add_nodes(&f, "GlobalAveragePool features p; Flatten p v; Cast v d to=11; MatMul d+wide s; "
                  "Softmax s y");
    expect_weights(&f, 1);
}

/* 1 - p turns the order round, and parts of the scores are others. */
Test(average_head, not_behind_what_changes_the_order) {
    file f = begin();
    set_raw(add_initializer(&f, "one", CNN_FLOAT32, 0, NULL), (float[]){1}, 4);
    add_nodes(&f, "GlobalAveragePool features p; Flatten p v; MatMul v+wt s; Sigmoid s q; "
                  "Sub one+q y");
    expect_refusal(&f, "GlobalAveragePool 'p', Flatten 'v', MatMul 's', Sigmoid 'q', Sub 'y'");
}

Test(average_head, channels_that_are_the_classes) {
    cnn_average_head *head = NULL;
    file f = begin();
    add_node(&f, "GlobalAveragePool", "features", "p");
    add_node(&f, "Softmax", "p", "y");
    cr_assert_eq(find(&f, &head), CNN_OK, "%s", err.message);
    cr_expect_eq(head->channels, 2);
    cr_expect_eq(head->classes, 2);
    cr_expect_null(head->weights);
    cnn_average_head_free(head);
}

Test(average_head, other_ends) {
    file f = begin();
    add_node(&f, "GlobalMaxPool", "features", "p");
    add_node(&f, "Flatten", "p", "v");
    add_node(&f, "Gemm", "v wt b", "y")->name = text("fc");
    expect_refusal(&f, "Relu 'last relu', GlobalMaxPool 'p', Flatten 'v', Gemm 'fc'");
    f = begin(); /* a window that leaves something out */
    Onnx__NodeProto *pool = add_node(&f, "AveragePool", "features", "p");
    set_ints(pool, "kernel_shape", 2, (int64_t[]){3, 3});
    set_ints(pool, "strides", 2, (int64_t[]){2, 2});
    add_node(&f, "Conv", "p w4 b", "y");
    expect_refusal(&f, "Relu 'last relu', AveragePool 'p', Conv 'y'");
    f = begin(); /* two layers */
    add_node(&f, "GlobalAveragePool", "features", "p");
    add_node(&f, "Conv", "p w4 b", "c");
    add_node(&f, "Relu", "c", "y");
    expect_refusal(&f, "Relu 'last relu', GlobalAveragePool 'p', Conv 'c', Relu 'y'");
    f = begin(); /* a convolution over positions */
    add_node(&f, "Conv", "features w4 b", "y");
    expect_refusal(&f, "Relu 'last relu', Conv 'y'");
}

Test(average_head, what_must_be_given) {
    cnn_average_head *head = NULL;
    cr_expect_eq(cnn_average_head_find(NULL, 0, NULL, &head, &err), CNN_INVALID_ARGUMENT);
    cnn_average_head_free(NULL);
}
