/*
 * The end of a classifier that averages features over all positions and maps them on classes with
 * one linear layer, as class activation maps need it (Zhou et al., "Learning Deep Features for
 * Discriminative Localization", 2016).
 *
 * It is found by walking from an output back to the averaging, over the bound graph: there weights
 * are constants whatever the file makes them from, and pass_global_pool has put the other ways to
 * write the averaging into one.
 */
#include "model/claims.h"
#include "model/model.h"
#include "passes/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The linear layer, as far as it is known; `weights` NULL: there is none. */
typedef struct linear {
    const tensor *weights;
    bool transposed; /* (channels, classes), else (classes, channels, ...) */
    float scale;
} linear;

/* Its result is the vector that it is given, perhaps with other extents of 1. */
static bool keeps_vector(const graph *g, const graph_node *node) {
    return keeps_values(g, node) && vector_size(g, node->inputs[0]) > 0;
}

/* The input that is computed, of an addition of a constant; -1 for other nodes. */
static int without_bias(const graph *g, const graph_node *node) {
    if (!rewrite_is(node, "Add")) return -1;
    bool first = op_constant(g, node, 0), second = op_constant(g, node, 1);
    return first == second ? -1 : node->inputs[first ? 1 : 0];
}

/* Steps back over nodes that do not matter for which channel counts how much. */
static int step_back(const graph *g, int value) {
    for (;;) {
        const graph_node *node = rewrite_producer(g, value, NULL);
        int before = node ? without_bias(g, node) : -1;
        if (node && keeps_vector(g, node)) before = node->inputs[0];
        if (before < 0) return value;
        value = before;
    }
}

/* The same, beginning with probabilities: over the functions, too, that made them of scores. */
static int step_back_to_scores(const claims *c, int value) {
    for (;;) {
        int logits = c->of[value].logits;
        if (logits < 0 || vector_size(c->g, logits) != vector_size(c->g, value)) logits = -1;
        int before = logits >= 0 ? logits : step_back(c->g, value);
        if (before == value) return value;
        value = before;
    }
}

/* True for a linear layer of constant weights over a vector. */
static bool read_linear(const graph *g, const graph_node *node, linear *out) {
    bool gemm = rewrite_is(node, "Gemm"), matmul = rewrite_is(node, "MatMul");
    bool conv = rewrite_is(node, "Conv");
    if (!gemm && !matmul && !conv) return false;
    const tensor *w = op_constant(g, node, 1);
    size_t size = vector_size(g, node->inputs[0]);
    if (!w || !cnn_dtype_is_float(w->dtype) || w->shape.rank < 2 || size == 0) return false;
    if (conv && (graph_attr_int(node, "group", 1) != 1 || vector_size(g, node->outputs[0]) == 0))
        return false;
    if (gemm && graph_attr_int(node, "transA", 0) != 0) return false;
    *out = (linear){.weights = w,
                    .transposed = matmul || (gemm && !graph_attr_int(node, "transB", 0)),
                    .scale = gemm ? graph_attr_float(node, "alpha", 1) : 1};
    /* A kernel of more than one element would have more columns than there are channels. */
    size_t rows = (size_t)w->shape.dims[0];
    return out->transposed ? rows == size && w->shape.rank == 2
                           : rows > 0 && w->elements / rows == size;
}

/* ---- what it is made into ---- */

static cnn_status fill(const linear *l, size_t channels, size_t classes, cnn_average_head *head,
                       cnn_error *err) {
    head->channels = channels;
    head->classes = classes;
    if (!l->weights) return CNN_OK;
    size_t bytes = l->weights->elements * sizeof(float);
    float *to = malloc(bytes);
    if (!to) return cnn_fail_memory(err, bytes);
    for (size_t c = 0; c < classes; c++)
        for (size_t k = 0; k < channels; k++)
            to[c * channels + k] =
                l->scale * (float)tensor_number(l->weights,
                                                l->transposed ? k * classes + c : c * channels + k);
    head->weights = to;
    return CNN_OK;
}

/* The node that makes its first input that is no constant; NULL: none does. */
static const graph_node *node_before(const graph *g, const graph_node *node) {
    for (size_t i = 0; i < node->input_count; i++)
        if (!op_constant(g, node, i)) return rewrite_producer(g, node->inputs[i], NULL);
    return NULL;
}

/* "MaxPool 'pool2', Flatten 'flatten', Gemm 'logits'": up to five nodes, as they are in the file,
 * that lead to a value. */
static void describe_end(const graph *file, const graph *g, int value, char *text, size_t size) {
    const graph_node *node = rewrite_producer(g, value, NULL);
    char rest[400] = "";
    int listed = 0, origin = -1;
    for (text[0] = '\0'; node && listed < 5; node = node_before(g, node)) {
        if (node->origin == origin) continue; /* a pass has made two of one */
        origin = node->origin;
        snprintf(rest, sizeof rest, "%s", text);
        snprintf(text, size, "%s '%.40s'%s%.300s", file->nodes[origin]->op->name,
                 graph_node_label(file, file->nodes[origin]), listed++ ? ", " : "", rest);
    }
}

static cnn_status refuse(const cnn_model *model, const graph *g, cnn_error *err) {
    char end[450];
    describe_end(model->graph, g, g->outputs[0], end, sizeof end);
    return cnn_fail(err, CNN_UNSUPPORTED,
                    "the network does not end in global average pooling and at most one linear "
                    "layer; it ends in %.300s",
                    *end ? end : "its input");
}

static cnn_status find(const cnn_model *model, const claims *c, cnn_average_head *head,
                       cnn_error *err) {
    linear l = {0};
    const graph *g = c->g;
    int scores = claims_scores(c, g->outputs[0]);
    size_t classes = vector_size(g, scores);
    const graph_node *node = rewrite_producer(g, step_back_to_scores(c, scores), NULL);
    if (node && read_linear(g, node, &l))
        node = rewrite_producer(g, step_back(g, node->inputs[0]), NULL);
    if (!node || !rewrite_is(node, "GlobalAveragePool")) return refuse(model, g, err);
    const graph_value *features = &g->values[node->inputs[0]];
    int known = graph_find_value(model->graph, features->name);
    const cnn_shape *shape = &features->shape;
    size_t channels = shape->rank == 4 ? (size_t)shape->dims[1] : 0;
    size_t wanted = !l.weights ? classes : classes > 0 ? l.weights->elements / classes : 0;
    if (known < 0 || shape->rank != 4 || shape->dims[0] != 1 || channels != wanted || classes == 0)
        return refuse(model, g, err);
    head->features = model->graph->values[known].name;
    return fill(&l, channels, classes, head, err);
}

cnn_status cnn_average_head_find(const cnn_model *model, size_t output,
                                 const cnn_shape *input_shapes, cnn_average_head **out,
                                 cnn_error *err) {
    if (!out) return cnn_fail(err, CNN_INVALID_ARGUMENT, "out must be given");
    graph *g;
    claims c = {0};
    cnn_status status = model_bind_output(model, output, input_shapes, true, &g, err);
    if (status != CNN_OK) return status;
    graph_update_uses(g);
    status = pass_global_pool(g, err);
    if (status == CNN_OK) status = claims_create(g, &c, err);
    cnn_average_head *head = calloc(1, sizeof *head);
    if (status == CNN_OK && !head) status = cnn_fail_memory(err, sizeof *head);
    if (status == CNN_OK) status = find(model, &c, head, err);
    claims_free(&c);
    graph_free(g);
    if (status != CNN_OK) {
        cnn_average_head_free(head);
        return status;
    }
    *out = head;
    return CNN_OK;
}

void cnn_average_head_free(cnn_average_head *head) {
    if (!head) return;
    free(head->weights);
    free(head);
}
