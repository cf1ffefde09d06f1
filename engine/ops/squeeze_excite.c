/*
 * Squeeze-and-excite (Hu et al. 2018, arXiv:1709.01507), as passes/squeeze_excite.c finds it:
 *
 *   gate = gate(w2 hidden(w1 mean(x) + b1) + b2),  y = x * gate
 *
 * with the mean of each channel over its plane; `hidden` and `gate` are activations.
 */
#include "ops/squeeze_excite.h"

#include "ops/eval.h"
#include "ops/families.h"

#include <stdio.h>

static const char *const suffixes[] = {"", "_alpha", "_beta"};
typedef char attr_name[32];

static const char *make_name(attr_name name, const char *role, size_t i) {
    snprintf(name, sizeof(attr_name), "%s%s", role, suffixes[i]);
    return name;
}

bool squeeze_set_act(graph_node *node, const char *role, act_params act) {
    attr_name name;
    return graph_add_attr_int(node, role, act.act) &&
           graph_add_attr_float(node, make_name(name, role, 1), act.alpha) &&
           graph_add_attr_float(node, make_name(name, role, 2), act.beta);
}

act_params squeeze_act(const graph_node *node, const char *role) {
    attr_name name;
    return (act_params){.act = (activation)graph_attr_int(node, role, ACT_NONE),
                        .alpha = graph_attr_float(node, make_name(name, role, 1), 0),
                        .beta = graph_attr_float(node, make_name(name, role, 2), 0)};
}

static double activate(double x, act_params act) {
    float y = (float)x;
    kernels_reference.unary(&y, &y, 1, act);
    return (double)y;
}

/* hidden (R): x is (C, plane) at element `first` */
static void eval_hidden(const graph_node *node, const tensor *const *in, size_t first, size_t plane,
                        double *hidden) {
    size_t c = (size_t)in[0]->shape.dims[1], r = (size_t)in[1]->shape.dims[0];
    for (size_t j = 0; j < r; j++)
        hidden[j] = in[2] ? tensor_number(in[2], j) : 0;
    for (size_t i = 0; i < c; i++) {
        double sum = 0;
        for (size_t k = 0; k < plane; k++)
            sum += tensor_number(in[0], first + i * plane + k);
        for (size_t j = 0; j < r; j++)
            hidden[j] += tensor_number(in[1], j * c + i) * sum / (double)plane;
    }
    for (size_t j = 0; j < r; j++)
        hidden[j] = activate(hidden[j], squeeze_act(node, SQUEEZE_HIDDEN));
}

static void eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const int64_t *x = in[0]->shape.dims;
    size_t c = (size_t)x[1], plane = (size_t)(x[2] * x[3]), r = (size_t)in[1]->shape.dims[0];
    double hidden[SQUEEZE_MAX_HIDDEN];
    for (size_t first = 0; first < in[0]->elements; first += c * plane) {
        eval_hidden(node, in, first, plane, hidden);
        for (size_t i = 0; i < c; i++) {
            double sum = in[4] ? tensor_number(in[4], i) : 0;
            for (size_t j = 0; j < r; j++)
                sum += hidden[j] * tensor_number(in[3], i * r + j);
            double gate = activate(sum, squeeze_act(node, SQUEEZE_GATE));
            for (size_t k = first + i * plane; k < first + (i + 1) * plane; k++)
                number_put(out[0], k, tensor_number(in[0], k) * gate);
        }
    }
}

static uint64_t macs(const graph *g, const graph_node *node) {
    const cnn_shape *w = &g->values[node->inputs[1]].shape;
    return 2 * (uint64_t)g->values[node->inputs[0]].shape.dims[0] * (uint64_t)w->dims[0] *
           (uint64_t)w->dims[1];
}

const op_def op_squeeze_excite = {OWN_OP("SqueezeExcite", 5, 5, 1, 1), .eval = eval, .macs = macs};
