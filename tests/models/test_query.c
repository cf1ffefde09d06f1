/*
 * Queries and classification, with the line detector: one 3x3 convolution that answers to vertical
 * lines, a ReLU, and average, maximum and global maximum pooling of it.
 */
#include "models/query.h"

#include "folder.h"
#include "graphs.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- pictures ----------------------------------------------------------------------------- */

typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

static void append(bytes *out, const void *data, size_t size) {
    out->data = realloc(out->data, out->size + size);
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void append_u32(bytes *out, uint32_t value) {
    unsigned char big[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                            (unsigned char)(value >> 8), (unsigned char)value};
    append(out, big, 4);
}

static void append_chunk(bytes *out, const char *type, const void *data, size_t size) {
    append_u32(out, (uint32_t)size);
    size_t begin = out->size;
    append(out, type, 4);
    append(out, data, size);
    append_u32(out, (uint32_t)crc32(0, out->data + begin, (unsigned)(out->size - begin)));
}

/* A grey PNG, black but for white columns [first, last]. */
static bytes line_png(int width, int height, int first, int last) {
    bytes out = {0}, head = {0};
    size_t stride = 1 + (size_t)width; /* a row begins with its filter, 0 */
    bytes rows = {calloc((size_t)height, stride), (size_t)height * stride};
    cr_assert_not_null(rows.data);
    for (int y = 0; y < height; y++)
        memset(rows.data + (size_t)y * stride + 1 + first, 0xff, (size_t)(last - first + 1));
    append_u32(&head, (uint32_t)width);
    append_u32(&head, (uint32_t)height);
    append(&head, "\x08\0\0\0\0", 5);
    uLongf size = compressBound(rows.size);
    unsigned char *packed = malloc(size);
    compress(packed, &size, rows.data, rows.size);
    append(&out, "\x89PNG\r\n\x1a\n", 8);
    append_chunk(&out, "IHDR", head.data, head.size);
    append_chunk(&out, "IDAT", packed, size);
    append_chunk(&out, "IEND", "", 0);
    free(packed);
    free(rows.data);
    free(head.data);
    return out;
}

/* ---- helpers ------------------------------------------------------------------------------ */

static model_code create_query(served_model *model, size_t top, const char *features,
                               model_query **out, model_error *err) {
    model_query_options options = {.top = top, .patterns = &features, .pattern_count = !!features};
    return model_query_create(model, &options, out, err);
}

static model_query *query_of(served_model *model, size_t top, const char *features) {
    model_query *query = NULL;
    model_error err = {0};
    cr_assert_eq(create_query(model, top, features, &query, &err), MODEL_OK, "%s", err.message);
    return query;
}

/* The names of the features that a list selects, separated by spaces. */
static void expect_features(const char *model_name, const char *features, const char *want) {
    char names[4096] = "";
    size_t count;
    served_model *model = open_model(model_name);
    model_query *query = query_of(model, 0, features);
    const model_feature *list = model_query_features(query, &count);
    for (size_t i = 0; i < count; i++) {
        strcat(names, i ? " " : "");
        strcat(names, list[i].name);
    }
    cr_expect_str_eq(names, want, "%s selects %s", features, names);
    model_query_free(query);
    served_model_unref(model);
}

static void expect_refused(const char *features, model_code code, const char *message) {
    model_query *query = NULL;
    model_error err = {0};
    served_model *model = open_model("line-detector");
    cr_expect_eq(create_query(model, 1, features, &query, &err), code);
    cr_expect_str_eq(err.message, message);
    served_model_unref(model);
}

/* ---- selection ---------------------------------------------------------------------------- */

Test(query, features_by_name_and_wildcard) {
    expect_features("line-detector", "map", "map");
    expect_features("line-detector", "max_pool,conv,conv", "conv max_pool");
    expect_features("line-detector", " map , max_pool ,,", "map max_pool");
    expect_features("line-detector", "*pool", "average_pool max_pool");
    expect_features("line-detector", "ma?", "map");
    expect_features("line-detector", "*", "image conv map average_pool max_pool global_max");
    expect_features("line-detector", "", "");
}

Test(query, unknown_features) {
    expect_refused("mapp", MODEL_NOT_FOUND,
                   "model 'line-detector' has no tensor or node 'mapp'; did you mean 'map'?");
    expect_refused("map,mop*", MODEL_NOT_FOUND,
                   "no tensor or node of model 'line-detector' matches 'mop*'; did you mean "
                   "'map'?");
    expect_refused("z*", MODEL_NOT_FOUND,
                   "no tensor or node of model 'line-detector' matches 'z*'; there are 'image', "
                   "'conv', 'map', 'average_pool', 'max_pool', 'global_max'");
    expect_refused("picture", MODEL_NOT_FOUND,
                   "model 'line-detector' has no tensor or node 'picture'; there are 'image', "
                   "'conv', 'map', 'average_pool', 'max_pool', 'global_max'");
}

Test(query, names_of_nodes_are_suggested_too) {
    static const char *const ops[] = {"Relu", "Flatten"};
    char *folder = folder_create();
    graph_write_chain(folder, "model.onnx", ops, 2);
    served_model *model = open_model(folder);
    model_query *query = NULL;
    model_error err = {0};
    cr_expect_eq(create_query(model, 1, "nod1", &query, &err), MODEL_NOT_FOUND);
    cr_expect_not_null(strstr(err.message, "'nod1'; did you mean 'node1' or 'node0'?"), "%s",
                       err.message);
    cr_expect_eq(create_query(model, 1, "x*y", &query, &err), MODEL_NOT_FOUND);
    cr_expect_not_null(
        strstr(err.message, "there are 'image', 'mean', 'pool', 't0', 'node0', 't1', 'node1'"),
        "%s", err.message);
    served_model_unref(model);
    folder_remove(folder);
}

Test(query, too_many_names) {
    char list[3 * (MODEL_MAX_PATTERNS + 1) + 1] = "";
    for (int i = 0; i <= MODEL_MAX_PATTERNS; i++)
        memcpy(list + 2 * i, "*,", 3);
    model_query *query = NULL;
    model_error err = {0};
    served_model *model = open_model("line-detector");
    cr_expect_eq(create_query(model, 1, list, &query, &err), MODEL_BAD_REQUEST);
    served_model_unref(model);
}

Test(query, shapes_are_known_before_computing) {
    size_t count;
    served_model *digits = open_model("digits"), *lines = open_model("line-detector");
    model_query *query = query_of(digits, 1, "conv1");
    const model_feature *features = model_query_features(query, &count);
    cr_assert_eq(count, 1);
    cr_expect_eq(features[0].shape.rank, 3);
    cr_expect_eq(features[0].count, (size_t)(features[0].shape.dims[0] * features[0].shape.dims[1] *
                                             features[0].shape.dims[2]));
    cr_expect_str_eq(features[0].op, "Conv");
    model_query_free(query);
    query = query_of(lines, 1, "map");
    features = model_query_features(query, &count);
    cr_expect_eq(features[0].shape.rank, -1, "the image decides");
    model_query_free(query);
    served_model_unref(digits);
    served_model_unref(lines);
}

static void expect_plane(const model_feature *f, int64_t side) {
    cr_expect(f->shape.dims[1] == side && f->shape.dims[2] == side, "%s", f->name);
}

/* 28x28 through a 5x5 convolution and 2x2 pooling. */
Test(query, planes_of_digits) {
    size_t count;
    served_model *model = open_model("digits");
    model_query *query = query_of(model, 1, "image,conv1,pool1");
    const model_feature *features = model_query_features(query, &count);
    cr_assert_eq(count, 3);
    expect_plane(&features[0], 28);
    expect_plane(&features[1], 24);
    expect_plane(&features[2], 12);
    model_query_free(query);
    served_model_unref(model);
}

Test(query, top_is_at_most_the_number_of_classes) {
    served_model *model = open_model("digits");
    model_query *query = query_of(model, 1000000, NULL);
    cr_expect_eq(query->top, 10);
    model_query_free(query);
    served_model_unref(model);
}

/* With top 0 nothing that lies downstream of the features is computed. */
Test(query, downstream_is_left_out) {
    served_model *model = open_model("digits");
    model_query *all = query_of(model, 1, "conv1"), *first = query_of(model, 0, "conv1");
    size_t steps = cnn_plan_step_count(plan_of(first->plan));
    cr_expect_lt(steps, cnn_plan_step_count(plan_of(all->plan)));
    for (size_t i = 0; i < steps; i++)
        cr_expect_str_neq(cnn_plan_step(plan_of(first->plan), i).op, "Gemm");
    cr_expect_eq(cnn_plan_output_count(plan_of(first->plan)), 1);
    model_query_free(all);
    model_query_free(first);
    served_model_unref(model);
}

/* ---- classification ----------------------------------------------------------------------- */

static const model_feature *feature(const model_result *result, const char *name) {
    for (size_t i = 0; i < result->feature_count; i++)
        if (strcmp(result->features[i].name, name) == 0) return &result->features[i];
    cr_assert_fail("no feature %s", name);
    abort();
}

static void expect_rows(const model_feature *f, const float *row, int64_t rows, int64_t columns) {
    cr_assert(f->shape.rank == 3 && f->shape.dims[0] == 1);
    cr_assert_eq(f->shape.dims[1], rows);
    cr_assert_eq(f->shape.dims[2], columns);
    for (int64_t i = 0; i < rows * columns; i++)
        cr_expect_eq(f->data[i], row[i % columns], "%s[%d] is %g", f->name, (int)i,
                     (double)f->data[i]);
}

Test(classify, line_detector) {
    served_model *model = open_model("line-detector");
    model_query *query = query_of(model, 5, "*");
    bytes png = line_png(8, 8, 3, 4);
    model_result result = {0};
    model_error err = {0};
    cr_assert_eq(model_classify(query, png.data, png.size, &result, &err), MODEL_OK, "%s",
                 err.message);
    cr_expect_str_eq(result.image.format, "png");
    cr_expect(result.image.width == 8 && result.image.height == 8);
    cr_assert_eq(result.prediction_count, 1);
    cr_expect_eq(result.predictions[0].probability, 3);
    cr_expect_str_eq(result.predictions[0].label, "vertical line");
    cr_assert_eq(result.feature_count, 6);
    cr_expect_eq(feature(&result, "image")->data[3], 1);
    expect_rows(feature(&result, "map"), (float[]){0, 0, 3, 3, 0, 0}, 6, 6);
    expect_rows(feature(&result, "average_pool"), (float[]){0, 3, 0}, 3, 3);
    expect_rows(feature(&result, "max_pool"), (float[]){0, 3, 0}, 3, 3);
    cr_expect_eq(feature(&result, "global_max")->data[0], 3);
    model_result_free(&result);
    free(png.data);
    model_query_free(query);
    served_model_unref(model);
}

Test(classify, any_size_and_never_too_many_plans) {
    served_model *model = open_model("line-detector");
    model_query *query = query_of(model, 1, "map");
    for (int side = 5; side < 50; side++) {
        bytes png = line_png(side, side + 3, 2, 2);
        model_result result = {0};
        cr_assert_eq(model_classify(query, png.data, png.size, &result, NULL), MODEL_OK);
        cr_expect_eq(result.features[0].shape.dims[1], side + 1);
        cr_expect_eq(result.features[0].shape.dims[2], side - 2);
        model_result_free(&result);
        free(png.data);
    }
    model_memory memory = served_model_memory(model);
    cr_expect_eq(memory.plans, PLANS_MAX);
    cr_expect_eq(memory.sessions, PLANS_MAX, "one idle session a plan");
    model_query_free(query);
    served_model_unref(model);
}

Test(classify, refusals) {
    served_model *model = open_model("line-detector");
    model_query *query = query_of(model, 1, NULL);
    bytes tiny = line_png(2, 2, 0, 0), cut = line_png(8, 8, 1, 1);
    model_result result = {0};
    model_error err = {0};
    cr_expect_eq(model_classify(query, "no image", 8, &result, &err), MODEL_IMAGE);
    cr_expect_eq(err.image, IMAGE_UNSUPPORTED);
    cr_expect_eq(model_classify(query, cut.data, 50, &result, &err), MODEL_IMAGE);
    cr_expect_eq(err.image, IMAGE_UNDECODABLE);
    cr_expect_eq(model_classify(query, tiny.data, tiny.size, &result, &err), MODEL_BAD_REQUEST);
    cr_expect_eq(result.image.width, 2, "what is known of the image is told");
    cr_expect_eq(result.prediction_count, 0);
    model_result_free(&result);
    free(tiny.data);
    free(cut.data);
    model_query_free(query);
    served_model_unref(model);
}

static model_code refuse_large(void *arg, const model_feature *features, size_t count,
                               model_error *err) {
    size_t elements = 0;
    for (size_t i = 0; i < count; i++) {
        elements += features[i].count;
        cr_expect_null(features[i].data);
    }
    if (elements <= *(const size_t *)arg) return MODEL_OK;
    return model_fail(err, MODEL_FEATURES_TOO_LARGE, "%zu elements", elements);
}

Test(classify, the_caller_may_refuse_features) {
    size_t limit = 40;
    const char *pattern = "map";
    model_query *query = NULL;
    model_error err = {0};
    model_result result = {0};
    served_model *model = open_model("line-detector");
    model_query_options options = {
        .patterns = &pattern, .pattern_count = 1, .admit = refuse_large, .admit_arg = &limit};
    cr_assert_eq(model_query_create(model, &options, &query, NULL), MODEL_OK);
    bytes small = line_png(8, 8, 1, 1), large = line_png(9, 9, 1, 1);
    cr_expect_eq(model_classify(query, small.data, small.size, &result, &err), MODEL_OK);
    model_result_free(&result);
    cr_expect_eq(model_classify(query, large.data, large.size, &result, &err),
                 MODEL_FEATURES_TOO_LARGE);
    cr_expect_str_eq(err.message, "49 elements");
    free(small.data);
    free(large.data);
    model_query_free(query);
    served_model_unref(model);
}

/* An image whose activations would take gigabytes is refused before any memory is asked for. */
Test(classify, activations_have_a_limit) {
    char *folder = folder_create();
    graph_write_wide(folder, "model.onnx", 1024);
    folder_write_text(folder, "model.json", "{\"input\": {\"resize\": {\"mode\": \"none\"}}}");
    served_model *model = open_model(folder);
    model_query *query = query_of(model, 1, NULL);
    bytes png = line_png(600, 600, 1, 1);
    model_result result = {0};
    model_error err = {0};
    cr_expect_eq(model_classify(query, png.data, png.size, &result, &err), MODEL_IMAGE);
    cr_expect_eq(err.image, IMAGE_TOO_LARGE);
    cr_expect_not_null(strstr(err.message, "MiB of activations"), "%s", err.message);
    model_result_free(&result);
    free(png.data);
    model_query_free(query);
    served_model_unref(model);
    folder_remove(folder);
}

Test(classify, limits_of_the_image) {
    served_model *model = open_model("digits");
    model_query_options options = {.top = 1, .limits = {.max_pixels = 63}};
    model_query *query = NULL;
    model_error err = {0};
    model_result result = {0};
    cr_assert_eq(model_query_create(model, &options, &query, NULL), MODEL_OK);
    bytes png = line_png(8, 8, 1, 1);
    cr_expect_eq(model_classify(query, png.data, png.size, &result, &err), MODEL_IMAGE);
    cr_expect_eq(err.image, IMAGE_TOO_LARGE);
    free(png.data);
    model_query_free(query);
    served_model_unref(model);
}

/* ---- class activation maps ---------------------------------------------------------------- */

/* 4 x 4 pixels: red rises along the rows, green is 10, blue along the columns. */
static bytes color_png(void) {
    uint8_t pixels[4][4][3];
    void *png;
    bytes out = {0};
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) {
            pixels[y][x][0] = (uint8_t)(16 * x);
            pixels[y][x][1] = 10;
            pixels[y][x][2] = (uint8_t)(4 * y);
        }
    cr_assert_eq(image_encode_png(&pixels[0][0][0], 4, 4, NULL, 0, &png, &out.size, NULL),
                 IMAGE_OK);
    out.data = png;
    return out;
}

static model_code explain(served_model *model, size_t top, size_t class_index, model_query **query,
                          model_error *err) {
    model_query_options options = {.top = top, .explain = true, .explained_class = class_index};
    return model_query_create(model, &options, query, err);
}

/* The map of class c at (y, x) is a x + b y + constant, as worked by hand from the weights. */
static void expect_map(const model_explanation *e, float a, float b, float constant) {
    cr_assert_not_null(e->values);
    cr_expect_str_eq(e->tensor, "features");
    cr_assert(e->height == 4 && e->width == 4);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++)
            cr_expect_eq(e->values[4 * y + x], a * (float)x + b * (float)y + constant, "%d %d", y,
                         x);
}

/* Means: red 24, green 10, blue 6. So the scores are 18 and 32 without bias. */
static void check_best_class(bool channels_last) {
    char *folder = folder_create();
    graph_write_averaging(folder, (float[]){0, 0}, channels_last);
    served_model *model = open_model(folder);
    model_query *query = NULL;
    model_error err = {0};
    model_result result = {0};
    bytes png = color_png();
    cr_assert_eq(explain(model, 0, MODEL_BEST_CLASS, &query, &err), MODEL_OK, "%s", err.message);
    cr_assert_eq(model_classify(query, png.data, png.size, &result, &err), MODEL_OK);
    cr_expect_eq(result.explanation.class_index, 1);
    cr_expect_str_eq(result.explanation.label, "class 1");
    expect_map(&result.explanation, 8, 0, 20); /* 0.5 red + 2 green */
    cr_expect_eq(result.prediction_count, 0);
    cr_expect_eq(result.feature_count, 0);
    image overlay = {0};
    cr_assert_eq(image_decode(result.explanation.png, result.explanation.png_size, NULL, &overlay,
                              NULL, NULL),
                 IMAGE_OK);
    cr_expect(overlay.width == 256 && overlay.height == 256);
    image_free(&overlay);
    model_result_free(&result);
    cr_expect_null(result.explanation.png);
    model_query_free(query);
    free(png.data);
    served_model_unref(model);
    folder_remove(folder);
}

Test(explain, map_of_the_best_class) {
    check_best_class(false);
    check_best_class(true);
}

/* The features stand in a branch, where no tensor can be asked for. */
Test(explain, no_map_of_a_branch) {
    char *folder = folder_create();
    graph_write_branches(folder);
    served_model *model = open_model(folder);
    model_query *query = NULL;
    model_error err = {0};
    cr_expect_eq(explain(model, 0, 0, &query, &err), MODEL_BAD_REQUEST);
    cr_expect_not_null(strstr(err.message, "its tensor 'inner' is there for some sizes only"), "%s",
                       err.message);
    const char *seen = "seen";
    model_query_options options = {.patterns = &seen, .pattern_count = 1};
    cr_expect_eq(model_query_create(model, &options, &query, &err), MODEL_OK, "%s", err.message);
    model_query_free(query);
    served_model_unref(model);
    folder_remove(folder);
}

Test(explain, bias_decides_the_class_but_not_the_map) {
    char *folder = folder_create();
    graph_write_averaging(folder, (float[]){15, 0}, false);
    served_model *model = open_model(folder);
    model_query *query = NULL;
    model_result result = {0};
    bytes png = color_png();
    cr_assert_eq(explain(model, 2, MODEL_BEST_CLASS, &query, NULL), MODEL_OK);
    cr_assert_eq(model_classify(query, png.data, png.size, &result, NULL), MODEL_OK);
    cr_expect_eq(result.predictions[0].class_index, 0);
    cr_expect_eq(result.explanation.class_index, 0);
    expect_map(&result.explanation, 16, -4, 0); /* red - blue */
    model_result_free(&result);
    model_query_free(query);
    free(png.data);
    served_model_unref(model);
    folder_remove(folder);
}

/* Nothing behind the features is computed then. */
Test(explain, map_of_a_given_class) {
    char *folder = folder_create();
    graph_write_averaging(folder, (float[]){0, 0}, false);
    served_model *model = open_model(folder);
    model_query *query = NULL;
    model_result result = {0};
    model_error err = {0};
    bytes png = color_png();
    cr_assert_eq(explain(model, 0, 0, &query, NULL), MODEL_OK);
    const cnn_plan *plan = plan_of(query->plan);
    for (size_t i = 0; i < cnn_plan_step_count(plan); i++)
        cr_expect_str_neq(cnn_plan_step(plan, i).op, "GlobalAveragePool");
    cr_assert_eq(model_classify(query, png.data, png.size, &result, NULL), MODEL_OK);
    cr_expect_eq(result.explanation.class_index, 0);
    expect_map(&result.explanation, 16, -4, 0);
    model_result_free(&result);
    model_query_free(query);
    cr_expect_eq(explain(model, 0, 2, &query, &err), MODEL_BAD_REQUEST);
    cr_expect_not_null(strstr(err.message, "no class 2 to explain"), "%s", err.message);
    free(png.data);
    served_model_unref(model);
    folder_remove(folder);
}

/* A network without a linear layer: the channels are the classes. */
Test(explain, channels_that_are_the_classes) {
    char *folder = folder_create();
    graph_write_chain(folder, "model.onnx", (const char *const[]){"Softmax"}, 1);
    served_model *model = open_model(folder);
    model_query *query = NULL;
    model_result result = {0};
    model_query_options options = {
        .patterns = &(const char *){"image"}, .pattern_count = 1, .explain = true};
    bytes png = line_png(8, 8, 2, 3);
    options.explained_class = 2;
    cr_assert_eq(model_query_create(model, &options, &query, NULL), MODEL_OK);
    cr_assert_eq(model_classify(query, png.data, png.size, &result, NULL), MODEL_OK);
    cr_assert_eq(result.feature_count, 1);
    cr_expect_str_eq(result.explanation.tensor, "image");
    cr_expect_arr_eq(result.explanation.values, result.features[0].data + 2 * 64,
                     64 * sizeof(float));
    model_result_free(&result);
    model_query_free(query);
    free(png.data);
    served_model_unref(model);
    folder_remove(folder);
}

Test(explain, other_networks_are_refused) {
    served_model *model = open_model("digits");
    model_query *query = NULL;
    model_error err = {0};
    cr_expect_eq(explain(model, 1, MODEL_BEST_CLASS, &query, &err), MODEL_BAD_REQUEST);
    cr_expect_str_eq(err.message,
                     "there is no class activation map of model 'digits': the network does not end "
                     "in global average pooling and at most one linear layer; it ends in MaxPool "
                     "'pool2', Conv 'conv3', Relu 'relu3', Flatten 'flatten', Gemm 'logits'");
    cr_assert_not_null(model->headless, "nor is that looked for again");
    const model_error first = err;
    cr_expect_eq(explain(model, 1, MODEL_BEST_CLASS, &query, &err), MODEL_BAD_REQUEST);
    cr_expect_str_eq(err.message, first.message);
    served_model_unref(model);
}

/* ---- many at once ------------------------------------------------------------------------- */

typedef struct crowd {
    served_model *model;
    int seed;
    int wrong;
} crowd;

/* Queries of every kind and images of many sizes, so that plans come and go. */
static void *classify_many(void *arg) {
    crowd *c = arg;
    static const char *const features[] = {NULL, "map", "*pool", "*"};
    for (int i = 0; i < 60; i++) {
        int side = 6 + (i * 7 + c->seed) % 30;
        model_result result = {0};
        model_query *query = query_of(c->model, i % 2, features[i % 4]);
        bytes png = line_png(side, side, 2, 3);
        bool right = model_classify(query, png.data, png.size, &result, NULL) == MODEL_OK;
        right = right && (i % 2 == 0 || result.predictions[0].probability == 3);
        c->wrong += !right;
        model_result_free(&result);
        free(png.data);
        model_query_free(query);
    }
    return NULL;
}

Test(classify, from_many_threads) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    crowd crowds[THREADS];
    served_model *model = open_model("line-detector");
    test_runtime();
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (crowd){.model = model, .seed = i};
        cr_assert_eq(pthread_create(&threads[i], NULL, classify_many, &crowds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(crowds[i].wrong, 0);
    }
    cr_expect_leq(served_model_memory(model).plans, PLANS_MAX);
    served_model_unref(model);
}
