/* query.h: the inside of a model_query; made by query.c, read by classify.c. */
#ifndef CNNSERVE_QUERY_H
#define CNNSERVE_QUERY_H

#include "models/internal.h"

/* Immutable. */
struct model_query {
    served_model *model; /* a reference */
    size_t top;          /* at most the number of classes */
    image_limits limits;
    model_admit_fn *admit;
    void *admit_arg;
    const cnn_average_head *head; /* NULL: no explanation is wanted */
    size_t explained_class;
    size_t head_tensor, head_place; /* index of its features' tensor, and their place in `wanted` */
    size_t *wanted; /* tensors to compute: the features, and what the rest of a result needs */
    size_t wanted_count;
    size_t prediction;       /* place of the predictions' tensor in `wanted` */
    model_feature *features; /* as they stand in each result, but for `data` */
    size_t *feature_places;  /* place of each in `wanted` */
    size_t feature_count;
    plan_entry *plan; /* held; NULL: each image selects one */
};

/* Output `index` of the last run, which is of a floating-point type, as float32. */
void read_output(const cnn_plan *plan, const cnn_session *session, size_t index, float *to);
/* The class scores of the last run, as the network gives them; the caller frees *out. */
model_code read_scores(const model_query *query, const cnn_plan *plan, const cnn_session *session,
                       float **out, model_error *err);
/* Shape and count of a feature from its tensor's info: the batch extent of 1 is left away. */
void feature_set_shape(model_feature *feature, const cnn_shape *shape);

#endif
