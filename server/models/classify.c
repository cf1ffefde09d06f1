/*
 * One image through a model: decode, preprocess, run, pick the best.
 *
 * The tensor is written straight into a session's input, by a JPEG as it is decoded. What a result
 * keeps (predictions, feature values) is copied out into one block, so that the session is free for
 * the next image before the result is printed.
 */
#include "models/explain.h"
#include "models/scores.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

/* ---- results ------------------------------------------------------------------------------ */

void model_result_free(model_result *result) {
    if (!result) return;
    explanation_free(&result->explanation);
    free(result->memory);
    *result = (model_result){0};
}

/*
 * Lays out predictions, features and their values in one block. The shapes of `features` are known;
 * pointers into the block are set, values not yet.
 */
static model_code result_allocate(const model_query *query, const model_feature *features,
                                  model_result *result, model_error *err) {
    size_t bytes = query->top * sizeof(model_prediction);
    size_t features_at = bytes;
    bytes += query->feature_count * sizeof(model_feature);
    size_t values_at = bytes;
    for (size_t i = 0; i < query->feature_count; i++) /* the engine has checked these products */
        bytes += features[i].count * sizeof(float);
    char *memory = malloc(bytes ? bytes : 1);
    if (!memory) return model_fail_memory(err);
    result->memory = memory;
    result->predictions = (model_prediction *)memory;
    result->prediction_count = query->top;
    result->features = (model_feature *)(memory + features_at);
    result->feature_count = query->feature_count;
    float *values = (float *)(memory + values_at);
    for (size_t i = 0; i < query->feature_count; i++) {
        result->features[i] = features[i];
        result->features[i].data = values;
        values += features[i].count;
    }
    return MODEL_OK;
}

/* ---- plan and shapes ---------------------------------------------------------------------- */

/* The height and width of the image's tensor, checked against what the graph takes. */
static model_code tensor_size(const served_model *model, const image_info *info, int *height,
                              int *width, model_error *err) {
    image_error why = {0};
    if (image_tensor_size(&model->spec, info->width, info->height, height, width, &why) != IMAGE_OK)
        return model_fail_image(err, &why);
    if ((model->input_h < 0 || model->input_h == *height) &&
        (model->input_w < 0 || model->input_w == *width))
        return MODEL_OK;
    return model_fail(err, MODEL_BAD_REQUEST,
                      "the model takes images of %dx%d (height x width, -1: any), and this one "
                      "gives %dx%d",
                      model->input_h, model->input_w, *height, *width);
}

/* The plan for a tensor of that size; *out is NULL if it is the query's own. */
static model_code select_plan(const model_query *query, int height, int width, plan_entry **out,
                              model_error *err) {
    plan_key key = {height, width, query->wanted, query->wanted_count};
    *out = NULL;
    return query->plan ? MODEL_OK : plan_acquire(query->model, &key, false, out, err);
}

/* The features with the shapes that they have in `plan`; the caller frees *out. */
static model_code shape_features(const model_query *query, const cnn_plan *plan,
                                 model_feature **out, model_error *err) {
    model_feature *features = calloc(query->feature_count + 1, sizeof *features);
    if (!features) return model_fail_memory(err);
    for (size_t i = 0; i < query->feature_count; i++) {
        features[i] = query->features[i];
        cnn_tensor_info info = cnn_plan_output(plan, query->feature_places[i]);
        feature_set_shape(&features[i], &info.shape);
    }
    *out = features;
    return MODEL_OK;
}

/* Shapes, the caller's consent, and the block for the results. */
static model_code prepare_result(const model_query *query, const cnn_plan *plan,
                                 model_result *result, model_error *err) {
    model_feature *features = NULL;
    model_code code = shape_features(query, plan, &features, err);
    if (code == MODEL_OK && query->admit && query->feature_count > 0)
        code = query->admit(query->admit_arg, features, query->feature_count, err);
    if (code == MODEL_OK) code = result_allocate(query, features, result, err);
    free(features);
    return code;
}

/* ---- running ------------------------------------------------------------------------------ */

/* `values` holds class_count floats and is overwritten. */
static model_code fill_predictions(const model_query *query, float *values, model_result *result,
                                   model_error *err) {
    const served_model *model = query->model;
    size_t *best = malloc(query->top * sizeof *best);
    if (!best) return model_fail_memory(err);
    scores_look(query->model, values);
    scores_apply(model, values);
    top_k(values, model->class_count, query->top, best);
    for (size_t i = 0; i < query->top; i++)
        result->predictions[i] = (model_prediction){.class_index = best[i],
                                                    .label = model->labels[best[i]],
                                                    .probability = values[best[i]]};
    free(best);
    return MODEL_OK;
}

void read_output(const cnn_plan *plan, const cnn_session *session, size_t index, float *to) {
    cnn_tensor_info info = cnn_plan_output(plan, index);
    size_t count = 1;
    for (int i = 0; i < info.shape.rank; i++)
        count *= (size_t)info.shape.dims[i];
    cnn_read_floats(info.dtype, cnn_session_output(session, index), count, to);
}

model_code read_scores(const model_query *query, const cnn_plan *plan, const cnn_session *session,
                       float **out, model_error *err) {
    size_t classes = query->model->class_count;
    cnn_tensor_info output = cnn_plan_output(plan, query->prediction);
    if (model_class_vector(&output.shape) != classes)
        return model_fail(err, MODEL_BAD_REQUEST,
                          "for an image of this size the model's output is not one vector of its "
                          "%zu classes",
                          classes);
    float *scores = malloc(classes * sizeof *scores);
    if (!scores) return model_fail_memory(err);
    read_output(plan, session, query->prediction, scores);
    *out = scores;
    return MODEL_OK;
}

static model_code predict(const model_query *query, const cnn_plan *plan,
                          const cnn_session *session, model_result *result, model_error *err) {
    float *values = NULL;
    if (query->top == 0) return MODEL_OK;
    model_code code = read_scores(query, plan, session, &values, err);
    if (code == MODEL_OK) code = fill_predictions(query, values, result, err);
    free(values);
    return code;
}

static void copy_features(const model_query *query, const cnn_plan *plan,
                          const cnn_session *session, model_result *result) {
    for (size_t i = 0; i < query->feature_count; i++)
        read_output(plan, session, query->feature_places[i], (float *)result->features[i].data);
}

/* What the session has computed, into the result. */
static model_code collect(const model_query *query, plan_entry *entry, const cnn_session *session,
                          model_result *result, model_error *err) {
    copy_features(query, plan_of(entry), session, result);
    model_code code = predict(query, plan_of(entry), session, result, err);
    if (code == MODEL_OK)
        code = explain_map(query, plan_of(entry), session, &result->explanation, err);
    return code;
}

/* Preprocess, run and collect, with the plan and the block for the results in place. */
static model_code run(const model_query *query, plan_entry *entry, const image_file *file,
                      int height, int width, model_result *result, model_error *err) {
    plan_session *slot = NULL;
    model_code code = plan_session_acquire(query->model, entry, &slot, err);
    if (code != MODEL_OK) return code;
    image_error why = {0};
    uint64_t begun = clock_ns(), decoding;
    image_code made =
        image_file_to_tensor(file, &query->model->spec, height, width,
                             cnn_session_input(slot->session, 0), &slot->scratch, &decoding, &why);
    uint64_t filled = clock_ns();
    result->decode_ns += decoding;
    result->preprocess_ns = filled - begun - decoding;
    if (made == IMAGE_OK) {
        cnn_session_run(slot->session);
        code = collect(query, entry, slot->session, result, err);
        result->inference_ns = clock_ns() - filled;
    } else {
        code = model_fail_image(err, &why);
    }
    plan_session_release(query->model, entry, slot);
    return code;
}

/* The explanation, if there is one, over the whole picture. */
static model_code draw(const model_query *query, image_file *file, model_result *result,
                       model_error *err) {
    if (!result->explanation.values) return MODEL_OK;
    image_error why = {0};
    uint64_t begun = clock_ns();
    if (image_file_decode(file, &why) != IMAGE_OK) return model_fail_image(err, &why);
    model_code code = explain_draw(query, &file->picture, &result->explanation, err);
    result->draw_ns = clock_ns() - begun;
    return code;
}

static model_code classify_file(const model_query *query, image_file *file, model_result *result,
                                model_error *err) {
    int height, width;
    plan_entry *own = NULL;
    model_code code = tensor_size(query->model, &file->info, &height, &width, err);
    if (code == MODEL_OK) code = select_plan(query, height, width, &own, err);
    plan_entry *entry = own ? own : query->plan;
    if (code == MODEL_OK) code = prepare_result(query, plan_of(entry), result, err);
    if (code == MODEL_OK) code = run(query, entry, file, height, width, result, err);
    plan_release(query->model, own);
    if (code == MODEL_OK) code = draw(query, file, result, err);
    if (code != MODEL_OK) {
        result->prediction_count = result->feature_count = 0;
        explanation_free(&result->explanation);
    }
    return code;
}

/* Where nothing is to be computed, whether it can be decoded is to be known all the same. */
static image_code open_file(const model_query *query, const void *bytes, size_t size,
                            image_file *out, image_error *err) {
    image_code code = image_open(bytes, size, &query->limits, out, err);
    if (code == IMAGE_OK && query->wanted_count == 0) code = image_file_decode(out, err);
    return code;
}

model_code model_classify(const model_query *query, const void *bytes, size_t size,
                          model_result *result, model_error *err) {
    image_file file = {0};
    image_error why = {0};
    *result = (model_result){0};
    uint64_t begun = clock_ns();
    model_code code = MODEL_OK;
    if (open_file(query, bytes, size, &file, &why) != IMAGE_OK) code = model_fail_image(err, &why);
    result->decode_ns = clock_ns() - begun;
    result->image = file.info;
    if (code == MODEL_OK && query->wanted_count > 0)
        code = classify_file(query, &file, result, err);
    image_close(&file);
    return code;
}
