/*
 * Einsum: sums of products written as subscripts, "ij,jk->ik".
 *
 * Every letter (and every axis that an ellipsis stands for) is a label with one extent. An operand
 * has a stride for each label: 0 where it lacks the label, and the sum of the strides where it
 * repeats it, which makes it the diagonal. The output's labels come first, the others are summed.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

#include <ctype.h>

#define MAX_LABELS   16
#define MAX_OPERANDS 16

typedef struct einsum {
    size_t operands;
    int labels, kept; /* the first `kept` are the output's axes */
    unsigned char
        codes[MAX_LABELS]; /* letters; 128 + a for the a-th axis of the ellipsis from the right */
    int64_t extents[MAX_LABELS];
    int64_t strides[MAX_OPERANDS][MAX_LABELS];
} einsum;

static int find_label(const einsum *e, unsigned char code) {
    for (int i = 0; i < e->labels; i++)
        if (e->codes[i] == code) return i;
    return -1;
}

/* The codes of one term's axes, left to right; -1 if it is malformed. `rank` < 0: the output's. */
static int read_term(const char *text, size_t length, int rank, int ellipsis_rank,
                     unsigned char codes[CNN_MAX_RANK]) {
    int letters = 0, count = 0;
    bool dots = false;
    for (size_t i = 0; i < length; i++)
        letters += isalpha((unsigned char)text[i]) != 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == ' ') continue;
        if (text[i] == '.') {
            int axes = rank < 0 ? ellipsis_rank : rank - letters;
            if (dots || length - i < 3 || text[i + 1] != '.' || text[i + 2] != '.') return -1;
            for (int a = axes - 1; a >= 0 && count < CNN_MAX_RANK; a--)
                codes[count++] = (unsigned char)(128 + a);
            dots = true;
            i += 2;
        } else if (isalpha((unsigned char)text[i]) && count < CNN_MAX_RANK) {
            codes[count++] = (unsigned char)text[i];
        } else {
            return -1;
        }
    }
    return rank >= 0 && count != rank ? -1 : count;
}

/* Adds an operand's axes to the labels; false if an extent contradicts another. */
static bool add_operand(einsum *e, const cnn_shape *shape, const unsigned char *codes) {
    view v = view_of(shape);
    for (int a = 0; a < shape->rank; a++) {
        int label = find_label(e, codes[a]);
        if (label < 0) {
            if (e->labels == MAX_LABELS) return false;
            label = e->labels++;
            e->codes[label] = codes[a];
            e->extents[label] = shape->dims[a];
        }
        if (e->extents[label] == 1) e->extents[label] = shape->dims[a];
        if (shape->dims[a] != e->extents[label] && shape->dims[a] != 1) return false;
        e->strides[e->operands][label] += v.strides[a];
    }
    e->operands++;
    return true;
}

/* Without "->": the ellipsis, then the letters that occur once, in alphabetical order. */
static int implicit_output(const char *terms, size_t length, int ellipsis_rank,
                           unsigned char codes[MAX_LABELS]) {
    int count = 0;
    for (int a = ellipsis_rank - 1; a >= 0; a--)
        codes[count++] = (unsigned char)(128 + a);
    for (int letter = 'A'; letter <= 'z'; letter++) {
        size_t times = 0;
        for (size_t i = 0; i < length; i++)
            times += terms[i] == letter;
        if (isalpha(letter) && times == 1 && count < MAX_LABELS)
            codes[count++] = (unsigned char)letter;
    }
    return count;
}

/* Puts label `code` at position `to`. */
static bool move_label(einsum *e, unsigned char code, int to) {
    int from = find_label(e, code);
    if (from < to) return false; /* unknown, or named twice */
    int64_t extent = e->extents[to];
    e->codes[from] = e->codes[to];
    e->extents[to] = e->extents[from];
    e->codes[to] = code;
    e->extents[from] = extent;
    for (size_t o = 0; o < e->operands; o++) {
        int64_t stride = e->strides[o][to];
        e->strides[o][to] = e->strides[o][from];
        e->strides[o][from] = stride;
    }
    return true;
}

static bool read_output(einsum *e, const char *equation, const char *arrow) {
    unsigned char
        codes[MAX_LABELS]; /* letters; 128 + a for the a-th axis of the ellipsis from the right */
    int dots = 0, count;
    for (int i = 0; i < e->labels; i++)
        dots += e->codes[i] >= 128;
    if (arrow)
        count = read_term(arrow + 2, strlen(arrow + 2), -1, dots, codes);
    else
        count = implicit_output(equation, strlen(equation), dots, codes);
    if (count < 0 || count > CNN_MAX_RANK) return false;
    for (int i = 0; i < count; i++)
        if (!move_label(e, codes[i], i)) return false;
    e->kept = count;
    return true;
}

/* `shapes` are the operands'. False, with *why set, if the equation does not fit them. */
static bool einsum_read(const char *equation, const cnn_shape *const *shapes, size_t count,
                        einsum *out, const char **why) {
    einsum e = {0};
    const char *arrow = strstr(equation, "->"), *term = equation;
    const char *end = arrow ? arrow : equation + strlen(equation);
    *why = "is malformed or does not fit the inputs' dimensions";
    if (count > MAX_OPERANDS) return false;
    for (size_t i = 0; i < count; i++) {
        unsigned char codes[CNN_MAX_RANK];
        if (term > end) return false; /* fewer terms than inputs */
        size_t length = MIN(strcspn(term, ","), (size_t)(end - term));
        if (read_term(term, length, shapes[i]->rank, 0, codes) < 0) return false;
        if (!add_operand(&e, shapes[i], codes)) {
            *why = "gives one label different extents, or has too many";
            return false;
        }
        term += length + 1;
    }
    if (term <= end) return false; /* more terms than inputs */
    *why = "has an output that its terms do not give";
    if (!read_output(&e, equation, arrow)) return false;
    *out = e;
    return true;
}

static cnn_status einsum_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_NUMBER, err));
    const char *equation = graph_attr_string(node, "equation", ""), *why;
    const cnn_shape *shapes[MAX_OPERANDS];
    for (size_t i = 0; i < MIN(node->input_count, (size_t)MAX_OPERANDS); i++) {
        if (!op_input(g, node, i))
            return op_fail(node, err, CNN_INVALID_MODEL, "input %zu is missing", i);
        shapes[i] = &op_input(g, node, i)->shape;
    }
    einsum e;
    if (!einsum_read(equation, shapes, node->input_count, &e, &why))
        return op_fail(node, err, CNN_INVALID_MODEL, "equation '%.80s' %s", equation, why);
    cnn_shape out = {.rank = e.kept};
    memcpy(out.dims, e.extents, (size_t)e.kept * sizeof out.dims[0]);
    return op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &out, err);
}

/* Sets `offsets` to those of position `at` of labels [from, to); adds to what is there. */
static void add_offsets(const einsum *e, uint64_t at, int from, int to, int64_t *offsets) {
    for (int i = to - 1; i >= from; i--) {
        int64_t index = (int64_t)(at % (uint64_t)e->extents[i]);
        at /= (uint64_t)e->extents[i];
        for (size_t o = 0; o < e->operands; o++)
            offsets[o] += index * e->strides[o][i];
    }
}

static uint64_t label_positions(const einsum *e, int from, int to) {
    uint64_t positions = 1;
    for (int i = from; i < to; i++)
        positions *= (uint64_t)e->extents[i];
    return positions;
}

static void einsum_element(const einsum *e, const tensor *const *in, tensor *y, size_t at) {
    int64_t base[MAX_OPERANDS] = {0}, offsets[MAX_OPERANDS];
    bool real = number_class_of(y->dtype) == NUMBER_REAL;
    uint64_t summed = label_positions(e, e->kept, e->labels), int_sum = 0;
    double real_sum = 0;
    add_offsets(e, at, 0, e->kept, base);
    for (uint64_t k = 0; k < summed; k++) {
        double real_product = 1;
        uint64_t int_product = 1;
        memcpy(offsets, base, sizeof offsets);
        add_offsets(e, k, e->kept, e->labels, offsets);
        for (size_t o = 0; o < e->operands; o++)
            if (real)
                real_product *= real_at(y->dtype, in[o]->data, (size_t)offsets[o]);
            else
                int_product *= (uint64_t)int_at(y->dtype, in[o]->data, (size_t)offsets[o]);
        real_sum += real_product;
        int_sum += int_product;
    }
    if (real)
        real_put(y->dtype, y->data, at, real_sum);
    else
        int_put(y->dtype, y->data, at, (int64_t)int_sum);
}

static void einsum_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const cnn_shape *shapes[MAX_OPERANDS];
    const char *why;
    einsum e;
    for (size_t i = 0; i < node->input_count; i++)
        shapes[i] = &in[i]->shape;
    if (!einsum_read(graph_attr_string(node, "equation", ""), shapes, node->input_count, &e, &why))
        return;
    for (size_t at = 0; at < out[0]->elements; at++)
        einsum_element(&e, in, out[0], at);
}

static uint64_t einsum_macs(const graph *g, const graph_node *node) {
    const cnn_shape *shapes[MAX_OPERANDS];
    const char *why;
    einsum e;
    for (size_t i = 0; i < node->input_count && i < MAX_OPERANDS; i++)
        shapes[i] = &op_input(g, node, i)->shape;
    if (!einsum_read(graph_attr_string(node, "equation", ""), shapes, node->input_count, &e, &why))
        return 0;
    return label_positions(&e, 0, e.labels) * (e.operands - 1);
}

const op_def ops_einsum[] = {
    {
        OP("Einsum", 12, 0, 1, MAX_OPERANDS, 1, 1),
        .attrs = "equation:string!",
        .infer = einsum_infer,
        .eval = einsum_eval,
        .macs = einsum_macs,
    },
    {.name = NULL},
};
