/* graph.c: see graph.h. */
#include "cli/graph.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

bool graph_open(cnn_runtime *rt, const char *spec, const char *precision, opened_graph *out) {
    model_error failure;
    model_code code = served_model_open(rt, spec, precision, &out->served, &out->why);
    if (code == MODEL_OK) {
        out->graph = served_model_cnn(out->served);
        snprintf(out->name, sizeof out->name, "%s", served_model_name(out->served));
        cli_warn(served_model_warnings(out->served));
        return true;
    }
    failure = out->why;
    if (code == MODEL_UNFIT)
        code = model_open_graph(rt, spec, &out->graph, out->name, sizeof out->name, &failure);
    if (code != MODEL_OK) cli_fail(CLI_USAGE, "%s", failure.message);
    return code == MODEL_OK;
}

void graph_close(opened_graph *g) {
    if (!g->served) cnn_model_free(g->graph);
    served_model_unref(g->served);
}

/* Whether an output can be computed for the shapes at hand: the plan of it alone tells. */
static cnn_status try_output(cnn_model *model, const cnn_plan_options *how, size_t index,
                             cnn_error *err) {
    cnn_plan *plan = NULL;
    cnn_plan_options one = *how;
    const char *name = cnn_model_output(model, index).name;
    one.outputs = &name;
    one.output_count = 1;
    cnn_status status = cnn_model_output_check(model, index, err);
    if (status == CNN_OK) status = cnn_plan_create(model, &one, &plan, err);
    cnn_plan_free(plan);
    return status;
}

cnn_status plan_what_can(cnn_model *model, const cnn_plan_options *how, cnn_plan **out,
                         cnn_error *err) {
    cnn_status status = cnn_plan_create(model, how, out, err);
    size_t count = cnn_model_output_count(model);
    if (status == CNN_OK || how->outputs || count < 2) return status;
    cnn_plan_options some = *how;
    const char **names = calloc(count, sizeof *names);
    for (size_t i = 0; names && i < count; i++)
        if (try_output(model, how, i, NULL) == CNN_OK)
            names[some.output_count++] = cnn_model_output(model, i).name;
    some.outputs = names;
    if (some.output_count > 0) status = cnn_plan_create(model, &some, out, err);
    free(names);
    return status;
}
