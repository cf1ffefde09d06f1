/* scores.h: which tensor of a model holds the class scores, and what makes probabilities of them.
 */
#ifndef CNNSERVE_SCORES_H
#define CNNSERVE_SCORES_H

#include "models/internal.h"
#include "json/model_config.h"

/*
 * Chooses, and sets the model's `scores`, `output`, `output_tensor` and `class_count`. `labels`:
 * how many the files beside the graph give; 0: none. MODEL_INVALID where model.json asks for what
 * cannot be, MODEL_UNFIT where no output fits; both list the outputs. MODEL_BAD_REQUEST: the graph
 * does not run with pictures of the nominal size.
 */
model_code scores_choose(served_model *model, const model_config *config, size_t labels,
                         model_error *err);

/* In place: from the scores to probabilities. */
void scores_apply(const served_model *model, float *values);
/* Looks at scores before they are changed: see served_model_doubt. */
void scores_look(served_model *model, const float *values);

#endif
