/*
 * Operators that move elements without looking at them: Concat, Split, Transpose, Slice, Expand,
 * Tile, DepthToSpace, SpaceToDepth, CenterCropPad, Trilu.
 *
 * Outputs that are views of their input (another order, a part, a repetition) are described by
 * movement_view, on which evaluation and planning rest; the other operators copy runs of bytes.
 */
#include "ops/movement.h"

#include "ops/families.h"
#include "ops/infer.h"

/* ---- Concat ---- */

static cnn_status concat_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_ANY, err));
    const graph_value *first = op_input(g, node, 0);
    cnn_shape out = first->shape;
    int axis;
    TRY(op_read_axis(node, 1, out.rank, &axis, err));
    for (size_t i = 1; i < node->input_count; i++) {
        const graph_value *value = op_input(g, node, i);
        if (!value) return op_fail(node, err, CNN_INVALID_MODEL, "input %zu is missing", i);
        bool fits = value->shape.rank == out.rank;
        for (int a = 0; fits && a < out.rank; a++)
            fits = a == axis || value->shape.dims[a] == out.dims[a];
        char text[128], other[128];
        if (!fits)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "shapes %s and %s differ on another axis than %d",
                           cnn_shape_text(&first->shape, text, sizeof text),
                           cnn_shape_text(&value->shape, other, sizeof other), axis);
        out.dims[axis] += value->shape.dims[axis];
    }
    return op_set_output(g, node, 0, first->dtype, &out, err);
}

/* Each in[i] is (outer, Li, step), out is (outer, sum of L, step). */
static void concat_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    if (out[0]->elements == 0) return;
    const cnn_shape *shape = &out[0]->shape;
    int axis = 0;
    op_axis(graph_attr_int(node, "axis", 1), shape->rank, &axis);
    size_t outer = (size_t)op_product(shape, 0, axis), row = out[0]->bytes / outer, at = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        size_t bytes = in[i]->bytes / outer;
        for (size_t o = 0; o < outer && bytes > 0; o++)
            memcpy((char *)out[0]->data + o * row + at, (const char *)in[i]->data + o * bytes,
                   bytes);
        at += bytes;
    }
}

/* ---- Split ---- */

/*
 * The parts' lengths: listed in the attribute or in the input, or as even as can be, the last being
 * shorter. There may be more of them than an op_list holds.
 */
typedef struct splitting {
    const attr *listed;
    const tensor *input;
    size_t parts;
    int64_t extent;
} splitting;

static size_t split_listed(const splitting *s) {
    return s->listed ? s->listed->count : s->input ? s->input->elements : 0;
}

static int64_t split_length(const splitting *s, size_t i) {
    if (split_listed(s) > 0) return s->listed ? s->listed->ints[i] : tensor_int(s->input, i);
    int64_t each = DIV_UP(s->extent, (int64_t)s->parts);
    return MAX(MIN(each, s->extent - each * (int64_t)i), 0);
}

static cnn_status split_check(const graph_node *node, const splitting *s, cnn_error *err) {
    int64_t parts = (int64_t)s->parts, sum = 0;
    int64_t wanted = graph_attr_int(node, "num_outputs", parts);
    if (wanted != parts)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute num_outputs is %lld, but there are %lld outputs",
                       (long long)wanted, (long long)parts);
    if (split_listed(s) == 0) {
        if (node->op->since < 18 && s->extent % parts != 0)
            return op_fail(node, err, CNN_INVALID_MODEL,
                           "an extent of %lld cannot be split into %lld equal parts",
                           (long long)s->extent, (long long)parts);
        return CNN_OK;
    }
    if (split_listed(s) != s->parts)
        return op_fail(node, err, CNN_INVALID_MODEL, "split has %zu entries for %lld outputs",
                       split_listed(s), (long long)parts);
    for (size_t i = 0; i < s->parts; i++) {
        int64_t length = split_length(s, i);
        if (length < 0 || length > s->extent)
            return op_fail(node, err, CNN_INVALID_MODEL, "split[%zu] is %lld of an extent of %lld",
                           i, (long long)length, (long long)s->extent);
        sum += length;
    }
    if (sum == s->extent) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL, "split adds up to %lld, but the extent is %lld",
                   (long long)sum, (long long)s->extent);
}

static cnn_status split_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_INT64), err));
    TRY(op_need_constant(g, node, 1, "split", err));
    const graph_value *x = op_input(g, node, 0);
    cnn_dtype dtype = x->dtype;
    cnn_shape shape = x->shape;
    int axis;
    TRY(op_read_axis(node, 0, shape.rank, &axis, err));
    splitting s = {graph_attr(node, "split"), op_constant(g, node, 1), node->output_count,
                   shape.dims[axis]};
    TRY(split_check(node, &s, err));
    for (size_t i = 0; i < s.parts; i++) {
        shape.dims[axis] = split_length(&s, i);
        TRY(op_set_output(g, node, i, dtype, &shape, err));
    }
    return CNN_OK;
}

static bool split_view(const movement *m, view *out) {
    int axis = 0;
    op_axis(graph_attr_int(m->node, "axis", 0), m->x->rank, &axis);
    splitting s = {graph_attr(m->node, "split"), eval_in(m->node, m->in, 1), m->node->output_count,
                   m->x->dims[axis]};
    *out = view_part(m->x, m->y);
    for (size_t i = 0; i < m->output; i++)
        out->offset += split_length(&s, i) * out->strides[axis];
    return true;
}

/* ---- Transpose ---- */

/* Axis i of the output is axis order[i] of the input; reversed by default. */
static void transpose_order(const graph_node *node, int rank, int *order) {
    const attr *perm = graph_attr(node, "perm");
    for (int i = 0; i < rank; i++)
        order[i] = perm ? (int)perm->ints[i] : rank - 1 - i;
}

static cnn_status transpose_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    const graph_value *x = op_input(g, node, 0);
    const attr *perm = graph_attr(node, "perm");
    int order[CNN_MAX_RANK] = {0};
    unsigned seen = 0;
    bool valid = !perm || perm->count == (size_t)x->shape.rank;
    for (size_t i = 0; perm && valid && i < perm->count; i++) {
        valid = perm->ints[i] >= 0 && perm->ints[i] < x->shape.rank && !(seen >> perm->ints[i] & 1);
        if (valid) seen |= 1u << perm->ints[i];
    }
    if (!valid)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute perm is no permutation of the %d dimensions", x->shape.rank);
    transpose_order(node, x->shape.rank, order);
    cnn_shape out = {.rank = x->shape.rank};
    for (int i = 0; i < out.rank; i++)
        out.dims[i] = x->shape.dims[order[i]];
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

bool op_transpose_keeps(const graph *g, const graph_node *node) {
    const cnn_shape *in = &g->values[node->inputs[0]].shape;
    int order[CNN_MAX_RANK], last = -1;
    transpose_order(node, in->rank, order);
    for (int i = 0; i < in->rank; i++) {
        if (in->dims[order[i]] == 1) continue;
        if (order[i] < last) return false;
        last = order[i];
    }
    return true;
}

static bool transpose_view(const movement *m, view *out) {
    int order[CNN_MAX_RANK] = {0};
    transpose_order(m->node, m->x->rank, order);
    *out = view_axes(m->x, order, m->x->rank);
    return true;
}

/* ---- Slice ---- */

/* Per axis: the first element, the step, and how many. */
typedef struct slice {
    int64_t first[CNN_MAX_RANK], step[CNN_MAX_RANK], count[CNN_MAX_RANK];
} slice;

/* `starts` and so on as lists; before version 10 they are attributes and there are no steps. */
typedef struct slice_lists {
    op_list starts, ends, axes, steps;
} slice_lists;

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* As ONNX clamps: start to [0, extent] going up and [0, extent - 1] down, end to [-1, ...] down. */
static void slice_axis(slice *s, int axis, int64_t extent, int64_t start, int64_t end,
                       int64_t step) {
    int64_t high = step > 0 ? extent : extent - 1;
    start = clamp(start < 0 ? MAX(start, -extent) + extent : start, 0, high);
    end = clamp(end < 0 ? MAX(end, -extent - 1) + extent : end, step > 0 ? 0 : -1, high);
    int64_t distance = step > 0 ? end - start : start - end;
    int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    s->first[axis] = start;
    s->step[axis] = step;
    s->count[axis] = distance <= 0 || extent == 0 ? 0 : (distance - 1) / stride + 1;
}

static cnn_status slice_read(const graph_node *node, const cnn_shape *x, const slice_lists *l,
                             slice *out, cnn_error *err) {
    unsigned set = 0;
    size_t count = l->starts.count;
    if (l->ends.count != count || (l->axes.present && l->axes.count != count) ||
        (l->steps.present && l->steps.count != count) || count > (size_t)x->rank)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "starts, ends, axes and steps must have as many entries as axes are sliced");
    TRY(op_axis_set(node, &l->axes, x->rank, &set, err));
    for (int i = 0; i < x->rank; i++)
        slice_axis(out, i, x->dims[i], 0, x->dims[i], 1);
    for (size_t i = 0; i < count; i++) {
        int axis = (int)i;
        if (l->axes.present) op_axis(l->axes.values[i], x->rank, &axis);
        int64_t step = l->steps.present ? l->steps.values[i] : 1;
        if (step == 0) return op_fail(node, err, CNN_INVALID_MODEL, "steps[%zu] is 0", i);
        slice_axis(out, axis, x->dims[axis], l->starts.values[i], l->ends.values[i], step);
    }
    return CNN_OK;
}

static cnn_status slice_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    slice_lists l;
    slice s;
    TRY(op_need_list(g, node, "starts", 1, &l.starts, err));
    TRY(op_need_list(g, node, "ends", 2, &l.ends, err));
    TRY(op_need_list(g, node, "axes", 3, &l.axes, err));
    TRY(op_need_list(g, node, "steps", 4, &l.steps, err));
    const graph_value *x = op_input(g, node, 0);
    TRY(slice_read(node, &x->shape, &l, &s, err));
    cnn_shape out = x->shape;
    memcpy(out.dims, s.count, sizeof out.dims);
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static bool slice_view(const movement *m, view *out) {
    slice_lists l = {op_read_list(m->node, "starts", eval_in(m->node, m->in, 1)),
                     op_read_list(m->node, "ends", eval_in(m->node, m->in, 2)),
                     op_read_list(m->node, "axes", eval_in(m->node, m->in, 3)),
                     op_read_list(m->node, "steps", eval_in(m->node, m->in, 4))};
    slice s = {0};
    if (slice_read(m->node, m->x, &l, &s, NULL) != CNN_OK) return false;
    *out = view_part(m->x, m->y);
    for (int i = 0; i < out->rank; i++) {
        out->offset += s.first[i] * out->strides[i];
        if (s.count[i] > 1) out->strides[i] *= s.step[i];
    }
    return true;
}

/* ---- Expand, Tile ---- */

static cnn_status expand_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    op_list wanted;
    TRY(op_need_list(g, node, "shape", 1, &wanted, err));
    const graph_value *x = op_input(g, node, 0);
    cnn_shape shape = {.rank = (int)wanted.count}, out;
    if (wanted.count > CNN_MAX_RANK)
        return op_fail(node, err, CNN_LIMIT, "shape has %zu extents, at most %d are supported",
                       wanted.count, CNN_MAX_RANK);
    memcpy(shape.dims, wanted.values, (size_t)shape.rank * sizeof shape.dims[0]);
    char text[128], other[128];
    if (!op_broadcast(&x->shape, &shape, &out))
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the input's shape %s cannot be expanded to %s",
                       cnn_shape_text(&x->shape, text, sizeof text),
                       cnn_shape_text(&shape, other, sizeof other));
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static bool expand_view(const movement *m, view *out) {
    *out = view_broadcast(m->x, m->y);
    return true;
}

static cnn_status tile_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_INT64), err));
    op_list repeats;
    TRY(op_need_list(g, node, "repeats", 1, &repeats, err));
    const graph_value *x = op_input(g, node, 0);
    if (repeats.count != (size_t)x->shape.rank)
        return op_fail(node, err, CNN_INVALID_MODEL, "repeats has %zu entries for %d dimensions",
                       repeats.count, x->shape.rank);
    cnn_shape out = x->shape;
    for (int i = 0; i < out.rank; i++) {
        if (repeats.values[i] < 0 || repeats.values[i] > GRAPH_MAX_EXTENT)
            return op_fail(node, err, CNN_INVALID_MODEL, "repeats[%d] is %lld", i,
                           (long long)repeats.values[i]);
        out.dims[i] *= repeats.values[i];
    }
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static void tile_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    const cnn_shape *x = &in[0]->shape, *y = &out[0]->shape;
    for (size_t at = 0; at < out[0]->elements; at++) {
        size_t rest = at, from = 0, stride = 1;
        for (int i = y->rank - 1; i >= 0; i--) {
            size_t index = rest % (size_t)y->dims[i];
            rest /= (size_t)y->dims[i];
            from += index % (size_t)x->dims[i] * stride;
            stride *= (size_t)x->dims[i];
        }
        copy_elements(out[0], at, in[0], &from, 1);
    }
}

/* ---- DepthToSpace, SpaceToDepth: a reshape to 6 axes, a transpose and a reshape back ---- */

static cnn_status block_size(const graph *g, graph_node *node, int64_t *out, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_rank(g, node, 0, 4, 4, err));
    *out = graph_attr_int(node, "blocksize", 1);
    if (*out >= 1 && *out <= 1 << 15) return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL, "attribute blocksize is %lld", (long long)*out);
}

static cnn_status depth_to_space_infer(graph *g, graph_node *node, cnn_error *err) {
    int64_t b;
    TRY(block_size(g, node, &b, err));
    const graph_value *x = op_input(g, node, 0);
    const int64_t *d = x->shape.dims;
    const char *mode = graph_attr_string(node, "mode", "DCR");
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute mode is '%.40s', which is neither DCR nor CRD", mode);
    if (d[1] % (b * b) != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "%lld channels are no multiple of the square of blocksize %lld",
                       (long long)d[1], (long long)b);
    cnn_shape out = {.rank = 4, .dims = {d[0], d[1] / (b * b), d[2] * b, d[3] * b}};
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static bool depth_to_space_view(const movement *m, view *out) {
    static const int dcr[] = {0, 3, 4, 1, 5, 2}, crd[] = {0, 1, 4, 2, 5, 3};
    const int64_t *d = m->x->dims, b = graph_attr_int(m->node, "blocksize", 1);
    bool depth_first = strcmp(graph_attr_string(m->node, "mode", "DCR"), "DCR") == 0;
    cnn_shape split = {.rank = 6, .dims = {d[0], b, b, d[1] / (b * b), d[2], d[3]}};
    if (!depth_first) split = (cnn_shape){6, {d[0], d[1] / (b * b), b, b, d[2], d[3]}};
    *out = view_axes(&split, depth_first ? dcr : crd, 6);
    return true;
}

static cnn_status space_to_depth_infer(graph *g, graph_node *node, cnn_error *err) {
    int64_t b;
    TRY(block_size(g, node, &b, err));
    const graph_value *x = op_input(g, node, 0);
    const int64_t *d = x->shape.dims;
    if (d[2] % b != 0 || d[3] % b != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "height %lld and width %lld must be multiples of blocksize %lld",
                       (long long)d[2], (long long)d[3], (long long)b);
    cnn_shape out = {.rank = 4, .dims = {d[0], d[1] * b * b, d[2] / b, d[3] / b}};
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static bool space_to_depth_view(const movement *m, view *out) {
    static const int order[] = {0, 3, 5, 1, 2, 4};
    const int64_t *d = m->x->dims, b = graph_attr_int(m->node, "blocksize", 1);
    cnn_shape split = {.rank = 6, .dims = {d[0], d[1], d[2] / b, b, d[3] / b, b}};
    *out = view_axes(&split, order, 6);
    return true;
}

/* ---- CenterCropPad ---- */

/* Per axis: element o of the output is element o + shift of the input, zero where there is none. */
typedef struct centering {
    int64_t extent[CNN_MAX_RANK], shift[CNN_MAX_RANK];
} centering;

static cnn_status center_read(const graph_node *node, const cnn_shape *x, const op_list *wanted,
                              centering *out, cnn_error *err) {
    op_list axes = op_read_list(node, "axes", NULL);
    size_t count = axes.present ? axes.count : (size_t)x->rank;
    unsigned set;
    TRY(op_axis_set(node, &axes, x->rank, &set, err));
    if (wanted->count != count)
        return op_fail(node, err, CNN_INVALID_MODEL, "shape has %zu extents for %zu axes",
                       wanted->count, count);
    *out = (centering){{0}, {0}};
    memcpy(out->extent, x->dims, sizeof out->extent);
    for (size_t i = 0; i < count; i++) {
        int axis = (int)i;
        if (axes.present) op_axis(axes.values[i], x->rank, &axis);
        int64_t to = wanted->values[i], from = x->dims[axis];
        if (to < 0 || to > GRAPH_MAX_EXTENT)
            return op_fail(node, err, CNN_INVALID_MODEL, "shape[%zu] is %lld", i, (long long)to);
        out->extent[axis] = to;
        out->shift[axis] = to < from ? (from - to) / 2 : -((to - from) / 2);
    }
    return CNN_OK;
}

static cnn_status center_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    op_list wanted;
    centering p;
    TRY(op_need_list(g, node, "shape", 1, &wanted, err));
    const graph_value *x = op_input(g, node, 0);
    TRY(center_read(node, &x->shape, &wanted, &p, err));
    cnn_shape out = x->shape;
    memcpy(out.dims, p.extent, sizeof out.dims);
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

static void center_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    op_list wanted = op_read_list(node, "shape", in[1]);
    const cnn_shape *x = &in[0]->shape, *y = &out[0]->shape;
    centering p = {0};
    fill_zero(out[0]);
    if (center_read(node, x, &wanted, &p, NULL) != CNN_OK) return;
    for (size_t at = 0; at < out[0]->elements; at++) {
        size_t rest = at, from = 0, stride = 1;
        bool inside = true;
        for (int i = y->rank - 1; i >= 0; i--) {
            int64_t index = (int64_t)(rest % (size_t)y->dims[i]) + p.shift[i];
            rest /= (size_t)y->dims[i];
            inside = inside && index >= 0 && index < x->dims[i];
            from += (size_t)index * stride;
            stride *= (size_t)x->dims[i];
        }
        if (inside) copy_elements(out[0], at, in[0], &from, 1);
    }
}

/* ---- Trilu: zeros below (upper) or above (lower) the k-th diagonal ---- */

static cnn_status trilu_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_rank(g, node, 0, 2, CNN_MAX_RANK, err));
    TRY(op_expect_type(g, node, 1, TYPE(CNN_INT64), err));
    TRY(op_expect_scalar(g, node, 1, err));
    return op_same_as_input(g, node, err);
}

static void trilu_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *k = eval_in(node, in, 1);
    const cnn_shape *shape = &in[0]->shape;
    bool upper = graph_attr_int(node, "upper", 1) != 0;
    double diagonal = k ? (double)tensor_int(k, 0) : 0;
    fill_zero(out[0]);
    for (size_t at = 0; at < out[0]->elements; at++) {
        size_t columns = (size_t)shape->dims[shape->rank - 1];
        size_t rows = (size_t)shape->dims[shape->rank - 2];
        double right = (double)(at % columns) - (double)(at / columns % rows);
        if (upper ? right >= diagonal : right <= diagonal) copy_elements(out[0], at, in[0], &at, 1);
    }
}

/* ---- views ---- */

/* Gather by one index, or by indices that are equally far from each other, from one axis. */
static bool gather_view(const movement *m, view *out) {
    const tensor *indices = eval_in(m->node, m->in, 1);
    int axis = 0;
    op_axis(graph_attr_int(m->node, "axis", 0), m->x->rank, &axis);
    if (!indices || indices->shape.rank > 1 || indices->elements == 0) return false;
    int64_t extent = m->x->dims[axis], first = tensor_int(indices, 0);
    int64_t step = indices->elements > 1 ? tensor_int(indices, 1) - first : 0;
    for (size_t i = 1; i < indices->elements; i++)
        if (tensor_int(indices, i) - tensor_int(indices, i - 1) != step) return false;
    if (first < 0) first += extent;
    int64_t last = first + step * (int64_t)(indices->elements - 1);
    if (first < 0 || first >= extent || last < 0 || last >= extent) return false;
    view all = view_of(m->x);
    unsigned every = (1u << m->x->rank) - 1;
    *out = view_pick(&all, indices->shape.rank == 0 ? every & ~(1u << axis) : every);
    out->offset = first * all.strides[axis];
    if (indices->shape.rank == 1) {
        out->dims[axis] = (int64_t)indices->elements;
        out->strides[axis] *= step;
        out->count = (size_t)op_product(m->y, 0, m->y->rank);
    }
    return true;
}

bool movement_view(const movement *m, view *out) {
    static const struct {
        const char *op;
        bool (*view)(const movement *m, view *out);
    } views[] = {
        {"DepthToSpace", depth_to_space_view},
        {"Expand", expand_view},
        {"Gather", gather_view},
        {"Slice", slice_view},
        {"SpaceToDepth", space_to_depth_view},
        {"Split", split_view},
        {"Transpose", transpose_view},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++)
        if (strcmp(m->node->op->name, views[i].op) == 0) return views[i].view(m, out);
    return false;
}

static void view_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    for (size_t i = 0; i < node->output_count; i++) {
        view v;
        if (!out[i] || out[i]->elements == 0) continue;
        movement m = {node, &in[0]->shape, &out[i]->shape, in, i};
        if (movement_view(&m, &v)) view_copy(&v, in[0], out[i]);
    }
}

const op_def ops_movement[] = {
    {
        OP("Concat", 4, 0, 1, OP_VARIADIC, 1, 1),
        .attrs = "axis:int!",
        .infer = concat_infer,
        .eval = concat_eval,
    },
    {
        OP("Split", 2, 12, 1, 1, 1, OP_VARIADIC),
        .attrs = "axis:int split:ints",
        .infer = split_infer,
        .eval = view_eval,
    },
    {
        OP("Split", 13, 17, 1, 2, 1, OP_VARIADIC),
        .attrs = "axis:int",
        .infer = split_infer,
        .eval = view_eval,
    },
    {
        OP("Split", 18, 0, 1, 2, 1, OP_VARIADIC),
        .attrs = "axis:int num_outputs:int",
        .infer = split_infer,
        .eval = view_eval,
    },
    {
        OP("Transpose", 1, 0, 1, 1, 1, 1),
        .attrs = "perm:ints",
        .infer = transpose_infer,
        .eval = view_eval,
    },
    {
        OP("Slice", 1, 9, 1, 1, 1, 1),
        .attrs = "axes:ints ends:ints! starts:ints!",
        .infer = slice_infer,
        .eval = view_eval,
    },
    {OP("Slice", 10, 0, 3, 5, 1, 1), .infer = slice_infer, .eval = view_eval},
    {OP("Expand", 8, 0, 2, 2, 1, 1), .infer = expand_infer, .eval = view_eval},
    {OP("Tile", 6, 0, 2, 2, 1, 1), .infer = tile_infer, .eval = tile_eval},
    {
        OP("DepthToSpace", 1, 0, 1, 1, 1, 1),
        .attrs = "blocksize:int! mode:string",
        .infer = depth_to_space_infer,
        .eval = view_eval,
    },
    {
        OP("SpaceToDepth", 1, 0, 1, 1, 1, 1),
        .attrs = "blocksize:int!",
        .infer = space_to_depth_infer,
        .eval = view_eval,
    },
    {
        OP("CenterCropPad", 18, 0, 2, 2, 1, 1),
        .attrs = "axes:ints",
        .infer = center_infer,
        .eval = center_eval,
    },
    {
        OP("Trilu", 14, 0, 1, 2, 1, 1),
        .attrs = "upper:int",
        .infer = trilu_infer,
        .eval = trilu_eval,
    },
    {.name = NULL},
};
