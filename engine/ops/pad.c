/*
 * Pad: constant, reflect, edge and wrap; negative pads cut off. pads and value are attributes
 * before version 11 and inputs since; axes came with version 18.
 */
#include "ops/pad.h"

#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP, PAD_UNKNOWN } pad_mode;

static pad_mode read_mode(const graph_node *node) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *name = graph_attr_string(node, "mode", "constant");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(name, names[i]) == 0) return (pad_mode)i;
    return PAD_UNKNOWN;
}

static cnn_status set_axis(const graph_node *node, padding *p, int axis, int64_t extent,
                           int64_t begin, int64_t end, cnn_error *err) {
    if (begin < -GRAPH_MAX_EXTENT || begin > GRAPH_MAX_EXTENT || end < -GRAPH_MAX_EXTENT ||
        end > GRAPH_MAX_EXTENT)
        return op_fail(node, err, CNN_LIMIT, "pads of %lld and %lld on axis %d", (long long)begin,
                       (long long)end, axis);
    p->first[axis] = MAX(-begin, 0);
    p->kept[axis] = extent + MIN(begin, 0) + MIN(end, 0);
    p->begin[axis] = MAX(begin, 0);
    p->end[axis] = MAX(end, 0);
    if (p->kept[axis] < 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "pads of %lld and %lld cut more than axis %d's extent of %lld",
                       (long long)begin, (long long)end, axis, (long long)extent);
    if (p->kept[axis] == 0 && p->begin[axis] + p->end[axis] > 0 && read_mode(node) != PAD_CONSTANT)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "axis %d is empty, so there is nothing to pad it with in mode %s", axis,
                       graph_attr_string(node, "mode", ""));
    return CNN_OK;
}

static cnn_status pad_read(const graph_node *node, const cnn_shape *x, const op_list *pads,
                           const op_list *axes, padding *out, cnn_error *err) {
    unsigned set;
    size_t count = axes->present ? axes->count : (size_t)x->rank;
    if (pads->count != 2 * count)
        return op_fail(node, err, CNN_INVALID_MODEL, "pads has %zu entries for %zu axes",
                       pads->count, count);
    TRY(op_axis_set(node, axes, x->rank, &set, err));
    for (int i = 0; i < x->rank; i++)
        set_axis(node, out, i, x->dims[i], 0, 0, NULL);
    for (size_t i = 0; i < count; i++) {
        int axis = (int)i;
        if (axes->present) op_axis(axes->values[i], x->rank, &axis);
        TRY(set_axis(node, out, axis, x->dims[axis], pads->values[i], pads->values[count + i],
                     err));
    }
    return CNN_OK;
}

static cnn_status pad_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    op_list pads, axes;
    TRY(op_need_list(g, node, "pads", 1, &pads, err));
    TRY(op_need_list(g, node, "axes", 3, &axes, err));
    const graph_value *x = op_input(g, node, 0);
    TRY(op_expect_type(g, node, 2, TYPE(x->dtype), err));
    TRY(op_expect_scalar(g, node, 2, err));
    pad_mode mode = read_mode(node);
    if (mode == PAD_UNKNOWN || (mode == PAD_WRAP && node->op->since < 18))
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute mode is '%.40s', which is none of constant, reflect, edge%s",
                       graph_attr_string(node, "mode", ""), node->op->since < 18 ? "" : ", wrap");
    padding p;
    TRY(pad_read(node, &x->shape, &pads, &axes, &p, err));
    cnn_shape out = {.rank = x->shape.rank};
    for (int i = 0; i < out.rank; i++)
        out.dims[i] = p.begin[i] + p.kept[i] + p.end[i];
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* Which of `n` kept elements stands at position `o`, which may be outside; -1: the constant. */
static int64_t pad_source(pad_mode mode, int64_t o, int64_t n) {
    if (o >= 0 && o < n) return o;
    int64_t period = 2 * (n - 1), rest;
    switch (mode) {
    case PAD_EDGE:
        return o < 0 ? 0 : n - 1;
    case PAD_WRAP:
        rest = o % n;
        return rest < 0 ? rest + n : rest;
    case PAD_REFLECT: /* back and forth, without repeating the borders */
        if (n == 1) return 0;
        rest = o % period;
        if (rest < 0) rest += period;
        return rest < n ? rest : period - rest;
    default:
        return -1;
    }
}

/* Offset in x of output element `at`; false if it is the constant. */
static bool pad_offset(pad_mode mode, const padding *p, const cnn_shape *x, const cnn_shape *y,
                       size_t at, size_t *out) {
    size_t offset = 0, stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        int64_t o = (int64_t)(at % (size_t)y->dims[i]) - p->begin[i];
        int64_t from = pad_source(mode, o, p->kept[i]);
        if (from < 0) return false;
        at /= (size_t)y->dims[i];
        offset += (size_t)(p->first[i] + from) * stride;
        stride *= (size_t)x->dims[i];
    }
    *out = offset;
    return true;
}

bool pad_constant(const graph *g, const graph_node *node, padding *out, float *value) {
    const tensor *t = op_constant(g, node, 2);
    bool fed = node->input_count > 2 && node->inputs[2] >= 0;
    if (read_mode(node) != PAD_CONSTANT || (fed && !t)) return false;
    op_list pads = op_read_list(node, "pads", op_constant(g, node, 1));
    op_list axes = op_read_list(node, "axes", op_constant(g, node, 3));
    *value = t ? (float)tensor_number(t, 0) : graph_attr_float(node, "value", 0);
    *out = (padding){0};
    return pad_read(node, &g->values[node->inputs[0]].shape, &pads, &axes, out, NULL) == CNN_OK;
}

static void put_constant(const graph_node *node, tensor *y, size_t at, const tensor *value) {
    size_t first = 0;
    if (value)
        copy_elements(y, at, value, &first, 1);
    else
        number_put(y, at, (double)graph_attr_float(node, "value", 0));
}

static void pad_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    op_list pads = op_read_list(node, "pads", eval_in(node, in, 1));
    op_list axes = op_read_list(node, "axes", eval_in(node, in, 3));
    pad_mode mode = read_mode(node);
    padding p = {0};
    if (pad_read(node, &in[0]->shape, &pads, &axes, &p, NULL) != CNN_OK) return;
    for (size_t at = 0; at < out[0]->elements; at++) {
        size_t from;
        if (pad_offset(mode, &p, &in[0]->shape, &out[0]->shape, at, &from))
            copy_elements(out[0], at, in[0], &from, 1);
        else
            put_constant(node, out[0], at, eval_in(node, in, 2));
    }
}

const op_def ops_pad[] = {
    {
        OP("Pad", 2, 10, 1, 1, 1, 1),
        .attrs = "mode:string pads:ints! value:float",
        .infer = pad_infer,
        .eval = pad_eval,
    },
    {OP("Pad", 11, 17, 2, 3, 1, 1), .attrs = "mode:string", .infer = pad_infer, .eval = pad_eval},
    {OP("Pad", 18, 0, 2, 4, 1, 1), .attrs = "mode:string", .infer = pad_infer, .eval = pad_eval},
    {.name = NULL},
};
