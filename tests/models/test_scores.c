/* Which output holds the class scores, and what is made of them. */
#include "folder.h"
#include "graphs.h"

#include "models/models.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

FOLDER_SUITE(scores);

/* A PNG of one black pixel. */
static const unsigned char picture[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
    0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00,
    0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78,
    0x9c, 0x63, 0x60, 0x60, 0x60, 0x00, 0x00, 0x00, 0x04, 0x00, 0x01, 0xf6, 0x17, 0x38,
    0x55, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

static const float logits[] = {1, -2, 0.5f, 3};
/* softmax and sigmoid of them, by numpy in float64 */
static const float soft[] = {0.1105538f, 0.0055041f, 0.0670542f, 0.8168879f};
static const float sigm[] = {0.7310586f, 0.1192029f, 0.6224593f, 0.9525741f};

static void classify(served_model *model, float *values) {
    model_query *query = NULL;
    model_result result;
    model_error err = {0};
    model_query_options options = {.top = 100};
    cr_assert_eq(model_query_create(model, &options, &query, &err), MODEL_OK, "%s", err.message);
    cr_assert_eq(model_classify(query, picture, sizeof picture, &result, &err), MODEL_OK, "%s",
                 err.message);
    for (size_t i = 0; i < result.prediction_count; i++)
        values[result.predictions[i].class_index] = result.predictions[i].probability;
    model_result_free(&result);
    model_query_free(query);
}

static void expect_values(const float *want, size_t count, float tolerance) {
    float values[8] = {0};
    served_model *model = open_model(folder);
    cr_assert_eq(served_model_class_count(model), count);
    classify(model, values);
    for (size_t i = 0; i < count; i++)
        cr_expect(fabsf(values[i] - want[i]) <= tolerance, "%zu: %.7g instead of %.7g; %s", i,
                  values[i], want[i], served_model_scores(model)->text);
    served_model_unref(model);
}

static void expect_head(const float *want, size_t classes, const char *nodes, const char *outputs) {
    graph_write_heads(folder, classes, logits, nodes, outputs);
    expect_values(want, classes, 2e-6f);
}

Test(scores, probabilities_are_taken_as_they_are) {
    expect_head(soft, 4, "Identity z y", "y");
    expect_head(soft, 4, "Softmax z y", "y");
    expect_head(sigm, 4, "Sigmoid z y", "y");
    expect_head(soft, 4, "LogSoftmax z y", "y");
    expect_head(soft, 4, "Softmax z s; Mul s+hundred y", "y");
    expect_head(sigm, 1, "Sigmoid z y", "y");
    expect_head(sigm, 1, "Identity z y", "y"); /* never a softmax over one */
}

Test(scores, other_types_and_choices) {
    expect_head(soft, 4, "TopK z+k y+i", "y i");
    expect_head(soft, 4, "Softmax z s; TopK s+k y+i", "y i");
    expect_head(soft, 4, "ArgMax z y axis=1", "y");
    expect_head(sigm, 4, "TopK z+k v+i; Sigmoid v y", "y i");
    expect_head(soft, 4, "Cast z y to=11", "y");
    expect_head(sigm, 4, "Sigmoid z s; Greater s+half y", "y");
    graph_write_heads(folder, 4, logits, "Softmax z s; Cast s y to=10", "y");
    expect_values(soft, 4, 3e-4f);
    graph_write_heads(folder, 4, logits, "Softmax z s; Cast s y to=16", "y");
    expect_values(soft, 4, 4e-3f);
}

static void expect_scores(const char *output, const char *tensor, const char *text) {
    served_model *model = open_model(folder);
    const model_scores *scores = served_model_scores(model);
    cr_expect_str_eq(scores->output, output);
    cr_expect_str_eq(scores->tensor, tensor);
    cr_expect_str_eq(served_model_output(model).name, tensor);
    if (text) cr_expect_str_eq(scores->text, text);
    served_model_unref(model);
}

Test(scores, choice_of_the_output) {
    graph_write_heads(folder, 4, logits, "ArgMax z i axis=1; Softmax z y", "i y");
    expect_scores("y", "y", NULL);
    graph_write_heads(folder, 4, logits, "Identity features f; Softmax z y", "f y");
    expect_scores("y", "y",
                  "output 'y', because it holds probabilities: probabilities, from "
                  "Softmax 'y'; taken as they are");
    graph_write_heads(folder, 4, logits, "Identity features f; Identity z y", "f y");
    expect_scores("f", "f",
                  "output 'f', the first one with a score for each class: logits, from "
                  "Flatten 'features' through Identity; softmax is applied");
    folder_write_text(folder, "labels.txt", "a\nb\nc\nd\n");
    expect_scores("y", "y",
                  "output 'y', because it has as many scores as there are labels: "
                  "logits, from Gemm 'z' through Identity; softmax is applied");
    graph_write_heads(folder, 4, logits, "Sigmoid features f; Identity z y", "f y");
    expect_scores("y", "y", NULL);
    graph_write_heads(folder, 4, logits, "Identity z y; Softmax z p", "y p");
    expect_scores("p", "p", NULL);
}

Test(scores, choice_by_what_is_told_of_them) {
    graph_write_heads(folder, 4, logits, "Identity features f; ArgMax z i axis=1", "f i");
    expect_scores("i", "z",
                  "output 'i' (tensor 'z' behind it), because it tells the best of the "
                  "scores: logits, from Gemm 'z', before ArgMax 'i'; softmax is applied");
    graph_write_heads(folder, 4, logits, "Softmax z p; TopK p+k v+i", "v i p");
    expect_scores("p", "p", NULL);
    graph_write_heads(folder, 4, logits, "NonZero z n; Softmax z p", "n p");
    expect_scores("p", "p", NULL); /* the shape of n is known to nobody */
}

Test(scores, model_json_wins) {
    graph_write_heads(folder, 4, logits, "Identity z a; Softmax z y", "a y");
    folder_write_text(folder, "model.json", "{\"output\": {\"name\": \"a\"}}");
    expect_scores("a", "a",
                  "output 'a', as model.json says: logits, from Gemm 'z' through "
                  "Identity; softmax is applied");
    folder_write_text(folder, "model.json",
                      "{\"output\": {\"name\": \"y\", \"activation\": \"sigmoid\"}}");
    expect_scores("y", "y",
                  "output 'y', as model.json says: probabilities, from Softmax 'y'; "
                  "sigmoid is applied, as model.json says");
    folder_write_text(folder, "model.json", "{\"output\": {\"activation\": \"none\"}}");
    graph_write_heads(folder, 4, logits, "Softmax z s; Mul s+hundred y", "y");
    float times[4];
    for (int i = 0; i < 4; i++)
        times[i] = 100 * soft[i];
    expect_values(times, 4, 2e-4f);
    folder_write_text(folder, "model.json", "{\"output\": {\"activation\": \"softmax\"}}");
    graph_write_heads(folder, 1, logits, "Identity z y", "y");
    expect_scores("y", "y",
                  "output 'y', the only one: logits, from Gemm 'z' through Identity; "
                  "softmax is applied, as model.json says, which makes 1 of any single "
                  "score");
}

/* What config.json says of the activation is about logits. */
Test(scores, hugging_face) {
    folder_write_text(folder, "config.json",
                      "{\"problem_type\": \"multi_label_classification\", \"id2label\": "
                      "{\"0\": \"a\", \"1\": \"b\", \"2\": \"c\", \"3\": \"d\"}}");
    folder_write_text(folder, "preprocessor_config.json",
                      "{\"image_processor_type\": \"ViTImageProcessor\", \"do_resize\": false}");
    graph_write_heads(folder, 4, logits, "Identity z y", "y");
    expect_values(sigm, 4, 2e-6f);
    graph_write_heads(folder, 4, logits, "Sigmoid z y", "y");
    expect_values(sigm, 4, 2e-6f);
}

static void expect_refused(model_code code, const char *message) {
    served_model *model = NULL;
    model_error err = {0};
    char want[600];
    cr_expect_eq(served_model_open(test_runtime(), folder, NULL, &model, &err), code);
    snprintf(want, sizeof want, "%s/%s", folder, message);
    cr_expect_str_eq(err.message, want);
}

Test(scores, refusals_list_the_outputs) {
    graph_write_heads(folder, 4, logits, "Cast z i to=7; Identity image p", "i");
    expect_scores("i", "z", NULL); /* the number before it was rounded */
    graph_write_heads(folder, 4, logits,
                      "Shape features s; NonZero z n; Concat image+image c axis=2", "c n");
    expect_refused(MODEL_UNFIT,
                   "model.onnx: no output is one vector of floating-point class scores (1xC, "
                   "1xCx1x1 or C), so there is none that output.name in model.json could choose; "
                   "the model's outputs: 'c' float32 1x3x2x1, 'n' float32");
    graph_write_heads(folder, 4, logits, "Concat image+image c axis=2; Identity z y", "c y");
    folder_write_text(folder, "model.json", "{\"output\": {\"name\": \"c\"}}");
    expect_refused(MODEL_INVALID,
                   "model.json: output 'c' is not one vector of classes (1xC, 1xCx1x1 or C); the "
                   "model's outputs: 'c' float32 1x3x2x1, 'y' float32; output.name in model.json "
                   "chooses one");
    folder_write_text(folder, "model.json", "{\"output\": {\"name\": \"z\"}}");
    expect_refused(MODEL_INVALID, "model.json: output.name: the model has a tensor, but no output "
                                  "'z'; there are 'c', 'y'");
}

/* ---- logits that look like probabilities ---- */

static bool doubts(served_model *model, int answers) {
    char text[700] = "";
    bool doubted = served_model_doubt(model, answers, text, sizeof text);
    cr_expect_eq(doubted, strstr(text, "\"output\": {\"activation\": \"none\"}") != NULL, "%s",
                 text);
    return doubted;
}

static served_model *open_head(size_t classes, const float *values, const char *nodes) {
    graph_write_heads(folder, classes, values, nodes, "y");
    return open_model(folder);
}

Test(scores, probabilities_that_nothing_tells_of_are_doubted_once) {
    float out[8];
    served_model *model = open_head(4, (float[]){0.25f, 0.5f, 0, 0.25f}, "Identity z y");
    for (int answers = 0; answers < 3; answers++) {
        cr_expect_not(doubts(model, 3), "after %d", answers);
        classify(model, out);
    }
    cr_expect(doubts(model, 3));
    classify(model, out);
    cr_expect_not(doubts(model, 1), "said already");
    served_model_unref(model);
}

Test(scores, sums_other_than_1_are_doubted_later) {
    float out[8];
    served_model *model = open_head(4, (float[]){0.25f, 0.5f, 0.75f, 1}, "Identity z y");
    for (int answers = 0; answers < 30; answers++) {
        cr_expect_not(doubts(model, 1), "after %d", answers);
        classify(model, out);
    }
    cr_expect(doubts(model, 1));
    served_model_unref(model);
}

static void expect_no_doubt(size_t classes, const float *values, const char *nodes) {
    float out[8];
    served_model *model = open_head(classes, values, nodes);
    for (int answers = 0; answers < 40; answers++)
        classify(model, out);
    cr_expect_not(doubts(model, 1), "%s", nodes);
    served_model_unref(model);
}

Test(scores, what_is_known_or_said_is_not_doubted) {
    expect_no_doubt(4, logits, "Identity z y");
    expect_no_doubt(4, logits, "Softmax z y");
    folder_write_text(folder, "model.json", "{\"output\": {\"activation\": \"softmax\"}}");
    expect_no_doubt(4, (float[]){0.25f, 0.5f, 0, 0.25f}, "Identity z y");
}
