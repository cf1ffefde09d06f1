/* Models, plans and sessions as callers see them: cnn.h and nothing else of the engine. */
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;
static cnn_runtime *rt;

/* See small_model in proto.h. */
static cnn_model *load(void) {
    cnn_model *model = NULL;
    uint8_t *bytes;
    file f = small_model();
    size_t size = file_pack(&f, &bytes);
    file_free(&f);
    cr_assert_eq(cnn_runtime_create(&(cnn_runtime_options){.threads = 1}, &rt, &err), CNN_OK);
    cr_assert_eq(cnn_model_load_memory(rt, bytes, size, &model, &err), CNN_OK, "%s", err.message);
    free(bytes);
    return model;
}

static void unload(cnn_model *model) {
    cnn_model_free(model);
    cnn_runtime_free(rt);
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
