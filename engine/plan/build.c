/*
 * Builds a plan: walks the nodes in execution order and lets each operator add its steps.
 *
 * Before the walk two things are settled for every value, since its memory is created when it is
 * written but its shape in memory is wished for by its readers: the halo that convolutions want
 * around it, and whether it is written straight into its place in a later Concat. After the walk
 * lifetimes are known: buffers are merged where a step may work in place, and the arena is laid
 * out. Then the weights are packed.
 */
#include "plan/build.h"

#include "model/model.h"
#include "ops/lower.h"
#include "run/runtime.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- before: halos and parts ---- */

static halo larger_halo(halo a, halo b) {
    return (halo){MAX(a.top, b.top), MAX(a.left, b.left), MAX(a.bottom, b.bottom),
                  MAX(a.right, b.right)};
}

static void find_halos(plan_builder *b) {
    for (size_t i = 0; i < b->g->node_count; i++) {
        const graph_node *node = b->g->nodes[i];
        halo h;
        if (conv_wants_halo(b->g, node, &h))
            b->values[node->inputs[0]].halo = larger_halo(b->values[node->inputs[0]].halo, h);
    }
}

/* True if input `i` of a Concat by channels can be written into the output directly. */
static bool can_be_part(const plan_builder *b, const graph_node *node, size_t i, int64_t channel) {
    int value = node->inputs[i];
    if (channel % LANES || b->values[value].part_of >= 0 || b->g->values[value].producer < 0)
        return false;
    for (size_t j = 0; j < i; j++)
        if (node->inputs[j] == value) return false;
    return true;
}

static void find_parts(plan_builder *b) {
    if (b->plan->runtime->without & WITHOUT_PLACEMENT) return;
    for (size_t n = 0; n < b->g->node_count; n++) {
        const graph_node *node = b->g->nodes[n];
        if (!concat_by_blocks(b->g, node)) continue;
        int whole = node->outputs[0];
        int64_t channel = 0;
        for (size_t i = 0; i < node->input_count; i++) {
            plan_value *v = &b->values[node->inputs[i]];
            halo joined = larger_halo(b->values[whole].halo, v->halo);
            if (can_be_part(b, node, i, channel) && plan_halo_fits(b->g, whole, joined)) {
                v->part_of = whole;
                v->first_block = (int)(channel / LANES);
                b->values[whole].halo = joined;
            }
            channel += b->g->values[node->inputs[i]].shape.dims[1];
        }
    }
}

/* What a SqueezeExcite has done by the steps before and behind it. */
static void find_gates(plan_builder *b) {
    for (size_t i = 0; i < b->g->node_count; i++) {
        const graph_node *node = b->g->nodes[i];
        if (node->op == &op_squeeze_excite) b->values[node->inputs[0]].squeezed = true;
        if (conv_takes_gate(b->g, node)) b->values[node->inputs[0]].gated = true;
    }
}

static cnn_status init_values(plan_builder *b, cnn_error *err) {
    graph *g = b->g;
    b->values = calloc(g->value_count + 1, sizeof(*b->values));
    if (!b->values) return cnn_fail_memory(err, g->value_count * sizeof(*b->values));
    for (size_t i = 0; i < g->value_count; i++) {
        plan_value *v = &b->values[i];
        v->part_of = -1;
        if (g->values[i].constant) {
            v->plain = (plan_place){.buffer = -1, .constant = g->values[i].constant->data};
            v->has_plain = true;
        }
    }
    return CNN_OK;
}

/* ---- ports ---- */

static cnn_status make_port(const plan_builder *b, int value, plan_port *port, cnn_error *err) {
    const graph_value *v = &b->g->values[value];
    const plan_place *place = &b->values[value].plain;
    *port = (plan_port){.name = strdup(v->name), .dtype = v->dtype, .shape = v->shape};
    port->buffer = place->buffer;
    port->offset = place->offset;
    port->constant = place->constant;
    return port->name ? CNN_OK : cnn_fail_memory(err, strlen(v->name));
}

static cnn_status add_inputs(plan_builder *b, cnn_error *err) {
    cnn_plan *p = b->plan;
    p->inputs = calloc(b->g->input_count + 1, sizeof(*p->inputs));
    if (!p->inputs) return cnn_fail_memory(err, b->g->input_count * sizeof(*p->inputs));
    for (size_t i = 0; i < b->g->input_count; i++) {
        plan_place place;
        int value = b->g->inputs[i];
        cnn_status status = plan_write_plain(b, value, &place, err);
        if (status == CNN_OK) status = make_port(b, value, &p->inputs[p->input_count], err);
        if (status != CNN_OK) return status;
        p->input_count++;
        plan_keep_alive(b, &place, 0);
    }
    return CNN_OK;
}

static cnn_status add_outputs(plan_builder *b, cnn_error *err) {
    cnn_plan *p = b->plan;
    p->outputs = calloc(b->g->output_count + 1, sizeof(*p->outputs));
    if (!p->outputs) return cnn_fail_memory(err, b->g->output_count * sizeof(*p->outputs));
    for (size_t i = 0; i < b->g->output_count; i++) {
        plan_place place;
        cnn_status status = plan_read_plain(b, b->g->outputs[i], &place, err);
        if (status == CNN_OK)
            status = make_port(b, b->g->outputs[i], &p->outputs[p->output_count], err);
        if (status != CNN_OK) return status;
        p->output_count++;
    }
    for (size_t i = 0; i < b->g->output_count; i++)
        plan_keep_alive(b, &b->values[b->g->outputs[i]].plain, (int)p->step_count);
    return CNN_OK;
}

/* ---- the walk ---- */

static cnn_status lower_node(plan_builder *b, const graph_node *node, cnn_error *err) {
    const lowering *l = lowering_of(b->g, node);
    /* see epilogue_taken in passes/rewrite.h */
    assert(node->fused.act == ACT_NONE || (l && l->act));
    assert(node->fused.residual < 0 || (l && l->residual));
    return l ? l->lower(b, node, err) : plan_lower_eval(b, node, err);
}

static cnn_status lower_nodes(plan_builder *b, cnn_error *err) {
    for (size_t i = 0; i < b->g->node_count; i++) {
        size_t before = b->plan->step_count;
        b->node = b->g->nodes[i];
        cnn_status status = lower_node(b, b->node, err);
        if (status != CNN_OK) return status;
        if (b->plan->step_count > before) plan_join_strips(b);
        if (b->out_of_memory) return cnn_fail_memory(err, sizeof(plan_step));
    }
    b->node = NULL;
    return CNN_OK;
}

/* ---- after ---- */

/* Lets outputs take over the memory of inputs that die at the same step. */
static void merge_overwrites(plan_builder *b) {
    plan_buffer *buffers = b->plan->buffers;
    for (size_t i = 0; i < b->overwrite_count; i++) {
        const overwrite *o = &b->overwrites[i];
        int in = plan_buffer_root(b->plan, o->in);
        if (buffers[o->out].parent >= 0 || in == o->out ||
            buffers[o->in].bytes != buffers[in].bytes)
            continue;
        if (buffers[in].last != o->step || buffers[o->out].first != o->step ||
            buffers[in].bytes != buffers[o->out].bytes)
            continue;
        buffers[in].last = buffers[o->out].last;
        buffers[o->out].parent = in;
        buffers[o->out].parent_offset = 0;
    }
}

/* Constants that no step reads (packed ones above all) need not stay in memory. */
static void drop_unread_constants(plan_builder *b) {
    for (size_t i = 0; i < b->g->value_count; i++) {
        graph_value *v = &b->g->values[i];
        if (v->constant && !b->values[i].constant_read) {
            tensor_unref(v->constant);
            v->constant = NULL;
        }
    }
}

static cnn_status build(plan_builder *b, cnn_error *err) {
    cnn_status status = init_values(b, err);
    if (status != CNN_OK) return status;
    find_halos(b);
    find_parts(b);
    find_gates(b);
    status = add_inputs(b, err);
    if (status == CNN_OK) status = lower_nodes(b, err);
    if (status == CNN_OK) status = add_outputs(b, err);
    if (status != CNN_OK) return status;
    merge_overwrites(b);
    if (!plan_place_memory(b->plan))
        return cnn_fail_memory(err, b->plan->buffer_count * sizeof(int));
    return CNN_OK;
}

cnn_status plan_build(cnn_model *model, graph *g, cnn_plan **out, cnn_error *err) {
    cnn_plan *p = calloc(1, sizeof(*p));
    if (!p) {
        graph_free(g);
        return cnn_fail_memory(err, sizeof(*p));
    }
    atomic_init(&p->refs, 1);
    p->model = model_ref(model);
    p->runtime = model->runtime;
    p->graph = g;
    plan_builder b = {.plan = p,
                      .g = g,
                      .kernels = model->runtime->kernels,
                      .threads = pool_threads(model->runtime->pool),
                      .store = &model->weights};
    cnn_status status = build(&b, err);
    plan_pack_all(&b);
    if (status == CNN_OK) drop_unread_constants(&b);
    free(b.values);
    free(b.overwrites);
    if (status != CNN_OK) {
        cnn_plan_free(p);
        return status;
    }
    *out = p;
    return CNN_OK;
}
