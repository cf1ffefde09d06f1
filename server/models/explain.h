/* explain.h: class activation maps; see models.h for what they are. */
#ifndef CNNSERVE_EXPLAIN_H
#define CNNSERVE_EXPLAIN_H

#include "models/query.h"

/* Sets the query's `head` and `head_tensor`, or says why the network has no such map. */
model_code explain_prepare(model_query *query, model_error *err);
/* After a run: the map, if the query wants one. */
model_code explain_map(const model_query *query, const cnn_plan *plan, const cnn_session *session,
                       model_explanation *out, model_error *err);
/* Draws the map over its picture. */
model_code explain_draw(const model_query *query, const image *picture, model_explanation *out,
                        model_error *err);
void explanation_free(model_explanation *explanation);

#endif
