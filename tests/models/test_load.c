/* What loading makes of a graph and the files beside it. */
#include "folder.h"
#include "graphs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

FOLDER_SUITE(load);

static void expect_refused(const char *precision, const char *file, const char *message) {
    char want[600] = "";
    served_model *model = NULL;
    model_error err = {0};
    if (file) snprintf(want, sizeof want, "%s/%s: ", folder, file);
    strcat(want, message);
    cr_expect_eq(served_model_open(test_runtime(), folder, precision, &model, &err), MODEL_INVALID);
    cr_expect_str_eq(err.message, want);
}

static void expect_activation(model_activation want, size_t count, const char *const *ops) {
    graph_write_chain(folder, "model.onnx", ops, count);
    served_model *model = open_model(folder);
    cr_expect_eq(served_model_activation(model), want, "%s ... %s", ops[0], ops[count - 1]);
    cr_expect_eq(served_model_class_count(model), 3);
    served_model_unref(model);
}

#define EXPECT_ACTIVATION(want, ...)                                                               \
    expect_activation(want, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                \
                      (const char *[]){__VA_ARGS__})

Test(load, softmax_is_added_unless_the_graph_ends_in_one) {
    EXPECT_ACTIVATION(MODEL_SOFTMAX, "Flatten");
    EXPECT_ACTIVATION(MODEL_SOFTMAX, "Flatten", "Softmax", "Relu");
    EXPECT_ACTIVATION(MODEL_SOFTMAX, "Softmax", "Relu", "Flatten");
    EXPECT_ACTIVATION(MODEL_NONE, "Flatten", "Softmax");
    EXPECT_ACTIVATION(MODEL_NONE, "Flatten", "Softmax", "Identity");
    EXPECT_ACTIVATION(MODEL_NONE, "Softmax", "Flatten");
    EXPECT_ACTIVATION(MODEL_NONE, "Softmax", "Reshape");
    EXPECT_ACTIVATION(MODEL_NONE, "Flatten", "Softmax", "Squeeze");
    EXPECT_ACTIVATION(MODEL_NONE, "Flatten", "Softmax", "Cast");
    EXPECT_ACTIVATION(MODEL_NONE, "Flatten", "Softmax", "Dropout");
    EXPECT_ACTIVATION(MODEL_NONE, "Softmax", "Identity", "Reshape", "Dropout", "Squeeze");
}

Test(load, model_json_is_named_for_what_it_says) {
    static const char *const ops[] = {"Flatten"};
    graph_write_chain(folder, "model.onnx", ops, 1);
    folder_write_text(folder, "model.json", "{\"input\": {\"color\": \"GRAY\", \"crop\": 7}}");
    expect_refused(NULL, "model.json",
                   "preprocessing makes images of 7x7 (height x width), but the model's input "
                   "'image' is 8x8");
    folder_write_text(folder, "model.json", "{\"output\": {\"name\": \"t1\"}}");
    expect_refused(NULL, "model.json",
                   "output.name: the model has no output 't1'; did you mean 't0'?");
    folder_write_text(folder, "model.json", "{\"precision\": \"int8\"}");
    expect_refused(NULL, "model.json",
                   "precision int8 is not available in this version, only fp32 (and auto, which "
                   "chooses it)");
    expect_refused("bf16", NULL,
                   "precision bf16 is not available in this version, only fp32 (and auto, which "
                   "chooses it)");
}
