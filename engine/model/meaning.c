/* What a graph output's values mean, out of the claims of its graph, and in words. */
#include "model/claims.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LISTED 8 /* nodes on the way that are named */

static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...) {
    size_t length = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + length, size - length, format, args);
    va_end(args);
}

/* What a node that is no such function itself has completed. */
static const char *completes(const claim *a, const graph_node *base) {
    static const struct {
        const char *op, *what;
    } pieces[] = {
        {"Clip", "a hard sigmoid"},
        {"Max", "a hard sigmoid"},
        {"Min", "a hard sigmoid"},
        {"Relu", "a hard sigmoid"},
        {"Sub", "the log of a softmax"},
        {"Neg", "the log of a sigmoid"},
        {"Exp", "a sigmoid"},
    };
    if (rewrite_is(base, "Div") || rewrite_is(base, "Mul"))
        return a->shares ? "a softmax" : "a sigmoid";
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++)
        if (rewrite_is(base, pieces[i].op)) return pieces[i].what;
    return NULL;
}

/* "Softmax 'probs' through Reshape, Clip": where the claim of `value` begins, and its way. */
static void describe(const claims *c, int value, char *text, size_t size) {
    const char *way[MAX_LISTED];
    int listed = 0, begin = value;
    bool more = false;
    for (; c->of[begin].from >= 0; begin = c->of[begin].from) {
        const graph_node *node = rewrite_producer(c->g, begin, NULL);
        if (!node) break;
        more = listed == MAX_LISTED;
        if (!more) way[listed++] = node->op->name;
    }
    const claim *a = &c->of[begin];
    const graph_node *base = rewrite_producer(c->g, begin, NULL);
    const char *what = base && claim_is_probability(&c->of[value]) ? completes(a, base) : NULL;
    if (!base)
        append(text, size, "tensor '%.80s'", c->g->values[begin].name);
    else
        append(text, size, "%s%s%s '%.80s'", what ? what : "", what ? ", made by " : "",
               base->op->name, graph_node_label(c->g, base));
    for (int i = listed; i-- > 0;)
        append(text, size, "%s%s%s", i == listed - 1 ? " through " : ", ",
               more && i == listed - 1 ? "..., " : "", way[i]);
}

/* The node that has chosen the values from the scores. */
static const graph_node *chooser(const claims *c, int value, int scores) {
    const graph_node *node = NULL;
    for (; value >= 0 && value != scores; value = c->of[value].from)
        node = rewrite_producer(c->g, value, NULL);
    return node;
}

/* Along which axes the tensor has classes, a softmax must have added up to 1. */
static bool over_classes(const claims *c, int scores) {
    return !(claim_real_axes(rewrite_shape(c->g, scores)) & ~c->of[scores].axes);
}

static void read_claim(const claims *c, int output, int scores, cnn_output_meaning *out) {
    const claim *a = &c->of[scores];
    out->values = CNN_MEANING_UNKNOWN;
    out->scale = 1;
    if (claim_is_probability(a) && over_classes(c, scores)) {
        out->values = a->logarithm ? CNN_MEANING_LOG_PROBABILITY : CNN_MEANING_PROBABILITY;
        out->scale = fabs(a->high - 1) < 1e-4 ? 1 : a->high;
    } else if (scores != output && c->of[output].squashed) {
        out->values = CNN_MEANING_LOGIT;
    }
}

static cnn_status read_meaning(const claims *c, int output, cnn_output_meaning *out,
                               cnn_error *err) {
    char text[500] = "";
    int scores = claims_scores(c, output);
    const graph_value *v = &c->g->values[scores];
    const graph_node *by = chooser(c, output, scores);
    read_claim(c, output, scores, out);
    out->chosen = scores != output && c->of[output].chosen == scores;
    describe(c, scores, text, sizeof text);
    if (claim_is_probability(&c->of[scores]) && !over_classes(c, scores))
        append(text, sizeof text, ", which is not over the classes");
    if (c->of[scores].trivial && vector_size(c->g, scores) > 1)
        append(text, sizeof text, ", which is over single elements and so 1 everywhere");
    if (by)
        append(text, sizeof text, ", before %s '%.80s'", by->op->name, graph_node_label(c->g, by));
    cnn_scrub(text);
    out->reason = strdup(text);
    out->scores = (cnn_tensor_info){.name = strdup(v->name), .dtype = v->dtype, .shape = v->shape};
    return out->reason && out->scores.name ? CNN_OK : cnn_fail_memory(err, sizeof text);
}

cnn_status cnn_output_meaning_find(const cnn_model *model, size_t output,
                                   const cnn_shape *input_shapes, cnn_output_meaning **out,
                                   cnn_error *err) {
    if (!out) return cnn_fail(err, CNN_INVALID_ARGUMENT, "out must be given");
    graph *g;
    claims c = {0};
    cnn_status status = model_bind_output(model, output, input_shapes, false, &g, err);
    if (status != CNN_OK) return status;
    cnn_output_meaning *meaning = calloc(1, sizeof *meaning);
    if (!meaning) status = cnn_fail_memory(err, sizeof *meaning);
    if (status == CNN_OK) status = claims_create(g, &c, err);
    if (status == CNN_OK) status = read_meaning(&c, g->outputs[0], meaning, err);
    claims_free(&c);
    graph_free(g);
    if (status != CNN_OK) {
        cnn_output_meaning_free(meaning);
        return status;
    }
    *out = meaning;
    return CNN_OK;
}

void cnn_output_meaning_free(cnn_output_meaning *meaning) {
    if (!meaning) return;
    free((char *)meaning->scores.name);
    free(meaning->reason);
    free(meaning);
}
