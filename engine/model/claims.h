/*
 * Claims: what is known of the values of a bound graph's tensors as probabilities.
 *
 * One walk in execution order, so that its cost is linear whatever the graph. Each operator says
 * what its result is, given what its inputs are: a Sigmoid's values lie between 0 and 1, a Concat
 * of such does, too, 1 minus them again, 100 times them between 0 and 100. So probabilities are
 * values that such a function has bound between 0 and some factor; what nothing is known of (the
 * sum of a convolution, or x * sigmoid(x)) is no claim.
 */
#ifndef MODEL_CLAIMS_H
#define MODEL_CLAIMS_H

#include "passes/rewrite.h"

/* Axes of a claim that holds for each element by itself. */
#define EVERY_AXIS (~0u)

typedef struct claim {
    bool known;     /* the values lie between `low` and `high`, which may be infinite */
    bool logarithm; /* or else are `high` times the logarithm of values between 0 and 1 */
    bool shares;    /* along `axes` together they are at most `high` */
    bool constant;
    bool trivial; /* a softmax over single elements: 1 everywhere */
    double low, high;
    unsigned axes; /* set of axes along which classes may lie */
    int base;      /* the node that made the values what they are; -1: none */
    int from;      /* the value whose claim went on to this one; -1: it begins here */
    int logits;    /* the value that the base maps element by element, rising; -1: there is none */
    int chosen;    /* class scores from which nodes like TopK have chosen these; -1: not known */
    bool squashed; /* the graph has applied a sigmoid to what was chosen */
} claim;

typedef struct claims {
    const graph *g;
    claim *of; /* one per value */
} claims;

cnn_status claims_create(const graph *g, claims *out, cnn_error *err);
void claims_free(claims *c);

/*
 * The class scores behind a graph output: itself, or the tensor that nodes like TopK have chosen it
 * from, or that was made a whole number of.
 */
int claims_scores(const claims *c, int output);

/* The claim of input `i` of a node, constants included; nothing is known of an absent one. */
claim claim_of_input(const claims *c, const graph_node *node, size_t i);
/* It begins at that node: nothing is known. */
claim claim_nothing(const claims *c, const graph_node *node);
/* It begins at that node: values between `low` and `high`, made of `logits` (-1: of none). */
claim claim_between(const claims *c, const graph_node *node, double low, double high, int logits);
/* Values between 0 and a finite factor, or logarithms of such. */
bool claim_is_probability(const claim *a);

/* Axes of a shape that hold more than one element. */
unsigned claim_real_axes(const cnn_shape *shape);

/* Its first output holds the values of its first input, perhaps in another shape or float type. */
bool keeps_values(const graph *g, const graph_node *node);
/* Elements of a tensor that has at most one extent other than 1; 0 for others. */
size_t vector_size(const graph *g, int value);

/* ---- functions written in pieces (claims_pieces.c) ---- */

/* exp(x) / sum of exp(x), x / sum of x or exp(x) / (exp(x) + c), for values that are not negative;
 * false: something else. */
bool claim_quotient(const claims *c, const graph_node *node, claim *out);
/* x - log(sum of exp(x)). */
bool claim_log_softmax(const claims *c, const graph_node *node, claim *out);
/* x + c between 0 and 2 c. */
bool claim_hard_sigmoid(const claims *c, const graph_node *node, claim *out);
/* The bounds of a Clip, Max or Min and its input that is no bound; false: something else. */
bool read_bounds(const claims *c, const graph_node *node, int *input, double *low, double *high);

#endif
