/*
 * Resize and its predecessor Upsample.
 *
 * On every axis an output position maps to a point of the input, and the output is the sum of the
 * input elements near that point times the weights of a kernel (nearest, linear, cubic) of their
 * distance; with antialias the kernel is stretched when shrinking. Elements beyond the border
 * repeat the border. The axes are independent, so an output element is a nested sum, one level per
 * axis.
 *
 * Where positions are counted from corner to corner (align_corners, tf_crop_and_resize) the length
 * of the output counts. Frameworks, ONNX Runtime and the operator's description mean the number of
 * its elements; ONNX' reference implementation means scale x length of the input, which with a
 * scale may be no whole number. The first is done, and the second for the test cases that are made
 * with it: the loader marks their nodes with OP_FRACTIONAL_LENGTH.
 *
 * Sizes must be known when the model is loaded; the region of interest may come at run time.
 */
#include "ops/resize.h"
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;

typedef enum transform {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL_FOR_NN,
    TF_CROP_AND_RESIZE,
} transform;

typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL } rounding;

static const char *const mode_names[] = {"nearest", "linear", "cubic"};
static const char *const transform_names[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
static const char *const rounding_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil"};

typedef struct resize {
    mode mode;
    transform transform;
    rounding rounding;
    bool antialias, exclude_outside, fractional;
    double cubic_a, extrapolation;
    int rank;
    int64_t in[CNN_MAX_RANK], out[CNN_MAX_RANK];
    double scale[CNN_MAX_RANK];
    double roi_start[CNN_MAX_RANK], roi_end[CNN_MAX_RANK]; /* in units of the input's extent */
} resize;

/* ---- reading ---- */

static cnn_status read_name(const graph_node *node, const char *name, const char *fallback,
                            const char *const *names, size_t count, int *out, cnn_error *err) {
    const char *text = graph_attr_string(node, name, fallback);
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (int)i;
            return CNN_OK;
        }
    return op_fail(node, err, CNN_INVALID_MODEL, "attribute %s has the unknown value '%.40s'", name,
                   text);
}

/* Upsample and Resize before version 11 knew one transform and one way of rounding. */
static bool is_old(const graph_node *node) {
    return strcmp(node->op->name, "Upsample") == 0 || node->op->since < 11;
}

static cnn_status read_attributes(const graph_node *node, resize *r, cnn_error *err) {
    bool old = is_old(node);
    int m = 0, t = 0, n = 0;
    const char *name = graph_attr_string(node, "mode", "nearest");
    if (old && (strcmp(name, "bilinear") == 0 || strcmp(name, "trilinear") == 0))
        m = LINEAR;
    else
        TRY(read_name(node, "mode", "nearest", mode_names, ARRAY_LENGTH(mode_names), &m, err));
    TRY(read_name(node, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel",
                  transform_names, ARRAY_LENGTH(transform_names), &t, err));
    TRY(read_name(node, "nearest_mode", old ? "floor" : "round_prefer_floor", rounding_names,
                  ARRAY_LENGTH(rounding_names), &n, err));
    r->mode = (mode)m;
    r->transform = (transform)t;
    r->rounding = (rounding)n;
    r->antialias = graph_attr_int(node, "antialias", 0) != 0 && r->mode != NEAREST;
    r->exclude_outside = graph_attr_int(node, "exclude_outside", 0) != 0;
    r->fractional = graph_attr_int(node, OP_FRACTIONAL_LENGTH, 0) != 0;
    r->cubic_a = (double)graph_attr_float(node, "cubic_coeff_a", -0.75f);
    r->extrapolation = (double)graph_attr_float(node, "extrapolation_value", 0);
    return CNN_OK;
}

/* The axes that sizes, scales and roi speak of: `axes`, or all. */
typedef struct axis_list {
    size_t count;
    int axes[CNN_MAX_RANK];
} axis_list;

static cnn_status read_axis_list(const graph_node *node, int rank, axis_list *out, cnn_error *err) {
    op_list list = op_read_list(node, "axes", NULL);
    unsigned set;
    TRY(op_axis_set(node, &list, rank, &set, err));
    out->count = list.present ? list.count : (size_t)rank;
    for (size_t i = 0; i < out->count; i++)
        if (list.present)
            op_axis(list.values[i], rank, &out->axes[i]);
        else
            out->axes[i] = (int)i;
    return CNN_OK;
}

/* Which of the inputs is what in this version, and their contents. */
typedef struct arguments {
    const tensor *roi, *scales, *sizes; /* NULL: absent or empty */
} arguments;

static size_t scales_index(const graph_node *node) {
    return is_old(node) ? 1 : 2;
}

static const tensor *if_filled(const tensor *t) {
    return t && t->elements > 0 ? t : NULL;
}

static cnn_status apply_sizes(const graph_node *node, const axis_list *l, const tensor *sizes,
                              resize *r, cnn_error *err) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int policy = 0;
    TRY(read_name(node, "keep_aspect_ratio_policy", "stretch", policies, ARRAY_LENGTH(policies),
                  &policy, err));
    double common = policy == 1 ? INFINITY : 0;
    for (size_t i = 0; i < l->count; i++) {
        int a = l->axes[i];
        int64_t size = tensor_int(sizes, i);
        if (size < 0 || size > GRAPH_MAX_EXTENT || (r->in[a] == 0 && size > 0))
            return op_fail(node, err, CNN_INVALID_MODEL, "sizes[%zu] is %lld for an extent of %lld",
                           i, (long long)size, (long long)r->in[a]);
        r->out[a] = size;
        r->scale[a] = r->in[a] > 0 ? (double)size / (double)r->in[a] : 1;
        common = policy == 1 ? MIN(common, r->scale[a]) : MAX(common, r->scale[a]);
    }
    for (size_t i = 0; i < l->count && policy != 0; i++) {
        int a = l->axes[i];
        r->scale[a] = common;
        r->out[a] = int_of_double(common * (double)r->in[a] + 0.5);
    }
    return CNN_OK;
}

static cnn_status apply_scales(const graph_node *node, const axis_list *l, const tensor *scales,
                               const attr *listed, resize *r, cnn_error *err) {
    for (size_t i = 0; i < l->count; i++) {
        int a = l->axes[i];
        double scale = scales ? tensor_number(scales, i) : (double)listed->floats[i];
        /* In single precision: 2.3f is a little less than 2.3, but 20 * 2.3f is 46, as exporters
         * mean. */
        float extent = (float)r->in[a] * (float)scale;
        if (!(scale > 0) || !(extent <= (float)GRAPH_MAX_EXTENT))
            return op_fail(node, err, CNN_INVALID_MODEL, "scales[%zu] is %g for an extent of %lld",
                           i, scale, (long long)r->in[a]);
        r->scale[a] = scale;
        r->out[a] = int_of_double(extent);
    }
    return CNN_OK;
}

static cnn_status resize_read(const graph_node *node, const cnn_shape *x, const arguments *args,
                              resize *out, cnn_error *err) {
    resize r = {.rank = x->rank};
    axis_list l = {0};
    const attr *listed = graph_attr(node, "scales");
    TRY(read_attributes(node, &r, err));
    TRY(read_axis_list(node, x->rank, &l, err));
    for (int i = 0; i < r.rank; i++) {
        r.in[i] = r.out[i] = x->dims[i];
        r.scale[i] = r.roi_end[i] = 1;
    }
    size_t given = args->sizes    ? args->sizes->elements
                   : args->scales ? args->scales->elements
                   : listed       ? listed->count
                                  : 0;
    const tensor *roi = r.transform == TF_CROP_AND_RESIZE ? args->roi : NULL;
    if (given != l.count || (roi && roi->elements != 2 * l.count))
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "%zu axes are resized, but %s has %zu entries and roi %zu", l.count,
                       args->sizes ? "sizes" : "scales", given, roi ? roi->elements : 0);
    if (args->sizes)
        TRY(apply_sizes(node, &l, args->sizes, &r, err));
    else
        TRY(apply_scales(node, &l, args->scales, listed, &r, err));
    for (size_t i = 0; roi && roi->data && i < l.count; i++) { /* infer knows its shape only */
        r.roi_start[l.axes[i]] = tensor_number(roi, i);
        r.roi_end[l.axes[i]] = tensor_number(roi, l.count + i);
    }
    *out = r;
    return CNN_OK;
}

static cnn_status resize_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_NUMBER, err));
    size_t scales = scales_index(node);
    TRY(op_need_constant(g, node, scales, "scales", err));
    TRY(op_expect_type(g, node, scales, TYPES_REAL, err));
    arguments args = {.scales = if_filled(op_constant(g, node, scales))};
    tensor shape_of_roi = {0};
    if (!is_old(node)) {
        TRY(op_need_constant(g, node, 3, "sizes", err));
        TRY(op_expect_type(g, node, 3, TYPE(CNN_INT64), err));
        TRY(op_expect_type(g, node, 1, TYPES_REAL, err));
        args.sizes = if_filled(op_constant(g, node, 3));
        const graph_value *roi = op_input(g, node, 1);
        if (roi) shape_of_roi.elements = (size_t)op_product(&roi->shape, 0, roi->shape.rank);
        args.roi = if_filled(&shape_of_roi);
    }
    resize r;
    const graph_value *x = op_input(g, node, 0);
    TRY(resize_read(node, &x->shape, &args, &r, err));
    if (r.transform == TF_CROP_AND_RESIZE && !args.roi)
        return op_fail(node, err, CNN_INVALID_MODEL, "tf_crop_and_resize needs the input roi");
    cnn_shape out = {.rank = r.rank};
    memcpy(out.dims, r.out, sizeof out.dims);
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* ---- one axis ---- */

/* Where output position `o` of axis `a` lies in the input. */
static double source_point(const resize *r, int a, double o) {
    double in = (double)r->in[a], width = r->scale[a] * in, last = in - 1;
    double center = (o + 0.5) / r->scale[a] - 0.5;
    double steps = (r->fractional ? width : (double)r->out[a]) - 1;
    switch (r->transform) {
    case ALIGN_CORNERS:
        return steps == 0 || r->out[a] == 1 ? 0 : o * last / steps;
    case ASYMMETRIC:
        return o / r->scale[a];
    case TF_HALF_PIXEL_FOR_NN:
        return (o + 0.5) / r->scale[a];
    case TF_CROP_AND_RESIZE: {
        double span = (r->roi_end[a] - r->roi_start[a]) * last, start = r->roi_start[a] * last;
        return start + (r->out[a] == 1 ? span / 2 : o * span / steps);
    }
    case PYTORCH_HALF_PIXEL:
        return r->out[a] == 1 ? 0 : center;
    case HALF_PIXEL_SYMMETRIC:
        return center + in / 2 * (1 - (double)r->out[a] / width);
    default:
        return center;
    }
}

/* The input positions that count on one axis, and their weights: kernel((i - x) stretch) / sum. */
typedef struct taps {
    bool outside; /* the extrapolation value instead */
    bool single;  /* the one position `first`, weight 1 */
    double x, stretch, sum;
    int64_t first, last;
} taps;

static double kernel(const resize *r, double distance) {
    double x = fabs(distance), a = r->cubic_a;
    if (r->mode == LINEAR) return x < 1 ? 1 - x : 0;
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static bool counts(const resize *r, int a, int64_t i) {
    return !r->exclude_outside || (i >= 0 && i < r->in[a]);
}

static int64_t nearest(rounding how, double x) {
    switch (how) {
    case PREFER_FLOOR:
        return int_of_double(ceil(x - 0.5));
    case PREFER_CEIL:
        return int_of_double(floor(x + 0.5));
    case FLOOR:
        return int_of_double(floor(x));
    default:
        return int_of_double(ceil(x));
    }
}

static taps taps_at(const resize *r, int a, int64_t o) {
    taps t = {.stretch = 1};
    bool cropped =
        r->transform == TF_CROP_AND_RESIZE && !(r->roi_start[a] == 0 && r->roi_end[a] == 1);
    if (r->scale[a] == 1 && r->out[a] == r->in[a] && !cropped) {
        t.single = true;
        t.first = o;
        return t;
    }
    t.x = source_point(r, a, (double)o);
    if (r->transform == TF_CROP_AND_RESIZE && !(t.x >= 0 && t.x <= (double)(r->in[a] - 1))) {
        t.outside = true;
        return t;
    }
    if (r->mode == NEAREST) {
        t.single = true;
        t.first = MIN(MAX(nearest(r->rounding, t.x), 0), r->in[a] - 1);
        return t;
    }
    if (r->antialias) t.stretch = MIN(r->scale[a], 1);
    double radius = (r->mode == LINEAR ? 1 : 2) / t.stretch;
    t.first = int_of_double(ceil(t.x - radius));
    t.last = int_of_double(floor(t.x + radius));
    for (int64_t i = t.first; i <= t.last; i++)
        if (counts(r, a, i)) t.sum += kernel(r, ((double)i - t.x) * t.stretch);
    if (t.sum == 0) t.sum = 1;
    return t;
}

static double weight_at(const resize *r, int a, const taps *t, int64_t i) {
    return counts(r, a, i) ? kernel(r, ((double)i - t->x) * t->stretch) / t->sum : 0;
}

static int64_t inside(const resize *r, int a, int64_t i) {
    return MIN(MAX(i, 0), r->in[a] - 1);
}

/* ---- all axes ---- */

typedef struct walk {
    const resize *r;
    const tensor *x;
    tensor *y;
    size_t at; /* the next output element */
    taps taps[CNN_MAX_RANK];
} walk;

/* Weighted sum over axes `a` and following; `offset` is that of the positions on those before. */
static double weighted_sum(const walk *w, int a, size_t offset) {
    const resize *r = w->r;
    if (a == r->rank) return tensor_number(w->x, offset);
    const taps *t = &w->taps[a];
    offset *= (size_t)r->in[a];
    if (t->single) return weighted_sum(w, a + 1, offset + (size_t)t->first);
    double sum = 0;
    for (int64_t i = t->first; i <= t->last; i++) {
        double weight = weight_at(r, a, t, i);
        if (weight != 0) sum += weight * weighted_sum(w, a + 1, offset + (size_t)inside(r, a, i));
    }
    return sum;
}

static void put_rounded(tensor *y, size_t at, double value) {
    if (number_class_of(y->dtype) == NUMBER_REAL) {
        real_put(y->dtype, y->data, at, value);
        return;
    }
    bool is_signed = number_class_of(y->dtype) == NUMBER_SIGNED;
    double high = ldexp(1, (int)(8 * cnn_dtype_size(y->dtype)) - is_signed);
    value = MIN(MAX(rint(value), is_signed ? -high : 0), high - 1);
    number_put(y, at, value);
}

static void put_element(walk *w) {
    bool copied = true, outside = false;
    size_t offset = 0;
    for (int a = 0; a < w->r->rank; a++) {
        outside = outside || w->taps[a].outside;
        copied = copied && w->taps[a].single;
        offset = offset * (size_t)w->r->in[a] + (size_t)w->taps[a].first;
    }
    if (outside)
        put_rounded(w->y, w->at++, w->r->extrapolation);
    else if (copied)
        copy_elements(w->y, w->at++, w->x, &offset, 1);
    else
        put_rounded(w->y, w->at++, weighted_sum(w, 0, 0));
}

/* Visits the output positions of axes `a` and following in row-major order. */
static void visit(walk *w, int a) {
    if (a == w->r->rank) {
        put_element(w);
        return;
    }
    for (int64_t o = 0; o < w->r->out[a]; o++) {
        w->taps[a] = taps_at(w->r, a, o);
        visit(w, a + 1);
    }
}

static void resize_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    bool old = is_old(node);
    arguments args = {.scales = if_filled(eval_in(node, in, scales_index(node))),
                      .roi = old ? NULL : if_filled(eval_in(node, in, 1)),
                      .sizes = old ? NULL : if_filled(eval_in(node, in, 3))};
    resize r = {0};
    if (out[0]->elements == 0 || resize_read(node, &in[0]->shape, &args, &r, NULL) != CNN_OK)
        return;
    walk w = {.r = &r, .x = in[0], .y = out[0]};
    visit(&w, 0);
}

/* ---- for the kernel ---- */

/* The one or two positions that have a weight; two weights add up to 1. */
static resize_tap tap_at(const resize *r, int a, int64_t o) {
    taps t = taps_at(r, a, o);
    if (t.single) return (resize_tap){(int)t.first, (int)t.first, 0};
    resize_tap tap = {.first = -1};
    for (int64_t i = t.first; i <= t.last; i++) {
        double weight = weight_at(r, a, &t, i);
        if (weight == 0) continue;
        tap.second = (int)inside(r, a, i);
        if (tap.first < 0)
            tap.first = tap.second;
        else
            tap.weight = (float)weight;
    }
    return tap;
}

bool resize_taps(const graph *g, const graph_node *node, resize_tap *rows, resize_tap *columns,
                 bool *linear) {
    arguments args = {.scales = if_filled(op_constant(g, node, scales_index(node))),
                      .sizes = is_old(node) ? NULL : if_filled(op_constant(g, node, 3))};
    resize r = {0};
    if (resize_read(node, &op_input(g, node, 0)->shape, &args, &r, NULL) != CNN_OK ||
        r.scale[0] != 1 || r.scale[1] != 1 || r.mode == CUBIC || r.antialias || r.exclude_outside ||
        r.transform == TF_CROP_AND_RESIZE)
        return false;
    for (int64_t y = 0; rows && y < r.out[2]; y++)
        rows[y] = tap_at(&r, 2, y);
    for (int64_t x = 0; columns && x < r.out[3]; x++)
        columns[x] = tap_at(&r, 3, x);
    *linear = r.mode == LINEAR;
    return true;
}

#define RESIZE_11                                                                                  \
    "mode:string coordinate_transformation_mode:string cubic_coeff_a:float exclude_outside:int "   \
    "extrapolation_value:float nearest_mode:string " OP_FRACTIONAL_LENGTH ":int"
#define RESIZE(first, last, min_in, max_in, declared)                                              \
    OP("Resize", first, last, min_in, max_in, 1, 1), .attrs = declared, .infer = resize_infer,     \
                                                     .eval = resize_eval

const op_def ops_resize[] = {
    {RESIZE(10, 10, 2, 2, "mode:string " OP_FRACTIONAL_LENGTH ":int")},
    {RESIZE(11, 17, 1, 4, RESIZE_11)},
    {RESIZE(18, 0, 1, 4, RESIZE_11 " antialias:int axes:ints keep_aspect_ratio_policy:string")},
    {
        OP("Upsample", 7, 8, 1, 1, 1, 1),
        .attrs = "mode:string scales:floats!",
        .infer = resize_infer,
        .eval = resize_eval,
    },
    {
        OP("Upsample", 9, 10, 2, 2, 1, 1),
        .attrs = "mode:string",
        .infer = resize_infer,
        .eval = resize_eval,
    },
    {.name = NULL},
};
