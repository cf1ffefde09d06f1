/* Models, plans and sessions as callers see them: cnn.h and nothing else of the engine. */
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;
static cnn_runtime *rt;

static cnn_model *load_model(file f) {
    cnn_model *model = NULL;
    uint8_t *bytes;
    size_t size = file_pack(&f, &bytes);
    file_free(&f);
    cr_assert_eq(cnn_runtime_create(&(cnn_runtime_options){.threads = 1}, &rt, &err), CNN_OK);
    cr_assert_eq(cnn_model_load_memory(rt, bytes, size, &model, &err), CNN_OK, "%s", err.message);
    free(bytes);
    return model;
}

/* See small_model in proto.h. */
static cnn_model *load(void) {
    return load_model(small_model());
}

static void unload(cnn_model *model) {
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

Test(model, lists_inputs_and_what_nodes_make) {
    static const char *const want[][3] = {
        {"x", "", "Input"}, {"c", "conv", "Conv"}, {"y", "", "Relu"}};
    cnn_model *model = load();
    cr_assert_eq(cnn_model_tensor_count(model), ARRAY_LENGTH(want));
    for (size_t i = 0; i < ARRAY_LENGTH(want); i++) {
        const char *node, *op;
        cr_expect_str_eq(cnn_model_tensor(model, i, &node, &op), want[i][0]);
        cr_expect_str_eq(node, want[i][1]);
        cr_expect_str_eq(op, want[i][2]);
        cr_expect_str_eq(cnn_model_tensor(model, i, NULL, NULL), want[i][0]);
    }
    unload(model);
}

Test(model, gives_every_tensor_that_it_lists) {
    cnn_model *model = load();
    cnn_plan *plan = NULL;
    cnn_session *session = NULL;
    const char *names[3];
    const float first[] = {1, 10.5f, 10.5f}; /* 1 + 2 + 3 + 4 + 0.5 */
    for (size_t i = 0; i < 3; i++)
        names[i] = cnn_model_tensor(model, i, NULL, NULL);
    cnn_plan_options options = {.outputs = names, .output_count = 3};
    cr_assert_eq(cnn_plan_create(model, &options, &plan, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_session_create(plan, &session, &err), CNN_OK, "%s", err.message);
    for (int i = 0; i < 9; i++)
        ((float *)cnn_session_input(session, 0))[i] = 1;
    cnn_session_run(session);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_str_eq(cnn_plan_output(plan, i).name, names[i]);
        cr_expect_eq(*(const float *)cnn_session_output(session, i), first[i], "%s", names[i]);
    }
    cnn_session_free(session);
    cnn_plan_free(plan);
    unload(model);
}

Test(model, sums_up_its_layers) {
    cnn_model *model = load();
    cnn_summary *summary = NULL;
    cnn_shape shape = {4, {3, 1, 3, 3}};
    cr_assert_eq(cnn_summary_create(model, &shape, &summary, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(summary->layer_count, 2);
    cr_expect_str_eq(summary->layers[0].name, "conv");
    cr_expect_str_eq(summary->layers[1].name, "y");
    cr_expect_eq(summary->layers[0].output.shape.dims[0], 3);
    cr_expect_eq(summary->params, 2 * 4 + 2);
    cr_expect_eq(summary->macs, 3 * 2 * 2 * 2 * 4);
    cnn_summary_free(summary);
    shape.dims[1] = 2;
    cr_expect_eq(cnn_summary_create(model, &shape, &summary, &err), CNN_INVALID_ARGUMENT);
    unload(model);
}

/* A ZipMap first, as Azure's exporter has it, then the scores; and a node that nobody needs. */
Test(model, does_without_what_cannot_be_run) {
    file f = small_model();
    add_opset(&f, "ai.onnx.ml", 1);
    add_node(&f, "ZipMap", "y", "map")->domain = text("ai.onnx.ml");
    add_node(&f, "Neg", "y", "dead");
    add_output(&f, "y", 0, NULL);
    free(f.graph->output[0]->name);
    f.graph->output[0]->name = text("map");
    cnn_model *model = load_model(f);
    cnn_summary *summary = NULL;
    cnn_output_meaning *meaning = NULL;
    cnn_average_head *head = NULL;
    cnn_plan *plan = NULL;
    const char *scores = "y", *dead = "dead";
    cr_assert_eq(cnn_model_output_count(model), 2);
    cr_assert_eq(cnn_model_output_check(model, 0, &err), CNN_UNSUPPORTED);
    cr_assert(strstr(err.message, "ZipMap"), "%s", err.message);
    cr_assert_eq(cnn_model_output_check(model, 1, &err), CNN_OK);
    cr_assert_eq(cnn_model_output_check(model, 2, &err), CNN_INVALID_ARGUMENT);
    cr_expect_str_eq(err.message, "there is no output 2, the model has 2");
    cr_assert_eq(cnn_output_meaning_find(model, 2, NULL, &meaning, &err), CNN_INVALID_ARGUMENT);
    cr_assert_eq(cnn_average_head_find(model, 2, NULL, &head, &err), CNN_INVALID_ARGUMENT);
    cr_assert_eq(cnn_model_tensor_count(model), 3, "x, c and y");
    cr_assert_eq(cnn_model_left_out_count(model), 3);
    cr_expect_str_eq(cnn_model_left_out(model, 0).kind, "output");
    cr_expect_str_eq(cnn_model_left_out(model, 1).op, "ZipMap");
    cr_expect_str_eq(cnn_model_left_out(model, 2).name, "dead");
    cr_assert_eq(cnn_summary_create(model, NULL, &summary, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(summary->layer_count, 2);
    cnn_summary_free(summary);
    cr_assert_eq(cnn_plan_create(model, NULL, &plan, &err), CNN_UNSUPPORTED, "asks for all");
    cnn_plan_options options = {.outputs = &scores, .output_count = 1};
    cr_assert_eq(cnn_plan_create(model, &options, &plan, &err), CNN_OK, "%s", err.message);
    cnn_plan_free(plan);
    options.outputs = &dead;
    cr_assert_eq(cnn_plan_create(model, &options, &plan, &err), CNN_NOT_FOUND);
    unload(model);
}

Test(model, tensors_are_copies) {
    cnn_tensor *t;
    int64_t numbers[] = {5, -6};
    cr_assert_eq(cnn_tensor_create(CNN_INT64, &(cnn_shape){1, {2}}, numbers, &t, &err), CNN_OK);
    numbers[1] = 0;
    cnn_tensor_info info = cnn_tensor_describe(t);
    cr_assert_str_eq(info.name, "");
    cr_assert(info.dtype == CNN_INT64 && info.shape.rank == 1 && info.shape.dims[0] == 2);
    cr_assert_eq(((const int64_t *)cnn_tensor_data(t))[1], -6);
    cnn_tensor_free(t);
    cr_assert_eq(cnn_tensor_create(CNN_INT64, &(cnn_shape){1, {0}}, numbers, &t, &err), CNN_OK);
    cnn_tensor_free(t);
    cr_assert_eq(cnn_tensor_create(CNN_STRING, &(cnn_shape){1, {0}}, "", &t, &err),
                 CNN_UNSUPPORTED);
    cr_assert_eq(cnn_tensor_create(CNN_INT64, &(cnn_shape){1, {INT64_MAX}}, "", &t, &err),
                 CNN_LIMIT);
}

Test(model, what_must_be_given) {
    cnn_model *model = load(), *other = NULL;
    cnn_tensor *t = NULL;
    cnn_plan *plan = NULL;
    cnn_session *session = NULL;
    cnn_summary *summary = NULL;
    const char *name = "y";
    cnn_plan_options none = {.outputs = &name};
    cr_assert_eq(cnn_plan_create(model, NULL, &plan, &err), CNN_OK, "%s", err.message);
    const cnn_status statuses[] = {
        cnn_runtime_create(NULL, NULL, &err),
        cnn_model_load_file(rt, NULL, &other, &err),
        cnn_model_load_memory(NULL, "", 0, &other, &err),
        cnn_model_load_memory(rt, NULL, 1, &other, &err),
        cnn_model_load_memory(rt, "", 0, NULL, &err),
        cnn_tensor_load(NULL, 1, &t, &err),
        cnn_tensor_load("", 0, NULL, &err),
        cnn_tensor_create(CNN_FLOAT32, NULL, "", &t, &err),
        cnn_tensor_create(CNN_FLOAT32, &(cnn_shape){1, {1}}, NULL, &t, &err),
        cnn_tensor_create(CNN_FLOAT32, &(cnn_shape){1, {-1}}, "", &t, &err),
        cnn_tensor_create(CNN_FLOAT32, &(cnn_shape){.rank = 9}, "", &t, &err),
        cnn_tensor_create(CNN_FLOAT32, &(cnn_shape){0}, "", NULL, &err),
        cnn_summary_create(NULL, NULL, &summary, &err),
        cnn_summary_create(model, NULL, NULL, &err),
        cnn_plan_create(NULL, NULL, &plan, &err),
        cnn_plan_create(model, NULL, NULL, &err),
        cnn_plan_create(model, &none, &plan, &err),
        cnn_session_create(NULL, &session, &err),
        cnn_session_create(plan, NULL, NULL),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++)
        cr_expect_eq(statuses[i], CNN_INVALID_ARGUMENT, "call %zu", i);
    cnn_plan_free(plan);
    unload(model);
}

/* Real networks whose input has one shape. */
Test(model, arenas_are_near_the_largest_live_set) {
    static const char *const names[] = {"models/mnist-cntk",
                                        "models/squeezenet1.1",
                                        "onnx-conformance/light/bvlc_alexnet",
                                        "onnx-conformance/light/squeezenet",
                                        "onnx-conformance/light/vgg19",
                                        "onnx-conformance/light/resnet50",
                                        "onnx-conformance/light/inception_v1",
                                        "onnx-conformance/light/densenet121"};
    const char *data = getenv("CNNSERVE_TEST_DATA");
    if (!data || !*data) cr_skip_test("CNNSERVE_TEST_DATA is not set");
    cr_assert_eq(cnn_runtime_create(NULL, &rt, &err), CNN_OK);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[1024];
        cnn_model *model = NULL;
        cnn_plan *plan = NULL;
        snprintf(path, sizeof path, "%s/%s/model.onnx", data, names[i]);
        cr_assert_eq(cnn_model_load_file(rt, path, &model, &err), CNN_OK, "%s", err.message);
        cr_assert_eq(cnn_plan_create(model, NULL, &plan, &err), CNN_OK, "%s", err.message);
        size_t arena = cnn_plan_arena_bytes(plan), live = cnn_plan_live_bytes(plan);
        cr_expect_geq(arena, live);
        cr_expect_leq(arena, live + live / 10, "%s: %zu of %zu", names[i], arena, live);
        cnn_plan_free(plan);
        cnn_model_free(model);
    }
    cnn_runtime_free(rt);
}
