/* Which models there are, which one a name and version mean, and how a wrong one stops the start.
 */
#include "folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FOLDER_SUITE(registry);

static void add_model(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/model.onnx", name);
    folder_copy(folder, path, "line-detector", "model.onnx");
    snprintf(path, sizeof path, "%s/model.json", name);
    folder_copy(folder, path, "line-detector", "model.json");
    snprintf(path, sizeof path, "%s/labels.txt", name);
    folder_copy(folder, path, "line-detector", "labels.txt");
}

static model_registry *create_with(const model_registry_options *options) {
    model_registry *registry = NULL;
    model_error err = {0};
    cr_assert_eq(model_registry_create(test_runtime(), options, &registry, &err), MODEL_OK, "%s",
                 err.message);
    return registry;
}

static void expect_refused(const model_registry_options *options, const char *part) {
    model_registry *registry = NULL;
    model_error err = {0};
    model_code code = model_registry_create(test_runtime(), options, &registry, &err);
    cr_expect(code == MODEL_INVALID || code == MODEL_UNFIT, "code %d", (int)code);
    cr_expect_not_null(strstr(err.message, part), "'%s' lacks '%s'", err.message, part);
    cr_expect_null(strchr(err.message, '\n'));
}

static void expect_refused_folder(const char *part) {
    expect_refused(&(model_registry_options){.models_dir = folder}, part);
}

static void expect_version(model_registry *registry, const char *name, const char *version,
                           const char *want) {
    served_model *model = NULL;
    model_error err = {0};
    cr_assert_eq(model_registry_find(registry, name, version, &model, &err), MODEL_OK, "%s",
                 err.message);
    cr_expect_str_eq(served_model_version_text(model), want);
    served_model_unref(model);
}

static void expect_default(model_registry *registry, const char *name, const char *version,
                           bool want) {
    served_model *model = NULL;
    cr_assert_eq(model_registry_find(registry, name, version, &model, NULL), MODEL_OK);
    cr_expect_eq(model_registry_is_default(registry, model), want, "%s/%s", name, version);
    served_model_unref(model);
}

static void expect_not_found(model_registry *registry, const char *name, const char *version,
                             const char *message) {
    served_model *model = NULL;
    model_error err = {0};
    cr_expect_eq(model_registry_find(registry, name, version, &model, &err), MODEL_NOT_FOUND);
    cr_expect_str_eq(err.message, message);
}

Test(registry, built_in_models_by_name) {
    const char *models[] = {"numbers=digits"};
    served_model *model = NULL;
    model_registry *registry =
        create_with(&(model_registry_options){.models = models, .model_count = 1});
    cr_expect_str_eq(model_registry_default(registry), "numbers");
    cr_assert_eq(model_registry_find(registry, "numbers", NULL, &model, NULL), MODEL_OK);
    cr_expect_str_eq(served_model_name(model), "numbers");
    cr_expect_str_eq(served_model_origin(model), "built in");
    served_model_unref(model);
    expect_not_found(registry, "digits", NULL, "there is no model 'digits'; there is 'numbers'");
    model_registry_free(registry);
    const char *wrong[] = {"numbers=digitz"};
    expect_refused(&(model_registry_options){.models = wrong, .model_count = 1},
                   "'digitz' is neither a file nor a folder; did you mean 'digits'?");
}

Test(registry, built_in_models) {
    model_registry *registry = create_with(&(model_registry_options){0});
    model_list list = {0};
    cr_assert_eq(model_registry_list(registry, &list, NULL), MODEL_OK);
    cr_expect_eq(list.count, model_builtin_count());
    for (size_t i = 0; i < list.count; i++) {
        cr_expect_str_eq(served_model_name(list.items[i]), model_builtin_name(i));
        cr_expect_str_eq(served_model_origin(list.items[i]), "built in");
        cr_expect_str_eq(served_model_precision(list.items[i]), "fp32");
    }
    cr_expect_str_eq(model_registry_default(registry), model_builtin_name(0));
    model_list_free(&list);
    model_registry_free(registry);
}

Test(registry, versions) {
    add_model("a");
    add_model("b/2");
    add_model("b/10");
    add_model("b/3x");
    add_model("b/03");
    add_model(".hidden");
    folder_write_text(folder, "notes/readme.txt", "no model");
    model_registry *registry = create_with(&(model_registry_options){.models_dir = folder});
    model_list list = {0};
    cr_assert_eq(model_registry_list(registry, &list, NULL), MODEL_OK);
    cr_expect_eq(list.count, 3);
    model_list_free(&list);
    expect_version(registry, NULL, NULL, "1");
    expect_version(registry, "b", NULL, "10");
    expect_version(registry, "b", "2", "2");
    expect_default(registry, "a", "1", true);
    expect_not_found(registry, "c", NULL, "there is no model 'c'; did you mean 'a' or 'b'?");
    expect_not_found(registry, "zzzzzz", NULL, "there is no model 'zzzzzz'; there are 'a', 'b'");
    expect_not_found(registry, "b", "3", "model 'b' has no version '3'; there are '2', '10'");
    expect_not_found(registry, "b", "02", "model 'b' has no version '02'; there are '2', '10'");
    model_registry_free(registry);
}

Test(registry, given_models) {
    char option[300], file[300];
    add_model("x");
    add_model("dir/a");
    snprintf(option, sizeof option, "given=%s/x", folder);
    snprintf(file, sizeof file, "file=%s/x/model.onnx", folder);
    char directory[300];
    snprintf(directory, sizeof directory, "%s/dir", folder);
    const char *options[] = {option, file};
    model_registry *registry = create_with(
        &(model_registry_options){.models_dir = directory, .models = options, .model_count = 2});
    cr_expect_str_eq(model_registry_default(registry), "given");
    expect_version(registry, "file", NULL, "1");
    expect_version(registry, "a", NULL, "1");
    model_registry_free(registry);
}

Test(registry, a_model_outlives_its_registry) {
    served_model *model = NULL;
    model_registry *registry = create_with(&(model_registry_options){0});
    cr_assert_eq(model_registry_find(registry, "line-detector", NULL, &model, NULL), MODEL_OK);
    model_registry_free(registry);
    cr_expect_str_eq(served_model_label(model, 0), "vertical line");
    served_model_unref(model);
}

Test(registry, default_is_the_highest_version_only) {
    add_model("a");
    add_model("b/2");
    add_model("b/10");
    model_registry *registry =
        create_with(&(model_registry_options){.models_dir = folder, .default_model = "b"});
    expect_default(registry, "a", "1", false);
    expect_default(registry, "b", "2", false);
    expect_default(registry, "b", "10", true);
    model_registry_free(registry);
}

Test(registry, default_model) {
    model_registry *registry =
        create_with(&(model_registry_options){.default_model = "line-detector"});
    cr_expect_str_eq(model_registry_default(registry), "line-detector");
    model_registry_free(registry);
    expect_refused(&(model_registry_options){.default_model = "digit"},
                   "there is no model 'digit'; did you mean 'digits'?");
}

Test(registry, wrong_options) {
    static const char *const bad[] = {"nopath", "a=", "a b=/tmp", "a=/nonexistent.onnx"};
    static const char *const why[] = {"NAME=PATH", "NAME=PATH", "no model name",
                                      "/nonexistent.onnx"};
    for (size_t i = 0; i < 4; i++)
        expect_refused(&(model_registry_options){.models = &bad[i], .model_count = 1}, why[i]);
    model_error err = {0};
    model_registry *registry = NULL;
    const char *device = "a=/dev/null";
    const model_registry_options no_file = {.models = &device, .model_count = 1};
    cr_expect_eq(model_registry_create(test_runtime(), &no_file, &registry, &err), MODEL_INVALID);
    cr_expect_str_eq(err.message, "/dev/null is not a regular file");
    expect_refused(&(model_registry_options){.models_dir = "/nonexistent"}, "/nonexistent");
    expect_refused_folder("holds no models");
    expect_refused(&(model_registry_options){.precision = "int8"}, "precision int8");
}

Test(registry, wrong_name) {
    add_model("a b");
    expect_refused_folder("no model name");
}

Test(registry, version_1_twice) {
    add_model("a");
    add_model("a/1");
    expect_refused_folder("version 1 twice");
}

Test(registry, the_same_name_twice) {
    char option[300];
    add_model("a");
    snprintf(option, sizeof option, "a=%s/a", folder);
    const char *given = option;
    expect_refused(
        &(model_registry_options){.models_dir = folder, .models = &given, .model_count = 1},
        "'a' version 1 is given twice");
}

Test(registry, wrong_files) {
    add_model("a");
    folder_write_text(folder, "a/model.json", "{\"labells\": \"labels.txt\"}");
    expect_refused_folder("a/model.json: unknown key 'labells'; did you mean 'labels'?");
    folder_write_text(folder, "a/model.json", "{\"labels\": \"other.txt\"}");
    expect_refused_folder("a/other.txt: there is no such file");
    folder_write_text(folder, "a/model.json", "{\"output\": {\"name\": \"global_mix\"}}");
    expect_refused_folder("no output 'global_mix'; did you mean 'global_max'?");
    folder_write_text(folder, "a/model.json", "{\"output\": {\"name\": \"max_pool\"}}");
    expect_refused_folder("is not one vector of classes");
    folder_write_text(folder, "a/model.json", "{\"precision\": \"bf16\"}");
    expect_refused_folder("precision bf16 is not available");
    folder_write_text(folder, "a/model.json", "{}");
    folder_write_text(folder, "a/labels.txt", "one\ntwo\n");
    expect_refused_folder("a/labels.txt has 2 labels, but the model has 1 class");
    folder_write_text(folder, "a/model.onnx", "this is no model");
    expect_refused_folder("a/model.onnx");
}

Test(registry, without_any_config) {
    served_model *model = NULL;
    folder_copy(folder, "m/model.onnx", "digits", "model.onnx");
    char path[300];
    snprintf(path, sizeof path, "%s/m", folder);
    cr_assert_eq(served_model_open(test_runtime(), path, NULL, &model, NULL), MODEL_OK);
    cr_expect_str_eq(served_model_name(model), "m");
    cr_expect_eq(served_model_class_count(model), 10);
    cr_expect_str_eq(served_model_label(model, 9), "class 9");
    cr_expect_eq(served_model_activation(model), MODEL_SOFTMAX, "its graph ends in logits");
    served_model_unref(model);
}

Test(open, names_of_models) {
    static const char *const paths[][2] = {
        {"a/b", "b"},          {"a/b/", "b"},           {"a/b.onnx", "b"},
        {"a/model.onnx", "a"}, {"model.onnx", "model"}, {"/x/my.ONNX", "my"}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *name = source_name_of_path(paths[i][0]);
        cr_expect_str_eq(name, paths[i][1], "%s gives %s", paths[i][0], name);
        free(name);
    }
}

Test(open, what_a_name_may_be) {
    static const char *const good[] = {"a", "A1", "squeezenet1.1", "x_y-z.0"};
    static const char *const bad[] = {"",   ".",   "..",  ".hidden", "-a",
                                      "_a", "a/b", "a b", "ä",       "a\n"};
    char name[200];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect_eq(model_name_check(good[i], NULL), MODEL_OK, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(model_name_check(bad[i], NULL), MODEL_INVALID, "%s", bad[i]);
    memset(name, 'a', sizeof name);
    name[MODEL_NAME_MAX] = '\0';
    cr_expect_eq(model_name_check(name, NULL), MODEL_OK);
    name[MODEL_NAME_MAX] = 'a';
    name[MODEL_NAME_MAX + 1] = '\0';
    cr_expect_eq(model_name_check(name, NULL), MODEL_INVALID);
}

Test(open, unknown_model) {
    served_model *model = NULL;
    model_error err = {0};
    cr_expect_eq(served_model_open(test_runtime(), "digitz", NULL, &model, &err), MODEL_INVALID);
    cr_expect_str_eq(err.message,
                     "'digitz' is neither a file nor a folder; did you mean 'digits'?");
}
