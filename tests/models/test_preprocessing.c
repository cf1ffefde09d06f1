/* How model.json and the graph together decide what is fed. */
#include "models/preprocessing.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct resolved {
    model_code code;
    image_spec spec;
    bool fixed;
    int height, width;
    char message[1024];
} resolved;

static resolved resolve(const char *json, graph_input input) {
    model_config config = {0};
    resolved r = {0};
    model_error err = {0};
    input.name = "data";
    cr_assert(model_config_read(json, strlen(json), &config, r.message, sizeof r.message), "%s",
              r.message);
    r.code = preprocessing_resolve(&config, &input, &r.spec, &r.fixed, &r.height, &r.width, &err);
    strcpy(r.message, err.message);
    model_config_free(&config);
    return r;
}

static const graph_input rgb224 = {.channels = 3, .height = 224, .width = 224};
static const graph_input grey28 = {.channels = 1, .height = 28, .width = 28};
static const graph_input open_size = {.channels = 3, .height = -1, .width = -1};

Test(preprocessing, without_any_file) {
    resolved r = resolve("{}", rgb224);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(r.fixed && r.height == 224 && r.width == 224);
    cr_expect(r.spec.color == IMAGE_RGB && r.spec.channels == 3);
    cr_expect(r.spec.resize == IMAGE_RESIZE_SHORTEST && r.spec.filter == IMAGE_BILINEAR);
    cr_expect(r.spec.size_h == 256 && r.spec.crop_h == 224 && r.spec.crop_w == 224);
    cr_expect_float_eq(r.spec.scale, 1 / 255.0, 1e-9);
    cr_expect_float_eq(r.spec.mean[2], 0.406, 1e-6);
    cr_expect_float_eq(r.spec.std[0], 0.229, 1e-6);
}

Test(preprocessing, one_channel_is_grey) {
    resolved r = resolve("{}", grey28);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(r.spec.color == IMAGE_GRAY && r.spec.channels == 1);
    cr_expect(r.spec.size_h == 32 && r.spec.crop_h == 28);
    cr_expect(r.spec.mean[0] == 0 && r.spec.std[0] == 1);
    r = resolve("{\"input\": {\"color\": \"BGR\"}}", grey28);
    cr_expect_eq(r.code, MODEL_INVALID);
    cr_expect_str_eq(r.message, "input.color is BGR, but the model's input 'data' has one channel");
}

Test(preprocessing, grey_to_three_channels) {
    resolved r = resolve("{\"input\": {\"color\": \"GRAY\"}}", rgb224);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(r.spec.color == IMAGE_GRAY && r.spec.channels == 3);
}

Test(preprocessing, values_of_channels) {
    resolved r = resolve("{\"input\": {\"mean\": [5], \"std\": [2]}}", rgb224);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(r.spec.mean[2] == 5 && r.spec.std[2] == 2);
    r = resolve("{\"input\": {\"mean\": [104, 117, 123], \"scale\": 1}}", rgb224);
    cr_expect(r.spec.std[0] == 1 && r.spec.scale == 1, "the std not given is neutral");
    r = resolve("{\"input\": {\"mean\": [1, 2, 3]}}", grey28);
    cr_expect_eq(r.code, MODEL_INVALID);
    cr_expect_str_eq(r.message, "mean has 3 values for 1 channel");
}

Test(preprocessing, exact) {
    resolved r = resolve("{\"input\": {\"resize\": {\"mode\": \"exact\"}}}", rgb224);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(r.spec.size_h == 224 && r.spec.size_w == 224);
    r = resolve("{\"input\": {\"resize\": {\"mode\": \"exact\", \"size\": [40, 50]}}}", open_size);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(r.fixed && r.height == 40 && r.width == 50);
    r = resolve("{\"input\": {\"resize\": {\"mode\": \"exact\"}}}", open_size);
    cr_expect_eq(r.code, MODEL_INVALID);
}

Test(preprocessing, none) {
    resolved r = resolve("{\"input\": {\"resize\": {\"mode\": \"none\"}}}", open_size);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(!r.fixed && r.height == 224 && r.width == 224 && r.spec.crop_h == 0);
    r = resolve("{\"input\": {\"resize\": {\"mode\": \"none\"}, \"crop\": [30, 40]}}", open_size);
    cr_expect(r.fixed && r.height == 30 && r.width == 40);
    r = resolve("{\"input\": {\"resize\": {\"mode\": \"none\"}}}", rgb224);
    cr_expect(r.fixed && r.spec.crop_h == 0, "an image of another size is the image's mistake");
    r = resolve("{\"input\": {\"resize\": {\"mode\": \"none\", \"size\": 3}}}", rgb224);
    cr_expect_eq(r.code, MODEL_INVALID);
}

Test(preprocessing, open_sizes) {
    resolved r = resolve("{}", open_size);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect(r.fixed && r.height == 224 && r.spec.crop_h == 224 && r.spec.size_h == 256);
    r = resolve("{\"input\": {\"crop\": 448}}", open_size);
    cr_expect(r.fixed && r.height == 448 && r.spec.size_h == 512);
    r = resolve("{\"input\": {\"resize\": {\"mode\": \"shortest\", \"size\": 100}}}", open_size);
    cr_expect(!r.fixed && r.spec.crop_h == 0 && r.height == 100);
}

Test(preprocessing, disagreement_with_the_graph) {
    resolved r = resolve("{\"input\": {\"crop\": 227}}", rgb224);
    cr_expect_eq(r.code, MODEL_INVALID);
    cr_expect_str_eq(r.message, "preprocessing makes images of 227x227 (height x width), but the "
                                "model's input 'data' is 224x224");
    r = resolve("{\"input\": {\"resize\": {\"size\": [3, 4]}}}", rgb224);
    cr_expect_eq(r.code, MODEL_INVALID, "a shorter side has one size");
}
