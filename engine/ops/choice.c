/*
 * If, whose branches stand beside it.
 *
 * Nothing has side effects, so the nodes of both branches can be nodes of the graph like others,
 * and If a choice between two values. As soon as the condition is a constant the node becomes the
 * Identity of one of them, and nothing leads to the other branch any more. So nobody infers or
 * computes what is not chosen (graph_bind sees to that), and nobody runs a choice: a condition that
 * is not known before the run is refused.
 */
#include "ops/infer.h"

static cnn_status choice_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_need_constant(g, node, 0, "the condition, which chooses the branch,", err));
    return op_fail(node, err, CNN_INVALID_MODEL, "the condition is not one bool");
}

cnn_status op_choose(graph *g, graph_node *node, cnn_error *err) {
    const tensor *condition = op_constant(g, node, 0);
    if (!condition || condition->dtype != CNN_BOOL || condition->elements != 1)
        return choice_infer(g, node, err);
    node->op = op_find("", "Identity", 1);
    node->inputs[0] = node->inputs[tensor_int(condition, 0) ? 1 : 2];
    node->input_count = 1;
    return CNN_OK;
}

const op_def op_choice = {
    .domain = "",
    .name = "If",
    .since = 1,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = choice_infer,
};
