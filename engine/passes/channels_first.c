/*
 * Regions that are computed channels last, (N, H, W, C), between a Transpose from (N, C, H, W) and
 * one back -> the same channels first, without the Transposes: this is what blocked layout holds.
 * Exporters write ConvNeXt (Liu et al. 2022, arXiv:2201.03545) so: behind each depthwise
 * convolution a LayerNormalization and two MatMul, which become LayerNorm2d and Conv of 1x1.
 *
 * A region is everything that hangs together by values of such a layout. It changes as a whole, or
 * not at all if one node in it has no form channels first that is as fast, or if one of its values
 * is a graph output. What it ends in are Transposes back and means over each image.
 */
#include "passes/rewrite.h"

#include <stdlib.h>
#include <string.h>

typedef struct regions {
    graph *g;
    size_t values; /* those that there were when the pass began */
    int *parent;   /* per value: another one of its region, or itself; -1: in none */
    bool *spoiled; /* per value that is its own parent: something in its region does not fit */
} regions;

static bool is_member(const regions *r, int value) {
    return value >= 0 && (size_t)value < r->values && r->parent[value] >= 0;
}

static int region_of(const regions *r, int value) {
    while (r->parent[value] != value)
        value = r->parent[value] = r->parent[r->parent[value]];
    return value;
}

static void join(const regions *r, int a, int b) {
    a = region_of(r, a);
    b = region_of(r, b);
    r->parent[b] = a;
    r->spoiled[a] |= r->spoiled[b];
}

/* ---- shapes ---- */

enum { HEIGHT = 1, WIDTH = 2, CHANNELS = 3, RANK = 4 }; /* of values in a region */

static const int first_axis[RANK] = {0, 2, 3, 1}; /* where an axis goes */

static cnn_shape channels_first(const cnn_shape *last) {
    cnn_shape shape = {.rank = RANK};
    for (int i = 0; i < RANK; i++)
        shape.dims[first_axis[i]] = last->dims[i];
    return shape;
}

/* Broadcasting's extents of 1 before it. */
static cnn_shape with_all_axes(const cnn_shape *shape) {
    cnn_shape full = {.rank = RANK};
    for (int i = 0, missing = RANK - shape->rank; i < RANK; i++)
        full.dims[i] = i < missing ? 1 : shape->dims[i - missing];
    return full;
}

static bool is_pixel(const cnn_shape *shape) {
    return shape->dims[HEIGHT] == 1 && shape->dims[WIDTH] == 1;
}

static bool is_transpose(const graph *g, const graph_node *node, const int64_t perm[RANK]) {
    const attr *list = graph_attr(node, "perm");
    return rewrite_is(node, "Transpose") && rewrite_is_float(g, node->outputs[0]) && list &&
           list->count == RANK && memcmp(list->ints, perm, RANK * sizeof *perm) == 0;
}

/* ---- what may be in a region ---- */

typedef enum fit { FITS_NOT, FITS_INSIDE, FITS_AS_END } fit;

static fit inside_if(bool fits) {
    return fits ? FITS_INSIDE : FITS_NOT;
}

static fit transpose_fits(const regions *r, const graph_node *node) {
    bool back = is_transpose(r->g, node, (int64_t[]){0, 3, 1, 2});
    return back ? FITS_AS_END : FITS_NOT;
}

static fit no_op_fits(const regions *r, const graph_node *node) {
    (void)r;
    (void)node;
    return FITS_INSIDE;
}

static fit activation_fits(const regions *r, const graph_node *node) {
    epilogue e;
    return inside_if(op_activation(r->g, node, &e));
}

/* True for constant input `i` that has one number for each of `count` columns; or is absent. */
static bool is_row(const regions *r, const graph_node *node, size_t i, int64_t count) {
    const tensor *t = op_constant(r->g, node, i);
    bool row = t && t->dtype == CNN_FLOAT32 && t->shape.rank == 1 && t->shape.dims[0] == count;
    return row || !op_input(r->g, node, i);
}

static fit norm_fits(const regions *r, const graph_node *node) {
    int64_t channels = rewrite_shape(r->g, node->outputs[0])->dims[CHANNELS];
    int axis;
    return inside_if(op_axis(graph_attr_int(node, "axis", -1), RANK, &axis) && axis == CHANNELS &&
                     is_row(r, node, 1, channels) && is_row(r, node, 2, channels));
}

/* Gemm of more than two axes has a bias that fits and no attributes: see pass_matmul_to_gemm. */
static fit product_fits(const regions *r, const graph_node *node) {
    const tensor *b = op_constant(r->g, node, 1);
    return inside_if(is_member(r, node->inputs[0]) && b && b->dtype == CNN_FLOAT32 &&
                     b->shape.rank == 2 && b->elements > 0);
}

/* One number, numbers for each channel, or of the same shape; a single pixel does not matter. */
static bool operand_fits(const regions *r, int value, const cnn_shape *out) {
    const graph_value *v = &r->g->values[value];
    size_t elements;
    if (v->shape.rank > RANK || (!is_member(r, value) && !v->constant) ||
        !rewrite_is_float(r->g, value) || !cnn_shape_elements(&v->shape, &elements))
        return false;
    cnn_shape shape = with_all_axes(&v->shape);
    return elements == 1 || is_pixel(out) || cnn_shape_equal(&shape, out) ||
           (is_pixel(&shape) && shape.dims[CHANNELS] == out->dims[CHANNELS]);
}

static fit arithmetic_fits(const regions *r, const graph_node *node) {
    const cnn_shape *out = rewrite_shape(r->g, node->outputs[0]);
    return inside_if(operand_fits(r, node->inputs[0], out) &&
                     operand_fits(r, node->inputs[1], out));
}

/* Over each image, which pass_global_pool knows, or of what is a single pixel. */
static fit reduction_fits(const regions *r, const graph_node *node) {
    unsigned axes, image = 1u << HEIGHT | 1u << WIDTH;
    if (!rewrite_axes(r->g, node, RANK, &axes)) return FITS_NOT;
    bool keeps = graph_attr_int(node, "keepdims", 1) != 0;
    if (axes == image) return keeps ? FITS_INSIDE : FITS_AS_END;
    return inside_if(keeps && is_pixel(rewrite_shape(r->g, node->inputs[0])));
}

/* ---- how it is rewritten; false when out of memory ---- */

static bool replace(graph *g, graph_node *old, graph_node *node) {
    if (node) rewrite_replace(g, old, node);
    return node != NULL;
}

static bool become_identity(graph *g, graph_node *old) {
    graph_node *node = graph_node_create(op_find("", "Identity", g->opset), old->name, 1, 1);
    if (node) node->inputs[0] = old->inputs[0];
    return replace(g, old, node);
}

static bool stay(graph *g, graph_node *node) {
    (void)g;
    (void)node;
    return true;
}

static bool become_norm_2d(graph *g, graph_node *old) {
    graph_node *node =
        graph_node_create(op_find(OP_OWN_DOMAIN, "LayerNorm2d", 1), old->name, old->input_count, 1);
    if (!node || !graph_add_attr_float(node, "epsilon", graph_attr_float(old, "epsilon", 1e-5f))) {
        graph_node_free(node);
        return false;
    }
    memcpy(node->inputs, old->inputs, old->input_count * sizeof *node->inputs);
    return replace(g, old, node);
}

/* A constant of that shape: each of the matrices of rows x columns in `t` transposed. */
static int add_transposed(graph *g, int like, const tensor *t, size_t rows, size_t columns,
                          const cnn_shape *shape) {
    tensor *out = NULL;
    if (tensor_create(CNN_FLOAT32, shape, &out, NULL) != CNN_OK) return -1;
    const float *from = t->data;
    float *to = out->data;
    for (size_t at = 0; at < t->elements; at += rows * columns)
        for (size_t c = 0; c < columns; c++)
            for (size_t i = 0; i < rows; i++)
                to[at + c * rows + i] = from[at + i * columns + c];
    int value = rewrite_add_constant(g, like, out);
    tensor_unref(out);
    return value;
}

/* The bias of `count` channels; like Conv's, it is a vector. */
static int add_bias(graph *g, int value, int64_t count) {
    const tensor *t = g->values[value].constant;
    cnn_shape shape = {.rank = 1, .dims = {count}};
    tensor *out = NULL;
    if (cnn_shape_equal(&t->shape, &shape)) return value;
    if (tensor_create(CNN_FLOAT32, &shape, &out, NULL) != CNN_OK) return -1;
    for (size_t i = 0; i < out->elements; i++)
        ((float *)out->data)[i] = ((const float *)t->data)[t->elements == 1 ? 0 : i];
    value = rewrite_add_constant(g, value, out);
    tensor_unref(out);
    return value;
}

/* Weights (K, N) become (N, K, 1, 1). */
static bool become_conv(graph *g, graph_node *old) {
    const tensor *b = op_constant(g, old, 1);
    int64_t rows = b->shape.dims[0], columns = b->shape.dims[1];
    cnn_shape shape = {.rank = RANK, .dims = {columns, rows, 1, 1}};
    bool biased = op_input(g, old, 2) != NULL;
    int weights = add_transposed(g, old->inputs[1], b, (size_t)rows, (size_t)columns, &shape);
    int bias = biased ? add_bias(g, old->inputs[2], columns) : -1;
    if (weights < 0 || (biased && bias < 0)) return false;
    graph_node *node = graph_node_create(op_find("", "Conv", g->opset), old->name, 3, 1);
    if (!node) return false;
    node->inputs[0] = old->inputs[0];
    node->inputs[1] = weights;
    node->inputs[2] = bias;
    return replace(g, old, node);
}

static bool turn_constants(graph *g, graph_node *node) {
    for (size_t i = 0; i < node->input_count; i++) {
        const tensor *t = op_constant(g, node, i);
        if (!t || t->elements <= 1) continue;
        cnn_shape full = with_all_axes(&t->shape), shape = channels_first(&full);
        size_t pixels = (size_t)(full.dims[HEIGHT] * full.dims[WIDTH]);
        int value =
            add_transposed(g, node->inputs[i], t, pixels, (size_t)full.dims[CHANNELS], &shape);
        if (value < 0 || !rewrite_set_input(g, node, i, value)) return false;
    }
    return true;
}

static bool set_axes_input(graph *g, graph_node *node, const int64_t *axes, size_t count) {
    cnn_shape shape = {.rank = 1, .dims = {(int64_t)count}};
    tensor *t = NULL;
    if (tensor_create(CNN_INT64, &shape, &t, NULL) != CNN_OK) return false;
    memcpy(t->data, axes, count * sizeof *axes);
    int value = rewrite_add_constant(g, node->outputs[0], t);
    tensor_unref(t);
    return value >= 0 && rewrite_set_input(g, node, 1, value);
}

/* Axes are an attribute or, since version 13 or 18, an input. */
static bool turn_axes(graph *g, graph_node *node) {
    int64_t axes[RANK];
    size_t count = 0;
    unsigned set = 0;
    rewrite_axes(g, node, RANK, &set);
    for (int i = 0; i < RANK; i++)
        if (set >> i & 1) axes[count++] = first_axis[i];
    if (node->op->max_inputs > 1) return set_axes_input(g, node, axes, count);
    rewrite_drop_attr(node, "axes");
    return graph_add_attr_ints(node, "axes", axes, count);
}

/* ---- regions ---- */

typedef struct rule {
    const char *op;
    fit (*fits)(const regions *r, const graph_node *node);
    bool (*rewrite)(graph *g, graph_node *node);
} rule;

static const rule *rule_of(const graph_node *node) {
    static const rule rules[] = {
        {"Transpose", transpose_fits, become_identity},
        {"LayerNormalization", norm_fits, become_norm_2d},
        {"MatMul", product_fits, become_conv},
        {"Gemm", product_fits, become_conv},
        {"Add", arithmetic_fits, turn_constants},
        {"Sub", arithmetic_fits, turn_constants},
        {"Mul", arithmetic_fits, turn_constants},
        {"Div", arithmetic_fits, turn_constants},
        {"ReduceMean", reduction_fits, turn_axes},
        {"ReduceMax", reduction_fits, turn_axes},
        {"ReduceL2", reduction_fits, turn_axes},
        {"Identity", no_op_fits, stay},
        {"Dropout", no_op_fits, stay},
        {"Relu", activation_fits, stay},
        {"LeakyRelu", activation_fits, stay},
        {"Clip", activation_fits, stay},
        {"Sigmoid", activation_fits, stay},
        {"HardSigmoid", activation_fits, stay},
        {"HardSwish", activation_fits, stay},
        {"Gelu", activation_fits, stay},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        if (rewrite_is(node, rules[i].op)) return &rules[i];
    return NULL;
}

/* A value of the region that the node takes, all of them joined; -1: none. */
static int join_inputs(const regions *r, const graph_node *node) {
    int found = -1;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!is_member(r, node->inputs[i])) continue;
        if (found >= 0) join(r, found, node->inputs[i]);
        found = node->inputs[i];
    }
    return found;
}

static bool has_more_outputs(const graph *g, const graph_node *node) {
    for (size_t i = 1; i < node->output_count; i++)
        if (node->outputs[i] >= 0 && g->values[node->outputs[i]].uses > 0) return true;
    return false;
}

static fit fit_of(const regions *r, const graph_node *node) {
    const rule *found = rule_of(node);
    return !found || has_more_outputs(r->g, node) ? FITS_NOT : found->fits(r, node);
}

static void look_at(const regions *r, const graph_node *node) {
    int member = join_inputs(r, node), out = node->output_count > 0 ? node->outputs[0] : -1;
    if (member < 0) {
        if (is_transpose(r->g, node, (int64_t[]){0, 2, 3, 1})) r->parent[out] = out;
        return;
    }
    fit fits = fit_of(r, node);
    bool holds = rewrite_is_float(r->g, out) && rewrite_shape(r->g, out)->rank == RANK;
    if (fits == FITS_INSIDE && holds)
        r->parent[out] = region_of(r, member);
    else if (fits != FITS_AS_END)
        r->spoiled[region_of(r, member)] = true;
}

static bool changes(const regions *r, int value) {
    return is_member(r, value) && !r->spoiled[region_of(r, value)];
}

static bool rewrite(const regions *r, graph_node *node) {
    for (size_t i = 0; i < node->input_count; i++)
        if (changes(r, node->inputs[i])) return rule_of(node)->rewrite(r->g, node);
    bool enters = node->output_count > 0 && changes(r, node->outputs[0]);
    return !enters || become_identity(r->g, node);
}

static bool rewrite_all(const regions *r) {
    for (size_t i = 0; i < r->g->node_count; i++)
        if (!rewrite(r, r->g->nodes[i])) return false;
    for (size_t i = 0; i < r->values; i++)
        if (changes(r, (int)i)) {
            cnn_shape *shape = &r->g->values[i].shape;
            *shape = channels_first(shape);
        }
    return true;
}

cnn_status pass_channels_first(graph *g, cnn_error *err) {
    size_t n = MAX(g->value_count, 1);
    regions r = {g, g->value_count, malloc(n * sizeof *r.parent), calloc(n, sizeof *r.spoiled)};
    bool ok = r.parent && r.spoiled;
    if (ok) {
        for (size_t i = 0; i < r.values; i++)
            r.parent[i] = -1;
        for (size_t i = 0; i < g->node_count; i++)
            look_at(&r, g->nodes[i]);
        for (size_t i = 0; i < g->output_count; i++)
            if (is_member(&r, g->outputs[i])) r.spoiled[region_of(&r, g->outputs[i])] = true;
        ok = rewrite_all(&r);
    }
    free(r.parent);
    free(r.spoiled);
    return ok ? CNN_OK : cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory while turning layouts");
}
