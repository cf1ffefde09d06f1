/*
 * Softmax, its logarithm and sigmoids in the pieces in which exporters and users write them.
 *
 * A sigmoid as 1 / (1 + exp(-x)) or (tanh(x / 2) + 1) / 2 needs no pattern: its bounds follow from
 * those of its pieces. What is here is bounded because the same tensor occurs twice.
 */
#include "model/claims.h"

#include <math.h>

#define MAX_STEPS 32 /* looked back over at a time */

/* Behind it stands the same tensor. */
static int same_tensor(const graph *g, int value) {
    static const char *const ops[] = {"Identity", "Cast", "Dropout"};
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        const graph_node *node = rewrite_producer(g, value, NULL);
        bool same = false;
        for (size_t i = 0; node && i < ARRAY_LENGTH(ops); i++)
            same |= rewrite_is(node, ops[i]) && keeps_values(g, node);
        if (!same) break;
        value = node->inputs[0];
    }
    return value;
}

/* The operand of a node beside a uniform constant that is at most `most`; -1: there is none. */
static int beside_constant(const claims *c, const graph_node *node, double most) {
    for (size_t i = 0; i < 2 && node->input_count == 2; i++) {
        claim k = claim_of_input(c, node, i);
        if (k.constant && k.low == k.high && k.low >= 0 && k.low <= most)
            return node->inputs[1 - i];
    }
    return -1;
}

/* What keeps a divisor from being 0. */
#define TINY 1e-5

/* Behind it stand the values of a divisor, spread or kept from being 0. */
static int divisor_of(const claims *c, int value) {
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        const graph_node *node = rewrite_producer(c->g, value, NULL);
        if (!node) break;
        int before = -1, ignored;
        double low, high;
        if (keeps_values(c->g, node) || rewrite_is(node, "Expand"))
            before = node->inputs[0];
        else if (rewrite_is(node, "Add"))
            before = beside_constant(c, node, TINY);
        else if (read_bounds(c, node, &ignored, &low, &high) && low <= TINY && high == INFINITY)
            before = ignored;
        if (before < 0) break;
        value = before;
    }
    return value;
}

static bool is_sum_of(const graph *g, const graph_node *sum, int of, unsigned *axes) {
    return (rewrite_is(sum, "ReduceSum") || rewrite_is(sum, "ReduceL1")) &&
           same_tensor(g, sum->inputs[0]) == of &&
           rewrite_axes(g, sum, rewrite_shape(g, of)->rank, axes);
}

/* Numerator and divisor of a / b, a * Reciprocal(b), a * (1 / b). */
static bool read_quotient(const claims *c, const graph_node *node, int *over, int *under) {
    bool product = rewrite_is(node, "Mul");
    for (size_t i = 0; product && i < 2; i++) {
        const graph_node *inverse = rewrite_producer(c->g, node->inputs[i], NULL);
        *over = node->inputs[1 - i];
        if (inverse && rewrite_is(inverse, "Reciprocal")) {
            *under = inverse->inputs[0];
            return true;
        }
        if (inverse && rewrite_is(inverse, "Div")) {
            claim one = claim_of_input(c, inverse, 0);
            *under = inverse->inputs[1];
            if (one.constant && one.low == 1 && one.high == 1) return true;
        }
    }
    *over = node->inputs[0];
    *under = node->inputs[1];
    return !product;
}

bool claim_quotient(const claims *c, const graph_node *node, claim *out) {
    int over, under;
    unsigned axes;
    if (node->input_count != 2 || !read_quotient(c, node, &over, &under)) return false;
    const claim *a = &c->of[over];
    if (!a->known || a->logarithm || a->low < 0 ||
        rewrite_shape(c->g, over)->rank != rewrite_shape(c->g, node->outputs[0])->rank)
        return false;
    over = same_tensor(c->g, over);
    const graph_node *sum = rewrite_producer(c->g, divisor_of(c, under), NULL);
    if (!sum) return false;
    bool normalised = is_sum_of(c->g, sum, over, &axes);
    bool squashed = !normalised && rewrite_is(sum, "Add") &&
                    same_tensor(c->g, beside_constant(c, sum, INFINITY)) == over;
    *out = claim_between(c, node, 0, 1, a->logits);
    out->shares = normalised;
    if (normalised) out->axes = axes;
    return normalised || squashed;
}

/* The x and the axes of log(sum of exp(x)). */
static bool read_log_sum(const claims *c, int value, int *x, unsigned *axes) {
    const graph_node *node = rewrite_producer(c->g, divisor_of(c, value), NULL);
    if (node && rewrite_is(node, "Log"))
        node = rewrite_producer(c->g, divisor_of(c, node->inputs[0]), "ReduceSum");
    else if (node && !rewrite_is(node, "ReduceLogSum") && !rewrite_is(node, "ReduceLogSumExp"))
        node = NULL;
    if (!node) return false;
    *x = same_tensor(c->g, node->inputs[0]);
    if (!rewrite_axes(c->g, node, rewrite_shape(c->g, *x)->rank, axes)) return false;
    if (rewrite_is(node, "ReduceLogSumExp")) return true;
    const graph_node *power = rewrite_producer(c->g, *x, "Exp");
    if (power) *x = same_tensor(c->g, power->inputs[0]);
    return power != NULL;
}

/* Whether `x` is `from` minus `shift`. */
static bool is_difference(const graph *g, int x, int from, int shift) {
    const graph_node *node = rewrite_producer(g, x, "Sub");
    return node && same_tensor(g, node->inputs[0]) == from &&
           same_tensor(g, node->inputs[1]) == shift;
}

bool claim_log_softmax(const claims *c, const graph_node *node, claim *out) {
    int from = same_tensor(c->g, node->inputs[0]), x = -1;
    unsigned axes = 0;
    bool found = read_log_sum(c, node->inputs[1], &x, &axes) && x == from;
    const graph_node *sum = rewrite_producer(c->g, divisor_of(c, node->inputs[1]), "Add");
    for (size_t i = 0; sum && !found && i < 2; i++) /* log(sum of exp(x - m)) + m */
        found = read_log_sum(c, sum->inputs[i], &x, &axes) &&
                is_difference(c->g, x, from, same_tensor(c->g, sum->inputs[1 - i]));
    *out = claim_between(c, node, 0, 1, from);
    out->logarithm = out->shares = true;
    out->axes = axes;
    return found;
}

bool claim_hard_sigmoid(const claims *c, const graph_node *node, claim *out) {
    int input, inner;
    double low, high, inner_low, inner_high;
    if (!read_bounds(c, node, &input, &low, &high)) return false;
    const graph_node *before = rewrite_producer(c->g, input, NULL);
    if (before && (!isfinite(low) || !isfinite(high)) &&
        read_bounds(c, before, &inner, &inner_low, &inner_high)) {
        low = fmax(low, inner_low); /* Min of a Max, or the other way round */
        high = fmin(high, inner_high);
        before = rewrite_producer(c->g, inner, NULL);
    }
    if (!before || !rewrite_is(before, "Add") || low != 0 || !isfinite(high) || high <= 0)
        return false;
    for (size_t i = 0; i < 2; i++) {
        claim shift = claim_of_input(c, before, i);
        if (!shift.constant || shift.low != shift.high || fabs(2 * shift.low - high) > 1e-3 * high)
            continue;
        *out = claim_between(c, node, 0, high, before->inputs[1 - i]);
        return true;
    }
    return false;
}

/* One number that bounds; `fallback` where the input is left out. */
static bool read_bound(const claims *c, const graph_node *node, size_t i, double fallback,
                       double *out) {
    claim k = claim_of_input(c, node, i);
    bool given = i < node->input_count && node->inputs[i] >= 0;
    *out = given ? k.low : fallback;
    return !given || (k.constant && k.low == k.high);
}

bool read_bounds(const claims *c, const graph_node *node, int *input, double *low, double *high) {
    *input = node->input_count > 0 ? node->inputs[0] : -1;
    *low = -INFINITY;
    *high = INFINITY;
    if (rewrite_is(node, "Clip"))
        return read_bound(c, node, 1, graph_attr_float(node, "min", -INFINITY), low) &&
               read_bound(c, node, 2, graph_attr_float(node, "max", INFINITY), high);
    if (rewrite_is(node, "Relu")) {
        *low = 0;
        return true;
    }
    bool most = rewrite_is(node, "Min");
    if ((!most && !rewrite_is(node, "Max")) || node->input_count != 2) return false;
    for (size_t i = 0; i < 2; i++) {
        claim k = claim_of_input(c, node, i);
        if (!k.constant || k.low != k.high) continue;
        *(most ? high : low) = k.low;
        *input = node->inputs[1 - i];
        return true;
    }
    return false;
}
