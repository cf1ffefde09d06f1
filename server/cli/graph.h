/* graph.h: models that are no classifiers, of which all outputs are run that can be. */
#ifndef CNNSERVE_GRAPH_H
#define CNNSERVE_GRAPH_H

#include <cnn.h>

/* As cnn_plan_create; if `how` names no outputs, all are meant that can be computed. The error is
 * that of the first output, if none can. */
cnn_status plan_what_can(cnn_model *model, const cnn_plan_options *how, cnn_plan **out,
                         cnn_error *err);

#endif
