/* The public plan: creation, reference counts, questions. */
#include "plan/plan.h"

#include "model/model.h"
#include "passes/passes.h"
#include "run/runtime.h"

#include <stdlib.h>

cnn_plan *plan_ref(cnn_plan *plan) {
    atomic_fetch_add(&plan->refs, 1);
    return plan;
}

static void free_steps(cnn_plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++) {
        free(plan->steps[i].args);
        free(plan->steps[i].relocs);
        free(plan->steps[i].halos);
    }
    free(plan->steps);
}

static void free_ports(plan_port *ports, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(ports[i].name);
    free(ports);
}

void cnn_plan_free(cnn_plan *plan) {
    if (!plan || atomic_fetch_sub(&plan->refs, 1) != 1) return;
    for (size_t i = 0; i < plan->weight_count; i++)
        weight_store_release(&plan->model->weights, plan->weights[i]);
    free_steps(plan);
    free_ports(plan->inputs, plan->input_count);
    free_ports(plan->outputs, plan->output_count);
    graph_free(plan->graph);
    cnn_model_free(plan->model);
    free(plan->weights);
    free(plan->buffers);
    free(plan);
}

cnn_status cnn_plan_create(cnn_model *model, const cnn_plan_options *options, cnn_plan **out,
                           cnn_error *err) {
    cnn_plan_options o = options ? *options : (cnn_plan_options){0};
    if (!model || !out || (o.outputs && o.output_count == 0))
        return cnn_fail(err, CNN_INVALID_ARGUMENT,
                        "model, out and, where outputs are named, at least one must be given");
    if (!cnn_reserved_is_zero(o.reserved))
        return cnn_fail(err, CNN_INVALID_ARGUMENT, CNN_RESERVED_MESSAGE);
    graph *g;
    cnn_status status = model_bind(model, &o, &g, err);
    if (status != CNN_OK) return status;
    status = passes_run(g, model->runtime->without, err);
    if (status != CNN_OK) {
        graph_free(g);
        return status;
    }
    return plan_build(model, g, out, err);
}

static cnn_tensor_info info_of(const plan_port *p) {
    return (cnn_tensor_info){p->name, p->dtype, p->shape};
}

size_t cnn_plan_input_count(const cnn_plan *plan) {
    return plan->input_count;
}

cnn_tensor_info cnn_plan_input(const cnn_plan *plan, size_t index) {
    return info_of(&plan->inputs[index]);
}

size_t cnn_plan_output_count(const cnn_plan *plan) {
    return plan->output_count;
}

cnn_tensor_info cnn_plan_output(const cnn_plan *plan, size_t index) {
    return info_of(&plan->outputs[index]);
}

size_t cnn_plan_arena_bytes(const cnn_plan *plan) {
    return plan->arena_bytes;
}

size_t cnn_plan_live_bytes(const cnn_plan *plan) {
    return plan->live_bytes;
}

size_t cnn_plan_step_count(const cnn_plan *plan) {
    return plan->step_count;
}

cnn_step_info cnn_plan_step(const cnn_plan *plan, size_t index) {
    const plan_step *s = &plan->steps[index];
    return (cnn_step_info){s->name, s->op, s->kernel, s->shape, s->macs};
}
