/* How model.json and the graph together decide what is fed. */
#include "models/internal.h"
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

static const graph_input bytes224 = {
    .channels = 3, .height = 224, .width = 224, .element = IMAGE_UINT8};

static void expect_values(image_spec spec, double scale, double mean, double std) {
    cr_expect_float_eq(spec.scale, scale, 1e-9);
    cr_expect_float_eq(spec.mean[0], mean, 1e-6);
    cr_expect_float_eq(spec.std[0], std, 1e-6);
}

Test(preprocessing, whole_numbers_are_pixels) {
    graph_input input = bytes224;
    resolved r = resolve("{}", input);
    cr_assert_eq(r.code, MODEL_OK);
    cr_expect_eq(r.spec.element, IMAGE_UINT8);
    cr_expect(r.spec.size_h == 256 && r.spec.crop_h == 224);
    expect_values(r.spec, 1, 0, 1);
    input.element = IMAGE_INT32;
    expect_values(resolve("{}", input).spec, 1, 0, 1);
    input.element = IMAGE_INT8;
    expect_values(resolve("{}", input).spec, 1, 128, 1);
    input.element = IMAGE_FLOAT16;
    expect_values(resolve("{}", input).spec, 1 / 255.0, 0.485, 0.229);
}

Test(preprocessing, model_json_says_otherwise_for_whole_numbers) {
    graph_input input = bytes224;
    expect_values(resolve("{\"input\": {\"scale\": 0.5}}", input).spec, 0.5, 0, 1);
    expect_values(resolve("{\"input\": {\"mean\": 3}}", input).spec, 1, 3, 1);
    expect_values(resolve("{\"input\": {\"std\": 2}}", input).spec, 1, 0, 2);
    input.element = IMAGE_INT8;
    expect_values(resolve("{\"input\": {\"scale\": 0.25}}", input).spec, 0.25, 0, 1);
}

Test(preprocessing, what_makes_floats_is_not_for_whole_numbers) {
    model_config config = {.has_scale = true, .scale = 1 / 255.0f, .mean_count = 1, .std_count = 1};
    config.mean[0] = config.std[0] = 0.5f;
    config.makes_floats = true;
    image_spec spec;
    bool fixed;
    int height, width;
    graph_input input = bytes224;
    cr_assert_eq(preprocessing_resolve(&config, &input, &spec, &fixed, &height, &width, NULL),
                 MODEL_OK);
    expect_values(spec, 1, 0, 1);
    input.element = IMAGE_FLOAT64;
    cr_assert_eq(preprocessing_resolve(&config, &input, &spec, &fixed, &height, &width, NULL),
                 MODEL_OK);
    expect_values(spec, 1 / 255.0, 0.5, 0.5);
}

/* ---- doubts --------------------------------------------------------------------------------- */

/* The warnings on a model.json; `part` NULL: there is none. */
static void expect_doubt(const char *json, graph_input input, const char *part) {
    resolved r = resolve(json, input);
    model_warnings warnings = {0};
    cr_assert_eq(r.code, MODEL_OK, "%s", r.message);
    preprocessing_doubt(&r.spec, &warnings);
    cr_expect_eq(warnings.count, part ? 1 : 0, "%s: %zu: %s", json, warnings.count,
                 warnings.count ? warnings.lines[0] : "");
    if (part && warnings.count)
        cr_expect_not_null(strstr(warnings.lines[0], part), "%s: %s", json, warnings.lines[0]);
    warnings_free(&warnings);
}

Test(preprocessing, a_stamp_in_a_black_frame) {
    expect_doubt("{\"input\": {\"resize\": {\"mode\": \"exact\", \"size\": 96}, \"crop\": 224}}",
                 rgb224, "resized to 96x96 and then cut to 224x224 (height x width)");
    expect_doubt("{\"input\": {\"resize\": {\"mode\": \"exact\", \"size\": 96}}}", rgb224,
                 "meant to be 224x224?");
    expect_doubt("{\"input\": {\"resize\": {\"size\": 200}}}", rgb224, "at least 224?");
    expect_doubt("{\"input\": {\"resize\": {\"size\": 250}, \"crop\": [200, 300]}}", open_size,
                 "at least 300?");
    expect_doubt("{\"input\": {\"resize\": {\"size\": 224}}}", rgb224, NULL);
    expect_doubt("{\"input\": {\"resize\": {\"mode\": \"none\"}, \"crop\": 224}}", rgb224, NULL);
}

Test(preprocessing, units_that_are_mixed) {
    static const char outside[] = "lies outside",
                      units[] = "are of numbers from 0 to 1, but scale 1";
    expect_doubt("{\"input\": {\"mean\": [123.7, 116.3, 103.5], \"std\": [58.4, 57.1, 57.4]}}",
                 rgb224, outside);
    expect_doubt("{\"input\": {\"mean\": 127.5}}", rgb224, outside);
    expect_doubt("{\"input\": {\"mean\": -3, \"scale\": 1}}", rgb224, outside);
    expect_doubt(
        "{\"input\": {\"scale\": 1, \"mean\": [0.485, 0.456, 0.406], \"std\": [0.229, 0.224, "
        "0.225]}}",
        rgb224, units);
    expect_doubt("{\"input\": {\"scale\": 1, \"std\": 0.5}}", rgb224, units);
    expect_doubt("{\"input\": {\"std\": 255}}", rgb224, "lie 0.00392 apart from black to white");
    expect_doubt("{\"input\": {\"scale\": 255, \"mean\": 0}}", rgb224, "lie 6.5e+04 apart");
    expect_doubt("{\"input\": {\"scale\": 0.0039215686}}", bytes224, "takes whole numbers");
    expect_doubt("{\"input\": {\"mean\": 123}}", bytes224,
                 "would reach from -123 to 132, and the type of the model's input cuts off what is "
                 "not from 0 to 255");
    expect_doubt("{\"input\": {\"mean\": 0}}",
                 (graph_input){.channels = 3, .height = 8, .width = 8, .element = IMAGE_INT8},
                 "not from -128 to 127");
}

/* As networks of Keras, Caffe, TensorFlow and PyTorch are fed; negatives too. */
Test(preprocessing, what_is_usual_raises_no_doubt) {
    static const char *const usual[] = {
        "{}",
        "{\"input\": {\"scale\": 1, \"mean\": 0, \"std\": 1}}",
        "{\"input\": {\"scale\": 1, \"mean\": [104, 117, 123], \"std\": 1}}",
        "{\"input\": {\"scale\": 1, \"mean\": [123.675, 116.28, 103.53], \"std\": 57.4}}",
        "{\"input\": {\"scale\": 0.00784313725, \"mean\": 1, \"std\": 1}}",
        "{\"input\": {\"mean\": 0.5, \"std\": 0.5}}",
        "{\"input\": {\"scale\": 1, \"mean\": 127.5, \"std\": 127.5}}",
        "{\"input\": {\"scale\": -0.00392156863, \"mean\": -1}}",
        "{\"input\": {\"scale\": 1, \"mean\": 103.94, \"std\": 58.8}}",
    };
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        expect_doubt(usual[i], rgb224, NULL);
    expect_doubt("{}", bytes224, NULL);
    expect_doubt("{}", grey28, NULL);
    graph_input small = bytes224;
    small.element = IMAGE_INT8;
    expect_doubt("{}", small, NULL);
    expect_doubt("{\"input\": {\"mean\": 127.5}}", small, NULL);
}
