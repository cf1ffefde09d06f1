/*
 * Class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization",
 * 2016): where in the picture the network saw what speaks for a class.
 *
 * A network that averages features over positions and maps them on classes by one linear layer adds
 * up, for a class, weight times mean of each channel; without the averaging, the same sum is a map.
 */
#include "models/explain.h"

#include "plot/plot.h"

#include <stdlib.h>
#include <string.h>

/* ---- the network -------------------------------------------------------------------------- */

/* Looks for the end of the network, unless it is known what becomes of that; under the lock. */
static void look_for_head(served_model *model, cnn_error *why) {
    cnn_shape input = served_model_nominal(model);
    if (model->head || model->headless) return;
    if (cnn_average_head_find(model->cnn, model->output, &input, &model->head, why) ==
        CNN_UNSUPPORTED)
        model->headless = strdup(why->message);
}

/* The end of the network, found on first use; it lives as long as the model, as does the answer
 * that there is none. */
static model_code find_head(served_model *model, const cnn_average_head **out, model_error *err) {
    cnn_error why = {0};
    pthread_mutex_lock(&model->lazy_lock);
    look_for_head(model, &why);
    const cnn_average_head *head = model->head;
    const char *headless = model->headless;
    pthread_mutex_unlock(&model->lazy_lock);
    if (!head && why.status == CNN_OUT_OF_MEMORY) return model_fail_memory(err);
    if (!head)
        return model_fail(err, MODEL_BAD_REQUEST,
                          "there is no class activation map of model '%.128s': %s", model->name,
                          headless ? headless : why.message);
    *out = head;
    return MODEL_OK;
}

model_code explain_prepare(model_query *query, model_error *err) {
    served_model *model = query->model;
    if (query->explained_class != MODEL_BEST_CLASS && query->explained_class >= model->class_count)
        return model_fail(err, MODEL_BAD_REQUEST,
                          "there is no class %zu to explain: model '%.128s' has %zu classes",
                          query->explained_class, model->name, model->class_count);
    model_code code = find_head(model, &query->head, err);
    if (code != MODEL_OK) return code;
    size_t tensor = 0;
    while (tensor < model->tensor_count &&
           strcmp(model->tensors[tensor].name, query->head->features) != 0)
        tensor++;
    if (tensor == model->tensor_count) /* of a branch that the size has chosen */
        return model_fail(err, MODEL_BAD_REQUEST,
                          "there is no class activation map of model '%.128s': its tensor '%.100s' "
                          "is there for some sizes only",
                          model->name, query->head->features);
    query->head_tensor = tensor;
    return MODEL_OK;
}

/* ---- the map ------------------------------------------------------------------------------ */

/* map (H, W) = sum over k of weights[k] * features[k] (H, W) */
static void add_up(const cnn_average_head *head, size_t class_index, const float *features,
                   size_t positions, float *map) {
    if (!head->weights) {
        memcpy(map, features + class_index * positions, positions * sizeof *map);
        return;
    }
    const float *weights = head->weights + class_index * head->channels;
    for (size_t k = 0; k < head->channels; k++)
        for (size_t i = 0; i < positions; i++)
            map[i] += weights[k] * features[k * positions + i];
}

static model_code class_of(const model_query *query, const cnn_plan *plan,
                           const cnn_session *session, size_t *best, model_error *err) {
    float *scores = NULL;
    *best = query->explained_class;
    if (*best != MODEL_BEST_CLASS) return MODEL_OK;
    model_code code = read_scores(query, plan, session, &scores, err);
    if (code == MODEL_OK)
        top_k(scores, query->model->class_count, 1, best); /* as behind activations */
    free(scores);
    return code;
}

/* The map of one class, owned by the caller. */
static model_code make_map(const model_query *query, const cnn_plan *plan,
                           const cnn_session *session, size_t class_index, size_t positions,
                           float **out, model_error *err) {
    const cnn_average_head *head = query->head;
    float *map = calloc(positions, sizeof *map);
    float *features = map ? calloc(head->channels * positions, sizeof *features) : NULL;
    if (!features) {
        free(map);
        return model_fail_memory(err);
    }
    read_output(plan, session, query->head_place, features);
    add_up(head, class_index, features, positions, map);
    free(features);
    *out = map;
    return MODEL_OK;
}

model_code explain_map(const model_query *query, const cnn_plan *plan, const cnn_session *session,
                       model_explanation *out, model_error *err) {
    const cnn_average_head *head = query->head;
    if (!head) return MODEL_OK;
    cnn_shape shape = cnn_plan_output(plan, query->head_place).shape;
    if (shape.rank != 4 || shape.dims[0] != 1 || (size_t)shape.dims[1] != head->channels)
        return model_fail(err, MODEL_BAD_REQUEST,
                          "for an image of this size tensor '%.100s' is not 1x%zuxHxW",
                          head->features, head->channels);
    float *map = NULL;
    size_t class_index, positions = (size_t)(shape.dims[2] * shape.dims[3]);
    model_code code = class_of(query, plan, session, &class_index, err);
    if (code == MODEL_OK) code = make_map(query, plan, session, class_index, positions, &map, err);
    if (code != MODEL_OK) return code;
    *out = (model_explanation){.class_index = class_index,
                               .label = query->model->labels[class_index],
                               .tensor = head->features,
                               .height = (int)shape.dims[2],
                               .width = (int)shape.dims[3],
                               .values = map};
    return MODEL_OK;
}

model_code explain_draw(const model_query *query, const image *picture, model_explanation *out,
                        model_error *err) {
    image_error why = {0};
    plot_png png = {0};
    plot_overlay overlay = {
        .photo = picture, .values = out->values, .height = out->height, .width = out->width};
    if (image_tensor_region(&query->model->spec, picture->width, picture->height, &overlay.where,
                            &why) != IMAGE_OK)
        return model_fail_image(err, &why);
    if (!plot_overlay_png(&overlay, &png)) return model_fail_memory(err);
    out->png = png.bytes;
    out->png_size = png.size;
    return MODEL_OK;
}

void explanation_free(model_explanation *explanation) {
    free(explanation->values);
    free(explanation->png);
    *explanation = (model_explanation){0};
}
