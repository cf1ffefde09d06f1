/* graph.h: any model, to be looked at: a classifier, or a mere graph of which all outputs are run
 * that can be. */
#ifndef CNNSERVE_GRAPH_H
#define CNNSERVE_GRAPH_H

#include "models/models.h"

#include <cnn.h>
#include <stdbool.h>

/* Zeroed before it is opened. */
typedef struct opened_graph {
    char name[MODEL_NAME_MAX + 1];
    served_model *served; /* NULL: no image classifier */
    model_error why;      /* then: why not */
    cnn_model *graph;     /* that of `served`, if there is one */
} opened_graph;

/* As a classifier, whose warnings go to stderr, else as a mere graph. False: one line on stderr
 * says why neither works. graph_close is to follow in any case. */
bool graph_open(cnn_runtime *rt, const char *spec, const char *precision, opened_graph *out);
void graph_close(opened_graph *g);

/* As cnn_plan_create; if `how` names no outputs, all are meant that can be computed. The error is
 * that of the first output, if none can. */
cnn_status plan_what_can(cnn_model *model, const cnn_plan_options *how, cnn_plan **out,
                         cnn_error *err);

#endif
