/*
 * Constants of which the way to compute them is kept instead of their elements.
 *
 * Weights that a file holds in 8 bits, or does not hold at all but only describes, take more memory
 * once they are computed; and like those in files nobody needs them when they are packed, until
 * another plan is compiled. So a model keeps the node and its inputs, and computes again.
 *
 * That is done only for single operators that do no arithmetic to speak of (none that counts
 * multiply-accumulates), of which few are chained.
 */
#include "graph/derived.h"

#include "base/parallel.h"
#include "ops/op.h"

#include <stdlib.h>

#define MAX_NODES 16 /* computed for one tensor, those of its inputs included */

struct derivation {
    graph_node *node;
    tensor **in;     /* references; NULL: optional input left out */
    int nodes;       /* as MAX_NODES counts them */
    size_t resident; /* bytes in memory of what it is derived from */
};

void derivation_free(derivation *d) {
    if (!d) return;
    for (size_t i = 0; d->in && i < d->node->input_count; i++)
        tensor_unref(d->in[i]);
    free(d->in);
    graph_node_free(d->node);
    free(d);
}

/* What keeping a tensor costs. */
static size_t resident_bytes(const tensor *t) {
    return t->derived ? t->derived->resident : t->data ? t->bytes : 0;
}

static bool is_worth_it(const graph *g, const graph_node *node, const tensor *const *in,
                        derivation *d) {
    size_t elements = 0;
    if (node->output_count != 1 || node->op->macs) return false;
    const graph_value *v = &g->values[node->outputs[0]];
    if (!cnn_shape_elements(&v->shape, &elements)) return false;
    size_t bytes = elements * cnn_dtype_size(v->dtype); /* folding_apply has checked it */
    d->nodes = 1;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!in[i]) continue;
        d->resident += resident_bytes(in[i]);
        d->nodes += in[i]->derived ? in[i]->derived->nodes : 0;
    }
    return tensor_may_be_left(v->dtype, bytes) && d->resident < bytes && d->nodes <= MAX_NODES;
}

cnn_status derivation_create(const graph *g, const graph_node *node, const tensor *const *in,
                             derivation **out, cnn_error *err) {
    derivation plan = {0};
    if (!is_worth_it(g, node, in, &plan)) return CNN_OK;
    derivation *d = malloc(sizeof(*d));
    if (!d) return cnn_fail_memory(err, sizeof(*d));
    *d = plan;
    d->node = graph_node_clone(node);
    d->in = d->node ? calloc(node->input_count + 1, sizeof(tensor *)) : NULL;
    if (!d->in) {
        derivation_free(d);
        return cnn_fail_memory(err, sizeof(graph_node));
    }
    for (size_t i = 0; i < node->input_count; i++)
        d->in[i] = in[i] ? tensor_ref((tensor *)in[i]) : NULL;
    *out = d;
    return CNN_OK;
}

/* ---- computing ---- */

cnn_status tensor_compute(const tensor *t, tensor **out, cnn_error *err) {
    const derivation *d = t->derived;
    size_t count = d->node->input_count;
    tensor **loaded = calloc(count + 1, sizeof(tensor *)), *copy = NULL;
    if (!loaded) return cnn_fail_memory(err, count * sizeof(tensor *));
    cnn_status status = tensor_create(t->dtype, &t->shape, &copy, err);
    for (size_t i = 0; status == CNN_OK && i < count; i++)
        if (d->in[i] && d->in[i]->data)
            loaded[i] = tensor_ref(d->in[i]);
        else if (d->in[i])
            status = tensor_load(d->in[i], &loaded[i], err);
    if (status == CNN_OK) d->node->op->eval(d->node, (const tensor *const *)loaded, &copy);
    for (size_t i = 0; i < count; i++)
        tensor_unref(loaded[i]);
    free(loaded);
    if (status != CNN_OK) {
        tensor_unref(copy);
        return status;
    }
    *out = copy;
    return CNN_OK;
}

typedef struct computing {
    graph_value *value;
    cnn_status status;
    cnn_error err;
} computing;

static void compute_one(void *all, size_t index) {
    computing *c = (computing *)all + index;
    tensor *left = c->value->constant;
    c->status = tensor_compute(left, &c->value->constant, &c->err);
    if (c->status == CNN_OK) tensor_unref(left);
}

static cnn_status compute_constants(graph *g, int threads, cnn_error *err) {
    computing *all = NULL;
    size_t count = 0, capacity = 0;
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->value_count; i++) {
        graph_value *v = &g->values[i];
        if (!v->constant || v->constant->data || !v->constant->derived) continue;
        if (cnn_grow((void **)&all, &capacity, count + 1, sizeof(*all)))
            all[count++] = (computing){.value = v};
        else
            status = cnn_fail_memory(err, (count + 1) * sizeof(*all));
    }
    if (status == CNN_OK) cnn_parallel_for(threads, count, compute_one, all);
    for (size_t i = 0; status == CNN_OK && i < count; i++) {
        status = all[i].status;
        if (status != CNN_OK && err) *err = all[i].err;
    }
    free(all);
    return status;
}

cnn_status graph_load_constants(graph *g, int threads, cnn_error *err) {
    cnn_status status = graph_read_constants(g, threads, err);
    return status == CNN_OK ? compute_constants(g, threads, err) : status;
}
