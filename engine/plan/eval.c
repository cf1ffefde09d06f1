/*
 * Steps that run an operator's own eval on plain tensors: the way of every node that no kernel
 * takes.
 *
 * The arguments are one block: eval_args, then the tensors, then the two arrays of pointers to
 * them, all connected by relocations within the block.
 */
#include "plan/build.h"

#include <stdlib.h>
#include <string.h>

typedef struct eval_args {
    const graph_node *node;
    const tensor *const *in;
    tensor *const *out;
} eval_args;

static void eval_tile(void *args, size_t index) {
    (void)index;
    const eval_args *a = args;
    a->node->op->eval(a->node, a->in, a->out);
}

static void describe(const plan_builder *b, int value, tensor *t) {
    const graph_value *v = &b->g->values[value];
    *t = (tensor){.dtype = v->dtype, .shape = v->shape};
    cnn_shape_elements(&v->shape, &t->elements);
    t->bytes = t->elements * cnn_dtype_size(v->dtype);
}

static size_t tensor_at(size_t i) {
    return sizeof(eval_args) + i * sizeof(tensor);
}

/* Points the arrays behind the tensors at them; absent arguments stay NULL. */
static void connect_arrays(plan_builder *b, const graph_node *node) {
    size_t total = node->input_count + node->output_count;
    size_t pointers = tensor_at(total);
    plan_connect_self(b, offsetof(eval_args, in), pointers);
    plan_connect_self(b, offsetof(eval_args, out), pointers + node->input_count * sizeof(void *));
    for (size_t i = 0; i < total; i++) {
        int value = i < node->input_count ? node->inputs[i] : node->outputs[i - node->input_count];
        if (value >= 0) plan_connect_self(b, pointers + i * sizeof(void *), tensor_at(i));
    }
}

/* The places of all arguments, inputs first; makes the plain forms. */
static cnn_status find_places(plan_builder *b, const graph_node *node, plan_place *places,
                              cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; i < node->input_count && status == CNN_OK; i++)
        if (node->inputs[i] >= 0) status = plan_read_plain(b, node->inputs[i], &places[i], err);
    for (size_t i = 0; i < node->output_count && status == CNN_OK; i++)
        if (node->outputs[i] >= 0)
            status = plan_write_plain(b, node->outputs[i], &places[node->input_count + i], err);
    return status;
}

static cnn_status add_eval_step(plan_builder *b, const graph_node *node, const plan_place *places,
                                cnn_error *err) {
    size_t total = node->input_count + node->output_count;
    size_t size = tensor_at(total) + total * sizeof(void *);
    char *args = calloc(1, size);
    if (!args) return cnn_fail_memory(err, size);
    ((eval_args *)args)->node = node;
    for (size_t i = 0; i < total; i++) {
        int value = i < node->input_count ? node->inputs[i] : node->outputs[i - node->input_count];
        if (value >= 0) describe(b, value, (tensor *)(args + tensor_at(i)));
    }
    plan_step *s = plan_add_step(b, "eval", eval_tile, 1, args, size);
    free(args);
    if (!s) return cnn_fail_memory(err, sizeof(*s));
    connect_arrays(b, node);
    for (size_t i = 0; i < total; i++) {
        int value = i < node->input_count ? node->inputs[i] : node->outputs[i - node->input_count];
        size_t where = tensor_at(i) + offsetof(tensor, data);
        if (value >= 0 && i < node->input_count)
            plan_connect_read(b, where, &places[i]);
        else if (value >= 0)
            plan_connect_write(b, where, &places[i]);
    }
    return CNN_OK;
}

cnn_status plan_lower_eval(plan_builder *b, const graph_node *node, cnn_error *err) {
    size_t total = node->input_count + node->output_count;
    plan_place *places = calloc(total + 1, sizeof(*places));
    if (!places) return cnn_fail_memory(err, total * sizeof(*places));
    cnn_status status = find_places(b, node, places, err);
    if (status == CNN_OK) status = add_eval_step(b, node, places, err);
    free(places);
    return status;
}
