/*
 * The checks that infer functions share (see infer.h).
 *
 * Attributes are declared as text in the operator's definition ("axis:int pads:ints!"), because a
 * table of them in C would be longer than the code that uses it. An attribute that the definition
 * does not name is refused rather than skipped: it may change the numbers.
 */
#include "ops/infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    attr_kind kind;
    const char *article;
} kinds[] = {
    {"ints", ATTR_INTS, "a list of integers"},    {"int", ATTR_INT, "an integer"},
    {"floats", ATTR_FLOATS, "a list of numbers"}, {"float", ATTR_FLOAT, "a number"},
    {"strings", ATTR_STRINGS, "a list of texts"}, {"string", ATTR_STRING, "a text"},
    {"tensor", ATTR_TENSOR, "a tensor"},
};

/* One entry of a declaration; `next` is behind it. */
typedef struct declared {
    const char *name;
    int name_length;
    size_t kind; /* index in kinds */
    bool required;
    const char *next;
} declared;

static declared next_declared(const char *text) {
    declared d = {.name = text};
    const char *colon = strchr(text, ':');
    d.name_length = (int)(colon - text);
    size_t length = strcspn(colon + 1, "! ");
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, colon + 1, length) == 0)
            d.kind = i;
    d.next = colon + 1 + length;
    d.required = *d.next == '!';
    d.next += strspn(d.next, "! ");
    return d;
}

static bool is_named(const attr *a, const declared *d) {
    return strlen(a->name) == (size_t)d->name_length &&
           memcmp(a->name, d->name, (size_t)d->name_length) == 0;
}

static cnn_status check_attr(const graph_node *node, const attr *a, cnn_error *err) {
    for (const char *text = node->op->attrs ? node->op->attrs : ""; *text;) {
        declared d = next_declared(text);
        if (is_named(a, &d)) {
            if (a->kind == kinds[d.kind].kind) return CNN_OK;
            return op_fail(node, err, CNN_INVALID_MODEL, "attribute %s must be %s", a->name,
                           kinds[d.kind].article);
        }
        text = d.next;
    }
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "attribute %.80s is unknown in this operator set version", a->name);
}

static cnn_status check_required(const graph_node *node, cnn_error *err) {
    for (const char *text = node->op->attrs ? node->op->attrs : ""; *text;) {
        declared d = next_declared(text);
        bool found = !d.required;
        for (size_t i = 0; i < node->attr_count && !found; i++)
            found = is_named(&node->attrs[i], &d);
        if (!found)
            return op_fail(node, err, CNN_INVALID_MODEL, "attribute %.*s is missing", d.name_length,
                           d.name);
        text = d.next;
    }
    return CNN_OK;
}

static cnn_status check_count(const graph_node *node, const char *what, const int *args,
                              size_t count, int min, int max, cnn_error *err) {
    size_t given = count;
    while (given > (size_t)max && args[given - 1] < 0)
        given--;
    if (given > (size_t)max)
        return op_fail(node, err, CNN_INVALID_MODEL, "has %zu %ss, but takes at most %d", count,
                       what, max);
    for (int i = 0; i < min; i++)
        if ((size_t)i >= count || args[i] < 0)
            return op_fail(node, err, CNN_INVALID_MODEL, "%s %d is missing", what, i);
    return CNN_OK;
}

cnn_status op_begin(const graph *g, const graph_node *node, cnn_error *err) {
    const op_def *op = node->op;
    TRY(check_count(node, "input", node->inputs, node->input_count, op->min_inputs, op->max_inputs,
                    err));
    TRY(check_count(node, "output", node->outputs, node->output_count, op->min_outputs,
                    op->max_outputs, err));
    for (size_t i = 0; i < node->attr_count; i++)
        TRY(check_attr(node, &node->attrs[i], err));
    TRY(check_required(node, err));
    for (size_t i = 0; i < node->input_count; i++) {
        const graph_value *value = op_input(g, node, i);
        if (!value) continue;
        if (!value->has_shape)
            return op_fail(node, err, CNN_INVALID_MODEL, "the shape of input '%.80s' is not known",
                           value->name);
        if (cnn_dtype_size(value->dtype) == 0)
            return op_fail(node, err, CNN_UNSUPPORTED, "input '%.80s' has the unsupported type %s",
                           value->name, cnn_dtype_name(value->dtype));
    }
    return CNN_OK;
}

/* "float32, int64"; returns `buffer`. */
static const char *types_text(type_set types, char *buffer, size_t size) {
    if (types == TYPES_REAL) return "a floating-point type";
    if (types == TYPES_NUMBER) return "a numeric type";
    size_t used = 0;
    buffer[0] = '\0';
    for (int t = 1; t < 32 && used < size; t++)
        if (types & TYPE(t))
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "",
                                     cnn_dtype_name((cnn_dtype)t));
    return buffer;
}

cnn_status op_expect_type(const graph *g, const graph_node *node, size_t i, type_set types,
                          cnn_error *err) {
    const graph_value *value = op_input(g, node, i);
    if (!value || (types & TYPE(value->dtype))) return CNN_OK;
    char text[160];
    return op_fail(node, err, CNN_INVALID_MODEL, "input '%.80s' is %s, but must be %s", value->name,
                   cnn_dtype_name(value->dtype), types_text(types, text, sizeof text));
}

cnn_status op_expect_same_types(const graph *g, const graph_node *node, size_t first,
                                type_set types, cnn_error *err) {
    TRY(op_expect_type(g, node, first, types, err));
    const graph_value *a = op_input(g, node, first);
    for (size_t i = first + 1; a && i < node->input_count; i++) {
        const graph_value *b = op_input(g, node, i);
        if (b && b->dtype != a->dtype)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "input '%.80s' is %s, but must have the type of input '%.80s', %s",
                           b->name, cnn_dtype_name(b->dtype), a->name, cnn_dtype_name(a->dtype));
    }
    return CNN_OK;
}

cnn_status op_expect_rank(const graph *g, const graph_node *node, size_t i, int min, int max,
                          cnn_error *err) {
    const graph_value *value = op_input(g, node, i);
    if (!value || (value->shape.rank >= min && value->shape.rank <= max)) return CNN_OK;
    const char *bound = min == max ? "exactly" : value->shape.rank < min ? "at least" : "at most";
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "input '%.80s' has %d dimensions, but must have %s %d", value->name,
                   value->shape.rank, bound, value->shape.rank < min ? min : max);
}

cnn_status op_expect_vector(const graph *g, const graph_node *node, size_t i, int64_t length,
                            const char *what, cnn_error *err) {
    const graph_value *value = op_input(g, node, i);
    if (!value || (value->shape.rank == 1 && value->shape.dims[0] == length)) return CNN_OK;
    char text[128];
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "input '%.80s' has shape %s, but must be a vector of one value for each of the "
                   "%lld %s",
                   value->name, cnn_shape_text(&value->shape, text, sizeof text), (long long)length,
                   what);
}

cnn_status op_expect_scalar(const graph *g, const graph_node *node, size_t i, cnn_error *err) {
    const graph_value *value = op_input(g, node, i);
    size_t elements;
    if (!value || (cnn_shape_elements(&value->shape, &elements) && elements == 1)) return CNN_OK;
    char text[128];
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "input '%.80s' has shape %s, but must be one value", value->name,
                   cnn_shape_text(&value->shape, text, sizeof text));
}

cnn_status op_read_axis(const graph_node *node, int64_t fallback, int rank, int *out,
                        cnn_error *err) {
    int64_t axis = graph_attr_int(node, "axis", fallback);
    if (op_axis(axis, rank, out)) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "axis %lld is outside the %d dimensions of the input", (long long)axis, rank);
}

cnn_status op_same_as_input(graph *g, graph_node *node, cnn_error *err) {
    const graph_value *value = op_input(g, node, 0);
    cnn_shape shape = value->shape;
    return op_set_output(g, node, 0, value->dtype, &shape, err);
}

cnn_status op_set_constant(graph *g, graph_node *node, size_t i, tensor *value, cnn_error *err) {
    cnn_status status = op_set_output(g, node, i, value->dtype, &value->shape, err);
    if (status != CNN_OK || i >= node->output_count || node->outputs[i] < 0) {
        tensor_unref(value);
        return status;
    }
    graph_set_constant(g, node->outputs[i], value);
    tensor_unref(value);
    return CNN_OK;
}

int64_t op_product(const cnn_shape *shape, int from, int to) {
    int64_t product = 1;
    for (int i = from; i < to; i++)
        if (__builtin_mul_overflow(product, shape->dims[i], &product)) product = INT64_MAX;
    return product;
}

/* ---- lists ---- */

op_list op_read_list(const graph_node *node, const char *attr_name, const tensor *input) {
    op_list list = {0};
    const attr *a = graph_attr(node, attr_name);
    if (a && a->kind == ATTR_INTS) {
        list.present = true;
        list.count = MIN(a->count, (size_t)OP_LIST_MAX);
        for (size_t i = 0; i < list.count; i++)
            list.values[i] = a->ints[i];
    } else if (input) {
        list.present = true;
        list.count = MIN(input->elements, (size_t)OP_LIST_MAX);
        for (size_t i = 0; i < list.count; i++)
            list.values[i] = tensor_int(input, i);
    }
    return list;
}

/* Marks the values that `marked` ones depend on, by the nodes up to `last`. */
static void mark_ancestors(const graph *g, int last, bool *marked) {
    for (int n = last; n >= 0; n--) {
        const graph_node *node = g->nodes[n];
        bool wanted = false;
        for (size_t i = 0; i < node->output_count; i++)
            wanted |= node->outputs[i] >= 0 && marked[node->outputs[i]];
        for (size_t i = 0; wanted && i < node->input_count; i++)
            if (node->inputs[i] >= 0) marked[node->inputs[i]] = true;
    }
}

/* The first input of the graph on which a value depends; NULL: there is none (or no memory). */
static const graph_value *deciding_input(const graph *g, int value) {
    const graph_value *found = NULL;
    bool *marked = calloc(g->value_count, sizeof(*marked));
    if (!marked) return NULL;
    marked[value] = true;
    mark_ancestors(g, g->values[value].producer, marked);
    for (size_t i = 0; !found && i < g->input_count; i++)
        if (marked[g->inputs[i]]) found = &g->values[g->inputs[i]];
    free(marked);
    return found;
}

cnn_status op_need_constant(const graph *g, const graph_node *node, size_t i, const char *name,
                            cnn_error *err) {
    if (!op_input(g, node, i) || op_constant(g, node, i)) return CNN_OK;
    const graph_value *input = deciding_input(g, node->inputs[i]);
    if (input)
        return op_fail(node, err, CNN_VALUE_NEEDED,
                       "%s must be known before the run, but depends on the value of "
                       "input '%.100s': give it in input_values",
                       name, input->name);
    return op_fail(node, err, CNN_UNSUPPORTED,
                   "needs a constant %s, because shapes are planned before the run", name);
}

cnn_status op_need_list(const graph *g, const graph_node *node, const char *name, size_t i,
                        op_list *out, cnn_error *err) {
    const attr *a = graph_attr(node, name);
    if (!a) {
        TRY(op_expect_type(g, node, i, TYPES_INDEX, err));
        TRY(op_expect_rank(g, node, i, 0, 1, err));
        TRY(op_need_constant(g, node, i, name, err));
    }
    const tensor *input = op_constant(g, node, i);
    size_t count = a ? a->count : input ? input->elements : 0;
    if (count > OP_LIST_MAX)
        return op_fail(node, err, CNN_LIMIT, "%s has %zu entries, at most %d are supported", name,
                       count, OP_LIST_MAX);
    *out = op_read_list(node, name, input);
    return CNN_OK;
}

cnn_status op_axis_set(const graph_node *node, const op_list *axes, int rank, unsigned *out,
                       cnn_error *err) {
    unsigned set = 0;
    for (size_t i = 0; i < axes->count; i++) {
        int axis;
        if (!op_axis(axes->values[i], rank, &axis))
            return op_fail(node, err, CNN_INVALID_MODEL, "axis %lld is outside the %d dimensions",
                           (long long)axes->values[i], rank);
        if (set >> axis & 1)
            return op_fail(node, err, CNN_INVALID_MODEL, "axis %lld is given twice",
                           (long long)axes->values[i]);
        set |= 1u << axis;
    }
    *out = set;
    return CNN_OK;
}
