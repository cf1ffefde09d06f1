/*
 * The walk of claims.h, and what each operator does to claims.
 *
 * An operator that is not in the table ends every claim: what it makes begins anew, with nothing
 * known. So a rule may leave cases out, but must hold for those that it takes. The network that
 * computes the scores is full of sigmoids (gates, SiLU), which end where they are multiplied by
 * something unknown.
 */
#include "model/claims.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums and constants this small, against the values' bounds, are there for numerical reasons. */
#define EPSILON 1e-5
/* Probabilities that are rounded to fewer whole numbers are decisions. */
#define FEWEST_STEPS 9.5
/* Elements of a constant that are looked at. */
#define MAX_ELEMENTS ((size_t)1 << 20)

static bool near(double a, double b) {
    return a == b || fabs(a - b) <= EPSILON * fabs(b);
}

/* ---- making claims ---- */

claim claim_nothing(const claims *c, const graph_node *node) {
    int base = node->outputs[0] >= 0 ? c->g->values[node->outputs[0]].producer : -1;
    return (claim){.base = base, .from = -1, .logits = -1, .chosen = -1};
}

claim claim_between(const claims *c, const graph_node *node, double low, double high, int logits) {
    claim a = claim_nothing(c, node);
    a.known = true;
    a.low = low;
    a.high = high;
    a.axes = EVERY_AXIS;
    a.logits = logits;
    return a;
}

static claim constant_claim(const tensor *t) {
    claim a = {
        .constant = true, .axes = EVERY_AXIS, .base = -1, .from = -1, .logits = -1, .chosen = -1};
    a.low = INFINITY;
    a.high = -INFINITY;
    if (!t->data || t->elements > MAX_ELEMENTS) a.constant = false;
    for (size_t i = 0; a.constant && i < t->elements; i++) {
        double x = tensor_number(t, i);
        a.low = fmin(a.low, x);
        a.high = fmax(a.high, x);
        a.constant = !isnan(x);
    }
    a.constant &= a.low <= a.high;
    a.known = a.constant;
    return a;
}

claim claim_of_input(const claims *c, const graph_node *node, size_t i) {
    int value = i < node->input_count ? node->inputs[i] : -1;
    const tensor *t = value < 0 ? NULL : c->g->values[value].constant;
    if (t) return constant_claim(t);
    if (value >= 0) return c->of[value];
    return (claim){.base = -1, .from = -1, .logits = -1, .chosen = -1};
}

bool claim_is_probability(const claim *a) {
    if (!a->known || a->constant || !isfinite(a->high)) return false;
    return a->logarithm ? a->high != 0 : a->high > 0 && fabs(a->low) <= EPSILON * a->high;
}

/* The claim of input `i`, as it goes on to the node's result. */
static claim pass(const claims *c, const graph_node *node, size_t i) {
    claim a = claim_of_input(c, node, i);
    a.from = node->inputs[i];
    return a;
}

/* Values that are made of several, not element by element of one. */
static claim mixed(claim a) {
    a.logits = -1;
    a.shares = false;
    return a;
}

/* ---- axes ---- */

static unsigned axes_below(int count) {
    return (1u << count) - 1;
}

unsigned claim_real_axes(const cnn_shape *shape) {
    unsigned set = 0;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] != 1) set |= 1u << i;
    return set;
}

/* The axes of `set` in a shape to which that of `set` is reshaped. Both are cut into the smallest
 * blocks of axes that hold equally many elements; a block keeps classes if all of it did. */
static unsigned reshaped_axes(const cnn_shape *from, const cnn_shape *to, unsigned set) {
    unsigned out = 0, real = claim_real_axes(from);
    if (set == EVERY_AXIS || real == 0) return EVERY_AXIS;
    for (int i = 0, j = 0; j < to->rank;) {
        int64_t left = 1, right = to->dims[j];
        int begin = j++;
        bool whole = right != 1; /* a new axis of one element is none of classes */
        while (left != right) {
            if (left < right && i < from->rank) {
                whole &= (set | ~real) >> i & 1;
                left *= from->dims[i++];
            } else if (left > right && j < to->rank) {
                right *= to->dims[j++];
            } else {
                return 0;
            }
            if (left == 0 || right == 0) return 0;
        }
        if (whole) out |= axes_below(j) & ~axes_below(begin);
    }
    return out;
}

/* Those of an operand of that rank in a result of broadcasting. */
static unsigned broadcast_axes(unsigned set, int rank, int result) {
    return set == EVERY_AXIS ? set : set << (result - rank);
}

static unsigned without_axes(unsigned set, unsigned gone, int rank) {
    unsigned out = 0;
    if (set == EVERY_AXIS) return set;
    for (int i = 0, at = 0; i < rank; i++)
        if (!(gone >> i & 1)) out |= (set >> i & 1) << at++;
    return out;
}

size_t vector_size(const graph *g, int value) {
    const cnn_shape *shape = rewrite_shape(g, value);
    size_t size = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] != 1 && size != 1) return 0;
        if (shape->dims[i] != 1) size = (size_t)shape->dims[i];
    }
    return size;
}

/* ---- views ---- */

bool keeps_values(const graph *g, const graph_node *node) {
    static const char *const ops[] = {"Identity", "Dropout", "Cast",      "Reshape",
                                      "Flatten",  "Squeeze", "Unsqueeze", "Transpose"};
    for (size_t i = 0; i < ARRAY_LENGTH(ops); i++)
        if (rewrite_is(node, ops[i]))
            return node->inputs[0] >= 0 &&
                   cnn_dtype_is_float(g->values[node->inputs[0]].dtype) ==
                       cnn_dtype_is_float(g->values[node->outputs[0]].dtype);
    return false;
}

/* What is chosen may become a number of another type. */
static claim view(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    if (!keeps_values(c->g, node) && a.chosen < 0) return claim_nothing(c, node);
    a.axes = reshaped_axes(rewrite_shape(c->g, node->inputs[0]),
                           rewrite_shape(c->g, node->outputs[0]), a.axes);
    return a;
}

static claim transpose(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    const attr *perm = graph_attr(node, "perm");
    int rank = rewrite_shape(c->g, node->inputs[0])->rank;
    unsigned set = 0;
    for (int i = 0; i < rank; i++)
        set |= (a.axes >> (perm ? perm->ints[i] : rank - 1 - i) & 1) << i;
    if (a.axes != EVERY_AXIS) a.axes = set;
    return a;
}

/* Rounding does not matter: a QuantizeLinear is looked through. */
static claim dequantize(const claims *c, const graph_node *node) {
    const graph_node *quantize = rewrite_producer(c->g, node->inputs[0], "QuantizeLinear");
    return quantize ? pass(c, quantize, 0) : claim_nothing(c, node);
}

/* Slice, Split: a part of the same. */
static claim part(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    a.logits = -1;
    return a;
}

/* By constant indices a part of the same; what a chosen index finds in a table is chosen, too. */
static claim gather(const claims *c, const graph_node *node) {
    claim data = pass(c, node, 0), index = pass(c, node, 1);
    int rank = rewrite_shape(c->g, node->inputs[0])->rank;
    int indices = rewrite_shape(c->g, node->inputs[1])->rank, axis;
    if (index.chosen >= 0) return index;
    if (!index.constant || data.chosen >= 0 ||
        !op_axis(graph_attr_int(node, "axis", 0), rank, &axis))
        return claim_nothing(c, node);
    data.logits = -1;
    if (data.axes == EVERY_AXIS) return data;
    bool classes = data.axes & claim_real_axes(rewrite_shape(c->g, node->inputs[0]));
    unsigned here = (data.axes >> axis & 1) ? axes_below(indices) << axis : 0;
    unsigned before = data.axes & axes_below(axis), after = data.axes >> (axis + 1);
    data.axes = before | here | after << (axis + indices);
    if (classes && !(data.axes & claim_real_axes(rewrite_shape(c->g, node->outputs[0])))) {
        data.axes = EVERY_AXIS;
        data.shares = false;
    }
    return data;
}

/* By indices that were chosen, like the largest score that stands at the largest one's index. */
static claim gather_elements(const claims *c, const graph_node *node) {
    claim index = pass(c, node, 1);
    return index.chosen >= 0 ? index : claim_nothing(c, node);
}

/* Values of all inputs, beside or instead of each other: Concat, Max, Where. Constants fit if they
 * lie between the same bounds. */
static claim hull(const claims *c, const graph_node *node, size_t first, bool broadcast) {
    claim a = claim_nothing(c, node);
    int rank = rewrite_shape(c->g, node->outputs[0])->rank;
    for (size_t i = first; i < node->input_count; i++) {
        claim b = pass(c, node, i);
        if (b.constant || node->inputs[i] < 0) continue;
        if (!b.known || (a.known && (b.logarithm != a.logarithm || !near(b.high, a.high))))
            goto nothing;
        if (broadcast)
            b.axes = broadcast_axes(b.axes, rewrite_shape(c->g, node->inputs[i])->rank, rank);
        unsigned axes = a.known ? a.axes & b.axes : b.axes;
        double low = a.known ? fmin(a.low, b.low) : b.low;
        if (!a.known) a = b;
        a.axes = axes;
        a.low = low;
    }
    for (size_t i = first; a.known && i < node->input_count; i++) {
        claim b = claim_of_input(c, node, i);
        if (b.constant && !a.logarithm &&
            (b.low < a.low - EPSILON || b.high > a.high * (1 + EPSILON)))
            goto nothing;
    }
    return node->input_count > first + 1 ? mixed(a) : a;
nothing:
    return claim_nothing(c, node);
}

static claim concat(const claims *c, const graph_node *node) {
    return hull(c, node, 0, false);
}

/* Softplus as PyTorch defines it: x itself where x is large. */
static bool is_softplus(const claims *c, const graph_node *node) {
    const graph_node *large = rewrite_producer(c->g, node->inputs[0], "Greater");
    const graph_node *plus = rewrite_producer(c->g, node->inputs[2], "Softplus");
    if (!large || !plus) return false;
    claim threshold = claim_of_input(c, large, 1);
    return plus->inputs[0] == node->inputs[1] && large->inputs[0] == node->inputs[1] &&
           threshold.constant && threshold.low >= 0;
}

static claim where(const claims *c, const graph_node *node) {
    if (is_softplus(c, node)) return claim_between(c, node, 0, INFINITY, -1);
    return hull(c, node, 1, true);
}

/* ---- functions with bounds ---- */

/* One axis, or, until operator set 12, all from there on. */
static unsigned softmax_axes(const graph *g, const graph_node *node) {
    int rank = rewrite_shape(g, node->inputs[0])->rank, axis = 0;
    bool flat = node->op->since < 13;
    op_axis(graph_attr_int(node, "axis", flat ? 1 : -1), rank, &axis);
    return axes_below(flat ? rank : axis + 1) & ~axes_below(axis);
}

/* Of what is chosen, the order is the same; the shares are others. */
static claim softmax(const claims *c, const graph_node *node) {
    claim x = pass(c, node, 0), a = claim_between(c, node, 0, 1, node->inputs[0]);
    a.shares = true;
    a.logarithm = rewrite_is(node, "LogSoftmax");
    a.axes = softmax_axes(c->g, node);
    a.trivial = !(a.axes & claim_real_axes(rewrite_shape(c->g, node->inputs[0])));
    if (a.trivial) a.axes = EVERY_AXIS;
    return x.chosen >= 0 ? x : a;
}

static claim sigmoid(const claims *c, const graph_node *node) {
    claim x = pass(c, node, 0);
    x.squashed = true;
    return x.chosen >= 0 ? x : claim_between(c, node, 0, 1, node->inputs[0]);
}

/* Tanh, Erf, Softsign. */
static claim odd(const claims *c, const graph_node *node) {
    return claim_between(c, node, -1, 1, node->inputs[0]);
}

/* Softplus, Abs, Sqrt. */
static claim positive(const claims *c, const graph_node *node) {
    return claim_between(c, node, 0, INFINITY, -1);
}

/* Not negative where the base is not, or the exponent is even. */
static claim power(const claims *c, const graph_node *node) {
    claim x = claim_of_input(c, node, 0), k = claim_of_input(c, node, 1);
    bool even = k.constant && k.low == k.high && fmod(k.low, 2) == 0;
    bool fits = even || (x.known && !x.logarithm && x.low >= 0);
    return fits ? positive(c, node) : claim_nothing(c, node);
}

static claim exponential(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    if (!a.logarithm || !near(a.high, 1))
        return claim_between(c, node, 0, INFINITY, node->inputs[0]);
    a.logarithm = false;
    a.low = 0;
    a.high = 1;
    return a;
}

static claim logarithm(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    if (a.logarithm || !claim_is_probability(&a) || !near(a.high, 1)) return claim_nothing(c, node);
    a.logarithm = true;
    return a;
}

/* ---- arithmetic ---- */

/* a times k. */
static claim scaled(const claims *c, const graph_node *node, claim a, double k) {
    if (k == 0) return claim_nothing(c, node);
    double low = a.low * k, high = a.high * k;
    if (k < 0) a = mixed(a);
    a.low = a.logarithm ? 0 : fmin(low, high);
    a.high = a.logarithm ? high : fmax(low, high);
    return a;
}

/* a plus k. */
static claim shifted(const claims *c, const graph_node *node, claim a, double k) {
    if (fabs(k) <= EPSILON * (isfinite(a.high) ? fabs(a.high) : 1)) return a;
    if (a.logarithm) return claim_nothing(c, node);
    a.low += k;
    a.high += k;
    a.shares = false;
    return a;
}

/* Sets the claims of both operands, as they lie in the result; false unless both are known and one
 * is no constant. */
static bool operands(const claims *c, const graph_node *node, claim both[2]) {
    int rank = rewrite_shape(c->g, node->outputs[0])->rank;
    for (size_t i = 0; i < 2; i++) {
        both[i] = pass(c, node, i);
        both[i].axes =
            broadcast_axes(both[i].axes, rewrite_shape(c->g, node->inputs[i])->rank, rank);
    }
    return both[0].known && both[1].known && !(both[0].constant && both[1].constant);
}

static bool uniform(const claim *k) {
    return k->constant && k->low == k->high;
}

/* The sum of two whose bounds are known. */
static claim sum(claim a, const claim *b) {
    a.shares &= b->shares;
    a.logits = -1;
    a.low += b->low;
    a.high += b->high;
    a.axes &= b->axes;
    return a;
}

/* What is chosen stays so in another unit, an index also if it is counted from another number on.
 */
static bool still_chosen(const claims *c, const graph_node *node, claim *out) {
    for (size_t i = 0; i < 2; i++) {
        *out = pass(c, node, i);
        if (out->chosen >= 0 && claim_of_input(c, node, 1 - i).constant) return true;
    }
    return false;
}

static claim add(const claims *c, const graph_node *node) {
    claim both[2], found;
    if (still_chosen(c, node, &found)) return found;
    if (!operands(c, node, both)) return claim_nothing(c, node);
    for (size_t i = 0; i < 2; i++)
        if (uniform(&both[i])) return shifted(c, node, both[1 - i], both[i].low);
    if (both[0].constant || both[1].constant || both[0].logarithm || both[1].logarithm)
        return claim_nothing(c, node);
    return sum(both[0], &both[1]);
}

static claim subtract(const claims *c, const graph_node *node) {
    claim both[2], found;
    if (claim_log_softmax(c, node, &found) || still_chosen(c, node, &found)) return found;
    if (!operands(c, node, both)) return claim_nothing(c, node);
    if (uniform(&both[1])) return shifted(c, node, both[0], -both[1].low);
    claim minus = scaled(c, node, both[1], -1);
    if (!minus.known || both[0].logarithm || both[1].constant) return claim_nothing(c, node);
    if (uniform(&both[0])) return shifted(c, node, minus, both[0].low);
    return both[0].constant ? claim_nothing(c, node) : sum(both[0], &minus);
}

static claim negate(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    const graph_node *plus = rewrite_producer(c->g, node->inputs[0], "Softplus");
    if (plus) { /* the logarithm of a sigmoid */
        a = claim_between(c, node, 0, 1, -1);
        a.logarithm = true;
        return a;
    }
    return a.known ? scaled(c, node, a, -1) : claim_nothing(c, node);
}

/* Of two probabilities, that of both. */
static claim product(const claims *c, const graph_node *node, claim a, const claim *b) {
    bool fits = claim_is_probability(&a) && !a.logarithm && b->known && !b->logarithm &&
                b->low >= 0 && (b->constant ? b->high <= 1 : claim_is_probability(b));
    if (!fits) return claim_nothing(c, node);
    a.high *= b->constant ? 1 : b->high;
    a.axes &= b->axes;
    a.logits = -1;
    a.shares |= b->shares;
    return a;
}

static claim multiply(const claims *c, const graph_node *node) {
    claim both[2], found;
    if (claim_quotient(c, node, &found) || still_chosen(c, node, &found)) return found;
    if (!operands(c, node, both)) return claim_nothing(c, node);
    for (size_t i = 0; i < 2; i++)
        if (uniform(&both[i])) return scaled(c, node, both[1 - i], both[i].low);
    return both[0].constant ? product(c, node, both[1], &both[0])
                            : product(c, node, both[0], &both[1]);
}

/* k / a, for an a of more than 0. */
static claim inverse(const claims *c, const graph_node *node, claim a, double k) {
    if (!a.known || a.logarithm || a.low <= 0 || k <= 0) return claim_nothing(c, node);
    double low = k / a.high, high = k / a.low;
    a = mixed(a);
    a.low = low;
    a.high = high;
    return a;
}

static claim divide(const claims *c, const graph_node *node) {
    claim both[2], found;
    if (claim_quotient(c, node, &found) || still_chosen(c, node, &found)) return found;
    if (!operands(c, node, both)) return claim_nothing(c, node);
    if (uniform(&both[0])) return inverse(c, node, both[1], both[0].low);
    return uniform(&both[1]) ? scaled(c, node, both[0], 1 / both[1].low) : claim_nothing(c, node);
}

static claim reciprocal(const claims *c, const graph_node *node) {
    return inverse(c, node, pass(c, node, 0), 1);
}

/* Sum and Mean of any number of inputs. */
static claim total(const claims *c, const graph_node *node) {
    claim a = claim_nothing(c, node);
    int rank = rewrite_shape(c->g, node->outputs[0])->rank;
    for (size_t i = 0; i < node->input_count; i++) {
        claim b = pass(c, node, i);
        b.axes = broadcast_axes(b.axes, rewrite_shape(c->g, node->inputs[i])->rank, rank);
        if (!b.known || b.constant || b.logarithm) return claim_nothing(c, node);
        a = i == 0 ? b : sum(a, &b);
    }
    bool mean = rewrite_is(node, "Mean");
    return a.known && mean ? scaled(c, node, a, 1 / (double)node->input_count) : a;
}

/* ---- bounds that are set ---- */

/* Clip, Max and Min. What bounds nothing but the values' own range is passed. */
static claim clip(const claims *c, const graph_node *node) {
    int input;
    double low, high;
    claim found;
    if (!read_bounds(c, node, &input, &low, &high))
        return rewrite_is(node, "Clip") ? claim_nothing(c, node) : hull(c, node, 0, true);
    claim a = input >= 0 ? c->of[input] : claim_nothing(c, node);
    a.from = input;
    bool overlaps = isfinite(a.high) ? low < a.high && high > a.low : high == INFINITY;
    if (a.chosen >= 0 || (a.known && (a.logarithm || overlaps))) return a;
    return claim_hard_sigmoid(c, node, &found) ? found : claim_nothing(c, node);
}

static claim relu(const claims *c, const graph_node *node) {
    claim found;
    return claim_hard_sigmoid(c, node, &found) ? found : claim_between(c, node, 0, INFINITY, -1);
}

/* ---- over axes ---- */

typedef struct reduction {
    unsigned axes; /* that are reduced */
    double extent; /* their elements */
    bool keeps;    /* the axes stay, with an extent of 1 */
} reduction;

static bool read_reduction(const claims *c, const graph_node *node, reduction *out) {
    const cnn_shape *shape = rewrite_shape(c->g, node->inputs[0]);
    bool global = strncmp(node->op->name, "Global", 6) == 0;
    out->axes = axes_below(shape->rank) & ~3u;
    out->keeps = global || graph_attr_int(node, "keepdims", 1) != 0;
    if (!global && !rewrite_axes(c->g, node, shape->rank, &out->axes)) return false;
    out->extent = 1;
    for (int i = 0; i < shape->rank; i++)
        if (out->axes >> i & 1) out->extent *= (double)shape->dims[i];
    out->axes &= claim_real_axes(shape);
    return out->extent > 0;
}

/* `a`, whose values have been put together over the axes. */
static claim reduced(const claims *c, const graph_node *node, claim a, const reduction *r) {
    const cnn_shape *shape = rewrite_shape(c->g, node->inputs[0]);
    unsigned all;
    if (r->axes) a.logits = -1;
    if (!r->keeps && rewrite_axes(c->g, node, shape->rank, &all))
        a.axes = without_axes(a.axes, all, shape->rank);
    return a;
}

static claim mean(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    reduction r;
    bool fits = a.known && !a.logarithm && read_reduction(c, node, &r) &&
                (a.axes == EVERY_AXIS || !(r.axes & a.axes));
    return fits ? reduced(c, node, a, &r) : claim_nothing(c, node);
}

/* Shares of classes that are added up are a probability, too; others are counted. */
static claim add_up(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    reduction r;
    if (!a.known || a.logarithm || !read_reduction(c, node, &r)) return claim_nothing(c, node);
    if (a.shares && r.axes && !(r.axes & ~a.axes)) {
        a.axes = EVERY_AXIS;
        a.shares = false;
    } else if (a.axes == EVERY_AXIS || !(r.axes & a.axes)) {
        a.low *= r.extent;
        a.high *= r.extent;
    } else {
        return claim_nothing(c, node);
    }
    return reduced(c, node, a, &r);
}

/* ---- choices: what loses the axis of the classes ---- */

/* The result is chosen from the first input, if that may hold class scores. */
static claim choice(const claims *c, const graph_node *node) {
    claim a = claim_nothing(c, node), x = pass(c, node, 0);
    a.from = node->inputs[0];
    a.chosen = x.chosen >= 0 ? x.chosen : node->inputs[0];
    a.squashed = x.squashed;
    const graph_value *scores = &c->g->values[a.chosen];
    bool fits =
        cnn_dtype_is_float(scores->dtype) && !scores->constant && vector_size(c->g, a.chosen) > 1;
    return fits ? a : claim_nothing(c, node);
}

/* The largest share is that of the chosen class; the largest over positions is another one's. */
static claim largest(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    reduction r;
    if (!a.known || !read_reduction(c, node, &r)) return claim_nothing(c, node);
    if (a.axes != EVERY_AXIS && (r.axes & a.axes)) return choice(c, node);
    a.shares &= r.axes == 0;
    return reduced(c, node, a, &r);
}

/* Ceil, Floor, Round. Whole percents mean the same; of values up to 1 a decision is left. */
static claim rounded(const claims *c, const graph_node *node) {
    claim a = pass(c, node, 0);
    if (a.chosen >= 0) return a;
    if (!claim_is_probability(&a) || a.logarithm) return claim_nothing(c, node);
    a.shares = false;
    return a.high < FEWEST_STEPS ? choice(c, node) : a;
}

/* ---- the walk ---- */

static const struct {
    const char *op;
    claim (*rule)(const claims *c, const graph_node *node);
} rules[] = {
    {"Abs", positive},
    {"Add", add},
    {"ArgMax", choice},
    {"Cast", view},
    {"Ceil", rounded},
    {"Clip", clip},
    {"Concat", concat},
    {"DequantizeLinear", dequantize},
    {"Div", divide},
    {"Dropout", view},
    {"Erf", odd},
    {"Exp", exponential},
    {"Flatten", view},
    {"Floor", rounded},
    {"Gather", gather},
    {"GatherElements", gather_elements},
    {"GatherND", gather_elements},
    {"GlobalAveragePool", mean},
    {"GlobalMaxPool", largest},
    {"Greater", choice},
    {"GreaterOrEqual", choice},
    {"HardSigmoid", sigmoid},
    {"Hardmax", choice},
    {"Identity", view},
    {"Log", logarithm},
    {"LogSoftmax", softmax},
    {"Max", clip},
    {"Mean", total},
    {"Min", clip},
    {"Mul", multiply},
    {"Neg", negate},
    {"Pow", power},
    {"Reciprocal", reciprocal},
    {"ReduceMax", largest},
    {"ReduceMean", mean},
    {"ReduceSum", add_up},
    {"Relu", relu},
    {"Reshape", view},
    {"Round", rounded},
    {"Sigmoid", sigmoid},
    {"Slice", part},
    {"Softmax", softmax},
    {"Softplus", positive},
    {"Softsign", odd},
    {"Split", part},
    {"Sqrt", positive},
    {"Squeeze", view},
    {"Sub", subtract},
    {"Sum", total},
    {"Tanh", odd},
    {"TopK", choice},
    {"Transpose", transpose},
    {"Unsqueeze", view},
    {"Where", where},
};

static claim conclude(const claims *c, const graph_node *node) {
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        if (!rewrite_is(node, rules[i].op)) continue;
        claim a = rules[i].rule(c, node);
        bool sound = !a.known || (!a.constant && !isnan(a.low) && !isnan(a.high));
        return sound && a.base >= 0 ? a : claim_nothing(c, node);
    }
    return claim_nothing(c, node);
}

cnn_status claims_create(const graph *g, claims *out, cnn_error *err) {
    size_t bytes = MAX(g->value_count, 1) * sizeof *out->of;
    claims c = {.g = g, .of = malloc(bytes)};
    if (!c.of) return cnn_fail_memory(err, bytes);
    for (size_t i = 0; i < g->value_count; i++)
        c.of[i] = (claim){.base = -1, .from = -1, .logits = -1, .chosen = -1};
    for (size_t i = 0; i < g->node_count; i++) {
        const graph_node *node = g->nodes[i];
        claim made = conclude(&c, node);
        for (size_t o = 0; o < node->output_count; o++)
            if (node->outputs[o] >= 0) c.of[node->outputs[o]] = made;
    }
    *out = c;
    return CNN_OK;
}

void claims_free(claims *c) {
    free(c->of);
    c->of = NULL;
}

/* The number that a whole one was made of; -1: it was not. */
static int before_rounding(const graph *g, int value) {
    const graph_node *node = rewrite_producer(g, value, NULL);
    if (!node || cnn_dtype_is_float(g->values[value].dtype)) return -1;
    bool rounds = rewrite_is(node, "Cast") || rewrite_is(node, "QuantizeLinear");
    return rounds || keeps_values(g, node) ? node->inputs[0] : -1;
}

int claims_scores(const claims *c, int output) {
    for (int value = output; value >= 0; value = before_rounding(c->g, value)) {
        if (c->of[value].chosen >= 0) return c->of[value].chosen;
        if (cnn_dtype_is_float(c->g->values[value].dtype)) return value;
    }
    return output;
}
