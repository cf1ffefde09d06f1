/*
 * x (1 + erf(x / sqrt(2))) / 2 in its pieces -> Gelu.
 *
 * The product of three may be written in any order and with any nesting; x may be divided by
 * sqrt(2) or multiplied by its inverse.
 */
#include "passes/rewrite.h"

#include <math.h>

#define FACTORS 3

/* What a product multiplies, and its producers multiply if nobody else needs them; stops beyond
 * FACTORS. */
static size_t find_factors(const graph *g, const graph_node *product, int *out) {
    size_t count = 2;
    out[0] = product->inputs[0];
    out[1] = product->inputs[1];
    for (size_t i = 0; i < count && count <= FACTORS;) {
        graph_node *inner = rewrite_sole_producer(g, out[i], "Mul");
        if (inner) {
            out[i] = inner->inputs[0];
            out[count++] = inner->inputs[1];
        } else {
            i++;
        }
    }
    return count;
}

/* x if `value` is 1 + erf(x / sqrt(2)) and nobody else needs the steps; -1 if not. */
static int match_erf(const graph *g, int value) {
    int sum = rewrite_operand_beside(g, rewrite_sole_producer(g, value, NULL), "Add", 1);
    graph_node *erf = rewrite_sole_producer(g, sum, "Erf");
    if (!erf) return -1;
    graph_node *scaled = rewrite_sole_producer(g, erf->inputs[0], NULL);
    int x = rewrite_operand_beside(g, scaled, "Div", M_SQRT2);
    return x >= 0 ? x : rewrite_operand_beside(g, scaled, "Mul", M_SQRT1_2);
}

/* x if the product is the GELU of x; -1 if not. */
static int match(const graph *g, const graph_node *product) {
    int factors[FACTORS + 1], x = -1;
    if (!rewrite_is(product, "Mul") || find_factors(g, product, factors) != FACTORS) return -1;
    bool half = false, same = false;
    for (size_t i = 0; i < FACTORS; i++)
        if (match_erf(g, factors[i]) >= 0) x = match_erf(g, factors[i]);
    for (size_t i = 0; i < FACTORS; i++) {
        double number;
        half |= rewrite_scalar(g, factors[i], &number) && number == 0.5;
        same |= factors[i] == x;
    }
    return half && same ? x : -1;
}

cnn_status pass_gelu(graph *g, cnn_error *err) {
    const op_def *gelu = op_find("", "Gelu", MAX(g->opset, 20));
    for (size_t i = 0; gelu && i < g->node_count; i++) {
        graph_node *old = g->nodes[i];
        int x = match(g, old);
        if (x < 0 || !rewrite_is_float(g, x) ||
            !cnn_shape_equal(rewrite_shape(g, x), rewrite_shape(g, old->outputs[0])))
            continue;
        graph_node *node = graph_node_create(gelu, old->name, 1, 1);
        if (!node) return cnn_fail_memory(err, sizeof *node);
        node->inputs[0] = x;
        rewrite_replace(g, old, node);
    }
    return CNN_OK;
}
