/* Layouts of folders, what is likely a mistake in them, and networks that take other things than
 * float32 pictures. */
#include "folder.h"
#include "graphs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FOLDER_SUITE(folders);

/* folder/NAME */
static const char *in_folder(const char *name) {
    static char path[600];
    snprintf(path, sizeof path, "%s%s%s", folder, name[0] ? "/" : "", name);
    return path;
}

/* Opening folder/NAME says `part`, in which @ stands for the folder. */
static void expect_refused(const char *name, const char *part) {
    served_model *model = NULL;
    model_error err = {0};
    model_code code = served_model_open(test_runtime(), in_folder(name), NULL, &model, &err);
    char want[2000] = "";
    for (const char *p = part; *p; p++) {
        size_t length = strlen(want);
        snprintf(want + length, sizeof want - length, *p == '@' ? "%s" : "%.1s",
                 *p == '@' ? folder : p);
    }
    cr_expect(code == MODEL_INVALID || code == MODEL_UNFIT, "%s: %d", name, (int)code);
    cr_expect_not_null(strstr(err.message, want), "'%s' lacks '%s'", err.message, want);
    served_model_unref(model);
}

static void expect_registry(const char *directory, const char *part) {
    model_registry_options options = {.models_dir = directory};
    model_registry *registry = NULL;
    model_error err = {0};
    cr_expect_eq(model_registry_create(test_runtime(), &options, &registry, &err), MODEL_INVALID);
    cr_expect_not_null(strstr(err.message, part), "'%s' lacks '%s'", err.message, part);
}

/* ---- Hugging Face's repositories ------------------------------------------------------------- */

#define VIT "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 8}"

static void write_description(const char *where) {
    char path[100];
    snprintf(path, sizeof path, "%sconfig.json", where);
    folder_write_text(folder, path, "{\"id2label\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}}");
    snprintf(path, sizeof path, "%spreprocessor_config.json", where);
    folder_write_text(folder, path, VIT);
}

/* A clone: onnx/model.onnx, a sibling, and the description above. */
static void write_clone(void) {
    write_description("hub/");
    graph_write_exported(folder, "hub/onnx/model.onnx", 3, 3);
    graph_write_exported(folder, "hub/onnx/model_fp16.onnx", 3, 3);
}

static void expect_described(const char *path, const char *graph) {
    char origin[700];
    served_model *model = open_model(in_folder(path));
    cr_expect_str_eq(served_model_name(model), "hub", "%s", path);
    cr_expect_str_eq(served_model_label(model, 2), "c", "%s", path);
    cr_expect_eq(served_model_spec(model)->size_h, 8, "%s", path);
    snprintf(origin, sizeof origin, "%s/hub/%s", folder, graph);
    cr_expect_str_eq(served_model_origin(model), origin);
    served_model_unref(model);
}

Test(folders, a_clone_of_the_hub) {
    write_clone();
    expect_described("hub", "onnx/model.onnx");
    expect_described("hub/", "onnx/model.onnx");
    expect_described("hub/onnx/model.onnx", "onnx/model.onnx");
    expect_described("hub/onnx/model_fp16.onnx", "onnx/model_fp16.onnx");
}

Test(folders, a_clone_among_other_models) {
    write_clone();
    graph_write_exported(folder, "versions/3/onnx/model.onnx", 3, 3);
    write_description("versions/3/");
    model_registry_options options = {.models_dir = folder};
    model_registry *registry = NULL;
    served_model *model = NULL;
    cr_assert_eq(model_registry_create(test_runtime(), &options, &registry, NULL), MODEL_OK);
    cr_assert_eq(model_registry_find(registry, "hub", "1", &model, NULL), MODEL_OK);
    cr_expect_str_eq(served_model_label(model, 0), "a");
    served_model_unref(model);
    cr_assert_eq(model_registry_find(registry, "versions", "3", &model, NULL), MODEL_OK);
    cr_expect_str_eq(served_model_label(model, 0), "a");
    served_model_unref(model);
    cr_expect_eq(model_registry_warnings(registry)->count, 0);
    model_registry_free(registry);
    expect_registry(in_folder("hub"),
                    "is a model's own, not one of models; give it as --model NAME=");
}

static void expect_name(const char *path, const char *want) {
    char *name = source_name_of_path(path);
    cr_expect_str_eq(name, want, "%s is '%s', not '%s'", path, name, want);
    free(name);
}

Test(folders, names_of_paths) {
    expect_name("a/net", "net");
    expect_name("a/net//", "net");
    expect_name("a/bird.onnx", "bird");
    expect_name("bird.ONNX", "bird");
    expect_name("a/net/model.onnx", "net");
    expect_name("a/net/model_q4f16.onnx", "net");
    expect_name("a/net/onnx/model.onnx", "net");
    expect_name("onnx/model.onnx", "onnx");
    expect_name("model.onnx", "model");
    char here[4096], path[4200];
    folder_write_text(folder, "here/notes.txt", "");
    snprintf(path, sizeof path, "%s/here/.", folder);
    expect_name(path, "here");
    snprintf(path, sizeof path, "%s/here/../here/./model.onnx", folder);
    expect_name(path, "here");
    snprintf(here, sizeof here, "%s", strrchr(folder, '/') + 1);
    snprintf(path, sizeof path, "%s/here/..", folder);
    expect_name(path, here);
}

Test(folders, a_sibling_of_a_name) {
    char option[700];
    const char *models[] = {option};
    model_registry_options options = {.models = models, .model_count = 1};
    model_registry *registry = NULL;
    served_model *model = NULL;
    write_clone();
    snprintf(option, sizeof option, "half=%s", in_folder("hub/onnx/model_fp16.onnx"));
    cr_assert_eq(model_registry_create(test_runtime(), &options, &registry, NULL), MODEL_OK);
    cr_assert_eq(model_registry_find(registry, "half", NULL, &model, NULL), MODEL_OK);
    cr_expect_str_eq(served_model_label(model, 1), "b");
    served_model_unref(model);
    model_registry_free(registry);
}

Test(folders, a_description_beside_the_graph_comes_first) {
    write_clone();
    folder_write_text(folder, "hub/onnx/model.json", "{\"labels\": [\"x\", \"y\", \"z\"]}");
    served_model *model = open_model(in_folder("hub"));
    cr_expect_str_eq(served_model_label(model, 0), "x");
    served_model_unref(model);
}

Test(folders, siblings_without_a_model) {
    write_description("hub/");
    graph_write_exported(folder, "hub/onnx/model_quantized.onnx", 3, 3);
    folder_write_text(folder, "hub/onnx/model_folder.onnx/notes.txt", "no graph");
    expect_described("hub", "onnx/model_quantized.onnx");
    graph_write_exported(folder, "hub/onnx/model_fp16.onnx", 3, 3);
    expect_refused("hub",
                   "folder '@/hub/onnx' holds no model.onnx, but 'model_fp16.onnx', "
                   "'model_quantized.onnx'; choose one: --model NAME=@/hub/onnx/model_fp16.onnx");
    expect_registry(folder, "choose one: --model NAME=");
}

Test(folders, siblings_beside_the_description) {
    write_description("hub/");
    graph_write_exported(folder, "hub/model_int8.onnx", 3, 3);
    expect_described("hub", "model_int8.onnx");
    expect_described("hub/model_int8.onnx", "model_int8.onnx");
}

Test(folders, other_names_have_no_description) {
    write_description("");
    graph_write_exported(folder, "net.onnx", 3, 3);
    served_model *model = open_model(in_folder("net.onnx"));
    cr_expect_str_eq(served_model_label(model, 0), "class 0");
    cr_expect_str_eq(served_model_name(model), "net");
    served_model_unref(model);
    expect_refused("", "holds neither model.onnx nor VERSION/model.onnx; give the file 'net.onnx' "
                       "itself, or call it model.onnx");
    graph_write_exported(folder, "many/a/net.onnx", 3, 3);
    expect_registry(in_folder("many"), "many/a' is passed over: it holds neither model.onnx nor "
                                       "VERSION/model.onnx; give the file 'net.onnx' itself");
}

/* As where a cache's links were mounted without what they lead to. */
Test(folders, what_is_called_like_a_graph_and_is_no_file) {
    char path[700];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    cr_assert_eq(symlink("../blobs/none", path), 0);
    expect_refused("", "holds neither model.onnx nor VERSION/model.onnx; 'model.onnx' in it is a "
                       "folder, or a link that leads to no file");
    graph_write_exported(folder, "other.onnx", 3, 3);
    expect_refused("", "give the file 'other.onnx' itself");
}

Test(folders, a_file_that_git_lfs_has_not_fetched) {
    static const char pointer[] =
        "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
        "size 94392\n";
    folder_write_text(folder, "m/model.onnx", pointer);
    expect_refused("m",
                   "@/m/model.onnx is a pointer of Git LFS, not the file itself; fetch it with "
                   "'git lfs pull'");
    graph_write_exported(folder, "n/onnx/model.onnx", 3, 3);
    folder_write_text(folder, "n/onnx/model.onnx_data", pointer);
    expect_refused("n", "onnx/model.onnx_data is a pointer of Git LFS");
}

/* ---- versions ---------------------------------------------------------------------------------
 */

Test(folders, versions_of_a_wrong_name) {
    static const char *const names[][2] = {{"v1", "; call it '1'"},     {"1.0", "; call it '1'"},
                                           {"01", "; call it '1'"},     {"latest", "leading zeros"},
                                           {"v10-b", "; call it '10'"}, {"0", "leading zeros"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[100], part[200];
        snprintf(path, sizeof path, "%zu/%s/model.onnx", i, names[i][0]);
        graph_write_exported(folder, path, 3, 3);
        snprintf(part, sizeof part, "'@/%zu/%s' holds a model and is passed over", i, names[i][0]);
        snprintf(path, sizeof path, "%zu", i);
        expect_refused(path, part);
        expect_refused(path, names[i][1]);
    }
    expect_registry(folder, "holds no models: folder '");
    expect_registry(folder, "/0/v1' holds a model and is passed over");
}

Test(folders, a_wrong_version_beside_a_right_one) {
    graph_write_exported(folder, "m/2/model.onnx", 3, 3);
    graph_write_exported(folder, "m/v3/model.onnx", 3, 3);
    folder_write_text(folder, "m/assets/notes.txt", "no model");
    served_model *model = open_model(in_folder("m"));
    cr_expect_str_eq(served_model_version_text(model), "2");
    const model_warnings *warnings = served_model_warnings(model);
    cr_assert_eq(warnings->count, 1);
    cr_expect_not_null(strstr(warnings->lines[0], "m/v3' holds a model and is passed over"));
    served_model_unref(model);
    model_registry_options options = {.models_dir = folder};
    model_registry *registry = NULL;
    cr_assert_eq(model_registry_create(test_runtime(), &options, &registry, NULL), MODEL_OK);
    cr_expect_eq(model_registry_warnings(registry)->count, 1);
    model_registry_free(registry);
}

/* ---- descriptions -----------------------------------------------------------------------------
 */

Test(folders, labels_in_model_json) {
    graph_write_exported(folder, "model.onnx", 3, 2);
    folder_write_text(folder, "labels.txt", "not\nthese\n");
    folder_write_text(folder, "model.json", "{\"labels\": [\"cat\", \"d\\u00f6g\"]}");
    served_model *model = open_model(folder);
    cr_expect_str_eq(served_model_label(model, 1), "d\xc3\xb6g");
    served_model_unref(model);
    folder_write_text(folder, "model.json", "{\"labels\": [\"cat\"]}");
    expect_refused("", "@/model.json has 1 labels, but the model has 2 classes");
}

Test(folders, files_of_windows) {
    static const char labels[] = "\xff\xfe"
                                 "c\0a\0t\0\r\0\n\0d\0\xf6\0g\0\r\0\n";
    static const char json[] = "\xff\xfe{\0}\0\r\0\n";
    graph_write_exported(folder, "model.onnx", 3, 2);
    folder_write(folder, "labels.txt", labels, sizeof labels);
    folder_write(folder, "model.json", json, sizeof json);
    served_model *model = open_model(folder);
    cr_expect_str_eq(served_model_label(model, 0), "cat");
    cr_expect_str_eq(served_model_label(model, 1), "d\xc3\xb6g");
    served_model_unref(model);
    folder_write_text(folder, "labels.txt",
                      "\xef\xbb\xbf"
                      "cat\r\nd\xc3\xb6g\r\n");
    folder_write_text(folder, "model.json", "\xef\xbb\xbf{}");
    model = open_model(folder);
    cr_expect_str_eq(served_model_label(model, 0), "cat");
    served_model_unref(model);
    folder_write(folder, "labels.txt", labels, sizeof labels - 1);
    expect_refused("", "@/labels.txt is UTF-16 text that breaks off within a character");
    folder_write_text(folder, "labels.txt", "cat\nd\xf6g\n");
    expect_refused("", "@/labels.txt: line 2 is not UTF-8 text");
}

/* ---- what is fed ------------------------------------------------------------------------------
 */

/* Two pixels, one above the other. */
static const uint8_t pixels[6] = {10, 128, 255, 0, 77, 200};

/* The six values that a network of this element type and layout is fed with. */
static void expect_fed(cnn_dtype dtype, bool last, const char *json, const float want[6]) {
    void *png;
    size_t size;
    model_query *query = NULL;
    model_result result = {0};
    model_error err = {0};
    const int64_t dims[2][4] = {{1, 3, 2, 1}, {1, 2, 1, 3}};
    graph_write_fed(folder, "model.onnx", dtype, 4, dims[last]);
    folder_write_text(folder, "model.json", json);
    served_model *model = open_model(folder);
    cr_assert_eq(model_query_create(model, &(model_query_options){.top = 6}, &query, &err),
                 MODEL_OK, "%s", err.message);
    cr_assert_eq(image_encode_png(pixels, 1, 2, NULL, 0, &png, &size, NULL), IMAGE_OK);
    cr_assert_eq(model_classify(query, png, size, &result, &err), MODEL_OK, "%s", err.message);
    for (size_t i = 0; i < result.prediction_count; i++) {
        const model_prediction *p = &result.predictions[i];
        cr_expect_float_eq(p->probability, want[p->class_index],
                           1e-6 * fmax(1, fabs((double)want[p->class_index])),
                           "%s: value %zu is %.9g, not %.9g", cnn_dtype_name(dtype), p->class_index,
                           (double)p->probability, (double)want[p->class_index]);
    }
    cr_expect_eq(result.prediction_count, 6);
    model_result_free(&result);
    model_query_free(query);
    served_model_unref(model);
    free(png);
}

#define PLAIN      "\"resize\": {\"mode\": \"none\"}"
#define AS_IT_IS   "{\"input\": {" PLAIN "}, \"output\": {\"activation\": \"none\"}}"
#define WITH(keys) "{\"input\": {" PLAIN ", " keys "}, \"output\": {\"activation\": \"none\"}}"

Test(folders, whole_numbers_are_fed_pixels) {
    static const cnn_dtype types[] = {CNN_UINT8, CNN_UINT16, CNN_INT16, CNN_UINT32,
                                      CNN_INT32, CNN_UINT64, CNN_INT64};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        expect_fed(types[i], false, AS_IT_IS, (const float[]){10, 0, 128, 77, 255, 200});
        expect_fed(types[i], true, AS_IT_IS, (const float[]){10, 128, 255, 0, 77, 200});
    }
    expect_fed(CNN_INT8, true, AS_IT_IS, (const float[]){-118, 0, 127, -128, -51, 72});
}

/* (pixel x scale - mean) / std, to the nearest and within the range. */
Test(folders, whole_numbers_as_model_json_says) {
    expect_fed(CNN_UINT8, true, WITH("\"color\": \"BGR\", \"scale\": 0.5, \"mean\": [0, 1, 2]"),
               (const float[]){128, 63, 3, 100, 38, 0});
    expect_fed(CNN_INT8, true, WITH("\"scale\": 1, \"mean\": 0, \"std\": 1"),
               (const float[]){10, 127, 127, 0, 77, 127});
    expect_fed(CNN_UINT8, true, WITH("\"scale\": 2, \"mean\": 100, \"std\": 1"),
               (const float[]){0, 156, 255, 0, 54, 255});
}

/* Values of IEEE 754's types next to (pixel / 255 - 0.5) / 0.5, worked with NumPy. */
Test(folders, floats_of_other_widths) {
    static const char json[] = WITH("\"mean\": 0.5, \"std\": 0.5");
    expect_fed(CNN_FLOAT32, true, json,
               (const float[]){-0.92156863f, 0.003921628f, 1, -1, -0.39607844f, 0.56862748f});
    expect_fed(CNN_FLOAT64, true, json,
               (const float[]){-0.92156863f, 0.003921628f, 1, -1, -0.39607844f, 0.56862748f});
    expect_fed(CNN_FLOAT16, true, json,
               (const float[]){-0.921386719f, 0.00392150879f, 1, -1, -0.395996094f, 0.568847656f});
    expect_fed(CNN_BFLOAT16, true, json,
               (const float[]){-0.921875f, 0.00393676758f, 1, -1, -0.396484375f, 0.5703125f});
}

Test(folders, work_in_plain_code_is_said) {
    graph_write_half(folder, "model.onnx");
    served_model *model = open_model(folder);
    const model_warnings *warnings = served_model_warnings(model);
    cr_assert_eq(warnings->count, 1);
    cr_expect_not_null(strstr(warnings->lines[0],
                              "100 % of the multiply-accumulates are done by plain "
                              "code, which is slow, first in layer 'slow'"),
                       "%s", warnings->lines[0]);
    cr_expect_eq(served_model_class_count(model), 64);
    served_model_unref(model);
}

/* ---- inputs that are no pictures --------------------------------------------------------------
 */

static void expect_unfit(int dtype, int rank, const int64_t *dims, const char *part) {
    graph_write_fed(folder, "model.onnx", dtype, rank, dims);
    expect_refused("", part);
}

Test(folders, what_takes_no_pictures) {
    expect_unfit(CNN_FLOAT32, -1, NULL, "the file does not declare the shape of input 'x'");
    expect_unfit(CNN_FLOAT32, -1, NULL, "declare it when exporting, for example as 1x3x224x224");
    expect_unfit(CNN_FLOAT32, 3, (const int64_t[]){3, 8, -1},
                 "input 'x' (3x8x?) has no axis for the batch; put a Squeeze of axis 0");
    expect_unfit(CNN_FLOAT32, 2, (const int64_t[]){-1, 784},
                 "input 'x' (?x784) has two axes, as flattened pictures have; put a Reshape");
    expect_unfit(CNN_FLOAT32, 5, (const int64_t[]){1, 3, 4, 8, 8},
                 "input 'x' (1x3x4x8x8) has more axes than pictures have; pictures are fed as "
                 "NxCxHxW or NxHxWxC");
    expect_unfit(CNN_BOOL, 4, (const int64_t[]){1, 3, 8, 8},
                 "input 'x' is bool, pictures are fed as numbers");
    expect_unfit(CNN_UINT8, 4, (const int64_t[]){8, 3, 8, 8}, "has a fixed batch of 8");
}
