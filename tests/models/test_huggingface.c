/* Folders as Hugging Face's tools write them: the tensors that transformers makes, labels, and a
 * sentence for everything that is not understood. */
#include "folder.h"
#include "graphs.h"
#include "json/huggingface.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 6 };

typedef struct huggingface_case {
    const char *name, *config, *preprocessor;
    int width, height; /* of the picture */
    int out_h, out_w;
    double weighted; /* mean of value i x (31 i mod 101) */
    size_t places[SAMPLES];
    double values[SAMPLES];
} huggingface_case;

#include "huggingface_cases.h"

FOLDER_SUITE(huggingface);

/* A folder of 3 classes with these files, NULL: without. */
static void write_folder(const char *config, const char *preprocessor) {
    folder_remove(folder);
    folder = folder_create();
    graph_write_exported(folder, "model.onnx", 3, 3);
    if (config) folder_write_text(folder, "config.json", config);
    if (preprocessor) folder_write_text(folder, "preprocessor_config.json", preprocessor);
}

/* ---- tensors -------------------------------------------------------------------------------- */

/* picture() of make_huggingface.py */
static image picture(int width, int height) {
    image made = {malloc((size_t)width * (size_t)height * 3), width, height};
    for (int i = 0, y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                made.pixels[i++] = (uint8_t)((x * 5 + y * 3 + x * y / 7 + c * 60) % 256);
    return made;
}

static void compare_tensor(const huggingface_case *c, const float *tensor, size_t count) {
    double weighted = 0;
    for (size_t i = 0; i < count; i++)
        weighted += (double)tensor[i] * (double)(i * 31 % 101);
    weighted /= (double)count;
    cr_expect_float_eq(weighted, c->weighted, 1e-5 * fmax(1, fabs(c->weighted)),
                       "%s %s: %.9g, not %.9g", c->name, c->preprocessor, weighted, c->weighted);
    for (int i = 0; i < SAMPLES; i++)
        cr_expect_float_eq(tensor[c->places[i]], c->values[i], 2e-6 * fmax(1, fabs(c->values[i])),
                           "%s %s: value %zu is %.9g, not %.9g", c->name, c->preprocessor,
                           c->places[i], (double)tensor[c->places[i]], c->values[i]);
}

static void check_case(const huggingface_case *c) {
    write_folder(c->config, c->preprocessor);
    served_model *model = open_model(folder);
    const image_spec *spec = served_model_spec(model);
    int height = 0, width = 0;
    cr_assert_eq(image_tensor_size(spec, c->width, c->height, &height, &width, NULL), IMAGE_OK);
    cr_expect(height == c->out_h && width == c->out_w, "%s %s: %dx%d, not %dx%d", c->name,
              c->preprocessor, height, width, c->out_h, c->out_w);
    if (height == c->out_h && width == c->out_w) {
        size_t count = (size_t)height * (size_t)width * 3;
        float *tensor = malloc(count * sizeof(float));
        image source = picture(c->width, c->height);
        cr_assert_eq(image_to_tensor(&source, spec, height, width, tensor, NULL, NULL), IMAGE_OK);
        compare_tensor(c, tensor, count);
        image_free(&source);
        free(tensor);
    }
    served_model_unref(model);
}

Test(huggingface, tensors_are_those_of_transformers_and_timm) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(&cases[i]);
}

/* ---- labels and activation ------------------------------------------------------------------ */

#define VIT "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 8}"

static void expect_model(const char *config, model_activation activation, const char *first,
                         const char *last) {
    write_folder(config, VIT);
    served_model *model = open_model(folder);
    cr_expect_eq(served_model_activation(model), activation, "%s", config);
    cr_expect_str_eq(served_model_label(model, 0), first);
    cr_expect_str_eq(served_model_label(model, 2), last);
    served_model_unref(model);
}

Test(huggingface, labels_in_the_order_of_their_ids) {
    expect_model(
        "{\"id2label\": {\"2\": \"c\", \"0\": \"tench, Tinca\", \"1\": \"b\"}, \"hidden_size\": 3}",
        MODEL_SOFTMAX, "tench, Tinca", "c");
    expect_model("{\"id2label\": {\"0\": 7, \"1\": \"b\\nb\", \"2\": \"\\u00e4\"}}", MODEL_SOFTMAX,
                 "7", "\xc3\xa4");
    expect_model("{\"model_type\": \"vit\"}", MODEL_SOFTMAX, "class 0", "class 2");
    expect_model("{\"label_names\": [\"x\", \"y\", \"z\"]}", MODEL_SOFTMAX, "x", "z");
    expect_model(NULL, MODEL_SOFTMAX, "class 0", "class 2");
}

Test(huggingface, problem_type_chooses_the_activation) {
    expect_model("{\"problem_type\": \"multi_label_classification\"}", MODEL_SIGMOID, "class 0",
                 "class 2");
    expect_model("{\"problem_type\": \"single_label_classification\"}", MODEL_SOFTMAX, "class 0",
                 "class 2");
    expect_model("{\"problem_type\": null}", MODEL_SOFTMAX, "class 0", "class 2");
    expect_model("{\"problem_type\": \"regression\"}", MODEL_NONE, "class 0", "class 2");
}

Test(huggingface, one_class_is_a_sigmoid) {
    write_folder("{\"id2label\": {\"0\": \"cat\"}}", VIT);
    graph_write_exported(folder, "model.onnx", 3, 1);
    served_model *model = open_model(folder);
    cr_expect_eq(served_model_activation(model), MODEL_SIGMOID);
    cr_expect_str_eq(served_model_label(model, 0), "cat");
    served_model_unref(model);
}

Test(huggingface, grey_models) {
    write_folder("{\"num_channels\": 1}", VIT);
    graph_write_exported(folder, "model.onnx", 1, 3);
    served_model *model = open_model(folder);
    cr_expect_eq(served_model_spec(model)->color, IMAGE_GRAY);
    cr_expect_eq(served_model_spec(model)->channels, 1);
    served_model_unref(model);
}

Test(huggingface, the_processor_may_follow_from_the_model) {
    static const char old[] =
        "{\"do_normalize\": true, \"image_mean\": [0.485, 0.456, 0.406],"
        "\"image_std\": [0.229, 0.224, 0.225], \"size\": 28, \"resample\": 3}";
    write_folder("{\"model_type\": \"resnet\"}", old);
    served_model *model = open_model(folder);
    const image_spec *spec = served_model_spec(model);
    cr_expect(spec->resize == IMAGE_RESIZE_SHORTEST && spec->size_h == 32 && spec->crop_w == 28);
    cr_expect_eq(spec->filter, IMAGE_BICUBIC);
    served_model_unref(model);
}

static void expect_side(int side) {
    served_model *model = open_model(folder);
    cr_expect_eq(served_model_spec(model)->size_h, side);
    served_model_unref(model);
}

Test(huggingface, a_processor_of_several_parts) {
    write_folder("{}", "{\"image_processor\": {\"image_processor_type\": \"ViTImageProcessor\","
                       "\"size\": 8}, \"processor_class\": \"CLIPProcessor\"}");
    expect_side(8);
    folder_write_text(folder, "processor_config.json",
                      "{\"image_processor\": {\"image_processor_type\": \"ViTImageProcessorPil\","
                      "\"size\": 12}, \"tokenizer\": {}}");
    expect_side(12);
    folder_write_text(folder, "processor_config.json", "{\"processor_class\": \"CLIPProcessor\"}");
    expect_side(8);
    write_folder("{}", NULL);
    folder_write_text(folder, "processor_config.json",
                      "{\"image_processor\": {\"image_processor_type\": \"SamImageProcessor\"}}");
    served_model *model = NULL;
    model_error err = {0};
    cr_expect_eq(served_model_open(test_runtime(), folder, NULL, &model, &err), MODEL_INVALID);
    cr_expect_not_null(strstr(err.message, "/processor_config.json: image_processor_type 'Sam"),
                       "%s", err.message);
}

/* ---- folders -------------------------------------------------------------------------------- */

Test(huggingface, model_json_and_labels_txt_win) {
    write_folder("{\"id2label\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}}", VIT);
    folder_write_text(folder, "labels.txt", "x\ny\nz\n");
    served_model *model = open_model(folder);
    cr_expect_str_eq(served_model_label(model, 1), "y");
    cr_expect_eq(served_model_spec(model)->size_h, 8);
    served_model_unref(model);
    folder_write_text(folder, "preprocessor_config.json", "{\"broken");
    folder_write_text(folder, "model.json", "{\"input\": {\"crop\": 16}}");
    model = open_model(folder);
    cr_expect_eq(served_model_spec(model)->crop_h, 16);
    cr_expect_eq(served_model_spec(model)->rounding, IMAGE_ROUND_NEAREST);
    served_model_unref(model);
}

Test(huggingface, versions_have_files_of_their_own) {
    graph_write_exported(folder, "1/model.onnx", 3, 3);
    folder_write_text(folder, "1/config.json", "{\"label_names\": [\"a\", \"b\", \"c\"]}");
    folder_write_text(folder, "1/preprocessor_config.json", VIT);
    graph_write_exported(folder, "12/model.onnx", 3, 2);
    folder_write_text(folder, "12/config.json", "{\"id2label\": {\"0\": \"no\", \"1\": \"yes\"}}");
    folder_write_text(folder, "12/preprocessor_config.json",
                      "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 16}");
    char spec[600];
    const char *models[] = {spec};
    snprintf(spec, sizeof spec, "m=%s", folder);
    model_registry_options options = {.models = models, .model_count = 1};
    model_registry *registry = NULL;
    model_error err = {0};
    cr_assert_eq(model_registry_create(test_runtime(), &options, &registry, &err), MODEL_OK, "%s",
                 err.message);
    served_model *highest = NULL, *first = NULL;
    cr_assert_eq(model_registry_find(registry, "m", NULL, &highest, NULL), MODEL_OK);
    cr_assert_eq(model_registry_find(registry, "m", "1", &first, NULL), MODEL_OK);
    cr_expect_str_eq(served_model_label(highest, 1), "yes");
    cr_expect_eq(served_model_spec(highest)->size_h, 16);
    cr_expect_str_eq(served_model_label(first, 2), "c");
    cr_expect_eq(served_model_spec(first)->size_h, 8);
    served_model_unref(highest);
    served_model_unref(first);
    model_registry_free(registry);
}

Test(huggingface, a_graph_of_another_size_is_refused) {
    static const char *const ops[] = {"Flatten"};
    char want[600];
    write_folder("{}", "{\"image_processor_type\": \"DeiTImageProcessor\", \"size\": 9,"
                       "\"do_center_crop\": false}");
    graph_write_chain(folder, "model.onnx", ops, 1);
    served_model *model = NULL;
    model_error err = {0};
    cr_expect_eq(served_model_open(test_runtime(), folder, NULL, &model, &err), MODEL_INVALID);
    snprintf(want, sizeof want,
             "%s/preprocessor_config.json: preprocessing makes images of 9x9 (height x width), but "
             "the model's input 'image' is 8x8",
             folder);
    cr_expect_str_eq(err.message, want);
}

/* ---- errors --------------------------------------------------------------------------------- */

static void expect_refused(const char *config, const char *preprocessor, const char *file,
                           const char *message) {
    char want[900];
    served_model *model = NULL;
    model_error err = {0};
    write_folder(config, preprocessor);
    snprintf(want, sizeof want, "%s/%s: %s", folder, file, message);
    cr_expect_eq(served_model_open(test_runtime(), folder, NULL, &model, &err), MODEL_INVALID, "%s",
                 preprocessor ? preprocessor : config);
    cr_expect_str_eq(err.message, want);
    served_model_unref(model);
}

static void refused_keys(const char *type, const char *keys, const char *message) {
    char text[600];
    snprintf(text, sizeof text, "{\"image_processor_type\": \"%sImageProcessor\", %s}", type, keys);
    expect_refused(NULL, text, "preprocessor_config.json", message);
}

Test(huggingface, what_a_preprocessor_may_not_say) {
    refused_keys("ViT", "\"sise\": 3", "key 'sise' is not supported; did you mean 'size'?");
    refused_keys("ViT", "\"do_pad\": true", "do_pad is not supported");
    refused_keys("ViT", "\"do_resize\": 1", "do_resize must be true or false");
    refused_keys("ViT", "\"include_top\": true",
                 "include_top has no meaning for image processor ViT");
    refused_keys("ViT", "\"size\": 0", "size must be a whole number from 1 to 16384");
    refused_keys("ViT", "\"size\": {\"height\": 3}",
                 "size: width must be a whole number from 1 to 16384");
    refused_keys("ViT", "\"size\": {\"longest_edge\": 3}",
                 "size: 'longest_edge' is not supported, only height and width, or shortest_edge");
    refused_keys("ViT", "\"size\": {\"shortest_edge\": 3, \"width\": 3}",
                 "size has both shortest_edge and height or width");
    refused_keys("ViT", "\"size\": [1, 2, 3]", "size must be a whole number from 1 to 16384");
    refused_keys("ViT", "\"resample\": 6",
                 "resample must be one of Pillow's filters, a whole number from 0 to 5");
    refused_keys("ViT", "\"resample\": \"bicubic\"",
                 "resample must be one of Pillow's filters, a whole number from 0 to 5");
    refused_keys("ViT", "\"image_std\": [1, 0, 1]", "image_std must not hold 0");
    refused_keys("ViT", "\"image_std\": -1", "image_std must not hold negative numbers");
    refused_keys("ViT", "\"rescale_factor\": 0", "rescale_factor must not be 0");
    refused_keys("ViT", "\"image_mean\": [1, 0]",
                 "image_mean must be a number, or an array of 1 or 3, one a channel");
    refused_keys("ViT", "\"rescale_factor\": \"1/255\"",
                 "rescale_factor must be a number that a float holds");
    refused_keys("CLIP", "\"crop_size\": {\"shortest_edge\": 3}",
                 "crop_size must be a number, or have height and width");
    refused_keys("ConvNext", "\"resample\": 3, \"crop_pct\": 0",
                 "crop_pct must be a number above 0.01, at most 1");
    refused_keys("ConvNext", "\"resample\": 3, \"size\": {\"height\": 3, \"width\": 3}",
                 "size must be one number, or have shortest_edge");
    refused_keys(
        "ConvNext", "\"resample\": 3, \"do_center_crop\": true, \"crop_size\": 8",
        "do_center_crop to another size than that of the resize is not supported for image "
        "processor ConvNext");
    refused_keys(
        "ConvNext", "\"resample\": null",
        "resample is missing; releases of transformers differ in what that means for image "
        "processor ConvNext");
    refused_keys("Levit", "\"size\": 16384",
                 "size: images would be resized to 18724; the limit is 16384");
}

Test(huggingface, what_is_no_known_processor) {
    expect_refused(NULL, "{\"image_processor_type\": \"VitImageProcessor\"}",
                   "preprocessor_config.json",
                   "image_processor_type 'VitImageProcessor' is none that is read; those are ViT, "
                   "DINOv3ViT, ConvNext, MobileNetV1, MobileNetV2, MobileViT, EfficientNet, "
                   "EfficientFormer, Bit, DeiT, Beit, CLIP, ChineseCLIP, ViTHybrid, Levit, "
                   "PoolFormer, Pvt, Siglip, Blip, Segformer; for others write a model.json");
    expect_refused(
        NULL, "{\"size\": 3}", "preprocessor_config.json",
        "image_processor_type is missing, and the model_type of config.json does not tell "
        "it");
    expect_refused(NULL, "[]", "preprocessor_config.json", "the file must be an object");
    expect_refused("{}", NULL, "config.json",
                   "there is no preprocessor_config.json beside it, which says how images are "
                   "prepared; add it, or write a model.json");
}

Test(huggingface, as_many_labels_as_classes) {
    char want[600];
    served_model *model = NULL;
    model_error err = {0};
    write_folder("{\"id2label\": {\"0\": \"a\", \"1\": \"b\"}}", VIT);
    cr_expect_eq(served_model_open(test_runtime(), folder, NULL, &model, &err), MODEL_INVALID);
    snprintf(want, sizeof want, "%s/config.json has 2 labels, but the model has 3 classes", folder);
    cr_expect_str_eq(err.message, want);
}

Test(huggingface, what_a_config_may_not_say) {
    expect_refused("{\"id2label\": {\"0\": \"a\", \"1\": \"b\", \"3\": \"c\"}}", VIT, "config.json",
                   "id2label has 3 labels, so '3' is none of its classes");
    expect_refused("{\"id2label\": {\"0\": \"a\", \"00\": \"b\", \"1\": \"c\"}}", VIT,
                   "config.json", "id2label has class 0 twice");
    expect_refused("{\"id2label\": {\"0\": [], \"1\": \"b\", \"2\": \"c\"}}", VIT, "config.json",
                   "id2label: the label of class 0 must be a string");
    expect_refused("{\"id2label\": []}", VIT, "config.json",
                   "id2label must be an object with a label for each class");
    expect_refused("{\"problem_type\": \"ranking\"}", VIT, "config.json",
                   "problem_type 'ranking' is not supported");
    expect_refused("{\"pretrained_cfg\": {\"crop_mode\": \"border\"}}", NULL, "config.json",
                   "pretrained_cfg.crop_mode 'border' is not supported for 224x224");
    expect_refused("{\"pretrained_cfg\": {\"interpolation\": \"random\"}}", NULL, "config.json",
                   "pretrained_cfg.interpolation 'random' is not supported");
    expect_refused("{\"pretrained_cfg\": {\"input_size\": [3, 224]}}", NULL, "config.json",
                   "pretrained_cfg.input_size must be [channels, height, width]");
}
